"""A whole Stable Diffusion in the size of a laptop: text encoder, guided U-Net and decoder, trained on emoji."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gradbench.problems.spec import CaseSpec, Flow

if TYPE_CHECKING:
    from torch import Tensor, nn

STYLES = ("noto", "twemoji")
TWINS = ("alignment", "concept", "style", "gram", "recogniser")  # each with a `heldout-` one by another network
FORMULAS = ("jpeg-size", "colourfulness")


def check(params: Mapping[str, Any]) -> None:
    """The prompt, the guidance scale, the rank, and the digests of the weights."""
    from gradbench import checks
    from gradbench.models.weights import verify

    from .files import FILES, HERE

    checks.time_range(params["t_max"], params["t_min"])
    known("concept", params["concept"])
    checks.one_of("style", params["style"], STYLES)
    checks.finite("guidance", params["guidance"])
    checks.one_of("rank", params["rank"], range(1, 65))
    for name in FILES:
        verify(HERE, name)


def known(what: str, concept: object) -> None:
    """`UsageError` with the nearest names for one that is not there; there are too many to list."""
    from difflib import get_close_matches

    from gradbench.checks import UsageError

    from .data import load

    names = sorted(set(load().names))
    if concept not in names:
        near = ", ".join(get_close_matches(str(concept), names, 5, 0))
        raise UsageError(f"{what} must be one of the {len(names):,} names of emoji, got {concept!r}; nearest: {near}")


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The trained U-Net with LoRA weights from the seed, the prompt's embedding, and an objective of the picture.

    The prompt is "<style> <concept>"; the objectives are described in the case's README.
    """
    from gradbench.models.lora import add_lora
    from gradbench.models.pipeline import from_pipeline
    from gradbench.objectives.decoded import Decoded

    from . import shipped

    pipe = shipped.pipeline()
    parts = from_pipeline(pipe, f"{params['style']} {params['concept']}", guidance=params["guidance"])
    lora = add_lora(pipe.unet, params["rank"], seed)
    assert parts.decoder is not None
    objective = Decoded(parts.decoder, judged(params["objective"], params["concept"], params["style"]))
    return {
        "denoiser": parts.denoiser,
        "objective": objective,
        "condition": parts.denoiser.condition,
        "parameters": lora,
        "shape": parts.shape,
    }


def scored(name: str, concept: str, style: str) -> "nn.Module":
    """An objective of latents: that of the decoded picture, by one of the shipped networks or a formula."""
    from gradbench.objectives.decoded import Decoded

    from . import shipped

    return Decoded(shipped.decoder(), judged(name, concept, style))


def embedded(concept: str, style: str) -> "Tensor":
    """(1, 24, 128): the prompt's embedding."""
    from . import shipped

    return shipped.embedded(number(concept), STYLES.index(style))


def number(concept: str) -> int:
    """The place of a name among all."""
    from . import data

    return data.load().names.index(concept)


def judged(name: str, concept: str, style: str) -> "nn.Module":
    """The objective of a picture by a formula, by one of the shipped networks, or by its held-out twin."""
    from gradbench.objectives.catalogue import OBJECTIVES
    from gradbench.objectives.classifier import ClassLogProbability

    from . import data, objectives, shipped

    if name in FORMULAS:
        return OBJECTIVES[name].make()
    own, held = name.removeprefix("heldout-"), name.startswith("heldout-")
    scorer = "held-out-scorer" if held else "scorer"
    number, look = data.load().names.index(concept), STYLES.index(style)
    other = shipped.picture(number, 1 - look)

    def encoder(judge: str) -> Any:
        network: Any = shipped.judge(judge)
        return network.image if "scorer" in judge else network

    def classified() -> "nn.Module":
        whole: Any = shipped.judge(scorer)
        logits = objectives.Named(whole.image, shipped.captions(scorer, look), whole.log_scale.exp().clamp(max=100))
        return ClassLogProbability(logits, number, len(data.load().names))

    def recognised() -> "nn.Module":
        network = encoder(f"recogniser-{int(held)}")
        return objectives.Distance(network, network(2 * other[None] - 1)[0])

    made: dict[str, Callable[[], nn.Module]] = {
        "alignment": lambda: objectives.Cosine(encoder(scorer), shipped.captions(scorer, look)[number]),
        "concept": classified,
        "style": lambda: ClassLogProbability(
            objectives.Signed(shipped.judge("held-out-style" if held else "style")), 1 - look, len(STYLES)
        ),
        "gram": lambda: objectives.FeatureGram(encoder("recogniser-1" if held else "scorer"), other),
        "recogniser": recognised,
    }
    return made[own]()


SPEC = CaseSpec(
    name="emoji",
    summary="a whole small Stable Diffusion trained on emoji: prompt, guided U-Net, decoder, text-image scorer",
    citation="Rombach et al., 2022, arXiv:2112.10752 (architecture); Noto Emoji and Twemoji (pictures)",
    objectives=tuple(f"{held}{name}" for name in TWINS for held in ("", "heldout-")) + FORMULAS,
    check=check,
    build=build,
    params={
        "concept": "rocket",
        "style": "noto",
        "guidance": 3.0,
        "rank": 4,
        "t_max": 1.0,
        "t_min": 0.001,
        "batch": 4,
        "objective": "alignment",
    },
    grid="leading",
    dtype="float32",
    dtypes=("float64", "float32", "tf32", "bfloat16", "float16"),
    draws=64,
    references=("flow", "sampler", "expected"),
    flow=Flow.NETWORK,
    requires=("diffusers", "peft", "transformers"),
    preload=(
        "diffusers.models.unets.unet_2d_condition",
        "diffusers.models.autoencoders.autoencoder_kl",
        "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
        "diffusers.schedulers.scheduling_ddim",
        "transformers.models.clip.modeling_clip",
        "transformers.models.clip.tokenization_clip",
        "peft",
        "scipy.interpolate",
        "gradbench.models.pretrained",
        "gradbench.models.pipeline",
        "gradbench.models.lora",
    ),
)
