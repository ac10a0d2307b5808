"""Java date patterns (`yyyy-MM-dd HH:mm:ss.SSS`): formatting, as Polars expressions.

A pattern is split into fields once; each field becomes an expression, so nothing loops over rows. Names are English; weeks
start on Sunday and the first one has the 1st of January (Java's US locale, which Flink uses).
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from tableapi.errors import ValidationError
from tableapi.functions.date_fields import BRACKETS, DAYS, MONTHS, Field, fields, lenient_fields
from tableapi.functions.zones import offset_minutes, to_wall_clock

DEFAULT_PATTERN = "yyyy-MM-dd HH:mm:ss"


def format_timestamp(value: pl.Expr, pattern: str, zone: str | None = None, instant: pl.Expr | None = None) -> pl.Expr:
    """A wall-clock timestamp as text, as DateTimeFormatter shows it. Only patterns that show the zone need zone and instant."""
    return _formatted(value, [f for f in fields(pattern) if f.letter not in BRACKETS], zone, instant)


def format_simply(instant: pl.Expr, pattern: str, zone: str) -> pl.Expr:
    """An instant as text in a time zone, as SimpleDateFormat shows it."""
    return _formatted(to_wall_clock(instant, zone), [_as_formatter(f) for f in lenient_fields(pattern)], zone, instant)


_SIMPLE_NAMES = {"u": "SimpleDayNumber", "F": "SimpleDayOfWeekInMonth", "z": "SimpleZone", "G": "SimpleEra"}


def _as_formatter(field: Field) -> Field:
    """The field of DateTimeFormatter that shows what this one of SimpleDateFormat shows."""
    if field.letter in ("M", "L", "E") and field.width > 4:
        return Field(field.letter, 4)
    return Field(_SIMPLE_NAMES.get(field.letter, field.letter), field.width, field.text)


def _formatted(value: pl.Expr, shown: list[Field], zone: str | None, instant: pl.Expr | None) -> pl.Expr:
    known = _strftime(shown)
    if known is not None:
        return value.dt.strftime(known)
    parts = [_field_text(value, f, zone, instant) if f.letter else pl.lit(f.text) for f in shown]
    if not parts:
        return pl.when(value.is_not_null()).then(pl.lit(""))
    return pl.when(value.is_not_null()).then(pl.concat_str(parts))


_STRFTIME = {
    ("y", 4): "%Y",
    ("u", 4): "%Y",
    ("y", 2): "%y",
    ("M", 2): "%m",
    ("M", 3): "%b",
    ("M", 4): "%B",
    ("d", 2): "%d",
    ("H", 2): "%H",
    ("h", 2): "%I",
    ("m", 2): "%M",
    ("s", 2): "%S",
    ("S", 3): "%3f",
    ("S", 6): "%6f",
    ("S", 9): "%9f",
    ("a", 1): "%p",
    ("E", 3): "%a",
    ("E", 4): "%A",
    ("D", 3): "%j",
}


def _strftime(shown: list[Field]) -> str | None:
    """The pattern for Polars' own formatting, when it knows all fields."""
    parts = []
    for field in shown:
        known = _STRFTIME.get((field.letter, field.width)) if field.letter else field.text.replace("%", "%%")
        if known is None:
            return None
        parts.append(known)
    return "".join(parts) or None


def _padded(number: pl.Expr, width: int) -> pl.Expr:
    text = number.cast(pl.Int64).cast(pl.String)
    return text.str.zfill(width) if width > 1 else text


def _name(number: pl.Expr, names: tuple[str, ...], count: int) -> pl.Expr:
    shown = [n if count == 4 else n[0] if count == 5 else n[:3] for n in names]
    return number.replace_strict(list(range(1, len(names) + 1)), shown, default=None, return_dtype=pl.String)


def _week_year(value: pl.Expr) -> pl.Expr:
    """The year that a week from Sunday to Saturday belongs to."""
    return _saturday(value).dt.year()


def _saturday(value: pl.Expr) -> pl.Expr:
    day = value.dt.weekday().cast(pl.Int64) % 7
    return value.dt.date() + pl.duration(days=6 - day)


