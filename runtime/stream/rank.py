"""Top-N per partition, and ORDER BY with LIMIT.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import RankKind
from tableapi.plan.rex import SortKey
from tableapi.row import RowKind
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.ordering import OrderedRows
from tableapi.runtime.state.row_store import NONE, Chains, RowStore
from tableapi.runtime.state.snapshots import SavedRows, untagged
from tableapi.runtime.state.sorted_buffers import SortedBuffers
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.emit import changes, emit_in_pieces, kind_series
from tableapi.runtime.stream.idle import ExpiringOperator, IdleKeys
from tableapi.runtime.stream.operator import Operator, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.pairing import without_common
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class RankSpec:
    """The rows of each partition whose rank is in `start`..`end` (1-based, inclusive; ROW_NUMBER).

    ORDER BY ... LIMIT n OFFSET m is the rank m+1..m+n of one partition (`partition_by=()`, no `rank_name`).

    input_is_insert_only: The input has no -U and no -D. Then only rows that can still be ranked are kept.
    generate_update_before: Emit -U before each +U (only rows with a rank number are ever updated).
    ttl_ms: Partitions that were not written for so long (processing time) are forgotten; None: never.
    """

    input: RowSchema
    partition_by: tuple[str, ...]
    order_by: tuple[SortKey, ...]
    start: int
    end: int
    kind: RankKind = RankKind.ROW_NUMBER
    rank_name: str | None = None
    input_is_insert_only: bool = True
    generate_update_before: bool = True
    ttl_ms: int | None = None

    def __post_init__(self) -> None:
        if self.kind is not RankKind.ROW_NUMBER:
            raise UnsupportedError(
                f"{self.kind.value} is not supported on a stream", fix="use ROW_NUMBER, or run in batch mode"
            )

    def create(self) -> Operator:
        """A new operator."""
        return Rank(self)


class Rank(ExpiringOperator):
    """Keeps the first rows of each partition sorted, and emits how the ranks `start`..`end` changed.

    Without a rank number, rows that enter are +I and rows that leave -D. With one, each rank whose row changed is -U/+U.
    State: an index of partitions; rows in a RowStore with their order words; per partition a sorted buffer of row ids. With an
    insert-only input the buffer holds `end` rows and nothing else is kept. Otherwise it holds about twice as many; rows
    behind it are in an unsorted chain, from which the buffer is filled again when deletions have emptied it; rows to delete
    are found by an index over all columns.
    Cost: a binary search and a short move a row; O(batch) apart from the refills, O(partition) once in `end` deletions.
    """

    def __init__(self, spec: RankSpec) -> None:
        self._spec = spec
        types = spec.input.to_polars()
        self._index = KeyIndex({key: types[key] for key in spec.partition_by})
        self._retracts = not spec.input_is_insert_only
        self._store = RowStore(types)
        self._order = OrderedRows(spec.input, spec.order_by)
        self._buffers = SortedBuffers(self._order, spec.end, self._retracts)
        self._mark = np.zeros(0, dtype=np.bool_)
        self._equal = KeyIndex(types) if self._retracts else None
        self._same: Ids = np.full(0, -1, dtype=np.int64)
        self._by_value = Chains()
        self._idle = IdleKeys(spec.ttl_ms, self._index, self._expire)

    def _expire(self, slots: Ids) -> None:
        gone = self._buffers.drop(slots)
        if self._equal is not None:
            self._by_value.remove(gone, self._same[gone])
        self._store.remove(gone)
        if self._equal is not None:
            same = np.unique(self._same[gone])
            self._equal.free(same[self._by_value.is_empty(same)])
        self._index.free(slots)

    def process(self, input: int, batch: Batch) -> None:
        self._idle.enter(batch.frame)
        slots, _ = self._index.insert(batch.frame)
        self._reserve()
        _, touched = self._index.distinct(slots)
        before = self._ranked(touched)
        if batch.is_insert_only:
            gone = self._add(batch.frame, slots)
        else:
            adds = batch.adds()
            mask = pl.Series(adds)
            self._add(batch.frame.filter(mask), slots[adds])
            gone = self._remove(batch.frame.filter(~mask), slots[~adds])
            self._buffers.refill(touched)
        after = self._ranked(touched)
        self._emit(np.pad(before, ((0, 0), (0, after.shape[1] - before.shape[1])), constant_values=-1), after)
        self._idle.touch(touched)
        self._forget(gone, touched)
        self.context.metrics["keys"] = self._index.count

    def _reserve(self) -> None:
        bound = self._store.bound
        self._buffers.reserve(self._index.bound, bound)
        self._mark, self._same = grown(self._mark, bound, False), grown(self._same, bound, -1)

    def _ranked(self, touched: Ids) -> Ids:
        """Ids of the rows of ranks start..end of each partition, -1 where there is none."""
        return self._buffers.ranked(touched, self._spec.start - 1, self._spec.end)

    def _add(self, frame: pl.DataFrame, slots: Ids) -> Ids:
        """Puts rows into their partitions; returns the ids of stored rows that were pushed out for good."""
        if not frame.height:
            return NONE
        ids = self._store.ids.take(frame.height)
        self._reserve()
        self._order.write(ids, frame, self._store.bound)
        pushed = self._buffers.add(ids, slots)
        if self._equal is not None:
            self._store.write(ids, frame)
            same, _ = self._equal.insert(frame)
            self._same[ids] = same
            self._by_value.append(ids, same)
            return NONE
        kept = self._buffers.is_kept(ids)
        self._store.write(ids[kept], frame if kept.all() else frame.filter(pl.Series(kept)))
        self._store.ids.give_back(ids[~kept])
        self._mark[ids] = True
        old = pushed[~self._mark[pushed]]
        self._mark[ids] = False
        return old

    def _remove(self, frame: pl.DataFrame, slots: Ids) -> Ids:
        """Takes rows out of their partitions; returns their ids. Rows that are not known are ignored."""
        assert self._equal is not None, "an insert-only input took a row back"
        if not frame.height:
            return NONE
        ids = self._by_value.pop(self._equal.find(frame))
        slots, ids = slots[ids >= 0], ids[ids >= 0]
        self._buffers.remove(ids, slots)
        return ids

    def _emit(self, before: Ids, after: Ids) -> None:
        changed_rows = (before != after).any(axis=1)
        if not changed_rows.any():
            return
        before, after = before[changed_rows], after[changed_rows]
        if self._spec.rank_name is None:
            ids, kinds = self._entering_and_leaving(before, after)
            frame = self._store.gather(ids)
        else:
            ids, ranks, kinds = self._changed_ranks(before, after)
            frame = self._store.gather(ids).with_columns(pl.Series(self._spec.rank_name, ranks))
        emit_in_pieces(self.context.emit, Batch(frame, kinds), self.context.max_batch_rows)

    def _changed_ranks(self, before: Ids, after: Ids) -> tuple[Ids, Ids, pl.Series | None]:
        flat_before, flat_after = before.ravel(), after.ravel()
        changed = flat_before != flat_after
        if self._retracts:
            changed &= ~((flat_before >= 0) & (flat_after >= 0) & (self._same[flat_before] == self._same[flat_after]))
        order, kinds = changes(flat_before >= 0, flat_after >= 0, changed, self._spec.generate_update_before)
        ranks = self._spec.start + (order % len(flat_before)) % before.shape[1]
        return np.concatenate([flat_before, flat_after])[order], ranks, kind_series(kinds.to_numpy())

    def _entering_and_leaving(self, before: Ids, after: Ids) -> tuple[Ids, pl.Series | None]:
        leaving, left_from = self._not_in(before, after)
        entering, entered = self._not_in(after, before)
        if self._retracts and len(leaving) and len(entering):
            stays_out, stays_in = without_common(self._same[leaving], self._same[entering])
            leaving, left_from = leaving[stays_out], left_from[stays_out]
            entering, entered = entering[stays_in], entered[stays_in]
        ids = np.concatenate([leaving, entering])
        order = np.argsort(np.concatenate([left_from, entered]), kind="stable")
        kinds = np.repeat(np.array([RowKind.DELETE, RowKind.INSERT], dtype=np.int8), [len(leaving), len(entering)])
        return ids[order], kind_series(kinds[order])

    def _not_in(self, these: Ids, those: Ids) -> tuple[Ids, Ids]:
        """Ids of `these` that are not among `those`, and the partition (row of the matrix) of each."""
        present = those[those >= 0]
        self._mark[present] = True
        flat = these.ravel()
        chosen = np.flatnonzero((flat >= 0) & ~self._mark[flat])
        self._mark[present] = False
        return flat[chosen], chosen // these.shape[1]

    def _forget(self, gone: Ids, touched: Ids) -> None:
        if len(gone):
            self._store.remove(gone)
        if self._equal is None:
            return
        same = np.unique(self._same[gone])
        self._equal.free(same[self._by_value.is_empty(same)])
        self._index.free(touched[self._buffers.is_empty(touched)])

    def key_columns(self) -> tuple[str, ...]:
        """The columns by which rows are dealt out to workers."""
        return self._spec.partition_by

    def snapshot(self, writer: SnapshotWriter) -> None:
        ids = self._store.live_ids()
        ids = ids[np.argsort(self._order.arrival(ids))]
        rows = self._store.gather(ids)
        keys = self.key_columns()
        writer.frame("rows", SavedRows(self.context.subtask, key_groups(rows, keys) if keys else None).tag(rows))

    def restore(self, reader: SnapshotReader) -> None:
        rows = self.saved_rows(reader)
        if rows is not None:
            slots, _ = self._index.insert(rows)
            self._reserve()
            self._add(rows, slots)
            self._idle.touch_all()

    def saved_rows(self, reader: SnapshotReader) -> pl.DataFrame | None:
        """The rows that `snapshot` wrote, in order of arrival; None when there are none."""
        frame = reader.frame("rows")
        return None if frame is None or not frame.height else untagged(frame)

    def state(self) -> dict[str, pl.DataFrame]:
        return {"rows": self._store.gather(self._store.live_ids())}
