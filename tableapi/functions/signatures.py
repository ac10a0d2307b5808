"""Combinators from which the typing rules of functions are put together.

A `Param` says which types an argument may have and which type it is cast to; `signature` turns parameters and a result rule
into a `registry.Signature`. May import types, plan.typing, plan.rex, errors, registry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tableapi.errors import TypeMismatchError
from tableapi.functions.registry import Resolved, Signature
from tableapi.plan.rex import Literal, Rex
from tableapi.plan.typing import common_type, comparable_type, merged_type
from tableapi.types import (
    AnyTimestampType,
    ArrayType,
    BigIntType,
    BinaryStringType,
    BooleanType,
    CharacterType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DoubleType,
    IntegralType,
    IntType,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    NullType,
    NumericType,
    RowType,
    TimestampType,
    TimeType,
    VarBinaryType,
    VarCharType,
    YearMonthIntervalType,
)

Result = DataType | Callable[[Sequence[DataType]], DataType]
"""A result type, or a rule from the (cast) argument types to it."""


@dataclass(frozen=True)
class Param:
    """One parameter: what is said of it in errors, which types it takes, and which type an argument is cast to."""

    what: str
    accepts: Callable[[DataType], bool]
    wanted: Callable[[DataType], DataType]


def _as_it_is(data_type: DataType) -> DataType:
    return data_type


def param(what: str, *kinds: type[DataType], to: DataType | None = None, null_as: DataType | None = None) -> Param:
    """A parameter that takes values of `kinds`, cast to `to` (None: left as they are).

    An untyped NULL becomes `null_as` or `to`; where there is neither, it has to be given a type by CAST.
    """

    def wanted(data_type: DataType) -> DataType:
        if to is not None:
            return to
        if isinstance(data_type, NullType) and null_as is not None:
            return null_as
        return data_type

    accepted = kinds if to is None and null_as is None else (*kinds, NullType)
    return Param(what, lambda t: isinstance(t, accepted), wanted)


ANY = Param("a value", lambda t: True, _as_it_is)
NUMBER = param("a number", NumericType, null_as=IntType())
AS_DOUBLE = param("a number", NumericType, to=DoubleType())
INTEGER = param("an integer", IntegralType, null_as=IntType())
AS_INT = param("an integer", IntegralType, to=IntType())
AS_BIGINT = param("an integer", IntegralType, to=BigIntType())
BOOLEAN = param("a BOOLEAN", BooleanType, to=BooleanType())
TEXT = param("a character string", CharacterType, null_as=VarCharType())
BINARY = param("a binary string", BinaryStringType, null_as=VarBinaryType())
DATE = param("a DATE", DateType, null_as=DateType())
TIMESTAMP = param("a TIMESTAMP", TimestampType, null_as=TimestampType(3))
ANY_TIMESTAMP = param("a timestamp", TimestampType, LocalZonedTimestampType, null_as=TimestampType(3))
TEMPORAL = param(
    "a date, time or timestamp", DateType, TimeType, TimestampType, LocalZonedTimestampType, null_as=TimestampType(3)
)
INTERVAL = param("an interval", DayTimeIntervalType, YearMonthIntervalType)
ARRAY = param("an ARRAY", ArrayType)
MAP = param("a MAP", MapType)
COLLECTION = param("an ARRAY, MAP or MULTISET", ArrayType, MapType, MultisetType)
ROW = param("a ROW", RowType)


def signature(
    *params: Param,
    optional: int = 0,
    rest: Param | None = None,
    result: Result,
    is_nullable: bool | None = None,
) -> Signature:
    """A typing rule.

    Args:
        params: The parameters in order; the last `optional` of them may be left out.
        rest: What further arguments must be (None: there are none).
        result: The result's type or a rule for it.
        is_nullable: Whether the result can be NULL; None: when an argument can be.
    """
    fewest = len(params) - optional

    def resolve(args: Sequence[Rex]) -> Resolved:
        _check_count(len(args), fewest, None if rest else len(params))
        types = []
        for index, arg in enumerate(args):
            expected = params[index] if index < len(params) else rest
            assert expected is not None
            types.append(_check_argument(index, arg, expected))
        made = result(types) if callable(result) else result
        nullable = any(a.type.is_nullable for a in args) if is_nullable is None else is_nullable
        return Resolved(tuple(types), made.with_nullability(nullable))

    return resolve


def _check_count(given: int, fewest: int, most: int | None) -> None:
    if given < fewest or (most is not None and given > most):
        wanted = f"{fewest}" if most == fewest else f"at least {fewest}" if most is None else f"{fewest} to {most}"
        raise TypeMismatchError(f"{given} arguments are given, {wanted} are needed")


def _check_argument(index: int, arg: Rex, expected: Param) -> DataType:
    if not expected.accepts(arg.type):
        raise TypeMismatchError(
            f"argument {index + 1} is {arg.type}, but {expected.what} is needed",
            where=arg.where,
            fix="cast it, or use another function",
        )
    return expected.wanted(arg.type)


def overload(*signatures: Signature) -> Signature:
    """The first of several typing rules that takes the arguments; the error of the first when none does."""

    def resolve(args: Sequence[Rex]) -> Resolved:
        error: TypeMismatchError | None = None
        for candidate in signatures:
            try:
                return candidate(args)
            except TypeMismatchError as failed:
                error = error or failed
        assert error is not None
        raise error

    return resolve


def first(types: Sequence[DataType]) -> DataType:
    """Result rule: the type of the first argument."""
    return types[0]


def common(least: int = 1, result: Result | None = None, is_nullable: bool | None = None) -> Signature:
    """All arguments take one type (see `merged_type`), which is also the result's unless `result` says otherwise."""

    def resolve(args: Sequence[Rex]) -> Resolved:
        _check_count(len(args), least, None)
        merged = merge([a.type for a in args], merged_type)
        made = merged if result is None else result([merged]) if callable(result) else result
        nullable = any(a.type.is_nullable for a in args) if is_nullable is None else is_nullable
        return Resolved((merged,) * len(args), made.with_nullability(nullable))

    return resolve


