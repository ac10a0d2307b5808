"""Durations as Flink writes them: a number and a unit, or ISO-8601. Imports nothing of ours."""

from __future__ import annotations

import re
from datetime import timedelta

_DURATION_UNITS_US = {
    "": 1_000,
    **dict.fromkeys(("d", "day", "days"), 86_400_000_000),
    **dict.fromkeys(("h", "hour", "hours"), 3_600_000_000),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60_000_000),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1_000_000),
    **dict.fromkeys(("ms", "milli", "millis", "millisecond", "milliseconds"), 1_000),
    **dict.fromkeys(("us", "µs", "micro", "micros", "microsecond", "microseconds"), 1),
}

_ISO_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE)


def parse_duration(text: str) -> timedelta:
    """A duration as Flink writes it: a number and a unit (milliseconds without one), or ISO-8601.

    Raises:
        ValueError: when the text is neither.

    >>> parse_duration("5 s"), parse_duration("500 ms"), parse_duration("PT1M")
    (datetime.timedelta(seconds=5), datetime.timedelta(microseconds=500000), datetime.timedelta(seconds=60))
    """
    text = text.strip()
    iso = _ISO_DURATION.fullmatch(text)
    if iso and any(iso.groups()):
        days, hours, minutes, seconds = (float(g or 0) for g in iso.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    match = re.fullmatch(r"(\d+)\s*([a-zµ]*)", text.lower())
    if match is None or match[2] not in _DURATION_UNITS_US:
        raise ValueError(f"'{text}' is not a duration; write a number and a unit (ms, s, min, h, d), for example '5 s'")
    return timedelta(microseconds=int(match[1]) * _DURATION_UNITS_US[match[2]])


def duration_text(duration: timedelta) -> str:
    """A duration in the largest unit that says it without a fraction; `parse_duration` reads it.

    >>> duration_text(timedelta(seconds=90)), duration_text(timedelta(minutes=10)), duration_text(timedelta(0))
    ('90 s', '10 min', '0 s')
    """
    microseconds = duration // timedelta(microseconds=1)
    units = (("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1))
    unit, size = next((u for u in units if microseconds and microseconds % u[1] == 0), ("s", 1_000_000))
    return f"{microseconds // size} {unit}"
