"""The decoder: latents to images as the autoencoder decodes them, its blocks recomputed on request."""

import diffusers
import pytest
import torch

from gradbench import LatentDecoder
from gradbench.measure.live_bytes import LiveBytes
from gradbench.models.stable_diffusion import TINY
from tests.models import tiny


def vae(**config):
    own = tiny.seeded(tiny.AutoencoderKL, latent_channels=4, **{**TINY.vae, **config})
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


BLOCKS = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
WIDE = {"block_out_channels": (8, 16), "norm_num_groups": 8}
TINY_VAE = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8), "num_encoder_blocks": (1, 1)}
SIDES = {"down_block_out_channels": (32, 64), "up_block_out_channels": (32, 64)}
OTHERS = {
    "AutoencoderTiny": {**TINY_VAE, "num_decoder_blocks": (1, 1), "upsampling_scaling_factor": 2},
    "AsymmetricAutoencoderKL": {**BLOCKS, **SIDES},
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_autoencoders_decode_as_their_decode_does(name):
    own, z = tiny.seeded(getattr(diffusers, name), **OTHERS[name]), latents()
    with torch.no_grad():
        expected = own.decode(z / own.config.scaling_factor).sample / 2 + 0.5
        assert torch.equal(LatentDecoder(own, checkpointing=None)(z), expected)


class Own(tiny.AutoencoderKL):
    def decode(self, z, return_dict=True):
        return super().decode(2 * z, return_dict)


NOT_ONE_MAP = {
    "VQModel": lambda: diffusers.VQModel(**BLOCKS, **WIDE, latent_channels=4, num_vq_embeddings=16, vq_embed_dim=4),
    "AutoencoderKLTemporalDecoder": lambda: diffusers.AutoencoderKLTemporalDecoder(block_out_channels=(32,)),
    "Own": lambda: Own(latent_channels=4, **TINY.vae),
    "NoneType": lambda: None,
    "Linear": lambda: torch.nn.Linear(2, 2),
}


@pytest.mark.parametrize("name", NOT_ONE_MAP)
def test_an_autoencoder_that_decodes_by_another_map_is_refused(name):
    with pytest.raises(ValueError, match=rf"^{name}.decode is not known to be one decoder: allowed are [^\n]*$"):
        LatentDecoder(NOT_ONE_MAP[name]())


def test_a_subclass_that_decodes_as_its_parent_is_taken():
    class Mine(tiny.AutoencoderKL):
        """Nothing of its own."""

    own, z = tiny.seeded(Mine, latent_channels=4, **TINY.vae), latents()
    assert torch.equal(LatentDecoder(own)(z), own.decode(z / own.config.scaling_factor).sample / 2 + 0.5)


def test_an_autoencoder_without_checkpointing_is_told_the_decoders_own_option():
    own = tiny.seeded(diffusers.AsymmetricAutoencoderKL, **OTHERS["AsymmetricAutoencoderKL"])
    with pytest.raises(ValueError, match="of its own: give checkpointing=False"):
        LatentDecoder(own)


def test_a_cast_to_half_after_the_decoder_is_made_is_no_silent_overflow():
    own = vae(force_upcast=True)
    decoder = LatentDecoder(own)
    own.half()
    with pytest.raises(ValueError, match=r"overflows in float16 .* after its LatentDecoder was made"):
        decoder(latents())


def test_after_that_cast_the_decoder_works_again_in_single():
    own = vae(force_upcast=True)
    decoder = LatentDecoder(own)
    own.half()
    expected = LatentDecoder(own)(latents())
    assert torch.equal(decoder.float()(latents()), expected)
