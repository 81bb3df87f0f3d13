"""A pipeline's prompts, encoded once or, on the tape, at every network evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.conditions import Conditions
from gradbench.models.families import Family

ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
Prompt = str | Sequence[str]


class PromptEncoder(nn.Module):
    """The `Conditions` of a pipeline's prompts, from its own `encode_prompt`.

    Embeddings are (n, tokens, width), and pooled ones are in extra; guidance adds those of the negative prompt. size:
    of the image, which XL takes as an input. fixed: extra inputs that no prompt changes. embeddings: its arguments
    that are given in place of texts. device: of the network. The text encoders are submodules, so their
    trainable weights are found.
    """

    def __init__(
        self,
        pipe: Any,
        family: Family,
        prompt: Prompt | None,
        negative_prompt: Prompt | None,
        embeddings: Mapping[str, Tensor],
        guided: bool,
        size: tuple[int, int],
        fixed: Mapping[str, Any],
        device: torch.device,
    ) -> None:
        super().__init__()
        self.pipe, self.family, self.size, self.fixed, self.device = pipe, family, size, fixed, device
        self.embeddings, self.guided = dict(embeddings), guided
        self.prompts = None if embeddings else _texts(prompt)
        self.count = len(embeddings["prompt_embeds"]) if self.prompts is None else len(self.prompts)
        negative = [negative_prompt] * self.count if isinstance(negative_prompt, str) else negative_prompt
        if negative is not None and len(negative) != self.count:
            raise UsageError(f"negative_prompt has {len(negative)} texts and prompt {self.count}: give one, or as many")
        if embeddings and guided and ("negative_prompt_embeds" in embeddings) == (negative is not None):
            raise UsageError("guidance needs one of negative_prompt_embeds and negative_prompt beside prompt_embeds")
        self.negative = None if negative is None else list(negative)
        self.encoders = nn.ModuleDict(encoders_of(pipe))

    def forward(self) -> Conditions:
        """The prompts, encoded with the current weights."""
        found = dict(zip(self.family.returns, self.pipe.encode_prompt(**self._asked()), strict=False))
        moved = {name: each.to(self.device) for name, each in found.items() if each is not None}
        side = {name: each for name, each in moved.items() if not name.startswith("negative")}
        extra = {**self.family.told(side, self.size), **self.fixed}
        if not self.guided:
            return Conditions(moved["prompt"], None, extra, extra)
        other = {n.removeprefix("negative_"): each for n, each in moved.items() if n.startswith("negative_")}
        null_extra = {**self.family.told(other, self.size), **self.fixed} if other else extra
        return Conditions(moved["prompt"], moved.get("negative"), extra, null_extra)

    def once(self) -> Conditions:
        """The same `Conditions`, computed off the tape, with the embeddings as leaves."""
        with torch.no_grad():
            found = self()
        own = {id(t): t.detach().clone() for t in (found.condition, found.null_condition) if t is not None}
        return Conditions(
            own.get(id(found.condition)), own.get(id(found.null_condition)), found.extra, found.null_extra
        )

    def _asked(self) -> dict[str, Any]:
        """Arguments of `encode_prompt`, some of which have no default in some families."""
        first = next(iter(self.encoders.values()), None)
        device = self.device if first is None else next(first.parameters()).device
        given = {"prompt": self.prompts, "num_images_per_prompt": 1, "device": device, **self.family.asks}
        if self.family.guides:
            given["do_classifier_free_guidance"] = self.guided
        if self.negative is not None:
            given["negative_prompt"] = self.negative
        return given | self.embeddings


def _texts(prompt: Prompt | None) -> list[str]:
    texts = isinstance(prompt, list | tuple) and all(isinstance(text, str) for text in prompt)
    if not (isinstance(prompt, str) or (texts and prompt)):
        raise UsageError(f"prompt must be a text or a list of texts, got {prompt!r}")
    return [prompt] if isinstance(prompt, str) else list(prompt or ())


def given_embeddings(
    name: str, family: Family, prompt: Prompt | None, found: Mapping[str, Tensor | None]
) -> dict[str, Tensor]:
    """Those that are given; `ValueError` beside a prompt, for half of them, and for those that the family has not."""
    given = {key: value for key, value in found.items() if value is not None}
    if given and prompt is not None:
        raise UsageError("give a prompt or prompt_embeds, not both")
    own, other = family.embeddings(negative=False), family.embeddings(negative=True)
    for key in given:
        checks.one_of(f"embedding of {name}", key, (*own, *other))
    for side in (own, other if any(key in given for key in other) else []):
        missing = [key for key in side if key not in given]
        if given and missing:
            raise UsageError(f"{next(iter(given))} needs {missing[0]} too, as encode_prompt returns them")
    if not given and prompt is None:
        raise UsageError(f"pipeline {name} reads a prompt: give prompt='...'")
    return given


def encoders_of(pipe: Any) -> dict[str, nn.Module]:
    """The pipeline's text encoders by name."""
    found = ((name, getattr(pipe, name, None)) for name in ENCODERS)
    return {name: module for name, module in found if module is not None}


def refuse_unreached(pipe: Any) -> None:
    """`ValueError` if a text encoder is trainable but its embeddings are not on the tape."""
    for name, module in encoders_of(pipe).items():
        trained = [key for key, parameter in module.named_parameters() if parameter.requires_grad]
        if trained:
            raise UsageError(
                f"{name} has {len(trained)} trainable tensors ({trained[0]}), and the prompt is encoded outside of the "
                f"tape: give encode='on-tape' and name them in wrt, or pipe.{name}.requires_grad_(False)"
            )
