"""What the parts of a pipeline give: an objective by its text, and embeddings where the network is."""

import dataclasses

import diffusers
import pytest
import torch
from diffusers import DDIMPipeline, UNet2DModel

import gradbench
from gradbench.models.stable_diffusion import TINY, random_pipeline, scheduler
from gradbench.objectives.colourfulness import Colourfulness
from gradbench.objectives.pattern import target_latent
from tests.models import tiny


def test_an_objective_by_its_text_judges_latents_and_decoded_images():
    parts = gradbench.from_pipeline(random_pipeline(TINY), "a cat")
    x_0 = parts.noise(2)
    expected = 2 * Colourfulness()(parts.decoder(x_0)) - target_latent(parts.shape, 3)(x_0)
    assert torch.allclose(parts.objective("2*colourfulness-target-latent", seed=3)(x_0), expected)


def test_image_shape_is_that_of_what_the_decoder_returns():
    parts = gradbench.from_pipeline(random_pipeline(TINY), "a cat", height=24, width=32)
    assert parts.shape == (4, 12, 16) and parts.decoder(parts.noise()).shape[1:] == parts.image_shape == (3, 24, 32)


def test_images_are_not_judged_where_there_is_no_decoder():
    unet = UNet2DModel(
        sample_size=8,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    parts = gradbench.from_pipeline(DDIMPipeline(unet, scheduler()))
    with pytest.raises(ValueError, match="'colourfulness' applies to images, and a pixel model has no decoder"):
        parts.objective("colourfulness")


def test_the_embedding_of_a_prompt_goes_to_the_networks_device():
    pipe = random_pipeline(TINY)
    pipe.unet.to("meta")
    assert gradbench.from_pipeline(pipe, "a cat").denoiser.condition.device.type == "meta"


def test_a_grid_takes_what_the_schedulers_shift_needs():
    parts = gradbench.from_pipeline(tiny.sd3_pipeline(), "a cat", guidance=1.0)
    shifting = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    moved = dataclasses.replace(parts, scheduler=shifting)
    assert moved.grid(4, mu=0.9) == gradbench.grid_of(shifting, 4, mu=0.9) != moved.grid(4, mu=0.5)
    assert parts.grid(sigmas=[1.0, 0.5]) == gradbench.grid_of(parts.scheduler, sigmas=[1.0, 0.5])
