"""What an estimate costs, as it says and as it is: evaluations counted by the denoiser, memory in live bytes."""

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from gradbench.estimators.base import GradientEstimator
from gradbench.estimators.drawn import Drawn
from gradbench.estimators.problem import Problem
from gradbench.measure.cost import held_tensors, parts, peak_memory
from gradbench.testing.subject import Subject, place
from gradbench.testing.verdict import demand, promise

FLAT, GROWING = 0.1, 0.5  # states a step
TRAJECTORIES = 64
LEAST = 24  # steps: below, the peak may be that of one step's tape


def counts(subject: Subject) -> str:
    """nfe_forward + nfe_backward and vjps against the denoiser's own calls and pulls; of draws, on the fewest.

    An estimator that draws says the counts of one draw, which the denoiser may have served one by one or side by side.
    Where the cost is drawn too it says their means, which those of `TRAJECTORIES` draws are held against.
    """
    estimator, said = _smallest(subject), ""
    for problem in subject.one_of_each(draws=2):
        if isinstance(estimator, Drawn) and estimator.random:
            said = _mean_counts(estimator, replace(problem, x_T=problem.x_T[:1]))
            continue
        denoiser = problem.denoiser
        calls, pulled = denoiser.calls, denoiser.pulled
        estimate = estimator(problem)
        calls, pulled = denoiser.calls - calls, denoiser.pulled - pulled
        nfe = estimate.nfe_forward + estimate.nfe_backward
        told = f"{estimate.nfe_forward} + {estimate.nfe_backward} evaluations and {estimate.vjps} VJPs"
        seen = f"the denoiser counted {calls} and {pulled} ({place(problem)})"
        if estimate.draws is None or isinstance(estimator, Drawn):
            holds = (nfe, estimate.vjps) == (calls, pulled)
        else:
            holds = nfe <= calls <= nfe * estimate.draws and estimate.vjps <= pulled <= estimate.vjps * estimate.draws
        demand(holds, f"it says {told}, {seen}")
        said = told
    return said


def _mean_counts(estimator: Drawn, problem: Problem) -> str:
    """The mean counts that an estimator says, within four standard errors of what its draws take one by one."""
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
    """The slope of peak live bytes in the steps, in states of the chain, by least squares over n, 2n and 4n steps.

    Constant is a slope below 0.1, linear one above 0.5 with peaks on a line to 5%. Of draws, on the fewest.
    """
    estimator, promised = _smallest(subject), subject.traits.get("memory")
    first = next(subject.served(dim=16, batch=4, draws=2))
    least, state, peaks = max(first.steps, LEAST), parts(first)[0], []
    steps = (least, 2 * least, 4 * least)
    for n in steps:
        problem = replace(first, steps=n)
        peaks.append(peak_memory(partial(estimator, problem), held_tensors(problem), torch.device("cpu")).peak / state)
    slope, start = np.polyfit(steps, peaks, 1)
    bent = max(abs(peak - start - slope * n) for peak, n in zip(peaks, steps, strict=True)) / max(peaks)
    seen = f"{round(slope, 2) + 0.0:.2f} states a step"
    holds = abs(slope) < FLAT if promised == "constant" else slope > GROWING and bent < 0.05
    shown = ", ".join(f"{peak:.1f}" for peak in peaks)
    message = f"declared {promised}, and it grows by {seen}: {shown} states at N = {', '.join(map(str, steps))}"
    return promise(promised is not None, holds, f"{seen}, {first.sampler.name}", message)


def _smallest(subject: Subject) -> GradientEstimator:
    """With the fewest draws, side by side, where that can be said to it."""
    return subject.estimator.smallest() if isinstance(subject.estimator, Drawn) else subject.estimator
