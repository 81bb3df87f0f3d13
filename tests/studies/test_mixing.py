"""Mixtures of adapters are of the matrices that they add, not of their factors."""

import pytest
import torch

from studies import mixing


def drawn(seed):
    generator = torch.Generator().manual_seed(seed)
    return [
        0.1 * torch.randn(leaf.shape, generator=generator) for leaf in mixing._task("class", 0, 4).problem.parameters
    ]


def test_a_mixture_has_the_scores_of_the_sum_of_matrices():
    one, other = drawn(1), drawn(2)
    expected = mixing._judged(one, 4)
    assert mixing._mixed(1.0, one, other)["class objective"] == expected["class objective"]


@pytest.mark.slow
def test_half_of_an_adapter_with_itself_is_that_adapter():
    own = drawn(3)
    whole, halves = mixing._judged(own, 4), mixing._mixed(0.5, own, own)
    assert all(abs(whole[name] - halves[name]) < 1e-4 * max(1, abs(whole[name])) for name in whole)
