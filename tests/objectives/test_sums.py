"""Weighted sums: their grammar, their values, and what the catalogue makes of them."""

import subprocess
import sys

import pytest
import torch

from gradbench.objectives.catalogue import OBJECTIVES, make_objective
from gradbench.objectives.decoded import Decoded
from gradbench.objectives.quadratic import Quadratic
from gradbench.objectives.sums import parse_sum
from gradbench.objectives.weighted import WeightedSum

ALLOWED = ("jpeg-size", "jpeg", "size", "style", "quadratic", "quadratic+sine", "sine")
SHAPE = (3, 16, 16)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("jpeg-size", [(1, "jpeg-size")]),
        ("quadratic+sine", [(1, "quadratic+sine")]),
        ("0.5*jpeg-size+2*quadratic-style", [(0.5, "jpeg-size"), (2, "quadratic"), (-1, "style")]),
        ("-0.1*style", [(-0.1, "style")]),
        ("+style", [(1, "style")]),
        ("style+quadratic+sine", [(1, "style"), (1, "quadratic+sine")]),
        ("sine+quadratic", [(1, "sine"), (1, "quadratic")]),
        ("jpeg-style", [(1, "jpeg"), (-1, "style")]),
        (" 1e-3 * style - .5*jpeg ", [(1e-3, "style"), (-0.5, "jpeg")]),
        ("0*style", [(0, "style")]),
    ],
)
def test_a_sum_is_read_term_by_term_with_the_longest_names_first(text, terms):
    assert parse_sum(text, ALLOWED) == terms


@pytest.mark.parametrize(
    "text",
    ["", "stile", "2style", "style style", "style+", "style*2", "--style", "a*style", "style,jpeg", "2*", 3, None],
)
def test_anything_else_is_one_line_with_the_allowed_names(text):
    with pytest.raises(ValueError, match="allowed names: " + ", ".join(ALLOWED).replace("+", r"\+")) as error:
        parse_sum(text, ALLOWED)
    assert "\n" not in str(error.value) and repr(text) in str(error.value)


def test_a_weight_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="must be a finite number"):
        parse_sum("1e999*style", ALLOWED)


def test_the_value_is_the_weighted_sum_of_the_terms():
    x = torch.rand((2, *SHAPE), generator=torch.Generator().manual_seed(0))
    alone = {name: make_objective(name, SHAPE, 0).image(x) for name in ("jpeg-size", "style", "scorer")}
    value = make_objective("0.5*jpeg-size-3*style+scorer", SHAPE, 0).image(x)
    assert torch.allclose(value, 0.5 * alone["jpeg-size"] - 3 * alone["style"] + alone["scorer"])


def test_a_sum_of_nothing_is_refused():
    with pytest.raises(ValueError, match="number of terms"):
        WeightedSum([])


def test_terms_on_latents_and_on_images_come_apart():
    made = make_objective("-target-latent+2*target-image-style", (4, 8, 8), 0, image_shape=SHAPE)
    latent, image = torch.zeros(1, 4, 8, 8), torch.zeros(1, *SHAPE)
    alone = [make_objective(name, SHAPE, 0).image(image) for name in ("target-image", "style")]
    aim = torch.randn((4, 8, 8), generator=torch.Generator().manual_seed(0))
    assert made.latent(latent).item() == pytest.approx(-aim.square().sum().item() / 2)
    assert made.image(image).item() == pytest.approx((2 * alone[0] - alone[1]).item())


def test_one_term_of_weight_one_is_that_objective_itself():
    made = make_objective("target-latent", (4, 8, 8), 0)
    assert type(made.latent) is Quadratic and made.image is None


def test_a_given_target_is_aimed_at():
    target = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1))
    made = make_objective("target-image+style", SHAPE, 0, targets={"target-image": target, "style": target})
    assert made.image(target[None]).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("targets", "message"),
    [({"scorer": torch.zeros(SHAPE)}, "unknown target 'scorer'"), ({"target-image": torch.zeros(3, 8, 8)}, "shape")],
)
def test_a_target_that_no_term_can_take_is_refused(targets, message):
    with pytest.raises(ValueError, match=message):
        make_objective("target-image+scorer", SHAPE, 0, targets=targets)


def test_the_catalogue_and_its_grammar_are_read_without_torch():
    code = (
        "import sys; from gradbench.objectives.catalogue import OBJECTIVES, parse_sum; "
        "parse_sum('0.5*jpeg-size-style', OBJECTIVES); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_entry_says_what_it_is_and_where_from(name):
    spec = OBJECTIVES[name]
    assert spec.name == name and spec.summary and spec.citation and spec.on in ("image", "latent")


class Halve(torch.nn.Module):
    """decode(z) = z/2 in its weight's precision, which it records; its images have z's, as LatentDecoder's do."""

    def __init__(self, dtype):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5, dtype=dtype))

    def forward(self, z):
        images = z.to(self.weight.dtype) * self.weight
        self.seen = images.dtype
        return images.to(z.dtype)


def test_a_decoder_works_in_half_precision_and_the_objective_in_the_states():
    decode, x = Halve(torch.float16), torch.full((1, *SHAPE), 0.75)
    image, latent = (Quadratic(torch.zeros(SHAPE), torch.ones(SHAPE)) for _ in range(2))
    value = Decoded(decode, image, latent)(x)
    assert decode.seen == torch.float16 and value.dtype == torch.float32
    assert value.item() == pytest.approx(3 * 16 * 16 * (0.375**2 + 0.75**2) / 2)


def test_a_decoder_without_weights_runs_in_the_states_precision():
    x = torch.full((1, *SHAPE), 0.3, dtype=torch.float64)
    objective = Decoded(torch.nn.Identity(), Quadratic(torch.zeros(SHAPE).double(), torch.ones(SHAPE).double()))
    assert objective(x).item() == pytest.approx(3 * 16 * 16 * 0.3**2 / 2, rel=1e-14)
