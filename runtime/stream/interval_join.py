"""Joins rows whose times are within bounds of each other.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.plan.nodes import JoinKind
from tableapi.plan.rex import Rex
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import Chains, RowStore
from tableapi.runtime.state.snapshots import SavedRows, load_time, save_time, untagged
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from tableapi.runtime.stream.calc import compile_filter
from tableapi.runtime.stream.emit import Mask, emit_in_pieces, hstack
from tableapi.runtime.stream.join_rows import JoinKeys
from tableapi.runtime.stream.late import behind
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.time_buffer import TimeBuffer
from tableapi.runtime.stream.window_table import event_times
from tableapi.runtime.stream.window_time import Millis
from tableapi.tablespec import RowSchema

_MAX_PAIRS = 4_000_000
_TIME, _MET = "__time", "__met"


@dataclass(frozen=True)
class IntervalJoinSpec:
    """Fields as in `plan.nodes.IntervalJoin`: lower_ms <= left.time - right.time <= upper_ms. Insert-only inputs.

    `keys`: pairs of equal columns taken out of the condition; `condition`: the rest (the time bounds may be left in).
    """

    left: RowSchema
    right: RowSchema
    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    condition: Rex | None
    left_time: str
    right_time: str
    lower_ms: int
    upper_ms: int
    is_event_time: bool = True

    def create(self) -> Operator:
        """A new operator."""
        return IntervalJoin(self)


class _Side:
    """The rows of one side that may still meet rows of the other."""

    def __init__(self, schema: RowSchema, keep_ms: int) -> None:
        self.schema = schema.to_polars()
        self.keep_ms = keep_ms
        self.store = RowStore(self.schema)
        self.by_key = Chains()
        self.owner: Ids = np.full(0, -1, dtype=np.int64)
        self.times: Millis = np.zeros(0, dtype=np.int64)
        self.met = np.zeros(0, dtype=np.bool_)
        self.expiry = TimeBuffer()

    def add(self, frame: pl.DataFrame, slots: Ids, times: Millis, met: Mask) -> None:
        ids = self.store.append(frame)
        bound = self.store.bound
        self.owner, self.times, self.met = grown(self.owner, bound, -1), grown(self.times, bound), grown(self.met, bound)
        self.owner[ids], self.times[ids], self.met[ids] = slots, times, met
        self.by_key.append(ids, slots)
        self.expiry.add(Batch(pl.DataFrame({"id": ids})), times + self.keep_ms)

    def expire(self, before_ms: int) -> Ids:
        """Takes the rows that no row of the other side can meet any more out of their chains; the caller removes them."""
        ready = self.expiry.take(before_ms - 1)
        if ready is None:
            return np.empty(0, dtype=np.int64)
        ids = ready.frame["id"].to_numpy()
        self.by_key.remove(ids, self.owner[ids])
        return ids


class IntervalJoin(Operator):
    """Joins each arriving row with the stored rows of its key whose times are within bounds; +I only.

    Rows of an outer side that met nobody come out with NULLs when they expire. The watermark is held back by the largest
    distance between joined times, since a joined row may be that much older than the newest. State: rows of both sides until
    the watermark has passed the last time that could meet them. Cost: O(rows of the batch + stored rows with their keys).
    """

    def __init__(self, spec: IntervalJoinSpec) -> None:
        self._spec = spec
        self._keys = JoinKeys(spec.left, spec.right, spec.keys)
        self._index = KeyIndex(self._keys.schema)
        self._sides = (_Side(spec.left, -spec.lower_ms), _Side(spec.right, spec.upper_ms))
        self._is_outer = (
            spec.kind in (JoinKind.LEFT, JoinKind.FULL),
            spec.kind in (JoinKind.RIGHT, JoinKind.FULL),
        )
        self._now = MIN_WATERMARK

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        condition = self._spec.condition
        self._condition = None if condition is None else compile_filter(condition, context)

    def process(self, input: int, batch: Batch) -> None:
        frame = batch.frame
        if self._spec.is_event_time:
            times = event_times(frame, (self._spec.left_time, self._spec.right_time)[input])
        else:
            self._now = self.context.clock.now_ms()
            times = np.full(frame.height, self._now, dtype=np.int64)
        keys, known = self._keys.of(input, frame)
        slots, _ = self._index.insert(keys)
        if not known.all():
            slots = np.where(known, slots, -1)
        self._process_pieces(input, frame, slots, times)
        self.context.metrics["left_rows"], self.context.metrics["right_rows"] = (s.store.count for s in self._sides)

    def _process_pieces(self, input: int, frame: pl.DataFrame, slots: Ids, times: Millis) -> None:
        other = self._sides[1 - input]
        if frame.height > 1 and other.by_key.total(slots) > _MAX_PAIRS:
            half = frame.height // 2
            self._process_pieces(input, frame[:half], slots[:half], times[:half])
            self._process_pieces(input, frame[half:], slots[half:], times[half:])
            return
        met = self._join(input, frame, slots, times)
        side = self._sides[input]
        can_meet = (times + side.keep_ms >= self._now) & (slots >= 0)
        alone = ~can_meet & ~met
        if self._spec.is_event_time and (alone & (slots >= 0)).any():
            late = alone & (slots >= 0)
            self.context.late.add(frame.filter(pl.Series(late)), behind(self._now, times[late]), input)
        if self._is_outer[input] and alone.any():
            self._emit(self._padded(input, frame.filter(pl.Series(alone))))
        if can_meet.any():
            rows = frame if can_meet.all() else frame.filter(pl.Series(can_meet))
            side.add(rows, slots[can_meet], times[can_meet], met[can_meet])
            if not self._spec.is_event_time:
                self.context.set_timer(self._now + side.keep_ms + 1)

    def _join(self, input: int, frame: pl.DataFrame, slots: Ids, times: Millis) -> Mask:
        """Emits the joined rows; returns which rows have met somebody."""
        other = self._sides[1 - input]
        ids, rows = other.by_key.collect(slots)
        distance = times[rows] - other.times[ids] if input == 0 else other.times[ids] - times[rows]
        near = (distance >= self._spec.lower_ms) & (distance <= self._spec.upper_ms)
        ids, rows = ids[near], rows[near]
        met = np.zeros(frame.height, dtype=np.bool_)
        if not len(ids):
            return met
        own, others = frame[rows], other.store.gather(ids)
        joined = hstack([own, others] if input == 0 else [others, own])
        if self._condition is not None:
            mask = self._condition(joined)
            joined, kept = joined.filter(mask), mask.to_numpy()
            ids, rows = ids[kept], rows[kept]
        self._emit(joined)
        met[rows] = True
        other.met[ids] = True
        return met

    def _padded(self, input: int, frame: pl.DataFrame) -> pl.DataFrame:
        absent = self._spec.right if input == 0 else self._spec.left
        padded = frame.with_columns([pl.lit(None, dtype=t).alias(n) for n, t in absent.to_polars().items()])
        return padded if input == 0 else padded.select([*absent.names, *frame.columns])

    def _emit(self, frame: pl.DataFrame) -> None:
        emit_in_pieces(self.context.emit, Batch(frame), self.context.max_batch_rows)

    def on_watermark(self, watermark_ms: int) -> int:
        if self._spec.is_event_time:
            self._now = max(self._now, watermark_ms)
            self._expire(watermark_ms)
        elif watermark_ms == MAX_WATERMARK:
            self._expire(watermark_ms)
        if watermark_ms in (MIN_WATERMARK, MAX_WATERMARK):
            return watermark_ms
        return watermark_ms - max(0, -self._spec.lower_ms, self._spec.upper_ms)

    def on_timer(self, time_ms: int) -> None:
        self._now = max(self._now, time_ms)
        self._expire(time_ms)

    def _expire(self, now_ms: int) -> None:
        for number, side in enumerate(self._sides):
            ids = side.expire(now_ms)
            if not len(ids):
                continue
            alone = ids[~side.met[ids]]
            if self._is_outer[number] and len(alone):
                self._emit(self._padded(number, side.store.gather(alone)))
            owners = np.unique(side.owner[ids])
            side.store.remove(ids)
            other = self._sides[1 - number]
            self._index.free(owners[side.by_key.is_empty(owners) & other.by_key.is_empty(owners)])

    def snapshot(self, writer: SnapshotWriter) -> None:
        for number, (name, side) in enumerate(zip(("left", "right"), self._sides, strict=True)):
            ids, _ = side.by_key.collect(self._index.live_slots())
            rows = side.store.gather(ids)
            groups = key_groups(self._keys.of(number, rows)[0]) if self._spec.keys else None
            marks = [pl.Series(_TIME, side.times[ids]), pl.Series(_MET, side.met[ids])]
            writer.frame(name, SavedRows(self.context.subtask, groups).tag(rows.with_columns(marks)))
        save_time(writer, self._now)

    def restore(self, reader: SnapshotReader) -> None:
        for number, (name, side) in enumerate(zip(("left", "right"), self._sides, strict=True)):
            frame = reader.frame(name)
            if frame is not None and frame.height:
                rows = untagged(frame).drop(_TIME, _MET)
                slots, _ = self._index.insert(self._keys.of(number, rows)[0])
                times = frame[_TIME].to_numpy()
                side.add(rows, slots, times, frame[_MET].to_numpy())
                for time_ms in np.unique(times).tolist() if not self._spec.is_event_time else ():
                    self.context.set_timer(time_ms + side.keep_ms + 1)
        self._now = load_time(reader)

    def state(self) -> dict[str, pl.DataFrame]:
        return {n: s.store.gather(s.store.live_ids()) for n, s in zip(("left", "right"), self._sides, strict=True)}