def merge(types: Sequence[DataType], rule: Callable[[Sequence[DataType]], DataType | None] = common_type) -> DataType:
    """The one type of `types` by a rule.

    Raises:
        TypeMismatchError: There is none.
    """
    merged = rule(types)
    if merged is None:
        shown = ", ".join(str(t.nullable()) for t in types)
        raise TypeMismatchError(f"there is no common type of {shown}", fix="cast the arguments to one type")
    return merged


def comparison(can_order: bool, is_nullable: bool | None = None) -> Signature:
    """Two values of comparable types give a BOOLEAN."""

    def resolve(args: Sequence[Rex]) -> Resolved:
        _check_count(len(args), 2, 2)
        merged = compared(args[0].type, args[1].type, can_order)
        nullable = any(a.type.is_nullable for a in args) if is_nullable is None else is_nullable
        return Resolved((merged, merged), BooleanType(is_nullable=nullable))

    return resolve


def compared(left: DataType, right: DataType, can_order: bool) -> DataType:
    """The type in which two values are compared.

    Raises:
        TypeMismatchError: They cannot be.
    """
    merged = comparable_type(left, right, can_order)
    if merged is None:
        what = "compared" if not can_order else "ordered"
        raise TypeMismatchError(
            f"{left.nullable()} and {right.nullable()} cannot be {what}", fix="cast one side to the other's type"
        )
    return merged


def keyword(args: Sequence[Rex], index: int, allowed: Sequence[str]) -> str:
    """The constant word (a unit, a mode) at `index`.

    Raises:
        TypeMismatchError: It is not a constant, or not one of `allowed`.
    """
    arg = args[index] if index < len(args) else None
    value: Any = arg.value if isinstance(arg, Literal) else None
    if not isinstance(value, str) or value.upper() not in allowed:
        raise TypeMismatchError(
            f"argument {index + 1} must be one of the words {', '.join(allowed)}", where=arg.where if arg else None
        )
    return value.upper()


def is_timestamp(data_type: DataType) -> bool:
    """Whether the type is one of the two timestamp types."""
    return isinstance(data_type, AnyTimestampType)
