"""Distributions: scores against automatic differentiation of the density, limits, refusals."""

import pytest
import torch

from gradbench.diffusion.gaussian import GaussianLaw
from gradbench.diffusion.mixture import DiracLaw, MixtureLaw, ProductMixtureLaw
from gradbench.diffusion.schedule import make_schedule
from gradbench.diffusion.transport import flow, flow_with_bound, log_density

SCHEDULE = make_schedule("scaled-linear")
G = torch.Generator().manual_seed(0)


def randn(*shape):
    return torch.randn(*shape, generator=G, dtype=torch.float64)


ROTATION = torch.linalg.qr(randn(3, 3))[0]
GAUSSIAN = GaussianLaw(SCHEDULE, randn(3), 0.3 * randn(3), ROTATION)
MIXTURE = MixtureLaw(SCHEDULE, randn(3), randn(2, 3), 0.3 * randn(2, 3), randn(2))
PRODUCT = ProductMixtureLaw(SCHEDULE, randn(3), randn(3, 2), 0.3 * randn(3, 2), randn(3, 2), ROTATION)


def log_p(law, x, t):
    alpha, sigma = SCHEDULE.alpha(t), SCHEDULE.sigma(t)
    if law is PRODUCT:
        return log_density(x @ ROTATION, law.components(t)).sum(-1)
    normal = torch.distributions.MultivariateNormal
    eye = sigma**2 * torch.eye(3, dtype=torch.float64)
    if law is GAUSSIAN:
        covariance = alpha**2 * ROTATION @ torch.diag(torch.exp(2 * law.log_std)) @ ROTATION.T + eye
        return normal(alpha * law.condition, covariance).log_prob(x)
    parts = [
        normal(alpha * (m + law.condition), alpha**2 * torch.diag(torch.exp(2 * s)) + eye).log_prob(x)
        for m, s in zip(law.means, law.log_std, strict=True)
    ]
    return torch.logsumexp(torch.log_softmax(law.logits, 0)[:, None] + torch.stack(parts), 0)


