"""Every discrete estimator is `backprop`, for every sampler that it supports, to 1e-12 in float64."""

import pytest
import torch

import gradbench
from gradbench.problems.gradients import relative_error
from gradbench.samplers.catalogue import SAMPLERS
from tests.quick import quick

MORE = (
    *("ddim[eta=0.5]", "ddpm[variance=large]", "ab2[chart=log-snr]", "rk4[chart=angle]", "bdia[gamma=0.9]"),
    *("rex[rule=rk4,chart=angle]", "rex[rule=heun,chart=data,zeta=0.99]", "rex[chart=log-snr-sde]"),
    *("rex[chart=time-sde,rule=midpoint]", "rex[chart=log-snr-sde,rule=heun]", "reversible-heun[chart=angle]"),
)
EVERY = (*SAMPLERS, *MORE)


def case_of(law, sampler):
    """scaled-linear, or rectified flow up to where it has a log-SNR for the sampler that asks for it."""
    rectified = {"schedule": "rectified", "t_max": 0.95, "t_min": 0.01}
    return gradbench.case(law, **(rectified if sampler in ("flow-sde", "churn") else {"schedule": "scaled-linear"}))


LAWS = ("gaussian", "mixture", "product-mixture", "dirac")


def difference(problem, estimator):
    """Relative difference from plain backpropagation, the worst target."""
    plain, other = gradbench.estimator("backprop")(problem).grads, gradbench.estimator(estimator)(problem).grads
    assert plain.keys() == other.keys()
    return max(relative_error(other[target], plain[target]) for target in plain)


def tolerance(law, problem):
    """1e-12; on a point mass 100 times what noise of 1e-15 on the field does to the gradient, where that is more.

    There slopes grow like 1/sigma^2 and cancel, and the order in which a leaf's contributions are added shows.
    """
    if law != "dirac":
        return 1e-12
    plain, field = gradbench.estimator("backprop")(problem).grads, problem.denoiser.field
    generator = torch.Generator().manual_seed(0)

    def jittered(x, t, weights):
        value = field(x, t, weights)
        return value * (1 + 1e-15 * torch.randn(value.shape, generator=generator, dtype=value.dtype))

    problem.denoiser.field = jittered
    moved = gradbench.estimator("backprop")(problem).grads
    problem.denoiser.field = field
    return max(1e-12, *(100 * relative_error(moved[target], plain[target]) for target in plain))


@pytest.mark.parametrize("estimator", ["checkpoint", "checkpoint[offload=cpu]", "revolve[snapshots=3]"])
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("sampler", EVERY)
def test_recomputation_is_backprop_for_every_sampler(law, sampler, estimator):
    problem = case_of(law, sampler).problem(sampler=sampler, steps=11)
    assert difference(problem, estimator) < tolerance(law, problem)


@pytest.mark.parametrize("steps", quick([1, 2, 20, 100], 1, 2))
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("sampler", [s for s in EVERY if SAMPLERS[s.partition("[")[0]].traits.get("reversible")])
def test_reversible_is_backprop_for_every_reversible_sampler(law, sampler, steps):
    if "=0.9]" in sampler and steps == 100:
        steps = 50  # rounding errors grow like 0.9^-N
    problem = gradbench.case(law, schedule="scaled-linear").problem(sampler=sampler, steps=steps)
    assert difference(problem, "reversible") < tolerance(law, problem)


@pytest.mark.parametrize("estimator", ["checkpoint", "revolve[snapshots=2]", "reversible"])
@pytest.mark.parametrize("sampler", ["belm", "edict", "reversible-heun", "rex", "rex[chart=log-snr-sde]"])
def test_reversible_samplers_on_the_digits_network(digits, sampler, estimator):
    assert difference(digits.problem(sampler=sampler, steps=4, dtype="float64"), estimator) < 1e-12


@pytest.mark.parametrize("sampler", ["dpm++2m", "sde-dpm++2m", "rk4", "ddpm"])
def test_revolve_on_the_digits_network(digits, sampler):
    assert difference(digits.problem(sampler=sampler, steps=5, dtype="float64"), "revolve[snapshots=2]") < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["checkpoint", "revolve[snapshots=2]", "reversible"])
@pytest.mark.parametrize("sampler", [s for s in EVERY if s not in ("flow-sde", "churn")])  # of rectified flow only
def test_every_discrete_estimator_on_the_digits_network(digits, sampler, estimator):
    # the grid ends with a step of 1/1000, and belm's inverse multiplies rounding by the ratio of the two last steps:
    # 333 with 3 of them (1.3e-12), 199 with 5 (5e-13)
    steps = 5 if (sampler, estimator) == ("belm", "reversible") else 3
    problem = digits.problem(sampler=sampler, steps=steps, dtype="float64")
    if estimator == "reversible" and not problem.traits.get("reversible"):
        assert gradbench.estimator(estimator).supports(problem.traits)
        return
    assert difference(problem, estimator) < 1e-12


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "sde-dpm++2m"])
def test_reversible_refuses_samplers_without_an_inverse(gaussian, sampler):
    with pytest.raises(ValueError, match="no inverse: use one of reversible-heun, edict, bdia, belm, rex"):
        gradbench.estimator("reversible")(gaussian.problem(sampler=sampler, steps=3))


def test_the_memo_hands_each_evaluation_to_the_place_it_was_made_at(gaussian, monkeypatch):
    """Whether the inverse was evaluated where the step is: the field of a memo is asked at the same (t, x)."""
    from gradbench.estimators.pathwise import inverted

    apart = []

    class Watched:
        @staticmethod
        def apply(evaluation, wrt, x, *leaves, real=inverted._Reused):
            apart.append(((evaluation.x - x).abs().max() / x.abs().max()).item())
            return real.apply(evaluation, wrt, x, *leaves)

    monkeypatch.setattr(inverted, "_Reused", Watched)
    for sampler in ("reversible-heun", "edict", "belm", "rex", "rex[rule=rk4,chart=angle]"):
        gradbench.estimator("reversible")(gaussian.problem(sampler=sampler, steps=6))
    assert len(apart) > 6 * (1 + 2 + 1 + 2 + 8) - 6 and max(apart) < 1e-9
