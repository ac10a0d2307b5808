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


def fail_unread(text: pl.Expr, result: pl.Expr, dtype: pl.DataType, message: str, fix: str | None = None) -> pl.Expr:
    """`result` (of type `dtype`) of reading `text`; raises ExecutionError when a text gave NULL."""

    def check(columns: pl.Series) -> pl.Series:
        made = columns.struct.field("result")
        bad = columns.struct.field("text").is_not_null() & made.is_null()
        if bad.any():
            raise ExecutionError(message.format(value=columns.struct.field("text").filter(bad)[0]), fix=fix)
        return made

    pair = pl.struct(text.alias("text"), result.alias("result"))
    return pair.map_batches(check, return_dtype=dtype, is_elementwise=True)
