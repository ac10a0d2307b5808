"""The SESSION window table function without aggregation: rows come out with their session's bounds when it closes.

Imports `runtime.state` and the operator contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import Chains, RowStore
from tableapi.runtime.state.snapshots import LoadedRows, SavedRows, load_time, save_time, untagged
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from tableapi.runtime.stream.emit import emit_in_pieces, hstack
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.sessions import Sessions
from tableapi.runtime.stream.window_table import event_times, window_columns
from tableapi.runtime.stream.window_time import WindowZone

if TYPE_CHECKING:
    from tableapi.runtime.stream.window_table import WindowTableSpec

_START, _END = "__start", "__end"


class SessionTable(Operator):
    """Keeps rows until their session closes, then emits them (+I) with its bounds. Late rows are left out and counted.

    A row that is taken back before its session closes does not come out. State: the open sessions by partition, rows in a RowStore, a chain
    of rows per session and, when rows can be taken back, an index of the rows' values. Cost: O(rows).
    """

    def __init__(self, spec: WindowTableSpec) -> None:
        self._spec = spec
        types = spec.input.to_polars()
        self._is_event_time = spec.window.is_event_time
        self._partition_by = list(spec.window.partition_by)
        self._sessions = Sessions({name: types[name] for name in self._partition_by}, spec.window.gap_ms)
        self._rows = RowStore(types)
        self._by_session = Chains()
        self._session: Ids = np.full(0, -1, dtype=np.int64)
        self._values = None if spec.input_is_insert_only else KeyIndex(types)
        self._by_value = Chains()
        self._value: Ids = np.full(0, -1, dtype=np.int64)
        self._watermark = MIN_WATERMARK

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        self._zone = WindowZone.of(self._spec.input[self._spec.window.time_column].type, context.session.time_zone)

    def process(self, input: int, batch: Batch) -> None:
        if self._is_event_time:
            instants = event_times(batch.frame, self._spec.window.time_column)
        else:
            instants = np.full(batch.height, self.context.clock.now_ms(), dtype=np.int64)
        assigned = self._sessions.assign(self._keys(batch.frame), self._zone.to_local(instants), self._local(self._watermark))
        if len(assigned.merged):
            ids, positions = self._by_session.collect(assigned.merged)
            self._by_session.remove(ids, assigned.merged[positions])
            self._by_session.append(ids, assigned.into[positions])
            self._session[ids] = assigned.into[positions]
            self._sessions.give_back(assigned.merged)
        late = assigned.rows < 0
        batch = self.leave_out(batch, late, instants, self._watermark)
        sessions = assigned.rows[~late]
        adds = batch.adds()
        self._add(batch.frame if batch.is_insert_only else batch.frame.filter(pl.Series(adds)), sessions[adds])
        if not adds.all():
            self._take_back(batch.frame.filter(pl.Series(~adds)))
        if not self._is_event_time:
            self._set_timer()

    def _add(self, rows: pl.DataFrame, sessions: Ids) -> None:
        ids = self._rows.append(rows)
        bound = self._rows.bound
        self._session, self._value = grown(self._session, bound, -1), grown(self._value, bound, -1)
        self._session[ids] = sessions
        self._by_session.append(ids, sessions)
        if self._values is not None and len(ids):
            self._value[ids], _ = self._values.insert(rows)
            self._by_value.append(ids, self._value[ids])

    def _take_back(self, rows: pl.DataFrame) -> None:
        assert self._values is not None, "an insert-only input took a row back"
        ids = self._by_value.pop(self._values.find(rows))
        ids = ids[ids >= 0]
        self._by_session.remove(ids, self._session[ids])
        self._free_values(ids)
        self._rows.remove(ids)

    def _free_values(self, ids: Ids) -> None:
        """Values of which no row is left are forgotten; the rows have been taken off their chains."""
        if self._values is not None:
            values = np.unique(self._value[ids])
            self._values.free(values[self._by_value.is_empty(values)])

    def _keys(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(self._partition_by) if self._partition_by else pl.DataFrame(height=frame.height)

    def _local(self, watermark_ms: int) -> int:
        if watermark_ms in (MIN_WATERMARK, MAX_WATERMARK):
            return watermark_ms
        return int(self._zone.to_local(np.array([watermark_ms]))[0])

    def _set_timer(self) -> None:
        end = self._sessions.next_end(int(self._zone.to_local(np.array([self.context.clock.now_ms()]))[0]))
        if end is not None:
            self.context.set_timer(self._zone.to_instant(end) - 1)

    def on_watermark(self, watermark_ms: int) -> int:
        if self._is_event_time:
            self._watermark = max(self._watermark, watermark_ms)
            self._close(self._local(watermark_ms))
        return watermark_ms

    def on_timer(self, time_ms: int) -> None:
        self._close(self._local(time_ms))
        self._set_timer()

    def _close(self, local_ms: int) -> None:
        closed = self._sessions.closed(local_ms)
        if not len(closed):
            return
        ids, positions = self._by_session.collect(closed)
        sessions = closed[positions]
        starts, ends = self._sessions.starts[sessions], self._sessions.ends[sessions]
        frame = self._rows.gather(ids).with_columns(window_columns(self._spec, starts, ends, self._zone))
        emit_in_pieces(self.context.emit, Batch(frame), self.context.max_batch_rows)
        self._by_session.remove(ids, sessions)
        if self._values is not None:
            self._by_value.remove(ids, self._value[ids])
        self._free_values(ids)
        self._rows.remove(ids)
        self._sessions.remove(closed)

    def snapshot(self, writer: SnapshotWriter) -> None:
        sessions = self._sessions.live()
        ids, positions = self._by_session.collect(sessions)
        keys = self._sessions.keys(sessions)
        groups = key_groups(keys) if self._partition_by else None
        saved = SavedRows(self.context.subtask, groups)
        bounds = [pl.Series(_START, self._sessions.starts[sessions]), pl.Series(_END, self._sessions.ends[sessions])]
        writer.frame("sessions", saved.tag(hstack([keys, pl.DataFrame(bounds)])))
        writer.frame("rows", saved.tag(self._rows.gather(ids), positions))
        save_time(writer, self._watermark)

    def restore(self, reader: SnapshotReader) -> None:
        self._watermark = load_time(reader)
        frame, rows = reader.frame("sessions"), reader.frame("rows")
        if frame is None or not frame.height or rows is None:
            return
        ids = self._sessions.load(self._keys(frame), frame[_START].to_numpy(), frame[_END].to_numpy())
        self._add(untagged(rows), LoadedRows(frame, ids).ids_of(rows))
        if not self._is_event_time:
            self._set_timer()

    def state(self) -> dict[str, pl.DataFrame]:
        return {"rows": self._rows.gather(self._rows.live_ids())}
