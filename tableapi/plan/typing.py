"""Type coercion: which type several values have in common, what may be cast to what, and how decimals grow.

Owns the pure rules (Flink's `LogicalTypeMerging` and `LogicalTypeCasts`, Calcite's least restrictive type). May import types,
errors and plan.rex. Decides types only; conversions of values are in `tableapi.runtime.casts`.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from decimal import Context, Decimal
from typing import Any

from tableapi.errors import TypeMismatchError
from tableapi.plan.rex import Call, Cast, Literal, Rex
from tableapi.types import (
    MAX_DECIMAL_PRECISION,
    MAX_LENGTH,
    AnyTimestampType,
    ArrayType,
    BigIntType,
    BinaryStringType,
    BinaryType,
    BitmapType,
    BooleanType,
    CharacterType,
    CharType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    FractionalType,
    IntegralType,
    IntervalUnit,
    IntType,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    NullType,
    NumericType,
    RowField,
    RowType,
    SmallIntType,
    StructuredType,
    TimestampType,
    TimeType,
    TinyIntType,
    VarBinaryType,
    VarCharType,
    VariantType,
    YearMonthIntervalType,
)

MIN_DIVISION_SCALE = 6
"""A decimal quotient keeps at least this many digits after the point (Flink: as Hive and SQL Server)."""

_DIGITS: dict[type[DataType], int] = {TinyIntType: 3, SmallIntType: 5, IntType: 10, BigIntType: 19}


def as_decimal(data_type: DataType) -> DecimalType:
    """The decimal that holds every value of an exact number type (INT counts as DECIMAL(10, 0)).

    >>> as_decimal(BigIntType())
    DECIMAL(19, 0)
    """
    if isinstance(data_type, DecimalType):
        return data_type
    return DecimalType(_DIGITS[type(data_type)], 0, is_nullable=data_type.is_nullable)


def _bounded(precision: int, scale: int) -> DecimalType:
    """Cuts a derived decimal to 38 digits: the scale gives way first, but never below min(scale, 6)."""
    if precision <= MAX_DECIMAL_PRECISION:
        return DecimalType(precision, scale)
    kept = max(MAX_DECIMAL_PRECISION - (precision - scale), min(scale, MIN_DIVISION_SCALE))
    return DecimalType(MAX_DECIMAL_PRECISION, kept)


def decimal_plus(left: DecimalType, right: DecimalType) -> DecimalType:
    """Type of a sum or difference.

    >>> decimal_plus(DecimalType(10, 2), DecimalType(5, 4))
    DECIMAL(13, 4)
    """
    scale = max(left.scale, right.scale)
    return _bounded(max(left.precision - left.scale, right.precision - right.scale) + scale + 1, scale)


def decimal_times(left: DecimalType, right: DecimalType) -> DecimalType:
    """Type of a product."""
    return _bounded(left.precision + right.precision + 1, left.scale + right.scale)


def decimal_divide(left: DecimalType, right: DecimalType) -> DecimalType:
    """Type of a quotient."""
    scale = max(MIN_DIVISION_SCALE, left.scale + right.precision + 1)
    return _bounded(left.precision - left.scale + right.scale + scale, scale)


def decimal_mod(left: DecimalType, right: DecimalType) -> DecimalType:
    """Type of a remainder; the divisor's when both are whole."""
    if left.scale == right.scale == 0:
        return right
    scale = max(left.scale, right.scale)
    return _bounded(min(left.precision - left.scale, right.precision - right.scale) + scale, scale)


def decimal_round(value: DecimalType, places: int) -> DecimalType:
    """Type of ROUND(value, places) with a constant number of places."""
    if places >= value.scale:
        return replace(value, is_nullable=True)
    if places < 0:
        return DecimalType(min(MAX_DECIMAL_PRECISION, 1 + value.precision - value.scale), 0)
    return DecimalType(1 + value.precision - value.scale + places, places)


def common_type(types: Sequence[DataType]) -> DataType | None:
    """The type that operators, CASE, set operations and the like give to values of all `types`, or None when there is none.

    Numbers widen, texts of different lengths become VARCHAR, strings and numbers never unify. Of FLOAT and DOUBLE the first
    decides; a decimal keeps its digits before the point (Calcite). Nullable when one of them is.

    >>> common_type([IntType(), DecimalType(2, 1, is_nullable=False)])
    DECIMAL(11, 1)
    >>> common_type([CharType(1, is_nullable=False), CharType(3, is_nullable=False)])
    VARCHAR(3) NOT NULL
    """
    if not types:
        return None
    is_nullable = any(t.is_nullable for t in types)
    merged: DataType | None = types[0]
    for other in types[1:]:
        merged = None if merged is None else _common(merged, other)
    return None if merged is None else merged.with_nullability(is_nullable)


