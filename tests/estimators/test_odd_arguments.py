"""Arguments of `gradbench.sample` that are nearly right: served where their meaning is clear, else one line."""

import diffusers
import numpy as np
import pytest
import torch
from torch import nn

import gradbench
from gradbench import NetworkDenoiser
from gradbench.diffusion.grid import Stop

X_T = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)).double()
TIMES = [1.0, 0.6, 0.3, 0.01]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(0.3 * torch.randn(6, 6, generator=torch.Generator().manual_seed(1)).double())

    def forward(self, x, time, condition=None):
        return torch.tanh(x @ self.w) + time / 1000


def sampled(**options):
    return gradbench.sample(NetworkDenoiser(Net().requires_grad_(False), "scaled-linear"), X_T, **options)


@pytest.mark.parametrize(
    "listing",
    [tuple, np.array, torch.tensor, iter, lambda t: (each for each in t), lambda t: [np.float64(v) for v in t]],
)
def test_a_grid_may_be_any_iterable_of_numbers(listing):
    held = listing(TIMES)
    expected = held.tolist() if isinstance(held, torch.Tensor) else TIMES  # a tensor of float32 rounds
    assert torch.equal(sampled(grid=held), sampled(grid=expected))


def test_a_grid_keeps_what_its_stops_carry():
    grid = [Stop(1.0, told=500.0), 0.5, 0.1]
    assert torch.equal(sampled(grid=iter(grid)), sampled(grid=grid))
    assert not torch.equal(sampled(grid=grid), sampled(grid=[float(t) for t in grid]))


@pytest.mark.parametrize("grid", [0.5, np.array(0.5), torch.tensor(0.5), [TIMES, TIMES], ["a", "b"], [None, 0.1], "ab"])
def test_a_grid_that_is_no_list_of_numbers_is_refused(grid):
    with pytest.raises(ValueError, match=r"^grid must be a list of decreasing times, got [^\n]*$"):
        sampled(grid=grid)


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_steps_and_seed_may_be_numpys(kind):
    assert torch.equal(sampled(steps=kind(3), seed=kind(5), sampler="ddpm"), sampled(steps=3, seed=5, sampler="ddpm"))


def test_a_range_of_time_may_be_numpys():
    ends = {"t_max": np.float64(0.9), "t_min": np.float64(0.1)}
    assert torch.equal(sampled(steps=3, **ends), sampled(steps=3, t_max=0.9, t_min=0.1))


def test_options_of_an_estimator_may_be_numpys():
    assert gradbench.estimator("revolve", snapshots=np.int64(2)) == gradbench.estimator("revolve", snapshots=2)


def test_a_problem_of_ones_own_takes_them_too():
    net = Net()
    denoiser, found = NetworkDenoiser(net, "scaled-linear"), []
    for steps, wrt in ((3, [net.w]), (np.int64(3), dict(net.named_parameters()))):
        problem = gradbench.problem(denoiser, lambda x: x.square().sum(1), X_T, steps=steps, seed=steps, wrt=wrt)
        found += gradbench.estimator("checkpoint")(problem).grads["parameters"]
    assert torch.equal(*found)


@pytest.mark.parametrize("wrong", [{"denoiser": Net()}, {"sampler": diffusers.DDIMScheduler()}])
def test_a_problem_of_ones_own_refuses_them_in_one_line(wrong):
    given = {"denoiser": NetworkDenoiser(Net(), "scaled-linear"), "objective": torch.sum, "x_T": X_T, **wrong}
    with pytest.raises(ValueError, match=r"^(denoiser|sampler) must be a [^\n]*, got (Net|DDIMScheduler)[^\n]*$"):
        gradbench.problem(**given)


@pytest.mark.parametrize("steps", [np.float64(3), np.bool_(True), np.int64(0), np.array([3])])
def test_steps_that_are_no_count_are_refused(steps):
    with pytest.raises(ValueError, match="steps must be an integer >= 1"):
        sampled(steps=steps)


@pytest.mark.parametrize("noise", [None, [X_T] * 3, np.zeros((3, 3, 6))])
def test_noise_that_is_no_tensor_is_refused(noise):
    with pytest.raises(ValueError, match=r"noise must be 'keyed', 'nested' or a tensor \(steps, b, \*x\), got"):
        sampled(noise=noise, sampler="ddpm", steps=3)


@pytest.mark.parametrize("name", ["controls", "states"])
def test_what_moves_the_steps_must_be_a_tensor(name):
    given = {"controls": {"velocity": [X_T] * 3}, "states": [X_T] * 3}
    with pytest.raises(ValueError, match=rf"{name}.* must be a tensor, got list"):
        sampled(**{name: given[name]}, steps=3)


def test_a_scheduler_is_no_sampler():
    with pytest.raises(ValueError, match=r"got DDIMScheduler: of a scheduler give gradbench.sampler_for\(scheduler\)"):
        sampled(sampler=diffusers.DDIMScheduler(clip_sample=False))


def test_a_scheduler_is_no_schedule():
    with pytest.raises(ValueError, match=r"got DDIMScheduler: .* give gradbench.from_diffusers\(scheduler\)$"):
        NetworkDenoiser(Net(), diffusers.DDIMScheduler())


@pytest.mark.parametrize("of", [gradbench.from_diffusers, gradbench.sampler_for, lambda s: gradbench.grid_of(s, 4)])
def test_a_class_of_schedulers_is_refused(of):
    with pytest.raises(ValueError, match="must be an instance, got the class DDIMScheduler: give DDIMScheduler.from_"):
        of(diffusers.DDIMScheduler)


@pytest.mark.parametrize("name", ["sigmas", "timesteps"])
@pytest.mark.parametrize("empty", [[], np.array([])])
def test_an_empty_list_of_times_is_refused(name, empty):
    with pytest.raises(ValueError, match=f"{name} must hold at least one"):
        gradbench.grid_of(diffusers.FlowMatchEulerDiscreteScheduler(), **{name: empty})


def test_steps_of_a_scheduler_may_be_numpys():
    flow = diffusers.FlowMatchEulerDiscreteScheduler()
    assert gradbench.grid_of(flow, np.int64(5)) == gradbench.grid_of(flow, 5)


LISTINGS = {
    "dict": lambda net: dict(net.named_parameters()),
    "ParameterDict": lambda net: nn.ParameterDict(dict(net.named_parameters())),
    "param_groups": lambda net: torch.optim.SGD(net.parameters(), lr=0.1).param_groups,
    "a group": lambda net: torch.optim.Adam(net.parameters()).param_groups[0],
    "a tensor by that name": lambda net: {"params": net.w},
}


@pytest.mark.parametrize("listing", LISTINGS)
def test_wrt_may_be_a_mapping_or_the_groups_of_an_optimizer(listing):
    found = []
    for named in (LISTINGS[listing], lambda net: [net.w]):
        net = Net()
        x_0 = gradbench.sample(NetworkDenoiser(net, "scaled-linear"), X_T, steps=3, wrt=named(net))
        found += torch.autograd.grad(x_0.square().sum(), net.w)
    assert torch.equal(*found)


def test_wrt_may_be_several_groups():
    net = Net()
    net.other = nn.Parameter(torch.ones(2))
    groups = torch.optim.SGD([{"params": [net.w]}, {"params": [net.other], "lr": 0.5}], lr=0.1).param_groups
    denoiser = NetworkDenoiser(net, "scaled-linear")
    assert gradbench.sample(denoiser, X_T, steps=2, wrt=groups, allow_unused=True).requires_grad
