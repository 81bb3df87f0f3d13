"""Plans where they are easily wrong: at alpha = 0, at early stops, with whole batches of a network, between experts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import gradbench
from gradbench.diffusion.denoiser import NetworkDenoiser
from gradbench.estimators.pathwise.leaping import TwoLeaps, UniformPairs, coefficients
from gradbench.estimators.pathwise.planned import Landing, Seen
from gradbench.measure.cost import held_tensors, parts, peak_memory
from studies.oracle import flow_oracle


def sampled(denoiser, x_T, gradient, sampler="flow-euler", **options):
    options = {"steps": 6, "t_max": 1.0, "t_min": 0.0} | options
    return gradbench.sample(denoiser, x_T, sampler=sampler, gradient=gradient, **options)


@pytest.fixture
def law():
    return gradbench.case("mixture", schedule="rectified", dim=3).problem(steps=2).denoiser.requires_grad_(False)


@pytest.mark.parametrize("gradient", ["refl[window=6]", "drtune[early=6]", "refl[window=6,detach=v]"])
@pytest.mark.parametrize("seed", range(4))
def test_a_sample_left_at_the_noisy_end_is_finite(law, gradient, seed):
    torch.manual_seed(seed)
    x_T = torch.ones(6, 3, dtype=torch.float64, requires_grad=True)
    x_0 = sampled(law, x_T, gradient)
    (grad,) = torch.autograd.grad(x_0.sum(), x_T, allow_unused=True)
    assert x_0.isfinite().all() and (grad is None or grad.isfinite().all())


def test_what_is_detached_at_an_early_stop_is_what_the_option_says(law):
    """With v held, x0_hat = x - t v has the Jacobian 1; with eps held, 1 / (1 - t)."""
    for detach, expected in (("v", 1.0), ("eps", 1 / (1 - 0.5))):
        x = torch.ones(1, 3, dtype=torch.float64, requires_grad=True)
        x_0 = sampled(law, x, f"drtune[k=1,early=1,detach={detach}]", grid=[0.5, 0.25], steps=None)
        assert torch.autograd.grad(x_0.sum(), x)[0].flatten().tolist() == pytest.approx([expected] * 3)


@pytest.mark.parametrize("detach", ["eps", "v"])
def test_no_chart_decides_what_is_detached_at_alpha_zero(law, detach):
    """flow-euler and the first step of dpm++2m are the same map in two charts."""
    found = []
    for sampler in ("flow-euler", "dpm++2m"):
        x_T = torch.ones(1, 3, dtype=torch.float64, requires_grad=True)
        x_0 = sampled(law, x_T, f"drtune[k=1,detach={detach}]", sampler, grid=[1.0, 0.5], steps=None)
        found.append(torch.autograd.grad(x_0.sum(), x_T)[0])
    assert torch.allclose(*found, rtol=1e-12)


@pytest.mark.parametrize(("schedule", "sampler"), [("rectified", "flow-euler"), ("scaled-linear", "ddim")])
@pytest.mark.parametrize("detach", ["v", "eps"])
def test_leaps_land_nearer_with_more_nodes(schedule, sampler, detach):
    case = gradbench.case(
        "gaussian", schedule=schedule, dim=3, batch=1, **({} if sampler == "ddim" else {"t_max": 0.98})
    )
    rollout = case.problem(sampler=sampler, steps=100).rollout
    x_T, distances = torch.ones(1, 3, dtype=torch.float64), []
    for order in (1, 4):
        leaps = TwoLeaps(0.3, 1e-12, UniformPairs(), order, "all", detach=detach)
        plan = leaps.build(rollout, np.array([20]), np.array([60]))
        landing, state = Landing(rollout, plan, plan.leaps), rollout.start(x_T)
        with torch.no_grad():
            for k in range(rollout.steps):
                seen, point = Seen(rollout.field), state[0]
                state = rollout.rule.step(seen, state, rollout.interval(k))
                landing.pass_by(k, point, seen)
        distances.append(1 / landing.weight(state[0]).item())
    assert distances[1] < distances[0] / 8


@pytest.mark.parametrize("steps", range(4, 12))
def test_a_node_without_weight_is_not_scaled_up(steps):
    """Of two evenly spaced nodes the first has the weight 0 but for rounding."""
    rollout = flow_oracle(steps).rollout
    leaps = TwoLeaps(0.1, None, UniformPairs(), order=2, mode="start", g=0.5)
    for k, j in zip(*np.triu_indices(steps, 1), strict=True):
        _, gain, active = coefficients(leaps, rollout.schedule, rollout.grid, int(k), int(j))
        assert (np.abs(active * gain) <= np.abs(gain).sum()).all() and active.max() < 1e6


class Net(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.w = nn.Parameter(0.3 * torch.randn(width, width, generator=torch.Generator().manual_seed(0)))

    def forward(self, x, time, condition=None):
        return torch.tanh(x @ self.w)


class Experts(nn.Module):
    """One network for the noisy half of the times, one for the clean half."""

    def __init__(self):
        super().__init__()
        self.noisy, self.clean = Net(), Net()

    def forward(self, x, time, condition=None):
        return (self.noisy if time.flatten()[0] > 0.5 else self.clean)(x, time)


@pytest.mark.parametrize(
    ("gradient", "taped"), [("leapalign", 2), ("flowbp", 3), ("shortcut", 1), ("srpo[branch=denoise]", 1)]
)
@pytest.mark.parametrize("batch", [1, 5])
def test_a_network_is_evaluated_as_often_for_a_batch_as_for_one_sample(gradient, taped, batch):
    net = Net()
    denoiser = NetworkDenoiser(net, "rectified", kind="flow")
    before = denoiser.calls
    sampled(denoiser, torch.ones(batch, 3), gradient, wrt=[net.w], t_max=0.98).sum().backward()
    assert denoiser.calls - before == 6 + taped


@pytest.mark.parametrize("gradient", ["leapalign", "flowbp", "shortcut"])
def test_an_expert_whose_steps_were_not_drawn_is_no_error(gradient):
    net = Experts()
    denoiser = NetworkDenoiser(net, "rectified", kind="flow", told="t")
    for seed in range(8):
        torch.manual_seed(seed)
        sampled(denoiser, torch.ones(1, 3), gradient, wrt=[*net.parameters()], t_max=0.98).sum().backward()
    assert all(parameter.grad.norm() > 0 for parameter in net.parameters())


@pytest.mark.parametrize("name", ["leapalign", "flowbp"])
def test_an_option_that_does_nothing_is_refused(name):
    variant = "" if name == "leapalign" else "variant=lagrange,"
    with pytest.raises(ValueError, match="tau is the floor of weight=similarity"):
        gradbench.estimator(f"{name}[{variant}weight=none,tau=0.7]")


@pytest.mark.parametrize("variant", ["sparse", "bridge"])
def test_steps_without_a_weight_have_no_option_of_that_name(variant):
    with pytest.raises(ValueError, match=f"weight is no option of variant={variant}"):
        gradbench.estimator("flowbp", variant=variant, weight=None)


def test_a_bridge_takes_two_steps_at_least():
    with pytest.raises(ValueError, match="k of variant=bridge must be at least 2"):
        gradbench.estimator("flowbp[variant=bridge,k=1]")


def test_nothing_is_drawn_where_nothing_is_random():
    problem = gradbench.case("gaussian", dim=3, batch=1).problem(steps=4)
    estimator = gradbench.estimator("vgg-flow")
    estimate, again = estimator(problem), replace(estimator, draws=3)(problem)
    assert estimate.draws is None and torch.equal(estimate.grads["condition"], again.grads["condition"])


@pytest.mark.parametrize(
    "selector", ["leapalign", "flowbp", "flowbp[variant=bridge]", "flowbp[variant=lagrange]", "shortcut"]
)
def test_one_step_is_on_a_tape_at_a_time(selector):
    """The peak is that of one step on a tape, with the gradients of those before it, and the states of the chain."""
    steps = 12
    problem = gradbench.case("digits", batch=2).problem(steps=steps, targets=("parameters",))

    def peak(name):
        method = gradbench.estimator(name, draws=1)
        return peak_memory(lambda: method(problem), held_tensors(problem), torch.device("cpu")).peak

    state, tape = parts(problem)
    assert tape / 4 > (steps + 4) * state  # the tape of a second step would be seen
    assert peak(selector) - peak("draft[k=2]") <= (steps + 4) * state
