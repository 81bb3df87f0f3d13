"""Costs compared: the Pareto front, unbeaten in both of two costs, and performance profiles over problems.

Profiles: Dolan and More, 2002, Mathematical Programming 91, 201-213.
"""

import math
from collections.abc import Mapping, Sequence

Costs = dict[str, dict[str, float]]
LEVEL, RESAMPLES, FEWEST = 0.95, 1000, 5


def pareto_front(points: list[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other point dominates, minimising both coordinates, ordered by the first.

    A point dominates another when it is nowhere larger and somewhere smaller; equal points do not dominate each other.
    Points with a coordinate that is not finite are never on the front.
    """
    finite = [index for index, point in enumerate(points) if all(map(math.isfinite, point))]
    front: list[int] = []
    for index in sorted(finite, key=lambda index: points[index]):
        if not front or points[index][1] < points[front[-1]][1] or points[index] == points[front[-1]]:
            front.append(index)
    return front


def common(costs: Mapping[str, Mapping[str, float]]) -> Costs:
    """The solvers and problems that a profile compares: every solver was asked to solve every problem.

    costs[solver][problem] is the cost, infinite if the solver failed, absent if it was not asked. Solvers are dropped
    one by one, least asked first, and the largest resulting table is kept: rivals of a solver times problems shared by
    all, which must be at least `FEWEST` unless no table has as many.
    """
    left = sorted(costs, key=lambda solver: (-len(costs[solver]), list(costs).index(solver)))
    tables: list[tuple[list[str], list[str]]] = []
    while len(left) > 1:
        shared = [problem for problem in costs[left[0]] if all(problem in costs[solver] for solver in left)]
        tables.append((list(left), shared))
        left.pop()
    tables = [table for table in tables if len(table[1]) >= FEWEST] or tables
    solvers, problems = max(tables, key=lambda table: (len(table[0]) - 1) * len(table[1]), default=([], []))
    return {solver: {problem: costs[solver][problem] for problem in problems} for solver in costs if solver in solvers}


def ratios(costs: Costs) -> dict[str, list[float]]:
    """Each solver's cost over the least cost of any solver, problem by problem; infinite if it failed."""
    problems = list(next(iter(costs.values()), {}))
    least = {problem: min(solver[problem] for solver in costs.values()) for problem in problems}
    return {
        name: [solver[p] / least[p] if math.isfinite(solver[p]) else math.inf for p in problems]
        for name, solver in costs.items()
    }


def share(found: Sequence[float], tau: float) -> float:
    """rho(tau): the share of problems solved at no more than tau times the least cost."""
    return sum(ratio <= tau for ratio in found) / len(found)


def band(found: Sequence[float], taus: Sequence[float], seed: int = 0) -> tuple[list[float], list[float]]:
    """The 95 % interval of rho at each tau, by 1000 bootstrap samples of the problems."""
    import numpy as np

    values = np.asarray(found)
    drawn = values[np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))]
    shares = np.array([(drawn <= tau).mean(axis=1) for tau in taus])
    low, high = np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return low.tolist(), high.tolist()


def pair(costs: Mapping[str, Mapping[str, float]], first: str, second: str) -> tuple[float, int] | None:
    """The share of problems asked of both that `first` solves at no more than the cost of `second`, and their number.

    Only these two enter: unlike rho at tau > 1, it does not depend on who else is compared. None without such problems.
    """
    both = [(costs[first][p], costs[second][p]) for p in costs[first] if p in costs[second]]
    if not both:
        return None
    return sum(math.isfinite(a) and a <= b for a, b in both) / len(both), len(both)
