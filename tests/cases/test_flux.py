"""Flux at full size, by shapes alone."""

import pytest

from gradbench.models import skeleton
from gradbench.problems.case import make_case


@pytest.mark.slow
def test_its_networks_have_the_sizes_of_flux():
    """`build` refuses others."""
    case = make_case("flux", {"rank": 4})
    with skeleton.skeleton():
        parts = case.spec.build(case.params, {}, 0)
    assert parts.shape == (4096, 64) and tuple(parts.condition.shape) == (1, 512, 4096)
    assert sum(p.numel() for p in parts.parameters) == 4_669_440


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 1000}, "size must be a multiple of 16 pixels, got 1000"),
        ({"prompt": 9}, "unknown prompt 9"),
        ({"weights": 3}, "weights must be a folder or a hub id, got 3"),
        ({"rank": 0}, "unknown rank 0"),
    ],
)
def test_what_it_cannot_take_is_one_line(given, message):
    with pytest.raises(ValueError, match=message):
        make_case("flux", given)


def test_weights_that_are_no_folder_are_one_line():
    case = make_case("flux", {"weights": "/no/such/folder"})
    with pytest.raises(
        ValueError, match="weights '/no/such/folder' are not a folder; allowed: one that save_pretrained"
    ):
        case.spec.build(case.params, {}, 0)
