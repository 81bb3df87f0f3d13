"""The contract of a network and its output, in its own precision, and the errors for breaking it."""

import diffusers
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

import gradbench
from gradbench.diffusion.precision import precision_of
from gradbench.models.stable_diffusion import TINY, random_pipeline, scheduler
from tests.models import tiny
from tests.models.net import made, normal


class Answers(nn.Module):
    """A network with a preset output."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x, time, condition, **extra):
        return self.answer(x)


class Output:
    def __init__(self, sample):
        self.sample = sample


@pytest.mark.parametrize(
    "wrap", [lambda x: x, lambda x: (x, None), lambda x: [x], Output], ids=["tensor", "tuple", "list", "object"]
)
def test_the_answer_is_a_tensor_or_the_first_entry_of_what_holds_it(wrap):
    x = normal(3, 2, 4)
    denoiser = gradbench.NetworkDenoiser(Answers(lambda x: wrap(2 * x)), "scaled-linear")
    assert torch.equal(denoiser(x, 0.5).eps, 2 * x)


@pytest.mark.parametrize(
    "answer", [lambda x: x[:1], lambda x: x[0], lambda x: x.mean(0, keepdim=True), lambda x: x[..., :1]]
)
def test_an_answer_of_another_shape_is_refused(answer):
    denoiser = gradbench.NetworkDenoiser(Answers(answer), "scaled-linear")
    with pytest.raises(ValueError, match=r"the network returns \(.*\) for an input \(3, 2, 4\)"):
        gradbench.sample(denoiser, normal(3, 2, 4), steps=2)


def test_an_answer_that_is_no_tensor_is_refused():
    with pytest.raises(ValueError, match="must return a tensor"):
        gradbench.NetworkDenoiser(Answers(lambda x: None), "scaled-linear")(normal(3, 2), 0.5)


class Policy(nn.Module):
    """Like the 1-D U-Nets of diffusion policies: it returns a tensor and ignores unknown arguments."""

    def __init__(self):
        super().__init__()
        self.f = nn.Linear(2, 2, dtype=torch.float64)

    def forward(self, sample, timestep, global_cond=None, **kwargs):
        return torch.tanh(self.f(sample)) + timestep[:, None, None] / 100


def test_a_network_that_answers_with_a_tensor_is_sampled_as_by_its_scheduler():
    net, x_T = Policy().requires_grad_(False), normal(3, 16, 2)
    own = diffusers.DDIMScheduler(num_train_timesteps=100, beta_schedule="squaredcos_cap_v2", clip_sample=False)
    own.alphas_cumprod, own.final_alpha_cumprod = own.alphas_cumprod.double(), own.final_alpha_cumprod.double()
    own.set_timesteps(10)
    y = x_T
    for t in own.timesteps:
        y = own.step(net(y, t.expand(3)), t, y).prev_sample
    x_0 = gradbench.sample(gradbench.diffusers_denoiser(net, own), x_T, grid=gradbench.grid_of(own, 10))
    assert ((x_0 - y).flatten(1).norm(dim=1) / y.flatten(1).norm(dim=1)).max() < 1e-7  # its time / 100 is in float32


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_edms_preconditioning_is_the_schedulers(prediction):
    model, x, sigma = made("UNet2DModel", **_UNET), 5 * normal(2, 3, 8, 8), 2.3
    own = diffusers.EDMEulerScheduler(prediction_type=prediction)
    given = own.precondition_inputs(x, torch.tensor(sigma, dtype=torch.float64))
    answer = model(given, own.precondition_noise(torch.tensor(sigma, dtype=torch.float64))).sample
    clean = own.precondition_outputs(x, answer, sigma)
    from gradbench.diffusion.precondition import Preconditioning
    from gradbench.models.network import DiffusersNetwork

    denoiser = gradbench.NetworkDenoiser(DiffusersNetwork(model), "ve", precondition=Preconditioning(0.5, prediction))
    assert torch.allclose(denoiser(x, sigma).x0, clean, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_chain_of_an_edm_network_is_the_loop_of_its_scheduler(prediction):
    model = made("UNet2DModel", **_UNET)
    own = diffusers.EDMEulerScheduler(prediction_type=prediction)
    own.set_timesteps(5)
    x = y = (own.init_noise_sigma * normal(2, 3, 8, 8)).requires_grad_()
    for t in own.timesteps:
        y = own.step(model(own.scale_model_input(y, t), t).sample, t, y).prev_sample.double()
    from gradbench.models.network import DiffusersNetwork, preconditioning_of

    denoiser = gradbench.NetworkDenoiser(DiffusersNetwork(model), "ve", precondition=preconditioning_of(own))
    times = [min(float(sigma), 80.0) for sigma in own.sigmas]
    ours = gradbench.sample(denoiser, x, sampler="euler", grid=times, gradient="backprop")
    assert ((ours - y).norm() / y.norm()).item() < 1e-6
    grads = [torch.autograd.grad(end.square().sum(), x)[0] for end in (ours, y)]
    assert ((grads[0] - grads[1]).norm() / grads[1].norm()).item() < 1e-6


_UNET = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D",) * 2,
    "up_block_types": ("UpBlock2D",) * 2,
    "add_attention": False,
}


class Packed(nn.Module):
    """Four-bit and GGUF weights are parameters of bytes."""

    def __init__(self):
        super().__init__()
        self.q = nn.Parameter(torch.randint(0, 255, (6, 6), dtype=torch.uint8), requires_grad=False)

    def forward(self, x, time, condition=None):
        return torch.tanh(x.float() @ (self.q.float() / 255 - 0.5))


def test_packed_weights_leave_the_state_its_precision_and_its_tape():
    x_T = torch.randn(2, 6, requires_grad=True)
    x_0 = gradbench.sample(gradbench.NetworkDenoiser(Packed(), "scaled-linear"), x_T, steps=1, gradient="backprop")
    (g,) = torch.autograd.grad(x_0.sum(), x_T)
    assert x_0.dtype is torch.float32 and g.norm() > 0


class Quantised(Packed):
    class hf_quantizer:
        compute_dtype = torch.bfloat16


class Float8(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Parameter(torch.zeros(4).to(torch.float8_e4m3fn), requires_grad=False)
        self.w = nn.Parameter(torch.zeros(4, dtype=torch.float16))


class Said(Float8):
    dtype = torch.bfloat16


class Meaningless(Float8):
    dtype = torch.uint8


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (Packed(), torch.float32),
        (Quantised(), torch.bfloat16),
        (Float8(), torch.float16),
        (Said(), torch.bfloat16),
        (Meaningless(), torch.float16),
        (nn.Identity(), torch.float32),
        (nn.Linear(2, 2).double(), torch.float64),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_a_network_works_in_what_it_says_and_never_in_what_it_stores(network, expected):
    assert precision_of(network, torch.float32) is expected


def test_modules_kept_in_float32_do_not_decide(tmp_path):
    """Wan's first parameter stays in float32 whatever it is loaded in."""
    from tests.models.nets import NETS

    tiny.seeded(diffusers.WanTransformer3DModel, **NETS["WanTransformer3DModel"].config).save_pretrained(tmp_path)
    net = diffusers.WanTransformer3DModel.from_pretrained(tmp_path, torch_dtype=torch.bfloat16).requires_grad_(False)
    assert next(net.parameters()).dtype is torch.float32 and net.dtype is torch.bfloat16
    flow = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    text, x = torch.randn(1, 6, 16), torch.randn(1, 4, 2, 8, 8)
    denoiser = gradbench.diffusers_denoiser(net, flow, text, batched=True)
    direct = net(x.bfloat16(), torch.tensor([500.0]), text.bfloat16(), return_dict=False)[0]
    found = denoiser(x, 0.5).value
    assert found.dtype is torch.float32 and torch.equal(found, direct.float())


