"""The `tableapi` command. Owns the list of sub-commands; each one's module, and what it needs, is imported when it is called.

May import click, and errors only when there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click

_COMMANDS = {
    "run": ("tableapi.cli.run:run", "Run a program (.py) or a script of SQL statements (.sql)."),
    "sql": ("tableapi.cli.sql:sql", "Run SQL statements from a file or the command line and print their results."),
    "log": ("tableapi.cli.log:log_group", "Create, write, read and check event streams on files."),
    "demo": ("tableapi.cli.demo:demo", "Flights of a year as event streams: publish, run a continuous query, check it."),
    "version": ("tableapi.cli.version:version", "Show the versions of this package and of what it stands on."),
}


class _LazyGroup(click.Group):
    """A group that knows the names of its commands, but imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as e:
            from tableapi.errors import did_you_mean

            hint = did_you_mean(args[0], _COMMANDS)
            raise click.UsageError(f"{e.message.rstrip('.')}{'; ' + hint if hint else '.'}", ctx) from None


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--traceback", is_flag=True, help="On an error, show where in the engine it was raised.")
@click.pass_context
def cli(context: click.Context, traceback: bool) -> None:
    """Tables and SQL over files and event streams, as batch or as a continuous job.

    Exit codes: 0 done, 1 a job failed, 2 the program or its options are wrong, 130 interrupted.
    """
    context.obj = {"traceback": traceback}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and ends the process with the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(given, prog_name="tableapi", standalone_mode=False)
    except click.exceptions.Exit as e:
        code = e.exit_code
    except click.ClickException as e:
        e.show()
        code = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        code = 130
    except BrokenPipeError:
        # The reader of a pipe has gone: nobody is left to be told anything.
        code = 1
        sys.stderr.close()
    except Exception as e:  # noqa: BLE001 - the outermost place: every error is told to the user
        from tableapi.cli.report import report_error

        code = report_error(e, shows_traceback="--traceback" in given)
    sys.exit(code if isinstance(code, int) else 0)
