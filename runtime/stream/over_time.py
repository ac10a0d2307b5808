"""OVER along a time attribute: each row sees rows up to itself.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.plan.nodes import FrameBoundKind, NamedAgg
from tableapi.plan.rex import AggCall, Literal
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import Chains, RowStore
from tableapi.runtime.state.snapshots import LoadedRows, SavedRows, load_time, save_time, untagged
from tableapi.runtime.stream.aggregates import AggregateSet
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from tableapi.runtime.stream.emit import emit_in_pieces, hstack
from tableapi.runtime.stream.idle import IdleKeys
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.over_frames import ID, SLOT, compute, ordered
from tableapi.runtime.stream.time_buffer import TimeBuffer
from tableapi.runtime.stream.window_table import event_times
from tableapi.runtime.stream.window_time import Millis, from_ms, to_ms_or_min
from tableapi.types import BigIntType

if TYPE_CHECKING:
    from tableapi.runtime.stream.over import OverSpec


class TimeOver(Operator):
    """Emits each row once (+I) with the calls' values; event time waits for the watermark, processing time does not: its rows follow
    each other as they come, and only a bounded RANGE waits for all rows of a millisecond (Flink).

    Late rows are dropped and counted (Flink). Frames that begin at the partition's first row keep running values only, and
    cost O(rows). Other frames keep the rows that later rows can still see, and cost O(rows + kept rows of their partitions);
    so do calls that need a list of values (LISTAGG, …) or a Python function, for which all rows are kept.
    """

    def __init__(self, spec: OverSpec, time_column: str) -> None:
        if not spec.is_event_time and spec.frame.lower.kind is FrameBoundKind.UNBOUNDED:
            spec = replace(spec, frame=replace(spec.frame, is_rows=True))
        self._spec, self._time = spec, time_column
        self._has_peers = not (spec.is_event_time or spec.frame.is_rows)
        types = spec.input.to_polars()
        self._index = KeyIndex({key: types[key] for key in spec.partition_by})
        self._waiting = TimeBuffer()
        self._watermark = MIN_WATERMARK
        self._history = RowStore(types)
        self._by_partition = Chains()
        self._owner: Ids = np.full(0, -1, dtype=np.int64)
        self._swept = 1024
        self._idle = IdleKeys(spec.ttl_ms, self._index, self._expire)

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        self._idle.open(context)
        spec = self._spec
        self._aggregates: AggregateSet | None = None
        if spec.frame.lower.kind is not FrameBoundKind.UNBOUNDED:
            return
        calls = tuple(_as_count(call) for call in spec.calls)
        if all(c.call.udaf is None and c.call.function not in _LOOK_BACK for c in calls):
            aggregates = AggregateSet(spec.input, calls, context, False)
            self._aggregates = aggregates if aggregates.can_run else None

    def on_timer(self, time_ms: int) -> None:
        self._idle.sweep(time_ms)
        if self._has_peers:
            self._take_until(time_ms - 1)

    def _expire(self, slots: Ids) -> None:
        if self._aggregates is not None:
            self._aggregates.clear(slots)
        ids, _ = self._by_partition.collect(slots)
        self._by_partition.remove(ids, self._owner[ids])
        self._history.remove(ids)
        self._index.free(slots)

    def process(self, input: int, batch: Batch) -> None:
        if not self._spec.is_event_time:
            now = np.full(batch.height, self.context.clock.now_ms(), dtype=np.int64)
            dtype = self._spec.input[self._time].type.to_polars()
            rows = batch.frame.with_columns(from_ms(self._time, now, dtype))
            if self._has_peers:
                self._waiting.add(Batch(rows), now)
                self.context.set_timer(int(now[0]) + 1)
            else:
                self._compute(rows)
            return
        times = event_times(batch.frame, self._time)
        late = times <= self._watermark
        batch = self.leave_out(batch, late, times, self._watermark)
        if batch.height:
            self._waiting.add(batch, times[~late])

    def on_watermark(self, watermark_ms: int) -> int:
        if self._spec.is_event_time:
            self._watermark = max(self._watermark, watermark_ms)
            self._take_until(watermark_ms)
        elif watermark_ms == MAX_WATERMARK:
            self._take_until(watermark_ms)
        return watermark_ms

    def _take_until(self, time_ms: int) -> None:
        ready = self._waiting.take(time_ms)
        if ready is not None:
            self._compute(ready.frame)

    def _compute(self, frame: pl.DataFrame) -> None:
        self._idle.enter(frame)
        slots, _ = self._index.insert(frame)
        self._idle.touch(slots)
        rows = ordered(frame.with_columns(pl.Series(SLOT, slots)), self._spec.order_by)
        slots = rows[SLOT].to_numpy().copy()
        result = self._run(rows, slots) if self._aggregates is not None else self._look_back(rows, slots)
        emit_in_pieces(self.context.emit, Batch(result), self.context.max_batch_rows)
        self.context.metrics["keys"] = self._index.count

    def _run(self, rows: pl.DataFrame, slots: Ids) -> pl.DataFrame:
        assert self._aggregates is not None
        self._aggregates.reserve(self._index.bound)
        values = self._aggregates.running(slots, rows)
        if not self._spec.frame.is_rows:
            last_peer = _last_peers(rows, [SLOT, *(k.column for k in self._spec.order_by)])
            at_peer = values[last_peer]
            own = [c.name for c in self._spec.calls if c.call.function == "ROW_NUMBER"]
            values = at_peer.with_columns([values[name] for name in own])
        return hstack([rows.drop(SLOT), values])

    def _look_back(self, rows: pl.DataFrame, slots: Ids) -> pl.DataFrame:
        touched = np.unique(slots)
        ids, positions = self._by_partition.collect(touched)
        new_ids = self._history.append(rows)
        self._owner = grown(self._owner, self._history.bound, -1)
        self._owner[new_ids] = slots
        self._by_partition.append(new_ids, slots)
        before = self._history.gather(ids).with_columns(pl.Series(SLOT, touched[positions]), pl.Series(ID, ids))
        now = rows.with_columns(pl.Series(ID, new_ids)).select(before.columns)
        both = ordered(pl.concat([before, now]), self._spec.order_by)
        values = compute(both, self._spec, self.context.session, self.context.functions)
        is_new = np.zeros(self._history.bound, dtype=np.bool_)
        is_new[new_ids] = True
        chosen = pl.Series(is_new[both[ID].to_numpy()])
        result = hstack([both.drop(SLOT, ID).filter(chosen), values.filter(chosen)])
        self._trim(both[ID].to_numpy(), both[SLOT].to_numpy(), to_ms_or_min(both[self._time]))
        if self._history.count > 2 * self._swept:
            self._sweep()
        return result

    def _trim(self, ids: Ids, slots: Ids, times: Millis) -> None:
        """Forgets rows, given sorted by partition and time, that no later row can see."""
        keep = self._is_visible(slots, times)
        gone = ids[~keep]
        self._by_partition.remove(gone, self._owner[gone])
        self._history.remove(gone)

    def _is_visible(self, slots: Ids, times: Millis) -> npt.NDArray[np.bool_]:
        lower = self._spec.frame.lower
        if lower.kind is FrameBoundKind.UNBOUNDED or any(c.call.function in _LOOK_BACK_FOR_EVER for c in self._spec.calls):
            return np.ones(len(slots), dtype=np.bool_)
        rows = max([_distance(c.call) for c in self._spec.calls], default=0)
        offset = -lower.offset if lower.kind is FrameBoundKind.OFFSET else 0
        if self._spec.frame.is_rows:
            rows = max(rows, offset)
        ends = np.append(np.flatnonzero(slots[1:] != slots[:-1]), len(slots) - 1)
        from_end = ends[np.searchsorted(ends, np.arange(len(slots)))] - np.arange(len(slots))
        visible: npt.NDArray[np.bool_] = from_end < rows
        if not self._spec.frame.is_rows:
            now = self._watermark if self._spec.is_event_time else self.context.clock.now_ms()
            visible |= times >= now - offset
        return visible

    def _sweep(self) -> None:
        """Trims all partitions, also those without new rows; runs when the number of rows has doubled."""
        ids, positions = self._by_partition.collect(self._index.live_slots())
        slots = self._index.live_slots()[positions]
        times = to_ms_or_min(self._history.gather_column(self._time, ids))
        order = np.lexsort([times, slots])
        self._trim(ids[order], slots[order], times[order])
        self._swept = max(1024, self._history.count)

    def snapshot(self, writer: SnapshotWriter) -> None:
        types = self._spec.input.to_polars()
        slots = self._index.live_slots()
        ids, _ = self._by_partition.collect(slots)
        keys = self._index.keys(slots)
        frames = {"waiting": self._waiting.rows(types).frame, "history": self._history.gather(ids), "partitions": keys}
        for name, frame in frames.items():
            groups = key_groups(frame, self._spec.partition_by) if self._spec.partition_by else None
            saved = SavedRows(self.context.subtask, groups)
            writer.frame(name, saved.tag(frame) if frame.width else saved.tag(pl.DataFrame({SLOT: slots})))
        if self._aggregates is not None:
            groups = key_groups(keys) if self._spec.partition_by else None
            self._aggregates.save(writer, slots, SavedRows(self.context.subtask, groups))
        save_time(writer, self._watermark)

    def restore(self, reader: SnapshotReader) -> None:
        self._watermark = load_time(reader)
        partitions, history, waiting = (reader.frame(n) for n in ("partitions", "history", "waiting"))
        if partitions is not None and partitions.height:
            slots, _ = self._index.insert(partitions)
            self._idle.touch(slots)
            if self._aggregates is not None:
                self._aggregates.reserve(self._index.bound)
                self._aggregates.load(reader, LoadedRows(partitions, slots))
        if history is not None and history.height:
            rows = untagged(history)
            ids = self._history.append(rows)
            self._owner = grown(self._owner, self._history.bound, -1)
            self._owner[ids], _ = self._index.insert(rows)
            self._by_partition.append(ids, self._owner[ids])
        if waiting is not None and waiting.height:
            rows = untagged(waiting)
            times = to_ms_or_min(rows[self._time])
            self._waiting.add(Batch(rows), times)
            if self._has_peers:
                self.context.set_timer(int(times.max()) + 1)

    def state(self) -> dict[str, pl.DataFrame]:
        types = self._spec.input.to_polars()
        return {
            "waiting": self._waiting.rows(types).frame,
            "history": self._history.gather(self._history.live_ids()),
        }


_LOOK_BACK = frozenset({"LEAD", "LAG", "RANK", "DENSE_RANK"})
_LOOK_BACK_FOR_EVER = frozenset({"RANK", "DENSE_RANK", "ROW_NUMBER"})


def _as_count(call: NamedAgg) -> NamedAgg:
    """ROW_NUMBER is the number of rows so far."""
    if call.call.function != "ROW_NUMBER":
        return call
    return replace(call, call=AggCall("COUNT", (), BigIntType(is_nullable=False)))


def _distance(call: AggCall) -> int:
    """How many rows before the current one a LAG looks."""
    if call.function != "LAG":
        return 0
    amount = call.args[1] if len(call.args) > 1 else None
    return int(amount.value) if isinstance(amount, Literal) else 1


def _last_peers(rows: pl.DataFrame, names: list[str]) -> Ids:
    """For each row the last one of its run of rows that are equal in `names`."""
    runs = rows.select(pl.struct(names).rle_id()).to_series().to_numpy()
    ends = np.append(np.flatnonzero(runs[1:] != runs[:-1]), len(runs) - 1)
    last: Ids = ends[np.searchsorted(ends, np.arange(len(runs)))]
    return last
