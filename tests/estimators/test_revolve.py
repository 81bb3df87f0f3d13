"""Binomial checkpointing: its counts are the published optimum, and those of checkpoint_schedules."""

import pytest
import torch
from checkpoint_schedules import Forward, MultistageCheckpointSchedule

import gradbench
from gradbench.estimators.pathwise.binomial import Binomial, advances, beta, next_snapshot, repetitions
from gradbench.problems.gradients import flatten


@pytest.mark.parametrize(("steps", "snapshots", "expected"), [(100, 5, 316), (100, 4, 374), (100, 99, 99), (10, 1, 45)])
def test_the_closed_form_gives_the_published_numbers_of_advances(steps, snapshots, expected):
    assert advances(steps, snapshots) == expected


def test_a_hundred_steps_with_five_snapshots_are_317_evaluations_backwards(gaussian):
    estimate = gradbench.estimator("revolve", snapshots=5)(gaussian.problem(steps=100))
    assert (estimate.nfe_forward, estimate.nfe_backward, estimate.vjps) == (100, 317, 100)


@pytest.mark.parametrize("snapshots", [1, 2, 3, 7, 30])
@pytest.mark.parametrize("steps", [1, 2, 3, 9, 30])
def test_evaluations_meet_the_optimum_for_every_length(gaussian, steps, snapshots):
    estimate = gradbench.estimator("revolve", snapshots=snapshots)(gaussian.problem(steps=steps))
    # the forward pass takes the last step too; the others of its advances are counted in the optimum
    assert estimate.nfe_backward == advances(steps, snapshots) - (steps - 1) + steps


PAIRS = [(n, s) for n in (2, 5, 17, 56, 100, 126, 127, 300) for s in range(1, 9) if s < n]


@pytest.mark.parametrize(("steps", "snapshots"), PAIRS)
def test_advances_are_those_of_checkpoint_schedules(steps, snapshots):
    schedule = MultistageCheckpointSchedule(steps, snapshots, 0)
    forwards = [action for action in schedule if isinstance(action, Forward)]
    untaped = sum(action.n1 - action.n0 for action in forwards if not action.write_adj_deps)
    assert untaped == advances(steps, snapshots)


@pytest.mark.parametrize("snapshots", [1, 2, 3, 5])
@pytest.mark.parametrize("steps", [2, 7, 40, 200])
def test_no_more_snapshots_live_than_were_asked_for(snapshots, steps):
    class Chain:
        """A chain that counts: the state before step k is (k,)."""

        denoiser = torch.nn.Module()

        def __init__(self):
            self.steps = steps

        def step(self, k, state):
            assert state[0].item() == k
            return (state[0] + 1,)

    trajectory = Binomial(snapshots).run(Chain(), (torch.zeros(()),))
    most = len(trajectory.kept)
    for k in reversed(range(steps)):
        assert trajectory.at(k)[0].item() == k
        most = max(most, len(trajectory.kept))
    assert most <= snapshots


@pytest.mark.parametrize("snapshots", range(2, 8))
def test_a_snapshot_splits_the_steps_at_the_least_cost(snapshots):
    for steps in range(2, 140):
        m = next_snapshot(steps, snapshots)
        assert 1 <= m < steps
        assert m + advances(steps - m, snapshots - 1) + advances(m, snapshots) == advances(steps, snapshots)


def test_beta_is_the_binomial_coefficient():
    assert beta(5, 3) == 56 and beta(5, 4) == 126 and beta(3, -1) == 0


def test_a_second_backward_pass_gives_the_same_gradient(gaussian):
    problem = gaussian.problem(steps=12)
    x_T = problem.x_T.detach().requires_grad_()
    x_0 = gradbench.estimator("revolve", snapshots=3).sample(problem.rollout, x_T, problem.wrt)
    first = torch.autograd.grad(x_0.sum(), [x_T, *problem.wrt], retain_graph=True)
    second = torch.autograd.grad(x_0.sum(), [x_T, *problem.wrt])
    assert torch.equal(flatten(first), flatten(second))


@pytest.mark.parametrize("snapshots", [0, -1, 2.5])
def test_snapshots_must_be_a_positive_integer(snapshots):
    with pytest.raises(ValueError, match="snapshots"):
        gradbench.estimator("revolve", snapshots=snapshots)


@pytest.mark.parametrize(("steps", "least"), [(1, 0), (2, 1), (6, 1), (7, 2), (56, 3), (57, 4)])
def test_repetitions_are_the_least_whose_beta_reaches_the_steps(steps, least):
    assert repetitions(steps, 5) == least


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_no_state_is_marked_twice(gaussian, steps):
    rollout = gaussian.problem(steps=steps).rollout
    with torch.no_grad():
        trajectory = Binomial(5).run(rollout, rollout.start(torch.zeros(1, 5).double()))
    places = [place for place, _ in trajectory.kept]
    assert places[0] == 0 and all(a < b < steps for a, b in zip(places, places[1:], strict=False))
