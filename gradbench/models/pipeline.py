"""A diffusers pipeline taken apart: its network as a denoiser, its prompt as a condition, its decoder and its grid.

Neither the pipeline's `__call__`, which records no tape, nor its scheduler's `step`, which keeps a history of its own,
is ever called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradbench.diffusion.denoiser import NetworkDenoiser
from gradbench.diffusion.grid import Grid
from gradbench.diffusion.noise import INITIAL, draw
from gradbench.diffusion.scheduler_grid import grid_of
from gradbench.models.decoder import LatentDecoder
from gradbench.models.network import diffusers_denoiser
from gradbench.objectives.catalogue import make_objective
from gradbench.objectives.decoded import Decoded

FAMILIES = (
    "StableDiffusionPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusion3Pipeline",
    "DDPMPipeline",
    "DDIMPipeline",
)
GUIDANCE = {"StableDiffusionPipeline": 7.5, "StableDiffusionXLPipeline": 5.0, "StableDiffusion3Pipeline": 7.0}


@dataclass(frozen=True)
class PipelineParts:
    """What `gradbench.sample` needs of a pipeline, and what a reward needs of its sample.

    denoiser: the network with its guidance; its `condition` is the prompt's embedding, (1, tokens, width), a leaf.
    decoder: latents (b, c, h, w) to images (b, 3, H, W) in [0, 1], not clamped; None for a model of pixels. shape: of
    one sample. image_shape: of what it decodes to. scheduler: where the grid comes from.
    """

    denoiser: NetworkDenoiser
    decoder: LatentDecoder | None
    shape: tuple[int, int, int]
    image_shape: tuple[int, int, int]
    scheduler: Any

    @property
    def sampler(self) -> str | None:
        """The sampler whose step is the scheduler's, the default of `gradbench.sample`; None where there is none."""
        return self.denoiser.sampler

    def grid(self, steps: int) -> Grid:
        """The scheduler's own times for that many steps, for `gradbench.sample(..., grid=...)`."""
        return grid_of(self.scheduler, steps)

    def noise(self, batch: int = 1, seed: int = 0) -> Tensor:
        """x_T (batch, *shape), drawn by key, in float32 or better on the network's device."""
        parameter = next(self.denoiser.network.parameters())
        dtype = parameter.dtype if parameter.dtype.itemsize >= 4 else torch.float32
        return torch.from_numpy(draw(seed, INITIAL, (batch, *self.shape))).to(parameter.device, dtype)

    def objective(self, text: str, seed: int = 0) -> nn.Module:
        """x_0 (b, *shape) -> (b), the objective or weighted sum that a text names: `colourfulness-0.1*jpeg-size`.

        Terms on images are judged behind the decoder. seed: of random features and fixed targets. `ValueError` as in
        `make_objective`, and for a term on images where there is no decoder.
        """
        made = make_objective(text, self.shape, seed, self.image_shape)
        if made.image is None:
            whole = made.latent
        elif self.decoder is None:
            raise ValueError(f"objective {text!r} judges images, and a model of pixels has no decoder")
        else:
            whole = Decoded(self.decoder, made.image, made.latent)
        assert whole is not None  # a sum has at least one term
        return whole.to(next(self.denoiser.network.parameters()).device)


