"""The decoder: latents to images as the autoencoder decodes them, its blocks recomputed on request."""

import pytest
import torch

from gradbench import LatentDecoder
from gradbench.measure.live_bytes import LiveBytes
from gradbench.models.stable_diffusion import TINY
from tests.models import tiny


def vae(**config):
    own = tiny.seeded(tiny.AutoencoderKL, latent_channels=4, **TINY.vae, **config)
    return own.requires_grad_(False)


def latents():
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    "config", [{}, {"scaling_factor": 1.5305, "shift_factor": 0.0609}, {"use_post_quant_conv": False}]
)
def test_images_are_those_of_the_autoencoder_in_0_to_1(config):
    own, z = vae(**config), latents()
    with torch.no_grad():
        shift = own.config.shift_factor or 0.0
        expected = own.decode(z / own.config.scaling_factor + shift).sample / 2 + 0.5
        assert torch.equal(LatentDecoder(own)(z), expected) and expected.shape == (2, 3, 16, 16)


def test_checkpointing_changes_no_bit_of_the_gradient_and_most_of_the_tape():
    found, tapes = [], []
    for on in (False, True):
        own, z = vae(), latents().requires_grad_()
        with LiveBytes([z, *own.parameters()]) as counted:
            images = LatentDecoder(own, checkpointing=on)(z)
            tapes.append(counted.live - counted.baseline)
        found.append(torch.autograd.grad((images**2).sum(), z)[0])
    assert torch.equal(*found) and tapes[1] < 0.3 * tapes[0]


def test_a_decoder_in_half_precision_takes_and_gives_single():
    own, z = vae().to(torch.bfloat16), latents()
    with torch.no_grad():
        direct = own.decode((z / own.config.scaling_factor).to(torch.bfloat16)).sample / 2 + 0.5
        images = LatentDecoder(own)(z)
    assert images.dtype is torch.float32 and torch.equal(images, direct.float())


def test_checkpointing_none_leaves_the_autoencoder_as_it_is():
    own = vae()
    own.enable_gradient_checkpointing()
    LatentDecoder(own, checkpointing=None)
    assert own.is_gradient_checkpointing
