"""The loop of a task: estimate, record, move, keep; the same for every task and every estimator."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from gradbench.data import Columns, Json
from gradbench.estimators.base import GradientEstimate, GradientEstimator
from gradbench.estimators.catalogue import make_estimator
from gradbench.estimators.monte_carlo.base import MonteCarlo
from gradbench.estimators.pathwise.truncated import Truncated
from gradbench.estimators.pathwise.truncation import LastSteps
from gradbench.measure.error import cosine
from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Problem
from gradbench.tasks.curve import Curve
from gradbench.tasks.task import Task


@dataclass
class Spent:
    """What the updates have cost so far; scores and exact gradients, which only judge, are not counted.

    evaluations: network evaluations of one sample each, those that the backward passes repeat included. queries:
    samples that the objective was asked for, see `GradientEstimator.queries`. seconds: wall-clock of estimates and
    updates.
    """

    evaluations: float = 0.0
    queries: float = 0.0
    seconds: float = 0.0

    def add(self, problem: Problem, estimate: GradientEstimate, queries: float, seconds: float) -> None:
        """The cost of one update."""
        samples = len(problem.x_T) * (estimate.draws or 1)
        self.evaluations += (estimate.nfe_forward + estimate.nfe_backward) * samples
        self.queries += queries * samples
        self.seconds += seconds


class Place(NamedTuple):
    """A place of a course where it was scored: before which update, what the updates had cost, and the scores.

    cosine: of the next estimate with the exact gradient; None where none was taken or it is not a number.
    """

    update: int
    evaluations: float
    queries: float
    seconds: float
    objective: float | None
    held_out: float | None
    cosine: float | None = None


@dataclass
class Course:
    """What a row tells of a course of updates: the places where it was scored, its ends among them."""

    places: list[Place] = field(default_factory=list[Place])

    def reach(self, update: int, spent: Spent, scored: Mapping[str, float], angle: float | None = None) -> None:
        """One more place."""
        kept = [scored.get(name) for name in KEPT]
        told = angle if angle is not None and math.isfinite(angle) else None
        self.places.append(Place(update, spent.evaluations, spent.queries, spent.seconds, kept[0], kept[1], told))

    @property
    def columns(self) -> Columns:
        """The columns of a row."""
        told = [place.cosine for place in self.places if place.cosine is not None]
        ends = {"first": self.places[0], "last": self.places[-1]}
        return {
            "optimise_cosine": sum(told) / len(told) if told else None,
            **{f"{end}_{name}": getattr(place, name) for end, place in ends.items() for name in KEPT},
            "course": {name: [getattr(place, name) for place in self.places] for name in Place._fields},
        }


KEPT = ("objective", "held_out")  # scores of a row; the rest are in the curve


def optimise(task: Task, estimator: GradientEstimator, curve: Curve) -> Columns:
    """Runs the updates of a task and gives the columns of its row.

    Every update draws by a key of its own, so a course that was killed and goes on from the kept state has the curve of
    one that was not, but for the clock. A gradient that is not finite ends it: the status is `diverged`. An estimator
    that reaches none of the tensors is a skip, unless it is by chance, as where a random truncation keeps no step.
    """
    spent, course, begin = Spent(), Course(), 0
    state = curve.resume()
    if state is not None:
        begin = _restored(task, state, spent, course)
    failed = False
    for update in range(begin, task.updates):
        if task.ended():
            break
        problem = task.at(update)
        scored = _scores(task) if task.checkpoint(update) else {}
        began = time.perf_counter()
        estimate = estimator(problem)
        if not estimate.grads and not _by_chance(estimator):
            reason = f"this estimator does not reach {' or '.join(task.moving)} here: nothing would move"
            return {"status": "skip", "reason": reason}
        norm = math.sqrt(sum(estimate.grads.norm(target) ** 2 for target in estimate.grads))
        seconds = time.perf_counter() - began
        if not math.isfinite(norm):
            failed = True
            break
        angle = _cosine(problem, estimator, estimate) if task.checkpoint(update) else None
        estimated = {"estimate": estimate.objective / len(problem.x_T), "gradient_norm": norm}
        curve.write(update, {**vars(spent), **estimated, **scored, **({} if angle is None else {"cosine": angle})})
        if scored:
            course.reach(update, spent, scored, angle)
        began = time.perf_counter()
        task.move(estimate)
        spent.add(problem, estimate, estimator.queries(problem), seconds + time.perf_counter() - began)
        curve.keep(_state(task, update + 1, spent, course))
        begin = update + 1
    last = _scores(task)
    course.reach(begin, spent, last)
    curve.write(begin, {**vars(spent), **last})
    curve.close()
    return _columns(begin, spent, course, failed)


def _columns(updates: int, spent: Spent, course: Course, failed: bool) -> Columns:
    return {
        "status": "diverged" if failed else "ok",
        "reason": f"the gradient of update {updates} is not finite" if failed else None,
        "updates": updates,
        "optimise_s": spent.seconds,
        "optimise_evaluations": spent.evaluations,
        "optimise_queries": spent.queries,
        **course.columns,
    }


def _scores(task: Task) -> dict[str, float]:
    with torch.no_grad():
        return task.scores()


def _by_chance(estimator: GradientEstimator) -> bool:
    return isinstance(estimator, MonteCarlo) and estimator.random


def _exact(problem: Problem, estimator: GradientEstimator) -> Gradients:
    """The exact gradient of the chain as the estimator ran it: over the same draws, if it draws the chain's noise."""
    if problem.sampler.traits.stochastic and isinstance(estimator, MonteCarlo):
        return Truncated(LastSteps(problem.steps), estimator.draws)(problem).grads
    return make_estimator("checkpoint")(problem).grads


def _cosine(problem: Problem, estimator: GradientEstimator, estimate: GradientEstimate) -> float:
    """Of the estimate with the exact gradient, all targets that it reaches as one vector."""
    exact = _exact(problem, estimator)
    both = [(estimate.grads.flat(t), exact.flat(t)) for t in exact if t in estimate.grads]
    if not both:
        return math.nan
    return cosine(*(torch.cat(part) for part in zip(*both, strict=True)))


def _state(task: Task, update: int, spent: Spent, course: Course) -> Json:
    return {
        "update": update,
        "tensors": [leaf.detach() for leaf in task.tensors],
        "rule": task.rule.state_dict(),
        "spent": vars(spent),
        "places": [tuple(place) for place in course.places],
    }


def _restored(task: Task, state: Json, spent: Spent, course: Course) -> int:
    """Puts a kept state back; the number of the next update."""
    with torch.no_grad():
        for leaf, kept in zip(task.tensors, state["tensors"], strict=True):
            leaf.copy_(kept)
    task.rule.load_state_dict(state["rule"])
    vars(spent).update(state["spent"])
    course.places = [Place(*place) for place in state["places"]]
    return state["update"]
