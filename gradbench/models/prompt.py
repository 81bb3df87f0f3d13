"""A pipeline's prompts, encoded once or, on the tape, at every network evaluation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gradbench.checks import UsageError
from gradbench.diffusion.conditions import Conditions

ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
Prompt = str | Sequence[str]


class PromptEncoder(nn.Module):
    """The `Conditions` of a pipeline's prompts, from its own `encode_prompt`.

    Embeddings are (n, tokens, width), and pooled ones are in extra; guidance adds those of the negative prompt. size:
    of the image, which XL takes as an input. device: of the network. The text encoders are submodules, so their
    trainable weights are found.
    """

    def __init__(
        self,
        pipe: Any,
        family: str,
        prompt: Prompt,
        negative_prompt: Prompt | None,
        guided: bool,
        size: Sequence[int],
        device: torch.device,
    ) -> None:
        super().__init__()
        texts = isinstance(prompt, list | tuple) and all(isinstance(text, str) for text in prompt)
        if not (isinstance(prompt, str) or (texts and prompt)):
            raise UsageError(f"prompt must be a text or a list of texts, got {prompt!r}")
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        negative = [negative_prompt] * len(prompts) if isinstance(negative_prompt, str) else negative_prompt
        if negative is not None and len(negative) != len(prompts):
            raise UsageError(
                f"negative_prompt has {len(negative)} texts and prompt {len(prompts)}: give one, or as many"
            )
        self.pipe, self.family, self.size, self.device = pipe, family, tuple(size), device
        self.prompts, self.guided = prompts, guided
        self.negative = None if negative is None else list(negative)
        self.encoders = nn.ModuleDict(encoders_of(pipe))

    def forward(self) -> Conditions:
        """The prompts, encoded with the current weights."""
        found = self.pipe.encode_prompt(
            prompt=self.prompts,
            negative_prompt=self.negative,
            num_images_per_prompt=1,
            do_classifier_free_guidance=self.guided,
            **self._places(),
        )
        moved = [None if embedding is None else embedding.to(self.device) for embedding in found]
        condition, null, *pooled = moved if self.guided else (None if i % 2 else e for i, e in enumerate(moved))
        extra, null_extra = ({} if p is None else self._told(p) for p in (*pooled, None, None)[:2])
        return Conditions(condition, null, extra, null_extra or extra)

    def once(self) -> Conditions:
        """The same `Conditions`, computed off the tape, with the embeddings as leaves."""
        with torch.no_grad():
            found = self()
        own = {id(t): t.detach().clone() for t in (found.condition, found.null_condition) if t is not None}
        return Conditions(
            own.get(id(found.condition)), own.get(id(found.null_condition)), found.extra, found.null_extra
        )

    def _places(self) -> dict[str, Any]:
        """Arguments of `encode_prompt`: version 3 has three encoders, XL two, and the first versions one."""
        first = next(iter(self.encoders.values()), None)
        device = self.device if first is None else next(first.parameters()).device
        more = {"prompt_2": None, "prompt_3": None} if self.family == "StableDiffusion3Pipeline" else {}
        return {**more, "device": device}

    def _told(self, pooled: Tensor) -> dict[str, Any]:
        """Extra inputs: XL's pooled embedding and image sizes (original, crop, target); version 3's embedding."""
        if self.family == "StableDiffusion3Pipeline":
            return {"pooled_projections": pooled}
        if self.family != "StableDiffusionXLPipeline":
            return {}
        ids = torch.tensor([[*self.size, 0, 0, *self.size]], dtype=pooled.dtype, device=pooled.device)
        return {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": ids}}


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
