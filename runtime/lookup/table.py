"""A whole table by lookup key, kept up to date by reading what its source has new.

Imports Polars, NumPy, `runtime.state` and the connector contract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from tableapi.connectors.base import Source, SplitReader
from tableapi.row import RowKind
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import NONE, Chains, RowStore
from tableapi.runtime.stream.pairing import without_common

READ_ROWS = 65_536


class LookupTable:
    """Rows by key, with changes applied in O(changed rows).

    Args:
        schema: The table's columns.
        keys: Gives the key columns of rows, and their names and types with no rows.
        identity: Columns that identify a row: a row with the same values replaces it, and a delete needs no more than them.
            (): rows are added and taken back as wholes. None: rows are only added.
    """

    def __init__(
        self,
        schema: Mapping[str, pl.DataType],
        keys: Callable[[pl.DataFrame], pl.DataFrame],
        identity: tuple[str, ...] | None,
    ) -> None:
        self._types, self._keys = dict(schema), keys
        self._index = KeyIndex(dict(keys(pl.DataFrame(schema=self._types)).schema))
        self._rows = RowStore(self._types)
        self._by_key = Chains()
        self._owner: Ids = np.full(0, -1, dtype=np.int64)
        self._replaces = bool(identity)
        self._same_names = None if identity is None else {n: self._types[n] for n in identity or self._types}
        self._equal = None if self._same_names is None else KeyIndex(self._same_names)
        self._same: Ids = np.full(0, -1, dtype=np.int64)
        self._by_same = Chains()

    @property
    def count(self) -> int:
        """Number of rows."""
        return self._rows.count

    def apply(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        """Takes changes in their order."""
        if self._equal is None:
            self._append(frame, NONE)
            return
        if kinds is None:
            adds = np.ones(frame.height, dtype=np.bool_)
        else:
            if self._replaces:
                kept = kinds != RowKind.UPDATE_BEFORE
                frame, kinds = frame.filter(kept), kinds.filter(kept)
            adds = kinds.is_in([int(RowKind.INSERT), int(RowKind.UPDATE_AFTER)]).to_numpy()
        if self._replaces:
            self._replace(frame, adds)
        else:
            self._exchange(frame, adds)

    def _replace(self, frame: pl.DataFrame, adds: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
        assert self._equal is not None
        same, _ = self._equal.insert(frame)
        local, touched = self._equal.distinct(same)
        last = np.empty(len(touched), dtype=np.int64)
        last[local] = np.arange(len(local))
        old = self._by_same.pop(touched)
        self._remove(old[old >= 0])
        stays = adds[last]
        self._append(frame[last[stays]], touched[stays])
        self._equal.free(touched[~stays])

    def _exchange(self, frame: pl.DataFrame, adds: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
        assert self._equal is not None
        same, _ = self._equal.insert(frame)
        removing, adding = np.flatnonzero(~adds), np.flatnonzero(adds)
        old = self._by_same.pop(same[removing])
        unknown = removing[old < 0]
        if len(unknown) and len(adding):
            _, stays = without_common(same[unknown], same[adding])
            adding = adding[stays]
        self._remove(old[old >= 0])
        self._append(frame[adding], same[adding])
        touched = np.unique(same)
        self._equal.free(touched[self._by_same.is_empty(touched)])

    def _append(self, frame: pl.DataFrame, same: Ids) -> None:
        if not frame.height:
            return
        slots, _ = self._index.insert(self._keys(frame))
        ids = self._rows.append(frame)
        self._owner = grown(self._owner, self._rows.bound, -1)
        self._owner[ids] = slots
        self._by_key.append(ids, slots)
        if self._equal is not None:
            self._same = grown(self._same, self._rows.bound, -1)
            self._same[ids] = same
            self._by_same.append(ids, same)

    def _remove(self, ids: Ids) -> None:
        """Forgets rows that are already out of their chains of same rows."""
        if not len(ids):
            return
        owners = self._owner[ids]
        self._by_key.remove(ids, owners)
        self._rows.remove(ids)
        touched = np.unique(owners)
        self._index.free(touched[self._by_key.is_empty(touched)])

    def find(self, keys: pl.DataFrame, known: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[Ids, Ids]:
        """The rows of keys: for each pair the position of the key, and the row's id. Only `known` keys have any."""
        slots = self._index.find(keys)
        slots[~known] = -1
        ids, positions = self._by_key.collect(slots)
        return positions, ids

    def gather(self, ids: Ids) -> pl.DataFrame:
        """Rows by id."""
        return self._rows.gather(ids)

    def rows(self) -> pl.DataFrame:
        """All rows."""
        return self._rows.gather(self._rows.live_ids())


class TableReader:
    """Reads a source into a lookup table: all that is there at first, then what has come since."""

    def __init__(self, source: Source, table: LookupTable) -> None:
        self.table = table
        self._open: list[SplitReader] = [source.reader(split) for split in source.splits()]

    def catch_up(self) -> int:
        """Reads until there is nothing more; returns how many changes there were."""
        count, still_open = 0, []
        for reader in self._open:
            while True:
                result = reader.read(READ_ROWS)
                if result.frame is not None and result.frame.height:
                    count += result.frame.height
                    self.table.apply(result.frame, result.kinds)
                if result.finished:
                    reader.close()
                    break
                if result.frame is None:
                    still_open.append(reader)
                    break
        self._open = still_open
        return count

    def close(self) -> None:
        """Closes the readers."""
        for reader in self._open:
            reader.close()
        self._open = []
