"""Stable Diffusion with every part tiny: the same as the full one, in seconds on a CPU."""

from collections.abc import Mapping
from typing import Any

from gradbench.problems.spec import Parts

from .. import stable_diffusion as shared


def check(params: Mapping[str, Any]) -> None:
    """Every parameter, the latent's side a multiple of 2."""
    shared.check(params, 2)


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> Parts:
    """The parts of the tiny pipeline."""
    from gradbench.models.stable_diffusion import TINY

    return shared.parts(TINY, params, seed)


SPEC = shared.stable_diffusion(
    name="sd-tiny",
    summary=f"every part of Stable Diffusion, tiny: guided U-Net with LoRA, decoder, text encoder; {shared.RANDOM}",
    check=check,
    build=build,
    params={**shared.PARAMS, "latent": 8},
    dtypes=("float64", "float32", "tf32", "bfloat16", "float16"),
)
