"""Network evaluations of each pass, exactly."""

import pytest

import gradbench
from gradbench.samplers.runge_kutta import RungeKutta

N = 12
COUNTS = [
    ("backprop", "ddim", (N, 0, N)),
    ("backprop", "rk4", (4 * N, 0, 4 * N)),
    ("checkpoint", "ddim", (N, N, N)),
    ("checkpoint", "heun", (2 * N, 2 * N, 2 * N)),
    ("checkpoint", "ab2", (N, N, N)),
    ("adjoint-dpm[rule=rk4,trajectory=stored]", "rk4", (4 * N, 4 * N, 4 * N)),
    ("adjoint-dpm[rule=rk4,trajectory=resolved]", "rk4", (4 * N, 4 * N, 4 * N)),
    ("adjoint-dpm[rule=midpoint]", "ddim", (N, 2 * N, 2 * N)),
    ("adjoint-deis", "ddim", (N, N, N)),
    ("adjoint-deis[trajectory=resolved]", "ddim", (N, N, N)),
    ("adjoint-deis[steps=6]", "ddim", (N, 6, 6)),
    ("continuous-adjoint[steps=5]", "midpoint", (2 * N, 5, 5)),
    ("revolve[snapshots=3]", "ddim", (N, 10 + N, N)),
    ("reversible", "belm", (N, N, N)),
    ("reversible", "bdia", (N, N, N)),
    ("reversible", "edict", (2 * N, 2 * N, 2 * N)),
    ("reversible", "reversible-heun", (N + 1, N + 1, N + 1)),
    # the last evaluation of a rex chain moves only the copy that is not returned: no cotangent goes through it
    ("reversible", "rex", (2 * N, 2 * N, 2 * N - 1)),
    ("reversible", "rex[rule=rk4,chart=angle]", (8 * N, 8 * N, 8 * N - 4)),
    ("adjoint-deis[order=2]", "ddim", (N, N, N)),
    ("adjoint-deis[order=2,trajectory=resolved]", "ddim", (N, N, N)),
    ("adjoint-deis[trajectory=resolved,steps=30]", "ddim", (N, 30, 30)),
    ("adjoint-deis", "sde-dpm++1", (N, N, N)),
    ("continuous-adjoint[rule=rk4,trajectory=resolved]", "rk4", (4 * N, 4 * N, 4 * N)),
    ("torchdiffeq-adjoint", "ddim", (N, N, N)),
    ("torchdiffeq-adjoint[trajectory=resolved]", "rk4", (4 * N, 4 * N, 4 * N)),
]


@pytest.mark.parametrize(("estimator", "sampler", "expected"), COUNTS)
def test_evaluations_are_counted_in_the_denoiser(gaussian, estimator, sampler, expected):
    estimate = gradbench.estimator(estimator)(gaussian.problem(sampler=sampler, steps=N))
    assert (estimate.nfe_forward, estimate.nfe_backward, estimate.vjps) == expected


@pytest.mark.parametrize(
    "estimator", ["backprop", "checkpoint", "revolve", "adjoint-dpm", "adjoint-deis", "continuous-adjoint"]
)
def test_every_estimator_takes_the_one_step_of_the_rule(gaussian, estimator, monkeypatch):
    seen, step = [], RungeKutta.step

    def spy(self, field, state, interval):
        seen.append((interval.t0, interval.t1))
        return step(self, field, state, interval)

    monkeypatch.setattr(RungeKutta, "step", spy)
    problem = gaussian.problem(steps=4)
    gradbench.estimator(estimator)(problem)
    grid = problem.rollout.grid
    assert seen[:4] == list(zip(grid, grid[1:], strict=False))
