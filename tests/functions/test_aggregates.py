"""Goal: an aggregate gives the same answer from Polars' aggregation and from the running values that the stream engine keeps."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tableapi.functions import registry
from tableapi.functions.registry import Accumulator, AccumulatorKind, AggregateFunction, SessionContext
from tableapi.plan.rex import AggCall, Literal, Ref, Rex
from tableapi.plan.typing import implicit_cast, literal_type
from tableapi.runtime.expressions import aggregate_of, finish_aggregate, lower, lower_aggregate
from tableapi.types import DataType, DataTypes

SESSION = SessionContext()
TYPES: dict[str, DataType] = {
    "g": DataTypes.INT(),
    "i": DataTypes.INT(),
    "b": DataTypes.BIGINT(),
    "d": DataTypes.DOUBLE(),
    "c": DataTypes.DECIMAL(10, 2),
    "s": DataTypes.STRING(),
    "n": DataTypes.INT(),
}
FRAME = pl.DataFrame(
    {
        "g": [1, 1, 1, 2, 2, 3],
        "i": [1, 2, 10, -7, None, None],
        "b": [2**62, 2**62, 2**62, -1, 5, None],
        "d": [0.5, 2.5, None, -1.0, 8.0, None],
        "c": [Decimal("1.10"), Decimal("2.25"), Decimal("2.25"), None, Decimal("-3.10"), None],
        "s": ["b", "a", "b", None, "x,y", None],
        "n": [1, 2, 0, 3, 1, 1],
    },
    schema={k: t.to_polars() for k, t in TYPES.items()},
)


def call(function: str, *args: Any) -> AggCall:
    rexes: list[Rex] = [Ref(TYPES[a], a) if a in TYPES else Literal(literal_type(a), a) for a in args]
    resolved = registry.lookup(function).signature(rexes)
    cast = tuple(
        implicit_cast(r, t) if isinstance(r, Literal) else Ref(r.type, r.name)  # type: ignore[attr-defined]
        for r, t in zip(rexes, resolved.arg_types, strict=True)
    )
    return AggCall(function, cast, resolved.result)


RUNNING: dict[AccumulatorKind, Callable[[pl.Expr], pl.Expr]] = {
    AccumulatorKind.COUNT: lambda x: x.count(),
    AccumulatorKind.SUM: lambda x: x.sum(),
    AccumulatorKind.MIN: lambda x: x.min(),
    AccumulatorKind.MAX: lambda x: x.max(),
    AccumulatorKind.FIRST: lambda x: x.drop_nulls().first(),
    AccumulatorKind.LAST: lambda x: x.drop_nulls().last(),
    AccumulatorKind.VALUES: lambda x: x.implode(),
}


def running(accumulator: Accumulator, args: list[pl.Expr]) -> pl.Expr:
    """The running value of a group, as any engine must have it at the end."""
    dtype = accumulator.type.to_polars()
    if accumulator.input is None:
        return pl.len().cast(dtype)
    return RUNNING[accumulator.kind](accumulator.input(args)).cast(dtype)


def from_accumulators(agg: AggCall) -> pl.DataFrame:
    function: AggregateFunction = aggregate_of(agg.function)
    args = [lower(a, SESSION) for a in agg.args]
    accumulators = function.accumulators([a.type for a in agg.args], agg.type)
    kept = [running(a, args).alias(f"a{i}") for i, a in enumerate(accumulators)]
    state = FRAME.group_by("g", maintain_order=True).agg(kept)
    columns = [pl.col(f"a{i}") for i in range(len(accumulators))]
    return state.select("g", finish_aggregate(agg, columns, SESSION).alias("r"))


CALLS = [
    call("COUNT"),
    call("COUNT", "i"),
    *(
        call(f, x)
        for f in ("SUM", "SUM0", "AVG", "MIN", "MAX", "STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP")
        for x in "ibdc"
    ),
    call("MIN", "s"),
    call("FIRST_VALUE", "s"),
    call("LAST_VALUE", "s"),
    call("LISTAGG", "s"),
    call("LISTAGG", "s", "|"),
    call("COLLECT", "s"),
    call("ARRAY_AGG", "i"),
    call("APPROX_COUNT_DISTINCT", "s"),
    call("PERCENTILE", "d", 0.25),
    call("PERCENTILE", "d", 0.25, "n"),
    call("JSON_ARRAYAGG", "ABSENT", "i"),
    call("JSON_OBJECTAGG", "NULL", "s", "i"),
    call("BITMAP_BUILD_AGG", "n"),
    call("BITMAP_BUILD_CARDINALITY_AGG", "n"),
]


@pytest.mark.parametrize("agg", CALLS, ids=str)
def test_batch_and_running_values_agree(agg: AggCall) -> None:
    batch = FRAME.group_by("g", maintain_order=True).agg(lower_aggregate(agg, SESSION).alias("r"))
    assert batch["r"].dtype == agg.type.to_polars()
    stream = from_accumulators(agg)
    assert stream["r"].dtype == agg.type.to_polars()
    if agg.type.to_polars() == pl.Float64:
        assert stream["r"].to_list() == pytest.approx(batch["r"].to_list(), nan_ok=True)
    else:
        assert stream["r"].to_list() == batch["r"].to_list()


def values(agg: AggCall) -> list[Any]:
    return FRAME.group_by("g", maintain_order=True).agg(lower_aggregate(agg, SESSION).alias("r"))["r"].to_list()


def test_integer_averages_are_cut_and_integer_sums_wrap() -> None:
    assert values(call("AVG", "i")) == [4, -7, None]
    assert values(call("SUM", "b")) == [3 * 2**62 - 2**64, 4, None]


def test_decimal_average_has_six_digits_at_least() -> None:
    assert values(call("AVG", "c")) == [Decimal("1.866667"), Decimal("-3.100000"), None]


def test_deviation_has_the_type_of_its_argument() -> None:
    assert values(call("STDDEV_SAMP", "i")) == [4, None, None]


def test_no_rows_give_null_but_counts_and_sum0_zero() -> None:
    empty = FRAME.clear()
    for function, expected in (("COUNT", 0), ("SUM0", 0), ("SUM", None), ("AVG", None), ("ARRAY_AGG", None), ("MAX", None)):
        assert empty.select(lower_aggregate(call(function, "i"), SESSION).alias("r"))["r"].to_list() == [expected]


def test_filter_distinct_and_order_are_applied_to_the_arguments() -> None:
    frame = FRAME.with_columns((pl.col("n") > 0).alias("keep"))
    distinct = AggCall("LISTAGG", (Ref(TYPES["s"], "s"),), DataTypes.STRING(), distinct=True, filter="keep")
    assert frame.select(lower_aggregate(distinct, SESSION).alias("r"))["r"].to_list() == ["b,a,x,y"]
    counted = AggCall("COUNT", (), DataTypes.BIGINT(False), filter="keep")
    assert frame.select(lower_aggregate(counted, SESSION).alias("r"))["r"].to_list() == [5]
