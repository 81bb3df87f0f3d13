"""Shell completion: names out of the catalogues, what stands in their brackets, and the script of a shell. No torch."""

from collections.abc import Callable, Iterator
from typing import Any

from click import Command, Context, Parameter
from click.shell_completion import CompletionItem, get_completion_class

from gradbench import checks

SHELLS = ("bash", "zsh", "fish")
Complete = Callable[[Context, Parameter, str], list[CompletionItem]]
# bash breaks words at = and :, which selectors hold, and would put a space behind an open bracket: click's script,
# with the word taken whole from the line, and what bash has of it already cut off again
BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' response completion type value
    local line="${COMP_LINE:0:COMP_POINT}" cword=$COMP_CWORD before=""
    if [[ -n $line ]]; then
        local words word="${line##*[[:space:]]}" current="${COMP_WORDS[COMP_CWORD]}"
        IFS=$' \\t\\n' read -ra words <<< "$line"
        cword=$(( ${#words[@]} - 1 ))
        [[ -z $word ]] && (( cword++ ))
        [[ $current == [=:] ]] && current=""
        before="${word%%"$current"}"
    else
        line="${COMP_WORDS[*]}"
    fi

    response=$(env COMP_WORDS="$line" COMP_CWORD=$cword %(complete_var)s=bash_complete $1)

    for completion in $response; do
        IFS=',' read type value <<< "$completion"

        if [[ $type == 'dir' ]]; then
            COMPREPLY=()
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            COMPREPLY=()
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=("${value#"$before"}")
        fi
    done
    if [[ ${#COMPREPLY[@]} -eq 1 && $value == *\\[* && $value != *\\] ]]; then
        compopt -o nospace 2> /dev/null
    fi

    return 0
}

%(complete_func)s_setup() {
    complete -o nosort -F %(complete_func)s %(prog_name)s
}

%(complete_func)s_setup;
"""


def script(command: Command, shell: str) -> str:
    """What `source <(gradbench completion bash)` reads; `ValueError` for a shell that is unknown."""
    found = get_completion_class(checks.one_of("shell", shell, SHELLS))
    assert found is not None  # click knows all of SHELLS
    made = found(command, {}, "gradbench", "_GRADBENCH_COMPLETE")
    # click's script for fish cuts a word at its first comma
    template = BASH if shell == "bash" else made.source_template.replace('string split ","', 'string split -m 1 ","')
    made.source_template = template  # type: ignore[misc]
    return made.source()


def names(*kinds: str) -> Complete:
    """Completes an option or argument by the names of the kinds, with their summaries where the shell shows them."""

    def complete(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
        entries = (entry for kind in kinds for entry in _entries(kind))
        return [CompletionItem(name, help=summary) for name, summary in entries if name.startswith(incomplete)]

    return complete


def _entries(kind: str) -> list[tuple[str, str]]:
    from gradbench.commands.show import entries

    if kind == "figures":
        from gradbench.report.static.catalogue import KINDS

        return [(figure.name, figure.summary) for figure in KINDS.values()]
    if kind == "checks":
        from gradbench.testing.catalogue import CHECKS

        return [(check.name, check.summary) for check in CHECKS.values()]
    if kind == "all":
        return [("all", "every one of gradbench's own")]
    return [(entry["name"], entry["summary"]) for entry in entries(kind)]


def selectors(*kinds: str) -> Complete:
    """Completes by names, inside brackets by options and their values: `rk4[ch`, `rk4[chart=no`, `rk4[chart=[data,`.

    A value that is whole is offered with what closes it, `]`, and with the comma before a further option.
    """
    whole = names(*kinds)

    def complete(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
        if "[" not in incomplete:
            return whole(ctx, parameter, incomplete)
        try:
            return list(_inside(incomplete))
        except ValueError:  # no such name, nothing to offer
            return []

    return complete


def _inside(incomplete: str) -> Iterator[CompletionItem]:
    """What may come next in an open bracket."""
    from gradbench.commands.show import takes
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
    """The parts between commas that stand in no bracket of their own; the last is the one being typed."""
    pieces, depth = [""], 0
    for mark in body:
        depth += (mark == "[") - (mark == "]")
        if depth < 0:
            raise ValueError("the bracket is closed")
        if mark == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += mark
    return pieces


def words(*choices: Any) -> Complete:
    """Completes by fixed words."""
    return lambda ctx, parameter, incomplete: [
        CompletionItem(word) for word in map(str, choices) if word.startswith(incomplete)
    ]


def listed(*choices: str) -> Complete:
    """Completes the last word of a list with commas: `pdf,sv`."""

    def complete(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
        *before, last = incomplete.split(",")
        return [
            CompletionItem(",".join([*before, word]))
            for word in choices
            if word.startswith(last) and word not in before
        ]

    return complete


def paths(kind: str) -> Complete:
    """Completes by folders (`dir`) or files (`file`), which the shell looks for."""
    return lambda ctx, parameter, incomplete: [CompletionItem(incomplete, type=kind)]