@pytest.mark.parametrize("law", [GAUSSIAN, MIXTURE, PRODUCT], ids=["gaussian", "mixture", "product-mixture"])
@pytest.mark.parametrize("t", [0.05, 0.4, 1.0])
def test_eps_is_minus_sigma_times_the_gradient_of_the_log_density(law, t):
    x = randn(5, 3).requires_grad_()
    (score,) = torch.autograd.grad(log_p(law, x, t).sum(), x)
    assert torch.allclose(law(x, t).eps, -SCHEDULE.sigma(t) * score, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("law", [GAUSSIAN, MIXTURE, PRODUCT], ids=["gaussian", "mixture", "product-mixture"])
def test_x0_and_eps_make_up_x(law):
    x, t = randn(5, 3), 0.3
    prediction = law(x, t)
    assert torch.allclose(SCHEDULE.alpha(t) * prediction.x0 + SCHEDULE.sigma(t) * prediction.eps, x, rtol=1e-12)


@pytest.mark.parametrize("law", [GAUSSIAN, MIXTURE, PRODUCT], ids=["gaussian", "mixture", "product-mixture"])
def test_x0_and_eps_are_finite_at_both_ends(law):
    law.schedule = make_schedule("rectified")
    try:
        for t in (0.0, 1.0):
            prediction = law(randn(2, 3), t)
            assert torch.isfinite(prediction.x0).all() and torch.isfinite(prediction.eps).all()
    finally:
        law.schedule = SCHEDULE


def test_one_component_is_the_gaussian():
    x = randn(4, 3)
    one = MixtureLaw(
        SCHEDULE, GAUSSIAN.condition.data, torch.zeros(1, 3).double(), GAUSSIAN.log_std.data[None], randn(1)
    )
    straight = GaussianLaw(SCHEDULE, GAUSSIAN.condition.data, GAUSSIAN.log_std.data, torch.eye(3).double())
    assert torch.allclose(one(x, 0.5).eps, straight(x, 0.5).eps, rtol=1e-12)


def test_ddim_is_exact_in_one_step_for_a_point():
    import gradbench

    for steps in (1, 7):
        problem = gradbench.case("dirac").problem(steps=steps)
        found, exact = gradbench.estimator("backprop")(problem).grads, problem.flow_gradient()
        assert all(torch.allclose(found[t], exact[t], rtol=1e-11) for t in ("x_T", "condition"))


def test_the_gradient_of_a_point_vanishes_at_sigma_zero():
    import gradbench

    problem = gradbench.case("dirac", t_min=0.0).problem(steps=3)
    assert gradbench.estimator("backprop")(problem).grads["x_T"].abs().max() < 1e-12


def far_product(dim):
    means = torch.linspace(-6, 6, 3).double().expand(dim, 3) + 0.1 * randn(dim, 3)
    rotation = torch.linalg.qr(randn(dim, dim))[0]
    return ProductMixtureLaw(SCHEDULE, randn(dim), means, -1 + 0.3 * randn(dim, 3), randn(dim, 3), rotation)


def test_transport_is_accurate_six_deviations_out_and_between_far_modes():
    law = far_product(100)
    x_T = 3 * randn(64, 100).clamp(-2, 2)
    image, bound = flow_with_bound(law, x_T, 1.0, 0.001)
    back, _ = flow_with_bound(law, image.detach(), 0.001, 1.0)
    assert bound < 1e-10 and ((back - x_T).norm() / x_T.norm()).item() < 1e-10


def test_the_gradient_of_transport_is_the_ratio_of_densities():
    law = far_product(4)
    u = torch.linspace(-6, 6, 40, dtype=torch.float64)[:, None].expand(40, 4)
    x_T = (u @ law.rotation.T).requires_grad_()
    image = flow(law, x_T, 1.0, 0.001)
    jacobian = torch.stack(
        [torch.autograd.grad((image @ law.rotation)[:, i].sum(), x_T, retain_graph=True)[0] for i in range(4)]
    )
    slope = torch.stack([(jacobian[i] @ law.rotation)[:, i] for i in range(4)], 1)
    log_ratio = log_density(u, law.components(1.0)) - log_density(image @ law.rotation, law.components(0.001))
    assert torch.allclose(slope, torch.exp(log_ratio), rtol=1e-9)


def test_transport_of_one_component_is_the_gaussian_flow():
    law = ProductMixtureLaw(
        SCHEDULE,
        GAUSSIAN.condition.data @ ROTATION,
        torch.zeros(3, 1).double(),
        GAUSSIAN.log_std.data[:, None],
        torch.zeros(3, 1).double(),
        ROTATION,
    )
    x_T = 6 * randn(5, 3)
    assert torch.allclose(flow(law, x_T, 1.0, 0.001), GAUSSIAN.flow(x_T, 1.0, 0.001), rtol=1e-12, atol=1e-13)


BAD = [
    ({"log_std": torch.full((2, 3), -400.0).double()}, "the covariance is singular"),
    ({"logits": torch.tensor([0.0, float("nan")]).double()}, "logits must be finite"),
    ({"logits": torch.zeros(3).double()}, "means must have shape"),
    ({"means": torch.zeros(2, 4).double()}, r"means must have shape \(2, 3\), got \(2, 4\)"),
    ({"condition": torch.tensor([0.0, 1.0, float("inf")]).double()}, "condition must be finite"),
]


@pytest.mark.parametrize(("arrays", "message"), BAD)
def test_a_bad_mixture_is_refused_with_the_value_and_the_rule(arrays, message):
    good = {"condition": randn(3), "means": randn(2, 3), "log_std": randn(2, 3), "logits": randn(2)}
    with pytest.raises(ValueError, match=message):
        MixtureLaw(SCHEDULE, **{**good, **arrays})


def test_a_point_has_no_eps_at_sigma_zero():
    with pytest.raises(ValueError, match="no eps at sigma = 0"):
        DiracLaw(SCHEDULE, randn(2))(randn(1, 2), 0.0)
