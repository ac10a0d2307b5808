"""RowStore: rows of any types addressed by row id, with ids of removed rows used again; and chains of rows per owner.

Imports Polars, NumPy and the sibling column classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.runtime.state.columns import FixedColumn, Ids, as_run, grown, storage_dtype
from tableapi.runtime.state.heap import Heap

NONE = np.empty(0, dtype=np.int64)
"""No ids."""


class RowStore:
    """A table whose rows have stable int64 ids.

    Cost of every method is proportional to the rows that it is given. Removed ids are handed out again.

    >>> store = RowStore({"a": pl.Int64(), "s": pl.String()})
    >>> ids = store.append(pl.DataFrame({"a": [1, 2], "s": ["x", None]}))
    >>> store.remove(ids[:1]); store.append(pl.DataFrame({"a": [3], "s": ["z"]})).tolist()
    [0]
    >>> store.gather(np.array([1, 0])).rows()
    [(2, None), (3, 'z')]
    """

    def __init__(self, schema: Mapping[str, pl.DataType]) -> None:
        self._names = list(schema)
        self._fixed: dict[str, FixedColumn] = {}
        others: dict[str, pl.DataType] = {}
        for name, dtype in schema.items():
            storage = storage_dtype(dtype)
            if storage is None:
                others[name] = dtype
            else:
                self._fixed[name] = FixedColumn(name, dtype, storage)
        self._heap = Heap(others) if others else None
        self.ids = IdAllocator()

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self._names)

    @property
    def count(self) -> int:
        """Number of live rows."""
        return self.ids.count

    @property
    def bound(self) -> int:
        """One more than the largest id in use so far: the length that arrays indexed by row id need."""
        return self.ids.bound

    def append(self, frame: pl.DataFrame) -> Ids:
        """Stores rows and returns their ids."""
        ids = self.ids.take(frame.height)
        self.write(ids, frame)
        return ids

    def write(self, ids: Ids, frame: pl.DataFrame) -> None:
        """Replaces whole rows at `ids` (distinct)."""
        places = as_run(ids) if self._fixed else ids
        for name, column in self._fixed.items():
            column.reserve(self.ids.bound)
            column.scatter(places, frame[name])
        if self._heap is not None:
            self._heap.reserve(self.ids.bound)
            self._heap.scatter(ids, frame)

    def gather(self, ids: Ids) -> pl.DataFrame:
        """The rows at `ids`, in that order."""
        if not self._names:
            return pl.DataFrame(height=len(ids))
        others = None if self._heap is None else self._heap.gather(ids)
        return pl.DataFrame(
            [self._fixed[n].gather(ids) if n in self._fixed or others is None else others[n] for n in self._names]
        )

    def gather_column(self, name: str, ids: Ids) -> pl.Series:
        """One column of the rows at `ids`."""
        if name in self._fixed or self._heap is None:
            return self._fixed[name].gather(ids)
        return self._heap.gather(ids, [name])[name]

    def remove(self, ids: Ids) -> None:
        """Forgets rows (each id once)."""
        self.clear(ids)
        self.ids.give_back(ids)

    def clear(self, ids: Ids) -> None:
        """Releases what rows hold without giving their ids away: for stores whose ids are another index's slots."""
        if self._heap is not None:
            self._heap.free(ids)

    def live_ids(self) -> Ids:
        """Ids of all live rows, ascending."""
        return self.ids.live()

    @property
    def size_bytes(self) -> int:
        """Memory held by the columns."""
        return sum(c.size_bytes for c in self._fixed.values()) + (0 if self._heap is None else self._heap.size_bytes)


class IdAllocator:
    """Hands out small integers; returned ones first."""

    def __init__(self) -> None:
        self._free: Ids = np.empty(0, dtype=np.int64)
        self._free_count = 0
        self.bound = 0

    @property
    def count(self) -> int:
        """Number of ids in use."""
        return self.bound - self._free_count

    def take(self, n: int) -> Ids:
        """`n` ids that were not in use."""
        reused = min(n, self._free_count)
        ids = np.arange(self.bound - reused, self.bound - reused + n, dtype=np.int64)
        ids[:reused] = self._free[self._free_count - reused : self._free_count][::-1]
        self._free_count -= reused
        self.bound += n - reused
        return ids

    def give_back(self, ids: Ids) -> None:
        """The ids are no longer in use."""
        self._free = grown(self._free, self._free_count + len(ids))
        self._free[self._free_count : self._free_count + len(ids)] = ids
        self._free_count += len(ids)

    def live(self) -> Ids:
        """All ids in use, ascending."""
        in_use = np.ones(self.bound, dtype=np.bool_)
        in_use[self._free[: self._free_count]] = False
        return np.flatnonzero(in_use)


