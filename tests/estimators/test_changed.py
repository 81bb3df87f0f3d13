"""A continuous adjoint takes no step again, and sees a change between the sample and its backward pass all the same."""

import types

import pytest
import torch
from torch import nn

import gradbench
from gradbench import NetworkDenoiser
from gradbench.estimators.contents import sum_of_bits
from gradbench.estimators.pathwise.pullback import ContinuousAdjoint

X_T = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)).double()
STORED = [("adjoint-deis", "ddim"), ("adjoint-deis[steps=3]", "ddim"), ("continuous-adjoint", "heun")]
STORED += [
    ("continuous-adjoint[trajectory=binomial]", "ddim"),
    ("adjoint-deis", "dpm++2m"),
    ("adjoint-dpm[trajectory=stored]", "ddpm"),
    ("continuous-adjoint", "ab2"),
]
SOLVED = [("adjoint-dpm", "ddim"), ("adjoint-deis[trajectory=resolved]", "ddim"), ("adjoint-deis[steps=1]", "ddim")]
SOLVED += [("continuous-adjoint[trajectory=inverted]", "belm"), ("continuous-adjoint", "reversible-heun")]
SOLVED += [("torchdiffeq-adjoint", "heun"), ("torchsde-adjoint", "ddpm")]
GLOBAL = {"scale": 1.0}


def scaled(x):
    return x * GLOBAL["scale"]


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(0.5 * torch.eye(6).double())

    def forward(self, x, condition):
        return torch.tanh(x @ self.w + condition)


class Net(nn.Module):
    factor = 1.0

    def __init__(self):
        super().__init__()
        self.part = Part()
        self.layers, self.powers, self.control = 2, [1, 2], types.SimpleNamespace(scale=1.0, lists={"a": [1.0]})
        self.frozen = nn.Parameter(torch.full((6,), 0.1).double(), requires_grad=False)
        self.calls, self.seen = 0, []

    def forward(self, x, time, condition):
        self.calls += 1
        self.seen.append(x)
        for _ in range(self.layers):
            x = self.part(x, condition + self.frozen)
        return scaled(x) ** self.powers[0] * self.control.scale * self.factor * self.control.lists["a"][0]


CHANGES = {
    "an integer attribute": lambda d: setattr(d.network, "layers", 1),
    "an integer in a list": lambda d: d.network.powers.__setitem__(0, 3),
    "a plain object": lambda d: setattr(d.network.control, "scale", 0.5),
    "a list in a plain object": lambda d: d.network.control.lists["a"].__setitem__(0, 0.5),
    "a global that a helper reads": lambda d: GLOBAL.update(scale=0.5),
    "data of the condition": lambda d: d.condition.data.add_(1.0),
    "data of a weight": lambda d: d.network.part.w.data.add_(0.1),
    "data of a frozen weight": lambda d: d.network.frozen.data.copy_(torch.ones(6)),
    "a method of a class": lambda d: setattr(Part, "forward", lambda self, x, condition: x @ self.w),
    "an attribute of a class": lambda d: setattr(Net, "factor", 0.5),
    "a schedule": lambda d: setattr(d, "schedule", gradbench.make_schedule("cosine")),
}


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    monkeypatch.setitem(GLOBAL, "scale", 1.0)
    monkeypatch.setattr(Part, "forward", Part.forward)
    monkeypatch.setattr(Net, "factor", 1.0)


def made(network=None):
    return NetworkDenoiser(network or Net(), "scaled-linear", condition=torch.full((6,), 0.3).double())


def loss_of(denoiser, gradient, sampler, weight):
    options = {"sampler": sampler, "gradient": gradient, "steps": 6, "t_min": 0.05}
    return gradbench.sample(denoiser, X_T, wrt=[weight], **options).square().sum()


@pytest.mark.parametrize("gradient, sampler", STORED + SOLVED)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_no_version_shows_is_an_error(change, gradient, sampler):
    denoiser = made()
    loss = loss_of(denoiser, gradient, sampler, denoiser.network.part.w)
    CHANGES[change](denoiser)
    with pytest.raises(RuntimeError, match="was changed between|was changed in between"):
        loss.backward()


@pytest.mark.parametrize("gradient, sampler", STORED + SOLVED)
def test_what_the_network_changes_in_each_call_is_no_change(gradient, sampler):
    denoiser = made()
    weight = denoiser.network.part.w
    both = loss_of(denoiser, gradient, sampler, weight) + loss_of(denoiser, gradient, sampler, weight)
    both.backward()
    assert weight.grad.norm() > 0


@pytest.mark.parametrize("gradient, sampler", STORED + SOLVED[:-2])
def test_the_comparison_evaluates_nothing(gradient, sampler, monkeypatch):
    calls = []
    for compared in (True, False):
        if not compared:
            monkeypatch.setattr(ContinuousAdjoint, "changes", lambda *chain: None)
        denoiser = made()
        loss_of(denoiser, gradient, sampler, denoiser.network.part.w).backward()
        calls.append(denoiser.calls)
    assert calls[0] == calls[1]


class Cached(nn.Module):
    """Runs the costly part in every `period`-th call only."""

    def __init__(self, period):
        super().__init__()
        self.w, self.period, self.calls = nn.Parameter(0.5 * torch.eye(6).double()), period, 0

    def forward(self, x, time, condition):
        if self.calls % self.period == 0:
            self.kept = torch.tanh(x @ self.w.detach() + condition)
        self.calls += 1
        return x @ self.w + self.kept


@pytest.mark.parametrize("gradient, sampler", STORED)
@pytest.mark.parametrize("period", [2, 3, 4])
def test_a_cache_is_noticed_where_states_are_kept(period, gradient, sampler):
    denoiser = made(Cached(period))
    loss = loss_of(denoiser, gradient, sampler, denoiser.network.w)
    with pytest.raises(RuntimeError, match="answers from a cache"):
        loss.backward()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.bool, torch.complex64])
@pytest.mark.parametrize("size", [0, 1, 7, 16])
def test_the_sum_of_bits_shows_any_entry_that_changes(dtype, size):
    tensor = torch.ones(size + 1, dtype=dtype)[1:]
    before = int(sum_of_bits(tensor))
    for place in range(size):
        other = tensor.clone()
        other[place] = 0
        assert int(sum_of_bits(other)) != before
    assert int(sum_of_bits(tensor.clone())) == before
