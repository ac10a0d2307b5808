"""The input of an aggregation over several grouping sets. Imports the plan only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tableapi.plan import nodes as n
from tableapi.plan.rex import Ref
from tableapi.tablespec import RowSchema


def copy_key_arguments(node: n.Aggregate) -> tuple[n.Node, tuple[n.NamedAgg, ...]]:
    """Arguments that are grouping keys, as copies: the keys themselves become NULL in the sets that lack them."""
    copies: dict[str, str] = {}

    def copy(rex: Any) -> Any:
        if isinstance(rex, Ref) and rex.name in node.keys:
            copies[rex.name] = f"$copy_{rex.name}"
            return replace(rex, name=copies[rex.name])
        return rex

    aggregates = tuple(replace(a, call=replace(a.call, args=tuple(copy(arg) for arg in a.call.args))) for a in node.aggregates)
    if not copies:
        return node.input, aggregates
    fields = node.input.schema
    items = [n.NamedRex(f.name, Ref(f.type, f.name)) for f in fields]
    items += [n.NamedRex(new, Ref(fields[old].type, old)) for old, new in copies.items()]
    return n.Project(node.input, tuple(items)), aggregates


def expanded_schema(schema: RowSchema, node: n.Aggregate, group_id: str) -> RowSchema:
    """The columns of the copies of each row, one a grouping set: keys may be NULL, and the number of the set."""
    from tableapi.tablespec import Field
    from tableapi.types import BigIntType

    fields = [replace(f, type=f.type.nullable()) if f.name in node.keys else f for f in schema]
    return RowSchema((*fields, Field(group_id, BigIntType(is_nullable=False))))
