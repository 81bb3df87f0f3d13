"""Statistics of two sides, BASE and NEW: functions of plain arrays with one cell's samples along the last axis.

A sample is the median of one process, because processes are independent and repeats within one are not; times are
compared by their logarithms. Simulated error rates of these rules are in docs/guide/regression.md.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]

FALSE_DISCOVERIES = 0.05  # share of those called slower that may be so by chance
POWER = 0.8


def geometric_ratio(base: ArrayLike, new: ArrayLike) -> Array:
    """Geometric mean of NEW over that of BASE: exp(mean log new - mean log base)."""
    return np.exp(np.log(new).mean(-1) - np.log(base).mean(-1))


def welch(base: ArrayLike, new: ArrayLike) -> Array:
    """The one-sided p-value of Welch's test that NEW is larger than BASE, on logarithms.

    t = (mean log new - mean log base)/s with s^2 = var_new/n_new + var_base/n_base. Samples without any spread decide
    by themselves: 0 if NEW is larger, else 1.

    References: Welch, 1947, Biometrika 34, 28-35.
    """
    a, b = np.log(base), np.log(new)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy warns if all samples are the same
        p: Any = stats.ttest_ind(b, a, axis=-1, equal_var=False, alternative="greater")[1]
    return np.where(np.ptp(a, axis=-1) + np.ptp(b, axis=-1) > 0, p, np.where(b.mean(-1) > a.mean(-1), 0.0, 1.0))


def adjusted(p: ArrayLike) -> Array:
    """Benjamini and Hochberg's p-values: calling those <= q different makes a share q of calls false on average.

    References: Benjamini and Hochberg, 1995, J. R. Stat. Soc. B 57, 289-300.
    """
    p = np.asarray(p, dtype=float)
    return stats.false_discovery_control(p, method="bh") if p.size else p


def detectable(base: ArrayLike, new: ArrayLike, factor: float, tests: int) -> Array:
    """The smallest true ratio that is found with probability `POWER` when it is the only one among `tests` cells.

        exp( max(t(1 - q/tests) s, log factor) + t(POWER) s )

    with s Welch's standard error, t the quantiles of Student's distribution with Welch's degrees of freedom, and q the
    level of `adjusted`: a lone cell must pass q/tests, and its measured ratio the factor.
    """
    parts = [np.log(side).var(-1, ddof=1) / np.shape(side)[-1] for side in (base, new)]
    s2 = parts[0] + parts[1]
    with np.errstate(all="ignore"):
        freedom = s2**2 / sum(p**2 / (np.shape(side)[-1] - 1) for p, side in zip(parts, (base, new), strict=True))
        threshold = stats.t.ppf(1 - FALSE_DISCOVERIES / tests, freedom) * np.sqrt(s2)
        margin = stats.t.ppf(POWER, freedom) * np.sqrt(s2)
    found = np.exp(np.maximum(threshold, np.log(factor)) + margin)
    return np.where(s2 > 0, found, factor)


def larger_variance(ratio: ArrayLike, freedom: int) -> Array:
    """The one-sided p-value of the F test that a variance grew, `ratio` being NEW's over BASE's.

    freedom: degrees of freedom of each, one less than the number of batch means.
    """
    return stats.f.sf(ratio, freedom, freedom)
