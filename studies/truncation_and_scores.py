"""Truncations, score functions and zeroth order: exact bias, variance and cost."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradbench
from gradbench.estimators.pathwise.cubature import expectation
from gradbench.estimators.pathwise.truncated import Truncated
from gradbench.measure.bias import columns
from gradbench.references.reference import Reference
from studies.common import LAWS, Claims, number, problem, spread, table
from studies.oracle import oracle

N, DRAWS, LAW_DRAWS = 20, 100_000, 20_000
METHODS = (
    *("draft[k=20]", "draft[k=10]", "draft[k=5]", "draft[k=1]", "draft-lv[n=1]", "draft-lv[n=4]"),
    *(
        "alignprop",
        "alignprop[law=released-v1]",
        "alignprop[law=unbiased]",
        "refl",
        "drtune[k=20]",
        "drtune[k=5]",
        "shortcut",
    ),
    *("reinforce[baseline=none]", "reinforce", "ddpo", "ddpo[scale=summed]", "rlr", "adjoint-matching"),
    *("spsa", "evolution-strategies", "forward-gradient"),
)


def page(laws: Sequence[int], out: Path) -> str:
    """The scalar oracle with exact biases, random Gaussians, and the figure of bias against noise."""
    scalar = [row for eta in (1, 0) for row in _scalar(eta)]
    claims, found = Claims(), {m: [_law(seed, m) for seed in laws] for m in METHODS}
    rows = []
    for m in METHODS:
        cells = [
            [f[key] for f in found[m]]
            for key in ("bias_parameters", "snr_parameters", "bias_condition", "snr_condition", "nfe")
        ]
        kept = [[v for v in cell if v is not None] for cell in cells]
        rows.append([f"`{m}`", *(spread(cell) if cell else "" for cell in kept[:4]), number(kept[4][0])])
    for i in range(len(laws)):
        bias = {m: abs(found[m][i]["bias_parameters"]) for m in METHODS}
        snr = {m: found[m][i]["snr_parameters"] for m in METHODS}
        claims.note(
            "bias falls with k: draft 1, 5, 10, 20",
            bias["draft[k=1]"] > bias["draft[k=5]"] > bias["draft[k=10]"] > bias["draft[k=20]"],
        )
        claims.note("draft[k=1] loses more than 80% of the parameters' gradient", bias["draft[k=1]"] > 0.8)
        claims.note(
            "the full pathwise gradient has more than 3 times the signal-to-noise ratio of REINFORCE",
            snr["draft[k=20]"] > 3 * snr["reinforce"],
        )
        claims.note("leave-one-out raises the ratio of REINFORCE", snr["reinforce"] > snr["reinforce[baseline=none]"])
        claims.note("rlr (half order) has a higher ratio than REINFORCE", snr["rlr"] > snr["reinforce"])
        claims.note(
            "unbiased AlignProp has a lower ratio than the full gradient",
            snr["alignprop[law=unbiased]"] < snr["draft[k=20]"],
        )
    _figure(found, out / "images")
    head = ["estimator", "bias, parameters", "ratio, parameters", "bias, condition", "ratio, condition", "NFE per draw"]
    return f"""# Truncations, score functions, zeroth-order methods

Bias is <E[estimate] - g, g>/|g|^2 against the exact expected gradient g over the chain's noise; the ratio is |mean| over the root of
the trace of one draw's covariance.

## The scalar oracle

eps = theta w x, data of variance 0.3, linear betas, {N} trailing steps, last alpha 1, r = -(x_0 - 1)^2; gradient in theta. Exact biases are
computed by cubature (the estimate is quadratic in the noise), sampled ones from {DRAWS:,} draws per point of x_T, with their standard error.

{table(["eta", "estimator", "exact bias", "sampled bias", "error", "ratio"], scalar)}
DRTune's steps start at an offset drawn from all those at which k of them fit. That gives +1,093% for k = 5 at eta = 0, where an independent
simulation of 400,000 draws gives +1,096%; using only offsets up to N - k floor(N/k), as the method is sometimes written, would give +2,080%.

