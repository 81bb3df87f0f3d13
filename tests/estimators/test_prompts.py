"""One prompt per sample: truncated estimators against a loop over samples, written out."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import gradbench
from gradbench.diffusion.noise import KeyedNoise
from gradbench.estimators.monte_carlo.base import STREAM, layout
from gradbench.problems.gradients import relative_error
from gradbench.problems.problem import Problem
from gradbench.samplers.spec import sampler_spec

B, N, D = 3, 6, 5
LAWS = [
    *("alignprop", "alignprop[law=released-v1]", "shortcut"),
    *("refl[window=4]", "drtune[k=2]", "drtune[k=2,early=2]", "draft[k=3]"),
]
CUT = ("refl[window=4]", "draft[k=3]")  # x_T is not reached


class Network(torch.nn.Module):
    """Takes two rows of a prompt and a label per sample."""

    def __init__(self):
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.w = torch.nn.Parameter(0.4 * torch.randn(D, D, generator=g).double())
        self.c = torch.nn.Parameter(0.4 * torch.randn(4, D, generator=g).double())

    def forward(self, x, time, condition, label=None):
        told = 0.0 if condition is None else (condition @ self.c).mean(1)
        return torch.tanh(x @ self.w + told + time / 1000) + (0.0 if label is None else 0.3 * label["of"] * x)


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def kinds():
    one = {"condition": normal(B, 2, 4, seed=1).requires_grad_(), "batched": True}
    label = {"extra": {"label": {"of": normal(B, 1, seed=2)}}}
    null = {"null_condition": normal(B, 2, 4, seed=3), "guidance": 2.5}
    return {
        "prompts": one,
        "one null prompt": {**one, "guidance": 2.5, "null_condition": normal(1, 2, 4, seed=3)},
        "labels": label,
        "prompts and labels": {**one, **null, **label, "null_extra": {"label": {"of": normal(B, 1, seed=4)}}},
    }


def made(kind):
    network = Network()
    options = kinds()[kind]
    read = [options["condition"], network.c] if "condition" in options else []
    network.c.requires_grad_(bool(read))
    return gradbench.NetworkDenoiser(network, "scaled-linear", **options), [*read, network.w]


def row(told, i):
    """The inputs of sample i alone."""
    if isinstance(told, dict):
        return {name: row(value, i) for name, value in told.items()}
    return None if told is None else told if len(told) == 1 else told[i : i + 1]


def eps_of(denoiser, x, t, i):
    network, index = denoiser.network, denoiser.schedule.index(t)
    found = network(x, index, row(denoiser.condition, i), **row(denoiser.extra, i))
    if denoiser.guidance == 1.0:
        return found
    null = network(x, index, row(denoiser.null_condition, i), **row(denoiser.null_extra, i))
    return null + denoiser.guidance * (found - null)


def by_sample(denoiser, plan, x_T, grid, noise=None, eta=0.0):
    """x_0 sample by sample, eps detached where the plan has it so, the state where the plan cuts."""
    schedule, ends = denoiser.schedule, []
    for i in range(len(x_T)):
        x = x_T[i : i + 1]
        for k, (t, after) in enumerate(zip(grid, grid[1:], strict=False)):
            if k == plan.stop[i]:
                break
            if not plan.alive[k, i]:
                x = x.detach()
            eps = eps_of(denoiser, x if plan.through.all() else x.detach(), t, i % B)
            eps = eps if plan.active[k, i] else eps.detach()
            s_0, s_1, ratio = schedule.sigma(t), schedule.sigma(after), schedule.alpha(after) / schedule.alpha(t)
            std = eta * s_1 * (1 - (s_0 / schedule.alpha(t)) ** -2 * (s_1 / schedule.alpha(after)) ** 2) ** 0.5
            moved = ratio * x + ((s_1**2 - std**2) ** 0.5 - ratio * s_0) * eps
            x = moved if noise is None else moved + std * noise[k][i : i + 1]
        if plan.stop[i] < len(grid) - 1:
            t = grid[plan.stop[i]]
            eps = eps_of(denoiser, x if plan.through.all() else x.detach(), t, i % B)
            eps = eps if plan.active[plan.stop[i], i] else eps.detach()
            x = (x - schedule.sigma(t) * eps) / schedule.alpha(t)
        ends.append(x)
    return torch.cat(ends)


def for_batches(plans, draws, random):
    """One plan for the whole batch of each draw, since a network evaluates whole batches."""
    return plans.draw(SimpleNamespace(steps=N), draws, random).of(np.repeat(np.arange(draws), B))


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("gradient", LAWS)
def test_a_sample_with_its_own_prompt_is_the_loop_over_samples(kind, gradient):
    denoiser, leaves = made(kind)
    x_T, weight = normal(B, D, seed=5).requires_grad_(gradient not in CUT), normal(B, D, seed=6)
    grid = [1.0 + (0.02 - 1.0) * k / N for k in range(N + 1)]
    torch.manual_seed(11)
    x_0 = gradbench.sample(denoiser, x_T, steps=N, t_min=0.02, wrt=leaves, gradient=gradient)
    torch.manual_seed(11)
    plans = gradbench.estimator(gradient).plans
    random = np.random.default_rng(int(torch.randint(1 << 62, ())) if plans.random else 0)
    plan = for_batches(plans, 1, random)
    expected = by_sample(denoiser, plan, x_T, grid)
    assert relative_error(x_0, expected) < 1e-12
    wanted = [*([x_T] if x_T.requires_grad else []), *leaves]
    got, right = (
        torch.autograd.grad((weight * x**2).sum(), wanted, allow_unused=True, retain_graph=True)
        for x in (x_0, expected)
    )
    for a, b in zip(got, right, strict=True):
        a, b = (torch.zeros(1) if g is None else g for g in (a, b))
        assert not b.any() and not a.any() or relative_error(a, b) < 1e-12


class Weighted(torch.nn.Module):
    def forward(self, x):
        return (x**3 + x).sum(1)


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("gradient", LAWS)
def test_draws_repeat_the_prompts_with_the_samples(kind, gradient):
    denoiser, leaves = made(kind)
    condition, parameters = denoiser.condition, tuple(leaf for leaf in leaves if leaf is not denoiser.condition)
    targets = ("parameters",) if condition is None else ("condition", "parameters")
    targets = targets if gradient in CUT else ("x_T", *targets)
    spec, draws = sampler_spec("ddim[eta=1]"), 8
    problem = Problem(denoiser, spec, N, 1.0, 0.02, normal(B, D, seed=5), Weighted(), targets, condition, parameters)
    estimator = gradbench.estimator(gradient, draws=draws)
    found = estimator(problem)
    count, size = layout(draws, B * D)
    total, leaves = None, [*([] if condition is None else [condition]), *parameters]
    x_T = problem.x_T.clone().requires_grad_()
    for index in range(count):
        key = np.random.SeedSequence(problem.seed, spawn_key=(STREAM, index))
        plan = for_batches(estimator.plans, size, np.random.default_rng(key))
        noise = KeyedNoise(problem.seed, (size * B, D), torch.float64, torch.device("cpu"), (STREAM, index))
        rows = [noise(k) for k in range(N)]
        x_0 = by_sample(denoiser, plan, x_T.repeat(size, 1), problem.rollout.grid, rows, eta=1.0)
        value = problem.objective(x_0).sum() / (count * size)
        grads = torch.autograd.grad(value, [x_T, *leaves], allow_unused=True)
        grads = [torch.zeros_like(p) if g is None else g for g, p in zip(grads, [x_T, *leaves], strict=True)]
        total = grads if total is None else [a + b for a, b in zip(total, grads, strict=True)]
    got = [found.grads.get("x_T", torch.zeros_like(x_T))]
    got += [] if condition is None else [found.grads["condition"]]
    got += [*found.grads["parameters"]]
    for a, b in zip(got, total, strict=True):
        assert not b.any() and not a.any() or relative_error(a, b) < 1e-12


DRAWN = (
    *("reinforce", "rlr", "ddpo[stale=0.001]", "draft-lv[n=2]", "alignprop[law=unbiased]", "adjoint-matching"),
    *("spsa", "evolution-strategies", "forward-gradient"),
)


@pytest.mark.parametrize("gradient", DRAWN)
def test_the_same_prompt_said_to_every_sample_is_the_one_prompt_for_all(gradient):
    found, one = [], normal(2, 4, seed=1)
    for batched in (False, True):
        network = Network()
        told = one.expand(B, 2, 4).clone() if batched else one.clone()
        denoiser = gradbench.NetworkDenoiser(network, "scaled-linear", condition=told, batched=batched)
        spec, parameters = sampler_spec("ddim[eta=1]"), tuple(network.parameters())
        x_T, targets = normal(B, D, seed=5), ("x_T", "parameters")
        problem = Problem(denoiser, spec, N, 1.0, 0.02, x_T, Weighted(), targets, told, parameters)
        found.append(gradbench.estimator(gradient, draws=8)(problem).grads)
    for target in found[0]:
        assert relative_error(found[1][target], found[0][target]) < 1e-10


@pytest.mark.parametrize("gradient", ["alignprop", "shortcut", "drtune[k=2]"])
def test_dropout_is_drawn_for_the_whole_batch_again(gradient):
    class Dropped(Network):
        def forward(self, x, time, condition):
            return super().forward(torch.nn.functional.dropout(x, 0.5, self.training), time, condition)

    network, x_T = Dropped(), normal(B, D, seed=5)
    denoiser = gradbench.NetworkDenoiser(network, "scaled-linear", condition=normal(2, 4, seed=1))
    leaves, plans = list(network.parameters()), gradbench.estimator(gradient).plans
    grid = [1.0 + (0.02 - 1.0) * k / N for k in range(N + 1)]
    torch.manual_seed(12)
    x_0 = gradbench.sample(denoiser, x_T, steps=N, t_min=0.02, wrt=leaves, gradient=gradient)
    torch.manual_seed(12)
    plan = for_batches(plans, 1, np.random.default_rng(int(torch.randint(1 << 62, ()))))
    x, kept = x_T, torch.from_numpy(plan.active).double()[..., None]
    cut = torch.from_numpy(plan.alive).double()[..., None]
    for k, (t, after) in enumerate(zip(grid, grid[1:], strict=False)):
        x = cut[k] * x + (1 - cut[k]) * x.detach()
        eps = denoiser.field(x if plan.through.all() else x.detach(), t, (0.0, 1.0))
        eps = kept[k] * eps + (1 - kept[k]) * eps.detach()
        schedule = denoiser.schedule
        ratio = schedule.alpha(after) / schedule.alpha(t)
        x = ratio * x + (schedule.sigma(after) - ratio * schedule.sigma(t)) * eps
    assert relative_error(x_0, x) < 1e-12
    got, right = (torch.autograd.grad((y**2).sum(), leaves) for y in (x_0, x))
    assert relative_error(got, right) < 1e-12
