"""`gradbench show`: every option's values come from the check that refuses wrong ones."""

import json

import pytest

from gradbench.allowed import Allowed, allowed
from gradbench.bench.inventory import takes
from gradbench.checks import UsageError
from gradbench.commands.show import show
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.problems.case import make_case
from gradbench.problems.folders import case_specs
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.selector import parse

NAMES = [*ESTIMATORS, *SAMPLERS, *case_specs()]


def defaults(name):
    return case_specs()[name].params if name in case_specs() else {**ESTIMATORS, **SAMPLERS}[name].defaults


def check(name, given):
    return make_case(name, given) if name in case_specs() else {**ESTIMATORS, **SAMPLERS}[name].options(given)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_says_what_it_takes(name):
    found = takes(name)
    assert list(found) == list(defaults(name)) and all(str(each) for each in found.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_value_that_is_listed_is_taken_and_the_default_is_among_them(name):
    for option, found in takes(name).items():
        for value in found.values:
            check(name, parse(f"x[{option}={value}]")[1])
        spelled = str(defaults(name)[option]).lower()
        assert not found.values or spelled in (*found.values, "none")


@pytest.mark.parametrize(
    ("name", "option", "said"),
    [
        ("adjoint-deis", "order", "1, 2"),
        ("adjoint-dpm", "chart", "noise, data"),
        ("continuous-adjoint", "rtol", "in [1e-16, 1]"),
        ("drtune", "early", "an integer >= 0"),
        ("revolve", "snapshots", "an integer >= 1"),
        ("ddim", "eta", "in [0, 1]"),
        ("rex", "rule", "euler, midpoint, heun, rk4"),
        ("digits", "label", "0 to 9"),
        ("digits", "guidance", "a finite number"),
        ("sd15", "latent", "an integer >= 1, a multiple of 8"),
        ("sd15", "compile", "true, false"),
        ("sd15", "objective", "jpeg-size, colourfulness, target-image, target-latent, style, scorer"),
        ("gaussian", "schedule", "vp-linear, scaled-linear, cosine, ve, trigonometric, rectified"),
    ],
)
def test_names_ranges_and_numbers_are_told(name, option, said):
    assert str(takes(name)[option]) == said


def test_show_prints_a_line_an_option_as_a_selector_spells_it(capsys):
    show.callback("adjoint-deis", as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[4:7] == [
        "  order=1            1, 2",
        "  trajectory=stored  stored, resolved",
        "  steps=none         an integer >= 1",
    ]


def test_show_reads_a_selector(capsys):
    show.callback("ddim[eta=1]", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["options"]["eta"] == 1.0 and found["traits"]["stochastic"] and found["traits"]["reverse_sde"]


def test_a_check_that_lists_nothing_is_told_in_its_words():
    def odd(given):
        if given["n"] != 3:
            raise UsageError(f"n must be 3, got {given['n']!r}")

    assert allowed(odd, "n") == Allowed(words="3") and allowed(lambda given: None, "n") == Allowed()
