"""The plan's spec: what holds for every valid plan. Tests check it after every rule; the planner checks the final plan once."""

from __future__ import annotations

from tableapi.plan import nodes as n
from tableapi.plan.match_node import Match
from tableapi.plan.rex import OuterRef, Ref, Rex, SubqueryRex, walk
from tableapi.tablespec import RowSchema
from tableapi.types import BooleanType


def check_plan(plan: n.Node, *, is_final: bool = False) -> None:
    """Asserts that a plan is well formed.

    Args:
        plan: Any plan.
        is_final: After all rules: no sub-query and no reference to an outer query may be left.

    Raises:
        AssertionError: With the offending node's text.
    """
    for node in n.walk(plan):
        names = node.schema.names
        assert len(names) == len(set(names)), f"column names are not unique in {type(node).__name__}: {names}"
        for rex, schema, where in _expressions(node):
            _check_rex(rex, schema, where, is_final)
        for name, schema, where in _columns(node):
            assert name in schema, f"{where} reads '{name}', which is not in {schema}"
        if isinstance(node, n.Binary):
            both = [*node.left.schema.names, *node.right.schema.names]
            assert len(both) == len(set(both)), f"the sides of {type(node).__name__} share column names: {both}"


def _check_rex(rex: Rex, schema: RowSchema, where: str, is_final: bool) -> None:
    for part in walk(rex):
        if isinstance(part, Ref):
            assert part.name in schema, f"{where} reads '{part.name}', which is not in {schema}"
            actual = schema[part.name].type
            assert part.type.nullable() == actual.nullable(), f"{where} reads {part.name} as {part.type}, it is {actual}"
        if is_final:
            assert not isinstance(part, OuterRef | SubqueryRex), f"{where} still holds a sub-query: {part}"


def _expressions(node: n.Node) -> list[tuple[Rex, RowSchema, str]]:
    where = type(node).__name__
    match node:
        case n.Project(input=source, columns=columns):
            return [(c.rex, source.schema, where) for c in columns]
        case n.Filter(input=source, condition=condition):
            assert isinstance(condition.type, BooleanType), f"Filter on {condition.type}"
            return [(condition, source.schema, where)]
        case n.WatermarkAssigner(input=source, watermark=watermark):
            return [(watermark, source.schema, where)]
        case n.Join() | n.IntervalJoin() | n.WindowJoin() | n.TemporalJoin():
            both = RowSchema(node.left.schema.fields + node.right.schema.fields)
            return [(node.condition, both, where)] if node.condition is not None else []
        case n.Unnest(input=source, collection=collection):
            return [(collection, source.schema, where)]
        case n.Correlate(input=source, args=args):
            return [(a, source.schema, where) for a in args]
        case n.Aggregate(input=source, aggregates=aggregates) | n.WindowAggregate(input=source, aggregates=aggregates):
            return [(a, source.schema, where) for c in aggregates for a in c.call.args]
        case n.Over(input=source, calls=calls):
            return [(a, source.schema, where) for c in calls for a in c.call.args]
        case _:
            return []


def _columns(node: n.Node) -> list[tuple[str, RowSchema, str]]:
    where = type(node).__name__
    match node:
        case n.Aggregate(input=source, keys=keys):
            return [(k, source.schema, where) for k in keys]
        case n.WindowAggregate(input=source, keys=keys, window=window, attached=attached):
            own = attached or (window.time_column,)
            return [(k, source.schema, where) for k in (*keys, *own)]
        case n.WindowTable(input=source, window=window):
            return [(k, source.schema, where) for k in (window.time_column, *window.partition_by)]
        case n.Over(input=source, partition_by=parts, order_by=keys) | n.Rank(input=source, partition_by=parts, order_by=keys):
            return [(k, source.schema, where) for k in (*parts, *(s.column for s in keys))]
        case Match(input=source):
            return [(k, source.schema, where) for k in sorted(node.columns_read)]
        case n.Sort(input=source, order_by=keys):
            return [(k.column, source.schema, where) for k in keys]
        case n.TemporalJoin(left=left, right=right, keys=pairs):
            return [(a, left.schema, where) for a, _ in pairs] + [(b, right.schema, where) for _, b in pairs]
        case _:
            return []
