"""Waiting for new data without polling: inotify on Linux, a short sleep elsewhere.

Each append ends with a write to the partition's state page, so watching that file is enough. Imports nothing from the package.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import sys
import time
from collections.abc import Iterable
from functools import cache
from typing import Any

_IN_MODIFY = 0x2
_IN_MOVED_TO = 0x80
_IN_DELETE_SELF = 0x400
_POLL_S = 0.004


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


class Watcher:
    """Wakes up when one of some files is written to.

    Args:
        paths: Existing files or directories (of a directory: when a file is renamed into it).

    Where inotify is absent or exhausted, `fileno()` is None and `wait` sleeps for a few milliseconds.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._descriptor = -1
        if not sys.platform.startswith("linux"):
            return
        libc = _libc()
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            return
        for path in paths:
            mask = _IN_MODIFY | _IN_MOVED_TO | _IN_DELETE_SELF
            if libc.inotify_add_watch(self._descriptor, os.fsencode(path), mask) < 0:
                self.close()
                return

    def fileno(self) -> int | None:
        """A descriptor that is readable after a change, or None."""
        return self._descriptor if self._descriptor >= 0 else None

    def drain(self) -> None:
        """Forgets changes seen so far. To be called before looking for data, so that none is missed."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(BlockingIOError):
            while os.read(self._descriptor, 65536):
                pass

    def wait(self, timeout_s: float | None) -> None:
        """Returns after a change, after `timeout_s`, or now and then for no reason."""
        if self._descriptor < 0:
            time.sleep(_POLL_S if timeout_s is None else min(_POLL_S, max(timeout_s, 0.0)))
            return
        select.select([self._descriptor], [], [], timeout_s)

    def close(self) -> None:
        """Stops watching."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()
