"""What a process was doing when it died: a page of memory that it shares with its parent.

A worker process writes what user code it is about to run; its parent reads the page when the process is gone. In a process
that has no such page, writing costs nothing and does nothing. Imports nothing of ours.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PAGE_BYTES = 4096
_LENGTH = struct.Struct("<I")
_page: mmap.mmap | None = None


def attach(fd: int) -> None:
    """Makes this process write its last words to the page behind a descriptor, which it takes over."""
    global _page
    _page = mmap.mmap(fd, PAGE_BYTES)
    os.close(fd)


@contextmanager
def doing(describe: Callable[[], str]) -> Iterator[None]:
    """Notes for as long as the block runs what this process does. `describe` is called only where somebody may read it."""
    if _page is None:
        yield
        return
    text = describe().encode(errors="replace")[: PAGE_BYTES - _LENGTH.size]
    _page[_LENGTH.size : _LENGTH.size + len(text)] = text
    _LENGTH.pack_into(_page, 0, len(text))
    try:
        yield
    finally:
        _LENGTH.pack_into(_page, 0, 0)


def read(page: mmap.mmap) -> str:
    """What a process was doing when it died; empty when it was not in user code."""
    (length,) = _LENGTH.unpack_from(page)
    return page[_LENGTH.size : _LENGTH.size + length].decode(errors="replace")
