"""Arithmetic of dates, times, timestamps and intervals, and cutting them to a unit.

Day-time intervals are Duration("ms"), year-month intervals are Int32 months. Adding months keeps the day of the month, or takes
the last day of a shorter month (Flink). May import types and the sibling helpers.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tableapi.errors import TypeMismatchError
from tableapi.functions.registry import LoweringCall, Resolved
from tableapi.functions.signatures import INTERVAL, NUMBER, TEMPORAL, keyword, param, signature
from tableapi.plan.rex import Rex
from tableapi.plan.typing import common_type
from tableapi.types import (
    AnyTimestampType,
    DataType,
    DateType,
    DayTimeIntervalType,
    IntervalUnit,
    NullType,
    TimestampType,
    TimeType,
    YearMonthIntervalType,
)

UNITS = (
    "MILLENNIUM",
    "CENTURY",
    "DECADE",
    "YEAR",
    "QUARTER",
    "MONTH",
    "WEEK",
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "MILLISECOND",
    "MICROSECOND",
    "NANOSECOND",
)
UNIT_NANOSECONDS = {
    "DAY": 86_400_000_000_000,
    "HOUR": 3_600_000_000_000,
    "MINUTE": 60_000_000_000,
    "SECOND": 1_000_000_000,
    "MILLISECOND": 1_000_000,
    "MICROSECOND": 1_000,
    "NANOSECOND": 1,
}
_TEMPORAL_TYPES = (DateType, TimeType, AnyTimestampType)
_INTERVAL_TYPES = (YearMonthIntervalType, DayTimeIntervalType)
DAY_MS = 86_400_000


def is_temporal(call: LoweringCall) -> bool:
    """Whether the operator works on times or intervals rather than on numbers."""
    return any(isinstance(a.type, _TEMPORAL_TYPES + _INTERVAL_TYPES) for a in call.args)


def moved_type(moment: DataType, unit_is_finer_than_day: bool) -> DataType:
    """Type of a time plus an interval: a DATE moved by hours or less becomes a TIMESTAMP(6)."""
    if isinstance(moment, DateType) and unit_is_finer_than_day:
        return TimestampType(6, is_nullable=moment.is_nullable)
    return moment


def PLUS(args: Sequence[Rex]) -> Resolved:
    """time + interval, interval + time, interval + interval."""
    if len(args) == 2 and isinstance(args[0].type, _INTERVAL_TYPES) and isinstance(args[1].type, _TEMPORAL_TYPES):
        swapped = PLUS((args[1], args[0]))
        return Resolved((swapped.arg_types[1], swapped.arg_types[0]), swapped.result)
    return _time_or_interval_and_interval(args)


def MINUS(args: Sequence[Rex]) -> Resolved:
    """time - interval, interval - interval, time - time."""
    if len(args) == 2 and all(isinstance(a.type, _TEMPORAL_TYPES) for a in args):
        common = common_type([a.type for a in args])
        if common is None:
            raise TypeMismatchError("the two times have no common type", fix="cast one of them")
        nullable = any(a.type.is_nullable for a in args)
        kind = IntervalUnit.DAY if isinstance(common, DateType) else IntervalUnit.SECOND
        return Resolved(
            (common, common),
            DayTimeIntervalType(IntervalUnit.DAY if kind == IntervalUnit.DAY else kind, kind, is_nullable=nullable),
        )
    return _time_or_interval_and_interval(args)


def _time_or_interval_and_interval(args: Sequence[Rex]) -> Resolved:
    if not any(isinstance(a.type, _TEMPORAL_TYPES + _INTERVAL_TYPES) for a in args):
        raise TypeMismatchError("a time or an interval is needed")
    if isinstance(args[0].type, _INTERVAL_TYPES):
        checked = signature(INTERVAL, INTERVAL, result=lambda types: types[0])(args)
        merged = common_type(checked.arg_types)
        if merged is None:
            raise TypeMismatchError("a year-month and a day-time interval cannot be added", fix="add them to a time one by one")
        return Resolved((merged, merged), merged.with_nullability(checked.result.is_nullable))
    return signature(TEMPORAL, _ADDED, result=lambda types: types[0])(args)


_ADDED = param("an interval", DayTimeIntervalType, YearMonthIntervalType, null_as=DayTimeIntervalType())


def TIMES(args: Sequence[Rex]) -> Resolved:
    """interval * number, number * interval."""
    if args and isinstance(args[0].type, _INTERVAL_TYPES):
        return signature(INTERVAL, NUMBER, result=lambda types: types[0])(args)
    if len(args) == 2 and isinstance(args[1].type, _INTERVAL_TYPES):
        return signature(NUMBER, INTERVAL, result=lambda types: types[1])(args)
    raise TypeMismatchError("an interval is needed")


def DIVIDE(args: Sequence[Rex]) -> Resolved:
    """interval / number."""
    if args and isinstance(args[0].type, _INTERVAL_TYPES):
        return signature(INTERVAL, NUMBER, result=lambda types: types[0])(args)
    raise TypeMismatchError("an interval is needed")


def FLOOR_TO_UNIT(args: Sequence[Rex]) -> Resolved:
    """A time and a unit word."""
    if len(args) != 2:
        raise TypeMismatchError("a time and a unit are needed")
    checked = signature(TEMPORAL, result=lambda types: types[0])(args[:1])
    keyword(args, 1, UNITS)
    return Resolved((*checked.arg_types, args[1].type), checked.result)


def add(args: Sequence[pl.Expr], call: LoweringCall, sign: int) -> pl.Expr:
    """Lowering of + and - on times and intervals."""
    left, right = call.args[0].type, call.args[1].type
    if isinstance(left, _INTERVAL_TYPES) and isinstance(right, _TEMPORAL_TYPES):
        return move(args[1], right, args[0], left, call.type, 1)
    if isinstance(right, _INTERVAL_TYPES) and isinstance(left, _TEMPORAL_TYPES):
        return move(args[0], left, args[1], right, call.type, sign)
    if isinstance(left, _TEMPORAL_TYPES):
        return (as_clock(args[0], left) - as_clock(args[1], right)).cast(pl.Duration("ms"))
    return args[0] + args[1] if sign > 0 else args[0] - args[1]


def as_clock(value: pl.Expr, data_type: DataType) -> pl.Expr:
    """A value whose differences are durations: TIME becomes the duration since midnight, DATE its midnight."""
    if isinstance(data_type, TimeType):
        return value.cast(pl.Duration("ns"))
    return value.cast(pl.Datetime("ms")) if isinstance(data_type, DateType) else value


def move(
    moment: pl.Expr, moment_type: DataType, interval: pl.Expr, interval_type: DataType, result: DataType, sign: int
) -> pl.Expr:
    """`moment` plus (or, with `sign` -1, minus) an interval. A DATE that stays one moves by the interval's whole days (Flink)."""
    signed = interval if sign > 0 else -interval
    if isinstance(interval_type, YearMonthIntervalType):
        return add_months(moment, moment_type, signed)
    if isinstance(moment_type, TimeType):
        shifted = (moment.cast(pl.Int64) + signed.cast(pl.Int64) * 1_000_000) % UNIT_NANOSECONDS["DAY"]
        return shifted.cast(pl.Time)
    if isinstance(moment_type, DateType):
        if isinstance(result, DateType):
            return moment + signed.dt.total_days() * pl.duration(days=1)
        return (moment.cast(pl.Datetime("ms")) + signed).cast(result.to_polars())
    dtype = moment_type.to_polars()
    assert isinstance(dtype, pl.Datetime)
    return moment + signed.cast(pl.Duration(dtype.time_unit))


