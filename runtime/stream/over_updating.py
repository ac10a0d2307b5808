"""OVER ordered by columns that are not time: a new row can change the values of others.

Imports `runtime.state` and the operator contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import NONE, Chains, RowStore
from tableapi.runtime.state.snapshots import SavedRows, untagged
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.emit import changes, differs, emit_in_pieces, hstack, kind_series
from tableapi.runtime.stream.idle import ExpiringOperator, IdleKeys
from tableapi.runtime.stream.operator import SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.over_frames import ID, SLOT, compute, ordered

if TYPE_CHECKING:
    from tableapi.runtime.stream.over import OverSpec


class UpdatingOver(ExpiringOperator):
    """Keeps all rows with their last results; a batch computes its partitions anew and emits what changed.

    Emits +I for new rows, -U/+U where a result changed, -D for rows taken back. State: an index of partitions, rows,
    results, a chain per partition, an index over whole rows when the input retracts. Cost of a batch: O(rows of its
    partitions).
    """

    def __init__(self, spec: OverSpec) -> None:
        self._spec = spec
        types = spec.input.to_polars()
        self._index = KeyIndex({key: types[key] for key in spec.partition_by})
        self._rows = RowStore(types)
        self._results = RowStore({c.name: c.call.type.to_polars() for c in spec.calls})
        self._by_partition = Chains()
        self._owner: Ids = np.full(0, -1, dtype=np.int64)
        self._equal = None if spec.input_is_insert_only else KeyIndex(types)
        self._same: Ids = np.full(0, -1, dtype=np.int64)
        self._by_value = Chains()
        self._idle = IdleKeys(spec.ttl_ms, self._index, self._expire)

    def _expire(self, slots: Ids) -> None:
        ids, _ = self._by_partition.collect(slots)
        self._by_partition.remove(ids, self._owner[ids])
        if self._equal is not None:
            self._by_value.remove(ids, self._same[ids])
        self._forget(ids)
        self._index.free(slots)

    def process(self, input: int, batch: Batch) -> None:
        self._idle.enter(batch.frame)
        slots, _ = self._index.insert(batch.frame)
        _, touched = self._index.distinct(slots)
        if batch.is_insert_only:
            added, gone = self._add(batch.frame, slots), NONE
        else:
            adds = batch.adds()
            added = self._add(batch.frame.filter(pl.Series(adds)), slots[adds])
            gone = self._take_out(batch.frame.filter(pl.Series(~adds)))
        never_seen = np.intersect1d(added, gone)
        self._emit(touched, np.setdiff1d(added, never_seen), np.setdiff1d(gone, never_seen))
        self._forget(gone)
        self._idle.touch(touched)
        self._index.free(touched[self._by_partition.is_empty(touched)])

    def _add(self, frame: pl.DataFrame, slots: Ids) -> Ids:
        if not frame.height:
            return NONE
        ids = self._rows.append(frame)
        bound = self._results.ids.bound = self._rows.bound
        self._owner, self._same = grown(self._owner, bound, -1), grown(self._same, bound, -1)
        self._owner[ids] = slots
        self._by_partition.append(ids, slots)
        if self._equal is not None:
            self._same[ids], _ = self._equal.insert(frame)
            self._by_value.append(ids, self._same[ids])
        return ids

    def _take_out(self, frame: pl.DataFrame) -> Ids:
        assert self._equal is not None, "an insert-only input took a row back"
        if not frame.height:
            return NONE
        ids = self._by_value.pop(self._equal.find(frame))
        ids = ids[ids >= 0]
        self._by_partition.remove(ids, self._owner[ids])
        return ids

    def _emit(self, touched: Ids, added: Ids, gone: Ids) -> None:
        ids, positions = self._by_partition.collect(touched)
        rows = self._rows.gather(ids).with_columns(pl.Series(SLOT, touched[positions]), pl.Series(ID, ids))
        rows = ordered(rows, self._spec.order_by)
        names = [c.name for c in self._spec.calls]
        ids = rows[ID].to_numpy().copy()
        if len(ids):
            after = compute(rows, self._spec, self.context.session, self.context.functions)
        else:
            after = self._results.gather(NONE)
        is_old = np.isin(ids, added, assume_unique=True, invert=True)
        before_old = self._results.gather(ids[is_old])
        before = after if not len(before_old) else before_old[np.where(is_old, np.cumsum(is_old) - 1, 0)]
        changed = differs(before, after)
        write = changed | ~is_old
        self._results.write(ids[write], after.filter(pl.Series(write)))
        order, kinds = changes(is_old, np.ones(len(ids), dtype=np.bool_), changed, self._spec.generate_update_before)
        data = rows.drop(SLOT, ID)
        made = hstack([data[order % max(1, len(ids))], pl.concat([before.select(names), after.select(names)])[order]])
        removed = hstack([self._rows.gather(gone), self._results.gather(gone)])
        kind_values = np.concatenate([np.full(len(gone), 3, dtype=np.int8), kinds.to_numpy()])
        result = pl.concat([removed, made.select(removed.columns)])
        emit_in_pieces(self.context.emit, Batch(result, kind_series(kind_values)), self.context.max_batch_rows)

    def _forget(self, ids: Ids) -> None:
        if not len(ids):
            return
        self._results.clear(ids)
        self._rows.remove(ids)
        if self._equal is not None:
            same = np.unique(self._same[ids])
            self._equal.free(same[self._by_value.is_empty(same)])

    def snapshot(self, writer: SnapshotWriter) -> None:
        ids, _ = self._by_partition.collect(self._index.live_slots())
        rows = hstack([self._rows.gather(ids), self._results.gather(ids)])
        groups = key_groups(rows, self._spec.partition_by) if self._spec.partition_by else None
        writer.frame("rows", SavedRows(self.context.subtask, groups).tag(rows))

    def restore(self, reader: SnapshotReader) -> None:
        frame = reader.frame("rows")
        if frame is None or not frame.height:
            return
        rows = untagged(frame)
        slots, _ = self._index.insert(rows)
        self._results.write(self._add(rows.select(self._rows.names), slots), rows.select(self._results.names))
        self._idle.touch_all()

    def state(self) -> dict[str, pl.DataFrame]:
        ids = self._rows.live_ids()
        return {"rows": hstack([self._rows.gather(ids), self._results.gather(ids)])}
