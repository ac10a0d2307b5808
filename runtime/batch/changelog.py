"""Folds a changelog to the table that it describes."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tableapi.row import RowKind
from tableapi.runtime.batch.context import KIND_COLUMN


def fold(frame: pl.DataFrame | pl.LazyFrame, kinds: pl.Series | None, key: Sequence[str] = ()) -> pl.LazyFrame:
    """The table after all changes.

    Args:
        frame: Changes in order. When `kinds` is None, a lazy or eager frame with a `KIND_COLUMN`, or inserts only.
        kinds: Int8 series of `RowKind` values.
        key: Columns that identify a row: the last change of a key decides. Without a key each -U and -D takes one
            equal row out.

    >>> rows = pl.DataFrame({"id": [1, 2, 1], "v": ["a", "b", "c"]})
    >>> fold(rows, pl.Series([0, 0, 2], dtype=pl.Int8), ["id"]).sort("id").collect().rows()
    [(1, 'c'), (2, 'b')]
    """
    lazy = frame.lazy()
    if kinds is not None:
        lazy = lazy.with_columns(kinds.alias(KIND_COLUMN))
    names = lazy.collect_schema().names()
    if KIND_COLUMN not in names:
        return lazy
    names.remove(KIND_COLUMN)
    kind = pl.col(KIND_COLUMN)
    adds = kind.is_in([int(RowKind.INSERT), int(RowKind.UPDATE_AFTER)])
    if key:
        last = lazy.filter(kind != RowKind.UPDATE_BEFORE).unique(key, keep="last", maintain_order=True)
        return last.filter(kind != RowKind.DELETE).drop(KIND_COLUMN)
    weight = pl.when(adds).then(1).otherwise(-1).cast(pl.Int64()).sum().alias(KIND_COLUMN)
    counted = lazy.group_by(names, maintain_order=True).agg(weight).filter(kind > 0)
    repeated = counted.with_columns(pl.int_ranges(0, kind).alias(KIND_COLUMN))
    return repeated.explode(KIND_COLUMN).select(names)
