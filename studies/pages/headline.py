"""The headline: a trained network, one sample per seed, four settings, two targets, and two right answers."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from studies.pages.formats import error
from studies.pages.published import Published, Spread

SEEDS = 12
SETTINGS = ((1.0, 20), (1.0, 50), (7.5, 20), (7.5, 50))
TARGETS = {"parameters": "LoRA", "x_T": "x_T"}
DOPRI = "torchdiffeq-adjoint[method=dopri5,trajectory=resolved,norm=rms,rtol=%s]"


class Method(NamedTuple):
    """An estimator of the headline: its name in a table, its selector, its settings, its dtype, and its kind."""

    name: str
    selector: str
    settings: tuple[tuple[float, int], ...] = SETTINGS
    dtype: str | None = None
    continuous: bool = True


METHODS = (
    Method("`checkpoint`", "checkpoint", continuous=False),
    Method("`adjoint-deis`: AdjointDEIS-1 with its authors' N = M, `leading`, states stored", "adjoint-deis"),
    Method("`adjoint-deis[order=2]`: AdjointDEIS-2M, same settings", "adjoint-deis[order=2]"),
    Method("`adjoint-dpm[rule=rk4]`", "adjoint-dpm[rule=rk4]"),
    Method("`continuous-adjoint`", "continuous-adjoint"),
    Method("`continuous-adjoint[chart=time]`", "continuous-adjoint[chart=time]"),
    Method(
        "torchdiffeq's dopri5 at its defaults, rtol 1e-7, atol 1e-9, in float64",
        DOPRI % "1e-7,atol=1e-9",
        ((1.0, 20),),
        "float64",
    ),
    Method("torchdiffeq's dopri5 as set in papers, 1e-5 and 1e-5", DOPRI % "1e-5,atol=1e-5", ((1.0, 20), (7.5, 20))),
)
EMOJI = "emoji[batch=1]"  # guidance 3
RELEASED_DPM = "adjoint-dpm[rule=euler,trajectory=stored]"


def case_of(guidance: float) -> str:
    """One sample per seed: a batch of one."""
    return f"digits[batch=1,guidance={guidance}]"


def headline(rows: Published) -> dict[str, Callable[..., Any]]:
    """The functions called by templates, by name."""

    methods = [m for m in METHODS if rows.has(case_of(m.settings[0][0]), m.selector, m.settings[0][1], dtype=m.dtype)]
    pictured = [method for method in methods if rows.has(EMOJI, method.selector, 20)]
    dtypes = {method.selector: method.dtype for method in methods}

    def at(kind: str, target: str, selector: str, guidance: float, steps: int, measure: str = "error") -> Spread:
        """A column of the headline over its seeds; `ValueError` for fewer than twelve."""
        rows.seeds(SEEDS)
        column, dtype = f"{kind}_{measure}_{target}", dtypes.get(selector)
        return rows.spread(column, case_of(guidance), selector, steps, dtype=dtype)

    def all_of(kind: str, target: str, selector: str = "") -> Iterator[tuple[Spread, str]]:
        """Every spread of the continuous adjoints, or of one estimator, with its setting."""
        for method in methods:
            if method.continuous if not selector else method.selector == selector:
                for guidance, steps in method.settings:
                    where = f"`{method.selector}`, guidance {guidance:g}, {steps} steps"
                    yield at(kind, target, method.selector, guidance, steps), where

    def extremes(kind: str, target: str, selector: str = "") -> str:
        """The least and the largest median over the settings, with their estimators."""
        found = sorted(all_of(kind, target, selector), key=lambda pair: pair[0].median)
        (least, first), (most, last) = found[0], found[-1]
        return f"{error(least.median)} ({first}) to {error(most.median)} ({last})"

    def whole_range(kind: str, selector: str) -> str:
        """The least and the largest error over all seeds, settings and targets."""
        found = [spread for target in TARGETS for spread, _ in all_of(kind, target, selector)]
        return f"{error(min(s.least for s in found))} to {error(max(s.most for s in found))}"

    def winners(kind: str) -> str:
        """How often each estimator with N + N evaluations has the least median, over settings and targets."""
        fixed = [m for m in methods if m.settings == SETTINGS and "rk4" not in m.selector]
        counts = Counter(
            min(fixed, key=lambda m: at(kind, target, m.selector, guidance, steps).median).selector
            for target in TARGETS
            for guidance, steps in SETTINGS
        )
        return ", ".join(f"`{name}` in {count}" for name, count in counts.most_common())

    def farther(kind: str, selector: str, than: str = "checkpoint") -> str:
        """The number of settings and targets in which an estimator's median is above another's."""
        places = [(target, *setting) for target in TARGETS for setting in SETTINGS]
        count = sum(at(kind, t, selector, g, n).median > at(kind, t, than, g, n).median for t, g, n in places)
        return f"{count} of these {len(places)} columns"

    def flow_tolerance() -> float:
        """The largest tolerance of the network's flow in any row."""
        return max(row["flow_tol"] for row in rows.rows if row["case"] == "digits" and row.get("flow_tol") is not None)

    def work_of(selector: str, guidance: float = 1.0, steps: int = 20) -> str:
        """Evaluations forward + backward, the median over the seeds."""
        columns = ("nfe_forward", "nfe_backward")
        there, back = (
            rows.value(name, case_of(guidance), selector, steps, dtype=dtypes.get(selector)) for name in columns
        )
        return f"{there:,.0f} + {back:,.0f}"

    def draft(measure: str, k: int, guidance: float = 1.0, target: str = "parameters") -> Spread:
        """Truncation without noise, a batch of four: error, cosine or norm ratio against the full gradient."""
        rows.seeds(SEEDS)
        targets = ("condition", "parameters")
        case = f"digits[guidance={guidance}]"
        return rows.spread(f"sampler_{measure}_{target}", case, f"draft[k={k},draws=1]", 20, targets=targets)

    def on_pictures(measure: str, target: str, selector: str) -> Spread:
        """The whole small Stable Diffusion, a sample per seed, 20 steps: error, cosine or norm ratio to the sampler's."""
        rows.seeds(SEEDS)
        return rows.spread(f"sampler_{measure}_{target}", EMOJI, selector, 20)

    def most_alike(target: str) -> float:
        """The largest cosine of a continuous adjoint with the sampler's gradient on pictures, over all seeds."""
        return max(on_pictures("cosine", target, m.selector).most for m in pictured if m.continuous)

    def one_chain() -> str:
        """States that two names are one method, if their rows agree; `ValueError` if not."""
        names = ("adjoint-deis", RELEASED_DPM)
        first, second = (at("sampler", "parameters", name, 7.5, 50).values for name in names)
        if any(abs(a - b) > 1e-3 * a for a, b in zip(first, second, strict=True)):
            raise ValueError(f"{names[0]} and {names[1]} differ: {first} and {second}")
        return f"`{names[0]}` and `{names[1]}`"

    own = (
        at,
        draft,
        on_pictures,
        most_alike,
        extremes,
        whole_range,
        winners,
        farther,
        flow_tolerance,
        work_of,
        one_chain,
        case_of,
    )
    return {function.__name__: function for function in own} | {
        "METHODS": methods,
        "ON_PICTURES": pictured,
        "SETTINGS": SETTINGS,
        "HEADLINE_TARGETS": TARGETS,
        "RELEASED_DPM": RELEASED_DPM,
    }  # type: ignore[return-value]
