"""Reversible rules and recoveries, for any law, schedule, time range and number of steps."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from leaves import examples

import gradbench
from gradbench.testing.strategies import situations

SAMPLERS = (
    "belm",
    "bdia",
    "edict",
    "reversible-heun[chart=angle]",
    "rex[chart=angle,rule=heun]",
    "rex[chart=log-snr-sde]",
)


@pytest.mark.parametrize("sampler", SAMPLERS)
@examples(20)
@given(situations(), st.integers(1, 12))
def test_an_inverse_undoes_its_step(sampler, problem, steps):
    law, span, x_T = problem
    rollout = law.problem(span, x_T, sampler, steps, noise="keyed").rollout
    with torch.no_grad():
        states = [rollout.start(x_T)]
        for k in range(steps):
            states.append(rollout.step(k, states[-1]))
        for k in range(steps):
            interval = rollout.interval(k)
            back = rollout.rule.inverse(rollout.field, states[k + 1], interval)
            size = max(s.abs().max() for s in (*states[k], *states[k + 1]))
            # copies are mixed and moved by kappa: rounding in the end's size, seen from the start
            scale = size * max(1.0, interval.ratio(), 1 / interval.ratio()) ** 2
            assert all((b - s).abs().max() <= 1e-11 * (scale + 1) for b, s in zip(back, states[k], strict=True))


@examples(15)
@given(situations(), st.integers(1, 14), st.integers(1, 6), st.sampled_from(["ddim", "dpm++2m", "sde-dpm++2m", "belm"]))
def test_revolve_is_checkpoint_bit_for_bit(problem, steps, snapshots, sampler):
    law, span, x_T = problem
    own = law.problem(span, x_T, sampler, steps, noise="keyed")
    kept = gradbench.estimator("checkpoint")(own).grads
    again = gradbench.estimator("revolve", snapshots=snapshots)(own).grads
    assert torch.equal(kept["x_T"], again["x_T"]) and torch.equal(kept["condition"], again["condition"])


@examples(15)
@given(situations(), st.integers(1, 12), st.data())
def test_truncations_of_more_steps_end_in_the_full_gradient(problem, steps, data):
    law, span, x_T = problem
    own = law.problem(span, x_T, "ddim", steps)
    k = data.draw(st.integers(1, steps))
    full = gradbench.estimator("backprop")(own).grads
    cut = gradbench.estimator("draft", k=k)(own).grads
    if k == steps:
        assert torch.allclose(
            cut["condition"], full["condition"], rtol=1e-10, atol=1e-12 * (1 + full["condition"].norm())
        )
    assert ("x_T" in cut) == (k == steps)
