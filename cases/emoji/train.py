"""Trains the networks of the emoji case, one stage after another, each resumable.

    python -m cases.emoji.train                  # hours on a CPU, minutes on a GPU (--device cuda)
    python -m cases.emoji.train --stage unet     # one stage; those that it needs must be finished
    python -m cases.emoji.train --begin shipped --steps 6000    # on from the networks that ship

Checkpoints, a log per stage and the finished weights go to --out. A call resumes where the last one stopped.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradbench.checks import UsageError
from gradbench.models.stable_diffusion import scheduler
from gradbench.models.weights import RECORD

from . import data, files, networks, shipped

EVERY = 120.0  # seconds between checkpoints
LATENT = "latent.pt"
START = "unet.start.safetensors"  # the weights that training begins with, where it does not begin from nothing


@dataclass(frozen=True)
class Stage:
    """A training stage: the loss(module) of a random batch, and its length.

    average: the decay of the moving average whose weights are kept; 0 keeps the last ones.
    """

    loss: Callable[[nn.Module], Tensor]
    steps: int
    rate: float
    weight_decay: float = 0.02
    average: float = 0.0


class Batches:
    """The data on a device, and random batches of them; generative training omits the held-out images."""

    def __init__(self, out: Path, device: torch.device) -> None:
        self.emoji, self.device = data.load(), device
        tokens = out / "tokenizer"
        if not (tokens / "vocab.json").exists():
            networks.vocabulary(self.captions(), tokens)
        ids = networks.ids_of(networks.tokenizer(tokens), [*self.captions(), ""])
        self.ids, self.empty = ids[:-1].to(device), ids[-1].to(device)
        pixels = torch.from_numpy(self.emoji.images).flatten(0, 1).permute(0, 3, 1, 2)
        self.images = (pixels.float() / 127.5 - 1).to(device)
        self.shown = torch.from_numpy(~self.emoji.held.reshape(-1)).nonzero().flatten().to(device)
        self.out = out

    def captions(self) -> Iterator[str]:
        """The captions of all images, both styles of a concept one after the other."""
        for concept in range(len(self.emoji.names)):
            for style in range(len(data.STYLES)):
                yield self.emoji.caption(concept, style)

    def pick(self, count: int, held_out: bool = False) -> Tensor:
        """Indices of images, drawn without repetition; held_out: include those."""
        among = torch.arange(len(self.images), device=self.device) if held_out else self.shown
        return among[torch.randperm(len(among), device=self.device)[:count]]

    def moved(self, x: Tensor, noise: float = 0.05) -> Tensor:
        """Shifted by up to two pixels on a white ground, with noise."""
        wide = functional.pad(x, (2, 2, 2, 2), value=1.0)
        down, right = torch.randint(0, 5, (2,)).tolist()
        return wide[..., down : down + data.SIZE, right : right + data.SIZE] + noise * torch.randn_like(x)


def reconstruction(batches: Batches) -> Callable[[nn.Module], Tensor]:
    """L1, half the L1 of horizontal and vertical differences, and 1e-3 KL per number of the latent."""

    def loss(module: Any) -> Tensor:
        x = batches.images[batches.pick(32)]
        x = torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5, x.flip(-1), x)
        posterior = module.encode(x).latent_dist
        found = module.decode(posterior.sample()).sample
        edges = sum(functional.l1_loss(found.diff(dim=d), x.diff(dim=d)) for d in (-1, -2))
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        return functional.l1_loss(found, x) + 0.5 * edges + 1e-3 * kl

    return loss


def contrast(batches: Batches) -> Callable[[nn.Module], Tensor]:
    """Which caption belongs to which picture, both ways, among 192."""

    def loss(module: nn.Module) -> Tensor:
        pick = batches.pick(192, held_out=True)
        logits = module(batches.moved(batches.images[pick]), batches.ids[pick])
        right = torch.arange(len(pick), device=logits.device)
        return (functional.cross_entropy(logits, right) + functional.cross_entropy(logits.T, right)) / 2

    return loss


def recognition(batches: Batches) -> Callable[[nn.Module], Tensor]:
    """Which picture of one style shows the concept of one of the other, among 128; temperature 0.07."""

    def loss(module: nn.Module) -> Tensor:
        concepts = torch.randperm(len(batches.emoji.names), device=batches.device)[:128]
        one, other = (module(batches.moved(batches.images[2 * concepts + style])) for style in (0, 1))
        logits, right = one @ other.T / 0.07, torch.arange(len(concepts), device=one.device)
        return (functional.cross_entropy(logits, right) + functional.cross_entropy(logits.T, right)) / 2

    return loss


def style(batches: Batches) -> Callable[[nn.Module], Tensor]:
    """Noto or Twemoji."""

    def loss(module: nn.Module) -> Tensor:
        pick = batches.pick(64, held_out=True)
        return functional.cross_entropy(module(batches.moved(batches.images[pick])), pick % 2, label_smoothing=0.05)

    return loss


def denoising(batches: Batches) -> Callable[[nn.Module], Tensor]:
    """The noise in latents of the posterior, at uniformly drawn timesteps; one caption in ten is empty."""
    noising = scheduler()

    def loss(module: Any) -> Tensor:
        mean, std, scale, text = latents(batches)
        empty, pick = text[-1], batches.pick(64)
        x = (mean[pick] + std[pick] * torch.randn_like(mean[pick])) * scale
        said = torch.where(torch.rand(len(pick), 1, 1, device=x.device) < 0.1, empty, text[pick])
        time_ = torch.randint(1000, (len(pick),), device=x.device)
        eps = torch.randn_like(x)
        found = module(noising.add_noise(x, eps, time_), time_, said, return_dict=False)[0]
        return functional.mse_loss(found, eps)

    return loss


@cache
def latents(batches: Batches) -> tuple[Tensor, Tensor, float, Tensor]:
    """Means and deviations of the posteriors, their scale, and the captions' embeddings, the empty one last."""
    kept = torch.load(batches.out / LATENT, map_location=batches.device)
    return kept["mean"], kept["std"], kept["scale"], kept["text"]


