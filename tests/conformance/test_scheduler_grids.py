"""Grids, samplers and refusals of diffusers' unmodified schedulers, in float32 tables unless a test says so."""

import copy
import math

import pytest
import torch
from diffusers import (
    DDIMInverseScheduler,
    DDIMScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2AncestralDiscreteScheduler,
    PNDMScheduler,
    SASolverScheduler,
    UNet2DModel,
)

import gradbench
from gradbench import Stop
from gradbench.diffusion.discrete import Discrete
from gradbench.diffusion.grid import tiles
from gradbench.samplers.spec import sampler_spec
from tests.conformance.scheduler_matrix import SmallNetwork, normals

TABLE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
ZERO = {**TABLE, "timestep_spacing": "trailing", "rescale_betas_zero_snr": True}


class Told(SmallNetwork):
    """Remembers its inputs."""

    def __init__(self):
        super().__init__()
        self.times = []

    def forward(self, x, time, condition=None):
        self.times.append(round(float(time), 3))
        return super().forward(x, time)


def ddim(spacing, **config):
    scheduler = DDIMScheduler(**TABLE, clip_sample=False, timestep_spacing=spacing, **config)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.final_alpha_cumprod = torch.ones((), dtype=torch.float64)
    return scheduler


def loop(scheduler, network, y, steps):
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        y = scheduler.step(network(scheduler.scale_model_input(y, t), t.double()), t, y).prev_sample
    return y


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


def gap(ours, theirs, network):
    """Of the samples, and of the gradients by the weight."""
    grads = [torch.autograd.grad((x**2).sum(), network.weight)[0] for x in (ours, theirs)]
    return max(distance(ours, theirs), distance(*grads))


@pytest.mark.parametrize(
    ("spacing", "steps"),
    [("leading", 28), ("trailing", 25), ("trailing", 28), ("trailing", 600), ("linspace", 10), ("linspace", 3)],
)
def test_ddims_stride_is_its_own_where_steps_do_not_divide_the_table(spacing, steps):
    scheduler, network, x_T = ddim(spacing), SmallNetwork(), normals(3, 6, seed=1)
    denoiser = gradbench.NetworkDenoiser(network, gradbench.from_diffusers(scheduler))
    ours = gradbench.sample(denoiser, x_T, grid=gradbench.grid_of(scheduler, steps), wrt=[network.weight])
    assert gap(ours, loop(scheduler, network, x_T, steps), network) < 1e-11


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_heun_ends_with_eulers_step_and_never_asks_below_the_table(spacing):
    scheduler = HeunDiscreteScheduler(**TABLE, timestep_spacing=spacing)
    network, x_T = Told(), normals(3, 6, seed=1)
    schedule, grid = gradbench.from_diffusers(scheduler), gradbench.grid_of(scheduler, 5)
    ours = gradbench.sample(
        gradbench.NetworkDenoiser(network, schedule),
        x_T,
        sampler="heun",
        grid=grid,
        gradient="backprop",
        wrt=[network.weight],
    )
    told = network.times[:]
    network.times.clear()
    theirs = loop(scheduler, network, x_T / schedule.alpha(grid[0]), 5)
    assert told == network.times and len(told) == 9 and min(told) >= 0
    assert gap(ours, theirs, network) < 1e-6


@pytest.mark.parametrize("sampler", ["rk4", "heun[chart=angle]", "midpoint", "reversible-heun"])
def test_no_sampler_asks_a_network_below_its_first_index(sampler):
    network, x_T = Told(), normals(3, 6, seed=1)
    denoiser = gradbench.NetworkDenoiser(network, gradbench.from_diffusers(ddim("leading")))
    gradbench.sample(denoiser, x_T, sampler=sampler, steps=4, t_min=0.0, wrt=[network.weight])
    assert min(network.times) >= 0


