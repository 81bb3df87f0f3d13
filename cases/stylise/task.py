"""The updates and the scores of stylisation."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gradbench.problems.problem import Problem
from gradbench.tasks.drawn import fresh, judging
from gradbench.tasks.task import Task

from .. import trained
from ..emoji import case as emoji
from ..emoji import shipped


class Look(nn.Module):
    """objective(x)_b = G(p_b) / G_0 + w (1 - <e(p_b), e(base_b)>), p the decoded pictures.

    G is the Gram distance from the reference picture and G_0 its mean over the untouched pictures; e, the unit vectors
    of an image encoder, hold the content, and `base` (b, 3, 32, 32) are the untouched pictures of the same noises. Of
    x (copies b, *x) the copies of a sample are b entries apart. References: Gatys, Ecker and Bethge, 2016,
    arXiv:1508.06576, equation 7 (a weighted sum of both distances).
    """

    gram: Any

    def __init__(self, decoded: Any, base: Tensor, weight: float) -> None:
        super().__init__()
        self.decode, self.gram, self.weight = decoded.decode, decoded.image, weight
        self.base: Tensor
        self.unit: Tensor
        self.register_buffer("base", self.embedded(base))
        self.register_buffer("unit", self.gram(base).mean())

    def embedded(self, pictures: Tensor) -> Tensor:
        """(n, width) unit vectors."""
        return self.gram.encoder(2 * pictures - 1)

    def forward(self, x: Tensor) -> Tensor:
        """(copies b, *x) -> (copies b)."""
        pictures = self.decode(x)
        kept = (self.embedded(pictures).unflatten(0, (-1, len(self.base))) * self.base).sum(-1).flatten()
        return self.gram(pictures) / self.unit + self.weight * (1 - kept)


class Stylise(Task):
    """Lowers `Look` over the seen prompts in turns, each from one batch of noises that stays the same.

    Scores, on noises of their own: `objective`; `held_out`, the Gram distance by another network's features, relative
    to that of the untouched pictures; `unseen`, the objective of held-out prompts; `kept`, the share of all pictures
    whose name the held-out scorer gives.
    """

    falling = True

    def __init__(self, problem: Problem, params: Mapping[str, Any]) -> None:
        super().__init__(problem, params)
        model = trained.MODELS[params["model"]]
        judges: list[Any] = [model.judged(n, params["reference"]).to(problem.x_T) for n in ("gram", "heldout-gram")]
        gram, self.twin = judges
        named: Any = model.judged("heldout-concept", model.seen[0]).to(problem.x_T).image
        names = (*model.seen, *model.unseen)
        self.conditions = [model.embedded(name).to(problem.x_T) for name in names]
        self.classifier, self.labels = named.classifier, [model.number(name) for name in names]
        self.seen = len(model.seen)
        self.looks = [self._look(gram, number) for number in range(self.seen)]
        self.start = self._made()
        with torch.no_grad():
            pictures = [gram.decode(x) for x in self.start]
            self.judged = [Look(gram, base, params["content"]) for base in pictures]
            self.unit = torch.cat([self.twin.image(base) for base in pictures]).mean()

    def _told(self, number: int) -> None:
        assert self.problem.condition is not None
        self.problem.condition.data.copy_(self.conditions[number])

    @torch.no_grad()
    def _look(self, gram: Any, number: int) -> Look:
        self._told(number)
        drawn = fresh(self.problem, number)
        return Look(gram, gram.decode(drawn.rollout.sample(drawn.x_T)), self.params["content"])

    @torch.no_grad()
    def _made(self) -> tuple[Tensor, ...]:
        """x_0 of every prompt, from noises that no update sees."""
        with trained.read(self.problem, self.conditions) as many:
            problem = judging(many, 0)
            return problem.rollout.sample(problem.x_T).chunk(len(self.conditions))

    def at(self, update: int) -> Problem:
        number = update % self.seen
        self._told(number)
        return replace(fresh(self.problem, number), objective=self.looks[number])

    def pictures(self) -> Tensor:
        alone = replace(self.problem, x_T=self.problem.x_T[:1])
        with trained.read(alone, self.conditions) as many:
            problem = judging(many, 0)
            return self.twin.decode(problem.rollout.sample(problem.x_T))

    def beside(self) -> Mapping[str, Tensor]:
        return {"reference": shipped.picture(emoji.number(self.params["reference"]), 1)[None]}

    def scores(self) -> dict[str, float]:
        made = self._made()
        values = [look(x).mean().item() for look, x in zip(self.judged, made, strict=True)]
        decode = self.twin.decode
        found = [self.classifier(decode(x)).argmax(1) == label for x, label in zip(made, self.labels, strict=True)]
        return {
            "objective": _mean(values[: self.seen]),
            "held_out": (torch.cat([self.twin(x) for x in made]).mean() / self.unit).item(),
            "unseen": _mean(values[self.seen :]),
            "kept": torch.cat(found).float().mean().item(),
        }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
