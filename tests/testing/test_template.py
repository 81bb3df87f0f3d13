"""The template package: found by its entry point, it conforms, and its ten lines of tests pass.

It is installed as metadata alone, which its pyproject.toml is turned into: what pip would write, without pip.
"""

import json
import os
import subprocess
import sys
import tomllib

import pytest

from tests.bench.helpers import ROOT
from tests.command_line import environment, gradbench

TEMPLATE = ROOT / "examples" / "template"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder to look for modules in: the template's metadata, and a link to its module."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())["project"]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    about = {"Metadata-Version": "2.1", "Name": "name", "Version": "version", "Summary": "description"}
    (metadata / "METADATA").write_text("".join(f"{key}: {project.get(field, field)}\n" for key, field in about.items()))
    groups = project["entry-points"].items()
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in points.items()) for group, points in groups
    ]
    (metadata / "entry_points.txt").write_text("".join(lines))
    os.symlink(TEMPLATE / "gradbench_template.py", folder / "gradbench_template.py")
    return folder


def test_it_is_listed(installed):
    listed = json.loads(gradbench("list", "estimators", "--json", path=installed).stdout)
    assert listed[-1]["name"] == "torch-checkpoint" and listed[-1]["source"].endswith("gradbench-template 0.1.0")


def test_it_conforms(installed):
    done = gradbench("check", "torch-checkpoint", "--json", path=installed)
    verdicts = {verdict["check"]: verdict["status"] for verdict in json.loads(done.stdout)}
    assert done.returncode == 0
    assert {name for name, status in verdicts.items() if status != "ok"} == {"order", "unbiased", "refused"}


@pytest.mark.slow
def test_its_own_tests_pass(installed):
    words = ["-q", "-p", "no:cacheprovider", "-p", "gradbench.testing.plugin", "-c", os.devnull, str(TEMPLATE)]
    env = {
        **environment(installed),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(installed),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], capture_output=True, text=True, cwd=installed, env=env
    )
    assert done.returncode == 0 and "13 passed, 3 skipped" in done.stdout, done.stdout


def test_it_is_as_short_as_it_says():
    lines = [len(file.read_text().splitlines()) for file in TEMPLATE.iterdir() if file.is_file()]
    assert sum(lines) <= 50
