"""The loop of a task, on a Gaussian whose quadratic objective has its minimum in closed form."""

import json
from dataclasses import replace

import pytest
import torch

import gradbench
from gradbench.estimators.base import GradientEstimator
from gradbench.problems.gradients import Gradients
from gradbench.tasks.curve import Curve, read_curve
from gradbench.tasks.drawn import fresh, judging
from gradbench.tasks.optimise import optimise
from gradbench.tasks.task import Task

STEPS = 4
SETTINGS = {"updates": 6, "lr": 0.1, "rule": "adam", "checkpoints": 3}
CLOCK = ("seconds",)


class Lower(Task):
    """Lowers the objective by moving x_T, or whatever the problem's targets are."""

    falling = True

    def scores(self):
        x_0 = self.problem.rollout.sample(self.problem.x_T)
        return {"objective": self.problem.objective(x_0).mean().item(), "held_out": x_0.norm().item()}


class Redrawn(Lower):
    """From new noise in every update."""

    def at(self, update):
        return fresh(self.problem, update)


def made(kind=Lower, targets=("x_T",), sampler="ddim", **settings):
    problem = gradbench.case("gaussian", dim=3, batch=2).problem(sampler=sampler, steps=STEPS, targets=targets)
    return kind(problem, {**SETTINGS, **settings})


def run(task, estimator="checkpoint", curve=None):
    return optimise(task, gradbench.estimator(estimator), curve or Curve(None))


def values(path, without=CLOCK):
    return [point for point in read_curve(path) if point.metric not in without]


def test_an_objective_falls_where_it_should_and_rises_where_it_should():
    class Raise(Lower):
        falling = False

    low, high = (run(made(kind)) for kind in (Lower, Raise))
    assert low["last_objective"] < low["first_objective"] == high["first_objective"] < high["last_objective"]


def test_gradient_descent_is_the_update_it_says():
    task = made(rule="descent", updates=1, lr=0.01)
    start, exact = task.problem.x_T.clone(), task.problem.sampler_gradient()["x_T"]
    run(task)
    assert torch.allclose(task.problem.x_T, start - 0.01 * exact, rtol=1e-12)


def test_a_row_tells_scores_costs_and_cosines_of_every_place():
    course = run(made(updates=6, checkpoints=3))["course"]
    assert course["update"] == [0, 2, 4, 6] and course["queries"] == [0, 4, 8, 12]
    assert sorted(course["objective"], reverse=True) == course["objective"]
    assert course["cosine"] == [pytest.approx(1)] * 3 + [None]


@pytest.mark.parametrize("targets", [("x_T",), ("condition",), ("parameters",), ("x_T", "condition", "parameters")])
def test_only_the_targets_move(targets):
    task = made(targets=targets)
    before = {name: [t.detach().clone() for t in task.problem.of(name)] for name in ("x_T", "condition", "parameters")}
    run(task)
    moved = [name for name, own in before.items() if not all(map(torch.equal, own, task.problem.of(name)))]
    assert tuple(moved) == targets


def test_the_exact_gradient_has_cosine_one_and_another_less():
    assert run(made())["optimise_cosine"] == pytest.approx(1, abs=1e-12)
    assert run(made(), "adjoint-dpm")["optimise_cosine"] < 1 - 1e-6


def test_costs_are_those_of_the_updates_alone():
    row = run(made(updates=5))
    assert row["updates"] == 5
    assert row["optimise_evaluations"] == 5 * 2 * STEPS * 2  # updates, forward and backward, batch
    assert row["optimise_queries"] == 5 * 2


@pytest.mark.parametrize(("estimator", "calls"), [("spsa", 2), ("forward-gradient", 1)])
def test_a_query_is_counted_where_the_objective_is_called(estimator, calls):
    row = optimise(made(updates=3), gradbench.estimator(estimator, draws=4), Curve(None))
    assert row["optimise_queries"] == 3 * 2 * 4 * calls


def test_an_exact_estimator_that_draws_has_cosine_one_on_a_stochastic_chain():
    """The exact gradient beside it is over the draws that it made, not over the chain's own noise."""
    task = made(sampler="ddim[eta=1]", targets=("x_T", "parameters"))
    row = optimise(task, gradbench.estimator("draft", k=STEPS, draws=6), Curve(None))
    assert row["optimise_cosine"] == pytest.approx(1, abs=1e-12)


def test_every_seed_update_and_score_has_a_seed_of_its_own():
    problems = [made(sampler="ddim[eta=1]").problem for _ in range(4)]
    seeds = [fresh(replace(p, seed=seed), update).seed for seed, p in enumerate(problems) for update in range(20)]
    seeds += [judging(problems[0], number).seed for number in range(20)]
    assert len(set(seeds)) == 100


def test_the_noises_that_move_are_those_of_the_chain():
    task = made(targets=("x_T", "noises"), sampler="ddim[eta=1]", rule="descent", lr=0.1)
    before, exact = task.problem.rollout.noise(0).detach().clone(), task.problem.sampler_gradient()["noises"]
    task.move(gradbench.estimator("checkpoint")(task.problem))
    assert torch.allclose(task.problem.rollout.noise(0), before - 0.1 * exact[0], rtol=1e-10)


