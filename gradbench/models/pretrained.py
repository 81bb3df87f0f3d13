"""Stable Diffusion from a folder or a hub, in safetensors only, with early checks for errors that would show late."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gradbench.checks import UsageError
from gradbench.models import skeleton
from gradbench.models.stable_diffusion import Architecture, assembled, check_counts


def load_pipeline(source: str, architecture: Architecture | None = None) -> Any:
    """The `StableDiffusionPipeline` from a folder written by `save_pretrained`, or from a hub id.

    Only safetensors are read, because a pickle can run code. Parts that gradients do not need (safety checker, feature
    extractor) are left out. Inside `skeleton`, only the networks' configurations are read. With HF_HUB_OFFLINE=1
    nothing is fetched. Raises a one-line `ValueError` for unreadable sources (a missing folder, file or shard, or only
    pickles); for network classes other than Stable Diffusion's; for missing, unexpected, misshapen or non-finite
    weights; and for networks whose sizes differ from a given `architecture`.
    """
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import CLIPTextModel

    refuse_missing_folder(source)
    classes = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
    networks = {name: _load(made, source, name) for name, made in classes.items()}
    if architecture is not None:
        check_counts(networks, architecture, repr(source))
    return assembled(networks, _tokenizer(source), _scheduler(source))


def refuse_missing_folder(source: str) -> None:
    """`ValueError` for a path that is no folder."""
    if source.startswith(("/", ".", "~")) and not Path(source).expanduser().is_dir():
        raise UsageError(f"weights {source!r} are not a folder; allowed: one that save_pretrained wrote, or a hub id")


def _load(made: Any, source: str, name: str) -> Any:
    """One network, checked."""
    config = _config(made, source, name)
    written = config.get("_class_name") or next(iter(config.get("architectures") or []), made.__name__)
    if written != made.__name__:
        raise UsageError(f"weights {source!r} hold a {written} as {name}, not a {made.__name__}")
    if skeleton.in_skeleton():
        with skeleton.device():
            network = made.from_config(config) if hasattr(made, "from_config") else made(made.config_class(**config))
        return network.eval().requires_grad_(False)
    _refuse_missing_files(Path(source) / name)
    try:
        network, info = made.from_pretrained(source, subfolder=name, use_safetensors=True, output_loading_info=True)
    except Exception as error:
        raise UsageError(f"weights {source!r} cannot be read: {name}: {_line(error)}") from None
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        found = [str(key) for key in _keys(info, problem)]
        if found:
            kind = problem.replace("_", " ")
            raise UsageError(f"weights {source!r} do not fit their {name}: {len(found)} {kind}, as {found[0]:.80}")
    broken = [key for key, tensor in network.state_dict().items() if not _finite(tensor)]
    if broken:
        raise UsageError(f"weights {source!r} are not finite: {len(broken)} tensors of {name}, as {broken[0]}")
    return network.eval().requires_grad_(False)


def _config(made: Any, source: str, name: str) -> dict[str, Any]:
    """The configuration as written; `ValueError` if there is none."""
    try:
        if hasattr(made, "load_config"):
            return dict(made.load_config(source, subfolder=name))
        found, _ = made.config_class.get_config_dict(source, subfolder=name)
        if not found:
            raise OSError(f"no {name}/config.json")
        return dict(found)
    except Exception as error:
        raise UsageError(f"weights {source!r} cannot be read: {name}: {_line(error)}") from None


def _refuse_missing_files(folder: Path) -> None:
    """`ValueError` for a folder with only pickles, and for a missing shard named in the index."""
    if not folder.is_dir():
        return
    files = sorted(path.name for path in folder.iterdir())
    pickles = [name for name in files if name.endswith((".bin", ".pt", ".pth", ".ckpt"))]
    if pickles and not any(name.endswith(".safetensors") for name in files):
        raise UsageError(f"weights {str(folder)!r} are pickles ({pickles[0]}), which run code: convert to safetensors")
    for index in folder.glob("*.safetensors.index.json"):
        try:
            named = set(json.loads(index.read_text())["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsageError(f"weights {str(index)!r} are not an index of shards") from None
        missing = sorted(named - set(files))
        if missing:
            raise UsageError(f"weights {str(folder)!r} lack {len(missing)} of {len(named)} shards, as {missing[0]}")


def _keys(info: Mapping[str, Any], problem: str) -> list[Any]:
    """The keys except old checkpoints' position_ids, which transformers reports as unexpected but are not weights."""
    return [key for key in info.get(problem) or () if not str(key).endswith("position_ids")]


def _finite(tensor: torch.Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _tokenizer(source: str) -> Any:
    from transformers import CLIPTokenizer

    try:
        found = CLIPTokenizer.from_pretrained(source, subfolder="tokenizer")
    except Exception as error:
        raise UsageError(f"weights {source!r} cannot be read: tokenizer: {_line(error)}") from None
    if found.vocab_size <= len(found.all_special_ids):  # what transformers returns for a missing folder
        raise UsageError(f"weights {source!r} cannot be read: tokenizer: it has no words")
    return found


def _scheduler(source: str) -> Any:
    """The scheduler, read as DDIM's: alphas are the same for every kind, and the samplers here read nothing else."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    try:
        return DDIMScheduler.from_pretrained(source, subfolder="scheduler")
    except Exception as error:
        raise UsageError(f"weights {source!r} cannot be read: scheduler: {_line(error)}") from None


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
