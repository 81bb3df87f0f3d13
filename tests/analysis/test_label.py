"""Labels stay short and unambiguous."""

import pytest

from gradbench.analysis.label import label, labels, whole_params
from gradbench.samplers.catalogue import SAMPLERS


def estimator(name, **params):
    return {"estimator": name, "estimator_params": params}


def test_a_label_without_a_choice_shows_every_option():
    assert label("adjoint-dpm", {"rule": "rk4", "trajectory": "stored"}) == "adjoint-dpm[rule=rk4,trajectory=stored]"


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
    rows = [{"case": "sd15", "weights": "random weights (seed 0)"}, {"case": "digits"}]
    assert labels(rows, "case") == ["sd15, random weights (seed 0)", "digits"]


def test_weights_that_only_an_option_calls_random_are_told():
    assert labels([{"case": "unet", "case_params": {"weights": "random"}}], "case") == ["unet, random weights"]


def test_weights_that_a_data_frame_left_empty_are_not_shown():
    assert labels([{"case": "digits", "weights": float("nan")}], "case") == ["digits"]


@pytest.mark.parametrize(("sampler", "lacking"), [("edict", {"turns": "fixed"}), ("flow-sde", {"first": "next"})])
def test_old_rows_are_of_what_the_sampler_then_was(sampler, lacking):
    defaults = SAMPLERS[sampler].defaults
    assert whole_params({"sampler": sampler, "sampler_params": {}}, "sampler", defaults) == {**defaults, **lacking}
    assert whole_params({"sampler": sampler, "sampler_params": dict(defaults)}, "sampler", defaults) == defaults
