"""Weights of text encoders: embeddings made on the tape have the gradient of autograd through encoder and chain."""

import diffusers
import pytest
import torch
from peft import LoraConfig

import gradbench
from gradbench.models.stable_diffusion import TINY, random_pipeline
from tests.models import tiny

PROMPT, STEPS = "a red truck", 3


def pipeline(made=lambda: random_pipeline(TINY), **lora):
    pipe = made()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name in ("text_encoder", "text_encoder_2"):
            encoder = getattr(pipe, name, None)
            if encoder is not None:
                encoder.requires_grad_(False)
                encoder.add_adapter(LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, **lora))
    return pipe.to(torch.float64)


def adapters(pipe):
    encoders = (getattr(pipe, name, None) for name in ("text_encoder", "text_encoder_2"))
    return [p for e in encoders if e is not None for n, p in e.named_parameters() if "lora_" in n]


def by_hand(pipe, x, guidance):
    """Autograd through the encoder and the steps of DDIM, the embeddings made once."""
    own = pipe.scheduler
    own.alphas_cumprod = own.alphas_cumprod.double()
    own.final_alpha_cumprod = own.alphas_cumprod[0]
    own.set_timesteps(STEPS)
    text, null = pipe.encode_prompt(PROMPT, "cpu", 1, guidance > 1)
    for t in own.timesteps:
        answer = pipe.unet(x, t, encoder_hidden_states=text.expand(len(x), -1, -1)).sample
        if guidance > 1:
            away = pipe.unet(x, t, encoder_hidden_states=null.expand(len(x), -1, -1)).sample
            answer = away + guidance * (answer - away)
        x = own.step(answer, t, x).prev_sample
    return x


def together(grads):
    return torch.cat([g.flatten() for g in grads])


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("guidance", [1.0, 7.5])
@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "revolve[snapshots=2]"])
def test_the_gradient_of_an_adapter_is_autograds(gradient, guidance):
    pipe = pipeline()
    x_T, lora = torch.randn(2, 4, 8, 8, dtype=torch.float64), adapters(pipe)
    theirs = by_hand(pipe, x_T, guidance)
    parts = gradbench.from_pipeline(pipe, PROMPT, guidance=guidance, encode="on-tape")
    ours = gradbench.sample(parts.denoiser, x_T, grid=parts.grid(STEPS), gradient=gradient, wrt=lora)
    mine, other = (together(torch.autograd.grad(x.square().sum(), lora)) for x in (ours, theirs))
    assert relative(ours, theirs) < 1e-9 and other.norm() > 0 and relative(mine, other) < 1e-9


def test_under_an_adjoint_it_is_what_the_embeddings_gradient_makes_of_it():
    pipe = pipeline()
    x_T, lora = torch.randn(2, 4, 8, 8, dtype=torch.float64), adapters(pipe)
    options = {"grid": None, "gradient": "adjoint-deis"}
    parts = gradbench.from_pipeline(pipe, PROMPT, encode="on-tape")
    options["grid"] = parts.grid(STEPS)
    ours = gradbench.sample(parts.denoiser, x_T, wrt=lora, **options)
    mine = together(torch.autograd.grad(ours.square().sum(), lora))
    text, null = pipe.encode_prompt(PROMPT, "cpu", 1, True)
    given = {"null_condition": null, "guidance": 7.5, "batched": True}
    apart = gradbench.diffusers_denoiser(pipe.unet, pipe.scheduler, text, **given)
    x_0 = gradbench.sample(apart, x_T, wrt=[text, null], **options)
    assert relative(mine, together(torch.autograd.grad(x_0.square().sum(), lora))) < 1e-9


def test_both_encoders_of_xl_are_reached_pooled_embeddings_and_all():
    pipe = pipeline(tiny.xl_pipeline, layers_to_transform=[0])  # of the first encoder the last layer is not read
    pipe.scheduler = tiny.ddim()
    x_T, lora = torch.randn(1, 4, 8, 8, dtype=torch.float64), adapters(pipe)
    parts = gradbench.from_pipeline(pipe, PROMPT, encode="on-tape")
    found = []
    for gradient in ("backprop", "checkpoint"):
        x_0 = gradbench.sample(parts.denoiser, x_T, grid=parts.grid(STEPS), gradient=gradient, wrt=lora)
        found.append(torch.autograd.grad(x_0.square().sum(), lora))
    assert all(g.norm() > 0 for g in found[0]) and relative(together(found[1]), together(found[0])) < 1e-10


