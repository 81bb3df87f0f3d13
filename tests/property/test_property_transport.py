"""The exact flow of a product mixture: monotone transport, with far tails and near-degenerate distributions."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from leaves import examples

from gradbench.diffusion.transport import flow, flow_with_bound, log_density, log_tail, transport
from gradbench.testing.strategies import Law, Span, laws, numbers, spans

EPS = torch.finfo(torch.float64).eps
hard = laws(names=("product-mixture",), log_std=(-5, 1), means=(-6, 6))


@st.composite
def crossings(draw, reach=8.0):
    """The coordinate distributions at both ends, and increasing points u up to 8 deviations outside every component."""
    law, span = draw(hard), draw(spans())
    z = draw(st.lists(numbers(-reach, reach), min_size=3, max_size=12, unique=True))
    denoiser = law.problem(span, np.zeros((1, len(law.arrays["condition"])))).denoiser
    with torch.no_grad():
        first, last = (denoiser.components(t) for t in (span.t_max, span.t_min))
    lower, upper = ((first[1] + sign * reach * first[2].sqrt()) for sign in (-1, 1))
    place = (torch.tensor(sorted(z), dtype=torch.float64) + reach)[:, None] / (2 * reach)
    return first, last, lower.amin(-1) + place * (upper.amax(-1) - lower.amin(-1))


def tail(u, components):
    """log of the smaller tail, and which it is."""
    upper = log_tail(u, components, torch.zeros_like(u, dtype=torch.bool)) > np.log(0.5)
    return log_tail(u, components, upper), upper


def uncertain(u, components):
    """What rounding leaves open in log_tail at u: its own, and that of u by its slope."""
    value, _ = tail(u, components)
    return 32 * EPS * (1 + value.abs() + u.abs() * torch.exp(log_density(u, components) - value))


@examples(40)
@given(crossings())
def test_transport_preserves_the_tail(crossing):
    first, last, u = crossing
    value, upper = tail(u, first)
    image, _ = transport(u, first, last)
    error = (log_tail(image, last, upper) - value).abs()
    assert (error <= uncertain(u, first) + uncertain(image, last)).all(), error.max()


@examples(40)
@given(crossings())
def test_transport_is_monotone_in_every_coordinate(crossing):
    first, last, u = crossing
    image, bound = transport(u, first, last)
    assert (image.diff(dim=0) >= -(bound[1:] + bound[:-1])).all()
    value, _ = tail(image, last)
    told_apart = uncertain(image, last) / torch.exp(log_density(image, last) - value)  # in units of the image
    apart = log_tail(u, first, torch.ones_like(u, dtype=torch.bool)).diff(dim=0) < -1e-9
    assert (image.diff(dim=0) > 0)[apart & (told_apart[1:] < 1e-6)].all()


@examples(40)
@given(crossings())
def test_transport_back_is_the_identity(crossing):
    first, last, u = crossing
    image, _ = transport(u, first, last)
    back, _ = transport(image, last, first)
    value, _ = tail(u, first)
    # the tail is known to rounding at u and at its image; divided by the slope at u it is a distance in u
    allowed = (2 * uncertain(u, first) + 2 * uncertain(image, last)) / torch.exp(log_density(u, first) - value)
    assert ((back - u).abs() <= allowed).all(), ((back - u).abs() / allowed).max()


@examples(30)
@given(hard, spans(), st.integers(0, 999))
def test_the_flow_over_two_stretches_is_the_flow_over_both(law, span, seed):
    dim, middle = len(law.arrays["condition"]), (span.t_max + span.t_min) / 2
    denoiser = law.problem(span, np.zeros((1, dim))).denoiser
    x_T = span.made.sigma(span.t_max) * torch.from_numpy(np.random.default_rng(seed).standard_normal((6, dim)))
    with torch.no_grad():
        whole = flow(denoiser, x_T, span.t_max, span.t_min)
        parts = flow(denoiser, flow(denoiser, x_T, span.t_max, middle), middle, span.t_min)
        last = denoiser.components(span.t_min)
        u, v = whole @ denoiser.rotation, parts @ denoiser.rotation
        mid = flow(denoiser, x_T, span.t_max, middle) @ denoiser.rotation
        start = x_T @ denoiser.rotation
        known = uncertain(u, last) + 2 * uncertain(mid, denoiser.components(middle))
        known += uncertain(start, denoiser.components(span.t_max))
        value, upper = tail(u, last)
        error = (log_tail(v, last, upper) - value).abs()
    assert (error <= known).all(), (error / known).max()


@examples(20)
@given(crossings())
def test_the_slope_of_transport_is_the_ratio_of_densities(crossing):
    first, last, u = crossing
    u = u.clone().requires_grad_()
    image, _ = transport(u, first, last)
    (slope,) = torch.autograd.grad(image.sum(), u)
    image = image.detach()
    expected = torch.exp(log_density(u, first) - log_density(image, last))
    # the slope of log p_last at the image, times what is not known of the image
    step = uncertain(image, last) / torch.exp(log_density(image, last) - tail(image, last)[0])
    steep = (image[..., None] - last[1]).abs().amax(-1) / last[2].amin(-1) + 1
    sure = step * steep < 1e-3
    assert torch.isfinite(expected[sure]).all() and (slope[sure] > 0).all()
    error = (slope / expected - 1).abs()[sure]
    assert (error <= 1e-9 + 4 * (step * steep)[sure]).all(), error.max()


def test_the_bound_holds_on_the_separatrix_of_a_symmetric_law():
    zero, log_std = np.zeros((1, 2)), np.full((1, 2), np.log(0.2))
    law = Law("product-mixture", {"condition": np.zeros(1), "means": np.array([[-10.0, 10.0]]), "log_std": log_std})
    law = law.but(logits=zero, rotation=np.eye(1), target=np.zeros(1), weight=np.ones(1))
    denoiser = law.problem(Span("vp-linear", 1.0, 0.01), np.zeros((1, 1))).denoiser
    image, bound = flow_with_bound(denoiser, torch.zeros(1, 1).double(), 1.0, 0.01)
    assert image.abs().item() <= bound
