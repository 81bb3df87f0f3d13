"""The updates and the scores of stylisation."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gradbench.problems.problem import Problem
from gradbench.tasks.drawn import fresh
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
        return self.of(self.decode(x))

    def of(self, pictures: Tensor) -> Tensor:
        """The same of pictures (copies b, 3, 32, 32)."""
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
        judges: list[Any] = [
            model.judged(n, params["reference"], problem.objective).to(problem.x_T) for n in ("gram", "heldout-gram")
        ]
        self.gram, self.twin = judges
        named: Any = model.judged("heldout-concept", model.seen[0], problem.objective).to(problem.x_T).image
        names = (*model.seen, *model.unseen)
        self.conditions = [model.embedded(name, params).to(problem.x_T) for name in names]
        self.classifier, self.labels = named.classifier, [model.number(name) for name in names]
        self.seen = len(model.seen)
        with torch.no_grad():
            self.looks = [self._look(self._drawn(number)) for number in range(self.seen)]
            untouched = self._made()
            self.judged = [self._look(pictures) for pictures in untouched]
            self.unit = self.twin.image(torch.cat(untouched)).mean()

    def _look(self, untouched: Tensor) -> Look:
        return Look(self.gram, untouched, self.params["content"])

    def _drawn(self, number: int) -> Tensor:
        """The pictures of a prompt from the noises of its updates."""
        trained.tell(self.problem, self.conditions[number])
        drawn = fresh(self.problem, number)
        return self.gram.decode(drawn.rollout.sample(drawn.x_T))

    def _made(self) -> tuple[Tensor, ...]:
        """The pictures of every prompt, from noises that no update sees."""
        with trained.read(self.problem, self.conditions) as many:
            return self.gram.decode(many.rollout.sample(many.x_T)).chunk(len(self.conditions))

    def at(self, update: int) -> Problem:
        number = update % self.seen
        trained.tell(self.problem, self.conditions[number])
        return replace(fresh(self.problem, number), objective=self.looks[number])

    def pictures(self) -> Tensor:
        return self.gram.decode(trained.one_of_each(self.problem, self.conditions))

    def beside(self) -> Mapping[str, Tensor]:
        return {"reference": shipped.picture(emoji.number(self.params["reference"]), 1)[None]}

    def scores(self) -> dict[str, float]:
        made = self._made()
        values = [look.of(pictures).mean().item() for look, pictures in zip(self.judged, made, strict=True)]
        found = [
            self.classifier(pictures).argmax(1) == label for pictures, label in zip(made, self.labels, strict=True)
        ]
        return {
            "objective": _mean(values[: self.seen]),
            "held_out": (self.twin.image(torch.cat(made)).mean() / self.unit).item(),
            "unseen": _mean(values[self.seen :]),
            "kept": torch.cat(found).float().mean().item(),
        }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
