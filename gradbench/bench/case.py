"""Cases: one folder each, `case.py` holding a torch-free header and `build`.

A header names NAME, SUMMARY, CITATION, OBJECTIVES, PARAMS (with defaults), ARRAYS (explicit arrays that it takes),
TARGETS, GRID, DTYPE and NOISE (defaults), REFERENCES, FLOW (how the flow is known, or None), REQUIRES (distributions)
and PRELOAD (modules that a warm worker imports beforehand). It may name SUMS (objectives may be weighted sums),
REFERENCE_DTYPE (float64 where it does not), THREADS (of a worker: 1 where it does not, 0 for all cores), and
weights(params) or weights(params, device), what every row says of a network's weights. check(params) raises
`ValueError` for values it cannot take. build(params, arrays, seed) returns denoiser, objective, condition, parameters,
shape and, where it is known, flow. Folders are those that ship with gradbench, those of packages that other
distributions name by entry points of the group `gradbench.cases`, and those that `add_folder` adds.
"""

import importlib
import inspect
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradbench import checks
from gradbench.entry import overlay
from gradbench.objectives.catalogue import OBJECTIVES, ObjectiveSpec
from gradbench.objectives.sums import parse_sum
from gradbench.plugins import Plugins

if TYPE_CHECKING:
    import torch

    from gradbench.estimators.problem import Problem

_PACKAGE = "gradbench_cases"


def shipped_folder() -> Path:
    """Where the cases and suites that ship with gradbench lie: in the wheel, or at the top of a checkout."""
    inside = Path(__file__).parent.parent / "_cases"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "cases"


@cache
def offered() -> dict[Path, str]:
    """The folders of case folders that other packages offer, and who does."""
    found = {plugin.folder: f"{plugin.name!r} of {plugin.package}" for plugin in Plugins("gradbench.cases").values()}
    return {folder: who for folder, who in found.items() if folder is not None and _has_cases(folder)}


def _has_cases(folder: Path) -> bool:
    return any(folder.glob("*/case.py")) or any(folder.glob("suites/*.yaml"))


def _package() -> types.ModuleType:
    """The package whose submodules are the case folders."""
    if _PACKAGE not in sys.modules:
        package = types.ModuleType(_PACKAGE)
        package.__path__ = [str(shipped_folder()), *map(str, offered())]
        sys.modules[_PACKAGE] = package
    return sys.modules[_PACKAGE]


def folders() -> list[Path]:
    """The folders that cases and suites are looked for in, in order."""
    return [Path(path) for path in _package().__path__]


def add_folder(folder: Path | str) -> None:
    """Adds a folder of case folders, where modules are looked for too; `ValueError` where there is none."""
    path = Path(folder).resolve()
    if not str(folder) or not _has_cases(path):
        raise ValueError(f"--cases must name a folder of case folders (DIR/*/case.py), got {str(folder)!r}")
    if str(path) not in _package().__path__:
        _package().__path__.append(str(path))
        sys.path.append(str(path))


HEADER = (
    "NAME",
    "SUMMARY",
    "CITATION",
    "OBJECTIVES",
    "PARAMS",
    "ARRAYS",
    "TARGETS",
    "GRID",
    "DTYPE",
    "DTYPES",
    "NOISE",
    "REFERENCES",
    "FLOW",
    "REQUIRES",
    "PRELOAD",
)


def headers(left_out: list[str] | None = None) -> dict[str, Any]:
    """The header of every case, by name; imports no torch.

    Raises `ValueError` for a case.py that cannot be imported or lacks a name, and for a case's name or folder's name
    that is taken. One that another package offers is left out instead, with a line in `left_out`.
    """
    found: dict[str, Any] = {}
    for folder in folders():
        for file in sorted(folder.glob("*/case.py")):
            try:
                header = _header(file, found)
            except ValueError as error:
                if folder not in offered():
                    raise
                if left_out is not None:
                    left_out.append(f"{offered()[folder]} is left out: {error}")
                continue
            found[header.NAME] = header
    return found


