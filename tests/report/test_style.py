"""One look per estimator, for ever, distinguishable without full colour vision."""

import itertools

import numpy as np
import pytest

from gradbench.bench.suite import load_suite
from gradbench.diffusion.chart import CHARTS as DIFFUSION_CHARTS
from gradbench.estimators.catalogue import ESTIMATORS as CATALOGUE
from gradbench.report.style import CHARTS, COLOURS, ESTIMATORS, LENGTHS, MAIN, MARKERS, look, style_for
from gradbench.selector import expand

# Machado, Oliveira and Fernandes, 2009, IEEE TVCG 15, table 1, severity 1
EYES = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}


def lab(colour, eye):
    """CIELAB of a hexadecimal sRGB colour as that eye sees it."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.clip(EYES[eye] @ np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4), 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    xyz = np.array(to_xyz) @ linear / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("page", ["light", "dark"])
def test_main_estimators_are_15_apart_in_lab_for_every_eye(eye, page):
    seen = {name: lab(getattr(style_for(name, {}), page), eye) for name in MAIN}
    near = {pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]]) for pair in itertools.combinations(MAIN, 2)}
    assert min(near.values()) >= 15, min(near, key=near.get)


def test_the_simulation_confuses_red_and_green_of_equal_lightness():
    red, green = (lab(colour, "deuteranopia") for colour in ("#c04000", "#808000"))
    assert np.linalg.norm(red - green) < 12 < np.linalg.norm(lab("#c04000", "all cones") - lab("#808000", "all cones"))


def test_every_estimator_of_the_catalogue_has_a_look_of_its_own():
    looks = [ESTIMATORS[name] for name in CATALOGUE]
    assert len(set(looks)) == len(CATALOGUE)


def test_the_looks_are_those_of_the_first_release():
    assert {name: "-".join(pair) for name, pair in list(ESTIMATORS.items())[:23]} == {
        "backprop": "black-circle",
        "checkpoint": "grey-square",
        "revolve": "brown-diamond",
        "reversible": "green-triangle-up",
        "torchdiffeq-adjoint": "purple-triangle-down",
        "torchsde-adjoint": "wine-pentagon",
        "adjoint-dpm": "vermillion-square",
        "adjoint-deis": "blue-diamond",
        "continuous-adjoint": "sky-hexagon",
        "draft": "orange-circle",
        "draft-lv": "orange-triangle-right",
        "alignprop": "yellow-diamond",
        "refl": "teal-cross",
        "drtune": "indigo-x",
        "shortcut": "yellow-triangle-left",
        "reinforce": "purple-star",
        "ddpo": "wine-star",
        "spsa": "teal-pentagon",
        "forward-gradient": "brown-hexagon",
        "adjoint-matching": "indigo-star",
        "rlr": "green-star",
        "evolution-strategies": "yellow-pentagon",
        "finite-differences": "grey-x",
    }


def test_an_unknown_estimator_always_has_the_same_free_look():
    assert look("my-own") == look("my-own")
    assert look("my-own") not in ESTIMATORS.values()
    assert style_for("my-own", {}).marker in MARKERS


@pytest.mark.parametrize("name", CATALOGUE)
def test_default_options_are_a_solid_line_in_the_estimators_look(name):
    style = style_for(name, dict(CATALOGUE[name].defaults))
    colour, marker = look(name)
    assert (style.light, style.marker, style.pattern) == (COLOURS[colour][0], marker, ())


def test_chart_and_rule_make_the_pattern_and_the_trajectory_the_fill():
    style = style_for("adjoint-dpm", {"chart": "data", "rule": "midpoint", "trajectory": "stored"})
    assert (style.pattern, style.fill) == ((8, 2, 1, 2), "full")
    assert style_for("adjoint-dpm", {}).fill == "none"


def test_no_two_variants_of_the_shipped_suites_look_alike():
    found = {}
    for block in (block for suite in ("ci", "full", "smoke") for block in load_suite(suite).blocks):
        for name, given in (choice for text in block.estimators for choice in expand(text)):
            options = {k: v for k, v in CATALOGUE[name].options(given).items() if k != "draws"}
            found.setdefault(style_for(name, options), set()).add((name, str(options)))
    assert [variants for variants in found.values() if len(variants) > 1] == []


def test_every_chart_has_a_length_of_dash():
    assert set(CHARTS) == set(DIFFUSION_CHARTS) and len(LENGTHS) == len(CHARTS)
