"""LeapAlign and FlowBP: the ratios of the scalar oracles, the special cases that make them another method, costs."""

import numpy as np
import pytest
import torch

import gradbench
from gradbench.estimators.pathwise.cubature import expectation
from gradbench.estimators.pathwise.direct_align import recovered
from gradbench.estimators.pathwise.drawn_steps import all_sets, drawn_sets
from gradbench.estimators.pathwise.leaping import DirichletPairs, nodes_of, quadrature
from gradbench.problems.gradients import relative_error
from studies.oracle import flow_oracle, normal_quantiles, oracle
from tests.quick import quick

# estimate / exact on rectified flow, in expectation over a method's own law: (selector, steps, ratio)
RATIOS = [
    ("draft[k=1]", 20, -0.059),
    ("draft[k=5]", 20, -0.141),
    ("draft[k=10]", 20, 0.149),
    ("drtune[k=25,detach=v]", 25, 1.378),
    *((f"leapalign[a={a},weight=none]", 20, r) for a, r in ((0, 1.333), (0.1, 1.318), (0.3, 1.289), (1, 1.185))),
    *((f"leapalign[a={a},weight=none]", 25, r) for a, r in ((0, 1.335), (0.1, 1.321), (0.3, 1.292), (1, 1.191))),
    ("flowbp[preset=flux1]", 25, 0.264),
    ("flowbp[preset=sd3.5]", 25, 0.412),
    ("flowbp[preset=flux2]", 25, 0.046),
    ("flowbp[k=3,b=0,g=1]", 25, 1.378),
    ("flowbp[variant=bridge,preset=flux1]", 25, 0.943),
    ("flowbp[variant=bridge,preset=sd3.5]", 25, 0.145),
    ("flowbp[variant=bridge,preset=flux2]", 25, 0.425),
    ("flowbp[variant=bridge,a=0]", 25, 0.951),
    ("flowbp[variant=bridge,a=1]", 25, 0.875),
]
# the same by draws, whose law of leaps has no closed form
DRAWN = [
    ("flowbp[variant=lagrange,weight=none]", 0.499),
    ("flowbp[variant=lagrange,weight=none,g=0]", 0.437),
    ("flowbp[variant=lagrange,weight=none,g=0,c=1,a=1]", 0.925),
    ("flowbp[variant=lagrange,weight=none,q=1,c=1]", 1.708),
    ("flowbp[variant=lagrange]", 1.248),
]


def theta(grads):
    return grads["parameters"][0].item()


def ratio(selector, problem):
    return theta(expectation(problem, gradbench.estimator(selector))) / theta(problem.sampler_gradient())


@pytest.mark.parametrize(("selector", "steps", "expected"), RATIOS)
def test_the_expected_ratio_on_rectified_flow(selector, steps, expected):
    assert ratio(selector, flow_oracle(steps)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("a", "expected"), [(0, 11.89), (0.1, 11.06), (0.3, 9.41), (1, 3.63)])
def test_the_expected_ratio_of_leaps_by_ddim_with_eps_detached(a, expected):
    assert ratio(f"leapalign[a={a},weight=none,detach=eps]", oracle(0)) == pytest.approx(expected, abs=6e-3)


@pytest.mark.parametrize(("a", "expected"), quick([(0, 2.998), (0.3, 2.901), (1, 2.676)], 1))
def test_the_expected_ratio_of_leapalign_weighted_by_similarity(a, expected):
    assert ratio(f"leapalign[a={a}]", flow_oracle(20, x_T=normal_quantiles(4000))) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("selector", "expected"), quick(DRAWN, 4))
def test_the_ratio_of_quadratures_by_draws(selector, expected):
    """The expected values come from an independent simulation, with an error of 0.2%; two seeds agree within theirs."""
    problem = flow_oracle(25)
    found = []
    for problem.seed in (0, 1):
        estimate = gradbench.estimator(selector, draws=20_000)(problem)
        found.append((theta(estimate.grads), estimate.std_error["parameters"][0].item()))
    (one, first), (other, second) = found
    assert abs(one - other) < 4 * (first**2 + second**2) ** 0.5
    assert (one + other) / 2 / theta(problem.sampler_gradient()) == pytest.approx(expected, rel=6e-3)