def branch_type(types: Sequence[DataType]) -> DataType | None:
    """The type of CASE and IF: the common type, but where a TIMESTAMP and a TIMESTAMP_LTZ meet, that of the first (Flink)."""
    kinds = {type(t) for t in types if not isinstance(t, NullType)}
    if kinds == {TimestampType, LocalZonedTimestampType}:
        first = next(t for t in types if not isinstance(t, NullType))
        return first.with_nullability(any(t.is_nullable for t in types))
    return common_type(types)


def merged_type(types: Sequence[DataType]) -> DataType | None:
    """The type that functions (COALESCE, GREATEST, ...) give to arguments of all `types`, or None when there is none.

    It is the common type, but DOUBLE is wider than FLOAT, a DECIMAL before a FLOAT becomes FLOAT, and of a TIMESTAMP and a DATE
    or TIME the TIMESTAMP gives way (Flink).

    >>> merged_type([FloatType(), DoubleType()]), common_type([FloatType(), DoubleType()])
    (DOUBLE, FLOAT)
    >>> merged_type([TimestampType(3), DateType()]), common_type([TimestampType(3), DateType()])
    (DATE, TIMESTAMP(3))
    """
    merged: DataType | None = types[0] if types else None
    wins = (FloatType, DoubleType), (DecimalType, FloatType), (TimestampType, DateType | TimeType)
    for other in types[1:]:
        if any(isinstance(merged, before) and isinstance(other, after) for before, after in wins):
            merged = other
        elif isinstance(merged, DateType | TimeType) and isinstance(other, AnyTimestampType):
            merged = merged if isinstance(other, TimestampType) else None
        elif merged is not None:
            merged = _common(merged, other)
    return None if merged is None else merged.with_nullability(any(t.is_nullable for t in types))


def _common(left: DataType, right: DataType) -> DataType | None:
    if isinstance(left, NullType):
        return right.nullable()
    if isinstance(right, NullType):
        return left.nullable()
    if left.same_ignoring_nullability(right):
        return left
    for rule in (_common_number, _common_text, _common_time, _common_interval, _common_nested):
        merged = rule(left, right)
        if merged is not None:
            return merged
    return None


def _common_number(left: DataType, right: DataType) -> DataType | None:
    if not (isinstance(left, NumericType) and isinstance(right, NumericType)):
        return None
    if isinstance(left, IntegralType) and isinstance(right, IntegralType):
        return left if left.bits >= right.bits else right
    if isinstance(left, FractionalType) and isinstance(right, FractionalType):
        return left
    if isinstance(left, FractionalType) or isinstance(right, FractionalType):
        return DoubleType() if any(isinstance(t, DoubleType | DecimalType) for t in (left, right)) else FloatType()
    a, b = as_decimal(left), as_decimal(right)
    whole = max(a.precision - a.scale, b.precision - b.scale)
    scale = min(max(a.scale, b.scale), MAX_DECIMAL_PRECISION - whole)
    return DecimalType(whole + scale, scale)


def _common_text(left: DataType, right: DataType) -> DataType | None:
    if isinstance(left, CharacterType) and isinstance(right, CharacterType):
        return VarCharType(max(left.length, right.length))
    if isinstance(left, BinaryStringType) and isinstance(right, BinaryStringType):
        return VarBinaryType(max(left.length, right.length))
    return None


def _common_time(left: DataType, right: DataType) -> DataType | None:
    if isinstance(left, TimeType) and isinstance(right, TimeType):
        return TimeType(max(left.precision, right.precision))
    if isinstance(left, DateType) and isinstance(right, AnyTimestampType):
        return right
    if isinstance(right, DateType) and isinstance(left, AnyTimestampType):
        return left
    if isinstance(left, AnyTimestampType) and isinstance(right, AnyTimestampType):
        is_zoned = isinstance(left, LocalZonedTimestampType) or isinstance(right, LocalZonedTimestampType)
        kind = LocalZonedTimestampType if is_zoned else TimestampType
        return kind(max(left.precision, right.precision))
    return None


