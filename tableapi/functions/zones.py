"""Instants and wall-clock times: the session time zone applied as Java does.

A wall-clock time that a zone skips (a gap) moves forward by the length of the gap; one that happens twice means the earlier
instant.
"""

from __future__ import annotations

import re
import zoneinfo
from functools import cache

import polars as pl

from tableapi.errors import ValidationError

_OFFSET = re.compile(r"^(?:GMT|UTC|UT)?([+-])(\d{1,2})(?::?(\d{2}))?$")
_LONGEST_GAP = "3h"


@cache
def is_zone(name: str) -> bool:
    """Whether the name is a time zone (an IANA name, UTC, or an offset such as GMT+08:00)."""
    if _OFFSET.match(name):
        return True
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


_ABBREVIATIONS = {
    "EST": "-05:00",
    "MST": "-07:00",
    "HST": "-10:00",
    "ACT": "Australia/Darwin",
    "AET": "Australia/Sydney",
    "AGT": "America/Argentina/Buenos_Aires",
    "ART": "Africa/Cairo",
    "AST": "America/Anchorage",
    "BET": "America/Sao_Paulo",
    "BST": "Asia/Dhaka",
    "CAT": "Africa/Harare",
    "CNT": "America/St_Johns",
    "CST": "America/Chicago",
    "CTT": "Asia/Shanghai",
    "EAT": "Africa/Addis_Ababa",
    "ECT": "Europe/Paris",
    "IET": "America/Indiana/Indianapolis",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "MIT": "Pacific/Apia",
    "NET": "Asia/Yerevan",
    "NST": "Pacific/Auckland",
    "PLT": "Asia/Karachi",
    "PNT": "America/Phoenix",
    "PRT": "America/Puerto_Rico",
    "PST": "America/Los_Angeles",
    "SST": "Pacific/Guadalcanal",
    "VST": "Asia/Ho_Chi_Minh",
}
_CUSTOM = re.compile(r"^GMT[+-](\d{1,2})(:?[0-5]\d)?$")


def lenient_zone(name: str) -> str:
    """The zone that Java's older classes take a name for: three letters are an old abbreviation, an unknown name is UTC.

    >>> lenient_zone("PST"), lenient_zone("GMT+8"), lenient_zone("+08:00"), lenient_zone("Mars")
    ('America/Los_Angeles', 'GMT+8', 'UTC', 'UTC')
    """
    if name in _ABBREVIATIONS:
        return _ABBREVIATIONS[name]
    custom = _CUSTOM.match(name)
    if custom:
        return name if int(custom[1]) < 24 else "UTC"
    return name if is_zone(name) and not _OFFSET.match(name) else "UTC"


def offset_minutes(name: str) -> int | None:
    """Minutes east of UTC of a fixed-offset zone name, or None for a named zone."""
    if name in ("UTC", "Z", "GMT"):
        return 0
    match = _OFFSET.match(name)
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return minutes if match[1] == "+" else -minutes


def to_wall_clock(instant: pl.Expr, zone: str) -> pl.Expr:
    """The wall-clock time (no zone) of an instant in UTC.

    Raises:
        ValidationError: The zone does not exist.
    """
    minutes = offset_minutes(zone)
    if minutes is not None:
        return instant.dt.replace_time_zone(None).dt.offset_by(f"{minutes}m")
    _check(zone)
    return instant.dt.convert_time_zone(zone).dt.replace_time_zone(None)


def to_instant(wall_clock: pl.Expr, zone: str) -> pl.Expr:
    """The instant (in UTC) of a wall-clock time.

    Raises:
        ValidationError: The zone does not exist.
    """
    minutes = offset_minutes(zone)
    if minutes is not None:
        return wall_clock.dt.offset_by(f"{-minutes}m").dt.replace_time_zone("UTC")
    _check(zone)
    direct = _resolve(wall_clock, zone)
    before_gap = _resolve(wall_clock.dt.offset_by(f"-{_LONGEST_GAP}"), zone).dt.offset_by(_LONGEST_GAP)
    return pl.coalesce(direct, before_gap)


def _resolve(wall_clock: pl.Expr, zone: str) -> pl.Expr:
    local = wall_clock.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return local.dt.convert_time_zone("UTC")


def _check(zone: str) -> None:
    if not is_zone(zone):
        raise ValidationError(
            f"the time zone '{zone}' does not exist", fix="use a name such as 'Europe/Berlin', 'UTC' or 'GMT+08:00'"
        )
