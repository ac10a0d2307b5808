"""What flows on an edge besides batches of rows. Plain picklable values."""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.runtime.stream.batch import Batch


@dataclass(frozen=True, slots=True)
class Watermark:
    """No row with an event time up to `time_ms` is expected any more.

    A firm one has late rows behind it, which must not be processed before it; others may change places with rows that follow.
    """

    time_ms: int
    is_firm: bool = False


@dataclass(frozen=True, slots=True)
class IdleStatus:
    """Whether the sender has nothing to say for now; while it is idle nobody waits for its watermark."""

    is_idle: bool


@dataclass(frozen=True, slots=True)
class Barrier:
    """Separates the rows before a checkpoint from those after it."""

    checkpoint_id: int


@dataclass(frozen=True, slots=True)
class EndOfInput:
    """The sender will say nothing more."""


Message = Batch | Watermark | IdleStatus | Barrier | EndOfInput
