"""The one door to disk, clock and randomness for the event log.

Everything in `connectors.filelog` does its I/O through a `Storage`, so that a simulated disk can stand in for the real one
and faults can be raised at any call. Imports tableapi.errors only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from tableapi.errors import ExecutionError

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
LOCK_TIMEOUT_S = 30.0
MAX_BUFFERS = 1024
"""How many buffers the operating system takes in one call (IOV_MAX)."""


class LockTimeoutError(ExecutionError):
    """A lock of the log is held by another process for too long (it may be stopped)."""


class File(ABC):
    """An open file. All access is positional, so that one handle can serve many readers."""

    path: str

    @abstractmethod
    def pread(self, size_bytes: int, position: int) -> bytes:
        """Up to `size_bytes` bytes from `position` (fewer at the end of the file)."""

    @abstractmethod
    def pwrite(self, buffers: Sequence[Any], position: int) -> int:
        """Writes all buffers one after the other from `position` on; the number of bytes written."""

    @abstractmethod
    def size(self) -> int:
        """Length in bytes."""

    @abstractmethod
    def truncate(self, size_bytes: int) -> None:
        """Cuts the file."""

    @abstractmethod
    def sync(self) -> None:
        """Returns when contents and length are on stable storage (fsync)."""

    @abstractmethod
    def map(self, position: int, size_bytes: int) -> Any:
        """A read-only buffer over a range that exists and will not be cut; it stays valid after the file is closed or
        removed."""

    @abstractmethod
    def identity(self) -> tuple[int, int]:
        """What tells this file from another one that later has the same name (device and inode)."""

    @abstractmethod
    def close(self) -> None:
        """Closes the handle; mapped buffers stay valid."""


class Storage(ABC):
    """Directories, files, locks, the clock and random numbers."""

    @abstractmethod
    def open(self, path: str, *, create: bool = False, writable: bool = False) -> File:
        """A file; `create` makes it when absent (private to the user)."""

    @abstractmethod
    def list(self, path: str) -> list[str]:
        """Names in a directory, sorted; empty when there is no such directory."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether there is such a file or directory."""

    @abstractmethod
    def make_directory(self, path: str) -> None:
        """Makes a private directory and its parents; no error when it is there."""

    @abstractmethod
    def rename(self, old: str, new: str) -> None:
        """Renames atomically, replacing `new`."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Removes a file; no error when it is gone."""

    @abstractmethod
    def remove_directory(self, path: str) -> None:
        """Removes an empty directory; no error when it is gone."""

    @abstractmethod
    def sync_directory(self, path: str) -> None:
        """Returns when the names in the directory are on stable storage."""

    @abstractmethod
    def try_lock(self, path: str) -> File | None:
        """An exclusive lock, or None when another holder has it. Closing it, or the death of the process, gives it back."""

    @abstractmethod
    def lock_holder(self, path: str) -> str:
        """Who has the lock, for error messages."""

    @abstractmethod
    def boot_id(self) -> bytes:
        """Changes whenever the machine starts anew: unsynced writes of an earlier boot may be gone."""

    @abstractmethod
    def now_ms(self) -> int:
        """Wall-clock time in milliseconds since 1970."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Waits."""

    @abstractmethod
    def random_id(self) -> int:
        """A random positive 62-bit number."""

    @contextlib.contextmanager
    def lock(self, path: str, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[File]:
        """Holds the exclusive lock `path`; gives its file, whose identity tells a directory from one made anew.

        Raises:
            LockTimeoutError: another process keeps it for longer than `timeout_s`.
        """
        handle = self.try_lock(path)
        pause, deadline = 0.0001, self.monotonic() + timeout_s
        while handle is None:
            if self.monotonic() > deadline:
                raise LockTimeoutError(
                    f"the lock {path} was not free within {timeout_s:g} s",
                    exists=f"it is held by {self.lock_holder(path)}",
                    fix="continue or end that process",
                )
            self.sleep(pause)
            pause = min(pause * 1.5, 0.005)
            handle = self.try_lock(path)
        try:
            yield handle
        finally:
            handle.close()

    def read_file(self, path: str) -> bytes:
        """The whole contents of a small file."""
        file = self.open(path)
        try:
            return file.pread(file.size(), 0)
        finally:
            file.close()

    def write_file(self, path: str, data: bytes, *, durable: bool) -> None:
        """Replaces a small file as a whole: readers see the old or the new contents, never a mixture.

        With `durable`, the new contents survive a crash of the machine once this returns.
        """
        temporary = f"{path}.tmp-{self.random_id():x}"
        try:
            file = self.open(temporary, create=True, writable=True)
            try:
                file.pwrite([data], 0)
                if durable:
                    file.sync()
            finally:
                file.close()
            self.rename(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                self.remove(temporary)
            raise
        if durable:
            self.sync_directory(os.path.dirname(path))


class OsFile(File):
    """A file of the operating system."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def pread(self, size_bytes: int, position: int) -> bytes:
        return os.pread(self._descriptor, size_bytes, position)

    def pwrite(self, buffers: Sequence[Any], position: int) -> int:
        views = [memoryview(b).cast("B") for b in buffers if len(b)]
        total = sum(len(v) for v in views)
        done = 0
        while views:
            written = os.pwritev(self._descriptor, views[:MAX_BUFFERS], position + done)
            done += written
            views = _skip(views, written)
        return total

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def truncate(self, size_bytes: int) -> None:
        os.ftruncate(self._descriptor, size_bytes)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def map(self, position: int, size_bytes: int) -> Any:
        start = position - position % mmap.ALLOCATIONGRANULARITY
        mapped = mmap.mmap(self._descriptor, position + size_bytes - start, access=mmap.ACCESS_READ, offset=start)
        return memoryview(mapped)[position - start :]

    def identity(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        return status.st_dev, status.st_ino

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def _skip(views: Sequence[memoryview], count: int) -> list[memoryview]:
    rest = []
    for view in views:
        if count >= len(view):
            count -= len(view)
        else:
            rest.append(view[count:])
            count = 0
    return rest


class OsStorage(Storage):
    """The real disk and clock. Files are private to the user (0600, directories 0700)."""

    def open(self, path: str, *, create: bool = False, writable: bool = False) -> File:
        flags = (os.O_RDWR if writable else os.O_RDONLY) | (os.O_CREAT if create else 0) | os.O_CLOEXEC
        return OsFile(path, os.open(path, flags, FILE_MODE))

    def list(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def make_directory(self, path: str) -> None:
        missing = []
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path) or "."
        for directory in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory, DIRECTORY_MODE)

    def rename(self, old: str, new: str) -> None:
        os.replace(old, new)

    def remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def remove_directory(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(path)

    def sync_directory(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def try_lock(self, path: str) -> File | None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return None
            raise
        return OsFile(path, descriptor)

    def lock_holder(self, path: str) -> str:
        try:
            inode = os.stat(path).st_ino
            with open("/proc/locks") as locks:
                for line in locks:
                    parts = line.split()
                    if len(parts) > 5 and "->" not in parts and parts[5].endswith(f":{inode}"):
                        return f"process {parts[4]}"
        except OSError:
            return "another process"
        return "another process"

    def boot_id(self) -> bytes:
        return _boot_id()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def random_id(self) -> int:
        return secrets.randbits(62) | 1


_cached_boot_id: bytes | None = None


def _boot_id() -> bytes:
    """Linux: the kernel's random boot id. Elsewhere a constant: the end of each log is then trusted after a crash only as far
    as it was verified by `EventLog.verify`."""
    global _cached_boot_id
    if _cached_boot_id is None:
        try:
            with open("/proc/sys/kernel/random/boot_id", "rb") as file:
                _cached_boot_id = file.read().strip()
        except OSError:
            _cached_boot_id = b"unknown"
    return _cached_boot_id
