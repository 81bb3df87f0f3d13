"""The command line: the verbs, and how their errors are reported."""

import sys
import traceback

import click

from gradbench.checks import UsageError
from gradbench.commands.advise import advise
from gradbench.commands.check import check
from gradbench.commands.compare import compare
from gradbench.commands.completion import completion
from gradbench.commands.env import env
from gradbench.commands.figures import figures
from gradbench.commands.list import list_
from gradbench.commands.merge import merge
from gradbench.commands.predict import predict
from gradbench.commands.reference import reference
from gradbench.commands.report import report
from gradbench.commands.run import run
from gradbench.commands.show import show
from gradbench.commands.status import status
from gradbench.exits import Exit

VERBS = (run, predict, advise, list_, show, env, status, merge, compare, reference, check, report, figures, completion)
ISSUES = "https://github.com/gradbench/diffusion-gradbench/issues"


@click.group(
    invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="diffusion-gradbench", prog_name="gradbench")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Measure which estimator of the gradient through a diffusion sampler to use."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for verb in VERBS:
    cli.add_command(verb)


def main() -> None:
    """Runs the command line; wrong usage is one line on stderr and exit code 2, a bug is a traceback and 70.

    Modules in the current folder can be imported, as with `python -m gradbench`.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        code = cli.main(prog_name="gradbench", standalone_mode=False)
    except click.ClickException as error:
        _say(error.format_message())
        sys.exit(Exit.USAGE)
    except UsageError as error:
        _say(str(error))
        sys.exit(Exit.USAGE)
    except OSError as error:
        _say(f"{error.filename or 'a file'}: {error.strerror or error}")
        sys.exit(Exit.SYSTEM)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(Exit.INTERRUPTED)
    except Exception as error:
        traceback.print_exc()
        _say(f"internal error, {type(error).__name__}: {error}; please report it at {ISSUES}")
        sys.exit(Exit.BUG)
    sys.exit(code if isinstance(code, int) else Exit.OK)


def _say(message: str) -> None:
    print(f"gradbench: {' '.join(message.split())}", file=sys.stderr)
