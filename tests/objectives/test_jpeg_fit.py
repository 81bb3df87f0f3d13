"""The constants of the JPEG estimate, recomputed; and how near it comes on images that the fit did not see."""

import pytest
import torch
from scipy.stats import spearmanr

from gradbench.objectives.jpeg import BITS, JPEGSize

from .images import photo_crops, synthetic

# Spearman's rank correlation, median and largest relative error, as the docstring of JPEGSize has them
MEASURED = {
    (95, "crops"): (0.9997, 0.016, 0.099),
    (95, "synthetic"): (0.9989, 0.018, 0.064),
    (75, "crops"): (0.9980, 0.062, 0.124),
    (75, "synthetic"): (0.9985, 0.060, 0.137),
    (50, "crops"): (0.9961, 0.076, 0.131),
    (50, "synthetic"): (0.9988, 0.078, 0.135),
}


@pytest.fixture(scope="module")
def unseen():
    return {"crops": photo_crops(1, 80, 128, seed=2), "synthetic": synthetic(60, 128, seed=3)}


def test_the_constants_are_the_least_squares_fit_of_the_relative_error_at_quality_95():
    objective = JPEGSize().double()
    images = torch.cat([photo_crops(0, 80, 128, seed=0), synthetic(60, 128, seed=1)])
    bits, features = 8 * objective.real_size(images), objective.features(images)
    left, right = features[:, 1:] / bits[:, None], (bits - features[:, 0]) / bits
    assert torch.linalg.lstsq(left, right).solution.tolist() == pytest.approx(BITS, abs=0.01)


@pytest.mark.parametrize(("quality", "kind"), MEASURED)
def test_the_estimate_comes_as_near_the_file_as_its_docstring_says(quality, kind, unseen):
    objective = JPEGSize(quality).double()
    estimate, real = 1000 * objective(unseen[kind]), objective.real_size(unseen[kind])
    error = (estimate - real).abs() / real
    found = (spearmanr(estimate, real).statistic, error.median().item(), error.max().item())
    assert found == pytest.approx(MEASURED[quality, kind], abs=0.001)
