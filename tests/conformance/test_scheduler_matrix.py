"""Every scheduler class of diffusers with its options: its own loop is ours, or the combination is refused."""

import pytest

from gradbench.diffusion.schedulers import OTHERS, STAGED
from gradbench.samplers.scheduler import TABLE
from tests.conformance.scheduler_matrix import CLASSES, PAGE, cells, judged, page


def wrong(name, thorough=False):
    return [f"{cell.label}: {what}" for cell, status, what in judged(name, thorough) if status == "wrong"]


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


@pytest.mark.slow
def test_the_page_of_the_docs_is_that_of_the_matrix():
    """`python -m tests.conformance.scheduler_matrix` writes it."""
    assert PAGE.read_text() == page()
