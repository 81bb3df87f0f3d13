"""No step waits for the device: between a chain's first and last evaluation, forward and back, no tensor is read."""

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import gradbench
from gradbench.diffusion.denoiser import Denoiser
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.estimators.monte_carlo.base import MonteCarlo
from tests.quick import quick

READS = {"aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal", "aten::nonzero", "aten::masked_select"}
TO_HOST = {"cpu", "numpy", "tolist", "item", "__bool__", "__float__", "__int__"}
NETWORK, OBJECTIVE = "network", "objective"  # entries of a log besides the names of what reads
EACH = (
    *("backprop", "checkpoint", "checkpoint[offload=cpu]", "revolve[snapshots=2]", "adjoint-deis"),
    *("adjoint-deis[order=2,trajectory=resolved]", "adjoint-dpm[rule=rk4]", "continuous-adjoint"),
    *("draft[k=2]", "draft-lv[n=1]", "refl", "alignprop", "drtune[k=2]"),
    *("shortcut", "leapalign", "flowbp[variant=sparse,k=2]"),
    *("flowbp[variant=bridge,k=2]", "flowbp[variant=lagrange]", "srpo"),
)
REVERSIBLE = ("belm", "edict", "rex", "reversible-heun")


class Operations(TorchDispatchMode):
    """Notes operations that read a tensor's values, random states (bytes, which live on the host) left out."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        first = args[0] if args else None
        own = isinstance(first, torch.Tensor) and first.dtype != torch.uint8
        if own and function._schema.name in READS:
            self.log.append(function._schema.name)
        return function(*args, **(kwargs or {}))


class Methods(TorchFunctionMode):
    """Notes the methods that move a tensor to the host, which on a CPU do nothing that an operation would show."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__name__", "") in TO_HOST:
            self.log.append(function.__name__)
        return function(*args, **(kwargs or {}))


def log_of(estimator, sampler="ddim", steps=5):
    """What one gradient, or one draw of it, does in order: uses of the network, the objective, and reads by name."""
    problem, method = gradbench.case("sd-tiny").problem(sampler=sampler, steps=steps), gradbench.estimator(estimator)
    if reason := method.supports(problem.traits):
        pytest.skip(reason)
    log, forward, pulled = [], Denoiser.forward, Denoiser._count_pull

    def evaluated(self, x, t):
        log.append(NETWORK)
        return forward(self, x, t)

    def pull(self, cotangent):
        log.append(NETWORK)
        pulled(self, cotangent)

    seen = problem.objective.register_forward_pre_hook(lambda *given: log.append(OBJECTIVE))
    with pytest.MonkeyPatch.context() as patch, Operations(log), Methods(log):
        patch.setattr(Denoiser, "forward", evaluated)
        patch.setattr(Denoiser, "_count_pull", pull)
        method.alone(problem, 0) if isinstance(method, MonteCarlo) else method(problem)
    seen.remove()
    return log


def reads(log):
    """What is read from the network's first use to its last before the objective, and from there to its last of all."""
    at = log.index(OBJECTIVE)
    forward, back = log[log.index(NETWORK) : at], log[at:]
    parts = (part[: len(part) - part[::-1].index(NETWORK)] for part in (forward, back))
    return [what for part in parts for what in part if what not in (NETWORK, OBJECTIVE)]


@pytest.mark.parametrize("estimator", quick(EACH, 0, 1, 3, 5, 9, 11, 14, 16, 18))
def test_no_step_of_an_estimator_reads_a_tensor(estimator):
    assert reads(log_of(estimator)) == []


@pytest.mark.parametrize("sampler", quick(["dpm++2m", "rk4", "ddpm", "sde-dpm++2m", *REVERSIBLE], 0, 3, 7))
def test_no_step_of_a_sampler_reads_a_tensor(sampler):
    assert reads(log_of("reversible" if sampler in REVERSIBLE else "checkpoint", sampler)) == []


@pytest.mark.parametrize("back", [False, True])
def test_a_step_that_reads_a_tensor_is_seen_forward_and_back(back, monkeypatch):
    from gradbench.samplers.rollout import Rollout

    step = Rollout.step

    def reading(self, k, state):
        after = step(self, k, state)
        return after if torch.is_grad_enabled() != back or torch.isfinite(after[0]).all() else state

    monkeypatch.setattr(Rollout, "step", reading)
    assert reads(log_of("checkpoint"))


def test_every_pathwise_estimator_is_here():
    names = {name.partition("[")[0] for name in EACH} | {"reversible"}
    assert {e.name for e in ESTIMATORS.values() if ".pathwise." in e.factory} <= names
