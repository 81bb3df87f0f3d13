"""Reversible rules: round trips, orders, and where rounding errors grow."""

import math

import pytest
import torch

import gradbench
from gradbench.diffusion.chart import TimeChart
from gradbench.diffusion.schedule import make_schedule
from gradbench.problems.gradients import relative_error
from gradbench.samplers.base import Interval
from gradbench.samplers.reversible import McCallumFoster, rex
from gradbench.samplers.rules import ONE_STEP

REVERSIBLE = (
    "reversible-heun",
    "edict",
    "edict[turns=fixed]",
    "bdia",
    "belm",
    "rex",
    "rex[rule=rk4,chart=angle]",
    "rex[rule=heun,chart=angle]",
)
REX_SDE = ("rex[chart=log-snr-sde]", "rex[chart=time-sde,rule=midpoint]", "rex[chart=noise-sde,rule=heun]")


def round_trip(problem, dtype=torch.float64):
    """Relative distance of x_T from what the inverse makes of the last state."""
    rollout = problem.to(dtype).rollout
    x_T = problem.x_T.to(dtype)
    with torch.no_grad():
        state = rollout.start(x_T)
        for k in range(rollout.steps):
            state = rollout.step(k, state)
        for k in reversed(range(rollout.steps)):
            state = rollout.rule.inverse(rollout.field, state, rollout.interval(k))
    return max(relative_error(s, x_T) for s in state)


@pytest.mark.parametrize("sampler", REVERSIBLE + REX_SDE)
@pytest.mark.parametrize("law", ["gaussian", "mixture", "product-mixture"])
@pytest.mark.parametrize("steps", [1, 2, 20, 100])
def test_the_inverse_leads_back_to_x_T(law, sampler, steps):
    case = gradbench.case(law, schedule="scaled-linear")
    assert round_trip(case.problem(sampler=sampler, steps=steps)) < 1e-10


@pytest.mark.parametrize(
    ("sampler", "base"), [("bdia[gamma=0.5]", 0.5), ("rex[zeta=0.5]", 0.5), ("rex[zeta=0.25]", 0.25)]
)
def test_rounding_errors_of_the_inverse_grow_like_the_power_of_the_coupling(sampler, base):
    case = gradbench.case("gaussian", schedule="scaled-linear")
    errors = [round_trip(case.problem(sampler=sampler, steps=n)) for n in (10, 20, 30)]
    for few, many in zip(errors, errors[1:], strict=False):
        assert math.log(many / few) / 10 == pytest.approx(-math.log(base), rel=0.25)


def test_edict_loses_its_copies_like_p_to_the_minus_2N():
    case = gradbench.case("gaussian", schedule="scaled-linear")
    errors = [round_trip(case.problem(sampler="edict[p=0.7]", steps=n)) for n in (12, 24, 36)]
    for few, many in zip(errors, errors[1:], strict=False):
        assert math.log(many / few) / 12 == pytest.approx(-2 * math.log(0.7), rel=0.3)


@pytest.mark.parametrize(("sampler", "order"), [("belm", 2), ("bdia", 2), ("reversible-heun[chart=time]", 2)])
def test_two_step_rules_have_their_order_on_a_uniform_clock(sampler, order):
    case, found = gradbench.case("gaussian", schedule="scaled-linear", t_max=0.7), []
    name = f"{sampler[:-1]},grid=karras]" if "[" in sampler else f"{sampler}[grid=uniform-log-snr]"
    for steps in (160, 320):
        problem = case.problem(sampler=name, steps=steps)
        found.append(relative_error(problem.sampler_gradient()["x_T"], problem.flow_gradient()["x_T"]))
    assert math.log2(found[0] / found[1]) > order - 0.3


def decay(rule, rate, steps, t_end=4.0):
    """|y| after `steps` steps of y' = -rate y from 1, by a rule in plain time run upwards."""
    chart, state = TimeChart(make_schedule("rectified")), None
    state = rule.start(None, torch.ones(1, 1, dtype=torch.float64))
    for k in range(steps):
        interval = Interval(chart, t_end * k / steps, t_end * (k + 1) / steps)
        state = rule.step(lambda t, y: -rate * y, state, interval)
    return state[0].abs().item()


