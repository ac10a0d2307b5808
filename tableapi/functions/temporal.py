"""Functions of dates, times and timestamps. TIMESTAMP_LTZ is taken apart and shown in the session time zone.

May import types, plan.typing and the sibling helpers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import polars as pl

from tableapi.errors import TypeMismatchError, UnsupportedError, ValidationError
from tableapi.functions import intervals
from tableapi.functions.checks import fail_unread
from tableapi.functions.datetime_patterns import (
    DEFAULT_PATTERN,
    format_simply,
    format_timestamp,
    varying_pattern,
    zoned_format,
)
from tableapi.functions.extract import DAY_INTERVAL_UNITS, EXTRACT_UNITS, MONTH_INTERVAL_UNITS, extract
from tableapi.functions.registry import LoweringCall, Resolved, ScalarFunction, Signature
from tableapi.functions.signatures import (
    ANY_TIMESTAMP,
    AS_BIGINT,
    AS_INT,
    INTERVAL,
    TEMPORAL,
    TEXT,
    Param,
    _check_count,
    keyword,
    merge,
    overload,
    signature,
)
from tableapi.functions.text_parse import nanos_beyond_micros, parse_date, parse_timestamp
from tableapi.functions.zones import is_zone, lenient_zone, to_instant, to_wall_clock
from tableapi.plan.rex import Rex
from tableapi.types import (
    AnyTimestampType,
    BigIntType,
    BooleanType,
    CharacterType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    FractionalType,
    IntType,
    LocalZonedTimestampType,
    NumericType,
    TimestampType,
    TimeType,
    VarCharType,
    YearMonthIntervalType,
)

STRING = VarCharType()
BIGINT = BigIntType()
_INTERVALS = (YearMonthIntervalType, DayTimeIntervalType)


def _extract_signature(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 2, 2)
    units = {YearMonthIntervalType: MONTH_INTERVAL_UNITS, DayTimeIntervalType: DAY_INTERVAL_UNITS}
    keyword(args, 0, units.get(type(args[1].type), EXTRACT_UNITS))
    checked = overload(signature(TEMPORAL, result=BIGINT), signature(INTERVAL, result=BIGINT))(args[1:])
    return Resolved((args[0].type, *checked.arg_types), checked.result)


def _extract(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return extract(str(call.constant(0)).upper(), args[1], call.args[1].type, call.session.time_zone)


def _part(name: str, unit: str, doc: str) -> ScalarFunction:
    return ScalarFunction(
        name,
        signature(TEMPORAL, result=BIGINT),
        lambda args, call: extract(unit, args[0], call.args[0].type, call.session.time_zone),
        doc,
        category="temporal",
    )


_FINER_THAN_DAY = ("HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "NANOSECOND")
_MONTHS = {"MILLENNIUM": 12_000, "CENTURY": 1200, "DECADE": 120, "YEAR": 12, "QUARTER": 3, "MONTH": 1}
_FRACTION_DIGITS = {"MILLISECOND": 3, "MICROSECOND": 6, "NANOSECOND": 9}


def _add_signature(args: Sequence[Rex]) -> Resolved:
    """TIMESTAMPADD(unit, count, time)."""
    _check_count(len(args), 3, 3)
    unit = keyword(args, 0, intervals.UNITS)
    checked = signature(AS_BIGINT, TEMPORAL, result=lambda types: types[1])(args[1:])
    result = intervals.moved_type(checked.result, unit in _FINER_THAN_DAY)
    digits = _FRACTION_DIGITS.get(unit, 0)
    if isinstance(result, AnyTimestampType) and result.precision < digits:
        result = replace(result, precision=digits)  # type: ignore[call-arg]
    return Resolved((args[0].type, *checked.arg_types), result)


def _timestamp_add(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    unit, count, moment = str(call.constant(0)).upper(), args[1], args[2]
    source = call.args[2].type
    if unit in _MONTHS:
        return intervals.add_months(moment, source, count * _MONTHS[unit])
    size = intervals.UNIT_NANOSECONDS["DAY"] * 7 if unit == "WEEK" else intervals.UNIT_NANOSECONDS[unit]
    if isinstance(source, TimeType):
        return ((moment.cast(pl.Int64) + count * size) % intervals.UNIT_NANOSECONDS["DAY"]).cast(pl.Time)
    resolution = {"ms": 1_000_000, "us": 1000, "ns": 1}
    if isinstance(call.type, DateType):
        return moment + (count * (size // intervals.UNIT_NANOSECONDS["DAY"]) * intervals.DAY_MS).cast(pl.Duration("ms"))
    dtype = call.type.to_polars()
    assert isinstance(dtype, pl.Datetime)
    steps = count * size // resolution[dtype.time_unit]
    return moment.cast(dtype) + steps.cast(pl.Duration(dtype.time_unit))


def _diff_signature(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 3, 3)
    keyword(args, 0, intervals.UNITS)
    checked = signature(TEMPORAL, TEMPORAL, result=IntType())(args[1:])
    common = merge(list(checked.arg_types))
    return Resolved((args[0].type, common, common), checked.result)


def _timestamp_diff(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    unit, source = str(call.constant(0)).upper(), call.args[1].type
    start, end = (intervals.as_clock(a, source) for a in args[1:])
    if unit in _MONTHS and not isinstance(source, TimeType):
        return _months_between(start, end).truncdiv(_MONTHS[unit]).cast(pl.Int32)
    if unit == "NANOSECOND":
        return (end - start).dt.total_nanoseconds().cast(pl.Int32, wrap_numerical=True)
    if unit != "MICROSECOND" and not isinstance(source, TimeType):
        # Flink counts in milliseconds.
        start, end = (moment.dt.cast_time_unit("ms") for moment in (start, end))
    gap = end - start
    size = intervals.UNIT_NANOSECONDS["DAY"] * 7 if unit == "WEEK" else intervals.UNIT_NANOSECONDS.get(unit, 1)
    if unit == "MICROSECOND":
        return gap.dt.total_microseconds().cast(pl.Int32, wrap_numerical=True)
    millis = gap.dt.total_milliseconds()
    return millis.truncdiv(size // 1_000_000).cast(pl.Int32, wrap_numerical=True)


def _months_between(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    """Whole months from `start` to `end`; the last day of a shorter month completes a month (Flink)."""
    is_backwards = end.dt.date() < start.dt.date()
    early = pl.when(is_backwards).then(end.dt.date()).otherwise(start.dt.date())
    late = pl.when(is_backwards).then(start.dt.date()).otherwise(end.dt.date())
    months = (late.dt.year().cast(pl.Int64) - early.dt.year()) * 12 + late.dt.month() - early.dt.month()
    day = pl.min_horizontal(early.dt.day(), late.dt.month_end().dt.day())
    months = pl.when(late.dt.day() < day).then(months - 1).otherwise(months)
    signed = pl.when(is_backwards).then(-months).otherwise(months)
    landed = start.dt.date().dt.offset_by(pl.format("{}mo", signed))
    return pl.when((landed == end.dt.date()) & (end.dt.time() < start.dt.time())).then(signed - 1).otherwise(signed)


def _by_pattern(
    args: Sequence[pl.Expr], call: LoweringCall, index: int, apply: Callable[[pl.Expr, str], pl.Expr], dtype: pl.DataType
) -> pl.Expr:
    """`apply(first argument, pattern)`, where the pattern is the argument at `index` (left out: the default one)."""
    if index >= len(args):
        return apply(args[0], DEFAULT_PATTERN)
    if call.is_constant(index):
        pattern = call.constant(index)
        return pl.lit(None, dtype=dtype) if pattern is None else apply(args[0], pattern)

    def run(pairs: pl.Series) -> pl.Series:
        return varying_pattern(pairs.struct.field("x"), pairs.struct.field("p"), apply, dtype)

    pair = pl.struct(args[0].alias("x"), args[index].alias("p"))
    return pair.map_batches(run, return_dtype=dtype, is_elementwise=True)


def _read_lenient(text: pl.Expr, pattern: str) -> pl.Expr:
    """Texts read as Java's SimpleDateFormat reads them; loaded when a query does it."""
    from tableapi.functions.lenient_dates import parse_lenient

    return parse_lenient(text, pattern)


