"""The pictures in docs/guide match the published rows: their numbers are reproduced."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradbench.report.static.catalogue import FIGURES

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
IMAGES = ROOT / "docs" / "guide" / "images"
PAGE = (ROOT / "docs" / "guide" / "figures.md").read_text()


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """What `make figures` draws, drawn again."""
    out = tmp_path_factory.mktemp("figures")
    told = ["make", "--no-print-directory", "-n", "-o", "install", "figures", f"FIGURES={out}", f"BIN={BIN}"]
    recipe = subprocess.run(told, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    subprocess.run(["sh", "-e"], input=recipe, cwd=ROOT, capture_output=True, text=True, check=True)
    return out


@pytest.mark.parametrize("table", sorted(IMAGES.glob("*.csv")), ids=lambda path: path.stem)
def test_the_numbers_of_a_picture_come_out_again(table, again):
    assert table.read_text() == (again / table.name).read_text()
    assert table.with_suffix(".svg").exists()


def test_every_picture_is_shown_and_every_figure_is_explained():
    assert set(re.findall(r"images/([\w-]+)\.svg", PAGE)) == {path.stem for path in IMAGES.glob("*.svg")}
    assert all(re.search(rf"^## .*\b{name}\b", PAGE, re.M) for name in FIGURES)