@pytest.mark.parametrize(
    ("selector", "branch", "expected"),
    [
        ("srpo[law=chain]", "denoise", 4.288),
        ("srpo[law=chain,weight=alpha]", "denoise", 1.189),
        ("srpo", "denoise", 0.1356 / 0.3622),
        ("srpo", "inversion", -0.210 / 0.3622),
    ],
)
def test_the_expected_ratio_of_a_branch_of_direct_align(selector, branch, expected):
    problem, method = flow_oracle(20), gradbench.estimator(selector)
    x_0, found = problem.rollout.sample(problem.x_T).detach(), []
    for step in method.steps(problem.rollout, branch):
        with torch.enable_grad():
            total = problem.objective(recovered(problem.rollout, x_0, problem.x_T, step)).sum()
        found.append(step.weight * torch.autograd.grad(total, problem.wrt)[0].item())
    assert np.mean(found) / theta(problem.sampler_gradient()) == pytest.approx(expected, abs=1e-3)


def test_direct_align_is_the_first_branch_less_the_second():
    problem = flow_oracle(20)
    estimate = gradbench.estimator("srpo", draws=2_000)(problem)
    exact, error = theta(problem.sampler_gradient()), estimate.std_error["parameters"][0].item()
    assert abs(theta(estimate.grads) / exact - (0.1356 + 0.210) / 0.3622) < 4 * error / abs(exact) < 0.2


@pytest.mark.parametrize("case", ["gaussian", "mixture"])
@pytest.mark.parametrize(("schedule", "sampler", "detach"), [
    ("rectified", "flow-euler[grid=uniform-t]", "v"),
    ("rectified", "flow-euler", "eps"),
    ("scaled-linear", "ddim", "eps"),
    ("scaled-linear", "ddim", "v"),
])  # fmt: skip
def test_leaps_over_two_whole_steps_are_the_exact_gradient(case, schedule, sampler, detach):
    problem = gradbench.case(case, schedule=schedule, t_max=0.98).problem(sampler=sampler, steps=2)
    exact = gradbench.estimator("backprop")(problem).grads
    for selector in ("leapalign", "flowbp[variant=lagrange,law=pairs]"):
        found = gradbench.estimator(f"{selector}", a=1.0, weight=None, detach=detach, draws=2)(problem).grads
        assert {t: relative_error(found[t], g) for t, g in exact.items()} == pytest.approx(
            dict.fromkeys(exact, 0), abs=1e-12
        )


def random_law(sampler="flow-euler", steps=8, **options):
    return gradbench.case("mixture", schedule="rectified", dim=3, batch=2, **options).problem(
        sampler=sampler, steps=steps, seed=3, targets=("condition", "parameters")
    )


def test_every_step_of_the_sparse_surrogate_is_drtune_over_all_steps():
    problem = random_law()
    sparse = gradbench.estimator("flowbp[k=8,g=0]", draws=2)(problem).grads
    every = gradbench.estimator("drtune[k=8,detach=v]", draws=2)(problem).grads
    assert every.disagreement(sparse) < 1e-12


def test_a_quadrature_with_one_node_is_leapalign():
    problem, options = random_law(), {"draws": 64, "law": "pairs", "a": 0.3, "tau": 0.1}
    lagrange = gradbench.estimator("flowbp[variant=lagrange,q=1,g=0,mode=start]", **options)(problem).grads
    assert gradbench.estimator("leapalign", **options)(problem).grads.disagreement(lagrange) < 1e-12


def test_without_an_active_input_the_bridge_of_all_steps_is_the_sparse_surrogate():
    problem = random_law()
    bridge = gradbench.estimator("flowbp[variant=bridge,k=8,g=0,a=0]", draws=2)(problem).grads
    assert gradbench.estimator("drtune[k=8,detach=v]", draws=2)(problem).grads.disagreement(bridge) < 1e-12


def test_a_surrogate_by_hand():
    """LeapAlign on a scalar network: the gradient of the two leaps written out, with both ends put on the chain."""
    problem = random_law(steps=5)
    k, j, a, tau = 1, 3, 0.3, 0.1
    estimator = gradbench.estimator("leapalign", a=a, tau=tau)
    rollout, grid = problem.rollout, problem.rollout.grid
    states = [problem.x_T]
    for i in range(5):
        states.append(rollout.step(i, (states[-1],))[0].detach())

    def v(x, t):
        return problem.denoiser(x, t).flow

    def connected(leap, state):
        return leap + (state - leap).detach()

    with torch.enable_grad():
        first = states[k] + (grid[j] - grid[k]) * v(states[k], grid[k])
        x_j = connected(first, states[j])
        last = x_j + (grid[5] - grid[j]) * v(a * x_j + (1 - a) * x_j.detach(), grid[j])
        distances = [(x - y).abs().mean(1) for x, y in ((first, states[j]), (last, states[5]))]
        weight = 1 / sum(d.clamp(min=tau) for d in distances).detach()
        value = (weight * problem.objective(connected(last, states[5]))).sum()
    by_hand = torch.autograd.grad(value, problem.wrt)
    plan = estimator.plans.build(rollout, np.array([k, k]), np.array([j, j]))
    from gradbench.estimators.pathwise.truncated import truncate

    with torch.enable_grad():
        found = torch.autograd.grad(
            problem.objective(truncate(rollout, plan, problem.x_T, problem.wrt)).sum(), problem.wrt
        )
    assert all(relative_error(one, other) < 1e-12 for one, other in zip(found, by_hand, strict=True))


