"""Lowers OVER windows: sorts by partition and order, then computes each call on the sorted rows.

The frame of each row is a range of sorted rows, `Frames(low, high)`. What the calls make of frames is in `frames.py`
(aggregates) and `ranking.py` (ROW_NUMBER and the like).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.functions.registry import RankingFunction, find
from tableapi.plan.nodes import FrameBound, FrameBoundKind, NamedAgg, Over, OverFrame
from tableapi.plan.rex import AggCall, SortKey
from tableapi.runtime.batch.context import Lowering
from tableapi.runtime.batch.frames import FrameEvaluator, Frames
from tableapi.runtime.batch.ranking import RANKING, Ints, Mask, Partitions


def lower_over(node: Over, lowering: Lowering) -> pl.LazyFrame:
    """Adds columns computed over windows of rows."""
    frame = lowering.lower(node.input)
    keys = [SortKey(name) for name in node.partition_by] + list(node.order_by)
    if keys:
        frame = frame.sort(
            [k.column for k in keys],
            descending=[not k.ascending for k in keys],
            nulls_last=[not k.nulls_first for k in keys],
            maintain_order=True,
        )
    names = node.schema.names
    schema = {**frame.collect_schema(), **{c.name: c.call.type.to_polars() for c in node.calls}}

    def run(rows: pl.DataFrame) -> pl.DataFrame:
        return _compute(rows, node, lowering).select(names)

    return frame.select(node.input.schema.names).map_batches(run, schema={n: schema[n] for n in names})


def _compute(rows: pl.DataFrame, node: Over, lowering: Lowering) -> pl.DataFrame:
    if rows.height == 0:
        return rows.with_columns(pl.lit(None, c.call.type.to_polars()).alias(c.name) for c in node.calls)
    window = SortedWindow(rows, node)
    evaluator = FrameEvaluator(rows, lowering.session, lowering.functions, window.partitions)
    columns = [_column(named, window, evaluator).alias(named.name) for named in node.calls]
    return rows.with_columns(columns)


def _column(named: NamedAgg, window: SortedWindow, evaluator: FrameEvaluator) -> pl.Series:
    call = named.call
    if is_ranking(call):
        compute = RANKING.get(call.function)
        if compute is None:
            raise UnsupportedError(f"{call.function} OVER is not supported yet")
        return compute(window.partitions, call, window.rows).cast(call.type.to_polars())
    return evaluator.evaluate(call, window.frames).cast(call.type.to_polars())


def is_ranking(call: AggCall) -> bool:
    """Whether a call looks at a row's place instead of a frame."""
    return call.udaf is None and isinstance(find(call.function), RankingFunction)


@dataclass
class SortedWindow:
    """Rows sorted by partition and order, and where partitions, peers and frames lie."""

    rows: pl.DataFrame
    node: Over

    @cached_property
    def partitions(self) -> Partitions:
        """Bounds of each row's partition and of its peers (rows with equal sort keys)."""
        starts = _run_starts(self.rows, self.node.partition_by)
        peers = starts | _run_starts(self.rows, [k.column for k in self.node.order_by])
        return Partitions(*_bounds(starts), *_bounds(peers))

    @cached_property
    def frames(self) -> Frames:
        """The frame of each row."""
        frame, parts = self.node.frame, self.partitions
        if not frame.is_rows and self._has_offsets:
            return self._range_frames(frame)
        rows = np.arange(self.rows.height)
        low = _end(frame, frame.lower, rows, parts.peer_start, parts.start, 0)
        high = _end(frame, frame.upper, rows, parts.peer_end, parts.end, 1)
        low, high = np.clip(low, parts.start, parts.end), np.clip(high, parts.start, parts.end)
        return Frames(low, np.maximum(low, high))

    @property
    def _has_offsets(self) -> bool:
        ends = (self.node.frame.lower, self.node.frame.upper)
        return any(e.kind is FrameBoundKind.OFFSET for e in ends)

    def _range_frames(self, frame: OverFrame) -> Frames:
        from tableapi.runtime.batch.kernels import range_bounds

        order = self.node.order_by[0]
        key, per_unit = range_key(self.rows[order.column])
        values = key.fill_null(0).to_numpy()
        values = values if order.ascending else -values
        parts = self.partitions
        lower, upper = (_offset(e) * per_unit for e in (frame.lower, frame.upper))
        bounded = [e.kind is not FrameBoundKind.UNBOUNDED for e in (frame.lower, frame.upper)]
        low, high = range_bounds(values, key.is_null().to_numpy(), parts.start, parts.end, bounded[0], lower, bounded[1], upper)
        return Frames(low, np.maximum(low, high))


def range_key(column: pl.Series) -> tuple[pl.Series, int]:
    """The sort column as numbers, and how many of their units a frame offset of 1 (a millisecond, for times) is."""
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime | pl.Duration):
        per_ms = {"ms": 1, "us": 1_000, "ns": 1_000_000}[dtype.time_unit or "us"]
        return column.to_physical(), per_ms
    if dtype == pl.Date:
        return column.cast(pl.Datetime("ms")).to_physical(), 1
    if dtype == pl.Time:
        return column.to_physical(), 1_000_000
    return column.cast(pl.Int64() if dtype.is_integer() else pl.Float64()), 1


def _offset(bound: FrameBound) -> int:
    return bound.offset if bound.kind is FrameBoundKind.OFFSET else 0


def _end(frame: OverFrame, bound: FrameBound, rows: Ints, peer: Ints, unbounded: Ints, after: int) -> Ints:
    """One end of each frame (exclusive when `after` is 1)."""
    match bound.kind:
        case FrameBoundKind.UNBOUNDED:
            return unbounded
        case FrameBoundKind.CURRENT_ROW:
            return rows + after if frame.is_rows else peer
        case _:
            return rows + bound.offset + after


def _run_starts(rows: pl.DataFrame, names: Sequence[str]) -> Mask:
    """TRUE where a run of rows with equal values in `names` starts; without names all rows are one run."""
    starts = np.zeros(rows.height, dtype=np.bool_)
    starts[0] = True
    if names:
        runs = rows.select(pl.struct(names).rle_id()).to_series().to_numpy()
        starts[1:] = runs[1:] != runs[:-1]
    return starts


def _bounds(starts: Mask) -> tuple[Ints, Ints]:
    """First, and one past the last, row of each row's run."""
    first = np.flatnonzero(starts)
    run = np.cumsum(starts) - 1
    return first[run], np.append(first[1:], len(starts))[run]
