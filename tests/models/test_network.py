"""Networks of diffusers as denoisers: their output is that of the model, called by hand."""

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EDMEulerScheduler,
    FlowMatchEulerDiscreteScheduler,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DModel,
)

import gradbench
from gradbench.models.network import set_inner_checkpointing
from gradbench.models.stable_diffusion import TINY, random_pipeline, scheduler

SMALL = {
    "sample_size": 8,
    "layers_per_block": 1,
    "block_out_channels": (16, 16),
    "norm_num_groups": 8,
    "down_block_types": ("DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D"),
}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def unet():
    return random_pipeline(TINY).unet


def test_an_unconditional_network_is_called_with_its_index():
    model, x = UNet2DModel(in_channels=3, out_channels=3, **SMALL).eval(), normal(2, 3, 8, 8)
    denoiser = gradbench.diffusers_denoiser(model, scheduler())
    assert torch.equal(denoiser(x, 0.5).eps, model(x, 499.0).sample)


def test_class_labels_go_by_extra():
    model = UNet2DModel(in_channels=3, out_channels=3, num_class_embeds=5, **SMALL).eval()
    x, labels = normal(2, 3, 8, 8), torch.tensor([3])
    denoiser = gradbench.diffusers_denoiser(model, scheduler(), extra={"class_labels": labels})
    assert torch.equal(denoiser(x, 0.5).eps, model(x, 499.0, class_labels=labels.expand(2)).sample)


def test_guidance_combines_two_calls(unet):
    x, text, null = normal(2, 4, 8, 8), normal(1, 77, 32, seed=1), normal(1, 77, 32, seed=2)
    made = gradbench.diffusers_denoiser(unet, scheduler(), text, null_condition=null, guidance=3.0, batched=True)
    conditional, unconditional = (unet(x, 499.0, c.expand(2, -1, -1)).sample for c in (text, null))
    assert torch.allclose(made(x, 0.5).eps, unconditional + 3.0 * (conditional - unconditional), atol=1e-5)


def transformer():
    return SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        caption_projection_dim=16,
        pooled_projection_dim=12,
        pos_embed_max_size=8,
    ).eval()


def test_a_transformer_of_rectified_flow_is_told_1000_t_and_its_pooled_embedding():
    model, x, text, pooled = transformer(), normal(2, 4, 8, 8), normal(1, 5, 16), normal(1, 12)
    made = gradbench.diffusers_denoiser(
        model, FlowMatchEulerDiscreteScheduler(), text, batched=True, extra={"pooled_projections": pooled}
    )
    expected = model(x, text.expand(2, -1, -1), pooled.expand(2, -1), torch.full((2,), 500.0)).sample
    assert torch.allclose(made(x, 0.5).flow, expected, atol=1e-6)


def test_guidance_doubles_what_else_the_network_is_told():
    model, x, pooled = transformer(), normal(2, 4, 8, 8), [normal(1, 12, seed=s) for s in (1, 2)]
    texts = [normal(1, 5, 16, seed=s) for s in (3, 4)]
    made = gradbench.diffusers_denoiser(
        model,
        FlowMatchEulerDiscreteScheduler(),
        texts[0],
        null_condition=texts[1],
        guidance=2.0,
        batched=True,
        extra={"pooled_projections": pooled[0]},
        null_extra={"pooled_projections": pooled[1]},
    )
    at = torch.full((2,), 500.0)
    conditional, unconditional = (
        model(x, text.expand(2, -1, -1), p.expand(2, -1), at).sample for text, p in zip(texts, pooled, strict=True)
    )
    assert torch.allclose(made(x, 0.5).flow, unconditional + 2.0 * (conditional - unconditional), atol=1e-5)