def _common_interval(left: DataType, right: DataType) -> DataType | None:
    for kind in (YearMonthIntervalType, DayTimeIntervalType):
        if isinstance(left, kind) and isinstance(right, kind):
            return kind(min(left.first, right.first), max(left.last, right.last))
    return None


def _common_nested(left: DataType, right: DataType) -> DataType | None:
    if isinstance(left, ArrayType) and isinstance(right, ArrayType):
        element = common_type([left.element_type, right.element_type])
        return ArrayType(element) if element else None
    if isinstance(left, MultisetType) and isinstance(right, MultisetType):
        element = common_type([left.element_type, right.element_type])
        return MultisetType(element) if element else None
    if isinstance(left, MapType) and isinstance(right, MapType):
        key, value = common_type([left.key_type, right.key_type]), common_type([left.value_type, right.value_type])
        return MapType(key, value) if key and value else None
    if isinstance(left, RowType) and isinstance(right, RowType) and _same_kind_of_row(left, right):
        merged = [common_type([a.data_type, b.data_type]) for a, b in zip(left.fields, right.fields, strict=True)]
        if all(m is not None for m in merged):
            return replace(left, fields=tuple(RowField(f.name, m) for f, m in zip(left.fields, merged, strict=True) if m))
    return None


def _same_kind_of_row(left: RowType, right: RowType) -> bool:
    """Whether two records have as many fields and, where they belong to a class, the same class and names."""
    if isinstance(left, StructuredType) or isinstance(right, StructuredType):
        same_class = getattr(left, "class_name", None) == getattr(right, "class_name", None)
        return same_class and left.field_names() == right.field_names()
    return len(left.fields) == len(right.fields)


def implicit_cast(rex: Rex, data_type: DataType) -> Rex:
    """`rex` as a value of `data_type` (its own nullability stays). Constants are converted here, the rest gets a Cast.

    Raises:
        TypeMismatchError: There is no conversion at all between the two types.
    """
    target = data_type.with_nullability(rex.type.is_nullable)
    if rex.type == target:
        return rex
    folded = _folded(rex, target)
    if folded is not None:
        return folded
    if not can_cast(rex.type, target, implicit=False):
        raise TypeMismatchError(f"a value of type {rex.type} cannot become {target}", where=rex.where, fix="use another type")
    if isinstance(rex.type, CharacterType) and _is_temporal(target):
        # A text that is no date is NULL where nobody asked for a cast (Flink).
        return Cast(target.nullable(), rex, is_try=True, is_implicit=True, where=rex.where)
    return Cast(target, rex, is_implicit=True, where=rex.where)


def assigned(rex: Rex, data_type: DataType) -> Rex:
    """`rex` as the value of a table's column of `data_type` (its own nullability stays).

    Flink: a text or binary string whose type is longer than the column's is cut as CAST cuts it, and padded for CHAR and BINARY; one whose
    type fits is handed on as it is, so that its actual length is for `table.exec.sink.type-length-enforcer` to judge.
    """
    source = rex.type
    fits = (
        isinstance(source, CharacterType | BinaryStringType)
        and isinstance(data_type, VarCharType | VarBinaryType)
        and source.length <= data_type.length
    )
    target = data_type.with_nullability(source.is_nullable)
    return implicit_cast(rex, target) if fits or source == target else Cast(target, rex, where=rex.where)


def _folded(rex: Rex, target: DataType) -> Literal | None:
    """A constant, or an array of constants, as a constant of the target type."""
    if isinstance(rex, Literal):
        return _fold_literal(rex, target)
    if isinstance(rex, Call) and rex.function == "ARRAY" and isinstance(target, ArrayType):
        element = target.element_type
        items = [_folded(a, element.with_nullability(a.type.is_nullable)) if a.type != element else a for a in rex.args]
        if all(isinstance(i, Literal) for i in items):
            return Literal(target, tuple(i.value for i in items if isinstance(i, Literal)), where=rex.where)
    return None


