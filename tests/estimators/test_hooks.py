"""Hooks and retained gradients of the tensors in wrt, and frozen tensors among them."""

import pytest
import torch
from torch import nn

import gradbench
from gradbench.diffusion.denoiser import NetworkDenoiser
from tests.estimators.test_leaves import EVERY, X_T, Net, sampled

DOUBLED = ("w", "condition")


def grads_of(gradient, sampler, hook=None):
    """The gradients of a parameter and of a computed condition, each with the hook, and of the condition's source."""
    torch.manual_seed(0)
    source = nn.Parameter(torch.full((6,), 0.3).double())
    net, condition = Net(), source * 1.0
    condition.retain_grad()
    if hook is not None:
        net.w.register_hook(hook)
        condition.register_hook(hook)
    denoiser = NetworkDenoiser(net, "scaled-linear", condition=condition)
    sampled(denoiser, gradient, sampler, [net.w, condition]).backward()
    return net.w.grad, source.grad, condition.grad


@pytest.mark.parametrize("gradient, sampler", EVERY)
def test_a_hook_sees_the_whole_gradient_once(gradient, sampler):
    seen = []
    plain = grads_of(gradient, sampler)
    hooked = grads_of(gradient, sampler, lambda g: seen.append(g.clone()) or 2 * g)
    assert len(seen) == 2
    assert all(torch.allclose(b, 2 * a) for a, b in zip(plain[:2], hooked[:2], strict=True))


@pytest.mark.parametrize("gradient, sampler", EVERY)
def test_a_retained_gradient_is_the_gradient(gradient, sampler):
    _, source, retained = grads_of(gradient, sampler)
    assert torch.allclose(retained, source)


def test_a_hook_stays_for_the_next_backward_pass():
    net = Net()
    net.w.register_hook(lambda g: 2 * g)
    denoiser, found = NetworkDenoiser(net, "scaled-linear"), []
    for _ in range(2):
        net.w.grad = None
        sampled(denoiser, "checkpoint", "ddim", [net.w]).backward()
        found.append(net.w.grad)
    assert torch.equal(*found)


def test_frozen_parameters_may_be_named_beside_others():
    net = Net()
    net.frozen = nn.Parameter(torch.ones(2).double(), requires_grad=False)
    sampled(NetworkDenoiser(net, "scaled-linear"), "checkpoint", "ddim", net.parameters()).backward()
    assert net.w.grad.norm() > 0


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint"])
def test_naming_frozen_tensors_only_is_an_error(gradient):
    net = Net().requires_grad_(False)
    with pytest.raises(ValueError, match="wrt names a tensor that is frozen: call requires_grad_"):
        gradbench.sample(NetworkDenoiser(net, "scaled-linear"), X_T, gradient=gradient, wrt=net.parameters())


def test_a_frozen_condition_is_an_error_even_beside_others():
    net, condition = Net(), torch.zeros(6).double()
    with pytest.raises(ValueError, match=r"tensor 1 of wrt \(6,\) is frozen: call requires_grad_"):
        sampled(NetworkDenoiser(net, "scaled-linear", condition=condition), "checkpoint", "ddim", [net.w, condition])
