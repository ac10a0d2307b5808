"""Window table functions: gives each row its windows.

Imports the plan and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.errors import ExecutionError
from tableapi.plan.nodes import WindowKind, WindowSpec
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.emit import emit_in_pieces
from tableapi.runtime.stream.operator import Operator, OperatorContext
from tableapi.runtime.stream.window_time import Millis, Slices, WindowZone, from_ms, to_ms
from tableapi.tablespec import RowSchema
from tableapi.types import TimestampType


@dataclass(frozen=True)
class WindowTableSpec:
    """Output: the input's columns, then window start, end and time under the given names."""

    input: RowSchema
    window: WindowSpec
    start: str = "window_start"
    end: str = "window_end"
    time: str = "window_time"
    input_is_insert_only: bool = True

    def create(self) -> Operator:
        """A new operator."""
        if self.window.kind is WindowKind.SESSION:
            from tableapi.runtime.stream.session_table import SessionTable

            return SessionTable(self)
        return WindowTable(self)


class WindowTable(Operator):
    """Emits each row once per window that it is in, late rows too, with the kinds that come in; no state."""

    def __init__(self, spec: WindowTableSpec) -> None:
        self._spec = spec
        self._slices = Slices.of(spec.window)

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        self._zone = WindowZone.of(self._spec.input[self._spec.window.time_column].type, context.session.time_zone)

    def process(self, input: int, batch: Batch) -> None:
        slice_ends = self._slices.end_of(self._zone.to_local(self._instants(batch)))
        if self._slices.kind is WindowKind.TUMBLE:
            rows, ends = np.arange(batch.height), slice_ends
        else:
            distinct, inverse = np.unique(slice_ends, return_inverse=True)
            windows = [self._slices.windows_of(int(end)) for end in distinct]
            counts = np.array([len(w) for w in windows])[inverse]
            rows = np.repeat(np.arange(batch.height), counts)
            ends = np.array([w for i in inverse.tolist() for w in windows[i]], dtype=np.int64)
            batch = batch.gather(rows)
        if not batch.height:
            return
        columns = window_columns(self._spec, self._slices.start_of_window(ends), ends, self._zone)
        emit_in_pieces(self.context.emit, batch.with_frame(batch.frame.with_columns(columns)), self.context.max_batch_rows)

    def _instants(self, batch: Batch) -> Millis:
        if not self._spec.window.is_event_time:
            return np.full(batch.height, self.context.clock.now_ms(), dtype=np.int64)
        return event_times(batch.frame, self._spec.window.time_column)


def window_columns(spec: WindowTableSpec, starts: Millis, ends: Millis, zone: WindowZone) -> list[pl.Series]:
    """The three columns of windows given by start and end (wall clock)."""
    bound = TimestampType(3).to_polars()
    time = spec.input[spec.window.time_column].type.to_polars()
    return [
        from_ms(spec.start, starts, bound),
        from_ms(spec.end, ends, bound),
        from_ms(spec.time, zone.to_instants(ends - 1), time),
    ]


def event_times(frame: pl.DataFrame, column: str) -> Millis:
    """The event times of rows in milliseconds.

    Raises:
        ExecutionError: A row has no event time (Flink: "RowTime field should not be null").
    """
    times = frame[column]
    if times.null_count():
        raise ExecutionError(f"a row has no event time: column '{column}' is NULL", fix=f"filter with {column} IS NOT NULL")
    return to_ms(times)
