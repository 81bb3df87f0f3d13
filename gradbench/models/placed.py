"""Hooks that are incompatible with gradients: those that move weights between evaluations or cache outputs."""

from typing import Any

from torch import nn

from gradbench.checks import UsageError

HARMLESS = ("layerwise_casting", "peft_autocast_disable")


def refuse_moving(model: nn.Module, name: str = "the network") -> None:
    """`ValueError` if accelerate offloads the weights, or a hook of diffusers offloads them or caches outputs.

    Offloaded weights may be different or on another device when a step is repeated; a cache makes the network's output
    depend on the previous step. The casts of layer-wise storage are harmless.
    """
    for path, module in model.named_modules():
        where = f"{name}{'.' if path else ''}{path}"
        if _offloads(getattr(module, "_hf_hook", None)):
            raise UsageError(
                f"{where} is offloaded by accelerate, and its weights are elsewhere when a step is repeated: "
                "call pipe.remove_all_hooks() and pipe.to(device)"
            )
        hooks = getattr(getattr(module, "_diffusers_hook", None), "hooks", {})
        kept = [key for key in hooks if key not in HARMLESS]
        if kept:
            raise UsageError(
                f"{where} has the hook {kept[0]!r} of diffusers, which moves its weights or caches its outputs: "
                "disable it (disable_cache, no group offloading)"
            )


def _offloads(hook: Any) -> bool:
    if hook is None:
        return False
    if any(_offloads(inner) for inner in getattr(hook, "hooks", ())):
        return True
    return bool(getattr(hook, "offload", False)) or "Offload" in type(hook).__name__
