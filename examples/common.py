"""What the examples have in common: options, the pipeline, an update in half precision."""

import argparse
from typing import Any

import torch

from gradbench.models.pretrained import load_pipeline
from gradbench.models.stable_diffusion import TINY, random_pipeline


def options(description: str | None) -> argparse.ArgumentParser:
    """The options of both examples."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--weights", metavar="PATH_OR_HUB_ID", help="safetensors; without it, as with --tiny")
    source.add_argument("--tiny", action="store_true", help="a tiny pipeline with random weights (the default)")
    parser.add_argument("--reward", default="colourfulness", metavar="SUM", help="as --reward=2*scorer-jpeg-size")
    parser.add_argument("--gradient", default="checkpoint", help="an estimator: backprop, checkpoint, adjoint-deis ...")
    parser.add_argument("--sampler", default="ddim")
    parser.add_argument("--steps", type=int, default=5, help="of the sampler")
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument("--updates", type=int, default=5, help="of the optimizer")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="of the networks"
    )
    parser.add_argument("--inner-checkpointing", action="store_true", help="the U-Net recomputes its own blocks, too")
    return parser


def pipeline(given: argparse.Namespace) -> Any:
    """The pipeline of `--weights`, or a tiny one with random weights, on its device and in its precision."""
    if given.weights is None:
        print("random weights: a tiny pipeline, whose images mean nothing")
    pipe = random_pipeline(TINY) if given.weights is None else load_pipeline(given.weights)
    pipe.to(given.device)
    if given.dtype != "float32":
        pipe.to(getattr(torch, given.dtype))
    return pipe


def update(scaler: torch.amp.GradScaler, optimizer: torch.optim.Optimizer) -> str:
    """One update by the gradients that are there; says where they were not finite, so that none was made."""
    before = scaler.get_scale()
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return ", skipped while the scale of float16 is sought" if scaler.get_scale() < before else ""
