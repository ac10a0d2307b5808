"""Functions that Polars has no expression for: Python code, called once per distinct combination of arguments in a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl


def by_row(
    args: Sequence[pl.Expr], compute: Callable[..., Any], dtype: pl.DataType, *, null_in_null_out: bool = True
) -> pl.Expr:
    """`compute(*values)` for each row.

    Args:
        args: The arguments. At least one.
        compute: Gives the value, or None for NULL.
        dtype: Polars type of the result.
        null_in_null_out: Whether a NULL argument gives NULL without a call.
    """

    def one(values: pl.Series) -> pl.Series:
        distinct = values.unique()
        known = {v: None if v is None and null_in_null_out else compute(v) for v in distinct.to_list()}
        return pl.Series(values.name, [known[v] for v in values.to_list()], dtype=dtype)

    def several(rows: pl.Series) -> pl.Series:
        known: dict[tuple[Any, ...], Any] = {}
        columns = [rows.struct.field(f).to_list() for f in rows.struct.fields]
        made = []
        for values in zip(*columns, strict=True):
            if values not in known:
                is_null = null_in_null_out and any(v is None for v in values)
                known[values] = None if is_null else compute(*values)
            made.append(known[values])
        return pl.Series(rows.name, made, dtype=dtype)

    if len(args) == 1:
        return args[0].map_batches(one, return_dtype=dtype, is_elementwise=True)
    packed = pl.struct([a.alias(str(i)) for i, a in enumerate(args)])
    return packed.map_batches(several, return_dtype=dtype, is_elementwise=True)


def each(args: Sequence[pl.Expr], compute: Callable[..., Any], dtype: pl.DataType) -> pl.Expr:
    """Like `by_row` for arguments that cannot be remembered (lists, rows): called for every row, with Python values."""

    def run(rows: pl.Series) -> pl.Series:
        columns = [rows.struct.field(f).to_list() for f in rows.struct.fields]
        made = [None if any(v is None for v in values) else compute(*values) for values in zip(*columns, strict=True)]
        return pl.Series(rows.name, made, dtype=dtype)

    packed = pl.struct([a.alias(str(i)) for i, a in enumerate(args)])
    return packed.map_batches(run, return_dtype=dtype, is_elementwise=True)
