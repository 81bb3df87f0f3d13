"""The command line: thin, and without torch except in the processes that measure."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gradbench.bench.completion import SHELLS, names, words

USAGE, INTERRUPTED = 2, 130
TARGETS, REFERENCES = ("x_T", "condition", "parameters"), ("flow", "sampler", "expected")


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
    """A repeatable option that takes selectors, completed by the names of its catalogue, the last of `names_`."""
    complete = names(names_[-1])
    return click.option(*names_, multiple=True, metavar="SELECTOR", shell_complete=complete, help=help)


def _cases_option(function: Any) -> Any:
    def added(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            from gradbench.bench.case import add_folder

            add_folder(value)

    return click.option(
        "--cases",
        "case_folder",
        callback=added,
        expose_value=False,
        is_eager=True,
        metavar="DIR",
        help="A folder of your own cases.",
    )(function)


_CELLS = (
    _selector("-c", "--case", "cases", help="gaussian[dim=32]; repeatable."),
    _selector("-e", "--estimator", "estimators", help="adjoint-dpm[rule=rk4]; all for every one."),
    _selector("--sampler", "samplers", help="rk4[chart=noise,grid=uniform-t]."),
    click.option("--steps", multiple=True, type=int, metavar="N", help="Steps of the sampler; repeatable."),
    click.option("--target", "targets", multiple=True, metavar="NAME", help="x_T, condition or parameters."),
    click.option("--dtype", metavar="NAME", help="float64, float32, bfloat16 or float16."),
    click.option("--weights", metavar="PATH_OR_HUB_ID", help="Weights of cases that load some (sd15), safetensors."),
)
_RUNS = (
    click.option(
        "--suite",
        metavar="NAME",
        shell_complete=names("suites"),
        help="A suite; the other options replace parts of it.",
    ),
    *_CELLS,
    click.option("--seeds", metavar="RANGE", help="0-4 or 0,3."),
    click.option("--replicates", type=int, metavar="N", help="Processes a cell."),
    click.option("--device", metavar="NAME", help="cpu or cuda."),
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
@click.option("--out", default="runs/latest", show_default=True, metavar="DIR", help="Where rows and report go.")
@click.option("-j", "--jobs", default=1, show_default=True, metavar="N", help="Cells at a time.")
@click.option("--engine", default="local", show_default=True, metavar="NAME", help="local, or inline to debug.")
@click.option("--timeout", default="10m", show_default=True, metavar="TIME", help="A cell's limit: 90, 90s, 10m, 1h.")
@click.option("--memory", metavar="SIZE", help="A cell's limit of host memory over the idle worker: 4GiB, 500MB.")
@click.option("--threads", type=int, metavar="N", help="Threads of a worker; by default 1, all for full-size networks.")
@click.option("--rerun", default="missing", show_default=True, metavar="WHAT", help="missing, failed or all.")
@click.option("--pdb", is_flag=True, help="Run inline and stop in the debugger where a cell fails.")
@click.option("--dry-run", is_flag=True, help="Show the plan, run nothing.")
@_json_option
@_cases_option
def run(**options: Any) -> int:
    """Measure cells and write rows, a table, rows.parquet and report.html."""
    from gradbench.bench.commands import run_command

    return run_command(options, " ".join(["gradbench", *sys.argv[1:]]))


_anew_option = click.option("--anew", is_flag=True, help="Predict, even what a published or kept prediction tells.")


@cli.command()
@_with(_CELLS)
@_anew_option
@_json_option
@_cases_option
def predict(as_json: bool, anew: bool, **options: Any) -> int:
    """Predict peak memory from shapes alone, without running, and the cards that hold each estimator."""
    from gradbench.bench.predictions import predict_command
    from gradbench.bench.selection import block_of, with_weights
    from gradbench.bench.suite import Block

    if not options["cases"]:
        raise ValueError("predict needs a case: -c sd15, -c digits ...")
    given = block_of(options)
    block = Block([], ["ddim"], ["backprop", "checkpoint"], steps=[50]).override(given)
    (block,) = with_weights([block], options["weights"])
    return predict_command(block, as_json, anew)


@cli.command()
@_with(_CELLS)
@click.option("--memory", metavar="SIZE", help="A card, 24GB, or a size, 10GiB; without it anything fits.")
@click.option("--reference", default="sampler", show_default=True, metavar="NAME", help="sampler or flow.")
@click.option("--max-error", type=float, metavar="E", help="The relative error that is small enough.")
@click.option(
    "--rows", multiple=True, metavar="DIR", type=click.Path(exists=True, path_type=Path), help="Further rows."
)
@click.option("--device", metavar="NAME", help="Whose rows are of this problem: cpu or cuda.")
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
    from gradbench.analysis.advice import advise_command

    if not options["cases"]:
        raise ValueError("advise needs a case: -c sd15, -c digits ...")
    return advise_command(options, memory, reference, max_error, rows, as_json, anew)


@cli.command("list")
@click.argument(
    "kind",
    default="estimators",
    metavar="[cases|estimators|samplers|suites]",
    shell_complete=words("cases", "estimators", "samplers", "suites"),
)
@_json_option
@_cases_option
def list_(kind: str, as_json: bool) -> None:
    """List cases, estimators, samplers or suites."""
    from gradbench.bench.describe import list_command

    list_command(kind, as_json)


@cli.command()
@click.argument("name", shell_complete=names("cases", "estimators", "samplers", "suites"))
@_json_option
@_cases_option
def show(name: str, as_json: bool) -> None:
    """Show one case, estimator, sampler or suite, with its options and its source."""
    from gradbench.bench.describe import show_command

    show_command(name, as_json)


@cli.command()
@_json_option
def env(as_json: bool) -> None:
    """Show what a row would record of this machine."""
    from gradbench.bench.describe import env_command

    env_command(as_json)


@cli.command()
@click.argument("folder", default="runs/latest", type=click.Path(path_type=Path))
@_json_option
def status(folder: Path, as_json: bool) -> None:
    """Tell what of a plan is done, failed, missing or stale, and what to type."""
    from gradbench.bench.status import status_command

    status_command(folder, as_json)


@cli.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The joined folder.")
@_json_option
def merge(folders: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Join the rows of several folders, of one machine or many."""
    from gradbench.bench.status import merge_command

    merge_command(list(folders), out, as_json)


