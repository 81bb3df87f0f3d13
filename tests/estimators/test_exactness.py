"""`checkpoint` is `backprop`: bit for bit if each leaf is read once per step."""

import pytest
import torch
from torch import nn

import gradbench
from gradbench import NetworkDenoiser
from gradbench.diffusion.schedule import make_schedule
from gradbench.problems.gradients import flatten, relative_error

SAMPLERS = ("ddim", "euler", "heun", "midpoint", "rk4", "ab2")


def both(problem):
    return (gradbench.estimator(name)(problem).grads for name in ("backprop", "checkpoint"))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_checkpoint_equals_backprop_bit_for_bit_in_x_T(gaussian, sampler):
    plain, checkpointed = both(gaussian.problem(sampler=sampler, steps=9))
    assert torch.equal(plain["x_T"], checkpointed["x_T"])


@pytest.mark.parametrize("sampler", ["ddim", "ab2"])
def test_checkpoint_equals_backprop_bit_for_bit_in_leaves_read_once_a_step(gaussian, sampler):
    plain, checkpointed = both(gaussian.problem(sampler=sampler, steps=9))
    assert torch.equal(plain["condition"], checkpointed["condition"])
    assert torch.equal(flatten(plain["parameters"]), flatten(checkpointed["parameters"]))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_checkpoint_equals_backprop_to_rounding_in_leaves_read_often(gaussian, sampler):
    plain, checkpointed = both(gaussian.problem(sampler=sampler, steps=9))
    for target in ("condition", "parameters"):
        assert relative_error(checkpointed[target], plain[target]) < 1e-14


def test_checkpoint_equals_backprop_bit_for_bit_on_the_digits_network(digits):
    plain, checkpointed = both(digits.problem(steps=4, dtype="float64"))
    for target in ("x_T", "condition", "parameters"):
        assert torch.equal(flatten(plain[target]), flatten(checkpointed[target])), target


class DropoutNetwork(nn.Module):
    """Draws random numbers, and casts its weights under autocast."""

    def __init__(self, dropout):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.dropout = nn.Linear(6, 32), nn.Linear(32, 6), nn.Dropout(dropout)

    def forward(self, x, time, condition):
        return self.last(self.dropout(torch.tanh(self.first(x + condition) + time / 1000)))


@pytest.mark.parametrize("sampler", ["ddim", "rk4"])
@pytest.mark.parametrize(("dropout", "autocast"), [(0.3, False), (0.0, True), (0.3, True)])
def test_dropout_and_autocast_are_restored_a_step(sampler, dropout, autocast):
    network = DropoutNetwork(dropout).train()
    condition = torch.full((6,), 0.1, requires_grad=True)
    denoiser = NetworkDenoiser(network, make_schedule("scaled-linear"), condition=condition)
    leaves = [condition, *network.parameters()]
    grads = []
    for gradient in ("backprop", "checkpoint"):
        torch.manual_seed(5)
        x_T = torch.randn(3, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            x_0 = gradbench.sample(denoiser, x_T, sampler=sampler, steps=6, gradient=gradient, wrt=leaves)
        grads.append(torch.autograd.grad((x_0**2).sum(), [x_T, *leaves]))
    assert all(g.abs().max() > 0 for g in grads[0])
    assert torch.equal(grads[0][0], grads[1][0])
    if sampler == "ddim":
        assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))
    else:
        assert all(relative_error(b, a) < (1e-2 if autocast else 1e-5) for a, b in zip(*grads, strict=True))


def test_the_random_state_after_a_backward_pass_is_that_before():
    network = DropoutNetwork(0.5).train()
    denoiser = NetworkDenoiser(network, make_schedule("scaled-linear"), condition=torch.zeros(6))
    x_T = torch.randn(2, 6).requires_grad_()
    x_0 = gradbench.sample(denoiser, x_T, steps=3, wrt=list(network.parameters()))
    before = torch.get_rng_state()
    x_0.sum().backward()
    assert torch.equal(before, torch.get_rng_state())


