"""The SESSION window table function without aggregation: rows come out with their session's bounds when it closes.

Imports `runtime.state` and the operator contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.row_store import Chains, RowStore
from tableapi.runtime.state.snapshots import LoadedRows, SavedRows, load_time, save_time, untagged
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from tableapi.runtime.stream.emit import emit_in_pieces
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.sessions import Sessions
from tableapi.runtime.stream.window_table import event_times, window_columns
from tableapi.runtime.stream.window_time import WindowZone

if TYPE_CHECKING:
    from tableapi.runtime.stream.window_table import WindowTableSpec

_START, _END, _SESSION = "__start", "__end", "__session"


class SessionTable(Operator):
    """Keeps rows until their session closes, then emits them (+I) with its bounds. Late rows are dropped and counted.

    State: the open sessions by partition, rows in a RowStore, a chain of rows per session.
    """

    def __init__(self, spec: WindowTableSpec) -> None:
        self._spec = spec
        types = spec.input.to_polars()
        self._partition_by = list(spec.window.partition_by)
        self._sessions = Sessions({name: types[name] for name in self._partition_by}, spec.window.gap_ms)
        self._rows = RowStore(types)
        self._by_session = Chains()
        self._watermark = MIN_WATERMARK

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        self._zone = WindowZone.of(self._spec.input[self._spec.window.time_column].type, context.session.time_zone)

    def process(self, input: int, batch: Batch) -> None:
        if not batch.is_insert_only:
            raise UnsupportedError("SESSION over an updating input is not supported", fix="aggregate an insert-only input")
        times = self._zone.to_local(event_times(batch.frame, self._spec.window.time_column))
        assigned = self._sessions.assign(self._keys(batch.frame), times, self._local(self._watermark))
        if len(assigned.merged):
            ids, positions = self._by_session.collect(assigned.merged)
            self._by_session.remove(ids, assigned.merged[positions])
            self._by_session.append(ids, assigned.into[positions])
            self._sessions.give_back(assigned.merged)
        in_time = assigned.rows >= 0
        late = int(np.count_nonzero(~in_time))
        self.context.metrics["late_rows"] = self.context.metrics.get("late_rows", 0) + late
        self._by_session.append(self._rows.append(batch.frame.filter(pl.Series(in_time))), assigned.rows[in_time])

    def _keys(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(self._partition_by) if self._partition_by else pl.DataFrame(height=frame.height)

    def _local(self, watermark_ms: int) -> int:
        if watermark_ms in (MIN_WATERMARK, MAX_WATERMARK):
            return watermark_ms
        return int(self._zone.to_local(np.array([watermark_ms]))[0])

    def on_watermark(self, watermark_ms: int) -> int:
        self._watermark = max(self._watermark, watermark_ms)
        closed = self._sessions.closed(self._local(watermark_ms))
        if len(closed):
            ids, positions = self._by_session.collect(closed)
            sessions = closed[positions]
            starts, ends = self._sessions.starts[sessions], self._sessions.ends[sessions]
            frame = self._rows.gather(ids).with_columns(window_columns(self._spec, starts, ends, self._zone))
            emit_in_pieces(self.context.emit, Batch(frame), self.context.max_batch_rows)
            self._by_session.remove(ids, sessions)
            self._rows.remove(ids)
            self._sessions.remove(closed)
        return watermark_ms

    def snapshot(self, writer: SnapshotWriter) -> None:
        sessions = self._sessions.live()
        ids, positions = self._by_session.collect(sessions)
        keys = self._sessions.keys(sessions)
        groups = key_groups(keys) if self._partition_by else None
        saved = SavedRows(self.context.subtask, groups)
        bounds = [pl.Series(_START, self._sessions.starts[sessions]), pl.Series(_END, self._sessions.ends[sessions])]
        writer.frame("sessions", saved.tag(keys.with_columns(bounds) if keys.width else pl.DataFrame(bounds)))
        writer.frame("rows", saved.tag(self._rows.gather(ids), positions))
        save_time(writer, self._watermark)

    def restore(self, reader: SnapshotReader) -> None:
        self._watermark = load_time(reader)
        frame, rows = reader.frame("sessions"), reader.frame("rows")
        if frame is None or not frame.height or rows is None:
            return
        ids = self._sessions.load(self._keys(frame), frame[_START].to_numpy(), frame[_END].to_numpy())
        self._by_session.append(self._rows.append(untagged(rows)), LoadedRows(frame, ids).ids_of(rows))

    def state(self) -> dict[str, pl.DataFrame]:
        return {"rows": self._rows.gather(self._rows.live_ids())}