UNET = diffusers.UNet2DConditionModel(**TINY.unet).requires_grad_(False)
WIDE = diffusers.UNet2DConditionModel(**{**TINY.unet, "in_channels": 9}).requires_grad_(False)
TOLD = diffusers.UNet2DConditionModel(**TINY.unet, time_cond_proj_dim=8).requires_grad_(False)
X = torch.randn(2, 4, 8, 8)


def run(model, condition, **options):
    return gradbench.sample(gradbench.diffusers_denoiser(model, scheduler(), condition, **options), X, steps=2)


FLUX = tiny.seeded(
    diffusers.FluxTransformer2DModel,
    in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
    joint_attention_dim=16, pooled_projection_dim=12, guidance_embeds=True, axes_dims_rope=(4, 4, 8),
)  # fmt: skip
POOLED = {"pooled_projections": torch.randn(1, 12)}
MISTAKES = [
    (lambda: run(UNET, torch.randn(1, 7, 32)), "give (tokens, width), shared by the batch, or (1 or b, tokens, width)"),
    (lambda: run(UNET, torch.randn(7, 32), batched=True),
     "(7, 32) has 7 rows and the batch 2 samples: with batched=True it needs one row per sample"),
    (lambda: run(UNET, None), "UNet2DConditionModel reads a condition (encoder_hidden_states): give condition="),
    (lambda: run(WIDE, torch.randn(7, 32)), "reads 9 channels, and x (2, 4, 8, 8) has 4: where it reads a mask"),
    (lambda: run(UNET, torch.randn(7, 31)), "reads a condition of width 32, got (2, 7, 31)"),
    (lambda: run(UNET, torch.randn(4, 7, 32), batched=True), "condition (4, 7, 32) has 4 rows and the batch 2"),
    (
        lambda: run(UNET, torch.randn(7, 32), extra={"class_labels": torch.zeros(5, 3)}),
        "extra['class_labels'] has shape (5, 3) and the batch 2 samples: allowed is a leading axis of 1 or 2",
    ),
    (
        lambda: run(UNET, torch.randn(1, 7, 32), null_condition=torch.randn(1, 6, 32), guidance=2.0, batched=True),
        "must have one shape: pad the shorter prompt",
    ),
    (lambda: run(TOLD, torch.randn(7, 32)), "(timestep_cond): give extra={'timestep_cond': (1, 8)}"),
    (
        lambda: gradbench.diffusers_denoiser(FLUX, diffusers.FlowMatchEulerDiscreteScheduler(), torch.randn(5, 16)),
        "FluxTransformer2DModel receives its guidance as an input: give extra={'guidance':",
    ),
    (
        lambda: gradbench.diffusers_denoiser(
            tiny.sd3_transformer(), diffusers.FlowMatchEulerDiscreteScheduler(), torch.randn(5, 64),
            null_condition=torch.randn(5, 64), guidance=3.0, extra=POOLED,
        ),
        "guidance needs null_extra: pooled_projections in extra is the prompt's",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), MISTAKES)
