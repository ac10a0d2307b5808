"""Java date patterns (`yyyy-MM-dd HH:mm:ss.SSS`): formatting and parsing, as Polars expressions.

A pattern is split into fields once; each field becomes an expression, so nothing loops over rows. Names are English; weeks
start on Sunday and the first one has the 1st of January (Java's US locale, which Flink uses).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import polars as pl

from tableapi.errors import ValidationError
from tableapi.functions.text_parse import make_date
from tableapi.functions.zones import to_wall_clock

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DEFAULT_PATTERN = "yyyy-MM-dd HH:mm:ss"
_LETTERS = "GuyYQqMLwWDdFEecabBhKkHmsSAnNVzOXxZ"


class Field(NamedTuple):
    """A run of one pattern letter, or literal text (`letter` is empty)."""

    letter: str
    width: int
    text: str = ""


@lru_cache(maxsize=512)
def fields(pattern: str) -> tuple[Field, ...]:
    """The fields of a pattern.

    Raises:
        ValidationError: A letter has no meaning, or a quote is not closed.
    """
    made: list[Field] = []
    index = 0
    while index < len(pattern):
        char = pattern[index]
        if char == "'":
            end = pattern.find("'", index + 1)
            if end < 0:
                raise ValidationError(f"the quote in the date pattern '{pattern}' is not closed", fix="write '' for a quote")
            made.append(Field("", 0, pattern[index + 1 : end] or "'"))
            index = end + 1
        elif char.isascii() and char.isalpha():
            if char not in _LETTERS:
                raise ValidationError(f"the date pattern '{pattern}' has the unknown letter '{char}'", fix="quote text: 'T'")
            count = len(re.match(re.escape(char) + "+", pattern[index:])[0])  # type: ignore[index]
            made.append(Field(char, count))
            index += count
        else:
            made.append(Field("", 0, "" if char in "[]" else char))
            index += 1
    return tuple(made)


def format_timestamp(value: pl.Expr, pattern: str, zone: str | None = None, instant: pl.Expr | None = None) -> pl.Expr:
    """A wall-clock timestamp as text. `zone` and `instant` are needed only by patterns that show the zone."""
    known = _strftime(pattern)
    if known is not None:
        return value.dt.strftime(known)
    parts = [
        pl.lit(f.text) if not f.letter else _field_text(value, f, zone, instant) for f in fields(pattern) if f.letter or f.text
    ]
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


def _strftime(pattern: str) -> str | None:
    """The pattern for Polars' own formatting, when it knows all fields."""
    parts = []
    for field in fields(pattern):
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
    if letter in "yuY":
        year = _week_year(value) if letter == "Y" else value.dt.year()
        return _padded(year % 100, 2) if count == 2 else _padded(year, count)
    if letter in "ML":
        return _padded(value.dt.month(), count) if count < 3 else _name(value.dt.month(), MONTHS, count)
    if letter == "E" or (letter in "ec" and count >= 3):
        return _name(value.dt.weekday(), DAYS, max(count, 3))
    if letter in "Qq":
        quarter = _padded(value.dt.quarter(), count if count < 3 else 1)
        return quarter if count < 3 else pl.format("Q{}", quarter)
    if letter == "a":
        return pl.when(value.dt.hour() < 12).then(pl.lit("AM")).otherwise(pl.lit("PM"))
    if letter == "G":
        return pl.lit("AD")
    if letter == "S":
        return value.dt.strftime("%9f").str.slice(0, count).str.pad_end(count, "0")
    return _zone_text(value, field, zone, instant)


_NUMBERS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "d": lambda v: v.dt.day(),
    "D": lambda v: v.dt.ordinal_day(),
    "F": lambda v: (v.dt.day() - 1) // 7 + 1,
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


_NUMERIC = "uyYMLDdHhKkmsSn"


def _regex(pattern: str, is_lenient: bool) -> tuple[str, list[Field]]:
    """A regular expression with a group for each field of a pattern."""
    parts, found = ["^"], []
    all_fields = fields(pattern)
    for position, field in enumerate(all_fields):
        if not field.letter:
            parts.append(re.escape(field.text))
            continue
        found.append(field)
        after = all_fields[position + 1] if position + 1 < len(all_fields) else None
        before = all_fields[position - 1] if position else None
        is_adjacent = any(n is not None and _is_number(n) for n in (before, after))
        parts.append(f"({_field_regex(field, is_adjacent, is_lenient)})")
    return "".join(parts) + ("" if is_lenient else "$"), found


def _is_number(field: Field) -> bool:
    return field.letter in _NUMERIC and bool(field.letter) and not (field.letter in "ML" and field.width > 2)


def _field_regex(field: Field, is_adjacent: bool, is_lenient: bool) -> str:
    letter, count = field.letter, field.width
    if letter in "ML" and count > 2:
        return "(?i:" + "|".join(m if count == 4 else m[:3] for m in MONTHS) + ")"
    if letter in "Eec":
        return "(?i:" + "|".join(d if count == 4 else d[:3] for d in DAYS) + ")"
    if letter == "a":
        return "(?i:AM|PM)"
    if letter == "G":
        return "(?i:AD|BC)"
    if letter in "XxZ":
        return r"Z|[+-]\d{2}:?\d{2}|[+-]\d{2}"
    if letter not in _NUMERIC:
        raise ValidationError(f"the date pattern letter '{letter}' cannot be read", fix="use y M d H h m s S a E")
    if letter == "S" and not is_lenient:
        return rf"[0-9]{{{count}}}"
    if is_lenient:
        return rf"[0-9]{{{count}}}" if is_adjacent else r"\s*[0-9]{1,18}"
    if count == 1:
        return r"[0-9]" if is_adjacent else r"[0-9]{1,9}"
    return rf"[0-9]{{{count}}}"


