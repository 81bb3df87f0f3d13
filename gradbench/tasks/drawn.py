"""The noise of a task: fresh for every update, fixed for its scores, all by key."""

from dataclasses import replace

import numpy as np
import torch

from gradbench.diffusion.noise import INITIAL, draw
from gradbench.problems.problem import Problem

UPDATES, SCORES = 0x7A5C, 0x5C0E  # streams of seeds, apart from each other


def fresh(problem: Problem, update: int) -> Problem:
    """The problem from a new x_T, with new step noises and draws: those of this update."""
    return _redrawn(problem, problem.seed, UPDATES, update)


def judging(problem: Problem, number: int) -> Problem:
    """The problem from the x_T and step noises of a score: the same for every seed, update and estimator."""
    return _redrawn(problem, 0, SCORES, number)


def _redrawn(problem: Problem, seed: int, stream: int, number: int) -> Problem:
    key = np.random.SeedSequence(seed, spawn_key=(stream, number))
    own = int(key.generate_state(1, np.uint64)[0] >> np.uint64(1))  # 63 bits, as torch takes them
    drawn = torch.from_numpy(draw(own, INITIAL, problem.x_T.shape))
    return replace(problem, x_T=drawn.to(problem.x_T), seed=own)
