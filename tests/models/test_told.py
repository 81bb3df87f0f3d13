"""Every network class in the table of conventions against the loop of its own pipeline, sample and gradient."""

import diffusers
import pytest
import torch

import gradbench
from gradbench.models.conventions import CONVENTIONS
from tests.models import tiny
from tests.models.net import made, normal
from tests.models.nets import NETS

BATCH, STEPS = 2, 3


def expanded(tree, batch, shared):
    def rows(value):
        return value.repeat(batch, *[1] * (value.ndim - 1)) if isinstance(value, torch.Tensor) else value

    return {k: v if k in shared else rows(v) for k, v in tree.items()}


def scheduler_of(net):
    if net.flow:
        return diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    own = tiny.ddim()
    own.alphas_cumprod = own.alphas_cumprod.double()
    own.final_alpha_cumprod = own.alphas_cumprod[0]
    return own


def pipelines_loop(net, model, x, text):
    """As in the pipeline of the class: the scheduler's timestep in its own convention, the answer with its sign."""
    scheduler = scheduler_of(net)
    scheduler.set_timesteps(STEPS)
    words = (
        {} if text is None else {"encoder_hidden_states": text.expand(BATCH, -1, -1).repeat_interleave(net.frames, 0)}
    )
    for k, t in enumerate(scheduler.timesteps):
        time = net.time(t.double()).expand(BATCH)
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
    assert relative(ours, theirs) < net.tolerance
    for mine, other in zip(*(torch.autograd.grad(s.square().sum(), leaves) for s in (ours, theirs)), strict=True):
        assert other.norm() > 0 and relative(mine, other) < net.tolerance


def test_every_class_in_the_table_is_held_against_its_pipeline():
    apart = {"UNetSpatioTemporalConditionModel", "ZImageTransformer2DModel"}  # tests of their own below
    assert set(CONVENTIONS) == set(NETS) | apart


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_z_image_takes_lists_and_hears_one_minus_t(guidance):
    """Its pipeline: timestep (1000 - t) / 1000, minus the answer, pos + g (pos - neg) with g = w - 1."""
    config = {"in_channels": 4, "dim": 16, "n_layers": 1, "n_refiner_layers": 1, "n_heads": 2, "n_kv_heads": 2}
    rope = {"axes_dims": [2, 2, 4], "axes_lens": [64, 16, 16], "cap_feat_dim": 16}
    model = made("ZImageTransformer2DModel", **config, **rope)
    x, text, null = normal(BATCH, 4, 8, 8).requires_grad_(), normal(1, 5, 16, seed=2).requires_grad_(), normal(1, 5, 16)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(STEPS)

    def asked(x, words, t):
        time = ((1000 - t) / 1000).expand(BATCH)
        answer = model(list(x.unsqueeze(2)), time, list(words.expand(BATCH, -1, -1)), return_dict=False)[0]
        return torch.stack(list(answer), dim=0)

    y = x
    for k, t in enumerate(scheduler.timesteps.double()):
        positive, negative = asked(y, text, t), asked(y, null, t)
        answer = -(positive + (guidance - 1) * (positive - negative)).squeeze(2)
        y = y + float(scheduler.sigmas[k + 1] - scheduler.sigmas[k]) * answer
    denoiser = gradbench.diffusers_denoiser(
        model, scheduler, text, null_condition=null, guidance=guidance, batched=True
    )
    ours = gradbench.sample(denoiser, x, sampler="flow-euler", grid=gradbench.grid_of(scheduler, STEPS), wrt=[text])
    assert relative(ours, y) < 5e-6
    for mine, other in zip(*(torch.autograd.grad(s.square().sum(), [x, text]) for s in (ours, y)), strict=True):
        assert relative(mine, other) < 5e-6


class WithImage(torch.nn.Module):
    """Stable Video Diffusion's input: the frames' latents and those of the image, one after the other."""

    def __init__(self, model, image, ids):
        super().__init__()
        self.model, self.image, self.ids = model, image, ids

    def forward(self, x, time, condition):
        both = torch.cat([x, self.image.expand(len(x), x.shape[1], -1, -1, -1)], dim=2)
        ids = self.ids.expand(len(x), -1)
        return self.model(both, time, condition, added_time_ids=ids, return_dict=False)[0]


