"""Stored expected gradients are used if the problem is the very same, and never otherwise."""

import json

import pytest
import torch

import gradbench
from gradbench.bench.building import build_problem
from gradbench.bench.plan import make_plan
from gradbench.bench.suite import Block
from gradbench.measure.bias import columns
from gradbench.models.weights import digest
from gradbench.problems.folders import case_specs
from gradbench.problems.gradients import flatten
from gradbench.references.known import references
from gradbench.references.stored import FILE, PLACES, RECORD, entry_of, identity, stored


def cell_of(case="gaussian[dim=3,batch=2]", sampler="ddim[eta=1]", steps=4, seed=0):
    return make_plan([Block([case], [sampler], ["draft[k=1]"], [steps], seeds=[seed])], 1)[0].cell


def kept(folder, cell):
    """An entry of 60 blocks of four draws of that cell's problem, in `folder`."""
    from safetensors.torch import save_file

    problem = build_problem(cell)
    random = torch.Generator().manual_seed(0)
    blocks = [
        {t: 1 + 0.1 * torch.randn(sum(p.numel() for p in problem.of(t)), generator=random) for t in problem.targets}
        for _ in range(60)
    ]
    tensors, numbers = entry_of(blocks, 4)
    save_file({f"0/{name}": tensor for name, tensor in tensors.items()}, folder / FILE)
    entry = {"problem": identity(folder, cell, problem), "dtype": "float32", **numbers}
    (folder / RECORD).write_text(json.dumps({"sha256": digest(folder / FILE), "entries": {"0": entry}}))
    return problem, blocks


def found(folder, cell, problem=None):
    return stored(folder, cell, problem or build_problem(cell), case_specs()[cell["case"]].params)


def test_the_same_problem_has_its_means_and_their_thirds(tmp_path):
    cell = cell_of()
    problem, blocks = kept(tmp_path, cell)
    reference = found(tmp_path, cell)
    for target in problem.targets:
        mean = torch.stack([block[target].double() for block in blocks]).mean(0)
        assert torch.allclose(flatten(reference.grads[target]), mean, rtol=1e-6)
        for i, place in enumerate(PLACES):
            third = torch.stack([block[target].double() for block in blocks[i::3]]).mean(0)
            assert torch.allclose(flatten(getattr(reference.thirds, place)[target]), third, rtol=1e-6)
    assert [part.shape for part in reference.grads["parameters"]] == [p.shape for p in problem.parameters]
    assert reference.tol == pytest.approx(0.1 / 60**0.5, rel=0.25) and "240 pathwise" in reference.method


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"steps": 5},
        {"sampler": "ddim[eta=0.5]"},
        {"sampler": "ddim[eta=1,grid=uniform-log-snr]"},
        {"case": "gaussian[dim=3,batch=2,t_min=0.01]"},
        {"case": "gaussian[dim=3,batch=2,objective=quadratic]"},
        {"case": "gaussian[dim=3,batch=3]"},
    ],
)
def test_another_problem_has_none(tmp_path, other):
    kept(tmp_path, cell_of())
    assert found(tmp_path, cell_of(**other)) is None


def test_an_option_that_the_entry_is_older_than_is_its_default(tmp_path):
    cell = cell_of()
    kept(tmp_path, cell)
    record = json.loads((tmp_path / RECORD).read_text())
    del record["entries"]["0"]["problem"]["case_params"]["objective"]
    (tmp_path / RECORD).write_text(json.dumps(record))
    assert found(tmp_path, cell) is not None
    assert found(tmp_path, cell_of(case="gaussian[dim=3,batch=2,objective=quadratic]")) is None


def test_a_changed_file_is_refused(tmp_path):
    cell = cell_of()
    kept(tmp_path, cell)
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="recorded is"):
        found(tmp_path, cell)


def test_a_folder_without_a_record_has_none(tmp_path):
    assert found(tmp_path, cell_of()) is None


def test_a_stored_expectation_stands_for_draws(tmp_path):
    cell = cell_of(case="mixture[dim=3,batch=2]")
    problem, _ = kept(tmp_path, cell)
    made = references(problem, None, 64, None, lambda: found(tmp_path, cell, problem))
    assert made["expected"].method.startswith("stored mean of 240")
    assert references(problem, None, 64)["expected"].method.startswith("mean of 64")


def test_that_of_digits_is_of_the_suites_problem(digits):
    folder, cell = digits.spec.folder, cell_of("digits", steps=20)
    reference = found(folder, cell)
    assert set(reference.grads) == {"x_T", "condition", "parameters"} and reference.dtype == "float32"
    assert found(folder, cell_of("digits[guidance=2.0]", steps=20)) is None
    assert found(folder, cell_of("digits", steps=20, seed=1)) is None


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_that_of_digits_is_the_mean_of_draws(digits):
    cell = cell_of("digits", steps=20)
    problem = build_problem(cell)
    reference = found(digits.spec.folder, cell, problem)
    row = columns(gradbench.estimator("draft", k=20, draws=192)(problem), reference)
    for target in problem.targets:
        assert abs(row[f"bias_{target}"]) < 4 * row[f"std_error_{target}"], target
