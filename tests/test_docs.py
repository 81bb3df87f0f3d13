"""The reference is made from the code: every public name, every catalogue line and every verb has its place."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import gradbench
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.samplers.catalogue import SAMPLERS
from tests.command_line import environment

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def pages():
    pytest.importorskip("mkdocs")
    sys.path.insert(0, str(DOCS / "made"))
    try:
        import hooks

        return hooks.pages()
    finally:
        sys.path.remove(str(DOCS / "made"))
        for name in ("hooks", "facts", "rooms", "words"):
            sys.modules.pop(name, None)


def test_every_public_name_is_in_the_reference():
    named = re.findall(r"^::: gradbench\.(\w+)$", (DOCS / "reference" / "api.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(set(gradbench.__all__) - {"__version__"})


def test_every_estimator_has_a_page_with_source_and_options(pages):
    for entry in ESTIMATORS.values():
        page = pages[f"estimators/{entry.name}.md"]
        assert entry.citation in page and all(f"| `{option}` |" in page for option in entry.defaults)


def test_every_sampler_has_a_section_with_its_source(pages):
    for entry in SAMPLERS.values():
        assert f"\n## `{entry.name}` " in pages["samplers.md"] and entry.citation in pages["samplers.md"]


@pytest.mark.parametrize(
    "name, line",
    [
        ("adjoint-dpm", "| `chart` | `noise` | `noise`, `data` |"),
        ("adjoint-dpm", "- `trajectory=stored`: `memory` linear."),
        ("checkpoint", "| `exact` | true | the gradient of the sampler that is run, to rounding |"),
        ("rlr", "| every sampler, in 2 steps | h must be <= 0, the sampler's 2 steps minus two, got 3 |"),
        ("alignprop", "**Reweighted**, with `law=unbiased`. AlignProp's cut, made unbiased"),
        (
            "adjoint-deis",
            "| `flow-sde`, `dance-sde`, `cps`, `precise`, `churn`, `lcm`, `tcd` | this chain converges to another",
        ),
    ],
)
def test_a_page_says_what_the_code_says(pages, name, line):
    assert line in pages[f"estimators/{name}.md"]


def test_how_to_cite_says_what_the_citation_file_says():
    page, file = (DOCS / "cite.md").read_text(), (DOCS.parent / "CITATION.cff").read_text()
    for field, line in (("title", "title"), ("version", "version"), ("date-released", "date"), ("license", "license")):
        value = re.search(rf'^{field}: "?(.*?)"?$', file, re.MULTILINE)[1]
        assert re.search(rf"^  {line} += {{{re.escape(value)}}},$", page, re.MULTILINE), field
    assert f"version = {{{gradbench.__version__}}}" in page


def test_the_drawing_is_what_its_program_draws(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "made")
    import drawing

    assert drawing.PLACE.read_text() == drawing.drawing()


def test_the_documentation_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, env=environment(DOCS.parent))
    assert done.returncode == 0, done.stderr
    assert all((tmp_path / "site" / "estimators" / name / "index.html").is_file() for name in ESTIMATORS)
