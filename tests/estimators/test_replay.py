"""A repeated step equals the original one, or raises an error."""

import pytest
import torch
from torch import nn

import gradbench
from gradbench import NetworkDenoiser
from gradbench.estimators.replay import ROUNDOFF

X_T = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)).double()
RECOMPUTING = [
    ("checkpoint", "ddim"),
    ("revolve[snapshots=2]", "ddim"),
    ("reversible", "belm"),
    ("reversible", "rex"),
    ("reversible", "edict"),
    ("draft[k=2]", "ddim"),
    ("draft[k=1]", "dpm++2m"),
    ("refl", "ddim"),
    ("drtune[k=2]", "heun"),
    ("shortcut", "ddim"),
    ("adjoint-deis", "ddim"),
    ("adjoint-dpm", "ddim"),
    ("continuous-adjoint", "ddim"),
    ("torchdiffeq-adjoint", "ddim"),
    ("torchsde-adjoint", "ddpm"),
]
BY_STATES = [pair for pair in RECOMPUTING if pair[0].startswith(("checkpoint", "rev"))]
BY_STATES += [("draft[k=3]", "ddim"), ("draft[k=2]", "dpm++2m"), ("alignprop[law=unbiased]", "ddim")]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(0.5 * torch.eye(6).double())
        self.frozen = nn.Parameter(torch.full((6,), 0.1).double(), requires_grad=False)
        self.drop = nn.Dropout(0.5)
        self.scaling = {"default": 1.0}

    def forward(self, x, time, condition, pooled=None):
        out = torch.tanh(x @ self.w + condition + self.frozen) * self.scaling["default"]
        return self.drop(out if pooled is None else out + pooled)


def denoiser():
    made = NetworkDenoiser(
        Net().eval(),
        "scaled-linear",
        condition=torch.full((6,), 0.3).double(),
        null_condition=torch.zeros(6).double(),
        guidance=2.0,
        extra={"pooled": torch.zeros(1, 6).double()},
    )
    return made


def hooked():
    """A module with a forward hook."""
    made = nn.Identity()
    made.register_forward_hook(lambda module, inputs, output: 2 * output)
    return made


CHANGES = {
    "condition": lambda d: setattr(d, "condition", torch.ones(6).double()),
    "condition in place": lambda d: d.condition.add_(1.0),
    "null_condition": lambda d: setattr(d, "null_condition", torch.ones(6).double()),
    "extra": lambda d: d.extra.update(pooled=torch.ones(1, 6).double()),
    "guidance": lambda d: setattr(d, "guidance", 3.0),
    "training": lambda d: d.train(),
    "scaling": lambda d: d.network.scaling.update(default=0.5),
    "frozen": lambda d: torch.nn.init.constant_(d.network.frozen, 1.0),
    "hook": lambda d: d.network.register_forward_hook(lambda module, inputs, output: 2 * output),
    "hook of a module that came": lambda d: d.network.drop.add_module("came", hooked()),
    "forward": lambda d: setattr(d.network, "forward", lambda x, time, condition, pooled=None: x),
}


def loss_of(made, gradient, sampler, steps=6):
    return gradbench.sample(
        made, X_T, sampler=sampler, steps=steps, t_min=0.05, gradient=gradient, wrt=[made.network.w]
    ).sum()


@pytest.mark.parametrize("gradient, sampler", RECOMPUTING)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_before_the_backward_pass_is_an_error_that_names_it(change, gradient, sampler):
    made = denoiser()
    loss = loss_of(made, gradient, sampler)
    CHANGES[change](made)
    with pytest.raises(RuntimeError, match=rf"changed between the sample and its backward pass .*{change.split()[0]}"):
        loss.backward()


@pytest.mark.parametrize("gradient, sampler", RECOMPUTING)
def test_a_change_that_is_taken_back_is_none(gradient, sampler):
    made = denoiser()
    loss = loss_of(made, gradient, sampler)
    made.guidance, made.condition = 3.0, made.condition.clone()
    made.network.train().eval()
    made.guidance = 2.0
    loss.backward()
    assert made.network.w.grad.norm() > 0


def test_two_samples_of_one_denoiser_may_wait_for_their_backward_pass():
    made, apart = denoiser(), []
    both = loss_of(made, "checkpoint", "ddim") + loss_of(made, "revolve[snapshots=2]", "ddim")
    both.backward()
    for _ in range(2):
        one = denoiser()
        loss_of(one, "checkpoint", "ddim").backward()
        apart.append(one.network.w.grad)
    assert torch.allclose(made.network.w.grad, apart[0] + apart[1], rtol=1e-12)


