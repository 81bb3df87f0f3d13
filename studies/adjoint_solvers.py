"""Adjoint solvers alone: with exact states and cotangent, so that only the backward rule errs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradbench.estimators.pathwise.pullback import ContinuousAdjoint, StateByEuler, Transpose
from gradbench.problems.spec import TARGETS
from gradbench.samplers.multistep import TWO_M
from gradbench.samplers.rules import RULES
from studies.common import LAWS, Claims, angles, errors, on_exact_states, problem, slope, spread, table

STEPS = (5, 10, 20, 40, 80, 160, 320)
METHODS: dict[str, Any] = {
    "AdjointDEIS-1": ContinuousAdjoint("noise", RULES["euler"]),
    "AdjointDEIS-2M": ContinuousAdjoint("noise", StateByEuler(TWO_M)),
    "two-step in the noise chart, exact quadrature (AB2)": ContinuousAdjoint("noise", RULES["ab2"]),
    "data prediction, order 1": ContinuousAdjoint("data", RULES["euler"]),
    "data prediction, 2M": ContinuousAdjoint("data", RULES["2m"]),
    "Euler in log-SNR": ContinuousAdjoint("log-snr", RULES["euler"]),
    "transposed DDIM": Transpose(),
    "AB2 in log-SNR": ContinuousAdjoint("log-snr", RULES["ab2"]),
    "AB2 in the angle": ContinuousAdjoint("angle", RULES["ab2"]),
}


def page(laws: Sequence[int], out: Path) -> str:
    """Errors against the closed-form gradient by method, grid and number of steps; multipliers; what holds."""
    claims, parts = Claims(), []
    for grid in ("uniform-log-snr", "uniform-t"):
        found = {
            (method, n): [_one(seed, grid, n, pullback) for seed in laws]
            for method, pullback in METHODS.items()
            for n in STEPS
        }
        rows = []
        for method in METHODS:
            x_T = {n: [e["x_T"] for e, _ in found[method, n]] for n in STEPS}
            orders = [slope({n: x_T[n][i] for n in STEPS}) for i in range(len(laws))]
            rows.append([method, *(spread(x_T[n]) for n in STEPS), spread(orders)])
        parts.append(f"## x_T, grid {grid}\n\n{table(['method', *map(str, STEPS), 'order'], rows)}")
        others = [
            [m, *(spread([e[t] for e, _ in found[m, 20]]) for t in TARGETS[1:]), *_direction(found, m)] for m in METHODS
        ]
        head = ["method", "condition", "parameters", "cosine, 10 steps", "norm ratio, 10 steps", "norm ratio, 5 steps"]
        parts.append(f"### The other targets at 20 steps, and direction, grid {grid}\n\n{table(head, others)}")
        _note(claims, found, grid, len(laws))
    return f"""# Backward rules alone

{LAWS["gaussian"].capitalize()}, the linear VP schedule from t = 1 to 0.001, {len(laws)} distributions: median and *range*. States and
dL/dx_0 are those of the exact flow; what remains is the error of the backward rule, relative L2 against the closed form.

{claims.table()}
{"".join(part + chr(10) for part in parts)}
Why: a backward step of AdjointDEIS-1 multiplies alpha a by 1 - (chi_s - chi_t) alpha_t J_t. At high noise and for data of
unit variance J is close to sigma, and the multiplier is 2 - e^|h| instead of e^-|h|: it changes sign for
|h| > ln 2 = 0.69 and explodes for |h| > ln 3 = 1.10, where h is the step in log-SNR. The exponential integrator removes the
linear half of a cancellation and treats the other half explicitly. The transposed DDIM step differs only in the position of J,
at the noisy end of the step, and in one factor alpha_t/alpha_s.
"""


def _one(seed: int, grid: str, steps: int, pullback: Any) -> tuple[dict[str, float], tuple[float, float]]:
    given = problem("gaussian", seed, f"ddim[grid={grid}]", steps)
    exact = given.flow_gradient()
    assert exact is not None
    grads = on_exact_states(given, pullback)
    return errors(grads, exact), angles(grads, exact)


def _direction(found: Any, method: str) -> list[str]:
    ten, five = ([a for _, a in found[method, n]] for n in (10, 5))
    return [spread([c for c, _ in ten]), spread([r for _, r in ten]), spread([r for _, r in five])]


def _note(claims: Claims, found: Any, grid: str, laws: int) -> None:
    for i in range(laws):

        def x_T(method: str, n: int, i: int = i) -> float:
            return found[method, n][i][0]["x_T"]

        def order(method: str, i: int = i) -> float:
            return slope({n: found[method, n][i][0]["x_T"] for n in STEPS})

        first, second, other = "AdjointDEIS-1", "AdjointDEIS-2M", "transposed DDIM"
        claims.note(f"{grid}: AdjointDEIS-1 is off by more than 70% at 20 steps", x_T(first, 20) > 0.7)
        claims.note(
            f"{grid}: transposed DDIM is closer than AdjointDEIS-1 at 20 steps", x_T(other, 20) < x_T(first, 20)
        )
        claims.note(f"{grid}: AdjointDEIS-2M is worse than order 1 at 10 steps", x_T(second, 10) > x_T(first, 10))
        claims.note(f"{grid}: AdjointDEIS-1 explodes at 5 steps (error above 10)", x_T(first, 5) > 10)
        nearest = min(("AB2 in log-SNR", "AB2 in the angle"), key=lambda m: x_T(m, 20))
        best = min((m for m in METHODS if not m.startswith("AB2")), key=lambda m: x_T(m, 20))
        claims.note(
            f"{grid}: an AB2 rule in log-SNR or angle is the closest of all at 20 steps",
            x_T(nearest, 20) < x_T(best, 20),
        )
        claims.note(f"{grid}: order between 0.85 and 1.05 for AdjointDEIS-1", 0.85 < order(first) < 1.05)
        claims.note(f"{grid}: order between 1.9 and 2.15 for AdjointDEIS-2M", 1.9 < order(second) < 2.15)
