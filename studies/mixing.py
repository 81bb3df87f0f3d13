"""Mixtures of adapters: between two rewards, and between one reward and the base, against a reward that is a sum."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gradbench
from gradbench.analysis.courses import Mean
from gradbench.problems.case import make_case
from gradbench.report.courses import with_interval
from gradbench.tasks.curve import Curve
from gradbench.tasks.optimise import optimise
from gradbench.tasks.task import Task
from studies.common import table

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
REWARDS = ("class", "preference")
SUM = "0.5*class + 0.5*preference"
SEEDS, UPDATES, RATE, STEPS, RANK = range(5), 15, 0.03, 10, 4
SCORES = {
    "objective": "reward",
    "held_out": "held-out",
    "unseen": "reward of unseen prompts",
    "diversity": "diversity",
}
Scores = Mapping[str, float]


def page(laws: Sequence[int], out: Path) -> str:
    """Three tables."""
    tuned = {reward: [_tuned(reward, seed) for seed in SEEDS] for reward in (*REWARDS, SUM)}
    between = {m: [_mixed(m, *pair) for pair in zip(*(tuned[r] for r in REWARDS), strict=True)] for m in SHARES}
    alone = {m: [_mixed(m, adapters, _scaled(adapters, 0.0)) for adapters in tuned["class"]] for m in SHARES}
    summed = [_judged(adapters, RANK) for adapters in tuned[SUM]]
    first, second = REWARDS
    return f"""# Mixtures of adapters

AlignProp's authors mix the adapters of two rewards, W = m W_1 + (1 - m) W_2, and one with the base (arXiv:2310.03739); DRaFT's
scale and add them (arXiv:2309.17400). Here: LoRA of rank {RANK} on the network of `digits`, float32, {UPDATES} updates of `checkpoint` with Adam,
{RATE}, `ddim[eta=1]`, {STEPS} steps, {len(SEEDS)} seeds: mean ± half-width of the 95% interval. Rewards: `class`, log p(8) whatever the prompt
asks for; `preference`, learnt from choices between pairs. Held-out: by independently trained networks. Adapters are mixed as
W = BA, not as their factors.

## Between two rewards

m = 1 is the adapter of `{first}`, m = 0 that of `{second}`. The last line was tuned to the sum of both rewards, half each.

{_between(between, summed)}
## Between a reward and the base

m times the adapter of `{first}`.

{table(["m", *SCORES.values()], [[f"{m:g}", *(_of(alone[m], f"class {score}") for score in SCORES)] for m in SHARES])}"""


def _between(found: Mapping[float, list[Scores]], summed: list[Scores]) -> str:
    columns = [(reward, score) for reward in REWARDS for score in ("objective", "held_out")]
    heads = ["m", *(f"{reward}: {SCORES[score]}" for reward, score in columns), "slant", "diversity"]

    def line(name: str, scores: list[Scores]) -> list[str]:
        own = [_of(scores, f"{reward} {score}") for reward, score in columns]
        return [name, *own, _of(scores, "preference slant"), _of(scores, "class diversity")]

    return table(heads, [*(line(f"{m:g}", scores) for m, scores in found.items()), line("of the sum", summed)])


def _of(scores: list[Scores], name: str) -> str:
    return with_interval(Mean.of(each[name] for each in scores))


def _task(reward: str, seed: int, rank: int) -> Task:
    params = {"objective": reward, "updates": UPDATES, "lr": RATE, "checkpoints": 1, "rank": rank}
    case = make_case("align", params)
    problem: Any = case.problem(sampler="ddim[eta=1]", steps=STEPS, seed=seed, targets=("parameters",))
    assert case.spec.task is not None
    return case.spec.task(problem, case.params)


def _tuned(reward: str, seed: int) -> list[Tensor]:
    """The adapters after the updates, A and B in turns."""
    task = _task(reward, seed, RANK)
    optimise(task, gradbench.estimator("checkpoint"), Curve(None))
    return [leaf.detach().clone() for leaf in task.problem.parameters]


def _scaled(adapters: Sequence[Tensor], share: float) -> list[Tensor]:
    """The adapters of share BA."""
    return [leaf if place % 2 == 0 else share * leaf for place, leaf in enumerate(adapters)]


def _mixed(share: float, one: Sequence[Tensor], other: Sequence[Tensor]) -> Scores:
    """Scores of share B_1 A_1 + (1 - share) B_2 A_2, which has both ranks in all."""
    pairs = zip(_scaled(one, share), _scaled(other, 1 - share), strict=True)
    return _judged([torch.cat(pair, place % 2) for place, pair in enumerate(pairs)], 2 * RANK)


@torch.no_grad()
def _judged(adapters: Sequence[Tensor], rank: int) -> Scores:
    """The scores of both rewards."""
    found = dict[str, float]()
    for reward in REWARDS:
        task = _task(reward, 0, rank)
        for leaf, value in zip(task.problem.parameters, adapters, strict=True):
            leaf.copy_(value)
        found |= {f"{reward} {name}": value for name, value in task.scores().items()}
    return found
