"""LEAD along time: each row waits for the rows that follow it in its partition.

Imports the plan, `runtime.state` and the sibling operator that looks back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import NamedAgg
from tableapi.plan.rex import Literal
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.stream.batch import MAX_WATERMARK, Batch
from tableapi.runtime.stream.emit import emit_in_pieces, hstack
from tableapi.runtime.stream.operator import SnapshotReader
from tableapi.runtime.stream.over_frames import ID, SLOT, compute, ordered
from tableapi.runtime.stream.over_time import TimeOver
from tableapi.runtime.stream.window_time import Millis, to_ms_or_min

if TYPE_CHECKING:
    from tableapi.runtime.stream.over import OverSpec


def distance_ahead(named: NamedAgg) -> int:
    """How many rows a LEAD call looks ahead.

    Raises:
        UnsupportedError: The number is not a constant, or is negative.
    """
    arg = named.call.args[1] if len(named.call.args) > 1 else Literal(named.call.type, 1)
    if not isinstance(arg, Literal) or not isinstance(arg.value, int) or arg.value < 0:
        raise UnsupportedError("LEAD on a stream needs a constant number of rows", fix="LEAD(column, 1)")
    return arg.value


class LookAhead(TimeOver):
    """Emits each row once (+I), when as many rows as its LEAD calls look ahead have followed it, or the input has ended.

    Until then the row is kept, so at most that many rows per partition are; the watermark that is passed on stays behind the
    oldest of them, because they keep their times. A partition without new rows holds it back for good: LEAD suits partitions
    that go on. Late rows are dropped and counted. Cost of a batch: O(its rows and the kept rows of their partitions).
    """

    def __init__(self, spec: OverSpec, time_column: str) -> None:
        super().__init__(spec, time_column)
        self._ahead = max(distance_ahead(call) for call in spec.calls)
        self._held = HeldTimes()

    def on_watermark(self, watermark_ms: int) -> int:
        super().on_watermark(watermark_ms)
        if watermark_ms == MAX_WATERMARK:
            kept = self._kept(self._index.live_slots())
            if kept.height:
                self._emit_rows(kept.drop(ID), self._values(kept))
                self._history.remove(kept[ID].to_numpy())
            return watermark_ms
        return min(watermark_ms, self._held.oldest() - 1) if self._spec.is_event_time else watermark_ms

    def _look_back(self, rows: pl.DataFrame, slots: Ids) -> pl.DataFrame:
        kept = self._kept(np.unique(slots))
        new = rows.with_columns(pl.lit(-1, pl.Int64()).alias(ID)).select(kept.columns)
        both = ordered(pl.concat([kept, new]), self._spec.order_by)
        owners, ids = both[SLOT].to_numpy(), both[ID].to_numpy()
        ends = np.append(np.flatnonzero(owners[1:] != owners[:-1]), len(owners) - 1)
        followers = ends[np.searchsorted(ends, np.arange(len(owners)))] - np.arange(len(owners))
        is_final = followers >= self._ahead
        self._let_go(ids[is_final & (ids >= 0)])
        self._keep(both.filter(pl.Series(~is_final & (ids < 0))))
        chosen = pl.Series(is_final)
        result = hstack([both.drop(SLOT, ID), self._values(both)]).filter(chosen)
        return result.sort(self._time, maintain_order=True)

    def _values(self, rows: pl.DataFrame) -> pl.DataFrame:
        return compute(rows, self._spec, self.context.session, self.context.functions)

    def _emit_rows(self, rows: pl.DataFrame, values: pl.DataFrame) -> None:
        result = hstack([rows.drop(SLOT), values]).sort(self._time, maintain_order=True)
        emit_in_pieces(self.context.emit, Batch(result), self.context.max_batch_rows)

    def _kept(self, slots: Ids) -> pl.DataFrame:
        """The rows of these partitions that wait for followers, in order."""
        ids, positions = self._by_partition.collect(slots)
        rows = self._history.gather(ids).with_columns(pl.Series(SLOT, slots[positions]), pl.Series(ID, ids))
        return ordered(rows, self._spec.order_by)

    def _keep(self, rows: pl.DataFrame) -> None:
        if not rows.height:
            return
        ids = self._history.append(rows)
        self._owner = grown(self._owner, self._history.bound, -1)
        self._owner[ids] = rows[SLOT].to_numpy()
        self._by_partition.append(ids, self._owner[ids])
        self._held.add(ids, to_ms_or_min(rows[self._time]))

    def _let_go(self, ids: Ids) -> None:
        self._by_partition.remove(ids, self._owner[ids])
        self._history.remove(ids)
        self._held.remove(ids)

    def restore(self, reader: SnapshotReader) -> None:
        super().restore(reader)
        ids = self._history.live_ids()
        self._held.add(ids, to_ms_or_min(self._history.gather_column(self._time, ids)))


class HeldTimes:
    """The oldest time of rows that come in order of time, batch by batch, and leave in any order.

    Each row has a place in a queue; places are passed over, once each, when their rows have left.

    >>> held = HeldTimes()
    >>> held.add(np.array([7, 4]), np.array([20, 10]))
    >>> held.remove(np.array([4]))
    >>> held.oldest()
    20
    """

    def __init__(self) -> None:
        self._times: Millis = np.zeros(0, dtype=np.int64)
        self._has_left = np.zeros(0, dtype=np.bool_)
        self._place: Ids = np.full(0, -1, dtype=np.int64)
        self._first, self._end = 0, 0

    def add(self, ids: Ids, times: Millis) -> None:
        """Takes rows; all are at least as late as those of earlier batches."""
        order = np.argsort(times, kind="stable")
        self._drop_passed()
        first, self._end = self._end, self._end + len(ids)
        self._times, self._has_left = grown(self._times, self._end), grown(self._has_left, self._end, False)
        self._times[first : self._end], self._has_left[first : self._end] = times[order], False
        if len(ids):
            self._place = grown(self._place, int(ids.max()) + 1, -1)
            self._place[ids[order]] = np.arange(first, self._end)

    def remove(self, ids: Ids) -> None:
        """Rows have left."""
        self._has_left[self._place[ids]] = True

    def oldest(self) -> int:
        """The time of the oldest row that is here; MAX_WATERMARK when there is none."""
        while self._first < self._end and self._has_left[self._first]:
            part = self._has_left[self._first : min(self._end, self._first + 65_536)]
            self._first += len(part) if part.all() else int(np.argmin(part))
        return int(self._times[self._first]) if self._first < self._end else MAX_WATERMARK

    def _drop_passed(self) -> None:
        self.oldest()
        if self._first * 2 <= self._end:
            return
        rest = self._end - self._first
        self._times[:rest], self._has_left[:rest] = (
            self._times[self._first : self._end],
            self._has_left[self._first : self._end],
        )
        self._place -= self._first
        self._first, self._end = 0, rest
