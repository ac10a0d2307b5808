"""Runs texts through the front end, each within a time limit, and collects what went wrong."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from tableapi.errors import TableApiError
from tests.sql.helpers import catalog

SECONDS_PER_TEXT = 10.0


class TooSlow(Exception):
    """A text took longer than it may."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TooSlow in the body when it takes longer (CPU time, so that a busy machine does not matter)."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"more than {seconds} s of CPU time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def failure(step: Callable[[str], object], text: str, accepted: tuple[type[Exception], ...] = (TableApiError,)) -> str | None:
    """What the step raised besides the accepted errors; None: nothing."""
    try:
        with time_limit(SECONDS_PER_TEXT):
            step(text)
    except accepted:
        return None
    except Exception as error:  # noqa: BLE001 - whatever else comes is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:200]} ({last.filename.rpartition('/')[2]}:{last.lineno})"
    return None


def failures(step: Callable[[str], object], numbered: Iterable[tuple[int, str]], most: int = 20) -> list[str]:
    """The first `most` failures as `seed: what: text`."""
    found: list[str] = []
    for seed, text in numbered:
        what = failure(step, text)
        if what is not None:
            found.append(f"{seed}: {what}: {text[:300]!r}")
            if len(found) == most:
                break
    return found


def front_end(definitions: Iterable[str] = ()) -> Callable[[str], object]:
    """Parses and binds a text against a catalog, which is the same every time so that no text can change another's outcome.

    `definitions` are statements that may define further tables and views.
    """
    known = catalog()
    for statement in definitions:
        if statement.lstrip().upper().startswith("CREATE"):
            with suppress(TableApiError):
                known.run(statement)
    tables = dict(known.tables)

    def step(text: str) -> object:
        known.tables = dict(tables)
        return known.parse(text)

    return step
