"""What `wrt` names: each tensor counts once, and none is lost in silence."""

import functools
from collections import deque

import pytest
import torch
from torch import nn

import gradbench
from gradbench import NetworkDenoiser
from gradbench.problems.gradients import relative_error

X_T = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)).double()
ONE_STEP = ["checkpoint", "revolve[snapshots=2]", "draft[k=5]", "adjoint-deis", "torchdiffeq-adjoint"]
EVERY = [
    *(("backprop", s) for s in ("ddim", "belm")),
    *((g, "ddim") for g in ONE_STEP),
    ("reversible", "belm"),
    ("reversible", "edict"),
    ("reversible", "rex"),
    ("checkpoint", "ddpm"),
    ("adjoint-dpm[trajectory=stored]", "ddpm"),
    ("torchsde-adjoint", "ddpm"),
    ("drtune[k=5]", "ddim"),
]


class Net(nn.Module):
    """tanh(W x + b(condition)) + pooled."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.w = nn.Parameter(0.3 * torch.randn(6, 6, generator=generator).double())

    def forward(self, x, time, condition=None, pooled=None):
        out = torch.tanh(x @ self.w + (0 if condition is None else condition))
        return out if pooled is None else out + 0.1 * pooled


def sampled(denoiser, gradient, sampler, wrt, **options):
    x_0 = gradbench.sample(denoiser, X_T, sampler=sampler, steps=5, t_min=0.05, gradient=gradient, wrt=wrt, **options)
    return x_0.square().sum()


@pytest.mark.parametrize("gradient, sampler", EVERY)
@pytest.mark.parametrize("times", [2, 3])
def test_a_tensor_that_is_named_again_counts_once(gradient, sampler, times):
    condition = nn.Parameter(torch.full((6,), 0.2).double())
    grads = []
    for repeats in (1, times):
        denoiser = NetworkDenoiser(Net(), "scaled-linear", condition=condition)
        named = [condition, denoiser.network.w] * repeats
        condition.grad = None
        sampled(denoiser, gradient, sampler, named).backward()
        grads.append((condition.grad.clone(), denoiser.network.w.grad))
    assert all(torch.equal(once, again) for once, again in zip(*grads, strict=True))


@pytest.mark.parametrize("gradient, sampler", EVERY)
def test_a_condition_that_is_a_parameter_may_be_named_by_both_its_names(gradient, sampler):
    condition = nn.Parameter(torch.full((6,), 0.2).double())
    denoiser = NetworkDenoiser(Net(), "scaled-linear", condition=condition)
    found = []
    for named in ([condition, *denoiser.parameters()], [*denoiser.parameters()]):
        condition.grad = None
        sampled(denoiser, gradient, sampler, named).backward()
        found.append(condition.grad.clone())
    assert torch.equal(*found)


@pytest.mark.parametrize("listing", [iter, tuple, set, lambda p: {k: 0 for k in p}.keys(), lambda p: (q for q in p)])
def test_any_iterable_of_tensors_is_taken(listing):
    net = Net()
    sampled(NetworkDenoiser(net, "scaled-linear"), "checkpoint", "ddim", listing(list(net.parameters()))).backward()
    assert net.w.grad.norm() > 0


@pytest.mark.parametrize("wrong", [torch.ones(2), "w", None, 3, [("w", torch.ones(2))], [None]])
def test_what_is_no_list_of_tensors_is_refused_with_the_remedy(wrong):
    with pytest.raises(ValueError, match=r"wrt must be a list of tensors, got .*: write wrt="):
        gradbench.sample(NetworkDenoiser(Net(), "scaled-linear"), X_T, wrt=wrong)


@pytest.mark.parametrize("gradient, sampler", EVERY)
def test_a_named_tensor_that_is_never_reached_is_an_error_that_names_it(gradient, sampler):
    net = Net()
    net.spare = nn.Parameter(torch.ones(2).double())
    denoiser = NetworkDenoiser(net, "scaled-linear")
    with pytest.raises(RuntimeError, match=r"wrt names network.spare \(2,\), which the chain never reaches"):
        sampled(denoiser, gradient, sampler, [net.w, net.spare]).backward()


@pytest.mark.parametrize("gradient, sampler", EVERY)
def test_a_sample_may_be_changed_in_place(gradient, sampler):
    grads = []
    for clamp in (torch.Tensor.clamp, torch.Tensor.clamp_):
        denoiser = NetworkDenoiser(Net(), "scaled-linear")
        named = list(denoiser.parameters())
        x_0 = gradbench.sample(denoiser, X_T, sampler=sampler, steps=5, t_min=0.05, gradient=gradient, wrt=named)
        grads += torch.autograd.grad(clamp(x_0, min=0.0).square().sum(), named)
    assert torch.equal(*grads) and grads[0].norm() > 0


@pytest.mark.parametrize("gradient, sampler", EVERY)
def test_an_unused_tensor_is_passed_over_where_that_is_allowed(gradient, sampler):
    net, other = Net(), torch.ones(2, requires_grad=True)
    sampled(NetworkDenoiser(net, "scaled-linear"), gradient, sampler, [net.w, other], allow_unused=True).backward()
    assert net.w.grad.norm() > 0 and (other.grad is None or not other.grad.any())


def test_a_tensor_that_nobody_knows_is_named_by_its_place():
    net = Net()
    with pytest.raises(RuntimeError, match=r"tensor 1 of wrt \(4,\)"):
        loss = sampled(
            NetworkDenoiser(net, "scaled-linear"), "checkpoint", "ddim", [net.w, torch.ones(4, requires_grad=True)]
        )
        loss.backward()


@pytest.mark.parametrize("gradient", ["checkpoint", "adjoint-deis", "draft[k=5]"])
def test_a_tensor_that_is_computed_from_another_is_not_counted_in_both(gradient):
    leaf = torch.full((6,), 0.2, dtype=torch.float64, requires_grad=True)
    computed = 2 * leaf
    denoiser = NetworkDenoiser(Net().requires_grad_(False), "scaled-linear", condition=computed)
    with pytest.raises(ValueError, match=r"wrt names condition \(6,\) and tensor 1 of wrt .*name the first only"):
        sampled(denoiser, gradient, "ddim", [computed, leaf])


@pytest.mark.parametrize("gradient, sampler", [e for e in EVERY if "torchsde" not in e[0] and "adjoint-d" not in e[0]])
def test_a_pooled_embedding_that_is_named_gets_its_gradient(gradient, sampler):
    grads = []
    for name in ("backprop", gradient):
        pooled = torch.full((1, 6), 0.3, dtype=torch.float64, requires_grad=True)
        denoiser = NetworkDenoiser(Net().requires_grad_(False), "scaled-linear", extra={"pooled": pooled})
        grads.append(torch.autograd.grad(sampled(denoiser, name, sampler, [pooled]), pooled)[0])
    exact = gradient.partition("[")[0] not in ("adjoint-deis", "torchdiffeq-adjoint", "drtune")
    assert relative_error(grads[1], grads[0]) < 1e-10 or not exact
    assert grads[1].norm() > 0


@pytest.mark.parametrize(
    "gradient, sampler", [("checkpoint", "ddpm"), ("revolve", "ddpm"), ("reversible", "rex[chart=data-sde]")]
)
def test_step_noises_that_are_named_get_their_gradient(gradient, sampler):
    grads = []
    for name in ("backprop", gradient):
        noise = torch.randn(5, 3, 6, generator=torch.Generator().manual_seed(2)).double().requires_grad_()
        denoiser = NetworkDenoiser(Net().requires_grad_(False), "scaled-linear")
        loss = sampled(denoiser, name, sampler, [noise], noise=noise)
        grads.append(torch.autograd.grad(loss, noise)[0])
    assert relative_error(grads[1], grads[0]) < 1e-9 and grads[0].norm() > 0


def held_by(place):
    """A network that reads one more trainable tensor, held in that place, and the tensor."""
    leaf = torch.full((6,), 0.1, dtype=torch.float64, requires_grad=True)
    net = Net().requires_grad_(False)
    if place == "attribute":
        net.shift = leaf
    elif place == "list":
        net.kept = [1, {"a": (leaf,)}]
    elif place == "module in a list":
        net.kept = [nn.ParameterList([leaf])]
    elif place == "object":
        net.processor = type("Processor", (), {})()
        net.processor.scale = leaf
    elif place == "hook":
        net.register_forward_hook(lambda module, inputs, output: output + leaf)
    elif place == "pre-hook of a partial":
        net.register_forward_pre_hook(functools.partial(lambda shift, module, inputs: None, leaf))
    elif place == "bound method":
        adapter = nn.Linear(6, 6).double()
        leaf = adapter.weight
        adapter.bias.requires_grad_(False)
        adapter.hook = lambda module, inputs, output: adapter(output)
        net.register_forward_hook(adapter.hook)
    elif place == "closure of forward":
        net.forward = lambda x, time, condition: torch.tanh(x @ net.w + leaf)
    elif place == "default":
        net.forward = lambda x, time, condition, shift=leaf: torch.tanh(x @ net.w + shift)
    return net, leaf


PLACES = [
    "attribute",
    "list",
    "module in a list",
    "object",
    "hook",
    "pre-hook of a partial",
    "bound method",
    "closure of forward",
    "default",
]


@pytest.mark.parametrize("place", PLACES)
def test_a_trainable_tensor_is_seen_wherever_a_module_holds_it(place):
    net, _ = held_by(place)
    with pytest.raises(ValueError, match="a trainable tensor that wrt does not name"):
        gradbench.sample(NetworkDenoiser(net, "scaled-linear"), X_T, steps=2)


GLOBAL = torch.full((6,), 0.1, dtype=torch.float64)


class ReadsGlobal(Net):
    def forward(self, x, time, condition):
        return torch.tanh(x @ self.w + GLOBAL)


def test_a_global_tensor_that_a_forward_method_names_is_seen():
    GLOBAL.requires_grad_()
    try:
        with pytest.raises(ValueError, match="global GLOBAL"):
            gradbench.sample(NetworkDenoiser(ReadsGlobal().requires_grad_(False), "scaled-linear"), X_T, steps=2)
    finally:
        GLOBAL.requires_grad_(False)


@pytest.mark.parametrize("name", ["extra", "null_extra"])
def test_a_trainable_tensor_in_what_the_network_is_told_is_seen(name):
    told = {"extra": {"pooled": torch.zeros(1, 6)}, "null_extra": {"pooled": torch.zeros(1, 6)}}
    told[name]["pooled"].requires_grad_()
    denoiser = NetworkDenoiser(Net().requires_grad_(False), "scaled-linear", guidance=2.0, **told)
    with pytest.raises(ValueError, match="pooled"):
        gradbench.sample(denoiser, X_T, steps=2)


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "revolve"])
def test_trainable_step_noises_need_no_mention_and_count_once_if_named(gradient):
    denoiser, found = NetworkDenoiser(Net().requires_grad_(False), "scaled-linear"), []
    for named in (False, True):
        noise = torch.ones(5, 3, 6).double().requires_grad_()
        sampled(denoiser, gradient, "ddpm", [noise] if named else [], noise=noise).backward()
        found.append(noise.grad)
    assert found[0].abs().min() > 0 and torch.equal(*found)


@pytest.mark.parametrize("grid", [torch.linspace(1, 0.01, 6), list(torch.linspace(1, 0.01, 6))])
def test_a_grid_that_asks_for_a_gradient_is_refused(grid):
    grid = [t.requires_grad_() for t in grid] if isinstance(grid, list) else grid.requires_grad_()
    with pytest.raises(ValueError, match="grid must not require a gradient"):
        gradbench.sample(NetworkDenoiser(Net().requires_grad_(False), "scaled-linear"), X_T, grid=grid)


@pytest.mark.parametrize("gradient", ["draft[k=1]", "draft[k=4]", "refl", "alignprop[law=released-v2]"])
def test_x_T_that_a_truncation_cannot_reach_is_refused_before_any_work(gradient):
    net, steps = Net().requires_grad_(False), 50 if "v2" in gradient else 5
    denoiser = NetworkDenoiser(net, "scaled-linear")
    with pytest.raises(ValueError, match="never reaches x_T"):
        gradbench.sample(denoiser, X_T.clone().requires_grad_(), steps=steps, gradient=gradient)
    assert denoiser.calls == 0


@pytest.mark.parametrize("gradient", ["draft[k=5]", "alignprop", "alignprop[law=unbiased]", "drtune", "shortcut"])
def test_x_T_is_served_by_a_truncation_that_may_reach_it(gradient):
    x_T = X_T.clone().requires_grad_()
    gradbench.sample(NetworkDenoiser(Net().requires_grad_(False), "scaled-linear"), x_T, steps=5, gradient=gradient)


def test_x_T_has_zeros_where_the_plan_that_was_drawn_does_not_reach_it():
    """A gradient for every draw: otherwise torch says that x_T was not used, for some seeds."""
    denoiser, norms = NetworkDenoiser(Net().requires_grad_(False), "scaled-linear"), []
    for seed in range(30):
        x_T = X_T.clone().requires_grad_()
        torch.manual_seed(seed)
        x_0 = gradbench.sample(denoiser, x_T, steps=5, gradient="alignprop[law=paper]")
        norms.append(torch.autograd.grad(x_0.sum(), x_T)[0].norm().item())
    assert 0 in norms and max(norms) > 0


class Slots:
    __slots__ = ("leaf",)

    def __init__(self, leaf):
        self.leaf = leaf


class Holder:
    """A plain object; its method is a hook."""

    def __init__(self, value):
        self.value = value

    def hook(self, module, inputs, output):
        return output + self.value[0]


class Get(Net):
    """Reads one more tensor, by a function of what it holds."""

    def __init__(self, kept, get):
        super().__init__()
        self.kept, self.get = kept, get

    def forward(self, x, time, condition=None):
        return super().forward(x, time) + self.get(self.kept)


GLOBALS = [None]


def of_helper(kept):
    return GLOBALS[0]


HIDDEN = {
    "a deque": (lambda leaf: deque([leaf]), lambda kept: kept[0]),
    "values of a mapping": (lambda leaf: {"a": leaf}.values(), lambda kept: next(iter(kept))),
    "a slot": (Slots, lambda kept: kept.leaf),
    "a list in an object": (lambda leaf: Holder([leaf]), lambda kept: kept.value[0]),
    "a mapping in an object": (lambda leaf: Holder({"a": leaf}), lambda kept: kept.value["a"]),
    "a module in an object": (lambda leaf: Holder(nn.ParameterList([leaf])), lambda kept: kept.value[0]),
    "an object in an object": (lambda leaf: Holder(Holder(leaf)), lambda kept: kept.value.value),
    "a global list": (lambda leaf: GLOBALS.__setitem__(0, leaf), lambda kept: GLOBALS[0]),
    "a global list in a comprehension": (
        lambda leaf: GLOBALS.__setitem__(0, leaf),
        lambda kept: sum([share * GLOBALS[0] for share in (0.5, 0.5)]),
    ),
    "a global list that a helper reads": (lambda leaf: GLOBALS.__setitem__(0, leaf), of_helper),
    "a computed tensor": (lambda leaf: deque([{"a": Holder([Holder(2 * leaf)])}]), lambda k: k[0]["a"].value[0].value),
    "a list in the object of a hook": (lambda leaf: Holder([leaf]), None),
    "a hook of all modules": (lambda leaf: leaf, None),
}
TAPED = [("srpo[branch=denoise]", "flow-euler"), ("leapalign", "flow-euler"), ("drtune[k=3]", "ddim")]


def hiding(place, monkeypatch):
    """A network that reads one more trainable tensor, hidden in that place, and the tensor."""
    leaf = nn.Parameter(torch.full((6,), 0.1).double())
    keep, get = HIDDEN[place]
    monkeypatch.setitem(globals(), "GLOBALS", [None])
    kept = keep(leaf)
    if get is not None:
        return Get(kept, get).requires_grad_(False), leaf
    net = Net().requires_grad_(False)
    if place == "a hook of all modules":
        handle = nn.modules.module.register_module_forward_hook(
            lambda module, inputs, output: output + leaf if module is net else output
        )
        monkeypatch.setattr(net, "handle", handle, raising=False)
        return net, leaf
    net.register_forward_hook(kept.hook)
    return net, leaf


@pytest.mark.parametrize("gradient, sampler", EVERY + TAPED)
@pytest.mark.parametrize("place", HIDDEN)
def test_a_trainable_tensor_on_the_tape_is_an_error_wherever_it_is_held(place, gradient, sampler, monkeypatch):
    net, leaf = hiding(place, monkeypatch)
    x_T, flow = X_T.clone().requires_grad_("srpo" not in gradient and "leap" not in gradient), "flow" in sampler
    denoiser = NetworkDenoiser(net, "rectified" if flow else "scaled-linear", kind="flow" if flow else "eps")
    wrt = [] if x_T.requires_grad else [net.w.requires_grad_()]
    options = {"sampler": sampler, "steps": 5, "t_max": 1.0, "t_min": 0.05, "gradient": gradient}
    try:
        with pytest.raises(ValueError, match="a trainable tensor that wrt does not name"):
            gradbench.sample(denoiser, x_T, wrt=wrt, **options).sum().backward()
        if place != "a computed tensor":
            gradbench.sample(denoiser, x_T, wrt=[*wrt, leaf], **options).sum().backward()
            assert leaf.grad is not None
    finally:
        if hasattr(net, "handle"):
            net.handle.remove()


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "adjoint-deis", "draft[k=5]"])
def test_what_a_named_tensor_is_computed_from_need_not_be_named(gradient):
    leaf = nn.Parameter(torch.full((6,), 0.2).double())
    condition = 2 * leaf
    denoiser = NetworkDenoiser(Net().requires_grad_(False), "scaled-linear", condition=condition)
    sampled(denoiser, gradient, "ddim", [condition]).backward()
    assert leaf.grad.norm() > 0


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "adjoint-deis", "draft[k=5]"])
def test_what_x_T_is_computed_from_need_not_be_named(gradient):
    leaf = X_T.clone().requires_grad_()
    denoiser = NetworkDenoiser(Net().requires_grad_(False), "scaled-linear")
    gradbench.sample(denoiser, 2 * leaf, steps=5, gradient=gradient).sum().backward()
    assert leaf.grad.norm() > 0