def test_a_draw_costs_as_much_as_a_sample():
    row = optimise(made(sampler="ddim[eta=1]", updates=2), gradbench.estimator("reinforce", draws=8), Curve(None))
    assert row["optimise_queries"] == 2 * 2 * 8


def test_the_curve_is_a_long_table_with_costs_before_every_update_and_scores_at_the_checkpoints(tmp_path):
    path = tmp_path / "curves" / "cell-0.jsonl"
    run(made(), curve=Curve(path))
    points = read_curve(path)
    assert [p.value for p in points if p.metric == "queries"] == [0, 2, 4, 6, 8, 10, 12]
    assert [p.update for p in points if p.metric == "objective"] == [0, 2, 4, 6]
    assert [p.update for p in points if p.metric == "cosine"] == [0, 2, 4]
    assert not path.with_suffix(".pt").exists()


class Killed(GradientEstimator):
    """An exact estimator that dies at one of its calls."""

    def __init__(self, at):
        self.left = at

    def __call__(self, problem):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return gradbench.estimator("checkpoint")(problem)


@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("kind", [Lower, Redrawn])
def test_a_killed_task_goes_on_to_the_same_curve(tmp_path, at, kind):
    whole, torn = Curve(tmp_path / "whole.jsonl"), Curve(tmp_path / "torn.jsonl")
    expected = run(made(kind), curve=whole)
    # the exact gradients of checkpoints are calls of another estimator
    with pytest.raises(KeyboardInterrupt):
        optimise(made(kind), Killed(at), torn)
    row = run(made(kind), curve=torn)
    assert values(torn.path) == values(whole.path)
    for found in (row, expected):
        del found["optimise_s"], found["course"]["seconds"]
    assert row == expected


def test_a_line_that_a_killed_task_tore_is_made_again(tmp_path):
    whole, torn = Curve(tmp_path / "whole.jsonl"), Curve(tmp_path / "torn.jsonl")
    run(made(), curve=whole)
    with pytest.raises(KeyboardInterrupt):
        optimise(made(), Killed(3), torn)
    with open(torn.path, "a") as file:
        file.write(json.dumps({"update": 3, "metric": "objective"})[:20])
    run(made(), curve=torn)
    assert values(torn.path) == values(whole.path)


def test_the_state_of_other_code_is_not_resumed(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        optimise(made(), Killed(3), Curve(tmp_path / "a.jsonl", code="old"))
    row = run(made(), curve=Curve(tmp_path / "a.jsonl", code="new"))
    assert row["optimise_queries"] == 12 and [
        p.update for p in values(tmp_path / "a.jsonl") if p.metric == "cosine"
    ] == [
        0,
        2,
        4,
    ]


def test_a_gradient_that_is_not_finite_ends_the_course_as_diverged():
    class Broken(GradientEstimator):
        def __call__(self, problem):
            found = gradbench.estimator("checkpoint")(problem)
            return replace(found, grads=Gradients(x_T=found.grads["x_T"] * float("nan")))

    row = optimise(made(), Broken(), Curve(None))
    assert row["status"] == "diverged" and row["updates"] == 0 and "not finite" in row["reason"]


def test_an_estimator_that_reaches_nothing_is_a_skip_with_the_reason():
    row = optimise(made(), gradbench.estimator("draft", k=1, draws=1), Curve(None))
    assert row == {"status": "skip", "reason": "this estimator does not reach x_T here: nothing would move"}


def test_a_task_that_has_ended_takes_no_more_updates():
    class Short(Lower):
        def ended(self):
            return self.rule.state_dict()["state"] != {}

    assert run(made(Short))["updates"] == 1


def test_every_update_has_noise_of_its_own_and_the_same_in_every_run():
    problem = made(sampler="ddim[eta=1]").problem
    drawn = [fresh(problem, update) for update in (0, 1, 0)]
    assert torch.equal(drawn[0].x_T, drawn[2].x_T) and not torch.equal(drawn[0].x_T, drawn[1].x_T)
    noises = [p.rollout.noise(0) for p in drawn]
    assert torch.equal(noises[0], noises[2]) and not torch.equal(noises[0], noises[1])


def test_an_update_of_a_random_truncation_that_keeps_no_step_moves_nothing_and_goes_on():
    """alignprop's published law draws no step at all once in N + 1 times."""
    problem = gradbench.case("gaussian", dim=3, batch=1).problem(steps=STEPS, targets=("parameters",))
    tasks = [Lower(replace(problem, seed=seed), {**SETTINGS, "updates": 1}) for seed in range(30)]
    rows = [optimise(task, gradbench.estimator("alignprop", draws=1), Curve(None)) for task in tasks]
    assert {row["status"] for row in rows} == {"ok"}
    assert any(row["optimise_cosine"] is None for row in rows)
