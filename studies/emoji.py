"""docs/images/emoji.png: prompts of the emoji case, and what one reward does to their pictures.

    python -m studies.emoji

Above, DDIM-20 at guidance 3 from a drawn noise. Below, from the same noise with the embeddings of the prompts after some
updates by Adam that raise a reward. The gradient is exact: `checkpoint`.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gradbench
from cases.emoji import shipped
from gradbench.models.pipeline import PipelineParts, from_pipeline

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "emoji.png"
PROMPTS = ("grinning face", "green heart", "cat face", "umbrella", "rose", "rocket", "octopus", "red apple")
STYLE = "noto"
STEPS, GUIDANCE, UPDATES, RATE, SEED = 20, 3.0, 12, 0.05, 1


def raised(parts: PipelineParts, x_T: Tensor, reward: Any) -> Tensor:
    """The prompts' embeddings after the updates, (n, tokens, width)."""
    told: Any = parts.denoiser.condition
    decode: Any = parts.decoder
    told.requires_grad_()
    optimizer = torch.optim.Adam([told], lr=RATE)
    for _ in range(UPDATES):
        x_0 = gradbench.sample(parts.denoiser, x_T, grid=parts.grid(STEPS), gradient="checkpoint", wrt=[told])
        (-reward(decode(x_0)).sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return told.requires_grad_(False).clone()


def main() -> None:
    """Draws the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    torch.set_num_threads(1)
    pipe = shipped.pipeline()
    parts = from_pipeline(pipe, [f"{STYLE} {name}" for name in PROMPTS], guidance=GUIDANCE)
    classifier: Any = shipped.judge("style")
    x_T, told = parts.noise(seed=SEED), parts.denoiser.condition
    assert isinstance(told, Tensor) and parts.decoder is not None
    prompts = {
        "as written": told.detach().clone(),
        "towards twemoji": raised(parts, x_T, lambda x: classifier(2 * x - 1).log_softmax(1)[:, 1]),
    }
    figure = Figure(figsize=(8, 2.3), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(prompts), len(PROMPTS))
    for row, (title, prompt) in enumerate(prompts.items()):
        with torch.no_grad():
            told.copy_(prompt)
            x_0 = gradbench.sample(parts.denoiser, x_T, grid=parts.grid(STEPS))
            pictures = parts.decoder(x_0).clamp(0, 1).permute(0, 2, 3, 1).numpy()
            print(title, classifier(2 * torch.from_numpy(pictures).permute(0, 3, 1, 2) - 1).softmax(1)[:, 1].tolist())
        for axes, picture, name in zip(grid[row], pictures, PROMPTS, strict=True):
            axes.imshow(picture, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if not row:
                axes.set_title(name, fontsize=8)
        grid[row][0].set_ylabel(title, fontsize=7)
    figure.savefig(PICTURE, dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    main()
