"""Watermarks of rows: what the watermark expression of a source says, and where a batch is cut so that lateness is noticed.

Row by row, a row is late when its time is below the watermark of the rows before it. In a batch the watermark only
moves at the end, so a batch is cut before a row that would be late (Flink emits a watermark as soon as it has grown by the
auto-watermark interval). Rows in order, or out of order within the watermark's delay, need no cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan.rex import Ref, Rex
from tableapi.runtime.planner.graph import WatermarkSpec
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK

MAX_CUTS = 64
"""Cuts of one batch at most: of what is very disordered, some late rows count as in time rather than every batch being tiny."""

Times = npt.NDArray[np.int64]


class EventTimes(NamedTuple):
    """Milliseconds of each row: its time (MAX_WATERMARK when NULL) and its watermark (MIN_WATERMARK when NULL)."""

    times: Times
    watermarks: Times


def event_times(spec: WatermarkSpec, session: SessionContext) -> Callable[[pl.DataFrame], EventTimes]:
    """The function that evaluates times and watermarks of a batch."""
    from tableapi.runtime.expressions import lower, select

    watermark = None if _is_column(spec.expression, spec.column) else lower(spec.expression, session).alias("watermark")

    def evaluate(frame: pl.DataFrame) -> EventTimes:
        times = frame[spec.column]
        watermarks = times if watermark is None else select(frame, [watermark])["watermark"]
        return EventTimes(_milliseconds(times, MAX_WATERMARK), _milliseconds(watermarks, MIN_WATERMARK))

    return evaluate


def _is_column(rex: Rex, name: str) -> bool:
    return isinstance(rex, Ref) and rex.name == name


def _milliseconds(times: pl.Series, absent: int) -> Times:
    if not times.null_count() and isinstance(times.dtype, pl.Datetime) and times.dtype.time_unit == "ms":
        return times.to_numpy().view(np.int64)
    return times.dt.epoch("ms").fill_null(absent).to_numpy()


def cuts(
    rows: EventTimes, reached_ms: int, shown_ms: int, ceiling_ms: int = MAX_WATERMARK, interval_ms: int = 200
) -> list[int]:
    """Where a batch is to be cut so that the watermark moves on before each row that is late.

    Args:
        rows: Times and watermarks of the batch.
        reached_ms: Highest watermark of the rows before the batch.
        shown_ms: The watermark that the operators have seen.
        ceiling_ms: The watermark can not be shown to be above this, for other splits' sake.
        interval_ms: A watermark that has grown by no more is not worth a cut (Flink: pipeline.auto-watermark-interval).

    Returns:
        Rising row numbers; 0 when what came before has to be shown first.

    >>> times = np.array([10_000, 20_000, 5_000, 30_000])
    >>> cuts(EventTimes(times, times), MIN_WATERMARK, MIN_WATERMARK)
    [2]
    """
    before = np.maximum.accumulate(np.concatenate(([reached_ms], rows.watermarks[:-1])))
    before = np.minimum(before, ceiling_ms)
    late = np.flatnonzero(rows.times < before)
    found: list[int] = []
    while len(late) and len(found) < MAX_CUTS:
        late = late[before[late] - interval_ms > max(shown_ms, MIN_WATERMARK + interval_ms)]
        if len(late):
            found.append(int(late[0]))
            shown_ms = int(before[late[0]])
    return found