## Random distributions

{LAWS["gaussian"].capitalize()}, `ddim[eta=1]` at {N} steps, {LAW_DRAWS:,} draws, {len(laws)} distributions: median and *range*.

{claims.table()}
{table(head, rows)}
![Bias against the spread after a thousand network evaluations, parameters.](images/bias-noise.svg)

Each mark is the median over distributions. An open mark is a bias hidden by its own error. DDPO as released estimates a multiple of the
gradient, smaller by the number of dimensions, the number of steps and the spread of the reward. Its bias here reflects that; an
optimiser that normalises gradients is not affected. The released codes of AlignProp differ: the first (and TRL's) detaches each step's network output by
its own draw, so that nothing is truncated and half of all steps act; the second cuts once at int(N(42, 5)), which assumes 50
steps and is refused here with fewer than 40.
"""


def _scalar(eta: int) -> list[list[str]]:
    rows = []
    for m in METHODS:
        given = oracle(eta)
        method = gradbench.estimator(m)
        if method.supports(given.traits) or m.startswith(("ddpo", "spsa", "evolution", "forward")):
            continue
        exact = given.expected_gradient()
        assert exact is not None
        g: Any = exact["parameters"]
        exact_bias = ""
        if isinstance(method, Truncated):
            e: Any = expectation(given, method)["parameters"]
            value = e[0].item() / g[0].item() - 1
            exact_bias = f"{0.0 if abs(value) < 5e-7 else 100 * value:.1f}%"
        estimate = gradbench.estimator(m, draws=DRAWS)(given)
        row = columns(estimate, Reference(exact, "", 0.0))
        cells = ["", "", ""]
        if row:
            ratio = row["snr_parameters"]
            cells = [
                f"{100 * row['bias_parameters']:.1f}%",
                f"{100 * row['std_error_parameters']:.1f}%",
                number(ratio) if ratio else "no noise",
            ]
        rows.append([str(eta), f"`{m}`", exact_bias, *cells])
    return rows


def _law(seed: int, selector: str) -> dict[str, Any]:
    given = problem("gaussian", seed, "ddim[eta=1]", N, "scaled-linear")
    exact = given.expected_gradient()
    assert exact is not None
    estimate = gradbench.estimator(selector, draws=LAW_DRAWS)(given)
    row = columns(estimate, Reference(exact, "", 0.0))
    keys = [f"{c}_{t}" for c in ("bias", "std_error", "snr") for t in ("parameters", "condition")]
    return {**{key: row.get(key) for key in keys}, "nfe": estimate.nfe_forward + estimate.nfe_backward}


def _figure(found: dict[str, list[dict[str, Any]]], folder: Path) -> None:
    import statistics

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update({"svg.hashsalt": "gradbench", "svg.fonttype": "none", "font.size": 9})
    figure, axes = plt.subplots(figsize=(8.6, 4.6))
    colours = plt.get_cmap("tab20").colors  # type: ignore[attr-defined]
    for index, (method, rows) in enumerate(found.items()):
        noise = statistics.median(math.sqrt(r["nfe"] / 1000) / r["snr_parameters"] for r in rows)
        bias = statistics.median(abs(r["bias_parameters"]) for r in rows)
        error = statistics.median(r["std_error_parameters"] for r in rows)
        seen = bias > 2 * error
        colour = colours[index % 20]
        marker = "osD^v<>Ph*Xp"[index % 12]
        place = max(bias, 2 * error)
        axes.plot(noise, place, marker, color=colour, mfc=colour if seen else "none", ms=7, label=method, ls="none")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="spread of the estimate for 1,000 network evaluations, relative",
        ylabel="bias, relative to the expected gradient",
    )
    axes.grid(True, alpha=0.3)
    axes.legend(fontsize=6.5, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.tight_layout()
    figure.savefig(folder / "bias-noise.svg", metadata={"Date": None})
    plt.close(figure)
