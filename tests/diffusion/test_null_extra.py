"""Guidance contrasts extra with null_extra entry by entry, in one doubled batch, or says why it cannot."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from gradbench import NetworkDenoiser
from gradbench.diffusion.conditions import Conditions

X = torch.tensor([[0.3, -1.2], [0.7, 0.1]], dtype=torch.float64)
OURS, NULL = torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[-3.0, 5.0]]).double()


@dataclass(eq=False)
class Box:
    """An object that is no tensor."""

    value: torch.Tensor


class Told(nn.Module):
    """x + scale pooled + the rows of a table."""

    def forward(self, x, time, condition, pooled=0.0, scale=1.0, label=None, box=None, ids=0.0):
        table = torch.arange(8.0).double().reshape(4, 2)
        return x + scale * pooled + ids + (0.0 if label is None else table[label]) + (0.0 if box is None else box.value)


def guided(extra, null_extra, **options):
    return NetworkDenoiser(Told(), "scaled-linear", extra=extra, null_extra=null_extra, guidance=3.0, **options)


def test_numbers_that_agree_are_read_by_both_predictions():
    denoiser = guided({"pooled": OURS, "scale": 2.0}, {"pooled": NULL, "scale": 2.0})
    assert torch.allclose(denoiser(X, 0.5).eps, X + 2 * (NULL + 3 * (OURS - NULL)), rtol=1e-14)


def test_labels_as_tensors_are_contrasted():
    denoiser = guided({"label": torch.tensor([3])}, {"label": torch.tensor([1])})
    assert torch.allclose(denoiser(X, 0.5).eps, X + torch.tensor([2.0, 3.0]) + 3 * torch.tensor([4.0, 4.0]), rtol=1e-14)


SAME = Box(OURS)


def test_an_object_that_both_share_is_read_by_both():
    denoiser = guided({"pooled": OURS, "box": SAME}, {"pooled": NULL, "box": SAME})
    assert torch.allclose(denoiser(X, 0.5).eps, X + OURS + NULL + 3 * (OURS - NULL), rtol=1e-14)


@pytest.mark.parametrize(
    ("ours", "null"),
    [
        (3, 1),
        (1.0, 0.0),
        (3, 3.0),
        ([3], [1]),
        (Box(OURS), Box(NULL)),
        (np.ones((1, 2)), np.zeros((1, 2))),
        (OURS, None),
        (OURS, 0.0),
        (OURS, torch.zeros(1, 3)),
    ],
    ids=["int", "float", "types", "list", "object", "numpy", "none", "number", "width"],
)
def test_what_a_doubled_batch_cannot_contrast_is_refused_when_it_is_given(ours, null):
    with pytest.raises(ValueError, match=r"^guidance cannot contrast extra\['box'\].*: allowed are tensors[^\n]*$"):
        guided({"box": ours}, {"box": null})


@pytest.mark.parametrize(
    ("extra", "null_extra", "lacking"),
    [
        ({"pooled": OURS, "scale": 2.0}, {"pooled": NULL}, r"null_extra has no \['scale'\]"),
        ({"pooled": OURS}, {"pooled": NULL, "label": torch.tensor([3])}, r"^extra has no \['label'\]"),
        ({"pooled": [OURS]}, {"pooled": NULL}, r"null_extra has no \['pooled'\]\[0\]"),
    ],
)
def test_an_entry_of_only_one_of_the_two_is_refused(extra, null_extra, lacking):
    with pytest.raises(ValueError, match=lacking):
        guided(extra, null_extra)


def test_an_empty_null_extra_does_not_stand_for_extra():
    words = {"condition": OURS[0], "null_condition": NULL[0]}
    with pytest.raises(ValueError, match=r"null_extra has no \['pooled'\]"):
        guided({"pooled": OURS}, {}, **words)


def test_without_a_null_extra_both_predictions_read_extra():
    denoiser = guided({"pooled": OURS}, None, condition=OURS[0], null_condition=NULL[0])
    assert torch.allclose(denoiser(X, 0.5).eps, X + OURS, rtol=1e-14)


def test_a_shared_entry_may_be_left_out_of_null_extra():
    denoiser = guided({"pooled": OURS, "ids": NULL[0]}, {"pooled": NULL}, shared=["ids"])
    assert torch.allclose(denoiser(X, 0.5).eps, X + NULL + NULL + 3 * (OURS - NULL), rtol=1e-14)


def test_a_shared_entry_that_differs_is_refused():
    with pytest.raises(ValueError, match=r"null_extra\['ids'\], a tensor \(2,\): allowed are one value for both"):
        guided({"pooled": OURS, "ids": OURS[0]}, {"pooled": NULL, "ids": NULL[0]}, shared=["ids"])


@pytest.mark.parametrize("lacking", ["condition", "null_condition"])
def test_guidance_with_one_condition_of_an_encoder_is_refused(lacking):
    class Encoder(nn.Module):
        def forward(self):
            return Conditions(**{"condition": OURS[0], "null_condition": NULL[0], lacking: None})

    with pytest.raises(ValueError, match=f"guidance reads a {lacking} too"):
        NetworkDenoiser(Told(), "scaled-linear", guidance=3.0, encoder=Encoder())(X, 0.5)


def test_an_extra_changed_later_is_contrasted_anew():
    denoiser = guided({"pooled": OURS, "scale": 2.0}, {"pooled": NULL, "scale": 2.0})
    denoiser.extra["scale"] = 1.0
    with pytest.raises(ValueError, match=r"extra\['scale'\], 1.0, with null_extra\['scale'\], 2.0"):
        denoiser(X, 0.5)
