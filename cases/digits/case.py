"""A U-Net trained on 8x8 handwritten digits, in Stable Diffusion's shape: real data, real weights, seconds on a CPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradbench.problems.spec import CaseSpec, Flow, Parts

if TYPE_CHECKING:
    from torch import Tensor, nn

HERE = Path(__file__).parent
PREFERENCES = {"preference": 24, "heldout-preference": 20}  # widths
WEIGHTS = ("unet.safetensors", "scorer.safetensors", "heldout.safetensors", "four.safetensors")


def check(params: Mapping[str, Any]) -> None:
    """The class, the guidance scale, the rank, and the digests of the weights."""
    from gradbench import checks
    from gradbench.models.weights import verify

    checks.time_range(params["t_max"], params["t_min"])
    checks.one_of("label", params["label"], range(10))
    checks.finite("guidance", params["guidance"])
    checks.one_of("rank", params["rank"], range(1, 33))
    for name in WEIGHTS:
        verify(HERE, name)


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> Parts:
    """The trained U-Net with LoRA weights from the seed, the class embedding as its condition, and the objective.

    `class`: log-probability of `label` under the scorer. `heldout-class`: the same under an independently trained one.
    `preference` and `heldout-preference`: scores learnt from choices between pictures, see `preference.py`.
    `target-image`: half the squared distance to `target` (1, 8, 8), by default the mean of the data's fours.
    """
    import torch

    from gradbench.models.lora import add_lora
    from gradbench.models.network import diffusers_denoiser
    from gradbench.models.weights import load_weights

    from .network import NULL_CLASS, DigitsModel, scheduler

    label = params["label"]
    model = DigitsModel()
    model.load_state_dict(load_weights(HERE, "unet.safetensors"))
    model.eval().requires_grad_(False)
    lora = add_lora(model.unet, params["rank"], seed)
    tokens = model.tokens(torch.tensor([label, NULL_CLASS]))
    denoiser = diffusers_denoiser(
        model.unet,
        scheduler(),
        condition=tokens[0].clone(),
        null_condition=tokens[1].clone(),
        guidance=params["guidance"],
    )
    objective = scored(params["objective"], label, arrays)
    return Parts(denoiser, objective, denoiser.condition, lora, shape=(1, 8, 8))


def scored(name: str, label: int, arrays: Mapping[str, Any]) -> "nn.Module":
    """The objective of that name."""
    import torch

    from gradbench import checks
    from gradbench.models.weights import load_weights
    from gradbench.objectives.classifier import ClassLogProbability
    from gradbench.objectives.quadratic import Quadratic

    from .network import CLASSES, Classifier, Preference

    if name in PREFERENCES:
        scorer = Preference(PREFERENCES[name])
        scorer.load_state_dict(load_weights(HERE / "preferences", f"{name}.safetensors"))
        return scorer.eval().requires_grad_(False)
    if name == "target-image":
        given = arrays.get("target")
        target = load_weights(HERE, "four.safetensors")["mean"] if given is None else torch.as_tensor(given)
        checks.shape("target", target.shape, (1, 8, 8))
        return Quadratic(target, torch.ones_like(target))
    file, width = {"class": ("scorer", 24), "heldout-class": ("heldout", 20)}[name]
    classifier = Classifier(width)
    classifier.load_state_dict(load_weights(HERE, f"{file}.safetensors"))
    return ClassLogProbability(classifier, label, CLASSES)


def embedded(label: int) -> "Tensor":
    """(2, 32): the tokens of a class."""
    from gradbench.models.weights import load_weights

    from .network import TOKENS, WIDTH

    return load_weights(HERE, "unet.safetensors")["embedding.weight"][label].reshape(TOKENS, WIDTH)


SPEC = CaseSpec(
    name="digits",
    summary="a cross-attention U-Net trained on 8x8 digits; class log-probability or target image",
    citation="Rombach et al., 2022, arXiv:2112.10752 (architecture); Alpaydin and Kaynak, 1998, UCI (data)",
    objectives=("class", "heldout-class", "target-image", *PREFERENCES),
    check=check,
    build=build,
    params={
        "label": 3,
        "guidance": 1.0,
        "rank": 4,
        "t_max": 1.0,
        "t_min": 0.001,
        "batch": 4,
        "objective": "class",
    },
    arrays=("target",),
    grid="leading",
    dtype="float32",
    dtypes=("float64", "float32", "tf32", "bfloat16", "float16"),
    draws=64,
    references=("flow", "sampler", "expected"),
    flow=Flow.NETWORK,
    requires=("diffusers", "peft"),
    preload=(
        "diffusers.models.unets.unet_2d_condition",
        "diffusers.schedulers.scheduling_ddim",
        "peft",
        "scipy.interpolate",
        "gradbench.models.lora",
        "gradbench.models.network",
    ),
)
