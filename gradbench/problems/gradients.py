"""Gradients by target, and the distance between two of them."""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

Gradient = Tensor | tuple[Tensor, ...]  # a tuple for the parameters, one tensor for x_T and for the condition


class Gradients(dict[str, Gradient]):
    """Gradients of L by target, in the order x_T (b, *x), condition, parameters (a tuple); unknown ones are absent."""

    def tensors(self, target: str) -> tuple[Tensor, ...]:
        """The tensors of one target's gradient."""
        return tensors_of(self[target])

    def flat(self, target: str) -> Tensor:
        """One target's gradient as one float64 vector on the CPU."""
        return flatten(self[target])

    def norm(self, target: str) -> float:
        """The Euclidean norm of one target's gradient."""
        return self.flat(target).norm().item()

    def map(self, function: Callable[[Tensor], Tensor]) -> "Gradients":
        """function(tensor) in place of every tensor."""
        return Gradients(
            (target, tuple(map(function, gradient)) if isinstance(gradient, tuple) else function(gradient))
            for target, gradient in self.items()
        )

    def named(self, digits: int = 1) -> Iterator[tuple[str, Tensor]]:
        """Every tensor by its target, with an index of at least so many digits for parameters: `parameters.3`."""
        for target, gradient in self.items():
            if isinstance(gradient, tuple):
                yield from ((f"{target}.{place:0{digits}d}", part) for place, part in enumerate(gradient))
            else:
                yield target, gradient

    def plus(self, other: "Gradients") -> "Gradients":
        """The sum; a target that only one of the two has is as it is there."""
        found = Gradients({**self, **other})
        for target in self.keys() & other.keys():
            sums = tuple(a + b for a, b in zip(self.tensors(target), other.tensors(target), strict=True))
            found[target] = sums if isinstance(self[target], tuple) else sums[0]
        return found

    def disagreement(self, other: "Gradients") -> float:
        """The largest relative error of the other's gradients over this one's targets."""
        return max(relative_error(other[target], gradient) for target, gradient in self.items())

    @staticmethod
    def stacked(parts: Sequence["Gradients"], function: Callable[[Tensor], Tensor]) -> "Gradients":
        """function(stack) of every tensor, stacked over the parts along a new first dimension."""
        columns = {target: zip(*(part.tensors(target) for part in parts), strict=True) for target in parts[0]}
        found = {target: tuple(function(torch.stack(own)) for own in column) for target, column in columns.items()}
        return Gradients(
            (target, found[target] if isinstance(gradient, tuple) else found[target][0])
            for target, gradient in parts[0].items()
        )


def tensors_of(gradient: Gradient) -> tuple[Tensor, ...]:
    """The tensors of one gradient."""
    return gradient if isinstance(gradient, tuple) else (gradient,)


def flatten(gradient: Gradient) -> Tensor:
    """A gradient as one float64 vector on the CPU."""
    return torch.cat([part.detach().to("cpu", torch.float64).flatten() for part in tensors_of(gradient)])


def relative_error(got: Gradient, expected: Gradient) -> float:
    """|got - expected| / |expected| in the Euclidean norm; for a zero reference, 0 if got is zero and infinity if not.

    A gradient is one vector: the whole batch together, and for parameters all tensors together.
    """
    g, e = flatten(got), flatten(expected)
    distance, norm = (g - e).norm().item(), e.norm().item()
    return distance / norm if norm else (math.inf if distance else 0.0)
