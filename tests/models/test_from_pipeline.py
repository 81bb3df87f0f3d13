"""A pipeline taken apart predicts what the pipeline's own loop predicts, step by step, and decodes what it decodes."""

import pytest
import torch
from diffusers import (
    DDIMPipeline,
    DPMSolverMultistepScheduler,
    EDMDPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionXLPipeline,
)

import gradbench
from gradbench import from_pipeline
from gradbench.models.stable_diffusion import TINY, random_pipeline
from tests.models import tiny

PROMPT = "an astronaut riding a horse"
STEPS = 3


def own_loop(pipe, call, monkeypatch):
    """What the pipeline's loop gives its scheduler in every step: prediction, time and the state as x."""
    seen, step = [], type(pipe.scheduler).step

    def recorded(self, prediction, t, state, *words, **options):
        ratio = getattr(self, "sigmas", None)
        scaled = ratio is not None and hasattr(self, "alphas_cumprod")
        scale = (1 + ratio[len(seen)] ** 2) ** -0.5 if scaled else 1.0
        seen.append((prediction, float(t), scale * state))
        return step(self, prediction, t, state, *words, **options)

    monkeypatch.setattr(type(pipe.scheduler), "step", recorded)
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():
        call(pipe)
    return seen


def latents(batch=2):
    return torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


def assert_same_predictions(parts, seen, time):
    assert len(seen) == STEPS
    for prediction, t, x in seen:
        with torch.no_grad():
            found = parts.denoiser(x, time(t)).value
        assert distance(found, prediction) < 2e-5


def index(t):
    return (t + 1) / 1000


def sd_call(pipe):
    return pipe(PROMPT, num_inference_steps=STEPS, latents=latents(), num_images_per_prompt=2, output_type="latent")


def test_stable_diffusion(monkeypatch):
    pipe = random_pipeline(TINY)
    parts = from_pipeline(pipe, PROMPT)
    assert parts.denoiser.guidance == 7.5 and parts.shape == (4, 8, 8)
    assert_same_predictions(parts, own_loop(pipe, sd_call, monkeypatch), index)


def test_stable_diffusion_led_away_from_a_negative_prompt(monkeypatch):
    pipe = random_pipeline(TINY)
    parts = from_pipeline(pipe, PROMPT, negative_prompt="a blurred cat", guidance=3.0)

    def call(pipe):
        given = {"num_inference_steps": STEPS, "latents": latents(1), "output_type": "latent"}
        return pipe(PROMPT, negative_prompt="a blurred cat", guidance_scale=3.0, **given)

    assert_same_predictions(parts, own_loop(pipe, call, monkeypatch), index)


@pytest.mark.parametrize("zeros", [False, True])
def test_stable_diffusion_xl(zeros, monkeypatch):
    """Its empty negative prompt is zeros or an encoding, as its configuration says."""
    pipe = tiny.xl_pipeline()
    pipe.register_to_config(force_zeros_for_empty_prompt=zeros)
    parts = from_pipeline(pipe, PROMPT)
    assert parts.denoiser.guidance == 5.0
    assert (parts.denoiser.null_condition.abs().max() == 0) == zeros
    assert_same_predictions(parts, own_loop(pipe, sd_call, monkeypatch), index)


def test_stable_diffusion_xl_of_another_size(monkeypatch):
    pipe = tiny.xl_pipeline()
    parts = from_pipeline(pipe, PROMPT, height=32, width=24)
    assert parts.shape == (4, 16, 12)

    def call(pipe):
        return pipe(PROMPT, num_inference_steps=STEPS, height=32, width=24, output_type="latent")

    assert_same_predictions(parts, own_loop(pipe, call, monkeypatch), index)


def test_stable_diffusion_3(monkeypatch):
    pipe = tiny.sd3_pipeline()
    parts = from_pipeline(pipe, PROMPT)
    assert parts.denoiser.guidance == 7.0 and parts.denoiser.kind == "flow"
    assert_same_predictions(parts, own_loop(pipe, sd_call, monkeypatch), lambda t: t / 1000)


def test_a_model_of_pixels(monkeypatch):
    pipe = tiny.ddpm_pipeline()
    parts = from_pipeline(pipe)
    assert parts.decoder is None and parts.shape == (3, 8, 8)

    def call(pipe):
        return pipe(num_inference_steps=STEPS, generator=torch.Generator().manual_seed(0), output_type="np")

    assert_same_predictions(parts, own_loop(pipe, call, monkeypatch), index)


