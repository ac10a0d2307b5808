"""How the command line tells of errors, of progress, and of what a job has done. May import errors, click and rich (lazily)."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from tableapi.errors import JobCancelledError, Location, TableApiError, UnsupportedError, ValidationError

if TYPE_CHECKING:
    from tableapi.runtime.execute import Execution, Summary

REFRESH_S = 0.2
QUIET_S = 0.5
"""Jobs shorter than this show no progress."""

_PACKAGE = Path(__file__).resolve().parent.parent
_ENGINE = (
    *(os.path.join(root, "") for n in ("", "runtime", "connectors") for root in (_PACKAGE / n, os.path.realpath(_PACKAGE / n))),
    "<frozen runpy>",
    os.path.join(os.path.dirname(os.__file__), "runpy.py"),
    os.path.join(os.path.dirname(click.__file__), ""),
)
"""Where frames of this package and of the launcher come from."""


def is_engine(file: str) -> bool:
    """Whether a source file is part of this package or of what launches programs, not of the user's program."""
    return file.startswith(_ENGINE)


def report_error(error: BaseException, *, shows_traceback: bool) -> int:
    """Writes an error to standard error, on one screen.

    Returns:
        The exit code: 1 a job or the program failed, 2 the program is wrong, 130 the job was stopped.
    """
    if isinstance(error, TableApiError):
        place = _user_place(error.__traceback__)
        if error.where is None or is_engine(error.where.file):
            error.where = place
        if shows_traceback:
            traceback.print_exception(error)
        click.secho("error: ", fg="red", bold=True, nl=False, err=True)
        click.echo(str(error), err=True)
        if error.where is not None and error.where.file == "<sql>" and place is not None:
            click.echo(f"  in: {place}", err=True)
        if isinstance(error, JobCancelledError):
            return 130
        return 2 if isinstance(error, ValidationError | UnsupportedError) else 1
    frames = traceback.TracebackException.from_exception(error)
    if not shows_traceback:
        kept = [f for f in frames.stack if not is_engine(f.filename)]
        frames.stack = traceback.StackSummary.from_list(kept)
    click.echo("".join(frames.format()).rstrip(), err=True)
    return 1


def _user_place(trace: TracebackType | None) -> Location | None:
    """The last line of the user's program on the way to an error."""
    places = [(f.f_code.co_filename, line) for f, line in traceback.walk_tb(trace)]
    own = [(file, line) for file, line in places if not file.startswith((*_ENGINE, "<")) and "site-packages" not in file]
    return Location(os.path.relpath(own[-1][0]), own[-1][1] or 0) if own else None


def summary_text(name: str, summary: Summary) -> str:
    """What a job did, on one line.

    >>> from types import SimpleNamespace
    >>> done = SimpleNamespace(rows_in=1200, rows_out=3, late_rows=2, late_max_ms=1500, duration_s=0.25)
    >>> summary_text("copy", done)
    'copy: 1,200 rows in, 3 rows out, 2 late rows left out (up to 1.5 s late), 0.2 s'
    """
    parts = [] if summary.rows_in is None else [f"{summary.rows_in:,} rows in"]
    parts.append(f"{summary.rows_out:,} rows out")
    if summary.late_rows:
        parts.append(f"{summary.late_rows:,} late rows left out (up to {summary.late_max_ms / 1000:g} s late)")
    return f"{name}: {', '.join(parts)}, {summary.duration_s:.1f} s"


def wait_for(jobs: Sequence[Execution]) -> None:
    """Waits for jobs, and says what each has done. An interrupt stops those that still run.

    Raises:
        TableApiError: A job failed.
    """
    failed: BaseException | None = None
    try:
        for job in jobs:
            try:
                while not job.wait(REFRESH_S):
                    pass
                _say(summary_text(f"job {job.job_id[:8]}", job.summary()))
            except TableApiError as e:
                failed = failed or e
    except KeyboardInterrupt:
        cancel(jobs)
        raise
    if failed is not None:
        raise failed


def cancel(jobs: Sequence[Execution]) -> None:
    """Stops those jobs that still run."""
    for job in jobs:
        if job.status() in ("CREATED", "RUNNING"):
            job.cancel()


@contextmanager
def progress(jobs: Sequence[Execution]) -> Iterator[None]:
    """On a terminal, keeps a line with the rows read and written so far by those of `jobs` (which may grow) that run."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_show, args=(jobs, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _show(jobs: Sequence[Execution], done: threading.Event) -> None:
    global _live
    if done.wait(QUIET_S):
        return
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

    spinner = Spinner("dots")
    # Output that goes to a file must not be drawn into what is shown here.
    live = Live(spinner, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty())
    try:
        while not done.wait(REFRESH_S):
            running = [j for j in list(jobs) if j.status() in ("CREATED", "RUNNING")]
            if running and _live is None:
                live.start()
                _live = live
            spinner.update(text="; ".join(summary_text(f"job {j.job_id[:8]}", j.summary()) for j in running) or "…")
    finally:
        if _live is not None:
            _live = None
            live.stop()


_live: Any = None
"""What is shown on the terminal now; lines are written above it."""


def _say(line: str) -> None:
    if _live is None:
        click.echo(line, err=True)
    else:
        _live.console.print(line, highlight=False, markup=False)
