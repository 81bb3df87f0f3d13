"""Colourfulness on images whose value is known in closed form."""

import numpy as np
import pytest
import torch

from gradbench.objectives.colourfulness import GUARD, Colourfulness


def halves(left, right):
    x = torch.empty((1, 3, 4, 6), dtype=torch.float64)
    x[..., :3] = torch.tensor(left).double()[:, None, None]
    x[..., 3:] = torch.tensor(right).double()[:, None, None]
    return x


@pytest.mark.parametrize(
    ("image", "value"),
    [
        (halves((1, 0, 0), (1, 0, 0)), 0.3 * 255 * np.hypot(1, 0.5)),
        (halves((0, 0, 1), (0, 0, 1)), 0.3 * 255),
        (halves((1, 0, 0), (0, 1, 1)), 255 * np.hypot(1, 0.5)),
        (halves((1, 1, 0), (0, 0, 0)), 255 * (0.5 + 0.3 * 0.5)),
    ],
    ids=["red", "blue", "red and cyan", "yellow and black"],
)
def test_flags_have_the_closed_form_up_to_the_guard(image, value):
    assert value - 1.3 * GUARD <= Colourfulness()(image).item() <= value


def test_a_grey_image_has_no_colour_and_no_gradient():
    x = torch.rand((1, 1, 5, 7), generator=torch.Generator().manual_seed(0), dtype=torch.float64).expand(1, 3, 5, 7)
    x = x.clone().requires_grad_()
    value = Colourfulness()(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert value.item() == pytest.approx(0, abs=1e-12) and gradient.abs().max() < 1e-12


def test_it_is_the_papers_formula_in_numpy():
    x = np.random.default_rng(0).random((3, 3, 8, 10))
    r, g, b = 255 * x.transpose(1, 0, 2, 3)
    rg, yb = r - g, (r + g) / 2 - b
    spread = np.sqrt(rg.std((1, 2)) ** 2 + yb.std((1, 2)) ** 2)
    offset = np.sqrt(rg.mean((1, 2)) ** 2 + yb.mean((1, 2)) ** 2)
    assert Colourfulness()(torch.from_numpy(x)).numpy() == pytest.approx(spread + 0.3 * offset, abs=1.3 * GUARD)
