"""The verb `completion`: the script with which a shell completes the command line."""

import click
from click import Command
from click.shell_completion import get_completion_class

from gradbench.commands.options import OneOf

SHELLS = ("bash", "zsh", "fish")
# bash breaks words at = and :, which selectors contain, and would put a space after an open bracket: click's script,
# with the whole word taken from the line, and the part that bash already has cut off again
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
    """The script for `source <(gradbench completion bash)`; one of `SHELLS`."""
    found = get_completion_class(shell)
    assert found is not None  # click knows all of SHELLS
    made = found(command, {}, "gradbench", "_GRADBENCH_COMPLETE")
    # click's script for fish cuts a word at its first comma
    template = BASH if shell == "bash" else made.source_template.replace('string split ","', 'string split -m 1 ","')
    made.source_template = template  # type: ignore[misc]
    return made.source()


@click.command()
@click.argument("shell", metavar=f"[{'|'.join(SHELLS)}]", type=OneOf(*SHELLS, called="shell"))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell: source <(gradbench completion bash)."""
    click.echo(script(ctx.find_root().command, shell))
