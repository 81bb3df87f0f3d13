"""The stochastic sampler of rectified flow keeps the flow's marginals."""

import pytest
import torch

import gradbench
from gradbench.references.affine import moments


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


def released_loop(network, x, times, normals, a, above):
    """Flow-GRPO's sde_step_with_logprob, written out: `above` stands for t = 1 in the numerator of the level."""
    for k, (t, after) in enumerate(zip(times, times[1:], strict=False)):
        top, bottom = (t, t) if t < 1 else (above, times[1])
        std = a * (top / (1 - bottom)) ** 0.5
        mean = x * (1 + std**2 / (2 * t) * (after - t))
        mean = mean + network(x, 1000 * t, None) * (1 + std**2 * (1 - t) / (2 * t)) * (after - t)
        x = mean + std * (t - after) ** 0.5 * normals[k]
    return x


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(0.3 * torch.randn(6, 6, generator=torch.Generator().manual_seed(0)).double())

    def forward(self, x, time, condition):
        return torch.tanh(x @ self.w + time / 1000) + 0.1 * x


@pytest.mark.parametrize("grid", [(1.0, 0.75, 0.5, 0.25, 0.0), (1.0, 0.9, 0.2, 0.0), (0.95, 0.5, 0.1), (1.0, 0.0)])
@pytest.mark.parametrize("first", ["released", "next"])
@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "revolve"])
def test_the_first_step_is_the_released_one_or_the_next_times(grid, first, gradient):
    network, x_T = Network(), torch.randn(3, 6, generator=torch.Generator().manual_seed(1)).double()
    normals = torch.randn(len(grid) - 1, 3, 6, generator=torch.Generator().manual_seed(2)).double()
    denoiser = gradbench.NetworkDenoiser(network, "rectified", kind="flow")
    option = "" if first == "released" else ",first=next"
    found = gradbench.sample(
        denoiser, x_T, sampler=f"flow-sde[a=0.7{option}]", grid=grid, noise=normals, wrt=[network.w], gradient=gradient
    )
    expected = released_loop(network, x_T, grid, normals, 0.7, 1.0 if first == "released" else grid[1])
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14)
    got, right = (torch.autograd.grad((x**2).sum(), network.w, retain_graph=True)[0] for x in (found, expected))
    assert ((got - right).norm() / right.norm()).item() < 1e-12


def test_the_two_readings_differ_in_the_first_step_only():
    case = gradbench.case("gaussian", schedule="rectified", t_max=1.0, t_min=0.01)
    one, two = (case.problem(sampler=f"flow-sde[first={f}]", steps=5).rollout for f in ("released", "next"))
    spreads = [[r.rule.std(r.interval(k)) for k in range(5)] for r in (one, two)]
    ratios = [a / b for a, b in zip(*spreads, strict=True)]
    assert ratios == pytest.approx([one.grid[1] ** -0.5, 1, 1, 1, 1])


def test_another_reading_is_refused():
    with pytest.raises(ValueError, match="unknown first 'last'; allowed: released, next"):
        gradbench.case("gaussian", schedule="rectified").problem(sampler="flow-sde[first=last]")


def test_it_is_the_published_transition():
    problem = gradbench.case("gaussian", schedule="rectified", t_max=1.0, t_min=0.01).problem(
        sampler="flow-sde", steps=5, noise="keyed"
    )
    rollout, x = problem.rollout, problem.x_T
    for k in (0, 2):
        interval = rollout.interval(k)
        t, dt = interval.t0, interval.t1 - interval.t0
        level = 0.7 * (t / (1 - (t if t < 1 else interval.t1))) ** 0.5
        v = problem.denoiser.field(x, t, (-1.0, 1.0))
        mean = x * (1 + level**2 / (2 * t) * dt) + v * (1 + level**2 * (1 - t) / (2 * t)) * dt
        (got,), std = rollout.rule.transition(rollout.field, (x,), interval)
        assert torch.allclose(got, mean) and std == pytest.approx(level * (-dt) ** 0.5)


def test_it_is_for_rectified_flow():
    with pytest.raises(ValueError, match="use schedule=rectified"):
        gradbench.case("gaussian").problem(sampler="flow-sde")