def test_first_mistakes_get_one_line(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def peft(pipe):
    pipe.unet = get_peft_model(pipe.unet, LoraConfig(r=2, target_modules=["to_q"], init_lora_weights="gaussian"))


def compiled(pipe):
    pipe.unet = torch.compile(pipe.unet, backend="eager")


def compiled_peft(pipe):
    peft(pipe)
    compiled(pipe)


def prepared(pipe):
    from accelerate import Accelerator

    pipe.unet = Accelerator(cpu=True).prepare(pipe.unet)


def of_a_subclass(pipe):
    class Mine(type(pipe)):
        pass

    return Mine(**pipe.components, requires_safety_checker=False)


def compiled_in_place(pipe):
    pipe.unet.compile(backend="eager")


SLOW = [pytest.param(change, marks=pytest.mark.slow) for change in (compiled, compiled_in_place, compiled_peft)]


@pytest.mark.parametrize("change", [peft, prepared, of_a_subclass, *SLOW])
def test_wrapped_networks_are_sampled_as_their_pipeline_samples_them(change):
    pipe = random_pipeline(TINY)
    pipe = change(pipe) or pipe
    x_T = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    theirs = pipe("a cat", num_inference_steps=2, latents=x_T, output_type="latent").images
    parts = gradbench.from_pipeline(pipe, "a cat")
    lora = [p for p in pipe.unet.parameters() if p.requires_grad]
    ours = gradbench.sample(parts.denoiser, x_T, grid=parts.grid(2), wrt=lora)
    assert ((ours - theirs).norm() / theirs.norm()).item() < 1e-6
    if lora:
        grads = torch.autograd.grad(ours.square().sum(), lora)
        assert any(g.norm() > 0 for g in grads)


@pytest.mark.slow
def test_what_is_called_is_the_compiled_module():
    calls = []

    def backend(graph, inputs):
        calls.append(graph)
        return graph.forward

    pipe = random_pipeline(TINY)
    torch.compiler.reset()
    pipe.unet = torch.compile(pipe.unet, backend=backend)
    parts = gradbench.from_pipeline(pipe, "a cat")
    gradbench.sample(parts.denoiser, parts.noise(), grid=parts.grid(1))
    assert calls


def offloaded(pipe):
    from accelerate import cpu_offload

    cpu_offload(pipe.unet, torch.device("cpu"))


def offloaded_whole(pipe):
    from accelerate.hooks import CpuOffload, add_hook_to_module

    add_hook_to_module(pipe.unet, CpuOffload("cpu"))


def offloaded_vae(pipe):
    from accelerate.hooks import CpuOffload, add_hook_to_module

    add_hook_to_module(pipe.vae, CpuOffload("cpu"))


@pytest.mark.parametrize("change", [offloaded, offloaded_whole, offloaded_vae])
def test_offloaded_weights_are_refused_with_the_remedy(change):
    pipe = random_pipeline(TINY)
    change(pipe)
    with pytest.raises(ValueError, match=r"offloaded by accelerate.*call pipe.remove_all_hooks\(\) and pipe.to"):
        gradbench.from_pipeline(pipe, "a cat")


def test_a_pipeline_with_a_loop_of_its_own_is_refused():
    class Mine(diffusers.StableDiffusionPipeline):
        def __call__(self, *words, **options):
            return super().__call__(*words, **options)

    pipe = Mine(**random_pipeline(TINY).components, requires_safety_checker=False)
    with pytest.raises(ValueError, match="Mine has a __call__ of its own"):
        gradbench.from_pipeline(pipe, "a cat")


def test_a_decoder_in_tiles_is_refused():
    pipe = random_pipeline(TINY)
    pipe.vae.enable_tiling()
    with pytest.raises(ValueError, match="decodes in tiles"):
        gradbench.from_pipeline(pipe, "a cat")


def overflowing(**config):
    """Activations beyond 65504 inside, as in XL's published decoder; a GroupNorm removes the scale again."""
    vae = tiny.seeded(diffusers.AutoencoderKL, latent_channels=4, **{**TINY.vae, **config})
    with torch.no_grad():
        vae.decoder.conv_in.weight *= 1e5
    return vae.half()


def test_a_decoder_that_must_be_upcast_is():
    vae, z = overflowing(force_upcast=True), torch.randn(1, 4, 8, 8, requires_grad=True)
    images = gradbench.LatentDecoder(vae)(z)
    direct = vae.float().decode(z / vae.config.scaling_factor).sample / 2 + 0.5
    assert torch.equal(images, direct)
    grads = [torch.autograd.grad(i.sum(), z)[0] for i in (images, direct)]
    assert grads[0].isfinite().all() and torch.allclose(*grads, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("context", ["half()", "autocast"])
def test_a_decoder_that_must_be_upcast_stays_so(context):
    decoder, z = gradbench.LatentDecoder(overflowing(force_upcast=True)), torch.randn(1, 4, 8, 8)
    expected = decoder(z)
    if context == "half()":
        found = decoder.half()(z)
    else:
        with torch.autocast("cpu", torch.float16):
            found = decoder(z)
    assert torch.equal(found, expected) and found.isfinite().all()


def test_the_upcast_leaves_the_autoencoder_in_half():
    vae = overflowing(force_upcast=True)
    gradbench.LatentDecoder(vae)
    assert vae.dtype is torch.float16
