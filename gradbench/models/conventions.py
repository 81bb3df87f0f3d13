"""The inputs of each diffusers network class and the meaning of its output, as in its own pipeline.

The entries follow the pipelines of diffusers 0.42.1, and each is tested against the loop of its pipeline. For any other
class the user must state the convention: it cannot be guessed, and a wrong one silently gives a wrong sample.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

from gradbench.data import Json
from gradbench.diffusion.told import Told


@dataclass(frozen=True)
class Convention:
    """How a network class is called and how its output is read.

    told: the form of the time input. sign: of the predicted flow. width: the configuration's key for the condition's
    width. channels: the axis of x with `in_channels`, None if x has none. shared: arguments without a batch axis.
    rescale: how the pipeline rescales a guided prediction. per_frame: the axis of the frames, if the condition is
    repeated for each frame. cast: whether the time is cast to the network's precision.
    """

    told: Told = "index"
    sign: int = 1
    width: str = ""
    channels: int | None = 1
    shared: tuple[str, ...] = ()
    rescale: float | str = 0.0
    per_frame: int | None = None
    cast: bool = False


FRAMES_FIRST = 2  # (b, frames, c, h, w)
PACKED = -1  # (b, tokens, c)
IDS = ("img_ids", "txt_ids")
ROTARY = ("image_rotary_emb",)

CONVENTIONS: dict[str, Convention] = {
    "UNet1DModel": Convention(channels=None),
    "UNet2DModel": Convention(),
    "UNet2DConditionModel": Convention(width="cross_attention_dim"),
    "UNet3DConditionModel": Convention(width="cross_attention_dim"),
    "UNetMotionModel": Convention(width="cross_attention_dim", per_frame=2),
    "UNetSpatioTemporalConditionModel": Convention("log(sigma)/4", width="cross_attention_dim", channels=FRAMES_FIRST),
    "AllegroTransformer3DModel": Convention(width="caption_channels", shared=ROTARY),
    "AuraFlowTransformer2DModel": Convention("t", width="joint_attention_dim"),
    "ChromaTransformer2DModel": Convention("t", width="joint_attention_dim", channels=PACKED, shared=IDS),
    "CogVideoXTransformer3DModel": Convention(width="text_embed_dim", channels=FRAMES_FIRST, shared=ROTARY),
    "CogView3PlusTransformer2DModel": Convention(width="text_embed_dim"),
    "CogView4Transformer2DModel": Convention(width="text_embed_dim", shared=ROTARY),
    "DiTTransformer2DModel": Convention(),
    "FluxTransformer2DModel": Convention("t", width="joint_attention_dim", channels=PACKED, shared=IDS),
    "Flux2Transformer2DModel": Convention("t", width="joint_attention_dim", channels=PACKED),
    "HunyuanDiT2DModel": Convention(width="cross_attention_dim", shared=ROTARY, cast=True),
    "HunyuanVideoTransformer3DModel": Convention(width="text_embed_dim"),
    "LatteTransformer3DModel": Convention(width="caption_channels"),
    "LTXVideoTransformer3DModel": Convention(width="caption_channels", channels=PACKED),
    "Lumina2Transformer2DModel": Convention("1 - t", sign=-1, width="cap_feat_dim", rescale="norm"),
    "LuminaNextDiT2DModel": Convention("1 - t", sign=-1, width="cross_attention_dim", shared=ROTARY),
    "PixArtTransformer2DModel": Convention(width="caption_channels"),
    "PRXTransformer2DModel": Convention("t", width="context_in_dim"),
    "QwenImageTransformer2DModel": Convention("t", width="joint_attention_dim", channels=PACKED, rescale="norm"),
    "SanaTransformer2DModel": Convention(width="caption_channels"),
    "SD3Transformer2DModel": Convention(width="joint_attention_dim"),
    "SkyReelsV2Transformer3DModel": Convention(width="text_dim"),
    "WanTransformer3DModel": Convention(width="text_dim"),
    "ZImageTransformer2DModel": Convention("1 - t", sign=-1, width="cap_feat_dim"),
}


def unwrapped(model: Any) -> Any:
    """The network inside torch.compile's and peft's wrappers, to read its configuration and arguments."""
    while True:
        if "_orig_mod" in getattr(model, "_modules", {}):
            model = model._orig_mod
        elif any(kind.__name__ == "PeftModel" for kind in type(model).__mro__):
            model = model.get_base_model()
        else:
            return model


def convention_of(model: nn.Module) -> Convention | None:
    """The convention of the class of `model` or of its nearest base class of diffusers; None if that is not known."""
    kinds = type(unwrapped(model)).__mro__
    nearest = next((kind for kind in kinds if kind.__name__ in CONVENTIONS or _of_diffusers(kind)), None)
    return None if nearest is None else CONVENTIONS.get(nearest.__name__)


def is_own(model: nn.Module) -> bool:
    """Whether the class of `model` is the user's: it derives from no network class of diffusers."""
    return not any(map(_of_diffusers, type(unwrapped(model)).__mro__))


def _of_diffusers(kind: type) -> bool:
    return kind.__module__.startswith("diffusers.models.")


def config_of(model: Any) -> Json:
    """The configuration of the network inside all wrappers, empty if it has none."""
    config: Any = getattr(unwrapped(model), "config", None)
    return {str(key): config[key] for key in config} if hasattr(config, "keys") else {}
