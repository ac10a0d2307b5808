"""Aggregation over session windows.

Imports the plan, `runtime.state`, the aggregate calls and the operator contract.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.row_store import Chains, IdAllocator
from tableapi.runtime.state.snapshots import LoadedRows, SavedRows, load_time, save_time
from tableapi.runtime.stream.aggregates import AggregateSet
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from tableapi.runtime.stream.emit import emit_in_pieces, hstack
from tableapi.runtime.stream.operator import OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.sessions import Sessions
from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec, WindowedOperator, property_columns
from tableapi.runtime.stream.window_table import event_times
from tableapi.runtime.stream.window_time import Millis, WindowZone, from_ms
from tableapi.types import TimestampType

_START, _END, _ROWS = "__start", "__end", "__rows"


class SessionAggregate(WindowedOperator):
    """Aggregates rows of a key that follow each other within the gap; emits +I when the watermark passes last time + gap.

    Sessions that a row joins together become one. Rows whose session would be closed already are dropped and counted.
    State: the open sessions by key; running values in parts, of which a session has one, and more after a merge; parts are
    put together when the session closes. Cost of a batch: O(rows + open sessions of their keys); of closing: O(parts).
    """

    def __init__(self, spec: WindowAggregateSpec) -> None:
        super().__init__()
        self._spec = spec
        self.is_event_time = spec.window.is_event_time
        types = spec.input.to_polars()
        self._sessions = Sessions({key: types[key] for key in spec.keys}, spec.window.gap_ms)
        self._part_ids = IdAllocator()
        self._parts = Chains()
        self._part_owner: Ids = np.full(0, -1, dtype=np.int64)
        self._rows = np.zeros(0, dtype=np.int64)

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        spec = self._spec
        self.zone = WindowZone.of(spec.input[spec.window.time_column].type, context.session.time_zone)
        self._aggregates = AggregateSet(spec.input, spec.aggregates, context, not spec.input_is_insert_only, True)
        if not spec.input_is_insert_only and self._aggregates.keeps_values:
            raise UnsupportedError(
                "a SESSION window over an updating input can only COUNT and SUM (and AVG, STDDEV, …)",
                fix="use TUMBLE or HOP, or aggregate an insert-only input",
            )

    def process(self, input: int, batch: Batch) -> None:
        if self.is_event_time:
            instants = event_times(batch.frame, self._spec.window.time_column)
        else:
            instants = np.full(batch.height, self.context.clock.now_ms(), dtype=np.int64)
        keys = batch.frame.select(self._spec.keys) if self._spec.keys else pl.DataFrame(height=batch.height)
        assigned = self._sessions.assign(keys, self.zone.to_local(instants), self._local_watermark())
        if len(assigned.merged):
            self._take_over(assigned.merged, assigned.into)
        rows = assigned.rows
        late = rows < 0
        if late.any():
            self.count_late(int(np.count_nonzero(late)))
            batch, rows = batch.filter(pl.Series(~late)), rows[~late]
            if not batch.height:
                return
        slots = self._slots_of(rows)
        adds = None if batch.is_insert_only else batch.adds()
        self._aggregates.update(slots, batch.frame, adds)
        np.add.at(self._rows, slots, 1 if adds is None else np.where(adds, 1, -1))
        if not self.is_event_time:
            self._set_timer()
        self.context.metrics["keys"] = self._sessions.index.count

    def _local_watermark(self) -> int:
        if self.watermark in (MIN_WATERMARK, MAX_WATERMARK):
            return self.watermark
        return int(self.zone.to_local(np.array([self.watermark]))[0])

    def _take_over(self, merged: Ids, into: Ids) -> None:
        """Moves the parts of sessions that are no more to the sessions that took them over."""
        parts, positions = self._parts.collect(merged)
        self._parts.remove(parts, merged[positions])
        self._parts.append(parts, into[positions])
        self._part_owner[parts] = into[positions]
        self._sessions.give_back(merged)

    def _slots_of(self, sessions: Ids) -> Ids:
        """The part of each row's session that takes new rows, made when there is none."""
        distinct, inverse = np.unique(sessions, return_inverse=True)
        parts = self._parts.first(distinct)
        missing = parts < 0
        if missing.any():
            made = self._part_ids.take(int(np.count_nonzero(missing)))
            parts[missing] = made
            self._parts.append(made, distinct[missing])
            self._reserve()
            self._part_owner[made] = distinct[missing]
        return parts[inverse]

    def _reserve(self) -> None:
        bound = self._part_ids.bound
        self._aggregates.reserve(bound)
        self._part_owner, self._rows = grown(self._part_owner, bound, -1), grown(self._rows, bound)

    def _set_timer(self) -> None:
        end = self._sessions.next_end()
        if end is not None:
            self.context.set_timer(max(self.zone.to_instant(end) - 1, self.context.clock.now_ms() + 1))

    def on_watermark(self, watermark_ms: int) -> int:
        if self.is_event_time:
            self.watermark = max(self.watermark, watermark_ms)
            self._close(self._local_watermark())
        return watermark_ms

    def on_timer(self, time_ms: int) -> None:
        self._close(int(self.zone.to_local(np.array([time_ms]))[0]))
        self._set_timer()

    def _close(self, local_ms: int) -> None:
        closed = self._sessions.closed(local_ms)
        if not len(closed):
            return
        parts, groups = self._parts.collect(closed)
        values = self._aggregates.merged(parts, groups, len(closed))
        starts, ends = self._sessions.starts[closed], self._sessions.ends[closed]
        frame = hstack([self._sessions.keys(closed), values, property_columns(self._spec, starts, ends, self.zone)])
        rows = np.bincount(groups, weights=self._rows[parts], minlength=len(closed))
        if (rows <= 0).any():
            frame = frame.filter(pl.Series(rows > 0))
        emit_in_pieces(self.context.emit, Batch(frame), self.context.max_batch_rows)
        self._parts.remove(parts, closed[groups])
        self._aggregates.clear(parts)
        self._rows[parts] = 0
        self._part_ids.give_back(parts)
        self._sessions.remove(closed)

    def snapshot(self, writer: SnapshotWriter) -> None:
        ids = self._sessions.live()
        keys = self._sessions.keys(ids)
        groups = key_groups(keys) if self._spec.keys else None
        saved = SavedRows(self.context.subtask, groups)
        bounds = [pl.Series(_START, self._sessions.starts[ids]), pl.Series(_END, self._sessions.ends[ids])]
        writer.frame("sessions", saved.tag(hstack([keys, pl.DataFrame(bounds)])))
        parts, positions = self._parts.collect(ids)
        part_groups = None if groups is None else groups[positions]
        saved_parts = SavedRows(self.context.subtask, part_groups)
        owners = saved.tag(pl.DataFrame(height=len(parts)), positions)["__row"].alias("session")
        writer.frame("parts", saved_parts.tag(pl.DataFrame([owners, pl.Series(_ROWS, self._rows[parts])])))
        self._aggregates.save(writer, parts, saved_parts)
        save_time(writer, self.watermark)

    def restore(self, reader: SnapshotReader) -> None:
        self.watermark = load_time(reader)
        frame, parts = reader.frame("sessions"), reader.frame("parts")
        if frame is None or not frame.height or parts is None:
            return
        keys = frame.select(self._spec.keys) if self._spec.keys else pl.DataFrame(height=frame.height)
        ids = self._sessions.load(keys, frame[_START].to_numpy(), frame[_END].to_numpy())
        owners = LoadedRows(frame, ids).ids_of(parts.select(pl.col("session").alias("__row")))
        slots = self._part_ids.take(parts.height)
        self._parts.append(slots, owners)
        self._reserve()
        self._part_owner[slots], self._rows[slots] = owners, parts[_ROWS].to_numpy()
        self._aggregates.load(reader, LoadedRows(parts, slots))
        if not self.is_event_time:
            self._set_timer()

    def state(self) -> dict[str, pl.DataFrame]:
        ids = self._sessions.live()
        parts, groups = self._parts.collect(ids)
        bounds = [self._bound("window_start", self._sessions.starts[ids]), self._bound("window_end", self._sessions.ends[ids])]
        values = self._aggregates.merged(parts, groups, len(ids))
        return {"sessions": hstack([self._sessions.keys(ids), pl.DataFrame(bounds), values])}

    @staticmethod
    def _bound(name: str, times: Millis) -> pl.Series:
        return from_ms(name, times, TimestampType(3).to_polars())