def test_a_ddim_pipeline_of_pixels_is_sampled_as_it_samples_itself(monkeypatch):
    """x_0 of `gradbench.sample` on its grid is the image that the pipeline makes of the same noise."""
    pipe = DDIMPipeline(tiny.unet_2d(), tiny.ddim())
    parts, last = from_pipeline(pipe), []
    seen = own_loop(pipe, lambda p: last.append(p(num_inference_steps=STEPS, output_type="np").images), monkeypatch)
    parts = from_pipeline(pipe)
    x_T = seen[0][2]
    with torch.no_grad():
        x_0 = gradbench.sample(parts.denoiser, x_T, sampler="ddim", grid=parts.grid(STEPS))
    images = torch.as_tensor(last[0]).permute(0, 3, 1, 2)
    assert distance((x_0 / 2 + 0.5).clamp(0, 1), images) < 1e-5


@pytest.mark.parametrize("made", [lambda: random_pipeline(TINY), tiny.sd3_pipeline])
def test_latents_and_images_are_the_pipelines_own_from_noise_to_the_end(made):
    """The whole of it: noise, guided steps, decoder, to float32 rounding."""
    pipe = made()
    pipe.set_progress_bar_config(disable=True)
    parts, x_T = from_pipeline(pipe, PROMPT), latents()
    sampler = "flow-euler" if parts.denoiser.kind == "flow" else "ddim"
    with torch.no_grad():
        theirs = pipe(PROMPT, num_inference_steps=STEPS, latents=x_T, num_images_per_prompt=2, output_type="np").images
        x_0 = gradbench.sample(parts.denoiser, x_T, sampler=sampler, grid=parts.grid(STEPS))
        ours = parts.decoder(x_0).clamp(0, 1)
    assert distance(ours, torch.as_tensor(theirs).permute(0, 3, 1, 2)) < 1e-5


def test_a_model_of_images_that_are_not_square_has_both_sides():
    assert from_pipeline(DDIMPipeline(tiny.unet_2d(sample_size=(8, 16)), tiny.ddim())).shape == (3, 8, 16)


def test_the_noise_is_drawn_by_key_and_has_the_shape_of_a_batch():
    parts = from_pipeline(random_pipeline(TINY), PROMPT)
    x_T = parts.noise(batch=3, seed=5)
    assert x_T.shape == (3, 4, 8, 8) and x_T.dtype is torch.float32
    assert torch.equal(x_T, parts.noise(batch=3, seed=5)) and not torch.equal(x_T, parts.noise(batch=3, seed=6))


