"""Measures the shipped networks of the emoji case and writes the numbers to weights.json; draws its grids.

    python -m cases.emoji.check            # some ten minutes on one core

Samples: DDIM, 20 steps, guidance 3, through diffusers' own pipeline. Seeds are fixed. The held-out scorer ranks the
right name among 100: itself and 99 other names, drawn at random, in the same style.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradbench.models.weights import RECORD, write_record

from . import data, files, shipped

STEPS, GUIDANCE = 20, 3.0
PROMPTS = 500
SHOWN = (
    *(
        "grinning face",
        "heavy black heart",
        "green heart",
        "cat face",
        "dog face",
        "fire",
        "sun with face",
        "umbrella",
        "rose",
        "rocket",
    ),
    *(
        "octopus",
        "red apple",
        "slice of pizza",
        "guitar",
        "automobile",
        "soccer ball",
        "crown",
        "ghost",
        "snowman",
        "palm tree",
    ),
)


def main() -> None:
    """Every number of the README."""
    torch.set_num_threads(1)
    emoji, pipe = data.load(), shipped.pipeline()
    random = np.random.default_rng(0)
    facts = json.loads((files.HERE / RECORD).read_text())["facts"]
    facts |= {"vae_l1": vae_errors(pipe.vae, emoji)}
    among = [(int(c), int(s)) for c, s in np.argwhere(~emoji.held)]
    chosen = [among[i] for i in random.choice(len(among), PROMPTS, replace=False)]
    made = samples(pipe, [emoji.caption(*one) for one in chosen])
    facts["seen"] = judged(made, chosen, random)
    facts["frechet"] = frechet(made, emoji, random)
    held = [(int(c), int(s)) for c, s in np.argwhere(emoji.held)]
    facts["composed"] = judged(samples(pipe, [emoji.caption(*one) for one in held]), held, random)
    facts["real_pictures"] = judged(pictures(chosen), chosen, random)
    facts["cost"] = costs(pipe)
    grid(pipe, emoji, Path(files.HERE) / "grid.png")
    write_record(files.HERE, files.FILES, facts)
    print(json.dumps(json.loads((files.HERE / RECORD).read_text())["facts"], indent=2))


def vae_errors(vae: Any, emoji: data.Emoji) -> dict[str, float]:
    """Mean absolute error of reconstructions, of the range [-1, 1], on shown and on held-out pictures."""
    x = torch.from_numpy(emoji.images).flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        errors = torch.cat(
            [
                (vae.decode(vae.encode(part).latent_dist.mode()).sample - part).abs().mean((1, 2, 3))
                for part in x.split(256)
            ]
        )
    held = torch.from_numpy(emoji.held.reshape(-1))
    return {"shown": round(errors[~held].mean().item(), 4), "held_out": round(errors[held].mean().item(), 4)}


def samples(pipe: Any, prompts: Sequence[str], guidance: float = GUIDANCE, seed: int = 0, batch: int = 50) -> Tensor:
    """(n, 3, 32, 32) in [0, 1]: one picture per prompt, by diffusers' pipeline."""
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    made = []
    for at in range(0, len(prompts), batch):
        part = list(prompts[at : at + batch])
        done = pipe(part, num_inference_steps=STEPS, guidance_scale=guidance, generator=generator, output_type="pt")
        made.append(done.images)
    return torch.cat(made).float()


def pictures(chosen: Sequence[tuple[int, int]]) -> Tensor:
    """The real pictures of concepts and styles."""
    return torch.stack([shipped.picture(*one) for one in chosen])


def judged(made: Tensor, chosen: Sequence[tuple[int, int]], random: np.random.Generator) -> dict[str, float]:
    """Shares of pictures whose right name comes first among 100, and of those in the right style."""
    scorer: Any = shipped.judge("held-out-scorer")
    found = scorer.image(2 * made - 1)
    names = data.load().names
    first = 0
    for e, (concept, style) in zip(found, chosen, strict=True):
        others = [int(i) for i in random.permutation(len(names)) if names[i] != names[concept]][:99]
        scores = shipped.captions("held-out-scorer", style)[[concept, *others]] @ e
        first += bool(scores.argmax() == 0)
    styles = shipped.judge("held-out-style")(2 * made - 1).argmax(1)
    right = (styles == torch.tensor([style for _, style in chosen])).float().mean().item()
    return {"count": len(chosen), "first_of_100": round(first / len(chosen), 4), "style": round(right, 4)}


def frechet(made: Tensor, emoji: data.Emoji, random: np.random.Generator) -> dict[str, float]:
    """Frechet distances in the held-out scorer's features: of samples from real pictures, and of two halves of these.

    Both compare sets of as many pictures. References: Heusel et al., 2017, arXiv:1706.08500, equation 6.
    """
    scorer: Any = shipped.judge("held-out-scorer")
    order = random.permutation(np.argwhere(~emoji.held))
    one, other = (pictures([(int(c), int(s)) for c, s in part]) for part in np.split(order[: 2 * len(made)], 2))
    sets = [scorer.image(2 * x - 1).double().numpy() for x in (made, one, other)]
    return {"samples": round(distance(sets[0], sets[1]), 4), "halves": round(distance(sets[2], sets[1]), 4)}


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """|mean difference|^2 + tr(A + B - 2 (A B)^(1/2)) of the samples' means and covariances."""
    from scipy.linalg import sqrtm

    first, second = np.cov(a.T), np.cov(b.T)
    root = np.real(sqrtm(first @ second))
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * root))


def costs(pipe: Any) -> dict[str, float]:
    """Median seconds on one thread: an evaluation of the U-Net at batch 4, a LoRA gradient, and loading."""
    import gradbench

    x, text = torch.randn(4, 4, 8, 8), torch.randn(4, 24, 128)
    with torch.no_grad():
        evaluation = median(lambda: pipe.unet(x, 500, text), 20)
    loading = median(shipped.pipeline, 3)
    problem = gradbench.case("emoji").problem(sampler="ddim", steps=STEPS, targets=("parameters",))
    gradient = median(lambda: gradbench.estimator("checkpoint")(problem), 3)
    return {"unet_batch_4": round(evaluation, 4), "lora_gradient": round(gradient, 2), "loading": round(loading, 2)}


def median(call: Any, times: int) -> float:
    """Of the wall-clock seconds of a call, after one that is not counted."""
    call()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return float(np.median(taken))


def grid(pipe: Any, emoji: data.Emoji, path: Path) -> None:
    """Twenty prompts in both styles, enlarged fourfold, with their names."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    prompts = [f"{style} {name}" for style in data.STYLES for name in SHOWN]
    made = samples(pipe, prompts, seed=1)
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, prompt, x in zip(figure.subplots(4, 10).flat, prompts, made, strict=True):
        axes.imshow(x.permute(1, 2, 0).clamp(0, 1).numpy(), interpolation="nearest")
        axes.set_title(prompt.partition(" ")[2], fontsize=7)
        axes.set_axis_off()
    figure.savefig(path, dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
