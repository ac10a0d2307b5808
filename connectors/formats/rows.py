"""The slow and exact way: one record at a time, to find what is wrong with it, or to read what only Flink's lenient rules can.

Used for the few records that the vectorised readers refuse. A record's values are brought into the shape of
`convert.raw_type(..., is_text=True)`; the columns are then converted together.
Imports tableapi.types and convert only.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import polars as pl

from tableapi.connectors.formats.convert import ConversionError, TextStyle, convert, raw_type, with_article
from tableapi.types import ArrayType, BooleanType, CharacterType, DataType, IntegralType, MapType, MultisetType, RowType


class RawNumber(str):
    """The text of a JSON number, told apart from a string."""

    __slots__ = ()


def _no_constant(token: str) -> Any:
    raise ValueError(f"{token} is not a JSON value")


def parse_json(text: str) -> Any:
    """A JSON value whose numbers keep their text.

    Raises:
        ValueError: when the text is not JSON.

    >>> parse_json('{"a": 1.50}')
    {'a': '1.50'}
    """
    return json.loads(text, parse_float=RawNumber, parse_int=RawNumber, parse_constant=_no_constant)


def json_text(value: Any) -> str:
    """A parsed value as compact JSON text, with its numbers as they were written.

    >>> json_text(parse_json('{"x": [1, 2.0]}'))
    '{"x":[1,2.0]}'
    """
    if isinstance(value, RawNumber):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{json_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def raw_value(value: Any, data_type: DataType, style: TextStyle, is_lenient: bool) -> Any:
    """A parsed JSON value in the shape of `raw_type(data_type, is_text=True)`, checked against the type.

    Args:
        is_lenient: A value that does not fit becomes None (Flink's ignore-parse-errors).

    Raises:
        ConversionError: when the value does not fit and `is_lenient` is not set.
    """
    try:
        return _raw_value(value, data_type, style, is_lenient)
    except ConversionError:
        if is_lenient:
            return None
        raise


def _raw_value(value: Any, data_type: DataType, style: TextStyle, is_lenient: bool) -> Any:
    if value is None:
        return None
    if isinstance(data_type, ArrayType):
        if not isinstance(value, list):
            raise ConversionError(f"{json_text(value)} is not a JSON array, which {data_type.nullable()} needs")
        return [raw_value(v, data_type.element_type, style, is_lenient) for v in value]
    if isinstance(data_type, RowType):
        if not isinstance(value, dict):
            raise ConversionError(f"{json_text(value)} is not a JSON object, which {data_type.nullable()} needs")
        return {f.name: raw_value(value.get(f.name), f.data_type, style, is_lenient) for f in data_type.fields}
    text = value if isinstance(value, str) and not isinstance(value, RawNumber) else json_text(value)
    if isinstance(data_type, CharacterType):
        return text
    if isinstance(data_type, IntegralType) and isinstance(value, RawNumber):
        text = _whole(value, data_type)
    _check(text, data_type, style)
    return text


def _whole(value: str, data_type: IntegralType) -> str:
    """A JSON number for an integer column: INT and BIGINT cut a fraction off, the smaller types refuse one (Flink)."""
    if not any(c in value for c in ".eE"):
        return value
    if data_type.bits < 32:
        raise ConversionError(f"{value} is not {with_article(data_type)}")
    number = Decimal(value)
    return str(int(number)) if number.adjusted() < 20 else value


def _check(text: str, data_type: DataType, style: TextStyle) -> None:
    if isinstance(data_type, BooleanType):
        return
    if isinstance(data_type, MapType | MultisetType):
        try:
            convert(pl.Series([text], dtype=pl.String), data_type, style)
        except (ValueError, pl.exceptions.PolarsError) as e:
            raise ConversionError(str(e)) from None
        return
    convert(pl.Series([text], dtype=raw_type(data_type, True)), data_type, style)
