"""Shared by the verbs: types of values, and groups of options."""

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click
from click.shell_completion import CompletionItem

from gradbench import checks
from gradbench.bench.quantities import parse_bytes, parse_seconds, parse_seeds
from gradbench.bench.selection import Selection
from gradbench.commands.completing import names as names_of
from gradbench.commands.completing import paths, selectors
from gradbench.problems.spec import TARGETS

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class OneOf(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]  only in click 8.5
    """One of several words. called: its name in error messages, by default the option."""

    name = "word"

    def __init__(self, *among: str, called: str = "") -> None:
        self.among, self.called = among, called

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word itself; `UsageError` with those allowed."""
        return checks.one_of(self.called or (param.opts[0] if param else "value"), value, self.among)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The words with this beginning."""
        return [CompletionItem(word) for word in self.among if word.startswith(incomplete)]


class Parsed(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """A value parsed from a text by a function.

    parse: (text, option) -> value, or `UsageError`. examples: words for completion.
    """

    name = "text"

    def __init__(self, parse: Callable[[str, str], Any], *examples: str) -> None:
        self.parse, self.examples = parse, examples

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value; anything but a text is already a value."""
        return self.parse(value, param.opts[0] if param else "value") if isinstance(value, str) else value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The examples with this beginning."""
        return [CompletionItem(word) for word in self.examples if word.startswith(incomplete)]


DURATION = Parsed(parse_seconds, "90s", "10m", "1h")
SIZE = Parsed(parse_bytes, "500MB", "4GiB")
SEEDS = Parsed(parse_seeds)
DEVICE = Parsed(lambda text, option: checks.device_name(text), "cpu", "cuda")


def one_of(name: str, *among: str, help: str = "", called: str = "", **more: Any) -> Decorator:
    """An option that takes one of several words; `also` is its name in code."""
    other = [more.pop("also")] if "also" in more else []
    said = help or f"{', '.join(among[:-1])} or {among[-1]}."
    shown = {"show_default": True} if "default" in more else {}
    said_of: dict[str, Any] = {"metavar": "NAME", "help": said, **shown, **more}
    return click.option(name, *other, type=OneOf(*among, called=called), **said_of)


def selector(*names: str, help: str) -> Decorator:
    """A repeatable option that takes selectors, completed from its catalogue, the last of `names`."""
    complete = selectors(names[-1], *(["all"] if names[-1] == "estimators" else []))
    return click.option(*names, multiple=True, metavar="SELECTOR", shell_complete=complete, help=help)


def path(name: str, *other: str, kind: str = "dir", help: str = "", metavar: str = "DIR", **more: Any) -> Decorator:
    """An option that takes a folder, or a file, completed by the shell."""
    return click.option(name, *other, metavar=metavar, shell_complete=paths(kind), help=help, **more)


def group(*options: Decorator) -> Decorator:
    """A decorator that adds the options in their order."""
    return lambda function: functools.reduce(lambda made, option: option(made), reversed(options), function)


def suite_option(help: str) -> Decorator:
    """--suite."""
    return click.option("--suite", metavar="NAME", shell_complete=names_of("suites"), help=help)


def _add_cases(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        from gradbench.problems.folders import add_folder

        add_folder(value)


json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
cases_option = path(
    "--cases",
    "case_folder",
    callback=_add_cases,
    expose_value=False,
    is_eager=True,
    help="Folder of your own cases, and of modules for selectors.",
)
anew_option = click.option("--anew", is_flag=True, help="Predict again, ignoring published and kept predictions.")
CELLS = group(
    selector("-c", "--case", "cases", help="gaussian[dim=32]; repeatable."),
    selector("-e", "--estimator", "estimators", help="adjoint-dpm[rule=rk4], module:Class; all means every one."),
    selector("--sampler", "samplers", help="rk4[chart=noise,grid=uniform-t], module:Class."),
    click.option("--steps", multiple=True, type=int, metavar="N", help="Steps of the sampler; repeatable."),
    one_of("--target", *TARGETS, also="targets", multiple=True, called="target"),
    one_of("--dtype", *checks.DTYPES, called="dtype"),
    path("--weights", metavar="PATH_OR_HUB_ID", help="Weights for cases that load them (sd15), safetensors."),
)
RUNS = group(
    suite_option("A suite; other options replace parts of it."),
    CELLS,
    click.option("--seeds", type=SEEDS, default=(), metavar="RANGE", help="0-4 or 0,3."),
    click.option("--replicates", type=int, metavar="N", help="Processes per cell."),
    click.option("--device", type=DEVICE, metavar="NAME", help="cpu or cuda."),
)


def with_selection(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gathers the options of `CELLS` or `RUNS` into the argument `selection`."""
    names = [field.name for field in fields(Selection)]

    @functools.wraps(function)
    def gathered(**given: Any) -> Any:
        own = {name: given.pop(name) for name in names if name in given}
        return function(selection=Selection(**own), **given)

    return gathered
