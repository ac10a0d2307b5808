"""CASE, IF, COALESCE, NULLIF and tests of a text's characters. Only the branch that a row takes is evaluated for it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tableapi.errors import TypeMismatchError
from tableapi.functions.equality import equal, equal_rex
from tableapi.functions.registry import LoweringCall, Resolved, ScalarFunction, Signature
from tableapi.functions.signatures import Param, _check_count, compared, merge, signature
from tableapi.plan.rex import Rex
from tableapi.plan.typing import branch_type, common_type, merged_type
from tableapi.types import (
    AnyTimestampType,
    ArrayType,
    BinaryStringType,
    BitmapType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    FractionalType,
    IntegralType,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    NullType,
    RowType,
    TimestampType,
    TimeType,
    VariantType,
)


def _case_signature(args: Sequence[Rex]) -> Resolved:
    """CASE(condition, value, ..., else)."""
    if len(args) < 3 or len(args) % 2 == 0:
        raise TypeMismatchError("CASE needs pairs of a condition and a value, and an ELSE value")
    conditions, values = args[0:-1:2], [*args[1:-1:2], args[-1]]
    for condition in conditions:
        if not isinstance(condition.type, BooleanType | NullType):
            raise TypeMismatchError(f"a condition is {condition.type}, not BOOLEAN", where=condition.where)
    merged = merge([v.type for v in values], branch_type)
    types: list[DataType] = []
    for _ in conditions:
        types += [BooleanType(), merged]
    return Resolved((*types, merged), merged)


def _case(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    chain = pl.when(args[0]).then(args[1])
    for index in range(2, len(args) - 1, 2):
        chain = chain.when(args[index]).then(args[index + 1])  # type: ignore[assignment]
    return chain.otherwise(args[-1])


def _if_signature(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 3, 3)
    if not isinstance(args[0].type, BooleanType | NullType):
        raise TypeMismatchError(f"the condition is {args[0].type}, not BOOLEAN", where=args[0].where)
    merged = merge([a.type for a in args[1:]], branch_type)
    nullable = any(a.type.is_nullable for a in args)
    return Resolved((BooleanType(), merged, merged), merged.with_nullability(nullable))


def _if(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return pl.when(args[0]).then(args[1]).otherwise(args[2])


def _first_not_null(least: int, most: int | None) -> Signature:
    def resolve(args: Sequence[Rex]) -> Resolved:
        _check_count(len(args), least, most)
        merged = merge([a.type for a in args], merged_type)
        return Resolved((merged,) * len(args), merged.with_nullability(all(a.type.is_nullable for a in args)))

    return resolve


def _ifnull_signature(args: Sequence[Rex]) -> Resolved:
    """A first argument that is never NULL is the result, in its own type."""
    checked = _first_not_null(2, 2)(args)
    if args[0].type.is_nullable:
        return checked
    return Resolved((args[0].type, args[1].type), args[0].type)


def _ifnull(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return pl.coalesce(*args) if call.args[0].type.is_nullable else args[0]


def _coalesce(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return pl.coalesce(*args) if len(args) > 1 else args[0]


def _nullif_signature(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 2, 2)
    left, right = args[0].type, args[1].type
    compared(left, right, False)
    if isinstance(left, AnyTimestampType) and isinstance(right, AnyTimestampType):
        kind = TimestampType if isinstance(left, TimestampType) else LocalZonedTimestampType
        right = kind(right.precision)
    elif isinstance(left, DateType | TimeType | AnyTimestampType):
        right = left
    return Resolved((left, right.nullable()), left.nullable())


def _nullif(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    left, right = call.args
    compared_as = common_type([left.type, right.type])
    if isinstance(compared_as, FractionalType):
        dtype = compared_as.to_polars()
        same = equal(args[0].cast(dtype), args[1].cast(dtype), compared_as)
    else:
        same = equal_rex(args[0], args[1], left, right)
    return pl.when(same.fill_null(False)).then(None).otherwise(args[0])


_NO_TEXT = (BooleanType, BinaryStringType, DateType, TimeType, AnyTimestampType)
_TESTED = Param("a character string, number or collection", lambda t: not isinstance(t, _NO_TEXT), lambda t: t)
_TEXT_TEST = signature(_TESTED, result=BooleanType(), is_nullable=False)

FUNCTIONS: tuple[ScalarFunction, ...] = (
    ScalarFunction(
        "CASE",
        _case_signature,
        _case,
        "The value of the first condition that is TRUE, else the ELSE value (NULL when it is left out).",
        examples=(("CASE WHEN 1 < 2 THEN 'a' ELSE 'b' END", "a"),),
        category="conditional",
    ),
    ScalarFunction(
        "IF",
        _if_signature,
        _if,
        "The second argument when the first is TRUE, else the third.",
        api_name="then",
        examples=(("IF(1 < 2, 10, 20)", "10"),),
        category="conditional",
    ),
    ScalarFunction(
        "COALESCE",
        _first_not_null(1, None),
        _coalesce,
        "The first argument that is not NULL.",
        api_name="coalesce",
        examples=(("COALESCE(CAST(NULL AS INT), 5)", "5"),),
        category="conditional",
    ),
    ScalarFunction(
        "IFNULL",
        _ifnull_signature,
        _ifnull,
        "The first argument, or the second when it is NULL.",
        api_name="if_null",
        examples=(("IFNULL(CAST(NULL AS INT), 5)", "5"),),
        category="conditional",
    ),
    ScalarFunction(
        "NULLIF",
        _nullif_signature,
        _nullif,
        "NULL when the two arguments are equal, else the first.",
        examples=(("NULLIF(5, 5)", "NULL"), ("NULLIF(5, 0)", "5")),
        category="conditional",
    ),
    ScalarFunction(
        "IS_ALPHA",
        _TEXT_TEST,
        lambda args, call: _text_test(args[0], call, r"^\p{L}+$", ()),
        "Whether the text has letters only; FALSE for '' and NULL.",
        examples=(("IS_ALPHA('ab1')", "FALSE"),),
        category="conditional",
    ),
    ScalarFunction(
        "IS_DECIMAL",
        _TEXT_TEST,
        lambda args, call: _text_test(args[0], call, _DECIMAL_PATTERN, (IntegralType, FractionalType)),
        "Whether the text is a number; TRUE for integers, FLOAT and DOUBLE.",
        examples=(("IS_DECIMAL('1e5')", "TRUE"),),
        category="conditional",
    ),
    ScalarFunction(
        "IS_DIGIT",
        _TEXT_TEST,
        lambda args, call: _text_test(args[0], call, r"^\p{Nd}+$", (IntegralType,)),
        "Whether the text has digits only; FALSE for '' and NULL. TRUE for integers.",
        examples=(("IS_DIGIT('123')", "TRUE"),),
        category="conditional",
    ),
)


_DECIMAL_PATTERN = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[dDfF]?\s*$|^\s*[+-]?(NaN|Infinity)\s*$"


def _text_test(value: pl.Expr, call: LoweringCall, pattern: str, always: tuple[type[DataType], ...]) -> pl.Expr:
    if isinstance(call.args[0].type, always):
        return pl.lit(True)
    if isinstance(call.args[0].type, (DecimalType, ArrayType, MapType, MultisetType, RowType, VariantType, BitmapType)):
        return pl.lit(False)
    return value.cast(pl.String).str.contains(pattern).fill_null(False)
