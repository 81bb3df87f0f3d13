"""The command that measures a cell again."""

import shlex

from gradbench import selector
from gradbench.analysis.cells import cells
from gradbench.report.command import command

ROW = {
    "case": "gaussian", "case_params": {"dim": 6}, "sampler": "rk4", "sampler_params": {"chart": "noise"}, "steps": 20,
    "estimator": "adjoint-dpm", "estimator_params": {"rule": "rk4", "shared": None}, "targets": ["x_T", "condition"],
    "seed": 3, "replicate": 0, "dtype": "float64", "device": "cpu",
}  # fmt: skip


def test_every_option_of_the_cell_is_written_out():
    assert command(cells([ROW])[0]) == (
        "gradbench run -c 'gaussian[dim=6]' --sampler 'rk4[chart=noise]' -e 'adjoint-dpm[rule=rk4,shared=none]' "
        "--steps 20 --target x_T --target condition --seeds 3 --dtype float64 --device cpu"
    )


def test_seeds_and_replicates_are_ranges():
    rows = [ROW | {"seed": seed, "replicate": replicate} for seed in (0, 1, 2, 5) for replicate in (0, 1)]
    assert "--seeds 0-2,5 --replicates 2" in command(cells(rows)[0])


def test_a_list_as_a_value_reads_back_as_one_selector():
    words = shlex.split(command(cells([ROW | {"case_params": {"target": [1, 2]}}])[0]))
    assert selector.expand(words[words.index("-c") + 1]) == [("gaussian", {"target": [1, 2]})]


def test_a_name_cannot_leave_its_word_in_the_shell():
    words = shlex.split(command(cells([ROW | {"case": "x; rm -rf /", "case_params": {}}])[0]))
    assert words[words.index("-c") + 1] == "x; rm -rf /"