def from_pipeline(
    pipe: Any,
    prompt: str | None = None,
    *,
    negative_prompt: str | None = None,
    guidance: float | None = None,
    height: int | None = None,
    width: int | None = None,
    freeze: bool = True,
    inner_checkpointing: bool | None = None,
    decoder_checkpointing: bool | None = True,
    compile: bool = False,
) -> PipelineParts:
    """The parts of a diffusers pipeline: Stable Diffusion 1, 2, XL or 3, or a model of pixels without a prompt.

    negative_prompt: what guidance leads away from, by default the pipeline's own: an empty prompt, or zeros where its
    configuration says so. guidance: the classifier-free guidance scale, by default the pipeline's own (`GUIDANCE`), and
    1 without a prompt. height, width: of the image in pixels, by default the model's own. freeze: weights get
    `requires_grad_(False)`, but those of adapters (`lora_` in their name); pass False to train others, and name them in
    `wrt`. Networks stay on their device and in their precision. Raises `ValueError` for other pipelines, and for
    networks distilled with guidance inside, which read what this one does not know of; for a prompt where none is read;
    and for what the scheduler's schedule cannot be (`clip_sample`).
    """
    family = type(pipe).__name__
    if family not in FAMILIES:
        raise ValueError(f"pipeline {family} is not known: allowed are {', '.join(FAMILIES)}; see diffusers_denoiser")
    model = getattr(pipe, "unet", None) or pipe.transformer
    if getattr(model.config, "time_cond_proj_dim", None) is not None:
        raise ValueError(f"the network of this {family} is told its guidance (timestep_cond): see diffusers_denoiser")
    vae = getattr(pipe, "vae", None)
    if freeze:
        for part in (model, vae, *(getattr(pipe, f"text_encoder{i}", None) for i in ("", "_2", "_3"))):
            for name, parameter in part.named_parameters() if part is not None else ():
                parameter.requires_grad_(parameter.requires_grad and "lora_" in name)
    factor = 1 if vae is None else 2 ** (len(vae.config.block_out_channels) - 1)
    own = model.config.sample_size
    own_high, own_wide = own if isinstance(own, list | tuple) else (own, own)
    high = own_high if height is None else _latent(height, factor)
    wide = own_wide if width is None else _latent(width, factor)
    condition = null = None
    extra: dict[str, Any] = {}
    null_extra: dict[str, Any] = {}
    if hasattr(pipe, "encode_prompt"):
        if prompt is None:
            raise ValueError(f"pipeline {family} reads a prompt: give prompt='...'")
        guidance = GUIDANCE[family] if guidance is None else guidance
        condition, null, *pooled = _encode(pipe, prompt, negative_prompt, next(model.parameters()).device)
        told = {"StableDiffusionXLPipeline": _told_xl, "StableDiffusion3Pipeline": _told_3}.get(family)
        if told is not None:
            extra, null_extra = (told(p, (high * factor, wide * factor)) for p in pooled)
    elif prompt is not None:
        raise ValueError(f"pipeline {family} reads no prompt: leave it out, got {prompt!r}")
    denoiser = diffusers_denoiser(
        model,
        pipe.scheduler,
        condition,
        null_condition=null,
        guidance=1.0 if guidance is None else guidance,
        batched=True,
        extra=extra,
        null_extra=null_extra,
        inner_checkpointing=inner_checkpointing,
        compile=compile,
    )
    decoder = None if vae is None else LatentDecoder(vae, decoder_checkpointing)
    channels = model.config.in_channels
    image_shape = (channels if vae is None else 3, high * factor, wide * factor)
    return PipelineParts(denoiser, decoder, (channels, high, wide), image_shape, pipe.scheduler)


def _latent(pixels: int, factor: int) -> int:
    if pixels < factor or pixels % factor:
        raise ValueError(f"height and width must be multiples of {factor} pixels, got {pixels!r}")
    return pixels // factor


def _encode(pipe: Any, prompt: str, negative_prompt: str | None, device: torch.device) -> Sequence[Tensor]:
    """Embeddings of the prompt and of the negative one, (1, tokens, width), then their pooled ones where there are.

    They are made where the text encoder is, and go to the network's device.
    """
    with torch.no_grad():
        found = pipe.encode_prompt(
            prompt=prompt,
            negative_prompt=negative_prompt,
            num_images_per_prompt=1,
            do_classifier_free_guidance=True,
            **_places(pipe),
        )
    return [embedding.detach().clone().to(device) for embedding in found]


def _places(pipe: Any) -> dict[str, Any]:
    """Version 3 encodes a prompt by three encoders, XL by two, the first versions by one."""
    device = next(pipe.text_encoder.parameters()).device if pipe.text_encoder is not None else pipe.device
    if type(pipe).__name__ == "StableDiffusion3Pipeline":
        return {"prompt_2": None, "prompt_3": None, "device": device}
    return {"device": device}


def _told_xl(pooled: Tensor, size: Sequence[int]) -> dict[str, Any]:
    """XL is told the pooled embedding and the image's sizes: original, crop, target."""
    ids = torch.tensor([[*size, 0, 0, *size]], dtype=pooled.dtype, device=pooled.device)
    return {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": ids}}


def _told_3(pooled: Tensor, size: Sequence[int]) -> dict[str, Any]:
    return {"pooled_projections": pooled}
