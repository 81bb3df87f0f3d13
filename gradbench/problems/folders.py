"""The folders of cases: those that ship with gradbench, those of other packages, and your own.

A case is a folder with a `case.py` that has a `SPEC`, a `CaseSpec`, and does not import torch. Instead of `SPEC` it may
define its fields in capitals, NAME, SUMMARY, CITATION, OBJECTIVES, PARAMS, ARRAYS, TARGETS, GRID, DTYPE, DTYPES, NOISE,
REFERENCES, FLOW, REQUIRES and PRELOAD, with functions `check` and `build`. Other packages name folders of cases by
entry points of the group `gradbench.cases`.
"""

import importlib
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.plugins import Plugins
from gradbench.problems.spec import CaseSpec

_PACKAGE = "gradbench_cases"
_CAPITALS = (
    *("NAME", "SUMMARY", "CITATION", "OBJECTIVES", "PARAMS", "ARRAYS", "TARGETS", "GRID", "DTYPE", "DTYPES", "NOISE"),
    *("REFERENCES", "FLOW", "REQUIRES", "PRELOAD"),
)


def shipped_folder() -> Path:
    """The folder of the cases and suites that ship with gradbench: in the wheel, or at the top of a checkout."""
    inside = Path(__file__).parent.parent / "_cases"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "cases"


@cache
def offered() -> dict[Path, str]:
    """The folders of case folders that other packages offer, and which package offers each."""
    found = {plugin.folder: f"{plugin.name!r} of {plugin.package}" for plugin in Plugins("gradbench.cases").values()}
    return {folder: who for folder, who in found.items() if folder is not None and _has_cases(folder)}


def _has_cases(folder: Path) -> bool:
    return any(folder.glob("*/case.py")) or any(folder.glob("suites/*.yaml"))


def package_of_cases() -> types.ModuleType:
    """The package whose submodules are the case folders."""
    if _PACKAGE not in sys.modules:
        package = types.ModuleType(_PACKAGE)
        package.__path__ = [str(shipped_folder()), *map(str, offered())]
        sys.modules[_PACKAGE] = package
    return sys.modules[_PACKAGE]


def folders() -> list[Path]:
    """The folders searched for cases and suites, in order."""
    return [Path(path) for path in package_of_cases().__path__]


def add_folder(folder: Path | str) -> None:
    """Adds a folder of case folders, which is also searched for modules; `ValueError` if it has no cases."""
    path = Path(folder).resolve()
    if not str(folder) or not _has_cases(path):
        raise UsageError(f"--cases must name a folder of case folders (DIR/*/case.py), got {str(folder)!r}")
    if str(path) not in package_of_cases().__path__:
        package_of_cases().__path__.append(str(path))
        sys.path.append(str(path))


def case_specs(left_out: list[str] | None = None) -> dict[str, CaseSpec]:
    """The spec of every case, by name; does not import torch.

    Raises `ValueError` for a case.py that cannot be imported or is incomplete, and for the name of a case or folder
    that is taken. A case from another package is left out instead, with a line in `left_out`.
    """
    found: dict[str, CaseSpec] = {}
    for folder in folders():
        for file in sorted(folder.glob("*/case.py")):
            try:
                spec = _spec(file, found)
            except UsageError as error:
                if folder not in offered():
                    raise
                if left_out is not None:
                    left_out.append(f"{offered()[folder]} is left out: {error}")
                continue
            found[spec.name] = spec
    return found


def _spec(file: Path, found: Mapping[str, CaseSpec]) -> CaseSpec:
    """The spec from the case.py of a folder; `found` are those of other names."""
    package_of_cases()
    try:
        module = importlib.import_module(f"{_PACKAGE}.{file.parent.name}.case")
    except Exception as error:  # a user's module may raise anything
        if file.parent.parent == shipped_folder():
            raise
        raise UsageError(f"case {file} cannot be imported: {type(error).__name__}: {error}") from None
    if Path(str(module.__file__)).resolve() != file.resolve():
        raise UsageError(f"case {file} lies in a folder whose name is taken by {module.__file__}: rename it")
    spec = module.SPEC if hasattr(module, "SPEC") else _of_capitals(file, module)
    if not isinstance(spec, CaseSpec):
        raise UsageError(f"SPEC of case {file} must be a CaseSpec, got {type(spec).__name__}")
    if spec.name in found:
        raise UsageError(f"case {file} has the name {spec.name!r} of {found[spec.name].folder / 'case.py'}: rename it")
    return replace(spec, folder=file.parent)


def _of_capitals(file: Path, module: types.ModuleType) -> CaseSpec:
    """The spec of a case.py that defines its fields one by one, in capitals."""
    lacking = [name for name in (*_CAPITALS, "check", "build") if not hasattr(module, name)]
    if lacking:
        raise UsageError(f"case {file} lacks {', '.join(lacking)}; or give it a SPEC")
    names = [field.name for field in fields(CaseSpec) if hasattr(module, field.name.upper())]
    said: dict[str, Any] = {name: getattr(module, name.upper()) for name in names}
    own = {name: getattr(module, name) for name in ("check", "build", "sizes", "weights") if hasattr(module, name)}
    if "weights" in own and len(inspect.signature(own["weights"]).parameters) == 1:
        own["weights"] = _of_params(own["weights"])
    return CaseSpec(**{**said, **own})


def _of_params(weights: Callable[[Mapping[str, Any]], str]) -> Callable[[Mapping[str, Any], str], str]:
    def told(params: Mapping[str, Any], device: str) -> str:
        return weights(params)

    return told


def spec_of_case(name: str) -> CaseSpec:
    """The spec of the case of that name; `ValueError` for an unknown name."""
    known = case_specs()
    return known[checks.one_of("case", name, known)]


def weights_of(cell: Mapping[str, Any]) -> str | None:
    """A row's description of its network's weights; None for a case without any."""
    told = case_specs()[cell["case"]].weights
    return None if told is None else told(cell["case_params"], cell["device"])
