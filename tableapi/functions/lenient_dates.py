"""Reads dates as Java's SimpleDateFormat does: text may follow, numbers may be too short, too large or negative (month 13 is
next January), and days before 1582-10-15 are of the Julian calendar. TO_DATE, UNIX_TIMESTAMP and the like read this way.

Texts whose numbers are as wide as their fields are read by one Polars expression; each different other text in Python.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from functools import partial

import polars as pl

from tableapi.functions.date_fields import DAYS, MONTHS, Field, lenient_fields
from tableapi.functions.fast_parse import with_fallback
from tableapi.functions.zones import lenient_zone, to_instant

_NUMBERS = "yYMLdkHmsSDFwWhKu"
_DAY_MICROS = 86_400_000_000
_FIRST_GREGORIAN_DAY = -141_427
"""1582-10-15 as a day since 1970-01-01."""
_MAX_MICROS = 2**61

Values = dict[str, int]


def parse_lenient(text: pl.Expr, pattern: str) -> pl.Expr:
    """A wall-clock timestamp (Datetime us) from text; NULL when it does not begin as the pattern says.

    A zone in the text makes it the wall-clock time of UTC.

    Raises:
        ValidationError: The pattern has an unknown letter, or a quote is not closed.
    """
    found = lenient_fields(pattern)
    regex = _exact_regex(found)
    slow = partial(_read_each, fields=found)

    def read(texts: pl.Series) -> pl.Series:
        fast = pl.Series(texts.name, [None], dtype=pl.Datetime("us")).new_from_index(0, len(texts))
        if regex is not None:
            frame = pl.DataFrame({"x": texts})
            fast = frame.select(_exact(pl.col("x"), regex, found).alias("x"))["x"]
        return with_fallback(texts, fast, slow)

    return text.map_batches(read, return_dtype=pl.Datetime("us"), is_elementwise=True)


def _read_each(text: pl.Expr, fields: Sequence[Field]) -> pl.Expr:
    def read(texts: pl.Series) -> pl.Series:
        different = texts.unique()
        made = pl.Series([_read(t, fields) for t in different.to_list()], dtype=pl.Int64).cast(pl.Datetime("us"))
        return texts.replace_strict(different, made, return_dtype=pl.Datetime("us"))

    return text.map_batches(read, return_dtype=pl.Datetime("us"), is_elementwise=True)


_EXACT_LETTERS = "yMdHms"


def _exact_regex(fields: Sequence[Field]) -> str | None:
    """A regular expression of texts whose numbers are as wide as their fields, where all fields are plain numbers."""
    letters = [f.letter for f in fields if f.letter]
    if len(set(letters)) < len(letters) or not all(
        f.letter in _EXACT_LETTERS and f.width == (4 if f.letter == "y" else 2) for f in fields if f.letter
    ):
        return None
    if not letters or any(f.text[:1].isdigit() for f in fields):
        return None
    parts = [f"([0-9]{{{f.width}}})" if f.letter else re.escape(f.text) for f in fields]
    return f"^{''.join(parts)}" + ("(?:[^0-9]|$)" if fields[-1].letter else "")


def _exact(text: pl.Expr, regex: str, fields: Sequence[Field]) -> pl.Expr:
    order = [f.letter for f in fields if f.letter]
    parts = text.str.extract_groups(regex)
    values = {letter: parts.struct.field(str(i)).cast(pl.Int32) for i, letter in enumerate(order, start=1)}
    year, month, day = values.get("y", pl.lit(1970)), values.get("M", pl.lit(1)), values.get("d", pl.lit(1))
    hour, minute, second = (values.get(x, pl.lit(0)) for x in "Hms")
    is_plain = (year > 1582) & month.is_between(1, 12) & day.is_between(1, 28) & (hour < 24) & (minute < 60) & (second < 60)
    stamp = pl.datetime(
        *(pl.when(is_plain).then(part).otherwise(other) for part, other in ((year, 1970), (month, 1), (day, 1))),
        *(pl.when(is_plain).then(part).otherwise(0) for part in (hour, minute, second)),
        time_unit="us",
    )
    return pl.when(is_plain).then(stamp)


def _read(text: str, fields: Sequence[Field]) -> int | None:
    """Microseconds since 1970 of one text, or None."""
    values: Values = {}
    zone: list[str] = []
    at = 0
    for index, field in enumerate(fields):
        after = fields[index + 1] if index + 1 < len(fields) else None
        if not field.letter:
            if not text.startswith(field.text, at):
                return None
            at += len(field.text)
            continue
        while at < len(text) and text[at] in " \t":
            at += 1
        abuts = after is not None and _is_number(after)
        end = _read_field(text, at, field, abuts, values, zone)
        if end is None:
            return None
        at = end
    return _resolve(values, zone) if at else None


def _is_number(field: Field) -> bool:
    return field.letter != "" and field.letter in _NUMBERS and not (field.letter in "ML" and field.width > 2)


_INTEGER = re.compile(r"-?[0-9]+")
_ZONE = re.compile(r"(?i:GMT|UTC)?[+-][0-9]{1,2}:?[0-9]{2}|(?:GMT|UTC)[+-][0-9]{1,2}|[A-Za-z]+(?:/[A-Za-z_]+)*")
_ISO_ZONE = {1: re.compile(r"Z|[+-][0-9]{2}"), 2: re.compile(r"Z|[+-][0-9]{4}"), 3: re.compile(r"Z|[+-][0-9]{2}:[0-9]{2}")}


def _read_field(text: str, at: int, field: Field, abuts: bool, values: Values, zone: list[str]) -> int | None:
    """Reads one field into `values` (those set later come later); the position after it, or None."""
    letter = "M" if field.letter == "L" else field.letter
    if _is_number(field):
        if abuts and at + field.width > len(text):
            return None
        match = _INTEGER.match(text, at, at + field.width if abuts else len(text))
        if match is None:
            return None
        values.pop(letter, None)
        values[letter] = _full_year(int(match[0]), match[0], field)
        return match.end()
    if letter in "zZX":
        match = (_ISO_ZONE[min(field.width, 3)] if letter == "X" else _ZONE).match(text, at)
        if match is None:
            return None
        zone.append(match[0])
        return match.end()
    names = {"M": MONTHS, "E": DAYS, "a": ("AM", "PM"), "G": ("BC", "AD")}[letter]
    shown = [(name, i) for i, name in enumerate(names)] + [(name[:3], i) for i, name in enumerate(names)]
    for name, number in sorted(shown, key=lambda n: -len(n[0])):
        if text[at : at + len(name)].lower() == name.lower():
            values.pop(letter, None)
            values[letter] = number + 1 if letter in "ME" else number
            return at + len(name)
    return None


def _full_year(number: int, shown: str, field: Field) -> int:
    """Two digits of a year are one of the 80 years before this one, or of the 20 after it."""
    if field.letter not in "yY" or field.width > 2 or len(shown) != 2 or not shown.isdigit():
        return number
    newest = datetime.datetime.now(datetime.UTC).year + 20
    return newest - (newest - number) % 100


def _resolve(values: Values, zone: Sequence[str]) -> int | None:
    days = _day(values)
    hour = values.get("H", values.get("k", 0) % 24)
    half_day = [x for x in values if x in "hK"]
    if half_day and "H" not in values:
        hour = values[half_day[-1]] % 12 + 12 * values.get("a", 0)
    seconds = (hour * 60 + values.get("m", 0)) * 60 + values.get("s", 0)
    micros = days * _DAY_MICROS + seconds * 1_000_000 + values.get("S", 0) * 1000
    if abs(micros) > _MAX_MICROS:
        return None
    return _in_utc(micros, zone[-1]) if zone else micros


def _in_utc(micros: int, zone: str) -> int:
    wall = pl.Series([micros], dtype=pl.Int64).cast(pl.Datetime("us"))
    name = f"GMT{zone}" if zone[0] in "+-" else zone
    if name[0] == "G" and name[4:].isdigit() and len(name) == 8:
        name = f"{name[:6]}:{name[6:]}"
    instant = pl.select(to_instant(pl.lit(wall), "UTC" if name == "Z" else lenient_zone(name))).to_series()
    return int(instant.dt.epoch("us")[0])


def _day(values: Values) -> int:
    """The day since 1970-01-01 that the fields name; of several ways to name it, the one given last."""
    order = list(values)
    year = values.get("y", 1970)
    if values.get("G") == 0:
        year = 1 - year
    last = max((order.index(x) for x in "Md" if x in values), default=-1)
    if "D" in values and order.index("D") > last:
        return civil_day(year, 1, values["D"])
    weeks = [x for x in "wY" if x in values]
    if weeks and ("Y" in values or order.index("w") > last):
        after_sunday = values.get("u", values.get("E", 0)) % 7
        return _week_day(values.get("Y", year), values.get("w", 1), after_sunday)
    return civil_day(year, values.get("M", 1), values.get("d", 1))


def _week_day(year: int, week: int, days_after_sunday: int) -> int:
    """Weeks begin on Sunday, and the first one has the 1st of January."""
    first = civil_day(year, 1, 1)
    sunday = first - (first + 4) % 7
    return sunday + 7 * (week - 1) + days_after_sunday


def civil_day(year: int, month: int, day: int) -> int:
    """The day since 1970-01-01, of the Julian calendar before 1582-10-15. Month and day may be out of range.

    >>> civil_day(1970, 1, 1), civil_day(2024, 2, 30), civil_day(1582, 10, 15) - civil_day(1582, 10, 4)
    (0, 19783, 1)
    """
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    before = year - 1
    julian = before * 365 + before // 4 + _day_of_year(month, year % 4 == 0) + day - 719_165
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    gregorian = before * 365 + before // 4 - before // 100 + before // 400 + _day_of_year(month, is_leap) + day - 719_163
    return gregorian if gregorian >= _FIRST_GREGORIAN_DAY else julian


def _day_of_year(month: int, is_leap: bool) -> int:
    """Days of a year before a month."""
    return _MONTH_STARTS[month - 1] + (1 if is_leap and month > 2 else 0)


_MONTH_STARTS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