@cli.command()
@click.argument("sides", nargs=-1, type=click.Path(path_type=Path), metavar="BASE NEW")
@click.option("--ab", nargs=2, metavar="REV_A REV_B", help="Measure two git revisions in turns and compare them.")
@_with(_RUNS)
@click.option("--cases", "case_folder", metavar="DIR", help="With --ab, a folder of cases in either revision.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="status, gradient, nfe, memory or time.")
@click.option("--factor", default=1.10, show_default=True, metavar="X", help="Slowdowns below it are none.")
@click.option("--format", default="text", show_default=True, metavar="NAME", help="text, markdown or json.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--out", metavar="PATH", help="The file of the verdict; with --ab the folder of the rows, runs/ab.")
@click.option("--refresh", is_flag=True, help="Then write NEW as a baseline over BASE; exit code 0.")
def compare(sides: tuple[Path, ...], **options: Any) -> int:
    """Compare two runs, or a run with a baseline: right, as accurate, as fast, as small?

    BASE and NEW are folders that `run --out` wrote or files of rows, .jsonl or .parquet. Exit code 1 for a regression,
    4 where nothing can be compared, with --ab 125 where a revision cannot run.
    """
    from gradbench.bench.regression import compare_command

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
    from gradbench.bench.reference import reference_command

    return reference_command(list(names), write, as_json)


@cli.command()
@click.argument("estimators", nargs=-1, required=True, metavar="ESTIMATOR...")
@click.option("-k", "--check", "names", multiple=True, metavar="NAME", help="One of the checks; repeatable.")
@_json_option
def check(estimators: tuple[str, ...], names: tuple[str, ...], as_json: bool) -> int:
    """Check that estimators keep their contract: selectors, module:Class, or all; exit code 1 where one fails."""
    from gradbench.testing.command import check_command

    return check_command(estimators, names, as_json)


@cli.command()
@click.argument("source", metavar="FOLDER", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="The page's own place.")
@_json_option
def report(source: Path, out: Path | None, as_json: bool) -> None:
    """Build report.html of a run, or of published rows, again: FOLDER/report.html, or FILE."""
    from gradbench.bench.commands import report_command

    report_command(source, out, as_json)


@cli.command()
@click.argument("rows", default="runs/latest", metavar="[FOLDER|ROWS.PARQUET]", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where they go; FOLDER/figures by default.")
@click.option("--format", "formats", default="pdf,svg,png", show_default=True, metavar="LIST", help="Of pdf, svg, png.")
@click.option("--only", multiple=True, metavar="NAME", help="One figure; repeatable.", shell_complete=names("figures"))
@click.option("-c", "--case", "cases", multiple=True, metavar="NAME", help="Repeatable.", shell_complete=names("cases"))
@click.option("--sampler", "samplers", multiple=True, metavar="NAME", shell_complete=names("samplers"))
@_selector("-e", "--estimator", "estimators", help="adjoint-dpm[rule=rk4]; repeatable.")
@click.option("--target", metavar="NAME", help="x_T, condition or parameters.", shell_complete=words(*TARGETS))
@click.option("--reference", metavar="NAME", help="flow, sampler or expected.", shell_complete=words(*REFERENCES))
@click.option("--max-error", type=float, metavar="E", help="The error at which profiles compare.")
@click.option("--all", "every", is_flag=True, help="Every case with every sampler, not the most measured one a case.")
@_json_option
def figures(**options: Any) -> int:
    """Draw the figures of rows for print: PDF, SVG, PNG, and a CSV beside each."""
    from gradbench.report.static.command import figures_command

    return figures_command(options)


@cli.command()
@click.argument("shell", metavar=f"[{'|'.join(SHELLS)}]", shell_complete=words(*SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of a shell: source <(gradbench completion bash)."""
    from gradbench.bench.completion import script

    click.echo(script(cli, shell))
