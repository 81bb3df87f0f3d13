"""Reversible samplers: sampling errors, round trips, gradients, and the limits of rounding errors and stability."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradbench.diffusion.chart import TimeChart
from gradbench.diffusion.schedule import make_schedule
from gradbench.problems.gradients import relative_error
from gradbench.samplers.base import Interval
from gradbench.samplers.reversible import McCallumFoster
from gradbench.samplers.rules import ONE_STEP
from studies.common import LAWS, Claims, errors, number, problem, spread, table

STEPS = (5, 20, 80, 320)
SAMPLERS = {
    "DDIM": "ddim",
    "EDICT (p = 0.93)": "edict",
    "EDICT, fixed turns": "edict[turns=fixed]",
    "BDIA (gamma = 1)": "bdia",
    "BDIA (gamma = 0.5)": "bdia[gamma=0.5]",
    "O-BELM": "belm",
    "reversible Heun, noise": "reversible-heun",
    "reversible Heun, log-SNR": "reversible-heun[chart=log-snr]",
    "Rex Euler, data": "rex",
    "Rex Euler, noise": "rex[chart=noise]",
    "Rex midpoint, data": "rex[rule=midpoint]",
    "Rex RK4, noise": "rex[rule=rk4,chart=noise]",
    "Rex RK4, data": "rex[rule=rk4]",
}
GRADIENTS = {**SAMPLERS, "DPM-Solver++(2M)": "dpm++2m"}
ZETAS = (0.999, 0.9, 0.5, 0.1)


def page(laws: Sequence[int], out: Path) -> str:
    """Tables of errors and round trips, and the figure of growth and stability."""
    claims = Claims()
    samples = {(n, k): [_sample(seed, s, k) for seed in laws] for n, s in SAMPLERS.items() for k in STEPS}
    rows = [
        [
            n,
            *(spread([e for e, _ in samples[n, k]]) for k in STEPS),
            *(spread([r for _, r in samples[n, k]]) for k in STEPS),
        ]
        for n in SAMPLERS
    ]
    head = ["sampler", *(f"error, {k}" for k in STEPS), *(f"round trip, {k}" for k in STEPS)]
    half = [
        [n, *(spread([_sample(seed, s, k, torch.float32)[1] for seed in laws[:5]]) for k in (20, 80))]
        for n, s in SAMPLERS.items()
    ]
    grads = {
        (law, n, k): [_gradient(law, seed, s, k) for seed in (laws if law == "gaussian" else laws[:8])]
        for law in ("gaussian", "mixture")
        for n, s in GRADIENTS.items()
        for k in (20, 40, 80)
    }
    ghead = ["sampler", *(f"{law}, {k}" for law in ("gaussian", "mixture") for k in (20, 40, 80))]
    grows = [
        [n, *(spread(grads[law, n, k]) for law in ("gaussian", "mixture") for k in (20, 40, 80))] for n in GRADIENTS
    ]
    for i in range(len(laws)):
        at = {n: samples[n, 80][i] for n in SAMPLERS}
        claims.note("O-BELM's samples are closer than DDIM's at 80 steps", at["O-BELM"][0] < at["DDIM"][0])
        claims.note(
            "EDICT's samples are further off than DDIM's at 20 steps",
            samples["EDICT (p = 0.93)", 20][i][0] > samples["DDIM", 20][i][0],
        )
        claims.note(
            "BDIA with gamma = 0.5 cannot be inverted at 80 steps (round trip above 1)", at["BDIA (gamma = 0.5)"][1] > 1
        )
        claims.note("EDICT's round trip fails at 320 steps (above 1e-6)", samples["EDICT (p = 0.93)", 320][i][1] > 1e-6)
        claims.note(
            "EDICT's samples are closer at 20 steps with alternating than with fixed turns",
            samples["EDICT (p = 0.93)", 20][i][0] < samples["EDICT, fixed turns", 20][i][0],
        )
        claims.note(
            "Rex Euler in the noise chart is worse than DDIM at 20 steps",
            samples["Rex Euler, noise", 20][i][0] > samples["DDIM", 20][i][0],
        )
        claims.note(
            "O-BELM's gradient is closer to the flow's than DDIM's at 20 steps",
            grads["gaussian", "O-BELM", 20][i] < grads["gaussian", "DDIM", 20][i],
        )
        claims.note(
            "O-BELM's gradient is closer than DPM-Solver++(2M)'s at 20 steps",
            grads["gaussian", "O-BELM", 20][i] < grads["gaussian", "DPM-Solver++(2M)", 20][i],
        )
    intervals = [
        [base, *(number(_limit(base, z)) for z in (1.0, *ZETAS))] for base in ("euler", "midpoint", "heun", "rk4")
    ]
    _figure(out / "images")
    return f"""# Reversible samplers

{LAWS["gaussian"].capitalize()}, the linear VP schedule, uniform-t from t = 1 to 0.001, {len(laws)} distributions: median and *range*. Error of x_0 against
the exact flow; round trip: relative distance of x_T from the inverse of the last state (for DDIM, from its rule run backwards).
zeta = 0.999 in Rex. EDICT's copies take turns as in its released code, where their order alternates from step to step;
with fixed turns the same copy always goes first. An RK4 step of Rex costs 8 evaluations, a midpoint step 4, an Euler or EDICT step 2, the others 1.

