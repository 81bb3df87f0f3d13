"""AdjointDPM: its chart against the raw equation, stored against re-solved states; fixed, adaptive, multistep rules."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import gradbench
from gradbench.problems.gradients import relative_error
from gradbench.problems.problem import Problem
from gradbench.problems.spec import TARGETS
from studies.common import LAWS, Claims, errors, problem, slope, spread, table

STEPS = (5, 10, 20, 40, 80)
RULES = {
    "euler": ("ddim", "euler[chart=time]"),
    "midpoint": ("midpoint", "midpoint[chart=time]"),
    "rk4": ("rk4", "rk4[chart=time]"),
}
WAYS = {
    "rho, re-solved": (0, "adjoint-dpm[rule={rule}]"),
    "rho, stored": (0, "adjoint-dpm[rule={rule},trajectory=stored]"),
    "data, stored": (0, "adjoint-dpm[rule={rule},chart=data,trajectory=stored]"),
    "raw t, stored": (1, "continuous-adjoint[chart=time,rule={rule}]"),
    "transpose (symplectic)": (0, "checkpoint"),
}
SETTINGS = (("vp-linear", "uniform-t"), ("scaled-linear", "uniform-t"), ("scaled-linear", "uniform-log-snr"))
TOLERANCES = (1e-3, 1e-5, 1e-7)


def page(laws: Sequence[int], out: Path) -> str:
    """Errors by rule, chart, schedule and grid; adaptive solves by tolerance; fixed-coefficient Adams."""
    claims, parts = Claims(), []
    for schedule, grid in SETTINGS:
        found = {
            (rule, way, n): [_one(seed, schedule, grid, n, rule, way) for seed in laws]
            for rule in RULES
            for way in WAYS
            for n in STEPS
        }
        rows = []
        for rule in RULES:
            for way in WAYS:
                x_T = {n: [e["x_T"] for e in found[rule, way, n]] for n in STEPS}
                orders = [slope({n: x_T[n][i] for n in STEPS}) for i in range(len(laws))]
                others = [spread([e[t] for e in found[rule, way, 20]]) for t in TARGETS[1:]]
                rows.append([rule, way, *(spread(x_T[n]) for n in STEPS), spread(orders), *others])
        head = ["rule", "backward", *(f"x_T, {n}" for n in STEPS), "order", "condition, 20", "parameters, 20"]
        parts.append(f"## {schedule}, {grid}\n\n{table(head, rows)}")
        _note(claims, f"{schedule}, {grid}", found, len(laws))
    return f"""# AdjointDPM

Gaussian distributions in 8 dimensions: random rotation, variances log-uniform in [0.001, 1]; t from 1 to 0.001, {len(laws)} distributions: median and *range*. Relative L2 error against the gradient of the exact
flow. The forward pass uses the same rule in the same chart (rho = sigma/alpha, or t); `re-solved` integrates the state back, as
in the paper; `stored` reuses the forward states, as in the released code; the transpose of a Runge-Kutta chain is
what its symplectic adjoint computes.

{claims.table()}
{_mild(laws)}
{chr(10).join(parts)}
{_adaptive(laws)}
{_adams(laws)}"""


def _problem(seed: int, sampler: str, steps: int, schedule: str, mild: bool = False) -> Problem:
    """8 dimensions, variances log-uniform in [0.001, 1], stiffer at the clean end than on the other pages (`mild`)."""
    if mild:
        return problem("gaussian", seed, sampler, steps, schedule)
    log_std = torch.rand(8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 0.5 * math.log(1e-3)
    case = gradbench.case("gaussian", schedule=schedule, dim=8, log_std=log_std)
    return case.problem(sampler=sampler, steps=steps, seed=seed)


def _one(seed: int, schedule: str, grid: str, steps: int, rule: str, way: str, mild: bool = False) -> dict[str, float]:
    place, selector = WAYS[way]
    sampler = RULES[rule][place]
    sampler = f"{sampler[:-1]},grid={grid}]" if "[" in sampler else f"{sampler}[grid={grid}]"
    given = _problem(seed, sampler, steps, schedule, mild)
    exact = given.flow_gradient()
    assert exact is not None
    return errors(gradbench.estimator(selector.format(rule=rule))(given).grads, exact)


def _mild(laws: Sequence[int]) -> str:
    """Whether rho beats t on the other pages' distributions."""
    claims = Claims()
    for schedule, grid in SETTINGS:
        for rule, steps in (("euler", 20), ("rk4", 10)):
            for seed in laws:
                rho, raw = (
                    _one(seed, schedule, grid, steps, rule, way, mild=True)["x_T"]
                    for way in ("rho, stored", "raw t, stored")
                )
                claims.note(f"{schedule}, {grid}: {rule} in rho beats {rule} in t at {steps} steps (x_T)", rho < raw)
    return f"""## On milder distributions

Which chart wins depends on the distribution. {LAWS["gaussian"].capitalize()}, {len(laws)} distributions:

{claims.table()}"""


