"""Earlier predictions: those published with gradbench, and those kept for this user.

A prediction depends on the cell, on this package's code, and on the packages that make networks and their tapes. A kept
one is used only if all of these are exactly the same. A published one names its packages in `NAME.environment.json`
beside it and is used if their minor versions are the same; a test checks that this code still predicts it.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import gradbench
from gradbench.bench.cell import Cell
from gradbench.bench.columns import IDENTITY
from gradbench.bench.predicting import Known, predict_cell
from gradbench.entry import Catalogue
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.measure.environment import fingerprint, version
from gradbench.measure.predict import Prediction, Say
from gradbench.problems.folders import case_specs, folders, shipped_folder
from gradbench.samplers.catalogue import SAMPLERS

PACKAGES = ("torch", "diffusers", "transformers", "peft")
DECIDING = tuple(name for name in IDENTITY if name not in ("seed", "device"))  # neither changes the bytes


def foretell(
    cell: Cell, known: Known, slope: bool = True, anew: bool = False, say: Say = lambda what: None
) -> Prediction | str:
    """The prediction of a cell: an earlier one if there is one, else made and kept; or why there is none.

    known: results of earlier calls. slope: whether to find the cost of one more step. anew: ignore earlier ones. say:
    called with the name of each phase.
    """
    found = None if anew else told(cell)
    if found is not None and (found.slope is not None or not slope):
        return found
    made = predict_cell(cell, known, slope, say)
    if isinstance(made, Prediction):
        _keep(cell, made)
    return made


def told(cell: Cell) -> Prediction | None:
    """The published or kept prediction of a cell, or None."""
    return published(cell) or _kept(cell)


def foreseen(cell: Cell) -> Prediction | None:
    """The same, or one published under other packages: for plans, and for comparison with measurements."""
    return told(cell) or published(cell, any_packages=True)


def predicted_bytes(cell: Cell, anew: bool) -> dict[str, int | None]:
    """The predicted peak of a cell; without an earlier prediction it is predicted now, if `anew`."""
    found = foreseen(cell) or (predict_cell(cell, slope=False) if anew else None)
    return {"predicted_peak_bytes": found.peak if isinstance(found, Prediction) else None}


def published_folder() -> Path:
    """The folder of published rows and predictions; a path without files if there are none."""
    return shipped_folder().parent / "results" / "published"


def published(cell: Cell, any_packages: bool = False) -> Prediction | None:
    """The newest published prediction of the cell's problem and estimator, or None.

    any_packages: also those made under other versions of the packages.
    """
    asked = _whole(cell)
    for file, row in _published(any_packages):
        if all(row.get(name) == asked.get(name) for name in DECIDING):
            columns: dict[str, Any] = {f.name: row.get(f"{f.name}_bytes", row.get(f.name)) for f in fields(Prediction)}
            return replace(Prediction(**columns), how=f"read from results/published/{file.name}: {row['how']}")
    return None


@cache
def _published(any_packages: bool) -> list[tuple[Path, dict[str, Any]]]:
    files = sorted(published_folder().glob("*.json"), reverse=True)  # the newest first
    return [(file, _whole(row)) for file in files for row in _rows(file, any_packages)]


def _rows(file: Path, any_packages: bool) -> Iterator[dict[str, Any]]:
    """The predictions in a file, none if they were made under disallowed packages."""
    beside = file.with_suffix(".environment.json")
    if not beside.is_file():
        return
    environment = json.loads(beside.read_text())
    versions = {**environment["versions"], "torch": environment["torch"]}
    same = all(_minor(versions.get(name)) == _minor(version(name)) for name in PACKAGES)
    if environment["gradbench"] == gradbench.__version__ and (same or any_packages):
        yield from (row for row in json.loads(file.read_text()) if "peak_bytes" in row)


def _minor(number: str | None) -> str:
    return ".".join((number or "").split(".")[:2])


def _whole(cell: Mapping[str, Any]) -> dict[str, Any]:
    """The cell with all options; those missing from an older row take their defaults."""
    catalogues: tuple[tuple[str, Catalogue[Any]], ...] = (("sampler", SAMPLERS), ("estimator", ESTIMATORS))
    found = {name: catalogue[cell[name]].defaults for name, catalogue in catalogues if cell[name] in catalogue}
    found["case"] = own.params if (own := case_specs().get(cell["case"])) else {}
    params = {f"{name}_params": {**found.get(name, {}), **cell[f"{name}_params"]} for name in found}
    return {**cell, **params, "targets": list(cell["targets"])}


def cache_folder() -> Path:
    """The folder of predictions kept for this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gradbench" / "predictions"


def _file(cell: Cell) -> Path | None:
    """The file of the cell's prediction; None if the fingerprint does not cover what decides it.

    That is so for user-defined code or weights.
    """
    folder = case_specs()[cell.case].folder
    ours = cell.estimator in ESTIMATORS and folder.is_relative_to(shipped_folder())
    if not ours or cell.case_params.get("weights") is not None:
        return None
    versions = [version(name) for name in PACKAGES]
    made_by = [{name: cell[name] for name in DECIDING}, versions, fingerprint(tuple(folders()))]
    return cache_folder() / f"{hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:24]}.json"


def _kept(cell: Cell) -> Prediction | None:
    file = _file(cell)
    try:
        found = None if file is None else Prediction(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found and replace(found, how=f"kept from an earlier call: {found.how}")


def _keep(cell: Cell, made: Prediction) -> None:
    """Writes the prediction, unless its folder is not writable."""
    file = _file(cell)
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(asdict(made)))
        partial.replace(file)
    except OSError:
        return
