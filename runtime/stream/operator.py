"""The one contract of streaming operators, and what an operator may ask of its surroundings.

An operator is made from a spec (a frozen, picklable dataclass in the operator's own file) by `spec.create()`. The runtime
then calls `open`, any number of `process` / `on_watermark` / `on_timer` / `snapshot`, and `close`; never two at a time.
Results go to `self.context.emit`. Only `process` has no default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.late import LateRows, behind
from tableapi.runtime.udf_scope import FunctionScope

Millis = npt.NDArray[np.int64]


class Clock(Protocol):
    """The processing-time clock; tests inject a manual one."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...


class SnapshotWriter(Protocol):
    """Where an operator puts its state: named frames of plain columns (plus picklable scalars)."""

    def frame(self, name: str, frame: pl.DataFrame) -> None:
        """Stores a table of state."""
        ...

    def value(self, name: str, value: Any) -> None:
        """Stores a small plain value."""
        ...


class SnapshotReader(Protocol):
    """Where an operator finds the state that it had stored."""

    def frame(self, name: str) -> pl.DataFrame | None:
        """The table of that name (already reduced to this worker's key groups when it has a `__key_group` column)."""
        ...

    def value(self, name: str) -> Any:
        """The value of that name, or None."""
        ...


@dataclass
class OperatorContext:
    """What an operator may use.

    Args:
        emit: Hands a batch to the next operators.
        session: Time zone and the like for lowering expressions.
        clock: Processing time.
        subtask, parallelism: Which of how many workers this is.
        pass_watermark: Passes on a watermark that `on_watermark` had held back.
        set_timer: Asks for `on_timer(t)` once the processing-time clock reaches t (milliseconds).
        metrics: Counters by name, read by the job's summary: `late_rows`, `late_max_ms`, `keys`, `state_bytes`, …
        max_batch_rows: Emit no larger batches than about this.
    """

    emit: Callable[[Batch], None]
    session: SessionContext
    clock: Clock
    subtask: int = 0
    parallelism: int = 1
    set_timer: Callable[[int], None] = lambda t: None
    pass_watermark: Callable[[int], None] = lambda t: None
    metrics: dict[str, int] = field(default_factory=dict)
    max_batch_rows: int = 65_536
    watermark_ms: int | None = None
    """The watermark that row-wise steps have reached, for CURRENT_WATERMARK(); None before the first."""
    functions: FunctionScope = field(default_factory=FunctionScope)
    """The Python functions of this worker's part of the job; whoever made the context closes them."""

    def __post_init__(self) -> None:
        self.late = LateRows(self.metrics)
        """Rows that came too late for the operator."""


class Operator:
    """Base of all streaming operators."""

    context: OperatorContext

    def open(self, context: OperatorContext) -> None:
        """Called once before anything else. Subclasses call `super().open(context)` first."""
        self.context = context

    def process(self, input: int, batch: Batch) -> None:
        """Takes a batch (never empty) from the given input and emits what follows from it."""
        raise NotImplementedError(type(self).__name__)

    def on_watermark(self, watermark_ms: int) -> int:
        """Event time has reached `watermark_ms` on all inputs (MAX_WATERMARK: the inputs have ended): emits what is now final.

        Returns:
            The watermark to pass on: `watermark_ms`, or less when rows with older times may still be emitted.
        """
        return watermark_ms

    def leave_out(self, batch: Batch, late: npt.NDArray[np.bool_], times: Millis, watermark_ms: int, input: int = 0) -> Batch:
        """Counts the rows marked as late and sets them aside; returns the others.

        Args:
            batch: The rows.
            late: Which of them are late.
            times: Their event times in milliseconds.
            watermark_ms: The event time that the operator has reached.
            input: Where they came from.
        """
        if not late.any():
            return batch
        self.context.late.add(batch.frame.filter(pl.Series(late)), behind(watermark_ms, times[late]), input)
        return batch.filter(pl.Series(~late))

    def on_timer(self, time_ms: int) -> None:
        """The processing-time clock has reached a time asked for with `set_timer`."""

    def on_idle(self) -> None:
        """The worker has nothing to do: the chance to emit what was held back to make larger batches."""

    def snapshot(self, writer: SnapshotWriter) -> None:
        """Writes all state."""

    def restore(self, reader: SnapshotReader) -> None:
        """Takes over state written by `snapshot` of any number of former subtasks."""

    def state(self) -> dict[str, pl.DataFrame]:
        """The live state as tables, for people to look at."""
        return {}

    def close(self) -> None:
        """Called once at the end, also after an error."""


class OperatorSpec(Protocol):
    """A picklable description from which each worker makes its operator."""

    def create(self) -> Operator:
        """A new operator."""
        ...
