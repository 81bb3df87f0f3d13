"""No step waits for the device: what an estimator reads from tensors to the host does not grow with the steps."""

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import gradbench
from gradbench.estimators.catalogue import ESTIMATORS
from tests.quick import quick

READS = {"aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal", "aten::nonzero", "aten::masked_select"}
TO_HOST = {"cpu", "numpy", "tolist", "item", "__bool__", "__float__", "__int__"}
EACH = (
    *("backprop", "checkpoint", "checkpoint[offload=cpu]", "revolve[snapshots=2]", "adjoint-deis"),
    *("adjoint-deis[order=2,trajectory=resolved]", "adjoint-dpm[rule=rk4]", "continuous-adjoint"),
    *("draft[k=2]", "draft-lv[n=1]", "refl"),  # other truncations are drawn in groups whose number varies
)


class Operations(TorchDispatchMode):
    """Counts what is read of a tensor's values, random states (bytes, which live on the host) left out."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        first = args[0] if args else None
        own = isinstance(first, torch.Tensor) and first.dtype != torch.uint8
        self.count += own and function._schema.name in READS
        return function(*args, **(kwargs or {}))


class Methods(TorchFunctionMode):
    """Counts the methods that move a tensor to the host, which on a CPU do nothing that an operation would show."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += getattr(function, "__name__", "") in TO_HOST
        return function(*args, **(kwargs or {}))


def reads(estimator, sampler, steps):
    """How often one gradient reads values to the host."""
    problem, method = gradbench.case("sd-tiny").problem(sampler=sampler, steps=steps), gradbench.estimator(estimator)
    if reason := method.supports(problem.traits):
        pytest.skip(reason)
    with Operations() as operations, Methods() as methods:
        method(problem)
    return operations.count + methods.count


@pytest.mark.parametrize("estimator", quick(EACH, 0, 1, 3, 5))
def test_no_step_of_an_estimator_reads_a_tensor(estimator):
    assert reads(estimator, "ddim", 4) == reads(estimator, "ddim", 7)


@pytest.mark.parametrize(
    "sampler", quick(["dpm++2m", "rk4", "ddpm", "sde-dpm++2m", "belm", "edict", "rex", "reversible-heun"], 0, 3, 7)
)
def test_no_step_of_a_sampler_reads_a_tensor(sampler):
    estimator = "reversible" if sampler in ("belm", "edict", "rex", "reversible-heun") else "checkpoint"
    assert reads(estimator, sampler, 4) == reads(estimator, sampler, 7)


def test_a_step_that_reads_a_tensor_is_seen(monkeypatch):
    from gradbench.samplers.rollout import Rollout

    step = Rollout.step

    def reading(self, k, state):
        after = step(self, k, state)
        return after if torch.isfinite(after[0]).all() else state

    monkeypatch.setattr(Rollout, "step", reading)
    assert reads("checkpoint", "ddim", 7) > reads("checkpoint", "ddim", 4)


def test_every_estimator_that_goes_back_through_steps_is_here():
    names = {name.partition("[")[0] for name in EACH} | {"reversible"}
    pathwise = {e.name for e in ESTIMATORS.values() if not e.requires and e.traits.get("exact")}
    assert pathwise <= names
