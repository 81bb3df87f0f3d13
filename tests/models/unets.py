"""The U-Nets with a known convention."""

from tests.models.net import Net

DOWN_UP = {"block_out_channels": (8, 16), "norm_num_groups": 4, "layers_per_block": 1}
UNET = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "cross_attention_dim": 16,
}

UNETS = {
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
}
