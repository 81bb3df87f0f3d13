"""Pages that MkDocs generates: one per estimator, as each catalogue line has its page, and one of all samplers."""

import importlib
import inspect
from typing import Any

import facts
import rooms
from mkdocs.structure.files import File
from words import docstring, options, parts, promises, refusals, table, word

from gradbench.bench.columns import TABLE
from gradbench.entry import Entry
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.samplers.base import Rule
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.samplers.spec import sampler_spec

TRAITS = "[property tests](../guide/property_tests.md#what-an-estimator-declares)"
CHARTS = "[chart](theory/charts.md)"


def on_config(config: Any) -> None:
    """Puts the pages of the estimators into their section."""
    (section,) = (part["Estimators"] for part in config["nav"] if isinstance(part, dict) and "Estimators" in part)
    section += [f"estimators/{name}.md" for name in ESTIMATORS]


def on_files(files: Any, config: Any) -> None:
    """Adds the pages."""
    for place, text in pages().items():
        files.append(File.generated(config, place, content=text))


def pages() -> dict[str, str]:
    """Every page by its place."""
    own = {f"estimators/{entry.name}.md": estimator(entry) for entry in ESTIMATORS.values()}
    made = {"estimators/index.md": estimators(), "samplers.md": samplers(), "reference/columns.md": columns()}
    return {**made, **own}


def on_page_markdown(markdown: str, **given: Any) -> str:
    """The drawing of the rooms in its place."""
    return markdown.replace("<!-- rooms -->", rooms.drawing()) if "<!-- rooms -->" in markdown else markdown


def columns() -> str:
    """The page of all columns of a row."""
    heads = ("column", "type", "in parquet", "unit", "meaning", "since schema")
    rows = [
        [f"`{c.name}`" + (" *" if c.identity else ""), c.type.json, c.type.parquet, c.unit, c.meaning, c.since]
        for c in TABLE
    ]
    return (
        "# Columns\n\nThe columns of a row, one row per cell and replicate. Those marked * are the cell's identity, "
        "which `cell_id` hashes. A column that is not known is null. T is `x_T`, `condition` or `parameters`.\n\n"
        + table(heads, rows)
    )


def estimators() -> str:
    """The page of all estimators."""
    marks = ("exact", "order", "memory", "draws", "biased")
    rows = []
    for entry in ESTIMATORS.values():
        known = entry.declared({})
        told = [word(known[key]) if known.get(key) else "" for key in marks]
        rows.append([f"[`{entry.name}`]({entry.name}.md)", entry.summary, *told])
    return (
        "# Estimators\n\nEvery estimator, what it is, and what it promises with its default options. Each has a page "
        f"with source, options and refusals; the words of the columns are those of {TRAITS}.\n\n"
        + table(("estimator", "what it is", *marks), rows)
    )


def estimator(entry: Entry) -> str:
    """The page of one estimator."""
    needs = f" Needs {', '.join(entry.requires)}." if entry.requires else ""
    return f"""# {entry.name}

What `{entry.name}` takes, promises and refuses.

**{entry.summary}.** Source: {entry.citation}. Code: `{entry.factory}`.{needs}

{docstring(entry.load())}

{parts(entry)}## Options

{options(entry)}
## Promises

What `gradbench check {entry.name}` holds it to, see {TRAITS}.

{promises(entry)}
## Refusals

Asked of it under every sampler with default options; a run records such a cell as skipped, with the reason.

{refusals(entry)}"""


def samplers() -> str:
    """The page of all samplers: a table, a section each, and the formulas of their rules."""
    made = {name: sampler_spec(name) for name in SAMPLERS}
    heads = ("sampler", "chart", "order", "evaluations per step", "noise", "reversible")
    rows = [
        [f"[`{name}`](#{slug(name)})", spec.chart, entry.traits.order, entry.traits.stages]
        + ["yes" if mark else "" for mark in (spec.traits.stochastic, entry.traits.reversible)]
        for name, entry in SAMPLERS.items()
        for spec in [made[name]]
    ]
    text = "# Samplers\n\nEvery sampler with its source, options and formula. A sampler is a " + CHARTS
    text += ", a rule and a grid; `grid=none` takes the grid of the case.\n\n" + table(heads, rows)
    for name, entry in SAMPLERS.items():
        why = [f"{place or 'on scaled-linear'}: {reason}" for reason, place in facts.sampler_refusals(entry).items()]
        text += f"\n## `{name}` {{ #{slug(name)} }}\n\n{entry.summary[0].upper()}{entry.summary[1:]}.\n\n"
        text += f"Source: {entry.citation}. Chart: {made[name].chart}. Rule: `{made[name].rule}`, "
        text += f"of [{type(made[name].rule).__name__}](#rule-{slug(type(made[name].rule).__name__)}).\n\n"
        text += options(entry) + ("\nRefused:\n\n" + "".join(f"- {line}.\n" for line in why) if why else "")
    return text + rules(sorted({entry.factory.partition(":")[0] for entry in SAMPLERS.values()}))


def rules(modules: list[str]) -> str:
    """The formulas: docstrings of the modules and of the rule classes in them."""
    text = (
        "\n## Rules\n\nThe formulas, as the code states them: y = x/kappa and the clock tau are those of the chart.\n"
    )
    for module in map(importlib.import_module, modules):
        kind = module.__name__.rpartition(".")[2].replace("_", "-").capitalize()
        text += f"\n### {kind}\n\n{inspect.getdoc(module)}\n"
        for name, rule in vars(module).items():
            if isinstance(rule, type) and issubclass(rule, Rule) and rule.__module__ == module.__name__:
                text += f"\n#### {name} {{ #rule-{slug(name)} }}\n\n{docstring(rule)}\n"
    return text


def slug(name: str) -> str:
    """A name as an anchor."""
    return name.lower().replace("++", "pp")
