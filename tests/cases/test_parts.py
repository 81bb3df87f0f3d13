"""What a case's `build` may return."""

from dataclasses import replace

import pytest

from gradbench.checks import UsageError
from gradbench.problems.case import Case, make_case
from gradbench.problems.spec import Parts

CASE = make_case("gaussian", {})


def problem(**changes):
    """A problem whose parts are a mapping, with some of them changed; None leaves one out."""

    def build(params, arrays, seed):
        made = {**vars(CASE.spec.build(params, arrays, seed)), **changes}
        return {name: part for name, part in made.items() if part is not None}

    return Case(replace(CASE.spec, build=build), CASE.params).problem(steps=2)


def test_a_mapping_of_parts_makes_the_same_problem():
    assert problem().x_T.equal(CASE.problem(steps=2).x_T) and problem().flow is not None


def test_an_unknown_part_is_refused():
    with pytest.raises(UsageError, match="unknown part of case gaussian 'flows'; did you mean 'flow'"):
        problem(flows=1)


def test_a_part_that_is_left_out_is_named():
    with pytest.raises(UsageError, match="build of case gaussian returns no objective, shape"):
        problem(objective=None, shape=None)


def test_what_is_neither_is_refused():
    with pytest.raises(UsageError, match="build of case gaussian must return Parts, got list"):
        Parts.of("gaussian", [])
