"""References made twice, stored, and loaded by digest only."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from gradbench.problems.case import make_case
from gradbench.problems.folders import case_specs
from gradbench.references import second
from gradbench.references import verify as reference
from gradbench.references.known import references
from tests.quick import quick

STORED = ("gaussian", "mixture", "product-mixture", "dirac")


@pytest.mark.parametrize("name", STORED)
def test_todays_references_are_the_stored_ones(name):
    header = case_specs()[name]
    stored = reference.load(header)
    for chain in reference.CHAINS:
        problem = make_case(name, {}).problem(sampler=chain, steps=reference.STEPS)
        for kind, found in references(problem, header.flow_method).items():
            for target, gradient in found.grads.named():
                if (key := f"{chain}/{kind}/{target}") in stored:
                    assert (stored[key] - gradient).norm() <= reference.STORED * gradient.norm(), key


@pytest.mark.parametrize("name", STORED)
def test_both_ways_agreed_when_they_were_stored(name):
    record = json.loads((case_specs()[name].folder / reference.RECORD).read_text())
    flows = [entry for key, entry in record["references"].items() if key == "ddim/flow"]
    assert [entry["agreement"] < 1e-10 for entry in flows] == [True]
    assert all(entry["second"] != entry["method"] for entry in record["references"].values())


def test_a_stored_reference_that_was_changed_is_refused(tmp_path):
    folder = case_specs()["dirac"].folder
    for name in (reference.FILE, reference.RECORD):
        shutil.copy(folder / name, tmp_path / name)
    twin = replace(case_specs()["dirac"], folder=tmp_path)
    assert reference.load(twin)
    content = bytearray((tmp_path / reference.FILE).read_bytes())
    content[-1] ^= 1
    (tmp_path / reference.FILE).write_bytes(bytes(content))
    with pytest.raises(ValueError, match="sha256"):
        reference.load(twin)
    (tmp_path / reference.FILE).unlink()
    with pytest.raises(ValueError, match="is missing"):
        reference.load(twin)


@pytest.mark.parametrize("name", quick(["gaussian", "dirac"], 1))
def test_every_check_of_a_case_passes(name):
    found = list(reference.checks_of(make_case(name, {})))
    assert len(found) >= 5 and all(check.passed for check in found)


def test_a_wrong_gradient_does_not_pass():
    problem = make_case("gaussian", {}).problem(steps=6)
    exact, grads = problem.to(torch.float64), problem.sampler_gradient()
    grads["condition"] = grads["condition"] * 1.001
    value = lambda: exact.objective(exact.rollout.sample(exact.x_T)).sum().item()  # noqa: E731
    assert second.against_differences(exact, grads, value) > 1e-5


def test_a_digest_does_not_depend_on_rounding():
    problem = make_case("gaussian", {}).problem(steps=6)
    found = references(problem, "closed form")["flow"]
    nudged = {name: g * (1 + 1e-15) for name, g in found.grads.items() if name != "parameters"}
    same = {name: g for name, g in found.grads.items() if name != "parameters"}
    assert type(found)(nudged, "", 0.0).digest == type(found)(same, "", 0.0).digest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixture", "product-mixture", "digits"])
def test_every_check_of_a_larger_case_passes(name):
    assert all(check.passed for check in reference.checks_of(make_case(name, {})))
