"""One Wiener path for any number of steps and any clock.

The path is stored as 2^levels normal draws, one per cell of log-SNR between the ends of the time range. The times of a
grid split cells. In a cell of width 1 with draw xi, the increments d_i over parts of width w_i are independent normals
conditioned on their sum xi:

    d_i = w_i^(1/2) g_i + w_i (xi - sum_k w_k^(1/2) g_k),      g_i drawn by the key of the cell,

so each d_i has variance w_i. A step of a chain in an SDE chart weights its parts by the chart's measure,

    z = sum_j (q_j / w_j)^(1/2) d_j / (sum_j q_j)^(1/2),      q_j = int over part j of g^2 / kappa^2 dt,

and the z of different steps are independent standard normals. Chains with N = 20 and N = 40 steps, in different charts,
share their path down to the size of one cell.
"""

import math
from collections.abc import Sequence

import numpy as np

from gradbench.checks import UsageError
from gradbench.diffusion.noise import draw
from gradbench.diffusion.schedule import Schedule
from gradbench.diffusion.sde_chart import SDEChart

LEVELS = 12
PATH, SPLIT = 0x9E37, 0x9E38  # the step keys of cells and of their splits, different from those of chains


def cell_normals(seed: int, shape: Sequence[int], levels: int = LEVELS) -> np.ndarray:
    """The draws of the cells, (2^levels, b, *x); those at a coarser level are the normalised sums of pairs."""
    cells = draw(seed, PATH, (2**LEVELS, *shape))
    for _ in range(LEVELS - levels):
        cells = (cells[0::2] + cells[1::2]) / math.sqrt(2)
    return cells


def path(
    schedule: Schedule, grid: Sequence[float], seed: int, shape: Sequence[int], levels: int = LEVELS
) -> tuple[list[float], np.ndarray]:
    """The cells of the path, split at the times of the grid: P + 1 decreasing times, normalised draws (P, b, *x).

    Raises `ValueError` where log-SNR is infinite at an end of the grid.
    """
    first, last = schedule.log_snr(grid[0]), schedule.log_snr(grid[-1])
    if not (math.isfinite(first) and math.isfinite(last)):
        raise UsageError(
            f"a Wiener path needs finite log-SNR at both ends, got {first:g} and {last:g}: use noise=keyed"
        )
    n = 2**levels
    inner = sorted(n * (schedule.log_snr(t) - first) / (last - first) for t in grid[1:-1])
    places = {round(s, 9): t for s, t in zip(inner, grid[1:-1], strict=True)}
    marks = sorted({*map(float, range(n + 1)), *places})
    times = [
        grid[0],
        *(places.get(s) or schedule.t_of_log_snr(first + (last - first) * s / n) for s in marks[1:-1]),
        grid[-1],
    ]
    cells, parts = cell_normals(seed, shape, levels), list[np.ndarray]()
    splits: dict[int, list[float]] = {}
    for low, high in zip(marks, marks[1:], strict=False):
        splits.setdefault(min(int(low), n - 1), []).append(high - low)
    for cell, widths in splits.items():
        parts.append(cells[cell][None] if len(widths) == 1 else _split(cells[cell], widths, seed, cell, levels))
    return times, np.concatenate(parts)


def _split(xi: np.ndarray, widths: Sequence[float], seed: int, cell: int, levels: int) -> np.ndarray:
    """The normalised draws d_i / w_i^(1/2) of the parts of one cell."""
    roots = np.sqrt(np.array(widths)).reshape(-1, *[1] * xi.ndim)
    own = draw(seed, SPLIT + (cell << levels), (len(widths), *xi.shape))
    return own + roots * (xi - (roots * own).sum(0))


def step_normals(chart: SDEChart, grid: Sequence[float], seed: int, shape: Sequence[int]) -> np.ndarray:
    """The standard normal draw of each step of a grid, (N, b, *x): its parts of the path in the chart's measure."""
    times, normals = path(chart.schedule, grid, seed, shape)
    ends = {t: j for j, t in enumerate(times)}
    rows: list[np.ndarray] = []
    for t0, t1 in zip(grid, grid[1:], strict=False):
        low, high = ends[t0], ends[t1]
        measure = np.array([chart.variance(times[j], times[j + 1]) for j in range(low, high)])
        rows.append(np.tensordot(np.sqrt(measure / measure.sum()), normals[low:high], 1))
    return np.stack(rows)
