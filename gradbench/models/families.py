"""The pipeline classes of diffusers by what distinguishes them: how a prompt is told, packing of latents, times.

To add one: a `Family` in `FAMILIES`, and a line in the table of that name in `tests/models/support.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gradbench.data import Json

Side = Mapping[str, Tensor]  # what `encode_prompt` returns besides the embedding, of a prompt or of its negative
Told = Callable[[Side, tuple[int, int]], Json]  # (side, image size) -> extra inputs of the network


def _nothing(side: Side, size: tuple[int, int]) -> Json:
    return {}


def _xl(side: Side, size: tuple[int, int]) -> Json:
    """XL's pooled embedding and sizes: original, crop, target."""
    pooled = side["pooled"]
    ids = torch.tensor([[*size, 0, 0, *size]], dtype=pooled.dtype, device=pooled.device)
    return {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": ids}}


def _pooled(side: Side, size: tuple[int, int]) -> Json:
    return {"pooled_projections": side["pooled"]}


def _flux(side: Side, size: tuple[int, int]) -> Json:
    return {"pooled_projections": side["pooled"], "txt_ids": side["ids"]}


def _masked(side: Side, size: tuple[int, int]) -> Json:
    return {"encoder_attention_mask": side["mask"]}


ALONE = ("prompt", "negative")
POOLED = (*ALONE, "pooled", "negative_pooled")
MASKED = ("prompt", "mask", "negative", "negative_mask")
# the argument of `encode_prompt` for what it returns
EMBEDDINGS = {
    "prompt": "prompt_embeds",
    "negative": "negative_prompt_embeds",
    "pooled": "pooled_prompt_embeds",
    "negative_pooled": "negative_pooled_prompt_embeds",
    "mask": "prompt_attention_mask",
    "negative_mask": "negative_prompt_attention_mask",
}


@dataclass(frozen=True)
class Family:
    """What a pipeline does besides its network, its scheduler and its decoder.

    guidance: the default scale; None if it reads no prompt. asks: arguments of `encode_prompt` that its call gives.
    returns: what `encode_prompt` returns, in order; those of the negative prompt begin with `negative`. Without any,
    the scale is an input of the network, if of anything. told: extra inputs of the network. pack: p, where p x p latent
    pixels are one token of the network and of the state. evenly: whether sigmas 1, ..., 1/N are given to a flow's
    scheduler. shift: the largest shift of times by the number of image tokens, for schedulers that shift so. shared:
    extra inputs by name, made from the height and width in tokens.
    """

    guidance: float | None = None
    asks: Mapping[str, Any] = field(default_factory=dict[str, Any])
    returns: tuple[str, ...] = ALONE
    told: Told = _nothing
    pack: int = 1
    evenly: bool = False
    shift: float | None = None
    shared: Mapping[str, Callable[[int, int], Tensor]] = field(default_factory=dict[str, Callable[[int, int], Tensor]])

    @property
    def guides(self) -> bool:
        """Whether guidance is free of classifiers: a second evaluation for the negative prompt."""
        return "negative" in self.returns

    def embeddings(self, negative: bool) -> list[str]:
        """The arguments that stand for a prompt, or for its negative."""
        names = [name for name in self.returns if name in EMBEDDINGS and name.startswith("negative") == negative]
        return [EMBEDDINGS[name] for name in names]


def places(high: int, wide: int) -> Tensor:
    """(high wide, 3): Flux's `img_ids`, 0, row and column of every token."""
    rows, columns = torch.meshgrid(torch.arange(high), torch.arange(wide), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], -1).reshape(-1, 3).float()


FAMILIES: dict[str, Family] = {
    "StableDiffusionPipeline": Family(7.5),
    "StableDiffusionXLPipeline": Family(5.0, returns=POOLED, told=_xl),
    "StableDiffusion3Pipeline": Family(
        7.0, asks=dict.fromkeys(("prompt_2", "prompt_3")), returns=POOLED, told=_pooled, shift=1.16
    ),
    "FluxPipeline": Family(
        3.5,
        returns=("prompt", "pooled", "ids"),
        told=_flux,
        pack=2,
        evenly=True,
        shift=1.15,
        shared={"img_ids": places},
    ),
    "PixArtSigmaPipeline": Family(
        4.5,
        asks={"negative_prompt": "", "clean_caption": True, "max_sequence_length": 300},
        returns=MASKED,
        told=_masked,
    ),
    "AuraFlowPipeline": Family(3.5, returns=MASKED),
    "DDPMPipeline": Family(),
    "DDIMPipeline": Family(),
}


def times_of(family: Family, scheduler: Any, steps: int | None, tokens: int, given: Json) -> Json:
    """The arguments of `grid_of` with which the pipeline sets its scheduler; those that are `given` stay.

    mu = b + (m - b) (L - L_0) / (L_1 - L_0) for L image tokens, between the scheduler's base (b, L_0) and maximum (m,
    L_1).
    """
    config: Mapping[str, Any] = scheduler.config
    found = dict(given)
    if family.evenly and steps is not None and "sigmas" not in given and not config.get("use_flow_sigmas"):
        found["sigmas"] = [1 + (1 / steps - 1) * k / max(steps - 1, 1) for k in range(steps)]
    if family.shift is not None and config.get("use_dynamic_shifting") and "mu" not in given:
        first, last = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
        base, most = config.get("base_shift", 0.5), config.get("max_shift", family.shift)
        found["mu"] = base + (most - base) * (tokens - first) / (last - first)
    return found


def pack(x: Tensor, p: int) -> Tensor:
    """(b, c, p h, p w) -> (b, h w, c p p)."""
    b, c, high, wide = x.shape
    cut = x.reshape(b, c, high // p, p, wide // p, p).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(b, (high // p) * (wide // p), c * p * p)


def unpack(x: Tensor, p: int, high: int, wide: int) -> Tensor:
    """(b, h w, c p p) -> (b, c, p h, p w), for latents of `high` times `wide`."""
    b, _, channels = x.shape
    whole = x.reshape(b, high // p, wide // p, channels // p**2, p, p).permute(0, 3, 1, 4, 2, 5)
    return whole.reshape(b, channels // p**2, high, wide)
