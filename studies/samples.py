"""Samples of the digits network by sampler and guidance, at which the gradients are taken."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

import gradbench
from gradbench.report.static import canvas
from studies.common import number, table

SAMPLERS = ("ddim", "heun", "dpm++2m", "ddim[eta=1]", "sde-dpm++2m")
GUIDANCE = (1.0, 2.0, 4.0, 8.0)
LABEL, STEPS, SHOWN, BATCH = 3, 20, 4, 64


def page(laws: Sequence[int], out: Path) -> str:
    """The grid of samples, and the class's probability under both classifiers."""
    found = {(s, g): _sample(s, g, laws[0]) for s in SAMPLERS for g in GUIDANCE}
    scores = {key: [_score(x_0, name) for name in ("class", "heldout-class")] for key, x_0 in found.items()}
    (out / "images").mkdir(parents=True, exist_ok=True)
    _figure(found, scores, out / "images" / "samples")
    rows = [[f"`{s}`", *(f"{number(scores[s, g][0])} / {number(scores[s, g][1])}" for g in GUIDANCE)] for s in SAMPLERS]
    return f"""# Samples

Samples from the chains of the `digits` case, in float32: class {LABEL}, {STEPS} steps, the same four x_T in every box. Guidance 1 is the
conditional network alone. Below each box: the mean log-probability of the class by the classifier used as objective.

![Samples of the digits network: one row per sampler, one column per guidance scale, four samples each.](images/samples.png)

Mean log-probability of the class over {BATCH} samples, by the classifier used as objective / by one trained
independently; 0 is certain.

{table(["sampler", *(f"guidance {g:g}" for g in GUIDANCE)], rows)}
"""


def _sample(sampler: str, guidance: float, seed: int) -> Tensor:
    case = gradbench.case("digits", label=LABEL, guidance=guidance, batch=BATCH)
    problem = case.problem(sampler=sampler, steps=STEPS, seed=seed)
    with torch.no_grad():
        return problem.rollout.sample(problem.x_T)


def _score(x_0: Tensor, objective: str) -> float:
    case = gradbench.case("digits", label=LABEL, objective=objective)
    with torch.no_grad():
        return case.problem(sampler="ddim", steps=1, seed=0).objective(x_0).mean().item()


@canvas.themed
def _figure(found: dict[tuple[str, float], Tensor], scores: dict[tuple[str, float], list[float]], stem: Path) -> None:
    """One box per (sampler, guidance), and its numbers as CSV beside the picture."""
    title = f"digits, class {LABEL}, {STEPS} steps"
    down, across = len(SAMPLERS), len(GUIDANCE)
    figure, grid = canvas.canvas(title, canvas.DOUBLE, 0.62 * down, down, across)
    for i, sampler in enumerate(SAMPLERS):
        for j, guidance in enumerate(GUIDANCE):
            axes, images = grid[i, j], found[sampler, guidance][:SHOWN, 0]
            strip = torch.nn.functional.pad(images, (0, 1), value=-1.0).permute(1, 0, 2).flatten(1)[:, :-1]
            axes.imshow(strip, cmap="gray_r", vmin=-1, vmax=1, interpolation="nearest")
            axes.grid(False)
            axes.set_xticks([])
            axes.set_yticks([3.5] if j == 0 else [], [sampler] if j == 0 else [])
            axes.tick_params(length=0)
            axes.set_xlabel(
                f"log-probability {number(scores[sampler, guidance][0])}", fontsize=canvas.SMALL, labelpad=2
            )
            axes.spines[:].set_visible(False)
            if i == 0:
                axes.set_title(f"guidance {guidance:g}", fontsize=canvas.SMALL)
    canvas.save(figure, stem, ("png",))
    lines = [
        {"sampler": s, "guidance": g, "steps": STEPS, "log_probability": own, "log_probability_heldout": other}
        for (s, g), (own, other) in scores.items()
    ]
    pd.DataFrame(lines).to_csv(stem.with_suffix(".csv"), index=False, lineterminator="\n", float_format="%.6g")
