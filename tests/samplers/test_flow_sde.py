"""The stochastic sampler of rectified flow keeps the flow's marginals."""

import pytest
import torch

import gradbench
from gradbench.estimators.affine import moments


def marginal_error(steps, level=0.7):
    """Relative error of the covariance at the clean end, from that at the noisy end, of the chain's affine map."""
    case = gradbench.case("gaussian", schedule="rectified", t_max=0.95, t_min=0.01, dim=3, batch=4)
    x_T = torch.cat([torch.zeros(1, 3), torch.eye(3)]).double()
    problem = case.problem(sampler=f"flow-sde[a={level}]", steps=steps, x_T=x_T)
    law, s = problem.denoiser, problem.denoiser.schedule
    with torch.no_grad():
        mean, own = moments(problem.rollout, x_T)

        def covariance(t):
            spread = s.alpha(t) ** 2 * torch.exp(2 * law.log_std) + s.sigma(t) ** 2
            return (law.rotation * spread) @ law.rotation.T

        gain = mean[1:] - mean[0]
        found = gain.T @ covariance(0.95) @ gain + own
        exact = covariance(0.01)
    return ((found - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize("level", [0.3, 0.7])
def test_the_marginals_are_kept_at_first_order(level):
    coarse, fine = marginal_error(200, level), marginal_error(800, level)
    assert fine < coarse / 3.5 and fine < 0.05


def test_it_is_the_published_transition():
    problem = gradbench.case("gaussian", schedule="rectified", t_max=1.0, t_min=0.01).problem(
        sampler="flow-sde", steps=5, noise="keyed"
    )
    rollout, x = problem.rollout, problem.x_T
    for k in (0, 2):
        interval = rollout.interval(k)
        t, dt = interval.t0, interval.t1 - interval.t0
        level = 0.7 * ((t / (1 - t)) if t < 1 else interval.t1 / (1 - interval.t1)) ** 0.5
        v = problem.denoiser.field(x, t, (-1.0, 1.0))
        mean = x * (1 + level**2 / (2 * t) * dt) + v * (1 + level**2 * (1 - t) / (2 * t)) * dt
        (got,), std = rollout.rule.transition(rollout.field, (x,), interval)
        assert torch.allclose(got, mean) and std == pytest.approx(level * (-dt) ** 0.5)


def test_it_is_for_rectified_flow():
    with pytest.raises(ValueError, match="use schedule=rectified"):
        gradbench.case("gaussian").problem(sampler="flow-sde")
