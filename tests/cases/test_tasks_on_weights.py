"""The tasks on a Stable Diffusion of one's own: a folder that diffusers saved."""

import pytest
import torch

import gradbench
from gradbench.bench.load import load_rows
from gradbench.models.stable_diffusion import TINY, random_pipeline
from gradbench.objectives.jpeg import JPEGSize
from gradbench.problems.case import make_case
from tests.command_line import gradbench as command
from tests.quick import quick

SMALL = {"model": "sd-tiny", "updates": 2, "checkpoints": 1, "batch": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("pipeline")
    random_pipeline(TINY, 7).save_pretrained(place)
    return str(place)


def made(name, **params):
    case = make_case(name, {**SMALL, **params})
    return case.spec.task(case.problem(sampler="ddim", steps=2), case.params)


def test_prompts_are_embedded_by_the_folders_own_text_encoder(folder):
    task = made("align", objective="jpeg-size", weights=folder)
    with torch.no_grad():
        expected = gradbench.from_pipeline(random_pipeline(TINY, 7), "a photo of a dog", guidance=1.0)
    assert torch.equal(task.seen[1].condition, expected.denoiser.condition)


def test_a_reward_is_of_the_pictures_that_the_folders_decoder_makes(folder):
    task = made("align", objective="jpeg-size", weights=folder)
    x = torch.randn(2, *task.problem.x_T.shape[1:])
    decoder = gradbench.from_pipeline(random_pipeline(TINY, 7), "a", guidance=1.0).decoder
    with torch.no_grad():
        assert torch.allclose(task.seen[0].reward(x), JPEGSize()(decoder(x)), rtol=1e-5)


@pytest.mark.parametrize("task", quick(["align[model=sd-tiny,objective=jpeg-size]", "inversion[model=sd-tiny]"], 0))
def test_one_command_runs_a_task_on_them_and_says_whose_weights_they_are(folder, tmp_path, task):
    task = task.replace("]", ",updates=2,checkpoints=1,batch=2]")
    said = command("run", "-c", task, "--weights", folder, "-e", "checkpoint", "--sampler", "ddim", "--steps", "2",
                   "--engine", "inline", "--out", tmp_path)  # fmt: skip
    (row,) = load_rows(tmp_path)
    assert said.returncode == 0 and row["status"] == "ok" and row["weights"] == f"weights of {folder}"


def test_random_weights_are_said_to_be_so():
    spec = make_case("align", {**SMALL, "objective": "jpeg-size"}).spec
    assert spec.weights({"model": "sd-tiny", "weights": None}, "cpu").startswith("random weights")
    assert spec.weights({"model": "digits", "weights": None}, "cpu") is None


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("align", {"weights": "here"}, "weights must be none unless model=sd15 or model=sd-tiny, got model=digits"),
        ("align", {"model": "sd15"}, "unknown objective of model sd15 'class'; allowed: jpeg-size, colourfulness"),
        ("audit", {"model": "sd15"}, "unknown model 'sd15'; allowed: digits, emoji"),
        ("stylise", {"model": "sd15"}, "unknown model 'sd15'; allowed: emoji"),
    ],
)
def test_what_a_task_cannot_do_on_them_is_one_line(name, given, message):
    with pytest.raises(ValueError, match=message):
        make_case(name, given)
