"""The exact flow of a product mixture: monotone transport in each coordinate.

The probability-flow ODE carries the distribution at t_max to that at t_min. In one dimension this determines the map:

    u(t_min) = F_{t_min}^{-1}( F_{t_max}( u(t_max) ) ),     F_t the distribution function of the coordinate at t.

Both sides are stored as the logarithm of the smaller tail, log F or log (1 - F), so no accuracy is lost far from the
centre. The equation is solved by Newton's method inside a bracket. Gradients follow by implicit differentiation: one
more Newton step from the root, taken on the tape with a fixed slope, has the derivative of the solution.
"""

import torch
from torch import Tensor

from gradbench.diffusion.mixture import ProductMixtureLaw

Components = tuple[Tensor, Tensor, Tensor]  # log weights, means, variances, (d, K) each


def log_tail(u: Tensor, components: Components, upper: Tensor) -> Tensor:
    """log F(u), or log (1 - F(u)) where `upper`, of the mixtures (d, K) at u (b, d), accurate far out in both tails."""
    log_weight, means, variance = components
    z = (u[..., None] - means) / torch.sqrt(variance)
    return torch.logsumexp(log_weight + torch.special.log_ndtr(torch.where(upper[..., None], -z, z)), dim=-1)


def log_density(u: Tensor, components: Components) -> Tensor:
    """Log density of the mixtures (d, K) at u, (b, d)."""
    log_weight, means, variance = components
    square = (u[..., None] - means) ** 2 / variance
    return torch.logsumexp(log_weight - 0.5 * (square + torch.log(2 * torch.pi * variance)), dim=-1)


@torch.no_grad()
def invert(log_p: Tensor, upper: Tensor, components: Components, iterations: int = 200) -> tuple[Tensor, Tensor]:
    """u with log_tail(u) = log_p, and a bound on its error, both (b, d).

    Newton's method on log_tail, inside a bracket that shrinks at every step. The bound is the sum of the residual and
    the rounding error of log_tail, divided by the slope, and is doubled where the slope changes too much within it.
    """
    _, means, variance = components
    deviation = torch.sqrt(variance)
    reach = 1.0 + torch.sqrt(2 * torch.clamp(-log_p, min=0.0))[..., None] + 8.0
    low, high = (means - reach * deviation).amin(-1), (means + reach * deviation).amax(-1)
    sign = torch.where(upper, -1.0, 1.0).to(log_p)
    u = 0.5 * (low + high)
    for _ in range(iterations):
        value = log_tail(u, components, upper)
        residual = sign * (value - log_p)  # increasing in u
        low, high = torch.where(residual < 0, u, low), torch.where(residual > 0, u, high)
        slope = torch.exp(log_density(u, components) - value)
        step = u - residual / slope
        inside = torch.isfinite(step) & (step > low) & (step < high)
        following = torch.where(inside, step, 0.5 * (low + high))
        settled = (following - u).abs() <= 4 * torch.finfo(u.dtype).eps * u.abs()
        u = torch.where(residual == 0, u, following)
        if (settled | (residual == 0)).all():
            break
    value = log_tail(u, components, upper)
    slope = torch.exp(log_density(u, components) - value)
    rounding = 4 * torch.finfo(u.dtype).eps * (1 + value.abs())
    bound = ((value - log_p).abs() + rounding) / slope
    for _ in range(80):  # the bound must grow where the slope changes within it (between distant modes)
        below = sign * (log_tail(u - bound, components, upper) - log_p) <= -rounding
        above = sign * (log_tail(u + bound, components, upper) - log_p) >= rounding
        if (below & above).all():
            break
        bound = torch.where(below & above, bound, 2 * bound)
    return u, bound


def transport(u: Tensor, first: Components, last: Components) -> tuple[Tensor, Tensor]:
    """The image of u (b, d) under the monotone map from `first` to `last`, on the tape, and its error bound."""
    with torch.no_grad():
        upper = log_tail(u, first, torch.zeros_like(u, dtype=torch.bool)) > -0.6931471805599453
    log_p = log_tail(u, first, upper)
    root, bound = invert(log_p.detach(), upper, last)
    value = log_tail(root, last, upper)
    sign = torch.where(upper, -1.0, 1.0).to(u)
    with torch.no_grad():
        slope = torch.exp(log_density(root, last) - value)
    return root - sign * (value - log_p) / slope, bound


def flow(law: ProductMixtureLaw, x_T: Tensor, t_max: float, t_min: float) -> Tensor:
    """The exact flow of the mixture, (b, d) -> (b, d), differentiable in x_T and in all parameters."""
    return flow_with_bound(law, x_T, t_max, t_min)[0]


def flow_with_bound(law: ProductMixtureLaw, x_T: Tensor, t_max: float, t_min: float) -> tuple[Tensor, float]:
    """The exact flow, (b, d), and an upper bound on the error of every coordinate of Q^T x_0."""
    image, bound = transport(x_T @ law.rotation, law.components(t_max), law.components(t_min))
    return image @ law.rotation.T, bound.max().item()
