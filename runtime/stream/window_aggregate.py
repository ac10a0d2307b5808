"""Aggregation over windows of time: TUMBLE, HOP, CUMULATE by slices, and rows that carry their window. Sessions: the sibling
file.

Imports the plan, `runtime.state`, the aggregate calls and the operator contract.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.plan.nodes import EmitPolicy, NamedAgg, WindowKind, WindowProperty, WindowSpec
from tableapi.plan.rex import AggCall
from tableapi.runtime.state.columns import Ids
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.snapshots import LoadedRows, SavedRows, load_time, save_time, untagged
from tableapi.runtime.stream.aggregates import AggregateSet, check_supported
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from tableapi.runtime.stream.emit import Mask, emit_in_pieces, hstack
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.window_sliding import SlidingWindows
from tableapi.runtime.stream.window_table import event_times
from tableapi.runtime.stream.window_time import Millis, Slices, WindowZone, from_ms, to_ms
from tableapi.runtime.stream.window_updates import END as _END
from tableapi.runtime.stream.window_updates import ROWS, WindowUpdates
from tableapi.tablespec import RowSchema
from tableapi.types import BigIntType, TimestampType

_BOUND = TimestampType(3).to_polars()
_START, _GENERATION = "__window_start", "__generation"
_MERGE_ROWS = 1_000_000


@dataclass(frozen=True)
class WindowAggregateSpec:
    """Fields as in `plan.nodes.WindowAggregate`. Output: keys, aggregates, properties.

    With `attached`, the window's start and end are columns of the input, and the rows are grouped by them. Without `emit` a
    window gives +I once; with it, +I and then updates (no -U without `generate_update_before`).
    """

    input: RowSchema
    window: WindowSpec
    keys: tuple[str, ...]
    aggregates: tuple[NamedAgg, ...]
    properties: tuple[tuple[str, WindowProperty], ...] = ()
    attached: tuple[str, str] | None = None
    input_is_insert_only: bool = True
    emit: EmitPolicy | None = None
    generate_update_before: bool = True

    def __post_init__(self) -> None:
        check_supported(self.aggregates)

    def create(self) -> Operator:
        """A new operator."""
        if self.window.kind is WindowKind.SESSION and self.attached is None:
            from tableapi.runtime.stream.session_aggregate import SessionAggregate

            return SessionAggregate(self)
        return WindowAggregate(self)

    @property
    def calls(self) -> tuple[NamedAgg, ...]:
        """The aggregates and, when rows are taken back, their number: a window that has lost all its rows gives no result."""
        if self.input_is_insert_only:
            return self.aggregates
        return (*self.aggregates, NamedAgg(ROWS, AggCall("COUNT", (), BigIntType(is_nullable=False))))


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


def with_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Results without those of windows that have lost all their rows."""
    return frame.filter(pl.col(ROWS) > 0).drop(ROWS) if ROWS in frame.columns else frame


