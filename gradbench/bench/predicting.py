"""The peak memory of a cell, predicted from shapes without running it."""

import json
from dataclasses import replace

from gradbench.bench.building import build_problem
from gradbench.bench.cell import Cell
from gradbench.bench.failures import line_of
from gradbench.estimators.catalogue import ESTIMATORS, make_estimator
from gradbench.measure.predict import Chains, Prediction, Say, Unpredictable, predict
from gradbench.models.skeleton import skeleton
from gradbench.problems.folders import case_specs
from gradbench.selector import render

Known = dict[tuple[str, str], Chains]  # by the network, and by the rest of a problem


def predict_cell(
    cell: Cell, known: Known | None = None, slope: bool = True, say: Say = lambda what: None
) -> Prediction | str:
    """The peak memory of a cell without running it, or why there is none. known: results of earlier calls.

    slope: whether to find the cost of one more step. say: called with the name of each phase.
    """
    entry = ESTIMATORS.find(cell.estimator)
    if entry.requires:
        return f"the solver of {entry.requires[0]} depends on values, which shapes do not have"
    if entry.traits.coordinates:
        return "it runs two chains per coordinate"
    with skeleton():
        try:
            chains = _chains(cell, {} if known is None else known)
            estimator = make_estimator(render(cell.estimator, cell.estimator_params))
            reason = estimator.supports(chains.at(cell.steps).traits)
            return reason or predict(chains, estimator, cell.steps, slope, say)
        except (Unpredictable, ValueError) as failure:
            return str(failure)
        except Exception as failure:  # a user's estimator may raise anything
            return line_of(failure)


def _chains(cell: Cell, known: Known) -> Chains:
    """The chains of the cell's problem; a network's evaluations are the same for every sampler."""
    compiled = {"compile": False} if "compile" in case_specs()[cell.case].params else {}
    own = replace(cell, case_params={**cell.case_params, **compiled})
    network = json.dumps([own[name] for name in ("case", "case_params", "dtype", "targets")])
    key = (network, json.dumps([own[name] for name in ("sampler", "sampler_params", "seed")]))
    if key not in known:
        alike = next((chains.courses for (other, _), chains in known.items() if other == network), None)
        known[key] = Chains(lambda steps: build_problem(replace(own, steps=steps), "meta"), alike)
    return known[key]
