"""Losses on the forward process: exact expectations, the memoryless gradient, identities, staleness, costs."""

import numpy as np
import pytest
import torch

import gradbench
from gradbench.estimators.monte_carlo.base import make_block
from gradbench.estimators.monte_carlo.stale import elsewhere
from gradbench.problems.gradients import flatten, relative_error
from gradbench.references.forward_process import expectation, rule_of_degree_five
from gradbench.references.memoryless import memoryless_gradient
from studies.oracle import flow_oracle

SUMMED = "scale=summed,law=uniform"


def theta(grads):
    return grads["parameters"][0].item()


# the ascent gradient per sample of data of variance 0.3 at uniform times, in closed form
WEIGHTS = [("uniform", 0.1113), ("t", 0.0666), ("t2", 0.0401), ("memoryless", -0.0275)]


@pytest.mark.parametrize(("weight", "expected"), WEIGHTS)
def test_the_expected_gradient_of_a_weight(weight, expected):
    """The chain is fine, so that its samples have the variance of the data."""
    problem = flow_oracle(400, "heun[chart=time]")
    found = theta(expectation(problem, gradbench.estimator(f"awm[weight={weight},{SUMMED}]")))
    assert -found / 2 == pytest.approx(expected, abs=6e-5)


def test_ram_at_the_base_is_the_unweighted_loss():
    problem = flow_oracle(40, "heun[chart=time]")
    one, other = (
        theta(expectation(problem, gradbench.estimator(f"{s},{SUMMED}]")))
        for s in ("awm[weight=uniform", "ram[times=4")
    )
    assert one == pytest.approx(other, rel=1e-12)


def problem_of(schedule="trigonometric", sampler="heun[chart=angle]", steps=20, **options):
    return gradbench.case("gaussian", objective="quadratic", schedule=schedule, dim=2, batch=2, **options).problem(
        sampler=sampler, steps=steps
    )


@pytest.mark.parametrize("schedule", ["trigonometric", "cosine"])
def test_the_memoryless_weight_gives_the_gradient_of_the_reverse_sde(schedule):
    """From pure noise, on samples of a fine chain, for which v is exact; whatever sampler made them."""
    problem = problem_of(schedule, steps=400)
    found = expectation(problem, gradbench.estimator(f"awm[weight=memoryless,{SUMMED}]"))
    assert memoryless_gradient(problem).disagreement(found) < 5e-4


def test_the_memoryless_gradient_by_differences():
    problem = problem_of()
    exact, law = memoryless_gradient(problem), problem.denoiser

    def value():
        with torch.no_grad():
            grid = problem.rollout.grid
            mean, own = law.reverse_sde(torch.zeros(1, 2).double(), grid[0], grid[-1])
            basis, _ = law.reverse_sde(law.schedule.sigma(grid[0]) * torch.eye(2).double(), grid[0], grid[-1])
            gain = basis - mean
            return 2 * problem.objective.expectation(mean, (own + gain.T @ gain).diagonal()).item()

    for target, leaf in (("condition", law.condition), ("parameters", law.log_std)):
        for i in range(2):
            ends = []
            for h in (1e-5, -2e-5):
                with torch.no_grad():
                    leaf[i] += h
                ends.append(value())
            with torch.no_grad():
                leaf[i] += 1e-5
            assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(exact.flat(target)[i].item(), rel=1e-6)


@pytest.mark.parametrize("selector", ["awm[weight=uniform", "awm[weight=t2", "ram[times=4", "awm[weight=t,times=2"])
@pytest.mark.parametrize("law", ["grid", "stratified", "uniform"])
def test_draws_have_the_exact_expectation(selector, law):
    problem = problem_of(steps=6)
    method = gradbench.estimator(f"{selector},scale=summed,law={law}]", draws=40_000)
    estimate, exact = method(problem), expectation(problem, method)
    for target in exact:
        off = (estimate.grads.flat(target) - exact.flat(target)).abs()
        assert (off < 5 * flatten(estimate.std_error[target])).all()


