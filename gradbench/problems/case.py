"""A case with its parameters filled in, and the problems that it makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.entry import overlay
from gradbench.objectives.catalogue import OBJECTIVES, ObjectiveSpec
from gradbench.objectives.sums import parse_sum
from gradbench.problems.folders import shipped_folder, spec_of_case
from gradbench.problems.spec import CaseSpec, Parts
from gradbench.selector import Options

if TYPE_CHECKING:
    import torch

    from gradbench.problems.problem import Problem


def refuse_arrays(name: str, given: Mapping[str, Any]) -> None:
    """`ValueError` for explicit arrays in a selector, which cannot hold them."""
    checks.options(f"case {name} in a selector", given, spec_of_case(name).params)


@dataclass(frozen=True)
class Case:
    """A case with its parameters filled in."""

    spec: CaseSpec
    params: Options
    arrays: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.name

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
        key from `seed` if not given. noise: (steps, b, *x), `keyed` for each step, or `nested` as one Wiener path
        shared by chains of other steps and samplers; None for the case's own, `keyed` where a path would need an
        infinite log-SNR. Raises `ValueError` for unsupported values.
        """
        import torch

        from gradbench.diffusion.noise import INITIAL, draw
        from gradbench.diffusion.schedule import make_schedule
        from gradbench.models.skeleton import made_on
        from gradbench.problems.problem import Problem, check_targets
        from gradbench.samplers.spec import sampler_spec

        chain = sampler_spec(sampler, self.spec.grid)
        if noise is None:
            schedule = make_schedule(self.params["schedule"]) if "schedule" in self.params else None
            ends = (self.params["t_max"], self.params["t_min"])
            # a path needs a finite log-SNR at both ends
            whole = schedule is None or schedule.alpha(ends[0]) > 0 and schedule.sigma(ends[1]) > 0
            noise = self.spec.noise if whole else "keyed"
        steps, seed = checks.positive_integer("steps", steps), checks.seed(seed)
        chosen = check_targets(self.spec.targets if targets is None else targets, steps=steps)
        number = checks.dtype(dtype or self.spec.dtype)
        checks.one_of(f"dtype of case {self.name}", str(number).removeprefix("torch."), self.spec.dtypes)
        # for shapes alone nothing is moved: moving to meta makes a new parameter, unlike moving to a GPU
        place = None if device == "meta" else checks.device(device)
        own = own_objective(self.spec, self.params["objective"])
        with made_on(place or "cpu"):
            made = self.spec.build(_without(self.spec, self.params, own), self.arrays, seed)
        parts = Parts.of(self.name, made)
        if own is not None:
            parts = replace(parts, objective=own.make(shape=parts.shape, seed=seed, target=None))
        state_dtype = number if number.itemsize >= 4 else torch.float32
        denoiser = parts.denoiser.to(place, number)
        condition = parts.condition
        if condition is not None:
            condition.data = condition.data.to(place, state_dtype)
        if x_T is None:
            x_T = torch.from_numpy(draw(seed, INITIAL, (self.params["batch"], *parts.shape)))
        x_T = checks.array("x_T", x_T).to(place, state_dtype)
        if x_T.ndim == 0 or tuple(x_T.shape[1:]) != tuple(parts.shape):
            raise UsageError(f"x_T must have shape (b, {', '.join(map(str, parts.shape))}), got {tuple(x_T.shape)}")
        return Problem(
            denoiser=denoiser,
            sampler=chain,
            steps=steps,
            t_max=self.params["t_max"],
            t_min=self.params["t_min"],
            x_T=x_T,
            objective=_in_parts(parts.objective.to(place, state_dtype), number),
            targets=chosen,
            condition=condition,
            parameters=parts.parameters,
            seed=seed,
            draws=self.spec.draws,
            noise=noise if isinstance(noise, str) else checks.array("noise", noise).to(place, state_dtype),
            flow=parts.flow,
            reference_dtype=checks.dtype(self.spec.reference_dtype),
        )


def _in_parts(objective: Any, dtype: "torch.dtype") -> Any:
    """An objective in the state's precision, with its decoder in the network's."""
    if hasattr(objective, "decode"):
        objective.decode.to(dtype)
    return objective


def make_case(name: str, given: Mapping[str, Any]) -> Case:
    """The case of that name with parameters and explicit arrays by keyword; `ValueError` for unknown ones."""
    spec = spec_of_case(name)
    checks.options(f"case {name}", given, [*spec.params, *spec.arrays])
    params = overlay(f"case {name}", spec.params, {k: v for k, v in given.items() if k not in spec.arrays})
    checks.positive_integer("batch", params["batch"])
    own = own_objective(spec, params["objective"])
    with checks.of_users(theirs=spec.folder.parent != shipped_folder()):
        spec.check(_without(spec, params, own))
    arrays = {key: value for key, value in given.items() if key in spec.arrays}
    if arrays and spec.sizes is not None:
        params = overlay_sizes(name, params, given, spec.sizes(arrays))
    return Case(spec, params, arrays)


def own_objective(spec: CaseSpec, text: str) -> ObjectiveSpec | None:
    """The objective from another package, or `module:attribute`, named by a case's parameter.

    None for one of the case's own, and for a sum, whose terms `make_objective` finds. `ValueError` for an unknown name,
    and for code that cannot be loaded.
    """
    if text in spec.objectives:
        return None
    known = (*spec.objectives, *OBJECTIVES.plugins)
    if spec.sums:
        for _, name in parse_sum(text, known):
            if name not in spec.objectives:
                OBJECTIVES.find(name)
        return None
    if not isinstance(text, str) or ":" not in text:
        checks.one_of("objective", text, known)
    return OBJECTIVES.find(text)


def _without(spec: CaseSpec, params: Options, own: ObjectiveSpec | None) -> Options:
    """The parameters for `check` and `build`: an outside objective is replaced by the case's default."""
    return params if own is None else {**params, "objective": spec.params["objective"]}


def overlay_sizes(name: str, params: Options, given: Options, sizes: Mapping[str, int]) -> Options:
    """The parameters with the sizes of the given arrays; `ValueError` for a given size that differs."""
    for key, size in sizes.items():
        if key in given and given[key] != size:
            raise UsageError(f"{key} of case {name} must be {size}, as its arrays have it, got {given[key]!r}")
    return {**params, **sizes}
