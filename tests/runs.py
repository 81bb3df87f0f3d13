"""Whole runs of rows: one for every figure, one that looks real, one of 20,000 rows, and the committed baseline."""

import itertools
import json
import math
import random
from pathlib import Path
from typing import Any

from tests.rows import MIB, drawn, failed, row

Rows = list[dict[str, Any]]

CASES = {
    "gaussian": {"params": {"dim": 6, "schedule": "vp-linear"}, "state": 6 * 64 * 8, "tape": 0.4 * MIB, "nfe_s": 3e-4},
    "digits": {"params": {"weights": "trained"}, "state": 64 * 64 * 4, "tape": 9.0 * MIB, "nfe_s": 4e-3},
}
SAMPLERS = {"ddim": 1, "rk4": 4}
ESTIMATORS: list[tuple[str, dict[str, Any]]] = [
    ("backprop", {}),
    ("checkpoint", {}),
    ("adjoint-dpm", {"rule": "rk4", "trajectory": "stored", "chart": "noise"}),
    ("adjoint-dpm", {"rule": "euler", "trajectory": "resolved", "chart": "noise"}),
    ("adjoint-deis", {"order": 1, "trajectory": "stored"}),
    ("adjoint-deis", {"order": 2, "trajectory": "stored"}),
    ("torchdiffeq-adjoint", {"rtol": 1e-5, "atol": 1e-5}),
    ("reversible", {}),
    ("spsa", {"draws": 64}),
]
IDENTITY = ("case_params", "sampler_params", "targets", "seed", "replicate", "dtype", "device", "machine_class")
ERROR = {"x_T": 1.0, "condition": 0.6, "parameters": 1.7}
CARD = {
    **{"case": "sd15", "case_params": {"batch": 1}, "dtype": "float16", "device": "cuda", "gpu": "Some Card"},
    **{"reference_tol": None, "evaluation_s": 0.05, "vjp_s": 0.1, "baseline_bytes": 2000},
}
BASELINE = Path(__file__).parents[1] / "results" / "baselines" / "ci.jsonl"
PLACE = {"machine_class": "a CPU, 2 threads, 8 GiB", "threads": 1}


def everything() -> Rows:
    """Rows for every figure: estimators over steps, dimensions, batches, dtypes, backward grids, draws, failures."""
    orders = {"backprop": 1, "checkpoint": 1, "adjoint-deis": 1, "continuous-adjoint": 2, "adjoint-dpm": 2}
    places = ({}, {"dtype": "float32"}, {"case_params": {"dim": 60, "batch": 4}}, {"case": "mixture"})
    facts = {"flow_cosine_x_T": 0.99, "flow_norm_ratio_x_T": 0.9, "state_bytes": 20, "tape_bytes": 300}
    found = [
        row(name, n, 2.0 / n**order, seed=seed, time_s=0.01 * (n + seed), peak_bytes=500 + 50 * n, **facts, **place)
        for name, order in orders.items()
        for n in (5, 10, 20, 40)
        for seed in (0, 1)
        for place in places
    ]
    found += [row("checkpoint", 20, 0.1, case_params={"dim": 6, "batch": b}, peak_bytes=1000) for b in (1, 16)]
    found += [row("continuous-adjoint", 40, 3.0 / m, options={"steps": m}, peak_bytes=1000) for m in (5, 10, 20)]
    noisy = {"bias": -0.2, "snr": 0.5, "distance": 0.3, "ratio": 0.9, "draws": 500, "expected": 0.3}
    found += [
        drawn(name, 20, **noisy, nfe=(20, 20, 20), peak_bytes=1000, sampler_params={"eta": 1.0})
        for name in ("draft", "reinforce", "spsa")
    ]
    return [*found, failed("backprop", 80), failed("reversible", 20, "skip", "no inverse step")]


def on_a_card() -> Rows:
    """Rows of a GPU: what was predicted, asked of the allocator and taken, and the time of one evaluation and VJP."""
    sizes = {"backprop": (50_000, 50_500), "checkpoint": (1000, 1040), "reversible": (1000, 1300)}
    times = {"backprop": 7.6, "checkpoint": 10.2, "reversible": 13.0}
    return [
        row(
            name,
            50,
            time_s=times[name],
            nfe=(50, 0 if name == "backprop" else 50, 50),
            predicted_peak_bytes=predicted,
            requested_bytes=peak - 10,
            peak_bytes=peak,
            reserved_bytes=peak + 2000 + 60,
            **CARD,
        )
        for name, (predicted, peak) in sizes.items()
    ]


