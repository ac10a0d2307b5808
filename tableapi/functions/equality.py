"""Equality and order of two lowered values, as Flink has them: NaN equals nothing, rows compare field by field."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce

import polars as pl

from tableapi.plan.rex import Literal, Rex
from tableapi.types import DataType, FractionalType, MapType, MultisetType, RowType


def equal(left: pl.Expr, right: pl.Expr, data_type: DataType) -> pl.Expr:
    """Three-valued `left = right` of two values of one type."""
    if isinstance(data_type, RowType) and data_type.fields:
        fields = [equal(left.struct.field(f.name), right.struct.field(f.name), f.data_type) for f in data_type.fields]
        both = pl.when(left.is_not_null() & right.is_not_null())
        return both.then(reduce(operator.and_, fields))
    if isinstance(data_type, FractionalType):
        # Without the NULL check, NULL AND FALSE would be FALSE.
        return pl.when(left.is_not_null() & right.is_not_null()).then((left == right) & left.is_not_nan())
    if isinstance(data_type, MapType | MultisetType):
        # A NULL value equals nothing (Flink).
        is_complete = ~left.list.eval(pl.element().struct.field("value").is_null()).list.any()
        both = pl.when(left.is_not_null() & right.is_not_null())
        return both.then((_sorted_entries(left) == _sorted_entries(right)) & is_complete)
    return left == right


def _sorted_entries(value: pl.Expr) -> pl.Expr:
    return value.list.eval(pl.element().sort_by(pl.element().struct.field("key")))


def equal_rex(left: pl.Expr, right: pl.Expr, left_rex: Rex, right_rex: Rex) -> pl.Expr:
    """Like `equal`; a constant operand spares the check for NaN."""
    if isinstance(left_rex.type, FractionalType) and (_is_number(left_rex) or _is_number(right_rex)):
        return left == right
    return equal(left, right, left_rex.type)


def _is_number(rex: Rex) -> bool:
    return isinstance(rex, Literal) and rex.value is not None and rex.value == rex.value


def ordered(
    left: pl.Expr,
    right: pl.Expr,
    data_type: DataType,
    compare: Callable[[pl.Expr, pl.Expr], pl.Expr],
    left_rex: Rex,
    right_rex: Rex,
) -> pl.Expr:
    """Three-valued `<`, `<=`, `>`, `>=`; FALSE when one of the numbers is NaN."""
    made = compare(left, right)
    if not isinstance(data_type, FractionalType):
        return made
    checked = [value.is_not_nan() for value, rex in ((left, left_rex), (right, right_rex)) if not _is_number(rex)]
    if len(checked) == 2:
        made = pl.when(left.is_not_null() & right.is_not_null()).then(made & checked[0] & checked[1])
    elif checked:
        made = made & checked[0]
    return made
