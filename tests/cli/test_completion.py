"""What a shell offers, through click's own completion classes: names, options, values, and every option of a verb."""

import subprocess
import sys

import click
import pytest
from click.shell_completion import get_completion_class
from click.testing import CliRunner

from gradbench.cli import cli
from gradbench.commands.completion import SHELLS
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.problems.folders import case_specs
from gradbench.samplers.catalogue import SAMPLERS

FREE = {"steps", "seeds", "replicates", "jobs", "threads", "max_error", "factor", "revisions"}  # numbers, and revisions


def offered(*words, shell="bash", env=None):
    """The values that a shell is offered for the last word."""
    words = ("gradbench", *words)
    told = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    if shell == "fish":
        told["COMP_CWORD"] = words[-1]
    found = CliRunner().invoke(cli, prog_name="gradbench", env=told | {"_GRADBENCH_COMPLETE": f"{shell}_complete"})
    lines = [line for line in found.output.splitlines() if line]
    if shell == "zsh":
        return lines[1::3]
    return [line.split(",", 1)[1].partition("\t")[0] for line in lines]


INSIDE = [
    ("run -e adjoint-deis[or", ["der="]),
    ("run -e adjoint-deis[", ["order=", "trajectory=", "steps="]),
    ("run -e adjoint-deis[order=", ["1", "2"]),
    ("run -e adjoint-deis[order=1", ["]", ","]),
    ("run -e adjoint-deis[order=1,", ["trajectory=", "steps="]),
    ("run -e adjoint-deis[order=1,tr", ["ajectory="]),
    ("run -e adjoint-deis[order=[1,", ["1", "2"]),
    ("run -e adjoint-deis[order=[1,2],st", ["eps="]),
    ("run -e adjoint-deis[steps=5", ["]", ","]),
    ("run --sampler rk4[chart=no", ["ise"]),
    ("run --sampler ddim[grid=lea", ["ding"]),
    ("run -c digits[label=", list("0123456789")),
    ("run -c gaussian[sch", ["edule="]),
    ("run -c gaussian[schedule=vp", ["-linear"]),
    ("run -c sd15[objective=jp", ["eg-size"]),
    ("show adjoint-dpm[rule=eu", ["ler"]),
    ("check revolve[sn", ["apshots="]),
    ("figures -e adjoint-dpm[ru", ["le="]),
    ("predict -c sd-tiny[comp", ["ile="]),
    ("advise -e adjoint-deis[or", ["der="]),
    ("run -e adjoint-deis[order=1]", []),
    ("run -e nosuch[", []),
    ("run -e adjoint-deis[nosuch=", []),
]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("line", "rests"), INSIDE, ids=[line for line, _ in INSIDE])
def test_options_and_values_are_offered_inside_brackets(shell, line, rests):
    *words, last = line.split()
    assert offered(*words, last, shell=shell) == [last + rest for rest in rests]


WORDS = [
    ("run --suite sm", ["smoke"]),
    ("run --target ", ["x_T", "condition", "parameters"]),
    ("run --dtype fl", ["float64", "float32", "float16"]),
    ("run --device ", ["cpu", "cuda"]),
    ("run --rerun ", ["missing", "failed", "all"]),
    ("run --engine ", ["local", "inline"]),
    ("run -e al", ["alignprop", "all"]),
    ("compare --metric t", ["time"]),
    ("compare --format m", ["markdown"]),
    ("figures --only memory", ["memory", "memory-parts"]),
    ("figures --format pdf,", ["pdf,svg", "pdf,png"]),
    ("figures --reference ", ["flow", "sampler", "expected"]),
    ("check -k ex", ["exact"]),
    ("list ob", ["objectives"]),
    ("show sty", ["stylise", "style"]),
    ("advise --memory 2", ["24GB"]),
    ("reference dir", ["dirac"]),
]


@pytest.mark.parametrize(("line", "found"), WORDS, ids=[line for line, _ in WORDS])
def test_words_of_an_option_are_offered(line, found):
    assert offered(*line.split(" ")) == found


