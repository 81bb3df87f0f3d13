"""Networks and pipelines of diffusers, every family of them, too small for anything but arithmetic."""

import torch
from diffusers import (
    AuraFlowPipeline,
    AuraFlowTransformer2DModel,
    AutoencoderKL,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    DiTTransformer2DModel,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    UNet2DModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

from gradbench.models.stable_diffusion import TINY, letter_tokenizer

BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def seeded(made, /, **config):
    """A model in evaluation mode, with the weights from seed 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return made(**config).eval()


def unet_2d(**config):
    blocks = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
    sizes = {"sample_size": 8, "block_out_channels": (8, 16), "norm_num_groups": 4, "layers_per_block": 1}
    return seeded(UNet2DModel, **{**sizes, **blocks, "attention_head_dim": 8, **config})


def unet_condition(**config):
    return seeded(UNet2DConditionModel, **{**TINY.unet, **config})


def sd3_transformer(**config):
    sizes = {"sample_size": 8, "in_channels": 4, "out_channels": 4, "num_layers": 2, "attention_head_dim": 8}
    widths = {"num_attention_heads": 2, "joint_attention_dim": 64, "caption_projection_dim": 16}
    rest = {"pooled_projection_dim": 64, "pos_embed_max_size": 8}
    return seeded(SD3Transformer2DModel, **{**sizes, **widths, **rest, **config})


def dit(**config):
    """Eight output channels for four: the other four are a variance."""
    sizes = {"sample_size": 8, "in_channels": 4, "out_channels": 8, "num_layers": 2, "attention_head_dim": 8}
    rest = {"num_attention_heads": 2, "norm_num_groups": 4, "num_embeds_ada_norm": 10}
    return awakened(seeded(DiTTransformer2DModel, **{**sizes, **rest, **config}))


def pixart(**config):
    sizes = {"sample_size": 8, "in_channels": 4, "out_channels": 8, "num_layers": 2, "attention_head_dim": 8}
    widths = {"num_attention_heads": 2, "cross_attention_dim": 16, "caption_channels": 24, "norm_num_groups": 4}
    return awakened(
        seeded(PixArtTransformer2DModel, **{**sizes, **widths, "use_additional_conditions": False, **config})
    )


def awakened(model):
    """Also randomises weights that a constructor leaves at zero, so that every input reaches the output."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def text_encoder(made=CLIPTextModel, **config):
    return made(CLIPTextConfig(**{**TINY.text_encoder, **config})).eval()


def ddim(**config):
    own = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading"}
    return DDIMScheduler(**{**BETAS, **own, **config})


def xl_pipeline():
    """Stable Diffusion XL: two text encoders, pooled embeddings and sizes as inputs, Euler's scheduler."""
    unet = unet_condition(
        cross_attention_dim=64,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 32,
    )
    tokenizer = letter_tokenizer(TINY.text_encoder["vocab_size"])
    return StableDiffusionXLPipeline(
        vae=seeded(AutoencoderKL, latent_channels=4, **TINY.vae),
        text_encoder=seeded(text_encoder),
        text_encoder_2=seeded(text_encoder, made=CLIPTextModelWithProjection, intermediate_size=48),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=EulerDiscreteScheduler(**BETAS, steps_offset=1, timestep_spacing="leading"),
        add_watermarker=False,
    )


def sd3_pipeline():
    """Stable Diffusion 3: a transformer that predicts a flow, two text encoders (the third, T5, may be left out)."""
    tokenizer = letter_tokenizer(TINY.text_encoder["vocab_size"])
    encoders = [seeded(text_encoder, made=CLIPTextModelWithProjection, intermediate_size=n) for n in (64, 48)]
    return StableDiffusion3Pipeline(
        transformer=sd3_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=seeded(AutoencoderKL, **{**TINY.vae, "latent_channels": 4, "shift_factor": 0.06}),
        text_encoder=encoders[0],
        tokenizer=tokenizer,
        text_encoder_2=encoders[1],
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    )


def t5(config, made):
    """The encoder of T5, or of a class in its shape."""
    sizes = {"vocab_size": TINY.text_encoder["vocab_size"], "d_model": 32, "d_kv": 8, "d_ff": 32}
    given = config(**sizes, num_layers=1, num_heads=4, feed_forward_proj="gated-gelu")
    return seeded(lambda: made(given))


def pixart_sigma_pipeline():
    """PixArt-Sigma: T5 with a mask, twice as many output channels as it needs."""
    return PixArtSigmaPipeline(
        transformer=pixart(caption_channels=32),
        scheduler=ddim(),
        vae=seeded(AutoencoderKL, latent_channels=4, **TINY.vae),
        text_encoder=t5(T5Config, T5EncoderModel),
        tokenizer=letter_tokenizer(TINY.text_encoder["vocab_size"]),
    )


def aura_flow_pipeline():
    """AuraFlow: rectified flow, an encoder in T5's shape, whose padding is zero."""
    transformer = seeded(
        AuraFlowTransformer2DModel,
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=32,
        caption_projection_dim=32,
        pos_embed_max_size=64,
    )
    return AuraFlowPipeline(
        transformer=awakened(transformer),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.73),
        vae=seeded(AutoencoderKL, latent_channels=4, **TINY.vae),
        text_encoder=t5(UMT5Config, UMT5EncoderModel),
        tokenizer=letter_tokenizer(TINY.text_encoder["vocab_size"]),
    )


def flux_pipeline(guided=True, **scheduler):
    """Flux: packed latents with their places, a CLIP and a T5 encoder, a shift by the size; dev, or schnell without."""
    tokenizer = letter_tokenizer(TINY.text_encoder["vocab_size"])
    transformer = seeded(
        FluxTransformer2DModel,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=guided,
        axes_dims_rope=(4, 6, 6),
    )
    pipe = FluxPipeline(
        transformer=awakened(transformer),
        scheduler=FlowMatchEulerDiscreteScheduler(**{"shift": 3.0, "use_dynamic_shifting": guided, **scheduler}),
        vae=seeded(AutoencoderKL, **{**TINY.vae, "latent_channels": 4, "shift_factor": 0.1, "sample_size": 16}),
        text_encoder=seeded(text_encoder),
        tokenizer=tokenizer,
        text_encoder_2=t5(T5Config, T5EncoderModel),
        tokenizer_2=tokenizer,
    )
    pipe.default_sample_size = 8
    return pipe


def ddpm_pipeline(**config):
    return DDPMPipeline(unet_2d(), DDPMScheduler(**{"clip_sample": False, **config}))
