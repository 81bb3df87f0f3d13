"""Stable Diffusion's networks from their configurations with seeded random weights, at full size and tiny.

References: Rombach et al., 2022, arXiv:2112.10752, section 3 and appendix E; Radford et al., 2021, arXiv:2103.00020
(the text encoder).
"""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from gradbench.checks import UsageError
from gradbench.models import skeleton


@dataclass(frozen=True)
class Architecture:
    """Configurations of the three networks, and the number of parameters of each."""

    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    text_encoder: Mapping[str, Any]
    counts: Mapping[str, int]


SD15 = Architecture(
    unet={
        "sample_size": 64,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,  # the number of heads; the name is historical
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
        "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
    },
    vae={
        "sample_size": 512,
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "force_upcast": False,  # its pipeline decodes in half precision
    },
    text_encoder={
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "projection_dim": 768,
    },
    counts={"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
)
TINY = Architecture(
    unet={
        "sample_size": 8,
        "cross_attention_dim": 32,
        "attention_head_dim": 4,
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "block_out_channels": (16, 32),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    },
    vae={
        "sample_size": 16,
        "block_out_channels": (16, 32),
        "norm_num_groups": 8,
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "force_upcast": False,
    },
    text_encoder={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "projection_dim": 32,
        "vocab_size": 512,
        "bos_token_id": 510,
        "eos_token_id": 511,
    },
    counts={"unet": 203_204, "vae": 167_959, "text_encoder": 36_000},
)


def random_pipeline(architecture: Architecture, seed: int = 0) -> Any:
    """A `StableDiffusionPipeline` with torch's own random initialisation from `seed`.

    The tokenizer splits words into letters: with random weights a prompt has no meaning and is an input like any other.
    The scheduler is DDIM with Stable Diffusion's betas. Weights are frozen, and modules are in evaluation mode. Weights
    are drawn on the device of `skeleton.made_on` by that device's generator; the global random state is left as it was.
    """
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with skeleton.drawn(seed):
        networks = {
            "unet": UNet2DConditionModel(**architecture.unet),
            "vae": AutoencoderKL(latent_channels=4, **architecture.vae),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**architecture.text_encoder)),
        }
    for network in networks.values():
        network.eval().requires_grad_(False)
    check_counts(networks, architecture)
    return assembled(networks, letter_tokenizer(architecture.text_encoder.get("vocab_size", 49_408)), scheduler())


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Context for imports of pipelines, at which transformers warns about image processors that are unused here."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def assembled(networks: Mapping[str, nn.Module], tokenizer: Any, scheduler: Any) -> Any:
    """The pipeline built from its parts, without the safety checker and feature extractor: gradients need neither."""
    with without_warnings():
        from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    made: Any = StableDiffusionPipeline
    left_out = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return made(**networks, tokenizer=tokenizer, scheduler=scheduler, **left_out)


def check_counts(networks: Mapping[str, nn.Module], architecture: Architecture, source: str = "the network") -> None:
    """`ValueError` if a network's number of parameters differs from the architecture's."""
    for name, expected in architecture.counts.items():
        found = sum(p.numel() for p in networks[name].parameters())
        if found != expected:
            raise UsageError(f"{name} of {source} has {found:,} parameters, this architecture has {expected:,}")


def scheduler() -> Any:
    """Stable Diffusion 1.5's noise schedule: scaled-linear betas 0.00085 to 0.012 over 1,000 steps, no clipping."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="epsilon",
        timestep_spacing="leading",
    )


def letter_tokenizer(vocabulary: int) -> Any:
    """A `CLIPTokenizer` of single letters; begin and end are the last two numbers of the vocabulary, as in CLIP's."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    ids = {text: number for number, text in enumerate([*letters, *(f"{letter}</w>" for letter in letters)])}
    ids |= {"<|startoftext|>": vocabulary - 2, "<|endoftext|>": vocabulary - 1}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vocab.json").write_text(json.dumps(ids))
        (Path(folder) / "merges.txt").write_text("#version: 0.2\n")
        return CLIPTokenizer.from_pretrained(folder, model_max_length=77)
