"""The verb `env`: what a row records about this machine."""

import json

import click

from gradbench.commands.options import json_option
from gradbench.problems.folders import folders


@click.command()
@json_option
def env(as_json: bool) -> None:
    """Show what a row records about this machine."""
    from gradbench.measure.environment import environment

    found = environment(tuple(folders()))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        if name == "versions":
            value = ", ".join(f"{k} {v}" for k, v in value.items() if v)
        print(f"{name}: {value}")
