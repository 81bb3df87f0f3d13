"""The experiments of DDIM on networks trained here: quality against steps, encoding and decoding, interpolation."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import gradbench
from cases import trained
from cases.digits.train import data as digits_data
from cases.emoji import data, shipped
from cases.emoji.check import distance
from gradbench.models.pipeline import from_pipeline
from gradbench.objectives.classifier import ClassLogProbability
from gradbench.problems.problem import Problem
from gradbench.report.static import canvas
from gradbench.samplers.encoding import encode, interpolate
from studies.common import number, table

SAMPLERS = ("ddim", "ddim[eta=0.2]", "ddim[eta=0.5]", "ddim[eta=1]", "ddpm[variance=large]")
NAMES = {"ddim": "eta = 0", **{f"ddim[eta={eta}]": f"eta = {eta}" for eta in ("0.2", "0.5", "1")}}
NAMES["ddpm[variance=large]"] = "sigma-hat"
STEPS = (5, 10, 20, 50)
WHOLE = ("ddim[eta=1]", 500)  # DDPM with half of the steps of its training, all that the grid can do
EACH, SEEDS = 30, (0, 1, 2)  # samples of every class, and the seeds of their noise
CODES = (5, 10, 20, 50, 100)
PICTURES = 20
DDIM = "ddim[grid=leading]"  # the same grid there and back
PROMPTS, BETWEEN, SHOWN_STEPS = ("red apple", "cat face", "umbrella", "octopus"), 9, 50
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def page(laws: Sequence[int], out: Path) -> str:
    """Four tables and a picture; the numbers are in ddim.json too."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    found = {place: _quality(*place) for place in [*((s, n) for s in SAMPLERS for n in STEPS), WHOLE]}
    halves, agreed = _real()
    codes = {steps: (_digits_again(steps), _emoji_again(steps)) for steps in CODES}
    known = [_known_between(weight) for weight in WEIGHTS]
    _figure(out / "images" / "ddim-interpolation")
    kept = {
        "quality": [
            {"sampler": s, "steps": n, "distance": far, "known": right} for (s, n), (far, right) in found.items()
        ],
        "again": [{"steps": n, "digits": one, "emoji": other} for n, (one, other) in codes.items()],
        "between": [{"weight": weight, "known": share} for weight, share in zip(WEIGHTS, known, strict=True)],
    }
    (out / "ddim.json").write_text(json.dumps(kept, indent=2) + "\n")
    rows = [[NAMES[s], *(_of(found[s, n][0]) for n in STEPS)] for s in SAMPLERS]
    shares = [[NAMES[s], *(_of(found[s, n][1]) for n in STEPS)] for s in SAMPLERS]
    again = [[name, *(number(codes[n][i]) for n in CODES)] for i, name in enumerate(("`digits`", "`emoji`"))]
    smallest = {n: min(SAMPLERS, key=lambda s: np.mean(found[s, n][0])) for n in STEPS}
    said = "; ".join(f"{n} steps: {NAMES[smallest[n]]}" for n in STEPS)
    return f"""# DDIM's experiments

Song, Meng and Ermon, *Denoising diffusion implicit models* (arXiv:2010.02502), sections 5.1 to 5.4, on networks that are
trained here. Their claims: fewer steps cost DDIM less quality than DDPM; a sample can be encoded and decoded; noises can be
interpolated. The numbers are of `digits` and `emoji`, not of CIFAR10.

## Quality against steps

The smallest mean distance: {said}. Where ranges overlap, means are not told apart.

Frechet distance from the data in the pooled features of the classifier that no objective uses ({EACH} samples of each of
ten classes against all 1,797 real digits; between two halves of the real digits it is {number(halves)}), mean (smallest to
largest) over {len(SEEDS)} seeds. The `digits` network, float32, its own grid; sigma-hat is `ddpm[variance=large]`. DDPM (eta = 1)
with {WHOLE[1]:,} steps, half of those of its training: {_of(found[WHOLE][0])}.

{table(["noise", *(f"{n} steps" for n in STEPS)], rows)}

Share of samples that the same classifier takes for their class (of real digits: {number(agreed)}; of DDPM's with {WHOLE[1]:,} steps:
{_of(found[WHOLE][1])}):

{table(["noise", *(f"{n} steps" for n in STEPS)], shares)}

## Encoding and decoding

Mean squared error per number, on the scale of [0, 1], after encoding by DDIM and decoding with as many steps (equation 14):
{PICTURES} real digits of each class, and the latents of {PICTURES * 3} pictures of `emoji`, decoded to pixels, where the
autoencoder's own error is left out: both sides are decoded latents.

{table(["", *(f"{n} steps" for n in CODES)], again)}

## Interpolation

Noises between two draws on the sphere (appendix D.5). Share of samples of `digits`, {EACH} of each class, {STEPS[2]} steps, that the
classifier still takes for their class:

{table(["weight", *(f"{weight:g}" for weight in WEIGHTS)], [["known", *map(number, known)]])}
Pictures of `emoji`, {SHOWN_STEPS} steps, one prompt a row. This network has learnt its pictures by heart: the noise hardly changes
them, and so they say nothing of what lies between two noises.

![Pictures of emoji from noises between two draws: one prompt a row, the first and the last column are the two draws.](images/ddim-interpolation.png)
"""