{claims.table()}
{table(head, rows)}
## In single precision

Round trip with the state in float32, first few distributions.

{table(["sampler", "20", "80"], half)}
## Gradients

x_T error of the sampler's exact gradient against that of the exact flow, by distribution and steps (mixtures: first 8).

{table(ghead, grows)}
## What limits them

![Left: round trips by coupling and steps. Right: stable intervals of Rex by zeta.](images/reversible.svg)

Left: rounding errors of the inverse grow like gamma^-N (BDIA), p^-2N (EDICT) and zeta^-N (Rex): the coupling must satisfy
N log(1/zeta) << 36 in float64 and << 16 in float32. Right, and in the table: the real interval of h lambda on which a Rex step is stable for
y' = lambda y, lambda < 0. Stability trades off against invertibility: at zeta = 0.999 the interval has length 0.001. The leapfrog
rules (O-BELM, BDIA with gamma = 1, reversible Heun) have no such interval.

{table(["base rule", *(f"zeta = {z:g}" for z in (1.0, *ZETAS))], intervals)}"""


def _trip(given: Any, dtype: torch.dtype) -> tuple[Tensor, float]:
    exact = given.to(dtype)
    rollout, x_T = exact.rollout, exact.x_T
    inverse: Callable[..., Any] = getattr(rollout.rule, "inverse", None) or (
        lambda field, state, interval: rollout.rule.step(field, state, interval.reversed)
    )
    with torch.no_grad():
        state = rollout.start(x_T)
        for k in range(rollout.steps):
            state = rollout.step(k, state)
        x_0 = rollout.finish(state)
        for k in reversed(range(rollout.steps)):
            state = inverse(rollout.field, state, rollout.interval(k))
    return x_0, max(relative_error(s, x_T) for s in state)


def _sample(seed: int, sampler: str, steps: int, dtype: torch.dtype = torch.float64) -> tuple[float, float]:
    given = problem("gaussian", seed, sampler, steps)
    assert given.flow is not None
    x_0, trip = _trip(given, dtype)
    return relative_error(x_0, given.flow(given, given.x_T).detach()), trip


def _gradient(law: str, seed: int, sampler: str, steps: int) -> float:
    given = problem(law, seed, sampler, steps)
    exact, found = given.flow_gradient(), given.sampler_gradient()
    assert exact is not None and found is not None
    return errors(found, exact)["x_T"]


def _radius(base: str, zeta: float, h: float) -> float:
    """The spectral radius of a Rex step of length h for y' = -y, a linear map of the two copies."""
    rule, chart = McCallumFoster(ONE_STEP[base], zeta), TimeChart(make_schedule("rectified"))
    basis = torch.eye(2, dtype=torch.float64)
    state = rule.step(lambda t, y: -y, (basis[:, :1], basis[:, 1:]), Interval(chart, 0.0, h))
    return torch.linalg.eigvals(torch.cat(state, 1)).abs().max().item()


def _limit(base: str, zeta: float) -> float:
    """The end of the stable interval from 0: the last h with spectral radius <= 1, by bisection."""
    low, high = 0.0, 4.0
    steps = [i * 4.0 / 4000 for i in range(1, 4001)]
    for h in steps:
        if _radius(base, zeta, h) > 1 + 1e-9:
            high = h
            break
        low = h
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _radius(base, zeta, middle) <= 1 + 1e-9 else (low, middle)
    return low if low > 1e-6 else 0.0


def _figure(folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update({"svg.hashsalt": "gradbench", "svg.fonttype": "none", "font.size": 9})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.1))
    steps = (5, 10, 20, 40, 60, 80, 100)
    for label, sampler in {
        "O-BELM": "belm",
        "reversible Heun": "reversible-heun",
        "EDICT, p = 0.93": "edict",
        "BDIA, gamma = 0.5": "bdia[gamma=0.5]",
        "Rex, zeta = 0.999": "rex",
        "Rex, zeta = 0.9": "rex[zeta=0.9]",
        "Rex, zeta = 0.5": "rex[zeta=0.5]",
    }.items():
        trips = [_sample(0, sampler, n)[1] for n in steps]
        left.semilogy(steps, [min(t, 1e3) if math.isfinite(t) else 1e3 for t in trips], marker="o", ms=3, label=label)
    left.set(
        xlabel="steps N", ylabel="round trip, relative", ylim=(1e-17, 1e3), title="inverting the last state (float64)"
    )
    left.legend(fontsize=7, ncol=3, loc="upper center", bbox_to_anchor=(0.5, -0.17))
    zetas = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999]
    for base in ("euler", "midpoint", "rk4"):
        right.plot(zetas, [_limit(base, z) for z in zetas], marker="o", ms=3, label=base)
    right.set(xlabel="zeta", ylabel="stable up to |h lambda|", title="Rex: stability against coupling", ylim=(0, None))
    right.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(folder / "reversible.svg", metadata={"Date": None})
    plt.close(figure)
