import numpy as np
import pytest
import torch

from gradbench.diffusion.noise import BLOCK, KeyedNoise, RecordedNoise, draw


def test_a_key_gives_the_same_numbers_in_any_order():
    noise = KeyedNoise(3, (4, 5), torch.float64, torch.device("cpu"))
    forward = [noise(k) for k in range(4)]
    assert all(torch.equal(noise(k), forward[k]) for k in reversed(range(4)))


def test_seeds_and_steps_give_different_numbers():
    assert not np.allclose(draw(0, 0, (4, 5)), draw(0, 1, (4, 5))) and not np.allclose(
        draw(0, 0, (4, 5)), draw(1, 0, (4, 5))
    )


def test_a_larger_batch_begins_with_the_smaller_one():
    assert np.array_equal(draw(1, 2, (BLOCK + 7, 3))[:5], draw(1, 2, (5, 3)))


def test_single_precision_is_the_rounded_double():
    single = KeyedNoise(1, (2, 3), torch.float32, torch.device("cpu"))(5)
    assert torch.equal(single, torch.from_numpy(draw(1, 5, (2, 3))).float())


def test_draws_are_standard_normal():
    sample = draw(7, 0, (2 * BLOCK, 4)).ravel()
    assert abs(sample.mean()) < 4 / np.sqrt(sample.size) and abs(sample.var() - 1) < 4 * np.sqrt(2 / sample.size)


def test_the_first_draws_never_change():
    assert draw(0, -1, (1, 3)).round(12).tolist() == [pytest.approx(FIRST, abs=1e-12)]


def test_recorded_noise_beyond_its_rows_is_refused():
    with pytest.raises(ValueError, match="steps 0..1, got step 2"):
        RecordedNoise(torch.zeros(2, 1, 1))(2)


FIRST = [0.44910368521775595, -0.9300081152403062, -0.7069444728572523]
