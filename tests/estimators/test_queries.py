"""The samples that an estimator says it shows to the objective are those that it shows."""

import pytest

import gradbench
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.estimators.monte_carlo.base import MonteCarlo

SAMPLERS = ("ddim", "ddim[eta=1]", "belm", "euler-maruyama[grid=uniform-t]")
REPORTING = {"spsa", "evolution-strategies", "srpo", "vgg-flow"}  # the value at x_0 is for the row
OPTIONS = ("draft-lv[n=3]", "srpo[branch=denoise]", "vgg-flow[law=released]")
STEPS = 7


def problem_of(digits, estimator):
    for sampler in SAMPLERS:
        problem = digits.problem(sampler=sampler, steps=STEPS, targets=("parameters",))
        if estimator.supports(problem.traits) is None:
            return problem
    raise AssertionError("it refuses every sampler of this test: add one that it serves")


@pytest.mark.parametrize("selector", sorted({*ESTIMATORS, *OPTIONS} - {"finite-differences", "forward-gradient"}))
def test_the_objective_sees_as_many_samples_as_are_declared(digits, selector):
    estimator = gradbench.estimator(selector)
    if isinstance(estimator, MonteCarlo):
        estimator = estimator.smallest()
    problem, shown = problem_of(digits, estimator), set()

    def see(module, given, value):
        shown.update(row.detach().numpy().tobytes() for row in given[0])

    seeing = problem.objective.register_forward_hook(see)
    estimate = estimator(problem)
    seeing.remove()
    each = len(shown) / (len(problem.x_T) * (estimate.draws or 1))
    assert each - (selector.partition("[")[0] in REPORTING) == estimator.queries(problem)


def test_central_differences_ask_twice_for_every_coordinate(gaussian):
    problem = gaussian.problem(steps=2, targets=("x_T",))
    assert gradbench.estimator("finite-differences").queries(problem) == 2 * problem.x_T.numel()


def test_a_forward_gradient_asks_once_beside_the_value_that_it_reports(digits):
    problem, shown = digits.problem(steps=3, targets=("parameters",)), []
    problem.objective.register_forward_hook(lambda module, given, value: shown.append(len(given[0])))
    estimator = gradbench.estimator("forward-gradient", draws=1)
    estimator(problem)
    assert sum(shown) / len(problem.x_T) - 1 == estimator.queries(problem)
