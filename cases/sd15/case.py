"""Stable Diffusion 1.5 in full size: the real architecture, with random weights or with real ones."""

from collections.abc import Mapping
from typing import Any

from gradbench.problems.spec import Parts

from .. import stable_diffusion as shared


def check(params: Mapping[str, Any]) -> None:
    """Every parameter, the latent's side a multiple of 8."""
    shared.check(params, 8)


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> Parts:
    """The parts of the whole pipeline."""
    from gradbench.models.stable_diffusion import SD15

    return shared.parts(SD15, params, seed)


SPEC = shared.stable_diffusion(
    name="sd15",
    summary=f"all of Stable Diffusion 1.5: guided U-Net of 860M parameters with LoRA, decoder; {shared.RANDOM}",
    check=check,
    build=build,
    dtypes=("float32", "tf32", "bfloat16", "float16"),
    reference_dtype="float32",  # float64 would take 7 GB of weights and minutes per gradient
    threads=0,  # all cores
)
