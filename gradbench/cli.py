"""The command line: thin, and without torch except in the processes that measure."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gradbench.checks import DTYPES
from gradbench.commands.completion import SHELLS, listed, names, paths, selectors, words

USAGE, INTERRUPTED = 2, 130
TARGETS, REFERENCES = ("x_T", "condition", "parameters"), ("flow", "sampler", "expected")
KINDS = ("cases", "estimators", "samplers", "objectives", "suites")
CARDS = ("16GB", "24GB", "40GB", "80GB", "141GB")


def main() -> None:
    """Runs the command line; wrong usage is one line on stderr and exit code 2.

    Modules of one's own are found in the current folder, as `python -m gradbench` finds them.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        code = cli.main(prog_name="gradbench", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message())
    except ValueError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}")
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> None:
    print(f"gradbench: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(USAGE)


@click.group(
    invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="diffusion-gradbench", prog_name="gradbench")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Which estimator of the gradient through a diffusion sampler to use, measured."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


_json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


def _selector(*names_: str, help: str) -> Any:
    """A repeatable option that takes selectors, completed out of its catalogue, the last of `names_`."""
    complete = selectors(names_[-1], *(["all"] if names_[-1] == "estimators" else []))
    return click.option(*names_, multiple=True, metavar="SELECTOR", shell_complete=complete, help=help)


def _cases_option(function: Any) -> Any:
    def added(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            from gradbench.problems.folders import add_folder

            add_folder(value)

    return click.option(
        "--cases",
        "case_folder",
        callback=added,
        expose_value=False,
        is_eager=True,
        metavar="DIR",
        shell_complete=paths("dir"),
        help="A folder of your own cases, and of modules that selectors may name.",
    )(function)


def _word(name: str, *among: str, help: str = "", metavar: str = "NAME", **more: Any) -> Any:
    """An option that takes one of some words, or is helped by them; `also` is its name in code."""
    other = [more.pop("also")] if "also" in more else []
    told = help or f"{', '.join(among[:-1])} or {among[-1]}."
    shown = {"show_default": True} if "default" in more else {}
    return click.option(name, *other, metavar=metavar, shell_complete=words(*among), help=told, **shown, **more)


def _path(name: str, kind: str = "dir", help: str = "", metavar: str = "DIR", **more: Any) -> Any:
    """An option that takes a folder, or a file, which the shell looks for."""
    other = [more.pop("also")] if "also" in more else []
    return click.option(name, *other, metavar=metavar, shell_complete=paths(kind), help=help, **more)


_CELLS = (
    _selector("-c", "--case", "cases", help="gaussian[dim=32]; repeatable."),
    _selector("-e", "--estimator", "estimators", help="adjoint-dpm[rule=rk4], module:Class; all for every one."),
    _selector("--sampler", "samplers", help="rk4[chart=noise,grid=uniform-t], module:Class."),
    click.option("--steps", multiple=True, type=int, metavar="N", help="Steps of the sampler; repeatable."),
    _word("--target", *TARGETS, also="targets", multiple=True),
    _word("--dtype", *DTYPES),
    _path("--weights", metavar="PATH_OR_HUB_ID", help="Weights of cases that load some (sd15), safetensors."),
)


def _suite_option(help: str) -> Any:
    return click.option("--suite", metavar="NAME", shell_complete=names("suites"), help=help)


_RUNS = (
    _suite_option("A suite; the other options replace parts of it."),
    *_CELLS,
    click.option("--seeds", metavar="RANGE", help="0-4 or 0,3."),
    click.option("--replicates", type=int, metavar="N", help="Processes a cell."),
    _word("--device", "cpu", "cuda"),
)


def _with(options: Sequence[Any]) -> Any:
    """A decorator that adds the options in their order."""

    def add(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return add


@cli.command()
@_with(_RUNS)
@_path("--out", default="runs/latest", show_default=True, help="Where rows and report go.")
@click.option("-j", "--jobs", default=1, show_default=True, metavar="N", help="Cells at a time.")
@_word("--engine", "local", "inline", default="local", help="local, or inline to debug.")
@_word("--timeout", "90s", "10m", "1h", default="10m", metavar="TIME", help="A cell's limit: 90, 90s, 10m, 1h.")
@_word("--budget", "90s", "7m", "2h", metavar="TIME", help="Start no cell that is predicted to end after that: 7m.")
@_word(
    "--memory", "500MB", "4GiB", metavar="SIZE", help="A cell's limit of host memory over the idle worker: 4GiB, 500MB."
)
@click.option("--threads", type=int, metavar="N", help="Threads of a worker; by default 1, all for full-size networks.")
@_word("--rerun", "missing", "failed", "all", default="missing", metavar="WHAT")
@click.option("--pdb", is_flag=True, help="Run inline and stop in the debugger where a cell fails.")
@click.option("--dry-run", is_flag=True, help="Show the plan, run nothing.")
@_json_option
@_cases_option
def run(**options: Any) -> int:
    """Measure cells and write rows, a table, rows.parquet and report.html.

    Without a suite, case, sampler or estimator it measures the suite smoke, and says so.
    """
    from gradbench.commands.run import run_command

    return run_command(options, " ".join(["gradbench", *sys.argv[1:]]))


_anew_option = click.option("--anew", is_flag=True, help="Predict, even what a published or kept prediction tells.")


@cli.command()
@_suite_option("A suite whose cells to predict; the other options replace parts of it.")
@_with(_CELLS)
@_anew_option
@_json_option
@_cases_option
def predict(as_json: bool, anew: bool, suite: str | None, **options: Any) -> int:
    """Predict peak memory from shapes alone, without running, and the cards that hold each estimator."""
    from gradbench.bench.selection import block_of, with_weights
    from gradbench.bench.suite import Block, load_suite
    from gradbench.commands.predict import predict_command

    if not options["cases"] and suite is None:
        raise ValueError("predict needs a case, -c sd15, -c digits ..., or a suite, --suite gpu")
    default = Block([], ["ddim"], ["backprop", "checkpoint"], steps=[50])
    blocks = [default] if suite is None else load_suite(suite).blocks
    given = block_of(options)
    return predict_command(with_weights([b.override(given) for b in blocks], options["weights"]), as_json, anew)


@cli.command()
@_with(_CELLS)
@_word("--memory", *CARDS, metavar="SIZE", help="A card, 24GB, or a size, 10GiB; without it anything fits.")
@_word("--reference", "sampler", "flow", default="sampler")
@click.option("--max-error", type=float, metavar="E", help="The relative error that is small enough.")
@click.option(
    "--rows", multiple=True, metavar="DIR", type=click.Path(exists=True, path_type=Path), help="Further rows."
)
@_word("--device", "cpu", "cuda", help="Whose rows are of this problem: cpu or cuda.")
@_anew_option
@_json_option
@_cases_option
def advise(
    memory: str | None,
    reference: str,
    max_error: float | None,
    rows: tuple[Path, ...],
    anew: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Tell which estimator to use for a task, from rows and predictions, and how sure that is."""
    from gradbench.commands.advise import advise_command

    if not options["cases"]:
        raise ValueError("advise needs a case: -c sd15, -c digits ...")
    return advise_command(options, memory, reference, max_error, rows, as_json, anew)


@cli.command("list")
@click.argument(
    "kind",
    default="estimators",
    metavar=f"[{'|'.join(KINDS)}]",
    shell_complete=words(*KINDS),
)
@_json_option
@_cases_option
def list_(kind: str, as_json: bool) -> None:
    """List cases, estimators, samplers, objectives or suites."""
    from gradbench.commands.show import list_command

    list_command(kind, as_json)


@cli.command()
@click.argument("name", metavar="NAME", shell_complete=selectors(*KINDS))
@_json_option
@_cases_option
def show(name: str, as_json: bool) -> None:
    """Show one case, estimator, sampler, objective or suite: its source, its options and what each of them takes.

    NAME may be module:Class for code of your own.
    """
    from gradbench.commands.show import show_command

    show_command(name, as_json)


@cli.command()
@_json_option
def env(as_json: bool) -> None:
    """Show what a row would record of this machine."""
    from gradbench.commands.show import env_command

    env_command(as_json)


@cli.command()
@click.argument("folder", default="runs/latest", type=click.Path(path_type=Path))
@_json_option
def status(folder: Path, as_json: bool) -> None:
    """Tell what of a plan, or of published rows, is done, failed, missing or stale, and what to type."""
    from gradbench.commands.status import status_command

    status_command(folder, as_json)


@cli.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The joined folder.")
@_json_option
def merge(folders: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Join the rows of several folders, of one machine or many."""
    from gradbench.commands.status import merge_command

    merge_command(list(folders), out, as_json)


@cli.command()
@click.argument("sides", nargs=-1, type=click.Path(path_type=Path), metavar="BASE NEW")
@click.option("--ab", nargs=2, metavar="REV_A REV_B", help="Measure two git revisions in turns and compare them.")
@_with(_RUNS)
@_path("--cases", also="case_folder", help="With --ab, a folder of cases in either revision.")
@_word("--metric", "status", "gradient", "nfe", "memory", "time", also="metrics", multiple=True)
@click.option("--factor", default=1.10, show_default=True, metavar="X", help="Slowdowns below it are none.")
@_word("--format", "text", "markdown", "json", default="text")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@_path("--out", "file", metavar="PATH", help="The file of the verdict; with --ab the folder of the rows, runs/ab.")
@click.option("--refresh", is_flag=True, help="Then write NEW as a baseline over BASE; exit code 0.")
def compare(sides: tuple[Path, ...], **options: Any) -> int:
    """Compare two runs, or a run with a baseline: right, as accurate, as fast, as small?

    BASE and NEW are folders that `run --out` wrote or files of rows, .jsonl or .parquet. Exit code 1 for a regression,
    4 where nothing can be compared, with --ab 125 where a revision cannot run.
    """
    from gradbench.commands.compare import compare_command

    return compare_command(sides, options)


@cli.command()
@click.argument("names", nargs=-1, metavar="[CASE]...", shell_complete=names("cases"))
@click.option("--verify", is_flag=True, help="Make every reference in two ways; exit code 1 where they disagree.")
@click.option("--write", is_flag=True, help="Store the references of the cases' default problems after that.")
@_json_option
@_cases_option
def reference(names: tuple[str, ...], verify: bool, write: bool, as_json: bool) -> int:
    """Verify the exact references of all cases, or of those named."""
    if not (verify or write):
        raise ValueError("reference needs --verify, --write or both")
    from gradbench.commands.reference import reference_command

    return reference_command(list(names), write, as_json)


@cli.command()
@click.argument(
    "estimators", nargs=-1, required=True, metavar="ESTIMATOR...", shell_complete=selectors("estimators", "all")
)
@click.option(
    "-k",
    "--check",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=names("checks"),
    help="One of the checks; repeatable.",
)
@_json_option
def check(estimators: tuple[str, ...], names: tuple[str, ...], as_json: bool) -> int:
    """Check that estimators keep their contract: selectors, module:Class, or all; exit code 1 where one fails."""
    from gradbench.commands.check import check_command

    return check_command(estimators, names, as_json)


@cli.command()
@click.argument("source", metavar="FOLDER", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="The page's own place.")
@_json_option
def report(source: Path, out: Path | None, as_json: bool) -> None:
    """Build report.html of a run, or of published rows, again: FOLDER/report.html, or FILE."""
    from gradbench.commands.run import report_command

    report_command(source, out, as_json)


@cli.command()
@click.argument("rows", default="runs/latest", metavar="[FOLDER|ROWS.PARQUET]", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where they go; FOLDER/figures by default.")
@click.option(
    "--format",
    "formats",
    default="pdf,svg,png",
    show_default=True,
    metavar="LIST",
    shell_complete=listed("pdf", "svg", "png"),
    help="Of pdf, svg, png.",
)
@click.option("--only", multiple=True, metavar="NAME", help="One figure; repeatable.", shell_complete=names("figures"))
@click.option("-c", "--case", "cases", multiple=True, metavar="NAME", help="Repeatable.", shell_complete=names("cases"))
@click.option("--sampler", "samplers", multiple=True, metavar="NAME", shell_complete=names("samplers"))
@_selector("-e", "--estimator", "estimators", help="adjoint-dpm[rule=rk4]; repeatable.")
@_word("--target", *TARGETS)
@_word("--reference", *REFERENCES)
@click.option("--max-error", type=float, metavar="E", help="The error at which profiles compare.")
@click.option("--all", "every", is_flag=True, help="Every case with every sampler, not the most measured one a case.")
@_json_option
def figures(**options: Any) -> int:
    """Draw the figures of rows for print: PDF, SVG, PNG, and a CSV beside each."""
    from gradbench.commands.figures import figures_command

    return figures_command(options)


@cli.command()
@click.argument("shell", metavar=f"[{'|'.join(SHELLS)}]", shell_complete=words(*SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of a shell: source <(gradbench completion bash)."""
    from gradbench.commands.completion import script

    click.echo(script(cli, shell))
