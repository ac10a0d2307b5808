"""Keeps the first or the last row of each key by a time attribute (or by arrival).

Imports `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.snapshots import SavedRows, load_time, save_time, untagged
from tableapi.runtime.stream.batch import MIN_WATERMARK, Batch
from tableapi.runtime.stream.changelog import LatestRows
from tableapi.runtime.stream.emit import emit_in_pieces
from tableapi.runtime.stream.idle import ExpiringOperator, IdleKeys
from tableapi.runtime.stream.operator import Operator, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.time_buffer import TimeBuffer
from tableapi.runtime.stream.window_time import to_ms_or_min
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class DeduplicateSpec:
    """The first or last row per key. Insert-only input.

    `time_column`: the event-time column that orders rows; None: order of arrival (processing time). Keep-first emits +I only;
    keep-last emits +I, then -U/+U (no -U without `generate_update_before`).
    ttl_ms: Keys that were not written for so long (processing time) are forgotten; None: never.
    """

    input: RowSchema
    keys: tuple[str, ...]
    time_column: str | None
    keep_last: bool
    generate_update_before: bool = True
    ttl_ms: int | None = None

    def create(self) -> Operator:
        """A new operator."""
        if self.keep_last:
            return LatestRows(self.input, self.keys, self.generate_update_before, self.time_column, self.ttl_ms)
        if self.time_column is None:
            return FirstArrivals(self)
        return FirstRows(self, self.time_column)


class FirstArrivals(ExpiringOperator):
    """Emits the first row of each key as it arrives. State: an index of keys. Cost: O(rows of the batch)."""

    def __init__(self, spec: DeduplicateSpec) -> None:
        self._spec = spec
        types = spec.input.to_polars()
        self._index = KeyIndex({key: types[key] for key in spec.keys})
        self._idle = IdleKeys(spec.ttl_ms, self._index, self._index.free)

    def process(self, input: int, batch: Batch) -> None:
        self._idle.enter(batch.frame)
        slots, new_rows = self._index.insert(batch.frame)
        self._idle.touch(slots[new_rows])
        if len(new_rows):
            self.context.emit(batch if len(new_rows) == batch.height else batch.gather(new_rows))
        self.context.metrics["keys"] = self._index.count

    def snapshot(self, writer: SnapshotWriter) -> None:
        keys = self._index.keys(self._index.live_slots())
        groups = key_groups(keys) if self._spec.keys else None
        writer.frame("keys", SavedRows(self.context.subtask, groups).tag(keys))

    def restore(self, reader: SnapshotReader) -> None:
        frame = reader.frame("keys")
        if frame is not None and frame.height:
            self._index.insert(untagged(frame))
            self._idle.touch_all()

    def state(self) -> dict[str, pl.DataFrame]:
        return {"keys": self._index.keys(self._index.live_slots())}


class FirstRows(ExpiringOperator):
    """Emits the row of each key with the smallest event time, once the watermark has passed it.

    Late rows are ignored and counted (Flink). State: rows that wait, an index of keys that are done. Cost: O(rows of the
    batch), and on a watermark O(rows that become ready).
    """

    def __init__(self, spec: DeduplicateSpec, time_column: str) -> None:
        self._spec, self._time = spec, time_column
        types = spec.input.to_polars()
        self._done = KeyIndex({key: types[key] for key in spec.keys})
        self._idle = IdleKeys(spec.ttl_ms, self._done, self._done.free)
        self._waiting = TimeBuffer()
        self._watermark = MIN_WATERMARK

    def process(self, input: int, batch: Batch) -> None:
        self._idle.enter(batch.frame)
        times = to_ms_or_min(batch.frame[self._time])
        late = times <= self._watermark
        batch, times = self.leave_out(batch, late, times, self._watermark), times[~late]
        keep = self._done.find(batch.frame) < 0
        if keep.any():
            self._waiting.add(batch if keep.all() else batch.filter(pl.Series(keep)), times[keep])

    def on_watermark(self, watermark_ms: int) -> int:
        self._watermark = max(self._watermark, watermark_ms)
        ready = self._waiting.take(watermark_ms)
        if ready is not None:
            ordered = ready.gather(np.argsort(to_ms_or_min(ready.frame[self._time]), kind="stable"))
            self._idle.enter(ordered.frame)
            slots, first = self._done.insert(ordered.frame)
            self._idle.touch(slots[first])
            if len(first):
                emit_in_pieces(self.context.emit, ordered.gather(first), self.context.max_batch_rows)
        return watermark_ms

    def snapshot(self, writer: SnapshotWriter) -> None:
        waiting = self._waiting.rows(self._spec.input.to_polars()).frame
        done = self._done.keys(self._done.live_slots())
        for name, frame in (("waiting", waiting), ("done", done)):
            groups = key_groups(frame, self._spec.keys) if self._spec.keys else None
            writer.frame(name, SavedRows(self.context.subtask, groups).tag(frame))
        save_time(writer, self._watermark)

    def restore(self, reader: SnapshotReader) -> None:
        done, waiting = reader.frame("done"), reader.frame("waiting")
        if done is not None and done.height:
            self._done.insert(untagged(done))
            self._idle.touch_all()
        if waiting is not None and waiting.height:
            rows = untagged(waiting)
            self._waiting.add(Batch(rows), to_ms_or_min(rows[self._time]))
        self._watermark = load_time(reader)

    def state(self) -> dict[str, pl.DataFrame]:
        waiting = self._waiting.rows(self._spec.input.to_polars()).frame
        return {"waiting": waiting, "done": self._done.keys(self._done.live_slots())}