def test_two_seeds_of_a_weight_without_closed_form_agree():
    problem, found = problem_of(steps=6), []
    for problem.seed in (0, 1):
        estimate = gradbench.estimator("nft[scale=summed]", draws=20_000)(problem)
        found.append((estimate.grads.flat("condition"), flatten(estimate.std_error["condition"])))
    (one, first), (other, second) = found
    assert ((one - other).abs() < 5 * (first**2 + second**2).sqrt()).all()


def test_in_one_dimension_nft_is_twice_advantage_weighted_matching():
    problem = flow_oracle(8)
    nft, awm = (
        gradbench.estimator(f"{s},{SUMMED},times=4]", draws=64)(problem) for s in ("nft[beta=1", "awm[weight=huber")
    )
    assert theta(nft.grads) == pytest.approx(2 * theta(awm.grads), rel=1e-6)


def test_in_more_dimensions_the_factor_is_that_of_two_norms():
    """2 rms(v - u)/mean|v - u| for every sample: between 2 and 2 sqrt D."""
    problem = problem_of(steps=6)
    nft, awm = (
        gradbench.estimator(f"{s},{SUMMED},times=1]", draws=2)(problem) for s in ("nft[beta=1", "awm[weight=huber")
    )
    assert 2 < nft.grads.norm("condition") / awm.grads.norm("condition") < 2 * 2**0.5


@pytest.mark.parametrize("scale", ["summed", "released"])
def test_on_the_policy_the_gradient_of_nft_does_not_depend_on_beta(scale):
    one, other = (gradbench.estimator(f"nft[beta={b},scale={scale}]", draws=32)(flow_oracle(8)).grads for b in (1, 0.1))
    assert one.disagreement(other) < 1e-9


def test_released_rewards_are_normalised_clipped_and_divided():
    """AWM divides the clipped advantage by its limit, NFT's share does too and its loss multiplies by it again."""
    problem = flow_oracle(8)
    nft, awm = (
        gradbench.estimator(f"{s},law=uniform,times=4]", draws=64)(problem) for s in ("nft[beta=1", "awm[weight=huber")
    )
    assert theta(nft.grads) == pytest.approx(2 * 5 * theta(awm.grads), rel=1e-6)


def by_hand(name, v, old, u, x, x_0, t, A):
    """The losses as the papers write them, for one sample of rectified flow, summed over entries and unnormalised."""
    if name == "ram":
        return (v - (old + A * (u - v)).detach()).square().sum()
    size = v.numel()
    if name == "awm":
        new, before = ((w - u).square().mean() for w in (v, old))
        ratio = torch.exp(before - new)
        return -torch.minimum(A * ratio, A * ratio.clamp(0, 2)) * size
    c, total = 5.0, 0.0
    for rr, w in ((A / (2 * c) + 0.5, v), (0.5 - A / (2 * c), 2 * old - v)):
        off = x - t * w - x_0
        total = total + rr * off.square().mean() / off.abs().mean().detach().clamp(min=1e-5)
    return c * total * size


