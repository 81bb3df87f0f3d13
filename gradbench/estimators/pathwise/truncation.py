"""Truncations: which steps of a chain contribute to each sample's gradient, and where its reward is evaluated.

Step k = 0 is the noisiest, N - 1 the cleanest. If lambda = dL/dx_0 is carried back through each step by C_k in place of
the Jacobian J_k = A_k + B_k d eps/dx, every truncated method is

    g = sum_k w_k (dF_k/d theta)^T C_{k+1}^T ... C_{N-1}^T lambda,     C_k in {J_k, A_k, 0},

where A_k is the linear part of the step. The gradient is stopped at the network's input (C_k = A_k, w_k = 1), at its
output (C_k = A_k, w_k = 0), or altogether (C_k = 0).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from gradbench import checks
from gradbench.estimators.refusals import no_point
from gradbench.problems.traits import ProblemTraits

EARLY = "the x0_hat of an early stop"


@dataclass(frozen=True)
class Plan:
    """The truncation of each of n samples.

    active (N, n): the weight of step k's network evaluation in the gradient, 0 if its output is detached; a value
    between 0 and 1 is the expectation of a random mask. alive (N, n): False if the cotangent is cut before it crosses
    step k. through: whether the cotangent also passes through the network's input (J_k) or only around it (A_k). stop
    (n): N, or the index of the state whose x0_hat is the sample. scale (N): a factor on the gradients of the shared
    leaves from step k. scale_x_T: a factor on the gradient of x_T.
    """

    active: np.ndarray
    alive: np.ndarray
    stop: np.ndarray
    scale: np.ndarray
    through: bool = True
    scale_x_T: float = 1.0

    @property
    def first(self) -> int:
        """The first active step, N if there is none; states and gradients of the network are needed from there on."""
        used = np.asarray((self.active * self.alive).any(1))
        return int(np.argmax(used)) if used.any() else len(used)

    @property
    def reaches_x_T(self) -> bool:
        """Whether the cotangent of some sample reaches x_T, that is, no step on its way cuts it."""
        before = np.arange(len(self.alive))[:, None] < self.stop
        return bool((self.alive | ~before).all(0).any())


class PlanDistribution(ABC):
    """A distribution of plans, one plan per sample; `random` says whether two draws can differ."""

    random = True

    def refuses(self, traits: ProblemTraits) -> str | None:
        """Why it has no plan for a chain, or None."""
        return None

    @abstractmethod
    def draw(self, steps: int, samples: int, random: np.random.Generator) -> Plan:
        """Plans for `samples` samples of a chain of N = `steps` steps."""

    @abstractmethod
    def mixture(self, steps: int) -> Iterator[tuple[float, Plan]]:
        """Every plan for one sample, as (probability, plan), for computing expectations."""


def _too_many(name: str, number: int | None, traits: ProblemTraits) -> str | None:
    if number is None or number <= traits.steps:
        return None
    return f"{name} must be <= the sampler's {traits.steps} steps, got {number}"


def _plan(active: np.ndarray, alive: np.ndarray, **options: object) -> Plan:
    steps, samples = active.shape
    defaults = {"stop": np.full(samples, steps), "scale": np.ones(steps)}
    return Plan(active.astype(float), alive, **{**defaults, **options})  # type: ignore[arg-type]


class _OneNumber(PlanDistribution):
    """One random number per sample, by default uniform over `values`, which determines the sample's plan."""

    @abstractmethod
    def values(self, steps: int) -> np.ndarray:
        """The numbers that can be drawn."""

    @abstractmethod
    def build(self, steps: int, drawn: np.ndarray) -> Plan:
        """The plan for samples that drew these numbers."""

    def weights(self, steps: int) -> np.ndarray:
        """The probabilities of `values`."""
        count = len(self.values(steps))
        return np.full(count, 1 / count)

    def draw(self, steps: int, samples: int, random: np.random.Generator) -> Plan:
        return self.build(steps, random.choice(self.values(steps), samples, p=self.weights(steps)))

    def mixture(self, steps: int) -> Iterator[tuple[float, Plan]]:
        for value, weight in zip(self.values(steps), self.weights(steps), strict=True):
            yield float(weight), self.build(steps, np.array([value]))


class _Cut(_OneNumber):
    """The chain is cut before step tau, the number drawn; every step from tau on contributes."""

    def build(self, steps: int, drawn: np.ndarray) -> Plan:
        kept = np.arange(steps)[:, None] >= drawn
        return _plan(kept, kept)


@dataclass(frozen=True)
class LastSteps(_Cut):
    """DRaFT-K: the last k steps. References: Clark et al., 2024, DRaFT, arXiv:2309.17400."""

    k: int
    random = False

    def refuses(self, traits: ProblemTraits) -> str | None:
        return _too_many("k", self.k, traits)

    def values(self, steps: int) -> np.ndarray:
        return np.array([steps - self.k])


class PaperCut(_Cut):
    """AlignProp as in its paper: the last K steps, with K uniform on 0..N.

    References: Prabhudesai et al., 2023, AlignProp, arXiv:2310.03739.
    """

    def values(self, steps: int) -> np.ndarray:
        return steps - np.arange(steps + 1)


