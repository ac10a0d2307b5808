"""Memory that two processes share and that has no name: it is gone when both have let go of it, however they end.

A ring is written by one process and read by another. The writer reserves space and tells the reader (elsewhere) where to look;
the reader copies out and acknowledges, in order. Pages are used again and again, so the kernel need not clear new ones.
"""

from __future__ import annotations

import mmap
import os
import tempfile


def anonymous_file(size: int) -> int:
    """A file descriptor of `size` bytes of memory (an unlinked temporary file where the system has no memfd)."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("tableapi", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd


class RingWriter:
    """The writing end of a ring.

    `fd` belongs to whoever hands it to the reader. Positions count bytes since the beginning; `position % capacity` is the
    place in memory. A reservation never wraps.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.fd = anonymous_file(capacity)
        self.memory = mmap.mmap(self.fd, capacity)
        self._head = 0
        self._tail = 0

    def reserve(self, size: int) -> tuple[int, int] | None:
        """Room for `size` bytes: its offset in memory and the position of its end; None while there is not enough."""
        assert 0 < size <= self.capacity
        if self._head == self._tail:
            self._head = self._tail = -(-self._head // self.capacity) * self.capacity
        offset = self._head % self.capacity
        start = self._head if offset + size <= self.capacity else self._head - offset + self.capacity
        if start + size - self._tail > self.capacity:
            return None
        self._head = start + size
        return start % self.capacity, self._head

    def acknowledge(self, position: int) -> None:
        """The reader has copied everything up to `position`."""
        assert self._tail <= position <= self._head
        self._tail = position

    def close(self) -> None:
        """Lets go of the memory."""
        self.memory.close()


class RingReader:
    """The reading end of a ring; takes over the descriptor."""

    def __init__(self, fd: int, capacity: int) -> None:
        self.memory = mmap.mmap(fd, capacity)
        os.close(fd)

    def close(self) -> None:
        """Lets go of the memory."""
        self.memory.close()
