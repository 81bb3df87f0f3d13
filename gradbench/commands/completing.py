"""Shell completion: names from the catalogues, and the contents of their brackets. No torch."""

from collections.abc import Callable, Iterator

from click import Context, Parameter
from click.shell_completion import CompletionItem

from gradbench import checks
from gradbench.checks import UsageError

Complete = Callable[[Context, Parameter, str], list[CompletionItem]]


def names(*kinds: str) -> Complete:
    """Completes an option or argument with names of these kinds, and their summaries if the shell shows them."""

    def complete(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
        entries = (entry for kind in kinds for entry in _entries(kind))
        return [CompletionItem(name, help=summary) for name, summary in entries if name.startswith(incomplete)]

    return complete


def _entries(kind: str) -> list[tuple[str, str]]:
    from gradbench.bench.inventory import entries

    if kind == "figures":
        from gradbench.report.static.catalogue import FIGURES

        return [(figure.name, figure.summary) for figure in FIGURES.values()]
    if kind == "checks":
        from gradbench.testing.catalogue import CHECKS

        return [(check.name, check.summary) for check in CHECKS.values()]
    if kind == "all":
        return [("all", "every one of gradbench's own")]
    return [(entry["name"], entry["summary"]) for entry in entries(kind)]


def selectors(*kinds: str) -> Complete:
    """Completes names and, inside brackets, options and their values: `rk4[ch`, `rk4[chart=no`, `rk4[chart=[data,`.

    A complete value is offered with its closing `]`, and with a comma for another option.
    """
    whole = names(*kinds)

    def complete(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
        if "[" not in incomplete:
            return whole(ctx, parameter, incomplete)
        try:
            return list(_inside(incomplete))
        except ValueError:  # an unknown name, nothing to offer
            return []

    return complete


def _inside(incomplete: str) -> Iterator[CompletionItem]:
    """The possible continuations of an open bracket."""
    from gradbench.bench.inventory import takes
    from gradbench.selector import parse

    name, _, body = incomplete.partition("[")
    found, pieces = takes(name), _pieces(body)
    head, item = incomplete[: len(incomplete) - len(pieces[-1])], pieces[-1]
    used = [piece.partition("=")[0] for piece in pieces[:-1]]
    key, equals, value = item.partition("=")
    if not equals:
        for option, allowed in found.items():
            if option.startswith(key) and option not in used:
                yield CompletionItem(f"{head}{option}=", help=str(allowed) or None)
        return
    values = found[checks.one_of("option", key, found)].values
    typed = value
    if value.startswith("["):
        *_, typed = _pieces(value[1:])
    elif value in values or values == () and value and parse(f"{name}[{key}={value}]"):
        yield CompletionItem(incomplete + "]")
        if len(used) + 1 < len(found):
            yield CompletionItem(incomplete + ",")
    for word in values:
        if word.startswith(typed) and (word != typed or value.startswith("[")):
            yield CompletionItem(incomplete[: len(incomplete) - len(typed)] + word)


def _pieces(body: str) -> list[str]:
    """The parts between top-level commas; the last is the one being typed."""
    pieces, depth = [""], 0
    for mark in body:
        depth += (mark == "[") - (mark == "]")
        if depth < 0:
            raise UsageError("the bracket is closed")
        if mark == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += mark
    return pieces


def listed(*choices: str) -> Complete:
    """Completes the last word of a comma-separated list: `pdf,sv`."""

    def complete(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
        *before, last = incomplete.split(",")
        return [
            CompletionItem(",".join([*before, word]))
            for word in choices
            if word.startswith(last) and word not in before
        ]

    return complete


def paths(kind: str) -> Complete:
    """Completes with folders (`dir`) or files (`file`), found by the shell."""
    return lambda ctx, parameter, incomplete: [CompletionItem(incomplete, type=kind)]