def _fold_literal(rex: Literal, target: DataType) -> Literal | None:
    value = rex.value
    if value is None:
        return Literal(target.nullable(), None, where=rex.where)
    if isinstance(value, bool):
        return None
    match target:
        case DoubleType() if isinstance(value, int | float | Decimal) and isinstance(rex.type, NumericType):
            return Literal(target, float(value), where=rex.where)
        case BigIntType() | IntType() | SmallIntType() if isinstance(rex.type, IntegralType) and rex.type.bits <= target.bits:
            return Literal(target, value, where=rex.where)
        case DecimalType(precision=p, scale=s) if isinstance(rex.type, IntegralType | DecimalType):
            exact = as_decimal(rex.type)
            if exact.scale <= s and exact.precision - exact.scale <= p - s:
                exact_value = Decimal(value).quantize(Decimal(1).scaleb(-s), context=Context(prec=MAX_DECIMAL_PRECISION))
                return Literal(target, exact_value, where=rex.where)
        case VarCharType(length=n) if isinstance(value, str) and len(value) <= n:
            return Literal(target, value, where=rex.where)
    return None


def literal_type(value: Any) -> DataType:
    """The type of a constant written without one.

    >>> literal_type(7), literal_type("abc"), literal_type(Decimal("1.50"))
    (INT NOT NULL, CHAR(3) NOT NULL, DECIMAL(3, 2) NOT NULL)

    Raises:
        TypeMismatchError: The value is of no SQL type, or an integer is above BIGINT's range.
    """
    match value:
        case None:
            return NullType()
        case bool():
            return BooleanType(is_nullable=False)
        case int():
            return _integer_type(value)
        case float():
            return DoubleType(is_nullable=False)
        case Decimal():
            return _decimal_literal_type(value)
        case str():
            utf16_units = len(value) + sum(character > "\uffff" for character in value)
            return CharType(utf16_units, is_nullable=False)
        case bytes() | bytearray():
            return BinaryType(len(value), is_nullable=False)
        case datetime.datetime():
            precision = 6 if value.microsecond % 1000 else 3
            kind = TimestampType if value.tzinfo is None else LocalZonedTimestampType
            return kind(precision, is_nullable=False)
        case datetime.date():
            return DateType(is_nullable=False)
        case datetime.time():
            return TimeType(3 if value.microsecond else 0, is_nullable=False)
        case datetime.timedelta():
            return DayTimeIntervalType(IntervalUnit.DAY, IntervalUnit.SECOND, is_nullable=False)
        case list() | tuple() if value:
            element = common_type([literal_type(v) for v in value])
            if element is not None:
                return ArrayType(element, is_nullable=False)
    raise TypeMismatchError(
        f"a value of Python type {type(value).__name__} has no SQL type",
        exists="bool, int, float, Decimal, str, bytes, date, time, datetime, timedelta and non-empty lists of them",
        fix="give the type: lit(value, DataTypes....)",
    )


def _integer_type(value: int) -> DataType:
    if -(2**31) <= value < 2**31:
        return IntType(is_nullable=False)
    if -(2**63) <= value < 2**63:
        return BigIntType(is_nullable=False)
    raise TypeMismatchError(f"the number {value} is out of range of BIGINT", fix="write it as CAST('...' AS DECIMAL(38, 0))")


def _decimal_literal_type(value: Decimal) -> DecimalType:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise TypeMismatchError(f"{value} is not a number that DECIMAL can hold", fix="use a float")
    digits = len(value.as_tuple().digits)
    scale = max(-exponent, 0)
    precision = max(digits + max(exponent, 0), scale, 1)
    if precision > MAX_DECIMAL_PRECISION:
        raise TypeMismatchError(f"{value} has more than {MAX_DECIMAL_PRECISION} digits", fix="use a float")
    return DecimalType(precision, scale, is_nullable=False)


def can_cast(source: DataType, target: DataType, implicit: bool = False) -> bool:
    """Whether CAST from one type to the other exists (`implicit`: whether it is done without being asked for).

    >>> can_cast(IntType(), BigIntType(), implicit=True), can_cast(BigIntType(), IntType(), implicit=True)
    (True, False)
    >>> can_cast(IntType(), TimestampType(3)), can_cast(VarCharType(), TimestampType(3))
    (False, True)
    """
    if isinstance(source, NullType) or source.same_ignoring_nullability(target):
        return True
    if isinstance(target, NullType):
        return False
    nested = _can_cast_nested(source, target, implicit)
    if nested is not None:
        return nested
    return _can_cast_implicitly(source, target) if implicit else _can_cast_simple(source, target)


