"""Whole pipelines' networks: gradients through our samplers are autograd's through diffusers' own loop of steps.

Their side calls the U-Net itself, combines its guided halves by hand and steps with `scheduler.step`; ours is
`gradbench.sample` on `grid_of(scheduler, N)`. Compared are x_0 and the gradients of its squared norm with respect to
x_T, the prompt's embedding and the LoRA weights.

DDIM and DDPM compute in the precision of their table of alphas, which is float64 here on both sides: 1e-10. The others
cast the state to float32 in every step and keep their sigmas in it. Such a cast changes the state by 2^-24 of its size,
and what it changes grows by alpha_0 / alpha_T < 15 on the way to x_0: N <= 6 steps leave at most 6 * 15 * 2^-24 =
5.4e-6, and the gradients, which are differences of larger terms, are allowed twice that.
"""

import copy
from dataclasses import dataclass

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from torch import Tensor, nn

import gradbench
from gradbench import diffusers_denoiser, from_pipeline, grid_of
from gradbench.models.lora import add_lora
from gradbench.models.stable_diffusion import TINY, random_pipeline

FLOAT64, FLOAT32 = 1e-10, 2 * 6 * 15 * 2**-24
BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
STABLE_DIFFUSION = {
    **BETAS,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}


@dataclass(frozen=True)
class Guided:
    """A U-Net in float64 with LoRA, the embeddings it is guided by, and x_T."""

    unet: nn.Module
    condition: Tensor  # (1, tokens, width)
    null: Tensor
    guidance: float
    lora: list[Tensor]
    x_T: Tensor

    @property
    def leaves(self):
        return [self.x_T, self.condition, *self.lora]

    def by_hand(self, x, t):
        """eps of the null embedding and of the condition from one doubled batch, then their combination."""
        embeddings = torch.cat([self.null.expand(len(x), -1, -1), self.condition.expand(len(x), -1, -1)])
        null, conditional = self.unet(torch.cat([x, x]), t, encoder_hidden_states=embeddings).sample.chunk(2)
        return null + self.guidance * (conditional - null)

    def denoiser(self, scheduler):
        return diffusers_denoiser(
            self.unet, scheduler, self.condition, null_condition=self.null, guidance=self.guidance, batched=True
        )


def leaf(tensor):
    return tensor.detach().double().clone().requires_grad_()


def start(*shape):
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()


def sd_tiny():
    pipe = random_pipeline(TINY)
    found = from_pipeline(pipe, prompt="an astronaut riding a horse", guidance=7.5).denoiser
    add_lora(pipe.unet, rank=4, seed=0)
    unet = pipe.unet.double()
    lora = [p for p in unet.parameters() if p.requires_grad]
    return Guided(unet, leaf(found.condition), found.null_condition.double(), 7.5, lora, start(4, 8, 8))


def digits():
    problem = gradbench.case("digits", guidance=2.0).problem(dtype="float64")
    own, unet = problem.denoiser, problem.denoiser.network.model
    return Guided(
        unet,
        leaf(own.condition[None]),
        own.null_condition[None].double(),
        2.0,
        list(problem.parameters),
        start(1, 8, 8),
    )


@pytest.fixture(scope="module")
def networks():
    return {"sd-tiny": sd_tiny(), "digits": digits()}


@pytest.fixture(params=["sd-tiny", "digits"])
def network(request, networks):
    return networks[request.param]


def doubled(scheduler):
    """The scheduler with its tables in float64."""
    config = scheduler.config
    roots = torch.linspace(config.beta_start**0.5, config.beta_end**0.5, 1000, dtype=torch.float64)
    scheduler.alphas_cumprod = torch.cumprod(1 - roots**2, 0)
    one = torch.ones((), dtype=torch.float64)
    if hasattr(scheduler, "final_alpha_cumprod"):
        scheduler.final_alpha_cumprod = one if config.set_alpha_to_one else scheduler.alphas_cumprod[0]
    scheduler.one = one
    return scheduler


def theirs(network, scheduler, steps):
    """diffusers' loop, as a pipeline writes it."""
    own = copy.deepcopy(scheduler)
    own.set_timesteps(steps)
    x = network.x_T * own.init_noise_sigma if hasattr(own, "init_noise_sigma") else network.x_T
    for t in own.timesteps:
        inputs = own.scale_model_input(x, t) if hasattr(own, "scale_model_input") else x
        x = own.step(network.by_hand(inputs, t), t, x, return_dict=False)[0]
    return x


def ours(network, scheduler, steps, sampler, **options):
    return gradbench.sample(
        network.denoiser(scheduler),
        network.x_T,
        sampler=sampler,
        grid=grid_of(scheduler, steps),
        wrt=network.leaves[1:],
        **options,
    )


def distances(network, got, expected):
    """Relative distances of x_0 and of the gradients with respect to x_T, the embedding and all of LoRA."""
    mine, others = (torch.autograd.grad((x_0**2).sum(), network.leaves) for x_0 in (got, expected))
    lora = [torch.cat([g.flatten() for g in grads[2:]]) for grads in (mine, others)]
    pairs = [(got, expected), (mine[0], others[0]), (mine[1], others[1]), lora]
    assert all(b.norm() > 0 for _, b in pairs)
    return [((a - b).norm() / b.norm()).item() for a, b in pairs]