@pytest.mark.parametrize(("prediction", "kind"), [("v_prediction", "v"), ("sample", "x0")])
@pytest.mark.parametrize("steps", [5, 28])
def test_zero_terminal_snr_is_served_where_x_0_has_a_value(prediction, kind, steps):
    scheduler = DDIMScheduler(**ZERO, clip_sample=False, prediction_type=prediction)
    network, x_T = SmallNetwork(), normals(3, 6, seed=1)
    denoiser = gradbench.NetworkDenoiser(network, gradbench.from_diffusers(scheduler), kind=kind)
    ours = gradbench.sample(denoiser, x_T, grid=gradbench.grid_of(scheduler, steps), wrt=[network.weight])
    assert gap(ours, loop(scheduler, network, x_T, steps), network) < 1e-6


def test_zero_terminal_snr_is_refused_under_eps():
    scheduler, network = DDIMScheduler(**ZERO, clip_sample=False), SmallNetwork()
    denoiser = gradbench.NetworkDenoiser(network, gradbench.from_diffusers(scheduler))
    with pytest.raises(ValueError, match="predicts eps has no x_0 at alpha = 0, the noisy end"):
        gradbench.sample(denoiser, normals(3, 6, seed=1), grid=gradbench.grid_of(scheduler, 5), wrt=[network.weight])


def test_torchdiffeq_is_refused_at_zero_terminal_snr_where_its_clock_is_infinite():
    scheduler, network = DDIMScheduler(**ZERO, clip_sample=False, prediction_type="v_prediction"), SmallNetwork()
    denoiser = gradbench.NetworkDenoiser(network, gradbench.from_diffusers(scheduler), kind="v")
    given = {"grid": gradbench.grid_of(scheduler, 5), "wrt": [network.weight]}

    def ask(gradient):
        return gradbench.sample(denoiser, normals(3, 6, seed=1), sampler="ddim", gradient=gradient, **given)

    with pytest.raises(ValueError, match="the data chart is infinite at sigma = 0, the clean end: use chart=angle"):
        ask("torchdiffeq-adjoint")
    with pytest.raises(ValueError, match="the noise chart has no value at alpha = 0"):
        ask("torchdiffeq-adjoint[chart=noise]")
    served = ask("torchdiffeq-adjoint[chart=angle]")
    assert torch.autograd.grad(served.sum(), network.weight)[0].isfinite().all()


def test_eulers_zero_terminal_snr_is_its_own_small_number():
    """2^-24 in place of 0: another sample than DDIM's, by 2e-4, and the one that Euler's scheduler draws."""
    scheduler = EulerDiscreteScheduler(**ZERO, prediction_type="v_prediction")
    network, x_T = SmallNetwork(), normals(3, 6, seed=1)
    schedule, grid = gradbench.from_diffusers(scheduler), gradbench.grid_of(scheduler, 5)
    assert schedule.alpha(grid[0]) == pytest.approx(2.0**-12, rel=1e-6)
    ours = gradbench.sample(
        gradbench.NetworkDenoiser(network, schedule, kind="v"), x_T, grid=grid, wrt=[network.weight]
    )
    latents = x_T / gradbench.latents_scale(scheduler, grid)
    scheduler.set_timesteps(5)
    for k, t in enumerate(scheduler.timesteps):  # their step, without its cast to float32: 4096 eps would drown it
        s, s_next = (float(sigma) for sigma in scheduler.sigmas[k : k + 2])
        out = network(latents / math.sqrt(s**2 + 1), t.double())
        x_0 = out * (-s / math.sqrt(s**2 + 1)) + latents / (s**2 + 1)
        latents = latents + (latents - x_0) / s * (s_next - s)
    assert gap(ours, latents, network) < 1e-6


def test_a_table_that_ends_at_zero_falls_smoothly_to_it():
    schedule = gradbench.from_diffusers(DDIMScheduler(**ZERO, clip_sample=False))
    times = [0.998 + 0.0001 * k for k in range(21)]
    alphas = [schedule.alpha(min(t, 1.0)) for t in times]
    assert all(a > b for a, b in zip(alphas, alphas[1:], strict=False)) and alphas[-1] == 0.0
    for t in (0.5, 0.9992, 0.9998):
        slope = (schedule.alpha(t + 1e-6) - schedule.alpha(t - 1e-6)) / 2e-6
        assert schedule.dalpha(t) == pytest.approx(slope, rel=1e-5)
    assert schedule.log_snr(1.0) == -math.inf and math.isfinite(schedule.dalpha(1.0))


