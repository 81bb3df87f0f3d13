"""The digits model: what its README promises."""

import json
import sys
from pathlib import Path

import pytest
import torch

import gradbench
from gradbench.problems.case import make_case
from gradbench.problems.folders import shipped_folder
from gradbench.problems.gradients import relative_error

FOLDER = shipped_folder() / "digits"
FACTS = json.loads((FOLDER / "weights.json").read_text())["facts"]


@pytest.fixture(scope="module")
def network():
    make_case("digits", {})
    return sys.modules["gradbench_cases.digits.network"] if "gradbench_cases.digits.network" in sys.modules else load()


def load():
    import importlib

    return importlib.import_module("gradbench_cases.digits.network")


def test_the_unet_has_the_published_size(network):
    assert network.parameter_count(network.DigitsModel()) == FACTS["unet_parameters"] == 626_577


def test_the_weights_are_small_files():
    assert (FOLDER / "unet.safetensors").stat().st_size < 3_000_000


def test_both_classifiers_are_right_on_99_percent_of_the_test_set(network):
    from gradbench.models.weights import load_weights

    sys.path.insert(0, str(FOLDER))
    try:
        from train import data
    finally:
        sys.path.remove(str(FOLDER))
    _, images, _, labels = data()
    for name, width in (("scorer", 24), ("heldout", 20)):
        classifier = network.Classifier(width)
        classifier.load_state_dict(load_weights(FOLDER, f"{name}.safetensors"))
        share = (classifier(images).argmax(1) == labels).float().mean().item()
        assert share == pytest.approx(FACTS[f"{name}_test_accuracy"]) and share >= 0.99


def test_97_percent_of_our_ddim_20_samples_are_of_the_class_asked_for(network):
    right = 0
    for label in range(10):
        case = gradbench.case("digits", label=label, batch=30)
        problem = case.problem(steps=20, seed=label)
        for lora in problem.parameters:
            lora.data.zero_()
        with torch.no_grad():
            images = problem.rollout.sample(problem.x_T)
            right += (problem.objective.classifier(images).argmax(1) == label).sum().item()
    assert right / 300 >= 0.97


def test_lora_weights_are_11776_and_none_of_their_gradients_is_zero(digits):
    problem = digits.problem(steps=3)
    assert sum(p.numel() for p in problem.parameters) == 11_776
    grads = gradbench.estimator("backprop")(problem).grads["parameters"]
    assert all(g.abs().max() > 0 for g in grads)


@pytest.mark.parametrize("name", ["preference", "heldout-preference"])
def test_a_preference_scorer_foresees_choices_nearly_as_well_as_the_rule_behind_them(name):
    from cases.digits.preference import judge

    scorer = gradbench.case("digits", objective=name).problem(steps=1).objective
    facts = json.loads((FOLDER / "preferences" / "weights.json").read_text())["facts"]
    found = judge({name: scorer})
    assert found[f"{name}_test_agreement"] == pytest.approx(facts[f"{name}_test_agreement"], abs=1e-3)
    assert found["rule_test_agreement"] - found[f"{name}_test_agreement"] < 0.005


def test_the_rule_is_the_tangent_of_the_lean():
    from cases.digits.slant import slant

    upright = torch.full((1, 1, 8, 8), -1.0)
    upright[..., 3] = 1
    leaning = 2 * torch.eye(8).flip(1)[None, None] - 1  # from the lower left to the upper right
    assert slant(torch.cat([upright, leaning, leaning.flip(3)])).tolist() == pytest.approx([0, 1, -1])


@pytest.mark.parametrize("objective", ["class", "heldout-class", "target-image", "preference"])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_gradients_match_central_differences(objective, guidance):
    case = gradbench.case("digits", batch=2, objective=objective, guidance=guidance)
    problem, h = case.problem(steps=4, dtype="float64"), 1e-5
    grads = gradbench.estimator("backprop")(problem).grads
    generator = torch.Generator().manual_seed(0)
    for leaf, grad in ((problem.condition, grads["condition"]), (problem.parameters[1], grads["parameters"][1])):
        direction = torch.randn(leaf.shape, generator=generator, dtype=torch.float64)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                leaf.add_(sign * h * direction)
                values.append(problem.objective(problem.rollout.sample(problem.x_T)).sum().item())
                leaf.sub_(sign * h * direction)
        assert (values[0] - values[1]) / (2 * h) == pytest.approx((grad * direction).sum().item(), rel=1e-6)


def test_single_precision_gradients_are_right_to_1e_minus_5(digits):
    problem = digits.problem(steps=5)
    found, exact = gradbench.estimator("checkpoint")(problem).grads, problem.sampler_gradient()
    assert all(0 < relative_error(found[t], exact[t]) < 1e-5 for t in ("x_T", "condition", "parameters"))


def test_a_guided_step_is_one_network_call():
    case = gradbench.case("digits", guidance=2.0, batch=1)
    assert gradbench.estimator("backprop")(case.problem(steps=3)).nfe_forward == 3


def test_half_precision_keeps_the_state_in_single(digits):
    problem = digits.problem(steps=3, dtype="bfloat16")
    estimate = gradbench.estimator("checkpoint")(problem)
    assert estimate.x_0.dtype is torch.float32 and problem.parameters[0].dtype is torch.bfloat16
    assert relative_error(estimate.grads["x_T"], problem.sampler_gradient()["x_T"]) < 0.2


def test_the_data_of_the_target_image_is_an_array_of_the_users_choice():
    target = torch.zeros(1, 8, 8)
    problem = gradbench.case("digits", objective="target-image", target=target).problem(steps=2)
    assert torch.equal(problem.objective.target, target)


def test_the_shipped_folder_is_complete():
    record = json.loads((FOLDER / "weights.json").read_text())
    assert all((FOLDER / name).exists() for name in record["digests"])
    assert (Path(FOLDER) / "README.md").exists()
