"""Joins with a query that refers to the tables before it: `FROM a, LATERAL (SELECT … WHERE … = a.x)`.

The conditions that refer to the left side are taken out of the query and become the join's, as for sub-queries in expressions.
"""

from __future__ import annotations

from dataclasses import replace

from tableapi.plan.nodes import Aggregate, Filter, Join, JoinKind, NamedRex, Node, Project, Sort
from tableapi.plan.rex import Call, Literal, Ref, Rex
from tableapi.plan.rules.filters import conjunction
from tableapi.plan.rules.subquery import _count_columns, _disjoint, _pull_up, _rename
from tableapi.plan.scope import Relation, ScopeColumn


def lateral_join(left: Relation, plan: Node, kind: JoinKind, alias: str | None, names: list[str]) -> Relation:
    """Each left row times the rows of the query for it (INNER or LEFT). `names`: what the query's columns are called."""
    pulled = _pull_up(plan, left.node)
    right, renames = _disjoint(pulled.node, left.node)
    conditions = [_rename(c, renames) for c in pulled.conditions]
    always_one_row = _is_global_aggregate(plan)
    if always_one_row and conditions:
        kind = JoinKind.LEFT
    node: Node = Join(left.node, right, kind, conjunction(conditions) if conditions else None)
    columns = {f.name: renames[pulled.outputs[f.name]] for f in plan.schema}
    if always_one_row and conditions:
        node = _zero_counts(node, {columns[name] for name in _count_columns(plan)})
    added = tuple(ScopeColumn(alias, name, columns[f.name]) for name, f in zip(names, plan.schema, strict=True))
    return replace(left, node=node, columns=left.columns + added)


def _is_global_aggregate(node: Node) -> bool:
    while isinstance(node, Project | Filter | Sort):
        if isinstance(node, Filter):
            return False
        node = node.input
    return isinstance(node, Aggregate) and not node.keys


def _zero_counts(node: Node, counts: set[str]) -> Node:
    """A COUNT over no rows is 0, where the join found no partner."""
    items = []
    for column in node.schema:
        rex: Rex = Ref(column.type, column.name)
        if column.name in counts:
            rex = Call(column.type.not_null(), "COALESCE", (rex, Literal(column.type.not_null(), 0)))
        items.append(NamedRex(column.name, rex))
    return Project(node, tuple(items)) if counts else node
