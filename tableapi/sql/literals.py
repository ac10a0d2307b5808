"""Values of literals: numbers, DATE, TIME, TIMESTAMP and INTERVAL texts. Each function raises ValueError with the reason."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any

from tableapi.types import (
    BigIntType,
    BinaryType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    IntervalUnit,
    TimestampType,
    TimeType,
    YearMonthIntervalType,
)

_MAX_UNSCALED = 2**63 - 1
_MS_PER = {
    IntervalUnit.DAY: 86_400_000,
    IntervalUnit.HOUR: 3_600_000,
    IntervalUnit.MINUTE: 60_000,
    IntervalUnit.SECOND: 1000,
}


def number(text: str) -> tuple[Any, DataType | None]:
    """An integer (INT or BIGINT), a decimal (with a point) or a double (with an exponent).

    >>> number("1.50")
    (Decimal('1.50'), DECIMAL(3, 2) NOT NULL)
    """
    if not re.fullmatch(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?|\.[0-9]+([eE][+-]?[0-9]+)?", text):
        raise ValueError("this is not a number")
    if "e" in text.lower():
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise ValueError("the number is too large for DOUBLE")
        return value, None
    if "." in text and not text.endswith("."):
        decimal = Decimal(text)
        if int(decimal.scaleb(-int(decimal.as_tuple().exponent))) > _MAX_UNSCALED:
            raise ValueError("the number has too many digits")
        _, digits, exponent = decimal.as_tuple()
        assert isinstance(exponent, int)
        return decimal, DecimalType(max(len(digits), 1 - exponent), -exponent, is_nullable=False)
    value_int = int(text.rstrip("."))
    if value_int > _MAX_UNSCALED:
        raise ValueError("the number is too large for BIGINT")
    return value_int, BigIntType(is_nullable=False) if value_int > 2**31 - 1 else None


def binary(text: str) -> tuple[bytes, DataType]:
    """The value of X'…'."""
    if len(text) % 2 or not re.fullmatch("[0-9A-Fa-f]*", text):
        raise ValueError("X'…' needs an even number of hexadecimal digits")
    value = bytes.fromhex(text)
    return value, BinaryType(max(1, len(value)), is_nullable=False)


def date(text: str) -> tuple[datetime.date, DataType]:
    """The value of DATE '…'."""
    match = re.fullmatch(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})", text.strip())
    if not match:
        raise ValueError("a DATE is written yyyy-MM-dd")
    return datetime.date(*map(int, match.groups())), DateType(is_nullable=False)


def time(text: str) -> tuple[datetime.time, DataType]:
    """The value of TIME '…', to the millisecond."""
    match = re.fullmatch(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.([0-9]{1,9}))?", text.strip())
    if not match:
        raise ValueError("a TIME is written HH:mm:ss or HH:mm:ss.SSS")
    hour, minute, second = (int(match[i]) for i in (1, 2, 3))
    fraction = (match[4] or "")[:3]
    return datetime.time(hour, minute, second, _micros(fraction)), TimeType(len(fraction), is_nullable=False)


def timestamp(text: str) -> tuple[datetime.datetime, DataType]:
    """The value of TIMESTAMP '…'; its precision is the number of fractional digits."""
    match = re.fullmatch(
        r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?: +([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.([0-9]{1,9}))?)?", text.strip()
    )
    if not match:
        raise ValueError("a TIMESTAMP is written yyyy-MM-dd HH:mm:ss or yyyy-MM-dd HH:mm:ss.SSS")
    fields = [int(match[i] or 0) for i in range(1, 7)]
    fraction = match[7] or ""
    value = datetime.datetime(*fields, _micros(fraction))  # type: ignore[arg-type, call-arg]
    return value, TimestampType(len(fraction), is_nullable=False)


def nanosecond_timestamp(text: str) -> str | None:
    """The text of a TIMESTAMP with more than six fractional digits, of which nine are kept (Flink); None of any other.

    >>> nanosecond_timestamp("2024-01-01 00:00:00.1234567")
    '2024-01-01 00:00:00.1234567'
    """
    match = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{7,9})[0-9]*", text.strip())
    return match[1] if match else None


def _micros(fraction: str) -> int:
    if fraction[6:].strip("0"):
        raise ValueError("more than 6 fractional digits cannot be kept in a literal; cast a string instead")
    return int(fraction[:6].ljust(6, "0") or 0)


def interval(
    text: str, data_type: YearMonthIntervalType | DayTimeIntervalType, sign: int, digits: int = 2
) -> tuple[datetime.timedelta | int, DataType]:
    """The value of INTERVAL '…' unit [TO unit]: months, or a duration of whole milliseconds.

    `digits`: how many digits the first number may have, leading zeros apart.
    """
    stripped = text.strip()
    if stripped.startswith(("-", "+")):
        sign = -sign if stripped[0] == "-" else sign
        stripped = stripped[1:]
    first, last = data_type.first, data_type.last
    leading = re.match("0*([0-9]+)", stripped)
    if leading and len(leading[1]) > digits:
        wider = f"{first.name}({len(leading[1])})" + (f" TO {last.name}" if last != first else "")
        raise ValueError(f"{first.name} takes {digits} digits; write {wider}")
    if isinstance(data_type, YearMonthIntervalType):
        return sign * _months(stripped, first, last), data_type.not_null()
    return datetime.timedelta(milliseconds=sign * _milliseconds(stripped, first, last)), data_type.not_null()


def _months(text: str, first: IntervalUnit, last: IntervalUnit) -> int:
    pattern = r"([0-9]+)-([0-9]+)" if first != last else r"([0-9]+)"
    match = re.fullmatch(pattern, text)
    if not match:
        raise ValueError(
            f"INTERVAL {_shown(first, last)} is written {'years-months' if first != last else 'as a whole number'}"
        )
    numbers = [int(g) for g in match.groups()]
    if first != last:
        if numbers[1] > 11:
            raise ValueError("months after years are 0 to 11")
        return numbers[0] * 12 + numbers[1]
    return numbers[0] * (12 if first is IntervalUnit.YEAR else 1)


def _milliseconds(text: str, first: IntervalUnit, last: IntervalUnit) -> int:
    units = [u for u in IntervalUnit if first <= u <= last]
    separators = {IntervalUnit.HOUR: " +", IntervalUnit.MINUTE: ":", IntervalUnit.SECOND: ":"}
    pattern = "([0-9]+)" + "".join(separators[u] + "([0-9]+)" for u in units[1:])
    if last is IntervalUnit.SECOND:
        pattern += r"(?:\.([0-9]{1,6}))?"
    match = re.fullmatch(pattern, text)
    if not match:
        example = {IntervalUnit.DAY: "d", IntervalUnit.HOUR: "h", IntervalUnit.MINUTE: "mm", IntervalUnit.SECOND: "ss.fff"}
        form = example[units[0]] + "".join((" " if u is IntervalUnit.HOUR else ":") + example[u] for u in units[1:])
        raise ValueError(f"INTERVAL {_shown(first, last)} is written '{form}'")
    total = 0
    for position, unit in enumerate(units):
        amount = int(match[position + 1])
        limit = 23 if unit is IntervalUnit.HOUR else 59
        if position and amount > limit:
            raise ValueError(f"{unit.name.lower()}s after a larger unit are 0 to {limit}")
        total += amount * _MS_PER[unit]
    fraction = (match[len(units) + 1] or "") if last is IntervalUnit.SECOND else ""
    return total + int(fraction[:3].ljust(3, "0") or 0)


def _shown(first: IntervalUnit, last: IntervalUnit) -> str:
    return first.name if first == last else f"{first.name} TO {last.name}"
