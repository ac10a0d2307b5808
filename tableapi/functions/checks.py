"""Checks that fail a running query on a bad value: the few places where Flink raises instead of giving NULL."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from tableapi.errors import ExecutionError


def fail_where(
    value: pl.Expr, dtype: pl.DataType, is_bad: Callable[[pl.Series], pl.Series], message: str, fix: str | None = None
) -> pl.Expr:
    """`value` (of type `dtype`) unchanged; raises ExecutionError when `is_bad` is TRUE for one of its rows."""

    def check(series: pl.Series) -> pl.Series:
        bad = is_bad(series)
        if bad.any():
            shown = series.filter(bad)[0]
            raise ExecutionError(message.format(value=shown), fix=fix)
        return series

    return value.map_batches(check, return_dtype=dtype, is_elementwise=True)
