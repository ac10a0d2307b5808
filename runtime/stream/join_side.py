"""The stored rows of one side of a regular join.

Imports `runtime.state` and the batch type.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import polars as pl

from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import NONE, ChainEnds, Chains, RowStore
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.emit import Mask
from tableapi.runtime.stream.operator import OperatorContext
from tableapi.runtime.stream.pairing import without_common
from tableapi.tablespec import RowSchema

_PARTNERS = "__partners"


class JoinSide:
    """Rows by key slot, with what is needed to take them back and to know whether they stand alone.

    Args:
        schema: The side's columns.
        retracts: Rows may be taken back.
        may_stand_alone: Rows without partner are part of the result, so partners are counted.
        ttl_ms: Rows are forgotten after so long (processing time).
        ends: Shared by the sides of a join, whose keys have the same slots.
    """

    def __init__(self, schema: RowSchema, retracts: bool, may_stand_alone: bool, ttl_ms: int | None, ends: ChainEnds) -> None:
        self._types = schema.to_polars()
        self.may_stand_alone = may_stand_alone
        self._ttl_ms = ttl_ms
        self._store = RowStore(self._types)
        self._by_key = Chains(ends)
        self._loses_rows = retracts or ttl_ms is not None
        self._owner: Ids = np.full(0, -1, dtype=np.int64)
        self._partners = np.zeros(0, dtype=np.int64)
        self._equal = KeyIndex(self._types) if retracts else None
        self._same: Ids = np.full(0, -1, dtype=np.int64)
        self._by_value = Chains()
        self._noted: list[Ids] = []
        self._changes = np.zeros(0, dtype=np.int64)
        self._ages: deque[tuple[int, Ids]] = deque()
        self._birth: Ids = np.full(0, -1, dtype=np.int64)

    @property
    def count(self) -> int:
        """Number of rows."""
        return self._store.count

    def partners(self, slots: Ids) -> int:
        """How many rows the keys of `slots` have together."""
        return self._by_key.total(slots)

    def partner_counts(self, slots: Ids) -> Ids:
        """How many rows the key of each of `slots` has."""
        return self._by_key.lengths(slots)

    def collect(self, slots: Ids) -> tuple[Ids, Ids]:
        """The rows with the keys of `slots`: their ids, and the position in `slots` of each."""
        return self._by_key.collect(slots)

    def gather(self, ids: Ids) -> pl.DataFrame:
        """The rows at `ids`."""
        return self._store.gather(ids)

    def has_none(self, slots: Ids) -> Mask:
        """Whether there are no rows with each key."""
        return self._by_key.is_empty(slots)

    def take_out(self, batch: Batch) -> tuple[Ids, Ids]:
        """Removes the rows that the batch takes back.

        Returns:
            The rows of the batch that took a stored row back, and those that add one. Additions that the same batch
            takes back again are in neither; what takes back a row that never was is ignored.
        """
        assert self._equal is not None, "an insert-only input took a row back"
        adds = batch.adds()
        removing, adding = np.flatnonzero(~adds), np.flatnonzero(adds)
        ids = self._by_value.pop(self._equal.find(batch.frame[removing]))
        unknown = removing[ids < 0]
        if len(unknown) and len(adding):
            tokens, _ = KeyIndex(self._types).insert(batch.frame[np.concatenate([unknown, adding])])
            _, stays = without_common(tokens[: len(unknown)], tokens[len(unknown) :])
            adding = adding[stays]
        self._remove(ids[ids >= 0])
        return removing[ids >= 0], adding

    def _remove(self, ids: Ids) -> None:
        """Forgets rows that are already out of their chains of equal rows."""
        if not len(ids):
            return
        self._by_key.remove(ids, self._owner[ids])
        self._store.remove(ids)
        if self._ttl_ms is not None:
            self._birth[ids] = -1
        if self._equal is not None:
            same = np.unique(self._same[ids])
            self._equal.free(same[self._by_value.is_empty(same)])

    def put_in(self, frame: pl.DataFrame, slots: Ids, rows: Ids, partners: Ids, context: OperatorContext) -> None:
        """Stores `rows` of a batch with the number of partners that each has."""
        if not len(rows):
            return
        if len(rows) < frame.height:
            frame, slots = frame[rows], slots[rows]
        ids = self._store.append(frame)
        bound = self._store.bound
        if self._loses_rows:
            self._owner = grown(self._owner, bound, -1)
            self._owner[ids] = slots
        if self.may_stand_alone:
            self._partners, self._changes = grown(self._partners, bound), grown(self._changes, bound)
            self._partners[ids] = partners
        self._by_key.append(ids, slots)
        if self._equal is not None:
            self._same = grown(self._same, bound, -1)
            self._same[ids], _ = self._equal.insert(frame)
            self._by_value.append(ids, self._same[ids])
        if self._ttl_ms is not None:
            now = context.clock.now_ms()
            self._birth = grown(self._birth, bound, -1)
            self._birth[ids] = now
            self._ages.append((now, ids))
            context.set_timer(now + self._ttl_ms)

    def begin_changes(self) -> None:
        """Starts to note how the numbers of partners change."""
        self._noted = []

    def note_changes(self, ids: Ids, sign: int) -> None:
        """Each of the rows has one partner more (or less)."""
        if self.may_stand_alone and len(ids):
            np.add.at(self._changes, ids, sign)
            self._noted.append(ids)

    def end_changes(self) -> tuple[Ids, Ids]:
        """Applies what was noted: the rows that have lost all partners, and those that had none and have some."""
        if not self._noted:
            return NONE, NONE
        ids = np.unique(np.concatenate(self._noted))
        before = self._partners[ids]
        after = before + self._changes[ids]
        self._partners[ids] = after
        self._changes[ids] = 0
        return ids[(before > 0) & (after == 0)], ids[(before == 0) & (after > 0)]

    def expire(self, context: OperatorContext) -> Ids:
        """Forgets rows that are older than the time to live; returns the slots of their keys."""
        freed = [NONE]
        while self._ttl_ms is not None and self._ages and self._ages[0][0] + self._ttl_ms <= context.clock.now_ms():
            born, ids = self._ages.popleft()
            ids = ids[self._birth[ids] == born]
            if self._equal is not None:
                self._by_value.remove(ids, self._same[ids])
            freed.append(self._owner[ids])
            self._remove(ids)
        return np.concatenate(freed)

    def rows(self) -> pl.DataFrame:
        """All rows."""
        return self._store.gather(self._store.live_ids())

    def save(self, slots: Ids) -> pl.DataFrame:
        """The rows of keys with their numbers of partners, each key's in order of arrival."""
        ids, _ = self._by_key.collect(slots)
        rows = self._store.gather(ids)
        return rows.with_columns(pl.Series(_PARTNERS, self._partners[ids])) if self.may_stand_alone else rows

    def load(self, rows: pl.DataFrame, slots: Ids, context: OperatorContext) -> None:
        """Takes over what `save` gave."""
        partners = rows[_PARTNERS].to_numpy() if self.may_stand_alone else NONE
        self.put_in(rows.select(list(self._types)), slots, np.arange(rows.height), partners, context)
