"""The classic silently lost gradient: a trainable tensor that the network reads and `wrt` does not name."""

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


def _tensors(denoiser: Denoiser) -> Iterator[tuple[str, Tensor]]:
    yield from denoiser.named_parameters()
    yield from denoiser.named_buffers()
    for prefix, module in denoiser.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                yield f"{prefix}.{name}".lstrip("."), value
