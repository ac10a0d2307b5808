"""Results of windows that overlap, one after the other, at a cost that does not depend on how many slices a window has.

Time is cut into blocks as long as a window (HOP: its size, CUMULATE: its maximal size). Every window is then the rest of one block and the
beginning of the next. The beginning grows by a slice at a time; the rests of a block are computed backwards, once, when the next block is
entered. Imports `runtime.state` and the aggregate calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl

from tableapi.plan.nodes import NamedAgg
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.stream.aggregates import AggregateSet
from tableapi.runtime.stream.emit import hstack
from tableapi.runtime.stream.window_distinct import DistinctWindow, Parts
from tableapi.runtime.stream.window_time import Slices


class SlidingWindows:
    """Puts together the windows of all keys from values per (key, slice) pair.

    The values of a rest are kept at the pair where it begins, and each key points to the pair where the rest of the current window
    begins: all of it is derived, and made anew from the pairs when there is nothing. Rows that come for a slice that is already folded in
    make pairs of their own (`generation`), which are added to each window that they belong to; where that cannot be (`is_additive`), they
    change the pairs that are there, and what is derived is made anew. DISTINCT calls: the sibling file.
    Cost of a window: O(keys in it + pairs in its last slice), and per block O(pairs in it).

    Args:
        keys: The key columns.
        slices: How windows are made of slices.
        pairs: The running values of the pairs.
        make: Makes a set of calls; whether their input takes rows back.
        end: Name of the column of window ends in results.
    """

    def __init__(
        self,
        keys: dict[str, pl.DataType],
        slices: Slices,
        pairs: AggregateSet,
        make: Callable[[Sequence[NamedAgg], bool], AggregateSet],
        end: str,
    ) -> None:
        self._slices, self._pairs, self._end = slices, pairs, end
        self._keys = KeyIndex(keys)
        self._pairs_of = np.zeros(0, dtype=np.int64)
        self._owner: Ids = np.full(0, -1, dtype=np.int64)
        self._head, self._rest, self._result = (make(pairs.plain_calls, False) for _ in range(3))
        self._distinct = DistinctWindow(pairs, lambda calls: make(calls, True)) if pairs.distinct_calls else None
        self._in_head = np.zeros(0, dtype=np.bool_)
        self._in_rest = np.zeros(0, dtype=np.bool_)
        self._begin: Ids = np.full(0, -1, dtype=np.int64)
        self._following: Ids = np.full(0, -1, dtype=np.int64)
        self._late: dict[int, list[Ids]] = {}
        self._block: int | None = None
        self._begun = 0
        self.folded_until = -(2**63)
        """End of the last slice that is folded in; rows of slices up to it make pairs of their own."""
        self.generation = 0
        """Names those pairs."""

    def own(self, rows: pl.DataFrame, slots: Ids) -> None:
        """Takes note of new pairs, given by rows that have their keys."""
        owners, _ = self._keys.insert(rows)
        pairs, keys = self._pairs.bound, self._keys.bound
        self._owner, self._following = grown(self._owner, pairs, -1), grown(self._following, pairs, -1)
        self._in_rest = grown(self._in_rest, pairs, False)
        self._begin, self._in_head = grown(self._begin, keys, -1), grown(self._in_head, keys, False)
        self._pairs_of = grown(self._pairs_of, keys)
        self._rest.reserve(pairs)
        self._head.reserve(keys)
        if self._distinct is not None:
            self._distinct.reserve(keys)
        self._owner[slots] = owners
        np.add.at(self._pairs_of, owners, 1)

    def note_late(self, slice_end: int, slots: Ids) -> None:
        """New pairs of a slice that is already folded in."""
        self._late.setdefault(slice_end, []).append(slots)

    def invalidate(self) -> None:
        """Pairs of slices that are folded in have changed."""
        self._block = None
        if self._distinct is not None:
            self._distinct.invalidate()

    def results(self, windows: list[int], parts: Parts, max_rows: int) -> Iterator[pl.DataFrame]:
        """The keys, window ends and results of windows, given by their ends in ascending order, in pieces of about `max_rows`."""
        taken: list[Ids] = []
        ends: list[int] = []
        distinct: list[pl.DataFrame] = []
        height = 0
        for end in windows:
            self._advance(end, parts)
            taken.append(self._put(height, end))
            if self._distinct is not None:
                distinct.append(hstack(self._distinct.values(taken[-1])))
            ends.append(end)
            height += len(taken[-1])
            if height >= max_rows or end == windows[-1]:
                places, owners = np.arange(height), np.concatenate(taken)
                values = self._result.values(places)
                self._result.clear(places)
                bounds = pl.DataFrame({self._end: np.repeat(ends, [len(t) for t in taken])})
                yield hstack([self._keys.keys(owners), bounds, values, *([pl.concat(distinct)] if distinct else [])])
                taken, ends, distinct, height = [], [], [], 0

    def forget(self, slice_end: int, lists: list[Ids]) -> None:
        """A slice is in no window any more; its pairs are about to be freed."""
        if self._distinct is not None:
            self._distinct.forget(slice_end, lists, self._owner, self._late)
        self._late.pop(slice_end, None)
        for pairs in lists:
            self._pass(pairs)
            in_rest = pairs[self._in_rest[pairs]]
            self._rest.clear(in_rest)
            self._in_rest[in_rest] = False
            owners = self._owner[pairs]
            self._pairs_of[owners] -= 1
            gone = owners[self._pairs_of[owners] == 0]
            in_head = gone[self._in_head[gone]]
            self._head.clear(in_head)
            self._in_head[in_head] = False
            self._keys.free(gone)

    def _advance(self, end: int, parts: Parts) -> None:
        """Makes beginning and rests those of the window that ends at `end`."""
        start, block = end - self._slices.size_ms, self._slices.block_of(end)
        if block != self._block:
            self._enter(block, start, parts)
        elif self._slices.is_hopping:
            for _, lists in parts(self._begun, start):
                for pairs in lists:
                    self._pass(pairs)
        self._begun = start
        for _, lists in parts(self.folded_until, end):
            for pairs in lists:
                owners = self._owner[pairs]
                self._head.absorb(owners, self._pairs, pairs)
                self._in_head[owners] = True
        self.folded_until = end
        if self._distinct is not None:
            from_slice = start if self._slices.is_hopping else block
            self._distinct.move(from_slice, end, parts, self._owner, self._late, self._keys.bound)

    def _enter(self, block: int, start: int, parts: Parts) -> None:
        """Begins a block: what was the beginning is computed anew as rests, from its last slice back to where the window begins."""
        self._head.clear(np.flatnonzero(self._in_head))
        self._rest.clear(np.flatnonzero(self._in_rest))
        self._in_head[:], self._in_rest[:], self._begin[:] = False, False, -1
        if self._distinct is not None:
            self._distinct.settle(self._owner, self._late)
        self._late, self.generation = {}, self.generation + 1
        if self._slices.is_hopping:
            for _, lists in reversed(list(parts(start, block))):
                for pairs in reversed(lists):
                    self._put_before(pairs)
        self._block = self.folded_until = block

    def _put_before(self, pairs: Ids) -> None:
        owners = self._owner[pairs]
        later = self._begin[owners]
        self._rest.copy(pairs, self._pairs, pairs)
        has_later = later >= 0
        self._rest.absorb(pairs[has_later], self._rest, later[has_later])
        self._following[pairs], self._begin[owners], self._in_rest[pairs] = later, pairs, True

    def _pass(self, pairs: Ids) -> None:
        """Windows begin after these pairs from now on."""
        owners = self._owner[pairs]
        begins = self._begin[owners] == pairs
        self._begin[owners[begins]] = self._following[pairs[begins]]

    def _put(self, base: int, end: int) -> Ids:
        """Puts the results of the current window into `_result` from place `base` on; returns their keys."""
        start = end - self._slices.size_ms if self._slices.is_hopping else self._block
        assert start is not None
        late = [pairs for e, lists in self._late.items() if start < e <= end for pairs in lists]
        is_in = self._in_head | (self._begin >= 0)
        for pairs in late:
            is_in[self._owner[pairs]] = True
        owners = np.flatnonzero(is_in)
        self._result.reserve(base + len(owners))
        place = base - 1 + np.cumsum(is_in)
        begun = owners[self._begin[owners] >= 0]
        self._result.copy(place[begun], self._rest, self._begin[begun])
        ahead = owners[self._in_head[owners]]
        self._result.absorb(place[ahead], self._head, ahead)
        for pairs in late:
            self._result.absorb(place[self._owner[pairs]], self._pairs, pairs)
        return owners
