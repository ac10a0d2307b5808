"""Waits for any of several descriptors and calls whoever wants to know. One per thread; knows nothing of what flows.

`wake` may be called from any thread.
"""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable
from contextlib import suppress

from tableapi.errors import StreamClosedError
from tableapi.runtime.exchange.link import Link


class Reactor:
    """The one place where a worker or coordinator thread waits."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._wake_lock = threading.Lock()
        self._is_closed = False
        self._links: dict[int, Link] = {}
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)

    def add_link(self, link: Link, ready: Callable[[], None]) -> None:
        """Calls `ready` when something has arrived on a link; sends what waits in it when it can be sent."""
        self._links[link.fileno()] = link
        self._selector.register(link.fileno(), selectors.EVENT_READ, ready)

    def remove_link(self, link: Link) -> None:
        """Forgets a link (before it is closed)."""
        del self._links[link.fileno()]
        self._selector.unregister(link.fileno())

    def add_reader(self, fd: int, ready: Callable[[], None]) -> None:
        """Calls `ready` whenever a descriptor can be read."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)
        self._selector.register(fd, selectors.EVENT_READ, ready)

    def remove_reader(self, fd: int) -> None:
        """Forgets a descriptor, also one that its owner has closed already."""
        with suppress(KeyError):
            self._selector.unregister(fd)

    def poll(self, timeout_s: float | None) -> None:
        """Waits until something happens or the time is up (0: not at all, None: for ever), then makes the calls."""
        for fd, link in self._links.items():
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.wants_write else 0)
            key = self._selector.get_key(fd)
            if key.events != wanted:
                self._selector.modify(fd, wanted, key.data)
        for key, events in self._selector.select(timeout_s):
            if events & selectors.EVENT_WRITE and key.fd in self._links:
                # Whoever reads from a link whose other end has gone finds that out, after what had arrived.
                with suppress(StreamClosedError):
                    self._links[key.fd].flush()
            if events & selectors.EVENT_READ:
                key.data()

    def wake(self) -> None:
        """Ends the current or next `poll`."""
        with self._wake_lock, suppress(BlockingIOError):
            if not self._is_closed:
                os.write(self._wake_write, b"w")

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._wake_read, 4096):
                pass

    def close(self) -> None:
        """Releases the reactor's own descriptors."""
        with self._wake_lock:
            self._is_closed = True
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
