"""Aggregates over rows that cannot exist: known without running anything. Constant conditions have been folded before."""

from __future__ import annotations

from tableapi.plan import nodes as n
from tableapi.plan.rex import Call, Literal, Rex

_NULL_OF_NOTHING = frozenset({"SUM", "MIN", "MAX", "AVG", "FIRST_VALUE", "LAST_VALUE", "LISTAGG"})


def aggregate_of_nothing(node: n.Node) -> n.Node | None:
    """Aggregate without keys over Filter(FALSE) → its one row, so that a stream gives it too (Flink: the same).

    Otherwise an aggregate of a stream gives nothing before its first row.
    """
    if not isinstance(node, n.Aggregate) or node.keys or node.grouping_sets is not None or not _is_empty(node.input):
        return None
    row = []
    for aggregate in node.aggregates:
        if aggregate.call.udaf is not None or aggregate.call.function not in (*_NULL_OF_NOTHING, "COUNT"):
            return None
        row.append(Literal(aggregate.call.type, 0 if aggregate.call.function == "COUNT" else None))
    return n.Values((tuple(row),), node.schema)


def _is_empty(node: n.Node) -> bool:
    while isinstance(node, n.Project | n.Filter | n.WatermarkAssigner):
        if isinstance(node, n.Filter) and _is_never_true(node.condition):
            return True
        node = node.input
    return isinstance(node, n.Values) and not node.rows


def _is_never_true(condition: Rex) -> bool:
    match condition:
        case Literal(value=value):
            return value is not True
        case Call(function="AND", args=args):
            return any(map(_is_never_true, args))
        case Call(function="OR", args=args):
            return all(map(_is_never_true, args))
    return False