def test_stable_video_diffusion_hears_a_quarter_of_log_sigma():
    blocks = {"down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal")}
    blocks |= {"up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal")}
    sizes = {"block_out_channels": (32, 64), "layers_per_block": 1, "cross_attention_dim": 16, "num_frames": 2}
    rest = {"num_attention_heads": (2, 2), "addition_time_embed_dim": 4, "projection_class_embeddings_input_dim": 12}
    model = made("UNetSpatioTemporalConditionModel", **blocks, **sizes, **rest)
    text, image, ids = normal(1, 1, 16), normal(1, 1, 4, 8, 8, seed=3), normal(1, 3, seed=4)
    denoiser = gradbench.NetworkDenoiser(
        WithImage(model, image, ids), "scaled-linear", kind="v", told="log(sigma)/4", condition=text, batched=True
    )
    x, t = normal(2, 2, 4, 8, 8, seed=6), 0.7
    schedule = denoiser.schedule
    noise = torch.tensor(0.25 * torch.log(torch.tensor(schedule.sigma(t) / schedule.alpha(t), dtype=torch.float64)))
    both = torch.cat([x, image.expand(2, 2, -1, -1, -1)], dim=2)
    direct = model(both, noise.expand(2), text.expand(2, -1, -1), ids.expand(2, -1)).sample
    assert relative(denoiser(x, t).value, direct) < 1e-12


@pytest.mark.parametrize(
    ("told", "heard"),
    [("index", 600.0), ("1000 t", 600.0), ("t", 0.6), ("1 - t", 0.4), (lambda t: 7 * t, 4.2)],
)
def test_a_network_of_a_flow_hears_what_told_names(told, heard):
    seen = []

    class Hears(torch.nn.Module):
        def forward(self, x, time, condition):
            seen.append(time.item())
            return x

    gradbench.NetworkDenoiser(Hears(), "rectified", kind="flow", told=told)(normal(2, 3), 0.6)
    assert seen == [pytest.approx(heard, rel=1e-12)]


@pytest.mark.parametrize("sigma", [80.0, 24.4, 5.8])
def test_on_ve_a_network_hears_edms_noise_level(sigma):
    seen = []

    class Hears(torch.nn.Module):
        def forward(self, x, time, condition):
            seen.append(time.item())
            return x

    gradbench.NetworkDenoiser(Hears(), "ve", kind="x0")(normal(2, 3), sigma)
    assert seen == [pytest.approx(torch.tensor(sigma).log().item() / 4, rel=1e-6)]


class OwnTransformer(torch.nn.Module):
    def forward(self, hidden_states, timestep, encoder_hidden_states=None):
        return hidden_states


class OwnDiT(OwnTransformer):
    """The same, with its time on the tape of its answer."""

    def forward(self, hidden_states, timestep, encoder_hidden_states=None):
        return hidden_states * torch.cos(6 * timestep)[:, None, None]


@pytest.mark.parametrize("kind", [OwnTransformer, OwnDiT, torch.nn.Module])
def test_a_network_of_a_flow_that_nobody_knows_is_asked_for_its_time(kind):
    class Own(kind):
        forward = OwnDiT.forward

    flow = diffusers.FlowMatchEulerDiscreteScheduler()
    with pytest.raises(ValueError, match="Own is not a network whose convention is known: specify its time input"):
        gradbench.diffusers_denoiser(Own(), flow)
    assert gradbench.diffusers_denoiser(Own(), flow, told="t").told == "t"


def test_a_network_of_ones_own_that_is_told_t_is_sampled_as_by_its_loop():
    flow = diffusers.FlowMatchEulerDiscreteScheduler()
    flow.set_timesteps(6)
    x_T = y = normal(2, 3, 4)
    for t, a, b in zip(flow.timesteps.double(), flow.sigmas, flow.sigmas[1:], strict=False):
        y = y + float(b - a) * OwnDiT()(y, (t / 1000).expand(2))
    denoiser = gradbench.diffusers_denoiser(OwnDiT(), flow, told="t")
    assert relative(gradbench.sample(denoiser, x_T, grid=gradbench.grid_of(flow, 6)), y) < 1e-6


