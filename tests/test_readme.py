"""The examples of README.md run as they stand. Its numbers: tests/studies/test_pages.py."""

import re
from pathlib import Path

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
