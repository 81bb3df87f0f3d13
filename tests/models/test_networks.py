"""Adapters: a diffusers network gives the same output through a denoiser as when called directly."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import nn

from gradbench import diffusers_denoiser
from gradbench.diffusion.schedule import make_schedule
from gradbench.models.network import DiffusersNetwork, kind_of
from tests.models import tiny

INDEX, BATCH = 600, 3
T = (INDEX + 1) / 1000


def normal(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def answer(denoiser, x, t=T):
    """What the network itself predicted, whatever kind it is."""
    with torch.no_grad():
        return denoiser(x, t).value


def close(a, b):
    """Equal to float32 rounding, which guidance enlarges; other inputs are 1e-2 apart or more."""
    distance = ((a - b).norm() / b.norm()).item()
    assert distance < 1e-5 or distance > 1e-3
    return distance < 1e-5


def test_an_unconditional_unet():
    model, x = tiny.unet_2d(), normal(BATCH, 3, 8, 8)
    with torch.no_grad():
        direct = model(x, INDEX).sample
    assert close(answer(diffusers_denoiser(model, tiny.ddim()), x), direct)


def test_a_unet_with_class_labels_through_extra():
    model, x = tiny.unet_2d(num_class_embeds=5), normal(BATCH, 3, 8, 8)
    with torch.no_grad():
        direct, other = (model(x, INDEX, torch.full((BATCH,), label)).sample for label in (2, 4))
    denoiser = diffusers_denoiser(model, tiny.ddim(), extra={"class_labels": torch.tensor([2])})
    assert close(answer(denoiser, x), direct) and not close(direct, other)


def test_class_labels_are_guided_by_a_null_label():
    model, x = tiny.unet_2d(num_class_embeds=5), normal(BATCH, 3, 8, 8)
    labels = {"extra": {"class_labels": torch.tensor([2])}, "null_extra": {"class_labels": torch.tensor([4])}}
    with torch.no_grad():
        cond, null = (model(x, INDEX, torch.full((BATCH,), label)).sample for label in (2, 4))
    assert close(answer(diffusers_denoiser(model, tiny.ddim(), guidance=3.0, **labels), x), null + 3 * (cond - null))


def test_a_conditional_unet_and_its_guidance():
    model, x = tiny.unet_condition(), normal(BATCH, 4, 8, 8)
    condition, null = normal(5, 32, seed=2), normal(5, 32, seed=3)
    with torch.no_grad():
        one, other = (model(x, INDEX, encoder_hidden_states=c.expand(BATCH, -1, -1)).sample for c in (condition, null))
    assert close(answer(diffusers_denoiser(model, tiny.ddim(), condition), x), one)
    guided = diffusers_denoiser(model, tiny.ddim(), condition, null_condition=null, guidance=7.5)
    assert close(answer(guided, x), other + 7.5 * (one - other))


@pytest.mark.parametrize("rows", [1, BATCH])
def test_a_batched_condition_is_one_for_all_or_one_each(rows):
    model, x, condition = tiny.unet_condition(), normal(BATCH, 4, 8, 8), normal(rows, 5, 32, seed=2)
    with torch.no_grad():
        direct = model(x, INDEX, encoder_hidden_states=condition.expand(BATCH, -1, -1)).sample
    assert close(answer(diffusers_denoiser(model, tiny.ddim(), condition, batched=True), x), direct)


def test_a_transformer_of_stable_diffusion_3_predicts_a_flow():
    model, x = tiny.sd3_transformer(), normal(BATCH, 4, 8, 8)
    condition, null = normal(1, 5, 64, seed=2), normal(1, 5, 64, seed=3)
    pooled, null_pooled = normal(1, 64, seed=4), normal(1, 64, seed=5)

    def direct(tokens, projection):
        with torch.no_grad():
            return model(
                hidden_states=x,
                timestep=torch.full((BATCH,), 600.0),
                encoder_hidden_states=tokens.expand(BATCH, -1, -1),
                pooled_projections=projection.expand(BATCH, -1),
            ).sample

    one, other = direct(condition, pooled), direct(null, null_pooled)
    given = {"batched": True, "extra": {"pooled_projections": pooled}}
    scheduler = tiny.FlowMatchEulerDiscreteScheduler(shift=3.0)
    denoiser = diffusers_denoiser(model, scheduler, condition, **given)
    assert denoiser.kind == "flow" and close(answer(denoiser, x, 0.6), one)
    told = {"null_condition": null, "null_extra": {"pooled_projections": null_pooled}}
    guided = diffusers_denoiser(model, scheduler, condition, guidance=4.0, **given, **told)
    assert close(answer(guided, x, 0.6), other + 4 * (one - other))
    same = {"null_condition": null, "null_extra": {"pooled_projections": pooled}}
    half = diffusers_denoiser(model, scheduler, condition, guidance=4.0, **given, **same)
    assert close(answer(half, x, 0.6), direct(null, pooled) + 4 * (one - direct(null, pooled)))


def test_of_a_transformer_with_a_learned_variance_the_first_half_is_the_noise():
    model, x = tiny.dit(), normal(BATCH, 4, 8, 8)

    def direct(label):
        with torch.no_grad():
            return model(x, torch.full((BATCH,), INDEX), torch.full((BATCH,), label)).sample

    one, null = direct(3), direct(10)
    assert one.shape == (BATCH, 8, 8, 8) and not close(one[:, :4], null[:, :4])
    labels = {"extra": {"class_labels": torch.tensor([3])}, "null_extra": {"class_labels": torch.tensor([10])}}
    assert close(answer(diffusers_denoiser(model, tiny.ddim(), extra=labels["extra"]), x), one[:, :4])
    guided = diffusers_denoiser(model, tiny.ddim(), guidance=4.0, **labels)
    assert close(answer(guided, x), null[:, :4] + 4 * (one - null)[:, :4])


def test_what_a_network_is_told_may_hold_none():
    """PixArt wants its sizes by name even where there are none."""
    model, x = tiny.pixart(), normal(BATCH, 4, 8, 8)
    condition, null = normal(1, 5, 24, seed=2), normal(1, 5, 24, seed=3)
    sizes = {"added_cond_kwargs": {"resolution": None, "aspect_ratio": None}}

    def direct(tokens):
        with torch.no_grad():
            given = {"timestep": torch.full((BATCH,), INDEX), **sizes}
            return model(x, encoder_hidden_states=tokens.expand(BATCH, -1, -1), **given).sample[:, :4]

    denoiser = diffusers_denoiser(
        model, tiny.ddim(), condition, null_condition=null, guidance=2.0, batched=True, extra=sizes
    )
    assert close(answer(denoiser, x), direct(null) + 2 * (direct(condition) - direct(null)))


def test_a_network_in_half_precision_leaves_the_state_in_single():
    model, x = tiny.unet_condition().to(torch.bfloat16), normal(BATCH, 4, 8, 8)
    condition = normal(5, 32, seed=2)
    with torch.no_grad():
        tokens = condition.to(torch.bfloat16).expand(BATCH, -1, -1)
        direct = model(x.to(torch.bfloat16), INDEX, encoder_hidden_states=tokens).sample
    found = answer(diffusers_denoiser(model, tiny.ddim(), condition), x)
    assert found.dtype is torch.float32 and torch.equal(found, direct.float())


@pytest.mark.parametrize("model", [tiny.unet_condition, tiny.unet_2d])
def test_inner_checkpointing_changes_the_tape_and_no_bit_of_the_gradient(model):
    from gradbench.measure.live_bytes import LiveBytes

    found, tapes = [], []
    for on in (False, True):
        own = model()
        x = normal(1, own.config.in_channels, 8, 8).requires_grad_()
        condition = normal(5, 32, seed=2) if "cross_attention_dim" in own.config else None
        denoiser = diffusers_denoiser(own, tiny.ddim(), condition, inner_checkpointing=on)
        with LiveBytes([x, *own.parameters()]) as counted:
            value = denoiser(x, T).value
            tapes.append(counted.live - counted.baseline)
        found.append(torch.autograd.grad((value**2).sum(), x)[0])
    assert torch.equal(*found) and tapes[1] < 0.5 * tapes[0]


def test_compiling_wraps_the_network_and_keeps_its_parameters():
    model = tiny.unet_condition()
    denoiser = diffusers_denoiser(model, tiny.ddim(), normal(5, 32), compile=True)
    assert isinstance(denoiser.network, torch._dynamo.eval_frame.OptimizedModule)
    assert {id(p) for p in denoiser.parameters()} == {id(p) for p in model.parameters()}


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (tiny.ddim(), "eps"),
        (tiny.ddim(prediction_type="v_prediction"), "v"),
        (tiny.ddim(prediction_type="sample"), "x0"),
        (tiny.FlowMatchEulerDiscreteScheduler(), "flow"),
        (make_schedule("cosine"), "eps"),
    ],
)
def test_what_a_network_predicts_is_read_off_its_scheduler(made, kind):
    assert kind_of(made) == kind


class TimeLess(nn.Module):
    def forward(self, sample):
        return sample


REFUSED = [
    (lambda: DiffusersNetwork(nn.Linear(2, 2)), "Linear is not a denoising network of diffusers"),
    (lambda: DiffusersNetwork(TimeLess()), "it takes sample"),
    (
        lambda: answer(diffusers_denoiser(tiny.unet_2d(), tiny.ddim(), normal(5, 32)), normal(1, 3, 8, 8)),
        "UNet2DModel reads no condition: leave it out",
    ),
    (lambda: diffusers_denoiser(tiny.unet_2d(), DDIMScheduler()), "clip_sample=True, which cuts gradients off"),
    (lambda: diffusers_denoiser(tiny.unet_2d(), DDPMScheduler()), "clip_sample=True, which cuts gradients off"),
    (
        lambda: diffusers_denoiser(tiny.unet_2d(), DDIMScheduler(clip_sample=False, thresholding=True)),
        "thresholding=True, which cuts gradients off",
    ),
    (
        lambda: diffusers_denoiser(tiny.unet_2d(), tiny.ddim(prediction_type="nonsense")),
        "unknown prediction_type 'nonsense'",
    ),
    (lambda: diffusers_denoiser(tiny.unet_2d(), tiny.ddim(), guidance=2.0), "guidance 2.0 needs a condition"),
    (
        lambda: diffusers_denoiser(TimedLinear(), tiny.ddim(), inner_checkpointing=True),
        "TimedLinear has no gradient checkpointing of its own",
    ),
]


class TimedLinear(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

    def forward(self, sample, timestep):
        return super().forward(sample)


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_cannot_be_served_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value) and "\n" not in str(caught.value)
