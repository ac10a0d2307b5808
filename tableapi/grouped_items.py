"""Rewrites select lists above groups: named keys put in place, and what a Python aggregate must carry along.

May import plan and the walking functions of `sql.rewrite`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tableapi.plan.naming import api_names
from tableapi.plan.resolve import output_name
from tableapi.plan.unresolved import As, Name, Unresolved, WindowProperty
from tableapi.sql.rewrite import map_parts

if TYPE_CHECKING:
    from tableapi.plan.scope import Relation


def place_keys(keys: Sequence[Unresolved], items: Sequence[Unresolved]) -> tuple[list[Unresolved], list[Unresolved]]:
    """Keys without their names, and the items with the keys in place of their names.

    So `group_by((a % 2).alias("k")).select(k)` has the plan of `SELECT a % 2 AS k … GROUP BY a % 2`.

    >>> half = As(Name(("a",)), ("k",))
    >>> place_keys([half], [Name(("k",))])[1] == [half]
    True
    """
    named = {k.names[0]: k.arg for k in keys if isinstance(k, As)}
    plain = [k.arg if isinstance(k, As) else k for k in keys]

    def inside(node: Unresolved) -> Unresolved:
        if isinstance(node, Name) and len(node.parts) == 1 and node.parts[0] in named:
            return replace(named[node.parts[0]], where=node.where)
        return map_parts(node, inside)

    placed: list[Unresolved] = []
    for item in items:
        name = output_name(item)
        new = inside(item) if named else item
        if isinstance(item, Name) and name in named:
            new = As(new, (item.parts[0],), where=item.where)
        placed.append(new)
    return plain, placed


def split_items(
    keys: Sequence[Unresolved], items: Sequence[Unresolved], relation: Relation
) -> tuple[list[Unresolved], list[Unresolved]]:
    """The grouping columns and window properties to carry through a Python aggregate, and the select list over them."""
    carried: dict[str, Unresolved] = {}
    for position, key in enumerate(keys):
        if isinstance(key, Name) and relation.window(key.parts[-1]) is not None:
            continue
        name = output_name(key) or f"$key{position}"
        carried[name] = key if output_name(key) else As(key, (name,))

    def outside(node: Unresolved) -> Unresolved:
        if isinstance(node, WindowProperty):
            name = f"${node.window}.{node.property}"
            carried.setdefault(name, As(node, (name,), where=node.where))
            return Name((name,), where=node.where)
        return map_parts(node, outside)

    names = api_names(items)
    final = [
        As(outside(item), (name,), where=item.where) if isinstance(item, WindowProperty) else outside(item)
        for item, name in zip(items, names, strict=True)
    ]
    return list(carried.values()), final
