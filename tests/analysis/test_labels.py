"""Labels stay short and unambiguous."""

import pytest

from gradbench.analysis.labels import labels, shortened
from gradbench.analysis.rows import whole_params
from gradbench.samplers.catalogue import SAMPLERS
from tests.rows import row


def estimator(name, **options):
    return row(name, options=options)


def test_a_name_is_shortened_to_the_options_that_are_asked_for():
    assert shortened("adjoint-dpm", {"rule": "rk4", "trajectory": "stored"}, {"rule"}) == "adjoint-dpm[rule=rk4]"


def test_only_options_that_differ_are_shown():
    rows = [estimator("adjoint-dpm", rule="rk4", chart="noise"), estimator("adjoint-dpm", rule="euler", chart="noise")]
    assert labels(rows, "estimator") == ["adjoint-dpm[rule=rk4]", "adjoint-dpm[rule=euler]"]


def test_options_that_all_rows_of_a_name_share_are_hidden():
    rows = [estimator("draft", K=1), estimator("draft", K=1), estimator("alignprop", K=2)]
    assert labels(rows, "estimator") == ["draft", "draft", "alignprop"]


def test_an_absent_option_differs_from_one_that_is_none():
    assert labels([estimator("draft"), estimator("draft", K=None)], "estimator") == ["draft", "draft[K=none]"]


def test_missing_options_are_no_options():
    assert labels([{"estimator": "backprop", "estimator_params": None}, {}], "estimator") == ["backprop", ""]


def test_a_case_shows_what_its_weights_are():
    rows = [row(case="sd15", weights="random weights (seed 0)"), row(case="digits")]
    assert labels(rows, "case") == ["sd15, random weights (seed 0)", "digits"]


def test_weights_that_only_an_option_calls_random_are_told():
    assert labels([row(case="unet", case_params={"weights": "random"})], "case") == ["unet, random weights"]


def test_weights_that_a_data_frame_left_empty_are_not_shown():
    assert labels([row(case="digits", weights=float("nan"))], "case") == ["digits"]


@pytest.mark.parametrize(("sampler", "lacking"), [("edict", {"turns": "fixed"}), ("flow-sde", {"first": "next"})])
def test_old_rows_are_of_what_the_sampler_then_was(sampler, lacking):
    defaults = SAMPLERS[sampler].defaults
    assert whole_params(row(sampler=sampler), "sampler", defaults) == {**defaults, **lacking}
    assert whole_params(row(sampler=sampler, sampler_params=defaults), "sampler", defaults) == defaults
