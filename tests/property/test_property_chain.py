"""The chain: charts, clocks and parametrisations that must not matter, and the two ways to its exact gradient."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from leaves import LEAVES, agree, examples, named, run, slack
from torch import nn

import gradbench
from gradbench.diffusion.chart import CHARTS
from gradbench.diffusion.denoiser import PREDICTIONS, NetworkDenoiser
from gradbench.diffusion.grid import make_grid
from gradbench.diffusion.schedule import Schedule
from gradbench.diffusion.sde_chart import make_chart
from gradbench.problems.problem import Problem
from gradbench.samplers.rollout import Rollout
from gradbench.samplers.spec import sampler_spec
from gradbench.testing.strategies import Span, numbers, situations


@pytest.mark.parametrize("chart", CHARTS)
@examples(10)
@given(situations(names=("gaussian", "product-mixture")))
def test_the_converged_chain_has_the_gradient_of_the_flow_in_every_chart(chart, problem):
    law, span, x_T = problem
    coarse, middle, fine = (
        run(law, span, x_T, f"rk4[chart={chart},grid=uniform-log-snr]", steps) for steps in (12, 24, 48)
    )
    exact = run(law, span, x_T, "flow")
    # an error that at least halves with each doubling is below the change; two changes, as one may vanish by chance
    change = {k: torch.maximum((fine[k] - middle[k]).norm(), (middle[k] - coarse[k]).norm()) for k in exact}
    rounding = slack(law, span, x_T, "flow")
    agree(fine, exact, {k: change[k] + rounding[k] for k in exact})
    agree(fine, exact, {k: 1e-3 * (1 + exact[k].norm()) for k in exact})


@dataclass(frozen=True)
class Warped(Schedule):
    """Another schedule with its time t = s (1 + a s / end) / (1 + a), s in [0, end]."""

    base: Schedule
    a: float
    name = "warped"

    @property
    def t_end(self):
        return self.base.t_end

    def t(self, s):
        return s * (1 + self.a * s / self.t_end) / (1 + self.a)

    def pace(self, s):
        return (1 + 2 * self.a * s / self.t_end) / (1 + self.a)

    def s(self, t):
        root = (1 + 4 * self.a * (1 + self.a) * t / self.t_end) ** 0.5
        return min(self.t_end, 2 * (1 + self.a) * t / (1 + root))  # rounding may step over the end

    def alpha(self, t):
        return self.base.alpha(self.t(t))

    def sigma(self, t):
        return self.base.sigma(self.t(t))

    def dalpha(self, t):
        return self.pace(t) * self.base.dalpha(self.t(t))

    def dsigma(self, t):
        return self.pace(t) * self.base.dsigma(self.t(t))

    def log_snr(self, t):
        return self.base.log_snr(self.t(t))

    def t_of_log_snr(self, log_snr):
        return self.s(self.base.t_of_log_snr(log_snr))


def on_grid(problem, grid):
    """Gradients and sample of the problem's chain on a given grid."""
    chart = make_chart(problem.sampler.chart, problem.denoiser.schedule)
    grads, x_0, _ = problem.differentiate(Rollout(problem.denoiser, chart, problem.sampler.rule, grid).sample)
    return grads, x_0


@pytest.mark.parametrize("sampler", ["ddim", "heun[chart=angle]", "rk4[chart=data]", "ab2", "dpm++2m"])
@examples(15)
@given(situations(), numbers(0, 3))
def test_the_chain_does_not_see_how_time_is_labelled(sampler, problem, a):
    law, span, x_T = problem
    warped = Warped(span.made, a)
    there = Span(warped, warped.s(span.t_max), warped.s(span.t_min))
    grid = make_grid("uniform-t", span.made, 8, span.t_max, span.t_min)
    grads, x_0 = on_grid(law.problem(span, x_T, sampler), grid)
    got, sample = on_grid(law.problem(there, x_T, sampler), tuple(map(warped.s, grid)))
    assert torch.allclose(sample, x_0, rtol=1e-10, atol=1e-12 * (1 + x_T.abs().max().item()))
    agree(named(law, got), named(law, grads), slack(law, span, x_T, sampler))


@examples(15)
@given(situations(names=("gaussian", "product-mixture", "dirac"), reach=6.0), numbers(0, 3))
def test_the_flow_does_not_see_how_time_is_labelled(problem, a):
    law, span, x_T = problem
    warped = Warped(span.made, a)
    there = Span(warped, warped.s(span.t_max), warped.s(span.t_min))
    agree(run(law, there, x_T, "flow"), run(law, span, x_T, "flow"), slack(law, span, x_T, "flow"))


class LawNetwork(nn.Module):
    """A network with a law's exact prediction, called with the schedule's time index like other networks."""

    def __init__(self, law, kind):
        super().__init__()
        self.law, self.kind = law, kind

    def forward(self, x, time, condition):
        return getattr(self.law.predict(x, time.item()), self.kind)


@pytest.mark.parametrize("kind", PREDICTIONS)
@examples(15)
@given(situations(), st.sampled_from(["ddim", "heun[chart=angle]", "midpoint[chart=data]", "euler"]))
def test_what_a_network_predicts_does_not_matter(kind, problem, sampler):
    law, span, x_T = problem
    own = law.problem(span, x_T, sampler)
    wrapped = Problem(
        NetworkDenoiser(LawNetwork(own.denoiser, kind), span.made, kind=kind, told="t"),
        sampler_spec(sampler),
        own.steps,
        span.t_max,
        span.t_min,
        x_T,
        own.objective,
        own.targets,
        own.condition,
        own.parameters,
    )
    expected = named(law, own.sampler_gradient())
    agree(named(law, wrapped.sampler_gradient()), expected, slack(law, span, x_T, sampler))


@pytest.mark.parametrize("sampler", ["ddim", "rk4"])
@examples(15)
@given(situations(reach=8.0, log_std=(-6, 1), means=(-6, 6)))
def test_checkpoint_is_backprop_bit_for_bit_in_x_T_for_every_law(sampler, problem):
    law, span, x_T = problem
    own = law.problem(span, x_T, sampler)
    plain, checkpointed = (gradbench.estimator(name)(own).grads for name in ("backprop", "checkpoint"))
    assert torch.isfinite(plain["x_T"]).all() and torch.equal(plain["x_T"], checkpointed["x_T"])


@examples(15)
@given(situations(names=tuple(LEAVES), reach=8.0, log_std=(-6, 1), means=(-6, 6)))
def test_a_gradient_is_the_same_for_whatever_targets_are_asked(problem):
    law, span, x_T = problem
    whole = gradbench.estimator("checkpoint")(law.problem(span, x_T)).grads
    for target in ("x_T", "condition"):
        alone = gradbench.estimator("checkpoint")(law.problem(span, x_T, targets=(target,))).grads
        assert list(alone) == [target] and torch.equal(alone[target], whole[target])
