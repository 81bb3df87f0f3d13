"""What policy gradients of 2025 and 2026 add: windows, guarded ratios, secants, value gradients, ODE adjoints."""

import pytest
import torch

import gradbench
from gradbench.estimators.monte_carlo.base import make_block
from gradbench.problems.gradients import relative_error
from studies.oracle import flow_oracle
from tests.quick import quick

DRAWS = 40_000


def theta(grads):
    return grads["parameters"][0].item()


def ascent(selector, sampler, draws=DRAWS):
    """The mean per sample, raising the reward, and its standard error."""
    estimate = gradbench.estimator(selector, draws=draws)(flow_oracle(20, sampler))
    return -theta(estimate.grads) / 2, estimate.std_error["parameters"][0].item() / 2


EXACT = 0.36220
RELEASED = "flow-sde[first=next]"


@pytest.mark.parametrize(("at", "share"), quick([(0, 0.0912), (8, 0.1288), (16, -0.0666)], 1))
def test_a_window_has_its_steps_share_of_the_gradient_of_its_own_chain(at, share):
    value, error = ascent(f"ddpo[scale=summed,advantage_clip=1e6,window=4,at={at}]", RELEASED)
    assert abs(value - share) < 4 * error < 0.02


def test_a_window_over_all_steps_is_the_whole_policy_gradient():
    problem = flow_oracle(6, "flow-sde")
    one, other = (gradbench.estimator(f"ddpo[{w}scale=summed]", draws=64)(problem).grads for w in ("window=6,", ""))
    assert one.disagreement(other) < 1e-12


@pytest.mark.parametrize("sampler", ["flow-sde", "dance-sde", "cps", "precise", "churn"])
def test_outside_its_window_a_chain_is_the_samplers_without_noise(sampler):
    problem = flow_oracle(6, sampler)
    block = gradbench.estimator("ddpo[window=2,at=3]").prepared(make_block(problem, 0, 4))
    rollout = block.rollout
    assert [rollout.rule.std(rollout.interval(k)) > 0 for k in range(6)] == [k in (3, 4) for k in range(6)]
    plain = flow_oracle(6, "ddim" if sampler in ("cps", "precise") else "flow-euler").rollout
    for k in (0, 5):
        (mean,) = rollout.rule.mean(rollout.field, (problem.x_T,), rollout.interval(k))
        assert torch.allclose(mean, plain.step(k, (problem.x_T,))[0], rtol=1e-12)


def test_a_window_elsewhere_is_refused():
    traits = flow_oracle(20, RELEASED).traits
    assert "window + at must be <= the sampler's 20 steps, got 21" in gradbench.estimator(
        "ddpo[window=4,at=17]"
    ).supports(traits)
    reverse = gradbench.case("gaussian").problem(sampler="ddpm", steps=8).traits
    assert "whose noise can be set to zero" in gradbench.estimator("ddpo[window=4]").supports(reverse)
    with pytest.raises(ValueError, match="at is the place of a window"):
        gradbench.estimator("ddpo[at=3]")


@pytest.mark.slow
def test_guarded_steps_weigh_as_their_noise_over_their_length():
    """Normalised to mean 1; 13.7 times its share at the noisy end, falling to 0.72: a ratio of 1.187."""
    value, error = ascent("ddpo[scale=summed,ratio=guard,advantage_clip=1e6]", RELEASED, 200_000)
    assert abs(value - 1.187 * 0.2048) < 4 * error < 0.02


