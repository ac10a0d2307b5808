"""Errors that only the event log raises. Imports tableapi.errors only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tableapi.errors import CorruptionError, ExecutionError, StreamClosedError


class LogIoError(ExecutionError):
    """The operating system refused a read or a write. What was not acknowledged is there as a whole batch or not at all."""


class PoisonedSegmentError(CorruptionError):
    """An fsync failed: the operating system may have dropped data, so nothing more is appended until it is repaired."""


class OffsetOutOfRangeError(ExecutionError):
    """The wanted offset is not in the log: removed by retention, or not written yet."""


class FencedError(ExecutionError):
    """A newer producer, transaction or group generation has taken over; this one must stop."""


class OutOfOrderSequenceError(ExecutionError):
    """A producer left out a batch: its sequence number is beyond the next one."""


class TopicDeletedError(StreamClosedError):
    """The topic was deleted (or deleted and made anew) while it was open."""


class TransactionError(ExecutionError):
    """A transaction was used in a state that does not allow it."""


@contextmanager
def io_errors(where: str) -> Iterator[None]:
    """Turns OSError into LogIoError that says where it happened."""
    try:
        yield
    except OSError as error:
        raise LogIoError(
            f"{where}: {error.strerror or error}",
            fix="free space, raise the limit or check the disk; then append again (an idempotent producer never duplicates)",
        ) from error
