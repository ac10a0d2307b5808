"""How Flink shows values as text: what CAST(x AS STRING) gives.

Polars expressions; only very large and very small floating point numbers go through Python.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.functions.zones import to_wall_clock
from tableapi.types import (
    ArrayType,
    BinaryStringType,
    BitmapType,
    BooleanType,
    CharacterType,
    DataType,
    DayTimeIntervalType,
    FractionalType,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    NullType,
    RowType,
    StructuredType,
    TimestampType,
    TimeType,
    YearMonthIntervalType,
)

NULL_TEXT = "NULL"


def to_text(value: pl.Expr, data_type: DataType, session: SessionContext) -> pl.Expr:
    """The text of a value of `data_type`; NULL stays NULL (inside arrays, maps and rows it becomes the word NULL)."""
    match data_type:
        case CharacterType():
            return value
        case NullType():
            return pl.lit(None, dtype=pl.String)
        case BooleanType():
            return pl.when(value).then(pl.lit("TRUE")).when(~value).then(pl.lit("FALSE"))
        case FractionalType():
            return value.map_batches(float_text, return_dtype=pl.String(), is_elementwise=True)
        case BinaryStringType():
            return decode_utf8(value)
        case TimeType(precision=precision):
            return _time_text(value, precision)
        case LocalZonedTimestampType(precision=precision):
            return timestamp_text(to_wall_clock(value, session.time_zone), precision)
        case TimestampType(precision=precision):
            return timestamp_text(value, precision)
        case YearMonthIntervalType():
            return _months_text(value)
        case DayTimeIntervalType():
            return _duration_text(value)
        case ArrayType() | MapType() | MultisetType() | RowType():
            return _nested_text(value, data_type, session)
        case BitmapType():
            members = value.list.eval(pl.element().cast(pl.String)).list.join(",")
            return pl.concat_str([pl.lit("{"), members, pl.lit("}")])
        case _:
            return value.cast(pl.String)


def _nested_text(value: pl.Expr, data_type: DataType, session: SessionContext) -> pl.Expr:
    def shown(part: pl.Expr, part_type: DataType) -> pl.Expr:
        return to_text(part, part_type, session).fill_null(NULL_TEXT)

    match data_type:
        case ArrayType(element_type=element):
            return pl.format("[{}]", value.list.eval(shown(pl.element(), element)).list.join(", "))
        case MapType(key_type=key, value_type=item):
            return _entries_text(value, lambda e: (shown(e.struct.field("key"), key), shown(e.struct.field("value"), item)))
        case MultisetType(element_type=element):
            return _entries_text(
                value, lambda e: (shown(e.struct.field("key"), element), e.struct.field("value").cast(pl.String))
            )
        case RowType(fields=fields):
            parts = [shown(value.struct.field(f.name), f.data_type) for f in fields]
            if isinstance(data_type, StructuredType):
                parts = [pl.concat_str([pl.lit(f"{f.name}="), part]) for f, part in zip(fields, parts, strict=True)]
            joined = pl.concat_str(parts, separator=", ") if parts else pl.lit("")
            return pl.when(value.is_not_null()).then(pl.format("({})", joined))
    raise AssertionError(data_type)


def _entries_text(value: pl.Expr, parts: Callable[[pl.Expr], tuple[pl.Expr, pl.Expr]]) -> pl.Expr:
    key, item = parts(pl.element())
    entries = value.list.eval(pl.concat_str([key, pl.lit("="), item])).list.join(", ")
    return pl.concat_str([pl.lit("{"), entries, pl.lit("}")])


def float_text(values: pl.Series) -> pl.Series:
    """Numbers as Java prints them: 1.0, 1.0E7, 9.9E-4, NaN, Infinity.

    >>> float_text(pl.Series([1.0, 1e7, 0.001, float("inf")])).to_list()
    ['1.0', '1.0E7', '0.001', 'Infinity']
    """
    size = values.abs()
    is_plain = ((size >= 1e-3) & (size < 1e7)) | (size == 0)
    plain = values.cast(pl.String)
    if bool(is_plain.fill_null(True).all()):
        return plain
    odd = values.filter(~is_plain.fill_null(True)).unique()
    bits = 24 if values.dtype == pl.Float32 else 53
    texts = {
        text: _java_float(_all_digits(int(number), bits) if 2**bits < abs(number) < 2**63 else text)
        for text, number in zip(odd.cast(pl.String).to_list(), odd.to_list(), strict=True)
    }
    replaced = plain.replace_strict(list(texts), list(texts.values()), default=plain, return_dtype=pl.String)
    return replaced.alias(values.name)


def _all_digits(number: int, significant_bits: int) -> str:
    """The digits of a whole number beyond the mantissa: Java keeps all but those that the mantissa says nothing about."""
    unknown_bits = abs(number).bit_length() - significant_bits - 2
    unknown = len(str(2**unknown_bits)) - 1 if unknown_bits > 1 else 0
    kept = (abs(number) + 10**unknown // 2) // 10**unknown
    return f"{'-' if number < 0 else ''}{kept}E{unknown}"


_NOT_SHORTEST = {"NaN": "NaN", "inf": "Infinity", "-inf": "-Infinity", "5e-324": "4.9E-324", "-5e-324": "-4.9E-324"}


def _java_float(text: str) -> str:
    """The text of a number whose size is below 0.001 or at least 10 million, from its shortest decimal text."""
    if text in _NOT_SHORTEST:
        return _NOT_SHORTEST[text]
    from decimal import Decimal

    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits)).rstrip("0") or "0"
    power = len(digits) - 1 + exponent
    return f"{'-' if sign else ''}{shown[0]}.{shown[1:] or '0'}E{power}"


def decode_utf8(value: pl.Expr) -> pl.Expr:
    """Bytes as UTF-8 text, where bytes that are none become U+FFFD."""

    def decode(values: pl.Series) -> pl.Series:
        try:
            return values.cast(pl.String)
        except pl.exceptions.PolarsError:
            texts = [None if v is None else v.decode("utf-8", "replace") for v in values.to_list()]
            return pl.Series(values.name, texts, dtype=pl.String)

    return value.map_batches(decode, return_dtype=pl.String(), is_elementwise=True)


def timestamp_text(value: pl.Expr, precision: int) -> pl.Expr:
    """A wall-clock timestamp with `precision` digits of the second."""
    return value.cast(pl.String).str.slice(0, 20 + precision if precision else 19)


def _time_text(value: pl.Expr, precision: int) -> pl.Expr:
    whole = value.dt.strftime("%H:%M:%S")
    if precision == 0:
        return whole
    digits = value.dt.strftime("%9f").str.slice(0, min(precision, 3)).str.strip_chars_end("0")
    shown = pl.when(digits == "").then(pl.lit("0")).otherwise(digits)
    return pl.concat_str([whole, pl.lit("."), shown])


def _months_text(months: pl.Expr) -> pl.Expr:
    size = months.abs()
    sign = pl.when(months < 0).then(pl.lit("-")).otherwise(pl.lit("+"))
    return pl.format("{}{}-{}", sign, size // 12, _two_digits(size % 12))


def _two_digits(number: pl.Expr) -> pl.Expr:
    return number.cast(pl.Int64).cast(pl.String).str.zfill(2)


def _duration_text(duration: pl.Expr) -> pl.Expr:
    millis = duration.cast(pl.Int64)
    size = millis.abs()
    sign = pl.when(millis < 0).then(pl.lit("-")).otherwise(pl.lit("+"))
    return pl.format(
        "{}{} {}:{}:{}.{}",
        sign,
        size // 86_400_000,
        _two_digits(size // 3_600_000 % 24),
        _two_digits(size // 60_000 % 60),
        _two_digits(size // 1000 % 60),
        (size % 1000).cast(pl.String).str.zfill(3),
    )
