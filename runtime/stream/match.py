"""Joins of two frames at once, for operators that join what a closed window or a time range holds.

Imports the plan, Polars, NumPy and the sibling join helpers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from tableapi.plan.nodes import JoinKind
from tableapi.runtime.state.columns import Ids
from tableapi.runtime.stream.emit import hstack
from tableapi.runtime.stream.join_rows import Mask, take_or_null

_ROW = "__row"


def pairs(left: pl.DataFrame, left_known: Mask, right: pl.DataFrame, right_known: Mask) -> tuple[Ids, Ids]:
    """Row numbers of the pairs with equal keys (all columns, same names; NULL equals NULL), in order of the left rows.

    `left_known`, `right_known`: rows that can have a partner at all. Frames without columns: every pair.
    """
    if not left.width:
        a, b = np.flatnonzero(left_known), np.flatnonzero(right_known)
        return np.repeat(a, len(b)), np.tile(b, len(a))
    names = left.columns
    numbered_left = left.with_row_index(_ROW).filter(pl.Series(left_known))
    numbered_right = right.with_row_index(f"{_ROW}_right").filter(pl.Series(right_known))
    joined = numbered_left.join(numbered_right, on=names, how="inner", nulls_equal=True, maintain_order="left_right")
    return joined[_ROW].to_numpy().astype(np.int64), joined[f"{_ROW}_right"].to_numpy().astype(np.int64)


def join_frames(
    left: pl.DataFrame,
    right: pl.DataFrame,
    matched: tuple[Ids, Ids],
    kind: JoinKind,
    condition: Callable[[pl.DataFrame], pl.Series] | None,
) -> pl.DataFrame:
    """The rows of a join, given the pairs with equal keys and what else must be TRUE."""
    a, b = matched
    if condition is not None and len(a):
        met = condition(hstack([left[a], right[b]])).to_numpy()
        a, b = a[met], b[met]
    if kind in (JoinKind.SEMI, JoinKind.ANTI):
        has = np.zeros(left.height, dtype=np.bool_)
        has[a] = True
        return left.filter(pl.Series(has if kind is JoinKind.SEMI else ~has))
    if kind in (JoinKind.LEFT, JoinKind.FULL):
        alone = np.flatnonzero(np.bincount(a, minlength=left.height) == 0)
        a, b = np.concatenate([a, alone]), np.concatenate([b, np.full(len(alone), -1)])
    if kind in (JoinKind.RIGHT, JoinKind.FULL):
        alone = np.flatnonzero(np.bincount(b[b >= 0], minlength=right.height) == 0)
        a, b = np.concatenate([a, np.full(len(alone), -1)]), np.concatenate([b, alone])
    return hstack([take_or_null(left, a), take_or_null(right, b)])
