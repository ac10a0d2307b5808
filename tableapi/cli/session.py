"""Options that `run` and `sql` share, and the carrying out of a script of statements.

May import tableapi's front door (environment, sql, session) inside functions, and click.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tableapi.errors import Location, OptionError, TableApiError

if TYPE_CHECKING:
    from tableapi.environment import TableEnvironment
    from tableapi.runtime.execute import Execution

F = TypeVar("F", bound=Callable[..., Any])


def session_arguments(command: F) -> F:
    """Adds `--parallelism`, `-D` and `--mode` to a command."""
    for option in (
        click.option(
            "--mode", type=click.Choice(["batch", "streaming"]), help="Run once over bounded inputs, or incrementally."
        ),
        click.option("-D", "settings", multiple=True, metavar="KEY=VALUE", help="Set a configuration key; may be repeated."),
        click.option("--parallelism", type=click.IntRange(1, 1024), help="Number of workers of a streaming job."),
    ):
        command = option(command)
    return command


def apply_session(parallelism: int | None, settings: tuple[str, ...], mode: str | None) -> None:
    """Makes the options those of every environment that is created from now on.

    Raises:
        OptionError: A key is misspelt, or a value is not of its type.
    """
    from tableapi.config import Configuration
    from tableapi.session import set_session_options

    options: dict[str, str] = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not key:
            raise OptionError(f"-D {setting}: a key and a value are needed", fix="-D pipeline.name=report")
        options[key.strip()] = value.strip()
    if parallelism is not None:
        options["parallelism.default"] = str(parallelism)
    if mode is not None:
        options["execution.runtime-mode"] = mode.upper()
    set_session_options(Configuration.from_dict(options).to_dict())


def run_script(text: str, file: str, jobs: list[Execution]) -> None:
    """Carries out the statements of a script one after the other, and prints their results.

    A statement that writes a table is waited for, unless the script has set 'table.dml-sync' to 'false' itself: then its
    jobs run side by side to the end.

    Args:
        file: Name of the script in messages.
        jobs: Where started jobs are noted (see `session.watch_jobs`).
    """
    from tableapi import EnvironmentSettings, TableEnvironment
    from tableapi.cli.report import is_engine
    from tableapi.sql import split_statements

    env = TableEnvironment.create(EnvironmentSettings.new_instance().build())
    place = 0
    try:
        for statement in split_statements(text):
            place = text.index(statement, place)
            before = text[:place]
            # Blank lines in front keep the places in messages those of the script.
            padding = "\n" * before.count("\n") + " " * (place - before.rfind("\n") - 1)
            _run_statement(env, padding + statement, jobs)
            place += len(statement)
    except TableApiError as e:
        if e.where is not None and e.where.source is not None:
            e.where = replace(e.where, file=file)
        elif e.where is None or is_engine(e.where.file):
            e.where = Location(file, text.count("\n", 0, place) + 1)
        raise


def _run_statement(env: TableEnvironment, text: str, jobs: list[Execution]) -> None:
    from tableapi.cli.report import wait_for
    from tableapi.sql import parse_one
    from tableapi.sql import statements as s
    from tableapi.statement_execution import execute_statement

    statement = parse_one(text, env._catalog, env._context())
    if isinstance(statement, s.SetOption | s.ResetOption):
        _configure(env, statement)
        return
    result = execute_statement(env, statement)
    if isinstance(statement, s.Insert | s.StatementSet):
        if env.get_config().get("table.dml-sync", None) != "false":
            started = list(jobs)
            wait_for(started)
            jobs[:] = [j for j in jobs if j not in started]
        return
    if not _is_quiet(result):
        result.print()


def _is_quiet(result: Any) -> bool:
    from tableapi.result import ResultKind

    return bool(result.get_result_kind() == ResultKind.SUCCESS)


def _configure(env: TableEnvironment, statement: Any) -> None:
    from tableapi.sql import statements as s

    configuration = env.get_config().get_configuration()
    if isinstance(statement, s.SetOption):
        if statement.key is None:
            for key, value in sorted(configuration.to_dict().items()):
                click.echo(f"'{key}' = '{value}'")
        elif statement.key == "execution.runtime-mode":
            raise OptionError("'execution.runtime-mode' cannot be changed inside a script", fix="use the option --mode")
        else:
            env.get_config().set(statement.key, statement.value or "")
    elif statement.key is None:
        for key in configuration.key_set():
            configuration.remove_config(key)
    else:
        configuration.remove_config(statement.key)
