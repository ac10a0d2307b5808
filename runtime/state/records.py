"""Numbers of several types by slot, next to each other: what is kept of a slot costs one cache miss, however many numbers it is.

Imports NumPy and the growable arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tableapi.runtime.state.columns import Ids, grown

Bytes = npt.NDArray[np.uint8]


class SlotRecords:
    """A record of fixed-width fields for each slot; all zeros at first.

    >>> records = SlotRecords()
    >>> count, seen = records.add(np.dtype(np.int64)), records.add(np.dtype(np.bool_))
    >>> records.reserve(2)
    >>> records.field(count)[1] = 7
    >>> records.field(count)[:2].tolist(), records.field(seen)[:2].tolist()
    ([0, 7], [False, False])
    """

    def __init__(self) -> None:
        self._types: list[np.dtype[Any]] = []
        self._offsets: list[int] = []
        self._bytes: Bytes = np.zeros((0, 0), dtype=np.uint8)

    def add(self, dtype: np.dtype[Any]) -> int:
        """Adds a field, before there is room for any slot; returns its number."""
        assert not len(self._bytes), "the records are in use"
        self._types.append(dtype)
        return len(self._types) - 1

    def reserve(self, bound: int) -> None:
        """Makes room for slots below `bound`. Arrays that `field` gave before are no longer part of the records."""
        if not self._offsets:
            self._lay_out()
        self._bytes = grown(self._bytes, bound)

    def _lay_out(self) -> None:
        """Wide fields first, so that all are aligned without gaps."""
        order = sorted(range(len(self._types)), key=lambda i: -self._types[i].itemsize)
        self._offsets, end = [0] * len(order), 0
        for i in order:
            self._offsets[i] = end
            end += self._types[i].itemsize
        widest = self._types[order[0]].itemsize
        self._bytes = np.zeros((0, -(-end // widest) * widest), dtype=np.uint8)

    def field(self, number: int) -> npt.NDArray[Any]:
        """A field of all slots, as an array that can be written to."""
        dtype, offset = self._types[number], self._offsets[number]
        return self._bytes[:, offset : offset + dtype.itemsize].view(dtype)[:, 0]

    def copy(self, slots: Ids, other: SlotRecords, others: Ids) -> None:
        """Writes over the records of `slots` with those of `others` in a set of the same fields."""
        self._bytes[slots] = other._bytes[others]
