"""CAST and TRY_CAST on Polars expressions: the whole matrix of Flink's conversions.

A conversion gives the converted value and, where a value can be unfit, an expression that says for which rows it failed: CAST
raises for those, TRY_CAST gives NULL. A number that does not fit a DECIMAL is NULL in both (Flink); a text that does not fails.
May import types, functions and runtime.failures.
"""

from __future__ import annotations

import operator
from functools import reduce
from typing import NamedTuple

import polars as pl

from tableapi.errors import CastError, UnsupportedError
from tableapi.functions import decimals
from tableapi.functions.bitmap import bitmap_bytes
from tableapi.functions.registry import SessionContext
from tableapi.functions.text_format import to_text
from tableapi.functions.text_parse import from_text, truncate_fraction
from tableapi.functions.zones import to_instant, to_wall_clock
from tableapi.runtime.failures import remember
from tableapi.types import (
    AnyTimestampType,
    ArrayType,
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
    FractionalType,
    IntegralType,
    IntervalUnit,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    NullType,
    NumericType,
    RowType,
    TimestampType,
    TimeType,
    YearMonthIntervalType,
)


class Conversion(NamedTuple):
    """A converted value, and where it failed (None: it cannot)."""

    value: pl.Expr
    failed: pl.Expr | None = None


def cast_can_fail(source: DataType, target: DataType) -> bool:
    """Whether CAST from one type to the other raises for some values.

    >>> from tableapi.types import DataTypes
    >>> cast_can_fail(DataTypes.STRING(), DataTypes.INT()), cast_can_fail(DataTypes.BIGINT(), DataTypes.INT())
    (True, False)
    """
    match source, target:
        case ArrayType(), ArrayType():
            return cast_can_fail(source.element_type, target.element_type)
        case MultisetType(), MultisetType():
            return cast_can_fail(source.element_type, target.element_type)
        case MapType(), MapType():
            return cast_can_fail(source.key_type, target.key_type) or cast_can_fail(source.value_type, target.value_type)
        case RowType(), RowType():
            pairs = zip(source.field_types(), target.field_types(), strict=True)
            return any(cast_can_fail(a, b) for a, b in pairs)
    return isinstance(source, CharacterType) and not isinstance(target, CharacterType | BinaryStringType)


def cast(
    value: pl.Expr,
    source: DataType,
    target: DataType,
    session: SessionContext,
    *,
    is_try: bool = False,
    is_implicit: bool = False,
    guard: pl.Expr | None = None,
) -> pl.Expr:
    """`value` converted from one type to another, with exactly the Polars dtype of `target`.

    Args:
        is_try: An unfit value gives NULL instead of an error.
        is_implicit: The conversion was not asked for: texts keep their length.
        guard: Rows for which it is not TRUE never raise.

    Raises:
        UnsupportedError: There is no such conversion.
        CastError: (when run) A value does not fit.
    """
    made = convert(value, source, target, session, keeps_length=is_implicit)
    if made.failed is None:
        return made.value
    if is_try:
        return pl.when(~made.failed.fill_null(False)).then(made.value)
    failed = made.failed if guard is None else made.failed & guard
    return _checked(made.value, failed, value, source, target)


def _checked(result: pl.Expr, failed: pl.Expr, value: pl.Expr, source: DataType, target: DataType) -> pl.Expr:
    """`result`, raising when `failed` is TRUE for a row."""

    def check(columns: pl.Series) -> pl.Series:
        bad = columns.struct.field("failed")
        if bad.any():
            shown = columns.struct.field("value").filter(bad)[0]
            shown = shown.to_list() if isinstance(shown, pl.Series) else shown
            what = f"cannot cast {shown!r} from {source.nullable()} to {target.nullable()}"
            raise remember(CastError(what, fix="use TRY_CAST to get NULL for such values"))
        return columns.struct.field("result")

    columns = pl.struct(result.alias("result"), failed.alias("failed"), value.alias("value"))
    return columns.map_batches(check, return_dtype=target.to_polars(), is_elementwise=True)


def convert(
    value: pl.Expr, source: DataType, target: DataType, session: SessionContext, *, keeps_length: bool = False
) -> Conversion:
    """The conversion of `value` and where it fails."""
    if source.same_ignoring_nullability(target):
        return Conversion(value)
    if isinstance(source, NullType):
        return Conversion(value.cast(target.to_polars()))
    match target:
        case CharacterType():
            return Conversion(_to_text(value, source, target, session, keeps_length))
        case BinaryStringType():
            return Conversion(_to_bytes(value, source, target, keeps_length))
        case ArrayType() | MapType() | MultisetType() | RowType():
            return _nested(value, source, target, session, keeps_length)
    if isinstance(source, CharacterType):
        read = from_text(value, target, session)
        return Conversion(read, value.is_not_null() & read.is_null())
    made = _between_simple(value, source, target, session)
    if made is None:
        raise UnsupportedError(f"{source.nullable()} cannot be cast to {target.nullable()}", fix="cast it to STRING first")
    return Conversion(made)


