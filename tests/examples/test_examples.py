"""The examples run on the tiny pipeline, and do what they say."""

import importlib
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import gradbench
from gradbench.models.stable_diffusion import TINY, random_pipeline

FOLDER = Path(__file__).parents[2] / "examples"
SHORT = ["--steps", "3", "--updates", "4"]


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module
    for name in ("common", *(path.stem for path in FOLDER.glob("*.py"))):
        sys.modules.pop(name, None)


def rises(rewards):
    return all(a < b for a, b in zip(rewards, rewards[1:], strict=False))


@pytest.mark.parametrize("gradient", ["checkpoint", "adjoint-deis"])
def test_lora_raises_the_reward_in_every_update(example, gradient):
    assert rises(example("lora_reward").main([*SHORT, "--noises", "1", "--gradient", gradient]))


def test_lora_makes_files_smaller(example):
    rewards = example("lora_reward").main([*SHORT, "--noises", "1", "--reward=-jpeg-size", "--lr", "0.005"])
    assert rewards[-1] > rewards[0]


def test_noise_raises_the_reward_in_every_update_by_any_estimator(example):
    main = example("initial_noise").main
    assert rises(main(SHORT)) and rises(main([*SHORT, "--sampler", "edict", "--gradient", "reversible"]))


@pytest.mark.parametrize("gradient", ["checkpoint", "revolve[snapshots=2]"])
def test_all_noises_raise_the_reward_in_every_update(example, gradient):
    assert rises(example("all_noises").main([*SHORT, "--gradient", gradient]))


@pytest.mark.parametrize(
    ("sampler", "gradient"), [("ddim", "checkpoint"), ("ddim", "adjoint-deis"), ("belm", "reversible")]
)
def test_controls_raise_the_reward_in_every_update(example, sampler, gradient):
    assert rises(example("oc_flow").main([*SHORT, "--sampler", sampler, "--gradient", gradient]))


@pytest.mark.parametrize("short", ["1", "2", "3"])
def test_guidance_by_a_short_solve_raises_the_reward(example, short):
    assert rises(example("symplectic_guidance").main(["--steps", "5", "--short", short]))


def test_in_float16_updates_are_made_once_the_scale_is_found(example, capsys):
    rewards = example("initial_noise").main(["--steps", "2", "--updates", "8", "--dtype", "float16"])
    skipped = [line for line in capsys.readouterr().out.splitlines() if "skipped" in line]
    assert skipped and len(set(rewards)) == 8 - len(skipped) and rises(rewards[len(skipped) :])


def test_weights_of_a_folder_give_what_the_same_weights_in_memory_give(example, tmp_path, capsys):
    random_pipeline(TINY).save_pretrained(tmp_path)
    main, short = example("lora_reward").main, ["--steps", "2", "--updates", "2", "--noises", "1"]
    assert main([*short, "--weights", str(tmp_path)]) == main([*short, "--tiny"])
    assert capsys.readouterr().out.count("random weights") == 1


def test_saved_lora_weights_put_the_trained_sample_back(example, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    made = []
    module = example("lora_reward")
    monkeypatch.setattr(module, "pipeline", lambda given: made.append(random_pipeline(TINY)) or made[0])
    module.main(["--steps", "2", "--updates", "2", "--noises", "1", "--out", str(tmp_path)])
    made.append(random_pipeline(TINY))
    made[1].load_lora_weights(tmp_path, weight_name="pytorch_lora_weights.safetensors")
    made.append(random_pipeline(TINY))
    samples = []
    for pipe in made:
        parts = gradbench.from_pipeline(pipe, "a cat")
        with torch.no_grad():
            lora = [parameter for parameter in pipe.unet.parameters() if parameter.requires_grad]
            samples.append(gradbench.sample(parts.denoiser, parts.noise(), grid=parts.grid(2), wrt=lora))
    assert torch.equal(samples[0], samples[1]) and not torch.equal(samples[0], samples[2])


def test_images_are_written_one_a_noise(example, tmp_path):
    example("initial_noise").main(["--steps", "2", "--updates", "1", "--batch", "2", "--out", str(tmp_path)])
    assert [Image.open(path).size for path in sorted(tmp_path.iterdir())] == [(16, 16), (16, 16)]
