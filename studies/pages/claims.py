"""What the rows of tasks say of the claims of papers: who does better at equal cost, and by how much."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from scipy import stats

from gradbench.analysis.courses import COSTS, Course, Mean, courses, least
from gradbench.analysis.rows import params_of
from gradbench.bench.row import Row
from gradbench.report.courses import number, with_interval
from gradbench.selector import expand

HOLDS, PART, NOT = "holds", "holds in part", "does not hold"
FEWEST = 5  # seeds
RISING = {"align": True, "noise": True, "morph": True, "inversion": False, "stylise": False, "audit": False}
SCORE = {"audit": "objective"}  # the held-out score of an audit should stay where it is


class Lead(NamedTuple):
    """The mean over seeds of a difference of scores, positive if the first is better."""

    mean: Mean

    @property
    def clear(self) -> bool:
        """Whether its 95% interval lies above zero."""
        return self.mean.half is not None and self.mean.value > self.mean.half

    @property
    def level(self) -> bool:
        """Whether its interval does not lie below zero."""
        return self.mean.half is not None and self.mean.value + self.mean.half >= 0

    @property
    def text(self) -> str:
        """+0.52±0.1."""
        return f"{self.mean.value:+.2g}±{self.mean.half:.1g}"


def verdict_of(flags: Iterable[bool]) -> str:
    """All, some or none."""
    found = list(flags)
    return HOLDS if all(found) else PART if any(found) else NOT


def rises(case: str) -> bool:
    """Whether a larger score is better."""
    ((name, given),) = expand(case)
    return RISING[name] and given.get("direction") != "lower"


def score_of(case: str) -> str:
    """The score by which estimators are compared."""
    return SCORE.get(case.partition("[")[0], "held_out")


def claims(rows: Sequence[Row]) -> dict[str, Callable[..., Any]]:
    """The functions called by templates, by name."""
    found = courses(rows)

    def block(case: str, sampler: str | None = None) -> list[Course]:
        """The courses of a task, selected as on the command line: options that are not given are any."""
        kept = [each for each in found if _is(each, "case", case) and (not sampler or _is(each, "sampler", sampler))]
        if not kept or any(len(each.cell.measured) < FEWEST for each in kept):
            raise ValueError(f"the rows have not {FEWEST} seeds of every estimator of {case}")
        return kept

    def course(case: str, estimator: str, sampler: str | None = None) -> Course:
        """The only course of an estimator on a task."""
        kept = [each for each in block(case, sampler) if _is(each, "estimator", estimator)]
        if len(kept) != 1:
            raise ValueError(f"{len(kept)} courses of {estimator} on {case}")
        return kept[0]

    def lead(case: str, one: str, other: str, cost: str | None = "evaluations", sampler: str | None = None) -> Lead:
        """At the most of the cost that both spent; at their ends without a cost."""
        pair = [course(case, one, sampler), course(case, other, sampler)]
        first, second = (_by_seed(each, score_of(case), cost, least(pair, cost) if cost else None) for each in pair)
        sign = 1 if rises(case) else -1
        return _lead(sign * (first[seed] - second[seed]) for seed in first.keys() & second.keys())

    def gain(case: str, estimator: str, score: str, sampler: str | None = None) -> Lead:
        """Of the end over the start."""
        sign, measured = 1 if rises(case) else -1, course(case, estimator, sampler).cell.measured
        return _lead(sign * (row[f"last_{score}"] - row[f"first_{score}"]) for row in measured)

    def leads(case: str, one: str, others: Sequence[str], cost: str | None = "evaluations", **where: Any) -> str:
        """The leads over several: `reinforce` +0.5±0.1."""
        return ", ".join(f"`{other}` {lead(case, one, other, cost, **where).text}" for other in others)

    def verdict(case: str, one: str, others: Sequence[str], cost: str = "evaluations", **where: Any) -> str:
        """Whether one is better than each of the others."""
        return verdict_of(lead(case, one, other, cost, **where).clear for other in others)

    def verdicts(case: str, ones: Sequence[str], other: str, cost: str = "evaluations") -> str:
        """Whether each is better than the other."""
        return verdict_of(lead(case, one, other, cost).clear for one in ones)

    def level(cases: Sequence[str], one: str, other: str, cost: str | None = "evaluations", **where: Any) -> str:
        """Whether one is not worse than the other, on each task."""
        return verdict_of(lead(case, one, other, cost, **where).level for case in cases)

    def moved(cases: Sequence[str], estimator: str, score: str = "held_out", **where: Any) -> str:
        """Whether an estimator improves the score of each task."""
        return verdict_of(gain(case, estimator, score, **where).clear for case in cases)

    def ends(case: str, estimator: str, score: str = "held_out", **where: Any) -> str:
        """`-5.2 to -1.2±0.1`: the score before and after."""
        each = course(case, estimator, **where)
        return f"{number(each.mean(f'first_{score}'))} to {with_interval(each.mean(f'last_{score}'))}"

    def last(case: str, estimators: Sequence[str], **where: Any) -> str:
        """The held-out scores after the updates."""
        return ", ".join(with_interval(course(case, each, **where).mean("last_held_out")) for each in estimators)

    def gap(case: str, estimator: str) -> str:
        """The held-out score less the objective, after the updates."""
        measured = course(case, estimator).cell.measured
        return _lead(row["last_held_out"] - row["last_objective"] for row in measured).text

    def lines(case: str) -> list[list[str]]:
        """Estimator, settings, ends, cosine, costs, and the score at each equal cost; the best end first."""
        task, score = block(case), score_of(case)
        most = {each: least(task, each) or 0.0 for each in COSTS}
        order = sorted(task, key=lambda each: _value(each.mean(f"last_{score}")), reverse=rises(case))
        return [
            [
                ", ".join(filter(None, (f"`{each.cell.estimator}`", each.settings))),
                with_interval(each.mean("last_objective")),
                with_interval(each.mean("last_held_out")),
                "" if (cosine := each.mean("optimise_cosine")) is None else f"{cosine.value:.2f}",
                *(f"{each.spent(at) or 0:,.0f}" for at in ("evaluations", "queries")),
                *(with_interval(each.at(at, most[at], score)) for at in COSTS),
            ]
            for each in order
        ]

    def equal(case: str) -> str:
        """The equal costs of a task, in words."""
        task = block(case)
        return ", ".join(f"{least(task, name) or 0:,.3g} {words}" for name, words in COSTS.items())

    def before(case: str) -> str:
        """Objective and held-out score before the first update."""
        first = block(case)[0]
        return f"{number(first.mean('first_objective'))}, held-out {number(first.mean('first_held_out'))}"

    def agreement(case: str, cost: str) -> str:
        """Spearman's correlation of cosine and score at equal cost over the estimators of a task."""
        task, sign = block(case), 1 if rises(case) else -1
        most = least(task, cost) or 0.0
        pairs = [(each.mean("optimise_cosine"), each.at(cost, most, score_of(case))) for each in task]
        known = [(cosine.value, sign * score.value) for cosine, score in pairs if cosine and score]
        correlation: Any = stats.spearmanr(*zip(*known, strict=True)).statistic
        return f"{correlation:+.2f}"

    def count(case: str) -> int:
        """The estimators of a task."""
        return len(block(case))

    named = (leads, verdict, verdicts, level, moved, ends, last, gap, lines, equal, before, agreement, count)
    return {f"task_{function.__name__}": function for function in named}


def _is(course: Course, kind: str, selector: str) -> bool:
    ((name, given),) = expand(selector)
    row = course.cell.rows[0]
    return row[kind] == name and given.items() <= params_of(row, kind).items()


def _by_seed(course: Course, score: str, cost: str | None, most: float | None) -> dict[int, float]:
    if cost is not None and most is not None:
        return course.by_seed(cost, most, score)
    return {row["seed"]: row[f"last_{score}"] for row in course.cell.measured}


def _lead(differences: Iterable[float]) -> Lead:
    mean = Mean.of(differences)
    assert mean is not None
    return Lead(mean)


def _value(mean: Mean | None) -> float:
    return 0.0 if mean is None else mean.value