@pytest.mark.parametrize("sigma", [15.0, 100.0, 700.0])
def test_a_table_goes_on_beyond_its_end(sigma):
    schedule = gradbench.from_diffusers(EulerDiscreteScheduler(**TABLE))
    t = schedule.t_of_log_snr(-math.log(sigma))
    assert t > 1 and schedule.sigma(t) / schedule.alpha(t) == pytest.approx(sigma, rel=1e-12)
    assert isinstance(schedule, Discrete) and schedule.t_limit == 2.0


def test_missing_mu_is_asked_for():
    with pytest.raises(ValueError, match=r"use_dynamic_shifting=True\): give mu="):
        gradbench.grid_of(FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), 4)
    grid = gradbench.grid_of(FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), 2, sigmas=[1.0, 0.5], mu=0.9)
    assert grid == pytest.approx((1.0, math.exp(0.9) / (math.exp(0.9) + 1), 0.0), rel=1e-6)


def test_edms_grid_is_its_sigmas_and_its_network_is_told_their_logarithms():
    scheduler = EDMEulerScheduler()
    grid = gradbench.grid_of(scheduler, 4)
    scheduler.set_timesteps(4)
    assert grid == pytest.approx(scheduler.sigmas.tolist()) and gradbench.from_diffusers(scheduler).name == "ve"
    assert [t.told for t in grid[:-1]] == pytest.approx([0.25 * math.log(t) for t in grid[:-1]], rel=1e-5)


def test_an_index_beyond_the_table_is_one_line():
    with pytest.raises(ValueError, match="timestep 1000 beyond its table of 1000: take fewer steps"):
        gradbench.grid_of(ddim("leading", steps_offset=1), 1000)


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        (SASolverScheduler(**TABLE), r"DDIMScheduler\.from_config"),
        (DDIMInverseScheduler(**TABLE), r"use gradbench\.encode"),
    ],
)
def test_what_is_no_solver_of_ours_is_refused_by_every_function(scheduler, said):
    for ask in (gradbench.from_diffusers, gradbench.sampler_for, lambda s: gradbench.grid_of(s, 4)):
        with pytest.raises(ValueError, match=said):
            ask(scheduler)


def test_stages_between_steps_are_no_grid():
    with pytest.raises(ValueError, match="its timesteps hold times between its steps"):
        gradbench.grid_of(KDPM2AncestralDiscreteScheduler(**TABLE), 5)


def test_a_subclass_with_a_step_of_its_own_is_not_taken_for_its_base():
    class Mine(DDIMScheduler):
        def step(self, *args, **kwargs):
            return super().step(*args, **kwargs)

    scheduler = Mine(**TABLE, clip_sample=False)
    with pytest.raises(ValueError, match="steps that are not known"):
        gradbench.sampler_for(scheduler)
    with pytest.raises(ValueError, match="methods of its own"):
        gradbench.grid_of(scheduler, 5)
    with pytest.raises(ValueError, match="the scale of its latents is not known"):
        gradbench.latents_scale(scheduler, (1.0, 0.0))


def test_without_a_scheduler_rectified_flow_is_sampled_by_flow_euler():
    network, x_T = SmallNetwork(), normals(3, 6, seed=1)
    denoiser = gradbench.NetworkDenoiser(network, "rectified", kind="flow")
    given = {"steps": 3, "t_min": 0.0, "wrt": [network.weight]}
    assert torch.equal(
        gradbench.sample(denoiser, x_T, **given), gradbench.sample(denoiser, x_T, sampler="flow-euler", **given)
    )


