"""The rules of `compare` for time, by simulation: how often they cry wolf, and how often they miss one."""

import numpy as np
import pytest
from scipy import stats

from gradbench.analysis import statistics

UNCHANGED, SLOWED, PROCESSES, SAMPLES = 285, 15, 5, 10


def process_medians(rng, cells, between, slower=1.0):
    """Medians of `PROCESSES` processes: log-normal between and (2%) within, and a spike in one sample in twenty."""
    shape = (cells, PROCESSES, SAMPLES)
    within = np.exp(0.02 * rng.standard_normal(shape)) * np.where(rng.random(shape) < 0.05, 1.5, 1.0)
    process = np.exp(between * rng.standard_normal(shape[:2]))
    return slower * process * np.median(within, axis=-1)


def check(rng, between, slower=1.2):
    """Which of `UNCHANGED` + `SLOWED` cells one check calls slower."""
    base = process_medians(rng, UNCHANGED + SLOWED, between)
    new = process_medians(rng, UNCHANGED + SLOWED, between)
    new[UNCHANGED:] *= slower
    p = statistics.adjusted(statistics.welch(base, new))
    return (p <= statistics.FALSE_DISCOVERIES) & (statistics.geometric_ratio(base, new) > 1.10)


@pytest.mark.parametrize("between", [0.015, 0.04])
def test_a_check_of_285_unchanged_cells_has_fewer_than_a_tenth_of_a_false_alarm(between):
    rng = np.random.default_rng(1)
    assert np.mean([check(rng, between)[:UNCHANGED].sum() for _ in range(200)]) < 0.1


@pytest.mark.parametrize("between", [0.015, 0.04])
def test_19_of_20_slowdowns_by_a_fifth_are_found(between):
    rng = np.random.default_rng(2)
    assert np.mean([check(rng, between)[UNCHANGED:].mean() for _ in range(200)]) >= 0.95


def test_a_check_of_unchanged_cells_alone_is_hardly_ever_red():
    rng = np.random.default_rng(3)
    assert np.mean([check(rng, 0.04, slower=1.0).any() for _ in range(200)]) < 0.02


def test_welch_rejects_at_its_level_where_spreads_and_numbers_differ():
    rng = np.random.default_rng(4)
    base, new = np.exp(0.01 * rng.standard_normal((20000, 5))), np.exp(0.05 * rng.standard_normal((20000, 8)))
    assert np.mean(statistics.welch(base, new) <= 0.05) == pytest.approx(0.05, abs=0.005)


def test_samples_without_spread_decide_by_themselves():
    assert statistics.welch([1.0] * 5, [1.2] * 5) == 0.0
    assert statistics.welch([1.0] * 5, [1.0] * 5) == statistics.welch([1.2] * 5, [1.0] * 5) == 1.0


def test_the_geometric_ratio_is_that_of_geometric_means():
    assert statistics.geometric_ratio([1.0, 4.0], [3.0, 12.0]) == pytest.approx(3.0)


def test_false_discoveries_are_a_twentieth_of_all_discoveries():
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(400):
        p = stats.norm.sf(rng.standard_normal(200) + np.where(np.arange(200) < 50, 3.0, 0.0))
        called = statistics.adjusted(p) <= 0.05
        shares.append(called[50:].sum() / max(called.sum(), 1))
    assert np.mean(shares) == pytest.approx(0.05 * 150 / 200, abs=0.006)


@pytest.mark.parametrize("between", [0.01, 0.04])
def test_the_minimum_detectable_change_is_found_4_times_in_5(between):
    """The one slow cell of 100, slowed by what `detectable` says of such noise."""
    rng = np.random.default_rng(6)
    noise = [(process_medians(rng, 1, between)[0], process_medians(rng, 1, between)[0]) for _ in range(400)]
    slower = np.median([statistics.detectable(*sides, factor=1.10, tests=100) for sides in noise])
    found = 0
    for _ in range(400):
        base, new = process_medians(rng, 100, between), process_medians(rng, 100, between)
        new[0] *= slower
        p = statistics.adjusted(statistics.welch(base, new))[0]
        found += p <= statistics.FALSE_DISCOVERIES and statistics.geometric_ratio(base, new)[0] > 1.10
    assert found / 400 == pytest.approx(statistics.POWER, abs=0.1)


def test_a_variance_of_32_batch_means_is_told_from_one_twice_as_large_at_its_level():
    rng = np.random.default_rng(7)
    base, new = rng.standard_normal((20000, 32)).var(-1, ddof=1), rng.standard_normal((20000, 32)).var(-1, ddof=1)
    assert np.mean(statistics.larger_variance(new / base, 31) <= 0.03) == pytest.approx(0.03, abs=0.004)
