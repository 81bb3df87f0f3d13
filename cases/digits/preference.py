"""Trains the preference scorers of the digits case on pairs of pictures, into the folder beside this file.

    python cases/digits/preference.py       # a minute on one core

The judge of a pair prefers the picture that leans to the right, not always: of pictures a and b it prefers a with
probability 1 / (1 + exp(-(slant(a) - slant(b)) / 0.1)). The scorers see only which of 20,000 pairs were preferred,
and learn by the likelihood of these choices (Bradley and Terry, 1952, Biometrika 39). The rule itself judges what they
miss.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from cases.digits.network import Preference
from cases.digits.slant import slant
from cases.digits.train import data
from gradbench.models.weights import write_record

FOLDER = Path(__file__).parent / "preferences"
SCORERS = {"preference": (11, 24), "heldout-preference": (12, 20)}  # seed and width
PAIRS, STEPS, BATCH, NOISE, SOFTNESS = 20_000, 1_000, 128, 0.1, 0.1


def choices(pictures: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(count, 2): places of pictures, the preferred one first."""
    pairs = torch.randint(len(pictures), (count, 2), generator=generator)
    lean = slant(pictures)[pairs]
    first = torch.rand(count, generator=generator) < torch.sigmoid((lean[:, 0] - lean[:, 1]) / SOFTNESS)
    return torch.where(first[:, None], pairs, pairs.flip(1))


def train(seed: int, width: int) -> Preference:
    """Adam 2e-3 with cosine decay and input noise, on choices of its own."""
    pictures, _, _, _ = data()
    generator = torch.Generator().manual_seed(seed)
    chosen = choices(pictures, PAIRS, generator)
    torch.manual_seed(seed)
    model = Preference(width)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        pairs = pictures[chosen[torch.randint(PAIRS, (BATCH,), generator=generator)]]
        better, worse = (model(part + NOISE * torch.randn(part.shape, generator=generator)) for part in pairs.unbind(1))
        optimiser.zero_grad()
        (-torch.nn.functional.logsigmoid(better - worse)).mean().backward()
        optimiser.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def judge(scorers: dict[str, Preference]) -> dict[str, float]:
    """Shares of 20,000 choices between test pictures that the scorers foresee, and that the rule itself does."""
    _, test_x, _, _ = data()
    chosen = choices(test_x, PAIRS, torch.Generator().manual_seed(0))
    scores = {**{name: model(test_x) for name, model in scorers.items()}, "rule": slant(test_x)}
    return {f"{n}_test_agreement": (s[chosen[:, 0]] > s[chosen[:, 1]]).float().mean().item() for n, s in scores.items()}


def main() -> None:
    """Trains, judges and records."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    scorers = {name: train(*how) for name, how in SCORERS.items()}
    for name, model in scorers.items():
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, FOLDER / f"{name}.safetensors")
    write_record(FOLDER, [f"{name}.safetensors" for name in scorers], judge(scorers))


if __name__ == "__main__":
    main()
