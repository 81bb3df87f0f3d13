"""The stochastic samplers of policy gradients: marginals, published transitions, the scalar oracle."""

import pytest
import torch

import gradbench
from gradbench.references.affine import moments
from studies.oracle import flow_oracle


def marginal_error(steps, sampler, schedule):
    """Relative error of the covariance at the clean end, from that at the noisy end, of the chain's affine map."""
    case = gradbench.case("gaussian", schedule=schedule, t_max=0.95, t_min=0.01, dim=3, batch=4)
    x_T = torch.cat([torch.zeros(1, 3), torch.eye(3)]).double()
    problem = case.problem(sampler=sampler, steps=steps, x_T=x_T)
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


@pytest.mark.parametrize("schedule", ["rectified", "scaled-linear", "cosine"])
@pytest.mark.parametrize("sampler", ["flow-sde[a=0.3]", "flow-sde", "dance-sde"])
def test_the_marginals_are_kept_at_first_order(sampler, schedule):
    coarse, fine = (marginal_error(steps, sampler, schedule) for steps in (200, 800))
    assert fine < coarse / 3.5 and fine < 0.1


@pytest.mark.parametrize(("sampler", "kept"), [("precise", True), ("churn", True), ("cps", False)])
def test_of_the_samplers_that_keep_the_noise_level_cps_loses_variance(sampler, kept):
    """Its x0_hat is a mean, whose spread is lost in every step: the error does not shrink with the steps."""
    coarse, fine = (marginal_error(steps, sampler, "rectified") for steps in (200, 800))
    assert (fine < coarse / 3 and fine < 0.05) == kept and (fine > 0.3) == (not kept)


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


# sampler, Var x_N and dJ/d theta of the scalar oracle with 20 steps
ORACLE = [
    ("flow-euler", 0.2599, 0.3622),
    ("flow-sde[first=next]", 0.2905, 0.2048),
    ("flow-sde[first=next,a=1.4142135623730951]", 0.3010, 0.0017),
    ("dance-sde", 0.2653, 0.2688),
    ("cps", 0.1685, -0.0160),
    ("cps[eta=1]", 0.1282, -0.0274),
    ("precise", 0.2516, 0.2043),
]


@pytest.mark.parametrize(("sampler", "variance", "slope"), ORACLE)
def test_the_variance_and_the_gradient_of_the_scalar_oracle(sampler, variance, slope):
    problem = flow_oracle(20, sampler)
    with torch.no_grad():
        mean, own = moments(problem.rollout, torch.tensor([[1.0], [0.0]]).double())
    assert ((mean[0] - mean[1]) ** 2 + own).item() == pytest.approx(variance, abs=6e-5)
    assert -problem.expected_gradient()["parameters"][0].item() / 2 == pytest.approx(slope, abs=6e-5)


def step_of(sampler, schedule="scaled-linear", k=2):
    """The rule, the field, a state and the interval of step k."""
    problem = gradbench.case("gaussian", schedule=schedule, t_max=0.95, t_min=0.01).problem(sampler=sampler, steps=6)
    return problem, problem.rollout.rule, problem.rollout.interval(k)


@pytest.mark.parametrize("schedule", ["rectified", "scaled-linear"])
def test_flow_grpos_level_is_a_share_of_the_reverse_sdes(schedule):
    """c^2 = (a^2 / 2) g^2, with g^2 from the Euler-Maruyama rule, whose std is g (-h)^(1/2)."""
    _, rule, interval = step_of("flow-sde[a=0.6]", schedule)
    _, whole, same = step_of("euler-maruyama", schedule)
    assert rule.std(interval) == pytest.approx(0.6 / 2**0.5 * whole.std(same), rel=1e-12)


@pytest.mark.parametrize("schedule", ["rectified", "scaled-linear"])
def test_precise_with_the_whole_noise_is_ddim_with_eta_one(schedule):
    problem, rule, interval = step_of(f"precise[a={2**0.5!r}]", schedule)
    _, other, same = step_of("ddim[eta=1]", schedule)
    field, state = problem.rollout.field, (problem.x_T,)
    (one,), s = rule.transition(field, state, interval)
    (two,), t = other.transition(field, state, same)
    assert s == pytest.approx(t, rel=1e-12) and torch.allclose(one, two, rtol=1e-12)


@pytest.mark.parametrize("schedule", ["rectified", "scaled-linear"])
def test_cps_with_eta_one_noises_x0_hat_afresh(schedule):
    problem, rule, interval = step_of("cps[eta=1]", schedule)
    law, t0, t1 = problem.denoiser, interval.t0, interval.t1
    (mean,), std = rule.transition(problem.rollout.field, (problem.x_T,), interval)
    assert std == pytest.approx(law.schedule.sigma(t1)) and torch.allclose(
        mean, law.schedule.alpha(t1) * law.field(problem.x_T, t0, (1.0, 0.0)), rtol=1e-10
    )


def test_churn_is_the_released_step():
    """(x + (q - t) v) / (1 + gamma q) + q sqrt((1 + gamma)^2 - 1) / (1 + gamma q) z, q = s / (1 + gamma - gamma s)."""
    problem, rule, interval = step_of("churn[gamma=0.3]", "rectified")
    t, s, g = interval.t0, interval.t1, 0.3
    q = s / (1 + g - g * s)
    v = problem.denoiser.field(problem.x_T, t, (-1.0, 1.0))
    (mean,), std = rule.transition(problem.rollout.field, (problem.x_T,), interval)
    assert torch.allclose(mean, (problem.x_T + (q - t) * v) / (1 + g * q), rtol=1e-12)
    assert std == pytest.approx(q * ((1 + g) ** 2 - 1) ** 0.5 / (1 + g * q), rel=1e-12)


def test_churn_is_for_rectified_flow():
    with pytest.raises(ValueError, match="use schedule=rectified"):
        gradbench.case("gaussian").problem(sampler="churn")


@pytest.mark.parametrize(
    ("sampler", "noisy"), [("dance-sde", True), ("flow-sde", True), ("cps", False), ("churn", False)]
)
def test_the_last_step_to_sigma_zero(sampler, noisy):
    """The time chart's rules draw noise there too: it stays in the sample."""
    rollout = flow_oracle(20, sampler).rollout
    assert (rollout.rule.std(rollout.interval(19)) > 0) == noisy
