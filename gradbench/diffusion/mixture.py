"""Non-Gaussian distributions with a closed-form score: mixtures, rotated products of mixtures, and a point mass.

eps(x, t) = -sigma grad log p_t(x); the mixtures give x_0 and eps without dividing by alpha or sigma.
"""

import torch
from torch import Tensor, nn

from gradbench.checks import UsageError
from gradbench.diffusion.denoiser import Denoiser, ExactPrediction, Prediction
from gradbench.diffusion.laws import check_law, check_rotation, noised
from gradbench.diffusion.schedule import Schedule


class MixtureLaw(Denoiser):
    """x_0 ~ sum_k w_k N(means_k + condition, diag(exp(2 log_std_k))), w = softmax(logits).

    With C_k = alpha^2 exp(2 log_std_k) + sigma^2, r_k = x - alpha (means_k + condition) and the posterior weights
    p = softmax(log w_k - (1/2) sum_i (r_ki^2 / C_ki + log C_ki)),

        eps = sigma sum_k p_k r_k / C_k,    x_0 = sum_k p_k (means_k + condition + alpha exp(2 log_std_k) r_k / C_k).

    condition (d), means (K, d), log_std (K, d), logits (K). `ValueError` as in `check_law`.
    """

    rowwise = True

    def __init__(self, schedule: Schedule, condition: Tensor, means: Tensor, log_std: Tensor, logits: Tensor) -> None:
        super().__init__(schedule)
        (dim,), count = condition.shape, len(logits)
        check_law(
            {"condition": condition, "means": means, "log_std": log_std, "logits": logits},
            {"condition": (dim,), "means": (count, dim), "log_std": (count, dim), "logits": (count,)},
        )
        self.condition = nn.Parameter(condition)
        self.means, self.log_std, self.logits = nn.Parameter(means), nn.Parameter(log_std), nn.Parameter(logits)

    def predict(self, x: Tensor, t: float) -> Prediction:
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        centres, variance = self.means + self.condition, torch.exp(2 * self.log_std)
        total = noised(variance, alpha, sigma)
        residual = x[:, None] - alpha * centres
        score = residual / total
        log_weight = torch.log_softmax(self.logits, 0) - 0.5 * (residual * score + torch.log(total)).sum(-1)
        weight = torch.softmax(log_weight, dim=1)[..., None]
        return ExactPrediction(
            lambda: (weight * (centres + alpha * variance * score)).sum(1),
            lambda: sigma * (weight * score).sum(1),
            alpha,
            sigma,
        )


class ProductMixtureLaw(Denoiser):
    """x_0 = Q u with independent u_i ~ sum_k w_ik N(means_ik + condition_i, exp(2 log_std_ik)).

    w_i = softmax(logits_i). Each coordinate of Q^T x has a one-dimensional mixture distribution. condition (d), means,
    log_std and logits (d, K), rotation Q (d, d) orthogonal. Its exact flow is in `gradbench.diffusion.transport`.
    """

    rowwise = True

    def __init__(
        self, schedule: Schedule, condition: Tensor, means: Tensor, log_std: Tensor, logits: Tensor, rotation: Tensor
    ) -> None:
        super().__init__(schedule)
        (dim,), count = condition.shape, logits.shape[-1]
        leaves = {"condition": condition, "means": means, "log_std": log_std, "logits": logits}
        shapes = {name: (dim,) if name == "condition" else (dim, count) for name in leaves}
        check_law(leaves, shapes)
        check_rotation(rotation, dim)
        self.condition = nn.Parameter(condition)
        self.means, self.log_std, self.logits = nn.Parameter(means), nn.Parameter(log_std), nn.Parameter(logits)
        self.rotation: Tensor
        self.register_buffer("rotation", rotation)

    def components(self, t: float) -> tuple[Tensor, Tensor, Tensor]:
        """The mixture of each coordinate at time t: log weights, means and variances, each (d, K)."""
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        means = alpha * (self.means + self.condition[:, None])
        return torch.log_softmax(self.logits, 1), means, noised(torch.exp(2 * self.log_std), alpha, sigma)

    def predict(self, x: Tensor, t: float) -> Prediction:
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        log_prior, means, total = self.components(t)
        residual = (x @ self.rotation)[..., None] - means
        score = residual / total
        log_weight = log_prior - 0.5 * (residual * score + torch.log(total))
        weight = torch.softmax(log_weight, dim=-1)
        centres, variance = self.means + self.condition[:, None], torch.exp(2 * self.log_std)
        return ExactPrediction(
            lambda: (weight * (centres + alpha * variance * score)).sum(-1) @ self.rotation.T,
            lambda: sigma * (weight * score).sum(-1) @ self.rotation.T,
            alpha,
            sigma,
        )


class DiracLaw(Denoiser):
    """x_0 = condition: eps = (x - alpha condition) / sigma, so DDIM is exact in one step from any t.

    condition (d). `ValueError` at sigma = 0. References: Zhang, Tao and Chen, 2023, gDDIM, arXiv:2206.05564,
    proposition 1.
    """

    affine = True
    rowwise = True

    def __init__(self, schedule: Schedule, condition: Tensor) -> None:
        super().__init__(schedule)
        check_law({"condition": condition}, {"condition": tuple(condition.shape[:1])})
        self.condition = nn.Parameter(condition)

    def predict(self, x: Tensor, t: float) -> Prediction:
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        if sigma == 0:
            raise UsageError("a point has no eps at sigma = 0: evaluate it at t > 0")
        return ExactPrediction(
            lambda: self.condition.expand_as(x), lambda: (x - alpha * self.condition) / sigma, alpha, sigma
        )

    def flow(self, x_T: Tensor, t_max: float, t_min: float) -> Tensor:
        """The exact flow, (b, d) -> (b, d): alpha_min c + (sigma_min / sigma_max) (x_T - alpha_max c)."""
        s = self.schedule
        return s.alpha(t_min) * self.condition + s.sigma(t_min) / s.sigma(t_max) * (
            x_T - s.alpha(t_max) * self.condition
        )
