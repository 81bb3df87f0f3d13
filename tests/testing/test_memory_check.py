"""The memory check passes every honest growth of memory, and fails whoever declares a slower one than its own."""

from dataclasses import replace

import pytest

from gradbench.estimators.traits import EstimatorTraits
from gradbench.testing.catalogue import CHECKS
from gradbench.testing.costs import GROWS_AS, _within
from gradbench.testing.judge import judge
from gradbench.testing.subject import MEMORY, subject_of
from tests.quick import quick

OWN = {"EveryThird": "linear", "EveryTwentieth": "linear", "RootSegments": "sqrt", "Logarithmic": "log"}
STEPS = (24, 96, 192)
GROWTH = {
    "constant": [lambda n: 7.0],
    "log": [lambda n: n.bit_length(), lambda n: 3 * n.bit_length() + 7],
    "sqrt": [lambda n: 2 * -int(-(n**0.5)), lambda n: 5 + 1.5 * n**0.5],
    "linear": [lambda n, k=k: n // k + k for k in (1, 2, 3, 5, 8, 13, 20)],
    None: [lambda n: n * n / 50, lambda n: 0.3 * n**1.5],
}


def subject(name, memory=None):
    found = subject_of(f"gradbench.testing.sparing:{name}")
    return found if memory is None else replace(found, traits=EstimatorTraits(memory=memory))


@pytest.mark.parametrize("name", OWN)
def test_a_good_estimator_that_keeps_few_states_passes_what_it_declares(name):
    assert subject(name).traits["memory"] == OWN[name]
    assert judge(subject(name), "memory").status == "ok"


def test_every_third_state_is_a_third_of_a_state_a_step():
    assert judge(subject("EveryThird"), "memory").said == "0.33 states a step, ddim"


@pytest.mark.parametrize(("name", "memory"), quick([(n, m) for n in OWN for m in MEMORY], 2, 3, 9, 10, 12, 13))
def test_an_estimator_may_declare_its_own_law_or_a_faster_one_and_no_slower(name, memory):
    honest = MEMORY.index(memory) >= MEMORY.index(OWN[name])
    assert judge(subject(name, memory), "memory").status == ("ok" if honest else "failed")


@pytest.mark.parametrize(
    ("own", "which", "law"), [(o, i, m) for o in GROWTH for i in range(len(GROWTH[o])) for m in MEMORY]
)
def test_a_growth_is_within_its_own_law_and_those_that_grow_faster(own, which, law):
    honest = own is not None and MEMORY.index(law) >= MEMORY.index(own)
    assert _within(law, *((n, GROWTH[own][which](n)) for n in STEPS)) == honest


def test_the_laws_are_those_that_may_be_declared():
    assert tuple(GROWS_AS) == MEMORY


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_a_good_estimator_fails_no_check(name):
    assert [v for v in (judge(subject(name), check) for check in CHECKS) if v.status == "failed"] == []