class Cached(Net):
    """Runs the costly part only in every second call, like DeepCache."""

    calls, kept = 0, None

    def forward(self, x, time, condition, pooled=None):
        if self.calls % 2 == 0 or self.kept is None or len(self.kept) != len(x):
            self.kept = torch.tanh(x @ self.w + condition)
        self.calls, out = self.calls + 1, self.kept
        self.kept = self.kept.detach()
        return out + 0.1 * x


@pytest.mark.parametrize("gradient, sampler", BY_STATES)
def test_a_network_that_answers_from_a_cache_is_an_error(gradient, sampler):
    torch.manual_seed(1)  # the plan of a random truncation
    made = NetworkDenoiser(Cached(), "scaled-linear", condition=torch.full((6,), 0.3).double())
    loss = loss_of(made, gradient, sampler, steps=5)
    with pytest.raises(RuntimeError, match="answers from a cache"):
        loss.backward()


@pytest.mark.parametrize("gradient, sampler", [("checkpoint", "ddim"), ("revolve", "ddim"), ("draft[k=2]", "ddim")])
def test_a_network_that_draws_from_its_own_generator_is_an_error(gradient, sampler):
    class Noisy(Net):
        generator = torch.Generator().manual_seed(0)

        def forward(self, x, time, condition, pooled=None):
            return torch.tanh(x @ self.w) + 0.1 * torch.randn(x.shape, generator=self.generator)

    made = NetworkDenoiser(Noisy(), "scaled-linear")
    with pytest.raises(RuntimeError, match="its own random generator"):
        loss_of(made, gradient, sampler).backward()


@pytest.mark.parametrize("dtype", ROUNDOFF)
@pytest.mark.parametrize("gradient", ["checkpoint", "revolve", "draft[k=3]"])
def test_rounding_of_the_networks_precision_is_no_other_step(dtype, gradient):
    """Sums in another order in every second call, as with non-deterministic kernels."""

    class Shuffled(nn.Module):
        def __init__(self):
            super().__init__()
            generator = torch.Generator().manual_seed(0)
            self.w = nn.Parameter((torch.randn(64, 64, generator=generator) / 8).to(dtype))
            self.calls = 0

        def forward(self, x, time, condition):
            self.calls += 1
            order = torch.randperm(64, generator=torch.Generator().manual_seed(self.calls))
            return torch.tanh((x[:, order, None] * self.w[order]).sum(1))

    net = Shuffled()
    x_T = torch.randn(4, 64, generator=torch.Generator().manual_seed(1))
    x_T = x_T.double() if dtype == torch.float64 else x_T
    made = NetworkDenoiser(net, "scaled-linear")
    gradbench.sample(made, x_T, steps=20, gradient=gradient, wrt=[net.w]).sum().backward()
    assert net.w.grad.norm() > 0


@pytest.mark.parametrize("share", [1.0, 4.0])
def test_the_tolerance_is_the_one_that_is_stated(share):
    """A network whose output changes by `share` of u^(1/2), relative to the length of a step with eps = 1."""

    class Off(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.calls = nn.Parameter(torch.ones(1)), 0

        def forward(self, x, time, condition):
            self.calls += 1
            off = share * 2.0**-12 / 2 if self.calls > 1 else 0.0
            return self.w * torch.ones_like(x) * (1 + off)

    net = Off()
    grid = (0.02, 0.01)  # where alpha is nearly 1, so that the step goes as far as its noise carries it
    x_0 = gradbench.sample(NetworkDenoiser(net, "scaled-linear"), torch.zeros(2, 3), grid=grid, wrt=[net.w])
    if share > 2:
        with pytest.raises(RuntimeError, match="gives a different state"):
            x_0.sum().backward()
    else:
        x_0.sum().backward()


def test_a_chain_that_cannot_be_inverted_to_where_it_set_out_is_an_error():
    made = NetworkDenoiser(Net().eval(), "scaled-linear", condition=torch.full((6,), 0.3).double())
    x_0 = gradbench.sample(
        made, X_T.float(), sampler="edict[p=0.5]", steps=20, gradient="reversible", wrt=[made.network.w]
    )
    with pytest.raises(RuntimeError, match=r"the inverted steps arrive .* off x_T"):
        x_0.sum().backward()


def test_a_forward_hook_is_warned_of_where_features_have_no_tape():
    made = denoiser()
    made.network.register_forward_hook(lambda module, inputs, output: None)
    with pytest.warns(UserWarning, match="Features that it captures while sampling have no tape"):
        loss_of(made, "checkpoint", "ddim")
