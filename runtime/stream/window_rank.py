"""Top-N and deduplication per window.

Imports the sibling Top-N and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.plan.rex import SortKey
from tableapi.runtime.state.columns import Ids
from tableapi.runtime.state.row_store import NONE
from tableapi.runtime.state.snapshots import load_time, save_time
from tableapi.runtime.stream.batch import MIN_WATERMARK, Batch
from tableapi.runtime.stream.emit import emit_in_pieces
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.rank import Rank, RankSpec
from tableapi.runtime.stream.window_time import Millis, WindowZone, to_ms
from tableapi.tablespec import RowSchema, TimeKind


@dataclass(frozen=True)
class WindowRankSpec:
    """ROW_NUMBER `start`..`end` per (window, partition_by), emitted when the watermark passes the window's end; +I only.

    `window`: names of the window's start and end columns, which `partition_by` (also the distribution of the rows) may repeat.
    """

    input: RowSchema
    window: tuple[str, str]
    partition_by: tuple[str, ...]
    order_by: tuple[SortKey, ...]
    start: int
    end: int
    rank_name: str | None = None

    def create(self) -> Operator:
        """A new operator."""
        return WindowRank(self)


class WindowRank(Rank):
    """Keeps the first `end` rows of each partition of each open window; emits them, in order of rank, when the window closes.

    Late rows are dropped and counted. State: that of Top-N, and the partitions of each window end.
    """

    def __init__(self, spec: WindowRankSpec) -> None:
        rest = tuple(k for k in spec.partition_by if k not in spec.window)
        rank = RankSpec(spec.input, (*rest, *spec.window), spec.order_by, spec.start, spec.end, rank_name=spec.rank_name)
        super().__init__(rank)
        self._window_spec = spec
        self._watermark = MIN_WATERMARK
        self._slots: dict[int, list[Ids]] = {}

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        times = [f.type for f in self._window_spec.input if f.time is TimeKind.ROWTIME]
        self._zone = WindowZone.of(times[0], context.session.time_zone) if times else WindowZone(None)

    def _ends(self, frame: pl.DataFrame) -> Millis:
        return to_ms(frame[self._window_spec.window[1]])

    def process(self, input: int, batch: Batch) -> None:
        ends = self._ends(batch.frame)
        last = self._zone.to_instants(ends) - 1
        late = last <= self._watermark
        batch = self.leave_out(batch, late, last, self._watermark)
        if batch.height:
            self._take_in(batch.frame, ends[~late])

    def _take_in(self, frame: pl.DataFrame, ends: Millis) -> None:
        slots, new_rows = self._index.insert(frame)
        self._reserve()
        for row in new_rows.tolist():
            self._slots.setdefault(int(ends[row]), []).append(slots[row : row + 1])
        self._forget(self._add(frame, slots), NONE)

    def on_watermark(self, watermark_ms: int) -> int:
        self._watermark = max(self._watermark, watermark_ms)
        closed = sorted(end for end in self._slots if self._zone.to_instant(end) - 1 <= watermark_ms)
        if closed:
            self._close(np.concatenate([slot for end in closed for slot in self._slots.pop(end)]))
        return watermark_ms

    def _close(self, slots: Ids) -> None:
        ranked = self._ranked(slots)
        ids = ranked[ranked >= 0]
        frame = self._store.gather(ids)
        if self._spec.rank_name is not None:
            frame = frame.with_columns(pl.Series(self._spec.rank_name, np.nonzero(ranked >= 0)[1] + self._spec.start))
        emit_in_pieces(self.context.emit, Batch(frame), self.context.max_batch_rows)
        self._store.remove(self._buffers.drop(slots))
        self._index.free(slots)

    def snapshot(self, writer: SnapshotWriter) -> None:
        super().snapshot(writer)
        save_time(writer, self._watermark)

    def key_columns(self) -> tuple[str, ...]:
        return self._window_spec.partition_by

    def restore(self, reader: SnapshotReader) -> None:
        self._watermark = load_time(reader)
        rows = self.saved_rows(reader)
        if rows is not None:
            self._take_in(rows, self._ends(rows))
