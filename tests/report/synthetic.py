"""Rows that look like those of a run: five estimators, two cases, two samplers, and every way to fail."""

import itertools
import random
from typing import Any

MIB = 1024**2
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


def rows(seeds: int = 1) -> list[dict[str, Any]]:
    """Every case, sampler, number of steps and estimator."""
    rng = random.Random(0)
    grid = [(c, s, n, e, p) for c in CASES for s in SAMPLERS for n in (5, 10, 20, 40) for e, p in ESTIMATORS]
    return [row(rng, *cell, seed=seed) for cell in grid for seed in range(seeds)]


def many(cases: int = 10, samplers: int = 8, steps: int = 10, estimators: int = 25) -> list[dict[str, Any]]:
    """20,000 rows, no two of one cell, with every number random: the hardest to pack and to draw."""
    rng, template = random.Random(0), rows()[0]
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
            failed = {"status": rng.choice(("oom", "diverged", "timeout")), "reason": reason}
            found.append({key: template[key] for key in IDENTITY} | told | failed)
    return found


def _noise(rng: random.Random) -> dict[str, Any]:
    errors = [f"{reference}_error_{target}" for reference in ("flow", "sampler", "expected") for target in ERROR]
    costs = ("time_s", "nfe_forward", "nfe_backward", "vjps", "x0_drift")
    return {
        **{column: 10 ** rng.uniform(-8, 1) for column in errors},
        **{column: 10 ** rng.uniform(-3, 3) for column in costs},
        **{column: int(10 ** rng.uniform(3, 10)) for column in ("peak_bytes", "state_bytes", "tape_bytes")},
        "time_samples": [10 ** rng.uniform(-3, 3) for _ in range(5)],
    }


def row(
    rng: random.Random, case: str, sampler: str, steps: int, estimator: str, params: dict[str, Any], seed: int = 0
) -> dict[str, Any]:
    """One row; what ended badly has a reason and no errors."""
    facts, stages = CASES[case], SAMPLERS[sampler]
    result = {
        "schema": 1, "cell_id": f"{rng.getrandbits(48):012x}", "run_id": "r1", "suite": "quick", "case": case,
        "case_params": facts["params"], "sampler": sampler, "sampler_params": {"grid": "uniform-log-snr"},
        "steps": steps, "estimator": estimator, "estimator_params": params, "targets": list(ERROR), "seed": seed,
        "replicate": 0, "dtype": "float64" if case == "gaussian" else "float32", "device": "cpu", "status": "ok",
        "reference_tol": 1e-10 if case == "gaussian" else 2e-6, "gradbench": "0.1.0", "torch": "2.9.0+cpu",
        "git_commit": "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567", "git_dirty": False, "machine_class": "x86-2core",
        "cpu": "Intel Xeon Platinum 8488C", "gpu": None, "threads": 1, "started_at": "2026-01-10T12:00:00Z",
    }  # fmt: skip
    failure = _failure(case, sampler, steps, estimator, params)
    if failure:
        return {**result, "status": failure[0], "reason": failure[1]}
    return result | _measured(rng, facts, stages, steps, estimator, params)


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


def _measured(rng: random.Random, facts: dict, stages: int, steps: int, estimator: str, params: dict) -> dict[str, Any]:
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
