"""Stable Diffusion 1.5 in full size: the real architecture, with random weights or with real ones."""

from collections.abc import Mapping
from typing import Any

from .. import stable_diffusion as shared
from ..stable_diffusion import (  # noqa: F401
    ARRAYS,
    CITATION,
    DRAWS,
    DTYPE,
    FLOW,
    GRID,
    NOISE,
    PRELOAD,
    REFERENCES,
    REQUIRES,
    SUMS,
    TARGETS,
    weights,
)

NAME = "sd15"
SUMMARY = f"Stable Diffusion 1.5 whole: guided U-Net of 860M parameters with LoRA, decoder; {shared.RANDOM}"
OBJECTIVES = shared.objectives()
PARAMS: dict[str, Any] = shared.PARAMS
DTYPES = ("float32", "tf32", "bfloat16", "float16")
REFERENCE_DTYPE = "float32"  # float64 would take 7 GB of weights and minutes a gradient
THREADS = 0  # all cores


def check(params: Mapping[str, Any]) -> None:
    """Every parameter, the latent's side a multiple of 8."""
    shared.check(params, 8)


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The parts of the whole pipeline."""
    from gradbench.models.stable_diffusion import SD15

    return shared.parts(SD15, params, seed)