# (nfe_forward, nfe_backward, vjps) on 8 steps of 1 evaluation
COSTS = [
    ("leapalign", (8, 2, 2)),
    ("flowbp", (8, 3, 3)),
    ("flowbp[k=5]", (8, 5, 5)),
    # j alone is drawn after it in a share 7/28 of the draws with j = 7, and k = 1 before it with j = 1
    ("flowbp[variant=bridge,k=2]", (8, 2, 2)),
    ("flowbp[variant=lagrange,law=pairs,mode=start]", (8, 2, 2)),
    ("srpo", (8, 2, 2)),
    ("srpo[branch=denoise]", (8, 1, 1)),
]


@pytest.mark.parametrize(("selector", "expected"), COSTS)
def test_the_evaluations_of_a_surrogate(selector, expected):
    estimate = gradbench.estimator(selector, draws=4)(random_law())
    assert (estimate.nfe_forward, estimate.nfe_backward, estimate.vjps) == expected


@pytest.mark.parametrize("selector", ["leapalign", "flowbp[variant=lagrange]", "srpo[branch=denoise]"])
def test_x_T_is_not_reached_by_leaps_from_states_drawn_at_random(selector):
    x_T = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match="never reaches x_T"):
        gradbench.sample(random_law().denoiser, x_T, steps=8, gradient=selector, allow_unused=True)


def test_a_leap_from_noise_has_the_gradient_of_x_T():
    """(A + B dO/dx)^T of both leaps, the first from x_T: the mean over the seven places of the second."""
    problem = gradbench.case("gaussian", schedule="rectified", dim=2, batch=1, t_max=0.9).problem(
        sampler="flow-euler", steps=8, targets=("x_T",)
    )
    found = expectation(problem, gradbench.estimator("leapalign[law=from-noise,a=1,weight=none]"))["x_T"]
    grid, law = problem.rollout.grid, problem.denoiser
    states = [problem.x_T]
    for i in range(8):
        states.append(problem.rollout.step(i, (states[-1],))[0])
    end = states[-1].detach().requires_grad_()
    (cotangent,) = torch.autograd.grad(problem.objective(end).sum(), end)

    def back(k, until, a):
        jacobian = torch.autograd.functional.jacobian(lambda x: law(x[None], grid[k]).flow[0], states[k][0])
        return a @ (torch.eye(2).double() + (grid[until] - grid[k]) * jacobian)

    by_hand = sum(back(0, j, back(j, 8, cotangent)) for j in range(1, 8)) / 7
    assert relative_error(found, by_hand) < 1e-12


@pytest.mark.parametrize("places", [[0.3], [0.0, 0.2], [0.0, 0.5, 0.7], [0.1, 0.2, 0.3, 0.9]])
def test_a_quadrature_is_exact_for_polynomials_of_a_degree_below_its_nodes(places):
    nodes = np.array(places)
    weights = quadrature(nodes, 0.1, 1.4)
    for degree in range(len(nodes)):
        exact = (1.4 ** (degree + 1) - 0.1 ** (degree + 1)) / (degree + 1) / 1.3
        assert weights @ nodes**degree == pytest.approx(exact)


@pytest.mark.parametrize(
    ("start", "end", "order", "expected"),
    [(3, 5, 3, [3, 4]), (0, 25, 3, [0, 12, 24]), (2, 9, 3, [2, 5, 8]), (0, 6, 1, [0]), (0, 6, 4, [0, 2, 3, 5])],
)
def test_nodes_are_spread_from_the_first_to_the_last(start, end, order, expected):
    assert nodes_of(start, end, order).tolist() == expected


def test_the_released_law_of_leaps_has_a_long_first_and_a_late_second():
    k, j = DirichletPairs().draw(25, 200_000, np.random.default_rng(0))
    assert (k.mean(), j.mean()) == pytest.approx((3.77, 18.05), abs=0.05)
    assert k.min() == 0 and (j > k).all() and j.max() == 23
    late = DirichletPairs(latest=10).draw(25, 1000, np.random.default_rng(0))
    assert late[1].min() == 15 and late[0].min() >= 0


