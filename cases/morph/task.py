"""The updates and the scores of morphing."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradbench.problems.problem import Problem
from gradbench.samplers.encoding import encode, interpolate
from gradbench.tasks.task import Task

from .. import trained
from ..emoji import data, shipped

OWN, OTHERS = "recogniser-0", ("recogniser-1", "recogniser-2")
FALSE_MATCHES = 1e-3
STREAM = 0x3089  # of the seed, for the pairs


class Identity(nn.Module):
    """objective(x)_b = d_1 + d_2 + |d_1 - d_2|, d_i = 1 - <e(p_b), e(v_i,b)> of the decoded picture p = decode(x).

    e, the unit vectors of a recogniser; v_1 and v_2 (b, 3, 32, 32) the pictures of both identities. Of x (copies b, *x)
    the copies of a pair are b entries apart. References: Blasingame and Liu, 2024, arXiv:2405.15020 (its identity
    loss).
    """

    def __init__(self, decode: nn.Module, recogniser: nn.Module, pictures: Tensor) -> None:
        super().__init__()
        self.decode, self.recogniser = decode, recogniser
        self.aims: Tensor
        self.register_buffer("aims", recogniser(2 * pictures.flatten(0, 1) - 1).unflatten(0, pictures.shape[:2]))

    def forward(self, x: Tensor) -> Tensor:
        """(copies b, *x) -> (copies b)."""
        found = self.recogniser(2 * self.decode(x) - 1).unflatten(0, (-1, self.aims.shape[1]))
        one, two = (1 - (found * aim).sum(-1).flatten() for aim in self.aims)
        return one + two + (one - two).abs()


class Morph(Task):
    """Lowers `Identity` by moving the noise and the condition of each pair of pictures from half-way between them.

    The pictures of a pair, alike in the held-out scorer's eyes, are drawn from the seed. Each is encoded by DDIM over
    the problem's grid with its own caption; noises are interpolated on the sphere, conditions in a line. Scores:
    `objective`; `held_out`, the mean over two recognisers, trained independently of the objective's, of the share of
    pairs whose sample matches probes of both identities at a false-match rate of 0.1% (MMPMR: Scherhag et al., 2017,
    BIOSIG); `similarity`, the mean over them of the smaller similarity less the threshold. A probe is the same concept
    in the other style.
    """

    falling = True

    def __init__(self, problem: Problem, params: Mapping[str, Any]) -> None:
        pairs = pairs_of(problem.seed, len(problem.x_T))
        self.decode = shipped.decoder().to(problem.x_T)
        self.own, self.probes = (look(pairs, style).to(problem.x_T) for style in (0, 1))
        self.judges = [(shipped.judge(name).to(problem.x_T), threshold(name)) for name in OTHERS]
        loss = Identity(self.decode, shipped.judge(OWN).to(problem.x_T), self.own)
        starts = [encoded(problem, self.own[i], pairs[:, i]) for i in (0, 1)]
        trained.tell(problem, (starts[0][1] + starts[1][1]) / 2)
        x_T = interpolate(starts[0][0], starts[1][0], 0.5)
        super().__init__(replace(problem, x_T=x_T, objective=loss), params)

    def pictures(self) -> Tensor:
        return self.decode(self.problem.rollout.sample(self.problem.x_T))

    def beside(self) -> Mapping[str, Tensor]:
        return {"first": self.own[0], "second": self.own[1]}

    def scores(self) -> dict[str, float]:
        x_0 = self.problem.rollout.sample(self.problem.x_T)
        shares, margins = list[float](), list[float]()
        for recogniser, least in self.judges:
            found = recogniser(2 * self.decode(x_0) - 1)
            alike = torch.stack([(found * recogniser(2 * probe - 1)).sum(-1) for probe in self.probes]).amin(0)
            shares.append((alike > least).float().mean().item())
            margins.append((alike - least).mean().item())
        return {
            "objective": self.problem.objective(x_0).mean().item(),
            "held_out": sum(shares) / len(shares),
            "similarity": sum(margins) / len(margins),
        }


def pairs_of(seed: int, count: int) -> np.ndarray:
    """(count, 2) concepts, each first one with the unlike one that the held-out scorer finds nearest to it."""
    one, other = nearest()
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAM,)))
    chosen = random.choice(len(one), count, replace=False)
    return np.stack([one[chosen], other[chosen]], 1)


@cache
@torch.no_grad()
def nearest() -> tuple[np.ndarray, np.ndarray]:
    """The concepts that training saw in both styles, and for each the nearest picture of another name."""
    scorer: Any = shipped.judge("held-out-scorer")
    both = np.flatnonzero(~data.load().held.any(1))
    found = torch.cat([scorer.image(2 * part - 1) for part in pictures(both, 0).split(256)])
    alike = (found @ found.T).masked_fill(~torch.from_numpy(unlike(both)), -1)
    return both, both[alike.argmax(1).numpy()]


def look(pairs: np.ndarray, style: int) -> Tensor:
    """(2, b, 3, 32, 32): the pictures of the pairs in a style."""
    return torch.stack([pictures(column, style) for column in pairs.T])


def pictures(concepts: Iterable[int], style: int) -> Tensor:
    """(n, 3, 32, 32) in [0, 1]."""
    return torch.stack([shipped.picture(int(concept), style) for concept in concepts])


@cache
@torch.no_grad()
def threshold(name: str) -> float:
    """The similarity that one in a thousand pairs of pictures of unlike concepts and styles exceeds."""
    recogniser, concepts = shipped.judge(name), np.arange(len(data.load().names))
    every = (pictures(concepts, style) for style in (0, 1))
    one, other = (torch.cat([recogniser(2 * part - 1) for part in x.split(256)]) for x in every)
    return float(np.quantile((one @ other.T).numpy()[unlike(concepts)], 1 - FALSE_MATCHES))


def unlike(concepts: np.ndarray) -> np.ndarray:
    """(n, n): which two have different names; two concepts share one."""
    names = np.array(data.load().names)[concepts]
    return names[:, None] != names


@torch.no_grad()
def encoded(problem: Problem, pictures: Tensor, concepts: np.ndarray) -> tuple[Tensor, Tensor]:
    """x_T (b, *x) and conditions (b, tokens, width) of pictures (b, 3, 32, 32) with these captions."""
    conditions = torch.cat([shipped.embedded(int(concept), 0) for concept in concepts]).to(problem.x_T)
    trained.tell(problem, conditions)
    ends = {"t_max": problem.t_max, "t_min": problem.t_min}
    x_0, ddim = shipped.latents(pictures), f"ddim[grid={problem.sampler.params['grid']}]"
    return encode(problem.denoiser, x_0, sampler=ddim, steps=problem.steps, **ends), conditions
