"""`tableapi run`: a Python program or a SQL script, in this process. May import click, cli.session and cli.report."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from tableapi.cli.report import cancel, progress, wait_for
from tableapi.cli.session import apply_session, run_script, session_arguments


@click.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@session_arguments
@click.argument("program", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(
    program: Path, arguments: tuple[str, ...], parallelism: int | None, settings: tuple[str, ...], mode: str | None
) -> None:
    """Run PROGRAM: Python (.py, ARGUMENTS are its own) or SQL (.sql).

    The options are the defaults of every environment that the program creates. Jobs that it has not waited for are waited for.
    """
    from tableapi.session import watch_jobs

    apply_session(parallelism, settings, mode)
    jobs = watch_jobs()
    with progress(jobs):
        try:
            if program.suffix.lower() == ".sql":
                run_script(program.read_text(), str(program), jobs)
            else:
                _run_python(program, arguments)
        except BaseException:
            cancel(jobs)
            raise
        wait_for(jobs)


def _run_python(program: Path, arguments: tuple[str, ...]) -> None:
    import runpy

    sys.argv = [str(program), *arguments]
    sys.path.insert(0, os.path.dirname(os.path.abspath(program)))
    try:
        runpy.run_path(str(program), run_name="__main__")
    except SystemExit as e:
        if e.code not in (None, 0):
            raise
