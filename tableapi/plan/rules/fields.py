"""A pass over all plans of a job: which fields of a table's ROW columns are read at all.

The types of the plan stay: a source that takes the hint hands over NULL in the fields that nobody reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tableapi.plan import nodes as n
from tableapi.plan.rex import Call, Literal, Ref, Rex
from tableapi.types import RowType

_Uses = dict[str, set[str] | None]
"""Columns that are read; for rows the fields, or None for the whole row."""


def note_read_fields(plans: Sequence[n.Node]) -> list[n.Node]:
    """The plans, with `Scan.fields` saying which fields of ROW columns they read. Equal scans stay equal."""
    found: dict[n.Scan, _Uses] = {}
    for plan in plans:
        _visit(plan, dict.fromkeys(plan.schema.names), found)
    return [n.transform(plan, lambda node: _noted(node, found)) for plan in plans]


def _noted(node: n.Node, found: dict[n.Scan, _Uses]) -> n.Node | None:
    if not isinstance(node, n.Scan):
        return None
    uses = found.get(node, {})
    fields = []
    for column in node.schema:
        read = uses.get(column.name)
        if isinstance(column.type, RowType) and read is not None and len(read) < len(column.type.fields):
            fields.append((column.name, tuple(f.name for f in column.type.fields if f.name in read)))
    return replace(node, fields=tuple(fields)) if fields else None


def _visit(node: n.Node, uses: _Uses, found: dict[n.Scan, _Uses]) -> None:
    """Follows what is read from the top of the plan down to the scans; `uses` is what is read of the node's own columns."""
    match node:
        case n.Scan():
            known = found.setdefault(node, {})
            for name, fields in uses.items():
                _add(known, name, fields)
            _read(node.filter, known)
        case n.Project():
            below: _Uses = {}
            for item in node.columns:
                if isinstance(item.rex, Ref):
                    _add(below, item.rex.name, uses.get(item.name))
                else:
                    _read(item.rex, below)
            _visit(node.input, below, found)
        case n.Filter():
            below = dict(uses)
            _read(node.condition, below)
            _visit(node.input, below, found)
        case n.WatermarkAssigner():
            below = dict(uses)
            _read(node.watermark, below)
            _add(below, node.column, None)
            _visit(node.input, below, found)
        case _:
            for child in node.inputs:
                _visit(child, dict.fromkeys(child.schema.names), found)


def _add(uses: _Uses, name: str, fields: set[str] | None) -> None:
    if name not in uses:
        uses[name] = None if fields is None else set(fields)
        return
    known = uses[name]
    uses[name] = None if known is None or fields is None else known | fields


def _read(rex: Rex | None, uses: _Uses) -> None:
    match rex:
        case None:
            return
        case Ref(name=name):
            _add(uses, name, None)
        case Call(function="GET", args=(Ref(name=name), Literal(value=str() as field))):
            _add(uses, name, {field})
        case _:
            for child in rex.children:
                _read(child, uses)
