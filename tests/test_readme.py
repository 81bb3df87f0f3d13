"""The examples of README.md run as they stand, and its table holds published rows."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("source", EXAMPLES, ids=["case", "sample", "pipeline"])
def test_an_example_runs_as_it_stands(source, capsys):
    exec(compile(source, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_what_the_first_example_prints_is_the_measured_error(capsys):
    exec(compile(EXAMPLES[0], "README.md", "exec"), {})
    assert capsys.readouterr().out == "error 0.37 for 20 + 20 network evaluations\n"


def test_every_number_of_the_table_is_a_published_one():
    source = re.search(r"results/published/\S+?/rows.parquet", README)
    frame = pd.read_parquet(ROOT / source[0])
    lines = [line.strip("| ").split(" | ") for line in README.splitlines() if line.startswith("| `")]
    assert len(lines) >= 6
    for name, nfe, x_T, condition, parameters, digits, memory in lines:
        estimator, _, params = name.strip("`").partition("[")
        mine = frame[frame["estimator"] == estimator]
        for option in filter(None, params.removesuffix("]").split(",")):
            key, value = option.split("=")
            mine = mine[mine["estimator_params"].str.contains(f'"{key}": "{value}"', regex=False)]
        analytic = mine[
            (mine["case"] == "gaussian")
            & (mine["sampler"] == "ddim")
            & mine["sampler_params"].str.contains("uniform-t", regex=False)
            & mine["case_params"].str.contains('"scaled-linear"', regex=False)
            & mine["case_params"].str.contains('"dim": 6', regex=False)
            & (mine["steps"] == 20)
        ].iloc[0]
        for shown, target in ((x_T, "x_T"), (condition, "condition"), (parameters, "parameters")):
            assert shown == f"{analytic[f'flow_error_{target}']:.3f}", (name, target)
        assert nfe == f"{analytic['nfe_forward']} + {analytic['nfe_backward']}"
        trained = mine[
            (mine["case"] == "digits")
            & (mine["steps"] == 20)
            & mine["case_params"].str.contains('"guidance": 1.0', regex=False)
            & mine["case_params"].str.contains('"objective": "class"', regex=False)
        ].iloc[0]
        assert (
            digits == f"{trained['sampler_error_parameters']:.1e}" and memory == f"{trained['peak_bytes'] / 2**20:.1f}"
        )