def _to_text(value: pl.Expr, source: DataType, target: CharacterType, session: SessionContext, keeps_length: bool) -> pl.Expr:
    text = to_text(value, source, session)
    if keeps_length:
        return text
    known = source.length if isinstance(source, CharacterType) else None
    if known is None or known > target.length:
        text = text.str.slice(0, target.length)
    if isinstance(target, CharType):
        text = text.str.pad_end(target.length)
    return text


def _to_bytes(value: pl.Expr, source: DataType, target: BinaryStringType, keeps_length: bool) -> pl.Expr:
    if isinstance(source, BitmapType):
        return bitmap_bytes(value)
    raw = value if isinstance(source, BinaryStringType) else to_text(value, source, SessionContext()).cast(pl.Binary)
    if keeps_length or (
        isinstance(source, BinaryStringType) and source.length <= target.length and not isinstance(target, BinaryType)
    ):
        return raw
    length, is_fixed = target.length, isinstance(target, BinaryType)

    def fit(values: pl.Series) -> pl.Series:
        fitted = [None if v is None else v[:length].ljust(length if is_fixed else 0, b"\0") for v in values.to_list()]
        return pl.Series(values.name, fitted, dtype=pl.Binary)

    return raw.map_batches(fit, return_dtype=pl.Binary(), is_elementwise=True) if length < 2**31 - 1 else raw


def _between_simple(value: pl.Expr, source: DataType, target: DataType, session: SessionContext) -> pl.Expr | None:
    match source, target:
        case BooleanType(), NumericType():
            return _from_integer(value.cast(pl.Int32), target)
        case NumericType(), BooleanType():
            return value != 0
        case IntegralType(), NumericType():
            return _from_integer(value, target)
        case DecimalType(), NumericType():
            return _from_decimal(value, source, target)
        case FractionalType(), NumericType():
            return _from_float(value, source, target)
        case IntegralType(), YearMonthIntervalType():
            return (value.cast(pl.Int32, wrap_numerical=True) * (12 if target.last == IntervalUnit.YEAR else 1)).cast(pl.Int32)
        case IntegralType(), DayTimeIntervalType():
            return (value.cast(pl.Int64) * _UNIT_MS[target.last]).cast(pl.Duration("ms"))
        case (YearMonthIntervalType(), YearMonthIntervalType()) | (DayTimeIntervalType(), DayTimeIntervalType()):
            return value
        case _:
            return _between_times(value, source, target, session)


_UNIT_MS = {
    IntervalUnit.DAY: 86_400_000,
    IntervalUnit.HOUR: 3_600_000,
    IntervalUnit.MINUTE: 60_000,
    IntervalUnit.SECOND: 1000,
}


def _from_integer(value: pl.Expr, target: DataType) -> pl.Expr:
    if isinstance(target, DecimalType):
        return decimals.from_unscaled(decimals.rescale(value.cast(decimals.INT128), target.scale), target)
    return value.cast(target.to_polars(), wrap_numerical=True)


def _from_decimal(value: pl.Expr, source: DecimalType, target: DataType) -> pl.Expr:
    if isinstance(target, DecimalType):
        return decimals.to_decimal(value, source, target)
    if isinstance(target, IntegralType):
        whole = decimals.unscaled(value).truncdiv(decimals.integer(10**source.scale))
        return whole.cast(target.to_polars(), wrap_numerical=True)
    return value.cast(pl.Float64).cast(target.to_polars())


def _from_float(value: pl.Expr, source: DataType, target: DataType) -> pl.Expr:
    if isinstance(target, FractionalType):
        return value.cast(target.to_polars())
    if isinstance(target, DecimalType):
        return _float_to_decimal(value, source, target)
    number = value.cast(pl.Float64).fill_nan(0.0)
    if target.to_polars() == pl.Int64:
        return (
            pl.when(number >= 2.0**63)
            .then(pl.lit(2**63 - 1, dtype=pl.Int64))
            .when(number <= -(2.0**63))
            .then(pl.lit(-(2**63), dtype=pl.Int64))
            .otherwise(number.cast(pl.Int64, strict=False))
        )
    return number.clip(-(2.0**31), 2.0**31 - 1).cast(pl.Int32).cast(target.to_polars(), wrap_numerical=True)


