"""Monte Carlo estimators: unbiasedness, seeds, blocks, counts, memory, refusals."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import gradbench
from gradbench.estimators.monte_carlo.base import BLOCKS, layout, make_block
from gradbench.measure.bias import columns
from gradbench.measure.cost import held_tensors, parts, peak_memory
from gradbench.problems.gradients import flatten, relative_error
from gradbench.references.expected import by_draws
from gradbench.references.reference import Reference
from gradbench.samplers.stochastic import StochasticRule
from tests.quick import quick

N = 8
UNBIASED = ("draft[k=8]", "alignprop[law=unbiased]", "reinforce", "reinforce[baseline=none]")
EVERY = (
    *UNBIASED,
    *("draft[k=2]", "draft-lv", "alignprop", "alignprop[law=released-v1]", "refl", "drtune", "shortcut", "ddpo"),
)


def problem_of(sampler="ddim[eta=1]", case="gaussian", **options):
    return gradbench.case(case, dim=4, batch=2).problem(sampler=sampler, steps=N, **options)


def deviations(estimate, expected, spread=None):
    """Bias over its standard error by target, along the expected gradient."""
    found = {}
    for target, gradient in expected.items():
        row = columns(estimate, Reference({target: gradient}, "", 0.0, spread or {}))
        found[target] = abs(row[f"bias_{target}"]) / row[f"std_error_{target}"]
    return found


@pytest.mark.parametrize("selector", UNBIASED)
@pytest.mark.parametrize(
    "sampler", ["ddim[eta=1]", "sde-dpm++1", "sde-dpm++2m", "ddpm[variance=large]", "ddim[eta=0.5]"]
)
def test_unbiased_estimators_hit_the_exact_expectation_within_four_errors(selector, sampler):
    problem = problem_of(sampler)
    estimate = gradbench.estimator(selector, draws=20_000)(problem)
    assert max(deviations(estimate, problem.expected_gradient()).values()) < 4


@pytest.mark.parametrize("case", ["mixture", "product-mixture"])
def test_reinforce_and_the_pathwise_gradient_agree_within_their_errors(case):
    problem = problem_of(case=case)
    pathwise = by_draws(problem, 20_000)
    estimate = gradbench.estimator("reinforce", draws=40_000)(problem)
    assert max(deviations(estimate, pathwise.grads, pathwise.spread).values()) < 4


@pytest.mark.slow
def test_reinforce_and_the_pathwise_gradient_agree_on_digits(digits):
    problem = digits.problem(sampler="ddim[eta=1]", steps=4)
    pathwise = by_draws(problem, 512)
    estimate = gradbench.estimator("reinforce", draws=2048)(problem)
    assert max(deviations(estimate, pathwise.grads, pathwise.spread).values()) < 4


def test_two_seeds_of_a_reference_by_draws_agree():
    first, second = (
        by_draws(problem_of(case="mixture", seed=0, x_T=torch.ones(2, 4).double()), n) for n in (4000, 4200)
    )
    for target in first.grads:
        error = (first.spread[target] ** 2 + second.spread[target] ** 2) ** 0.5
        g = flatten(first.grads[target])
        along = ((flatten(second.grads[target]) - g) @ g / (g @ g)).item()
        assert abs(along) < 5 * error


@pytest.mark.parametrize("selector", EVERY)
def test_the_same_seed_gives_the_same_bits(selector):
    first, second = (gradbench.estimator(selector, draws=256)(problem_of(seed=3)) for _ in range(2))
    assert all(torch.equal(flatten(first.grads[t]), flatten(second.grads[t])) for t in first.grads)


@pytest.mark.parametrize("selector", EVERY)
def test_another_seed_gives_other_bits(selector):
    x_T = torch.ones(2, 4).double()
    case = gradbench.case("gaussian", dim=4, batch=2)
    arrays = {
        "condition": torch.zeros(4).double(),
        "log_std": torch.zeros(4).double(),
        "rotation": torch.eye(4).double(),
    }
    arrays |= {"target": torch.ones(4).double(), "weight": torch.ones(4).double()}
    case = gradbench.case("gaussian", dim=4, batch=2, **arrays)
    first, second = (
        gradbench.estimator(selector, draws=256)(case.problem(sampler="ddim[eta=1]", steps=N, seed=s, x_T=x_T))
        for s in (0, 1)
    )
    assert not torch.equal(flatten(first.grads["parameters"]), flatten(second.grads["parameters"]))


@pytest.mark.parametrize("selector", ["reinforce", "alignprop", "draft[k=2]", "ddpo", "draft-lv"])
def test_a_block_can_be_made_again_alone(selector):
    problem, estimator = problem_of(seed=1), gradbench.estimator(selector, draws=320)
    estimate = estimator(problem)
    count, size = layout(320, problem.x_T.numel())
    answer = estimator.block(make_block(problem, 5, size))
    again = flatten(tuple(g / size for g in answer.wrt))
    once = estimate.batch_means[5]
    assert torch.equal(again, flatten((once["condition"], *once["parameters"])))
    assert len(estimate.batch_means) == count


@pytest.mark.parametrize(
    ("draws", "elements"), [(100_000, 24), (64, 8), (128, 256), (1, 8), (2, 8), (97, 8), (1000, 1 << 20)]
)
def test_draws_are_cut_into_equal_blocks_of_two_and_more(draws, elements):
    count, size = layout(draws, elements)
    assert draws <= count * size < draws + count
    assert size >= 2 or draws == 1
    assert count >= BLOCKS or draws < 2 * BLOCKS


def test_a_round_number_of_draws_is_kept():
    count, size = layout(100_000, 24)
    assert count * size == 100_000


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("draft[k=1]", (N, 1, 1)),
        ("draft[k=5]", (N, 5, 5)),
        ("draft-lv[n=3]", (N, 3, 3)),
        ("reinforce", (N, N, N)),
        ("ddpo", (N, N, N)),
        ("ddpo[stale=0.001]", (N, 2 * N, N)),
    ],
)
def test_evaluations_of_a_draw(selector, expected):
    estimate = gradbench.estimator(selector, draws=64)(problem_of())
    assert (estimate.nfe_forward, estimate.nfe_backward, estimate.vjps) == expected


MEANS = [  # at 20 steps, of the plans: K uniform in 0..20, in 1..20; stops uniform in 15..19 and in 17..19
    ("alignprop", (20, 10, 10)),
    ("alignprop[law=released-v1]", (20, 10, 10)),
    ("alignprop[law=unbiased]", (20, 10.5, 10.5)),
    ("refl", (18, 1, 1)),
    ("refl[window=20]", (10.5, 1, 1)),
    ("drtune", (20, 3, 3)),
    ("drtune[early=3]", (19, 2.875, 2.875)),
    ("shortcut", (20, 1, 1)),
]


@pytest.mark.parametrize(("selector", "expected"), MEANS)
@pytest.mark.parametrize("sampler", ["ddim[eta=1]", "ddim"])
def test_the_cost_of_a_random_truncation_is_the_mean_of_one_trajectory(selector, expected, sampler):
    problem = gradbench.case("gaussian", dim=4, batch=4).problem(sampler=sampler, steps=20)
    for draws in (1, 8):  # whatever the number side by side
        estimate = gradbench.estimator(selector, draws=draws)(problem)
        assert (estimate.nfe_forward, estimate.nfe_backward, estimate.vjps) == expected


@pytest.mark.parametrize("sampler", quick(["rk4", "edict", "reversible-heun", "rex", "belm", "sde-dpm++2m"], 1, 4))
@pytest.mark.parametrize("selector", [selector for selector, _ in MEANS])
def test_mean_costs_are_what_trajectories_take_one_by_one(selector, sampler):
    problem = gradbench.case("gaussian", dim=2, batch=1).problem(sampler=sampler, steps=5)
    estimator, denoiser, seen = gradbench.estimator(selector.replace("20", "5"), draws=2), problem.denoiser, []
    estimate = estimator(problem)
    for index in range(120):
        calls, pulled = denoiser.calls, denoiser.pulled
        estimator.alone(problem, index)
        seen.append((denoiser.calls - calls, denoiser.pulled - pulled))
    told = np.array([estimate.nfe_forward + estimate.nfe_backward, estimate.vjps])
    assert (abs(np.mean(seen, 0) - told) <= 5 * np.std(seen, 0) / 120**0.5 + 1e-9).all()


def test_draft_on_a_deterministic_chain_is_one_gradient():
    problem = problem_of("ddim")
    estimate = gradbench.estimator("draft", k=N)(problem)
    assert estimate.draws is None
    plain = gradbench.estimator("backprop")(problem).grads
    assert all(relative_error(estimate.grads[t], plain[t]) < 1e-13 for t in plain)


@pytest.mark.parametrize("sampler", ["ddim", "dpm++2m", "belm", "ab2", "heun"])
@pytest.mark.parametrize("k", [1, 3, N])
def test_draft_is_backpropagation_of_the_last_steps(sampler, k):
    problem = problem_of(sampler)
    estimate = gradbench.estimator("draft", k=k)(problem)
    with torch.no_grad():
        state = problem.rollout.start(problem.x_T)
        for i in range(N - k):
            state = problem.rollout.step(i, state)
    with torch.enable_grad():
        for i in range(N - k, N):
            state = problem.rollout.step(i, state)
        value = problem.objective(problem.rollout.finish(state)).sum()
    expected = torch.autograd.grad(value, problem.wrt)
    got = (estimate.grads["condition"], *estimate.grads["parameters"])
    assert relative_error(got, tuple(expected)) < 1e-13
    assert ("x_T" in estimate.grads) == (k == N)


def test_drtune_is_its_formula():
    """sum over S of (B_k / alpha_{k+1}) (d eps_k / d theta)^T dL/dx_0, at the clean end of alpha_N times that."""
    problem = problem_of("ddim")
    rollout, s = problem.rollout, problem.denoiser.schedule
    states = [problem.x_T]
    with torch.no_grad():
        for k in range(N):
            states.append(rollout.step(k, (states[-1],))[0])
    x_0 = states[-1].requires_grad_()
    (vector,) = torch.autograd.grad(problem.objective(x_0).sum(), x_0)
    expected = None
    for k in range(N):
        t, u = rollout.grid[k], rollout.grid[k + 1]
        b = s.sigma(u) - s.alpha(u) / s.alpha(t) * s.sigma(t)
        carried = s.alpha(rollout.grid[N]) / s.alpha(u)
        eps = problem.denoiser.field(states[k].detach(), t, (0.0, 1.0))
        grads = torch.autograd.grad(eps, problem.wrt, b * carried * vector)
        expected = grads if expected is None else tuple(a + g for a, g in zip(expected, grads, strict=True))
    found = gradbench.estimator("drtune", k=N, draws=4)(problem).grads
    assert relative_error((found["condition"], *found["parameters"]), expected) < 1e-12


def test_draft_lv_to_alpha_one_is_the_published_formula():
    case = gradbench.case("gaussian", dim=4, batch=2, t_min=0.0)
    problem = case.problem(sampler="ddim", steps=N, targets=("parameters",))
    estimate = gradbench.estimator("draft-lv", n=1, draws=4000)(problem)
    s, t = problem.denoiser.schedule, problem.rollout.grid[N - 1]
    x_0 = problem.rollout.sample(problem.x_T).detach().repeat(4000, 1)
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(tuple(x_0.shape)))
    x = s.alpha(t) * x_0 + s.sigma(t) * noise
    value = problem.objective(problem.denoiser.field(x, t, (1.0, 0.0))).sum() / 4000
    (expected,) = torch.autograd.grad(value, problem.wrt)
    assert relative_error(estimate.grads["parameters"], expected) < 0.05


def test_draft_lv_draws_the_noise_of_its_last_step_afresh():
    problem = gradbench.case("gaussian", dim=4, batch=2).problem(
        sampler="ddim[eta=1]", steps=2, targets=("parameters",)
    )
    draws, random = 40_000, np.random.default_rng(0)
    estimate = gradbench.estimator("draft-lv", n=2, draws=draws)(problem)
    rollout, s = problem.rollout, problem.denoiser.schedule
    t, end = rollout.grid[1:]

    def normal():
        return torch.from_numpy(random.standard_normal((2 * draws, 4)))

    x = problem.x_T.repeat(draws, 1)
    with torch.no_grad():
        for k in range(2):
            (x,) = rollout.rule.step(rollout.field, (x,), replace(rollout.interval(k), noise=normal()))
    ratio = s.alpha(t) / s.alpha(end)
    x = ratio * x + (s.sigma(t) ** 2 - (ratio * s.sigma(end)) ** 2) ** 0.5 * normal()
    (x,) = rollout.rule.step(rollout.field, (x,), replace(rollout.interval(1), noise=normal()))
    (expected,) = torch.autograd.grad(problem.objective(x).sum() / draws, problem.wrt)
    assert relative_error(estimate.grads["parameters"], expected) < 0.02


def test_draft_lv_gives_every_copy_its_own_noises(monkeypatch):
    seen, step = [], StochasticRule.step
    monkeypatch.setattr(StochasticRule, "step", lambda *a: seen.append(a[3].noise.flatten()) or step(*a))
    for _ in range(2):  # and the same ones when it is called again
        gradbench.estimator("draft-lv", n=3, draws=512)(problem_of())
    (first, second) = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    noises = torch.stack(first)
    off = torch.corrcoef(noises) - torch.eye(len(noises))
    assert off.abs().max() < 6 / noises.shape[1] ** 0.5


def test_memory_of_draft_grows_with_k_only(digits):
    def peak(k, steps):
        problem = digits.problem(sampler="ddim", steps=steps)
        method = gradbench.estimator("draft", k=k)
        return peak_memory(lambda: method(problem), held_tensors(problem), torch.device("cpu")).peak

    state, _ = parts(digits.problem(steps=2))
    assert abs(peak(2, 12) - peak(2, 5)) <= 2 * state
    assert 0 < peak(5, 12) - peak(2, 12) <= 4 * state


@pytest.mark.parametrize("selector", ["reinforce", "ddpo"])
def test_score_functions_hold_one_steps_tape(digits, selector):
    def peak(steps):
        problem = digits.problem(sampler="ddim[eta=1]", steps=steps)
        method = gradbench.estimator(selector, draws=2)
        return peak_memory(lambda: method(problem), held_tensors(problem), torch.device("cpu")).peak

    state, _ = parts(digits.problem(sampler="ddim[eta=1]", steps=2))
    assert peak(10) - peak(4) <= 2 * 2 * 10 * state


def test_gradients_of_a_sample_by_draft_are_those_of_the_estimator():
    problem = problem_of("ddim")
    x_0 = gradbench.sample(
        problem.denoiser,
        problem.x_T,
        sampler="ddim[grid=uniform-t]",
        steps=N,
        gradient="draft[k=3]",
        wrt=problem.leaves,
    )
    got = torch.autograd.grad(problem.objective(x_0).sum(), problem.leaves)
    estimate = gradbench.estimator("draft", k=3)(problem).grads
    assert relative_error(got, (estimate["condition"], *estimate["parameters"])) < 1e-13


@pytest.mark.parametrize(
    ("selector", "sampler", "reason"),
    [
        ("reinforce", "ddim", "deterministic sampler has no transition density"),
        ("ddpo", "rk4", "deterministic sampler has no transition density"),
        ("reinforce", "rex[chart=log-snr-sde]", "no density"),
        ("draft[k=9]", "ddim", "k must be <= the sampler's 8 steps, got 9"),
        ("drtune[k=9]", "ddim", "k must be <="),
        ("refl[window=20]", "ddim", "window must be <="),
        ("alignprop[law=released-v2]", "ddim", "assumes 50 steps"),
    ],
)
def test_refusals_have_a_reason(selector, sampler, reason):
    with pytest.raises(ValueError, match=reason):
        gradbench.estimator(selector)(problem_of(sampler))


@pytest.mark.parametrize(
    "selector",
    [
        "draft[k=0]",
        "reinforce[baseline=best]",
        "reinforce[baseline=loo,draws=1]",
        "ddpo[clip=0]",
        "alignprop[law=v3]",
        "draft-lv[n=0]",
    ],
)
def test_options_that_cannot_be_are_refused(selector):
    with pytest.raises(ValueError, match="must|unknown|needs"):
        gradbench.estimator(selector)


@pytest.mark.parametrize("law", ["paper", "released-v1", "released-v2", "unbiased"])
def test_every_truncation_law_of_alignprop_is_another(law):
    """At 50 steps, by the mean number of active steps."""
    plan = gradbench.estimator("alignprop", law=law).plans.draw(
        SimpleNamespace(steps=50), 20_000, np.random.default_rng(0)
    )
    active = plan.active.sum(0)
    mean, spread = {
        "paper": (25.0, 14.7),
        "released-v1": (25.0, 2.9),
        "released-v2": (9.1, 4.5),
        "unbiased": (25.5, 14.4),
    }[law]
    assert active.mean() == pytest.approx(mean, abs=0.4) and active.std() == pytest.approx(spread, abs=0.3)