@pytest.mark.parametrize("name", ["nft", "awm", "ram"])
def test_away_from_the_base_the_loss_is_the_published_one(name):
    """The samples, and v_old, are those of other weights; the gradient is taken at the current ones."""
    problem = gradbench.case("mixture", schedule="rectified", dim=3, batch=1).problem(
        sampler="flow-euler", steps=4, targets=("condition",)
    )
    own = {"nft": "beta=1", "awm": "weight=uniform", "ram": "strength=1"}[name]
    method = gradbench.estimator(f"{name}[{own},scale=summed,law=grid,times=1,stale=0.3]", draws=2)
    found = method.made(make_block(problem, 0, 2)).wrt[0]

    block = make_block(problem, 0, 2)
    random, denoiser, grid = block.random, problem.denoiser, problem.rollout.grid
    again = np.random.default_rng()
    again.bit_generator.state = random.bit_generator.state
    with torch.no_grad(), elsewhere(problem.wrt, 0.3, random):
        start = torch.from_numpy(random.standard_normal((2, 3)))
        x_0 = problem.rollout.sample(denoiser.schedule.sigma(grid[0]) * start)
        r = -problem.objective(x_0)
    t = grid[random.permutation(4)[0]]
    x = (1 - t) * x_0 + t * (e := torch.from_numpy(random.standard_normal((2, 3))))
    with torch.no_grad(), elsewhere(problem.wrt, 0.3, again):
        old = denoiser(x, t).flow
    A = 2 * (r - r.mean())
    with torch.enable_grad():
        v = denoiser(x, t).flow
        total = sum(by_hand(name, v[i], old[i], (e - x_0)[i], x[i], x_0[i], t, A[i]) for i in range(2))
    assert relative_error(found, torch.autograd.grad(total, problem.wrt)[0]) < 1e-12
    assert problem.wrt[0].equal(
        gradbench.case("mixture", schedule="rectified", dim=3, batch=1).problem(steps=4).condition
    )


def test_the_abstracts_closed_form_adjoint_is_the_memoryless_gradient_for_data_of_its_variance():
    problem = flow_oracle(100, "heun[chart=time]")
    estimate = gradbench.estimator("eam[c=0.3]", draws=20_000)(problem)
    error = estimate.std_error["parameters"][0].item() / 2
    assert abs(-theta(estimate.grads) / 2 + 0.0275) < 4 * error < 0.02


@pytest.mark.parametrize("n", [2, 3, 6])
def test_the_rule_of_degree_five_has_the_normal_moments(n):
    weights, points = rule_of_degree_five(n)
    moments = {(): 1, (0, 0): 1, (0, 1): 0, (0, 0, 0, 0): 3, (0, 0, 1, 1): 1, (0, 0, 0, 1): 0, (0, 0, 1): 0}
    for entries, expected in moments.items():
        product = torch.ones(len(points)).double()
        for i in entries:
            product = product * points[:, i]
        assert (weights @ product).item() == pytest.approx(expected, abs=1e-12)


COSTS = [
    ("nft", "ddim", (8, 8, 8)),
    ("nft[times=3]", "heun", (16, 3, 3)),
    ("awm", "ddim[eta=1]", (8, 6, 6)),
    ("ram", "ddim", (8, 16, 16)),
    ("nft[times=3,stale=0.1]", "ddim", (8, 6, 3)),
    ("eam", "ddim", (8, 16, 16)),
]


@pytest.mark.parametrize(("selector", "sampler", "expected"), COSTS)
def test_evaluations(selector, sampler, expected):
    """Per draw: the chain, then one taped evaluation a time, and one more of the old weights where they are others."""
    estimate = gradbench.estimator(selector, draws=2)(gradbench.case("gaussian").problem(sampler=sampler, steps=8))
    assert (estimate.nfe_forward, estimate.nfe_backward, estimate.vjps) == expected


def test_x_T_is_not_reached():
    assert list(gradbench.estimator("nft", draws=2)(problem_of(steps=4)).grads) == ["condition", "parameters"]


@pytest.mark.parametrize("selector", ["awm[weight=ghuber,scale=summed]", "nft[scale=summed]", "awm[weight=t]"])
def test_no_exact_expectation_where_the_loss_is_no_polynomial(selector):
    with pytest.raises(ValueError, match="polynomial loss"):
        expectation(problem_of(steps=4), gradbench.estimator(selector))


@pytest.mark.parametrize("selector", ["awm[weight=cubic]", "nft[beta=0]", "ram[law=shifted]", "awm[times=0]"])
def test_a_wrong_option_is_refused(selector):
    with pytest.raises(ValueError, match="unknown|must"):
        gradbench.estimator(selector)
