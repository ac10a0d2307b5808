"""What a launcher sets for the programs that it runs, and the jobs that they start. Imports nothing at run time.

The command line uses this: options given there apply to every environment that the program creates, and the launcher waits for
jobs that the program has not waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tableapi.runtime.execute import Execution

_options: dict[str, str] = {}
_jobs: list[Execution] | None = None


def set_session_options(options: Mapping[str, str]) -> None:
    """Sets configuration that every environment created from now on starts with, over its own settings."""
    _options.clear()
    _options.update(options)


def session_options() -> dict[str, str]:
    """The configuration that environments start with."""
    return dict(_options)


def watch_jobs() -> list[Execution]:
    """From now on, the jobs that this process starts are appended to the returned list."""
    global _jobs
    _jobs = []
    return _jobs


def note_job(execution: Execution) -> None:
    """Called for each job that writes tables when it has been started."""
    if _jobs is not None:
        _jobs.append(execution)
