"""Aggregation over windows of time: TUMBLE, HOP, CUMULATE by slices, and rows that carry their window. Sessions: the sibling
file.

Imports the plan, `runtime.state`, the aggregate calls and the operator contract.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.plan.nodes import NamedAgg, WindowKind, WindowProperty, WindowSpec
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.snapshots import LoadedRows, SavedRows, load_time, save_time, untagged
from tableapi.runtime.stream.aggregates import AggregateSet, check_supported
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from tableapi.runtime.stream.emit import emit_in_pieces, hstack
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.window_table import event_times
from tableapi.runtime.stream.window_time import Millis, Slices, WindowZone, from_ms, to_ms
from tableapi.tablespec import RowSchema
from tableapi.types import TimestampType

_BOUND = TimestampType(3).to_polars()
_END = "__window_end"
_START = "__window_start"
_ROWS = "__rows"
_MERGE_ROWS = 1_000_000


@dataclass(frozen=True)
class WindowAggregateSpec:
    """Fields as in `plan.nodes.WindowAggregate`. Output: keys, aggregates, properties; +I only.

    With `attached`, the window's start and end are columns of the input, and the rows are grouped by them.
    """

    input: RowSchema
    window: WindowSpec
    keys: tuple[str, ...]
    aggregates: tuple[NamedAgg, ...]
    properties: tuple[tuple[str, WindowProperty], ...] = ()
    attached: tuple[str, str] | None = None
    input_is_insert_only: bool = True

    def __post_init__(self) -> None:
        check_supported(self.aggregates)

    def create(self) -> Operator:
        """A new operator."""
        if self.attached is not None:
            return AttachedWindowAggregate(self)
        if self.window.kind is WindowKind.SESSION:
            from tableapi.runtime.stream.session_aggregate import SessionAggregate

            return SessionAggregate(self)
        return SliceAggregate(self)


def property_columns(spec: WindowAggregateSpec, starts: Millis, ends: Millis, zone: WindowZone) -> pl.DataFrame:
    """The columns of the window's properties for windows given by start and end (wall clock)."""
    columns = []
    for name, what in spec.properties:
        match what:
            case WindowProperty.START:
                columns.append(from_ms(name, starts, _BOUND))
            case WindowProperty.END:
                columns.append(from_ms(name, ends, _BOUND))
            case WindowProperty.TIME:
                dtype = _BOUND if spec.attached else spec.input[spec.window.time_column].type.to_polars()
                columns.append(from_ms(name, zone.to_instants(ends - 1), dtype))
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=len(ends))


