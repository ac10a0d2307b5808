"""Aggregation over session windows.

Imports the plan, `runtime.state`, the aggregate calls and the operator contract.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.snapshots import LoadedRows, SavedRows, load_time, save_time
from tableapi.runtime.stream.aggregates import AggregateSet
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from tableapi.runtime.stream.emit import emit_in_pieces, hstack
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.sessions import Sessions
from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec, property_columns, with_rows
from tableapi.runtime.stream.window_table import event_times
from tableapi.runtime.stream.window_time import Millis, WindowZone, from_ms
from tableapi.types import TimestampType

_START, _END = "__start", "__end"


class SessionAggregate(Operator):
    """Aggregates rows of a key that follow each other within the gap; emits +I when the watermark passes last time + gap.

    Sessions that a row joins together become one. Rows whose session would be closed already are left out and counted. A row that is taken back
    leaves the session as long as it had made it (Flink).
    State: the open sessions by key; running values by session. Cost of a batch: O(rows + open sessions of their keys + what sessions that are
    joined hold); of closing: O(sessions).
    """

    def __init__(self, spec: WindowAggregateSpec) -> None:
        self._spec = spec
        self._is_event_time = spec.window.is_event_time
        self._watermark = MIN_WATERMARK
        types = spec.input.to_polars()
        self._sessions = Sessions({key: types[key] for key in spec.keys}, spec.window.gap_ms)

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        spec = self._spec
        self._zone = WindowZone.of(spec.input[spec.window.time_column].type, context.session.time_zone)
        self._aggregates = AggregateSet(spec.input, spec.calls, context, not spec.input_is_insert_only, True)

    def process(self, input: int, batch: Batch) -> None:
        if self._is_event_time:
            instants = event_times(batch.frame, self._spec.window.time_column)
        else:
            instants = np.full(batch.height, self.context.clock.now_ms(), dtype=np.int64)
        keys = batch.frame.select(self._spec.keys) if self._spec.keys else pl.DataFrame(height=batch.height)
        assigned = self._sessions.assign(keys, self._zone.to_local(instants), self._local_watermark())
        self._aggregates.reserve(self._sessions.bound)
        if len(assigned.merged):
            self._aggregates.absorb(assigned.into, self._aggregates, assigned.merged)
            self._aggregates.clear(assigned.merged)
            self._sessions.give_back(assigned.merged)
        late = assigned.rows < 0
        batch = self.leave_out(batch, late, instants, self._watermark)
        if batch.height:
            adds = None if batch.is_insert_only else batch.adds()
            self._aggregates.update(assigned.rows[~late], batch.frame, adds)
        if not self._is_event_time:
            self._set_timer()
        self.context.metrics["keys"] = self._sessions.index.count

    def _local_watermark(self) -> int:
        if self._watermark in (MIN_WATERMARK, MAX_WATERMARK):
            return self._watermark
        return int(self._zone.to_local(np.array([self._watermark]))[0])

    def _set_timer(self) -> None:
        end = self._sessions.next_end(int(self._zone.to_local(np.array([self.context.clock.now_ms()]))[0]))
        if end is not None:
            self.context.set_timer(self._zone.to_instant(end) - 1)

    def on_watermark(self, watermark_ms: int) -> int:
        if self._is_event_time:
            self._watermark = max(self._watermark, watermark_ms)
            self._close(self._local_watermark())
        return watermark_ms

    def on_timer(self, time_ms: int) -> None:
        self._close(int(self._zone.to_local(np.array([time_ms]))[0]))
        self._set_timer()

    def _close(self, local_ms: int) -> None:
        closed = self._sessions.closed(local_ms)
        if not len(closed):
            return
        starts, ends = self._sessions.starts[closed], self._sessions.ends[closed]
        properties = property_columns(self._spec, starts, ends, self._zone)
        results = hstack([self._sessions.keys(closed), self._aggregates.values(closed), properties])
        emit_in_pieces(self.context.emit, Batch(with_rows(results)), self.context.max_batch_rows)
        self._aggregates.clear(closed)
        self._sessions.remove(closed)

    def snapshot(self, writer: SnapshotWriter) -> None:
        ids = self._sessions.live()
        keys = self._sessions.keys(ids)
        groups = key_groups(keys) if self._spec.keys else None
        saved = SavedRows(self.context.subtask, groups)
        bounds = [pl.Series(_START, self._sessions.starts[ids]), pl.Series(_END, self._sessions.ends[ids])]
        writer.frame("sessions", saved.tag(hstack([keys, pl.DataFrame(bounds)])))
        self._aggregates.save(writer, ids, saved)
        save_time(writer, self._watermark)

    def restore(self, reader: SnapshotReader) -> None:
        self._watermark = load_time(reader)
        frame = reader.frame("sessions")
        if frame is None or not frame.height:
            return
        keys = frame.select(self._spec.keys) if self._spec.keys else pl.DataFrame(height=frame.height)
        ids = self._sessions.load(keys, frame[_START].to_numpy(), frame[_END].to_numpy())
        self._aggregates.reserve(self._sessions.bound)
        self._aggregates.load(reader, LoadedRows(frame, ids))
        if not self._is_event_time:
            self._set_timer()

    def state(self) -> dict[str, pl.DataFrame]:
        ids = self._sessions.live()
        bounds = [self._bound("window_start", self._sessions.starts[ids]), self._bound("window_end", self._sessions.ends[ids])]
        return {"sessions": hstack([self._sessions.keys(ids), pl.DataFrame(bounds), self._aggregates.values(ids)])}

    @staticmethod
    def _bound(name: str, times: Millis) -> pl.Series:
        return from_ms(name, times, TimestampType(3).to_polars())
