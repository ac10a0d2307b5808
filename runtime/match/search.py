"""The search over all partitions of sorted rows at once, for batch and stream.

One compiled kernel does it where conditions look at single rows, or have programs; otherwise the automaton follows the runs of one partition
after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan.match_node import Match, SkipKind
from tableapi.runtime.match import kernel
from tableapi.runtime.match.matcher import Alive, Matcher, Rows, Run
from tableapi.runtime.match.measures import match_rows
from tableapi.runtime.match.programs import Programs
from tableapi.runtime.state.columns import Ids
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK
from tableapi.runtime.stream.window_time import to_ms_or_min

_SKIPS = {
    SkipKind.PAST_LAST_ROW: kernel.PAST_LAST_ROW,
    SkipKind.NEXT_ROW: kernel.NEXT_ROW,
    SkipKind.FIRST: kernel.TO_FIRST,
    SkipKind.LAST: kernel.TO_LAST,
}


@dataclass(frozen=True)
class Found:
    """What a search found.

    Args:
        bounds: A row a match: the first row of each variable, and the row after the last.
        alive: For each partition in order, the first row that is still needed; -1: none is.
    """

    bounds: npt.NDArray[np.int64]
    alive: Ids


def find_matches(frame: pl.DataFrame, node: Match, session: SessionContext) -> pl.DataFrame:
    """The matches of rows that are sorted by partition and order."""
    matcher = Matcher(node.pattern, node.defines, node.skip, node.within_ms, session)
    times = None if node.within_ms is None else to_ms_or_min(frame[node.order_by[0].column])
    found = searcher(matcher).search(Rows(matcher, frame, times), _partitions(frame, node.partition_by), MAX_WATERMARK)
    positions = {e.variable: i for i, e in enumerate(node.pattern)}
    return match_rows(frame, found.bounds, node.partition_by, node.measures, positions, session)


def _partitions(frame: pl.DataFrame, keys: tuple[str, ...]) -> Ids:
    """Numbers the partitions of sorted rows."""
    if not keys:
        return np.zeros(frame.height, dtype=np.int64)
    return frame.select(pl.struct(keys).rle_id().cast(pl.Int64())).to_series().to_numpy()


def searcher(matcher: Matcher) -> KernelSearch | RunSearch:
    """The way to search that suits the pattern."""
    programs = matcher.programs()
    return RunSearch(matcher) if programs is None else KernelSearch(matcher, programs)


class KernelSearch:
    """All conditions are flags of rows or programs. Keeps nothing: runs that are alive are followed anew from their first row."""

    def __init__(self, matcher: Matcher, programs: Programs) -> None:
        self._matcher, self._programs = matcher, programs
        self._pattern = np.array(
            [[e.minimum, -1 if e.maximum is None else e.maximum, e.is_greedy, e.keeps_rows] for e in matcher.pattern],
            dtype=np.int64,
        )
        size = len(matcher.pattern)
        futures = sum((e.minimum if e.maximum is None else e.maximum) + 1 for e in matcher.pattern)
        self._make_room((futures + 1) * (size + 1))

    def _make_room(self, runs: int) -> None:
        self._room = np.empty((2, runs, len(self._matcher.pattern)), dtype=np.int64)
        self._lengths = np.empty((2, runs), dtype=np.int64)

    def search(self, rows: Rows, owners: Ids, now_ms: int | None) -> Found:
        """Searches sorted rows; `owners` tells the partition of each. No row before `now_ms` will come."""
        matcher, height = self._matcher, rows.frame.height
        always = np.ones(height, dtype=np.bool_)
        flags = np.array([always if f is None else f for f in rows.flags]).reshape(len(matcher.pattern), height)
        matches = np.empty((len(rows.starts), len(matcher.pattern) + 1), dtype=np.int64)
        alive = np.full(int(np.count_nonzero(np.diff(owners))) + 1 if height else 0, -1, dtype=np.int64)
        arguments = (
            np.ascontiguousarray(owners),
            self._programs.bind(flags, rows.frame),
            rows.can_start,
            self._pattern,
            np.zeros(0, dtype=np.int64) if rows.times is None else rows.times,
            -1 if matcher.within_ms is None else matcher.within_ms,
            MIN_WATERMARK if now_ms is None else now_ms,
            _SKIPS[matcher.skip.kind],
            matcher.skip_to,
        )
        while (count := kernel.search_partitions(*arguments, self._room, self._lengths, matches, alive)) == kernel.NO_ROOM:
            self._make_room(2 * self._room.shape[1])
        if count == kernel.NO_ROW_TO_SKIP_TO:
            raise matcher.no_row_to_skip_to()
        if count == kernel.SAME_MATCH_AGAIN:
            raise matcher.same_match_again()
        return Found(matches[:count], alive)


class RunSearch:
    """Some conditions look at rows matched before and have no program. Keeps the runs that are alive, by partition."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._alive: dict[int, Alive] = {}

    def search(self, rows: Rows, owners: Ids, now_ms: int | None) -> Found:
        """Searches sorted rows; the rows of a partition begin with those that an earlier search still needed."""
        edges = np.flatnonzero(np.diff(owners, prepend=owners[0] - 1, append=owners[-1] + 1)) if len(owners) else owners
        alive = np.full(max(0, len(edges) - 1), -1, dtype=np.int64)
        has_start = np.diff(np.searchsorted(rows.starts, edges)) > 0
        found: list[Run] = []
        for part in range(len(alive)):
            low, high = int(edges[part]), int(edges[part + 1])
            owner = int(owners[low])
            known = self._alive.pop(owner, None)
            if known is None and not has_start[part]:
                continue
            left = self._matcher.search(rows, low, high, known and known.moved(low), now_ms, found)
            if left is not None:
                alive[part] = left.start
                self._alive[owner] = left.moved(-left.start)
        return Found(np.array(found, dtype=np.int64).reshape(len(found), len(self._matcher.pattern) + 1), alive)
