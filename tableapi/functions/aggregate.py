"""Functions of a group of rows: their types, their batch form, and the running values from which a stream engine computes them.

May import types, plan.typing and the sibling helpers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from tableapi.errors import TypeMismatchError
from tableapi.functions import decimals
from tableapi.functions.checks import fail_where
from tableapi.functions.registry import Accumulator, AccumulatorKind, AggregateFunction, LoweringCall, Resolved
from tableapi.functions.signatures import ANY, AS_DOUBLE, NUMBER, TEXT, Param, _check_count, overload, signature
from tableapi.plan.rex import Rex
from tableapi.types import (
    ArrayType,
    BigIntType,
    DataType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FractionalType,
    IntegralType,
    IntType,
    MapType,
    MultisetType,
    NullType,
    NumericType,
    RowField,
    RowType,
    VarCharType,
    YearMonthIntervalType,
)

LONG = BigIntType(is_nullable=False)
COUNT_ALL = Accumulator(AccumulatorKind.COUNT, LONG)


def _argument(args: Sequence[pl.Expr]) -> pl.Expr:
    return args[0]


def _count(args: Sequence[pl.Expr]) -> pl.Expr:
    return args[0].count().cast(pl.Int64)


def _some(value: pl.Expr, result: pl.Expr) -> pl.Expr:
    """`result` when the group has a value that is not NULL, else NULL."""
    return pl.when(value.count() > 0).then(result)


def _count_lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _count(args) if args else pl.len().cast(pl.Int64)


def _count_distinct(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return args[0].drop_nulls().n_unique().cast(pl.Int64)


def _count_accumulators(types: Sequence[DataType], result: DataType) -> tuple[Accumulator, ...]:
    return (Accumulator(AccumulatorKind.COUNT, LONG, _argument),) if types else (COUNT_ALL,)


def _take_first(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return columns[0]


_SUMMABLE = Param(
    "a number", lambda t: isinstance(t, NumericType | NullType | DayTimeIntervalType | YearMonthIntervalType), lambda t: t
)


def _sum_type(types: Sequence[DataType]) -> DataType:
    value = types[0]
    if isinstance(value, NullType):
        return IntType()
    return DecimalType(38, value.scale) if isinstance(value, DecimalType) else value


def _sum_state(value: DataType) -> DataType:
    """The type in which a sum is kept: integers in BIGINT (both wrap alike), decimals with 38 digits."""
    if isinstance(value, IntegralType | NullType):
        return LONG
    return _sum_type([value]).not_null()


def _sum_accumulators(types: Sequence[DataType], result: DataType) -> tuple[Accumulator, ...]:
    return (
        Accumulator(AccumulatorKind.SUM, _sum_state(types[0]), _argument),
        Accumulator(AccumulatorKind.COUNT, LONG, _argument),
    )


def _narrow(value: pl.Expr, data_type: DataType) -> pl.Expr:
    return value.cast(data_type.to_polars(), wrap_numerical=True) if isinstance(data_type, IntegralType) else value


def _widened(value: pl.Expr, data_type: DataType) -> pl.Expr:
    return value.cast(_sum_state(data_type).to_polars())


def _sum_lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _some(args[0], _narrow(_widened(args[0], call.args[0].type).sum(), call.type))


def _sum_finish(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return pl.when(columns[1] > 0).then(_narrow(columns[0], call.type))


def _sum0_lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _narrow(_widened(args[0], call.args[0].type).sum(), call.type)


def _sum0_finish(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _narrow(columns[0], call.type)


def average_type(value: DataType) -> DataType:
    """Type of AVG: the argument's own, decimals with 38 digits and a scale of at least 6."""
    if isinstance(value, DecimalType):
        return DecimalType(38, max(6, value.scale))
    return IntType() if isinstance(value, NullType) else value


def _average_types(types: Sequence[DataType]) -> DataType:
    return average_type(types[0])


def _average_accumulators(types: Sequence[DataType], result: DataType) -> tuple[Accumulator, ...]:
    if not isinstance(types[0], FractionalType):
        return _sum_accumulators(types, result)
    return (
        Accumulator(AccumulatorKind.SUM, DoubleType(is_nullable=False), lambda args: args[0].cast(pl.Float64)),
        Accumulator(AccumulatorKind.COUNT, LONG, _argument),
    )