def encode(batches: Batches) -> None:
    """The latents of all images and the embeddings of all captions, for the U-Net's stage."""
    vae, scorer = (trained(batches.out, name).to(batches.device) for name in ("vae", "scorer"))
    text: Any = scorer.text
    with torch.no_grad():
        found = [vae.encode(part).latent_dist for part in batches.images.split(256)]
        mean, std = (torch.cat([getattr(d, name) for d in found]) for name in ("mean", "std"))
        said = [text(part).last_hidden_state for part in [*batches.ids.split(256), batches.empty[None]]]
    drawn = (mean + std * torch.randn_like(mean))[batches.shown]
    scale = shipped.scale() if (batches.out / START).exists() else 1.0 / drawn.std().item()
    torch.save({"mean": mean, "std": std, "scale": scale, "text": torch.cat(said)}, batches.out / LATENT)


def stages(batches: Batches) -> dict[str, Stage]:
    """Every stage in the order of training."""
    return {
        "vae": Stage(reconstruction(batches), 8000, 1.5e-3, average=0.999),
        "scorer": Stage(contrast(batches), 4000, 1e-3),
        "unet": Stage(denoising(batches), 20_000, 1e-3, 0.01, average=0.999),
        "held-out-scorer": Stage(contrast(batches), 4000, 1e-3),
        **{f"recogniser-{k}": Stage(recognition(batches), 500, 1e-3) for k in range(3)},
        "style": Stage(style(batches), 600, 1e-3),
        "held-out-style": Stage(style(batches), 600, 1e-3),
    }


def trained(out: Path, name: str, unfinished: bool = False) -> Any:
    """The network of a stage, in evaluation mode; `UsageError` if its training is not finished.

    unfinished: take the averaged weights of the last checkpoint where there are none of the end.
    """
    from safetensors.torch import load_file

    path, checkpoint = out / f"{name}.safetensors", out / f"{name}.checkpoint.pt"
    network = networks.make(name)
    if path.exists():
        network.load_state_dict(load_file(path))
    elif unfinished and checkpoint.exists():
        kept = torch.load(checkpoint, map_location="cpu")
        network.load_state_dict(kept["average"] or kept["module"])
    else:
        raise UsageError(f"{path} is missing: train the stage {name} first")
    return network.eval()


def steps_done(out: Path, name: str) -> int:
    """The steps behind the weights that `trained` gives, those before `START` included."""
    from safetensors import safe_open

    finished, started = out / f"{name}.safetensors", out / START
    if finished.exists():
        with safe_open(finished, "pt") as file:
            return int(file.metadata()["steps"])
    with safe_open(started, "pt") if name == "unet" and started.exists() else nullcontext() as file:
        before = int(file.metadata()["steps"]) if file else 0
    return before + torch.load(out / f"{name}.checkpoint.pt", map_location="cpu")["step"]