VERBS = [(verb, option) for verb, command in cli.commands.items() for option in command.params]


@pytest.mark.parametrize(("verb", "option"), VERBS, ids=[f"{verb} {option.name}" for verb, option in VERBS])
def test_every_option_that_is_no_number_has_something_to_offer(verb, option):
    if isinstance(option, click.Option) and (option.is_flag or option.name in FREE):
        return
    words = [verb, option.opts[-1], ""] if isinstance(option, click.Option) else [verb, ""]
    lines = CliRunner().invoke(
        cli,
        prog_name="gradbench",
        env={
            "COMP_WORDS": " ".join(["gradbench", *words]),
            "COMP_CWORD": str(len(words)),
            "_GRADBENCH_COMPLETE": "bash_complete",
        },
    )
    assert lines.output.strip()


@pytest.mark.parametrize("name", [*ESTIMATORS, *SAMPLERS, *case_specs()])
def test_every_option_of_every_entry_is_offered(name):
    flag = "-e" if name in ESTIMATORS else "--sampler" if name in SAMPLERS else "-c"
    known = case_specs()[name].params if flag == "-c" else {**ESTIMATORS, **SAMPLERS}[name].defaults
    assert offered("run", flag, f"{name}[") == [f"{name}[{option}=" for option in known]


def typed(line):
    """What bash puts in place of its last word, as it splits the line itself."""
    script = CliRunner().invoke(cli, ["completion", "bash"]).output.replace("env COMP_WORDS=", "COMP_WORDS=")
    broken = line.replace("=", " = ").split(" ")
    broken = [word for word in broken[:-1] if word] + [broken[-1] or ("=" if line.endswith("=") else "")]
    broken = broken[:-1] if line.endswith("=") and broken[-2:] == ["=", "="] else broken
    asked = (
        f"{script}\ngradbench() {{ {sys.executable} -m gradbench; }}\n"
        f"COMP_LINE='{line}' COMP_POINT={len(line)}\n"
        f"COMP_WORDS=({' '.join(repr(word) for word in broken)}) COMP_CWORD={len(broken) - 1}\n"
        '_gradbench_completion gradbench\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("gradbench run -e adjoint-deis[or", ["adjoint-deis[order="]),
        ("gradbench run -e adjoint-deis[order=", ["1", "2"]),
        ("gradbench run -e adjoint-deis[order=1,trajectory=st", ["stored"]),
        ("gradbench run -c gaussian[schedule=vp", ["vp-linear"]),
        ("gradbench run --suite sm", ["smoke"]),
    ],
)
def test_bash_replaces_no_more_than_its_own_part_of_a_word(line, found):
    assert typed(line) == found


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_keeps_words_with_commas_whole(shell):
    script = CliRunner().invoke(cli, ["completion", shell]).output
    assert get_completion_class(shell) is not None
    assert {"fish": 'string split -m 1 ","', "bash": "IFS=',' read type value", "zsh": "${(@f)"}[shell] in script


def test_the_words_that_are_offered_are_those_of_the_code():
    from gradbench.bench.engines import ENGINES
    from gradbench.bench.inventory import LISTED
    from gradbench.bench.runner import RERUNS
    from gradbench.compare.finding import METRICS
    from gradbench.compare.text import FORMATS
    from gradbench.measure.cards import CARDS
    from gradbench.problems.spec import REFERENCES, TARGETS
    from gradbench.report.static.catalogue import FORMATS as FILES

    for line, allowed in (
        ("compare --metric ", METRICS),
        ("compare --format ", FORMATS),
        ("list ", LISTED),
        ("run --engine ", ENGINES),
        ("run --rerun ", RERUNS),
        ("run --target ", TARGETS),
        ("figures --reference ", REFERENCES),
        ("figures --format ", FILES),
        ("advise --memory ", [f"{card}GB" for card in CARDS]),
    ):
        assert offered(*line.split(" ")) == list(allowed), line
