"""How Flink reads values from text: what CAST of a string accepts.

A text that is not a value gives NULL here; the caller decides. Polars expressions throughout.
"""

from __future__ import annotations

import polars as pl

from tableapi.functions import decimals
from tableapi.functions.fast_parse import timestamps, with_fallback
from tableapi.functions.registry import SessionContext
from tableapi.functions.zones import to_instant
from tableapi.types import (
    AnyTimestampType,
    BinaryStringType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    FractionalType,
    IntegralType,
    LocalZonedTimestampType,
    TimestampType,
    TimeType,
)

TRUE_WORDS = ("t", "true", "y", "yes", "1")
FALSE_WORDS = ("f", "false", "n", "no", "0")
_BLANKS = " "


def from_text(text: pl.Expr, data_type: DataType, session: SessionContext) -> pl.Expr:
    """The value of `data_type` that a text denotes, or NULL."""
    match data_type:
        case BooleanType():
            return _boolean(text)
        case IntegralType():
            return _integer(text, data_type)
        case FractionalType():
            return parse_double(text).cast(data_type.to_polars())
        case DecimalType():
            return parse_decimal(text, data_type)
        case BinaryStringType():
            return text.cast(pl.Binary)
        case DateType():
            return parse_date(text)
        case TimeType():
            return parse_time(text)
        case TimestampType():
            return _with_digits(parse_timestamp(text), text, data_type)
        case LocalZonedTimestampType():
            return _with_digits(to_instant(parse_timestamp(text), session.time_zone), text, data_type)
    raise AssertionError(data_type)


def _with_digits(read: pl.Expr, text: pl.Expr, data_type: AnyTimestampType) -> pl.Expr:
    """A timestamp read to the microsecond, with as many digits of the second as the type has."""
    made = truncate_fraction(read, data_type.precision).cast(data_type.to_polars())
    return made + nanos_beyond_micros(text, data_type.precision - 6) if data_type.precision > 6 else made


def nanos_beyond_micros(text: pl.Expr, digits: int = 3) -> pl.Expr:
    """The seventh to ninth digit of a second at the end of a text."""
    shown = text.str.extract(r"\.[0-9]{6}([0-9]{1,3})", 1).str.slice(0, digits).str.pad_end(3, "0")
    return pl.duration(nanoseconds=shown.cast(pl.Int64, strict=False).fill_null(0), time_unit="ns")


def _boolean(text: pl.Expr) -> pl.Expr:
    word = text.str.to_lowercase()
    return pl.when(word.is_in(TRUE_WORDS)).then(True).when(word.is_in(FALSE_WORDS)).then(False)


def _integer(text: pl.Expr, data_type: DataType) -> pl.Expr:
    dtype = data_type.to_polars()

    def read(texts: pl.Series) -> pl.Series:
        return with_fallback(texts, texts.str.strip_chars(_BLANKS).cast(dtype, strict=False), slow)

    def slow(rest: pl.Expr) -> pl.Expr:
        return _unusual_integer(rest, dtype)

    return text.map_batches(read, return_dtype=dtype, is_elementwise=True)


def _unusual_integer(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """An integer with a fraction, which is cut off."""
    trimmed = text.str.strip_chars(_BLANKS)
    is_number = trimmed.str.contains(r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]*)$")
    whole = trimmed.str.extract(r"^\+?(-?[0-9]+)").fill_null("0")
    return pl.when(is_number).then(whole).cast(dtype, strict=False)


_DOUBLE = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?$"


def parse_double(text: pl.Expr) -> pl.Expr:
    """A DOUBLE from text as Java's Double.valueOf reads it (`1e3`, `1.5d`, `NaN`, `-Infinity`)."""

    def read(texts: pl.Series) -> pl.Series:
        plain = texts.cast(pl.Float64, strict=False)
        fast = pl.DataFrame({"x": plain}).select(pl.when(pl.col("x").is_finite()).then(pl.col("x")))["x"]
        return with_fallback(texts, fast, _unusual_double)

    return text.map_batches(read, return_dtype=pl.Float64(), is_elementwise=True)


def _unusual_double(text: pl.Expr) -> pl.Expr:
    trimmed = text.str.strip_chars()
    number = pl.when(trimmed.str.contains(_DOUBLE)).then(trimmed.str.strip_chars_end("dDfF").str.strip_chars_start("+"))
    special = trimmed.str.replace(r"^\+", "").replace_strict(
        ["NaN", "-NaN", "Infinity", "-Infinity"],
        [float("nan"), float("nan"), float("inf"), float("-inf")],
        default=None,
        return_dtype=pl.Float64,
    )
    return pl.coalesce(number.cast(pl.Float64, strict=False), special)


_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def parse_decimal(text: pl.Expr, data_type: DecimalType) -> pl.Expr:
    """A DECIMAL from text (rounded HALF_UP); NULL when it is no number or too large."""
    trimmed = text.str.strip_chars(_BLANKS)
    is_number = trimmed.str.contains(_NUMBER)
    read = DecimalType(38, 38 - (data_type.precision - data_type.scale))
    number = pl.when(is_number).then(trimmed.str.strip_chars_start("+")).cast(read.to_polars(), strict=False)
    return decimals.to_decimal(number, read, data_type)