class StepMask(PlanDistribution):
    """AlignProp's first released code, and TRL's: every step k draws u uniform on 0..N and detaches its network output
    if k < u. Not a truncation: the cotangent continues around detached steps; half of all steps are active on average.
    """

    def draw(self, steps: int, samples: int, random: np.random.Generator) -> Plan:
        drawn = random.integers(0, steps + 1, (steps, samples))
        return _plan(np.arange(steps)[:, None] >= drawn, np.full((steps, samples), True))

    def mixture(self, steps: int) -> Iterator[tuple[float, Plan]]:
        # the masks are independent, and the gradient is linear in each, so their expectations replace them
        yield 1.0, _plan(((np.arange(steps) + 1) / (steps + 1))[:, None], np.full((steps, 1), True))


class NormalCut(_Cut):
    """AlignProp's second released code: tau = int(N(42, 5)), redrawn until 1 <= tau < N; steps before tau are cut.

    It assumes 50 steps; with 20 it would be redrawn forever.
    """

    def refuses(self, traits: ProblemTraits) -> str | None:
        if traits.steps >= 40:
            return None
        return (
            f"law=released-v2 cuts at int(N(42, 5)) and presumes 50 steps, which {traits.steps} steps never reach: "
            "use paper"
        )

    def values(self, steps: int) -> np.ndarray:
        return np.arange(1, steps)

    def weights(self, steps: int) -> np.ndarray:
        from scipy.stats import norm

        tau = self.values(steps)
        mass = norm.cdf(tau + 1, 42, 5) - norm.cdf(tau, 42, 5)
        return mass / mass.sum()


class Reweighted(_Cut):
    """AlignProp's cut, made unbiased: tau is uniform on 0..N-1, and step k has weight 1 / P(tau <= k) = N / (k + 1)."""

    def values(self, steps: int) -> np.ndarray:
        return np.arange(steps)

    def build(self, steps: int, drawn: np.ndarray) -> Plan:
        scale = steps / (np.arange(steps) + 1.0)
        return replace(super().build(steps, drawn), scale=scale, scale_x_T=float(steps))


@dataclass(frozen=True)
class OneStepLeft(_OneNumber):
    """ReFL: the reward of x0_hat at one of the last `window` states, drawn uniformly; one network evaluation is active.

    References: Xu et al., 2023, ImageReward, arXiv:2304.05977; the released code draws from the last 10 of 40 steps,
    and None is the same fraction, a quarter.
    """

    window: int | None = None

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_point(traits, EARLY) or _too_many("window", self.window, traits)

    def values(self, steps: int) -> np.ndarray:
        return np.arange(steps - (self.window or max(1, steps // 4)), steps)

    def build(self, steps: int, drawn: np.ndarray) -> Plan:
        at = np.arange(steps)[:, None] == drawn
        return _plan(at, np.zeros_like(at), stop=drawn)


@dataclass(frozen=True)
class SpacedSteps(PlanDistribution):
    """DRTune: k steps, floor(N/k) apart, from a random offset at which all of them fit; the gradient is stopped at
    every network input.

    early: the sample is x0_hat at one of the last `early` states, drawn uniformly; 0 for the end of the chain.
    References: Wu et al., 2024, DRTune, arXiv:2405.00760.
    """

    k: int
    early: int = 0

    def refuses(self, traits: ProblemTraits) -> str | None:
        pair = no_point(traits, EARLY) if self.early else None
        return pair or _too_many("k", self.k, traits) or _too_many("early", self.early, traits)

    def draw(self, steps: int, samples: int, random: np.random.Generator) -> Plan:
        offset = random.integers(0, self._offsets(steps), samples)
        stop = steps - random.integers(1, self.early + 1, samples) if self.early else np.full(samples, steps)
        return self._build(steps, offset, stop)

    def mixture(self, steps: int) -> Iterator[tuple[float, Plan]]:
        offsets = range(self._offsets(steps))
        stops = range(steps - self.early, steps) if self.early else [steps]
        for offset in offsets:
            for stop in stops:
                yield 1 / (len(offsets) * len(stops)), self._build(steps, np.array([offset]), np.array([stop]))

    def _offsets(self, steps: int) -> int:
        return steps - (self.k - 1) * (steps // self.k)

    def _build(self, steps: int, offset: np.ndarray, stop: np.ndarray) -> Plan:
        k, stride = np.arange(steps)[:, None], steps // self.k
        place = k - offset
        active = (place >= 0) & (place % stride == 0) & (place < self.k * stride)
        return _plan(active & (k <= stop), k < stop, stop=stop, through=False)


@dataclass(frozen=True)
class Shortcut(_OneNumber):
    """SDO: the graph of one step, drawn uniformly, is kept; at all other steps the network's output is detached.

    References: Dou et al., 2025, You only look one step, arXiv:2505.07477 (following its abstract).
    """

    def values(self, steps: int) -> np.ndarray:
        return np.arange(steps)

    def build(self, steps: int, drawn: np.ndarray) -> Plan:
        at = np.arange(steps)[:, None] == drawn
        return _plan(at, np.full_like(at, True))


LAWS: dict[str, PlanDistribution] = {
    "paper": PaperCut(),
    "released-v1": StepMask(),
    "released-v2": NormalCut(),
    "unbiased": Reweighted(),
}


def cut_of(law: str) -> PlanDistribution:
    """The plan distribution of AlignProp for the option `law`; `ValueError` for an unknown name."""
    return LAWS[checks.one_of("law", law, LAWS)]