def _mean(total: pl.Expr, count: pl.Expr, call: LoweringCall) -> pl.Expr:
    """Sum by count in the type of AVG; NULL when the count is 0."""
    if isinstance(call.type, FractionalType):
        return pl.when(count > 0).then(total / count)
    if isinstance(call.type, DecimalType):
        source = call.args[0].type
        assert isinstance(source, DecimalType)
        digits = call.type.scale - source.scale
        dividend = decimals.rescale(decimals.unscaled(total), digits)
        quotient = decimals.divide_half_up(dividend, count.cast(decimals.INT128))
        return decimals.from_unscaled(quotient, call.type)
    return _narrow(total.truncdiv(count), call.type)


def _average_lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    source = call.args[0].type
    value = args[0].cast(pl.Float64) if isinstance(source, FractionalType) else _widened(args[0], source)
    return _mean(value.sum(), _count(args), call)


def _average_finish(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _mean(columns[0], columns[1], call)


_COMPARABLE = Param(
    "a value that can be ordered", lambda t: not isinstance(t, ArrayType | MapType | MultisetType | RowType), lambda t: t
)


def _extreme(kind: AccumulatorKind, lower: Callable[[pl.Expr], pl.Expr], name: str, doc: str) -> AggregateFunction:
    return AggregateFunction(
        name,
        signature(_COMPARABLE, result=lambda types: types[0], is_nullable=True),
        lambda args, call: lower(args[0]),
        lambda types, result: (Accumulator(kind, result, _argument),),
        _take_first,
        doc,
        api_name=name.lower(),
    )


def _moments(types: Sequence[DataType], result: DataType) -> tuple[Accumulator, ...]:
    double = DoubleType(is_nullable=False)

    def as_double(args: Sequence[pl.Expr]) -> pl.Expr:
        return args[0].cast(pl.Float64)

    return (
        Accumulator(AccumulatorKind.SUM, double, as_double),
        Accumulator(AccumulatorKind.SUM, double, lambda args: as_double(args) ** 2),
        Accumulator(AccumulatorKind.COUNT, LONG, _argument),
    )


def _spread(is_sample: bool, is_deviation: bool, name: str, aliases: tuple[str, ...], doc: str) -> AggregateFunction:
    """STDDEV_* and VAR_*: computed in DOUBLE, returned in the argument's type (Flink)."""
    least = 1 if is_sample else 0

    def shown(value: pl.Expr, call: LoweringCall) -> pl.Expr:
        if isinstance(call.type, IntegralType):
            return value.truncate().cast(call.type.to_polars(), strict=False)
        return value.cast(call.type.to_polars(), strict=False)

    def lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        value = args[0].cast(pl.Float64)
        spread = value.std(ddof=least) if is_deviation else value.var(ddof=least)
        return pl.when(value.count() > least).then(shown(spread, call))

    def finish(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        total, squares, count = columns
        variance = pl.max_horizontal((squares - total * total / count) / (count - least), pl.lit(0.0))
        return pl.when(count > least).then(shown(variance.sqrt() if is_deviation else variance, call))

    return AggregateFunction(
        name,
        signature(NUMBER, result=_average_types, is_nullable=True),
        lower,
        _moments,
        finish,
        doc,
        sql_names=aliases,
        api_name=name.lower(),
    )


def _values(types: Sequence[DataType], result: DataType) -> tuple[Accumulator, ...]:
    return (Accumulator(AccumulatorKind.VALUES, ArrayType(types[0].nullable(), is_nullable=False), _argument),)


def _separator(call: LoweringCall) -> str:
    return str(call.constant(1, ","))


def _list_agg_lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _some(args[0], args[0].drop_nulls().str.join(_separator(call)))


def _list_agg_finish(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    kept = columns[0].list.drop_nulls()
    return pl.when(kept.list.len() > 0).then(kept.list.join(_separator(call)))


def _bag(values: pl.Expr, element: DataType) -> pl.Expr:
    """Distinct values of an expression with how often each occurs, as entries of a MULTISET."""
    if isinstance(element, ArrayType | MapType | RowType | MultisetType):
        counted = values.drop_nulls().value_counts(sort=True, name="n")
        return pl.struct(counted.struct[0].alias("key"), counted.struct[1].cast(pl.Int32).alias("value"))
    runs = values.drop_nulls().sort().rle()
    return pl.struct(runs.struct.field("value").alias("key"), runs.struct.field("len").cast(pl.Int32).alias("value"))


def _collect_lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _bag(args[0], call.args[0].type).implode()


def _collect_finish(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return columns[0].list.eval(_bag(pl.element(), call.args[0].type))


def _array_agg_lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return pl.when(args[0].len() > 0).then(args[0].implode())


def _array_agg_finish(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return pl.when(columns[0].list.len() > 0).then(columns[0])


_PERCENTAGES = Param(
    "a number from 0 to 1, or an ARRAY of them",
    lambda t: isinstance(t, NumericType) or (isinstance(t, ArrayType) and isinstance(t.element_type, NumericType)),
    lambda t: ArrayType(DoubleType()) if isinstance(t, ArrayType) else DoubleType(),
)


def _percentile_signature(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 2, 3)
    integers = Param("an integer", lambda t: isinstance(t, IntegralType), lambda t: BigIntType())
    checked = signature(AS_DOUBLE, _PERCENTAGES, integers, optional=1, result=DoubleType())(args)
    for share in _shares(args[1]):
        if not 0 <= share <= 1:
            raise TypeMismatchError(f"the percentage {share} is not between 0 and 1", where=args[1].where)
    is_list = isinstance(args[1].type, ArrayType)
    return Resolved(checked.arg_types, ArrayType(DoubleType()) if is_list else DoubleType())


def _shares(rex: Rex) -> list[float]:
    """The constant percentage, or the percentages of a constant ARRAY."""
    from tableapi.plan.rex import Call, Cast, Literal

    if isinstance(rex, Cast):
        return _shares(rex.arg)
    if isinstance(rex, Literal) and rex.value is not None:
        return [float(v) for v in rex.value] if isinstance(rex.value, list | tuple) else [float(rex.value)]
    if isinstance(rex, Call) and rex.function == "ARRAY":
        return [share for arg in rex.args for share in _shares(arg)]
    raise TypeMismatchError("the percentage must be a constant", where=rex.where)


def _weighted(value: pl.Expr, weight: pl.Expr) -> pl.Expr:
    counted = pl.when(weight > 0).then(weight).otherwise(0)
    return value.repeat_by(counted.fill_null(0)).explode()


def _quantiles(values: pl.Expr, call: LoweringCall) -> pl.Expr:
    shares = _shares(call.args[1])
    made = [values.quantile(share, "linear") for share in shares]
    if not isinstance(call.type, ArrayType):
        return made[0]
    return pl.when(values.count() > 0).then(pl.concat_list(made))


def _percentile_lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _quantiles(_weighted(args[0], args[2]) if len(args) == 3 else args[0], call)


def _percentile_accumulators(types: Sequence[DataType], result: DataType) -> tuple[Accumulator, ...]:
    if len(types) < 3:
        return (Accumulator(AccumulatorKind.VALUES, ArrayType(DoubleType(), is_nullable=False), _argument),)
    pair = RowType((RowField("x", DoubleType()), RowField("n", BigIntType())))

    def both(args: Sequence[pl.Expr]) -> pl.Expr:
        return pl.struct(args[0].cast(pl.Float64).alias("x"), args[2].cast(pl.Int64).alias("n"))

    return (Accumulator(AccumulatorKind.VALUES, ArrayType(pair, is_nullable=False), both),)


def _percentile_finish(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    element = pl.element()
    values = _weighted(element.struct.field("x"), element.struct.field("n")) if len(call.args) == 3 else element
    if isinstance(call.type, ArrayType):
        shares = _shares(call.args[1])
        made = [columns[0].list.eval(values.quantile(share, "linear")).list.first() for share in shares]
        return pl.when(made[0].is_not_null()).then(pl.concat_list(made))
    return columns[0].list.eval(_quantiles(values, call)).list.first()


def _distinct_lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return args[0].drop_nulls().n_unique().cast(pl.Int64)


def _distinct_finish(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return columns[0].list.drop_nulls().list.n_unique().cast(pl.Int64)


_TOO_MANY = "a scalar sub-query gave {value} rows"


def _checked_single(count: pl.Expr) -> pl.Expr:
    return fail_where(count.cast(pl.Int64), pl.Int64(), lambda s: s > 1, _TOO_MANY, fix="aggregate it, or LIMIT it to one row")


def _single_lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return pl.when(_checked_single(args[0].len()) == 1).then(args[0].first())


def _single_finish(columns: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return pl.when(_checked_single(columns[0].list.len()) == 1).then(columns[0].list.first())


def _element_rule(make: Callable[[DataType], DataType], is_nullable: bool) -> Callable[[Sequence[Rex]], Resolved]:
    return signature(ANY, result=lambda types: make(types[0]), is_nullable=is_nullable)


FUNCTIONS: tuple[AggregateFunction, ...] = (
    AggregateFunction(
        "COUNT",
        signature(ANY, optional=1, result=LONG, is_nullable=False),
        _count_lower,
        _count_accumulators,
        _take_first,
        "Number of rows, or of rows where the argument is not NULL.",
        api_name="count",
        lower_distinct=_count_distinct,
    ),
    AggregateFunction(
        "SUM",
        signature(_SUMMABLE, result=_sum_type, is_nullable=True),
        _sum_lower,
        _sum_accumulators,
        _sum_finish,
        "Sum of the values that are not NULL, in their own type (integers wrap); NULL when there are none.",
        api_name="sum",
    ),
    AggregateFunction(
        "SUM0",
        signature(_SUMMABLE, result=_sum_type, is_nullable=False),
        _sum0_lower,
        lambda types, result: _sum_accumulators(types, result)[:1],
        _sum0_finish,
        "Like SUM, but 0 when there are no values.",
        sql_names=("$SUM0",),
        api_name="sum0",
    ),
    AggregateFunction(
        "AVG",
        signature(NUMBER, result=_average_types, is_nullable=True),
        _average_lower,
        _average_accumulators,
        _average_finish,
        "Mean of the values that are not NULL. Integers give an integer, cut towards zero.",
        api_name="avg",
    ),
    _extreme(AccumulatorKind.MIN, lambda x: x.min(), "MIN", "Smallest value."),
    _extreme(AccumulatorKind.MAX, lambda x: x.max(), "MAX", "Largest value."),
    _spread(False, True, "STDDEV_POP", (), "Standard deviation of the population, in the argument's type."),
    _spread(
        True, True, "STDDEV_SAMP", ("STDDEV",), "Standard deviation of a sample, in the argument's type; NULL for one row."
    ),
    _spread(False, False, "VAR_POP", (), "Variance of the population, in the argument's type."),
    _spread(True, False, "VAR_SAMP", ("VARIANCE",), "Variance of a sample, in the argument's type; NULL for one row."),
    AggregateFunction(
        "FIRST_VALUE",
        _element_rule(lambda t: t, True),
        lambda args, call: args[0].drop_nulls().first(),
        lambda types, result: (Accumulator(AccumulatorKind.FIRST, result, _argument),),
        _take_first,
        "First value that is not NULL, in order of arrival.",
        api_name="first_value",
    ),
    AggregateFunction(
        "LAST_VALUE",
        _element_rule(lambda t: t, True),
        lambda args, call: args[0].drop_nulls().last(),
        lambda types, result: (Accumulator(AccumulatorKind.LAST, result, _argument),),
        _take_first,
        "Last value that is not NULL, in order of arrival.",
        api_name="last_value",
    ),
    AggregateFunction(
        "LISTAGG",
        overload(signature(TEXT, TEXT, optional=1, result=VarCharType(), is_nullable=True)),
        _list_agg_lower,
        _values,
        _list_agg_finish,
        "Texts joined by a separator (default ','), in order of arrival; NULLs are skipped.",
        api_name="list_agg",
    ),
    AggregateFunction(
        "COLLECT",
        _element_rule(MultisetType, False),
        _collect_lower,
        _values,
        _collect_finish,
        "The values that are not NULL as a MULTISET.",
        api_name="collect",
    ),
    AggregateFunction(
        "ARRAY_AGG",
        _element_rule(ArrayType, True),
        _array_agg_lower,
        _values,
        _array_agg_finish,
        "The values, NULLs too, as an ARRAY in order of arrival; NULL when there are no rows.",
        api_name="array_agg",
        ignores_nulls=False,
    ),
    AggregateFunction(
        "PERCENTILE",
        _percentile_signature,
        _percentile_lower,
        _percentile_accumulators,
        _percentile_finish,
        "Exact percentile(s) with linear interpolation; the third argument says how often a value counts.",
        api_name="percentile",
    ),
    AggregateFunction(
        "APPROX_COUNT_DISTINCT",
        signature(ANY, result=LONG, is_nullable=False),
        _distinct_lower,
        _values,
        _distinct_finish,
        "Number of different values that are not NULL (computed exactly).",
    ),
    AggregateFunction(
        "SINGLE_VALUE",
        _element_rule(lambda t: t, True),
        _single_lower,
        _values,
        _single_finish,
        "The value of the only row; fails when there are more (scalar sub-queries).",
        ignores_nulls=False,
    ),
)
