"""EXTRACT: the parts of dates, times, timestamps and intervals."""

from __future__ import annotations

import polars as pl

from tableapi.functions.zones import to_wall_clock
from tableapi.types import (
    DataType,
    DateType,
    DayTimeIntervalType,
    LocalZonedTimestampType,
    TimeType,
    YearMonthIntervalType,
)

MONTH_INTERVAL_UNITS = ("YEAR", "QUARTER", "MONTH")
DAY_INTERVAL_UNITS = ("DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "EPOCH")
EXTRACT_UNITS = (
    "MILLENNIUM",
    "CENTURY",
    "DECADE",
    "YEAR",
    "ISOYEAR",
    "QUARTER",
    "MONTH",
    "WEEK",
    "DOY",
    "DOW",
    "ISODOW",
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "MILLISECOND",
    "MICROSECOND",
    "NANOSECOND",
    "EPOCH",
)


def extract(unit: str, value: pl.Expr, data_type: DataType, zone: str) -> pl.Expr:
    """One part as Int64. Seconds have no fraction; the finer units do not hold whole seconds (Flink)."""
    if isinstance(data_type, YearMonthIntervalType):
        return _of_months(unit, value.cast(pl.Int64))
    if isinstance(data_type, DayTimeIntervalType):
        return _of_duration(unit, value.cast(pl.Int64))
    if isinstance(data_type, TimeType):
        return _of_day(unit, value.cast(pl.Int64))
    if unit == "EPOCH":
        return value.cast(pl.Datetime("ms")).cast(pl.Int64) // 1000 if isinstance(data_type, DateType) else value.dt.epoch("s")
    wall = to_wall_clock(value, zone) if isinstance(data_type, LocalZonedTimestampType) else value
    if unit in ("HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "NANOSECOND"):
        if isinstance(data_type, DateType):
            return pl.when(value.is_not_null()).then(pl.lit(0, dtype=pl.Int64))
        return _of_day(unit, wall.dt.time().cast(pl.Int64))
    return _of_date(unit, wall).cast(pl.Int64)


def _of_date(unit: str, value: pl.Expr) -> pl.Expr:
    year = value.dt.year().cast(pl.Int64)
    match unit:
        case "MILLENNIUM":
            return (year + 999) // 1000
        case "CENTURY":
            return (year + 99) // 100
        case "DECADE":
            return year // 10
        case "YEAR":
            return year
        case "ISOYEAR":
            return value.dt.iso_year()
        case "QUARTER":
            return value.dt.quarter()
        case "MONTH":
            return value.dt.month()
        case "WEEK":
            return value.dt.week()
        case "DOY":
            return value.dt.ordinal_day()
        case "DOW":
            return value.dt.weekday() % 7 + 1
        case "ISODOW":
            return value.dt.weekday()
    return value.dt.day()


def _of_day(unit: str, nanos: pl.Expr) -> pl.Expr:
    match unit:
        case "HOUR":
            return nanos // 3_600_000_000_000
        case "MINUTE":
            return nanos // 60_000_000_000 % 60
        case "SECOND":
            return nanos // 1_000_000_000 % 60
        case "MILLISECOND":
            return nanos % 1_000_000_000 // 1_000_000
        case "MICROSECOND":
            return nanos % 1_000_000_000 // 1000
        case "NANOSECOND":
            return nanos % 1_000_000_000
        case "EPOCH":
            return nanos // 1_000_000_000
    return pl.when(nanos.is_not_null()).then(pl.lit(0, dtype=pl.Int64))


def _of_months(unit: str, months: pl.Expr) -> pl.Expr:
    match unit:
        case "YEAR":
            return months.truncdiv(12)
        case "QUARTER":
            return (months - months.truncdiv(12) * 12).truncdiv(3) + 1
        case "MONTH":
            return months - months.truncdiv(12) * 12
    return pl.when(months.is_not_null()).then(pl.lit(0, dtype=pl.Int64))


_SIZES = {
    "DAY": (86_400_000, None),
    "HOUR": (3_600_000, 24),
    "MINUTE": (60_000, 60),
    "SECOND": (1000, 60),
    "MILLISECOND": (1, 1000),
    "EPOCH": (1000, None),
}


def _of_duration(unit: str, millis: pl.Expr) -> pl.Expr:
    if unit == "MICROSECOND":
        return _of_duration("MILLISECOND", millis) * 1000
    if unit not in _SIZES:
        return pl.when(millis.is_not_null()).then(pl.lit(0, dtype=pl.Int64))
    size, modulus = _SIZES[unit]
    whole = millis.truncdiv(size)
    return whole if modulus is None else whole - whole.truncdiv(modulus) * modulus
