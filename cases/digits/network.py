"""The networks of the digits case: a small U-Net in Stable Diffusion's shape and two classifiers to score it."""

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor, nn

CLASSES = 10
NULL_CLASS = 10  # the class label that replaces a dropped one in training, for classifier-free guidance
TOKENS, WIDTH = 2, 32  # a class is two tokens of width 32, read by cross-attention


def scheduler() -> DDIMScheduler:
    """Stable Diffusion 1.5's noise schedule: scaled-linear betas 0.00085 to 0.012 over 1,000 steps, no clipping."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="epsilon",
        timestep_spacing="leading",
    )


def unet() -> UNet2DConditionModel:
    """An 8x8 one-channel conditional U-Net; `attention_head_dim` is the number of heads, as in Stable Diffusion."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(32, 48),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )


class DigitsModel(nn.Module):
    """The U-Net with its table of class tokens, (11, 2, 32): ten digits and the null class."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = unet()
        self.embedding = nn.Embedding(CLASSES + 1, TOKENS * WIDTH)

    def tokens(self, label: Tensor) -> Tensor:
        """Class tokens, (b) integers -> (b, 2, 32)."""
        return self.embedding(label).reshape(-1, TOKENS, WIDTH)

    def forward(self, x: Tensor, timestep: Tensor, label: Tensor) -> Tensor:
        """Predicted noise, (b, 1, 8, 8), at integer timesteps 0..999."""
        return self.unet(x, timestep, self.tokens(label)).sample


class Classifier(nn.Module):
    """A smooth (GELU) convolutional classifier of 8x8 digits in [-1, 1]: (b, 1, 8, 8) -> logits (b, outputs)."""

    def __init__(self, width: int = 24, outputs: int = CLASSES) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, 2 * width, 3, padding=1, stride=2),
            nn.GELU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.GELU(),
        )
        self.head = nn.Linear(2 * width * 16, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


class Preference(Classifier):
    """A score whose difference is the log-odds that one picture is preferred to another: (b, 1, 8, 8) -> (b)."""

    def __init__(self, width: int = 24) -> None:
        super().__init__(width, outputs=1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, 0]


def parameter_count(module: nn.Module) -> int:
    """Number of scalars in the module's parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def sample_ddim(model: DigitsModel, label: Tensor, steps: int, guidance: float, generator: torch.Generator) -> Tensor:
    """DDIM samples by diffusers' own scheduler, (b, 1, 8, 8), by which the training script judges the model."""
    solver = scheduler()
    solver.set_timesteps(steps)
    x = torch.randn(len(label), 1, 8, 8, generator=generator)
    for timestep in solver.timesteps:
        eps = model(x, timestep, label)
        if guidance != 1.0:
            null = model(x, timestep, torch.full_like(label, NULL_CLASS))
            eps = null + guidance * (eps - null)
        x = solver.step(eps, timestep, x, eta=0.0, return_dict=False)[0]  # type: ignore[arg-type]
    return x
