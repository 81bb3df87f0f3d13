"""Families of pipelines: what Flux does as its own pipeline does it, and embeddings in place of texts.

The others are compared with their pipelines in `support`.
"""

import numpy as np
import pytest
import torch

import gradbench
from gradbench.models.families import EMBEDDINGS, FAMILIES, pack, times_of, unpack
from gradbench.models.lora import add_lora
from tests.models import tiny

PROMPT, STEPS, SIZE = "an astronaut riding a horse", 3, 16


@pytest.fixture(scope="module")
def pipes():
    return {guided: tiny.flux_pipeline(guided) for guided in (True, False)}


@pytest.mark.parametrize(("guided", "scale"), [(True, None), (True, 2.0), (False, None)])
def test_the_sample_is_the_pipelines(pipes, guided, scale):
    pipe = pipes[guided]
    pipe.set_progress_bar_config(disable=True)
    parts = gradbench.from_pipeline(pipe, PROMPT, guidance=scale, height=SIZE, width=SIZE)
    z = parts.latents(2)
    given = {} if scale is None else {"guidance_scale": scale}
    with torch.no_grad():
        ours = gradbench.sample(parts.denoiser, parts.noise(2), grid=parts.grid(STEPS))
        theirs = pipe(PROMPT, height=SIZE, width=SIZE, num_inference_steps=STEPS, num_images_per_prompt=2, latents=z,
                      output_type="latent", **given).images  # fmt: skip
        pictures = pipe(PROMPT, height=SIZE, width=SIZE, num_inference_steps=STEPS, num_images_per_prompt=2, latents=z,
                        output_type="np", **given).images  # fmt: skip
    assert torch.allclose(ours, theirs, atol=2e-5)
    decoded = parts.decoder(ours).clamp(0, 1).permute(0, 2, 3, 1).detach().numpy()
    assert decoded.shape[1:] == (SIZE, SIZE, 3) and np.allclose(decoded, pictures, atol=2e-5)


def by_hand(pipe, parts, x, condition, sigmas):
    """x_{k+1} = x_k + (s_{k+1} - s_k) v(x_k, s_k), with the pipeline's transformer."""
    extra = parts.denoiser.extra
    for now, after in zip(sigmas, [*sigmas[1:], 0.0], strict=True):
        at = torch.full((len(x),), now, dtype=x.dtype)
        told = {"img_ids": extra["img_ids"], "txt_ids": extra["txt_ids"], "guidance": extra["guidance"].expand(len(x))}
        pooled = extra["pooled_projections"].expand(len(x), -1)
        v = pipe.transformer(hidden_states=x, timestep=at, encoder_hidden_states=condition.expand(len(x), -1, -1),
                             pooled_projections=pooled, return_dict=False, **told)[0]  # fmt: skip
        x = x + (after - now) * v
    return x


def test_gradients_of_noise_embeddings_and_lora_are_autograds():
    pipe = tiny.flux_pipeline()
    lora = add_lora(pipe.transformer, rank=2, seed=0)
    parts = gradbench.from_pipeline(pipe, PROMPT, height=SIZE, width=SIZE)
    pipe.transformer.double()
    denoiser, grid = parts.denoiser, parts.grid(STEPS)
    denoiser.condition = denoiser.condition.double()
    denoiser.extra = {name: value.double() for name, value in denoiser.extra.items()}
    x_T = parts.noise(2).double().requires_grad_()
    leaves = [x_T, denoiser.condition.requires_grad_(), *lora]
    ours = gradbench.sample(denoiser, x_T, grid=grid, gradient="checkpoint", wrt=leaves[1:])
    theirs = by_hand(pipe, parts, x_T, denoiser.condition, list(map(float, grid[:-1])))
    for mine, other in zip(*(torch.autograd.grad((y**2).sum(), leaves) for y in (ours, theirs)), strict=True):
        assert ((mine - other).norm() / other.norm()).item() < 1e-6


def test_the_pipelines_times_are_its_sigmas_shifted_by_the_number_of_tokens(pipes):
    parts = gradbench.from_pipeline(pipes[True], PROMPT, height=SIZE, width=SIZE)
    mu = 0.5 + (1.15 - 0.5) * (16 - 256) / (4096 - 256)
    shifted = [np.exp(mu) / (np.exp(mu) + 1 / s - 1) for s in (1, 2 / 3, 1 / 3)]
    assert parts.tokens == 16 and [float(t) for t in parts.grid(3)] == pytest.approx([*shifted, 0], rel=1e-6)


def test_times_of_ones_own_stay():
    flux, config = FAMILIES["FluxPipeline"], tiny.flux_pipeline().scheduler
    assert times_of(flux, config, None, 16, {"sigmas": [1.0, 0.5], "mu": 0.3}) == {"sigmas": [1.0, 0.5], "mu": 0.3}


@pytest.mark.parametrize("made", ["flux", "sd3", "xl", "pixart_sigma", "aura_flow"])
def test_embeddings_given_are_those_of_the_prompt(made):
    pipe = getattr(tiny, f"{made}_pipeline")()
    size = {"height": SIZE, "width": SIZE}
    texts = gradbench.from_pipeline(pipe, PROMPT, **size)
    family = texts.family
    with torch.no_grad():
        found = dict(zip(family.returns, pipe.encode_prompt(PROMPT, **family.asks), strict=True))
    given = {EMBEDDINGS[key]: value for key, value in found.items() if key in EMBEDDINGS}
    parts = gradbench.from_pipeline(pipe, **given, **size)
    x = texts.noise(2)
    assert torch.equal(parts.denoiser(x, 0.5).value, texts.denoiser(x, 0.5).value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompt": PROMPT, "prompt_embeds": torch.zeros(1, 4, 32)}, "a prompt or prompt_embeds, not both"),
        ({"pooled_prompt_embeds": torch.zeros(1, 32)}, "pooled_prompt_embeds needs prompt_embeds too"),
        ({"prompt_embeds": torch.zeros(1, 4, 32)}, "prompt_embeds needs pooled_prompt_embeds too"),
        (
            {"negative_prompt_embeds": torch.zeros(1, 4, 32)},
            "unknown embedding of FluxPipeline 'negative_prompt_embeds'",
        ),
        (
            {"prompt_embeds": torch.zeros(1, 4, 32), "pooled_prompt_embeds": torch.zeros(1, 32), "encode": "on-tape"},
            "prompt_embeds are encoded already",
        ),
        ({}, "reads a prompt: give prompt="),
    ],
)
def test_half_a_prompt_is_one_line(pipes, given, message):
    with pytest.raises(ValueError, match=message):
        gradbench.from_pipeline(pipes[True], **given)


def test_embeddings_given_to_a_pipeline_without_a_prompt_are_not_dropped():
    with pytest.raises(ValueError, match="reads no prompt"):
        gradbench.from_pipeline(tiny.ddpm_pipeline(), prompt_embeds=torch.zeros(1, 4, 32))


def test_unpacking_undoes_packing():
    x = torch.randn(2, 3, 4, 6)
    assert torch.equal(unpack(pack(x, 2), 2, 4, 6), x)


@pytest.mark.parametrize(
    ("guided", "given", "message"),
    [
        (False, {"guidance": 3.5}, "reads no guidance"),
        (True, {"negative_prompt": "a dog"}, "guided without a negative prompt"),
        (True, {"height": 17}, "multiples of 4 pixels, got 17"),
    ],
)
def test_what_flux_does_not_read_is_one_line(pipes, guided, given, message):
    with pytest.raises(ValueError, match=message):
        gradbench.from_pipeline(pipes[guided], PROMPT, **given)
