"""Every scheduler class of diffusers with its options: its own loop is ours, or the combination is refused."""

import pytest

from gradbench.diffusion.schedulers import OTHERS, STAGED
from gradbench.samplers.scheduler import TABLE
from tests.conformance.scheduler_matrix import (
    CLASSES,
    OTHER_BETAS,
    PAGE,
    Cell,
    bases,
    cells,
    double_precision,
    judge,
    judged,
    page,
)


def wrong(name, thorough=False, betas=""):
    return [f"{cell.label}: {what}" for cell, status, what in judged(name, thorough, betas) if status == "wrong"]


def test_every_class_of_diffusers_is_classified_once():
    known = [*TABLE, *STAGED, *OTHERS]
    assert len(known) == len(set(known))
    assert set(CLASSES) <= set(known), "a new class: say in gradbench/diffusion/schedulers.py what it is"


@pytest.mark.parametrize("name", CLASSES)
def test_sample_and_gradients_are_those_of_the_schedulers_own_loop_or_refused(name):
    assert not wrong(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, found in TABLE.items() if isinstance(found, str)])
def test_a_class_with_a_sampler_is_served_at_most_of_its_options(name):
    statuses = [status for _, status, _ in judged(name) if status != "not theirs"]
    assert statuses.count("served") > 0.6 * len(statuses)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CLASSES if name not in OTHERS and len(cells(name)) > 1])
def test_two_options_at_a_time(name):
    assert not wrong(name, thorough=True)


@pytest.mark.parametrize("betas", OTHER_BETAS)
@pytest.mark.parametrize("name", ["EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"])
def test_zero_terminal_snr_that_is_a_small_number_is_served_where_it_is_the_smallest(name, betas):
    """Its 2^-24 lies just below the entry before it, or above it."""
    changed = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
    with double_precision():
        status, said = judge(Cell(name, bases(name, betas), changed, {"steps": 5}))
    if betas == "linear":
        assert status == "refused" and "6e-08 in place of 0, above the one before it, 4.2e-09: allowed are" in said
    else:
        assert status == "served"


@pytest.mark.slow
@pytest.mark.parametrize("betas", OTHER_BETAS)
@pytest.mark.parametrize("name", [name for name in TABLE if "beta_schedule" in bases(name)])
def test_other_betas(name, betas):
    assert not wrong(name, betas=betas)


@pytest.mark.slow
def test_the_page_of_the_docs_is_that_of_the_matrix():
    """`python -m tests.conformance.scheduler_matrix` writes it."""
    assert PAGE.read_text() == page()
