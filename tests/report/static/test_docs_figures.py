"""The pictures of docs/guide are those of the published rows: their numbers come out again."""

import re
from pathlib import Path

import pytest

from gradbench.bench.load import load_rows
from gradbench.report.static.catalogue import KINDS
from gradbench.report.static.write import write_figures

ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "docs" / "guide" / "images"
PAGE = (ROOT / "docs" / "guide" / "figures.md").read_text()


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """The tables of `make figures`, drawn again."""
    out = tmp_path_factory.mktemp("figures")
    rows = load_rows(ROOT / re.search(r"PUBLISHED := (\S+)", (ROOT / "Makefile").read_text())[1])
    for case in (None, "gaussian", "digits"):
        chosen = [row for row in rows if case in (None, row["case"])]
        names = [name for name, kind in KINDS.items() if (kind.pooled is None) == (case is None)]
        list(write_figures(chosen, out, (), names))
    return out


@pytest.mark.parametrize("table", sorted(IMAGES.glob("*.csv")), ids=lambda path: path.stem)
def test_the_numbers_of_a_picture_come_out_again(table, again):
    assert table.read_text() == (again / table.name).read_text()
    assert table.with_suffix(".svg").exists()


def test_every_picture_is_shown_and_every_figure_is_explained():
    assert set(re.findall(r"images/([\w-]+)\.svg", PAGE)) == {path.stem for path in IMAGES.glob("*.svg")}
    assert all(re.search(rf"^## .*\b{name}\b", PAGE, re.M) for name in KINDS)
