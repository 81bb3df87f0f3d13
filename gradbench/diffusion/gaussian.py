"""A Gaussian distribution: its noise prediction, its flow and its reverse SDE in closed form.

eps(x, t) = -sigma grad log p_t(x), where p_t is the density of x_t = alpha x_0 + sigma eps. x_0 and eps are computed
without dividing by alpha or sigma, so both are regular at both ends of a schedule.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gradbench.diffusion.denoiser import Denoiser, ExactPrediction, Prediction
from gradbench.diffusion.laws import check_law, check_rotation, noised
from gradbench.diffusion.schedule import Schedule


class GaussianLaw(Denoiser):
    """x_0 ~ N(condition, Q diag(exp(2 log_std)) Q^T).

    With u = Q^T (x - alpha condition) and C = alpha^2 exp(2 log_std) + sigma^2,

        eps = sigma Q [u / C],        x_0 = condition + Q [alpha exp(2 log_std) u / C].

    condition (d), log_std (d), rotation Q (d, d) orthogonal. Raises `ValueError` for shapes that do not fit, for values
    that are not finite, for a variance of 0 and for a rotation that is not orthogonal to 1e-6.
    """

    affine = True
    rowwise = True

    def __init__(self, schedule: Schedule, condition: Tensor, log_std: Tensor, rotation: Tensor) -> None:
        super().__init__(schedule)
        (dim,) = condition.shape
        check_law({"condition": condition, "log_std": log_std}, {"condition": (dim,), "log_std": (dim,)})
        check_rotation(rotation, dim)
        self.condition = nn.Parameter(condition)
        self.log_std = nn.Parameter(log_std)
        self.register_buffer("rotation", rotation)
        self.rotation: Tensor

    def predict(self, x: Tensor, t: float) -> Prediction:
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        variance = torch.exp(2 * self.log_std)
        whitened = ((x - alpha * self.condition) @ self.rotation) / noised(variance, alpha, sigma)
        return ExactPrediction(
            lambda: self.condition + (alpha * variance * whitened) @ self.rotation.T,
            lambda: sigma * (whitened @ self.rotation.T),
            alpha,
            sigma,
        )

    def flow(self, x_T: Tensor, t_max: float, t_min: float) -> Tensor:
        """The exact flow of the probability-flow ODE, (b, d) -> (b, d), differentiable in x_T, condition and log_std:

        x_min = alpha_min condition + Q [ sqrt(C_min / C_max) Q^T (x_T - alpha_max condition) ].
        """
        s = self.schedule
        variance = torch.exp(2 * self.log_std)
        first, last = (noised(variance, s.alpha(t), s.sigma(t)) for t in (t_max, t_min))
        u = (x_T - s.alpha(t_max) * self.condition) @ self.rotation
        return s.alpha(t_min) * self.condition + (torch.sqrt(last / first) * u) @ self.rotation.T

    def reverse_sde(self, x_T: Tensor, t_max: float, t_min: float) -> tuple[Tensor, Tensor]:
        """Mean (b, d) and covariance (d, d) of x_min given x_T under the exact reverse SDE.

        With G = (alpha_max / alpha_min) C_min / C_max in the eigenbasis:

            mean = alpha_min c + Q G Q^T (x_T - alpha_max c),
            covariance = Q diag(C_min - G (alpha_max / alpha_min) C_min) Q^T.
        """
        s = self.schedule
        variance = torch.exp(2 * self.log_std)
        first, last = (noised(variance, s.alpha(t), s.sigma(t)) for t in (t_max, t_min))
        shrink = s.alpha(t_max) / s.alpha(t_min)
        gain = shrink * last / first
        mean = s.alpha(t_min) * self.condition
        mean = mean + (gain * ((x_T - s.alpha(t_max) * self.condition) @ self.rotation)) @ self.rotation.T
        return mean, (self.rotation * (last - gain * shrink * last)) @ self.rotation.T

    def on_path(self, x_T: Tensor, times: Sequence[float], normals: Tensor) -> Tensor:
        """x at times[-1], (b, d), of the exact reverse SDE from x_T (b, d) at times[0] along a discretised Wiener path.

        normals (M, b, d): one per cell between the M + 1 decreasing times. The SDE is linear: in the eigenbasis, a step
        from s to t < s has gain G = (alpha_s / alpha_t) C_t / C_s and variance V = C_t - G (alpha_s / alpha_t) C_t, so

            x_end = alpha_end c + Q [ G(T, end) u_T + sum_j G(t_{j+1}, end) V(t_j, t_{j+1})^(1/2) Q^T xi_j ].

        Differentiable in x_T, condition and log_std. Exact in distribution, and pathwise accurate to the cell size.
        """
        alpha = x_T.new_tensor([self.schedule.alpha(t) for t in times])[:, None]
        sigma = x_T.new_tensor([self.schedule.sigma(t) for t in times])[:, None]
        total = noised(torch.exp(2 * self.log_std), alpha, sigma)
        gain = (alpha / alpha[-1]) * total[-1] / total
        shrink = (alpha[:-1] / alpha[1:]) ** 2
        added = total[1:] * (1 - shrink * total[1:] / total[:-1])
        noise = torch.einsum("md,mbd->bd", gain[1:] * torch.sqrt(added), normals @ self.rotation)
        u = (x_T - alpha[0] * self.condition) @ self.rotation
        return alpha[-1] * self.condition + (gain[0] * u + noise) @ self.rotation.T
