"""Bounds of columns from the conditions of a scan, for readers that can leave out what lies outside.

May import plan.rex and connectors.base.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tableapi.connectors.base import Range
from tableapi.plan.rex import Call, Literal, Ref, Rex

_FLIPPED = {"LESS": "GREATER", "LESS_OR_EQUAL": "GREATER_OR_EQUAL", "GREATER": "LESS", "GREATER_OR_EQUAL": "LESS_OR_EQUAL"}


def ranges_of(conjuncts: Iterable[Rex]) -> dict[str, Range]:
    """The range of each column that comparisons with constants bound."""
    found: dict[str, Range] = {}
    for part in conjuncts:
        for name, low, high in _bounds(part):
            known = found.get(name, Range())
            lows = [v for v in (known.lowest, low) if v is not None]
            highs = [v for v in (known.highest, high) if v is not None]
            found[name] = Range(max(lows, default=None), min(highs, default=None))
    return found


def _bounds(part: Rex) -> Iterator[tuple[str, Any, Any]]:
    """(column, least, greatest value) of a condition; a strict comparison gives its bound as well."""
    if not isinstance(part, Call):
        return
    function, args = part.function, part.args
    if function == "BETWEEN" and len(args) == 3:
        yield from _compared("GREATER_OR_EQUAL", args[0], args[1])
        yield from _compared("LESS_OR_EQUAL", args[0], args[2])
    elif function == "IN":
        found = [bounds for a in args[1:] for bounds in _compared("EQUALS", args[0], a)]
        if found and len(found) == len(args) - 1:
            yield found[0][0], min(low for _, low, _ in found), max(high for _, _, high in found)
    elif len(args) == 2:
        if isinstance(args[0], Literal):
            yield from _compared(_FLIPPED.get(function, function), args[1], args[0])
        else:
            yield from _compared(function, args[0], args[1])


def _compared(function: str, column: Rex, bound: Rex) -> Iterator[tuple[str, Any, Any]]:
    if not (isinstance(column, Ref) and isinstance(bound, Literal)) or bound.value is None:
        return
    if type(column.type) is not type(bound.type) or isinstance(bound.value, str | bytes | bool | float):
        # Texts may be cut off in statistics, and NaN has no place in an order.
        return
    if function == "EQUALS":
        yield column.name, bound.value, bound.value
    elif function in ("GREATER", "GREATER_OR_EQUAL"):
        yield column.name, bound.value, None
    elif function in ("LESS", "LESS_OR_EQUAL"):
        yield column.name, None, bound.value
