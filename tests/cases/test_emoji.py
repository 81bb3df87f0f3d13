"""The emoji case: what its README promises, and that its folder is a pipeline for anybody."""

import importlib
import json
import subprocess
import sys

import pytest
import torch

import gradbench
from gradbench.problems.case import make_case
from gradbench.problems.folders import shipped_folder
from gradbench.problems.gradients import relative_error

FOLDER = shipped_folder() / "emoji"
RECORD = json.loads((FOLDER / "weights.json").read_text())
OBJECTIVES = [
    *(f"{held}{name}" for name in ("alignment", "concept", "style", "gram", "recogniser") for held in ("", "heldout-")),
    *("jpeg-size", "colourfulness"),
]


@pytest.fixture(scope="module")
def part():
    make_case("emoji", {})
    return lambda name: importlib.import_module(f"gradbench_cases.emoji.{name}")


@pytest.fixture(scope="module")
def pipe(part):
    return part("shipped").pipeline()


def test_the_weights_are_under_30_megabytes():
    assert sum((FOLDER / name).stat().st_size for name in RECORD["digests"]) < 30e6


def test_plain_diffusers_opens_the_folder_and_draws_from_it():
    code = f"""
import sys, torch
from diffusers import DiffusionPipeline
pipe = DiffusionPipeline.from_pretrained({str(FOLDER / "pipeline")!r}, torch_dtype=torch.float32)
pipe.set_progress_bar_config(disable=True)
image = pipe("noto rocket", num_inference_steps=2, guidance_scale=3.0).images[0]
assert type(pipe).__name__ == "StableDiffusionPipeline" and image.size == (32, 32) and "gradbench" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=FOLDER)


def test_a_sample_of_gradbench_is_the_pipelines_own(pipe):
    pipe.set_progress_bar_config(disable=True)
    parts = gradbench.from_pipeline(pipe, prompt="noto rocket", guidance=3.0)
    x_T = parts.noise(seed=0)
    images = parts.decoder(gradbench.sample(parts.denoiser, x_T, grid=parts.grid(10)))
    own = pipe("noto rocket", num_inference_steps=10, guidance_scale=3.0, latents=x_T, output_type="pt").images
    assert torch.allclose(images.clamp(0, 1), own, atol=1e-4)


def test_a_tenth_of_the_concepts_is_held_out_in_one_style_only(part):
    held = part("data").load().held
    assert held.sum() == len(held) // 10 and not held.all(1).any()


def test_a_concept_that_is_not_there_is_one_short_line_with_the_nearest():
    with pytest.raises(
        ValueError, match="one of the 1,622 names of emoji, got 'unicorn of gold'; nearest: .*unicorn face"
    ) as error:
        gradbench.case("emoji", concept="unicorn of gold")
    assert len(str(error.value)) < 250


def test_what_tasks_read_alone_is_what_the_case_reads(part):
    problem = gradbench.case("emoji", batch=2).problem(steps=2)
    case = part("case")
    assert torch.equal(case.embedded("rocket", "noto"), problem.condition)
    x_0 = torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        assert torch.equal(case.scored("alignment", "rocket", "noto")(x_0), problem.objective(x_0))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients_match_central_differences(objective):
    problem = gradbench.case("emoji", batch=1, objective=objective).problem(steps=2, dtype="float64")
    grads, h = gradbench.estimator("checkpoint")(problem).grads, 1e-5
    generator = torch.Generator().manual_seed(0)
    for leaf, grad in ((problem.condition, grads["condition"]), (problem.parameters[1], grads["parameters"][1])):
        direction, values = torch.randn(leaf.shape, generator=generator, dtype=torch.float64), []
        for sign in (1, -1):
            with torch.no_grad():
                leaf.add_(sign * h * direction)
                values.append(problem.objective(problem.rollout.sample(problem.x_T)).sum().item())
                leaf.sub_(sign * h * direction)
        assert (values[0] - values[1]) / (2 * h) == pytest.approx((grad * direction).sum().item(), rel=1e-5, abs=1e-9)


def test_single_precision_gradients_are_right_to_1e_minus_4():
    problem = gradbench.case("emoji").problem(steps=5)
    found, exact = gradbench.estimator("checkpoint")(problem).grads, problem.sampler_gradient()
    assert all(0 < relative_error(found[t], exact[t]) < 1e-4 for t in ("x_T", "condition", "parameters"))


def test_a_judge_and_its_twin_are_different_networks(part):
    judge = part("shipped").judge
    for name, twin in (("scorer", "held-out-scorer"), ("recogniser-0", "recogniser-1"), ("style", "held-out-style")):
        first, second = (dict(judge(one).named_parameters()) for one in (name, twin))
        shared = [key for key in first if key in second and first[key].shape == second[key].shape]
        assert not any(
            torch.equal(first[key], second[key]) for key in shared if first[key].numel() > 1 and first[key].std() > 0
        )


def test_the_scorer_prefers_a_pictures_own_name(part):
    shipped, data = part("shipped"), part("data").load()
    scorer = shipped.judge("scorer")
    concepts = range(0, len(data.names), 16)
    images = torch.stack([2 * shipped.picture(concept, 0) - 1 for concept in concepts])
    scores = scorer.image(images) @ shipped.captions("scorer", 0)[list(concepts)].T
    assert (scores.argmax(1) == torch.arange(len(images))).float().mean() > 0.9


def test_the_readme_says_what_was_measured():
    text, facts = (FOLDER / "README.md").read_text(), RECORD["facts"]
    for told in (
        f"{facts['vae_l1']['held_out']:.3f}",
        f"{facts['seen']['first_of_100']:.1%}",
        f"{facts['seen']['style']:.1%}",
        f"{facts['composed']['first_of_100']:.1%}",
        f"{facts['frechet']['samples']:.3f}",
        f"{facts['training_steps']['unet']:,}",
    ):
        assert told in text


def test_training_goes_on_from_the_networks_that_ship(part, tmp_path):
    """Judges and autoencoder are finished stages, the U-Net is the start of its own, with the steps behind each."""
    train, shipped = part("train"), part("shipped")
    train.adopt(tmp_path)
    for name in ("vae", "scorer", "recogniser-2"):
        assert train.steps_done(tmp_path, name) == RECORD["facts"]["training_steps"][name]
    own, again = shipped.judge("scorer").state_dict(), train.trained(tmp_path, "scorer").state_dict()
    assert own.keys() == again.keys() and all(torch.equal(own[key], again[key]) for key in own)
    torch.save({"step": 7}, tmp_path / "unet.checkpoint.pt")
    assert train.steps_done(tmp_path, "unet") == RECORD["facts"]["training_steps"]["unet"] + 7
