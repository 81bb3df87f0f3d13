"""AlignProp as TRL trains it: its step, written out, against four lines of gradbench; one LoRA gradient.

What `AlignPropTrainer` of TRL 0.23.1 does in a step, in its own order (`pipeline_step_with_grad`, `scheduler_step` and
`calculate_loss`): both halves of the guided batch go through the U-Net under torch.utils.checkpoint; the network's
output is detached if the step's number is below a random one, drawn anew at every step from 0..N
(`truncated_backprop_rand`), or below a fixed one; guidance; a step of DDIM with eta = 1 by its own arithmetic; at the
end the decoder, and `image_processor.postprocess`, which clamps x / 2 + 1/2 to [0, 1]; the loss is 10 minus the mean
reward of the images. TRL draws one number for the batch, gradbench one for each sample: the plan is given here.
"""

import random

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

import gradbench
from gradbench.estimators.pathwise import truncation
from gradbench.models.lora import add_lora
from gradbench.models.stable_diffusion import TINY, random_pipeline

STEPS, GUIDANCE, BATCH, PROMPT = 6, 5.0, 2, "a red truck"


def reward(images):
    assert images.min() >= 0 and images.max() <= 1
    return torch.sin(7 * images).flatten(1).mean(1)


def pipeline():
    pipe = random_pipeline(TINY).to(torch.float64)
    pipe.scheduler.alphas_cumprod = pipe.scheduler.alphas_cumprod.double()
    pipe.scheduler.final_alpha_cumprod = pipe.scheduler.alphas_cumprod[0]
    with torch.no_grad():  # so that some pixels are beyond [0, 1], where the clamp has no gradient
        pipe.vae.decoder.conv_out.weight *= 4
    return pipe, add_lora(pipe.unet, rank=2, seed=0, scale=0.3)


def scheduler_step(scheduler, noise_pred, timestep, sample, eta, variance_noise):
    """TRL's step of DDIM, without the log-probability, which AlignProp does not read."""
    prev_timestep = timestep - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    alpha = scheduler.alphas_cumprod[timestep]
    alpha_prev = scheduler.alphas_cumprod[prev_timestep] if prev_timestep >= 0 else scheduler.final_alpha_cumprod
    beta, beta_prev = 1 - alpha, 1 - alpha_prev
    pred_original_sample = (sample - beta**0.5 * noise_pred) / alpha**0.5
    std_dev_t = eta * ((beta_prev / beta) * (1 - alpha / alpha_prev)) ** 0.5
    pred_sample_direction = (1 - alpha_prev - std_dev_t**2) ** 0.5 * noise_pred
    return alpha_prev**0.5 * pred_original_sample + pred_sample_direction + std_dev_t * variance_noise


def trls_step(pipe, latents, noises, detached):
    """The loss of one update; detached: whether the network's output is, for step i."""
    text, null = pipe.encode_prompt(PROMPT, "cpu", 1, True)
    prompt_embeds = torch.cat([null.repeat(BATCH, 1, 1), text.repeat(BATCH, 1, 1)])
    pipe.scheduler.set_timesteps(STEPS)
    for i, t in enumerate(pipe.scheduler.timesteps):
        both = torch.cat([latents] * 2)
        noise_pred = checkpoint(pipe.unet, both, t, encoder_hidden_states=prompt_embeds, use_reentrant=False)[0]
        if detached(i):
            noise_pred = noise_pred.detach()
        noise_pred_uncond, noise_pred_text = noise_pred.chunk(2)
        noise_pred = noise_pred_uncond + GUIDANCE * (noise_pred_text - noise_pred_uncond)
        latents = scheduler_step(pipe.scheduler, noise_pred, t, latents, 1.0, noises[i])
    image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]
    image = pipe.image_processor.postprocess(image, output_type="pt", do_denormalize=[True] * BATCH)
    return 10.0 - torch.mean(reward(image))


