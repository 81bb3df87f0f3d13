"""Every network class with a known convention, tiny, and how its own pipeline calls it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch

from tests.models import tiny

DOWN_UP = {"block_out_channels": (8, 16), "norm_num_groups": 4, "layers_per_block": 1}


def made(name, **config):
    return tiny.awakened(tiny.seeded(getattr(diffusers, name), **config)).double().requires_grad_(False)


@dataclass(frozen=True)
class Net:
    """shape: of x without the batch. text: (tokens, width) of the condition. extra: further inputs, with a batch axis
    except for `shared`. time: from the scheduler's timestep, as in its pipeline. sign: of its output.
    """

    config: dict[str, Any]
    shape: tuple[int, ...]
    text: tuple[int, int] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    time: Callable[[Any], Any] = lambda t: t
    sign: int = 1
    flow: bool = True
    sample: str = "hidden_states"
    tolerance: float = 1e-6
    frames: int = 1  # of a network that reads a condition for each


def normal(*shape, seed=5):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ids(tokens, axes=3):
    found = torch.zeros(tokens, axes, dtype=torch.float64)
    found[:, 1] = torch.arange(tokens) % 4
    found[:, 2] = torch.arange(tokens) // 4
    return found


def rotary(tokens, width):
    angles = torch.arange(tokens)[:, None] * torch.linspace(1, 0.1, width)[None]
    return angles.cos().double(), angles.sin().double()


def whole(*shape):
    return torch.ones(shape, dtype=torch.long)


HEADS = {"attention_head_dim": 8, "num_attention_heads": 2}
JOINT = {**HEADS, "joint_attention_dim": 16}
UNET = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "cross_attention_dim": 16,
}
SIZES = {"original_size": whole(1, 2) * 8, "target_size": whole(1, 2) * 8, "crop_coords": whole(1, 2) * 0}

NETS = {
    "UNet2DModel": Net(
        {
            "sample_size": 8,
            **DOWN_UP,
            "down_block_types": ("DownBlock2D",) * 2,
            "up_block_types": ("UpBlock2D",) * 2,
            "add_attention": False,
        },
        (3, 8, 8),
        flow=False,
        sample="sample",
    ),
    "UNet2DConditionModel": Net(
        {
            **UNET,
            "attention_head_dim": 4,
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        },
        (4, 8, 8),
        (5, 16),
        flow=False,
        sample="sample",
    ),
    "UNet1DModel": Net(
        {
            "sample_size": 16,
            "in_channels": 4,
            "out_channels": 4,
            "block_out_channels": (8, 16),
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "down_block_types": ("DownResnetBlock1D", "DownResnetBlock1D"),
            "up_block_types": ("UpResnetBlock1D",),
            "mid_block_type": "MidResTemporalBlock1D",
            "out_block_type": "OutConv1DBlock",
            "time_embedding_type": "positional",
            "use_timestep_embedding": True,
            "act_fn": "swish",
        },
        (4, 16),
        flow=False,
        sample="sample",
    ),
    "UNet3DConditionModel": Net(
        {
            **UNET,
            "attention_head_dim": 4,
            "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
            "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
        },
        (4, 2, 8, 8),
        (5, 16),
        flow=False,
        sample="sample",
    ),
    "UNetMotionModel": Net(
        {
            **UNET,
            "num_attention_heads": 2,
            "motion_num_attention_heads": 2,
            "down_block_types": ("CrossAttnDownBlockMotion", "DownBlockMotion"),
            "up_block_types": ("UpBlockMotion", "CrossAttnUpBlockMotion"),
        },
        (4, 2, 8, 8),
        (5, 16),
        flow=False,
        sample="sample",
        frames=2,
    ),
    "AllegroTransformer3DModel": Net(
        {
            **HEADS,
            "attention_head_dim": 12,
            "num_layers": 1,
            "cross_attention_dim": 24,
            "sample_height": 8,
            "sample_width": 8,
            "sample_frames": 2,
            "caption_channels": 16,
        },
        (4, 2, 8, 8),
        (5, 16),
        {
            "encoder_attention_mask": torch.ones(1, 5, dtype=torch.float64),
            "image_rotary_emb": ((rotary(4, 4),) * 3, tuple(torch.arange(32)[None] % n for n in (2, 4, 4))),
        },
        ("image_rotary_emb",),
        flow=False,
    ),
    "AuraFlowTransformer2DModel": Net(
        {
            **JOINT,
            "sample_size": 8,
            "num_mmdit_layers": 1,
            "num_single_dit_layers": 1,
            "caption_projection_dim": 16,
            "pos_embed_max_size": 16,
        },
        (4, 8, 8),
        (5, 16),
        time=lambda t: t / 1000,
    ),
    "ChromaTransformer2DModel": Net(
        {
            **JOINT,
            "attention_head_dim": 16,
            "in_channels": 4,
            "num_layers": 1,
            "num_single_layers": 1,
            "axes_dims_rope": (4, 4, 8),
            "approximator_num_channels": 8,
            "approximator_hidden_dim": 16,
            "approximator_layers": 1,
        },
        (16, 4),
        (5, 16),
        {"img_ids": ids(16), "txt_ids": ids(5)},
        ("img_ids", "txt_ids"),
        time=lambda t: t / 1000,
    ),
    "CogVideoXTransformer3DModel": Net(
        {
            **HEADS,
            "in_channels": 4,
            "out_channels": 4,
            "time_embed_dim": 8,
            "text_embed_dim": 16,
            "num_layers": 1,
            "sample_width": 8,
            "sample_height": 8,
            "sample_frames": 5,
            "max_text_seq_length": 5,
        },
        (2, 4, 8, 8),
        (5, 16),
        flow=False,
    ),
    "CogView3PlusTransformer2DModel": Net(
        {
            **HEADS,
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 1,
            "text_embed_dim": 16,
            "time_embed_dim": 8,
            "condition_dim": 4,
            "pos_embed_max_size": 8,
            "sample_size": 8,
        },
        (4, 8, 8),
        (5, 16),
        SIZES,
        flow=False,
    ),
    "CogView4Transformer2DModel": Net(
        {
            **HEADS,
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 1,
            "text_embed_dim": 16,
            "time_embed_dim": 8,
            "condition_dim": 4,
            "pos_embed_max_size": 8,
            "sample_size": 8,
            "rope_axes_dim": (8, 8),
        },
        (4, 8, 8),
        (5, 16),
        SIZES,
    ),
    "DiTTransformer2DModel": Net(
        {
            **HEADS,
            "sample_size": 8,
            "in_channels": 4,
            "out_channels": 8,
            "num_layers": 1,
            "norm_num_groups": 4,
            "num_embeds_ada_norm": 10,
        },
        (4, 8, 8),
        None,
        {"class_labels": whole(1) * 3},
        flow=False,
    ),
    "FluxTransformer2DModel": Net(
        {
            **JOINT,
            "attention_head_dim": 16,
            "in_channels": 4,
            "num_layers": 1,
            "num_single_layers": 1,
            "pooled_projection_dim": 12,
            "guidance_embeds": True,
            "axes_dims_rope": (4, 4, 8),
        },
        (16, 4),
        (5, 16),
        {"img_ids": ids(16), "txt_ids": ids(5), "pooled_projections": normal(1, 12), "guidance": normal(1).abs()},
        ("img_ids", "txt_ids"),
        time=lambda t: t / 1000,
    ),
    "Flux2Transformer2DModel": Net(
        {
            **JOINT,
            "attention_head_dim": 16,
            "in_channels": 4,
            "num_layers": 1,
            "num_single_layers": 1,
            "timestep_guidance_channels": 8,
            "axes_dims_rope": (4, 4, 4, 4),
        },
        (16, 4),
        (5, 16),
        {"img_ids": ids(16, 4)[None], "txt_ids": ids(5, 4)[None], "guidance": normal(1).abs()},
        time=lambda t: t / 1000,
    ),
    "HunyuanDiT2DModel": Net(
        {
            **HEADS,
            "in_channels": 4,
            "patch_size": 2,
            "activation_fn": "gelu-approximate",
            "sample_size": 8,
            "hidden_size": 16,
            "num_layers": 2,
            "cross_attention_dim": 16,
            "cross_attention_dim_t5": 16,
            "pooled_projection_dim": 8,
            "text_len": 5,
            "text_len_t5": 4,
            "use_style_cond_and_image_meta_size": False,
        },
        (4, 8, 8),
        (5, 16),
        {
            "text_embedding_mask": whole(1, 5),
            "encoder_hidden_states_t5": normal(1, 4, 16),
            "text_embedding_mask_t5": whole(1, 4),
            "image_rotary_emb": rotary(16, 8),
        },
        ("image_rotary_emb",),
        flow=False,
    ),
    "HunyuanVideoTransformer3DModel": Net(
        {
            **HEADS,
            "attention_head_dim": 16,
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 1,
            "num_single_layers": 1,
            "num_refiner_layers": 1,
            "text_embed_dim": 16,
            "pooled_projection_dim": 12,
            "rope_axes_dim": (4, 4, 8),
        },
        (4, 2, 8, 8),
        (5, 16),
        {
            "encoder_attention_mask": whole(1, 5),
            "pooled_projections": normal(1, 12),
            "guidance": normal(1).abs() * 1000,
        },
    ),
    "LatteTransformer3DModel": Net(
        {
            **HEADS,
            "in_channels": 4,
            "out_channels": 8,
            "num_layers": 1,
            "cross_attention_dim": 16,
            "sample_size": 8,
            "patch_size": 2,
            "norm_type": "ada_norm_single",
            "caption_channels": 16,
            "video_length": 2,
        },
        (4, 2, 8, 8),
        (5, 16),
        flow=False,
    ),
    "LTXVideoTransformer3DModel": Net(
        {
            **HEADS,
            "attention_head_dim": 16,
            "in_channels": 4,
            "out_channels": 4,
            "cross_attention_dim": 32,
            "num_layers": 1,
            "caption_channels": 16,
        },
        (16, 4),
        (5, 16),
        {"encoder_attention_mask": whole(1, 5), "num_frames": 1, "height": 4, "width": 4},
    ),
    "Lumina2Transformer2DModel": Net(
        {
            "sample_size": 8,
            "in_channels": 4,
            "hidden_size": 24,
            "num_layers": 1,
            "num_refiner_layers": 1,
            "num_attention_heads": 2,
            "num_kv_heads": 1,
            "multiple_of": 8,
            "axes_dim_rope": (4, 4, 4),
            "axes_lens": (16, 16, 16),
            "cap_feat_dim": 16,
        },
        (4, 8, 8),
        (5, 16),
        {"encoder_attention_mask": whole(1, 5).bool()},
        time=lambda t: 1 - t / 1000,
        sign=-1,
    ),
    "LuminaNextDiT2DModel": Net(
        {
            "sample_size": 8,
            "hidden_size": 16,
            "num_layers": 1,
            "num_attention_heads": 2,
            "num_kv_heads": 1,
            "multiple_of": 8,
            "cross_attention_dim": 16,
        },
        (4, 8, 8),
        (5, 16),
        {
            "encoder_mask": whole(1, 5),
            "cross_attention_kwargs": {},
            "image_rotary_emb": torch.polar(torch.ones(384, 384, 4), torch.ones(384, 384, 4)),
        },
        ("image_rotary_emb",),
        time=lambda t: 1 - t / 1000,
        sign=-1,
    ),
    "PixArtTransformer2DModel": Net(
        {
            **HEADS,
            "sample_size": 8,
            "in_channels": 4,
            "out_channels": 8,
            "num_layers": 1,
            "cross_attention_dim": 16,
            "caption_channels": 16,
            "norm_num_groups": 4,
            "use_additional_conditions": False,
        },
        (4, 8, 8),
        (5, 16),
        {"added_cond_kwargs": {"resolution": None, "aspect_ratio": None}},
        flow=False,
    ),
    "PRXTransformer2DModel": Net(
        {
            "in_channels": 4,
            "context_in_dim": 16,
            "hidden_size": 16,
            "num_heads": 2,
            "depth": 1,
            "axes_dim": (4, 4),
            "bottleneck_size": 8,
        },
        (4, 8, 8),
        (5, 16),
        time=lambda t: t / 1000,
    ),
    "QwenImageTransformer2DModel": Net(
        {
            **JOINT,
            "attention_head_dim": 16,
            "in_channels": 16,
            "out_channels": 4,
            "num_layers": 1,
            "axes_dims_rope": (4, 4, 8),
        },
        (16, 16),
        (5, 16),
        {"encoder_hidden_states_mask": whole(1, 5), "img_shapes": [[(1, 4, 4)]] * 2},
        time=lambda t: t / 1000,
    ),
    "SanaTransformer2DModel": Net(
        {
            **HEADS,
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 1,
            "num_cross_attention_heads": 2,
            "cross_attention_head_dim": 8,
            "cross_attention_dim": 16,
            "caption_channels": 16,
            "sample_size": 8,
            "timestep_scale": 0.001,
        },
        (4, 8, 8),
        (5, 16),
        {"encoder_attention_mask": whole(1, 5)},
        time=lambda t: t * 0.001,
    ),
    "SD3Transformer2DModel": Net(
        {
            **JOINT,
            "sample_size": 8,
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 1,
            "caption_projection_dim": 16,
            "pooled_projection_dim": 12,
            "pos_embed_max_size": 8,
        },
        (4, 8, 8),
        (5, 16),
        {"pooled_projections": normal(1, 12)},
    ),
    "SkyReelsV2Transformer3DModel": Net(
        {
            **HEADS,
            "attention_head_dim": 12,
            "in_channels": 4,
            "out_channels": 4,
            "text_dim": 16,
            "freq_dim": 8,
            "ffn_dim": 16,
            "num_layers": 1,
            "rope_max_seq_len": 32,
        },
        (4, 2, 8, 8),
        (5, 16),
        tolerance=5e-6,  # it rounds to float32 inside
    ),
    "WanTransformer3DModel": Net(
        {
            **HEADS,
            "attention_head_dim": 12,
            "in_channels": 4,
            "out_channels": 4,
            "text_dim": 16,
            "freq_dim": 8,
            "ffn_dim": 16,
            "num_layers": 1,
            "rope_max_seq_len": 32,
        },
        (4, 2, 8, 8),
        (5, 16),
    ),
}
