"""Estimators that misbehave, each in one way: a run must record one row for each of them.

gradbench run -c gaussian -e gradbench.testing.faults:Hang -e checkpoint --timeout 3s
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import torch

from gradbench.estimators.base import GradientEstimate, GradientEstimator
from gradbench.estimators.catalogue import make_estimator
from gradbench.problems.problem import Problem


class Fault(GradientEstimator):
    """Backprop, with a fault before or after the estimate."""

    def before(self, problem: Problem) -> None:
        """The fault before the estimate."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        """The estimate with its fault."""
        return estimate

    def __call__(self, problem: Problem) -> GradientEstimate:
        self.before(problem)
        return self.after(problem, make_estimator("backprop")(problem))


class Raise(Fault):
    """Raises `RuntimeError`."""

    def before(self, problem: Problem) -> None:
        raise RuntimeError("raised on purpose")


class Hang(Fault):
    """Sleeps for an hour, and so does its child process."""

    def before(self, problem: Problem) -> None:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        time.sleep(3600)


class Segfault(Fault):
    """Reads address 0."""

    def before(self, problem: Problem) -> None:
        ctypes.string_at(0)


class Kill(Fault):
    """Kills its own process with signal 9."""

    def before(self, problem: Problem) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class HostMemory(Fault):
    """Allocates without end."""

    def before(self, problem: Problem) -> None:
        held = []
        while True:
            held.append(torch.ones(1 << 24))


class NotANumber(Fault):
    """Returns NaN for the gradient of x_T."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        return replace(estimate, grads={**estimate.grads, "x_T": torch.full_like(problem.x_T, float("nan"))})


class WrongShape(Fault):
    """Returns a gradient of x_T of the wrong shape."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        return replace(estimate, grads={**estimate.grads, "x_T": problem.x_T[:, :1]})


class WrongTarget(Fault):
    """Returns a gradient of a target that was not requested."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        return replace(estimate, grads={**estimate.grads, "weights": problem.x_T})


class Chatter(Fault):
    """Prints ten megabytes."""

    def before(self, problem: Problem) -> None:
        for _ in range(100):
            print("x" * 100_000)


class LongRow(Fault):
    """Puts a megabyte into its row."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        return replace(estimate, draws="z" * 1_000_000)  # type: ignore[arg-type]


class Mutate(Fault):
    """Changes x_T in place."""

    def before(self, problem: Problem) -> None:
        with torch.no_grad():
            problem.x_T.add_(1.0)


class IgnoreSeed(Fault):
    """Claims to draw, but gives the same estimate whatever the seed."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        return replace(estimate, draws=32)
