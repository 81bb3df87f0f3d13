"""gradbench's own estimators keep the contract that others are held to."""

import pytest

from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.testing import conformance

EACH_KIND = ("checkpoint", "reversible", "adjoint-deis", "continuous-adjoint", "draft", "reinforce")
OPTIONS = (
    *("adjoint-deis[order=2]", "adjoint-deis[order=2,trajectory=resolved]", "adjoint-deis[steps=3]"),
    *("adjoint-dpm[rule=rk4]", "adjoint-dpm[chart=data,trajectory=stored]", "adjoint-dpm[rule=dopri5]"),
    *(f"continuous-adjoint[chart={chart}]" for chart in ("time", "noise", "data", "angle")),
    *(f"continuous-adjoint[rule={rule},trajectory=binomial]" for rule in ("euler", "midpoint", "heun", "rk4")),
    *("continuous-adjoint[rule=2m,chart=noise]", "continuous-adjoint[trajectory=inverted]"),
    *("continuous-adjoint[rule=rk4,trajectory=resolved]", "revolve[snapshots=1]", "checkpoint[offload=cpu]"),
    *("torchdiffeq-adjoint[method=rk4,trajectory=resolved]", "torchdiffeq-adjoint[method=dopri5,trajectory=resolved]"),
    *("torchdiffeq-adjoint[method=heun2,chart=angle]", "torchsde-adjoint[method=euler]"),
    *("alignprop[law=unbiased]", "alignprop[law=released-v1]", "alignprop[law=released-v2]"),
    *("draft[k=5]", "drtune[early=2]"),
    *("reinforce[baseline=none]", "reinforce[baseline=mean]", "ddpo[stale=0.001]", "ddpo[scale=summed]"),
    *("adjoint-matching[index=start]", "rlr[h=1]", "draft-lv[n=1]", "refl[window=2]"),
    *("leapalign[law=from-noise,detach=eps]", "leapalign[weight=none]", "flowbp[variant=bridge]"),
    *("flowbp[variant=lagrange]", "flowbp[variant=lagrange,mode=all,law=half]", "srpo[law=chain,branch=denoise]"),
    *("drtune[detach=v]", "alignprop[law=released-v1,detach=v]", "ode-adjoint-matching[k=2]"),
    *("nft[scale=summed,law=uniform]", "awm[weight=memoryless,scale=summed]", "awm[stale=0.1]", "ram[law=grid]"),
    *("vgg-flow[jacobian=true]", "vgg-flow[law=released]", "fdfo[scale=summed,stale=0.01]", "ddpo[ratio=guard]"),
)
REST = [*(name for name in ESTIMATORS if name not in EACH_KIND), *OPTIONS]

test_one_estimator_of_each_kind_conforms = conformance(*EACH_KIND)
test_every_other_estimator_conforms = pytest.mark.slow(conformance(*REST))


def test_the_orders_that_are_declared_are_those_of_the_rules():
    from gradbench.samplers.rules import RULES

    entry = ESTIMATORS["continuous-adjoint"]
    declared = {name: entry.declared({"rule": name}).order for name in RULES}
    assert declared == {name: rule.order for name, rule in RULES.items()}
    assert entry.declared({"rule": "dopri5"}).order is None
