"""Matches in rows that are all there: what batch runs, and the partitions of sorted rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan.match_node import Match
from tableapi.runtime.match.matcher import Matcher, Rows, Run
from tableapi.runtime.match.measures import match_rows
from tableapi.runtime.stream.batch import MAX_WATERMARK
from tableapi.runtime.stream.window_time import to_ms_or_min


def find_matches(frame: pl.DataFrame, node: Match, session: SessionContext) -> pl.DataFrame:
    """The matches of rows that are sorted by partition and order."""
    matcher = Matcher(node.pattern, node.defines, node.skip, node.within_ms, session)
    times = None if node.within_ms is None else to_ms_or_min(frame[node.order_by[0].column])
    rows = Rows(matcher, frame, times)
    found: list[Run] = []
    for low, high in partitions(frame, node.partition_by, rows.starts):
        matcher.search(rows, low, high, None, MAX_WATERMARK, found)
    positions = {e.variable: i for i, e in enumerate(node.pattern)}
    return match_rows(frame, found, node.partition_by, node.measures, positions, session)


def partitions(frame: pl.DataFrame, keys: Sequence[str], rows: Sequence[int]) -> list[tuple[int, int]]:
    """First row, and the row after the last, of each partition that holds one of the given (ascending) rows."""
    if not rows:
        return []
    if not keys:
        return [(0, frame.height)]
    runs = frame.select(pl.struct(keys).rle_id()).to_series().to_numpy()
    first: npt.NDArray[np.int64] = np.append(np.flatnonzero(np.diff(runs, prepend=-1)), frame.height)
    held = np.unique(np.searchsorted(first, np.asarray(rows), side="right") - 1)
    return [(int(first[i]), int(first[i + 1])) for i in held]
