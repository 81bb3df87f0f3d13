"""What a user sees in the terminal: progress, the table, and words that a shell completes."""

import json
import os
import re
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from gradbench.analysis.cells import table
from gradbench.bench.progress import Doing, Progress, rate, span
from gradbench.cli import cli
from gradbench.commands.status import status
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.report.static.catalogue import FIGURES
from gradbench.report.terminal import LINES_SHOWN, WIDTH, best, show_table
from tests.bench.helpers import ROOT
from tests.rows import MIB, failed, row

PUBLISHED = ROOT / "results" / "published"
COSTS = {"time_s": 0.01, "nfe": (20, 0, 20), "peak_bytes": MIB}


def run(clock_times, total):
    times = iter(clock_times)
    with Progress(total, 0, clock=lambda: next(times)) as progress:
        for _ in clock_times[2:]:
            progress.row(row())


def test_a_plain_line_says_how_many_how_fast_and_how_long_still(capsys):
    run([0.0, 0.0, 10.0, 40.0], total=10)
    assert capsys.readouterr().err.splitlines()[0] == "2 of 10 cells, 3.0 cells/min, 2 min 40 s left"


def test_plain_lines_are_thirty_seconds_apart(capsys):
    run([0.0, 0.0, *(float(s) for s in range(1, 91))], total=1000)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["30", "60", "90", "90"]


def test_what_is_not_a_terminal_gets_no_control_characters(capsys):
    run([0.0, 0.0, 1.0], total=1)
    assert capsys.readouterr().err == "1 of 1 cells: 1 ok\n"


def test_many_problems_end_in_the_answer_and_not_in_their_tables(capsys):
    show_table([row("backprop", n, 1 / n, **COSTS) for n in range(1, LINES_SHOWN + 2)])
    said = capsys.readouterr().out
    assert said.startswith(f"All {LINES_SHOWN + 1} measurements succeeded.\n\nAccuracy: ")
    assert f"The tables of {LINES_SHOWN + 1} problems are in the report" in said
    assert len(said.splitlines()) < 20 and max(map(len, said.splitlines())) <= WIDTH


def test_a_few_problems_end_in_their_tables(capsys):
    show_table([row("backprop", n, 1 / n, **COSTS) for n in range(1, 5)])
    assert capsys.readouterr().out.startswith("gaussian  ddim  1 steps  float64\nestimator")


def published():
    return sorted(folder.name for folder in PUBLISHED.iterdir() if (folder / "rows.parquet").is_file())


@pytest.mark.parametrize("name", published())
def test_published_rows_fit_a_screen_as_an_answer_or_as_one_table(name, capsys):
    from gradbench.analysis.courses import is_task
    from gradbench.bench.load import load_rows

    rows = load_rows(PUBLISHED / name)
    show_table(rows)
    said = capsys.readouterr().out
    assert len(said.splitlines()) < 40
    if all(is_task(row) for row in rows):
        assert said.endswith("are in the report.\n") and " courses: objective " in said
    elif len({row["case"] for row in rows}) > 1:
        assert " measurements" in said and "\nAccuracy: " in said
    else:
        assert said.startswith(f"{rows[0]['case']}  ") and "\ncheckpoint " in said


@pytest.mark.parametrize("name", published())
def test_status_tells_of_published_rows_in_a_few_lines(name, capsys):
    before = sorted((PUBLISHED / name).iterdir())
    status.callback(PUBLISHED / name, as_json=False)
    said = capsys.readouterr().out.splitlines()
    assert " done, 0 failed, 0 missing" in said[0] and said[-1].startswith("to see the report: ") and len(said) < 10
    assert sorted((PUBLISHED / name).iterdir()) == before


def test_a_long_verb_says_now_and_then_what_it_is_at_on_stderr_alone(capsys):
    with Doing("check", 3, every=0.05) as doing:
        doing.at("checkpoint: exact")
        doing.at("checkpoint: order")
        time.sleep(0.3)
    said = capsys.readouterr()
    assert said.out == "" and said.err.splitlines()[0] == "check: 2 of 3, checkpoint: order, after 0 s"


def test_a_short_one_says_nothing(capsys):
    with Doing("check", 3) as doing:
        doing.at("checkpoint: exact")
    assert capsys.readouterr() == ("", "")


def on_a_terminal(command):
    """What a command writes to a terminal on stderr, and to a pipe on stdout."""
    import pty

    master, slave = pty.openpty()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=slave, text=True)
    os.close(slave)
    said = os.read(master, 1 << 20).decode()
    os.close(master)
    return done.stdout, said


def test_on_a_terminal_the_live_line_leaves_what_is_piped_alone():
    out, live = on_a_terminal([sys.executable, "-m", "gradbench", "check", "checkpoint", "-k", "counts", "--json"])
    assert json.loads(out)[0]["status"] == "ok" and "check: 1 of 1, checkpoint: counts" in live
    out, live = on_a_terminal([sys.executable, "-m", "gradbench", "check", "checkpoint", "-k", "counts"])
    assert out.endswith("1 ok, 0 failed, 0 skipped\n") and "\x1b" not in out and "\x1b" in live


