"""Time grids: N + 1 decreasing times, index 0 at the noisy end; step k goes from grid[k] to grid[k + 1].

A grid function maps (schedule, steps, t_max, t_min) to a tuple of floats, from exactly t_max to exactly t_min. The
grids of discrete samplers, `leading`, `trailing` and `linspace`, place index i at t = (i + 1) / train_steps; they
choose their own first time and end at t_min. Times of a diffusers scheduler are `Stop`s where they carry more than t.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.schedule import Ends, Schedule, ends_of

Grid = tuple[float, ...]


class Stop(float):
    """A time t of a scheduler's own grid, a float that also carries the scheduler's timestep (`told`) and the end of
    the step from t (`end`); each is None if a plain float would imply it.

    told: the time input of the network, instead of schedule.index(t). end: a time other than the next one of the grid;
    such steps do not tile the range, and their chain solves no equation on the grid. most_order: the highest order that
    a multistep solver of the scheduler's kind has for the step from t, where that is less than its own. stage: the time
    input of the network in the middle of the step, for a rule with a stage there.
    """

    told: float | None
    end: float | None
    most_order: int | None
    stage: float | None

    def __new__(
        cls,
        t: float,
        told: float | None = None,
        end: float | None = None,
        most_order: int | None = None,
        stage: float | None = None,
    ) -> "Stop":
        made = super().__new__(cls, t)
        made.told, made.end, made.most_order, made.stage = told, end, most_order, stage
        return made

    @property
    def first_order(self) -> bool:
        """Whether the step from t is of first order."""
        return self.most_order == 1

    def __repr__(self) -> str:
        more = [f"{name}={value!r}" for name, value in vars(self).items() if value is not None]
        return f"Stop({', '.join([float.__repr__(self), *more])})"


def end_of(grid: Grid, k: int) -> float:
    """The time at which step k ends: grid[k + 1], or the `end` of its stop."""
    end = getattr(grid[k], "end", None)
    return grid[k + 1] if end is None else end


def tiles(grid: Grid) -> bool:
    """Whether every step ends where the next one begins."""
    return all(end_of(grid, k) == grid[k + 1] for k in range(len(grid) - 1))


def tells(grid: Grid) -> bool:
    """Whether any stop of the grid sets the time input of the network."""
    return any(getattr(t, "told", None) is not None for t in grid)


@dataclass(frozen=True, kw_only=True, eq=False)
class TimeRange(Ends):
    """The ends of a grid, and the values of `tiles` and `tells` for it."""

    tiled: bool = True
    told: bool = False


def range_of(schedule: Schedule, grid: Grid) -> TimeRange:
    """The time range of a grid."""
    return TimeRange(**ends_of(schedule, grid[0], grid[-1]), tiled=tiles(grid), told=tells(grid))


def uniform_t(schedule: Schedule, steps: int, t_max: float, t_min: float) -> Grid:
    """t_k = t_max + (t_min - t_max) k / N."""
    return (t_max, *(t_max + (t_min - t_max) * k / steps for k in range(1, steps)), t_min)


def uniform_log_snr(schedule: Schedule, steps: int, t_max: float, t_min: float) -> Grid:
    """lambda(t_k) = lambda(t_max) + (lambda(t_min) - lambda(t_max)) k / N.

    References: Lu et al., 2022, DPM-Solver, arXiv:2206.00927, section 3.4.
    """
    first, last = _finite(schedule, t_max, "t_max"), _finite(schedule, t_min, "t_min")
    inner = (schedule.t_of_log_snr(first + (last - first) * k / steps) for k in range(1, steps))
    return (t_max, *inner, t_min)


def leading(schedule: Schedule, steps: int, t_max: float, t_min: float) -> Grid:
    """Indices k * (train_steps // N) + steps_offset, descending, then t_min: Stable Diffusion's grid.

    With t_min = 1 / train_steps the final alpha^2 is alphas_cumprod[0] (diffusers' set_alpha_to_one=False).
    References: Song et al., 2021, DDIM, arXiv:2010.02502, section D.3; diffusers' `timestep_spacing="leading"`.
    """
    n = _spacing(schedule, steps)
    return _of_indices(schedule, [k * (n // steps) + schedule.steps_offset for k in reversed(range(steps))], t_min)


def trailing(schedule: Schedule, steps: int, t_max: float, t_min: float) -> Grid:
    """Indices round(train_steps (1 - k / N)) - 1, then t_min; t_0 is the last training time.

    References: Lin et al., 2024, Common diffusion noise schedules are flawed, arXiv:2305.08891, table 2.
    """
    n = _spacing(schedule, steps)
    return _of_indices(schedule, [round(n - n * k / steps) - 1 for k in range(steps)], t_min)


def linspace(schedule: Schedule, steps: int, t_max: float, t_min: float) -> Grid:
    """Indices round((train_steps - 1) (1 - k / N)), k = 0..N - 1, then t_min; t_0 is the last training time.

    diffusers' `timestep_spacing="linspace"` spaces its N times so that the last is index 0, but steps by
    train_steps // N whatever the spacing, so its steps do not end where the next ones begin. Here they do.
    """
    n = _spacing(schedule, steps)
    return _of_indices(schedule, [round((n - 1) * (1 - k / steps)) for k in range(steps)], t_min)


def quadratic_t(schedule: Schedule, steps: int, t_max: float, t_min: float) -> Grid:
    """sqrt(t_k) = sqrt(t_max) + (sqrt(t_min) - sqrt(t_max)) k / N.

    References: Song et al., 2021, DDIM, arXiv:2010.02502, section D.2 (quadratic tau).
    """
    first, last = math.sqrt(t_max), math.sqrt(t_min)
    return (t_max, *((first + (last - first) * k / steps) ** 2 for k in range(1, steps)), t_min)


def karras(schedule: Schedule, steps: int, t_max: float, t_min: float, rho: float = 7.0) -> Grid:
    """chi_k^(1/rho) = chi_max^(1/rho) + (chi_min^(1/rho) - chi_max^(1/rho)) k / N, chi = sigma / alpha, rho = 7.

    References: Karras et al., 2022, arXiv:2206.00364, equation 5.
    """
    first, last = (_finite(schedule, t, at) for t, at in ((t_max, "t_max"), (t_min, "t_min")))
    a, b = math.exp(-first / rho), math.exp(-last / rho)
    inner = (schedule.t_of_log_snr(-rho * math.log(a + (b - a) * k / steps)) for k in range(1, steps))
    return (t_max, *inner, t_min)


def angle(schedule: Schedule, steps: int, t_max: float, t_min: float) -> Grid:
    """phi_k = phi(t_max) + (phi(t_min) - phi(t_max)) k / N, phi = atan2(sigma, alpha): finite at both ends."""
    first, last = (math.atan2(schedule.sigma(t), schedule.alpha(t)) for t in (t_max, t_min))
    inner = (first + (last - first) * k / steps for k in range(1, steps))
    return (t_max, *(schedule.t_of_log_snr(-math.log(math.tan(phi))) for phi in inner), t_min)


def _finite(schedule: Schedule, t: float, at: str) -> float:
    value = schedule.log_snr(t)
    if not math.isfinite(value):
        raise UsageError(
            f"{at} = {t:g} has no finite log signal-to-noise ratio: use the angle or a uniform-t grid there"
        )
    return value


def _spacing(schedule: Schedule, steps: int) -> int:
    n = schedule.train_steps
    if steps > n:
        raise UsageError(f"steps must be <= {n} on a grid of the schedule's {n} discrete times, got {steps}")
    return n


def _of_indices(schedule: Schedule, indices: list[int], t_min: float) -> Grid:
    times = [(i + 1) / schedule.train_steps for i in indices]
    if times[0] > schedule.t_end or any(a <= b for a, b in zip(times, times[1:], strict=False)):
        raise UsageError(
            f"steps must be fewer on this grid of {schedule.train_steps} discrete times, got {len(indices)}"
        )
    if not t_min < times[-1]:
        raise UsageError(f"t_min must be less than the last time {times[-1]:g} of the grid, got {t_min!r}")
    return (*times, t_min)


def check_grid(grid: Sequence[float], schedule: Schedule) -> Grid:
    """A grid given as a list of times, with its stops kept. `ValueError` for fewer than two times, for times that do
    not decrease and for a time outside [0, t_limit].
    """
    times = tuple(t if isinstance(t, Stop) else float(t) for t in grid)
    for t in times:
        checks.in_range("time of the grid", float(t), 0.0, schedule.t_limit)
    if len(times) < 2 or any(a <= b for a, b in zip(times, times[1:], strict=False)):
        raise UsageError(f"grid must hold at least 2 decreasing times, got {list(times)!r:.80}")
    return times


GRIDS: dict[str, Callable[[Schedule, int, float, float], Grid]] = {
    "uniform-t": uniform_t,
    "uniform-log-snr": uniform_log_snr,
    "leading": leading,
    "trailing": trailing,
    "linspace": linspace,
    "quadratic-t": quadratic_t,
    "karras": karras,
    "angle": angle,
}


def make_grid(name: str, schedule: Schedule, steps: int, t_max: float, t_min: float) -> Grid:
    """The grid of the given name; `ValueError` for an unknown name, steps < 1 or an empty time range."""
    checks.one_of("grid", name, GRIDS)
    steps = checks.positive_integer("steps", steps)
    checks.time_range(t_max, t_min, schedule.t_end)
    return GRIDS[name](schedule, steps, float(t_max), float(t_min))
