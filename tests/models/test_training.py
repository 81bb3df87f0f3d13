"""A training loop around `gradbench.sample`: accumulation, half precision, autocast, optimizers, changes in place."""

import pytest
import torch
from diffusers.training_utils import cast_training_params
from peft import LoraConfig

import gradbench
from gradbench.models.lora import ATTENTION, add_lora
from gradbench.models.stable_diffusion import TINY, random_pipeline
from gradbench.problems.gradients import relative_error

STEPS = 3


def tiny(dtype, prompt="a cat"):
    """The tiny pipeline's parts and its LoRA weights, which are in float32 when the networks are in half precision."""
    pipe = random_pipeline(TINY)
    add_lora(pipe.unet, rank=2, seed=0, scale=0.3)
    pipe.to(dtype)
    if dtype.itemsize < 4:
        cast_training_params(pipe.unet)
    lora = tuple(parameter for parameter in pipe.unet.parameters() if parameter.requires_grad)
    return pipe, gradbench.from_pipeline(pipe, prompt), lora


def rewards(parts, x_T, lora, gradient="checkpoint"):
    """(b): a smooth reward of the decoded images."""
    x_0 = gradbench.sample(parts.denoiser, x_T, grid=parts.grid(STEPS), gradient=gradient, wrt=lora)
    return parts.decoder(x_0).sin().mean((1, 2, 3))


def taken(lora):
    """The accumulated gradients, which are cleared."""
    grads = tuple(parameter.grad for parameter in lora)
    for parameter in lora:
        parameter.grad = None
    return grads


@pytest.fixture(scope="module")
def double():
    return tiny(torch.float64)


@pytest.mark.parametrize("gradient", ["checkpoint", "adjoint-deis"])
def test_gradients_of_two_half_batches_sum_to_that_of_the_whole(double, gradient):
    _, parts, lora = double
    x_T = parts.noise(4)
    rewards(parts, x_T, lora, gradient).sum().backward()
    whole = taken(lora)
    for half in x_T.chunk(2):
        rewards(parts, half, lora, gradient).sum().backward()
    assert relative_error(taken(lora), whole) < 1e-13


def test_gradients_of_two_prompts_sum_to_that_of_a_batch_of_both(double):
    pipe, cat, lora = double
    dog = gradbench.from_pipeline(pipe, "a dog")
    both = gradbench.from_pipeline(pipe, "a cat")
    both.denoiser.condition = torch.cat([cat.denoiser.condition, dog.denoiser.condition])
    x_T = cat.noise(2)
    rewards(both, x_T, lora).sum().backward()
    whole = taken(lora)
    for parts, x in zip((cat, dog), x_T.chunk(2), strict=True):
        rewards(parts, x, lora).sum().backward()
    assert relative_error(taken(lora), whole) < 1e-13


def test_the_unscaled_gradient_of_a_scaled_loss_is_that_of_the_plain_loss():
    _, parts, lora = tiny(torch.float32)
    x_T = parts.noise(2)
    rewards(parts, x_T, lora).mean().backward()
    plain = taken(lora)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    scaler.scale(rewards(parts, x_T, lora).mean()).backward()
    scaler.unscale_(torch.optim.SGD(lora))
    assert all(torch.equal(a, b) for a, b in zip(taken(lora), plain, strict=True))  # powers of two round nothing


@pytest.fixture(scope="module")
def half():
    return tiny(torch.float16)


def test_a_scale_that_overflows_float16_skips_the_step_and_is_halved(half):
    _, parts, lora = half
    before = [parameter.detach().clone() for parameter in lora]
    optimizer, scaler = torch.optim.SGD(lora, lr=1.0), torch.amp.GradScaler("cpu", init_scale=2.0**40)
    scaler.scale(rewards(parts, parts.noise(1), lora).mean()).backward()
    scaler.step(optimizer)
    scaler.update()
    taken(lora)
    assert all(torch.equal(a, b) for a, b in zip(lora, before, strict=True)) and scaler.get_scale() == 2.0**39


def test_a_gradient_that_float16_rounds_to_nothing_is_there_when_the_loss_is_scaled(half):
    _, single, weights = tiny(torch.float32)
    rewards(single, single.noise(1), weights).mean().backward()
    exact = tuple(1e-4 * gradient for gradient in taken(weights))
    _, parts, lora = half
    errors = []
    for scale in (1.0, 2.0**16):
        (scale * 1e-4 * rewards(parts, parts.noise(1), lora).mean()).backward()
        errors.append(relative_error(tuple(gradient / scale for gradient in taken(lora)), exact))
    assert errors[0] == 1.0 and errors[1] < 0.01


def test_autocast_gives_checkpointing_the_gradient_that_backpropagation_has():
    _, parts, lora = tiny(torch.float32)
    found = []
    for gradient in ("backprop", "checkpoint"):
        with torch.autocast("cpu", torch.bfloat16):
            reward = rewards(parts, parts.noise(1), lora, gradient).mean()
        reward.backward()
        found.append(taken(lora))
    assert relative_error(found[1], found[0]) < 1e-6
    rewards(parts, parts.noise(1), lora).mean().backward()
    assert 1e-3 < relative_error(found[1], taken(lora)) < 0.1  # bfloat16's own error


def test_three_updates_by_adam_end_where_those_by_backpropagation_end():
    ends = []
    for gradient in ("backprop", "checkpoint"):
        _, parts, lora = tiny(torch.float64)
        optimizer = torch.optim.AdamW(lora, lr=1e-2)
        for seed in range(3):
            (-rewards(parts, parts.noise(1, seed=seed), lora, gradient).mean()).backward()
            optimizer.step()
            optimizer.zero_grad()
        ends.append(lora)
    assert relative_error(ends[1], ends[0]) < 1e-10


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "revolve", "adjoint-deis", "torchdiffeq-adjoint"])
def test_parameters_changed_in_place_before_the_backward_pass_are_an_error(gradient):
    _, parts, lora = tiny(torch.float32)
    reward = rewards(parts, parts.noise(1), lora, gradient).mean()
    reward.backward(retain_graph=True)
    torch.optim.SGD(lora, lr=1.0).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation|was changed between the sample and"):
        reward.backward()


def test_noise_changed_in_place_before_the_backward_pass_is_an_error():
    _, parts, _ = tiny(torch.float32)
    x_T = parts.noise(1).requires_grad_()
    for parameter in parts.denoiser.parameters():
        parameter.requires_grad_(False)
    reward = rewards(parts, x_T, ()).mean()
    with torch.no_grad():
        x_T.mul_(1.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        reward.backward()


def test_inner_checkpointing_changes_no_bit_of_the_gradient():
    pipe, parts, lora = tiny(torch.float32)
    found = []
    for inner in (False, True):
        parts = gradbench.from_pipeline(pipe, "a cat", inner_checkpointing=inner)
        rewards(parts, parts.noise(1), lora).mean().backward()
        found.append(taken(lora))
    assert pipe.unet.is_gradient_checkpointing and all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_with_peft_s_own_beginning_only_one_factor_has_a_gradient():
    pipe = random_pipeline(TINY)
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=list(ATTENTION)))
    parts = gradbench.from_pipeline(pipe, "a cat")
    lora = {name: parameter for name, parameter in pipe.unet.named_parameters() if parameter.requires_grad}
    rewards(parts, parts.noise(1), tuple(lora.values())).mean().backward()
    assert all((p.grad.abs().max() > 0) == ("lora_B" in name) for name, p in lora.items())
