"""Gradients to every step: noises, controls and states, from one sweep; closed forms and published numbers."""

import numpy as np
import pytest
import torch

import gradbench
from gradbench.problems.gradients import relative_error
from studies.oracle import flow_oracle, oracle
from tests.quick import quick

EVERY = (
    *("x_T", "condition", "parameters", "noises"),
    *("controls[velocity]", "controls[state]", "controls[eps]", "x_t[0]", "x_t[3]", "x_t[4]"),
)
SAMPLERS = (
    *("ddim", "ddim[eta=1]", "heun", "rk4[chart=angle]", "ab2", "dpm++2m", "sde-dpm++2m", "euler-maruyama", "cps"),
    *("belm", "bdia", "edict", "reversible-heun", "rex", "rex[chart=log-snr-sde]"),
)


def problem_of(sampler, steps=4, targets=EVERY, case="mixture", **options):
    given = gradbench.case(case, dim=3, batch=2, **options)
    noisy = given.problem(sampler=sampler, steps=steps).rollout.noise is not None
    return given.problem(sampler=sampler, steps=steps, targets=[name for name in targets if name != "noises" or noisy])


def worst(found, exact):
    assert list(found) == list(exact)
    return max(relative_error(found[target], exact[target]) for target in exact)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("estimator", ["checkpoint", "revolve[snapshots=2]", "reversible"])
def test_every_exact_estimator_gives_what_backprop_gives(sampler, estimator):
    problem, method = problem_of(sampler), gradbench.estimator(estimator)
    if method.supports(problem.traits):
        pytest.skip("no inverse")
    assert worst(method(problem).grads, gradbench.estimator("backprop")(problem).grads) < 1e-12


@pytest.mark.parametrize(
    "target", ["noises", "controls[velocity]", "controls[state]", "controls[eps]", "x_t[2]", "x_t[4]"]
)
@pytest.mark.parametrize("sampler", ["ddim[eta=1]", "heun", "sde-dpm++2m", "belm"])
def test_gradients_of_steps_by_differences(sampler, target):
    """Central differences of L in every row, along a random direction."""
    problem = problem_of(sampler, targets=("x_T", target))
    if target not in problem.targets:
        pytest.skip("no noise is drawn")
    found = gradbench.estimator("checkpoint")(problem).grads[target]
    rows, generator = problem.step_leaves.rows(target), torch.Generator().manual_seed(0)
    for k, row in enumerate(rows):
        along, ends = torch.randn(row.shape, generator=generator, dtype=torch.float64), []
        for h in (1e-6, -1e-6):
            with torch.no_grad():
                row.add_(along, alpha=h)
                ends.append(problem.objective(problem.rollout.sample(problem.x_T)).sum().item())
                row.add_(along, alpha=-h)
        own = found if target.startswith("x_t") else found[k]
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx((own * along).sum().item(), rel=1e-5, abs=1e-8)


def linear_chain(base, **options):
    """The scalar chain x_{k+1} = J_k x_k (+ s_k z_k), lambda_k = lambda_N G_k, with what it says of itself."""
    problem = gradbench.Problem(
        base.denoiser, base.sampler, 20, 1.0, 0.0, base.x_T, base.objective, options["targets"], None, base.parameters
    )
    rollout, one = base.rollout, torch.ones(1, 1).double()
    silent = [rollout.interval(k) for k in range(20)]
    rule = rollout.rule

    def step(x, k):
        from dataclasses import replace

        return rule.step(rollout.field, (x,), replace(silent[k], noise=torch.zeros(1, 1).double()))[0]

    with torch.no_grad():
        J = [(step(one, k) - step(0 * one, k)).item() for k in range(20)]
        x_N = problem.rollout.sample(problem.x_T)
    G = np.cumprod([1.0, *J[::-1]])[::-1]
    return problem, G, 2 * (x_N - 1), rollout


def test_closed_forms_on_the_linear_chain():
    """lambda_k = lambda_N G_k; h_k lambda_{k+1} for the velocity; lambda_k for the state before the step."""
    problem, G, end, rollout = linear_chain(
        flow_oracle(20), targets=("x_T", "controls[velocity]", "controls[state]", "x_t[7]")
    )
    found = gradbench.estimator("checkpoint")(problem).grads
    grid = np.array(rollout.grid)
    assert torch.allclose(found["x_T"], end * G[0], rtol=1e-12)
    assert torch.allclose(found["x_t[7]"], end * G[7], rtol=1e-12)
    for k in range(20):
        assert torch.allclose(found["controls[state]"][k], end * G[k], rtol=1e-12)
        assert torch.allclose(found["controls[velocity]"][k], (grid[k + 1] - grid[k]) * end * G[k + 1], rtol=1e-12)


