"""One look an estimator."""

from gradbench.report.style import COLOURS, ESTIMATORS, MARKERS, style_of


def test_no_two_known_estimators_look_the_same():
    assert len(set(ESTIMATORS.values())) == len(ESTIMATORS)


def test_an_unknown_estimator_always_looks_the_same():
    assert style_of("my-own") == style_of("my-own")
    assert style_of("my-own").marker in MARKERS


def test_variants_share_the_colour_and_differ_in_marker_and_dash():
    first, second = style_of("adjoint-dpm"), style_of("adjoint-dpm", 1)
    assert (first.light, first.dark) == (second.light, second.dark) == COLOURS["vermillion"]
    assert first.marker != second.marker
    assert first.dash != second.dash
