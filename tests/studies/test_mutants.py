"""The mutation study: its mutants are the same every time, and its first stage kills what is plainly wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from studies.mutants.candidates import FILES, candidates, sample

ROOT = Path(__file__).parents[2]
WRONG = {  # a sign in a chart's weight, a factor in a rule, an index in a recovery: before, after
    "gradbench/diffusion/chart.py": (
        "return -self.schedule.sigma(t) / r, self.schedule.alpha(t) / r",
        "return self.schedule.sigma(t) / r, self.schedule.alpha(t) / r",
    ),
    "gradbench/samplers/multistep.py": (
        "return (after - now) / (2 * (now - before))",
        "return (after - now) / ((2 / (now - before)))",
    ),
    "gradbench/estimators/pathwise/recovery.py": (
        "return tuple(s.to(self.last[0].device, non_blocking=True) for s in self.states[k])",
        "return tuple(s.to(self.last[0].device, non_blocking=True) for s in self.states[k + 1])",
    ),
}
RUN = """
import json, sys
from pathlib import Path
from studies.mutants.candidates import Mutant
from studies.mutants.runner import verdicts
from studies.mutants.stages import first_stage
mutants = [Mutant(**given) for given in json.loads(sys.stdin.read())]
found = verdicts(mutants, first_stage, Path.cwd(), 60, 2)
print(json.dumps({mutant.file: verdict for mutant, verdict, _ in found}))
"""


def test_the_sample_is_the_same_every_time_and_of_every_file():
    first = sample(320, 0, ROOT)
    assert first == sample(320, 0, ROOT) != sample(320, 1, ROOT)
    assert len(set(first)) == len(first) >= 320 and {mutant.file for mutant in first} == set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_each_mutant_compiles_and_changes_one_place(file):
    text = (ROOT / file).read_text()
    for mutant in candidates(file, ROOT):
        source = mutant.source(ROOT)
        compile(source, file, "exec")
        assert source != text and source[: mutant.start] == text[: mutant.start]


def test_hints_messages_and_checks_are_left_alone(tmp_path):
    (tmp_path / "a.py").write_text(
        '"""A + b."""\n'
        "def f(k: tuple[1] = 0) -> int:\n"
        "    if k < 0:\n        raise ValueError(f'{k + 1}')\n"
        "    assert k < 9\n"
        "    return k - 1\n"
    )
    found = [(m.operator, m.new) for m in candidates("a.py", tmp_path)]
    assert found == [("number", "1"), ("sign", "(k + 1)"), ("number", "-1"), ("number", "2")]


def test_a_wrong_sign_factor_or_index_is_killed_by_the_first_stage():
    chosen = [m for file in WRONG for m in candidates(file, ROOT) if m.diff(ROOT) == WRONG[file]]
    assert len(chosen) == 3
    run = [sys.executable, "-c", RUN]
    given = json.dumps([vars(mutant) for mutant in chosen])
    result = subprocess.run(run, input=given, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == dict.fromkeys(WRONG, "killed")
