"""Shell completion: names out of the catalogues, and the script that a shell reads. No torch."""

from collections.abc import Callable
from typing import Any

from click import Command, Context, Parameter
from click.shell_completion import CompletionItem, get_completion_class

from gradbench import checks

SHELLS = ("bash", "zsh", "fish")


def script(command: Command, shell: str) -> str:
    """What `source <(gradbench completion bash)` reads; `ValueError` for a shell that is unknown."""
    found = get_completion_class(checks.one_of("shell", shell, SHELLS))
    assert found is not None  # click knows all of SHELLS
    return found(command, {}, "gradbench", "_GRADBENCH_COMPLETE").source()


def names(*kinds: str) -> Callable[[Context, Parameter, str], list[CompletionItem]]:
    """Completes an option or argument by the names of the kinds, with their summaries where the shell shows them."""

    def complete(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
        entries = (entry for kind in kinds for entry in _entries(kind))
        return [CompletionItem(name, help=summary) for name, summary in entries if name.startswith(incomplete)]

    return complete


def _entries(kind: str) -> list[tuple[str, str]]:
    from gradbench.bench.describe import entries

    if kind == "figures":
        from gradbench.report.static.catalogue import KINDS

        return [(figure.name, figure.summary) for figure in KINDS.values()]
    return [(entry["name"], entry["summary"]) for entry in entries(kind)]


def words(*choices: Any) -> Callable[[Context, Parameter, str], list[str]]:
    """Completes by fixed words."""
    return lambda ctx, parameter, incomplete: [word for word in map(str, choices) if word.startswith(incomplete)]