def test_a_scheduler_chooses_the_sampler_or_says_that_none_is_its_own():
    model = UNet2DModel(
        sample_size=8,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        in_channels=3,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    model.requires_grad_(False)
    assert gradbench.diffusers_denoiser(model, EulerDiscreteScheduler(**TABLE)).sampler == "ddim"
    learnt = PNDMScheduler(**TABLE, prediction_type="v_prediction")
    denoiser, x_T = gradbench.diffusers_denoiser(model, learnt), torch.zeros(1, 3, 8, 8)
    with pytest.raises(ValueError, match="sampler must be named: scheduler PNDMScheduler"):
        gradbench.sample(denoiser, x_T, steps=2)
    assert gradbench.sample(denoiser, x_T, sampler="ddim", steps=2).isfinite().all()


@pytest.mark.parametrize("gradient", ["continuous-adjoint", "adjoint-deis", "torchdiffeq-adjoint", "checkpoint"])
@pytest.mark.parametrize("sampler", ["ddim", "dpm++2m", "belm"])
def test_steps_that_do_not_tile_are_no_solution_of_an_equation(gradient, sampler):
    scheduler, network, x_T = ddim("linspace"), SmallNetwork(), normals(3, 6, seed=1)
    grid = gradbench.grid_of(scheduler, 10)
    assert not tiles(grid)
    denoiser = gradbench.NetworkDenoiser(network, gradbench.from_diffusers(scheduler))
    given = {"sampler": sampler, "grid": grid, "gradient": gradient, "wrt": [network.weight]}
    if (gradient, sampler) == ("checkpoint", "ddim"):
        assert gradbench.sample(denoiser, x_T, **given).isfinite().all()
    else:
        with pytest.raises(ValueError, match="do not end where the next ones begin"):
            gradbench.sample(denoiser, x_T, **given)


def test_a_solver_of_its_own_times_is_refused_where_the_scheduler_tells_others():
    scheduler = EulerDiscreteScheduler(**TABLE, use_karras_sigmas=True)
    network, grid = SmallNetwork(), gradbench.grid_of(scheduler, 6)
    denoiser = gradbench.NetworkDenoiser(network, gradbench.from_diffusers(scheduler))
    with pytest.raises(ValueError, match="gives its network times other"):
        given = {"grid": grid, "gradient": "torchdiffeq-adjoint", "wrt": [network.weight]}
        gradbench.sample(denoiser, normals(3, 6, seed=1), **given)


def test_latents_of_eulers_scheduler_begin_at_its_own_scale():
    scheduler = EulerDiscreteScheduler(**TABLE, timestep_spacing="leading")
    grid = gradbench.grid_of(scheduler, 10)
    scheduler.set_timesteps(10)
    assert gradbench.latents_scale(scheduler, grid) * float(scheduler.init_noise_sigma) == pytest.approx(1.0, rel=1e-6)
    assert gradbench.latents_scale(ddim("leading"), grid) == 1.0


def test_a_stop_is_a_float_that_survives_a_copy():
    stop = copy.deepcopy(Stop(0.5, told=3.0, end=0.0))
    assert (stop, stop.told, stop.end, stop.first_order) == (0.5, 3.0, 0.0, False)
    assert repr(stop) == "Stop(0.5, told=3.0, end=0.0)"


def test_a_grid_that_a_plain_list_would_say_is_one():
    assert all(type(t) is float for t in gradbench.grid_of(ddim("leading"), 20))


def test_an_option_that_came_later_is_said_only_where_it_is_not_the_default():
    assert "solver" not in sampler_spec("dpm++2m").params
    assert sampler_spec("dpm++2m[solver=heun]").params["solver"] == "heun"
    assert sampler_spec("dpm++2m[solver=heun]").rule != sampler_spec("dpm++2m").rule


def test_a_clip_is_seen_in_a_subclass_and_not_in_a_class_that_has_none():
    class Mine(DDIMScheduler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)

    with pytest.raises(ValueError, match="clip_sample=True, which cuts gradients off"):
        gradbench.from_diffusers(Mine(**TABLE, clip_sample=True))
    euler = EulerDiscreteScheduler.from_config(DDIMScheduler(**TABLE, clip_sample=True).config)
    assert gradbench.sampler_for(euler) == "ddim"


KARRAS = {**TABLE, "use_karras_sigmas": True, "sigma_min": 0.1}
SVD = {**TABLE, "timestep_type": "continuous", "prediction_type": "v_prediction", "use_karras_sigmas": True}


def sampled(scheduler, factor):
    """A sample from `factor` times the latents of a pipeline with this scheduler; `ValueError` for the wrong scale."""
    network, grid = SmallNetwork(), gradbench.grid_of(scheduler, 5)
    denoiser = gradbench.NetworkDenoiser(network, gradbench.from_diffusers(scheduler), kind="x0")
    own = copy.deepcopy(scheduler)
    own.set_timesteps(5)
    latents = normals(32, 6, seed=1) * float(own.init_noise_sigma) * factor
    return gradbench.sample(denoiser, latents, grid=grid, wrt=[network.weight])


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        (EulerDiscreteScheduler(**TABLE), r"of spread 1 at this time, got 1[3-6].* here 0\.068"),
        (HeunDiscreteScheduler(**TABLE), r"of spread 1 at this time, got 1[3-6]"),
        (EulerDiscreteScheduler(**KARRAS, sigma_max=3.0), r"of spread 1 at this time, got [23]\..* here 0\.316"),
        (EulerDiscreteScheduler(**SVD, sigma_max=700.0, sigma_min=0.002), "got [67].*, [67].* times that.* 0.00143"),
    ],
)
def test_latents_in_a_schedulers_own_scale_are_not_taken_for_x_T(scheduler, said):
    with pytest.raises(ValueError, match=said) as caught:
        sampled(scheduler, 1.0)
    assert "gradbench.latents_scale(scheduler, grid)" in str(caught.value)
    assert sampled(scheduler, gradbench.latents_scale(scheduler, gradbench.grid_of(scheduler, 5))).isfinite().all()


