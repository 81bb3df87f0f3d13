"""Explicit Runge-Kutta rules in any chart: Euler in the noise chart is DDIM.

F_i = F(t(tau_0 + c_i h), y_0 + h sum_j a_ij F_j),      y_1 = y_0 + h sum_i b_i F_i.
"""

from dataclasses import dataclass

from gradbench.samplers.base import Field, Interval, Point, Rule, State


@dataclass(frozen=True)
class RungeKutta(Rule):
    """An explicit Runge-Kutta rule by its tableau: nodes c (s), matrix a (s rows of up to s - 1), weights b (s).

    Where the field is undefined at the end of the interval, as that of a network is at sigma = 0, Euler's rule replaces
    a tableau with a node there: Heun's rule then ends as in Karras et al., 2022, arXiv:2206.00364, algorithm 1.

    embedded: the weights (s) of a second solution of lower order from the same stages, for error estimation.
    """

    order: int
    nodes: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    embedded: tuple[float, ...] = ()

    @property
    def stages(self) -> int:  # type: ignore[override]
        return len(self.nodes)

    def step(self, field: Field, state: State, interval: Interval) -> State:
        tableau = EULER if interval.closed and 1.0 in self.nodes else self
        return (tableau.solutions(field, state[0], interval)[0],)

    def solutions(self, field: Field, point: Point, interval: Interval) -> tuple[Point, Point]:
        """The end of the step by `weights`, and by `embedded` (None if there are no such weights)."""
        end, second, slopes = None, None, list[Point]()
        for i, (c, row, b) in enumerate(zip(self.nodes, self.matrix, self.weights, strict=True)):
            stage = interval.carry(point, c)
            for a, slope in zip(row, slopes, strict=True):
                stage = interval.add(stage, a, slope, c) if a else stage
            slope = field(interval.time(c), stage)
            if b:
                end = interval.add(interval.carry(point) if end is None else end, b, slope)
            slopes.append(interval.recall(slope))
            if self.embedded and self.embedded[i]:
                second = interval.add(interval.carry(point) if second is None else second, self.embedded[i], slopes[-1])
        return end, second


EULER = RungeKutta(1, (0.0,), ((),), (1.0,))
MIDPOINT = RungeKutta(2, (0.0, 0.5), ((), (0.5,)), (0.0, 1.0))
HEUN = RungeKutta(2, (0.0, 1.0), ((), (1.0,)), (0.5, 0.5))
RK4 = RungeKutta(4, (0.0, 0.5, 0.5, 1.0), ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))

# Dormand and Prince, 1980, J. Comp. Appl. Math. 6, table 2
DOPRI5 = RungeKutta(
    5,
    (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    (
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0),
    (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40),
)
