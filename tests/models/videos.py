"""The transformers of videos with a known convention."""

import torch

from tests.models.net import HEADS, Net, normal, rotary, whole

VIDEOS = {
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
