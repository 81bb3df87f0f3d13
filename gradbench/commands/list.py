"""The verb `list`: one line per case, estimator, sampler, objective or suite."""

import json

import click

from gradbench.bench.inventory import LISTED, entries
from gradbench.commands.options import OneOf, cases_option, json_option

FROM = {"code": "the authors' code", "reimplementation": "reimplementations by others", "abstract": "its abstract only"}
"""Where a formula was read, unless in its paper."""


@click.command("list")
@click.argument("kind", default="estimators", metavar=f"[{'|'.join(LISTED)}]", type=OneOf(*LISTED, called="kind"))
@json_option
@cases_option
def list_(kind: str, as_json: bool) -> None:
    """List cases, estimators, samplers, objectives or suites."""
    found = entries(kind)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    width = max(len(entry["name"]) for entry in found)
    for entry in found:
        sure = f"; from {FROM[entry['confidence']]}" if entry.get("confidence") in FROM else ""
        print(
            f"{entry['name']:<{width}}  {entry['summary']}"
            + (f"  [{entry['source']}{sure}]" if entry["source"] else "")
        )
