"""Sorting by event time, sorting bounded input, LIMIT without order.

Imports plan data and the operator contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.plan.rex import SortKey
from tableapi.runtime.state.snapshots import load_time, save_time
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch, concat
from tableapi.runtime.stream.emit import emit_in_pieces
from tableapi.runtime.stream.operator import Operator, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.time_buffer import TimeBuffer, from_kind_column, with_kind_column
from tableapi.runtime.stream.window_time import to_ms_or_min
from tableapi.tablespec import RowSchema

_FOREVER = 2**62


@dataclass(frozen=True)
class TemporalSortSpec:
    """ORDER BY with a time column first: rows come out in order as the watermark passes them, or in processing time as each
    millisecond is over (at once when nothing else orders them). Late rows are left out."""

    input: RowSchema
    order_by: tuple[SortKey, ...]
    is_event_time: bool = True

    def create(self) -> Operator:
        """A new operator."""
        return TemporalSort(self)


@dataclass(frozen=True)
class FullSortSpec:
    """ORDER BY anything over a bounded input: folds the changelog and emits the sorted rows (+I) at the end of the input."""

    input: RowSchema
    order_by: tuple[SortKey, ...]

    def create(self) -> Operator:
        """A new operator."""
        return FullSort(self)


@dataclass(frozen=True)
class LimitSpec:
    """LIMIT without ORDER BY: rows `offset`+1 to `offset`+`fetch` in order of arrival (None: all). Runs on one worker.

    With `input_is_insert_only` False, rows that leave are replaced by later ones.
    """

    input: RowSchema
    fetch: int | None
    offset: int = 0
    input_is_insert_only: bool = True

    def create(self) -> Operator:
        """A new operator."""
        if self.input_is_insert_only:
            return Limit(self)
        from tableapi.runtime.stream.rank import Rank, RankSpec

        end = _FOREVER if self.fetch is None else self.offset + self.fetch
        return Rank(RankSpec(self.input, (), (), self.offset + 1, end, input_is_insert_only=False))


def sorted_rows(frame: pl.DataFrame, order_by: Sequence[SortKey]) -> pl.DataFrame:
    """The rows in order; equal rows stay in order of arrival."""
    return frame.sort(
        [key.column for key in order_by],
        descending=[not key.ascending for key in order_by],
        nulls_last=[not key.nulls_first for key in order_by],
        maintain_order=True,
    )


class TemporalSort(Operator):
    """Emits rows sorted, up to the watermark or the clock. State: rows that wait. Late rows are left out and counted (Flink).

    Cost: O(rows of the batch); on a watermark a sort of the rows that become ready.
    """

    def __init__(self, spec: TemporalSortSpec) -> None:
        self._spec, self._time = spec, spec.order_by[0].column
        self._waiting = TimeBuffer()
        self._watermark = MIN_WATERMARK

    def process(self, input: int, batch: Batch) -> None:
        if not self._spec.is_event_time:
            self._process_by_clock(batch)
            return
        times = to_ms_or_min(batch.frame[self._time])
        late = times <= self._watermark
        batch = self.leave_out(batch, late, times, self._watermark)
        if batch.height:
            self._waiting.add(batch, times[~late])

    def _process_by_clock(self, batch: Batch) -> None:
        if len(self._spec.order_by) == 1:
            self.context.emit(batch)
            return
        now = self.context.clock.now_ms()
        self._waiting.add(batch, np.full(batch.height, now, dtype=np.int64))
        self.context.set_timer(now + 1)

    def on_timer(self, time_ms: int) -> None:
        self._emit_until(time_ms - 1)

    def on_watermark(self, watermark_ms: int) -> int:
        if self._spec.is_event_time or watermark_ms == MAX_WATERMARK:
            self._watermark = max(self._watermark, watermark_ms)
            self._emit_until(watermark_ms)
        return watermark_ms

    def _emit_until(self, time_ms: int) -> None:
        ready = self._waiting.take(time_ms)
        if ready is not None:
            order_by = self._spec.order_by if self._spec.is_event_time else self._spec.order_by[1:]
            emit_in_pieces(self.context.emit, Batch(sorted_rows(ready.frame, order_by)), self.context.max_batch_rows)

    def snapshot(self, writer: SnapshotWriter) -> None:
        writer.frame("waiting", self._waiting.rows(self._spec.input.to_polars()).frame)
        save_time(writer, self._watermark)

    def restore(self, reader: SnapshotReader) -> None:
        rows = reader.frame("waiting")
        if rows is not None and rows.height and self._spec.is_event_time:
            self._waiting.add(Batch(rows), to_ms_or_min(rows[self._time]))
        elif rows is not None and rows.height:
            self._process_by_clock(Batch(rows))
        self._watermark = load_time(reader)

    def state(self) -> dict[str, pl.DataFrame]:
        return {"waiting": self._waiting.rows(self._spec.input.to_polars()).frame}


class FullSort(Operator):
    """Keeps all changes, and emits what they leave, sorted, when the input has ended. Cost at the end: one sort."""

    def __init__(self, spec: FullSortSpec) -> None:
        self._spec = spec
        self._changes: list[Batch] = []

    def process(self, input: int, batch: Batch) -> None:
        self._changes.append(batch)

    def on_watermark(self, watermark_ms: int) -> int:
        if watermark_ms == MAX_WATERMARK and self._changes:
            rows = sorted_rows(folded(concat(self._changes)), self._spec.order_by)
            self._changes = []
            emit_in_pieces(self.context.emit, Batch(rows), self.context.max_batch_rows)
        return watermark_ms

    def snapshot(self, writer: SnapshotWriter) -> None:
        if self._changes:
            writer.frame("changes", with_kind_column(concat(self._changes)))

    def restore(self, reader: SnapshotReader) -> None:
        frame = reader.frame("changes")
        if frame is not None and frame.height:
            self._changes = [from_kind_column(frame)]


def folded(batch: Batch) -> pl.DataFrame:
    """The rows that a changelog leaves, in order of their first appearance."""
    if batch.is_insert_only:
        return batch.frame
    signs = pl.Series("__sign", np.where(batch.adds(), 1, -1))
    counted = batch.frame.with_columns(signs).group_by(batch.frame.columns, maintain_order=True).agg(pl.col("__sign").sum())
    left = counted.filter(pl.col("__sign") > 0)
    return left.select(pl.exclude("__sign").repeat_by("__sign").explode()) if left.height else left.drop("__sign")


class Limit(Operator):
    """Passes rows `offset`+1 to `offset`+`fetch` of an insert-only input. State: how many have come."""

    def __init__(self, spec: LimitSpec) -> None:
        self._spec = spec
        self._seen = 0

    def process(self, input: int, batch: Batch) -> None:
        spec = self._spec
        start = max(0, spec.offset - self._seen)
        end = batch.height if spec.fetch is None else min(batch.height, spec.offset + spec.fetch - self._seen)
        self._seen += batch.height
        if start < end:
            self.context.emit(Batch(batch.frame[start:end]))

    def snapshot(self, writer: SnapshotWriter) -> None:
        writer.value("seen", self._seen)

    def restore(self, reader: SnapshotReader) -> None:
        self._seen = reader.value("seen") or 0