SCHEDULERS = {
    "linspace": EulerDiscreteScheduler(**tiny.BETAS),
    "trailing": EulerDiscreteScheduler(**tiny.BETAS, timestep_spacing="trailing"),
    "leading": EulerDiscreteScheduler(**tiny.BETAS, timestep_spacing="leading", steps_offset=1),
    "sigma_max": EulerDiscreteScheduler(**tiny.BETAS, use_karras_sigmas=True, sigma_max=3.0, sigma_min=0.1),
    "heun": HeunDiscreteScheduler(**tiny.BETAS),
    "edm": EDMEulerScheduler(),
    "edm dpm": EDMDPMSolverMultistepScheduler(),
    "ddim": tiny.ddim(),
    "dpm": DPMSolverMultistepScheduler(**tiny.BETAS),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_noise_is_where_the_pipeline_starts_from_the_latents_of_its_seed(name):
    pipe = random_pipeline(TINY)
    pipe.scheduler = SCHEDULERS[name]
    pipe.set_progress_bar_config(disable=True)
    parts = from_pipeline(pipe, PROMPT, guidance=3.0)
    given = {"num_inference_steps": 5, "guidance_scale": 3.0, "output_type": "latent"}
    theirs = pipe(PROMPT, latents=parts.latents(), **given).images
    assert distance(gradbench.sample(parts.denoiser, parts.noise(), grid=parts.grid(5)), theirs) < 3e-6
    assert torch.equal(parts.noise(), parts.latents()) == (name in ("leading", "ddim", "dpm"))


def test_weights_are_frozen_but_those_of_adapters():
    from gradbench.models.lora import add_lora

    pipe = random_pipeline(TINY)
    pipe.unet.requires_grad_(True)
    lora = add_lora(pipe.unet, 2, 0)
    pipe.vae.requires_grad_(True)
    from_pipeline(pipe, PROMPT)
    assert {id(p) for p in pipe.unet.parameters() if p.requires_grad} == {id(p) for p in lora}
    assert not any(p.requires_grad for part in (pipe.vae, pipe.text_encoder) for p in part.parameters())


def test_weights_stay_trainable_where_they_are_asked_to():
    pipe = random_pipeline(TINY)
    pipe.unet.requires_grad_(True)
    from_pipeline(pipe, PROMPT, freeze=False)
    assert all(p.requires_grad for p in pipe.unet.parameters())


def test_gradients_are_still_recorded_behind_it():
    """Loading or calling pipelines has switched them off before, for the whole process."""
    from_pipeline(random_pipeline(TINY), PROMPT)
    assert torch.is_grad_enabled()


def test_the_gradient_reaches_the_prompt_through_the_whole():
    parts = from_pipeline(random_pipeline(TINY), PROMPT)
    prompt = parts.denoiser.condition.requires_grad_()
    x_0 = gradbench.sample(parts.denoiser, parts.noise(), grid=parts.grid(STEPS), wrt=[prompt])
    (grad,) = torch.autograd.grad(parts.decoder(x_0).mean(), prompt)
    assert grad.shape == prompt.shape and (grad.abs().sum(-1) > 0).all()


def guided_inside():
    pipe = random_pipeline(TINY)
    pipe.unet = tiny.unet_condition(time_cond_proj_dim=8)
    return pipe


def shifted_decoder():
    pipe = random_pipeline(TINY)
    pipe.vae = tiny.seeded(tiny.AutoencoderKL, **TINY.vae, latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    return pipe


REFUSED = [
    (lambda: from_pipeline(random_pipeline(TINY)), "reads a prompt: give prompt="),
    (lambda: from_pipeline(tiny.ddpm_pipeline(), "a cat"), "reads no prompt: leave it out, got 'a cat'"),
    (lambda: from_pipeline(tiny.ddpm_pipeline(clip_sample=True)), "clip_sample=True, which cuts gradients off"),
    (lambda: from_pipeline(object()), "pipeline object is not known: allowed are StableDiffusionPipeline"),
    (
        lambda: from_pipeline(StableDiffusionImg2ImgPipeline(**random_pipeline(TINY).components), "a cat"),
        "pipeline StableDiffusionImg2ImgPipeline is not known",
    ),
    (lambda: from_pipeline(random_pipeline(TINY), "a cat", height=15), "multiples of 2 pixels, got 15"),
    (lambda: from_pipeline(guided_inside(), "a cat"), "receives its guidance as an input (timestep_cond)"),
    (lambda: from_pipeline(shifted_decoder(), "a cat"), "latents_mean and latents_std"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_cannot_be_taken_apart_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value) and "\n" not in str(caught.value)


class OtherSizes(StableDiffusionXLPipeline):
    def _get_add_time_ids(self, *words, **options):
        return 2 * super()._get_add_time_ids(*words, **options)


class OtherLatents(StableDiffusionXLPipeline):
    def prepare_latents(self, *words, **options):
        return 2 * super().prepare_latents(*words, **options)


class OtherWords(StableDiffusionXLPipeline):
    def encode_prompt(self, *words, **options):
        return tuple(None if e is None else 2 * e for e in super().encode_prompt(*words, **options))


@pytest.mark.parametrize(("kind", "name"), [(OtherSizes, "_get_add_time_ids"), (OtherLatents, "prepare_latents")])
def test_a_subclass_with_its_own_method_where_the_parts_have_the_known_one_is_refused(kind, name):
    with pytest.raises(ValueError, match=rf"{kind.__name__} has a {name} of its own.*give StableDiffusionXLPipeline\("):
        from_pipeline(kind(**tiny.xl_pipeline().components), PROMPT)


def test_a_method_set_on_a_pipeline_itself_is_its_own():
    pipe = tiny.xl_pipeline()
    pipe.prepare_latents = lambda *words, **options: latents(1)
    with pytest.raises(ValueError, match="has a prepare_latents of its own"):
        from_pipeline(pipe, PROMPT)


def test_an_encode_prompt_of_its_own_is_the_one_that_is_called():
    kinds = (StableDiffusionXLPipeline, OtherWords)
    plain, doubled = (from_pipeline(kind(**tiny.xl_pipeline().components), PROMPT) for kind in kinds)
    assert torch.equal(doubled.denoiser.condition, 2 * plain.denoiser.condition)


def test_a_step_set_on_a_scheduler_itself_is_not_taken_for_its_class():
    pipe = tiny.xl_pipeline()
    step = pipe.scheduler.step
    pipe.scheduler.step = lambda prediction, *words, **options: step(0.9 * prediction, *words, **options)
    parts = from_pipeline(pipe, PROMPT)
    with pytest.raises(ValueError, match="EulerDiscreteScheduler has methods of its own, and its steps are not known"):
        parts.grid(STEPS)
    with pytest.raises(ValueError, match="sampler must be named: scheduler EulerDiscreteScheduler has steps that are"):
        gradbench.sample(parts.denoiser, latents(1), steps=STEPS)


def test_the_grid_is_the_schedulers_own():
    pipe = random_pipeline(TINY)
    pipe.scheduler = PNDMScheduler.from_config(pipe.scheduler.config, skip_prk_steps=True)
    grid = from_pipeline(pipe, PROMPT).grid(4)
    assert [round(1000 * t - 1) for t in grid] == [751, 501, 251, 1, 0]
