"""The JPEG estimate's parts against scipy and Pillow: transform, tables, empty blocks, precision, direction."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn

from gradbench.objectives.jpeg import JPEGSize, dct, quantisation_tables

from .images import photo_crops


def saved(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return Image.open(file)


def test_the_transform_is_scipys_orthonormal_dct_of_each_block():
    planes = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 16, 24)))
    blocks = planes.numpy().reshape(2, 2, 8, 3, 8).transpose(0, 1, 3, 2, 4).reshape(2, 6, 8, 8)
    assert dct(planes).numpy() == pytest.approx(dctn(blocks, axes=(2, 3), norm="ortho"), abs=1e-13)


@pytest.mark.parametrize("quality", [1, 10, 25, 49, 50, 51, 75, 95, 100])
def test_the_tables_are_those_in_pillows_file(quality):
    tables = saved(np.zeros((8, 8, 3), np.uint8), quality=quality).quantization
    assert quantisation_tables(quality).flatten(1).int().tolist() == [list(tables[0]), list(tables[1])]


@pytest.mark.parametrize("quality", [50, 95, 100])
def test_pillow_halves_the_chroma_planes_by_default(quality):
    sampling = [layer[1:3] for layer in saved(np.zeros((16, 16, 3), np.uint8), quality=quality).layer]
    assert sampling == [(2, 2), (1, 1), (1, 1)]


def test_the_real_size_is_the_length_of_pillows_default_file():
    image = photo_crops(0, 1, 48, seed=0)
    file = io.BytesIO()
    Image.fromarray((255 * image[0]).round().byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=95)
    assert JPEGSize().real_size(image).tolist() == [len(file.getvalue())]


@pytest.mark.parametrize("subsample", [True, False])
@pytest.mark.parametrize("side", [(8, 8), (16, 48), (24, 40), (1, 9), (17, 33)])
def test_an_image_without_any_coefficient_has_the_size_of_its_file_to_the_byte(side, subsample):
    grey = torch.full((1, 3, *side), 128 / 255, dtype=torch.float64)
    objective = JPEGSize(subsample=subsample).double()
    assert np.ceil((1000 * objective(grey)).numpy()) == objective.real_size(grey).numpy()


def test_colours_are_libjpegs_ycbcr_before_it_rounds():
    colours = torch.rand((64, 3, 1, 1), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    colours = ((255 * colours).round() / 255).expand(64, 3, 8, 8)
    planes = JPEGSize(100, subsample=False).double().coefficients(colours)  # all tables 1: DC is eight times the mean
    means = torch.stack([plane[:, 0, 0, 0] / 8 + 128 for plane in planes], 1)
    decoded = []
    for image in (255 * colours).round().byte().permute(0, 2, 3, 1).numpy():
        file = saved(image, quality=100, subsampling="4:4:4")
        file.draft("YCbCr", file.size)
        decoded.append(np.asarray(file)[0, 0])
    assert means.numpy() == pytest.approx(np.stack(decoded), abs=0.501)


def test_a_chroma_plane_is_the_mean_of_two_by_two_pixels_after_its_edges_are_repeated():
    x = torch.rand((1, 3, 9, 11), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    full, halved = JPEGSize(subsample=False).double(), JPEGSize().double()
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (0, 7), (0, 5)), mode="edge")
    means = torch.from_numpy(padded.reshape(1, 3, 8, 2, 8, 2).mean((3, 5)))
    assert torch.allclose(halved.coefficients(x)[1], full.coefficients(means)[1], atol=1e-12)


def test_descent_on_the_estimate_makes_every_real_file_smaller():
    x, objective = photo_crops(1, 8, 64, seed=4), JPEGSize().double()
    moved = x.clone().requires_grad_()
    for _ in range(20):
        (gradient,) = torch.autograd.grad(objective(moved).sum(), moved)
        step = 0.002 * gradient / gradient.abs().amax((1, 2, 3), keepdim=True)
        moved = (moved - step).detach().requires_grad_()
    assert (objective.real_size(moved) < 0.96 * objective.real_size(x)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    x = photo_crops(1, 2, 64, seed=5).to(dtype)
    assert torch.equal(JPEGSize().to(dtype)(x), JPEGSize()(x.float()))


def test_autocast_changes_nothing():
    x = photo_crops(1, 2, 64, seed=5).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = JPEGSize()(x)
    assert torch.equal(inside, JPEGSize()(x))


def test_an_overshooting_image_is_judged_by_its_contrast_and_filed_clamped():
    x = photo_crops(1, 4, 64, seed=6)
    loud = 0.5 + 3 * (x - 0.5)
    objective = JPEGSize().double()
    assert (objective(loud) > objective(loud.clamp(0, 1))).all()
    assert torch.equal(objective.real_size(loud), objective.real_size(loud.clamp(0, 1)))


@pytest.mark.parametrize("quality", [0, 101, 95.0, True])
def test_a_quality_that_libjpeg_does_not_have_is_refused(quality):
    with pytest.raises(ValueError, match="quality must"):
        JPEGSize(quality)
