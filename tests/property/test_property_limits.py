"""Distributions that are special cases or limits of one another."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from leaves import agree, examples, run, slack

from gradbench.diffusion.transport import log_tail
from gradbench.testing.strategies import Law, Span, arrays, numbers, situations

SAMPLERS = ("flow", "ddim", "rk4[chart=angle]")


@pytest.mark.parametrize("sampler", ["ddim", "rk4[chart=angle]"])
@examples(15)
@given(situations(names=("gaussian",), log_std=(-4, 1), reach=6.0), st.integers(1, 3), st.data())
def test_a_mixture_of_equal_components_is_the_gaussian(sampler, problem, count, data):
    law, span, x_T = problem
    dim = x_T.shape[1]
    law = law.but(rotation=np.eye(dim))
    arrays_of = {k: v for k, v in law.arrays.items() if k != "rotation"}
    means, log_std = np.zeros((count, dim)), np.tile(law.arrays["log_std"], (count, 1))
    logits = data.draw(arrays(count, -3, 3))
    mixture = Law("mixture", {**arrays_of, "means": means, "log_std": log_std, "logits": logits})
    got, expected = run(mixture, span, x_T, sampler), run(law, span, x_T, sampler)
    tolerance = slack(law, span, x_T, sampler)
    agree({**got, "log_std": got["log_std"].sum(0)}, expected, tolerance)
    agree({"condition": got["means"].sum(0)}, {"condition": got["condition"]}, tolerance)
    agree({"logits": got["logits"]}, {"logits": torch.zeros(count).double()}, 1e-12 * (1 + got["condition"].norm()))


@examples(4)
@given(situations(names=("gaussian",), log_std=(-1.5, 0.5)))
def test_the_solved_flow_of_one_component_is_the_closed_form(problem):
    law, span, x_T = problem
    law = law.but(rotation=np.eye(x_T.shape[1]))
    own = {k: v for k, v in law.arrays.items() if k != "rotation"}
    mixture = Law(
        "mixture", {**own, "means": 0 * own["log_std"][None], "log_std": own["log_std"][None], "logits": np.zeros(1)}
    )
    got, expected = run(mixture, span, x_T, "flow"), run(law, span, x_T, "flow")
    # the solve stops when x_0 changes by 1e-13; the gradient follows as the derivative of a rule of order eight
    agree({**got, "log_std": got["log_std"][0]}, expected, {k: 1e-9 * (1 + g.norm()) for k, g in expected.items()})


@pytest.mark.parametrize("sampler", SAMPLERS)
@examples(20)
@given(situations(names=("gaussian",), log_std=(-4, 1), reach=7.0), st.integers(1, 3), st.data())
def test_a_product_mixture_of_equal_components_is_the_gaussian(sampler, problem, count, data):
    law, span, x_T = problem
    rotation, dim = law.arrays["rotation"], x_T.shape[1]
    product = Law("product-mixture", dict(law.arrays)).but(
        condition=rotation.T @ law.arrays["condition"],
        means=np.zeros((dim, count)),
        log_std=np.tile(law.arrays["log_std"][:, None], (1, count)),
        logits=data.draw(arrays((dim, count), -3, 3)),
    )
    got, expected = run(product, span, x_T, sampler), run(law, span, x_T, sampler)
    tolerance = slack(law, span, x_T, sampler)
    turned = {"condition": torch.from_numpy(rotation) @ got["condition"], "log_std": got["log_std"].sum(1)}
    agree({"x_T": got["x_T"], **turned}, expected, tolerance)
    agree({"condition": got["means"].sum(1)}, {"condition": got["condition"]}, tolerance)


@pytest.mark.parametrize(
    ("name", "sampler"),
    [
        ("gaussian", "flow"),
        ("product-mixture", "flow"),
        ("gaussian", "ddim"),
        ("mixture", "ddim"),
        ("product-mixture", "ddim"),
    ],
)
@examples(15)
@given(situations(names=("dirac",)), numbers(-14, -9))
def test_a_narrow_law_is_a_point(name, sampler, problem, log_std):
    law, span, x_T = problem
    dim = x_T.shape[1]
    shape = {"gaussian": (dim,), "mixture": (1, dim), "product-mixture": (dim, 1)}[name]
    rest = {"log_std": np.full(shape, log_std)}
    if name != "gaussian":
        rest.update(means=np.zeros(shape), logits=np.zeros((1,) if name == "mixture" else shape))
    if name != "mixture":
        rest["rotation"] = np.eye(dim)
    got, expected = run(Law(name, {**law.arrays, **rest}), span, x_T, sampler), run(law, span, x_T, sampler)
    # both laws differ by (alpha std / sigma)^2 relative at worst, at the clean end; twice as the residual turns too
    small = (span.made.alpha(span.t_min) * np.exp(log_std) / span.made.sigma(span.t_min)) ** 2
    rounding = slack(law, span, x_T, sampler)
    reach = law.arrays["weight"].max() * (10 + x_T.norm().item())
    agree(got, expected, {k: 4 * small * reach + rounding[k] for k in expected})


@pytest.mark.parametrize("name", ["gaussian", "product-mixture"])
@examples(15)
@given(situations(names=("dirac",)), numbers(12, 16))
def test_a_law_much_wider_than_the_noise_is_carried_by_alpha_alone(name, problem, log_std):
    law, span, x_T = problem
    dim = x_T.shape[1]
    rest = {"log_std": np.full((dim,), log_std), "rotation": np.eye(dim)}
    if name != "gaussian":
        rest = {**rest, "log_std": rest["log_std"][:, None], "means": np.zeros((dim, 1)), "logits": np.zeros((dim, 1))}
    s = span.made
    ratio = s.alpha(span.t_min) / s.alpha(span.t_max)
    # sqrt(C_min / C_max) = ratio (1 + O((sigma / (alpha std))^2)) and the condition enters by that term only
    small = (s.sigma(span.t_max) / (s.alpha(span.t_max) * np.exp(log_std))) ** 2
    got = run(Law(name, {**law.arrays, **rest}), span, x_T, "flow")
    x_0 = ratio * x_T
    cotangent = torch.from_numpy(law.arrays["weight"]) * (x_0 - torch.from_numpy(law.arrays["target"])) + torch.cos(x_0)
    reach = (1 + ratio) ** 2 * (10 + x_T.norm().item())
    # a transport by distribution functions knows u to the rounding of log F over its slope: some eps of a deviation
    rounding = 1e-13 + (64 * 2.2e-16 * np.exp(log_std) if name == "product-mixture" else 0.0)
    tolerance = 4 * (small + rounding) * reach * len(x_T)
    agree({"x_T": got["x_T"]}, {"x_T": ratio * cotangent}, tolerance)
    agree({"condition": got["condition"]}, {"condition": torch.zeros(dim).double()}, tolerance)


@examples(20)
@given(situations(names=("product-mixture",), schedules=("ve",)))
def test_wide_noise_forgets_the_law(problem):
    law, span, x_T = problem
    own = law.problem(Span("ve", 80.0, span.t_min), 80 * x_T / span.t_max)
    with torch.no_grad():
        u, image = (x @ own.denoiser.rotation for x in (own.x_T, own.flow(own, own.x_T)))
        (_, means, variance), last = (own.denoiser.components(t) for t in (80.0, span.t_min))
        # Phi of z = u/80 and F_max(u) differ as much as z does from its values in the components
        z = (u[..., None] - means) / variance.sqrt()
        assert ((z - u[..., None] / 80).abs() <= (means.abs() + z.abs() * (variance.sqrt() - 80)) / 80 + 1e-14).all()
        low, high = torch.special.log_ndtr(z.amin(-1)), torch.special.log_ndtr(z.amax(-1))
        value = log_tail(image, last, torch.zeros_like(image, dtype=torch.bool))
    assert ((low - 1e-11 <= value) & (value <= high + 1e-11)).all()
