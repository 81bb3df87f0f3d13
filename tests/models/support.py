"""The comparison for each pipeline that `from_pipeline` takes apart, and the page written from it.

A row runs a pipeline's own `__call__` (its `__wrapped__`, which is not under `no_grad`) and gradbench's sample of the
parts, and compares latents and the gradient of the prompt's embedding. `python -m tests.models.support` writes the
page.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gradbench
from gradbench.models.conventions import CONVENTIONS
from gradbench.models.stable_diffusion import TINY, random_pipeline
from tests.models import tiny

PROMPT, STEPS, TOLERANCE = "a red truck", 3, 1e-6
PAGE = Path(__file__).parents[2] / "docs" / "pipelines.md"


def double(pipe: Any) -> Any:
    """In float64, the scheduler's table too."""
    pipe.to(torch.float64)
    pipe.set_progress_bar_config(disable=True)
    own = pipe.scheduler
    if hasattr(own, "alphas_cumprod"):
        own.alphas_cumprod = own.alphas_cumprod.double()
    if hasattr(own, "final_alpha_cumprod"):
        own.final_alpha_cumprod = own.alphas_cumprod[0]
    return pipe


def sd() -> Any:
    return double(random_pipeline(TINY))


def xl() -> Any:
    pipe = tiny.xl_pipeline()
    pipe.scheduler = tiny.ddim()
    return double(pipe)


def xl_euler() -> Any:
    return double(tiny.xl_pipeline())


def sd3() -> Any:
    return double(tiny.sd3_pipeline())


def flux() -> Any:
    return double(tiny.flux_pipeline())


def schnell() -> Any:
    return double(tiny.flux_pipeline(guided=False))


def pixart_sigma() -> Any:
    return double(tiny.pixart_sigma_pipeline())


def aura_flow() -> Any:
    return double(tiny.aura_flow_pipeline())


def noise(batch: int = 2, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, *(shape or (4, 8, 8)), generator=generator, dtype=torch.float64)


@dataclass(frozen=True)
class Row:
    """call: options of the pipeline's call; parts: those of `from_pipeline`. prepare: what is done to the pipeline."""

    pipeline: str
    option: str
    made: Callable[[], Any]
    call: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    sampler: str = "ddim"
    prompt: Any = PROMPT
    prepare: Callable[[Any], Any] = lambda pipe: None


def peft(pipe: Any) -> None:
    from peft import LoraConfig, get_peft_model

    pipe.unet = get_peft_model(pipe.unet, LoraConfig(r=2, target_modules=["to_q"])).requires_grad_(False)


def compiled(pipe: Any) -> None:
    pipe.unet = torch.compile(pipe.unet, backend="eager")


def ip_adapter(pipe: Any) -> None:
    pipe.unet.register_to_config(encoder_hid_dim_type="ip_image_proj")


def guided(scale: float) -> dict[str, Any]:
    return {"call": {"guidance_scale": scale}, "parts": {"guidance": scale}}


def both(**options: Any) -> dict[str, Any]:
    return {"call": dict(options), "parts": dict(options)}


FAMILIES = {
    "StableDiffusionPipeline": sd,
    "StableDiffusionXLPipeline": xl,
    "StableDiffusion3Pipeline": sd3,
    "PixArtSigmaPipeline": pixart_sigma,
    "AuraFlowPipeline": aura_flow,
}
FLOW = {name: {"sampler": "flow-euler"} for name in ("StableDiffusion3Pipeline", "AuraFlowPipeline")}
CALLED = {"PixArtSigmaPipeline": {"use_resolution_binning": False}}  # otherwise it samples another size, and crops
ROWS = [
    *(
        Row(name, option, made, **options, **FLOW.get(name, {}))
        for name, made in FAMILIES.items()
        for option, options in {
            "as it stands": {},
            "guidance_scale=1": guided(1.0),
            "guidance_scale=0.5": guided(0.5),
            "guidance_scale=0": guided(0.0),
            "negative_prompt": both(negative_prompt="a blurred cat"),
            "two prompts": {"prompt": ["a cat", "a dog"]},
            "height=24, width=16": both(height=24, width=16),
        }.items()
    ),
    *(
        Row("FluxPipeline", option, made, sampler="flow-euler", **options)
        for option, made, options in (
            ("as it stands", flux, {}),
            ("guidance_scale=2", flux, guided(2.0)),
            ("negative_prompt", flux, both(negative_prompt="a blurred cat")),
            ("two prompts", flux, {"prompt": ["a cat", "a dog"]}),
            ("height=24, width=16", flux, both(height=24, width=16)),
            ("without guidance_embeds (schnell)", schnell, {}),
            ("the same, guidance_scale=2", schnell, guided(2.0)),
        )
    ),
    Row("StableDiffusionPipeline", "guidance_rescale=0.7", sd, **both(guidance_rescale=0.7)),
    Row("StableDiffusionXLPipeline", "guidance_rescale=0.7", xl, **both(guidance_rescale=0.7)),
    Row("StableDiffusionXLPipeline", "EulerDiscreteScheduler", xl_euler),
    Row("StableDiffusionPipeline", "unet = torch.compile(unet)", sd, prepare=compiled),
    Row("StableDiffusionPipeline", "unet = get_peft_model(unet)", sd, prepare=peft),
    Row("StableDiffusionPipeline", "an IP adapter", sd, prepare=ip_adapter),
    Row("StableDiffusionPipeline", "vae.enable_tiling()", sd, prepare=lambda pipe: pipe.vae.enable_tiling()),
]


