"""The parts of a pullback by themselves: links, totals, backward grids, the adjoint's arithmetic."""

import pytest
import torch

from gradbench.diffusion.schedule import make_schedule
from gradbench.diffusion.sde_chart import make_chart
from gradbench.estimators.pathwise.pullback import AdjointInterval, StateByEuler, backward_grid, pull
from gradbench.estimators.pathwise.totals import Totals
from gradbench.samplers.multistep import AB2


def test_a_link_that_reads_no_state_pulls_nothing_back():
    shared = torch.ones(2, requires_grad=True)
    totals = Totals([shared])
    assert pull(lambda state: (torch.zeros(2),), (shared, shared), (torch.ones(2),), totals) == [None, None]
    assert totals.values == [None]


def test_a_link_pulls_back_its_state_and_adds_up_its_leaves():
    shared = torch.tensor(3.0, requires_grad=True)
    totals = Totals([shared])
    for _ in range(2):
        (found,) = pull(lambda state: (shared * state[0],), (torch.tensor(5.0),), (torch.tensor(2.0),), totals)
    pull(lambda state: (shared * state[0],), (torch.tensor(5.0),), (torch.tensor(2.0),), totals, scale=0.5)
    assert found.item() == 6.0 and totals.values[0].item() == 25.0


def test_a_backward_grid_of_fewer_steps_takes_the_nearest_times():
    grid = [8.0, 7.0, 5.0, 4.0, 2.0, 1.0, 0.0]
    assert backward_grid(grid, 3) == [(0.0, 6), (2.0, 4), (5.0, 2), (8.0, 0)]
    assert backward_grid(grid, 4) == [(0.0, 6), (2.0, 4), (4.0, 3), (5.0, 2), (8.0, 0)]
    assert backward_grid(grid, 6) == list(zip(grid, range(7), strict=True))[::-1]


def test_a_backward_grid_of_more_steps_is_linear_between_the_times():
    assert backward_grid([8.0, 2.0, 0.0], 4) == [(0.0, 2), (1.0, None), (2.0, 1), (5.0, None), (8.0, 0)]
    assert backward_grid([8.0, 2.0, 0.0], 3) == [(0.0, 2), (2 - 2 / 3, None), (4.0, None), (8.0, 0)]


def test_later_stages_need_the_slopes_of_the_pair_only():
    interval = AdjointInterval(make_chart("noise", make_schedule("vp-linear")), 0.2, 0.3)
    assert interval.recall(tuple("xapqr")) == ("x", "a")


def test_a_part_of_an_adjoint_interval_has_times_and_totals_of_its_own():
    totals = Totals([torch.zeros(())])
    interval = AdjointInterval(make_chart("time", make_schedule("vp-linear")), 0.2, 0.4, totals=totals)
    part = interval.part(0.25, 0.5)
    assert (part.t0, part.t1) == pytest.approx((0.25, 0.3)) and part.totals is not totals
    part.totals.add([torch.tensor(2.0)])
    assert totals.values == [None]
    interval.accept(part)
    assert totals.values[0].item() == 2.0


def test_an_adjoint_whose_state_steps_by_euler_is_of_order_one_and_one_evaluation():
    rule = StateByEuler(AB2)
    assert (rule.order, rule.stages) == (1, 1)
