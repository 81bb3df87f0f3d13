"""What a network must be, and what it must return and leave alone, each told in one line."""

import functools
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import gradbench
from gradbench import NetworkDenoiser

X = torch.tensor([[0.3, -1.2], [0.7, 0.1]], dtype=torch.float64)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.eye(2, dtype=torch.float64))

    def forward(self, x, time, condition=None):
        return torch.tanh(x @ self.w)


class Of(nn.Module):
    """A function as a network."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, time, condition=None):
        return self.function(x)


def traced():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(Net(), (X, torch.tensor(3.0)))


NOT_MODULES = {
    "function": lambda: lambda x, time, condition: x,
    "partial": lambda: functools.partial(Net()),
    "method": lambda: Net().forward,
}


@pytest.mark.parametrize("kind", NOT_MODULES)
@pytest.mark.parametrize("made", ["NetworkDenoiser", "diffusers_denoiser"])
def test_a_network_that_is_no_module_is_refused_with_the_remedy(kind, made):
    with pytest.raises(ValueError, match=rf"must be a torch.nn.Module, got {kind}: wrap it in a module[^\n]*$"):
        getattr(gradbench, made)(NOT_MODULES[kind](), gradbench.make_schedule("scaled-linear"))


def test_a_class_of_networks_is_refused():
    with pytest.raises(ValueError, match="got the class Net: give an instance"):
        NetworkDenoiser(Net, "scaled-linear")


@pytest.mark.parametrize("inside", [False, True])
def test_a_network_compiled_by_jit_is_refused(inside):
    network = Of(traced()) if inside else traced()
    with pytest.raises(ValueError, match=r"is compiled by torch.jit .*: give the module that it was made from"):
        NetworkDenoiser(network, "scaled-linear")


@pytest.mark.parametrize("name", ["condition", "null_condition"])
@pytest.mark.parametrize("given", [[[1.0]], np.ones((1, 2))])
def test_a_condition_that_is_no_tensor_is_refused_when_it_is_given(name, given):
    with pytest.raises(ValueError, match=rf"^{name} must be a tensor, got (list|ndarray): give torch.as_tensor"):
        NetworkDenoiser(Net(), "scaled-linear", **{name: given})


@pytest.mark.parametrize("empty", [(), []])
def test_an_empty_answer_is_refused(empty):
    with pytest.raises(ValueError, match="must return a tensor .* got an empty"):
        NetworkDenoiser(Of(lambda x: empty), "scaled-linear")(X, 0.5)


@pytest.mark.parametrize("cast", [lambda x: torch.complex(x, x), torch.Tensor.long, torch.Tensor.bool])
def test_an_answer_that_is_not_of_real_floats_is_refused(cast):
    with pytest.raises(ValueError, match="must return real floating-point numbers, got torch."):
        NetworkDenoiser(Of(cast), "scaled-linear")(X, 0.5)


IN_PLACE = {
    "mul_": lambda x: x.mul_(0.5),
    "relu": nn.ReLU(inplace=True),
    "index": lambda x: x.index_fill_(1, X[0].long() * 0, 0.0),
}


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "revolve[snapshots=2]", "draft[k=2]", "adjoint-deis"])
@pytest.mark.parametrize("how", IN_PLACE)
def test_a_network_that_changes_x_in_place_is_refused(how, gradient):
    denoiser = NetworkDenoiser(Of(IN_PLACE[how]), "scaled-linear")
    with pytest.raises(ValueError, match=r"changed its input x in place.*: start it with x = x.clone\(\)"):
        gradbench.sample(denoiser, X.clone(), steps=3, gradient=gradient)


def test_a_network_may_change_what_it_copied():
    changed = NetworkDenoiser(Of(lambda x: x.clone().mul_(0.5)), "scaled-linear")
    assert torch.equal(changed(X, 0.5).eps, 0.5 * X)


def test_a_network_of_another_precision_may_change_its_own_copy():
    network = Of(lambda x: x.mul_(0.5))
    network.register_buffer("kept", torch.zeros(1))  # in float32, to which x is converted
    assert torch.equal(NetworkDenoiser(network, "scaled-linear")(X, 0.5).eps, (0.5 * X.float()).double())


@pytest.mark.parametrize("number", [np.float32(3), np.float64(3), np.int64(3)])
def test_a_number_of_numpys_is_a_number(number):
    told = {"condition": X[0], "null_condition": X[1]}
    assert NetworkDenoiser(Net(), "scaled-linear", guidance=number, **told).guidance == 3.0
