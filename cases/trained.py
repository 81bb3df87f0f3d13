"""What the tasks optimise through: the trained networks that ship, with prompts, rewards and the judges of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradbench import checks
from gradbench.objectives.sums import parse_sum
from gradbench.problems.case import make_case
from gradbench.problems.spec import CaseSpec, Parts
from gradbench.tasks.settings import SETTINGS, check_settings

from . import stable_diffusion
from .digits import case as digits
from .emoji import case as emoji

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gradbench.problems.problem import Problem


@dataclass(frozen=True)
class Trained:
    """A case whose network is trained. named: its parameter that names what is drawn.

    embedded: the condition of a prompt. judged: the objective of a name that aims at a prompt. seen: prompts that
    updates see; unseen: held out. twins: of every reward that a network judges, the objective by an independently
    trained one; a formula is its own twin. aims: what a reward aims at where that is not the prompt. classes: the
    rewards that are log-probabilities of a class. distances: those that are better the smaller.
    number: the class of a prompt. loads: whether it can load `weights`; without, its network is random.

    embedded takes the prompt and the task's parameters; judged, the reward, its aim, and the problem's own objective.
    """

    case: str
    named: str
    embedded: "Callable[[Any, Mapping[str, Any]], Tensor]"
    judged: "Callable[[str, Any, Any], nn.Module]"
    seen: tuple[Any, ...]
    unseen: tuple[Any, ...]
    twins: Mapping[str, str]
    aims: Mapping[str, Any]
    classes: tuple[str, ...]
    distances: tuple[str, ...] = ()
    number: Callable[[Any], int] = int
    loads: bool = False


DIGITS = Trained(
    case="digits",
    named="label",
    embedded=lambda name, params: digits.embedded(name),
    judged=lambda name, aim, own: digits.scored(name, aim, {}),
    seen=(0, 1, 2, 3, 4, 5),
    unseen=(6, 7, 9),
    twins={name: f"heldout-{name}" for name in ("class", "preference")},
    aims={"class": 8},
    classes=("class",),
)
EMOJI = Trained(
    case="emoji",
    named="concept",
    embedded=lambda name, params: emoji.embedded(name, emoji.STYLES[0]),
    judged=lambda name, aim, own: emoji.scored(name, aim, emoji.STYLES[0]),
    seen=("red apple", "cat face", "umbrella", "rose", "octopus", "soccer ball"),
    unseen=("dog face", "green heart", "fire"),
    twins={**{name: f"heldout-{name}" for name in emoji.TWINS}, **{name: name for name in emoji.FORMULAS}},
    aims={},
    classes=("concept",),
    distances=("gram", "recogniser"),
    number=emoji.number,
)


def _stable_diffusion(case: str) -> Trained:
    """A size of Stable Diffusion: rewards are formulas, since no scorer comes with it."""
    return Trained(
        case=case,
        named="prompt",
        embedded=lambda name, params: stable_diffusion.conditions(case, params["weights"])[name : name + 1],
        judged=lambda name, aim, own: stable_diffusion.scored(name, own),
        seen=(0, 1),
        unseen=(2, 3),
        twins={name: name for name in emoji.FORMULAS},
        aims={},
        classes=(),
        loads=True,
    )


MODELS = {model.case: model for model in (DIGITS, EMOJI, *map(_stable_diffusion, ("sd15", "sd-tiny")))}
PARAMS: Mapping[str, Any] = {
    **SETTINGS,
    "model": "digits",
    "weights": None,
    "objective": "class",
    "guidance": 1.0,
    "rank": 4,
    "batch": 4,
    "t_max": 1.0,
    "t_min": 0.001,
}
DIRECTIONS = ("better", "raise", "lower")
REWARDED: Mapping[str, Any] = {**PARAMS, "direction": "better"}


@dataclass(frozen=True)
class Prompt:
    """A prompt of a trained network: its condition, the reward, and the held-out judge of the same."""

    name: Any
    condition: "Tensor"
    reward: "nn.Module"
    judge: "nn.Module"


def usual(params: Mapping[str, Any]) -> str:
    """The first reward of the model; `UsageError` for an unknown model."""
    return next(iter(MODELS[checks.one_of("model", params["model"], MODELS)].twins))


def check(params: Mapping[str, Any]) -> None:
    """The model, the reward, and the settings of the optimisation; the rest is the model's to check."""
    check_settings(params)
    stable_diffusion.check_weights(params)
    model = MODELS[checks.one_of("model", params["model"], MODELS)]
    if params["weights"] is not None and not model.loads:
        loading = " or ".join(f"model={name}" for name, each in MODELS.items() if each.loads)
        raise checks.UsageError(f"weights must be none unless {loading}, got model={model.case}")
    for _, name in terms(params):
        make_case(model.case, _own(model, params, model.seen[0], name))


def check_rewarded(params: Mapping[str, Any]) -> None:
    """The same, and the direction: `better` raises a score or a sum, and lowers a distance."""
    check(params)
    checks.one_of("direction", params["direction"], DIRECTIONS)


def terms(params: Mapping[str, Any]) -> list[tuple[float, str]]:
    """The weights and the names of a reward, `jpeg-size` or `alignment - 0.1*jpeg-size`."""
    model = MODELS[params["model"]]
    given = params["objective"]
    if str(given).replace("-", "").isidentifier():  # one name, no sum
        checks.one_of(f"objective of model {model.case}", given, model.twins)
    found = parse_sum(given, model.twins)
    for _, name in found:  # an objective of one's own has no twin
        checks.one_of(f"objective of model {model.case}", name, model.twins)
    return found