def test_an_adapter_that_the_embedding_cannot_reach_is_refused():
    with pytest.raises(ValueError, match=r"text_encoder has 4 trainable tensors .*: give encode='on-tape'"):
        gradbench.from_pipeline(pipeline(), PROMPT)


def test_an_adapter_on_the_tape_must_be_named():
    parts = gradbench.from_pipeline(pipeline(), PROMPT, encode="on-tape")
    with pytest.raises(ValueError, match="trainable tensors that wrt does not name"):
        gradbench.sample(parts.denoiser, parts.noise(), grid=parts.grid(STEPS))


def test_a_model_without_a_prompt_has_nothing_to_encode():
    with pytest.raises(ValueError, match="reads no prompt"):
        gradbench.from_pipeline(tiny.ddpm_pipeline(), encode="on-tape")


@pytest.mark.parametrize("encode", ["once", "on-tape"])
def test_a_list_of_prompts_is_one_a_sample(encode):
    pipe = random_pipeline(TINY)
    pipe.set_progress_bar_config(disable=True)
    parts = gradbench.from_pipeline(pipe, ["a cat", "a dog"], encode=encode)
    x_T = parts.noise()
    assert len(x_T) == 2
    theirs = pipe(["a cat", "a dog"], num_inference_steps=STEPS, latents=x_T, output_type="latent").images
    assert relative(gradbench.sample(parts.denoiser, x_T, grid=parts.grid(STEPS)), theirs) < 1e-6


@pytest.mark.parametrize("encode", ["once", "on-tape"])
def test_two_prompts_and_four_noises_are_one_clear_line(encode):
    parts = gradbench.from_pipeline(random_pipeline(TINY), ["a cat", "a dog"], encode=encode)
    with pytest.raises(ValueError, match=r"has 2 rows and the batch 4 samples: .* \(as many prompts as noises\)"):
        gradbench.sample(parts.denoiser, parts.noise(4), grid=parts.grid(2))


def test_as_many_negative_prompts_as_prompts():
    with pytest.raises(ValueError, match="negative_prompt has 3 texts and prompt 2: give one, or as many"):
        gradbench.from_pipeline(random_pipeline(TINY), ["a", "b"], negative_prompt=["c", "d", "e"])


@pytest.mark.parametrize("prompt", [[], 3, [None]])
def test_a_prompt_is_text(prompt):
    with pytest.raises(ValueError, match="prompt must be a text or a list of texts"):
        gradbench.from_pipeline(random_pipeline(TINY), prompt)


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint"])
def test_a_pooled_embedding_in_extra_gets_its_gradient(gradient):
    model = tiny.sd3_transformer().double().requires_grad_(False)
    flow = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    pooled = torch.randn(1, 64, dtype=torch.float64, requires_grad=True)
    text, x_T = torch.randn(5, 64, dtype=torch.float64), torch.randn(2, 4, 8, 8, dtype=torch.float64)
    flow.set_timesteps(STEPS)
    y = x_T
    for k, t in enumerate(flow.timesteps):
        given = {"encoder_hidden_states": text.expand(2, -1, -1), "pooled_projections": pooled.expand(2, -1)}
        answer = model(y, timestep=t.double().expand(2), **given).sample
        y = y + float(flow.sigmas[k + 1] - flow.sigmas[k]) * answer
    (expected,) = torch.autograd.grad(y.square().sum(), pooled)
    denoiser = gradbench.diffusers_denoiser(model, flow, text, extra={"pooled_projections": pooled})
    grid = gradbench.grid_of(flow, STEPS)
    x_0 = gradbench.sample(denoiser, x_T, sampler="flow-euler", grid=grid, gradient=gradient, wrt=[pooled])
    (got,) = torch.autograd.grad(x_0.square().sum(), pooled)
    assert expected.norm() > 0 and relative(got, expected) < 1e-6
