"""Conversions between kinds of changelogs.

Imports `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.row import RowKind
from tableapi.runtime.state.columns import Ids, pick
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import RowStore
from tableapi.runtime.state.snapshots import SavedRows, untagged
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.emit import Mask, changes, differs, emit_in_pieces
from tableapi.runtime.stream.idle import ExpiringOperator, IdleKeys
from tableapi.runtime.stream.operator import Operator, SnapshotReader, SnapshotWriter
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class ChangelogNormalizeSpec:
    """Upserts on `key` (+I/+U without -U, -D maybe with the key only) become a full changelog with the stored rows.

    Rows that do not change emit nothing. A delete of an unknown key emits nothing.
    ttl_ms: Keys that were not written for so long (processing time) are forgotten; None: never.
    """

    input: RowSchema
    key: tuple[str, ...]
    generate_update_before: bool = True
    ttl_ms: int | None = None

    def create(self) -> Operator:
        """A new operator."""
        return LatestRows(self.input, self.key, self.generate_update_before, ttl_ms=self.ttl_ms)


@dataclass(frozen=True)
class DropUpdateBeforeSpec:
    """Drops -U rows (the consumer updates by key)."""

    def create(self) -> Operator:
        """A new operator."""
        return DropUpdateBefore()


@dataclass(frozen=True)
class UpsertMaterializeSpec:
    """Makes a changelog whose rows may arrive out of order per `key` (the sink's primary key) into upserts on that key.

    Keeps all rows of a key in order of arrival; emits the latest one, or -D when none is left.
    ttl_ms: Keys that were not written for so long (processing time) are forgotten; None: never.
    """

    input: RowSchema
    key: tuple[str, ...]
    ttl_ms: int | None = None

    def create(self) -> Operator:
        """A new operator."""
        from tableapi.runtime.stream.upsert_materialize import UpsertMaterialize

        return UpsertMaterialize(self.input, self.key, self.ttl_ms)


class DropUpdateBefore(Operator):
    """Emits each batch without its -U rows; no state."""

    def process(self, input: int, batch: Batch) -> None:
        if batch.kinds is not None:
            batch = batch.filter(batch.kinds != RowKind.UPDATE_BEFORE)
        if batch.height:
            self.context.emit(batch)


class LatestRows(ExpiringOperator):
    """Keeps the latest row of each key, by arrival or by `time_column`. Emits +I, -U/+U (when it differs) and -D, as stored.

    State: an index of keys; the row of each slot, in a RowStore whose ids are the slots. Cost: O(rows of the batch).
    """

    def __init__(
        self,
        input: RowSchema,
        key: tuple[str, ...],
        generate_update_before: bool,
        time_column: str | None = None,
        ttl_ms: int | None = None,
    ) -> None:
        types = input.to_polars()
        self._key, self._generate_update_before = key, generate_update_before
        self._index = KeyIndex({k: types[k] for k in key})
        self._rows = RowStore(types)
        self._names = list(types)
        self._time = time_column
        self._idle = IdleKeys(ttl_ms, self._index, lambda slots: self._forget(slots, slots))

    def process(self, input: int, batch: Batch) -> None:
        if batch.kinds is not None:
            batch = batch.filter(batch.kinds != RowKind.UPDATE_BEFORE)
            if not batch.height:
                return
        self._idle.enter(batch.frame)
        slots, new_rows = self._index.insert(batch.frame)
        self._rows.ids.bound = max(self._rows.ids.bound, self._index.bound)
        local, touched = self._index.distinct(slots)
        existed = np.ones(len(touched), dtype=np.bool_)
        existed[local[new_rows]] = False
        last = np.empty(len(touched), dtype=np.int64)
        order = np.arange(batch.height) if self._time is None else stable_order(batch.frame[self._time])
        last[local[order]] = order
        exists = np.ones(len(last), dtype=np.bool_) if batch.is_insert_only else batch.adds()[last]
        after = pick(batch.frame, self._names)[last]
        before = self._rows.gather(touched[existed])
        changed = existed.copy()
        if before.height:
            changed[existed] = self._is_newer_and_differs(before, after if existed.all() else after[np.flatnonzero(existed)])
        keep = exists & (~existed | changed)
        self._rows.write(touched[keep], after if keep.all() else after[np.flatnonzero(keep)])
        self._idle.touch(touched)
        self._forget(touched[~exists], touched[~exists & existed])
        self._emit(existed, exists, changed, before, after)
        self.context.metrics["keys"] = self._index.count

    def _is_newer_and_differs(self, before: pl.DataFrame, after: pl.DataFrame) -> Mask:
        changed = differs(before, after)
        if self._time is not None:
            changed &= (before[self._time] <= after[self._time]).fill_null(True).to_numpy()
        return changed

    def _emit(self, existed: Mask, exists: Mask, changed: Mask, before: pl.DataFrame, after: pl.DataFrame) -> None:
        order, kinds = changes(existed, exists, changed, self._generate_update_before)
        if not len(order):
            return
        is_after = order >= len(existed)
        if is_after.all():
            rows = after if len(order) == after.height else after[order - len(existed)]
        else:
            stored = np.cumsum(existed) - 1
            positions = np.where(is_after, order - len(existed) + before.height, stored[order % len(existed)])
            rows = pl.concat([before, after])[positions]
        emit_in_pieces(self.context.emit, Batch(rows, kinds), self.context.max_batch_rows)

    def _forget(self, slots: Ids, stored: Ids) -> None:
        if len(slots):
            self._rows.clear(stored)
            self._index.free(slots)

    def snapshot(self, writer: SnapshotWriter) -> None:
        slots = self._index.live_slots()
        rows = self._rows.gather(slots)
        writer.frame("rows", SavedRows(self.context.subtask, key_groups(rows, self._key)).tag(rows))

    def restore(self, reader: SnapshotReader) -> None:
        frame = reader.frame("rows")
        if frame is None or not frame.height:
            return
        rows = untagged(frame)
        slots, _ = self._index.insert(rows)
        self._rows.ids.bound = self._index.bound
        self._rows.write(slots, rows)
        self._idle.touch(slots)

    def state(self) -> dict[str, pl.DataFrame]:
        return {"rows": self._rows.gather(self._index.live_slots())}


def stable_order(times: pl.Series) -> Ids:
    """Positions in order of time, NULL first; equal times stay in order of arrival."""
    values = times.to_physical().cast(pl.Int64).fill_null(-(2**63)).to_numpy()
    return np.argsort(values, kind="stable")
