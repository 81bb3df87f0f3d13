"""A comparison as text, Markdown and JSON."""

import json
import math

import pytest

from gradbench.compare.compare import compare
from gradbench.compare.text import FORMATS, headline, to_json, to_markdown, to_text
from tests.runs import baseline, timed, with_value

ROWS = baseline("gaussian", "ddim", steps=20)
BASE = timed(ROWS, 1)
NAMES = ("results/baselines/ci.jsonl", "runs/a-folder-with-a-rather-long-name-as-people-have-them/of-a-run")


@pytest.fixture(scope="module")
def found():
    """One cell slower, one larger, one with another gradient, one failing, one missing, one new."""
    new = timed(ROWS[1:], 2, slower=1.3)
    new = with_value(new, 1, peak_bytes=10**6)
    new = with_value(new, 2, status="error", reason="ValueError: a | in a " + "long " * 40)
    new = with_value(new, 3, flow_error_x_T=math.inf, grad_norm_x_T=77.0)
    return compare(BASE[:-5], new)


def test_text_fits_100_columns(found):
    assert max(map(len, to_text(found, NAMES).splitlines())) <= 100


def test_text_says_what_changed_and_what_would_have_been_seen(found):
    text = " ".join(to_text(found, NAMES).split())
    assert "+ time_s" in text and "x1.3" in text and "p = " in text
    assert "-> 1,000,000" in text and "! status ok -> error" in text and "only in NEW: 1 cell" in text
    assert "is found 4 times in 5 in the median cell" in text
    assert text.endswith("regression: 1 cell newly failing, 3 cells worse")


def test_text_is_short_however_much_changed():
    everything = [{**row, "vjps": 999, "nfe_forward": 999, "peak_bytes": 1 << 40} for row in BASE]
    text = to_text(compare(BASE, everything), NAMES)
    assert len(text.splitlines()) < 150 and "more cells, see --json" in text


def test_cells_of_one_name_are_told_apart():
    twins = [{**ROWS[0], "seed": seed, "cell_id": str(seed)} for seed in (0, 1)]
    text = to_text(compare(twins, with_value(twins, 1, vjps=999)), NAMES)
    assert "seed 1" in text and "seed 0" not in text


def test_markdown_is_a_table_with_a_line_a_cell(found):
    lines = to_markdown(found, NAMES).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert lines[0] == "### gradbench: regression: 1 cell newly failing, 3 cells worse"
    assert len(table) == 2 + 4 and all(line.replace("\\|", "").count("|") == 3 for line in table)


def test_json_is_strict_and_has_every_finding_with_the_command_to_measure_it_again(found):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    content = json.loads(to_json(found, NAMES), parse_constant=refuse)
    assert content["exit_code"] == 1 and len(content["findings"]) == len(found.marked("!", "+", "~", "-", "*"))
    time = next(finding for finding in content["findings"] if finding["metric"] == "time")
    assert (time["mark"], time["meaning"]) == ("+", "worse") and time["command"].startswith("gradbench run -c ")
    assert set(content["minimum_detectable_change"]) == set(found.detectable)


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_in_common_is_told(form):
    told = FORMATS[form](compare(ROWS[:1], ROWS[1:2]), NAMES)
    assert "nothing comparable" in told


def test_nothing_changed_is_told():
    assert headline(compare(ROWS, ROWS)) == "no regression: no cell changed"
