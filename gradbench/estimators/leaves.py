"""Gradients that would be lost in silence: of trainable tensors that `wrt` does not name, and of wrapped networks."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from gradbench.diffusion.denoiser import Denoiser


def refuse_unnamed(denoiser: Denoiser, wrt: Sequence[Tensor]) -> None:
    """`ValueError` naming the trainable tensors of the denoiser that are not in `wrt`; frozen ones are no matter.

    It looks at parameters, buffers and plain tensor attributes of the denoiser and its submodules.
    """
    named = {id(tensor) for tensor in wrt}
    lost = [name for name, tensor in _tensors(denoiser) if tensor.requires_grad and id(tensor) not in named]
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise ValueError(
            f"the network reads {len(lost)} trainable tensors that wrt does not name ({', '.join(lost[:3])}{more}): "
            "name them in wrt, or freeze them with requires_grad_(False)"
        )


SHARDED = "FSDP is not supported: what wrt names are shards, and what the network reads are others"
WRAPPERS = {
    "FullyShardedDataParallel": SHARDED,
    "FSDPModule": SHARDED,
    "DistributedDataParallel": "wrap the module whose forward calls gradbench.sample in DDP, not the network in it",
}


def refuse_wrapped(denoiser: Denoiser) -> None:
    """`ValueError` where a network inside the denoiser is wrapped by torch.distributed.

    FSDP gathers parameters around each forward pass, so that the tensors in `wrt` are not those that the tape sees. DDP
    with a static graph counts on one forward pass before the backward pass, and here there are many in it.
    """
    for name, module in denoiser.named_modules():
        for kind in type(module).__mro__:
            if kind.__name__ in WRAPPERS:
                raise ValueError(f"{name or 'the denoiser'} is a {type(module).__name__}: {WRAPPERS[kind.__name__]}")


def _tensors(denoiser: Denoiser) -> Iterator[tuple[str, Tensor]]:
    yield from denoiser.named_parameters()
    yield from denoiser.named_buffers()
    for prefix, module in denoiser.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                yield f"{prefix}.{name}".lstrip("."), value
