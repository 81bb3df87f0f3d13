"""Speed and memory of the building blocks; shown by `make benchmark`, never asserted in an ordinary test.

Groups are compared with each other in one table; `pytest-benchmark compare` sets two saved runs side by side. Ratios
are of interleaved runs. `extra_info` of a saved run has them and `peak_bytes`, the live bytes of one estimate.
"""

import statistics
import time

import pytest
import torch

import gradbench
from gradbench.diffusion.noise import draw
from gradbench.measure.cost import held_tensors, peak_memory

pytestmark = pytest.mark.benchmark


def hand_written(problem):
    """Backpropagation through DDIM as one would write it by hand: x <- A x + B eps."""
    denoiser, grid, s = problem.denoiser, problem.rollout.grid, problem.denoiser.schedule
    x_T = x = problem.x_T.detach().requires_grad_()
    for t, u in zip(grid, grid[1:], strict=False):
        eps = denoiser._network(x, s.train_steps * t - 1)
        scale = s.alpha(u) / s.alpha(t)
        x = scale * x + (s.sigma(u) - scale * s.sigma(t)) * eps
    return torch.autograd.grad(problem.objective(x).sum(), [x_T, *problem.wrt])


def ratio(first, second, rounds=9):
    """Median time of `first` over that of `second`, taken in turns."""
    times = {first: [], second: []}
    for _ in range(rounds):
        for call in (first, second):
            start = time.perf_counter()
            call()
            times[call].append(time.perf_counter() - start)
    return statistics.median(times[first]) / statistics.median(times[second])


@pytest.fixture
def problem(digits):
    return digits.problem(steps=10)


def note_memory(benchmark, problem, call):
    """Peak live bytes of one call over what is there before, as rows of a run have them."""
    benchmark.extra_info["peak_bytes"] = peak_memory(call, held_tensors(problem), problem.x_T.device).peak


@pytest.mark.benchmark(group="digits, ddim, 10 steps")
@pytest.mark.parametrize(
    "name", ["backprop", "checkpoint", "revolve", "adjoint-deis", "adjoint-dpm", "continuous-adjoint"]
)
def test_an_estimate(benchmark, problem, name):
    estimator = gradbench.estimator(name)
    note_memory(benchmark, problem, lambda: estimator(problem))
    benchmark(lambda: estimator(problem))


@pytest.mark.benchmark(group="overhead")
def test_backprop_against_a_hand_written_loop(benchmark, problem):
    estimator = gradbench.estimator("backprop")
    benchmark.extra_info["ratio"] = ratio(lambda: estimator(problem), lambda: hand_written(problem))
    note_memory(benchmark, problem, lambda: estimator(problem))
    benchmark(lambda: estimator(problem))


@pytest.mark.benchmark(group="overhead")
def test_checkpoint_against_the_cost_of_its_parts(benchmark, problem):
    """Over (2F + B)/(F + B) times backprop, F a forward pass and B a backward pass measured in the same turns."""
    plain, checkpointed = gradbench.estimator("backprop"), gradbench.estimator("checkpoint")

    def forward():
        with torch.no_grad():
            problem.objective(problem.rollout.sample(problem.x_T))

    f = ratio(forward, lambda: plain(problem))  # F / (F + B)
    found = ratio(lambda: checkpointed(problem), lambda: plain(problem))
    benchmark.extra_info["ratio"], benchmark.extra_info["over_parts"] = found, found / (1 + f)
    note_memory(benchmark, problem, lambda: checkpointed(problem))
    benchmark(lambda: checkpointed(problem))


@pytest.mark.benchmark(group="noise")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_keyed_noise_against_brownian_intervals(benchmark, dtype):
    """A thousand increments of one 4x64x64 latent, forwards and then backwards as an adjoint asks for them.

    Keyed noise is drawn in float64 always, BrownianInterval's in the dtype asked for.
    """
    from torchsde import BrownianInterval

    shape, n = (1, 4, 64, 64), 1000

    def keyed():
        for k in (*range(n), *reversed(range(n))):
            torch.from_numpy(draw(0, k, shape)).to(dtype)

    def interval(**options):
        path = BrownianInterval(0.0, 1.0, size=(1, 4 * 64 * 64), entropy=0, dtype=dtype, **options)
        for k in (*range(n), *reversed(range(n))):
            path(k / n, (k + 1) / n)

    benchmark.extra_info["ratio_with_dt"] = 1 / ratio(keyed, lambda: interval(dt=1 / n), rounds=3)
    benchmark.extra_info["ratio_default"] = 1 / ratio(keyed, interval, rounds=1)
    benchmark.pedantic(keyed, rounds=3)


@pytest.mark.benchmark(group="references")
def test_the_flow_gradient_of_a_product_mixture_in_100_dimensions(benchmark):
    problem = gradbench.case("product-mixture", dim=100, batch=64).problem(steps=2)
    note_memory(benchmark, problem, problem.flow_gradient)
    benchmark(problem.flow_gradient)


@pytest.mark.benchmark(group="overhead")
@pytest.mark.parametrize("case", ["digits", "sd-tiny", "gaussian"])
def test_what_comparing_the_steps_costs(benchmark, case):
    """The share of a step of checkpoint, forward and backward, that comparing it and the settings takes."""
    from gradbench.estimators.replay import Replay
    from gradbench.estimators.settings import Settings

    problem = gradbench.case(case).problem(sampler="ddim", steps=20)
    rollout, checkpointed = problem.rollout, gradbench.estimator("checkpoint")
    state = rollout.start(problem.x_T)
    with torch.no_grad():
        after = rollout.step(0, state)

    def compare():
        witness, settings = Replay(2.0**-24), Settings(problem.denoiser)
        settings.settle()
        for k in range(rollout.steps):
            witness.compare(k, after, after, state)
        witness.check()
        settings.refuse_changes()

    share = ratio(compare, lambda: checkpointed(problem))
    benchmark.extra_info["share"] = share
    print(f"{case}: comparing takes {100 * share:.2f}% of a chain of checkpoint")
    benchmark(compare)
