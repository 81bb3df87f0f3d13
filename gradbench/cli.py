"""The command line: thin, and without torch except in the processes that measure."""

import sys
from pathlib import Path
from typing import Any

import click

USAGE, INTERRUPTED = 2, 130


def main() -> None:
    """Runs the command line; wrong usage is one line on stderr and exit code 2."""
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


SELECTION = (
    click.option("--suite", metavar="NAME", help="A suite; the options below replace parts of it."),
    click.option("-c", "--case", "cases", multiple=True, metavar="SELECTOR", help="gaussian[dim=32]; repeatable."),
    click.option("-e", "--estimator", "estimators", multiple=True, metavar="SELECTOR", help="adjoint-dpm[rule=rk4]."),
    click.option("--sampler", "samplers", multiple=True, metavar="SELECTOR", help="rk4[chart=noise,grid=uniform-t]."),
    click.option("--steps", multiple=True, type=int, metavar="N", help="Steps of the sampler; repeatable."),
    click.option(
        "--target", "targets", multiple=True, metavar="NAME", help="x_T, condition or parameters; repeatable."
    ),
    click.option("--seeds", metavar="RANGE", help="0-4 or 0,3."),
    click.option("--replicates", type=int, metavar="N", help="Processes a cell."),
    click.option("--device", metavar="NAME", help="cpu or cuda."),
    click.option("--dtype", metavar="NAME", help="float64, float32, bfloat16 or float16."),
)


def _selection(function: Any) -> Any:
    """The options that select cells."""
    for option in reversed(SELECTION):
        function = option(function)
    return function


@cli.command()
@_selection
@click.option("--out", default="runs/latest", show_default=True, metavar="DIR", help="Where rows and report go.")
@click.option("-j", "--jobs", default=1, show_default=True, metavar="N", help="Cells at a time.")
@click.option("--engine", default="local", show_default=True, metavar="NAME", help="local, or inline to debug.")
@click.option("--timeout", default="10m", show_default=True, metavar="TIME", help="A cell's limit: 90, 90s, 10m, 1h.")
@click.option("--memory", metavar="SIZE", help="A cell's limit of host memory over the idle worker: 4GiB, 500MB.")
@click.option("--threads", default=1, show_default=True, metavar="N", help="Threads of a worker.")
@click.option("--rerun", default="missing", show_default=True, metavar="WHAT", help="missing, failed or all.")
@click.option("--pdb", is_flag=True, help="Run inline and stop in the debugger where a cell fails.")
@click.option("--dry-run", is_flag=True, help="Show the plan, run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@_cases_option
def run(**options: Any) -> int:
    """Measure cells and write rows, a table, rows.parquet and report.html."""
    from gradbench.bench.commands import run_command

    return run_command(options, " ".join(["gradbench", *sys.argv[1:]]))


@cli.command("list")
@click.argument("kind", default="estimators", metavar="[cases|estimators|samplers|suites]")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@_cases_option
def list_(kind: str, as_json: bool) -> None:
    """List cases, estimators, samplers or suites."""
    from gradbench.bench.commands import list_command

    list_command(kind, as_json)


@cli.command()
@click.argument("name")
@_cases_option
def show(name: str) -> None:
    """Show one case, estimator, sampler or suite, with its options and its source."""
    from gradbench.bench.commands import show_command

    show_command(name)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def env(as_json: bool) -> None:
    """Show what a row would record of this machine."""
    from gradbench.bench.commands import env_command

    env_command(as_json)


@cli.command()
@click.argument("folder", default="runs/latest", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def status(folder: Path, as_json: bool) -> None:
    """Tell what of a plan is done, failed, missing or stale, and what to type."""
    from gradbench.bench.status import status_command

    status_command(folder, as_json)


@cli.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The joined folder.")
def merge(folders: tuple[Path, ...], out: Path) -> None:
    """Join the rows of several folders, of one machine or many."""
    from gradbench.bench.status import merge_command

    merge_command(list(folders), out)


@cli.command()
@click.argument("sides", nargs=-1, type=click.Path(path_type=Path), metavar="BASE NEW")
@click.option("--ab", nargs=2, metavar="REV_A REV_B", help="Measure two git revisions in turns and compare them.")
@_selection
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
@click.argument("names", nargs=-1, metavar="[CASE]...")
@click.option("--verify", is_flag=True, help="Make every reference in two ways; exit code 1 where they disagree.")
@click.option("--write", is_flag=True, help="Store the references of the cases' default problems after that.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@_cases_option
def reference(names: tuple[str, ...], verify: bool, write: bool, as_json: bool) -> int:
    """Verify the exact references of all cases, or of those named."""
    if not (verify or write):
        raise ValueError("reference needs --verify, --write or both")
    from gradbench.bench.reference import reference_command

    return reference_command(list(names), write, as_json)


@cli.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def report(folder: Path) -> None:
    """Build rows.parquet and report.html of a folder of rows again."""
    from gradbench.bench.commands import write_outputs
    from gradbench.bench.store import Store

    rows = Store(folder).rows()
    if not rows:
        raise ValueError(f"no rows in {str(folder)!r}: a folder that `gradbench run --out` wrote has rows-*.jsonl")
    write_outputs(rows, folder, "")