def test_a_guarded_ratio_by_hand():
    """exp(mean(z (mu - mu_old))), times the advantage and over dt; D = 1, one step, stale samples."""
    problem = flow_oracle(1, "flow-sde")
    method = gradbench.estimator("ddpo[ratio=guard,stale=0.2,clip=1e6,advantage_clip=1e6]")
    found = method.made(make_block(problem, 0, 3)).wrt[0].item()
    block, leaf = make_block(problem, 0, 3), problem.wrt[0]
    moved = leaf.item() + 0.2 * abs(leaf.item()) * block.random.standard_normal()
    rule, interval, x = block.rollout.rule, block.rollout.interval(0), block.x_T

    def mean(value):
        kept = leaf.data.clone()
        leaf.data.fill_(value)
        try:
            return rule.mean(block.rollout.field, (x,), interval)[0].detach()
        finally:
            leaf.data.copy_(kept)

    z, std = interval.noise, rule.std(interval)
    end = mean(moved) + std * z
    values = problem.objective(end)
    advantage = (values.mean() - values) / (values.std() + 1e-6)
    dt = interval.t0 - interval.t1

    def loss(value):
        return -(advantage * torch.exp(std * z * (mean(value) - mean(moved)) / std)[:, 0]).sum().item() / dt

    here = leaf.item()
    assert found == pytest.approx((loss(here + 1e-6) - loss(here - 1e-6)) / 2e-6, rel=1e-6)


@pytest.mark.parametrize(("gamma", "ratio"), quick([(0.0025, 1.317), (0.03, 0.939), (0.3, 0.119)], 0))
def test_the_ratio_of_paired_chains(gamma, ratio):
    """The expected values have errors of 0.005, 0.004 and 0.002."""
    value, error = ascent("fdfo[scale=summed]", f"churn[gamma={gamma}]")
    assert abs(value / EXACT - ratio) < 4 * error / EXACT + 0.005 and error < 0.01


def test_paired_chains_by_hand():
    """The loss of the released code on one pair, its gradient at other weights than those that sampled."""
    problem = gradbench.case("mixture", schedule="rectified", t_max=0.95, dim=3, batch=1).problem(
        sampler="flow-sde", steps=3, targets=("condition",)
    )
    method = gradbench.estimator("fdfo[stale=0.1]", draws=1)
    found = method.made(make_block(problem, 0, 1)).wrt[0]
    from gradbench.diffusion.noise import KeyedNoise
    from gradbench.estimators.monte_carlo.base import STREAM
    from gradbench.estimators.monte_carlo.stale import elsewhere

    block = make_block(problem, 0, 1)
    rollout, law, chains = block.rollout, problem.denoiser, []
    index = int(block.random.integers(1 << 31))
    other = KeyedNoise(problem.seed, (1, 3), torch.float64, torch.device("cpu"), (STREAM, index, 1))
    with torch.no_grad(), elsewhere(problem.wrt, 0.1, block.random):
        for noise in (rollout.noise, other):
            x, steps = block.x_T, []
            for k in range(3):
                steps.append((x, rollout.grid[k], law(x, rollout.grid[k]).flow))
                (mean,), std = rollout.rule.transition(rollout.field, (x,), rollout.interval(k))
                x = mean + std * noise(k)
            chains.append((x, steps))
        (a, _), (b, _) = chains
        d, R = (a - b) / 2, (problem.objective(b) - problem.objective(a)) / 2
        dn = d / (d.square().mean() + 1e-6)
    total = torch.zeros(()).double()
    with torch.enable_grad():
        for sign, (_, steps) in zip((1, -1), chains, strict=True):
            for x, t, v_ref in steps:
                inside = -(law(x, t).flow - (v_ref - sign * dn)).square().mean() + dn.square().mean()
                rho = torch.exp(inside)
                total = total + (-sign * R * rho + R.abs() / 0.06 * (rho - 1) ** 2).sum() / 6
    assert relative_error(found, torch.autograd.grad(total, problem.wrt)[0]) < 1e-10


@pytest.mark.parametrize(("eta", "ratio"), [("quadratic", -0.027), ("linear", 0.048), ("constant", 0.254)])
def test_the_ratio_of_value_gradients(eta, ratio):
    problem = flow_oracle(20)
    found = theta(gradbench.estimator(f"vgg-flow[eta={eta}]", draws=1)(problem).grads)
    assert found / theta(problem.sampler_gradient()) == pytest.approx(ratio, abs=6e-4)


