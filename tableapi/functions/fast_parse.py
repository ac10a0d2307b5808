"""Reads dates and timestamps of the usual fixed forms with NumPy; other forms are left to the slower, general rules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

_DATE = "dddd-dd-dd"
_SECONDS = f"{_DATE} dd:dd:dd"
FORMS = {10: _DATE, 19: _SECONDS} | {20 + n: f"{_SECONDS}.{'d' * n}" for n in range(1, 10)}
_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_DAY_MICROS = 86_400_000_000


def with_fallback(texts: pl.Series, fast: pl.Series, slow: Callable[[pl.Expr], pl.Expr]) -> pl.Series:
    """`fast`, where rows that it left NULL although they have a text are computed by `slow`."""
    rest = fast.is_null() & texts.is_not_null()
    if not rest.any():
        return fast.alias(texts.name)
    frame = pl.DataFrame({"x": texts.filter(rest)}).select(slow(pl.col("x")).cast(fast.dtype).alias("x"))
    return fast.scatter(rest.arg_true(), frame["x"]).alias(texts.name)


def timestamps(texts: pl.Series) -> pl.Series:
    """Datetime(us) of texts in the form `yyyy-MM-dd[ HH:mm:ss[.fraction]]`; NULL for all others."""
    micros = np.zeros(len(texts), dtype=np.int64)
    known = np.zeros(len(texts), dtype=bool)
    lengths = texts.str.len_bytes().fill_null(0).to_numpy()
    for length in np.unique(lengths).tolist():
        if length in FORMS:
            rows = np.flatnonzero(lengths == length)
            values, is_read = _read(texts[rows], FORMS[length])
            micros[rows], known[rows] = values, is_read
    stamps = pl.Series(texts.name, micros).cast(pl.Datetime("us"))
    return pl.DataFrame({"v": stamps, "k": known}).select(pl.when(pl.col("k")).then(pl.col("v")))["v"]


def _read(texts: pl.Series, form: str) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds of texts that all have the form's length, and which of them have the form."""
    size = len(form)
    raw = np.frombuffer(texts.str.join("").item().encode(), dtype=np.uint8).reshape(-1, size)
    digits = raw - np.uint8(48)
    is_digit = np.array([c == "d" for c in form])
    signs = np.array([ord(c) for c in form if c != "d"], dtype=np.uint8)
    is_read = (digits[:, is_digit] <= 9).all(axis=1) & (raw[:, ~is_digit] == signs).all(axis=1)

    def number(start: int, stop: int) -> np.ndarray:
        value = np.zeros(len(raw), dtype=np.int64)
        for position in range(start, stop):
            value = value * 10 + digits[:, position]
        return value

    year, month, day = number(0, 4), number(5, 7), number(8, 10)
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    last = _DAYS[np.where(is_read, month, 0).clip(0, 12)] + (is_leap & (month == 2))
    is_read &= (month >= 1) & (month <= 12) & (day >= 1) & (day <= last)
    micros = _days(year, month, day) * _DAY_MICROS
    if size > 10:
        hour, minute, second = number(11, 13), number(14, 16), number(17, 19)
        is_read &= (hour < 24) & (minute < 60) & (second < 60)
        micros += ((hour * 60 + minute) * 60 + second) * 1_000_000
    if size > 20:
        shown = min(size, 26)
        micros += number(20, shown) * 10 ** (26 - shown)
    return micros, is_read


def _days(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Days since 1970-01-01 in the proleptic Gregorian calendar; the year is counted from March."""
    shifted = year - (month <= 2)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
