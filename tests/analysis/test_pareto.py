"""The Pareto front against its definition."""

import math
import random

from gradbench.analysis.profile import pareto_front


def test_the_front_of_random_points_is_what_nothing_dominates():
    rng = random.Random(0)
    points = [(float(rng.randint(0, 9)), float(rng.randint(0, 9))) for _ in range(60)]

    def dominated(p):
        return any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points)

    assert sorted(pareto_front(points)) == [index for index, point in enumerate(points) if not dominated(point)]


def test_equal_points_do_not_dominate_each_other():
    assert pareto_front([(1.0, 1.0), (1.0, 1.0), (2.0, 1.0)]) == [0, 1]


def test_the_front_is_ordered_by_the_first_coordinate():
    assert pareto_front([(3.0, 1.0), (1.0, 3.0), (2.0, 2.0)]) == [1, 2, 0]


def test_points_that_are_not_finite_are_never_on_the_front():
    assert pareto_front([(math.nan, 0.0), (0.0, math.inf), (1.0, 1.0)]) == [2]


def test_no_points_have_no_front():
    assert pareto_front([]) == []