def _field_text(value: pl.Expr, field: Field, zone: str | None, instant: pl.Expr | None) -> pl.Expr:
    letter, count = field.letter, field.width
    simple = _NUMBERS.get(letter)
    if simple is not None:
        return _padded(simple(value), count)
    if letter in ("y", "u", "Y"):
        year = _week_year(value) if letter == "Y" else value.dt.year()
        return _padded(year % 100, 2) if count == 2 else _padded(year, count)
    if letter in ("M", "L"):
        return _padded(value.dt.month(), count) if count < 3 else _name(value.dt.month(), MONTHS, count)
    if letter == "E" or (letter in ("e", "c") and count >= 3):
        return _name(value.dt.weekday(), DAYS, max(count, 3))
    if letter in ("Q", "q"):
        quarter = value.dt.quarter()
        if count < 3:
            return _padded(quarter, count)
        names = _QUARTERS if count == 4 else ("Q1", "Q2", "Q3", "Q4")
        return quarter.replace_strict([1, 2, 3, 4], names, default=None, return_dtype=pl.String)
    if letter == "a":
        return pl.when(value.dt.hour() < 12).then(pl.lit("AM")).otherwise(pl.lit("PM"))
    if letter in ("G", "SimpleEra"):
        return pl.lit("Anno Domini" if letter == "G" and count == 4 else "AD")
    if letter == "SimpleZone" and zone is not None and instant is not None:
        local = instant.dt.convert_time_zone("UTC" if offset_minutes(zone) is not None else zone).dt.strftime("%Z")
        return pl.lit(zone) if offset_minutes(zone) is not None else local
    if letter == "S":
        return value.dt.strftime("%9f").str.slice(0, count).str.pad_end(count, "0")
    return _zone_text(value, field, zone, instant)


_QUARTERS = ("1st quarter", "2nd quarter", "3rd quarter", "4th quarter")

_NUMBERS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "d": lambda v: v.dt.day(),
    "D": lambda v: v.dt.ordinal_day(),
    "F": lambda v: (v.dt.day() - 1) % 7 + 1,
    "SimpleDayOfWeekInMonth": lambda v: (v.dt.day() - 1) // 7 + 1,
    "SimpleDayNumber": lambda v: v.dt.weekday(),
    "H": lambda v: v.dt.hour(),
    "h": lambda v: (v.dt.hour().cast(pl.Int64) + 11) % 12 + 1,
    "K": lambda v: v.dt.hour() % 12,
    "k": lambda v: (v.dt.hour().cast(pl.Int64) + 23) % 24 + 1,
    "m": lambda v: v.dt.minute(),
    "s": lambda v: v.dt.second(),
    "n": lambda v: v.dt.nanosecond(),
    "w": lambda v: (_saturday(v).dt.ordinal_day().cast(pl.Int64) + 6) // 7,
    "W": lambda v: (v.dt.day().cast(pl.Int64) + 12 - v.dt.weekday().cast(pl.Int64) % 7) // 7,
    "A": lambda v: v.dt.time().cast(pl.Int64) // 1_000_000,
    "N": lambda v: v.dt.time().cast(pl.Int64),
}


def _zone_text(value: pl.Expr, field: Field, zone: str | None, instant: pl.Expr | None) -> pl.Expr:
    letter, count = field.letter, field.width
    if letter in "ec":
        return _padded(value.dt.weekday() % 7 + 1, count)
    if zone is None or instant is None:
        raise ValidationError(f"the date pattern letter '{letter}' needs a time zone", fix="format a TIMESTAMP_LTZ")
    if letter == "V":
        return pl.lit(zone)
    if letter not in "XxZ":
        raise ValidationError(
            f"the date pattern letter '{letter}' is not supported", fix="use ZZZ for the offset or VV for the zone"
        )
    minutes = (value - instant.dt.replace_time_zone(None)).dt.total_minutes()
    separator = ":" if (letter in "Xx" and count in (3, 5)) or (letter == "Z" and count == 5) else ""
    sign = pl.when(minutes < 0).then(pl.lit("-")).otherwise(pl.lit("+"))
    hours, rest = minutes.abs() // 60, minutes.abs() % 60
    text = pl.concat_str([sign, _padded(hours, 2), pl.lit(separator), _padded(rest, 2)])
    if letter in "Xx" and count == 1:
        text = pl.when(rest == 0).then(pl.concat_str([sign, _padded(hours, 2)])).otherwise(text)
    return pl.when(minutes == 0).then(pl.lit("Z")).otherwise(text) if letter == "X" else text


def zoned_format(instant: pl.Expr, pattern: str, zone: str) -> pl.Expr:
    """An instant as text in a time zone."""
    return format_timestamp(to_wall_clock(instant, zone), pattern, zone, instant)


def varying_pattern(
    texts: pl.Series, patterns: pl.Series, apply: Callable[[pl.Expr, str], pl.Expr], dtype: pl.DataType
) -> pl.Series:
    """`apply` where the pattern differs by row: once per distinct pattern."""
    frame = pl.DataFrame({"x": texts, "p": patterns}).with_row_index("i")
    parts = []
    for (pattern,), part in frame.group_by("p"):
        made = pl.lit(None, dtype=dtype) if pattern is None else apply(pl.col("x"), str(pattern)).cast(dtype)
        parts.append(part.select("i", made.alias("r")))
    if not parts:
        return pl.Series(texts.name, [], dtype=dtype)
    return pl.concat(parts).sort("i")["r"].alias(texts.name)
