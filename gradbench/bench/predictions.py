"""Predictions made before: those published with gradbench, and those that earlier calls kept for this user.

A prediction depends on the cell, on this package's code, and on the packages that make networks and their tapes. One
that was kept is read where all of these are the same, to the letter. A published one names its packages in
`NAME.environment.json` beside it and is read where their minor versions are the same; that this code still predicts it
is tested.
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
DECIDING = tuple(name for name in IDENTITY if name not in ("seed", "device"))  # neither changes a number of bytes


def foretell(
    cell: Cell, known: Known, slope: bool = True, anew: bool = False, say: Say = lambda what: None
) -> Prediction | str:
    """The prediction of a cell, read where there is one, else made and kept; or why there is none.

    known: what earlier calls found out. slope: whether what one more step adds is asked for. anew: read none. say: is
    told what begins.
    """
    found = None if anew else told(cell)
    if found is not None and (found.slope is not None or not slope):
        return found
    made = predict_cell(cell, known, slope, say)
    if isinstance(made, Prediction):
        _keep(cell, made)
    return made


def told(cell: Cell) -> Prediction | None:
    """The prediction of a cell that was published or kept; None without one."""
    return published(cell) or _kept(cell)


def foreseen(cell: Cell) -> Prediction | None:
    """The same, else one that was published under other packages: for a plan, and to stand beside what is measured."""
    return told(cell) or published(cell, any_packages=True)


def predicted_bytes(cell: Cell, anew: bool) -> dict[str, int | None]:
    """The peak that was predicted of a cell; of one that was not it is predicted now, if `anew`."""
    found = foreseen(cell) or (predict_cell(cell, slope=False) if anew else None)
    return {"predicted_peak_bytes": found.peak if isinstance(found, Prediction) else None}


def published_folder() -> Path:
    """The folder of published rows and predictions; a path without files where there are none."""
    return shipped_folder().parent / "results" / "published"


def published(cell: Cell, any_packages: bool = False) -> Prediction | None:
    """The newest published prediction of the cell's problem and estimator; None without one.

    any_packages: also one that was made under other versions of the packages than these.
    """
    asked = _whole(cell)
    for file, row in _published(any_packages):
        if all(row.get(name) == asked.get(name) for name in DECIDING):
            columns: dict[str, Any] = {f.name: row.get(f"{f.name}_bytes", row.get(f.name)) for f in fields(Prediction)}
            return replace(Prediction(**columns), how=f"read from results/published/{file.name}: {row['how']}")
    return None


@cache
def _published(any_packages: bool) -> list[tuple[Path, dict[str, Any]]]:
    files = sorted(published_folder().glob("*.json"), reverse=True)  # of a cell in several the newest
    return [(file, _whole(row)) for file in files for row in _rows(file, any_packages)]


def _rows(file: Path, any_packages: bool) -> Iterator[dict[str, Any]]:
    """The predictions of a file, none where they were made under other packages than are allowed."""
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
    """The cell with all options said: those that a row made before they were there lacks are the defaults."""
    catalogues: tuple[tuple[str, Catalogue[Any]], ...] = (("sampler", SAMPLERS), ("estimator", ESTIMATORS))
    found = {name: catalogue[cell[name]].defaults for name, catalogue in catalogues if cell[name] in catalogue}
    found["case"] = own.params if (own := case_specs().get(cell["case"])) else {}
    params = {f"{name}_params": {**found.get(name, {}), **cell[f"{name}_params"]} for name in found}
    return {**cell, **params, "targets": list(cell["targets"])}


def cache_folder() -> Path:
    """Where predictions are kept for this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gradbench" / "predictions"


def _file(cell: Cell) -> Path | None:
    """Where the cell's prediction is kept; None where the fingerprint does not cover what decides it.

    That is code or weights of the user's own.
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
    """Writes the prediction; a folder that cannot be written to keeps none."""
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