def parse_with_pattern(text: pl.Expr, pattern: str, *, is_lenient: bool) -> pl.Expr:
    """A wall-clock timestamp (Datetime us) from text; NULL when it does not follow the pattern.

    Args:
        is_lenient: Java's SimpleDateFormat: text may follow, numbers may have fewer digits or be too large (month 13 is next
            January). Else DateTimeFormatter: the whole text must follow the pattern; a day that the month lacks is its last.
    """
    regex, found = _regex(pattern, is_lenient)
    values: dict[str, pl.Expr] = {}
    minutes_east: pl.Expr | None = None
    for index, field in enumerate(found, start=1):
        raw = text.str.extract(regex, index)
        if field.letter in "XxZ":
            minutes_east = _offset_minutes(raw)
        elif field.letter == "S":
            values["S"] = _fraction_micros(raw, field.width, is_lenient)
        elif field.letter == "a":
            values["a"] = (raw.str.to_uppercase() == "PM").cast(pl.Int64)
        elif field.letter in "ML" and field.width > 2:
            names = [m[:3].lower() for m in MONTHS]
            values["M"] = (
                raw.str.slice(0, 3).str.to_lowercase().replace_strict(names, range(1, 13), default=None, return_dtype=pl.Int64)
            )
        elif field.letter not in "EecG":
            number = raw.str.strip_chars().cast(pl.Int64, strict=False)
            values[_SAME.get(field.letter, field.letter)] = _full_year(number, field) if field.letter in "yuY" else number
    made = _assembled(values, is_lenient)
    if minutes_east is not None:
        made = made - pl.duration(minutes=minutes_east, time_unit="us")
    return pl.when(text.str.contains(regex)).then(made)


_PLAIN = r"^\s*([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?: ([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.([0-9]{1,9}))?)?\s*$"


def parse_or_plain(text: pl.Expr, pattern: str) -> pl.Expr:
    """A wall-clock timestamp from text in a pattern, or else (Flink falls back to it) in `yyyy-M-d[ H:m:s[.fraction]]`."""
    values = {key: text.str.extract(_PLAIN, i).cast(pl.Int64, strict=False) for i, key in enumerate("yMdHms", start=1)}
    values |= {key: values[key].fill_null(0) for key in "Hms"}
    values["S"] = _fraction_micros(text.str.extract(_PLAIN, 7).fill_null("0"), 9, False)
    is_plain = text.str.contains(_PLAIN) & values["M"].is_between(1, 12) & values["d"].is_between(1, 31)
    plain = pl.when(is_plain).then(_assembled(values, True))
    return pl.coalesce(parse_with_pattern(text, pattern, is_lenient=False), plain)


_SAME = {"u": "y", "Y": "y", "L": "M"}


def _full_year(number: pl.Expr, field: Field) -> pl.Expr:
    return pl.when(number < 100).then(number + 2000).otherwise(number) if field.width == 2 else number


def _fraction_micros(raw: pl.Expr, count: int, is_lenient: bool) -> pl.Expr:
    if is_lenient:
        return raw.str.strip_chars().cast(pl.Int64, strict=False) * 1000
    return raw.str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64, strict=False)


def _offset_minutes(raw: pl.Expr) -> pl.Expr:
    digits = raw.str.replace_all("[^0-9]", "").str.pad_end(4, "0")
    size = digits.str.slice(0, 2).cast(pl.Int64, strict=False) * 60 + digits.str.slice(2, 2).cast(pl.Int64, strict=False)
    return pl.when(raw == "Z").then(0).when(raw.str.starts_with("-")).then(-size).otherwise(size)


def _assembled(values: dict[str, pl.Expr], is_lenient: bool) -> pl.Expr:
    """A timestamp from its parts; what is left out counts from 1970-01-01 00:00:00."""
    year = values.get("y", pl.lit(1970, dtype=pl.Int64))
    month = values.get("M", pl.lit(1, dtype=pl.Int64))
    day = values.get("d", pl.lit(1, dtype=pl.Int64))
    if "D" in values:
        month, day, is_lenient = pl.lit(1, dtype=pl.Int64), values["D"], True
    hour = values.get("H", pl.lit(0, dtype=pl.Int64))
    if "h" in values or "K" in values:
        hour = values.get("K", values.get("h", hour)) % 12 + 12 * values.get("a", pl.lit(0, dtype=pl.Int64))
    if "k" in values:
        hour = values["k"] % 24
    minute, second = (values.get(x, pl.lit(0, dtype=pl.Int64)) for x in "ms")
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + values.get("S", pl.lit(0, dtype=pl.Int64))
    if is_lenient:
        months = year * 12 + month - 1
        start = make_date(months // 12, months % 12 + 1, pl.lit(1), is_lenient=False)
        return start.cast(pl.Datetime("us")) + ((day - 1) * 86_400_000_000 + micros).cast(pl.Duration("us"))
    exists = (hour < 24) & (minute < 60) & (second < 60)
    date = make_date(year, month, day, is_lenient=True)
    return pl.when(exists).then(date.cast(pl.Datetime("us")) + micros.cast(pl.Duration("us")))


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
