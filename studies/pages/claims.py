"""What the rows of tasks say of the claims of papers: who does better at equal cost, and by how much."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from scipy import stats

from gradbench.analysis.courses import COSTS, Course, Mean, blocks, courses, least
from gradbench.analysis.rows import params_of
from gradbench.bench.row import Row
from gradbench.report.courses import number, with_interval
from gradbench.selector import expand

HOLDS, PART, NOT, UNTESTED = "holds", "holds in part", "does not hold", "cannot be tested here"
FEWEST = 5  # seeds
RISING = {"align": True, "noise": True, "morph": True, "inversion": False, "stylise": False, "audit": False}
SCORE = {"audit": "objective"}  # the held-out score of an audit should stay where it is


class Contest(NamedTuple):
    """One estimator against another at equal cost. lead: the mean over seeds of the difference, positive if better."""

    name: str
    other: str
    lead: Mean

    @property
    def won(self) -> bool:
        """Whether the 95% interval lies above zero."""
        return self.lead.half is not None and self.lead.value > self.lead.half

    @property
    def text(self) -> str:
        """`checkpoint` +0.5±0.1."""
        return f"`{self.other}` {self.lead.value:+.2g}±{self.lead.half:.1g}"


def claims(rows: Sequence[Row]) -> dict[str, Callable[..., Any]]:
    """The functions called by templates, by name."""
    found = courses(rows)

    def block(case: str, sampler: str | None = None, steps: int | None = None) -> list[Course]:
        """The courses of a task, selected as on the command line: of its options, those not given are any."""
        ((name, given),) = expand(case)
        kept = [
            course
            for course in found
            if course.cell.rows[0]["case"] == name
            and given.items() <= params_of(course.cell.rows[0], "case").items()
            and sampler in (None, course.cell.sampler)
            and steps in (None, course.cell.steps)
        ]
        if not kept:
            raise ValueError(f"no row of {case}")
        if any(len(course.cell.measured) < FEWEST for course in kept):
            raise ValueError(f"{case} was not measured with {FEWEST} seeds")
        return kept

    def course(case: str, estimator: str, **where: Any) -> Course:
        """The only course of an estimator on a task."""
        ((name, given),) = expand(estimator)
        kept = [
            each
            for each in block(case, **where)
            if each.cell.name == name and given.items() <= params_of(each.cell.rows[0], "estimator").items()
        ]
        if len(kept) != 1:
            raise ValueError(f"{len(kept)} courses of {estimator} on {case}")
        return kept[0]

    def contest(case: str, one: str, other: str, cost: str) -> Contest:
        """At the most of the cost that both spent."""
        pair = [course(case, one), course(case, other)]
        most, name = least(pair, cost), case.partition("[")[0]
        assert most is not None
        first, second = (each.by_seed(cost, most, SCORE.get(name, "held_out")) for each in pair)
        sign = 1 if rises(case) else -1
        lead = Mean.of(sign * (first[seed] - second[seed]) for seed in first.keys() & second.keys())
        assert lead is not None
        return Contest(one, other, lead)

    def leads(case: str, one: str, others: Sequence[str], cost: str = "evaluations") -> str:
        """The leads over several, at equal cost."""
        return ", ".join(contest(case, one, other, cost).text for other in others)

    def verdict(case: str, one: str, others: Sequence[str], cost: str = "evaluations") -> str:
        """`holds` if it is better than each, beyond the 95% interval; `in part` if than some."""
        won = [contest(case, one, other, cost).won for other in others]
        return HOLDS if all(won) else PART if any(won) else NOT

    def rises(case: str) -> bool:
        """Whether a larger score is better."""
        ((name, given),) = expand(case)
        return RISING[name] and given.get("direction") != "lower"

    def ends(case: str, estimator: str, score: str = "held_out", **where: Any) -> str:
        """`-5.2 to -1.2±0.1`: the score before and after."""
        each = course(case, estimator, **where)
        return f"{number(each.mean(f'first_{score}'))} to {with_interval(each.mean(f'last_{score}'))}"

    def moved(case: str, estimators: Sequence[str], score: str = "held_out", **where: Any) -> str:
        """The verdict whether each improves the score beyond the interval of its end."""
        sign = 1 if rises(case) else -1
        better = list[bool]()
        for estimator in estimators:
            each = course(case, estimator, **where)
            gains = [sign * (row[f"last_{score}"] - row[f"first_{score}"]) for row in each.cell.measured]
            mean = Mean.of(gains)
            better.append(mean is not None and mean.half is not None and mean.value > mean.half)
        return HOLDS if all(better) else PART if any(better) else NOT

    def lines(case: str, cost: str | None = None) -> list[list[str]]:
        """Estimator, settings, ends, cosine and the scores at each equal cost, the best first."""
        task, name = block(case), case.partition("[")[0]
        score = SCORE.get(name, "held_out")
        most = {each: least(task, each) for each in COSTS}
        order = sorted(task, key=lambda each: _value(each.mean(f"last_{score}")), reverse=rises(case))
        return [
            [
                f"`{each.cell.estimator}`",
                with_interval(each.mean("last_objective")),
                with_interval(each.mean("last_held_out")),
                "" if (cosine := each.mean("optimise_cosine")) is None else f"{cosine.value:.2f}",
                *(f"{each.spent(at) or 0:,.0f}" for at in ("evaluations", "queries")),
                *("" if most[at] is None else with_interval(each.at(at, most[at] or 0, score)) for at in COSTS),
            ]
            for each in order
        ]

    def equal(case: str) -> dict[str, str]:
        """The equal costs of a task, in words."""
        task = block(case)
        return {name: f"{least(task, name) or 0:,.3g} {words}" for name, words in COSTS.items()}

    def before(case: str) -> str:
        """Objective and held-out score before the first update."""
        first = block(case)[0]
        return f"{number(first.mean('first_objective'))}, held-out {number(first.mean('first_held_out'))}"

    def agreement(case: str, cost: str) -> tuple[str, int]:
        """Spearman's correlation of cosine and score at equal cost over the estimators, and their number."""
        task, name = block(case), case.partition("[")[0]
        most, sign = least(task, cost), 1 if rises(case) else -1
        assert most is not None
        pairs = [
            (cosine.value, sign * score.value)
            for each in task
            if (cosine := each.mean("optimise_cosine")) and (score := each.at(cost, most, SCORE.get(name, "held_out")))
        ]
        correlation: Any = stats.spearmanr(*zip(*pairs, strict=True)).statistic
        return f"{correlation:+.2f}", len(pairs)

    def tasks() -> Mapping[tuple[str, ...], list[Course]]:
        """Every block."""
        return blocks(found)

    named = (block, course, leads, verdict, ends, moved, lines, equal, before, agreement, tasks)
    return {f"task_{function.__name__}": function for function in named}


def _value(mean: Mean | None) -> float:
    return 0.0 if mean is None else mean.value