def _header(file: Path, found: Mapping[str, Any]) -> Any:
    """The header in a case.py; `found` are those of other names."""
    _package()
    try:
        header = importlib.import_module(f"{_PACKAGE}.{file.parent.name}.case")
    except Exception as error:
        raise ValueError(f"case {file} cannot be imported: {type(error).__name__}: {error}") from None
    lacking = [name for name in (*HEADER, "check", "build") if not hasattr(header, name)]
    if lacking:
        raise ValueError(f"case {file} lacks {', '.join(lacking)}")
    if Path(str(header.__file__)).resolve() != file.resolve():
        raise ValueError(f"case {file} lies in a folder whose name is taken by {header.__file__}: rename it")
    if header.NAME in found:
        raise ValueError(f"case {file} has the name {header.NAME!r} of {found[header.NAME].__file__}: rename it")
    return header


def weights_of(cell: Mapping[str, Any]) -> str | None:
    """What a row says of the weights of its network; None for a case without any."""
    told = getattr(headers()[cell["case"]], "weights", None)
    if told is None:
        return None
    takes_device = len(inspect.signature(told).parameters) > 1
    return told(cell["case_params"], cell["device"]) if takes_device else told(cell["case_params"])


def refuse_arrays(name: str, given: Mapping[str, Any]) -> None:
    """`ValueError` for explicit arrays in a selector, which holds no arrays."""
    known = headers()
    header = known[checks.one_of("case", name, known)]
    checks.options(f"case {name} in a selector", dict(given), header.PARAMS)