class WindowedOperator(Operator):
    """What window operators share: the watermark, late rows, and processing time."""

    zone: WindowZone
    is_event_time: bool

    def __init__(self) -> None:
        self.watermark = MIN_WATERMARK

    def is_fired(self, ends: Millis) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether windows that end at these wall-clock times are closed."""
        if self.watermark == MIN_WATERMARK:
            return np.zeros(len(ends), dtype=np.bool_)
        if self.zone.name is None:
            return ends - 1 <= self.watermark
        distinct, inverse = np.unique(ends, return_inverse=True)
        fired: np.ndarray[tuple[int], np.dtype[np.bool_]] = (self.zone.to_instants(distinct) - 1 <= self.watermark)[inverse]
        return fired

    def count_late(self, rows: int) -> None:
        """Adds to the counter of rows that came after their window had closed."""
        metrics = self.context.metrics
        metrics["late_rows"] = metrics.get("late_rows", 0) + rows


class SliceAggregate(WindowedOperator):
    """Aggregates each row into the one slice it belongs to; a window's result is put together from its slices when it closes.

    A row costs the same however many windows cover it. Emits +I (keys, results, window) once per key and window, in order of
    window end, when the watermark passes the window's last millisecond (processing time: when the clock does). Rows whose
    windows have all closed are dropped and counted; rows that are late for some of their windows count in the others (Flink).
    State: an index over (keys, slice), running values by slot, the slots of each slice. Cost of a batch: O(rows); of a closing
    window: O(keys in its slices).
    """

    def __init__(self, spec: WindowAggregateSpec) -> None:
        super().__init__()
        self._spec = spec
        self._slices = Slices.of(spec.window)
        self.is_event_time = spec.window.is_event_time
        types = spec.input.to_polars()
        self._index = KeyIndex({**{key: types[key] for key in spec.keys}, _END: pl.Int64()})
        self._rows = np.zeros(0, dtype=np.int64)
        self._slots: dict[int, list[Ids]] = {}
        self._slice_ends: list[int] = []
        self._pending: list[int] = []
        self._pending_set: set[int] = set()

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        spec = self._spec
        self.zone = WindowZone.of(spec.input[spec.window.time_column].type, context.session.time_zone)
        self._aggregates = AggregateSet(
            spec.input,
            spec.aggregates,
            context,
            not spec.input_is_insert_only,
            spec.window.kind is not WindowKind.TUMBLE and spec.attached is None,
        )

    def process(self, input: int, batch: Batch) -> None:
        batch, ends = self._with_slices(batch)
        if not batch.height:
            return
        keyed = batch.frame.with_columns(pl.Series(_END, ends))
        slots, new_rows = self._index.insert(keyed)
        self._aggregates.reserve(self._index.bound)
        self._note_slots(ends[new_rows], slots[new_rows])
        adds = None if batch.is_insert_only else batch.adds()
        self._aggregates.update(slots, batch.frame, adds)
        if not self._spec.input_is_insert_only:
            self._rows = grown(self._rows, self._index.bound)
            np.add.at(self._rows, slots, 1 if adds is None else np.where(adds, 1, -1))
        self.context.metrics["keys"] = self._index.count

    def _with_slices(self, batch: Batch) -> tuple[Batch, Millis]:
        """The rows that are in an open window, and the slice of each."""
        if self.is_event_time:
            instants = event_times(batch.frame, self._spec.window.time_column)
        else:
            instants = np.full(batch.height, self.context.clock.now_ms(), dtype=np.int64)
        ends = self._slices.end_of(self.zone.to_local(instants))
        last = self._slices.last_window_of(ends)
        keep = np.ones(len(ends), dtype=np.bool_)
        if self.is_event_time:
            late = self.is_fired(last)
            if late.any():
                self.count_late(int(np.count_nonzero(late)))
                keep &= ~late
        if self._slices.kind is WindowKind.HOP:
            keep &= last >= ends
        return (batch, ends) if keep.all() else (batch.filter(pl.Series(keep)), ends[keep])

    def _note_slots(self, ends: Millis, slots: Ids) -> None:
        """Notes the slots of new (key, slice) pairs under their slice, and the windows that will have to be closed."""
        if not len(slots):
            return
        order = np.argsort(ends, kind="stable")
        distinct, starts = np.unique(ends[order], return_index=True)
        for end, part in zip(distinct.tolist(), np.split(slots[order], starts[1:]), strict=True):
            known = self._slots.get(end)
            if known is not None:
                known.append(part)
                continue
            self._slots[end] = [part]
            insort(self._slice_ends, end)
        windows = {window for end in distinct.tolist() for window in self._slices.windows_of(end)} - self._pending_set
        for window in windows:
            instant = self.zone.to_instant(window) - 1
            if instant <= self.watermark:
                continue
            self._pending_set.add(window)
            insort(self._pending, window)
            if not self.is_event_time:
                self.context.set_timer(instant)

    def on_watermark(self, watermark_ms: int) -> int:
        if self.is_event_time:
            self.watermark = max(self.watermark, watermark_ms)
            self._close_windows(watermark_ms)
        return watermark_ms

    def on_timer(self, time_ms: int) -> None:
        self._close_windows(time_ms)

    def _close_windows(self, now_ms: int) -> None:
        if not self._pending:
            return
        fired = 0
        while fired < len(self._pending) and (
            now_ms == MAX_WATERMARK or self.zone.to_instant(self._pending[fired]) - 1 <= now_ms
        ):
            fired += 1
        if not fired:
            return
        windows, self._pending = self._pending[:fired], self._pending[fired:]
        self._pending_set.difference_update(windows)
        if self._slices.kind is WindowKind.TUMBLE:
            self._emit_tumbling(windows)
        else:
            self._emit_merged(windows)
        self._release()
        self.context.metrics["keys"] = self._index.count

    def _emit_tumbling(self, windows: list[int]) -> None:
        slots = np.concatenate([part for window in windows for part in self._slots[window]])
        keys = self._index.keys(slots)
        self._emit(keys.drop(_END), self._aggregates.values(slots), keys[_END].to_numpy(), self._rows_of(slots))

    def _rows_of(self, slots: Ids) -> Ids | None:
        return None if self._spec.input_is_insert_only else self._rows[slots]

    def _emit_merged(self, windows: list[int]) -> None:
        """Closes windows, as many at once as have about a million (key, slice) pairs."""
        taken: list[Ids] = []
        ends: list[int] = []
        for window in windows:
            taken.append(self._slots_of_window(window))
            ends.append(window)
            if sum(map(len, taken)) >= _MERGE_ROWS:
                self._emit_windows(taken, ends)
                taken, ends = [], []
        if taken:
            self._emit_windows(taken, ends)

    def _slots_of_window(self, window: int) -> Ids:
        start = int(self._slices.start_of_window(np.array([window]))[0])
        low, high = bisect_right(self._slice_ends, start), bisect_right(self._slice_ends, window)
        parts = [part for end in self._slice_ends[low:high] for part in self._slots[end]]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def _emit_windows(self, taken: list[Ids], ends: list[int]) -> None:
        slots = np.concatenate(taken)
        if not len(slots):
            return
        window = np.repeat(np.array(ends, dtype=np.int64), [len(part) for part in taken])
        keys = self._index.keys(slots).with_columns(pl.Series(_END, window))
        results = KeyIndex(self._index.schema)
        groups, first = results.insert(keys)
        rows = None
        if not self._spec.input_is_insert_only:
            rows = np.zeros(len(first), dtype=np.int64)
            np.add.at(rows, groups, self._rows[slots])
        merged = self._aggregates.merged(slots, groups, len(first))
        self._emit(keys[first].drop(_END), merged, window[first], rows)

    def _emit(self, keys: pl.DataFrame, values: pl.DataFrame, ends: Millis, rows: Ids | None) -> None:
        properties = property_columns(self._spec, self._slices.start_of_window(ends), ends, self.zone)
        frame = hstack([keys, values, properties])
        if rows is not None and (rows <= 0).any():
            frame = frame.filter(pl.Series(rows > 0))
        emit_in_pieces(self.context.emit, Batch(frame), self.context.max_batch_rows)

    def _release(self) -> None:
        """Forgets slices that no pending window covers."""
        bound = self._pending[0] if self._pending else None
        ends = np.array(self._slice_ends, dtype=np.int64)
        done = ends[self._slices.last_window_of(ends) < bound] if bound is not None else ends
        if not len(done):
            return
        slots = np.concatenate([part for end in done.tolist() for part in self._slots.pop(end)])
        gone = set(done.tolist())
        self._slice_ends = [end for end in self._slice_ends if end not in gone]
        self._aggregates.clear(slots)
        if not self._spec.input_is_insert_only:
            self._rows[slots] = 0
        self._index.free(slots)

    def snapshot(self, writer: SnapshotWriter) -> None:
        slots = self._index.live_slots()
        keys = self._index.keys(slots)
        groups = key_groups(keys, self._spec.keys) if self._spec.keys else None
        saved = SavedRows(self.context.subtask, groups)
        if not self._spec.input_is_insert_only:
            keys = keys.with_columns(pl.Series(_ROWS, self._rows[slots]))
        writer.frame("slices", saved.tag(keys))
        save_time(writer, self.watermark)
        self._aggregates.save(writer, slots, saved)

    def restore(self, reader: SnapshotReader) -> None:
        self.watermark = load_time(reader)
        frame = reader.frame("slices")
        if frame is None or not frame.height:
            return
        slots, _ = self._index.insert(untagged(frame))
        self._aggregates.reserve(self._index.bound)
        if not self._spec.input_is_insert_only:
            self._rows = grown(self._rows, self._index.bound)
            self._rows[slots] = frame[_ROWS].to_numpy()
        self._note_slots(frame[_END].to_numpy(), slots)
        self._aggregates.load(reader, LoadedRows(frame, slots))

    def state(self) -> dict[str, pl.DataFrame]:
        slots = self._index.live_slots()
        keys = self._index.keys(slots)
        ends = from_ms("slice_end", keys[_END].to_numpy(), _BOUND).to_frame()
        return {"slices": hstack([keys.drop(_END), ends, self._aggregates.values(slots)])}


class AttachedWindowAggregate(WindowedOperator):
    """Groups rows by keys and by the window that they carry; emits +I when the watermark passes the window's end.

    State: an index over (keys, start, end), running values by slot, the slots of each window end.
    Cost of a batch: O(rows); of closing windows: O(their keys).
    """

    def __init__(self, spec: WindowAggregateSpec) -> None:
        super().__init__()
        assert spec.attached is not None
        self._spec, (self._start, self._end) = spec, spec.attached
        self.is_event_time = spec.window.is_event_time
        types = spec.input.to_polars()
        self._index = KeyIndex({**{k: types[k] for k in spec.keys}, _START: pl.Int64(), _END: pl.Int64()})
        self._rows = np.zeros(0, dtype=np.int64)
        self._slots: dict[int, list[Ids]] = {}

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        spec = self._spec
        time_type = spec.input[spec.window.time_column].type if spec.window.time_column in spec.input else None
        self.zone = WindowZone(None) if time_type is None else WindowZone.of(time_type, context.session.time_zone)
        self._aggregates = AggregateSet(
            spec.input,
            spec.aggregates,
            context,
            not spec.input_is_insert_only,
            spec.window.kind is not WindowKind.TUMBLE and spec.attached is None,
        )

    def process(self, input: int, batch: Batch) -> None:
        starts, ends = to_ms(batch.frame[self._start]), to_ms(batch.frame[self._end])
        late = self.is_fired(ends)
        if late.any():
            self.count_late(int(np.count_nonzero(late)))
            batch, starts, ends = batch.filter(pl.Series(~late)), starts[~late], ends[~late]
            if not batch.height:
                return
        slots, new_rows = self._index.insert(batch.frame.with_columns(pl.Series(_START, starts), pl.Series(_END, ends)))
        self._aggregates.reserve(self._index.bound)
        self._note_slots(ends[new_rows], slots[new_rows])
        adds = None if batch.is_insert_only else batch.adds()
        self._aggregates.update(slots, batch.frame, adds)
        if not self._spec.input_is_insert_only:
            self._rows = grown(self._rows, self._index.bound)
            np.add.at(self._rows, slots, 1 if adds is None else np.where(adds, 1, -1))

    def _note_slots(self, ends: Millis, slots: Ids) -> None:
        """Notes the slots of new (key, window) pairs under their window's end."""
        if not len(slots):
            return
        order = np.argsort(ends, kind="stable")
        distinct, starts = np.unique(ends[order], return_index=True)
        for end, part in zip(distinct.tolist(), np.split(slots[order], starts[1:]), strict=True):
            if end not in self._slots and not self.is_event_time:
                self.context.set_timer(self.zone.to_instant(end) - 1)
            self._slots.setdefault(end, []).append(part)

    def on_watermark(self, watermark_ms: int) -> int:
        if self.is_event_time:
            self.watermark = max(self.watermark, watermark_ms)
            self._close(watermark_ms)
        return watermark_ms

    def on_timer(self, time_ms: int) -> None:
        self._close(time_ms)

    def _close(self, now_ms: int) -> None:
        fired = sorted(e for e in self._slots if now_ms == MAX_WATERMARK or self.zone.to_instant(e) - 1 <= now_ms)
        if not fired:
            return
        slots = np.concatenate([part for end in fired for part in self._slots.pop(end)])
        keys = self._index.keys(slots)
        properties = property_columns(self._spec, keys[_START].to_numpy(), keys[_END].to_numpy(), self.zone)
        frame = hstack([keys.drop(_START, _END), self._aggregates.values(slots), properties])
        if not self._spec.input_is_insert_only:
            frame = frame.filter(pl.Series(self._rows[slots] > 0))
            self._rows[slots] = 0
        emit_in_pieces(self.context.emit, Batch(frame), self.context.max_batch_rows)
        self._aggregates.clear(slots)
        self._index.free(slots)

    def snapshot(self, writer: SnapshotWriter) -> None:
        slots = self._index.live_slots()
        keys = self._index.keys(slots)
        groups = key_groups(keys, self._spec.keys) if self._spec.keys else None
        saved = SavedRows(self.context.subtask, groups)
        if not self._spec.input_is_insert_only:
            keys = keys.with_columns(pl.Series(_ROWS, self._rows[slots]))
        writer.frame("windows", saved.tag(keys))
        save_time(writer, self.watermark)
        self._aggregates.save(writer, slots, saved)

    def restore(self, reader: SnapshotReader) -> None:
        self.watermark = load_time(reader)
        frame = reader.frame("windows")
        if frame is None or not frame.height:
            return
        slots, _ = self._index.insert(untagged(frame))
        self._aggregates.reserve(self._index.bound)
        if not self._spec.input_is_insert_only:
            self._rows = grown(self._rows, self._index.bound)
            self._rows[slots] = frame[_ROWS].to_numpy()
        self._note_slots(frame[_END].to_numpy(), slots)
        self._aggregates.load(reader, LoadedRows(frame, slots))

    def state(self) -> dict[str, pl.DataFrame]:
        slots = self._index.live_slots()
        keys = self._index.keys(slots)
        bounds = [from_ms(n, keys[c].to_numpy(), _BOUND) for n, c in (("window_start", _START), ("window_end", _END))]
        return {"windows": hstack([keys.drop(_START, _END), pl.DataFrame(bounds), self._aggregates.values(slots)])}
