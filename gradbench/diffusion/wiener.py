"""One Wiener path for every number of steps and every clock.

The path is held as 2^LEVELS normal draws, one a cell of log-SNR between the ends of the time range. A step of a chain
in an SDE chart sees the cells between its two times (rounded to cell boundaries) through the chart's own measure,

    z = sum_j q_j^(1/2) xi_j / (sum_j q_j)^(1/2),      q_j = int over cell j of g^2 / kappa^2 dt,

which is standard normal and independent from step to step. Chains with N = 20 and N = 40 steps, in different charts,
so share their path, up to the size of a cell.
"""

import math
from collections.abc import Sequence

import numpy as np

from gradbench.diffusion.noise import draw
from gradbench.diffusion.schedule import Schedule
from gradbench.diffusion.sde_chart import SDEChart

LEVELS = 12
PATH = 0x9E37  # the step under which the cells of a path are keyed, apart from the steps of chains


def cell_times(schedule: Schedule, t_max: float, t_min: float, levels: int = LEVELS) -> list[float]:
    """The 2^levels + 1 decreasing times between cells, uniform in log-SNR; `ValueError` where that is infinite."""
    first, last = schedule.log_snr(t_max), schedule.log_snr(t_min)
    if not (math.isfinite(first) and math.isfinite(last)):
        raise ValueError(
            f"a Wiener path needs finite log-SNR at both ends, got {first:g} at {t_max:g}, {last:g} at {t_min:g}"
        )
    n = 2**levels
    return [t_max, *(schedule.t_of_log_snr(first + (last - first) * j / n) for j in range(1, n)), t_min]


def cell_normals(seed: int, shape: Sequence[int], levels: int = LEVELS) -> np.ndarray:
    """The draws of the cells, (2^levels, b, *x); those of a coarser level are the normalised sums of pairs."""
    cells = draw(seed, PATH, (2**LEVELS, *shape))
    for _ in range(LEVELS - levels):
        cells = (cells[0::2] + cells[1::2]) / math.sqrt(2)
    return cells


def step_normals(chart: SDEChart, grid: Sequence[float], seed: int, shape: Sequence[int]) -> np.ndarray:
    """The normal draw of every step of a grid, (N, b, *x), as the chart sees the path.

    Raises `ValueError` where a step is shorter than a cell, so that it would see no noise of its own.
    """
    times = cell_times(chart.schedule, grid[0], grid[-1])
    cells = cell_normals(seed, shape)
    first, last = chart.schedule.log_snr(grid[0]), chart.schedule.log_snr(grid[-1])
    ends = [round((chart.schedule.log_snr(t) - first) / (last - first) * len(cells)) for t in grid]
    rows = []
    for k, (low, high) in enumerate(zip(ends, ends[1:], strict=False)):
        if low >= high:
            raise ValueError(f"step {k} of {len(grid) - 1} is shorter than a cell of the Wiener path: use noise=keyed")
        measure = np.array([chart.variance(times[j], times[j + 1]) for j in range(low, high)])
        weights = np.sqrt(measure / measure.sum())
        rows.append(np.tensordot(weights, cells[low:high], 1))
    return np.stack(rows)
