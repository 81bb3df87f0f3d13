"""Surrogates of the gradient from 2025 and 2026: direction, length, noise and cost, against exact gradients."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import gradbench
from gradbench.estimators.monte_carlo.base import MonteCarlo, make_block, mean_of
from gradbench.estimators.pathwise.planned import Landing, Seen
from gradbench.estimators.pathwise.pullback import pull
from gradbench.estimators.pathwise.totals import Totals
from gradbench.estimators.pathwise.truncated import Truncated
from gradbench.measure.error import cosine, norm_ratio
from gradbench.problems.gradients import Gradients, relative_error
from gradbench.problems.problem import Problem
from gradbench.references.memoryless import memoryless_gradient
from studies.common import LAWS, Claims, number, spread, table

N, BLOCKS, SIZE, DIGITS_DRAWS, DIGITS_SEEDS = 25, 8, 256, 16, 5
SCHEDULES = {
    "rectified": ({"schedule": "rectified", "t_max": 1.0, "t_min": 0.001}, "flow-euler"),
    "scaled-linear": ({"schedule": "scaled-linear"}, "ddim"),
}
CHAIN = (
    *("draft[k=1]", "drtune[k=25,detach=v]", "leapalign[a=0]", "leapalign", "leapalign[a=1]", "leapalign[weight=none]"),
    *("leapalign[law=clean]", "leapalign[law=half]", "flowbp", "flowbp[variant=bridge]", "flowbp[variant=bridge,a=0]"),
    *("flowbp[variant=bridge,a=1]", "flowbp[variant=lagrange]", "srpo", "vgg-flow", "vgg-flow[jacobian=true]"),
)
STOCHASTIC = (*("fdfo", "ddpo", "ddpo[ratio=guard]", "ddpo[window=4]", "reinforce"),)
FORWARD = (
    *("nft", "nft[beta=0.1]", "awm", "awm[weight=uniform]", "awm[weight=t]", "awm[weight=huber]", "ram"),
    "awm[weight=memoryless,law=uniform,times=16]",
)
DIGITS = ("draft[k=1]", "drtune[k=25,detach=v]", "leapalign", "flowbp", "flowbp[variant=bridge]",
          "flowbp[variant=lagrange]", "srpo", "vgg-flow")  # fmt: skip
PLACES = (0, 5, 10, 15, 20, 24)


def page(laws: Sequence[int], out: Path) -> str:
    """Tables over random distributions on two schedules, a trained network, and the papers' claims."""
    claims, found = Claims(), dict[tuple[str, str], list[dict[str, Any]]]()
    for schedule in SCHEDULES:
        for selector in (*CHAIN, *STOCHASTIC, *FORWARD):
            found[schedule, selector] = [_measured(seed, schedule, selector) for seed in laws]
            print(schedule, selector, flush=True)
    chains = {schedule: [_chain(seed, schedule) for seed in laws] for schedule in SCHEDULES}
    for schedule in SCHEDULES:
        for i in range(len(laws)):
            _claim(claims, {s: found[schedule, s][i] for s in (*CHAIN, *STOCHASTIC, *FORWARD)}, schedule)
            growth = max(chains[schedule][i]["growth"])
            claims.note(f"{schedule}: the chained Jacobian grows beyond 10 somewhere (the premise)", growth > 10)
            share = chains[schedule][i]["shares"]
            early = sum(share[: N // 2]) / sum(share)
            claims.note(f"{schedule}: more than half of the gradient's length comes from the noisy half", early > 0.5)
    digits = {s: [_digits(seed, s) for seed in range(DIGITS_SEEDS)] for s in DIGITS}
    return f"""# Surrogates of the gradient

Reward fine-tuning methods published in 2025 and 2026 replace the gradient through the chain. This page shows what each of them
estimates, in direction (the cosine), in length (the norm ratio) and in both (the bias, the distance of the mean from the exact
gradient), how noisy one draw is (its standard deviation), and what it costs. Bias and deviation are relative to the norm of the
exact gradient. Every method keeps its published settings. A method released with a normalised reward or loss gives a gradient
with a scale of its own, which has no effect on an optimiser that normalises gradients.

{LAWS["gaussian"].capitalize()}, quadratic objective with a sine, {N} steps, {len(laws)} distributions, {BLOCKS * SIZE:,} draws: median and *range* over the
distributions, gradient of the parameters (the standard deviations).

## Against the gradient of the chain

The sampler is `flow-euler` from t = 1 to 0.001 for rectified flow and `ddim` for scaled-linear. Estimators that need noise in the
steps run on `flow-sde` and are compared with the expected gradient of that chain.

{_table(found, (*CHAIN, *STOCHASTIC))}
## Losses on the forward process, against both gradients

These losses never differentiate a sampler. They estimate the gradient of the *memoryless* process, the reverse SDE, with some
weighting of the times. "One draw" is |mean| over the standard deviation of a draw. The column "memoryless with chain" shows how far that gradient is from the one of the deterministic chain on these
distributions.

{_forward_table(found)}
## The chained Jacobian and the share of each step

The papers' premise is that the product of the chain's Jacobians makes the full gradient explode or drown in noise. The table shows the
largest singular value of dx_N/dx_k and the share of step k in the length of the parameter gradient.

{_chain_table(chains)}
## On a trained network

`digits[guidance=4]`, `ddim` on its own grid, {N} steps, float32, LoRA weights, {DIGITS_SEEDS} seeds, {DIGITS_DRAWS} draws, against the
gradient of the chain: median and *range*. The published time shift applies to rectified flow only and has no counterpart here.

{_digits_table(digits)}
## Claims

Each statement is a claim of a paper, or its premise, phrased as a comparison on one distribution. All of them are about the gradient
at the base model; how the reward develops over many updates is a different question.

{claims.table()}
Some claims are not tested here because they are about rewards after training or about human preferences: LeapAlign's and FlowBP's
benchmark scores, what the reward of x_N gains over that of x0_hat, three leaps against two, SRPO's realism and stability, the number of updates that DiffusionNFT and RAM need, and FDFO's artefacts. VGG-Flow is measured at
the base model and without its learned correction. EAM has no row because only the abstract of its paper was read.
"""


def _problem(seed: int, schedule: str, sampler: str) -> Problem:
    options, _ = SCHEDULES[schedule]
    case = gradbench.case("gaussian", **options)
    return case.problem(sampler=sampler, steps=N, seed=seed, targets=("condition", "parameters"))


def _measured(seed: int, schedule: str, selector: str) -> dict[str, Any]:
    """Of the parameters: cosine, norm ratio and bias of the mean, the signal-to-noise ratio and the standard deviation
    of one draw, bias and deviation over the exact gradient's norm; and the evaluations of one draw.
    """
    sampler = "flow-sde" if selector in STOCHASTIC else SCHEDULES[schedule][1]
    given = _problem(seed, schedule, sampler)
    exact = given.expected_gradient()
    assert exact is not None
    drawn = _drawn(given, selector)
    grads, found = drawn.grads, dict[str, Any]()
    found["cosine"] = cosine(grads["parameters"], exact["parameters"])
    found["ratio"] = norm_ratio(grads["parameters"], exact["parameters"])
    found["bias"] = relative_error(grads["parameters"], exact["parameters"])
    found["snr"], found["nfe"] = drawn.snr, drawn.nfe
    found["spread"] = None if drawn.snr is None else found["ratio"] / drawn.snr
    if selector in FORWARD:
        memoryless = memoryless_gradient(given)
        assert memoryless is not None
        found["memoryless"] = cosine(grads["parameters"], memoryless["parameters"])
        found["between"] = cosine(memoryless["parameters"], exact["parameters"])
    if selector in ("leapalign", "flowbp[variant=lagrange]"):
        found["distance"] = _distance(given, selector)
    return found


@dataclass(frozen=True)
class Drawn:
    """A mean gradient, the signal-to-noise ratio of one draw of the parameters', and the evaluations of a draw."""

    grads: Gradients
    snr: float | None
    nfe: float


def _drawn(given: Problem, selector: str) -> Drawn:
    """The mean over `BLOCKS` blocks of `SIZE` draws; of what draws nothing, its one answer."""
    method: Any = gradbench.estimator(selector)
    if isinstance(method, Truncated) and not method.random or not isinstance(method, MonteCarlo):
        estimate = method(given)
        return Drawn(estimate.grads, None, estimate.nfe_forward + estimate.nfe_backward)
    calls, means = given.denoiser.calls, list[Gradients]()
    for index in range(BLOCKS):
        means.append(mean_of(given, method.made(make_block(given, index, SIZE)), SIZE))
    made = (given.denoiser.calls - calls) / BLOCKS
    mean = Gradients.stacked(means, lambda parts: parts.mean(0))
    parts = torch.stack([part.flat("parameters") for part in means])
    noise = (SIZE * parts.var(0).sum()).sqrt().item()
    cost = method.cost(given)
    nfe = made if cost is None else cost[0] + cost[1]
    return Drawn(mean, mean.norm("parameters") / noise if noise > 1e-9 * mean.norm("parameters") else None, nfe)


def _distance(given: Problem, selector: str) -> float:
    """The mean distance of the leaps' ends from the chain, without a floor, over the law of the quadrature's leaps."""
    method: Any = (
        gradbench.estimator(selector, law="dirichlet")
        if "flowbp" in selector
        else gradbench.estimator("flowbp", variant="lagrange", q=1)
    )
    block = make_block(given, 0, 64)
    plan = method.plans.draw(block.rollout, len(block.x_T), block.random)
    landing = Landing(block.rollout, plan, replace(plan.leaps, floor=1e-12))
    state = block.rollout.start(block.x_T)
    with torch.no_grad():
        for k in range(N):
            seen, point = Seen(block.rollout.field), state[0]
            state = block.rollout.rule.step(seen, state, block.rollout.interval(k))
            landing.pass_by(k, point, seen)
        weight = landing.weight(state[0])
    assert weight is not None
    return (1 / weight).mean().item()


def _chain(seed: int, schedule: str) -> dict[str, list[float]]:
    """By step: the largest singular value of dx_N/dx_k, and the norm of the step's share of the gradient."""
    given = _problem(seed, schedule, SCHEDULES[schedule][1])
    rollout, states = given.rollout, [given.rollout.start(given.x_T)]
    with torch.no_grad():
        for k in range(N):
            states.append(rollout.step(k, states[-1]))
    end = states[-1][0].detach().requires_grad_()
    (signal,) = torch.autograd.grad(given.objective(end).sum(), end)
    size = given.x_T.shape[1]
    jacobian, shares, growth = torch.eye(size).double(), list[float](), list[float]()
    for k in reversed(range(N)):
        own = Totals(given.wrt)
        before = pull(lambda s, k=k: rollout.step(k, s), states[k], [signal], own)
        shares.append(sum(total.norm().item() ** 2 for total in own.whole[1:]) ** 0.5)
        first = (states[k][0][:1],)
        rows = [pull(lambda s, k=k: rollout.step(k, s), first, [row[None]], Totals([]))[0] for row in jacobian]
        jacobian = torch.cat([row for row in rows if row is not None])
        growth.append(torch.linalg.matrix_norm(jacobian, 2).item())
        (signal,) = (c for c in before if c is not None)
    return {"growth": growth[::-1], "shares": shares[::-1]}


def _claim(claims: Claims, of: dict[str, dict[str, Any]], schedule: str) -> None:
    """The claims on one distribution."""
    cos = {s: f["cosine"] for s, f in of.items()}

    def note(text: str, holds: bool) -> None:
        claims.note(f"{schedule}: {text}", holds)

    note("LeapAlign: a = 0.3 has a better direction than a = 0", cos["leapalign"] > cos["leapalign[a=0]"])
    note("LeapAlign: a = 0.3 has a better direction than a = 1", cos["leapalign"] > cos["leapalign[a=1]"])
    note(
        "LeapAlign: weighting by both distances improves the direction",
        cos["leapalign"] > cos["leapalign[weight=none]"],
    )
    note(
        "LeapAlign: pairs of all times have a better direction than pairs of the clean half",
        cos["leapalign"] > cos["leapalign[law=clean]"],
    )
    note(
        "LeapAlign: random pairs have a better direction than leaps of half the chain",
        cos["leapalign"] > cos["leapalign[law=half]"],
    )
    ends = (cos["flowbp[variant=bridge,a=0]"], cos["flowbp[variant=bridge,a=1]"])
    note(
        "FlowBP bridge: a = 0.1 has a better direction than a = 0 and a = 1", cos["flowbp[variant=bridge]"] > max(ends)
    )
    note("LeapAlign has a better direction than DRTune over all steps", cos["leapalign"] > cos["drtune[k=25,detach=v]"])
    for variant in ("flowbp", "flowbp[variant=bridge]", "flowbp[variant=lagrange]"):
        name = variant.removeprefix("flowbp").strip("[]").removeprefix("variant=") or "sparse"
        note(f"FlowBP {name} has a better direction than LeapAlign", cos[variant] > cos["leapalign"])
    shorter = of["flowbp[variant=lagrange]"]["distance"] < of["leapalign"]["distance"]
    note("FlowBP: a quadrature lowers the deviation at the connectors", shorter)
    note("FDFO: one draw is less noisy than DDPO's", of["fdfo"]["snr"] > of["ddpo"]["snr"])
    note("VGG-Flow: the network's Jacobian improves the direction", cos["vgg-flow[jacobian=true]"] > cos["vgg-flow"])
    note("NFT on the policy does not depend on beta", abs(cos["nft"] - cos["nft[beta=0.1]"]) < 1e-6)
    for loss in ("nft", "awm", "ram"):
        note(f"{loss} is closer to the memoryless gradient than to the chain's", of[loss]["memoryless"] > cos[loss])
    note("GRPO-Guard's weights change the direction by less than 10 degrees", cos["ddpo[ratio=guard]"] > 0.985)


def _table(found: dict[tuple[str, str], list[dict[str, Any]]], selectors: Sequence[str]) -> str:
    head = [
        "estimator",
        "evaluations",
        *(f"{s}: {what}" for s in SCHEDULES for what in ("cosine", "norm ratio", "bias", "deviation")),
    ]
    rows = []
    for selector in selectors:
        cells = [number(found["rectified", selector][0]["nfe"])]
        for schedule in SCHEDULES:
            rows_of = found[schedule, selector]
            cells += [spread(f[name] for f in rows_of) for name in ("cosine", "ratio", "bias")]
            kept = [f["spread"] for f in rows_of if f["spread"] is not None]
            cells.append(spread(kept) if kept else "no noise")
        rows.append([f"`{selector}`", *cells])
    return table(head, rows)


def _forward_table(found: dict[tuple[str, str], list[dict[str, Any]]]) -> str:
    kinds = {
        "memoryless": "cosine with memoryless",
        "cosine": "cosine with chain",
        "between": "memoryless with chain",
    }
    head = ["estimator", "evaluations", *(f"{s}: {text}" for s in SCHEDULES for text in (*kinds.values(), "one draw"))]
    rows = []
    for selector in FORWARD:
        cells = [number(found["rectified", selector][0]["nfe"])]
        for schedule in SCHEDULES:
            rows_of = found[schedule, selector]
            cells += [spread(f[kind] for f in rows_of) for kind in kinds]
            cells.append(spread(f["snr"] for f in rows_of))
        rows.append([f"`{selector}`", *cells])
    return table(head, rows)


def _chain_table(chains: dict[str, list[dict[str, list[float]]]]) -> str:
    head = ["k", *(f"{s}: {what}" for s in SCHEDULES for what in ("singular value", "share"))]
    rows = []
    for k in PLACES:
        cells: list[str] = []
        for schedule in SCHEDULES:
            cells.append(spread(c["growth"][k] for c in chains[schedule]))
            cells.append(spread(c["shares"][k] / sum(c["shares"]) for c in chains[schedule]))
        rows.append([str(k), *cells])
    return table(head, rows)


def _digits(seed: int, selector: str) -> dict[str, float]:
    given = gradbench.case("digits", guidance=4.0, batch=1).problem(
        sampler="ddim", steps=N, seed=seed, targets=("parameters",)
    )
    exact = given.sampler_gradient()
    plain = selector.startswith(("draft", "drtune[k=25"))
    estimate = gradbench.estimator(selector, **({} if plain else {"draws": DIGITS_DRAWS}))(given)
    return {
        "cosine": cosine(estimate.grads["parameters"], exact["parameters"]),
        "ratio": norm_ratio(estimate.grads["parameters"], exact["parameters"]),
        "nfe": estimate.nfe_forward + estimate.nfe_backward,
    }


def _digits_table(found: dict[str, list[dict[str, float]]]) -> str:
    rows = [
        [
            f"`{s}`",
            number(statistics.median(f["nfe"] for f in rows)),
            *(spread(f[k] for f in rows) for k in ("cosine", "ratio")),
        ]
        for s, rows in found.items()
    ]
    return table(["estimator", "evaluations", "cosine", "norm ratio"], rows)