class WindowAggregate(Operator):
    """Aggregates each row into the one slice it belongs to; a window's result is put together from its slices when it closes.

    A row costs the same however many windows cover it. Emits +I (keys, results, window) once per key and window, in order of
    window end, when the watermark passes the window's last millisecond (processing time: when the clock does); with an emit
    policy also before and after, as updates (`WindowUpdates`). Rows whose windows have all closed (and, with a policy, are
    past their lateness) are left out and counted; rows that are late for some of their windows count in the others (Flink).
    State: an index over (keys, slice), running values by slot, the slots of each slice. Cost of a batch: O(rows); of a closing
    window: O(its keys) where running values are numbers (`SlidingWindows`), else O(keys in its slices).
    """

    def __init__(self, spec: WindowAggregateSpec) -> None:
        self._spec = spec
        self._slices = Slices.carried() if spec.attached else Slices.of(spec.window)
        self._is_event_time = spec.window.is_event_time
        self._lateness = spec.emit.lateness_ms if spec.emit else 0
        self._watermark = MIN_WATERMARK
        self._closed_until = MIN_WATERMARK
        """Windows that end by this wall-clock time have closed."""
        self._slots: dict[int, dict[int, list[Ids]]] = {}
        self._slice_ends: list[int] = []

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        spec = self._spec
        types = spec.input.to_polars()
        time_type = spec.input[spec.window.time_column].type if spec.window.time_column in spec.input else None
        self._zone = WindowZone(None) if time_type is None else WindowZone.of(time_type, context.session.time_zone)
        self._aggregates = self._make_aggregates(spec.calls, not spec.input_is_insert_only)
        is_sliding = self._slices.is_shared and spec.emit is None and self._aggregates.can_slide
        bounds = {_START: pl.Int64()} if spec.attached else {_GENERATION: pl.Int64()} if is_sliding else {}
        keys = {key: types[key] for key in spec.keys}
        self._index = KeyIndex({**keys, **bounds, _END: pl.Int64()})
        self._sliding: SlidingWindows | None = None
        if is_sliding:
            self._sliding = SlidingWindows(keys, self._slices, self._aggregates, self._make_aggregates, _END)
        self._updates: WindowUpdates | None = None
        if spec.emit is not None:
            values = {a.name: a.call.type.to_polars() for a in spec.aggregates}
            self._updates = WindowUpdates(spec.emit, self._index.schema, values, spec.generate_update_before, context)

    def _make_aggregates(self, calls: Sequence[NamedAgg], retracts: bool) -> AggregateSet:
        return AggregateSet(self._spec.input, calls, self.context, retracts, self._slices.is_shared)

    def process(self, input: int, batch: Batch) -> None:
        batch, bounds, ends = self._placed(batch)
        if not batch.height:
            return
        slots, new_rows = self._index.insert(batch.frame.with_columns(bounds))
        self._aggregates.reserve(self._index.bound)
        generations = bounds[0].to_numpy()[new_rows] if self._sliding is not None else np.zeros(len(new_rows), dtype=np.int64)
        if self._sliding is not None and len(new_rows):
            self._sliding.own(batch.frame[new_rows], slots[new_rows])
        self._note_slots(ends[new_rows], slots[new_rows], generations)
        self._aggregates.update(slots, batch.frame, None if batch.is_insert_only else batch.adds())
        if self._updates is not None:
            self._fire_touched(self._index.distinct(slots)[1])
        self.context.metrics["keys"] = self._index.count

    def _placed(self, batch: Batch) -> tuple[Batch, list[pl.Series], Millis]:
        """The rows that are in a window that takes them, the index columns that name their slice, and the slice's end."""
        if self._spec.attached is not None:
            starts, ends = (to_ms(batch.frame[name]) for name in self._spec.attached)
            times = self._zone.to_instants(ends - 1)
        else:
            times = self._times(batch)
            starts, ends = times, self._slices.end_of(self._zone.to_local(times))
        if self._slices.has_gaps or int(ends.min(initial=MAX_WATERMARK)) + self._lateness <= self._closed_until:
            keep = self._in_open_windows(batch, ends, times)
            if not keep.all():
                batch, starts, ends = batch.filter(pl.Series(keep)), starts[keep], ends[keep]
        bounds = [pl.Series(_END, ends)]
        if self._spec.attached is not None:
            bounds.insert(0, pl.Series(_START, starts))
        elif self._sliding is not None:
            late = ends <= self._sliding.folded_until
            generation = self._sliding.generation if self._aggregates.is_additive else 0
            bounds.insert(0, pl.Series(_GENERATION, np.multiply(late, generation, dtype=np.int64)))
            if not self._aggregates.is_additive and late.any():
                self._sliding.invalidate()
        return batch, bounds, ends

    def _in_open_windows(self, batch: Batch, ends: Millis, times: Millis) -> Mask:
        """Which rows belong to a window that still takes rows; those that come too late for all of theirs are set aside."""
        last = self._slices.last_window_of(ends)
        has_closed = last + self._lateness <= self._closed_until
        is_late = has_closed & (last >= ends)
        if is_late.any():
            self.leave_out(batch, is_late, times, self._watermark)
        return ~has_closed & (last >= ends)

    def _times(self, batch: Batch) -> Millis:
        if self._is_event_time:
            return event_times(batch.frame, self._spec.window.time_column)
        return np.full(batch.height, self.context.clock.now_ms(), dtype=np.int64)

    def _note_slots(self, ends: Millis, slots: Ids, generations: Ids) -> None:
        """Notes the slots of new (key, slice) pairs under their slice."""
        if not len(slots):
            return
        order = np.lexsort([generations, ends])
        ends, slots, generations = ends[order], slots[order], generations[order]
        begins = np.flatnonzero(np.diff(ends, prepend=ends[0] - 1) | np.diff(generations, prepend=generations[0]))
        for at, part in zip(begins.tolist(), np.split(slots, begins[1:]), strict=True):
            end, generation = int(ends[at]), int(generations[at])
            if end not in self._slots:
                self._slots[end] = {}
                insort(self._slice_ends, end)
            if generation and self._sliding is not None:
                self._sliding.note_late(end, part)
            self._slots[end].setdefault(generation, []).append(part)
        if not self._is_event_time:
            self._set_timer()

    def _set_timer(self) -> None:
        window = self._next_window(0)
        if window is not None:
            self.context.set_timer(self._zone.to_instant(window) - 1)

    def _next_window(self, from_slice: int) -> int | None:
        """The first window that has not closed and has rows, looking at slices from a position on."""
        for end in self._slice_ends[from_slice:]:
            window = self._slices.next_window(end, self._closed_until)
            if window is not None:
                return window
        return None

    def on_watermark(self, watermark_ms: int) -> int:
        if self._is_event_time:
            self._watermark = max(self._watermark, watermark_ms)
            self._close_windows(watermark_ms)
        return watermark_ms

    def on_timer(self, time_ms: int) -> None:
        if self._updates is not None:
            self._emit_updates(self._updates.due(time_ms))
        if not self._is_event_time:
            self._close_windows(time_ms)
            self._set_timer()

    def _close_windows(self, now_ms: int) -> None:
        """Closes the windows that end by an instant."""
        until = self._local(now_ms)
        if until <= self._closed_until:
            return
        windows = self._windows_until(until)
        if self._slices.is_shared:
            self._emit_shared(windows)
        elif windows:
            self._emit_single(windows)
        self._closed_until = until
        self._release()
        self.context.metrics["keys"] = self._index.count

    def _local(self, now_ms: int) -> int:
        """The wall-clock time by which windows have ended at an instant."""
        return MAX_WATERMARK if now_ms == MAX_WATERMARK else int(self._zone.to_local(np.array([now_ms + 1]))[0])

    def _windows_until(self, until: int) -> list[int]:
        """The windows with rows that end after those that have closed, and by `until`; ascending."""
        windows: list[int] = []
        after = self._closed_until
        for end in self._slice_ends:
            while (window := self._slices.next_window(end, after)) is not None and window <= until:
                windows.append(window)
                after = window
            if window is not None:
                break
        return windows

    def _emit_single(self, windows: list[int]) -> None:
        slots = np.concatenate([part for window in windows for parts in self._slots[window].values() for part in parts])
        self._emit(hstack([self._index.keys(slots), self._aggregates.values(slots)]))

    def _emit_shared(self, windows: list[int]) -> None:
        """Gives the results of windows in pieces of about a batch."""
        for results in self._shared_results(windows):
            self._emit(results)

    def _shared_results(self, windows: list[int]) -> Iterator[pl.DataFrame]:
        """The keys, window ends and results of windows of several slices."""
        if self._sliding is not None:
            yield from self._sliding.results(windows, self._parts, self.context.max_batch_rows)
            return
        taken: list[Ids] = []
        ends: list[int] = []
        for window in windows:
            start = int(self._slices.start_of_window(np.array([window]))[0])
            taken.append(np.concatenate([part for _, lists in self._parts(start, window) for part in lists]))
            ends.append(window)
            if sum(map(len, taken)) >= _MERGE_ROWS or window == windows[-1]:
                yield self._merged(taken, ends)
                taken, ends = [], []

    def _parts(self, after: int, until: int) -> Iterator[tuple[int, list[Ids]]]:
        """The slices that end after `after` and by `until`, each with its pairs in lists without equal keys."""
        low, high = bisect_right(self._slice_ends, after), bisect_right(self._slice_ends, until)
        for end in self._slice_ends[low:high]:
            yield end, self._lists(end)

    def _lists(self, end: int) -> list[Ids]:
        return [np.concatenate(parts) for _, parts in sorted(self._slots[end].items())]

    def _merged(self, taken: list[Ids], ends: list[int]) -> pl.DataFrame:
        slots = np.concatenate(taken)
        keys = self._index.keys(slots).with_columns(pl.Series(_END, np.repeat(ends, [len(part) for part in taken])))
        groups, first = KeyIndex(self._index.schema).insert(keys)
        return hstack([keys[first], self._aggregates.merged(slots, groups, len(first))])

    def _emit(self, results: pl.DataFrame) -> None:
        """Hands on the results of windows that close, given with their keys and bounds."""
        if self._updates is not None:
            self._send(*self._updates.closed(results))
        else:
            self._send(with_rows(results), None)

    def _send(self, results: pl.DataFrame, kinds: pl.Series | None) -> None:
        if not results.height:
            return
        ends = results[_END].to_numpy()
        starts = results[_START].to_numpy() if self._spec.attached else self._slices.start_of_window(ends)
        properties = property_columns(self._spec, starts, ends, self._zone)
        columns = results.select(*self._spec.keys, *(a.name for a in self._spec.aggregates))
        emit_in_pieces(self.context.emit, Batch(hstack([columns, properties]), kinds), self.context.max_batch_rows)

    def _fire_touched(self, touched: Ids) -> None:
        """Gives new results of the windows of changed (key, slice) pairs, at once or when the policy says so."""
        assert self._updates is not None
        keys = self._index.keys(touched)
        ends, rows = self._windows_over(keys[_END].to_numpy())
        pairs = keys[rows].with_columns(pl.Series(_END, ends))
        self._emit_updates(self._updates.touched(pairs, self._closed_until))

    def _windows_over(self, slice_ends: Millis) -> tuple[Millis, Ids]:
        """The windows that still take rows over each slice, and the number of the slice that each of them is of."""
        after = max(MIN_WATERMARK + self._lateness, self._closed_until) - self._lateness
        distinct, inverse = np.unique(slice_ends, return_inverse=True)
        windows = [np.array(self._slices.windows_of(end, after), dtype=np.int64) for end in distinct.tolist()]
        counts = np.array([len(w) for w in windows])[inverse]
        return np.concatenate([windows[i] for i in inverse.tolist()]), np.repeat(np.arange(len(slice_ends)), counts)

    def _emit_updates(self, pairs: Ids) -> None:
        """Gives new results of (key, window) pairs, named by their slots in the updates."""
        assert self._updates is not None
        if len(pairs):
            self._send(*self._updates.changed(pairs, self._results_of(self._updates.keys(pairs))))

    def _results_of(self, pairs: pl.DataFrame) -> pl.DataFrame:
        if not self._slices.is_shared:
            return self._aggregates.values(self._index.find(pairs))
        ends, inverse = np.unique(pairs[_END].to_numpy(), return_inverse=True)
        starts = self._slices.start_of_window(ends)
        known = np.array(self._slice_ends, dtype=np.int64)
        slices = [known[(known > s) & (known <= e)] for s, e in zip(starts.tolist(), ends.tolist(), strict=True)]
        groups = np.repeat(np.arange(pairs.height), np.array([len(s) for s in slices])[inverse])
        wanted = pairs[groups].with_columns(pl.Series(_END, np.concatenate([slices[i] for i in inverse.tolist()])))
        slots = self._index.find(wanted)
        return self._aggregates.merged(slots[slots >= 0], groups[slots >= 0], pairs.height)

    def _release(self) -> None:
        """Forgets slices, and results given, of windows that take no more rows."""
        after = self._closed_until - self._lateness
        if self._updates is not None:
            self._emit_updates(self._updates.waiting(after))
            self._updates.forget(after)
        ends = np.array(self._slice_ends, dtype=np.int64)
        done = ends[self._slices.last_window_of(ends) <= after].tolist()
        if not done:
            return
        if self._sliding is not None:
            for end in done:
                self._sliding.forget(end, self._lists(end))
        self._slice_ends = self._slice_ends[len(done) :]
        slots = np.concatenate([part for end in done for parts in self._slots.pop(end).values() for part in parts])
        self._aggregates.clear(slots)
        self._index.free(slots)

    def snapshot(self, writer: SnapshotWriter) -> None:
        slots = self._index.live_slots()
        keys = self._index.keys(slots)
        groups = key_groups(keys, self._spec.keys) if self._spec.keys else None
        saved = SavedRows(self.context.subtask, groups)
        writer.frame("slices", saved.tag(keys))
        save_time(writer, self._watermark)
        self._aggregates.save(writer, slots, saved)
        if self._updates is not None:
            self._updates.save(writer, self._spec.keys)

    def restore(self, reader: SnapshotReader) -> None:
        self._watermark = load_time(reader)
        if self._watermark != MIN_WATERMARK:
            self._closed_until = self._local(self._watermark)
        frame = reader.frame("slices")
        if frame is None or not frame.height:
            return
        slots, _ = self._index.insert(untagged(frame))
        self._aggregates.reserve(self._index.bound)
        generations = np.zeros(len(slots), dtype=np.int64)
        if self._sliding is not None:
            generations = frame[_GENERATION].to_numpy()
            self._sliding.generation = int(generations.max())
            self._sliding.own(frame, slots)
        self._note_slots(frame[_END].to_numpy(), slots, generations)
        self._aggregates.load(reader, LoadedRows(frame, slots))
        if self._updates is not None:
            self._updates.load(reader)

    def state(self) -> dict[str, pl.DataFrame]:
        slots = self._index.live_slots()
        keys = self._index.keys(slots)
        columns = [keys.select(self._spec.keys)]
        if self._spec.attached is None:
            name = "slice_end" if "slice_end" not in self._spec.keys else "$slice_end"
            columns.append(from_ms(name, keys[_END].to_numpy(), _BOUND).to_frame())
        table = "windows" if self._spec.attached else "slices"
        return {table: hstack([*columns, self._aggregates.values(slots)])}
