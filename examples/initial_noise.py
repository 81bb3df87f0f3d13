"""Optimisation of the initial noise of Stable Diffusion by a differentiable reward: the weights stay as they are.

    python examples/initial_noise.py      # a tiny pipeline with random weights, seconds on a CPU
    python examples/initial_noise.py --weights PATH_OR_HUB_ID --device cuda --dtype float16 --steps 50 --out DIR
    python examples/initial_noise.py --sampler edict --gradient reversible  # as DOODL does

x_T climbs the reward by Adam, and after every update goes back to the norm it was drawn with: noise of other norms is
nothing that the network was trained on. References: Wallace et al., 2023, DOODL, arXiv:2303.13703; Tang et al., 2024,
DNO, arXiv:2405.18881.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

import gradbench
from common import options, pipeline, update


def norms(x: Tensor) -> Tensor:
    """(b, 1, 1, 1): the norm of each sample of x (b, c, h, w)."""
    return x.flatten(1).norm(dim=1)[:, None, None, None]


def main(argv: Sequence[str] | None = None) -> list[float]:
    """Optimises and returns the mean reward before each update."""
    parser = options(__doc__)
    parser.add_argument("--prompt", default="a photo of a cat")
    parser.add_argument("--batch", type=int, default=1, help="images, each with a noise of its own")
    parser.add_argument("--seed", type=int, default=0, help="of the noise to begin with")
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--out", metavar="DIR", help="where the last images go, as PNG")
    given = parser.parse_args(argv)
    pipe = pipeline(given)
    parts = gradbench.from_pipeline(
        pipe, given.prompt, guidance=given.guidance, inner_checkpointing=given.inner_checkpointing
    )
    reward = parts.objective(given.reward)  # x_0 (b, *x) to (b). Or any function of your own of parts.decoder(x_0)

    x_T = parts.noise(given.batch, seed=given.seed)
    drawn = norms(x_T)
    x_T.requires_grad_()
    optimizer = torch.optim.Adam([x_T], lr=given.lr)
    scaler = torch.amp.GradScaler(given.device, enabled=given.dtype == "float16")

    def sample() -> Tensor:
        return gradbench.sample(
            parts.denoiser, x_T, sampler=given.sampler, grid=parts.grid(given.steps), gradient=given.gradient
        )

    rewards = []
    for k in range(given.updates):
        mean = reward(sample()).mean()
        scaler.scale(-mean).backward()
        note = update(scaler, optimizer)
        with torch.no_grad():
            x_T *= drawn / norms(x_T)
        rewards.append(mean.item())
        print(f"update {k}: mean {given.reward} {rewards[-1]:.4f}{note}")

    if given.out:
        folder = Path(given.out)
        folder.mkdir(parents=True, exist_ok=True)
        with torch.no_grad():
            images = parts.decoder(sample())
        for k, image in enumerate(pipe.image_processor.postprocess(2 * images - 1)):
            image.save(folder / f"{k}.png")
        print(f"images in {folder}")
    return rewards


if __name__ == "__main__":
    main()
