"""Suite files: every wrong value is refused with its file and block."""

import pytest

from gradbench.bench.suite import load_suite
from gradbench.checks import UsageError
from gradbench.problems.folders import add_folder, package_of_cases


@pytest.fixture
def loads(tmp_path):
    """A function from the text of a suite file to the suite."""

    def load(text):
        (tmp_path / "suites").mkdir(exist_ok=True)
        (tmp_path / "suites" / "mine.yaml").write_text(text)
        add_folder(tmp_path)
        return load_suite("mine")

    yield load
    package_of_cases().__path__.remove(str(tmp_path.resolve()))


def block(**fields):
    return {"cases": ["gaussian"], "samplers": ["ddim"], "estimators": ["backprop"], **fields}


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"cases": [3]}, "a case in block 2 of suite .*mine.yaml must be a selector .*, got 3"),
        ({"targets": [7]}, "unknown target in block 2 of suite .*mine.yaml 7; allowed: x_T"),
        ({"steps": ["x"]}, "steps in block 2 of suite .*mine.yaml must be an integer >= 1, got 'x'"),
        ({"steps": [True]}, "steps in block 2 of .* got True"),
        ({"seeds": [-1]}, "a seed in block 2 of suite .*mine.yaml must be an integer >= 0, got -1"),
        ({"passes": [[1]]}, r"unknown pass in block 2 of suite .*mine.yaml \[1\]; allowed: error"),
        ({"seconds": -3}, "seconds in block 2 of suite .*mine.yaml must be > 0, got -3"),
        ({"seconds": True}, "seconds in block 2 of suite .*mine.yaml must be a finite number, got True"),
        ({"dtype": "double"}, "unknown dtype in block 2 of suite .*mine.yaml 'double'"),
        ({"device": "tpu"}, "unknown device in block 2 of suite .*mine.yaml 'tpu'"),
    ],
)
def test_a_wrong_value_is_refused_with_its_file_and_block(loads, field, message):
    with pytest.raises(UsageError, match=message):
        loads(f"blocks: {[block(), block(**field)]}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("replicates: true", "replicates of suite .*mine.yaml must be an integer >= 1, got True"),
        ("replicates: 0", "replicates of suite .*mine.yaml must be an integer >= 1, got 0"),
        ("expects: [nosuch]", "unknown status in expects of suite .*mine.yaml 'nosuch'; allowed: timeout"),
        ("expects: [[1]]", r"unknown status in expects of suite .*mine.yaml \[1\]"),
    ],
)
def test_a_wrong_value_beside_the_blocks_is_refused_with_its_file(loads, line, message):
    with pytest.raises(UsageError, match=message):
        loads(f"{line}\nblocks: {[block()]}")


def test_a_status_that_a_suite_expects_is_kept(loads):
    assert loads(f"expects: [oom]\nblocks: {[block()]}").expects == ["oom"]