@pytest.mark.parametrize("kind", [OwnTransformer, OwnDiT])
def test_a_network_of_ones_own_takes_the_index_of_a_table(kind):
    assert gradbench.diffusers_denoiser(kind(), tiny.ddim()).told == "index"


def test_a_network_of_diffusers_that_is_not_in_the_table_is_asked_for_its_time():
    class Prior(diffusers.ModelMixin):
        forward = OwnTransformer.forward

    with pytest.raises(ValueError, match="Prior is not a network whose convention is known"):
        gradbench.diffusers_denoiser(Prior(), tiny.ddim())


def test_continuous_timesteps_are_asked_for():
    continuous = diffusers.EulerDiscreteScheduler(**tiny.BETAS, timestep_type="continuous")
    with pytest.raises(ValueError, match="timestep_type='continuous': specify its time input"):
        gradbench.diffusers_denoiser(tiny.unet_2d(), continuous)


class Still(torch.nn.Module):
    def forward(self, x, time, condition):
        return x


def test_a_time_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="receives -inf for t = 0"):
        gradbench.NetworkDenoiser(Still(), "ve")(normal(2, 3), 0.0)


def test_an_unknown_convention_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match="unknown told 'timestep'; allowed: index, 1000 t, t, 1 - t, log"):
        gradbench.NetworkDenoiser(Still(), "ve", told="timestep")


def test_a_network_that_cannot_be_called_as_one_is_refused_when_it_is_given():
    with pytest.raises(ValueError, match=r"Identity must be called as network\(x, time, condition\)"):
        gradbench.NetworkDenoiser(torch.nn.Identity(), "ve")


@pytest.mark.parametrize("name", ["QwenImageTransformer2DModel", "Lumina2Transformer2DModel"])
def test_a_guided_answer_is_rescaled_as_its_pipeline_rescales_it(name):
    """comb = neg + w (pos - neg), and then comb |pos| / |comb| along the last axis."""
    net, model = NETS[name], made(name, **NETS[name].config)
    x, text, null = normal(BATCH, *net.shape), normal(1, *net.text, seed=2), normal(1, *net.text, seed=3)

    def asked(words):
        time = net.time(torch.tensor(600.0, dtype=torch.float64)).expand(BATCH)
        given = {net.sample: x, "timestep": time, "encoder_hidden_states": words.repeat(BATCH, 1, 1)}
        return net.sign * model(**given, **expanded(net.extra, BATCH, net.shared), return_dict=False)[0]

    positive, negative = asked(text), asked(null)
    comb = negative + 4 * (positive - negative)
    expected = comb * (positive.norm(dim=-1, keepdim=True) / comb.norm(dim=-1, keepdim=True))
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    extra = {k: v * 2 if isinstance(v, list) else v for k, v in net.extra.items()}
    given = {"null_condition": null, "guidance": 4.0, "batched": True, "extra": extra, "null_extra": extra}
    denoiser = gradbench.diffusers_denoiser(model, scheduler, text, **given)
    assert relative(denoiser(x, 0.6).value, expected) < 1e-6


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.0, -1.0])
def test_a_scale_of_one_or_less_is_no_guidance_as_in_diffusers(scale):
    net, model = NETS["UNet2DConditionModel"], made("UNet2DConditionModel", **NETS["UNet2DConditionModel"].config)
    x, text, null = normal(BATCH, *net.shape), normal(1, *net.text, seed=2), normal(1, *net.text, seed=3)
    plain = gradbench.diffusers_denoiser(model, tiny.ddim(), text, batched=True)
    scaled = gradbench.diffusers_denoiser(model, tiny.ddim(), text, null_condition=null, guidance=scale, batched=True)
    assert torch.equal(scaled(x, 0.5).value, plain(x, 0.5).value)
