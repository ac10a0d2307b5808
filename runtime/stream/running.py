"""Running values row by row: what an accumulator holds after each row of a batch that is sorted by slot and order.

Imports Polars and the registry's declarations.
"""

from __future__ import annotations

import polars as pl

from tableapi.functions.registry import AccumulatorKind

CUMULATIVE = frozenset(
    {
        AccumulatorKind.COUNT,
        AccumulatorKind.SUM,
        AccumulatorKind.MIN,
        AccumulatorKind.MAX,
        AccumulatorKind.FIRST,
        AccumulatorKind.LAST,
    }
)


def cumulative(kind: AccumulatorKind, rows: pl.DataFrame, dtype: pl.DataType) -> pl.Series:
    """The running value after each row.

    Args:
        rows: `slot`; `base`: the slot's running value before these rows; `value`: the row's input, NULL where it does not
        count (for a
            count: anything that is not NULL counts).
        dtype: Type of the running value.
    """
    base, value = pl.col("base"), pl.col("value")
    match kind:
        case AccumulatorKind.COUNT:
            result = base + value.is_not_null().cast(dtype).cum_sum().over("slot")
        case AccumulatorKind.SUM:
            result = base + value.fill_null(0).cum_sum().over("slot")
        case AccumulatorKind.MIN:
            result = pl.min_horizontal(base, value.cum_min().forward_fill().over("slot"))
        case AccumulatorKind.MAX:
            result = pl.max_horizontal(base, value.cum_max().forward_fill().over("slot"))
        case AccumulatorKind.FIRST:
            has_come = value.is_not_null().cum_sum().over("slot") > 0
            result = pl.coalesce(base, pl.when(has_come).then(value.drop_nulls().first().over("slot")))
        case AccumulatorKind.LAST:
            result = pl.coalesce(value.forward_fill().over("slot"), base)
        case AccumulatorKind.VALUES:
            raise AssertionError("lists of values do not run")
    return rows.select(result.cast(dtype).alias("running")).to_series()
