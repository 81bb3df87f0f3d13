"""Costs as reported and as measured: evaluations counted by the denoiser, memory in live bytes."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from gradbench.estimators.base import GradientEstimator
from gradbench.estimators.monte_carlo.base import MonteCarlo
from gradbench.measure.cost import held_tensors, parts, peak_memory
from gradbench.problems.problem import Problem
from gradbench.testing.subject import Subject, place
from gradbench.testing.verdict import demand, promise

TRAJECTORIES = 64
LEAST = 24  # steps; with fewer, the peak may be the tape of one step
SLACK, EXTRA = 1.1, 1.0  # factor on the growth allowed, and states allowed for its jumps
GROWS_AS: dict[str, Callable[[int], float]] = {  # growth of the peak with N for each declared `memory`
    "constant": lambda n: 0.0,
    "log": math.log,
    "sqrt": math.sqrt,
    "linear": float,
}


def counts(subject: Subject) -> str:
    """nfe_forward + nfe_backward and vjps against the denoiser's own counts; Monte Carlo with the fewest draws.

    An estimator that draws reports the counts of one draw; the denoiser may have evaluated the draws singly or batched.
    If the cost is random too, it reports mean counts, which are compared with the means of `TRAJECTORIES` draws.
    """
    estimator, said = _smallest(subject), ""
    for problem in subject.one_of_each(draws=2):
        if isinstance(estimator, MonteCarlo) and estimator.random:
            said = _mean_counts(estimator, replace(problem, x_T=problem.x_T[:1]))
            continue
        denoiser = problem.denoiser
        calls, pulled = denoiser.calls, denoiser.pulled
        estimate = estimator(problem)
        calls, pulled = denoiser.calls - calls, denoiser.pulled - pulled
        nfe = estimate.nfe_forward + estimate.nfe_backward
        told = f"{estimate.nfe_forward} + {estimate.nfe_backward} evaluations and {estimate.vjps} VJPs"
        seen = f"the denoiser counted {calls} and {pulled} ({place(problem)})"
        if estimate.draws is None or isinstance(estimator, MonteCarlo):
            holds = (nfe, estimate.vjps) == (calls, pulled)
        else:
            holds = nfe <= calls <= nfe * estimate.draws and estimate.vjps <= pulled <= estimate.vjps * estimate.draws
        demand(holds, f"it says {told}, {seen}")
        said = told
    return said


def _mean_counts(estimator: MonteCarlo, problem: Problem) -> str:
    """The reported mean counts, checked to four standard errors against the counts of draws run one by one."""
    denoiser, seen = problem.denoiser, []
    estimate = estimator(problem)
    told = np.array([estimate.nfe_forward + estimate.nfe_backward, estimate.vjps])
    for index in range(TRAJECTORIES):
        calls, pulled = denoiser.calls, denoiser.pulled
        estimator.alone(problem, index)
        seen.append((denoiser.calls - calls, denoiser.pulled - pulled))
    means, errors = np.mean(seen, 0), np.std(seen, 0) / TRAJECTORIES**0.5
    said = f"{estimate.nfe_forward:g} + {estimate.nfe_backward:g} evaluations and {estimate.vjps:g} VJPs on average"
    found = f"{TRAJECTORIES} draws took {means[0]:.2f} and {means[1]:.2f} ({place(problem)})"
    demand(bool((abs(means - told) <= 4 * errors + 1e-9).all()), f"it says {said}, {found}")
    return said


def memory(subject: Subject) -> str:
    """The growth of peak live bytes with N, in states of the chain per step; it must not exceed that declared.

    Peaks P are measured at n, 4n and 8n steps. For constant memory, P(8n) must be less than half a state above the
    lower of the other two. For a growth f, P(8n) - P(4n) must be at most one state more than
    1.1 (f(8n) - f(4n)) / (f(4n) - f(n)) (P(4n) - P(n)): an estimator of linear memory may keep only few states, and its
    peak grows in jumps. Monte Carlo estimators take the fewest draws.
    """
    estimator, promised = _smallest(subject), subject.traits.memory
    first = next(subject.served(dim=16, batch=4, draws=2))
    least = max(first.steps, LEAST)
    state, peaks = parts(first)[0], {}
    for n in (least, 4 * least, *([8 * least] if promised else [])):
        problem = replace(first, steps=n)
        peaks[n] = peak_memory(partial(estimator, problem), held_tensors(problem), torch.device("cpu")).peak / state
    slope = (max(peaks.values()) - peaks[least]) / (max(peaks) - least)
    seen = f"{slope:.2f} states a step"
    holds = promised is None or _within(promised, *peaks.items())
    shown = ", ".join(f"{peak:.1f}" for peak in peaks.values())
    message = f"declared {promised}, and it grows by {seen}: {shown} states at N = {', '.join(map(str, peaks))}"
    return promise(promised is not None, holds, f"{seen}, {first.sampler.name}", message)


def _within(law: str, *points: tuple[int, float]) -> bool:
    """Whether the peaks at three numbers of steps grow no faster than `law`, a key of `GROWS_AS`."""
    (a, first), (b, second), (c, third) = points
    if law == "constant":
        return third - min(first, second) < EXTRA / 2
    f = GROWS_AS[law]
    share = (f(c) - f(b)) / (f(b) - f(a))
    return third - second <= SLACK * share * max(second - first, 0.0) + EXTRA


def _smallest(subject: Subject) -> GradientEstimator:
    """The estimator; if it is a `MonteCarlo`, with the fewest draws, batched."""
    return subject.estimator.smallest() if isinstance(subject.estimator, MonteCarlo) else subject.estimator
