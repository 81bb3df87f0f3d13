"""What other packages offer by entry points: found without being imported, and never in the way."""

import subprocess
import sys

import pytest

from tests.command_line import environment, gradbench

CASE = """
NAME, SUMMARY, CITATION = "{name}", "a case of another package", "theirs"
OBJECTIVES, ARRAYS, TARGETS = ("quadratic",), (), ("x_T",)
PARAMS = {{"batch": 1, "objective": "quadratic"}}
GRID, DTYPE, DTYPES, NOISE = "uniform-t", "float64", ("float64",), "keyed"
REFERENCES, FLOW, REQUIRES, PRELOAD = ("sampler",), None, (), ()
def check(params): ...
def build(params, arrays, seed): ...
"""
MINE = '''
import gradbench
from gradbench.entry import Entry


class Mine(gradbench.Differentiable):
    """Mine, and nobody else's."""

    traits = {"exact": True}

    def sample(self, rollout, x_T, wrt):
        return rollout.sample(x_T)


class Scaled(Mine):
    def __init__(self, factor):
        self.factor = factor


class Halved(gradbench.Rule):
    """Euler, half as far."""

    order, stages = 0, 1

    def step(self, field, state, interval):
        return (interval.add(interval.carry(state[0]), 0.5, field(interval.t0, state[0])),)


def total(x):
    """The sum of the sample."""
    return x.flatten(1).sum(1)


SCALED = Entry("another-name", "mine with an option", "mine:Scaled", "Me, 2026", defaults={"factor": 1.0})
NUMBER = 5
'''


@pytest.fixture
def offers(tmp_path):
    """A package that offers entry points by its metadata, as an installer writes it; and how to run with it."""

    def install(text, name="theirs"):
        metadata = tmp_path / f"{name}-1.2.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\nSummary: theirs in short\n"
        )
        (metadata / "entry_points.txt").write_text(text)
        (tmp_path / "mine.py").write_text(MINE)
        return lambda *words: gradbench(*words, path=tmp_path)

    return install


def test_an_estimator_of_another_package_is_listed_without_being_imported(offers, tmp_path):
    run = offers("[gradbench.estimators]\nmine = mine:Mine\n")
    (tmp_path / "mine.py").write_text("raise SystemExit('imported')")
    done = run("list", "estimators")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.splitlines()[-1].split("  ")[-2:] == ["theirs in short", "[mine:Mine, theirs 1.2]"]


def test_a_class_is_an_entry_by_its_own_docstring_and_traits(offers):
    shown = offers("[gradbench.estimators]\nmine = mine:Mine\n")("show", "mine").stdout
    assert "estimator mine: Mine, and nobody else's." in shown and "traits (default): exact=true\n" in shown


def test_an_entry_brings_its_options(offers):
    run = offers("[gradbench.estimators]\nscaled = mine:SCALED\n")
    assert run("check", "scaled[factor=2]", "-k", "exact").stdout.startswith("scaled[factor=2]: declares exact true")
    wrong = run("check", "scaled[fctor=2]")
    assert wrong.returncode == 2 and "did you mean 'factor'?" in wrong.stderr


def test_it_runs_like_our_own(offers, tmp_path):
    import json

    run = offers("[gradbench.estimators]\nmine = mine:Mine\n")
    (row,) = json.loads(
        run("run", "-c", "gaussian", "-e", "mine", "--steps", 3, "--out", tmp_path / "o", "--json").stdout
    )
    assert row["status"] == "ok" and row["estimator"] == "mine" and row["sampler_error_x_T"] == 0


BOTH = "[gradbench.samplers]\nhalved = mine:Halved\n[gradbench.objectives]\ntotal = mine:total\n"


def test_a_sampler_and_an_objective_of_another_package_run_like_our_own(offers, tmp_path):
    import json

    words = ("-c", "gaussian[objective=total]", "-e", "backprop", "--sampler", "halved[chart=data]", "--steps", 3)
    done = offers(BOTH)("run", *words, "--out", tmp_path / "o", "--json")
    (row,) = json.loads(done.stdout)
    assert (row["status"], row["sampler"], row["case_params"]["objective"]) == ("ok", "halved", "total")
    assert row["sampler_params"] == {"chart": "data", "grid": "uniform-t"} and row["sampler_error_x_T"] == 0