def normal(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def joined(grads):
    return torch.cat([g.flatten() for g in grads])


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


def planned(monkeypatch, drawn):
    """gradbench's law with TRL's draws: the mask of step i is the same for all samples."""
    mask = np.arange(STEPS)[:, None] >= np.array(drawn)[:, None]

    def draw(self, chain, samples, random):
        return self.plan(np.repeat(mask, samples, 1), np.full((chain.steps, samples), True))

    monkeypatch.setattr(truncation.StepMask, "draw", draw)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_truncation_as_trl_has_it(seed, monkeypatch):
    pipe, lora = pipeline()
    x_T, noises = normal(BATCH, 4, 8, 8), normal(STEPS, BATCH, 4, 8, 8)
    own = random.Random(seed)
    drawn = [own.randint(0, STEPS) for _ in range(STEPS)]
    loss = trls_step(pipe, x_T, noises, lambda i: i < drawn[i])
    theirs = joined(torch.autograd.grad(loss, lora))

    planned(monkeypatch, drawn)
    parts = gradbench.from_pipeline(pipe, PROMPT, guidance=GUIDANCE)
    options = {"sampler": "ddim[eta=1]", "gradient": "alignprop[law=released-v1]", "noise": noises}
    x_0 = gradbench.sample(parts.denoiser, x_T, grid=parts.grid(STEPS), wrt=lora, **options)
    ours = 10.0 - reward(parts.decoder(x_0).clamp(0, 1)).mean()

    assert ours.item() == pytest.approx(loss.item(), rel=1e-9)
    assert theirs.norm() > 0 and relative(joined(torch.autograd.grad(ours, lora)), theirs) < 1e-9


def test_the_whole_chain_without_truncation():
    pipe, lora = pipeline()
    x_T, noises = normal(BATCH, 4, 8, 8), normal(STEPS, BATCH, 4, 8, 8)
    theirs = joined(torch.autograd.grad(trls_step(pipe, x_T, noises, lambda i: False), lora))
    parts = gradbench.from_pipeline(pipe, PROMPT, guidance=GUIDANCE)
    x_0 = gradbench.sample(parts.denoiser, x_T, grid=parts.grid(STEPS), sampler="ddim[eta=1]", noise=noises, wrt=lora)
    ours = joined(torch.autograd.grad(10.0 - reward(parts.decoder(x_0).clamp(0, 1)).mean(), lora))
    assert relative(ours, theirs) < 1e-9


def test_the_clamp_is_a_part_of_it():
    """Some pixels lie beyond [0, 1]: without the clamp the gradient would differ."""
    pipe, lora = pipeline()
    parts = gradbench.from_pipeline(pipe, PROMPT, guidance=GUIDANCE)
    with torch.no_grad():
        images = parts.decoder(
            gradbench.sample(parts.denoiser, normal(BATCH, 4, 8, 8), grid=parts.grid(STEPS), wrt=lora)
        )
    assert (images.clamp(0, 1) != images).float().mean() > 0.001


@pytest.mark.parametrize("fixed", [2, STEPS - 1])
def test_fixed_truncation_is_a_mask_too_and_no_cut(fixed, monkeypatch):
    """`truncated_backprop_timestep`: steps before it are detached, and the cotangent goes on around them."""
    pipe, lora = pipeline()
    x_T, noises = normal(BATCH, 4, 8, 8), normal(STEPS, BATCH, 4, 8, 8)
    theirs = joined(torch.autograd.grad(trls_step(pipe, x_T, noises, lambda i: i < fixed), lora))
    planned(monkeypatch, [fixed] * STEPS)
    parts = gradbench.from_pipeline(pipe, PROMPT, guidance=GUIDANCE)
    options = {"sampler": "ddim[eta=1]", "gradient": "alignprop[law=released-v1]", "noise": noises}
    x_0 = gradbench.sample(parts.denoiser, x_T, grid=parts.grid(STEPS), wrt=lora, **options)
    ours = joined(torch.autograd.grad(10.0 - reward(parts.decoder(x_0).clamp(0, 1)).mean(), lora))
    assert relative(ours, theirs) < 1e-9