@pytest.mark.parametrize(("size", "count", "b"), quick([(5, 2, 0.0), (6, 3, 2.0), (4, 4, 1.0), (7, 1, 4.0)], 1))
def test_sets_are_drawn_with_the_probabilities_that_are_listed(size, count, b):
    weights = (np.arange(size) + 1.0) ** b
    chances, sets = all_sets(weights, count)
    assert chances.sum() == pytest.approx(1)
    drawn = drawn_sets(weights, count, 100_000, np.random.default_rng(1))
    shares = sets.astype(int) * 2 ** np.arange(size)[:, None]
    found = (drawn.astype(int) * 2 ** np.arange(size)[:, None]).sum(0)
    seen = np.array([(found == one).mean() for one in shares.sum(0)])
    assert np.abs(seen - chances).max() < 0.01


SAMPLED = ["leapalign", "flowbp", "flowbp[variant=bridge]", "flowbp[variant=lagrange]", "srpo[branch=denoise]"]


@pytest.mark.parametrize("gradient", quick([*SAMPLED, "srpo[branch=inversion]"], 0, 2))
def test_a_surrogate_is_the_gradient_of_a_sample_of_a_network(gradient):
    """As LoRA fine-tuning uses it: the mean of many calls is the estimator's mean."""
    problem = random_law(steps=6)
    method = gradbench.estimator(gradient, draws=1024)(problem)
    sign, ends = -1 if "inversion" in gradient else 1, {"t_max": problem.t_max, "t_min": problem.t_min}
    torch.manual_seed(0)
    found = []
    for _ in range(48):
        x_T = problem.x_T.repeat(32, 1)
        x = gradbench.sample(
            problem.denoiser, x_T, sampler="flow-euler", steps=6, gradient=gradient, wrt=problem.wrt, **ends
        )
        (g,) = torch.autograd.grad(sign * problem.objective(x).sum() / 32, problem.wrt[:1])
        found.append(g)
    mean, error = torch.stack(found).mean(0), torch.stack(found).std(0) / 48**0.5
    spread = (error**2 + method.std_error["condition"] ** 2).sqrt()
    assert ((mean - method.grads["condition"]).abs() < 5 * spread).all()


def test_direct_align_with_two_rewards_is_no_sample():
    law = random_law().denoiser.requires_grad_(False)
    with pytest.raises(ValueError, match="srpo has two rewards"):
        gradbench.sample(law, torch.zeros(1, 3).double(), steps=8, gradient="srpo")


WRONG = {
    "leapalign[preset=sd]": "unknown preset 'sd'",
    "leapalign[a=2]": "a must lie in [0, 1], got 2",
    "leapalign[law=all]": "unknown law 'all'",
    "leapalign[detach=x0]": "unknown detach 'x0'",
    "flowbp[q=2]": "q is no option of variant=sparse, got 2; it has k, b, g",
    "flowbp[variant=dense]": "unknown variant 'dense'",
    "flowbp[k=0]": "k must be an integer >= 1, got 0",
    "draft[detach=flow]": "unknown detach 'flow'",
    "srpo[branch=none]": "unknown branch None",
    "srpo[weight=alpha]": "weight is an option of law=chain",
}


@pytest.mark.parametrize("selector", WRONG)
def test_a_wrong_option_is_one_line(selector):
    with pytest.raises(ValueError) as error:
        gradbench.estimator(selector)
    assert WRONG[selector] in str(error.value) and "\n" not in str(error.value)


REFUSED = [
    ("leapalign", "reversible-heun", 8, "two copies"),
    ("leapalign", "ddim", 1, "at least 2 steps, got 1"),
    ("flowbp[k=9]", "ddim", 8, "k + start must be <= the sampler's 8 steps"),
    ("flowbp[variant=lagrange]", "ddim", 2, "at least 3 steps, got 2"),
]


@pytest.mark.parametrize(("selector", "sampler", "steps", "reason"), REFUSED)
def test_what_a_surrogate_refuses(selector, sampler, steps, reason):
    problem = gradbench.case("gaussian").problem(sampler=sampler, steps=steps)
    assert reason in gradbench.estimator(selector).supports(problem.traits)


@pytest.mark.parametrize("branch", ["both", "inversion"])
def test_direct_align_takes_no_step_of_the_chain_up_to_pure_noise(branch):
    reason = gradbench.estimator(f"srpo[law=chain,branch={branch}]").supports(flow_oracle(20).traits)
    assert reason is not None and "leaves nothing of the sample" in reason
    assert gradbench.estimator(f"srpo[branch={branch}]").supports(flow_oracle(20).traits) is None