@pytest.mark.parametrize("sampler", ["flow-sde", "cps", "ddim[eta=1]"])
def test_the_gradient_of_a_noise_is_its_spread_times_the_next_cotangent(sampler):
    problem, G, end, rollout = linear_chain(flow_oracle(20, sampler), targets=("noises",))
    found = gradbench.estimator("checkpoint")(problem).grads["noises"]
    for k in range(20):
        std = rollout.rule.std(rollout.interval(k))
        assert torch.allclose(found[k], std * end * G[k + 1], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("eta", [0, 1])
def test_the_gradient_of_eps_is_its_coefficient_in_the_step_times_the_next_cotangent(eta):
    """x_{k+1} = alpha_1 (x - sigma_0 eps)/alpha_0 + sqrt(sigma_1^2 - s^2) eps (+ s z)."""
    problem, G, end, rollout = linear_chain(oracle(eta), targets=("controls[eps]",))
    found, s, grid = gradbench.estimator("checkpoint")(problem).grads["controls[eps]"], rollout.schedule, rollout.grid
    for k in range(20):
        std = rollout.rule.std(rollout.interval(k)) if eta else 0.0
        B = (s.sigma(grid[k + 1]) ** 2 - std**2) ** 0.5 - s.alpha(grid[k + 1]) * s.sigma(grid[k]) / s.alpha(grid[k])
        assert torch.allclose(found[k], B * end * G[k + 1], rtol=1e-9)


def test_eps_cannot_be_controlled_where_it_does_not_determine_x_0():
    law, how = network()
    with pytest.raises(ValueError, match="control the velocity"):
        gradbench.sample(
            law, torch.ones(2, 3).double(), controls={"eps": torch.zeros(6, 2, 3)}, **{**how, "t_max": 1.0}
        )


ADJOINTS = (
    "adjoint-deis",
    "continuous-adjoint",
    "adjoint-dpm[trajectory=stored]",
    "continuous-adjoint[rule=rk4,trajectory=resolved]",
)


def worst_row(found, exact):
    """The largest error of a single step, over all targets."""
    pairs = [(a, b) for target in exact for a, b in zip(found[target], exact[target], strict=True)]
    return max(((a - b).norm() / b.norm()).item() for a, b in pairs)


@pytest.mark.parametrize("sampler", ["ddim[grid=uniform-log-snr]", "flow-euler[grid=uniform-log-snr]"])
@pytest.mark.parametrize("estimator", quick(ADJOINTS, 0, 1))
def test_continuous_adjoints_tend_to_the_discrete_gradient_of_every_step(estimator, sampler):
    """Of the states and of what is added to them, the first and the last step included; x_t[N/2] stays at its time."""
    schedule, errors = ("cosine" if sampler.startswith("ddim") else "rectified"), []
    for steps in (40, 160):
        targets = ("x_T", f"x_t[{steps // 2}]", "controls[velocity]", "controls[state]", "controls[eps]")
        problem = problem_of(sampler, steps, targets, schedule=schedule, t_max=0.95)
        exact = gradbench.estimator("checkpoint")(problem).grads
        errors.append(worst_row(gradbench.estimator(estimator)(problem).grads, exact))
    assert errors[1] < errors[0] / 2.5


@pytest.mark.parametrize("estimator", ["adjoint-deis", "continuous-adjoint[rule=euler,chart=noise]"])
def test_continuous_adjoints_of_an_sde_have_the_gradients_of_its_noises(estimator):
    errors = []
    for steps in (40, 160):
        problem = problem_of("sde-dpm++1", steps, ("x_T", "noises"), schedule="cosine", t_max=0.95)
        exact = gradbench.estimator("checkpoint")(problem).grads
        errors.append(worst(gradbench.estimator(estimator)(problem).grads, exact))
    assert errors[1] < errors[0] / 3


REFUSED = [
    ("draft", "it gives no gradient of noises"),
    ("reinforce", "it gives no gradient of noises"),
    ("torchsde-adjoint", "it gives no gradient of noises"),
    ("adjoint-deis[steps=3]", "steps must be a multiple of N, got 3"),
]


@pytest.mark.parametrize(("estimator", "reason"), REFUSED)
def test_an_estimator_without_them_says_so(estimator, reason):
    problem = problem_of("sde-dpm++1", targets=("x_T", "noises"))
    assert reason in gradbench.estimator(estimator).supports(problem.traits)
    with pytest.raises(ValueError, match="does not support the problem"):
        gradbench.estimator(estimator)(problem)


WRONG = [
    (("x_t[5]",), "0 <= k <= 4"),
    (("controls[score]",), "unknown target 'controls"),
    (("noises",), "stochastic samplers"),
    (("x_t",), "unknown target 'x_t'"),
]


@pytest.mark.parametrize(("targets", "reason"), WRONG)
def test_a_wrong_target_is_one_line(targets, reason):
    with pytest.raises(ValueError) as error:
        gradbench.case("gaussian").problem(sampler="ddim", steps=4, targets=targets)
    assert reason in str(error.value) and "\n" not in str(error.value)


# the library


def network(sampler="flow-euler", steps=6, schedule="rectified"):
    law = gradbench.case("mixture", schedule=schedule, dim=3, batch=2, t_max=0.95).problem(steps=2).denoiser
    return law.requires_grad_(False), {"sampler": sampler, "steps": steps, "t_max": 0.95}


def test_noises_need_no_mention():
    law, how = network("flow-sde")
    x_T, z = torch.ones(2, 3).double(), torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    found = []
    for gradient in ("backprop", "checkpoint", "revolve[snapshots=2]"):
        noise = z.clone().requires_grad_()
        gradbench.sample(law, x_T, noise=noise, gradient=gradient, **how).square().sum().backward()
        found.append(noise.grad)
    assert found[0].abs().min() > 0 and all(relative_error(one, found[0]) < 1e-12 for one in found)


@pytest.mark.parametrize("gradient", ["checkpoint", "reversible"])
def test_controls_and_states_move_the_chain_and_have_their_gradients(gradient):
    law, how = network("belm" if gradient == "reversible" else "heun")
    x_T, generator = torch.ones(2, 3).double(), torch.Generator().manual_seed(0)
    rows = {name: torch.randn(6, 2, 3, generator=generator).double() for name in ("velocity", "eps", "states")}

    def sampled(method, moved):
        controls = {name: moved[name] for name in ("velocity", "eps")}
        return gradbench.sample(law, x_T, controls=controls, states=moved["states"], gradient=method, **how)

    found = {}
    for method in ("backprop", gradient):
        leaves = {name: 0.1 * value.clone() for name, value in rows.items()}
        leaves = {name: value.requires_grad_() for name, value in leaves.items()}
        found[method] = torch.autograd.grad(sampled(method, leaves).square().sum(), list(leaves.values()))
    assert all(relative_error(a, b) < 1e-11 for a, b in zip(found["backprop"], found[gradient], strict=True))
    plain = gradbench.sample(law, x_T, gradient=gradient, **how)
    zero = {name: torch.zeros(6, 2, 3).double() for name in rows}
    assert torch.equal(plain, sampled(gradient, zero))
    assert relative_error(sampled(gradient, {k: 0.1 * v for k, v in rows.items()}), plain) > 0.01


@pytest.mark.parametrize("name", ["noise", "controls", "states"])
def test_what_is_computed_from_a_named_tensor_is_refused(name):
    """The step's own tape would lead back to it, and its share count twice."""
    law, how = network("flow-sde")
    law.condition.requires_grad_()
    moved = {name: law.condition.expand(6, 2, 3) * 1.0}
    with pytest.raises(ValueError, match="from which it is computed"):
        gradbench.sample(law, torch.ones(2, 3).double(), wrt=[law.condition], **moved, **how)


def test_what_moves_a_chain_takes_the_states_precision():
    law, how = network("flow-sde")
    law.float()
    u = torch.zeros(6, 2, 3, dtype=torch.float64, requires_grad=True)
    z = torch.ones(6, 2, 3, dtype=torch.float64, requires_grad=True)
    x_0 = gradbench.sample(law, torch.ones(2, 3), controls=u, noise=z, **how)
    grads = torch.autograd.grad(x_0.sum(), (u, z))
    assert x_0.dtype == torch.float32 and all(g.abs().min() > 0 for g in grads)


def test_a_control_of_a_euler_step_is_added_to_its_velocity():
    law, how = network()
    x_T, u = torch.ones(2, 3).double(), torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    grid, x = [0.95, 0.7, 0.5, 0.35, 0.2, 0.1, 0.001], x_T
    for k, (t, s) in enumerate(zip(grid, grid[1:], strict=False)):
        x = x + (s - t) * (law(x, t).flow + u[k])
    assert torch.allclose(gradbench.sample(law, x_T, controls=u, sampler=how["sampler"], grid=grid), x, rtol=1e-12)


BAD = [
    ({"controls": torch.zeros(5, 2, 3)}, "controls\\[velocity\\] must have shape"),
    ({"controls": {"speed": torch.zeros(6, 2, 3)}}, "unknown control 'speed'"),
    ({"states": torch.zeros(6, 3)}, "states must have shape"),
    ({"noise": torch.zeros(6, 2, 3, requires_grad=True)}, "sampler flow-euler draws none"),
    ({"controls": torch.zeros(6, 2, 3, requires_grad=True), "gradient": "draft"}, "no gradient of controls"),
]


@pytest.mark.parametrize(("options", "reason"), BAD)
def test_what_cannot_be_served_is_refused_before_any_work(options, reason):
    law, how = network()
    with pytest.raises(ValueError, match=reason):
        gradbench.sample(law, torch.ones(2, 3).double(), **how, **options)


# methods in ten lines, on the scalar chain x_{k+1} = x_k + h_k (v + u_k), with their published or derived numbers


def scalar(**options):
    """x_N of the scalar chain from x_T = 1."""
    law = flow_oracle(20).denoiser.requires_grad_(False)
    how = {"sampler": "flow-euler", "grid": [1 - k / 20 for k in range(20)] + [0.0], **options}
    return gradbench.sample(law, how.pop("x", torch.ones(1, 1).double()), **how)


def optimum(cost):
    """The controls of 20 steps, (20, 1, 1), with the smallest cost."""
    u = torch.zeros(20, 1, 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([u], lr=1, max_iter=200, tolerance_grad=1e-13, tolerance_change=1e-16)

    def value():
        optimizer.zero_grad()
        found = cost(u)
        found.backward()
        return found

    optimizer.step(value)
    return u


def test_optimal_control_has_its_closed_form():
    """Cost (b/2) sum |h| u^2 with b = y = 1: u_k = lambda_{k+1}/b, x_N = 0.8131 from 0.5098."""
    assert scalar().item() == pytest.approx(0.5098, abs=5e-5)
    u = optimum(lambda u: (scalar(controls=u) - 1).square().sum() + 0.5 * u.square().sum() / 20)
    assert scalar(controls=u).item() == pytest.approx(0.8131, abs=5e-5)
    (slope,) = torch.autograd.grad((scalar(controls=u) - 1).square().sum(), u)
    assert torch.allclose(u, -20 * slope, atol=1e-6)  # the gradient of a control is h_k lambda_{k+1}, h_k = -1/20


def test_a_damped_update_of_states_has_the_published_fixed_point():
    """u <- beta u - eta dL/du with eta = 0.01, beta = 0.995: the optimum of L + ((1 - beta)/(2 eta)) sum u^2."""
    u = optimum(lambda u: (scalar(states=u) - 1).square().sum() + 0.25 * u.square().sum())
    assert scalar(states=u).item() == pytest.approx(0.99221, abs=1e-5)
    (slope,) = torch.autograd.grad((scalar(states=u) - 1).square().sum(), u)
    assert torch.allclose(0.995 * u - 0.01 * slope, u, atol=1e-9)


# dx_N/dx_k exactly, and through one, two, four and eight steps of a short solve
GREEDY = [
    (1.0, (0.510, 0.0, 0.231, 0.378, 0.452)),
    (0.8, (0.633, 0.092, 0.367, 0.511, 0.590)),
    (0.6, (0.805, 0.294, 0.573, 0.707, 0.772)),
    (0.4, (1.007, 0.672, 0.865, 0.959, 1.007)),
]


@pytest.mark.parametrize(("t", "expected"), GREEDY)
def test_greedy_guidance_is_a_short_chain(t, expected):
    law, found = flow_oracle(20).denoiser.requires_grad_(False), []
    for steps in (round(20 * t), 1, 2, 4, 8):
        x = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
        places = np.round(np.linspace(round(20 * (1 - t)), 20, steps + 1))  # states of the chain
        grid = [1 - place / 20 for place in places]
        x_0 = gradbench.sample(law, x, sampler="flow-euler", grid=grid)
        found.append(torch.autograd.grad(x_0, x)[0].item())
    assert found == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(("rho", "expected"), [(0.0, 1.0), (1.0, 1.0080)])
def test_model_predictive_control_with_one_step_ahead(rho, expected):
    """min_u (x0_hat + u - 1)^2 + rho (1 - t) u^2, then v <- v - u/t: no gradient of the network at all."""
    law, x, grid = (
        flow_oracle(20).denoiser.requires_grad_(False),
        torch.ones(1, 1).double(),
        [1 - k / 20 for k in range(21)],
    )
    for t, s in zip(grid, grid[1:], strict=False):
        x0_hat = law.field(x, t, (1.0, 0.0))
        u = (1 - x0_hat) / (1 + rho * (1 - t))
        x = gradbench.sample(law, x, controls=(-u / t)[None], sampler="flow-euler", grid=[t, max(s, 0.0)])
    assert x.item() == pytest.approx(expected, abs=5e-5)