def relative(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def outcome(row: Row) -> str:
    """`right`, or `refused: ...`; an `AssertionError` for anything else."""
    pipe = row.made()
    row.prepare(pipe)
    try:
        parts = gradbench.from_pipeline(pipe, row.prompt, **row.parts)
    except ValueError as error:
        return f"refused: {error}"
    x_T = noise(2, *parts.shape)
    leaf = parts.denoiser.condition.requires_grad_()
    ours = gradbench.sample(parts.denoiser, x_T, sampler=row.sampler, grid=parts.grid(STEPS), wrt=[leaf])
    theirs, prompt = called(pipe, row, x_T)
    assert relative(ours, theirs) < TOLERANCE, (row, relative(ours, theirs))
    mine, other = (torch.autograd.grad(x.square().sum(), t)[0] for x, t in ((ours, leaf), (theirs, prompt)))
    other = other if len(leaf) == len(other) else other.sum(0, keepdim=True)
    assert relative(mine, other) < TOLERANCE, (row, relative(mine, other))
    return "right"


def called(pipe: Any, row: Row, x_T: Tensor) -> tuple[Tensor, Tensor]:
    """The latents of the pipeline's own call, and the prompt's embedding on its tape, a row for each image."""
    kept: list[Tensor] = []
    encode = pipe.encode_prompt

    def recorded(*words: Any, **options: Any) -> Any:
        found = list(encode(*words, **options))
        kept.append(found[0].detach().requires_grad_())
        return (kept[0], *found[1:])

    pipe.encode_prompt = recorded
    each = 1 if isinstance(row.prompt, list) else len(x_T)
    options = {"num_inference_steps": STEPS, "latents": x_T, "num_images_per_prompt": each, "output_type": "latent"}
    images = (
        type(pipe).__call__.__wrapped__(pipe, row.prompt, **options, **CALLED.get(row.pipeline, {}), **row.call).images
    )
    del pipe.encode_prompt
    return images, kept[0]


def lines() -> list[str]:
    """The page: a row for each pipeline and option, and one for each network class."""
    table = ["| pipeline | option | |", "|---|---|---|"]
    table += [f"| `{row.pipeline}` | `{row.option}` | {outcome(row)} |" for row in ROWS]
    told = ["| network | time input | output |", "|---|---|---|"]
    for name, own in sorted(CONVENTIONS.items()):
        told.append(f"| `{name}` | {own.told} | {'negated' if own.sign < 0 else 'unchanged'} |")
    return [*TEXT, *table, "", *NETWORKS, *told, "", *OTHERS]


TEXT = [
    "# Pipelines and networks",
    "",
    "What `from_pipeline` and `diffusers_denoiser` support, tested against diffusers 0.42.1 itself. This page is",
    "generated by `python -m tests.models.support`, and a test compares it with what the tests find.",
    "",
    "**right**: in float64, on tiny networks, latents agree with the pipeline's own `__call__`, and the gradient of",
    "the prompt's embedding with autograd through that call, both to a relative 1e-6. **refused**: a `ValueError`",
    "before any work. `DDPMPipeline` and `DDIMPipeline` read no prompt; their images are compared with their call.",
    "",
]
NETWORKS = [
    "## Networks",
    "",
    "What a network class receives as the time in its pipeline: the scheduler's timestep (`index`),",
    "t = timestep / 1000, its complement or a quarter of log sigma. Each is tested against its pipeline's loop, sample",
    "and gradient, to 1e-6 (classes that round to float32 internally, to 5e-6).",
    "",
]
OTHERS = [
    "Other U-Nets, transformers and pipelines of diffusers are refused, networks unless `told=` says what they",
    "receive. Guidance is `null + w (condition - null)`; Qwen-Image and Lumina 2 rescale that to the length of the",
    "conditional output, and so does `diffusers_denoiser`. The pipelines of Z-Image count guidance from 0: theirs is",
    "w - 1.",
]

if __name__ == "__main__":
    PAGE.write_text("\n".join(lines()) + "\n")
