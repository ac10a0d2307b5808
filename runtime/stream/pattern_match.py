"""MATCH_RECOGNIZE on a stream: rows are sorted as the watermark passes them and handed to the shared matcher.

Imports the plan, `runtime.match`, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.plan.match_node import PatternDefine, PatternElement, Skip
from tableapi.plan.nodes import NamedRex
from tableapi.plan.rex import SortKey
from tableapi.runtime.match.matcher import Matcher, Rows
from tableapi.runtime.match.measures import match_rows
from tableapi.runtime.match.search import searcher
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import NONE, Chains, RowStore
from tableapi.runtime.state.snapshots import SavedRows, load_time, save_time, untagged
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from tableapi.runtime.stream.emit import emit_in_pieces
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.over_frames import SLOT, ordered
from tableapi.runtime.stream.time_buffer import TimeBuffer
from tableapi.runtime.stream.window_table import event_times
from tableapi.runtime.stream.window_time import from_ms, to_ms_or_min
from tableapi.tablespec import RowSchema

_ID = "__id"
_NEVER = MAX_WATERMARK


@dataclass(frozen=True)
class PatternMatchSpec:
    """Fields as in `plan.match_node.Match`; the first sort key is a time attribute. The input is insert-only."""

    input: RowSchema
    partition_by: tuple[str, ...]
    order_by: tuple[SortKey, ...]
    pattern: tuple[PatternElement, ...]
    defines: tuple[PatternDefine, ...]
    measures: tuple[NamedRex, ...]
    skip: Skip
    within_ms: int | None = None
    is_event_time: bool = True

    def create(self) -> Operator:
        """A new operator."""
        return PatternMatch(self)


class PatternMatch(Operator):
    """Emits a row (+I) for each match. Late rows are dropped and counted (Flink).

    State: rows that wait for the watermark, and per partition with a run alive its rows from the run's first on, until the run
    has matched, died, or spans more time than WITHIN. Partitions without a run alive cost nothing. Cost of a batch: O(its rows
    and the kept rows of their partitions), plus the steps of the runs.
    """

    def __init__(self, spec: PatternMatchSpec) -> None:
        self._spec, self._time = spec, spec.order_by[0].column
        types = spec.input.to_polars()
        self._index = KeyIndex({key: types[key] for key in spec.partition_by})
        self._waiting = TimeBuffer()
        self._watermark = MIN_WATERMARK
        self._kept = RowStore(types)
        self._by_partition = Chains()
        self._owner: Ids = np.full(0, -1, dtype=np.int64)
        self._has_run = np.zeros(0, dtype=np.bool_)
        self._started = np.full(0, _NEVER, dtype=np.int64)

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        spec = self._spec
        self._matcher = Matcher(spec.pattern, spec.defines, spec.skip, spec.within_ms, context.session)
        self._searcher = searcher(self._matcher)
        self._positions = {e.variable: i for i, e in enumerate(spec.pattern)}

    def process(self, input: int, batch: Batch) -> None:
        if not self._spec.is_event_time:
            now_ms = self.context.clock.now_ms()
            times = np.full(batch.height, now_ms, dtype=np.int64)
            dtype = self._spec.input[self._time].type.to_polars()
            self._search(batch.frame.with_columns(from_ms(self._time, times, dtype)), now_ms)
            return
        times = event_times(batch.frame, self._time)
        late = times <= self._watermark
        batch = self.leave_out(batch, late, times, self._watermark)
        if batch.height:
            self._waiting.add(batch, times[~late])

    def on_watermark(self, watermark_ms: int) -> int:
        if self._spec.is_event_time:
            self._watermark = max(self._watermark, watermark_ms)
            ready = self._waiting.take(watermark_ms)
            if ready is not None or len(self._expired(watermark_ms)):
                self._search(None if ready is None else ready.frame, watermark_ms)
        return watermark_ms

    def on_timer(self, time_ms: int) -> None:
        """Processing time: gives up runs that span too much time, which may let later matches out."""
        if len(self._expired(time_ms)):
            self._search(None, time_ms)

    def _expired(self, now_ms: int) -> Ids:
        """Partitions whose run can no longer match within the time."""
        if self._spec.within_ms is None:
            return NONE
        return np.flatnonzero(self._started <= now_ms - self._spec.within_ms)

    def _search(self, frame: pl.DataFrame | None, now_ms: int | None) -> None:
        """Searches partitions with new rows, and those whose time is over."""
        rows, slots = self._with_kept(frame, NONE if now_ms is None else self._expired(now_ms))
        sorted_slots = rows[SLOT].to_numpy()
        times = None if self._spec.within_ms is None else to_ms_or_min(rows[self._time])
        searched = Rows(self._matcher, rows.drop(SLOT, _ID), times)
        found = self._searcher.search(searched, sorted_slots, now_ms)
        self._has_run = grown(self._has_run, self._index.bound, False)
        self._has_run[slots] = False
        first = np.flatnonzero(np.diff(sorted_slots, prepend=-1))
        self._has_run[sorted_slots[first[found.alive >= 0]]] = True
        sizes = np.diff(first, append=rows.height)
        needed = np.repeat(np.where(found.alive < 0, rows.height, found.alive), sizes)
        self._keep(rows, np.arange(rows.height) >= needed)
        self._note_starts(slots, now_ms)
        if len(found.bounds):
            self._emit(searched.frame, found.bounds)

    def _with_kept(self, frame: pl.DataFrame | None, expired: Ids) -> tuple[pl.DataFrame, Ids]:
        """New rows and the kept rows of their partitions and of `expired`, sorted; and all these partitions."""
        names = self._spec.input.names
        new_slots = NONE
        parts = []
        if frame is not None:
            new_slots, _ = self._index.insert(frame)
            tagged = frame.select(names).with_columns(pl.Series(SLOT, new_slots), pl.lit(-1, pl.Int64()).alias(_ID))
            parts.append(ordered(tagged, self._spec.order_by))
        slots = np.union1d(new_slots, expired)
        ids, positions = self._by_partition.collect(slots)
        if len(ids) or not parts:
            kept = (
                self._kept.gather(ids)
                .with_columns(pl.Series(SLOT, slots[positions]), pl.Series(_ID, ids))
                .select(*names, SLOT, _ID)
            )
            parts.insert(0, kept)
        rows = parts[0] if len(parts) == 1 else pl.concat(parts).sort(SLOT, maintain_order=True)
        return rows, slots

    def _keep(self, rows: pl.DataFrame, keep: npt.NDArray[np.bool_]) -> None:
        ids, slots = rows[_ID].to_numpy(), rows[SLOT].to_numpy()
        gone = ids[(ids >= 0) & ~keep]
        self._by_partition.remove(gone, self._owner[gone])
        self._kept.remove(gone)
        is_new = (ids < 0) & keep
        if is_new.any():
            new = self._kept.append(rows.filter(pl.Series(is_new)))
            self._owner = grown(self._owner, self._kept.bound, -1)
            self._owner[new] = slots[is_new]
            self._by_partition.append(new, slots[is_new])

    def _note_starts(self, slots: Ids, now_ms: int | None) -> None:
        """Remembers when runs began, and forgets partitions without one."""
        self._started = grown(self._started, self._index.bound, _NEVER)
        self._started[slots] = _NEVER
        is_alive = self._has_run[slots]
        alive = slots[is_alive]
        if self._spec.within_ms is not None and len(alive):
            starts = to_ms_or_min(self._kept.gather_column(self._time, self._by_partition.first(alive)))
            self._started[alive] = starts
            if not self._spec.is_event_time:
                self.context.set_timer(int(starts.min()) + self._spec.within_ms)
        self._index.free(slots[~is_alive])
        self.context.metrics["keys"] = self._index.count

    def _emit(self, frame: pl.DataFrame, bounds: npt.NDArray[np.int64]) -> None:
        spec = self._spec
        result = match_rows(frame, bounds, spec.partition_by, spec.measures, self._positions, self.context.session)
        emit_in_pieces(self.context.emit, Batch(result), self.context.max_batch_rows)

    def _kept_rows(self) -> pl.DataFrame:
        """The kept rows, those of a partition in order."""
        ids, _ = self._by_partition.collect(self._index.live_slots())
        return self._kept.gather(ids)

    def snapshot(self, writer: SnapshotWriter) -> None:
        frames = {"waiting": self._waiting.rows(self._spec.input.to_polars()).frame, "kept": self._kept_rows()}
        for name, frame in frames.items():
            groups = key_groups(frame, self._spec.partition_by) if self._spec.partition_by else None
            writer.frame(name, SavedRows(self.context.subtask, groups).tag(frame))
        save_time(writer, self._watermark)

    def restore(self, reader: SnapshotReader) -> None:
        """Runs are not stored: they follow from the rows that were kept for them."""
        self._watermark = load_time(reader)
        kept, waiting = reader.frame("kept"), reader.frame("waiting")
        if kept is not None and kept.height:
            self._search(untagged(kept), None)
        if waiting is not None and waiting.height:
            rows = untagged(waiting)
            self._waiting.add(Batch(rows), to_ms_or_min(rows[self._time]))

    def state(self) -> dict[str, pl.DataFrame]:
        return {"waiting": self._waiting.rows(self._spec.input.to_polars()).frame, "kept": self._kept_rows()}
