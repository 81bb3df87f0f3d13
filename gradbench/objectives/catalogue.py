"""The objectives of image models by name, as plain data; torch is imported only when one is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradbench import checks
from gradbench.entry import Catalogue, Entry
from gradbench.objectives.sums import parse_sum

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGE, LATENT = "image", "latent"


@dataclass(frozen=True)
class ObjectiveSpec(Entry):
    """A catalogue entry whose factory makes the module of an objective.

    on: the input of the objective, `image` (b, 3, h, w) with values in [0, 1] or `latent` (b, c, h, w). takes: which of
    shape, seed and target are arguments of the factory.
    """

    on: str = IMAGE
    takes: tuple[str, ...] = ()

    def make(self, **told: Any) -> "nn.Module":
        """The module, made with those of shape, seed and target in `told` that `takes` names."""
        return self.load()(**{key: told[key] for key in self.takes})


_AIMED = ("shape", "seed", "target")

OBJECTIVES: Catalogue[ObjectiveSpec] = Catalogue(
    "objective",
    *(
        ObjectiveSpec(
            "jpeg-size",
            "kilobytes of the image's JPEG file at quality 95, estimated smoothly",
            "gradbench.objectives.jpeg:JPEGSize",
            "Black et al., 2023, arXiv:2305.13301; Reich et al., 2024, arXiv:2309.06978",
        ),
        ObjectiveSpec(
            "colourfulness",
            "distance of the colours from grey and from each other, on the scale of 0 to 255",
            "gradbench.objectives.colourfulness:Colourfulness",
            "Hasler and Suesstrunk, 2003, Proc. SPIE 5007",
        ),
        ObjectiveSpec(
            "target-image",
            "half the squared distance to an image",
            "gradbench.objectives.pattern:target_image",
            "textbook",
            takes=_AIMED,
        ),
        ObjectiveSpec(
            "target-latent",
            "half the squared distance to a latent",
            "gradbench.objectives.pattern:target_latent",
            "textbook",
            on=LATENT,
            takes=_AIMED,
        ),
        ObjectiveSpec(
            "style",
            "distance of the Gram matrices of random features to those of a texture",
            "gradbench.objectives.style:textured",
            "Gatys et al., 2016, arXiv:1508.06576; Ustyuzhaninov et al., 2016, arXiv:1606.00021",
            takes=_AIMED,
        ),
        ObjectiveSpec(
            "scorer",
            "a small smooth network with random weights: a nonlinear reward without meaning",
            "gradbench.objectives.scorer:RandomScorer",
            "random weights of this project",
            takes=("seed",),
        ),
    ),
    group="gradbench.objectives",
    own="gradbench.objectives.own:objective",
)


@dataclass(frozen=True)
class Objectives:
    """The parts of a sum by input; None if the sum has no such term."""

    latent: "nn.Module | None"
    image: "nn.Module | None"


def make_objective(
    text: str,
    shape: tuple[int, ...],
    seed: int,
    image_shape: tuple[int, ...] | None = None,
    targets: "Mapping[str, Tensor] | None" = None,
) -> Objectives:
    """The objective, or the weighted sum of objectives (`parse_sum`), that `text` names.

    shape: (c, h, w) of x. image_shape: of the images decoded from x, by default x's own. targets: by objective name,
    the image or latent that it aims at; by default a fixed pattern drawn from the seed. Names are those of `OBJECTIVES`
    and of entry points, and `module:attribute` for your own code. A single term of weight 1 is that objective itself.
    `ValueError` for a malformed text, for a target that no term takes, and for one of the wrong shape.
    """
    terms = [(weight, OBJECTIVES.find(name)) for weight, name in parse_sum(text, (*OBJECTIVES, *OBJECTIVES.plugins))]
    aimed = [spec.name for _, spec in terms if "target" in spec.takes]
    for name in targets or {}:
        checks.one_of("target", name, aimed or ["(none)"])

    def make(spec: ObjectiveSpec) -> "nn.Module":
        own = shape if spec.on == LATENT else image_shape or shape
        return spec.make(shape=own, seed=seed, target=(targets or {}).get(spec.name))

    def joined(on: str) -> "nn.Module | None":
        parts = [(weight, make(spec)) for weight, spec in terms if spec.on == on]
        if len(parts) == 1 and parts[0][0] == 1.0:
            return parts[0][1]
        if not parts:
            return None
        from gradbench.objectives.weighted import WeightedSum

        return WeightedSum(parts)

    return Objectives(latent=joined(LATENT), image=joined(IMAGE))
