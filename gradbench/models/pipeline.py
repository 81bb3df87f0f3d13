"""A diffusers pipeline taken apart: its network as a denoiser, its prompt as a condition, its decoder and its grid.

Neither the pipeline's `__call__`, which records no tape, nor its scheduler's `step`, which keeps its own history, is
ever called.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.data import Json
from gradbench.diffusion.conditions import Conditions
from gradbench.diffusion.denoiser import NetworkDenoiser
from gradbench.diffusion.grid import Grid
from gradbench.diffusion.noise import INITIAL, draw
from gradbench.diffusion.precision import precision_of
from gradbench.diffusion.scheduler_grid import grid_of, noise_scale
from gradbench.models.conventions import config_of
from gradbench.models.decoder import LatentDecoder
from gradbench.models.families import EMBEDDINGS, FAMILIES, Family, times_of, unpack
from gradbench.models.network import diffusers_denoiser
from gradbench.models.placed import refuse_moving
from gradbench.models.prompt import Prompt, PromptEncoder, encoders_of, given_embeddings, refuse_unreached
from gradbench.objectives.catalogue import make_objective
from gradbench.objectives.decoded import Decoded
from gradbench.samplers.scheduler import sampler_for

ENCODE = ("once", "on-tape")
# what the parts do in a pipeline's place, as its known class does it
REPLACED = (
    *("__call__", "prepare_latents", "prepare_extra_step_kwargs", "_get_add_time_ids", "get_guidance_scale_embedding"),
    *("prepare_ip_adapter_image_embeds", "do_classifier_free_guidance", "guidance_scale", "guidance_rescale"),
    *("clip_skip", "cross_attention_kwargs", "joint_attention_kwargs", "denoising_end", "upcast_vae", "decode_latents"),
)


@dataclass(frozen=True)
class PipelineParts:
    """The parts of a pipeline that `gradbench.sample` needs, and those that a reward of its sample needs.

    denoiser: the network with its guidance; its `condition`, a leaf, is the embedding of the n prompts, (n, tokens,
    width), or None if they are encoded on the tape. decoder: samples (b, *shape) to images (b, 3, H, W) in [0, 1], not
    clamped; None for a pixel-space model. shape: of one sample, (c, h, w), or (tokens, width) where the network reads
    packed latents. image_shape: of one decoded image. scheduler: the source of the grid. family: what the pipeline does
    besides. tokens: of an image, as its transformer counts them. prompts: the number of prompts; with 1, the batch may
    have any size.
    """

    denoiser: NetworkDenoiser
    decoder: nn.Module | None
    shape: tuple[int, ...]
    image_shape: tuple[int, int, int]
    scheduler: Any
    family: Family
    tokens: int = 0
    prompts: int = 1

    def grid(self, steps: int | None = None, **settings: Any) -> Grid:
        """The pipeline's own times for that many steps, for `gradbench.sample(..., grid=...)`.

        settings: sigmas, timesteps and mu of `grid_of`; those that are not given are the pipeline's, as Flux's sigmas
        and its shift by the size of the image.
        """
        told = times_of(self.family, self.scheduler, steps, self.tokens, settings)
        return grid_of(self.scheduler, None if told.get("sigmas") is not None and steps is not None else steps, **told)

    @property
    def sampler(self) -> str:
        """The selector of the sampler with the scheduler's steps, the default of `gradbench.sample`.

        `ValueError` with alternatives if there is none.
        """
        return sampler_for(self.scheduler)

    def noise(self, batch: int | None = None, seed: int = 0) -> Tensor:
        """x_T = c z (batch, *shape) for `gradbench.sample` on this scheduler's grid, z the `latents` of this seed.

        c = alpha_T init_noise_sigma at the scheduler's own first time: 1 for DDIM, DPM-Solver, flow matching and Euler
        with `leading` spacing, sigma_T for Euler with other spacings (0.998 for Stable Diffusion), and 80 for EDM. The
        pipeline makes the same sample of `latents=z`. batch: by default one sample per prompt.
        """
        return self.latents(batch, seed) * noise_scale(self.scheduler)

    def latents(self, batch: int | None = None, seed: int = 0) -> Tensor:
        """Normal noise z (batch, *shape), a pipeline's `latents=`, drawn by key, in float32 or better on the network's
        device. batch: by default one sample per prompt.
        """
        batch = self.prompts if batch is None else checks.positive_integer("batch", batch)
        dtype = precision_of(self.denoiser.network, torch.float32)
        z = torch.from_numpy(draw(seed, INITIAL, (batch, *self.shape)))
        return z.to(self._device, dtype if dtype.itemsize >= 4 else torch.float32)

    @property
    def _device(self) -> torch.device:
        return next(self.denoiser.network.parameters()).device

    def objective(self, text: str, seed: int = 0) -> nn.Module:
        """x_0 (b, *shape) -> (b): the objective or weighted sum named by `text`, e.g. `colourfulness-0.1*jpeg-size`.

        Terms on images are evaluated after the decoder. seed: for random features and fixed targets. `ValueError` as in
        `make_objective`, and for a term on images without a decoder.
        """
        made = make_objective(text, self.shape, seed, self.image_shape)
        if made.image is None:
            whole = made.latent
        elif self.decoder is None:
            raise UsageError(f"objective {text!r} applies to images, and a pixel model has no decoder")
        else:
            whole = Decoded(self.decoder, made.image, made.latent)
        assert whole is not None  # a sum has at least one term
        return whole.to(self._device)


def from_pipeline(
    pipe: Any,
    prompt: Prompt | None = None,
    *,
    negative_prompt: Prompt | None = None,
    prompt_embeds: Tensor | None = None,
    negative_prompt_embeds: Tensor | None = None,
    pooled_prompt_embeds: Tensor | None = None,
    negative_pooled_prompt_embeds: Tensor | None = None,
    prompt_attention_mask: Tensor | None = None,
    negative_prompt_attention_mask: Tensor | None = None,
    guidance: float | None = None,
    guidance_rescale: float = 0.0,
    height: int | None = None,
    width: int | None = None,
    encode: str = "once",
    freeze: bool = True,
    inner_checkpointing: bool | None = None,
    decoder_checkpointing: bool | None = True,
    compile: bool = False,
) -> PipelineParts:
    """The parts of a diffusers pipeline: those of `FAMILIES`, or subclasses of these without methods of their own.

    prompt: a text for all samples, or a list with one per sample. negative_prompt: what guidance steers away from, by
    default the pipeline's own: an empty prompt, or zeros if its configuration says so. prompt_embeds and the like: in
    place of texts, as the pipeline takes them. guidance: the classifier-free guidance scale, by default the pipeline's
    own (`FAMILIES`), or 1 without a prompt; a scale of 1 or less means none, as in diffusers; Flux reads its scale as
    an input, and schnell has none. guidance_rescale: the pipelines' option of that name (see `NetworkDenoiser`).
    height, width: of the image in pixels, by default the model's own. encode: `once` computes the embeddings here, as
    leaves; `on-tape` computes them at every network evaluation, so that text encoder weights named in `wrt` get their
    gradient. freeze: weights get `requires_grad_(False)`, except those of adapters (`lora_` in their name); pass False
    to train others, and name them in `wrt`. Networks stay on their device and in their precision; torch.compile's and
    peft's wrappers are kept. Raises `ValueError` for other pipelines, and for subclasses with a `__call__`, a
    `prepare_latents` or another method of their own that the parts replace; for networks with other inputs (distilled
    guidance, images); for offloaded weights; for trainable text encoder weights under `encode="once"`; for a prompt if
    the pipeline takes none, or a missing one; and for scheduler options that a schedule cannot express (`clip_sample`).
    """
    name = _family(pipe)
    family = FAMILIES[name]
    checks.one_of("encode", encode, ENCODE)
    model = pipe.transformer if getattr(pipe, "unet", None) is None else pipe.unet
    vae = getattr(pipe, "vae", None)
    config = config_of(model)
    if config.get("time_cond_proj_dim") is not None:
        raise UsageError(
            f"the network of this {name} receives its guidance as an input (timestep_cond): see diffusers_denoiser"
        )
    if config.get("encoder_hid_dim_type") not in (None, "text_proj"):
        raise UsageError(f"the network of this {name} reads images too (an IP adapter): call pipe.unload_ip_adapter()")
    parts = {"the network": model, **({} if vae is None else {"vae": vae}), **encoders_of(pipe)}
    for place, part in parts.items():
        refuse_moving(part, place)
        for key, parameter in part.named_parameters() if freeze else ():
            parameter.requires_grad_(parameter.requires_grad and "lora_" in key)
    if encode == "once":
        refuse_unreached(pipe)
    factor = 1 if vae is None else 2 ** (len(config_of(vae)["block_out_channels"]) - 1)
    patch = family.pack if vae is None or family.pack > 1 else int(config.get("patch_size") or 1)
    own = config["sample_size"] if family.pack == 1 else pipe.default_sample_size
    own_high, own_wide = own if isinstance(own, list | tuple) else (own, own)
    high = own_high if height is None else _latent(height, factor, patch)
    wide = own_wide if width is None else _latent(width, factor, patch)
    encoder, said = None, Conditions()
    fixed = _fixed(family, config, guidance, negative_prompt, high // family.pack, wide // family.pack)
    given = (
        *(prompt_embeds, negative_prompt_embeds, pooled_prompt_embeds, negative_pooled_prompt_embeds),
        *(prompt_attention_mask, negative_prompt_attention_mask),
    )
    told = dict(zip(EMBEDDINGS.values(), given, strict=True))
    if family.guidance is not None:
        embeddings = given_embeddings(name, family, prompt, told)
        if embeddings and encode == "on-tape":
            raise UsageError("prompt_embeds are encoded already: leave encode at 'once'")
        guidance = (
            (family.guidance if guidance is None else checks.finite("guidance", guidance)) if family.guides else 1.0
        )
        device, size = next(model.parameters()).device, (high * factor, wide * factor)
        fixed = {key: value.to(device) for key, value in fixed.items()}
        encoder = PromptEncoder(pipe, family, prompt, negative_prompt, embeddings, guidance > 1, size, fixed, device)
        said = encoder.once() if encode == "once" else said
    elif prompt is not None or encode == "on-tape":
        raise UsageError(f"pipeline {name} reads no prompt: leave it out, got {prompt!r}")
    elif any(each is not None for each in given):
        raise UsageError(f"pipeline {name} reads no prompt: leave its embeddings out")
    denoiser = diffusers_denoiser(
        model,
        pipe.scheduler,
        said.condition,
        null_condition=said.null_condition,
        guidance=1.0 if guidance is None else guidance,
        guidance_rescale=guidance_rescale,
        batched=True,
        extra=said.extra if encode == "once" else fixed,
        null_extra=said.null_extra or None,
        encoder=encoder if encode == "on-tape" else None,
        inner_checkpointing=inner_checkpointing,
        compile=compile,
    )
    decoder = None if vae is None else LatentDecoder(vae, decoder_checkpointing)
    channels = config["in_channels"]
    image_shape = (channels if vae is None else 3, high * factor, wide * factor)
    prompts = 1 if encoder is None else encoder.count
    shape: tuple[int, ...] = (channels, high, wide)
    if family.pack > 1:
        shape = (high * wide // family.pack**2, channels)
        decoder = Unpacked(decoder, family.pack, high, wide)
    return PipelineParts(
        denoiser, decoder, shape, image_shape, pipe.scheduler, family, (high // patch) * (wide // patch), prompts
    )


class Unpacked(nn.Module):
    """decode(unpack(z)) for packed latents z (b, tokens, width)."""

    def __init__(self, decode: nn.Module | None, pack: int, high: int, wide: int) -> None:
        super().__init__()
        assert decode is not None  # packed latents have an autoencoder
        self.decode, self.size = decode, (pack, high, wide)

    def forward(self, z: Tensor) -> Tensor:
        """(b, tokens, width) -> (b, 3, H, W)."""
        return self.decode(unpack(z, *self.size))


def _fixed(
    family: Family, config: Json, guidance: float | None, negative: Prompt | None, high: int, wide: int
) -> dict[str, Tensor]:
    """Inputs of the network that no prompt changes: its places, and its guidance where that is one."""
    found = {key: made(high, wide) for key, made in family.shared.items()}
    if family.guides:
        return found
    if negative is not None:
        raise UsageError("this pipeline is guided without a negative prompt: leave negative_prompt out")
    if config.get("guidance_embeds"):
        scale = family.guidance if guidance is None else checks.finite("guidance", guidance)
        return {**found, "guidance": torch.tensor([scale], dtype=torch.float32)}
    if guidance is not None:
        raise UsageError(
            f"this network reads no guidance (it is distilled, as Flux schnell): leave it out, got {guidance}"
        )
    return found


def _family(pipe: Any) -> str:
    """The known class of a pipeline, or the one that it derives from without methods of its own for `REPLACED`."""
    own = type(pipe)
    known = next((kind for kind in own.__mro__ if kind.__name__ in FAMILIES), None)
    if known is None:
        raise UsageError(
            f"pipeline {own.__name__} is not known: allowed are {', '.join(FAMILIES)}; see diffusers_denoiser"
        )
    for name in REPLACED:
        theirs, found = (inspect.getattr_static(where, name, None) for where in (known, pipe))
        if found is not theirs:
            raise UsageError(
                f"pipeline {own.__name__} has a {name} of its own, which may differ from that of {known.__name__}: "
                f"give {known.__name__}(**pipe.components), or see diffusers_denoiser"
            )
    return known.__name__


def _latent(pixels: int, factor: int, patch: int) -> int:
    if pixels < factor * patch or pixels % (factor * patch):
        raise UsageError(f"height and width must be multiples of {factor * patch} pixels, got {pixels!r}")
    return pixels // factor
