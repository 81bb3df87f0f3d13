"""The architectures of Stable Diffusion: their sizes, their random weights, and what a skeleton costs."""

import psutil
import pytest
import torch

from gradbench.measure.live_bytes import LiveBytes
from gradbench.models.skeleton import device, in_skeleton, skeleton
from gradbench.models.stable_diffusion import SD15, TINY, check_counts, letter_tokenizer, random_pipeline

NETWORKS = ("unet", "vae", "text_encoder")


@pytest.fixture(scope="module")
def whole():
    """Stable Diffusion 1.5 in shapes alone, with the bytes it took and the process grew by."""
    process = psutil.Process()
    before = process.memory_info().rss
    with LiveBytes() as counted, skeleton():
        pipe = random_pipeline(SD15)
    return pipe, counted.peak, process.memory_info().rss - before


@pytest.mark.parametrize(("name", "count"), [("unet", 859_520_964), ("vae", 83_653_863), ("text_encoder", 123_060_480)])
def test_stable_diffusion_15_has_the_published_number_of_parameters(whole, name, count):
    assert sum(p.numel() for p in getattr(whole[0], name).parameters()) == count == SD15.counts[name]


def test_a_skeleton_has_no_memory(whole):
    pipe, counted, grown = whole
    assert all(p.is_meta for name in NETWORKS for p in getattr(pipe, name).parameters())
    assert counted < 2**20 and grown < 2**28  # a thousandth of the 4 GiB that the weights would take


def test_a_skeleton_ends_where_it_is_left():
    with skeleton():
        assert in_skeleton() and device().type == "meta"
        with skeleton():
            pass
        assert in_skeleton()
    assert not in_skeleton() and device().type == "cpu"


def test_the_seed_decides_every_weight():
    first, second, other = (random_pipeline(TINY, seed).unet.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["conv_in.weight"], other["conv_in.weight"])


def test_the_global_random_state_is_left_as_it_was():
    before = torch.get_rng_state()
    random_pipeline(TINY, 7)
    assert torch.equal(torch.get_rng_state(), before)


def test_networks_are_frozen_and_in_evaluation_mode():
    pipe = random_pipeline(TINY)
    for name in NETWORKS:
        network = getattr(pipe, name)
        assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_a_network_of_another_size_is_refused():
    networks = {name: getattr(random_pipeline(TINY), name) for name in NETWORKS}
    with pytest.raises(ValueError, match="unet of mine has 203,204 parameters, this architecture has 859,520,964"):
        check_counts(networks, SD15, "mine")


def test_the_betas_are_stable_diffusions():
    """alpha_bar_T = 0.0047, to its published digits."""
    config, table = (random_pipeline(TINY).scheduler.config, random_pipeline(TINY).scheduler.alphas_cumprod)
    assert table[-1].item() == pytest.approx(0.0047, abs=5e-5) and table[0].item() == pytest.approx(1 - 0.00085)
    assert config.clip_sample is False and config.set_alpha_to_one is False and config.steps_offset == 1


def test_the_tokenizer_spells_between_begin_and_end():
    ids = letter_tokenizer(512)("a cat", padding="max_length", max_length=77).input_ids
    assert len(ids) == 77 and (ids[0], ids[-1]) == (510, 511) and max(ids[1:5]) < 510
    assert ids[5:] == [511] * 72  # a</w> c a t</w>
