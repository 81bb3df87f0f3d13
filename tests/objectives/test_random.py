"""The objectives of random features: Gram matrices, the scorer, their seeds and scales."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate

from gradbench.objectives.pattern import smooth_image, texture
from gradbench.objectives.scorer import RandomScorer
from gradbench.objectives.style import FILTERS, SIZES, GramStyle

from .images import photo_crops


def gram_by_scipy(image, filters):
    """G/M of silu(filter * (2 image - 1)) with zeros around the image."""
    width = filters.shape[-1] // 2
    padded = np.pad(2 * image - 1, ((0, 0), (width, width), (width, width)))
    features = np.stack([correlate(padded, one, "valid").ravel() for one in filters])
    features = features / (1 + np.exp(-features))
    return features @ features.T / features.shape[1]


def test_the_style_is_the_mean_over_layers_of_the_gram_distance_by_scipy():
    x, reference = (np.random.default_rng(s).random((3, *side)) for s, side in ((0, (9, 12)), (1, (10, 8))))
    objective = GramStyle(torch.from_numpy(reference), seed=3).double()
    terms = []
    for layer in objective.layers:
        weight = layer.weight.numpy()
        difference = gram_by_scipy(x, weight) - gram_by_scipy(reference, weight)
        terms.append((difference**2).sum() / (4 * FILTERS**2))
    assert len(terms) == len(SIZES)
    assert objective(torch.from_numpy(x)[None]).item() == pytest.approx(np.mean(terms), rel=1e-5)


def test_the_reference_itself_is_the_minimum():
    reference = texture((3, 24, 24), 0)
    x = reference[None].clone().requires_grad_()
    value = GramStyle(reference)(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert value.item() < 1e-12 and gradient.norm() < 1e-6


def test_another_piece_of_a_texture_is_nearer_than_another_picture():
    whole = texture((3, 64, 128), 0)
    objective = GramStyle(whole[:, :, :64])
    piece, picture = objective(whole[None, :, :, 64:]), objective(photo_crops(0, 8, 64, seed=0).float())
    assert piece < 0.1 * picture.min()


def test_the_scorers_gradient_is_of_order_one_for_every_size_and_seed():
    norms = []
    for seed in range(10):
        for side in (8, 16, 64, 128):
            noise = torch.rand((4, 3, side, side), generator=torch.Generator().manual_seed(seed))
            x = torch.cat([photo_crops(0, 4, side, seed).float(), noise]).requires_grad_()
            (gradient,) = torch.autograd.grad(RandomScorer(seed)(x).sum(), x)
            norms.append(gradient.flatten(1).norm(dim=1))
    norms = torch.cat(norms)
    assert norms.min() > 1 / 3 and norms.max() < 3


def test_the_scorer_is_no_linear_function():
    x = photo_crops(0, 2, 16, seed=0)
    scorer = RandomScorer().double()
    middle = scorer(x.mean(0, keepdim=True))
    assert abs(scorer(x).mean() - middle).item() > 0.01


def test_a_scorer_needs_eight_pixels_a_side():
    with pytest.raises(ValueError, match=r"h, w >= 8, got \(1, 3, 8, 7\)"):
        RandomScorer()(torch.zeros(1, 3, 8, 7))


@pytest.mark.parametrize("pattern", [smooth_image, texture])
def test_patterns_are_images_that_the_seed_and_the_shape_fix(pattern):
    first, again, other = pattern((3, 16, 20), 0), pattern((3, 16, 20), 0), pattern((3, 16, 20), 1)
    assert first.min() >= 0 and first.max() <= 1 and torch.equal(first, again) and not torch.equal(first, other)


def test_the_smooth_image_changes_little_from_pixel_to_pixel():
    image = smooth_image((3, 64, 64), 0)
    steps = torch.cat([image.diff(dim=1).flatten(), image.diff(dim=2).flatten()])
    assert steps.abs().max() < 0.08 and image.std() > 0.05
