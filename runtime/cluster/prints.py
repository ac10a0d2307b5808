"""What user code in a worker prints appears where the program prints: in its terminal, or in the notebook's cell."""

from __future__ import annotations

import io
import select
import threading

from tableapi.errors import StreamClosedError
from tableapi.runtime.cluster.protocol import Printed
from tableapi.runtime.exchange.link import Link

PIECE_CHARACTERS = 64 * 1024


class PrintStream(io.TextIOBase):
    """A text stream whose lines go to the coordinator.

    The link belongs to the worker's main thread, so text that other threads write waits for that one. A program that does
    not keep up makes the writer wait.
    """

    def __init__(self, link: Link, is_error: bool) -> None:
        self._link, self._is_error = link, is_error
        self._lock = threading.Lock()
        self._pieces: list[str] = []
        self._size = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            self._pieces.append(text)
            self._size += len(text)
        if "\n" in text or self._size > PIECE_CHARACTERS:
            self.flush()
        return len(text)

    def flush(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        with self._lock:
            text, self._pieces, self._size = "".join(self._pieces), [], 0
        if not text:
            return
        try:
            self._link.send_urgent(Printed(text, self._is_error))
            while self._link.wants_write:
                select.select([], [self._link], [], 1.0)
                self._link.flush()
        except StreamClosedError:
            # The program has gone, and with it the place where this would be read.
            return