def _read_strict(text: pl.Expr, pattern: str) -> pl.Expr:
    """Texts read as Java's DateTimeFormatter reads them; loaded when a query does it."""
    from tableapi.functions.strict_dates import parse_or_plain

    return parse_or_plain(text, pattern)


def _date_format(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    source, zone = call.args[0].type, call.session.time_zone

    def apply(value: pl.Expr, pattern: str) -> pl.Expr:
        if isinstance(source, CharacterType):
            return format_simply(_read_lenient(value, DEFAULT_PATTERN).dt.replace_time_zone("UTC"), pattern, "UTC")
        if isinstance(source, LocalZonedTimestampType):
            return zoned_format(value, pattern, zone)
        return format_timestamp(value, pattern)

    return _by_pattern(args, call, 1, apply, pl.String())


def _to_date(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if len(args) == 1:
        return parse_date(args[0])
    return _by_pattern(args, call, 1, lambda x, p: _read_lenient(x, p).dt.date(), pl.Date())


def _to_timestamp(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    dtype = call.type.to_polars()
    if len(args) == 1:
        return parse_timestamp(args[0]).cast(dtype)
    return _by_pattern(args, call, 1, lambda x, p: _read_strict(x, p).cast(dtype), dtype)


_NUMERIC_TIME = Param("a number", lambda t: isinstance(t, NumericType), lambda t: t)


def _to_timestamp_ltz_signature(args: Sequence[Rex]) -> Resolved:
    """(number[, precision]) or (text[, pattern[, zone]])."""
    if args and isinstance(args[0].type, CharacterType):
        return _ltz_from_text_signature(args)
    checked = signature(_NUMERIC_TIME, AS_INT, optional=1, result=LocalZonedTimestampType(3), is_nullable=True)(args)
    digits = getattr(args[1], "value", None) if len(args) == 2 else None
    if isinstance(digits, int) and not 0 <= digits <= 9:
        raise TypeMismatchError(f"the precision {digits} is not from 0 to 9", where=args[1].where)
    if isinstance(digits, int) and digits > 3:
        return Resolved(checked.arg_types, LocalZonedTimestampType(digits))
    return checked


def _ltz_from_text_signature(args: Sequence[Rex]) -> Resolved:
    """The result has as many digits as the pattern shows, but at least three."""
    checked = signature(TEXT, TEXT, TEXT, optional=2, result=LocalZonedTimestampType(3), is_nullable=True)(args)
    pattern, zone = (getattr(a, "value", None) for a in (*args[1:], None, None)[:2])
    if isinstance(zone, str) and not is_zone(zone):
        raise TypeMismatchError(f"the time zone '{zone}' does not exist", where=args[2].where)
    if not isinstance(pattern, str):
        return checked
    try:
        from tableapi.functions.date_fields import fields

        digits = max((f.width for f in fields(pattern) if f.letter == "S"), default=0)
    except ValidationError as error:
        raise TypeMismatchError(error.what, where=args[1].where, fix=error.fix) from None
    return Resolved(checked.arg_types, LocalZonedTimestampType(min(max(digits, 3), 9)))


def _to_timestamp_ltz(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    dtype = call.type.to_polars()
    source = call.args[0].type
    if not isinstance(source, CharacterType):
        return _ltz_from_number(args, call)
    if len(args) == 1:
        text = call.guarded(args[0])
        read = to_instant(parse_timestamp(text), "UTC").cast(dtype)
        return fail_unread(text, read, dtype, "TO_TIMESTAMP_LTZ: '{value}' is no timestamp", fix="give a pattern, to get NULL")
    if len(args) == 2:
        return _ltz(_parsed(args, call), args[0], "UTC", call.type)
    zone = call.constant(2)
    if zone is None:
        if not call.is_constant(2):
            raise UnsupportedError(
                "TO_TIMESTAMP_LTZ with a zone that differs by row is not supported", fix="use a constant zone"
            )
        return pl.lit(None, dtype=dtype)
    return _ltz(_parsed(args, call), args[0], zone, call.type)


def _ltz(wall_clock: pl.Expr, text: pl.Expr, zone: str, data_type: DataType) -> pl.Expr:
    made = to_instant(wall_clock, zone).cast(data_type.to_polars())
    is_fine = isinstance(data_type, LocalZonedTimestampType) and data_type.precision > 6
    return made + nanos_beyond_micros(text) if is_fine else made


def _parsed(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _by_pattern(args, call, 1, _read_strict, pl.Datetime("us"))


_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
"""The years 1 to 9999: other instants are NULL."""


def _ltz_from_number(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    digits = call.constant(1, 3 if len(args) == 1 else None)
    source = call.args[0].type
    dtype = call.type.to_polars()
    assert isinstance(dtype, pl.Datetime)
    if digits is None and call.is_constant(1):
        return pl.lit(None, dtype=dtype)
    unit_digits = {"ms": 3, "us": 6, "ns": 9}[dtype.time_unit]
    known_digits = pl.lit(digits, dtype=pl.Int64) if digits is not None else args[1].cast(pl.Int64)
    seconds = args[0].cast(pl.Float64) / pl.lit(10.0).pow(known_digits)
    exists = (seconds >= _FIRST_SECOND) & (seconds < _LAST_SECOND + 1)
    if isinstance(source, FractionalType):
        scaled = args[0].cast(pl.Float64) * pl.lit(10.0).pow(unit_digits - known_digits)
        steps = pl.when(exists).then(scaled).truncate().cast(pl.Int64, strict=False)
    else:
        number = pl.when(exists).then(args[0].cast(pl.Float64).truncate() if isinstance(source, DecimalType) else args[0])
        power = pl.lit(10, dtype=pl.Int64).pow((unit_digits - known_digits).clip(0))
        cut = pl.lit(10, dtype=pl.Int64).pow((known_digits - unit_digits).clip(0))
        steps = number.cast(pl.Int64) * power // cut
    return steps.cast(pl.Datetime(dtype.time_unit)).dt.replace_time_zone("UTC")


_BAD_UNIX_TIME = -(2**63)


def _unix_timestamp(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if not args:
        return _now_micros(call) // 1_000_000
    zone = call.session.time_zone

    def apply(text: pl.Expr, pattern: str) -> pl.Expr:
        from tableapi.functions.date_fields import lenient_fields

        read = _read_lenient(text, pattern)
        has_zone = any(f.letter and f.letter in "zZX" for f in lenient_fields(pattern))
        seconds = to_instant(read, "UTC" if has_zone else zone).dt.epoch("ms").truncdiv(1000)
        return pl.when(text.is_not_null()).then(seconds.fill_null(_BAD_UNIX_TIME))

    return _by_pattern(args, call, 1, apply, pl.Int64())


def _from_unixtime(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    zone = call.session.time_zone

    def apply(seconds: pl.Expr, pattern: str) -> pl.Expr:
        instant = (seconds.cast(pl.Int64) * 1000).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
        return format_simply(instant, pattern, zone)

    return _by_pattern(args, call, 1, apply, pl.String())


def _convert_tz(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if call.is_constant(1) and call.is_constant(2):
        return _converted(args[0], call.constant(1), call.constant(2))

    def run(rows: pl.Series) -> pl.Series:
        frame = pl.DataFrame({f: rows.struct.field(f) for f in "xab"}).with_row_index("i")
        parts = [
            part.select("i", _converted(pl.col("x"), source, target).alias("r"))
            for (source, target), part in frame.group_by("a", "b")
        ]
        return pl.concat(parts).sort("i")["r"].alias(rows.name) if parts else pl.Series(rows.name, [], dtype=pl.String)

    packed = pl.struct(args[0].alias("x"), args[1].alias("a"), args[2].alias("b"))
    return packed.map_batches(run, return_dtype=pl.String(), is_elementwise=True)


def _converted(text: pl.Expr, source: object, target: object) -> pl.Expr:
    """A wall-clock time as text moved from one zone to another."""
    if source is None or target is None:
        return pl.lit(None, dtype=pl.String)
    zones = [lenient_zone(str(z)) for z in (source, target)]
    instant = to_instant(_read_lenient(text, DEFAULT_PATTERN), zones[0])
    return format_timestamp(to_wall_clock(instant, zones[1]), DEFAULT_PATTERN)


def _now_micros(call: LoweringCall) -> pl.Expr:
    """Microseconds since the epoch: the statement's start, or the clock when the expression is evaluated."""
    if call.session.statement_time_us:
        return pl.lit(call.session.statement_time_us, dtype=pl.Int64)
    return _clock_micros()


def _clock_micros() -> pl.Expr:
    def read(values: pl.Series) -> pl.Series:
        return pl.Series(values.name, [time.time_ns() // 1000] * len(values), dtype=pl.Int64)

    return pl.lit(0, dtype=pl.Int64).map_batches(read, return_dtype=pl.Int64(), returns_scalar=True)


def _instant(micros: pl.Expr) -> pl.Expr:
    return micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _current_timestamp(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _instant(_now_micros(call)).cast(call.type.to_polars())


def _current_watermark(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    """NULL in a bounded query, which has no watermarks (Flink)."""
    reached = call.session.watermark_ms
    if reached is None:
        return pl.lit(None, dtype=call.type.to_polars())
    instant = _instant(pl.lit(reached * 1000, dtype=pl.Int64))
    is_zoned = isinstance(call.type, LocalZonedTimestampType)
    return (instant if is_zoned else instant.dt.replace_time_zone(None)).cast(call.type.to_polars())


def _local_timestamp(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return to_wall_clock(_instant(_now_micros(call)), call.session.time_zone).cast(pl.Datetime("ms"))


def _current_date(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _local_timestamp(args, call).dt.date()


def _current_time(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _local_timestamp(args, call).dt.truncate("1s").dt.time()


def _only_in_ddl(name: str, fix: str) -> Callable[[Sequence[pl.Expr], LoweringCall], pl.Expr]:
    def lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        raise UnsupportedError(f"{name} cannot be evaluated here", fix=fix)

    return lower


def _overlaps_signature(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 4, 4)
    for index in (0, 2):
        _check_period(args[index], args[index + 1])
    moments = [a.type for a in args if not isinstance(a.type, _INTERVALS)]
    common = merge(moments)
    types = tuple(a.type if isinstance(a.type, _INTERVALS) else common for a in args)
    return Resolved(types, BooleanType(is_nullable=any(a.type.is_nullable for a in args)))


def _check_period(start: Rex, end: Rex) -> None:
    signature(TEMPORAL, Param("a time or an interval", lambda t: True, lambda t: t), result=BIGINT)((start, end))


def _overlaps(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    bounds = []
    for index in (0, 2):
        start, end = args[index], args[index + 1]
        moment, other = call.args[index].type, call.args[index + 1].type
        if isinstance(other, _INTERVALS):
            fine: DataType = TimestampType(3) if isinstance(moment, DateType) else moment
            end = intervals.move(start, moment, end, other, fine, 1)
            start = start.cast(fine.to_polars())
            end = end.cast(fine.to_polars())
        bounds.append((pl.min_horizontal(start, end), pl.max_horizontal(start, end), start, end))
    (a, b, s, e), (c, d, t, f) = bounds
    known = s.is_not_null() & e.is_not_null() & t.is_not_null() & f.is_not_null()
    return pl.when(known).then((b >= c) & (d >= a))


_LTZ = LocalZonedTimestampType(3, is_nullable=False)
_FORMATTED: Signature = overload(
    signature(ANY_TIMESTAMP, TEXT, result=STRING, is_nullable=True), signature(TEXT, TEXT, result=STRING, is_nullable=True)
)


def _clock(name: str, result: DataType, lower: Callable[..., pl.Expr], doc: str, **more: object) -> ScalarFunction:
    return ScalarFunction(
        name,
        signature(result=result),
        lower,
        doc,
        is_deterministic=False,
        category="temporal",
        **more,  # type: ignore[arg-type]
    )


FUNCTIONS: tuple[ScalarFunction, ...] = (
    ScalarFunction(
        "EXTRACT",
        _extract_signature,
        _extract,
        "A part of a time or interval as BIGINT: YEAR, QUARTER, MONTH, WEEK (ISO), DAY, HOUR, DOW (Sunday is 1), EPOCH, ...",
        api_name="extract",
        examples=(("EXTRACT(DAY FROM DATE '2024-02-29')", "29"),),
        category="temporal",
    ),
    _part("YEAR", "YEAR", "The year."),
    _part("QUARTER", "QUARTER", "The quarter, 1 to 4."),
    _part("MONTH", "MONTH", "The month, 1 to 12."),
    _part("WEEK", "WEEK", "The ISO week, 1 to 53."),
    _part("DAYOFYEAR", "DOY", "The day of the year, 1 to 366."),
    _part("DAYOFMONTH", "DAY", "The day of the month, 1 to 31."),
    _part("DAYOFWEEK", "DOW", "The day of the week, 1 (Sunday) to 7."),
    _part("HOUR", "HOUR", "The hour, 0 to 23."),
    _part("MINUTE", "MINUTE", "The minute, 0 to 59."),
    _part("SECOND", "SECOND", "The second, 0 to 59."),
    ScalarFunction(
        "TIMESTAMPADD",
        _add_signature,
        _timestamp_add,
        "A time moved by a number of units.",
        examples=(("TIMESTAMPADD(DAY, 1, DATE '2024-02-28')", "2024-02-29"),),
        category="temporal",
    ),
    ScalarFunction(
        "TIMESTAMPDIFF",
        _diff_signature,
        _timestamp_diff,
        "Whole units from the first time to the second, cut towards zero.",
        api_name="timestamp_diff",
        examples=(("TIMESTAMPDIFF(MONTH, DATE '2024-01-31', DATE '2024-02-29')", "1"),),
        category="temporal",
    ),
    ScalarFunction(
        "DATE_FORMAT",
        _FORMATTED,
        _date_format,
        "A timestamp (or text in the form yyyy-MM-dd HH:mm:ss) in a Java date pattern.",
        api_name="date_format",
        examples=(("DATE_FORMAT(TIMESTAMP '2024-02-29 12:34:56', 'yyyy/MM/dd')", "2024/02/29"),),
        category="temporal",
    ),
    ScalarFunction(
        "TO_DATE",
        signature(TEXT, TEXT, optional=1, result=DateType(), is_nullable=True),
        _to_date,
        "A DATE from text (default pattern yyyy-MM-dd); NULL when it is none.",
        api_name="to_date",
        examples=(("TO_DATE('2024-02-29')", "2024-02-29"),),
        category="temporal",
    ),
    ScalarFunction(
        "TO_TIMESTAMP",
        signature(TEXT, TEXT, optional=1, result=TimestampType(3), is_nullable=True),
        _to_timestamp,
        "A TIMESTAMP(3) from text (default pattern yyyy-MM-dd HH:mm:ss with an optional fraction); NULL when it is none.",
        api_name="to_timestamp",
        category="temporal",
    ),
    ScalarFunction(
        "TO_TIMESTAMP_LTZ",
        _to_timestamp_ltz_signature,
        _to_timestamp_ltz,
        "An instant from a number of milliseconds (or of units of 10^-precision s), or from text read in UTC or a given zone.",
        api_name="to_timestamp_ltz",
        can_fail=True,
        category="temporal",
    ),
    ScalarFunction(
        "UNIX_TIMESTAMP",
        overload(
            signature(TEXT, TEXT, optional=1, result=BIGINT),
            signature(result=BIGINT, is_nullable=False),
        ),
        _unix_timestamp,
        "Seconds since 1970 of now, or of text read in the session time zone; the least BIGINT when it is no time.",
        api_name="unix_timestamp",
        is_deterministic=False,
        category="temporal",
    ),
    ScalarFunction(
        "FROM_UNIXTIME",
        signature(AS_BIGINT, TEXT, optional=1, result=STRING, is_nullable=True),
        _from_unixtime,
        "Seconds since 1970 as text in the session time zone.",
        api_name="from_unixtime",
        examples=(("FROM_UNIXTIME(44)", "1970-01-01 00:00:44"),),
        category="temporal",
    ),
    ScalarFunction(
        "CONVERT_TZ",
        signature(TEXT, TEXT, TEXT, result=STRING, is_nullable=True),
        _convert_tz,
        "A wall-clock time as text (yyyy-MM-dd HH:mm:ss) moved from one time zone to another.",
        api_name="convert_tz",
        examples=(("CONVERT_TZ('1970-01-01 00:00:00', 'UTC', 'America/Los_Angeles')", "1969-12-31 16:00:00"),),
        category="temporal",
    ),
    ScalarFunction(
        "OVERLAPS",
        _overlaps_signature,
        _overlaps,
        "Whether two periods, each a start and an end or a length, share a moment.",
        api_name="temporal_overlaps",
        category="temporal",
    ),
    _clock(
        "CURRENT_DATE", DateType(is_nullable=False), _current_date, "Today in the session time zone.", api_name="current_date"
    ),
    _clock("CURRENT_TIME", TimeType(0, is_nullable=False), _current_time, "The time of day.", api_name="current_time"),
    _clock("LOCALTIME", TimeType(0, is_nullable=False), _current_time, "The time of day.", api_name="local_time"),
    _clock(
        "CURRENT_TIMESTAMP",
        _LTZ,
        _current_timestamp,
        "The instant now (of the statement, when the query is bounded).",
        api_name="current_timestamp",
        sql_names=("NOW",),
    ),
    _clock(
        "CURRENT_ROW_TIMESTAMP",
        _LTZ,
        _current_timestamp,
        "The instant at which a row is handled (of the statement, when the query is bounded).",
    ),
    _clock(
        "LOCALTIMESTAMP",
        TimestampType(3, is_nullable=False),
        _local_timestamp,
        "The wall-clock time now.",
        api_name="local_timestamp",
    ),
    _clock("PROCTIME", _LTZ, _current_timestamp, "The processing-time attribute: the instant at which a row is handled."),
    ScalarFunction(
        "CURRENT_WATERMARK",
        signature(ANY_TIMESTAMP, result=lambda types: types[0], is_nullable=True),
        _current_watermark,
        "The watermark before a row; NULL before the first one, and in a bounded query.",
        api_name="current_watermark",
        is_deterministic=False,
        category="temporal",
    ),
    ScalarFunction(
        "SOURCE_WATERMARK",
        signature(result=_LTZ),
        _only_in_ddl("SOURCE_WATERMARK()", "it stands only in WATERMARK FOR … AS SOURCE_WATERMARK()"),
        "The watermark that the source itself makes.",
        api_name="source_watermark",
        is_deterministic=False,
        category="temporal",
    ),
)
