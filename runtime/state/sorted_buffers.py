"""The first rows of each of many owners, kept sorted: what Top-N and the extremes of an input that retracts are made of.

Imports NumPy and the sibling state classes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tableapi.runtime.state import top_kernels
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.ordering import OrderedRows
from tableapi.runtime.state.row_store import Chains

_UNLIMITED = 2**40


class SortedBuffers:
    """Rows by owner slot, of which the first `wanted` are always known in order.

    With `keeps_rest` False, rows behind the first `wanted` are forgotten, and rows cannot be removed. With True the buffer holds about
    twice as many; rows behind it wait in an unsorted chain, from which `refill` fills the buffer when removals have emptied it.
    Cost: a binary search and a short move a row; a refill O(rows of the owner), once in about `wanted` removals.

    Args:
        order: The rows' order words; the caller writes them before `add`.
    """

    def __init__(self, order: OrderedRows, wanted: int, keeps_rest: bool) -> None:
        self._order, self._wanted, self._keeps_rest = order, wanted, keeps_rest
        self._capacity = min(2 * wanted + 16 if keeps_rest else wanted, _UNLIMITED)
        self._top: Ids = np.full((0, min(self._capacity, 4)), -1, dtype=np.int64)
        self._counts = np.zeros(0, dtype=np.int64)
        self._spilled = np.zeros(0, dtype=np.int64)
        self._place = np.zeros(0, dtype=np.int8)
        self._owner: Ids = np.full(0, -1, dtype=np.int64)
        self._rest = Chains()

    def reserve(self, slots: int, rows: int) -> None:
        """Makes room for slots and row ids below these."""
        self._top = grown(self._top, slots, -1)
        self._counts, self._spilled = grown(self._counts, slots), grown(self._spilled, slots)
        self._place, self._owner = grown(self._place, rows), grown(self._owner, rows, -1)

    def add(self, ids: Ids, slots: Ids) -> Ids:
        """Puts rows in; returns those (old and new) that are forgotten."""
        self._owner[ids] = slots
        pushed = self._place_rows(ids, slots)
        if not self._keeps_rest:
            return pushed
        self._rest.append(pushed, self._owner[pushed])
        return pushed[:0]

    def _place_rows(self, ids: Ids, slots: Ids) -> Ids:
        """Runs the kernel over the rows; returns the ids that are outside of their buffers now."""
        pushed, pushed_count = np.empty(len(ids), dtype=np.int64), np.zeros(1, dtype=np.int64)
        at = 0
        while True:
            at = top_kernels.add_rows(
                at,
                ids,
                slots,
                self._order.words,
                self._top,
                self._counts,
                self._spilled,
                self._place,
                self._capacity,
                self._keeps_rest,
                pushed,
                pushed_count,
            )
            if at == len(ids):
                return pushed[: pushed_count[0]]
            wider = np.full((len(self._top), min(self._capacity, 2 * self._top.shape[1])), -1, dtype=np.int64)
            wider[:, : self._top.shape[1]] = self._top
            self._top = wider

    def remove(self, ids: Ids, slots: Ids) -> None:
        """Takes rows out; `refill` must follow before the owners are read."""
        spilled = self._place[ids] == top_kernels.SPILLED
        self._rest.remove(ids[spilled], slots[spilled])
        top_kernels.remove_rows(ids, slots, self._order.words, self._top, self._counts, self._spilled, self._place)

    def refill(self, touched: Ids) -> None:
        """Moves the first spilled rows of owners (each once) whose buffer has become too short into the buffer."""
        short = touched[(self._counts[touched] < self._wanted) & (self._spilled[touched] > 0)]
        if not len(short):
            return
        ids, positions = self._rest.collect(short)
        order = np.lexsort([*self._order.words[ids].T[::-1], positions])
        ids, positions = ids[order], positions[order]
        first = np.searchsorted(positions, np.arange(len(short)))
        room = self._capacity - self._counts[short]
        chosen = np.arange(len(ids)) - first[positions] < room[positions]
        ids, positions = ids[chosen], positions[chosen]
        left = self._spilled[short] - np.bincount(positions, minlength=len(short))
        self._spilled[short] = 0
        self._rest.remove(ids, short[positions])
        self._place_rows(ids, short[positions])
        self._spilled[short] = left

    def ranked(self, slots: Ids, start: int, end: int) -> Ids:
        """Row ids of the ranks `start`..`end` (from 0, end excluded) of each owner; -1 where there is none.

        The matrix is only as wide as buffers are now.
        """
        high = min(end, self._top.shape[1])
        if high <= start:
            return np.full((len(slots), 0), -1, dtype=np.int64)
        is_there = np.arange(start, high)[None, :] < self._counts[slots][:, None]
        return np.where(is_there, self._top[slots, start:high], -1)

    def first(self, slots: Ids) -> Ids:
        """The first row of each owner; -1 where there is none."""
        return np.where(self._counts[slots] > 0, self._top[slots, 0], -1)

    def is_kept(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Whether the rows are still here."""
        kept: npt.NDArray[np.bool_] = self._place[ids] != top_kernels.NOWHERE
        return kept

    def is_empty(self, slots: Ids) -> npt.NDArray[np.bool_]:
        """Whether the owners have no rows."""
        empty: npt.NDArray[np.bool_] = (self._counts[slots] == 0) & (self._spilled[slots] == 0)
        return empty

    def drop(self, slots: Ids) -> Ids:
        """Empties owners (each once); returns the rows that they had."""
        gone, _ = self.rows(slots)
        spilled, positions = self._rest.collect(slots)
        self._rest.remove(spilled, slots[positions])
        self._counts[slots], self._spilled[slots] = 0, 0
        self._place[gone] = top_kernels.NOWHERE
        return gone

    def rows(self, slots: Ids) -> tuple[Ids, Ids]:
        """All rows of owners, and for each the position of its owner in `slots`."""
        held = np.arange(self._top.shape[1])[None, :] < self._counts[slots][:, None]
        spilled, positions = self._rest.collect(slots)
        return np.concatenate([self._top[slots][held], spilled]), np.concatenate([np.nonzero(held)[0], positions])
