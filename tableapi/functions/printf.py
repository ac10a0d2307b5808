"""Java's `Formatter` language for PRINTF: %s %d %f %e %g %x %o %c %b %% %n with flags, width, precision and argument index."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from tableapi.types import DataType, FractionalType, IntegralType

_PLACE = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(<]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])")


_EXACT = Context(prec=400, rounding=ROUND_HALF_UP)


class _Mismatch(Exception):
    """The format does not fit its arguments."""


def java_format(pattern: str, values: Sequence[Any], types: Sequence[DataType]) -> str | None:
    """The formatted text, or None when the format is malformed or does not fit its arguments.

    >>> from tableapi.types import DataTypes
    >>> java_format("%05d|%-4s|%.2f", [7, "a", 1.005], [DataTypes.INT(), DataTypes.STRING(), DataTypes.DOUBLE()])
    '00007|a   |1.01'
    """
    following = 0
    parts: list[str] = []
    position = 0
    try:
        for match in _PLACE.finditer(pattern):
            if "%" in pattern[position : match.start()]:
                return None
            parts.append(pattern[position : match.start()])
            position = match.end()
            conversion = match[5]
            if conversion in "%n":
                parts.append("%" if conversion == "%" else "\n")
                continue
            index = int(match[1]) - 1 if match[1] else following
            following += 0 if match[1] else 1
            if not 0 <= index < len(values):
                return None
            precision = int(match[4]) if match[4] is not None else None
            text = _convert(conversion, values[index], types[index], match[2], precision, int(match[3] or 0))
            parts.append(text)
    except _Mismatch:
        return None
    return None if "%" in pattern[position:] else "".join([*parts, pattern[position:]])


def _convert(conversion: str, value: Any, data_type: DataType, flags: str, precision: int | None, width: int) -> str:
    kind = conversion.lower()
    if kind == "b":
        text = str(value is not None if not isinstance(value, bool) else value).lower()
    elif value is None:
        text = "null"
    elif kind == "s":
        text = _shown(value, data_type)
    elif kind == "c":
        text = _character(value, data_type)
    elif kind in "dxo":
        text = _integer(kind, value, data_type, flags, width)
    elif kind in "feg":
        text = _floating(kind, value, data_type, flags, precision, width)
    else:
        raise _Mismatch
    if kind in "sb" and precision is not None:
        text = text[:precision]
    if conversion.isupper():
        text = text.upper()
    return text.ljust(width) if "-" in flags else text.rjust(width)


def _shown(value: Any, data_type: DataType) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(data_type, FractionalType):
        import polars as pl

        from tableapi.functions.text_format import float_text

        return str(float_text(pl.Series([value], dtype=data_type.to_polars()))[0])
    return str(value)


def _character(value: Any, data_type: DataType) -> str:
    if isinstance(data_type, IntegralType) and 0 <= value < 0x110000:
        return chr(value)
    raise _Mismatch


def _integer(kind: str, value: Any, data_type: DataType, flags: str, width: int) -> str:
    if not isinstance(data_type, IntegralType):
        raise _Mismatch
    if kind != "d":
        number = value & ((1 << data_type.bits) - 1)
        text = f"{number:{kind}}"
        if "#" in flags:
            text = ("0x" if kind == "x" else "0") + text
        return text.rjust(width, "0") if "0" in flags else text
    return _signed(f"{abs(value):,}" if "," in flags else str(abs(value)), value < 0, flags, width)


def _floating(kind: str, value: Any, data_type: DataType, flags: str, precision: int | None, width: int) -> str:
    if not isinstance(data_type, FractionalType):
        raise _Mismatch
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else _signed("Infinity", value < 0, flags.replace("0", ""), width)
    digits = 6 if precision is None else precision
    if kind == "g":
        kind, digits = _general(abs(value), max(digits, 1))
    if kind == "e":
        text = f"{abs(value):.{digits}e}"
    else:
        exact = Decimal(repr(abs(value))).quantize(Decimal(1).scaleb(-digits), context=_EXACT)
        text = f"{exact:,f}" if "," in flags else f"{exact:f}"
    return _signed(text, value < 0 or (value == 0 and math.copysign(1, value) < 0), flags, width)


def _general(size: float, digits: int) -> tuple[str, int]:
    """What %g with so many significant digits is written as: %f or %e, and its digits after the point."""
    rounded = float(f"{size:.{digits - 1}e}")
    if size and not 1e-4 <= rounded < 10.0**digits:
        return "e", digits - 1
    return "f", digits - 1 - (math.floor(math.log10(rounded)) if rounded else 0)


def _signed(text: str, is_negative: bool, flags: str, width: int) -> str:
    if is_negative:
        before, after = ("(", ")") if "(" in flags else ("-", "")
    else:
        before, after = ("+" if "+" in flags else " " if " " in flags else ""), ""
    if "0" in flags:
        text = text.rjust(width - len(before) - len(after), "0")
    return before + text + after