def test_unscaled_noise_is_not_taken_for_x_T_of_edm():
    scheduler = EDMEulerScheduler()
    with pytest.raises(ValueError, match=r"of spread 80 at this time, got (0\.9|1).*multiply noise of spread 1 by 80"):
        sampled(scheduler, 1 / 80)
    with pytest.raises(ValueError, match=r"got \S+e\+03, [78]\S* times that: scale noise once"):
        sampled(scheduler, 80.0)
    assert sampled(scheduler, 1.0).isfinite().all()


@pytest.mark.parametrize("factor", [0.0, 0.4, 0.7, 1.5])
def test_an_x_T_without_spread_and_other_temperatures_are_served(factor):
    assert sampled(DDIMScheduler(**TABLE, clip_sample=False), factor).isfinite().all()


def test_the_last_latents_of_eulers_scheduler_have_its_scale_too():
    """It ends at a positive sigma, where they are x / alpha."""
    scheduler = EulerDiscreteScheduler(**TABLE, use_karras_sigmas=True, final_sigmas_type="sigma_min")
    network, x_T, grid = SmallNetwork(), normals(3, 6, seed=1), gradbench.grid_of(scheduler, 6)
    denoiser = gradbench.NetworkDenoiser(network, gradbench.from_diffusers(scheduler))
    theirs = loop(scheduler, network, x_T / gradbench.latents_scale(scheduler, grid), 6)
    ours = gradbench.sample(denoiser, x_T, grid=grid, wrt=[network.weight])
    assert gradbench.latents_scale(scheduler, grid[-1:]) == pytest.approx(
        1 / math.hypot(1, scheduler.sigmas[-1]), rel=1e-6
    )
    assert distance(ours, theirs * gradbench.latents_scale(scheduler, grid[-1:])) < 1e-6
    assert gradbench.latents_scale(EulerDiscreteScheduler(**TABLE), (0.0,)) == 1.0
