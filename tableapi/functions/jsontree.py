"""JSON text as Python values that keep what Flink keeps: decimals to the digit, the order of keys, the last of equal keys."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from typing import Any

import polars as pl


class JsonError(ValueError):
    """The text is not JSON."""


def _no_constant(name: str) -> Any:
    raise JsonError(f"{name} is not JSON")


def _number(text: str) -> Decimal:
    number = Decimal(text)
    return number if number else abs(number)


_DECODER = json.JSONDecoder(parse_float=_number, parse_constant=_no_constant)
_SPACE = " \t\r\n"


@lru_cache(maxsize=16_384)
def parse(text: str) -> Any:
    """The value that a text begins with (Flink reads no further): dict, list, str, bool, int, Decimal or None.

    The result must not be changed.

    Raises:
        JsonError: The text does not begin with JSON.
    """
    return _parse(text, _DECODER)


def _parse(text: str, decoder: json.JSONDecoder) -> Any:
    try:
        value, end = decoder.raw_decode(text.lstrip(_SPACE))
    except (ValueError, RecursionError) as error:
        raise JsonError(str(error)) from None
    after = text.lstrip(_SPACE)[end : end + 1]
    if after and after not in _SPACE + ",]}:" and not isinstance(value, dict | list | str):
        raise JsonError(f"'{after}' follows a {type(value).__name__}")
    return value


def _variant_number(text: str) -> Decimal | float:
    if "e" in text or "E" in text:
        return float(text)
    return Decimal(text.rstrip("0").rstrip(".")) if Decimal(text) else Decimal(0)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise JsonError("an object has a key twice")
    return made


_VARIANT = json.JSONDecoder(parse_float=_variant_number, parse_constant=_no_constant)
_STRICT_VARIANT = json.JSONDecoder(parse_float=_variant_number, parse_constant=_no_constant, object_pairs_hook=_unique)


def parse_variant(text: str, allows_duplicates: bool = True) -> Any:
    """The value of a VARIANT: numbers with an exponent are DOUBLE, the zeros at the end of others are dropped.

    Raises:
        JsonError: The text does not begin with JSON, or has a key twice although that is not allowed.
    """
    return _parse(text, _VARIANT if allows_duplicates else _STRICT_VARIANT)


def is_valid(text: str) -> bool:
    """Whether the text is JSON."""
    try:
        parse(text)
    except JsonError:
        return False
    return True


def is_scalar(value: Any) -> bool:
    """Whether the value is neither an object nor an array."""
    return not isinstance(value, dict | list)


def text_of(value: Any) -> str:
    """The JSON text of a value, with the keys of objects in order (Flink).

    >>> text_of({"b": [1, Decimal("1.50"), None], "a": 2})
    '{"a":2,"b":[1,1.50,null]}'
    """
    if isinstance(value, dict):
        return "{" + ",".join(f"{quoted(k)}:{text_of(value[k])}" for k in sorted(value, key=key_order)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text_of, value)) + "]"
    return quoted(value) if isinstance(value, str) else scalar_text(value)


def key_order(key: str) -> bytes:
    """What keys are sorted by: their UTF-16 units, as Java does."""
    return key.encode("utf-16-be", "surrogatepass")


def scalar_text(value: Any) -> str:
    """A scalar as plain text: strings without quotes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        from tableapi.functions.text_format import float_text

        return str(float_text(pl.Series([value]))[0])
    return str(value)


def quoted(text: str) -> str:
    """A JSON string literal; characters beyond ASCII stay as they are."""
    return json.dumps(text, ensure_ascii=False)