def adopt(out: Path) -> None:
    """Puts the networks that ship into a folder: the judges and the autoencoder finished, the U-Net to be gone on with.

    They are rounded to float16. `UsageError` for a folder that has networks of its own.
    """
    from safetensors.torch import save_file

    if any(out.glob("*.safetensors")) or any(out.glob("*.pt")):
        raise UsageError(f"{out} has networks of another training, which --begin would replace: name another --out")
    steps = json.loads((files.HERE / RECORD).read_text())["facts"]["training_steps"]
    pipe = shipped.pipeline()
    pipe.tokenizer.save_pretrained(out / "tokenizer")
    kept = {"vae": pipe.vae, "unet": pipe.unet, **{name: shipped.judge(name) for name in files.JUDGES}}
    for name, module in kept.items():
        path = out / (START if name == "unet" else f"{name}.safetensors")
        weights = {key: value.contiguous() for key, value in module.state_dict().items()}
        save_file(weights, path, {"steps": str(steps[name])})


def train(name: str, stage: Stage, out: Path, device: torch.device, seed: int, steps: int) -> None:
    """Resumes from the stage's checkpoint up to its last step, and writes its weights.

    `ValueError` for a checkpoint with another number of steps, and hence other learning rates.
    """
    from safetensors.torch import load_file, save_file

    torch.manual_seed(seed)
    module = networks.make(name).to(device).train()
    if name == "unet" and (out / START).exists():
        module.load_state_dict(load_file(out / START))
    nn.utils.convert_conv2d_weight_memory_format(module, torch.channels_last)  # a tenth faster on a CPU
    average = {key: value.clone() for key, value in module.state_dict().items()} if stage.average else None
    optimiser = torch.optim.AdamW(module.parameters(), lr=stage.rate, weight_decay=stage.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, stage.rate, total_steps=steps + 1, pct_start=0.1)
    checkpoint, begun, losses = out / f"{name}.checkpoint.pt", 0, []
    if checkpoint.exists():
        kept = torch.load(checkpoint, map_location=device)
        if kept["schedule"]["total_steps"] != steps + 1:
            was = kept["schedule"]["total_steps"] - 1
            raise UsageError(f"{checkpoint} is of a training of {was} steps, asked are {steps}: name another --out")
        for part, state in ((module, "module"), (optimiser, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(kept[state])
        begun, average = kept["step"], kept["average"]
        torch.set_rng_state(kept["random"].cpu())
    said = time.monotonic()
    for step in range(begun, steps):
        loss = stage.loss(module)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if average is not None:
            decay = min(stage.average, (1 + step) / (10 + step))
            for key, value in module.state_dict().items():
                average[key].lerp_(value, 1 - decay) if value.is_floating_point() else average[key].copy_(value)
        if time.monotonic() - said > EVERY or step == steps - 1:
            said = time.monotonic()
            states = {"module": module.state_dict(), "optimiser": optimiser.state_dict(), "average": average}
            states |= {"schedule": schedule.state_dict(), "step": step + 1, "random": torch.get_rng_state()}
            partial = checkpoint.with_suffix(".partial")
            torch.save(states, partial)
            partial.replace(checkpoint)
            with open(out / f"{name}.log", "a") as log:
                told = {"step": step + 1, "loss": sum(losses[-100:]) / len(losses[-100:]), "at": round(time.time())}
                log.write(json.dumps(told) + "\n")
    weights = average if average is not None else module.state_dict()
    done = {"steps": str(steps_done(out, name))}
    save_file(
        {key: value.detach().cpu().contiguous() for key, value in weights.items()}, out / f"{name}.safetensors", done
    )


def run(options: argparse.Namespace) -> None:
    """Every stage that is asked for and not finished."""
    if options.begin and not (options.out / START).exists():
        adopt(options.out)
    batches = Batches(options.out, torch.device(options.device))
    for seed, (name, stage) in enumerate(stages(batches).items()):
        if options.stage in (None, name) and not (options.out / f"{name}.safetensors").exists():
            if name == "unet" and not (options.out / LATENT).exists():
                encode(batches)
            train(name, stage, options.out, batches.device, seed, options.steps or stage.steps)
            print(f"{name}: {options.out / name}.safetensors", flush=True)


def main() -> None:
    """Trains the unfinished stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", help="one stage only")
    parser.add_argument("--out", type=Path, default=Path("runs/emoji"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, help="of the stage, for a try or for going on")
    parser.add_argument("--begin", choices=("shipped",), help="go on from the networks that ship, in a new --out")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        run(options)
    except UsageError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
