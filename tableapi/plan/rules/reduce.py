"""A whole-plan pass over bounded plans: an aggregation that is joined with few keys is computed for those keys only.

A correlated sub-query becomes an aggregation over all keys, joined with the outer rows; when these are few, most groups are thrown away. The
keys of the outer rows then filter the aggregation's input (a SEMI join). The outer rows are read twice, so they are shared (`share.py`).
"""

from __future__ import annotations

from dataclasses import replace

from tableapi.plan import nodes as n
from tableapi.plan.estimates import Estimator
from tableapi.plan.rex import Call, Ref, Rex
from tableapi.plan.rules.filters import conjunction
from tableapi.plan.scope import unique
from tableapi.plan.traits import equal_pairs
from tableapi.types import BooleanType

WORTH = 4.0
"""How many times more rows the aggregation must have to read than there are rows with the keys."""


def reduce_aggregates(plan: n.Node, estimator: Estimator) -> n.Node:
    """The plan with aggregations limited to the keys that they are joined with."""
    inputs = tuple(reduce_aggregates(i, estimator) for i in plan.inputs)
    if any(new is not old for new, old in zip(inputs, plan.inputs, strict=True)):
        plan = plan.with_inputs(inputs)
    if not (isinstance(plan, n.Join) and plan.kind in (n.JoinKind.INNER, n.JoinKind.LEFT)):
        return plan
    pairs = equal_pairs(plan.condition, plan.left.schema.names, plan.right.schema.names)
    right = _reduced(plan.right, plan.left, [(r, left) for left, r in pairs], estimator)
    if right is not None:
        return replace(plan, right=right)
    if plan.kind is n.JoinKind.INNER:
        left = _reduced(plan.left, plan.right, pairs, estimator)
        if left is not None:
            return replace(plan, left=left)
    return plan


def _reduced(node: n.Node, keys: n.Node, pairs: list[tuple[str, str]], estimator: Estimator) -> n.Node | None:
    """`node`, an aggregation below projections and filters, for the groups only whose column equals that of `keys` for each pair."""
    if isinstance(node, n.Project):
        passed = {c.name: c.rex.name for c in node.columns if isinstance(c.rex, Ref)}
        below = _reduced(node.input, keys, [(passed[a], b) for a, b in pairs if a in passed], estimator)
        return None if below is None else replace(node, input=below)
    if isinstance(node, n.Filter):
        below = _reduced(node.input, keys, pairs, estimator)
        return None if below is None else replace(node, input=below)
    if not isinstance(node, n.Aggregate) or node.grouping_sets is not None or _is_reduced(node):
        return None
    pairs = [(a, b) for a, b in pairs if a in node.keys]
    if not pairs or estimator.of(node.input).rows < WORTH * estimator.of(keys).rows or not _is_selective(keys, estimator):
        return None
    return replace(node, input=_with_keys_of(node.input, keys, pairs))


def _is_reduced(node: n.Aggregate) -> bool:
    return isinstance(node.input, n.Join) and node.input.kind is n.JoinKind.SEMI


def _is_selective(keys: n.Node, estimator: Estimator) -> bool:
    """Whether the rows are so few because something filtered them: then they miss keys."""
    known = estimator.of(keys)
    return known.rows * WORTH < known.domain_rows


def _with_keys_of(source: n.Node, keys: n.Node, pairs: list[tuple[str, str]]) -> n.Node:
    taken = set(source.schema.names)
    items: list[n.NamedRex] = []
    parts: list[Rex] = []
    for inner, outer in pairs:
        field, own = keys.schema[outer], source.schema[inner]
        name = unique("$key", taken)
        taken.add(name)
        items.append(n.NamedRex(name, Ref(field.type, outer)))
        result = BooleanType(is_nullable=field.type.is_nullable or own.type.is_nullable)
        parts.append(Call(result, "EQUALS", (Ref(own.type, inner), Ref(field.type, name))))
    return n.Join(source, n.Project(keys, tuple(items)), n.JoinKind.SEMI, conjunction(parts))
