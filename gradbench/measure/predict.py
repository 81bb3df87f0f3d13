"""Peak memory without running: the estimate is carried out on tensors with only shapes, while their bytes are counted.

Under FakeTensorMode every operation makes a tensor of the right shape, type and storage size without memory or work.
The bytes that `LiveBytes` counts there are those of a real run on a CPU; neither sees kernels' own workspaces.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from torch._subclasses.fake_tensor import DataDependentOutputException

from gradbench.diffusion.denoiser import NetworkDenoiser
from gradbench.estimators.base import GradientEstimator
from gradbench.estimators.monte_carlo.base import MonteCarlo
from gradbench.measure.composed import Composed, Course, NotComposable
from gradbench.measure.cost import held_tensors, parts
from gradbench.measure.fake import FakeBytes, faked
from gradbench.problems.problem import Problem
from gradbench.samplers.adaptive import Adaptive

CHECK = 2  # steps of the whole run that a composed one is compared with
TRIOS = ((2, 3, 5), (8, 9, 12))  # steps of whole runs: a line through the first two, checked at the third
Courses = dict[Any, Course]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Prediction:
    """Predicted bytes.

    peak: over the baseline, at `steps`. baseline: weights and inputs. slope: of one more step, None if not wanted. how:
    in words, whether the chain was composed of its network evaluations or the peak extrapolated, and the check. state,
    tape: one state of the chain, one step's tape. objective: the peak of the objective and its gradient alone, with its
    decoder, if any. gradients: of all targets.
    """

    steps: int
    peak: int
    baseline: int
    slope: float | None
    how: str
    state: int
    tape: int
    objective: int
    gradients: int


class Unpredictable(Exception):
    """The reason why no prediction can be made."""


def peak_at(problem: Problem, estimator: GradientEstimator, courses: Courses | None = None) -> tuple[int, int]:
    """Peak over the baseline, and the baseline, of one estimate of this problem, in bytes.

    courses: of network evaluations, to compose the chain from; None carries out every operation.
    """
    single = estimator.smallest() if isinstance(estimator, MonteCarlo) else estimator
    with faked(problem) as made, FakeBytes(held_tensors(made)) as counted:
        if courses is not None and isinstance(made.denoiser, NetworkDenoiser):
            made.denoiser.network = network = Composed(made.denoiser.network, courses)
            network.counter = counted
        single(made)
    return counted.peak - counted.baseline, counted.baseline


class Chains:
    """The chains of one problem by their number of steps, and the data shared by all their estimators.

    make: the problem with a number of steps; called once each. courses: of evaluations of its network, known so far.
    """

    def __init__(self, make: Callable[[int], Problem], courses: Courses | None = None) -> None:
        self.at = cache(make)
        self.courses = {} if courses is None else courses

    @cached_property
    def sizes(self) -> tuple[int, int, int, int]:
        """Bytes of a state, of one step's tape, of the peak of the objective and its gradient, of all gradients."""
        with faked(self.at(CHECK)) as made:
            return *parts(made), *_objective(made)


def predict(
    chains: Chains, estimator: GradientEstimator, steps: int, slope: bool = True, say: Say = lambda what: None
) -> Prediction:
    """The peak of an estimate at `steps` steps.

    slope: whether to find the cost of one more step, which takes another chain. say: called with the name of each
    phase.

    A short chain (`CHECK` steps, or 2 `CHECK` + 1 if the method needs more) is carried out whole, and composed of its
    network evaluations: if both peaks agree to the byte, the chain of `steps` is also composed. Otherwise the peak is
    taken as affine in the number of steps, if two short whole runs predict a third to the byte. Raises `Unpredictable`
    if neither holds, and for an estimator whose course depends on values, such as an adaptive solver.
    """
    if isinstance(getattr(getattr(estimator, "pullback", None), "rule", None), Adaptive):
        raise Unpredictable("its adaptive solver depends on values, which shapes do not have")
    gc.collect()
    try:
        found = _composed(chains, estimator, steps, slope, say)
        if found is None:
            say("short whole runs")
            found = _affine(chains.at, estimator, steps)
    except DataDependentOutputException as error:
        raise Unpredictable(f"it depends on values, which shapes do not have: {error}") from None
    say("the parts of one step")
    return Prediction(steps, *found, *chains.sizes)


Found = tuple[int, int, float | None, str]  # peak, baseline, slope, how


def _composed(chains: Chains, estimator: GradientEstimator, steps: int, slope: bool, say: Say) -> Found | None:
    """None if a composed chain has another peak than a whole one, or cannot be made."""
    make, courses = chains.at, chains.courses
    say("shapes of the problem")
    if not isinstance(make(steps).denoiser, NetworkDenoiser):
        return _whole(make, estimator, steps)
    for few in (min(CHECK, steps), min(2 * CHECK + 1, steps)):
        try:
            say("network evaluations")
            composed, _ = peak_at(make(few), estimator, courses)
            say(f"a whole run of {few} steps")
            whole, base = peak_at(make(few), estimator)
        except ValueError:  # fewer steps than the method needs
            continue
        except NotComposable:
            return None
        if composed != whole:
            return None
        say(f"a chain of {steps} steps")
        peak, _ = peak_at(make(steps), estimator, courses)
        how = f"composed of network evaluations, equal to a whole run at {few} steps"
        if not slope:
            return peak, base, None, how
        say(f"a chain of {steps + 1} steps")
        return peak, base, float(peak_at(make(steps + 1), estimator, courses)[0] - peak), how
    return None


def _whole(make: Callable[[int], Problem], estimator: GradientEstimator, steps: int) -> Found:
    (peak, base), (after, _) = (peak_at(make(n), estimator) for n in (steps, steps + 1))
    return peak, base, float(after - peak), "carried out whole"


def _affine(make: Callable[[int], Problem], estimator: GradientEstimator, steps: int) -> Found:
    if steps <= TRIOS[0][-1]:
        return _whole(make, estimator, steps)
    for first, second, third in TRIOS:
        try:
            (a, base), (b, _), (c, _) = (peak_at(make(n), estimator) for n in (first, second, third))
        except ValueError:
            continue
        if (b - a) * (third - second) == (c - b) * (second - first):
            slope = (b - a) / (second - first)
            how = f"affine in steps, from {first} and {second}, checked at {third}"
            return round(b + slope * (steps - second)), base, slope, how
    raise Unpredictable("its peak is not affine in the number of steps, nor composed of its network evaluations")


def _objective(problem: Problem) -> tuple[int, int]:
    """Peak of the objective's value and gradient at a sample, and the bytes of the gradients asked for."""
    x_0 = torch.zeros_like(problem.x_T)
    with FakeBytes([*held_tensors(problem), x_0]) as counted, torch.enable_grad():
        x = x_0.requires_grad_()
        torch.autograd.grad(problem.objective(x).sum(), x)
    asked = [*problem.wrt, *([problem.x_T] if "x_T" in problem.targets else [])]
    return counted.peak - counted.baseline, sum(leaf.numel() * leaf.element_size() for leaf in asked)