def lifelike(seeds: int = 1) -> Rows:
    """A run of every case, sampler, number of steps and estimator."""
    rng = random.Random(0)
    grid = [(c, s, n, e, p) for c in CASES for s in SAMPLERS for n in (5, 10, 20, 40) for e, p in ESTIMATORS]
    return [_measured(rng, *cell, seed=seed) for cell in grid for seed in range(seeds)]


def many(cases: int = 10, samplers: int = 8, steps: int = 10, estimators: int = 25) -> Rows:
    """20,000 rows, no two of one cell, with every number random: the hardest to pack and to draw."""
    rng, template = random.Random(0), lifelike()[0]
    names = ("backprop", "checkpoint", "adjoint-dpm", "adjoint-deis", "reinforce")
    found = []
    for c, s, n, e in itertools.product(range(cases), range(samplers), range(steps), range(estimators)):
        told = {
            "cell_id": f"{rng.getrandbits(48):012x}", "case": f"case-{c}", "sampler": f"sampler-{s}",
            "steps": 5 * (n + 1), "estimator": names[e % len(names)],
            "estimator_params": {"k": e // len(names), "trajectory": "stored"},
        }  # fmt: skip
        if rng.random() < 0.98:
            found.append(template | told | _noise(rng))
        else:
            reason = f"the cell needed {rng.randrange(1000, 9000)} MiB, over its limit"
            lost = {"status": rng.choice(("oom", "diverged", "timeout")), "reason": reason}
            found.append({key: template[key] for key in IDENTITY} | told | lost)
    return found


def baseline(case: str, sampler: str, estimator: str | None = None, steps: int = 20) -> Rows:
    """The committed cells of that name that were measured."""
    rows = (json.loads(line) for line in BASELINE.read_text().splitlines())
    named = {"case": case, "sampler": sampler, "steps": steps, "status": "ok"}
    named |= {"estimator": estimator} if estimator else {}
    return [row for row in rows if all(row[name] == value for name, value in named.items())]


def timed(rows: Rows, seed: int, slower: float = 1.0, processes: int = 5) -> Rows:
    """`processes` rows per cell, 10 ms each up to 2%, the first cell `slower`, on a machine of any speed."""
    rng = random.Random(seed)
    speed = rng.uniform(0.5, 2.0)
    return [
        {
            **row,
            **PLACE,
            "replicate": replicate,
            "time_s": 0.010 * speed * math.exp(rng.gauss(0, 0.02)) * (slower if index == 0 else 1.0),
            "calibration_s": 0.001 * speed,
        }
        for index, row in enumerate(rows)
        for replicate in range(processes)
    ]


def with_value(rows: Rows, index: int = 0, **values: Any) -> Rows:
    """The rows with other values in all processes of the cell at `index`."""
    cell = list(dict.fromkeys(row["cell_id"] for row in rows))[index]
    return [{**row, **values} if row["cell_id"] == cell else row for row in rows]


def _noise(rng: random.Random) -> dict[str, Any]:
    errors = [f"{reference}_error_{target}" for reference in ("flow", "sampler", "expected") for target in ERROR]
    costs = ("time_s", "nfe_forward", "nfe_backward", "vjps", "x0_drift")
    return {
        **{column: 10 ** rng.uniform(-8, 1) for column in errors},
        **{column: 10 ** rng.uniform(-3, 3) for column in costs},
        **{column: int(10 ** rng.uniform(3, 10)) for column in ("peak_bytes", "state_bytes", "tape_bytes")},
        "time_samples": [10 ** rng.uniform(-3, 3) for _ in range(5)],
    }


def _measured(
    rng: random.Random, case: str, sampler: str, steps: int, estimator: str, params: dict[str, Any], seed: int = 0
) -> dict[str, Any]:
    """One row; what ended badly has a reason and no errors."""
    facts, stages = CASES[case], SAMPLERS[sampler]
    made = {
        "case": case, "case_params": facts["params"], "sampler": sampler,
        "sampler_params": {"grid": "uniform-log-snr"}, "options": params, "targets": tuple(ERROR), "seed": seed,
        "dtype": "float64" if case == "gaussian" else "float32", "machine_class": "x86-2core",
        "schema": 1, "cell_id": f"{rng.getrandbits(48):012x}", "run_id": "r1", "suite": "quick",
        "reference_tol": 1e-10 if case == "gaussian" else 2e-6, "gradbench": "0.1.0", "torch": "2.9.0+cpu",
        "git_commit": "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567", "git_dirty": False,
        "cpu": "Intel Xeon Platinum 8488C", "gpu": None, "threads": 1, "started_at": "2026-01-10T12:00:00Z",
    }  # fmt: skip
    failure = _failure(case, sampler, steps, estimator, params)
    if failure:
        return failed(estimator, steps, *failure, **made)
    return row(estimator, steps, **made) | _numbers(rng, facts, stages, steps, estimator, params)


def _failure(case: str, sampler: str, steps: int, estimator: str, params: dict[str, Any]) -> tuple[str, str] | None:
    if estimator == "reversible":
        return "skip", f"{sampler} has no inverse step: reversible needs reversible-heun, edict, bdia, belm or rex"
    if (case, estimator, sampler, steps) == ("digits", "backprop", "rk4", 40):
        return "oom", "the cell needed 1440 MiB, over its limit of 1024 MiB"
    if (case, estimator) == ("digits", "torchdiffeq-adjoint") and steps == 40 and sampler == "rk4":
        return "timeout", "no result after 60 s"
    if params.get("rule") == "euler" and steps == 5 and case == "digits":
        return "diverged", "the gradient is not finite"
    return None


def _numbers(rng: random.Random, facts: dict, stages: int, steps: int, estimator: str, params: dict) -> dict[str, Any]:
    order = 4 if stages == 4 else 1
    discretisation = 0.8 * (5 / steps) ** order * (0.02 if order == 4 else 1)
    adjoint = {
        "rk4": 2e-3 * (5 / steps) ** 4, "euler": 0.9 * (5 / steps), 1: 0.5 * (5 / steps), 2: 0.12 * (5 / steps) ** 2,
    }.get(params.get("rule", params.get("order")), 3e-5)  # fmt: skip
    exact = estimator in ("backprop", "checkpoint")
    flow = discretisation if exact else 1.4 if estimator == "spsa" else (adjoint**2 + (discretisation / 3) ** 2) ** 0.5
    own = {"backprop": 0.0, "checkpoint": 1e-12}.get(estimator, (flow**2 + discretisation**2) ** 0.5)
    forward = stages * steps if estimator != "spsa" else 64 * stages * steps
    backward = {
        "backprop": 0, "checkpoint": forward, "spsa": 0, "torchdiffeq-adjoint": 150 + 2 * steps,
    }.get(estimator, steps * {"rk4": 4, "euler": 1}.get(params.get("rule"), 1))  # fmt: skip
    vjps = stages * steps if exact else backward
    tape, state = facts["tape"], facts["state"]
    peak = {"backprop": tape * stages * steps, "checkpoint": tape * stages + state * steps, "spsa": 4 * state}.get(
        estimator, tape * 1.2 + state * (steps if params.get("trajectory") == "stored" else 4)
    )
    wobble = rng.uniform(0.95, 1.1)
    errors = {
        f"{reference}_error_{target}": base * factor
        for reference, base in (("flow", flow), ("sampler", own))
        for target, factor in ERROR.items()
    }
    return {
        **errors, "time_s": (forward + backward + 2.2 * vjps) * facts["nfe_s"] * wobble, "nfe_forward": forward,
        "nfe_backward": backward, "vjps": vjps, "peak_bytes": int(peak), "state_bytes": state, "tape_bytes": int(tape),
        "x0_drift": 0.0 if estimator != "torchdiffeq-adjoint" else 2e-4,
    }  # fmt: skip


def course_of(work, end, cosine, seconds):
    """Thirty updates of one query and `work` evaluations each, scored at three places on a line from -5 to `end`."""
    middle = (end - 5) / 2
    return {
        "update": [0, 15, 30],
        "evaluations": [0.0, 15 * work, 30 * work],
        "queries": [0.0, 15.0, 30.0],
        "seconds": [0.0, seconds / 2, seconds],
        "objective": [-5.0, middle, end],
        "held_out": [-5.2, middle - 0.2, end - 0.2],
        "cosine": [cosine, cosine, None],
    }


def of_a_task():
    """Three estimators on one task, over three seeds."""
    ends = {"checkpoint": (1.0, -0.5, 20.0), "draft": (0.4, -0.8, 11.0), "reinforce": (0.1, -4.0, 80.0)}
    return [
        row(
            name,
            case="align",
            case_params={"updates": 30},
            seed=seed,
            updates=30,
            optimise_cosine=cosine,
            optimise_evaluations=work * 120,
            optimise_queries=120.0,
            optimise_s=work + seed,
            first_objective=-5.0,
            last_objective=end + 0.1 * seed,
            first_held_out=-5.2,
            last_held_out=end - 0.2 + 0.1 * seed,
            course=course_of(work, end + 0.1 * seed, cosine, 20.0 if name == "checkpoint" else 10.0),
        )
        for name, (cosine, end, work) in ends.items()
        for seed in range(3)
    ]
