"""Every network class in the table of conventions against the loop of its own pipeline, sample and gradient."""

import diffusers
import pytest
import torch

import gradbench
from gradbench.models.conventions import CONVENTIONS
from tests.models import tiny
from tests.models.nets import NETS, made, normal

BATCH, STEPS, TOLERANCE = 2, 3, 1e-6


def expanded(tree, batch, shared):
    def rows(value):
        return value.expand(batch, *value.shape[1:]) if isinstance(value, torch.Tensor) else value

    return {k: v if k in shared else rows(v) for k, v in tree.items()}


def scheduler_of(net):
    if net.flow:
        return diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    own = tiny.ddim()
    own.alphas_cumprod = own.alphas_cumprod.double()
    own.final_alpha_cumprod = own.alphas_cumprod[0]
    return own


def pipelines_loop(net, model, x, text):
    """As the pipeline of the class has it: the scheduler's timestep in its own convention, the answer with its sign."""
    scheduler = scheduler_of(net)
    scheduler.set_timesteps(STEPS)
    words = {} if text is None else {"encoder_hidden_states": text.expand(BATCH, -1, -1)}
    for k, t in enumerate(scheduler.timesteps):
        time = net.time(t.double() if t.is_floating_point() else t).expand(BATCH)
        given = {net.sample: x, "timestep": time, **words, **expanded(net.extra, BATCH, net.shared)}
        answer = net.sign * model(**given, return_dict=False)[0]
        if answer.shape[1] == 2 * x.shape[1]:
            answer = answer.chunk(2, dim=1)[0]
        if net.flow:
            x = x + float(scheduler.sigmas[k + 1] - scheduler.sigmas[k]) * answer
        else:
            x = scheduler.step(answer, t, x).prev_sample
    return x


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("name", NETS)
def test_the_sample_and_its_gradient_are_those_of_the_pipelines_loop(name):
    net, model = NETS[name], made(name, **NETS[name].config)
    x = normal(BATCH, *net.shape, seed=1).requires_grad_()
    text = None if net.text is None else normal(1, *net.text, seed=2).requires_grad_()
    leaves = [x] if text is None else [x, text]
    theirs = pipelines_loop(net, model, x, text)
    scheduler = scheduler_of(net)
    denoiser = gradbench.diffusers_denoiser(model, scheduler, text, batched=True, extra=net.extra)
    sampler = "flow-euler" if net.flow else "ddim"
    ours = gradbench.sample(denoiser, x, sampler=sampler, grid=gradbench.grid_of(scheduler, STEPS), wrt=leaves[1:])
    assert relative(ours, theirs) < TOLERANCE
    for mine, other in zip(*(torch.autograd.grad(s.square().sum(), leaves) for s in (ours, theirs)), strict=True):
        assert other.norm() > 0 and relative(mine, other) < TOLERANCE


def test_every_class_in_the_table_is_held_against_its_pipeline():
    apart = {"UNetSpatioTemporalConditionModel", "ZImageTransformer2DModel"}  # tests of their own below
    assert set(CONVENTIONS) == set(NETS) | apart