@dataclass(frozen=True)
class Case:
    """A case with its parameters filled in."""

    header: Any
    params: dict[str, Any]
    arrays: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Its name."""
        return self.header.NAME

    def problem(
        self,
        sampler: str = "ddim",
        steps: int = 20,
        seed: int = 0,
        targets: Sequence[str] | None = None,
        dtype: "torch.dtype | str | None" = None,
        device: str = "cpu",
        x_T: Any = None,
        noise: Any = None,
    ) -> "Problem":
        """The problem of differentiating the objective through `sampler` with `steps` steps.

        targets: of x_T, condition and parameters; None for all. dtype: float64, float32 (tf32 is float32 here), or
        bfloat16 or float16 for the network with the state in float32; None for the case's own. x_T (b, *x) is drawn by
        key from `seed` where it is not given. noise: (steps, b, *x), or `keyed` a step, or `nested` as one Wiener path
        that chains of other steps and samplers share; None for the case's own, `keyed` where a path would need an
        infinite log-SNR. Raises `ValueError` for what it cannot serve.
        """
        import torch

        from gradbench.diffusion.noise import INITIAL, draw
        from gradbench.diffusion.schedule import make_schedule
        from gradbench.estimators.problem import Problem, check_targets
        from gradbench.models.skeleton import made_on
        from gradbench.samplers.spec import sampler_spec

        spec = sampler_spec(sampler, self.header.GRID)
        if noise is None:
            schedule = make_schedule(self.params["schedule"]) if "schedule" in self.params else None
            ends = (self.params["t_max"], self.params["t_min"])
            # a path needs a finite log-SNR at both ends
            whole = schedule is None or schedule.alpha(ends[0]) > 0 and schedule.sigma(ends[1]) > 0
            noise = self.header.NOISE if whole else "keyed"
        checks.positive_integer("steps", steps)
        checks.seed(seed)
        chosen = check_targets(self.header.TARGETS if targets is None else targets)
        number = checks.dtype(dtype or self.header.DTYPE)
        checks.one_of(f"dtype of case {self.name}", str(number).removeprefix("torch."), self.header.DTYPES)
        # for shapes alone nothing is moved: a parameter that goes to meta is another one there, unlike one on a GPU
        place = None if device == "meta" else checks.device(device)
        own = own_objective(self.header, self.params["objective"])
        with made_on(place or "cpu"):
            parts = self.header.build(_without(self.header, self.params, own), self.arrays, seed)
        if own is not None:
            parts["objective"] = own.make(shape=parts["shape"], seed=seed, target=None)
        state_dtype = number if number.itemsize >= 4 else torch.float32
        denoiser = parts["denoiser"].to(place, number)
        condition = parts["condition"]
        condition.data = condition.data.to(place, state_dtype)
        if x_T is None:
            x_T = torch.from_numpy(draw(seed, INITIAL, (self.params["batch"], *parts["shape"])))
        x_T = checks.array("x_T", x_T).to(place, state_dtype)
        if x_T.ndim == 0 or tuple(x_T.shape[1:]) != tuple(parts["shape"]):
            raise ValueError(f"x_T must have shape (b, {', '.join(map(str, parts['shape']))}), got {tuple(x_T.shape)}")
        return Problem(
            denoiser=denoiser,
            sampler=spec,
            steps=steps,
            t_max=self.params["t_max"],
            t_min=self.params["t_min"],
            x_T=x_T,
            objective=_in_parts(parts["objective"].to(place, state_dtype), number),
            targets=chosen,
            condition=condition,
            parameters=parts["parameters"],
            seed=seed,
            draws=getattr(self.header, "DRAWS", 1024),
            noise=noise if isinstance(noise, str) else checks.array("noise", noise).to(place, state_dtype),
            flow=parts.get("flow"),
            reference_dtype=checks.dtype(getattr(self.header, "REFERENCE_DTYPE", "float64")),
        )


def _in_parts(objective: Any, dtype: "torch.dtype") -> Any:
    """An objective in the state's precision, the decoder that it looks through in the network's."""
    if hasattr(objective, "decode"):
        objective.decode.to(dtype)
    return objective


def make_case(name: str, given: Mapping[str, Any]) -> Case:
    """The case of that name with parameters and explicit arrays by keyword; `ValueError` for what it does not have."""
    known = headers()
    header = known[checks.one_of("case", name, known)]
    checks.options(f"case {name}", dict(given), [*header.PARAMS, *header.ARRAYS])
    params = overlay(f"case {name}", header.PARAMS, {k: v for k, v in given.items() if k not in header.ARRAYS})
    checks.positive_integer("batch", params["batch"])
    own = own_objective(header, params["objective"])
    header.check(_without(header, params, own))
    arrays = {key: value for key, value in given.items() if key in header.ARRAYS}
    if arrays and hasattr(header, "sizes"):
        params = overlay_sizes(name, params, given, header.sizes(arrays))
    return Case(header, params, arrays)


def own_objective(header: Any, text: str) -> ObjectiveSpec | None:
    """The objective that another package offers, or `module:attribute`, where a case's parameter names one.

    None for one of the case's own, and for a sum, whose terms are found by `make_objective`. `ValueError` for a name
    that there is not, and for code that cannot be loaded.
    """
    if text in header.OBJECTIVES:
        return None
    known = (*header.OBJECTIVES, *OBJECTIVES.plugins)
    if getattr(header, "SUMS", False):
        for _, name in parse_sum(text, known):
            OBJECTIVES.find(name)
        return None
    if not isinstance(text, str) or ":" not in text:
        checks.one_of("objective", text, known)
    return OBJECTIVES.find(text)


def _without(header: Any, params: dict[str, Any], own: ObjectiveSpec | None) -> dict[str, Any]:
    """What a case is told of its parameters: its default objective stands for one that is not its own."""
    return params if own is None else {**params, "objective": header.PARAMS["objective"]}


def overlay_sizes(name: str, params: dict[str, Any], given: Mapping[str, Any], sizes: dict[str, int]) -> dict[str, Any]:
    """The parameters with the sizes that the given arrays have; `ValueError` where a given one says otherwise."""
    for key, size in sizes.items():
        if key in given and given[key] != size:
            raise ValueError(f"{key} of case {name} must be {size}, as its arrays have it, got {given[key]!r}")
    return {**params, **sizes}
