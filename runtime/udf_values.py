"""Values between Polars columns and Python functions, in PyFlink's conventions.

A ROW is a `Row`, a MAP a dict, a MULTISET a dict of counts, an ARRAY a list; TIMESTAMP_LTZ is a datetime in the session
time zone. What a function returns must fit the declared type: nothing is silently converted or cut. May import types and row.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from tableapi.row import Row
from tableapi.types import (
    ArrayType,
    BigIntType,
    BinaryStringType,
    BooleanType,
    CharacterType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    FractionalType,
    IntegralType,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    RowType,
    TimestampType,
    TimeType,
    YearMonthIntervalType,
)

Convert = Callable[[Any], Any]


def to_python(column: pl.Series, data_type: DataType | None, time_zone: str) -> list[Any]:
    """The column's values as a Python function sees them."""
    convert = None if data_type is None else _reader(data_type, time_zone)
    values = column.to_list()
    if convert is None:
        return values
    return [None if v is None else convert(v) for v in values]


def _reader(data_type: DataType, time_zone: str) -> Convert | None:
    """What turns Polars' Python value into the function's; None when they are the same."""
    if isinstance(data_type, LocalZonedTimestampType):
        zone = ZoneInfo(time_zone)
        return lambda v: v.astimezone(zone)
    if isinstance(data_type, ArrayType):
        element = _reader(data_type.element_type, time_zone)
        return None if element is None else lambda v: [None if e is None else element(e) for e in v]
    if isinstance(data_type, MapType):
        return _map_reader(data_type.key_type, data_type.value_type, time_zone)
    if isinstance(data_type, MultisetType):
        return _map_reader(data_type.element_type, BigIntType(), time_zone)
    if isinstance(data_type, RowType):
        names = data_type.field_names()
        readers = [_reader(t, time_zone) for t in data_type.field_types()]

        def read_row(value: dict[str, Any]) -> Row:
            fields = zip(readers, value.values(), strict=True)
            return Row.from_values(names, [v if r is None or v is None else r(v) for r, v in fields])

        return read_row
    return None


def _map_reader(key_type: DataType, value_type: DataType, time_zone: str) -> Convert:
    key, value = _reader(key_type, time_zone), _reader(value_type, time_zone)

    def read(entries: list[dict[str, Any]]) -> dict[Any, Any]:
        return {_read(key, e["key"]): _read(value, e["value"]) for e in entries}

    return read


def _read(convert: Convert | None, value: Any) -> Any:
    return value if convert is None or value is None else convert(value)


def from_python(values: Sequence[Any], data_type: DataType, name: str = "") -> pl.Series:
    """A column of values that a function returned.

    Raises:
        TypeError: A value is not of the declared type.
        OverflowError: A number is too large for it.
    """
    fast = _as_they_are(values, data_type, name)
    if fast is not None:
        return fast
    convert = _writer(data_type)
    checked = [None if v is None else convert(v) for v in values]
    return pl.Series(name, checked, dtype=data_type.to_polars(), strict=True)


def _as_they_are(values: Sequence[Any], data_type: DataType, name: str) -> pl.Series | None:
    """The column when every value is of the one class that Polars takes as it is; None also when a number is too large."""
    plain = _plain_class(data_type)
    if plain is None or not {*map(type, values)} <= {plain, type(None)}:
        return None
    try:
        return pl.Series(name, values, dtype=data_type.to_polars(), strict=True)
    except (OverflowError, TypeError, pl.exceptions.PolarsError):
        return None


def _plain_class(data_type: DataType) -> type | None:
    """The class whose values Polars takes as they are."""
    match data_type:
        case IntegralType():
            return int
        case FractionalType():
            return float
        case BooleanType():
            return bool
        case CharacterType():
            return str
        case BinaryStringType():
            return bytes
        case _:
            return None


def _mismatch(value: Any, data_type: DataType) -> TypeError:
    return TypeError(f"returned {value!r} ({type(value).__name__}), but the declared type is {data_type.nullable()}")