def _note(claims: Claims, where: str, found: Any, laws: int) -> None:
    for i in range(laws):

        def x_T(rule: str, way: str, n: int, i: int = i) -> float:
            return found[rule, way, n][i]["x_T"]

        claims.note(
            f"{where}: Euler in rho, stored, is off by more than 30% at 20 steps", x_T("euler", "rho, stored", 20) > 0.3
        )
        claims.note(
            f"{where}: the transpose is closer than Euler in rho at 20 steps",
            x_T("euler", "transpose (symplectic)", 20) < x_T("euler", "rho, stored", 20),
        )
        claims.note(
            f"{where}: Euler in rho beats Euler in t at 20 steps (x_T)",
            x_T("euler", "rho, stored", 20) < x_T("euler", "raw t, stored", 20),
        )
        claims.note(
            f"{where}: RK4 in rho beats RK4 in t at 10 steps (x_T)",
            x_T("rk4", "rho, stored", 10) < x_T("rk4", "raw t, stored", 10),
        )
        parameters = [found["euler", way, 20][i]["parameters"] for way in ("rho, re-solved", "rho, stored")]
        claims.note(
            f"{where}: stored states give a closer parameter gradient than re-solved ones (Euler, 20 steps)",
            parameters[1] < parameters[0],
        )


def _adaptive(laws: Sequence[int]) -> str:
    ways = {
        "torchdiffeq dopri5, noise chart": "torchdiffeq-adjoint[method=dopri5,chart=noise,trajectory=resolved,rtol={r},atol={r}]",
        "torchdiffeq dopri5, data chart": "torchdiffeq-adjoint[method=dopri5,chart=data,trajectory=resolved,rtol={r},atol={r}]",
        "torchdiffeq dopri5, angle chart": "torchdiffeq-adjoint[method=dopri5,chart=angle,trajectory=resolved,rtol={r},atol={r}]",
        "torchdiffeq dopri5, noise chart, norm of all parameters": "torchdiffeq-adjoint[method=dopri5,chart=noise,norm=rms,trajectory=resolved,rtol={r},atol={r}]",
        "adjoint-dpm dopri5 (error in x), noise chart": "adjoint-dpm[rule=dopri5,steps=1,rtol={r},atol={r}]",
        "adjoint-dpm dopri5 (error in x), data chart": "adjoint-dpm[rule=dopri5,chart=data,steps=1,rtol={r},atol={r}]",
    }
    rows = []
    for name, selector in ways.items():
        for r in TOLERANCES:
            found = []
            for seed in laws:
                # the forward solve of adjoint-dpm is the sampler's, so take one with a small error
                given = _problem(seed, "rk4[chart=log-snr,grid=uniform-log-snr]", 100, "scaled-linear")
                exact, estimate = given.flow_gradient(), gradbench.estimator(selector.format(r=r))(given)
                assert exact is not None
                found.append((errors(estimate.grads, exact), estimate.nfe_forward, estimate.nfe_backward))
            cells = [spread([e[t] for e, _, _ in found]) for t in TARGETS]
            forward = spread([f for _, f, _ in found]) if name.startswith("torchdiffeq") else "rk4, 400"
            rows.append([name, f"{r:g}", *cells, forward, spread([b for _, _, b in found])])
    head = ["solver", "tolerance", *TARGETS, "forward evaluations", "backward evaluations"]
    text = "## Adaptive solves\n\nscaled-linear; rtol = atol. In the noise chart |y| ~ rho is large at the noisy end, so an error norm in y is far too\nloose at the clean end; an error norm in x is not."
    return f"{text}\n\n{table(head, rows)}"


def _adams(laws: Sequence[int]) -> str:
    """torchdiffeq's explicit_adams, the default solver of AdjointDPM's released code, on the rho grid."""
    from torchdiffeq import odeint

    rows = []
    for label, options in (("explicit_adams (order up to 11)", {}), ("explicit_adams, max_order 4", {"max_order": 4})):
        cells = []
        for n in (10, 20, 30, 50):
            found = []
            for seed in laws:
                given = _problem(seed, "ddim", n, "vp-linear")
                rollout, chart = given.rollout, given.rollout.chart
                clock = torch.tensor([chart.tau(t) for t in rollout.grid], dtype=torch.float64)

                def field(tau: Any, y: Any, rollout: Any = rollout, chart: Any = chart) -> Any:
                    t = chart.t_of(tau.item())
                    return rollout.field(t, y * chart.kappa(t))

                with torch.no_grad():
                    y = odeint(
                        field, given.x_T / chart.kappa(rollout.grid[0]), clock, method="explicit_adams", options=options
                    )
                    assert isinstance(y, torch.Tensor) and given.flow is not None
                    x_0 = given.flow(given, given.x_T)
                    found.append(relative_error(y[-1] * chart.kappa(rollout.grid[-1]), x_0))
            cells.append(spread(found))
        rows.append([label, *cells])
    text = "## Fixed-coefficient Adams on a non-uniform grid\n\nError of x_0, vp-linear, uniform-t. The coefficients assume equal steps; the rho grid is far from that."
    return f"{text}\n\n{table(['solver', '10', '20', '30', '50'], rows)}"