def test_a_value_gradient_with_the_networks_jacobian():
    """grad of r(x - t v(x)) in x, by differences of it in every coordinate."""
    problem = gradbench.case("mixture", schedule="rectified", t_max=0.95, dim=2, batch=1).problem(
        sampler="flow-euler", steps=2, targets=("condition",)
    )
    found = gradbench.estimator("vgg-flow[jacobian=true,eta=linear]", draws=1)(problem).grads["condition"]
    law, grid, x, expected = problem.denoiser, problem.rollout.grid, problem.x_T, 0.0
    for k in range(2):
        t = grid[k]

        def value(x, t=t):
            with torch.no_grad():
                return problem.objective(x - t * law(x, t).flow).item()

        basis = 1e-6 * torch.eye(2).double()
        signal = torch.tensor([(value(x + e) - value(x - e)) / 2e-6 for e in basis]).double()
        with torch.enable_grad():
            v = law(x, t).flow
        weight = (grid[k + 1] - t) * (1 - t)
        expected = expected + weight * torch.autograd.grad(v, problem.wrt, signal[None], retain_graph=True)[0]
        x = (x + (grid[k + 1] - t) * v).detach()
    assert relative_error(found, expected) < 1e-7


def test_the_released_steps_are_the_last_and_one_of_five_blocks():
    method = gradbench.estimator("vgg-flow[law=released]")
    import numpy as np

    drawn = [method._chosen(20, np.random.default_rng(seed)) for seed in range(200)]
    assert all(len(one) == 6 and one[-1] == 19 and one[0] >= 1 for one in drawn)
    assert {int(k) for one in drawn for k in one} == set(range(1, 20))


@pytest.mark.parametrize("sampler", ["ddim", "flow-euler", "heun"])
@pytest.mark.parametrize("case", ["gaussian", "mixture"])
def test_ode_adjoint_matching_at_the_base_is_the_exact_gradient(case, sampler):
    problem = gradbench.case(case, schedule="rectified", t_max=0.95).problem(sampler=sampler, steps=6)
    exact = gradbench.estimator("backprop")(problem).grads
    assert exact.disagreement(gradbench.estimator("ode-adjoint-matching")(problem).grads) < 1e-12


@pytest.mark.parametrize("k", [1, 3])
def test_ode_adjoint_matching_of_the_last_steps_is_drafts_gradient(k):
    problem = gradbench.case("mixture", schedule="rectified", t_max=0.95).problem(sampler="flow-euler", steps=6)
    found = gradbench.estimator(f"ode-adjoint-matching[k={k}]")(problem).grads
    assert gradbench.estimator(f"draft[k={k}]")(problem).grads.disagreement(found) < 1e-12


COSTS = [
    ("fdfo", "flow-sde", (16, 16, 16)),
    ("vgg-flow", "flow-euler", (8, 8, 8)),
    ("vgg-flow[jacobian=true]", "flow-euler", (8, 8, 16)),
    ("vgg-flow[law=released]", "flow-euler", (8, 6, 6)),
    ("ode-adjoint-matching", "flow-euler", (8, 16, 16)),
    ("ode-adjoint-matching[k=3]", "flow-euler", (8, 6, 6)),
    ("ddpo[window=3]", "flow-sde", (8, 3, 3)),
    ("ddpo[ratio=guard]", "flow-sde", (8, 8, 8)),
]


@pytest.mark.parametrize(("selector", "sampler", "expected"), COSTS)
def test_evaluations(selector, sampler, expected):
    problem = gradbench.case("gaussian", schedule="rectified", t_max=0.95).problem(sampler=sampler, steps=8)
    draws = {} if selector.startswith("ode") else {"draws": 2}
    estimate = gradbench.estimator(selector, **draws)(problem)
    assert (estimate.nfe_forward, estimate.nfe_backward, estimate.vjps) == expected
