"""A whole-plan pass: no node carries a column that nothing above it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch

from tableapi.plan import nodes as n
from tableapi.plan.match_node import Match
from tableapi.plan.rex import Ref, Rex, columns
from tableapi.plan.rules.reuse import shared_columns, with_body


def prune_columns(plans: Sequence[n.Node]) -> list[n.Node]:
    """The plans with every unused column removed as early as possible. The results' columns stay.

    What several places share has the columns that any of them reads.
    """
    pruned = [_prune(plan, set(plan.schema.names)) for plan in plans]
    number = 1
    while (found := shared_columns(pruned, number)) is not None:
        body, wanted = found
        names = [name for name in body.schema.names if name in wanted] or body.schema.names[:1]
        smaller = _exactly(_prune(body, set(names)), names)
        pruned = [with_body(plan, number, smaller) for plan in pruned]
        number += 1
    return pruned


def _keep(node: n.Node, wanted: set[str]) -> n.Node:
    """The pruned node; where it still has columns that are not wanted, a Project cuts them off."""
    pruned = _prune(node, wanted)
    names = [f for f in pruned.schema if f.name in wanted]
    if len(names) == len(pruned.schema) or not names:
        return pruned
    return n.Project(pruned, tuple(n.NamedRex(f.name, Ref(f.type, f.name)) for f in names))


@singledispatch
def _prune(node: n.Node, wanted: set[str]) -> n.Node:
    """By default every column of every input is needed."""
    return node.with_inputs(tuple(_prune(i, set(i.schema.names)) for i in node.inputs)) if node.inputs else node


def _used(rexes: list[Rex]) -> set[str]:
    return set().union(*map(columns, rexes)) if rexes else set()


@_prune.register
def _(node: n.Scan, wanted: set[str]) -> n.Node:
    """A primary key is always read: the source may hand over upserts, which only the key makes into changes."""
    wanted = wanted | set(node.table.primary_key)
    names = tuple(name for name in node.schema.names if name in wanted)
    if not names:
        names = tuple(node.schema.names[:1])
    return node if names == tuple(node.schema.names) else replace(node, columns=names)


@_prune.register
def _(node: n.Shared, wanted: set[str]) -> n.Node:
    names = tuple(name for name in node.schema.names if name in wanted) or tuple(node.schema.names[:1])
    return replace(node, columns=names)


@_prune.register
def _(node: n.Inline, wanted: set[str]) -> n.Node:
    fields = tuple(f for f in node.row_schema if f.name in wanted) or node.row_schema.fields[:1]
    if len(fields) == len(node.row_schema):
        return node
    from tableapi.tablespec import RowSchema

    frame = node.data.frame.select([f.name for f in fields])
    return n.Inline(n.InlineFrame(frame), RowSchema(fields))


@_prune.register
def _(node: n.Project, wanted: set[str]) -> n.Node:
    items = tuple(c for c in node.columns if c.name in wanted) or node.columns[:1]
    used = _used([c.rex for c in items])
    return n.Project(_prune(node.input, used), items)


@_prune.register
def _(node: n.Filter, wanted: set[str]) -> n.Node:
    return replace(node, input=_prune(node.input, wanted | columns(node.condition)))


@_prune.register
def _(node: n.WatermarkAssigner, wanted: set[str]) -> n.Node:
    return replace(node, input=_prune(node.input, wanted | {node.column} | columns(node.watermark)))


@_prune.register
def _(node: n.Sort, wanted: set[str]) -> n.Node:
    return replace(node, input=_keep(node.input, wanted | {k.column for k in node.order_by}))


@_prune.register
def _(node: n.Limit, wanted: set[str]) -> n.Node:
    return replace(node, input=_prune(node.input, wanted))


def _agg_columns(aggregates: tuple[n.NamedAgg, ...]) -> set[str]:
    used: set[str] = set()
    for aggregate in aggregates:
        used |= _used(list(aggregate.call.args)) | {k.column for k in aggregate.call.order_by}
        if aggregate.call.filter:
            used.add(aggregate.call.filter)
    return used


@_prune.register
def _(node: n.Aggregate, wanted: set[str]) -> n.Node:
    aggregates = tuple(a for a in node.aggregates if a.name in wanted)
    if not aggregates and not node.keys:
        aggregates = node.aggregates[:1]
    return replace(node, aggregates=aggregates, input=_keep(node.input, set(node.keys) | _agg_columns(aggregates)))


@_prune.register
def _(node: n.WindowAggregate, wanted: set[str]) -> n.Node:
    aggregates = tuple(a for a in node.aggregates if a.name in wanted)
    used = set(node.keys) | _agg_columns(aggregates) | set(node.attached or (node.window.time_column,))
    used |= set() if node.attached else set(node.window.partition_by)
    properties = tuple(p for p in node.properties if p[0] in wanted)
    if node.attached is None and not properties and not aggregates and not node.keys:
        properties = node.properties[:1]
    return replace(node, aggregates=aggregates, properties=properties, input=_keep(node.input, used))


@_prune.register
def _(node: n.WindowTable, wanted: set[str]) -> n.Node:
    used = (wanted - {node.start, node.end, node.time}) | {node.window.time_column, *node.window.partition_by}
    return replace(node, input=_keep(node.input, used))


@_prune.register
def _(node: n.Over, wanted: set[str]) -> n.Node:
    calls = tuple(c for c in node.calls if c.name in wanted)
    used = (wanted - {c.name for c in node.calls}) | set(node.partition_by) | {k.column for k in node.order_by}
    if not calls:
        return _prune(node.input, used)
    return replace(node, calls=calls, input=_keep(node.input, used | _agg_columns(calls)))


@_prune.register
def _(node: n.Rank, wanted: set[str]) -> n.Node:
    used = (wanted - {node.rank_name}) | set(node.partition_by) | {k.column for k in node.order_by}
    rank_name = node.rank_name if node.rank_name in wanted else None
    return replace(node, rank_name=rank_name, input=_keep(node.input, used))


@_prune.register
def _(node: Match, wanted: set[str]) -> n.Node:
    """Partition columns are always part of the result, so only measures go."""
    measures = tuple(m for m in node.measures if m.name in wanted)
    if not measures and not node.partition_by:
        measures = node.measures[:1]
    kept = replace(node, measures=measures)
    return replace(kept, input=_keep(node.input, kept.columns_read))


def _prune_sides(node: n.Binary, used: set[str]) -> n.Node:
    left = _keep(node.left, used & set(node.left.schema.names))
    right = _keep(node.right, used & set(node.right.schema.names))
    return node.with_inputs((left, right))


def _condition(rex: Rex | None) -> set[str]:
    return columns(rex) if rex is not None else set()


@_prune.register
def _(node: n.Join, wanted: set[str]) -> n.Node:
    return _prune_sides(node, wanted | _condition(node.condition))


@_prune.register
def _(node: n.IntervalJoin, wanted: set[str]) -> n.Node:
    return _prune_sides(node, wanted | _condition(node.condition) | {node.left_time, node.right_time})


@_prune.register
def _(node: n.WindowJoin, wanted: set[str]) -> n.Node:
    return _prune_sides(node, wanted | _condition(node.condition) | {*node.left_window, *node.right_window})


@_prune.register
def _(node: n.TemporalJoin, wanted: set[str]) -> n.Node:
    used = wanted | _condition(node.condition) | {c for pair in node.keys for c in pair} | {node.left_time}
    if node.right_time:
        used.add(node.right_time)
    return _prune_sides(node, used)


@_prune.register
def _(node: n.LookupJoin, wanted: set[str]) -> n.Node:
    used = wanted | _condition(node.condition) | {c for pair in node.keys for c in pair}
    names = set(node.right.schema.names)
    return replace(node, input=_keep(node.input, used - names), right=_keep(node.right, used & names))


@_prune.register
def _(node: n.SetOp, wanted: set[str]) -> n.Node:
    if node.kind is not n.SetKind.UNION or not node.is_all:
        return replace(node, parts=tuple(_prune(p, set(p.schema.names)) for p in node.parts))
    positions = [i for i, name in enumerate(node.schema.names) if name in wanted] or [0]
    parts = []
    for part in node.parts:
        names = [part.schema.names[i] for i in positions]
        parts.append(_exactly(_prune(part, set(names)), names))
    return replace(node, parts=tuple(parts))


def _exactly(node: n.Node, names: list[str]) -> n.Node:
    """The node with just these columns in this order (parts of a union match by position)."""
    if node.schema.names == names:
        return node
    return n.Project(node, tuple(n.NamedRex(name, Ref(node.schema[name].type, name)) for name in names))


@_prune.register
def _(node: n.Unnest, wanted: set[str]) -> n.Node:
    new = {f.name for f in node.outputs} | {node.ordinality}
    return replace(node, input=_keep(node.input, (wanted - new) | columns(node.collection)))


@_prune.register
def _(node: n.Correlate, wanted: set[str]) -> n.Node:
    new = {f.name for f in node.outputs}
    used = (wanted - new) | _used(list(node.args)) | (_condition(node.condition) - new)
    return replace(node, input=_keep(node.input, used))