class Chains:
    """Doubly linked lists of row ids, one per owner slot: the rows of a join key, the values of a group.

    Appending and removing cost O(1) a row, counting O(1) an owner; collecting costs O(rows collected).

    Args:
        ends: Shared by chains that are asked for the same owners; None: of its own.
    """

    def __init__(self, ends: ChainEnds | None = None) -> None:
        self._ends = ChainEnds() if ends is None else ends
        self._lane = self._ends.add_lane()
        self._links: npt.NDArray[Any] = np.zeros((1, 2), dtype=np.int32)

    def append(self, ids: Ids, owners: Ids) -> None:
        """Adds each row at the end of its owner's chain, in order."""
        from tableapi.runtime.state import kernels

        if not len(ids):
            return
        self._reserve(int(owners.max()) + 1, int(ids.max()) + 1)
        kernels.chain_append(ids, owners, self._ends.array, self._lane, self._links)

    def remove(self, ids: Ids, owners: Ids) -> None:
        """Takes each row out of its owner's chain."""
        from tableapi.runtime.state import kernels

        if len(ids):
            kernels.chain_remove(ids, owners, self._ends.array, self._lane, self._links)

    def pop(self, owners: Ids) -> Ids:
        """Takes the first row off each owner's chain, one after the other; -1 where there is none (or the owner is -1)."""
        from tableapi.runtime.state import kernels

        if not len(owners):
            return NONE
        self._reserve(int(owners.max()) + 1, 0)
        ids = np.empty(len(owners), dtype=np.int64)
        kernels.chain_pop(owners, self._ends.array, self._lane, self._links, ids)
        return ids

    def collect(self, owners: Ids) -> tuple[Ids, Ids]:
        """All rows of the chains of `owners` (-1: no chain): row ids, and for each its position in `owners`."""
        from tableapi.runtime.state import kernels

        lengths, total = self._count(owners)
        if not total:
            return NONE, NONE
        ids, positions = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
        kernels.chain_collect(owners, lengths, self._ends.array, self._lane, self._links, ids, positions)
        return ids, positions

    def lengths(self, owners: Ids) -> Ids:
        """How many rows the chain of each of `owners` has."""
        return self._count(owners)[0]

    def total(self, owners: Ids) -> int:
        """How many rows the chains of `owners` have together."""
        return self._count(owners)[1]

    def _count(self, owners: Ids) -> tuple[Ids, int]:
        from tableapi.runtime.state import kernels

        if not len(owners):
            return NONE, 0
        self._reserve(max(1, int(owners.max()) + 1), 0)
        lengths = np.empty(len(owners), dtype=np.int64)
        return lengths, int(kernels.chain_lengths(owners, self._ends.array, self._lane, lengths))

    def is_empty(self, owners: Ids) -> npt.NDArray[np.bool_]:
        """Whether each owner's chain has no rows."""
        self._reserve(int(owners.max(initial=-1)) + 1, 0)
        empty: npt.NDArray[np.bool_] = self._ends.array[owners, self._lane + 2] == 0
        return empty

    def first(self, owners: Ids) -> Ids:
        """The first row of each owner's chain, -1 when empty."""
        return self._end(owners, 0)

    def last(self, owners: Ids) -> Ids:
        """The last row of each owner's chain, -1 when empty."""
        return self._end(owners, 1)

    def _end(self, owners: Ids, which: int) -> Ids:
        self._reserve(int(owners.max(initial=-1)) + 1, 0)
        return self._ends.array[owners, self._lane + which].astype(np.int64) - 1

    def _reserve(self, owners: int, ids: int) -> None:
        if ids > _MOST_NARROW_IDS and self._links.dtype == np.int32:
            self._links = self._links.astype(np.int64)
            self._ends.widen()
        self._ends.reserve(owners)
        self._links = grown(self._links, ids + 1)


class ChainEnds:
    """Where the chains of each owner begin and end, and how long they are. Several `Chains` over the same owners keep theirs next to each
    other, so that an owner costs one cache miss for all of them."""

    def __init__(self) -> None:
        self.array: npt.NDArray[Any] = np.zeros((0, 0), dtype=np.int32)

    def add_lane(self) -> int:
        """Makes room for one more `Chains`, before any is used; returns the first of its columns."""
        lane = self.array.shape[1]
        self.array = np.zeros((0, lane + 3), dtype=np.int32)
        return lane

    def reserve(self, owners: int) -> None:
        """Makes room for owners below `owners`; they have no rows."""
        self.array = grown(self.array, owners)

    def widen(self) -> None:
        """Makes room for large row ids."""
        self.array = self.array.astype(np.int64)


_MOST_NARROW_IDS = 2**31 - 2
"""Chains of more rows have links of eight bytes; smaller ones need half of the memory."""
