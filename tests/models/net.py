"""A tiny network, how its own pipeline calls it, and the inputs that several of them take."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch

from tests.models import tiny


def made(name, **config):
    return tiny.awakened(tiny.seeded(getattr(diffusers, name), **config)).double().requires_grad_(False)


@dataclass(frozen=True)
class Net:
    """shape: of x without the batch. text: (tokens, width) of the condition. extra: further inputs, with a batch axis
    except for `shared`. time: from the scheduler's timestep, as in its pipeline. sign: of its output.
    """

    config: dict[str, Any]
    shape: tuple[int, ...]
    text: tuple[int, int] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    time: Callable[[Any], Any] = lambda t: t
    sign: int = 1
    flow: bool = True
    sample: str = "hidden_states"
    tolerance: float = 1e-6
    frames: int = 1  # of a network that reads a condition for each


def normal(*shape, seed=5):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ids(tokens, axes=3):
    found = torch.zeros(tokens, axes, dtype=torch.float64)
    found[:, 1] = torch.arange(tokens) % 4
    found[:, 2] = torch.arange(tokens) // 4
    return found


def rotary(tokens, width):
    angles = torch.arange(tokens)[:, None] * torch.linspace(1, 0.1, width)[None]
    return angles.cos().double(), angles.sin().double()


def whole(*shape):
    return torch.ones(shape, dtype=torch.long)


HEADS = {"attention_head_dim": 8, "num_attention_heads": 2}
JOINT = {**HEADS, "joint_attention_dim": 16}
