"""Statistics of columns from those of their parts (row groups, files). Imports tableapi.tablespec only."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from tableapi.tablespec import ColumnStatistics


def summary(bounds: Sequence[tuple[Any, Any]], nulls: float | None, rows: float) -> ColumnStatistics:
    """The statistics of a column from the bounds of its parts."""
    lows, highs = [low for low, _ in bounds if low is not None], [high for _, high in bounds if high is not None]
    share = None if nulls is None or not rows else nulls / rows
    if len(lows) < len(bounds) or len(highs) < len(bounds) or not bounds:
        return ColumnStatistics(null_share=share)
    low, high = min(lows), max(highs)
    return ColumnStatistics(_distinct(low, high), low, high, share)


def _distinct(low: Any, high: Any) -> float | None:
    """How many whole numbers or days lie between two."""
    if isinstance(low, bool):
        return 2.0
    if isinstance(low, int):
        return float(high - low + 1)
    if isinstance(low, datetime.date) and not isinstance(low, datetime.datetime):
        return float((high - low).days + 1)
    return None
