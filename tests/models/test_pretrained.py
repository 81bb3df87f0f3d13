"""Saved weights come back bit for bit, without a network; and whatever is wrong with them is one line."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from gradbench.models.pretrained import load_pipeline
from gradbench.models.skeleton import skeleton
from gradbench.models.stable_diffusion import SD15, TINY, random_pipeline

NETWORKS = ("unet", "vae", "text_encoder")
FILE = {"unet": "diffusion_pytorch_model.safetensors", "vae": "diffusion_pytorch_model.safetensors"}


def weights(folder, name):
    return folder / name / FILE.get(name, "model.safetensors")


@pytest.mark.parametrize("name", NETWORKS)
def test_saving_and_loading_changes_no_bit(saved, name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    own, loaded = (getattr(pipe, name).state_dict() for pipe in (random_pipeline(TINY, 3), load_pipeline(str(saved))))
    assert own.keys() == loaded.keys() and all(torch.equal(own[key], loaded[key]) for key in own)


def test_scheduler_and_tokenizer_come_back(saved):
    own, loaded = random_pipeline(TINY, 3), load_pipeline(str(saved), TINY)
    assert torch.equal(own.scheduler.alphas_cumprod, loaded.scheduler.alphas_cumprod)
    assert own.tokenizer("a cat on a mat").input_ids == loaded.tokenizer("a cat on a mat").input_ids


def test_networks_come_frozen_and_in_evaluation_mode(saved):
    pipe = load_pipeline(str(saved))
    for name in NETWORKS:
        network = getattr(pipe, name)
        assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_shards_are_put_together(tmp_path):
    own = random_pipeline(TINY, 3)
    own.save_pretrained(tmp_path, max_shard_size="300KB")
    assert len(list((tmp_path / "unet").glob("*.safetensors"))) > 1
    loaded = load_pipeline(str(tmp_path)).unet.state_dict()
    assert all(torch.equal(tensor, loaded[key]) for key, tensor in own.unet.state_dict().items())


def test_half_precision_on_disk_is_half_precision_in_memory_or_its_exact_upcast(tmp_path):
    own = random_pipeline(TINY, 3)
    own.unet.to(torch.float16)
    own.save_pretrained(tmp_path)
    loaded = load_pipeline(str(tmp_path)).unet.state_dict()
    assert all(torch.equal(t.float(), loaded[key].float()) for key, t in own.unet.state_dict().items())


def test_a_gradient_in_a_process_that_is_offline_is_the_one_here(saved):
    code = (
        "import socket\n"
        "def refuse(*words, **options): raise RuntimeError('a network is asked for')\n"
        "socket.socket.connect = refuse\n"
        "import gradbench, hashlib\n"
        f"problem = gradbench.case('sd-tiny', weights={str(saved)!r}).problem(steps=2)\n"
        "grad = gradbench.estimator('backprop')(problem).grads['condition']\n"
        "print(hashlib.sha256(grad.numpy().tobytes()).hexdigest())"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    import hashlib

    import gradbench

    problem = gradbench.case("sd-tiny", weights=str(saved)).problem(steps=2)
    grad = gradbench.estimator("backprop")(problem).grads["condition"]
    assert done.stdout.strip() == hashlib.sha256(grad.numpy().tobytes()).hexdigest()


def test_a_skeleton_reads_configurations_alone(folder):
    for name in NETWORKS:
        weights(folder, name).unlink()
    with skeleton():
        pipe = load_pipeline(str(folder), TINY)
    assert all(p.is_meta for name in NETWORKS for p in getattr(pipe, name).parameters())


def spoil_state(folder, name, change):
    path = weights(folder, name)
    state = load_file(path)
    change(state)
    save_file(state, path, metadata={"format": "pt"})


def missing_key(folder):
    spoil_state(folder, "unet", lambda state: state.pop("conv_in.weight"))


def unexpected_key(folder):
    spoil_state(folder, "vae", lambda state: state.update(stranger=torch.zeros(2)))


def misshapen(folder):
    spoil_state(folder, "unet", lambda state: state.update({"conv_in.bias": torch.zeros(5)}))


def not_a_number(folder):
    spoil_state(folder, "text_encoder", lambda state: next(iter(state.values())).view(-1)[:1].fill_(float("nan")))


def infinite(folder):
    spoil_state(folder, "vae", lambda state: state["post_quant_conv.bias"].fill_(float("inf")))


def truncated(folder):
    path = weights(folder, "vae")
    path.write_bytes(path.read_bytes()[:5000])


def empty(folder):
    weights(folder, "unet").write_bytes(b"")


def pickles(folder):
    path = weights(folder, "unet")
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()


def no_file(folder):
    weights(folder, "text_encoder").unlink()


def no_network(folder):
    import shutil

    shutil.rmtree(folder / "unet")


def no_configuration(folder):
    (folder / "vae" / "config.json").unlink()


def broken_configuration(folder):
    (folder / "unet" / "config.json").write_text("{")


def no_tokenizer(folder):
    import shutil

    shutil.rmtree(folder / "tokenizer")


def other_class(folder):
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "_class_name": "UNet2DModel"}))


def other_encoder(folder):
    path = folder / "text_encoder" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": ["BertModel"]}))


def missing_shard(folder):
    own = random_pipeline(TINY)
    own.unet.save_pretrained(folder / "unet", max_shard_size="300KB")
    weights(folder, "unet").unlink(missing_ok=True)
    sorted((folder / "unet").glob("*-of-*.safetensors"))[-1].unlink()


def broken_index(folder):
    missing_shard(folder)
    next((folder / "unet").glob("*.index.json")).write_text("[]")


SPOILED = [
    (missing_key, "do not fit their unet: 1 missing keys, as conv_in.weight"),
    (unexpected_key, "do not fit their vae: 1 unexpected keys, as stranger"),
    (misshapen, "conv_in.bias"),
    (not_a_number, "are not finite: 1 tensors of text_encoder"),
    (infinite, "are not finite: 1 tensors of vae, as post_quant_conv.bias"),
    (truncated, "cannot be read: vae"),
    (empty, "cannot be read: unet"),
    (pickles, "are pickles (diffusion_pytorch_model.bin), which run code: convert to safetensors"),
    (no_file, "cannot be read: text_encoder"),
    (no_network, "cannot be read: unet"),
    (no_configuration, "cannot be read: vae"),
    (broken_configuration, "cannot be read: unet"),
    (no_tokenizer, "cannot be read: tokenizer: it has no words"),
    (other_class, "hold a UNet2DModel as unet, not a UNet2DConditionModel"),
    (other_encoder, "hold a BertModel as text_encoder, not a CLIPTextModel"),
    (missing_shard, "shards, as diffusion_pytorch_model-"),
    (broken_index, "are not an index of shards"),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILED, ids=lambda v: getattr(v, "__name__", None))
def test_spoiled_weights_are_one_line(folder, spoil, message):
    spoil(folder)
    with pytest.raises(ValueError) as caught:
        load_pipeline(str(folder))
    text = str(caught.value)
    assert text.startswith("weights '") and message in text and "\n" not in text and len(text) < 600


def test_another_architecture_is_refused_with_both_sizes(saved):
    with pytest.raises(ValueError, match="has 203,204 parameters, this architecture has 859,520,964"):
        load_pipeline(str(saved), SD15)


@pytest.mark.parametrize("source", ["/nowhere", "./nowhere", "~/nowhere"])
def test_a_folder_that_is_not_there_is_said_to_be_none(source):
    with pytest.raises(ValueError, match="are not a folder; allowed: one that save_pretrained wrote, or a hub id"):
        load_pipeline(source)


def test_a_hubs_id_that_is_not_kept_here_is_one_line_offline():
    code = (
        "from gradbench.models.pretrained import load_pipeline\n"
        "try:\n    load_pipeline('nobody/nothing-that-is-here')\n"
        "except ValueError as error:\n    print(error)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.count("\n") == 1 and "'nobody/nothing-that-is-here' cannot be read: unet" in done.stdout
