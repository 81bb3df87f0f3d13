"""Every golden entry, at its own tolerance."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import gradbench
from gradbench.problems.folders import case_specs
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.selector import render

GOLDEN = Path(__file__).parents[1] / "golden"
INDEX = json.loads((GOLDEN / "index.json").read_text())
PROBLEMS = {problem["name"]: problem for problem in INDEX["problems"]}
GIVEN = {"edict": {"turns": "fixed"}}  # what a golden name implies, where that is not our default
NAMES = {"angle-adjoint": "continuous-adjoint", "time-adjoint": "continuous-adjoint"}


@cache
def arrays(file):
    return load_file(GOLDEN / file)


def estimator_of(entry):
    """(name, options) of an entry's estimator; its options include what a golden name implies."""
    options = {key: value for key, value in entry["options"].items() if key != "sde"}
    if "adjoint_steps" in entry:
        options["steps"] = entry["adjoint_steps"]
    return NAMES.get(entry["estimator"], entry["estimator"]), options


def problem_of(entry, steps, x_T):
    problem = PROBLEMS[entry["problem"]]
    data = arrays(problem["file"])
    names = [name for name in case_specs()[problem["law"]].arrays if name in data]
    case = gradbench.case(
        problem["law"],
        schedule=problem["schedule"]["name"],
        t_max=problem["t_max"],
        t_min=problem["t_min"],
        objective=entry.get("objective", "quadratic+sine"),
        **{name: data[name] for name in names},
    )
    params = {"grid": entry.get("grid", "uniform-t")}
    name = entry.get("sampler", "ddim").replace("exact-sde", "ddpm")
    if entry["kind"] != "continuous-adjoint":  # there the options are the estimator's
        options = {**SAMPLERS[name].defaults, **GIVEN.get(name, {}), **entry.get("options", {})}
        params |= {key: value for key, value in options.items() if key in SAMPLERS[name].defaults and key != "grid"}
    return case.problem(sampler=render(name, params), steps=steps, x_T=x_T, noise=data.get(f"noise/{steps}"))


def answer(entry, problem):
    """The gradients that gradbench finds, and the other arrays of an entry by name."""
    if entry["kind"] == "flow":
        return problem.flow_gradient(), {"x_0": problem.flow(problem, problem.x_T)}
    if entry["kind"] == "sampler":
        estimate = gradbench.estimator("backprop")(problem)
        return estimate.grads, {"x_0": estimate.x_0}
    if entry["kind"] == "expected":
        of = "exact-sde" if entry["sampler"] == "exact-sde" else "sampler"
        grads, mean, covariance, value = problem.expectation(of)
        return grads, {"mean_x_0": mean, "cov_x_0": covariance, "objective": torch.tensor(value, dtype=torch.float64)}
    name, options = estimator_of(entry)
    return gradbench.estimator(name, **options)(problem).grads, {}


def relative(got, expected):
    return ((got - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("entry", INDEX["entries"], ids=lambda entry: f"{entry['problem']}:{entry['key']}")
def test_entry_is_met_at_its_tolerance(entry):
    info = PROBLEMS[entry["problem"]]
    data = arrays(info["file"])
    for i, steps in enumerate(entry.get("steps", [None])):
        rtol = entry["rtol"] if steps is None else entry["rtol"][i]
        problem = problem_of(entry, steps or 4, data["x_T"])
        grads, others = answer(entry, problem)
        got = {"x_T": grads["x_T"], "condition": grads["condition"]}
        got |= dict(zip(info["parameters"], grads["parameters"], strict=True))
        for name, value in (got | others).items():
            expected = data[f"{entry['key']}/{name}"]
            assert relative(value, expected if steps is None else expected[i]) <= rtol, (name, steps)


def test_there_are_594_entries_of_ten_problems():
    assert len(INDEX["entries"]) == 594 and len(PROBLEMS) == 10


@pytest.mark.parametrize("name", ["gaussian-vp-linear", "gaussian-scaled-linear"])
@pytest.mark.parametrize("grid", ["uniform-t", "uniform-log-snr"])
def test_grids_are_those_of_the_golden_files(name, grid):
    data = arrays(PROBLEMS[name]["file"])
    for steps in (5, 40):
        entry = {"problem": name, "kind": "sampler", "grid": grid, "sampler": "ddim", "options": {}}
        got = problem_of(entry, steps, data["x_T"]).rollout.grid
        assert max(abs(a - b) for a, b in zip(got, data[f"grid/{grid}/{steps}"].tolist(), strict=True)) < 1e-14
