"""Weights from a folder: not a bit changes, and what is wrong with them is one line."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from gradbench.models.pretrained import load_pipeline
from gradbench.models.skeleton import skeleton
from gradbench.models.stable_diffusion import SD15, TINY, random_pipeline

NETWORKS = ("unet", "vae", "text_encoder")
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    pipe, folder = random_pipeline(TINY), tmp_path_factory.mktemp("weights") / "tiny"
    pipe.save_pretrained(folder)
    return pipe, folder


@pytest.fixture
def spoiled(saved, tmp_path):
    """A copy of the folder that a test may spoil."""
    shutil.copytree(saved[1], tmp_path / "tiny")
    return tmp_path / "tiny"


def change(file, edit):
    tensors = load_file(file)
    edit(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def refusal(folder, architecture=TINY):
    with pytest.raises(ValueError) as error:
        load_pipeline(str(folder), architecture)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_saving_and_loading_changes_no_bit(saved):
    pipe, folder = saved
    loaded = load_pipeline(str(folder), TINY)
    for name in NETWORKS:
        before, after = getattr(pipe, name).state_dict(), getattr(loaded, name).state_dict()
        assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


def test_the_tokenizer_comes_back(saved):
    pipe, folder = saved
    text = "a photo of a cat"
    assert load_pipeline(str(folder)).tokenizer(text).input_ids == pipe.tokenizer(text).input_ids


def test_loaded_weights_are_frozen_and_in_evaluation_mode(saved):
    unet = load_pipeline(str(saved[1])).unet
    assert not unet.training and not any(p.requires_grad for p in unet.parameters())


def test_a_folder_loads_without_a_hub(saved):
    code = f"from gradbench.models.pretrained import load_pipeline; load_pipeline({str(saved[1])!r})"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}, timeout=300)


def test_a_skeleton_reads_no_weights(spoiled):
    (spoiled / UNET).write_bytes(b"none")
    with skeleton():
        pipe = load_pipeline(str(spoiled), TINY)
    assert {str(p.device) for name in NETWORKS for p in getattr(pipe, name).parameters()} == {"meta"}


def test_pickles_are_refused(spoiled):
    torch.save({}, spoiled / "unet" / "diffusion_pytorch_model.bin")
    (spoiled / UNET).unlink()
    assert "are pickles (diffusion_pytorch_model.bin), which run code" in refusal(spoiled)


def test_weights_that_are_not_finite_are_refused(spoiled):
    change(spoiled / UNET, lambda tensors: tensors["conv_in.bias"].fill_(float("nan")))
    assert "are not finite: 1 tensors of unet, as conv_in.bias" in refusal(spoiled)


def test_a_missing_weight_is_refused(spoiled):
    change(spoiled / UNET, lambda tensors: tensors.pop("conv_in.bias"))
    assert "do not fit their unet: 1 missing keys, as conv_in.bias" in refusal(spoiled)


def test_a_missing_weight_of_the_text_encoder_is_refused(spoiled):
    change(spoiled / "text_encoder/model.safetensors", lambda tensors: tensors.pop(sorted(tensors)[0]))
    assert "do not fit their text_encoder: 1 missing keys" in refusal(spoiled)


def test_a_weight_of_another_shape_is_refused(spoiled):
    change(spoiled / UNET, lambda tensors: tensors.update({"conv_in.bias": torch.zeros(3)}))
    assert "conv_in.bias" in refusal(spoiled)


def test_a_missing_shard_is_refused(saved, spoiled):
    shutil.rmtree(spoiled / "unet")
    saved[0].unet.save_pretrained(spoiled / "unet", max_shard_size="200KB")
    shards = sorted((spoiled / "unet").glob("*-of-*.safetensors"))
    shards[0].unlink()
    assert f"lack 1 of {len(shards)} shards, as {shards[0].name}" in refusal(spoiled)


def test_a_truncated_file_is_refused(spoiled):
    content = (spoiled / UNET).read_bytes()
    (spoiled / UNET).write_bytes(content[: len(content) // 2])
    assert "cannot be read: unet" in refusal(spoiled)


def test_another_class_of_network_is_refused(spoiled):
    config = json.loads((spoiled / "unet/config.json").read_text())
    (spoiled / "unet/config.json").write_text(json.dumps({**config, "_class_name": "UNet2DModel"}))
    assert "hold a UNet2DModel as unet, not a UNet2DConditionModel" in refusal(spoiled)


def test_networks_of_another_size_are_refused(saved):
    assert "unet" in refusal(saved[1], SD15) and "859,520,964" in refusal(saved[1], SD15)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert "are no folder" in refusal(tmp_path / "nothing")


def test_the_whole_architecture_has_the_published_numbers_of_parameters():
    with skeleton():
        pipe = random_pipeline(SD15)
    found = {name: sum(p.numel() for p in getattr(pipe, name).parameters()) for name in NETWORKS}
    assert found == {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480}


def test_random_weights_are_those_of_their_seed_and_leave_the_global_state(saved):
    before = torch.get_rng_state()
    again, other = random_pipeline(TINY, 0), random_pipeline(TINY, 1)
    assert torch.equal(torch.get_rng_state(), before)
    first = saved[0].unet.conv_in.weight
    assert torch.equal(again.unet.conv_in.weight, first) and not torch.equal(other.unet.conv_in.weight, first)
