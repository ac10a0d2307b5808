"""Dates, times and timestamps as text: parsing and writing whole columns.

Fixed-width texts are parsed on their bytes with NumPy, several times faster than a general date parser, and strictly:
a day that does not exist or a missing zero is a failure, as in Flink. Imports polars, numpy and (lazily) pyarrow only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

_UNIT_DIGITS = {"ms": 3, "us": 6, "ns": 9}
_Bytes = np.ndarray
_Values = tuple[np.ndarray, np.ndarray]


def parse_dates(text: pl.Series) -> pl.Series:
    """Dates of a text column (`yyyy-MM-dd`); null where the text is not one.

    >>> parse_dates(pl.Series(["2024-02-29", "2023-02-29", None])).to_list()
    [datetime.date(2024, 2, 29), None, None]
    """
    days = _parse(text, {10}, lambda b: _days(b[:, :10]))
    return days.cast(pl.Int32).cast(pl.Date)


def parse_times(text: pl.Series) -> pl.Series:
    """Times of a text column (`HH:mm:ss[.fraction]`); null where the text is not one.

    >>> parse_times(pl.Series(["12:34:56.5", "25:00:00"])).to_list()
    [datetime.time(12, 34, 56, 500000), None]
    """
    return _parse(text, {8, *range(10, 19)}, lambda b: _nanos_of_day(b)).cast(pl.Time)


def parse_timestamps(text: pl.Series, dtype: pl.Datetime, separator: str = " ", zone: bool = False) -> pl.Series:
    """Timestamps of a text column (`yyyy-MM-dd HH:mm:ss[.fraction]`); null where the text is not one.

    Args:
        dtype: The type of the result. Digits beyond its unit are dropped.
        separator: What stands between date and time.
        zone: Whether a `Z` must follow (an instant in UTC).

    >>> parse_timestamps(pl.Series(["2024-01-01 10:00:00.5", "2024-01-01"]), pl.Datetime("ms")).to_list()
    [datetime.datetime(2024, 1, 1, 10, 0, 0, 500000), None]
    """
    extra = 1 if zone else 0
    per_second = 10 ** _UNIT_DIGITS[dtype.time_unit]

    def convert(chars: _Bytes) -> _Values:
        body = chars[:, :-1] if zone else chars
        days, fits = _days(body[:, :10])
        nanos, time_fits = _nanos_of_day(body[:, 11:])
        fits &= time_fits & (body[:, 10] == ord(separator))
        if zone:
            fits &= chars[:, -1] == ord("Z")
        return days * (86_400 * per_second) + nanos // (1_000_000_000 // per_second), fits

    return _parse(text, {n + extra for n in (19, *range(21, 30))}, convert).cast(dtype)


def _parse(text: pl.Series, lengths: set[int], convert: Callable[[_Bytes], _Values]) -> pl.Series:
    """Int64 values of texts whose byte length is in `lengths`, length by length; null for all others."""
    sizes = text.str.len_bytes()
    found = sizes.unique().drop_nulls().to_list()
    if len(found) == 1 and text.null_count() == 0:
        return (
            _parse_fixed(text, found[0], convert) if found[0] in lengths else pl.Series(text.name, [None] * len(text), pl.Int64)
        )
    values, fits = np.zeros(len(text), dtype=np.int64), np.zeros(len(text), dtype=bool)
    for size in lengths.intersection(found):
        rows = (sizes == size).fill_null(False).arg_true()
        values[rows.to_numpy()], fits[rows.to_numpy()] = convert(_chars(text.gather(rows), size))
    return _nullable(text.name, values, fits)


def _parse_fixed(text: pl.Series, size: int, convert: Callable[[_Bytes], _Values]) -> pl.Series:
    return _nullable(text.name, *convert(_chars(text, size)))


def _nullable(name: str, values: np.ndarray, fits: np.ndarray) -> pl.Series:
    series = pl.Series(name, values)
    return series if fits.all() else series.set(pl.Series(~fits), None)


def _chars(text: pl.Series, size: int) -> _Bytes:
    """The bytes of texts of one length, a row each."""
    array = text.to_arrow(compat_level=pl.CompatLevel.oldest())
    start = int(np.frombuffer(array.buffers()[1], dtype=np.int64, count=1, offset=array.offset * 8)[0]) if len(array) else 0
    flat = np.frombuffer(array.buffers()[2], dtype=np.uint8, count=len(array) * size, offset=start)
    return flat.reshape(len(array), size)


def _number(chars: _Bytes, first: int, last: int, fits: np.ndarray) -> np.ndarray:
    """The number written in columns first..last-1; clears `fits` where a character is no digit."""
    value = np.zeros(len(chars), dtype=np.int32)
    for column in range(first, last):
        digit = chars[:, column] - np.uint8(48)
        fits &= digit <= 9
        value *= 10
        value += digit
    return value


def _days(chars: _Bytes) -> _Values:
    """Days since the epoch, looked up by year and month."""
    fits = (chars[:, 4] == 45) & (chars[:, 7] == 45)
    year, month, day = _number(chars, 0, 4, fits), _number(chars, 5, 7, fits), _number(chars, 8, 10, fits)
    fits &= (month >= 1) & (month <= 12)
    if not fits.all():
        year, month = np.where(fits, year, 0), np.where(fits, month, 1)
    place = year * 12 + (month - 1)
    first = _MONTH_STARTS[place]
    fits &= (day >= 1) & (day <= _MONTH_STARTS[place + 1] - first)
    return first.astype(np.int64) + (day - 1), fits


_MONTH_STARTS = np.arange("0000-01", "10000-02", dtype="datetime64[M]").astype("datetime64[D]").astype(np.int32)
"""The first day of each month from the year 0 on."""


def _nanos_of_day(chars: _Bytes) -> _Values:
    fits = (chars[:, 2] == 58) & (chars[:, 5] == 58)
    hour, minute, second = _number(chars, 0, 2, fits), _number(chars, 3, 5, fits), _number(chars, 6, 8, fits)
    fits &= (hour < 24) & (minute < 60) & (second < 60)
    nanos = ((hour * 60 + minute) * 60 + second).astype(np.int64) * 1_000_000_000
    size = chars.shape[1]
    if size > 8:
        fits &= chars[:, 8] == 46
        nanos = nanos + _number(chars, 9, size, fits) * 10 ** (18 - size)
    return nanos, fits


def timestamp_text(column: pl.Expr, separator: str = " ", zone: bool = False) -> pl.Expr:
    """Timestamps as Flink writes them: seconds always, the fraction without trailing zeros and only when there is one.

    >>> frame = pl.DataFrame({"t": ["2024-01-01 10:00:00.500"]}).select(pl.col("t").str.to_datetime(time_unit="ms"))
    >>> frame.select(timestamp_text(pl.col("t"))).item()
    '2024-01-01 10:00:00.5'
    """
    return _with_fraction(column, f"%Y-%m-%d{separator}%H:%M:%S", "Z" if zone else "")


def time_text(column: pl.Expr) -> pl.Expr:
    """Times of day as `HH:mm:ss[.fraction]`."""
    return _with_fraction(column, "%H:%M:%S", "")


def _with_fraction(column: pl.Expr, pattern: str, suffix: str) -> pl.Expr:
    text = column.dt.to_string(pattern + ".%9f").str.strip_chars_end("0").str.strip_chars_end(".")
    return text + suffix if suffix else text
