"""What has to end before the interpreter does.

Threads of Polars that are inside Python when the interpreter leaves are ended by force, which aborts the process. A query that has its
rows (LIMIT) may still have a reader at work, and a result that was never closed has its query. Both are waited for at the exit.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from functools import cache
from typing import Protocol
from weakref import WeakSet

LONGEST_WAIT_S = 10.0
"""A reader that takes longer than this for one batch is not waited for."""

_LOOK_EVERY_S = 0.005

QUERY_THREAD = "tableapi-query"
"""How threads of queries are called."""


class Stoppable(Protocol):
    """A query in a thread of its own."""

    def stop(self) -> None:
        """Lets the query end soon."""
        ...


_running: WeakSet[Stoppable] = WeakSet()


def ends_before_exit(query: Stoppable) -> None:
    """Stops the query when the program ends, if it still runs then."""
    _watch()
    _running.add(query)


@cache
def _watch() -> None:
    atexit.register(_leave)


def _leave() -> None:
    for query in list(_running):
        query.stop()
    deadline = time.monotonic() + LONGEST_WAIT_S
    quiet = 0
    while quiet < 2 and time.monotonic() < deadline:
        # Once is not enough: a reader may be between two batches.
        quiet = quiet + 1 if not _is_python_elsewhere() else 0
        if quiet < 2:
            time.sleep(_LOOK_EVERY_S)


def _is_python_elsewhere() -> bool:
    """Whether a thread that is not Python's own, or that runs a query, is inside Python."""
    own = {t.ident for t in threading.enumerate() if not t.name.startswith(QUERY_THREAD)}
    return any(ident not in own for ident in sys._current_frames())
