"""`tableapi sql`: statements from a file or the command line. May import click, cli.session and cli.report."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tableapi.cli.report import cancel, progress, wait_for
from tableapi.cli.session import apply_session, run_script, session_arguments


@click.command("sql")
@session_arguments
@click.option(
    "-f",
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Script of statements; - is standard input.",
)
@click.option("-e", "--execute", "statement", help="Statements, separated by ';'.")
def sql(file: str | None, statement: str | None, parallelism: int | None, settings: tuple[str, ...], mode: str | None) -> None:
    """Run SQL statements, print results as tables, and wait for jobs that write."""
    from tableapi.session import watch_jobs

    if (file is None) == (statement is None):
        raise click.UsageError("give either -f FILE or -e STATEMENTS")
    if file == "-":
        text, name = sys.stdin.read(), "<stdin>"
    elif file is not None:
        text, name = Path(file).read_text(), file
    else:
        text, name = statement or "", "<command line>"
    apply_session(parallelism, settings, mode)
    jobs = watch_jobs()
    with progress(jobs):
        try:
            run_script(text, name, jobs)
        except BaseException:
            cancel(jobs)
            raise
        wait_for(jobs)