def test_a_backward_pass_inside_the_same_autocast_loses_no_gradient():
    network = DropoutNetwork(0.0)
    denoiser = NetworkDenoiser(network, make_schedule("scaled-linear"), condition=torch.zeros(6))
    x_T, leaves = torch.randn(2, 6), list(network.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        x_0 = gradbench.sample(denoiser, x_T, steps=3, wrt=leaves)
        grads = torch.autograd.grad((x_0**2).sum(), leaves)
    assert all(g.abs().max() > 0 for g in grads)


def test_a_leaf_changed_in_place_before_the_backward_pass_is_an_error():
    network = DropoutNetwork(0.0)
    denoiser = NetworkDenoiser(network, make_schedule("scaled-linear"), condition=torch.zeros(6))
    x_0 = gradbench.sample(denoiser, torch.randn(2, 6), steps=2, wrt=list(network.parameters()))
    with torch.no_grad():
        network.first.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        x_0.sum().backward()


def test_a_backward_pass_can_be_taken_twice(gaussian):
    problem = gaussian.problem(steps=5)
    for name in ("checkpoint", "adjoint-dpm", "adjoint-deis"):
        x_T = problem.x_T.clone().requires_grad_()
        x_0 = gradbench.estimator(name).sample(problem.rollout, x_T, problem.wrt)
        first, second = (torch.autograd.grad(x_0.sum(), x_T, retain_graph=True)[0] for _ in range(2))
        assert torch.equal(first, second)


@pytest.mark.parametrize("gradient", ["reversible", "revolve[snapshots=2]"])
@pytest.mark.parametrize(("dropout", "autocast"), [(0.3, False), (0.0, True)])
def test_states_that_come_back_see_the_same_dropout_and_autocast(gradient, dropout, autocast):
    network = DropoutNetwork(dropout).train()
    condition = torch.full((6,), 0.1, requires_grad=True)
    denoiser = NetworkDenoiser(network, make_schedule("scaled-linear"), condition=condition)
    leaves, grads = [condition, *network.parameters()], []
    for name in ("backprop", gradient):
        torch.manual_seed(5)
        x_T = torch.randn(3, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            x_0 = gradbench.sample(denoiser, x_T, sampler="belm", steps=6, gradient=name, wrt=leaves)
        grads.append(torch.autograd.grad((x_0**2).sum(), [x_T, *leaves]))
    tolerance = 3e-2 if autocast and gradient == "reversible" else 1e-4  # a rounded state may round the network apart
    assert all(relative_error(b, a) < tolerance for a, b in zip(*grads, strict=True))


def test_an_inverse_that_would_draw_in_another_order_says_so():
    network = DropoutNetwork(0.3).train()
    denoiser = NetworkDenoiser(network, make_schedule("scaled-linear"), condition=torch.full((6,), 0.1))
    x_T = torch.randn(3, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()
    x_0 = gradbench.sample(
        denoiser, x_T, sampler="edict", steps=4, gradient="reversible", wrt=list(network.parameters())
    )
    with pytest.raises(ValueError, match="another order"):
        x_0.sum().backward()


@pytest.mark.parametrize("gradient", ["checkpoint", "revolve[snapshots=2]", "reversible"])
def test_a_leaf_that_the_network_does_not_read_has_gradient_zero_and_changes_no_other(gradient):
    network, unread = DropoutNetwork(0.0).double(), torch.ones(3, dtype=torch.float64, requires_grad=True)
    condition, leaves = torch.zeros(6, dtype=torch.float64), list(network.parameters())
    denoiser = NetworkDenoiser(network, make_schedule("scaled-linear"), condition=condition)
    x_T = torch.randn(2, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    grads = []
    for name, wrt in (("backprop", leaves), (gradient, [unread, *leaves])):
        x_0 = gradbench.sample(denoiser, x_T, sampler="belm", steps=4, gradient=name, wrt=wrt, allow_unused=True)
        grads.append(torch.autograd.grad((x_0**2).sum(), wrt, allow_unused=True))
    (of_unread, *others), expected = grads[1], grads[0]
    assert of_unread is None or not of_unread.any()
    assert relative_error(flatten(tuple(others)), flatten(expected)) < 1e-10
