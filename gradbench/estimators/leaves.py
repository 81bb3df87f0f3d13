"""The tensors of `wrt`, each once and by name, and the checks that no gradient is lost silently.

A gradient is lost if a trainable tensor is read but is not in `wrt`, if a tensor in `wrt` is never reached, or if the
network is wrapped so that it reads tensors other than those in `wrt`. What is read shows on the tape of an evaluation,
wherever the network has it from; what a denoiser visibly holds is searched before any work.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from gradbench.checks import UsageError
from gradbench.diffusion.denoiser import Denoiser
from gradbench.estimators.held import held_tensors

Wrt = Iterable[Tensor] | Mapping[str, Tensor] | Iterable[Mapping[str, Any]]  # the last: an optimizer's param_groups


class Leaves(tuple[Tensor, ...]):
    """The distinct tensors of `wrt` that require a gradient, in the order given.

    names: the name of each tensor, by its id. demanded: whether a leaf that the chain never reaches is an error.
    optional: ids of leaves for which it is none, the rows of single steps. public: whether they are those of
    `gradbench.sample`: then other trainable tensors on a tape are an error, and between the sample and its backward
    pass runs a program that may change what the network reads.
    """

    names: dict[int, str]
    demanded: bool
    optional: frozenset[int] = frozenset()
    public: bool = False

    @staticmethod
    def of(wrt: Iterable[Tensor], names: dict[int, str] | None = None, demanded: bool = False) -> "Leaves":
        """The leaves of `wrt`; a `wrt` that is already `Leaves` is returned unchanged."""
        if isinstance(wrt, Leaves):
            return wrt
        leaves = Leaves({id(leaf): leaf for leaf in wrt if leaf.requires_grad}.values())
        leaves.names, leaves.demanded = names or {}, demanded
        return leaves

    def name(self, leaf: Tensor) -> str:
        """The name and shape of a leaf, for messages."""
        place = next((k for k, own in enumerate(self) if own is leaf), None)
        return self.names.get(id(leaf), f"tensor {place} of wrt") + f" {tuple(leaf.shape)}"

    def refuse_unreached(self, unreached: Sequence[Tensor]) -> None:
        """`RuntimeError` naming the unreached leaves, if `demanded`."""
        unreached = [leaf for leaf in unreached if id(leaf) not in self.optional]
        if self.demanded and unreached:
            more = f" and {len(unreached) - 3} more" if len(unreached) > 3 else ""
            raise RuntimeError(
                f"wrt names {', '.join(map(self.name, unreached[:3]))}{more}, which the chain never reaches, so that "
                "there is no gradient: leave it out of wrt, or pass allow_unused=True"
            )

    def guarding(self, denoiser: Denoiser) -> AbstractContextManager[None]:
        """Context of a pass with tapes, with a `Guard`."""
        return denoiser.watches.by(Guard(self, denoiser))


class Guard:
    """A watch that searches the first evaluation on a tape for trainable tensors besides x and the leaves.

    `ValueError` for one, whose gradient would be lost, if the leaves are `public`.
    """

    def __init__(self, leaves: Leaves, denoiser: Denoiser) -> None:
        self._leaves, self._denoiser = leaves, denoiser
        self._looked = not leaves.public

    def __call__(self, x: Tensor, t: float, prediction: Any, value: Tensor) -> None:
        if self._looked or not value.requires_grad:
            return
        self._looked = True
        if lost := others_on(value, [x, *self._leaves]):
            names = {id(tensor): name for name, tensor in held_tensors(self._denoiser, wide=True)}
            raise UsageError(_lost([names.get(id(t), "a tensor") + f" {tuple(t.shape)}" for t in lost]))


def guarded(backward: Callable[[Any, Tensor], Any]) -> Callable[[Any, Tensor], Any]:
    """A backward pass with a `Guard`; its ctx has the leaves and the rollout."""

    @functools.wraps(backward)
    def under_guard(ctx: Any, cotangent: Tensor) -> Any:
        with ctx.leaves.guarding(ctx.rollout.denoiser):
            return backward(ctx, cotangent)

    return under_guard


def listed(wrt: Any) -> list[Tensor]:
    """The tensors of an iterable, of a mapping's values, or of an optimizer's `param_groups`.

    `ValueError` for anything else, such as a single tensor.
    """
    if isinstance(wrt, Mapping | nn.ParameterDict):
        wrt = [wrt] if isinstance(wrt.get("params"), list) else wrt.values()
    if isinstance(wrt, Tensor | str) or not isinstance(wrt, Iterable):
        raise UsageError(f"wrt must be a list of tensors, got {type(wrt).__name__}: write wrt=[tensor]")
    found = list[Any]()
    for entry in wrt:
        group = entry.get("params") if isinstance(entry, Mapping) else None
        found += group if isinstance(group, list) else [entry]
    for leaf in found:
        if not isinstance(leaf, Tensor):
            raise UsageError(
                f"wrt must be a list of tensors, got one with a {type(leaf).__name__} in it: "
                "write wrt=[*network.parameters(), condition]"
            )
    return found


def leaves_of(
    denoiser: Denoiser,
    wrt: Iterable[Tensor],
    others: Mapping[str, Any],
    allow_unused: bool,
    one_tape: bool,
    rows: Mapping[str, Tensor] | None = None,
) -> Leaves:
    """The `Leaves` of a chain, with the names of all tensors found; checked before any work is done.

    others: values that the chain reads besides its denoiser, by name. `ValueError` if the denoiser or the others hold
    trainable tensors that are not in `wrt`. Unless the chain has `one_tape`, also `ValueError` if a tensor of `wrt` is
    computed from another, whose gradient would then include the contribution of the first twice. rows: further leaves
    of the chain's own steps, by name.
    """
    wrt, rows = list(wrt), rows or {}
    _refuse_frozen(wrt)
    held = [*held_tensors(denoiser, others), *rows.items()]
    leaves = Leaves.of([*wrt, *rows.values()], {id(tensor): name for name, tensor in held}, demanded=not allow_unused)
    known = {id(leaf) for leaf in leaves}
    lost = [name for name, tensor in held if tensor.requires_grad and id(tensor) not in known]
    if lost:
        raise UsageError(_lost(lost))
    leaves.public = True
    leaves.optional = frozenset(map(id, rows.values()))
    plain = [leaf for leaf in leaves if id(leaf) not in leaves.optional]
    for leaf in () if one_tape else (*plain, *rows.values()):
        rest = [other for other in plain if other is not leaf]
        if leaf.grad_fn is not None and (found := reached(leaf.grad_fn, rest)):
            raise UsageError(
                f"wrt names {leaves.name(leaf)} and {leaves.name(found[0])}, from which it is computed: name the first "
                "only, and its gradient goes on to the other; or detach it"
            )
    return leaves


def _refuse_frozen(wrt: Sequence[Tensor]) -> None:
    """`ValueError` for a frozen tensor, which has no gradient; parameters may be frozen, as long as not all are."""
    frozen = [leaf for leaf in wrt if not leaf.requires_grad]
    if len(frozen) == len(wrt) and wrt:
        what = "a tensor that is" if len(wrt) == 1 else f"{len(wrt)} tensors that are all"
        raise UsageError(f"wrt names {what} frozen: call requires_grad_() on those whose gradient is wanted")
    for leaf in frozen:
        if not isinstance(leaf, nn.Parameter):
            place = next(k for k, own in enumerate(wrt) if own is leaf)
            raise UsageError(
                f"tensor {place} of wrt {tuple(leaf.shape)} is frozen: call requires_grad_() on it, or leave it out"
            )


def _lost(names: Sequence[str]) -> str:
    count = "a trainable tensor" if len(names) == 1 else f"{len(names)} trainable tensors"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"the network reads {count} that wrt does not name ({', '.join(names[:3])}{more}): "
        "name them in wrt, or freeze them with requires_grad_(False)"
    )


def others_on(output: Tensor, known: Sequence[Tensor]) -> list[Tensor]:
    """The leaves that the tape of `output` reaches, besides those that are `known` or from which these are computed.

    Those inside a reentrant torch.utils.checkpoint are not found.
    """
    own = {id(leaf) for leaf in known}
    ends = [leaf.grad_fn for leaf in known if leaf.grad_fn is not None]
    found = {id(leaf): leaf for node in _nodes(output.grad_fn, ends) if (leaf := _leaf(node)) is not None}
    return [leaf for key, leaf in found.items() if key not in own]


def reached(tape: Any, leaves: Sequence[Tensor]) -> list[Tensor]:
    """Those of `leaves` that a tape reaches, given by the grad_fn of its output.

    The walk stops once all are found. A tape cannot be followed past a reentrant torch.utils.checkpoint; there all
    leaves count as found.
    """
    waiting = {id(leaf): leaf for leaf in leaves}
    nodes = {leaf.grad_fn: leaf for leaf in leaves if leaf.grad_fn is not None}
    for node in _nodes(tape) if waiting else ():
        if type(node).__name__ == "CheckpointFunctionBackward":
            return list(leaves)
        waiting.pop(id(nodes.get(node, _leaf(node))), None)
        if not waiting:
            break
    return [leaf for leaf in leaves if id(leaf) not in waiting]


def _nodes(tape: Any, ends: Sequence[Any] = ()) -> Iterator[Any]:
    """The nodes of a tape, each once, from that of its output; not those at its `ends`, nor those before these."""
    seen, queue = set[Any]([None, *ends]), list[Any]([tape])
    while queue:
        node = queue.pop()
        if node not in seen:
            seen.add(node)
            yield node
            queue.extend(before for before, _ in node.next_functions)


def _leaf(node: Any) -> Tensor | None:
    """The leaf whose gradient a node accumulates, or None."""
    return getattr(node, "variable", None)


class Reach:
    """Tracks which leaves are reached by the field evaluations of a backward pass that another library runs."""

    def __init__(self, leaves: Leaves) -> None:
        self.leaves = leaves
        self.missing: list[Tensor] = list(leaves)

    def see(self, value: Tensor) -> None:
        """Call with every value of the field; values without a tape are ignored."""
        if self.missing and value.grad_fn is not None:
            found = {id(leaf) for leaf in reached(value.grad_fn, self.missing)}
            self.missing = [leaf for leaf in self.missing if id(leaf) not in found]

    def check(self) -> None:
        """Call at the end of the backward pass: `RuntimeError` for unreached leaves, if demanded."""
        self.leaves.refuse_unreached(self.missing)


class Demanded(torch.autograd.Function):
    """The identity on a sample and its grad_fn; the backward pass checks that the tape reaches every leaf.

    It returns a copy, as torch refuses to change in place a view that a function returns.
    """

    @staticmethod
    def forward(ctx: Any, x_0: Tensor, tape: Any, leaves: Leaves) -> Tensor:
        ctx.tape, ctx.leaves = tape, leaves
        return x_0.clone()

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        found = {id(leaf) for leaf in reached(ctx.tape, ctx.leaves)}
        ctx.leaves.refuse_unreached([leaf for leaf in ctx.leaves if id(leaf) not in found])
        return cotangent, None, None


SHARDED = "FSDP is not supported: the tensors in wrt are shards, not those that the network reads"
WRAPPERS = {
    "FullyShardedDataParallel": SHARDED,
    "FSDPModule": SHARDED,
    "DistributedDataParallel": "wrap the module whose forward calls gradbench.sample in DDP, not the network in it",
}


def refuse_wrapped(denoiser: Denoiser) -> None:
    """`ValueError` if a network inside the denoiser is wrapped by torch.distributed.

    FSDP gathers parameters around each forward pass, so the tensors in `wrt` are not those on the tape. DDP with a
    static graph expects one forward pass before the backward pass; here the backward pass itself contains many.
    """
    for name, module in denoiser.named_modules():
        for kind in type(module).__mro__:
            if kind.__name__ in WRAPPERS:
                raise UsageError(f"{name or 'the denoiser'} is a {type(module).__name__}: {WRAPPERS[kind.__name__]}")
