"""What must not change, or must change along, when a problem is written down differently."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from leaves import agree, examples, run, slack

from gradbench.testing.strategies import arrays, laws, rotations, situations, spans, starts

SAMPLERS = ("flow", "ddim", "rk4[chart=angle]", "ab2")
exact = pytest.mark.parametrize("sampler", SAMPLERS)
CLOSED = ("gaussian", "product-mixture")


@exact
@examples(15)
@given(situations(names=CLOSED), st.data())
def test_the_gradient_is_the_sum_over_weights(sampler, problem, data):
    law, span, x_T = problem
    first, second = (data.draw(arrays(law.arrays["weight"].shape, -2, 2)) for _ in range(2))
    one, two, both = (
        run(law.but(weight=w), span, x_T, sampler, 8, "quadratic") for w in (first, second, first + second)
    )
    # each part is linear in the weights to rounding; the pullback of weights of one sign bounds what cancels
    scale = run(law.but(weight=abs(first) + abs(second)), span, x_T, sampler, 8, "quadratic")
    parts = {k: one[k].norm() + two[k].norm() + scale[k].norm() for k in both}
    tolerance = slack(law.but(weight=abs(first) + abs(second)), span, x_T, sampler, 8, "quadratic")
    agree({k: one[k] + two[k] for k in both}, both, {k: 1e-12 * parts[k] + tolerance[k] for k in both})


@exact
@examples(15)
@given(situations(names=CLOSED), st.data())
def test_the_gradient_is_affine_in_the_target(sampler, problem, data):
    law, span, x_T = problem
    first, second = (data.draw(arrays(law.arrays["target"].shape, -3, 3)) for _ in range(2))
    there = [law.but(target=t) for t in (first, second, (first + second) / 2)]
    one, two, middle = (run(at, span, x_T, sampler, 8, "quadratic") for at in there)
    tolerance = [slack(at, span, x_T, sampler, 8, "quadratic") for at in there[:2]]
    agree({k: (one[k] + two[k]) / 2 for k in one}, middle, {k: tolerance[0][k] + tolerance[1][k] for k in one})


@exact
@examples(15)
@given(situations(names=CLOSED, dims=(2, 4)), st.data())
def test_a_rotation_of_the_problem_rotates_the_gradient(sampler, problem, data):
    law, span, x_T = problem
    dim = x_T.shape[1]
    law = law.but(weight=np.full(dim, law.arrays["weight"][0]))
    turn = data.draw(rotations(dim))
    turned = law.but(rotation=turn @ law.arrays["rotation"], target=turn @ law.arrays["target"])
    if law.name == "gaussian":  # its condition lies in the space of x, a product mixture's in that of Q^T x
        turned = turned.but(condition=turn @ law.arrays["condition"])
    matrix = torch.from_numpy(turn)
    expected = run(law, span, x_T, sampler, 8, "quadratic")
    expected["x_T"] = expected["x_T"] @ matrix.T
    if law.name == "gaussian":
        expected["condition"] = matrix @ expected["condition"]
    got = run(turned, span, x_T @ matrix.T, sampler, 8, "quadratic")
    agree(got, expected, slack(law, span, x_T, sampler, 8, "quadratic"))


@examples(10)
@given(situations(names=("mixture",), dims=(2, 4), log_std=(-0.7, 0.3)), st.data())
def test_a_permutation_of_the_coordinates_permutes_the_gradient(problem, data):
    law, span, x_T = problem
    order = data.draw(st.permutations(range(x_T.shape[1])))
    moved = law.but(**{k: v[..., order] for k, v in law.arrays.items() if k != "logits"})
    expected = {k: g if k == "logits" else g[..., order] for k, g in run(law, span, x_T).items()}
    agree(run(moved, span, x_T[:, order]), expected, slack(law, span, x_T))


@examples(10)
@given(laws(names=("mixture",), log_std=(-0.7, 0.3)), spans(), st.data())
def test_a_permutation_of_the_components_permutes_the_gradient(law, span, data):
    x_T = data.draw(starts(law, span))
    order = data.draw(st.permutations(range(len(law.arrays["logits"]))))
    own = ("means", "log_std", "logits")
    moved = law.but(**{k: law.arrays[k][order] for k in own})
    expected = {k: g[order] if k in own else g for k, g in run(law, span, x_T).items()}
    agree(run(moved, span, x_T), expected, slack(law, span, x_T))


@exact
@examples(15)
@given(situations(names=CLOSED, batch=(2, 5), reach=8.0), st.data())
def test_a_permutation_of_the_batch_permutes_the_gradient_in_x_T_only(sampler, problem, data):
    law, span, x_T = problem
    order = data.draw(st.permutations(range(len(x_T))))
    expected = run(law, span, x_T, sampler)
    expected["x_T"] = expected["x_T"][order]
    agree(run(law, span, x_T[order], sampler), expected, slack(law, span, x_T, sampler))


@exact
@examples(10)
@given(situations(batch=(2, 4), names=CLOSED))
def test_gradients_of_shared_leaves_are_sums_over_the_batch(sampler, problem):
    law, span, x_T = problem
    rows = [run(law, span, row[None], sampler) for row in x_T]
    expected = {k: torch.cat([r[k] for r in rows]) if k == "x_T" else sum(r[k] for r in rows) for k in rows[0]}
    slacks = [slack(law, span, row[None], sampler) for row in x_T]
    agree(run(law, span, x_T, sampler), expected, {k: sum(s[k] for s in slacks) for k in expected})