def _float_to_decimal(value: pl.Expr, source: DataType, target: DecimalType) -> pl.Expr:
    """Rounds the number's shortest decimal text, as Java's BigDecimal.valueOf does."""
    read = DecimalType(38, 38 - (target.precision - target.scale))
    number: pl.Expr = pl.when(value.is_finite()).then(value)
    if not isinstance(source, DoubleType):
        number = number.cast(pl.Float64)
    return decimals.to_decimal(number.cast(pl.String).cast(read.to_polars(), strict=False), read, target)


def _between_times(value: pl.Expr, source: DataType, target: DataType, session: SessionContext) -> pl.Expr | None:
    zone = session.time_zone
    match source, target:
        case (TimestampType(), TimestampType()) | (LocalZonedTimestampType(), LocalZonedTimestampType()):
            return _to_precision(value, source, target)
        case TimestampType(), LocalZonedTimestampType():
            return _to_precision(to_instant(value, zone), source, target)
        case LocalZonedTimestampType(), TimestampType():
            return _to_precision(to_wall_clock(value, zone), source, target)
        case DateType(), TimestampType():
            return value.cast(target.to_polars())
        case DateType(), LocalZonedTimestampType():
            return to_instant(value.cast(pl.Datetime("us")), zone).cast(target.to_polars())
        case TimeType(), TimestampType():
            return _at_epoch(value).cast(target.to_polars())
        case TimeType(), LocalZonedTimestampType():
            return to_instant(_at_epoch(value), zone).cast(target.to_polars())
        case TimestampType(), DateType():
            return value.dt.date()
        case LocalZonedTimestampType(), DateType():
            return to_wall_clock(value, zone).dt.date()
        case TimestampType(), TimeType():
            return truncate_fraction(value.cast(pl.Datetime("ms")), target.precision).dt.time()
        case LocalZonedTimestampType(), TimeType():
            return truncate_fraction(to_wall_clock(value, zone).cast(pl.Datetime("ms")), target.precision).dt.time()
        case TimeType(), TimeType():
            return value
    return None


def _at_epoch(value: pl.Expr) -> pl.Expr:
    return (value.cast(pl.Int64) // 1_000_000).cast(pl.Datetime("ms"))


def _to_precision(value: pl.Expr, source: DataType, target: DataType) -> pl.Expr:
    assert isinstance(source, AnyTimestampType)
    assert isinstance(target, AnyTimestampType)
    cut = truncate_fraction(value, target.precision) if target.precision < source.precision else value
    return cut.cast(target.to_polars())


def _nested(value: pl.Expr, source: DataType, target: DataType, session: SessionContext, keeps_length: bool) -> Conversion:
    element = pl.element()

    def inner(part: pl.Expr, a: DataType, b: DataType) -> Conversion:
        return convert(part, a, b, session, keeps_length=keeps_length)

    match source, target:
        case ArrayType(), ArrayType():
            return _each(value, inner(element, source.element_type, target.element_type))
        case MultisetType(), MultisetType():
            key = inner(element.struct.field("key"), source.element_type, target.element_type)
            return _each(value, _entry(key, Conversion(element.struct.field("value"))))
        case MapType(), MapType():
            key = inner(element.struct.field("key"), source.key_type, target.key_type)
            return _each(value, _entry(key, inner(element.struct.field("value"), source.value_type, target.value_type)))
        case RowType(), RowType():
            pairs = zip(source.fields, target.fields, strict=True)
            parts = [(b.name, inner(value.struct.field(a.name), a.data_type, b.data_type)) for a, b in pairs]
            row = pl.when(value.is_not_null()).then(pl.struct([p.value.alias(name) for name, p in parts]))
            return Conversion(row, _any_failed([p for _, p in parts]))
    raise UnsupportedError(f"{source.nullable()} cannot be cast to {target.nullable()}", fix="cast its parts")


def _entry(key: Conversion, item: Conversion) -> Conversion:
    return Conversion(pl.struct(key.value.alias("key"), item.value.alias("value")), _any_failed([key, item]))


def _any_failed(parts: list[Conversion]) -> pl.Expr | None:
    failures = [p.failed.fill_null(False) for p in parts if p.failed is not None]
    return reduce(operator.or_, failures) if failures else None


def _each(value: pl.Expr, element: Conversion) -> Conversion:
    failed = None if element.failed is None else value.list.eval(element.failed.fill_null(False)).list.any()
    return Conversion(value.list.eval(element.value), failed)
