"""What is distinct in the current window of overlapping windows: values come with the slices that the window reaches, and go with those it leaves.

Imports `runtime.state` and the aggregate calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from tableapi.plan.nodes import NamedAgg
from tableapi.runtime.state.columns import Ids
from tableapi.runtime.stream.aggregates import AggregateSet

Parts = Callable[[int, int], Iterator[tuple[int, list[Ids]]]]
"""The slices whose ends lie in (after, until], ascending: the end, and slots of (key, slice), each list without equal keys."""

Late = Mapping[int, Sequence[Ids]]
"""Pairs that have come for slices that were in already, by slice."""

Fed = tuple[AggregateSet, Ids, pl.DataFrame]
"""Rows of some keys that a set was fed with."""


class DistinctWindow:
    """The DISTINCT calls over one window, by key.

    Each value counts as often as (key, slice) pairs have it, so a slice that leaves takes away only what no other slice has. All of it is
    derived from the pairs. Cost of the next window: O(distinct values of the slices that come and go).

    Args:
        pairs: What has been seen by (key, slice) pair.
        make: Makes a set of calls whose input takes rows back.
    """

    def __init__(self, pairs: AggregateSet, make: Callable[[Sequence[NamedAgg]], AggregateSet]) -> None:
        self._pairs = pairs
        self._sets = [make(calls) for calls in pairs.distinct_calls]
        self._span: tuple[int, int] | None = None
        """Slices that end in (from, until] are in; None: nothing is known."""
        self._late: list[Fed] = []

    def reserve(self, keys: int) -> None:
        """Makes room for keys below `keys`."""
        for one in self._sets:
            one.reserve(keys)

    def invalidate(self) -> None:
        """Pairs that are in have changed: the next window is put together anew."""
        self._span = None

    def move(self, start: int, end: int, parts: Parts, owner: Ids, late: Late, keys: int) -> None:
        """Makes it the window of the slices that end in (start, end].

        Args:
            owner: The key of each pair.
            late: Pairs of slices that were in already; they may still grow, and are looked at again by every window.
            keys: All keys are below.
        """
        if self._span is None or start >= self._span[1]:
            self._clear(keys)
            self._span = (start, start)
        was_start, was_end = self._span
        self._settle(was_start, start, owner, late)
        for _, lists in parts(was_start, start):
            self._feed(lists, owner, adds=False)
        for _, lists in parts(was_end, end):
            self._feed(lists, owner, adds=True)
        self._span = (start, end)
        self._late = self._feed([p for e, lists in late.items() if start < e <= end for p in lists], owner, adds=True)

    def settle(self, owner: Ids, late: Late) -> None:
        """The late pairs grow no more: from now on they are parts of their slices."""
        if self._span is not None:
            self._settle(*self._span, owner, late)

    def forget(self, slice_end: int, lists: list[Ids], owner: Ids, late: Late) -> None:
        """A slice is about to be freed, with its late pairs."""
        if self._span is not None and self._span[0] < slice_end <= self._span[1]:
            self._settle(self._span[0], slice_end, owner, {slice_end: late.get(slice_end, [])})
            self._feed(lists, owner, adds=False)
            self._span = (slice_end, self._span[1])

    def values(self, keys: Ids) -> list[pl.DataFrame]:
        """The results of the calls for some keys."""
        return [one.values(keys) for one in self._sets]

    def _feed(self, lists: list[Ids], owner: Ids, adds: bool) -> list[Fed]:
        fed = []
        for pairs in lists:
            for number, one in enumerate(self._sets):
                rows, positions = self._pairs.distinct_rows(number, pairs)
                fed.append((one, owner[pairs][positions], rows))
                _update(fed[-1], adds)
        return fed

    def _settle(self, start: int, end: int, owner: Ids, late: Late) -> None:
        for fed in self._late:
            _update(fed, adds=False)
        self._late = []
        self._feed([pairs for e, lists in late.items() if start < e <= end for pairs in lists], owner, adds=True)

    def _clear(self, keys: int) -> None:
        self._late = []
        for one in self._sets:
            one.clear(np.arange(keys))


def _update(fed: Fed, adds: bool) -> None:
    one, keys, rows = fed
    if len(keys):
        one.update(keys, rows, None if adds else np.zeros(len(keys), dtype=np.bool_))
