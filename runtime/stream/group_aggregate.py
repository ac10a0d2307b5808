"""Unbounded GROUP BY, DISTINCT and global aggregates.

Imports the plan, `runtime.state`, the aggregate calls and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.plan.nodes import NamedAgg
from tableapi.row import RowKind
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.snapshots import LoadedRows, SavedRows, untagged
from tableapi.runtime.stream.aggregates import AggregateSet, check_supported
from tableapi.runtime.stream.batch import KIND_DTYPE, Batch, gather_rows
from tableapi.runtime.stream.emit import Mask, changes, differs, emit_in_pieces, hstack
from tableapi.runtime.stream.idle import IdleKeys
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class GroupAggregateSpec:
    """GROUP BY `keys`. Output: keys, then aggregates (DISTINCT: no aggregates).

    input_is_insert_only: The input has no -U and no -D (then groups never vanish and MIN/MAX need no values).
    generate_update_before: Emit -U before each +U.
    ttl_ms: Groups that were not touched for so long (processing time) are forgotten; None: never.
    is_partial: The input are partial values of a `LocalAggregateSpec`.
    """

    input: RowSchema
    keys: tuple[str, ...]
    aggregates: tuple[NamedAgg, ...]
    input_is_insert_only: bool = True
    generate_update_before: bool = True
    ttl_ms: int | None = None
    is_partial: bool = False

    def __post_init__(self) -> None:
        check_supported(self.aggregates)

    def create(self) -> Operator:
        """A new operator."""
        return GroupAggregate(self)


class GroupAggregate(Operator):
    """Keeps running values per group and emits each group's change, once a batch.

    Emits +I for a new group, -U/+U when a result changed, -D when a group's last row was taken back; nothing for results
    that stay the same. Without keys there is one group, which appears with the first row (Flink: no zero row in streaming).
    State: an index from keys to slots; rows per slot (when the input retracts); the calls' running values by slot.
    Cost of a batch: O(rows of the batch); bags of values (MIN/MAX/FIRST/LAST of an input that retracts) cost O(values of
    touched groups).
    """

    def __init__(self, spec: GroupAggregateSpec) -> None:
        self._spec = spec
        types = spec.input.to_polars()
        self._index = KeyIndex({key: types[key] for key in spec.keys})
        self._rows = np.zeros(0, dtype=np.int64)
        self._idle = IdleKeys(spec.ttl_ms, self._index, self._forget)

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        self._idle.open(context)
        spec = self._spec
        self._aggregates = AggregateSet(
            spec.input, spec.aggregates, context, not spec.input_is_insert_only, is_partial=spec.is_partial
        )

    def process(self, input: int, batch: Batch) -> None:
        self._idle.enter(batch.frame)
        slots, new_rows = self._index.insert(batch.frame)
        self._reserve()
        _, touched = self._index.distinct(slots)
        existed = np.ones(len(touched), dtype=np.bool_)
        if len(new_rows):
            existed[np.isin(touched, slots[new_rows], assume_unique=True)] = False
        has_old = bool(existed.any()) and bool(self._spec.aggregates)
        before = self._aggregates.values(touched) if has_old else None
        adds = None if batch.is_insert_only else batch.adds()
        self._aggregates.update(slots, batch.frame, adds)
        if self._spec.input_is_insert_only:
            exists = np.ones(len(touched), dtype=np.bool_)
        else:
            self._count_rows(slots, adds)
            exists = self._rows[touched] > 0
        self._emit(touched, existed, exists, before)
        if not self._spec.input_is_insert_only:
            self._forget(touched[~exists])
        self._idle.touch(touched)
        self.context.metrics["keys"] = self._index.count

    def _count_rows(self, slots: Ids, adds: Mask | None) -> None:
        from tableapi.runtime.state import kernels

        signs = np.empty(0, dtype=np.int64) if adds is None else np.where(adds, 1, -1)
        kernels.add_counts(self._rows, slots, np.empty(0, dtype=np.bool_), signs)

    def _emit(self, touched: Ids, existed: Mask, exists: Mask, before: pl.DataFrame | None) -> None:
        emit, limit = self.context.emit, self.context.max_batch_rows
        if not existed.any():
            fresh = touched if exists.all() else touched[exists]
            frame = hstack([self._index.keys(fresh), self._aggregates.values(fresh)])
            emit_in_pieces(emit, Batch(frame), limit)
            return
        if before is None:
            self._emit_distinct(touched, existed, exists)
            return
        after = self._aggregates.values(touched)
        order, kinds = changes(existed, exists, differs(before, after), self._spec.generate_update_before)
        if not len(order):
            return
        if len(order) == len(touched) and bool((order >= len(touched)).all()):
            values = after
        else:
            values = gather_rows(before.vstack(after), order)
        frame = hstack([self._index.keys(touched[order % len(touched)]), values])
        emit_in_pieces(emit, Batch(frame, kinds), limit)

    def _emit_distinct(self, touched: Ids, existed: Mask, exists: Mask) -> None:
        comes, goes = touched[exists & ~existed], touched[existed & ~exists]
        kinds = np.repeat(np.array([RowKind.DELETE, RowKind.INSERT], dtype=np.int8), [len(goes), len(comes)])
        frame = self._index.keys(np.concatenate([goes, comes]))
        series = pl.Series("kind", kinds, dtype=KIND_DTYPE) if len(goes) else None
        emit_in_pieces(self.context.emit, Batch(frame, series), self.context.max_batch_rows)

    def _reserve(self) -> None:
        bound = self._index.bound
        self._aggregates.reserve(bound)
        if not self._spec.input_is_insert_only:
            self._rows = grown(self._rows, bound)

    def _forget(self, slots: Ids) -> None:
        if not len(slots):
            return
        self._aggregates.clear(slots)
        if not self._spec.input_is_insert_only:
            self._rows[slots] = 0
        self._index.free(slots)

    def on_timer(self, time_ms: int) -> None:
        self._idle.sweep(time_ms)

    def snapshot(self, writer: SnapshotWriter) -> None:
        slots = self._index.live_slots()
        keys = self._index.keys(slots)
        groups = key_groups(keys) if self._spec.keys else None
        saved = SavedRows(self.context.subtask, groups)
        extra = [] if self._spec.input_is_insert_only else [pl.Series(_ROWS, self._rows[slots])]
        writer.frame("groups", saved.tag(keys.with_columns(extra) if keys.width else pl.DataFrame(extra or {_ROWS: slots})))
        self._aggregates.save(writer, slots, saved)

    def restore(self, reader: SnapshotReader) -> None:
        frame = reader.frame("groups")
        if frame is None or not frame.height:
            return
        slots, _ = self._index.insert(untagged(frame))
        self._reserve()
        if not self._spec.input_is_insert_only:
            self._rows[slots] = frame[_ROWS].to_numpy()
        self._aggregates.load(reader, LoadedRows(frame, slots))
        self._idle.touch(slots)

    def state(self) -> dict[str, pl.DataFrame]:
        slots = self._index.live_slots()
        return {"groups": hstack([self._index.keys(slots), self._aggregates.values(slots)])}


_ROWS = "__rows"