def _instance(data_type: DataType, *kinds: type) -> Convert:
    def check(value: Any) -> Any:
        if hasattr(value, "dtype") and hasattr(value, "item"):
            value = value.item()
        if not isinstance(value, kinds):
            raise _mismatch(value, data_type)
        return value

    return check


def _writer(data_type: DataType) -> Convert:
    """What checks a returned value and turns it into the form that Polars stores."""
    match data_type:
        case IntegralType(bits=bits):
            return _whole(data_type, bits)
        case YearMonthIntervalType():
            return _whole(data_type, 32)
        case FractionalType():
            number = _instance(data_type, int, float)
            return lambda v: float(number(v))
        case DecimalType():
            return _decimal(data_type)
        case BooleanType():
            return _instance(data_type, bool)
        case CharacterType():
            return _instance(data_type, str)
        case BinaryStringType():
            raw = _instance(data_type, bytes, bytearray, memoryview)
            return lambda v: bytes(raw(v))
        case TimestampType():
            stamp = _instance(data_type, datetime.datetime)
            return lambda v: stamp(v).replace(tzinfo=None)
        case LocalZonedTimestampType():
            return _instant(data_type)
        case DateType():
            day = _instance(data_type, datetime.date)
            return lambda v: v.date() if isinstance(v, datetime.datetime) else day(v)
        case TimeType():
            return _instance(data_type, datetime.time)
        case DayTimeIntervalType():
            return _instance(data_type, datetime.timedelta)
        case ArrayType():
            return _array(data_type)
        case MapType():
            return _map(data_type, data_type.key_type, data_type.value_type)
        case MultisetType():
            return _map(data_type, data_type.element_type, BigIntType())
        case RowType():
            return _row(data_type)
        case _:
            return lambda v: v


def _whole(data_type: DataType, bits: int) -> Convert:
    number = _instance(data_type, int)
    limit = 1 << (bits - 1)

    def check(value: Any) -> int:
        whole: int = number(value)
        if not -limit <= whole < limit:
            raise OverflowError(f"returned {whole}, which does not fit {data_type.nullable()}")
        return int(whole)

    return check


def _decimal(data_type: DecimalType) -> Convert:
    number = _instance(data_type, Decimal, int)
    unit = Decimal(1).scaleb(-data_type.scale)
    limit = Decimal(10) ** (data_type.precision - data_type.scale)

    def check(value: Any) -> Decimal | None:
        rounded = Decimal(number(value)).quantize(unit, ROUND_HALF_UP)
        # Flink: a decimal with too many digits becomes NULL.
        return rounded if abs(rounded) < limit else None

    return check


def _instant(data_type: DataType) -> Convert:
    stamp = _instance(data_type, datetime.datetime)

    def check(value: Any) -> datetime.datetime:
        at: datetime.datetime = stamp(value)
        return at.replace(tzinfo=datetime.UTC) if at.tzinfo is None else at.astimezone(datetime.UTC)

    return check


def _array(data_type: ArrayType) -> Convert:
    element = _writer(data_type.element_type)

    def check(value: Any) -> list[Any]:
        if isinstance(value, str | bytes | dict) or not hasattr(value, "__iter__"):
            raise _mismatch(value, data_type)
        return [None if e is None else element(e) for e in value]

    return check


def _map(data_type: DataType, key_type: DataType, value_type: DataType) -> Convert:
    key, value = _writer(key_type), _writer(value_type)

    def check(entries: Any) -> list[dict[str, Any]]:
        if not isinstance(entries, dict):
            raise _mismatch(entries, data_type)
        return [{"key": None if k is None else key(k), "value": None if v is None else value(v)} for k, v in entries.items()]

    return check


def _row(data_type: RowType) -> Convert:
    names = data_type.field_names()
    writers = [_writer(t) for t in data_type.field_types()]

    def check(value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            fields = [value.get(n) for n in names]
        elif isinstance(value, Row | tuple | list):
            fields = list(value)
        else:
            raise _mismatch(value, data_type)
        if len(fields) != len(names):
            raise TypeError(f"returned {len(fields)} fields, but the declared type is {data_type.nullable()}")
        return {n: None if f is None else w(f) for n, w, f in zip(names, writers, fields, strict=True)}

    return check