def _of(values: Sequence[float]) -> str:
    return f"{number(float(np.mean(values)))} ({number(min(values))} to {number(max(values))})"


def _problem(label: int, sampler: str, steps: int, seed: int, batch: int) -> Problem:
    return gradbench.case("digits", label=label, batch=batch).problem(sampler=sampler, steps=steps, seed=seed)


def _data() -> tuple[Tensor, Tensor]:
    """All real digits, and their classes."""
    train_x, test_x, train_y, test_y = digits_data()
    return torch.cat([train_x, test_x]), torch.cat([train_y, test_y])


def _classifier() -> Any:
    judge = trained.DIGITS.judged("heldout-class", 0, None)
    assert isinstance(judge, ClassLogProbability)
    return judge.classifier


@torch.no_grad()
def _features(x: Tensor) -> np.ndarray:
    return _classifier().features(x).mean((2, 3)).double().numpy()


@torch.no_grad()
def _quality(sampler: str, steps: int) -> tuple[list[float], list[float]]:
    """Of every seed, the Frechet distance and the share of samples that the classifier takes for their class."""
    real, _ = _data()
    far, right = list[float](), list[float]()
    for seed in SEEDS:
        problem = _of_all_classes(sampler, steps, seed)
        x_0 = problem.rollout.sample(problem.x_T)
        far.append(distance(_features(x_0), _features(real)))
        right.append(_known(x_0))
    return far, right


def _of_all_classes(sampler: str, steps: int, seed: int) -> Problem:
    """A batch of the same number of samples of every class, in order."""
    problem = _problem(0, sampler, steps, seed, 10 * EACH)
    denoiser: Any = problem.denoiser
    denoiser.condition = torch.stack([trained.DIGITS.embedded(label, {}) for label in range(10) for _ in range(EACH)])
    denoiser.batched = True
    return problem


def _known(x_0: Tensor) -> float:
    """The share of such a batch that the classifier takes for its class."""
    return (_classifier()(x_0).argmax(1) == torch.arange(10).repeat_interleave(EACH)).float().mean().item()


@torch.no_grad()
def _known_between(weight: float) -> float:
    one, other = (_of_all_classes("ddim", STEPS[2], seed) for seed in SEEDS[:2])
    return _known(one.rollout.sample(interpolate(one.x_T, other.x_T, weight)))


@torch.no_grad()
def _real() -> tuple[float, float]:
    """The distance of two halves of the data, and the share of it that the classifier knows."""
    x, y = _data()
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(x)))
    one, other = order.chunk(2)
    return distance(_features(x[one]), _features(x[other])), (_classifier()(x).argmax(1) == y).float().mean().item()


@torch.no_grad()
def _digits_again(steps: int) -> float:
    x, y = _data()
    errors = list[Tensor]()
    for label in range(10):
        real = x[y == label][:PICTURES]
        problem = _problem(label, "ddim", steps, 0, len(real))
        again = problem.rollout.sample(encode(problem.denoiser, real, sampler=DDIM, steps=steps))
        errors.append(((again - real) / 2).square().mean())
    return torch.stack(errors).mean().item()


@torch.no_grad()
def _emoji_again(steps: int) -> float:
    shown = np.random.default_rng(0).choice(np.flatnonzero(~data.load().held.any(1)), 3 * PICTURES, replace=False)
    latents = shipped.latents(torch.stack([shipped.picture(int(concept), 0) for concept in shown]))
    names = [data.load().caption(int(concept), 0) for concept in shown]
    parts = from_pipeline(shipped.pipeline(), names, guidance=1.0)
    x_T = encode(parts.denoiser, latents, sampler=DDIM, steps=steps)
    again = gradbench.sample(parts.denoiser, x_T, sampler=DDIM, steps=steps)
    decode = shipped.decoder()
    return (decode(again).clamp(0, 1) - decode(latents).clamp(0, 1)).square().mean().item()


@canvas.themed
def _figure(stem: Path) -> None:
    """A row for each prompt, a column for each weight."""
    parts = from_pipeline(shipped.pipeline(), [f"noto {name}" for name in PROMPTS], guidance=3.0)
    decode: Any = parts.decoder
    first, second = (parts.noise(seed=seed) for seed in (1, 2))
    weights = np.linspace(0, 1, BETWEEN)
    figure, grid = canvas.canvas("", canvas.DOUBLE, 0.75 * len(PROMPTS), len(PROMPTS), BETWEEN)
    for j, weight in enumerate(weights):
        with torch.no_grad():
            noise = interpolate(first, second, float(weight))
            x_0 = gradbench.sample(parts.denoiser, noise, grid=parts.grid(SHOWN_STEPS))
            pictures = decode(x_0).clamp(0, 1).permute(0, 2, 3, 1).numpy()
        for i, picture in enumerate(pictures):
            axes = grid[i, j]
            axes.grid(False)
            axes.spines[:].set_visible(False)
            axes.imshow(picture, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            if not i:
                axes.set_title(f"{weight:g}", fontsize=7)
            if not j:
                axes.set_ylabel(PROMPTS[i], fontsize=7)
    canvas.save(figure, stem, ("png",))