def falls(params: Mapping[str, Any]) -> bool:
    """Whether the objective is to be lowered."""
    own = "lower" if params["objective"] in MODELS[params["model"]].distances else "raise"
    return (own if params["direction"] == "better" else params["direction"]) == "lower"


def _own(model: Trained, params: Mapping[str, Any], prompt: Any, objective: str) -> dict[str, Any]:
    """The parameters of the model's own case."""
    given = {name: params[name] for name in ("guidance", "rank", "batch", "t_max", "t_min")}
    loaded = {"weights": params["weights"]} if model.loads else {}
    return {**given, **loaded, model.named: prompt, "objective": objective}


def prompt(problem: "Problem", params: Mapping[str, Any], name: Any, aim: Any = None) -> Prompt:
    """The prompt of that name, where the problem is and in its precision.

    aim: what the reward aims at, by default the model's aim or the prompt itself.
    """
    from gradbench.objectives.weighted import WeightedSum

    model = MODELS[params["model"]]

    found = terms(params)

    def joined(named: Callable[[str], str]) -> Any:
        aims = [model.aims.get(each, name) if aim is None else aim for _, each in found]
        parts = [
            (weight, model.judged(named(each), at, problem.objective))
            for (weight, each), at in zip(found, aims, strict=True)
        ]
        whole = parts[0][1] if len(parts) == 1 and parts[0][0] == 1 else WeightedSum(parts)
        return whole.to(problem.x_T.device, problem.x_T.dtype)

    return Prompt(name, model.embedded(name, params).to(problem.x_T), joined(str), joined(model.twins.__getitem__))


def pictured(objective: Any, x_0: "Tensor") -> "Tensor":
    """(b, c, h, w) in [0, 1]: the pictures of samples, decoded by the objective's decoder if it has one."""
    while hasattr(objective, "objectives"):
        objective = objective.objectives[0]
    return objective.decode(x_0) if hasattr(objective, "decode") else (x_0 + 1) / 2


def unadapt(lora: "Sequence[Tensor]") -> None:
    """Sets adapters, A and B in turns, to B = 0: the network is as it was trained."""
    for zero in lora[1::2]:
        zero.data.zero_()


def tell(problem: "Problem", condition: "Tensor") -> None:
    """Makes the network read a condition."""
    assert problem.condition is not None
    problem.condition.data.copy_(condition)


@contextmanager
def read(problem: "Problem", conditions: "Sequence[Tensor]") -> "Iterator[Problem]":
    """The problem with a batch for each condition in one, in their order, from noise that no update sees."""
    import torch

    from gradbench.tasks.drawn import judging

    denoiser: Any = problem.denoiser
    before, size = (denoiser.condition, denoiser.batched), len(problem.x_T)
    each = [condition.reshape(1, *condition.shape[-2:]).expand(size, -1, -1) for condition in conditions]
    denoiser.condition, denoiser.batched = torch.cat(each), True
    try:
        yield judging(replace(problem, x_T=torch.cat([problem.x_T] * len(conditions))), 0)
    finally:
        denoiser.condition, denoiser.batched = before


def one_of_each(problem: "Problem", conditions: "Sequence[Tensor]") -> "Tensor":
    """(n, *x): a sample for every condition."""
    with read(replace(problem, x_T=problem.x_T[:1]), conditions) as many:
        return many.rollout.sample(many.x_T)


def recognised(objective: Any, x_0: "Tensor") -> "Tensor":
    """(b): whether the classifier of a log-probability gives its class."""
    while hasattr(objective, "decode"):
        x_0, objective = objective.decode(x_0), objective.image
    return objective.classifier(x_0).argmax(1) == objective.label


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> Parts:
    """The parts of the model's own case for its first prompt."""
    model = MODELS[params["model"]]
    objective = params["objective"] if params["objective"] in model.twins else usual(params)  # a task may have its own
    own = make_case(model.case, _own(model, params, model.seen[0], objective))
    return Parts.of(model.case, own.spec.build(own.params, {}, seed))


def weights(params: Mapping[str, Any], device: str) -> str | None:
    """The description of the network's weights; None for those that ship."""
    return stable_diffusion.weights(params, device) if MODELS[params["model"]].loads else None


def later(package: str | None, name: str) -> Callable[..., Any]:
    """The class of that name in `task.py` of a case's package, which is imported when a cell runs: it needs torch."""
    return lambda problem, params: getattr(import_module(".task", package), name)(problem, params)


def task_case(**own: Any) -> CaseSpec:
    """The spec of a task on a trained network; `own` are the fields that differ."""
    fields: dict[str, Any] = {
        "objectives": tuple(dict.fromkeys(name for model in MODELS.values() for name in model.twins)),
        "check": check,
        "build": build,
        "params": PARAMS,
        "grid": "leading",
        "dtype": "float32",
        "dtypes": ("float64", "float32"),
        "draws": 1,
        "weights": weights,
        "requires": ("diffusers", "peft", "transformers"),
        "preload": ("gradbench.models.lora", "gradbench.models.network", "peft"),
    }
    return CaseSpec(**{**fields, **own})
