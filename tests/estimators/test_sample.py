"""`gradbench.sample`: a differentiable sample in a user's own code."""

import pytest
import torch
from torch import nn

import gradbench
from gradbench import NetworkDenoiser
from gradbench.diffusion.schedule import make_schedule
from gradbench.problems.gradients import relative_error


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 4)

    def forward(self, x, time, condition):
        return torch.tanh(self.linear(x) + condition)


@pytest.fixture
def parts():
    network, condition = Network(), torch.full((4,), 0.2, requires_grad=True)
    return network, condition, NetworkDenoiser(network, make_schedule("scaled-linear"), condition=condition)


@pytest.mark.parametrize("gradient", ["checkpoint", "adjoint-deis", "adjoint-dpm[rule=rk4]", "torchdiffeq-adjoint"])
def test_backward_reaches_x_T_condition_and_parameters(parts, gradient):
    network, condition, denoiser = parts
    x_T, leaves = torch.randn(2, 4).requires_grad_(), [condition, *network.parameters()]
    x_0 = gradbench.sample(denoiser, x_T, steps=8, gradient=gradient, wrt=leaves)
    (x_0**2).sum().backward()
    assert all(leaf.grad is not None and leaf.grad.abs().max() > 0 for leaf in (x_T, *leaves))


def test_a_condition_that_is_no_leaf_passes_its_gradient_on(parts):
    network, _, _ = parts
    network.requires_grad_(False)
    embedding = torch.randn(4, requires_grad=True)
    grads = []
    for gradient in ("backprop", "checkpoint"):
        tokens = torch.sin(embedding)
        denoiser = NetworkDenoiser(network, make_schedule("scaled-linear"), condition=tokens)
        x_0 = gradbench.sample(denoiser, torch.ones(2, 4), steps=5, gradient=gradient, wrt=[tokens])
        grads.append(torch.autograd.grad(x_0.sum(), embedding)[0])
    assert relative_error(*grads) < 1e-6


def test_a_trainable_tensor_that_wrt_does_not_name_is_refused(parts):
    _, condition, denoiser = parts
    with pytest.raises(ValueError, match=r"2 trainable tensors that wrt does not name .*linear.weight"):
        gradbench.sample(denoiser, torch.randn(2, 4), wrt=[condition])


def test_a_trainable_condition_that_wrt_does_not_name_is_refused(parts):
    network, _, denoiser = parts
    with pytest.raises(ValueError, match="condition"):
        gradbench.sample(denoiser, torch.randn(2, 4), wrt=list(network.parameters()))


def test_frozen_tensors_need_not_be_named(parts):
    network, condition, denoiser = parts
    network.requires_grad_(False)
    assert gradbench.sample(denoiser, torch.randn(2, 4), steps=2, wrt=[condition]).requires_grad


def test_no_gradient_asked_for_gives_a_plain_sample(parts):
    network, _, _ = parts
    denoiser = NetworkDenoiser(network.requires_grad_(False), make_schedule("scaled-linear"), condition=torch.ones(4))
    assert not gradbench.sample(denoiser, torch.randn(2, 4), steps=2).requires_grad


def test_an_unknown_estimator_is_named_with_the_nearest(parts):
    with pytest.raises(ValueError, match="did you mean 'checkpoint'"):
        gradbench.sample(parts[2], torch.randn(2, 4), gradient="checkpoin")


@pytest.mark.parametrize("gradient", ["checkpoint", "adjoint-dpm", "torchdiffeq-adjoint"])
def test_a_second_derivative_is_refused(parts, gradient):
    network, condition, denoiser = parts
    x_T = torch.randn(2, 4).requires_grad_()
    x_0 = gradbench.sample(denoiser, x_T, steps=3, gradient=gradient, wrt=[condition, *network.parameters()])
    with pytest.raises(RuntimeError, match="no second derivative: use gradient='backprop'"):
        torch.autograd.grad(x_0.square().sum() + x_T.pow(3).sum(), x_T, create_graph=True)
