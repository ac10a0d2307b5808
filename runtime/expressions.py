"""Typed expressions to Polars: the one lowering that batch plans and streaming operators share.

`lower` builds a Polars expression whose dtype is exactly `rex.type.to_polars()`. May import plan.rex, plan.nodes, functions,
types and runtime.casts.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.functions.registry import (
    AggregateFunction,
    LoweringCall,
    ScalarFunction,
    SessionContext,
    lookup,
)
from tableapi.plan.nodes import NamedRex
from tableapi.plan.rex import AggCall, Call, Cast, Literal, Ref, Rex, UdfCall, walk
from tableapi.runtime.casts import cast, cast_can_fail
from tableapi.types import (
    ArrayType,
    BooleanType,
    DataType,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    RowType,
)

_NESTED = (ArrayType, MapType, MultisetType, RowType)

UdfEvaluator = Callable[[UdfCall, Sequence[pl.Expr]], pl.Expr]
"""Builds the expression of a Python function call from its lowered arguments."""


@dataclass(frozen=True)
class _Context:
    session: SessionContext
    udf: UdfEvaluator | None
    guard: pl.Expr | None = None

    def within(self, condition: pl.Expr) -> _Context:
        """The context of a branch that only rows with `condition` TRUE take."""
        taken = condition.fill_null(False)
        return replace(self, guard=taken if self.guard is None else self.guard & taken)


def lower(rex: Rex, session: SessionContext, udf: UdfEvaluator | None = None) -> pl.Expr:
    """The Polars expression of a typed expression.

    Args:
        rex: Its `Ref`s are columns of the frame that the result is evaluated on.
        session: Time zone and the like.
        udf: Evaluates Python functions; None when there can be none.

    Raises:
        UnsupportedError: A Python function call without `udf`, or an expression that planning should have removed.
    """
    return _lower(rex, _Context(session, udf))


def _lower(rex: Rex, context: _Context) -> pl.Expr:
    match rex:
        case Ref(name=name):
            return pl.col(name)
        case Literal(value=value):
            return literal(value, rex.type)
        case Cast(arg=arg, is_try=is_try, is_implicit=is_implicit):
            value, session = _lower(arg, context), context.session
            return cast(value, arg.type, rex.type, session, is_try=is_try, is_implicit=is_implicit, guard=context.guard)
        case Call():
            return _lower_call(rex, context)
        case UdfCall():
            if context.udf is None:
                raise UnsupportedError(
                    f"the Python function {rex.function.name} cannot be called here",
                    where=rex.where,
                    fix="compute it in a SELECT first",
                )
            return context.udf(rex, [_lower(a, context) for a in rex.args])
    raise UnsupportedError(
        f"{rex} cannot be evaluated row by row", where=rex.where, fix="use it in a WHERE or SELECT of a query"
    )


def _lower_call(rex: Call, context: _Context) -> pl.Expr:
    function = lookup(rex.function)
    if not isinstance(function, ScalarFunction):
        raise UnsupportedError(
            f"{rex.function} is not a function of one row", where=rex.where, fix="use it in an aggregation or an OVER window"
        )
    branches = _BRANCHES.get(rex.function)
    if branches is not None and any(can_fail(a) for a in rex.args):
        args = branches(rex.args, context)
    else:
        args = [_lower(a, context) for a in rex.args]
    call = LoweringCall(rex.args, rex.type, context.session, context.guard)
    return exact(function.lower(args, call), rex.type)


def exact(value: pl.Expr, data_type: DataType) -> pl.Expr:
    """`value` with the dtype of `data_type` (a conversion within one kind of value; costs nothing when it has it already)."""
    return value if isinstance(data_type, BooleanType) else value.cast(data_type.to_polars())


def can_fail(rex: Rex) -> bool:
    """Whether evaluating the expression may raise for some values: its branches must then see only the rows that take them."""
    for part in walk(rex):
        if isinstance(part, Cast) and not part.is_try and cast_can_fail(part.arg.type, part.type):
            return True
        if isinstance(part, Call):
            function = lookup(part.function)
            if isinstance(function, ScalarFunction) and function.can_fail:
                return True
    return False


def _case_branches(args: Sequence[Rex], context: _Context) -> list[pl.Expr]:
    lowered, rest = [], context
    for index in range(0, len(args) - 1, 2):
        condition = _lower(args[index], rest)
        lowered += [condition, _lower(args[index + 1], rest.within(condition))]
        rest = rest.within(~condition.fill_null(False))
    return [*lowered, _lower(args[-1], rest)]


def _if_branches(args: Sequence[Rex], context: _Context) -> list[pl.Expr]:
    return _case_branches(args, context)


def _coalesce_branches(args: Sequence[Rex], context: _Context) -> list[pl.Expr]:
    lowered, rest = [], context
    for arg in args:
        value = _lower(arg, rest)
        lowered.append(value)
        rest = rest.within(value.is_null())
    return lowered


def _until(is_decided: Callable[[pl.Expr], pl.Expr]) -> Callable[[Sequence[Rex], _Context], list[pl.Expr]]:
    def branches(args: Sequence[Rex], context: _Context) -> list[pl.Expr]:
        lowered, rest = [], context
        for arg in args:
            value = _lower(arg, rest)
            lowered.append(value)
            rest = rest.within(~is_decided(value))
        return lowered

    return branches


_BRANCHES: dict[str, Callable[[Sequence[Rex], _Context], list[pl.Expr]]] = {
    "CASE": _case_branches,
    "IF": _if_branches,
    "COALESCE": _coalesce_branches,
    "IFNULL": _coalesce_branches,
    "AND": _until(lambda x: (~x).fill_null(False)),
    "OR": _until(lambda x: x.fill_null(False)),
}


def literal(value: Any, data_type: DataType) -> pl.Expr:
    """A constant in the Polars type of `data_type`."""
    dtype = data_type.to_polars()
    if value is None:
        return pl.lit(None, dtype=dtype)
    if isinstance(data_type, ArrayType | MapType | MultisetType | RowType):
        return pl.lit(_nested(value, data_type), dtype=dtype)
    if isinstance(data_type, LocalZonedTimestampType):
        return pl.lit(value, dtype=pl.Datetime("us", "UTC")).cast(dtype)
    return pl.lit(value, dtype=dtype)


def _nested(value: Any, data_type: DataType) -> Any:
    match data_type:
        case MapType(value_type=v) if isinstance(value, dict):
            return [{"key": k, "value": _nested(x, v)} for k, x in value.items()]
        case MultisetType() if isinstance(value, dict):
            return [{"key": k, "value": n} for k, n in value.items()]
        case ArrayType(element_type=e) if value is not None:
            return [_nested(x, e) for x in value]
        case RowType(fields=fields) if value is not None:
            parts = value.values() if isinstance(value, dict) else value
            return {f.name: _nested(x, f.data_type) for f, x in zip(fields, parts, strict=True)}
    return value


def evaluate(
    frame: pl.DataFrame, columns: Iterable[NamedRex], session: SessionContext, udf: UdfEvaluator | None = None
) -> pl.DataFrame:
    """Computes columns row by row: as many rows as `frame`, also when every column is a constant."""
    named = list(columns)
    if not named:
        return pl.DataFrame(height=frame.height)
    expressions = [lower(c.rex, session, udf).alias(c.name) for c in named]
    return select(frame, expressions)


def select(frame: pl.DataFrame, expressions: Sequence[pl.Expr]) -> pl.DataFrame:
    """`frame.select` that keeps the number of rows when no expression reads a column.

    Polars makes one row of constants, or one for each chunk of the frame.
    """
    result = frame.select(expressions)
    if result.height == frame.height:
        return result
    assert result.height in (1, frame.n_chunks()), f"{result.height} rows from {frame.height}"
    return result.clear() if frame.height == 0 else result[[0] * frame.height]


def predicate(frame: pl.DataFrame, condition: Rex, session: SessionContext, udf: UdfEvaluator | None = None) -> pl.Series:
    """A Boolean mask of the rows where `condition` is TRUE (NULL counts as FALSE)."""
    return select(frame, [lower(condition, session, udf).fill_null(False).alias("mask")])["mask"]


def aggregate_of(name: str) -> AggregateFunction:
    """The built-in aggregate of that name.

    Raises:
        UnsupportedError: The name is no aggregate.
    """
    function = lookup(name)
    if not isinstance(function, AggregateFunction):
        raise UnsupportedError(f"{name} is not an aggregate function", fix="use it outside the aggregation")
    return function


def lower_aggregate(agg: AggCall, session: SessionContext) -> pl.Expr:
    """The aggregating Polars expression of a built-in aggregate call, for `group_by().agg()` or `select()`.

    FILTER, DISTINCT and the order of the call are applied here.
    """
    function = aggregate_of(agg.function)
    args = [lower(a, session) for a in agg.args]
    call = LoweringCall(agg.args, agg.type, session)
    if not args:
        result = pl.col(agg.filter).fill_null(False).sum() if agg.filter else function.lower([], call)
        return exact(result, agg.type)
    if agg.distinct and function.lower_distinct is not None and len(args) == 1 and not isinstance(agg.args[0].type, _NESTED):
        return exact(function.lower_distinct(prepared_arguments(replace(agg, distinct=False), args), call), agg.type)
    args = prepared_arguments(agg, args)
    return exact(function.lower(args, call), agg.type)


def prepared_arguments(agg: AggCall, args: list[pl.Expr]) -> list[pl.Expr]:
    """The lowered arguments of an aggregate call over a group: sorted, filtered and without duplicates as the call says."""
    varying = [i for i, a in enumerate(agg.args) if i == 0 or not isinstance(a, Literal)]
    if not any(isinstance(part, Ref) for part in walk(agg.args[0])):
        # A value for every row of the group, where Polars has one for the group.
        args[0] = pl.when(pl.int_range(pl.len()) >= 0).then(args[0])
    if agg.order_by:
        by = [pl.col(k.column) for k in agg.order_by]
        descending = [not k.ascending for k in agg.order_by]
        nulls_last = [not k.nulls_first for k in agg.order_by]
        for i in varying:
            args[i] = args[i].sort_by(by, descending=descending, nulls_last=nulls_last, maintain_order=True)
    if agg.filter:
        mask = pl.col(agg.filter).fill_null(False)
        if agg.order_by:
            mask = mask.sort_by(by, descending=descending, nulls_last=nulls_last, maintain_order=True)
        for i in varying:
            args[i] = args[i].filter(mask)
    if agg.distinct and len(varying) == 1:
        args[varying[0]] = args[varying[0]].unique(maintain_order=True)
    elif agg.distinct and varying:
        rows = pl.struct([args[i].alias(str(i)) for i in varying]).unique(maintain_order=True)
        for i in varying:
            args[i] = rows.struct.field(str(i))
    return args


def finish_aggregate(agg: AggCall, accumulators: Sequence[pl.Expr], session: SessionContext) -> pl.Expr:
    """The result column of an aggregate from the columns of its accumulators' running values."""
    call = LoweringCall(agg.args, agg.type, session)
    return exact(aggregate_of(agg.function).finish(accumulators, call), agg.type)


def all_of(conditions: Sequence[Rex], session: SessionContext) -> pl.Expr:
    """The conjunction of several conditions."""
    return reduce(operator.and_, (lower(c, session) for c in conditions))