def _can_cast_nested(source: DataType, target: DataType, implicit: bool) -> bool | None:
    if isinstance(source, ArrayType) and isinstance(target, ArrayType):
        return can_cast(source.element_type, target.element_type, implicit)
    if isinstance(source, MultisetType) and isinstance(target, MultisetType):
        return can_cast(source.element_type, target.element_type, implicit)
    if isinstance(source, MapType) and isinstance(target, MapType):
        return can_cast(source.key_type, target.key_type, implicit) and can_cast(source.value_type, target.value_type, implicit)
    if isinstance(source, RowType) and isinstance(target, RowType):
        if len(source.fields) != len(target.fields):
            return False
        pairs = zip(source.field_types(), target.field_types(), strict=True)
        return all(can_cast(a, b, implicit) for a, b in pairs)
    if isinstance(source, _NESTED):
        return not implicit and isinstance(target, CharacterType)
    return False if isinstance(target, _NESTED) else None


_NESTED = (ArrayType, MapType, MultisetType, RowType)
_INTERVALS = (YearMonthIntervalType, DayTimeIntervalType)


def _can_cast_implicitly(source: DataType, target: DataType) -> bool:
    match source:
        case IntegralType():
            if isinstance(target, IntegralType):
                return source.bits <= target.bits
            return isinstance(target, DecimalType | FractionalType)
        case DecimalType():
            return isinstance(target, DecimalType | FractionalType)
        case FloatType():
            return isinstance(target, DoubleType | DecimalType)
        case DoubleType():
            return isinstance(target, DecimalType)
        case CharacterType():
            return isinstance(target, VarCharType) or (isinstance(source, CharType) and isinstance(target, CharType))
        case BinaryStringType():
            return isinstance(target, VarBinaryType) or (isinstance(source, BinaryType) and isinstance(target, BinaryType))
        case TimeType():
            return isinstance(target, TimeType)
        case TimestampType():
            return isinstance(target, AnyTimestampType | DateType | TimeType)
        case AnyTimestampType():
            return isinstance(target, AnyTimestampType)
        case YearMonthIntervalType() | DayTimeIntervalType():
            return isinstance(target, type(source))
        case _:
            return False


def _can_cast_simple(source: DataType, target: DataType) -> bool:
    if isinstance(source, VariantType):
        return False
    if isinstance(source, BitmapType):
        is_bytes = isinstance(target, VarBinaryType) and target.length == MAX_LENGTH
        return isinstance(target, CharacterType) or is_bytes
    if isinstance(target, CharacterType):
        return True
    match source:
        case CharacterType():
            return not isinstance(target, (*_INTERVALS, VariantType, BitmapType))
        case BinaryStringType():
            return isinstance(target, BinaryStringType)
        case IntegralType():
            if isinstance(target, YearMonthIntervalType | DayTimeIntervalType):
                return target.first == target.last
            return isinstance(target, NumericType | BooleanType)
        case NumericType() | BooleanType():
            return isinstance(target, NumericType | BooleanType)
        case DateType():
            return isinstance(target, DateType | AnyTimestampType)
        case TimeType():
            return isinstance(target, TimeType | AnyTimestampType)
        case AnyTimestampType():
            return isinstance(target, DateType | TimeType | AnyTimestampType)
        case YearMonthIntervalType() | DayTimeIntervalType():
            return isinstance(target, type(source))
        case _:
            return False


def comparable_type(left: DataType, right: DataType, can_order: bool) -> DataType | None:
    """The type in which two values are compared, or None when they cannot be.

    Numbers widen; a character string stands for a date, time or timestamp when the other side is one, and in `<`, `<=`, `>`,
    `>=` (`can_order`) also for a number (a whole one is then a BIGINT) or BOOLEAN (Flink); ROW, ARRAY and MAP compare for
    equality only.
    """
    if can_order and any(isinstance(t, _NESTED) for t in (left, right)):
        return None
    for text, other in ((left, right), (right, left)):
        if isinstance(text, CharacterType) and _is_temporal(other):
            return other
        if can_order and isinstance(text, CharacterType) and isinstance(other, NumericType | BooleanType):
            return _read_as(other)
    if isinstance(left, DateType) != isinstance(right, DateType) and not any(isinstance(t, NullType) for t in (left, right)):
        return None
    return common_type([left.nullable(), right.nullable()])


def _read_as(data_type: DataType) -> DataType | None:
    """The type in which a text is ordered against a value of `data_type`."""
    if isinstance(data_type, BooleanType | FractionalType):
        return data_type.nullable()
    return common_type([data_type.nullable(), BigIntType()])


def _is_temporal(data_type: DataType) -> bool:
    return isinstance(data_type, DateType | TimeType | AnyTimestampType)