def test_a_bare_run_says_which_suite_it_is_how_long_it_takes_and_where_to(tmp_path, monkeypatch, capsys):
    from gradbench.bench import runner
    from gradbench.bench.suite import load_suite

    def stopped(*given):
        raise runner.Interrupted

    monkeypatch.setattr(runner, "execute", stopped)
    cli.main(["run", "--out", str(tmp_path / "o")], standalone_mode=False)
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first == f"no cells selected, so this runs the suite smoke: {load_suite('smoke').summary}"
    assert "under 90 seconds on two cores" in first
    assert re.fullmatch(rf"\d+ cells, \d+ of them to be measured now, into {tmp_path}/o", second)


@pytest.mark.parametrize(("done", "seconds", "text"), [(10, 2, "5.0 cells/s"), (1, 30, "2.0 cells/min")])
def test_slow_rates_are_by_the_minute(done, seconds, text):
    assert rate(done, seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(7, "7 s"), (60, "1 min"), (130, "2 min 10 s"), (3900, "1 h 5 min")])
def test_a_duration_has_at_most_two_parts(seconds, text):
    assert span(seconds) == text


def line(estimator, flow=None, **columns):
    return row(estimator, flow=flow, **{**COSTS, **columns})


def test_the_best_error_time_and_memory_are_marked():
    rough, fine = line("a", 0.2, time_s=0.01), line("b", 0.1, time_s=0.02, peak_bytes=MIB / 2)
    assert best(table([rough, fine])) == {(0, "time_s"), (1, "x_T"), (1, "peak_bytes")}


def test_errors_compete_only_against_the_same_reference():
    flow = [line(name, e) for name, e in (("a", 0.2), ("b", 0.1))]
    drawn = [line(name, expected=e) for name, e in (("c", 0.02), ("d", 0.03))]
    marks = best(table([*flow, *drawn, line("e", own=1e-9)]))
    assert {index for index, column in marks if column == "x_T"} == {1, 2}


def test_errors_below_the_floor_are_equally_good():
    found = [line(n, e, flow_tol=1e-12) for n, e in (("a", 0.0), ("b", 1e-13), ("c", 1e-3))]
    assert {index for index, column in best(table(found)) if column == "x_T"} == {0, 1}


def test_the_table_is_at_most_a_hundred_columns_wide_and_plain(capsys):
    name, options = "continuous-adjoint", {"chart": "log-snr", "rule": "dopri5", "trajectory": "resolved", "steps": 7}
    errors = {f"flow_error_{t}": 1.234e-5 for t in ("x_T", "condition", "parameters")} | {"flow_tol": 1e-12}
    given = [line(name, options=options, nfe=(20, 12345, 20), **errors)]
    given += [line(name, options=dict.fromkeys(options, "other"), nfe=(20, 12345, 20), **errors, time_s=1234.5)]
    show_table([*given, failed("reversible", status="skip", reason="no inverse step")])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= WIDTH and "\x1b" not in shown
    assert "*10.0" in shown and "reversible: skip: no inverse step" in shown


def complete(*words, shell="bash"):
    """What the shell would offer for the last word."""
    env = {
        "COMP_WORDS": " ".join(("gradbench", *words)),
        "COMP_CWORD": str(len(words)),
        "_GRADBENCH_COMPLETE": f"{shell}_complete",
    }
    found = CliRunner().invoke(cli, prog_name="gradbench", env=env, args=[])
    return [line.split(",")[1] for line in found.output.splitlines()]


def test_the_shell_completes_names_out_of_the_catalogues():
    assert complete("run", "-e", "adjoint-") == [name for name in ESTIMATORS if name.startswith("adjoint-")]
    assert complete("run", "--sampler", "dpm++2") == ["dpm++2m", "dpm++2s"]
    assert complete("run", "-c", "gau") == ["gaussian"]
    assert complete("run", "--suite", "smo") == ["smoke"]
    assert complete("show", "revol") == ["revolve"]
    assert complete("figures", "--only", "") == list(FIGURES)
    assert complete("completion", "") == ["bash", "zsh", "fish"]


@pytest.mark.parametrize("words", ["run -e adj", "run -c g", "run --sampler d", "figures --only me", "list c"])
def test_completion_imports_neither_torch_nor_matplotlib(words):
    code = (
        "import os, sys\n"
        f"words = {('gradbench ' + words).split()!r}\n"
        "os.environ |= {'COMP_WORDS': ' '.join(words), 'COMP_CWORD': str(len(words) - 1)}\n"
        "os.environ['_GRADBENCH_COMPLETE'] = 'bash_complete'\n"
        "from gradbench.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'torch', 'matplotlib', 'pandas'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout


@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --no-files")]
)
def test_a_script_is_printed_for_each_shell(shell, mark):
    found = CliRunner().invoke(cli, ["completion", shell])
    assert mark in found.output and "_GRADBENCH_COMPLETE" in found.output


def test_bash_reads_the_script_and_completes():
    script = CliRunner().invoke(cli, ["completion", "bash"]).output
    asked = (
        f"{script}\ngradbench() {{ {sys.executable} -m gradbench; }}\n"
        "COMP_WORDS=(gradbench run -e reinf) COMP_CWORD=3\n_gradbench_completion gradbench\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    asked = asked.replace("env COMP_WORDS=", "COMP_WORDS=")  # `env` cannot call the function that stands for gradbench
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
    assert done.stdout.split() == ["reinforce"], done.stderr