@pytest.mark.parametrize(
    ("changes", "steps", "gradient"),
    [
        ({}, 3, "backprop"),
        ({}, 6, "checkpoint"),
        ({"timestep_spacing": "trailing"}, 5, "checkpoint"),
        ({"set_alpha_to_one": True}, 4, "revolve[snapshots=2]"),
    ],
    ids=["leading-3", "leading-6", "trailing-5", "to-one-4"],
)
def test_ddim_is_equal_in_float64(network, changes, steps, gradient):
    scheduler = doubled(DDIMScheduler(**{**STABLE_DIFFUSION, **changes}))
    got = ours(network, scheduler, steps, "ddim", gradient=gradient)
    assert max(distances(network, got, theirs(network, scheduler, steps))) < FLOAT64


@pytest.mark.parametrize("prediction", ["v_prediction", "sample"])
def test_ddim_is_equal_in_float64_whatever_the_network_predicts(network, prediction):
    scheduler = doubled(DDIMScheduler(**STABLE_DIFFUSION, prediction_type=prediction))
    got = ours(network, scheduler, 4, "ddim")
    assert max(distances(network, got, theirs(network, scheduler, 4))) < FLOAT64


def test_ddim_with_its_own_float32_table_is_equal_to_that_tables_rounding(network):
    scheduler = DDIMScheduler(**STABLE_DIFFUSION)
    assert scheduler.alphas_cumprod.dtype is torch.float32
    got = ours(network, scheduler, 5, "ddim")
    assert max(distances(network, got, theirs(network, scheduler, 5))) < FLOAT32


@pytest.mark.parametrize(("variance", "option"), [("fixed_small", "small"), ("fixed_large", "large")])
def test_ddpm_is_equal_in_float64_on_the_same_noises(network, variance, option, monkeypatch):
    from diffusers.schedulers import scheduling_ddpm

    spaced = {"timestep_spacing": "leading", "clip_sample": False}
    scheduler, steps = doubled(DDPMScheduler(**BETAS, **spaced, variance_type=variance)), 4
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(steps, *network.x_T.shape, generator=generator, dtype=torch.float64)
    noise[-1] = 0  # theirs draws none in its last step
    waiting = list(noise)
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *shape, **options: waiting.pop(0))
    got = ours(network, scheduler, steps, f"ddpm[variance={option}]", noise=noise)
    assert max(distances(network, got, theirs(network, scheduler, steps))) < FLOAT64


@pytest.mark.parametrize("changes", [{}, {"timestep_spacing": "trailing"}], ids=["leading", "trailing"])
def test_dpm_solver_multistep_of_a_pipelines_configuration(network, changes):
    """As users make it: from DDIM's configuration, ending at sigma = 0 by its default."""
    scheduler = DPMSolverMultistepScheduler.from_config(DDIMScheduler(**STABLE_DIFFUSION).config, **changes)
    got = ours(network, scheduler, 5, "dpm++2m")
    assert max(distances(network, got, theirs(network, scheduler, 5))) < FLOAT32


def test_dpm_solver_multistep_that_ends_at_the_first_index(network):
    scheduler = DPMSolverMultistepScheduler.from_config(
        DDIMScheduler(**STABLE_DIFFUSION).config, final_sigmas_type="sigma_min", lower_order_final=False
    )
    got = ours(network, scheduler, 4, "dpm++2m")
    assert max(distances(network, got, theirs(network, scheduler, 4))) < FLOAT32


def test_euler_discrete_is_ddim(network):
    """Its state is x / alpha, scaled at the start by `init_noise_sigma`, and at alpha = 1 it is x."""
    scheduler = EulerDiscreteScheduler.from_config(DDIMScheduler(**STABLE_DIFFUSION).config)
    got = ours(network, scheduler, 5, "ddim")
    assert max(distances(network, got, theirs(network, scheduler, 5))) < FLOAT32


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_matching_with_a_network_that_predicts_the_flow(network, shift):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    got = ours(network, scheduler, 5, "flow-euler")
    assert max(distances(network, got, theirs(network, scheduler, 5))) < FLOAT32


@pytest.mark.parametrize("made", [EulerDiscreteScheduler, DPMSolverMultistepScheduler])
def test_a_grid_of_karras_sigmas_has_their_signal_to_noise_ratios(made):
    scheduler = made.from_config(DDIMScheduler(**STABLE_DIFFUSION).config, use_karras_sigmas=True)
    schedule, grid = gradbench.from_diffusers(scheduler), grid_of(scheduler, 6)
    scheduler.set_timesteps(6)
    ratios = [schedule.log_snr(t) for t in grid[:-1]]
    assert ratios == pytest.approx((-scheduler.sigmas[:-1].double().log()).tolist(), abs=1e-6) and grid[-1] == 0


def test_flow_sigmas_in_a_scheduler_with_a_table_are_flow_matching():
    scheduler = DPMSolverMultistepScheduler(
        use_flow_sigmas=True, flow_shift=3.0, prediction_type="flow_prediction", final_sigmas_type="zero"
    )
    grid = grid_of(scheduler, 5)
    scheduler.set_timesteps(5)
    assert gradbench.from_diffusers(scheduler).name == "rectified"
    assert grid == pytest.approx(scheduler.sigmas.tolist()) and grid[-1] == 0


def test_a_grid_leaves_the_scheduler_as_it_was():
    scheduler = EulerDiscreteScheduler(**BETAS)
    scheduler.set_timesteps(7)
    before = scheduler.timesteps.clone()
    grid_of(scheduler, 4)
    assert torch.equal(scheduler.timesteps, before) and scheduler.step_index is None
