"""Splits the select list above a Python aggregate into what must be taken along with the groups and what comes after.

May import plan only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tableapi.plan.resolve import output_name
from tableapi.plan.unresolved import As, Call, Cast, Name, Unresolved, WindowProperty

if TYPE_CHECKING:
    from tableapi.plan.builder import Relation


def split_items(
    keys: Sequence[Unresolved], items: Sequence[Unresolved], relation: Relation
) -> tuple[list[Unresolved], list[Unresolved]]:
    """The grouping columns and window properties to carry, and the select list over them.

    >>> carried, final = split_items([Name(("k",))], [Name(("k",)), As(WindowProperty("w", "start"), ("s",))], NO_WINDOWS)
    >>> [output_name(c) for c in carried], final[1]
    (['k', '$w.start'], As(where=None, arg=Name(where=None, parts=('$w.start',)), names=('s',)))
    """
    carried: dict[str, Unresolved] = {}
    for position, key in enumerate(keys):
        if isinstance(key, Name) and relation.window(key.parts[-1]) is not None:
            continue
        name = output_name(key) or f"$key{position}"
        carried[name] = key if output_name(key) else As(key, (name,))
    final = [_outside(item, carried) for item in items]
    return list(carried.values()), final


def _outside(node: Unresolved, carried: dict[str, Unresolved]) -> Unresolved:
    """The item with window properties replaced by the columns that carry them."""
    match node:
        case WindowProperty(window=window, property=what):
            name = f"${window}.{what}"
            carried.setdefault(name, As(node, (name,), where=node.where))
            return Name((name,), where=node.where)
        case Call(args=args):
            return replace(node, args=tuple(_outside(a, carried) for a in args))
        case As(arg=arg) | Cast(arg=arg):
            return replace(node, arg=_outside(arg, carried))
        case _:
            return node


class _NoWindows:
    """A relation without windows, for the example above."""

    def window(self, alias: str) -> None:
        return None


NO_WINDOWS: Any = _NoWindows()
