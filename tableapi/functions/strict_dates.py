"""Reads dates as Java's DateTimeFormatter does: the whole text follows the pattern; a day that the month lacks is its last one.

TO_TIMESTAMP and TO_TIMESTAMP_LTZ read this way. Polars expressions throughout.
"""

from __future__ import annotations

import re

import polars as pl

from tableapi.errors import ValidationError
from tableapi.functions.date_fields import BRACKETS, DAYS, MONTHS, OPTIONAL, Field, fields
from tableapi.functions.text_parse import make_date

_NUMERIC = "uyYMLDdHhKkmsSn"
_IGNORED = {
    **dict.fromkeys("VvzO", r"[A-Za-z0-9_/+:-]+"),
    **dict.fromkeys("XxZ", r"Z|[+-]\d{2}:?\d{2}|[+-]\d{2}"),
    **dict.fromkeys("QqwWFANBp", r"[0-9]+"),
    "G": "AD|BC",
}
"""Letters whose value says nothing about the wall-clock time, and what they match."""


def parse_or_plain(text: pl.Expr, pattern: str) -> pl.Expr:
    """A wall-clock timestamp (Datetime us) from text in a pattern, or else (Flink falls back to it) in
    `yyyy-M-d[ H:m:s[.fraction]]`. NULL when the pattern is none."""
    try:
        fields(pattern)
    except ValidationError:
        return pl.lit(None, dtype=pl.Datetime("us"))
    values = {key: text.str.extract(_PLAIN, i).cast(pl.Int64, strict=False) for i, key in enumerate("yMdHms", start=1)}
    values |= {key: values[key].fill_null(0) for key in "Hms"}
    values["S"] = _fraction_micros(text.str.extract(_PLAIN, 7).fill_null("0"))
    is_plain = text.str.contains(_PLAIN) & values["M"].is_between(1, 12) & values["d"].is_between(1, 31)
    plain = pl.when(is_plain).then(_assembled(values, rolls_over=True))
    regex, found = _regex(pattern)
    return pl.when(text.str.contains(regex)).then(pl.coalesce(_parsed(text, regex, found), plain)).otherwise(plain)


_PLAIN = r"^\s*([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?: ([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.([0-9]{1,9}))?)?\s*$"


def _regex(pattern: str) -> tuple[str, list[Field]]:
    """A regular expression with a group for each field of a pattern."""
    parts, found = ["^"], []
    all_fields = fields(pattern)
    for position, field in enumerate(all_fields):
        if field.letter in BRACKETS:
            parts.append("(?:" if field.letter == OPTIONAL else ")?")
            continue
        if not field.letter:
            parts.append(re.escape(field.text))
            continue
        found.append(field)
        after = all_fields[position + 1] if position + 1 < len(all_fields) else None
        before = all_fields[position - 1] if position else None
        is_adjacent = any(n is not None and _is_number(n) for n in (before, after))
        parts.append(f"({_field_regex(field, is_adjacent)})")
    return "".join(parts) + "$", found


def _is_number(field: Field) -> bool:
    return field.letter in _NUMERIC and bool(field.letter) and not (field.letter in "ML" and field.width > 2)


def _field_regex(field: Field, is_adjacent: bool) -> str:
    letter, count = field.letter, field.width
    if letter in "ML" and count > 2:
        return "|".join(m if count == 4 else m[:3] for m in MONTHS)
    if letter in "Eec":
        return "|".join(d if count == 4 else d[:3] for d in DAYS)
    if letter in _IGNORED:
        return _IGNORED[letter]
    if letter == "a":
        return "AM|PM"
    if count == 1 and letter != "S":
        return r"[0-9]" if is_adjacent else r"[0-9]{1,9}"
    return rf"[0-9]{{{count}}}"


def _parsed(text: pl.Expr, regex: str, found: list[Field]) -> pl.Expr:
    letters = {f.letter for f in found}
    if "Y" in letters and not letters & {"y", "u"}:
        return pl.lit(None, dtype=pl.Datetime("us"))
    values: dict[str, pl.Expr] = {}
    for index, field in enumerate(found, start=1):
        raw = text.str.extract(regex, index)
        if field.letter == "S":
            values["S"] = _fraction_micros(raw).fill_null(0)
        elif field.letter == "a":
            values["a"] = (raw == "PM").cast(pl.Int64)
        elif field.letter in "ML" and field.width > 2:
            names = [m[:3] for m in MONTHS]
            values["M"] = raw.str.slice(0, 3).replace_strict(names, range(1, 13), default=None, return_dtype=pl.Int64)
        elif field.letter not in _IGNORED and field.letter not in "EecY":
            key = _SAME.get(field.letter, field.letter)
            number = raw.cast(pl.Int64, strict=False).fill_null(_DEFAULTS.get(key, 0))
            values[key] = _full_year(number, field) if key == "y" else number
    return _assembled(values, rolls_over=False)


_SAME = {"u": "y", "L": "M"}
_DEFAULTS = {"y": 1970, "M": 1, "d": 1, "D": 1}


def _full_year(number: pl.Expr, field: Field) -> pl.Expr:
    return pl.when(number < 100).then(number + 2000).otherwise(number) if field.width == 2 else number


def _fraction_micros(raw: pl.Expr) -> pl.Expr:
    return raw.str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64, strict=False)


def _assembled(values: dict[str, pl.Expr], rolls_over: bool) -> pl.Expr:
    """A timestamp from its parts; what is left out counts from 1970-01-01 00:00:00."""
    year = values.get("y", pl.lit(1970, dtype=pl.Int64))
    month = values.get("M", pl.lit(1, dtype=pl.Int64))
    day = values.get("d", pl.lit(1, dtype=pl.Int64))
    if "D" in values:
        month, day, rolls_over = pl.lit(1, dtype=pl.Int64), values["D"], True
    hour = values.get("H", pl.lit(0, dtype=pl.Int64))
    if "h" in values or "K" in values:
        hour = values.get("K", values.get("h", hour)) % 12 + 12 * values.get("a", pl.lit(0, dtype=pl.Int64))
    if "k" in values:
        hour = values["k"] % 24
    minute, second = (values.get(x, pl.lit(0, dtype=pl.Int64)) for x in "ms")
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + values.get("S", pl.lit(0, dtype=pl.Int64))
    if rolls_over:
        months = year * 12 + month - 1
        start = make_date(months // 12, months % 12 + 1, pl.lit(1), is_lenient=False)
        return start.cast(pl.Datetime("us")) + ((day - 1) * 86_400_000_000 + micros).cast(pl.Duration("us"))
    exists = (hour < 24) & (minute < 60) & (second < 60)
    date = make_date(year, month, day, is_lenient=True)
    return pl.when(exists).then(date.cast(pl.Datetime("us")) + micros.cast(pl.Duration("us")))
