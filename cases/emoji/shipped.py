"""The trained networks that ship with the emoji case: a Stable Diffusion pipeline, scorers and judges."""

import json
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from gradbench.models.decoder import LatentDecoder
from gradbench.models.weights import load_weights, verify

from . import data, networks
from .files import HERE, NETWORKS, PIPELINE


def pipeline() -> Any:
    """The `StableDiffusionPipeline`, in float32; `ValueError` if a file is not the recorded one."""
    from gradbench.models.pretrained import load_pipeline

    for file in NETWORKS.values():
        verify(HERE, file)
    return load_pipeline(str(PIPELINE))


def autoencoder() -> Any:
    """The pipeline's own `AutoencoderKL`, in float32."""
    vae = networks.vae()
    kept = load_weights(HERE, NETWORKS["vae"])
    vae.load_state_dict({key: value.float() for key, value in kept.items()})
    vae.register_to_config(scaling_factor=scale())
    return vae.eval().requires_grad_(False)


def decoder() -> LatentDecoder:
    """From latents to pictures in [0, 1]."""
    return LatentDecoder(autoencoder())


@torch.no_grad()
def latents(pictures: Tensor) -> Tensor:
    """(b, 4, 8, 8): the latents of pictures (b, 3, 32, 32) in [0, 1], the modes of the encoder's posteriors."""
    return scale() * autoencoder().to(pictures).encode(2 * pictures - 1).latent_dist.mode()


def scale() -> float:
    """What latents are multiplied by."""
    return json.loads((PIPELINE / "vae" / "config.json").read_text())["scaling_factor"]


def judge(name: str) -> nn.Module:
    """One of `JUDGES`, frozen, in float32; of the scorer the text encoder is the pipeline's."""
    kept = load_weights(HERE, f"judges/{name}.safetensors")
    if name == "scorer":
        own = load_weights(HERE, NETWORKS["text_encoder"])
        kept |= {f"text.{key}": value for key, value in own.items()}
    module = networks.make(name)
    module.load_state_dict({key: value.float() for key, value in kept.items()})
    return module.eval().requires_grad_(False)


@cache
def captions(scorer_name: str, style: int) -> Tensor:
    """(n, width): the unit vectors of every concept's caption in a style, by one of the scorers."""
    scorer: Any = judge(scorer_name)
    emoji = data.load()
    texts = [emoji.caption(concept, style) for concept in range(len(emoji.names))]
    ids = networks.ids_of(networks.tokenizer(PIPELINE / "tokenizer"), texts)
    with torch.no_grad():
        return torch.cat([scorer.embed_text(part) for part in ids.split(256)])


def embedded(concept: int, style: int) -> Tensor:
    """(1, tokens, width): what the U-Net reads of a concept's caption."""
    scorer: Any = judge("scorer")
    ids = networks.ids_of(networks.tokenizer(PIPELINE / "tokenizer"), [data.load().caption(concept, style)])
    with torch.no_grad():
        return scorer.text(ids).last_hidden_state


def picture(concept: int, style: int) -> Tensor:
    """(3, 32, 32) in [0, 1]."""
    return torch.from_numpy(data.load().images[concept, style].copy()).permute(2, 0, 1) / 255
