import math

import pytest
import torch

from gradbench.measure.error import columns, cosine, norm_ratio
from gradbench.problems.gradients import Gradients, relative_error

A, B = torch.tensor([3.0, 4.0]), torch.tensor([3.0, 0.0])


def test_relative_error_is_the_distance_over_the_reference():
    assert relative_error(A, B) == pytest.approx(4 / 3)


def test_cosine_is_the_angle_between_them():
    assert cosine(A, B) == pytest.approx(0.6)


def test_norm_ratio_is_the_estimates_over_the_references():
    assert norm_ratio(A, B) == pytest.approx(5 / 3)


def test_parameters_are_one_vector():
    assert relative_error((A, B), (A, A)) == pytest.approx(4 / math.sqrt(50))


def test_a_zero_reference_is_met_exactly_or_not_at_all():
    assert relative_error(0 * A, 0 * A) == 0 and relative_error(A, 0 * A) == math.inf


def test_columns_name_the_reference_and_the_target():
    found = columns("flow", {"x_T": A, "condition": A}, {"x_T": B})
    assert set(found) == {f"flow_{name}_x_T" for name in ("error", "cosine", "norm_ratio", "sample_error")}


def test_a_target_that_the_reference_lacks_has_no_columns():
    assert columns("flow", Gradients(x_T=A), Gradients()) == {}