@pytest.mark.parametrize(("kind", "name"), [("sampler", "halved"), ("objective", "total")])
def test_they_are_listed_without_being_imported_and_shown(offers, tmp_path, kind, name):
    run = offers(BOTH)
    assert run("show", name).stdout.startswith(f"{kind} {name}: ")
    (tmp_path / "mine.py").write_text("raise SystemExit('imported')")
    listed = run("list", f"{kind}s").stdout.splitlines()[-1]
    assert listed.split()[0] == name and listed.endswith(", theirs 1.2]")


def test_a_shell_completes_them_and_the_options_of_what_is_named(offers, tmp_path):
    offers(BOTH)
    for words, found in (("--sampler ha", "plain,halved\n"), ("--sampler halved[ch", "plain,halved[chart=\n")):
        told = {"COMP_WORDS": f"gradbench run {words}", "COMP_CWORD": "3", "_GRADBENCH_COMPLETE": "bash_complete"}
        command = [sys.executable, "-m", "gradbench"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(tmp_path) | told)
        assert done.stdout == found, done.stderr


def test_a_name_that_is_taken_is_left_out_with_a_line(offers):
    offers("[gradbench.estimators]\nmine = mine:Mine\n", name="first")
    done = offers("[gradbench.estimators]\ncheckpoint = mine:Mine\nmine = mine:SCALED\n")("list")
    assert done.returncode == 0
    assert sorted(done.stderr.splitlines()) == [
        "gradbench: 'checkpoint' of theirs 1.2 is left out: gradbench has that name",
        "gradbench: 'mine' of theirs 1.2 is left out: first 1.2 has that name",
    ]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nosuchmodule:X", "'theirs' cannot be loaded: No module named 'nosuchmodule'"),
        ("mine:Nothing", "'theirs' cannot be loaded: module 'mine' has no attribute 'Nothing'"),
        ("mine:NUMBER", "'theirs' of theirs 1.2 gives 5; it must give an Entry or a class"),
    ],
)
def test_one_that_cannot_be_loaded_is_one_line_where_it_is_used_and_none_in_the_way_of_others(offers, place, message):
    run = offers(f"[gradbench.estimators]\ntheirs = {place}\n")
    assert run("list").returncode == 0 and run("show", "checkpoint").returncode == 0
    done = run("check", "theirs")
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_a_module_that_is_not_there_is_told_in_the_list(offers):
    done = offers("[gradbench.estimators]\ntheirs = nosuchmodule:X\n")("list")
    assert "cannot be loaded: there is no module 'nosuchmodule' on the path" in done.stdout.splitlines()[-1]


def test_a_name_nearly_right_is_told(offers):
    done = offers("[gradbench.estimators]\nmine-own = mine:Mine\n")("check", "mine-onw")
    assert done.returncode == 2 and "did you mean 'mine-own'?" in done.stderr


def test_cases_of_another_package_are_listed_and_one_whose_name_is_taken_is_left_out(offers, tmp_path):
    run = offers("[gradbench.cases]\ntheirs = theirs.cases\nghost = nosuchmodule\n")
    for name in ("strange", "gaussian"):
        (tmp_path / "theirs" / "cases" / f"a_{name}").mkdir(parents=True)
        (tmp_path / "theirs" / "cases" / f"a_{name}" / "case.py").write_text(CASE.format(name=name))
    (tmp_path / "theirs" / "__init__.py").write_text("raise SystemExit('imported')")
    done = run("list", "cases")
    assert done.returncode == 0 and "strange" in done.stdout and done.stdout.count("gaussian ") == 1
    assert done.stderr.count("\n") == 1 and "'theirs' of theirs 1.2 is left out: case" in done.stderr
    planned = run("run", "-c", "strange", "-e", "backprop", "--sampler", "ddim", "--steps", 2, "--dry-run")
    assert "1 cells: 1 to run" in planned.stdout, planned.stderr


def test_listing_with_an_estimator_of_another_package_imports_no_torch(offers, tmp_path):
    offers("[gradbench.estimators]\nmine = mine:Mine\n")
    code = (
        "import sys; sys.argv = ['gradbench', 'list']\nfrom gradbench.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules and 'mine' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment(tmp_path))