@pytest.mark.parametrize(
    ("base", "zeta", "limit"),
    [("euler", 0.9, 0.10), ("euler", 0.5, 0.50), ("euler", 0.1, 0.90), ("midpoint", 0.5, 2.16), ("rk4", 0.1, 2.17)],
)
def test_rex_is_stable_on_the_stated_interval_only(base, zeta, limit):
    rule = McCallumFoster(ONE_STEP[base], zeta)
    assert decay(rule, 0.95 * limit, 4000, t_end=4000.0) < 1.0
    assert not decay(rule, 1.05 * limit, 4000, t_end=4000.0) < 1e3  # nan where it overflows


@pytest.mark.parametrize(("base", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)])
def test_the_wrapper_keeps_the_order_of_its_base(base, order):
    chart = TimeChart(make_schedule("rectified"))

    def error(steps, end=1.5):
        rule, state = rex(base, 0.5), (torch.ones(1, 1, dtype=torch.float64),) * 2
        for k in range(steps):
            interval = Interval(chart, end * k / steps, end * (k + 1) / steps)
            state = rule.step(lambda t, y: -y + math.sin(3 * t), state, interval)
        exact = math.exp(-end) * 1.3 + (math.sin(3 * end) - 3 * math.cos(3 * end)) / 10
        return abs(state[0].item() - exact)

    assert math.log2(error(160) / error(320)) == pytest.approx(order, abs=0.35)


def test_rex_without_coupling_is_driven_by_the_path_both_ways():
    problem = gradbench.case("gaussian", schedule="scaled-linear").problem(sampler="rex[chart=log-snr-sde]", steps=10)
    rollout, interval = problem.rollout, problem.rollout.interval(4)
    state = (problem.x_T, problem.x_T + 0.1)
    with torch.no_grad():
        back = rollout.rule.inverse(rollout.field, rollout.step(4, state), interval)
    assert all(relative_error(b, s) < 1e-13 for b, s in zip(back, state, strict=True))


def test_rex_steps_from_equal_copies_as_its_base_does_on_the_same_noise():
    case = gradbench.case("gaussian", schedule="scaled-linear")
    a = case.problem(sampler="rex[chart=data-sde]", steps=10)
    b = case.problem(sampler="sde-dpm++1", steps=10)
    first, second = a.rollout.step(0, (a.x_T, a.x_T))[0], b.rollout.step(0, (b.x_T,))[0]
    assert relative_error(first.detach(), second.detach()) < 1e-13


@pytest.mark.parametrize("selector", ["edict[turns=odd]", "edict[copies=two]"])
def test_unknown_readings_of_edict_are_refused(selector):
    with pytest.raises(ValueError, match="unknown (turns|copies)"):
        gradbench.case("gaussian").problem(sampler=selector)


@pytest.mark.parametrize("selector", ["rex[zeta=0]", "rex[zeta=1.5]", "edict[p=0]", "bdia[gamma=-1]", "rex[rule=ab2]"])
def test_options_out_of_range_are_refused(selector):
    with pytest.raises(ValueError, match="zeta|gamma|rule|p "):
        gradbench.case("gaussian").problem(sampler=selector)


def test_rex_in_the_data_chart_cannot_start_from_sigma_zero():
    with pytest.raises(ValueError, match="raise t_min"):
        gradbench.case("gaussian", t_min=0.0).problem(sampler="rex")


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(0.3 * torch.randn(6, 6, generator=torch.Generator().manual_seed(0)).double())

    def forward(self, x, time, condition):
        return torch.tanh(x @ self.w + time / 1000) + 0.1 * x


def released_edict(network, schedule, pair, grid, p, alternate):
    """The released coupled_stablediffusion, written out: whose turn comes first alternates, the mixing does not."""
    pair = list(pair)
    for i, (t, after) in enumerate(zip(grid, grid[1:], strict=False)):
        a = schedule.alpha(after) / schedule.alpha(t)
        b = schedule.sigma(after) - a * schedule.sigma(t)
        for turn in range(2):
            base = (turn + i % 2) % 2 if alternate else turn
            pair[base] = a * pair[base] + b * network(pair[1 - base], schedule.index(t), None)
        pair[0] = p * pair[0] + (1 - p) * pair[1]
        pair[1] = (1 - p) * pair[0] + p * pair[1]
    return pair


