"""The plugin in an outside test suite: one test per check, and nothing heavy before one runs."""

import subprocess
import sys

import pytest

from tests.command_line import environment

MINE = (
    "import gradbench\n\n\nclass Mine(gradbench.Differentiable):\n    traits = {'exact': True}\n\n    def sample(self, "
)
RIGHT = MINE + "rollout, x_T, wrt):\n        return rollout.sample(x_T)\n"
WRONG = MINE + "rollout, x_T, wrt):\n        return rollout.sample(1.001 * x_T)\n"
IMPORT = "from gradbench.testing import conformance\n\n"
TEST = IMPORT + "test_conformance = conformance('mine:Mine', checks=['exact', 'unbiased'])\n"


@pytest.fixture
def suite(tmp_path):
    """Runs pytest on one test file beside a module `mine`, the plugin loaded as its entry point loads it."""

    def run(mine, test, *words):
        (tmp_path / "mine.py").write_text(mine)
        (tmp_path / "test_mine.py").write_text(test)
        env = {**environment(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [sys.executable, "-m", "pytest", "-p", "gradbench.testing.plugin", "-p", "no:cacheprovider", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)

    return run


def test_each_check_is_a_test_of_its_own_and_v_lists_what_was_measured(suite):
    done = suite(RIGHT, TEST, "-v", "--strict-markers")
    assert done.returncode == 0, done.stdout
    assert "test_conformance[mine:Mine-exact] PASSED" in done.stdout
    assert "test_conformance[mine:Mine-unbiased] SKIPPED" in done.stdout
    assert "test_mine.py::test_conformance[mine:Mine-exact]: 0.0e+00 from backprop" in done.stdout


def test_a_failure_says_the_property_and_the_number(suite):
    done = suite(WRONG, TEST)
    assert done.returncode == 1 and "1 failed, 1 skipped" in done.stdout
    assert "mine:Mine: declared exact: float64 backprop of the sampler to 1e-10 on every distribution" in done.stdout
    assert "declared exact, but" in done.stdout and "Traceback" not in done.stdout


def test_classes_and_instances_are_taken_as_they_are(suite):
    done = suite(RIGHT, IMPORT + "from mine import Mine\ntest_it = conformance(Mine, Mine(), checks=['exact'])\n", "-v")
    assert done.returncode == 0 and done.stdout.count("PASSED") == 2


def test_the_marker_leaves_conformance_out(suite):
    done = suite(RIGHT, TEST + "\n\ndef test_other(): ...\n", "-m", "not conformance")
    assert "1 passed, 2 deselected" in done.stdout


def test_a_check_that_there_is_not_is_told_when_tests_are_collected(suite):
    done = suite(RIGHT, TEST.replace("'exact'", "'exakt'"))
    assert "unknown check 'exakt'; did you mean 'exact'?" in done.stdout


def test_collecting_imports_neither_torch_nor_the_estimator(suite):
    test = (
        TEST
        + "\n\nimport sys\n\n\ndef test_light():\n    assert not {'torch', 'mine', 'hypothesis'} & set(sys.modules)\n"
    )
    done = suite(RIGHT, test, "-k", "light")
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
