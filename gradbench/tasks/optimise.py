"""The loop of a task: estimate, record, move, keep; the same for every task and every estimator."""

import math
import time
from dataclasses import dataclass, field

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


@dataclass
class Course:
    """What a row tells of a course of updates: the scores at its ends and the cosines on the way."""

    first: dict[str, float] = field(default_factory=dict[str, float])
    last: dict[str, float] = field(default_factory=dict[str, float])
    cosines: list[float] = field(default_factory=list[float])


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
        course.first = course.first or scored
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
        costs = {"evaluations": spent.evaluations, "queries": spent.queries, "seconds": spent.seconds}
        estimated = {"estimate": estimate.objective / len(problem.x_T), "gradient_norm": norm}
        curve.write(update, {**costs, **estimated, **scored, **({} if angle is None else {"cosine": angle})})
        if angle is not None:
            course.cosines.append(angle)
        began = time.perf_counter()
        task.move(estimate)
        spent.add(problem, estimate, estimator.queries(problem), seconds + time.perf_counter() - began)
        curve.keep(_state(task, update + 1, spent, course))
        begin = update + 1
    course.last = _scores(task)
    course.first = course.first or course.last
    costs = {"evaluations": spent.evaluations, "queries": spent.queries, "seconds": spent.seconds}
    curve.write(begin, {**costs, **course.last})
    curve.close()
    return _columns(begin, spent, course, failed)


def _columns(updates: int, spent: Spent, course: Course, failed: bool) -> Columns:
    told = [angle for angle in course.cosines if math.isfinite(angle)]
    return {
        "status": "diverged" if failed else "ok",
        "reason": f"the gradient of update {updates} is not finite" if failed else None,
        "updates": updates,
        "optimise_s": spent.seconds,
        "optimise_evaluations": spent.evaluations,
        "optimise_queries": spent.queries,
        "optimise_cosine": sum(told) / len(told) if told else None,
        **{f"{end}_{name}": getattr(course, end).get(name) for end in ("first", "last") for name in KEPT},
    }


KEPT = ("objective", "held_out")  # scores of a row; the rest are in the curve


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
        "course": vars(course),
    }


def _restored(task: Task, state: Json, spent: Spent, course: Course) -> int:
    """Puts a kept state back; the number of the next update."""
    with torch.no_grad():
        for leaf, kept in zip(task.tensors, state["tensors"], strict=True):
            leaf.copy_(kept)
    task.rule.load_state_dict(state["rule"])
    vars(spent).update(state["spent"])
    vars(course).update(state["course"])
    return state["update"]
