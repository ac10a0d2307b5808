"""Turns a changelog whose rows may arrive out of order per key into upserts.

Imports `runtime.state` and the operator contract.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import NONE, Chains, RowStore
from tableapi.runtime.state.snapshots import SavedRows, untagged
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.emit import changes, emit_in_pieces
from tableapi.runtime.stream.idle import ExpiringOperator, IdleKeys
from tableapi.runtime.stream.operator import SnapshotReader, SnapshotWriter
from tableapi.tablespec import RowSchema


class UpsertMaterialize(ExpiringOperator):
    """Keeps the rows of each key in order of arrival. Emits +I, +U with the latest one when it changes, -D when none is left.

    State: an index of keys, rows in a RowStore, a chain per key, an index over whole rows for what is taken back.
    Cost: O(rows of the batch).
    """

    def __init__(self, input: RowSchema, key: tuple[str, ...], ttl_ms: int | None = None) -> None:
        types = input.to_polars()
        self._key = key
        self._index = KeyIndex({k: types[k] for k in key})
        self._rows = RowStore(types)
        self._by_key = Chains()
        self._equal = KeyIndex(types)
        self._by_value = Chains()
        self._owner: Ids = np.full(0, -1, dtype=np.int64)
        self._same: Ids = np.full(0, -1, dtype=np.int64)
        self._idle = IdleKeys(ttl_ms, self._index, self._expire)

    def _expire(self, slots: Ids) -> None:
        ids, _ = self._by_key.collect(slots)
        self._by_key.remove(ids, self._owner[ids])
        self._by_value.remove(ids, self._same[ids])
        self._forget(ids)
        self._index.free(slots)

    def process(self, input: int, batch: Batch) -> None:
        self._idle.enter(batch.frame)
        slots, _ = self._index.insert(batch.frame)
        _, touched = self._index.distinct(slots)
        before = self._by_key.last(touched)
        adds = batch.adds()
        self._append(batch.frame.filter(pl.Series(adds)), slots[adds])
        gone = self._take_back(batch.frame.filter(pl.Series(~adds)))
        after = self._by_key.last(touched)
        changed = before != after
        changed[changed] = self._same_or(before[changed], -1) != self._same_or(after[changed], -2)
        order, kinds = changes(before >= 0, after >= 0, changed, generate_update_before=False)
        if len(order):
            rows = self._rows.gather(np.concatenate([before, after])[order])
            emit_in_pieces(self.context.emit, Batch(rows, kinds), self.context.max_batch_rows)
        self._forget(gone)
        self._idle.touch(touched)
        self._index.free(touched[after < 0])
        self.context.metrics["keys"] = self._index.count

    def _same_or(self, ids: Ids, otherwise: int) -> Ids:
        return np.where(ids >= 0, self._same[ids], otherwise) if len(self._same) else np.full(len(ids), otherwise)

    def _append(self, frame: pl.DataFrame, slots: Ids) -> None:
        if not frame.height:
            return
        ids = self._rows.append(frame)
        self._owner, self._same = grown(self._owner, self._rows.bound, -1), grown(self._same, self._rows.bound, -1)
        self._owner[ids] = slots
        self._same[ids], _ = self._equal.insert(frame)
        self._by_key.append(ids, slots)
        self._by_value.append(ids, self._same[ids])

    def _take_back(self, frame: pl.DataFrame) -> Ids:
        if not frame.height:
            return NONE
        ids = self._by_value.pop(self._equal.find(frame))
        ids = ids[ids >= 0]
        self._by_key.remove(ids, self._owner[ids])
        return ids

    def _forget(self, ids: Ids) -> None:
        if len(ids):
            same = np.unique(self._same[ids])
            self._rows.remove(ids)
            self._equal.free(same[self._by_value.is_empty(same)])

    def snapshot(self, writer: SnapshotWriter) -> None:
        ids, _ = self._by_key.collect(self._index.live_slots())
        rows = self._rows.gather(ids)
        writer.frame("rows", SavedRows(self.context.subtask, key_groups(rows, self._key)).tag(rows))

    def restore(self, reader: SnapshotReader) -> None:
        frame = reader.frame("rows")
        if frame is not None and frame.height:
            rows = untagged(frame)
            self._append(rows, self._index.insert(rows)[0])
            self._idle.touch_all()

    def state(self) -> dict[str, pl.DataFrame]:
        return {"rows": self._rows.gather(self._rows.live_ids())}
