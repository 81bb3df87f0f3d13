"""Shared by the cases of Stable Diffusion: their parameters, and a problem from a pipeline's parts."""

from collections.abc import Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from gradbench.checks import UsageError
from gradbench.objectives.catalogue import OBJECTIVES
from gradbench.problems.spec import CaseSpec, Parts

if TYPE_CHECKING:
    from torch import Tensor, nn

RANDOM = "random weights unless weights=PATH_OR_HUB_ID"
CITATION = "Rombach et al., 2022, arXiv:2112.10752 (architecture); Hu et al., 2022, arXiv:2106.09685 (LoRA)"
PROMPTS = (
    "a photo of a cat",
    "a photo of a dog",
    "an astronaut riding a horse",
    "a watercolour of mountains at dawn",
)
PARAMS: dict[str, Any] = {
    "weights": None,
    "prompt": 0,
    "latent": 64,
    "guidance": 7.5,
    "rank": 4,
    "inner_checkpointing": False,
    "decoder_checkpointing": True,
    "compile": False,
    "t_max": 1.0,
    "t_min": 0.001,
    "batch": 1,
    "objective": "target-latent",
}
PRELOAD = (
    "diffusers.models.unets.unet_2d_condition",
    "diffusers.models.autoencoders.autoencoder_kl",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
    "diffusers.schedulers.scheduling_ddim",
    "transformers.models.clip.modeling_clip",
    "transformers.models.clip.tokenization_clip",
    "peft",
    "scipy.interpolate",
    "gradbench.models.pretrained",
    "gradbench.models.pipeline",
    "gradbench.models.lora",
)
SEED_OF_PARTS = 0  # of random weights and of targets: the same in every cell


def weights(params: Mapping[str, Any], device: str) -> str:
    """The description of the weights in every row, figure and page.

    Random ones are drawn on the device: a GPU's generator differs from a CPU's with the same seed.
    """
    if params["weights"] is None:
        return f"random weights, seed {SEED_OF_PARTS}" + ("" if device == "cpu" else ", of CUDA's generator (Philox)")
    return f"weights of {params['weights']}"


def check(params: Mapping[str, Any], multiple: int) -> None:
    """Every parameter; the latent's side must be a multiple of the U-Net's downsampling factor."""
    from gradbench import checks

    checks.time_range(params["t_max"], params["t_min"])
    checks.one_of("prompt", params["prompt"], range(len(PROMPTS)))
    checks.finite("guidance", params["guidance"])
    checks.one_of("rank", params["rank"], range(1, 129))
    side = checks.positive_integer("latent", params["latent"])
    if side % multiple:
        raise UsageError(f"latent must be a multiple of {multiple}, got {side}")
    for name in ("inner_checkpointing", "decoder_checkpointing", "compile"):
        checks.one_of(name, params[name], (True, False))
    check_weights(params)


def check_weights(params: Mapping[str, Any]) -> None:
    """None, or a text."""
    if params["weights"] is not None and not isinstance(params["weights"], str):
        raise UsageError(f"weights must be a folder or a hub id, got {params['weights']!r}")


def pipeline(architecture: Any, given: str | None) -> Any:
    """The pipeline with the given weights, or with random ones."""
    from gradbench.models.pretrained import load_pipeline
    from gradbench.models.stable_diffusion import random_pipeline

    return random_pipeline(architecture, SEED_OF_PARTS) if given is None else load_pipeline(given, architecture)


def parts(architecture: Any, params: Mapping[str, Any], seed: int) -> Parts:
    """The result of `build`: the guided U-Net with LoRA weights from the seed, the prompt's embedding, the objective.

    Without `weights` the networks are random, from a separate seed that is always the same.
    """
    from gradbench.models.lora import add_lora
    from gradbench.models.pipeline import from_pipeline

    pipe = pipeline(architecture, params["weights"])
    side = params["latent"] * 2 ** (len(architecture.vae["block_out_channels"]) - 1)
    found = from_pipeline(
        pipe,
        prompt=PROMPTS[params["prompt"]],
        guidance=params["guidance"],
        height=side,
        width=side,
        inner_checkpointing=params["inner_checkpointing"],
        decoder_checkpointing=params["decoder_checkpointing"],
        compile=params["compile"],
    )
    lora = add_lora(pipe.unet, params["rank"], seed)
    objective = found.objective(params["objective"], SEED_OF_PARTS)
    return Parts(found.denoiser, objective, found.denoiser.condition, lora, found.shape)


@cache
def conditions(case: str, given: str | None) -> "Tensor":
    """(n, tokens, width): the embeddings of `PROMPTS` by the text encoder of that case."""
    from gradbench.models.pipeline import from_pipeline
    from gradbench.models.stable_diffusion import SD15, TINY

    loaded = pipeline({"sd15": SD15, "sd-tiny": TINY}[case], given)
    return from_pipeline(loaded, list(PROMPTS), guidance=1.0).denoiser.condition.detach()


def scored(name: str, own: Any) -> "nn.Module":
    """The objective of that name of the pictures that the decoder of a problem's own objective makes."""
    from gradbench.objectives.decoded import Decoded

    return Decoded(own.decode, OBJECTIVES.find(name).make(), None)


# the spec of one of the sizes, without its own name, summary, dtypes, check and build
stable_diffusion = partial(
    CaseSpec,
    citation=CITATION,
    objectives=tuple(OBJECTIVES),
    sums=True,
    params=PARAMS,
    grid="leading",
    dtype="float32",
    draws=32,
    references=("sampler", "expected"),
    requires=("diffusers", "peft", "transformers"),
    preload=PRELOAD,
    weights=weights,
)
