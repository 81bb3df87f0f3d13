"""Flux.1 in full size: the real architecture of its transformer and decoder, with random weights or with real ones."""

from collections.abc import Mapping
from typing import Any

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.objectives.catalogue import OBJECTIVES
from gradbench.problems.spec import CaseSpec, Parts

from .. import stable_diffusion as shared

TRANSFORMER: dict[str, Any] = {
    "guidance_embeds": True
}  # all else is the class's default: 19 double and 38 single blocks, width 3,072
VAE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 16,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
    "force_upcast": True,
}
COUNTS = {"transformer": 11_901_408_320, "vae": 83_819_683}
TOKENS, WIDTH, POOLED = 512, 4096, 768  # of a prompt


def check(params: Mapping[str, Any]) -> None:
    """Every parameter; the side of the image must be a multiple of 16 pixels."""
    checks.time_range(params["t_max"], params["t_min"])
    checks.one_of("prompt", params["prompt"], range(len(shared.PROMPTS)))
    checks.finite("guidance", params["guidance"])
    checks.one_of("rank", params["rank"], range(1, 129))
    if checks.positive_integer("size", params["size"]) % 16:
        raise UsageError(f"size must be a multiple of 16 pixels, got {params['size']}")
    for name in ("inner_checkpointing", "decoder_checkpointing", "compile"):
        checks.one_of(name, params[name], (True, False))
    shared.check_weights(params)


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> Parts:
    """The transformer with its guidance and with LoRA weights from the seed, a prompt's embedding, and the objective.

    Without `weights` the transformer and the decoder are random, and the prompt's embedding is normal noise: there are
    no text encoders.
    """
    from gradbench.models.lora import add_lora
    from gradbench.models.pipeline import from_pipeline

    pipe, prompt = _pipeline(params)
    found = from_pipeline(
        pipe,
        **prompt,
        guidance=params["guidance"],
        height=params["size"],
        width=params["size"],
        inner_checkpointing=params["inner_checkpointing"],
        decoder_checkpointing=params["decoder_checkpointing"],
        compile=params["compile"],
    )
    lora = add_lora(pipe.transformer, params["rank"], seed)
    objective = found.objective(params["objective"], shared.SEED_OF_PARTS)
    return Parts(found.denoiser, objective, found.denoiser.condition, lora, found.shape)


def _pipeline(params: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The pipeline, and its prompt as arguments of `from_pipeline`."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

    from gradbench.models import skeleton
    from gradbench.models.pretrained import refuse_missing_folder
    from gradbench.models.stable_diffusion import without_warnings

    with without_warnings():
        from diffusers.pipelines.flux.pipeline_flux import FluxPipeline

    made: Any = FluxPipeline
    if params["weights"] is not None:
        refuse_missing_folder(params["weights"])
    if params["weights"] is not None and not skeleton.in_skeleton():
        pipe = made.from_pretrained(params["weights"], use_safetensors=True)
        return pipe, {"prompt": shared.PROMPTS[params["prompt"]]}
    with skeleton.drawn(shared.SEED_OF_PARTS):
        networks = {"transformer": FluxTransformer2DModel(**TRANSFORMER), "vae": AutoencoderKL(**VAE)}
        embeddings = {
            "prompt_embeds": torch.randn(1, TOKENS, WIDTH),
            "pooled_prompt_embeds": torch.randn(1, POOLED),
        }
    for name, network in networks.items():
        network.eval().requires_grad_(False)
        found = sum(parameter.numel() for parameter in network.parameters())
        if found != COUNTS[name]:
            raise UsageError(f"{name} has {found:,} parameters, Flux has {COUNTS[name]:,}")
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    none = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    return made(**networks, **none, scheduler=scheduler), embeddings


SPEC = CaseSpec(
    name="flux",
    summary=f"Flux.1 without its text encoders: transformer of 11.9e9 parameters with LoRA, decoder; {shared.RANDOM}",
    citation="Black Forest Labs, 2024, FLUX.1 [dev] (architecture); Hu et al., 2022, arXiv:2106.09685 (LoRA)",
    objectives=tuple(OBJECTIVES),
    sums=True,
    check=check,
    build=build,
    params={
        "weights": None,
        "prompt": 0,
        "size": 1024,
        "guidance": 3.5,
        "rank": 4,
        "inner_checkpointing": False,
        "decoder_checkpointing": True,
        "compile": False,
        "t_max": 1.0,
        "t_min": 0.0,
        "batch": 1,
        "objective": "target-latent",
    },
    grid="uniform-t",
    dtype="bfloat16",
    dtypes=("bfloat16", "float16", "tf32", "float32"),
    draws=32,
    references=("sampler", "expected"),
    reference_dtype="float32",
    threads=0,
    requires=("diffusers", "peft", "transformers"),
    preload=("diffusers.models.transformers.transformer_flux", "gradbench.models.lora", "gradbench.models.pipeline"),
    weights=shared.weights,
)