@pytest.mark.parametrize("steps", [1, 2, 5, 8])
@pytest.mark.parametrize("turns", ["alternate", "fixed"])
@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "revolve[snapshots=2]", "reversible"])
def test_edict_is_the_released_loop(steps, turns, gradient):
    network, x_T = Network(), torch.randn(3, 6, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    denoiser = gradbench.NetworkDenoiser(network, "scaled-linear")
    option = "" if turns == "alternate" else "[turns=fixed]"
    found = gradbench.sample(
        denoiser, x_T, sampler=f"edict{option}", steps=steps, wrt=[network.w], gradient=gradient, t_min=0.02
    )
    grid = [1.0 + (0.02 - 1.0) * k / steps for k in range(steps + 1)]
    expected, _ = released_edict(network, denoiser.schedule, (x_T, x_T), grid, 0.93, turns == "alternate")
    assert relative_error(found, expected) < 1e-12
    leaves = [x_T, network.w]
    got, right = (torch.autograd.grad((x**2).sum(), leaves, retain_graph=True) for x in (found, expected))
    assert max(relative_error(a, b) for a, b in zip(got, right, strict=True)) < 1e-11


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "revolve[snapshots=2]", "reversible", "draft[k=5]"])
def test_both_copies_of_edict_go_in_and_come_out(gradient):
    network, random = Network(), torch.Generator().manual_seed(2)
    x_T = torch.randn(3, 2, 6, generator=random).double().requires_grad_()
    weight = torch.randn(3, 2, 6, generator=random).double()
    denoiser = gradbench.NetworkDenoiser(network, "scaled-linear")
    found = gradbench.sample(
        denoiser, x_T, sampler="edict[copies=both]", steps=5, wrt=[network.w], gradient=gradient, t_min=0.02
    )
    grid = [1.0 + (0.02 - 1.0) * k / 5 for k in range(6)]
    expected = torch.stack(released_edict(network, denoiser.schedule, x_T.unbind(1), grid, 0.93, True), 1)
    assert relative_error(found, expected) < 1e-12
    leaves = [x_T, network.w]
    got, right = (torch.autograd.grad((weight * x**2).sum(), leaves, retain_graph=True) for x in (found, expected))
    assert max(relative_error(a, b) for a, b in zip(got, right, strict=True)) < 1e-11


def test_two_equal_copies_are_one():
    network, x_T = Network(), torch.randn(3, 6, generator=torch.Generator().manual_seed(1)).double()
    denoiser = gradbench.NetworkDenoiser(network, "scaled-linear")
    one = gradbench.sample(denoiser, x_T, sampler="edict", steps=4, wrt=[network.w])
    both = gradbench.sample(
        denoiser, torch.stack([x_T, x_T], 1), sampler="edict[copies=both]", steps=4, wrt=[network.w]
    )
    assert torch.equal(both[:, 0], one) and not torch.equal(both[:, 1], one)


@pytest.mark.parametrize(
    "gradient", ["adjoint-dpm", "adjoint-deis", "continuous-adjoint", "torchdiffeq-adjoint", "refl", "drtune[early=2]"]
)
def test_what_knows_nothing_of_pairs_refuses_them(gradient):
    denoiser = gradbench.NetworkDenoiser(network := Network(), "scaled-linear")
    with pytest.raises(ValueError, match="pairs of points"):
        gradbench.sample(
            denoiser,
            torch.ones(3, 2, 6).double(),
            sampler="edict[copies=both]",
            steps=8,
            wrt=[network.w],
            gradient=gradient,
        )


@pytest.mark.parametrize("shape", [(3, 6), (3, 1, 6), (3, 3, 6)])
def test_what_is_no_pair_is_refused(shape):
    denoiser = gradbench.NetworkDenoiser(network := Network(), "scaled-linear")
    with pytest.raises(ValueError, match=r"takes x_T \(b, 2, \*x\)"):
        gradbench.sample(denoiser, torch.ones(shape).double(), sampler="edict[copies=both]", steps=2, wrt=[network.w])
