"""The verb `show`: everything known about a name, or about a selector with the options in its brackets."""

import json
from collections.abc import Mapping
from typing import Any

import click

from gradbench.allowed import Allowed
from gradbench.bench.inventory import LISTED, entry
from gradbench.commands.completing import selectors
from gradbench.commands.options import cases_option, json_option


@click.command()
@click.argument("name", metavar="NAME", shell_complete=selectors(*LISTED))
@json_option
@cases_option
def show(name: str, as_json: bool) -> None:
    """Show one case, estimator, sampler, objective or suite: its source, its options and their allowed values.

    NAME may be module:Class for your own code.
    """
    found = entry(name)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    if found["kind"] == "suite":
        print(found["text"], end="")
        return
    print("{kind} {name}: {summary}".format(**found))
    for key, value in list(found.items())[3:]:
        if key == "allowed":
            continue
        if key in ("options", "parameters"):
            _show_options(key, value, found["allowed"])
            continue
        if isinstance(value, dict):
            key, value = f"{key} (default)", ", ".join(f"{k}={_word(v)}" for k, v in value.items()) or "none"
        print(f"{key}: {value if isinstance(value, str) else ', '.join(map(str, value)) or 'none'}")


def _show_options(key: str, defaults: Mapping[str, Any], takes: Mapping[str, Any]) -> None:
    """One line per option: its default as a selector spells it, and its allowed values."""
    print(f"{key}, as a selector spells them, and what each takes:" if defaults else f"{key}: none")
    width = max((len(f"{name}={_word(value)}") for name, value in defaults.items()), default=0)
    for name, value in defaults.items():
        said = takes[name]
        text = said if isinstance(said, str) else str(Allowed(tuple(said)))
        print(f"  {f'{name}={_word(value)}':<{width}}  {text}".rstrip())


def _word(value: Any) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