def add_months(moment: pl.Expr, data_type: DataType, months: pl.Expr) -> pl.Expr:
    """`moment` moved by a number of months; the day of the month is cut to the last one of a shorter month."""
    if isinstance(data_type, TimeType):
        return moment
    return moment.dt.offset_by(pl.format("{}mo", months))


def multiply(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    """Lowering of interval * number, number * interval, interval / number."""
    is_first = isinstance(call.args[0].type, _INTERVAL_TYPES)
    interval, number = (args[0], args[1]) if is_first else (args[1], args[0])
    units = interval.cast(pl.Int64)
    from tableapi.types import IntegralType

    number_type = call.args[1 if is_first else 0].type
    whole = isinstance(number_type, IntegralType | NullType)
    factor = number.cast(pl.Int64) if whole else number.cast(pl.Float64)
    return units * factor


def divide(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    """Lowering of interval / number."""
    return (args[0].cast(pl.Int64) / args[1].cast(pl.Float64)).truncate()


def floor_to_unit(args: Sequence[pl.Expr], call: LoweringCall, direction: int) -> pl.Expr:
    """Lowering of FLOOR and CEIL of a time to a unit (weeks start on Sunday)."""
    unit = str(call.constant(1)).upper()
    source = call.args[0].type
    value = args[0]
    if isinstance(source, TimeType):
        return _floor_time(value, unit, direction)
    if isinstance(source, DateType) and unit in UNIT_NANOSECONDS:
        return value
    floor = floor_date(value, unit)
    if direction < 0:
        return floor
    if unit == "DECADE":
        # Flink: also of the first day of a decade.
        return next_unit(floor, unit)
    reached = value.dt.truncate("1d") if unit in _CALENDAR_UNITS else value
    return pl.when(floor == reached).then(floor).otherwise(next_unit(floor, unit))


def _floor_time(value: pl.Expr, unit: str, direction: int) -> pl.Expr:
    size = UNIT_NANOSECONDS.get(unit, UNIT_NANOSECONDS["DAY"])
    nanos = value.cast(pl.Int64)
    if direction > 0:
        nanos = nanos + (size - 1)
    return ((nanos // size * size) % UNIT_NANOSECONDS["DAY"]).cast(pl.Time)


_POLARS_UNITS = {
    "YEAR": "1y",
    "QUARTER": "1q",
    "MONTH": "1mo",
    "DAY": "1d",
    "HOUR": "1h",
    "MINUTE": "1m",
    "SECOND": "1s",
    "MILLISECOND": "1ms",
    "MICROSECOND": "1us",
    "NANOSECOND": "1ns",
}
_CALENDAR_UNITS = ("MILLENNIUM", "CENTURY", "DECADE", "YEAR", "QUARTER", "MONTH", "WEEK")
"""Units whose CEIL looks at the day only: any time on the first day of a week is that week's start (Flink)."""
_YEARS = {"MILLENNIUM": (1000, 1), "CENTURY": (100, 1), "DECADE": (10, 0)}


def floor_date(value: pl.Expr, unit: str) -> pl.Expr:
    """Start of the unit that a date or timestamp is in."""
    if unit == "WEEK":
        return value.dt.offset_by("1d").dt.truncate("1w").dt.offset_by("-1d")
    if unit in _YEARS:
        size, first = _YEARS[unit]
        year = value.dt.year().cast(pl.Int64)
        start = (year - first) // size * size + first
        return value.dt.truncate("1y").dt.offset_by(pl.format("{}y", start - year))
    return value.dt.truncate(_POLARS_UNITS[unit])


def next_unit(start: pl.Expr, unit: str) -> pl.Expr:
    """Start of the unit after the one that begins at `start`."""
    if unit == "WEEK":
        return start.dt.offset_by("7d")
    if unit in _YEARS:
        return start.dt.offset_by(f"{_YEARS[unit][0]}y")
    return start.dt.offset_by(_POLARS_UNITS[unit])
