"""Packs the trained networks as they ship: a `StableDiffusionPipeline` folder, judges, and a record of digests.

    python -m cases.emoji.export --from runs/emoji

The U-Net, the autoencoder and the judges are rounded to float16 (`python -m cases.emoji.check` measures the rounded
ones), the text encoder stays in float32. The folder opens in plain diffusers:
`StableDiffusionPipeline.from_pretrained("cases/emoji/pipeline", torch_dtype=torch.float32)`.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from gradbench.checks import UsageError
from gradbench.models.stable_diffusion import assembled, scheduler
from gradbench.models.weights import write_record

from . import files, networks
from .train import LATENT, steps_done, trained

STAGES = ("vae", "unet", *files.JUDGES)


def export(runs: Path, unfinished: bool = False) -> None:
    """Writes `pipeline/`, `judges/` and `weights.json`; unfinished: the U-Net of the last checkpoint will do."""
    scorer: Any = trained(runs, "scorer")
    unet = trained(runs, "unet", unfinished)
    parts = {"unet": unet.half(), "vae": trained(runs, "vae").half(), "text_encoder": scorer.text}
    scale = torch.load(runs / LATENT)["scale"]
    parts["vae"].register_to_config(scaling_factor=round(scale, 5))
    shutil.rmtree(files.PIPELINE, ignore_errors=True)
    pipe = assembled(parts, networks.tokenizer(runs / "tokenizer"), scheduler())
    pipe.save_pretrained(files.PIPELINE, safe_serialization=True)
    (files.HERE / "judges").mkdir(exist_ok=True)
    for name in files.JUDGES:
        kept = trained(runs, name).half().state_dict()
        own = {
            key: value.contiguous() for key, value in kept.items() if name != "scorer" or not key.startswith("text.")
        }
        save_file(own, files.HERE / "judges" / f"{name}.safetensors")
    write_record(files.HERE, files.FILES, {"training_steps": {n: steps_done(runs, n) for n in STAGES}})
    size = sum((files.HERE / file).stat().st_size for file in files.FILES) / 2**20
    print(f"{files.PIPELINE} and judges: {size:.1f} MiB; now measure them: python -m cases.emoji.check")


def main() -> None:
    """Packs one folder of training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="runs", type=Path, default=Path("runs/emoji"))
    parser.add_argument("--unfinished", action="store_true", help="the U-Net as far as it is trained")
    options = parser.parse_args()
    try:
        export(options.runs, options.unfinished)
    except UsageError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
