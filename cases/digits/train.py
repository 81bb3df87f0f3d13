"""Trains the networks of the digits case and writes them beside this file, with their digests.

    python cases/digits/train.py            # about 5 minutes on two cores
    python cases/digits/train.py --check    # judge the shipped weights again, write nothing

The data are scikit-learn's 1,797 8x8 digits (UCI, BSD), scaled to [-1, 1] and split 1,437 / 360. The recipe: AdamW,
2e-3, weight decay 1e-3, batch 64, 200 warm-up steps, cosine to 1%, gradient clip 1, EMA 0.998, label dropout 0.1.
"""

import argparse
import copy
import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from gradbench.models.weights import write_record

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from network import CLASSES, NULL_CLASS, Classifier, DigitsModel, parameter_count, sample_ddim, scheduler  # noqa: E402


def data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Train images, test images (n, 1, 8, 8) in [-1, 1], and their labels; a stratified split with a fixed seed."""
    digits = load_digits()
    split = train_test_split(digits.images, digits.target, test_size=360, stratify=digits.target, random_state=0)
    train_x, test_x = (torch.tensor(x, dtype=torch.float32)[:, None] / 8 - 1 for x in split[:2])
    train_y, test_y = (torch.tensor(y, dtype=torch.long) for y in split[2:])
    return train_x, test_x, train_y, test_y


def train_classifier(seed: int, width: int, noise: float, steps: int = 1500) -> Classifier:
    """Adam 2e-3 with cosine decay, input noise and label smoothing 0.05, which keep the reward smooth."""
    train_x, _, train_y, _ = data()
    torch.manual_seed(seed)
    model = Classifier(width)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    loss = nn.CrossEntropyLoss(label_smoothing=0.05)
    for _ in range(steps):
        pick = torch.randint(len(train_x), (128,))
        optimiser.zero_grad()
        loss(model(train_x[pick] + noise * torch.randn(128, 1, 8, 8)), train_y[pick]).backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def train_unet(seed: int, steps: int) -> DigitsModel:
    """Noise prediction at uniformly drawn timesteps; returns the moving average of the weights."""
    train_x, _, train_y, _ = data()
    torch.manual_seed(seed)
    model = DigitsModel()
    average = copy.deepcopy(model).requires_grad_(False)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
    warmup = 200

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = (step - warmup) / max(1, steps - warmup)
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
    noising = scheduler()
    for step in range(steps):
        pick = torch.randint(len(train_x), (64,))
        x, label = train_x[pick], train_y[pick].clone()
        label[torch.rand(64) < 0.1] = NULL_CLASS
        timestep = torch.randint(1000, (64,))
        eps = torch.randn_like(x)
        loss = nn.functional.mse_loss(model(noising.add_noise(x, eps, timestep), timestep, label), eps)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        decay = min(0.998, (1 + step) / (10 + step))
        with torch.no_grad():
            for kept, new in zip(average.parameters(), model.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)
        if step % 100 == 0:
            print(f"step {step:5d}  loss {loss.item():.4f}", flush=True)
    return average.eval()


@torch.no_grad()
def judge(model: DigitsModel, scorer: Classifier, heldout: Classifier) -> dict[str, float]:
    """The case's promised accuracies: the scorers' on the test set, and the share of samples of the requested class."""
    _, test_x, _, test_y = data()
    facts: dict[str, float] = {"unet_parameters": parameter_count(model)}
    for name, classifier in (("scorer", scorer), ("heldout", heldout)):
        facts[f"{name}_parameters"] = parameter_count(classifier)
        facts[f"{name}_test_accuracy"] = (classifier(test_x).argmax(1) == test_y).float().mean().item()
    label = torch.arange(CLASSES).repeat_interleave(50)
    for guidance in (1.0, 2.0):
        x = sample_ddim(model, label, 20, guidance, torch.Generator().manual_seed(1))
        for name, classifier in (("scorer", scorer), ("heldout", heldout)):
            share = (classifier(x).argmax(1) == label).float().mean().item()
            facts[f"ddim20_guidance{guidance:g}_accuracy_by_{name}"] = share
    return facts


def main() -> None:
    """Trains, judges and records; with --check only judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    nets: dict[str, nn.Module] = {"unet": DigitsModel(), "scorer": Classifier(24), "heldout": Classifier(20)}
    if not options.check:
        nets["scorer"] = train_classifier(seed=options.seed, width=24, noise=0.1)
        nets["heldout"] = train_classifier(seed=options.seed + 1, width=20, noise=0.15)
        nets["unet"] = train_unet(options.seed, options.steps)
        for name, net in nets.items():
            save_file({k: v.contiguous() for k, v in net.state_dict().items()}, options.out / f"{name}.safetensors")
    for name, net in nets.items():
        net.load_state_dict(load_file(options.out / f"{name}.safetensors"))
        net.eval()
    facts = judge(nets["unet"], nets["scorer"], nets["heldout"])  # type: ignore[arg-type]
    print(json.dumps(facts, indent=2))
    if not options.check:
        train_x, _, train_y, _ = data()
        save_file({"mean": train_x[train_y == 4].mean(0)}, options.out / "four.safetensors")
        write_record(options.out, [*(f"{name}.safetensors" for name in nets), "four.safetensors"], facts)


if __name__ == "__main__":
    main()
