"""Rows that come too late: counted, and the newest of them kept as a side table.

Imports Polars and NumPy only.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import polars as pl

from tableapi.runtime.state.columns import Ids
from tableapi.runtime.stream.batch import MIN_WATERMARK

KEPT_ROWS = 10_000
"""Late rows that an operator keeps for people to look at; older ones are only counted."""

LATE_BY = "late_by_ms"
"""The side table's first column: how far behind the watermark a row's time was when it came, in milliseconds."""


class LateRows:
    """The late rows of one operator on one worker.

    Args:
        metrics: Where `late_rows` and `late_max_ms` are counted.
    """

    def __init__(self, metrics: dict[str, int]) -> None:
        self._metrics = metrics
        self._kept: dict[int, deque[pl.DataFrame]] = {}

    def add(self, rows: pl.DataFrame, late_by_ms: Ids, input: int = 0) -> None:
        """Notes rows that are left out."""
        metrics = self._metrics
        metrics["late_rows"] = metrics.get("late_rows", 0) + rows.height
        metrics["late_max_ms"] = max(metrics.get("late_max_ms", 0), int(late_by_ms.max()))
        name = LATE_BY
        while name in rows.columns:
            name = f"${name}"
        newest = pl.DataFrame([pl.Series(name, late_by_ms), *rows.get_columns()]).tail(KEPT_ROWS)
        kept = self._kept.setdefault(input, deque())
        kept.append(newest)
        while sum(f.height for f in kept) - kept[0].height >= KEPT_ROWS:
            kept.popleft()

    def tables(self) -> dict[str, pl.DataFrame]:
        """The newest late rows by input: `left` (also of operators with one input) and `right`."""
        return {("left", "right")[i]: pl.concat(frames).tail(KEPT_ROWS) for i, frames in self._kept.items()}


def behind(watermark_ms: int, times: Ids) -> Ids:
    """How far times are behind the watermark. A row without a time is 0 behind."""
    return watermark_ms - np.where(times == MIN_WATERMARK, watermark_ms, times)