def test_of_a_learned_variance_the_first_half_is_the_noise():
    model = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=1,
        cross_attention_dim=16,
        sample_size=8,
        patch_size=2,
        caption_channels=16,
        use_additional_conditions=False,
    ).eval()
    x, text = normal(2, 4, 8, 8), normal(1, 5, 16)
    more = {"added_cond_kwargs": {"resolution": None, "aspect_ratio": None}}
    made = gradbench.NetworkDenoiser(
        _with(gradbench.diffusers_denoiser(model, scheduler()).network, more), from_scheduler(), condition=text[0]
    )
    both = model(x, encoder_hidden_states=text.expand(2, -1, -1), timestep=torch.full((2,), 499.0), **more).sample
    assert both.shape[1] == 8 and torch.allclose(made(x, 0.5).eps, both[:, :4], atol=1e-6)


def _with(network, more):
    class Told(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x, time, condition):
            return self.network(x, time, condition, **more)

    return Told()


def from_scheduler():
    return gradbench.from_diffusers(scheduler())


@pytest.mark.parametrize(("prediction", "kind"), [("epsilon", "eps"), ("v_prediction", "v"), ("sample", "x0")])
def test_what_the_network_predicts_is_the_schedulers_word(unet, prediction, kind):
    made = gradbench.diffusers_denoiser(unet, DDIMScheduler(clip_sample=False, prediction_type=prediction))
    assert made.kind == kind


def test_a_module_that_denoises_nothing_is_refused():
    with pytest.raises(ValueError, match="Linear is not a denoising network of diffusers"):
        gradbench.diffusers_denoiser(torch.nn.Linear(2, 2), scheduler())


@pytest.mark.parametrize("wrap", [torch.nn.DataParallel, torch.optim.swa_utils.AveragedModel])
def test_a_network_in_a_wrapper_is_asked_for(wrap, unet):
    with pytest.raises(ValueError, match=r"wraps a network: give its \.module$"):
        gradbench.diffusers_denoiser(wrap(unet), scheduler())


@pytest.mark.parametrize("key", ["class_label", "sample", "timestep"])
def test_an_extra_input_that_the_network_does_not_have_is_refused(key, unet):
    with pytest.raises(ValueError, match=f"unknown extra input of UNet2DConditionModel '{key}'; .*class_labels"):
        gradbench.diffusers_denoiser(unet, scheduler(), extra={key: torch.ones(1)})


def test_a_class_of_schedulers_is_refused(unet):
    with pytest.raises(ValueError, match="must be an instance, got the class DDIMScheduler"):
        gradbench.diffusers_denoiser(unet, DDIMScheduler)


def test_an_empty_answer_of_a_network_of_diffusers_is_refused():
    class Empty(torch.nn.Module):
        def forward(self, sample, timestep):
            return ()

    with pytest.raises(ValueError, match="must return a tensor .* got an empty tuple"):
        gradbench.diffusers_denoiser(Empty(), scheduler())(normal(1, 3), 0.5)


def test_a_condition_that_is_not_read_is_refused():
    model = UNet2DModel(in_channels=3, out_channels=3, **SMALL)
    denoiser = gradbench.diffusers_denoiser(model, scheduler(), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="UNet2DModel reads no condition"):
        denoiser(normal(1, 3, 8, 8), 0.5)


def test_a_scheduler_that_scales_inputs_itself_brings_its_preconditioning(unet):
    denoiser = gradbench.diffusers_denoiser(unet, EDMEulerScheduler(sigma_data=0.4))
    assert denoiser.precondition.sigma_data == 0.4 and denoiser.told == "log(sigma)/4" and denoiser.sampler == "ddim"


def test_inner_checkpointing_changes_no_gradient(unet):
    found = []
    for on in (False, True):
        text = normal(77, 32, seed=1).requires_grad_()
        denoiser = gradbench.diffusers_denoiser(unet, scheduler(), text, inner_checkpointing=on)
        x_0 = gradbench.sample(denoiser, normal(1, 4, 8, 8), steps=2, sampler="ddim[grid=leading]", wrt=[text])
        found.append(torch.autograd.grad(x_0.square().sum(), text)[0])
    set_inner_checkpointing(unet, False)
    assert torch.equal(*found)
