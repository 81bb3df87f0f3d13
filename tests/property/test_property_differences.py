"""Gradients against central differences, in one random direction per leaf."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from leaves import examples, run

from gradbench.testing.strategies import situations

SAMPLERS = ("ddim", "euler", "rk4[chart=angle]", "ab2", "dpm++2m", "midpoint[chart=log-snr]")
STEP = 1e-3


def value(law, span, x_T, sampler):
    """L, by the flow or by the chain."""
    with torch.no_grad():
        if sampler == "flow":
            problem = law.problem(span, x_T)
            x_0 = problem.flow(problem, x_T)
        else:
            problem = law.problem(span, x_T, sampler)
            x_0 = problem.rollout.sample(x_T)
        return problem.objective(x_0).sum().item(), problem.objective(x_0.abs()).abs().sum().item()


def check(law, span, x_T, sampler, seed, only=None):
    """Checks every leaf of the gradient, or `only` one, along its own direction."""
    draw = np.random.default_rng(seed)
    rounding = 1e-13 * (1 + value(law, span, x_T, sampler)[1]) / STEP
    for leaf, grad in run(law, span, x_T, sampler).items():
        if only not in (None, leaf):
            continue
        size = span.made.sigma(span.t_max) if leaf == "x_T" else 1.0
        direction = draw.standard_normal(grad.shape)
        direction *= size / np.linalg.norm(direction)

        def moved(h, leaf=leaf, direction=direction):
            if leaf == "x_T":
                return value(law, span, x_T + h * torch.from_numpy(direction), sampler)
            return value(law.but(**{leaf: law.arrays[leaf] + h * direction}), span, x_T, sampler)

        def slope(h, moved=moved):
            return (moved(h)[0] - moved(-h)[0]) / (2 * h)

        wide, middle, narrow = slope(4 * STEP), slope(2 * STEP), slope(STEP)
        # Richardson: h^2 and then h^4 are removed; what the last removal did bounds what is left
        first, second = (4 * middle - wide) / 3, (4 * narrow - middle) / 3
        best = (16 * second - first) / 15
        expected = (grad * torch.from_numpy(direction)).sum().item()
        allowed = abs(best - second) + abs(second - first) / 15 + rounding
        assert abs(best - expected) <= allowed, f"{leaf}: differences {best:.12g}, gradient {expected:.12g}"
        assert allowed <= 1e-4 * (1 + abs(expected)), f"{leaf}: the differences say nothing, +-{allowed:.1e}"


@examples(30)
@given(situations(names=("gaussian", "product-mixture", "dirac"), log_std=(-0.7, 0.5)), st.integers(0, 999))
def test_the_flow_gradient_is_the_slope_of_the_flow(problem, seed):
    check(*problem, "flow", seed)


@examples(4)
@given(
    situations(names=("mixture",), log_std=(-0.3, 0.3), means=(-1, 1), dims=(1, 2), batch=(1, 2)),
    st.sampled_from(["logits", "x_T", "condition", "means", "log_std"]),
    st.integers(0, 999),
)
def test_the_solved_flow_gradient_is_the_slope_of_the_flow(problem, leaf, seed):
    check(*problem, "flow", seed, only=leaf)


@pytest.mark.parametrize("sampler", SAMPLERS)
@examples(15)
@given(situations(log_std=(-0.7, 0.5)), st.integers(0, 999))
def test_the_sampler_gradient_is_the_slope_of_the_chain(sampler, problem, seed):
    check(*problem, sampler, seed)
