"""The ground that `Expression` and its topic mixins stand on: the wrapped tree, literals, and where the user wrote it.

May import types, errors and plan.unresolved. Nothing is looked up or typed here; that is `plan/resolve.py`.
"""

from __future__ import annotations

import datetime
import sys
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from tableapi.errors import Location, TypeMismatchError, ValidationError
from tableapi.plan.unresolved import Call, Cast, Lit, Unresolved
from tableapi.types import DataType, DayTimeIntervalType, IntervalUnit, YearMonthIntervalType

if TYPE_CHECKING:
    from tableapi.expression import Expression

UNBOUNDED_ROW_MARK = "UNBOUNDED_ROW"
UNBOUNDED_RANGE_MARK = "UNBOUNDED_RANGE"
CURRENT_ROW_MARK = "CURRENT_ROW"
CURRENT_RANGE_MARK = "CURRENT_RANGE"
ROW_INTERVAL_MARK = "ROW_INTERVAL"


def caller() -> Location | None:
    """The innermost place in the user's program: the first frame outside of this package."""
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module != "tableapi" and not module.startswith("tableapi."):
            return Location(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return None


class ExpressionBase:
    """Wraps an unresolved tree."""

    __slots__ = ("_node",)

    def __init__(self, node: Unresolved) -> None:
        self._node = node

    def _make(self, node: Unresolved) -> Expression:
        return cast("Expression", type(self)(node))

    def _call(self, function: str, *args: Any) -> Expression:
        """The function applied to this expression and further arguments; trailing `None`s are left out."""
        where = caller()
        return self._make(make_call(function, (self, *present(args)), where))


def present(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments up to the last one that is not `None`: absent optional arguments are not passed on."""
    end = len(args)
    while end and args[end - 1] is None:
        end -= 1
    return args[:end]


def make_call(function: str, args: tuple[Any, ...], where: Location | None) -> Call:
    """A call node of expressions and Python values."""
    return Call(function, tuple(to_node(a, where) for a in args), where=where)


def to_node(value: Any, where: Location | None = None) -> Unresolved:
    """The tree of an expression, or of a Python value as a literal.

    Raises:
        TypeMismatchError: The value has no literal form.
    """
    if isinstance(value, ExpressionBase):
        return value._node
    if isinstance(value, Unresolved):
        return value
    return literal(value, None, where)


_PLAIN = (
    bool,
    int,
    float,
    str,
    bytes,
    Decimal,
    datetime.date,
    datetime.time,
    datetime.datetime,
    datetime.timedelta,
    type(None),
)


def literal(value: Any, data_type: DataType | None, where: Location | None) -> Unresolved:
    """A literal node; lists, tuples and dicts become ARRAY, ROW and MAP constructors of literals."""
    if isinstance(value, bytearray | memoryview):
        value = bytes(value)
    if isinstance(value, Enum):
        return Lit(value.value, where=where)
    if isinstance(value, _PLAIN):
        if data_type is None or _is_canonical(value, data_type):
            return Lit(value, data_type, where=where)
        return Cast(Lit(value, where=where), data_type, where=where)
    node = _composite(value, where)
    if node is None:
        item = getattr(value, "item", None)
        if item is not None and not getattr(value, "shape", None):
            return literal(item(), data_type, where)
        raise TypeMismatchError(
            f"a value of type {type(value).__name__} cannot be used in an expression",
            where=where,
            exists="literals: bool, int, float, str, bytes, Decimal, date, time, datetime, timedelta, list, tuple, dict, None",
            fix="wrap columns as col('name')",
        )
    return node if data_type is None else Cast(node, data_type, where=where)


def _composite(value: Any, where: Location | None) -> Call | None:
    if isinstance(value, list) and value:
        return make_call("ARRAY", tuple(value), where)
    if isinstance(value, dict) and value:
        return make_call("MAP", tuple(x for pair in value.items() for x in pair), where)
    if isinstance(value, tuple) and value:
        return make_call("ROW", value, where)
    return None


def _is_canonical(value: Any, data_type: DataType) -> bool:
    """Whether the value is already in the Python form of the type, so that no cast is needed."""
    from tableapi import types as t

    if value is None:
        return True
    match data_type:
        case t.BooleanType():
            return isinstance(value, bool)
        case t.IntegralType(bits=bits):
            return isinstance(value, int) and not isinstance(value, bool) and -(1 << bits - 1) <= value < 1 << bits - 1
        case t.FractionalType():
            return isinstance(value, float)
        case t.CharType(length=length):
            return isinstance(value, str) and len(value) == length
        case t.VarCharType(length=length):
            return isinstance(value, str) and len(value) <= length
        case t.VarBinaryType():
            return isinstance(value, bytes)
        case t.DateType():
            return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
        case t.TimeType():
            return isinstance(value, datetime.time)
        case t.TimestampType():
            return isinstance(value, datetime.datetime) and value.tzinfo is None
        case t.LocalZonedTimestampType():
            return isinstance(value, datetime.datetime) and value.tzinfo is not None
        case t.DayTimeIntervalType():
            return isinstance(value, datetime.timedelta)
        case t.YearMonthIntervalType():
            return isinstance(value, int)
    return False


def interval(node: Unresolved, count: float, unit: IntervalUnit, where: Location | None) -> Unresolved:
    """`node` times `count` units of time. Folded when `node` is a literal number."""
    length = _UNIT_LENGTHS[unit]
    step: datetime.timedelta | int = length * int(count) if isinstance(length, int) else length * count
    kind: DataType = YearMonthIntervalType(unit, unit) if isinstance(step, int) else DayTimeIntervalType(unit, unit)
    if isinstance(node, Lit) and isinstance(node.value, int) and not isinstance(node.value, bool):
        return Lit(node.value * step, kind.not_null(), where=where)
    if isinstance(node, Lit):
        raise ValidationError(
            f"an interval needs a whole number, not {node.value!r}", where=where, fix="for example lit(10).minutes"
        )
    return Call("TIMES", (node, Lit(step, kind.not_null(), where=where)), where=where)


_UNIT_LENGTHS: dict[IntervalUnit, Any] = {
    IntervalUnit.YEAR: 12,
    IntervalUnit.MONTH: 1,
    IntervalUnit.DAY: datetime.timedelta(days=1),
    IntervalUnit.HOUR: datetime.timedelta(hours=1),
    IntervalUnit.MINUTE: datetime.timedelta(minutes=1),
    IntervalUnit.SECOND: datetime.timedelta(seconds=1),
}
"""Years and months in months, the others as durations."""


def as_data_type(data_type: DataType | str) -> DataType:
    """The type itself (a user-defined one: as it is stored), or the type that SQL text such as `ROW<a INT, b STRING>` names.

    Raises:
        ValidationError: The text is not a type.
    """
    if isinstance(data_type, DataType):
        from tableapi.user_defined_type import stored_type

        return stored_type(data_type)
    if isinstance(data_type, str):
        from tableapi.sql import parse_type

        return parse_type(data_type)
    raise TypeMismatchError(
        f"{data_type!r} is not a data type", where=caller(), fix="use DataTypes.<TYPE>() or SQL text such as 'BIGINT'"
    )