def _days_in_month(year: pl.Expr, month: pl.Expr) -> pl.Expr:
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return (
        pl.when(month == 2)
        .then(pl.when(is_leap).then(29).otherwise(28))
        .when(month.is_in([4, 6, 9, 11]))
        .then(30)
        .otherwise(31)
    )


def make_date(year: pl.Expr, month: pl.Expr, day: pl.Expr, *, is_lenient: bool) -> pl.Expr:
    """A DATE from its parts; NULL when it does not exist.

    `is_lenient`: days up to 31 are cut to the month's last one (Java's SMART resolution).
    """
    last = _days_in_month(year, month)
    day = pl.when(day <= 31).then(pl.min_horizontal(day, last)) if is_lenient else day
    exists = year.is_between(0, 9999) & month.is_between(1, 12) & (day >= 1) & (day <= last)
    return pl.when(exists).then(
        pl.date(
            pl.when(exists).then(year).otherwise(1970),
            pl.when(exists).then(month).otherwise(1),
            pl.when(exists).then(day).otherwise(1),
        )
    )


def _group(text: pl.Expr, pattern: str, index: int) -> pl.Expr:
    return text.str.extract(pattern, index).cast(pl.Int32, strict=False)


_DATE = r"^\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?)?$"


def parse_date(text: pl.Expr) -> pl.Expr:
    """A DATE from `yyyy[-M[-d]]`, of which anything after a blank is ignored."""

    def read(texts: pl.Series) -> pl.Series:
        return with_fallback(texts, timestamps(texts).dt.date(), _unusual_date)

    return text.map_batches(read, return_dtype=pl.Date(), is_elementwise=True)


def _unusual_date(text: pl.Expr) -> pl.Expr:
    day_part = text.str.replace(r"^([^ ]+) .*$", "${1}")
    year, month, day = (_group(day_part, _DATE, i) for i in (1, 2, 3))
    is_date = day_part.str.contains(_DATE)
    return pl.when(is_date).then(make_date(year, month.fill_null(1), day.fill_null(1), is_lenient=False))


_TIME = r"^\s*([0-9]{1,9})\s*(?::\s*([0-9]{1,9})\s*(?::\s*([0-9]{1,9})(?:\.([0-9]+))?\s*)?)?$"


def parse_time(text: pl.Expr) -> pl.Expr:
    """A TIME from `H[:m[:s[.fraction]]]`; milliseconds are kept."""
    hour, minute, second = (_group(text, _TIME, i).fill_null(0).cast(pl.Int64) for i in (1, 2, 3))
    millis = _fraction_nanos(text.str.extract(_TIME, 4)) // 1_000_000
    exists = text.str.contains(_TIME) & (hour < 24) & (minute < 60) & (second < 60)
    nanos = ((hour * 60 + minute) * 60 + second) * 1_000_000_000 + millis * 1_000_000
    return pl.when(exists).then(nanos).cast(pl.Time)


def _fraction_nanos(digits: pl.Expr) -> pl.Expr:
    padded = digits.fill_null("0").str.slice(0, 9).str.pad_end(9, "0")
    return padded.cast(pl.Int64, strict=False)


_STAMP = r"^([0-9]{4,9})-([0-9]{1,2})-([0-9]{1,2})(?: ([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.([0-9]{0,9}))?)?$"


def parse_timestamp(text: pl.Expr) -> pl.Expr:
    """A wall-clock timestamp (Datetime us) from `yyyy-M-d[ H:m:s[.fraction]]`."""

    def read(texts: pl.Series) -> pl.Series:
        return with_fallback(texts, timestamps(texts), _unusual_timestamp)

    return text.map_batches(read, return_dtype=pl.Datetime("us"), is_elementwise=True)


def _unusual_timestamp(text: pl.Expr) -> pl.Expr:
    year, month, day, hour, minute, second = (_group(text, _STAMP, i) for i in range(1, 7))
    date = make_date(year, month, day, is_lenient=True)
    hour, minute, second = (part.fill_null(0).cast(pl.Int64) for part in (hour, minute, second))
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000
    fraction = text.str.extract(_STAMP, 7)
    micros = micros + _fraction_nanos(pl.when(fraction != "").then(fraction)) // 1000
    is_midnight = (hour == 24) & (micros == 86_400_000_000)
    exists = ((hour < 24) & (minute < 60) & (second < 60) | is_midnight) & text.str.contains(_STAMP)
    return pl.when(exists).then(date.cast(pl.Datetime("us")) + micros.cast(pl.Duration("us")))


_UNITS_IN_MICROS = {0: 1_000_000, 1: 100_000, 2: 10_000, 3: 1000, 4: 100, 5: 10}


def truncate_fraction(value: pl.Expr, precision: int) -> pl.Expr:
    """A timestamp with only `precision` digits of the second kept."""
    unit = _UNITS_IN_MICROS.get(precision)
    return value if unit is None else value.dt.truncate(f"{unit}us")
