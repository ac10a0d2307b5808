"""A whole-plan pass over bounded plans: an aggregation that is joined with few keys is computed for those keys only.

A correlated sub-query becomes an aggregation over all keys, joined with the outer rows; when these are few, most groups are thrown away. The
keys of the outer rows then filter the aggregation's input (a SEMI join). The outer rows are read twice, so they are shared (`share.py`).
"""

from __future__ import annotations

from dataclasses import replace

from tableapi.plan import nodes as n
from tableapi.plan.estimates import Estimator
from tableapi.plan.rex import Call, Ref, Rex, conjuncts
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
        return _limited_alike(plan) or plan
    return plan


def _limited_alike(join: n.Join) -> n.Join | None:
    """INNER join of a table with rows over an aggregation of the same table for their keys → the table for these keys only: the same
    part of it, which is then read once."""
    for at, (side, other) in enumerate(((join.left, join.right), (join.right, join.left))):
        if any(isinstance(part, n.Join) for part in n.walk(side)):
            continue
        pairs = equal_pairs(join.condition, side.schema.names, other.schema.names)
        for semi in n.walk(other):
            if (
                isinstance(semi, n.Join)
                and semi.kind is n.JoinKind.SEMI
                and semi.left == side
                and _holds_keys_of(other, semi, pairs)
            ):
                return replace(join, left=semi) if at == 0 else replace(join, right=semi)
    return None


def _holds_keys_of(node: n.Node, semi: n.Join, pairs: list[tuple[str, str]]) -> bool:
    """Whether all that `node` has in the paired columns is among the keys of a SEMI join."""
    keys = semi.right
    tests = equal_pairs(semi.condition, semi.left.schema.names, keys.schema.names)
    if not isinstance(keys, n.Project) or len(tests) != len(conjuncts(semi.condition) if semi.condition is not None else []):
        return False
    sources = {c.name: c.rex.name for c in keys.columns if isinstance(c.rex, Ref)}
    return len(tests) == 1 and any(
        column == tests[0][0] and _comes_from(node, name, keys.input, sources.get(tests[0][1])) for column, name in pairs
    )


def _comes_from(node: n.Node, name: str, source: n.Node, column: str | None) -> bool:
    """Whether a column of `node` has only values of a column of `source`, a part of it."""
    if node == source:
        return name == column
    match node:
        case n.Project(input=below, columns=columns):
            rex = next(c.rex for c in columns if c.name == name)
            return isinstance(rex, Ref) and _comes_from(below, rex.name, source, column)
        case n.Filter(input=below):
            return _comes_from(below, name, source, column)
        case n.Join(kind=n.JoinKind.INNER):
            side = node.left if name in node.left.schema else node.right
            return _comes_from(side, name, source, column)
    return False


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
    source = node.input
    while isinstance(source, n.Project):
        source = source.input
    return isinstance(source, n.Join) and source.kind is n.JoinKind.SEMI


def _is_selective(keys: n.Node, estimator: Estimator) -> bool:
    """Whether the rows are so few because something filtered them: then they miss keys."""
    known = estimator.of(keys)
    return known.rows * WORTH < known.domain_rows


def _with_keys_of(source: n.Node, keys: n.Node, pairs: list[tuple[str, str]]) -> n.Node:
    if isinstance(source, n.Project):
        passed = {c.name: c.rex.name for c in source.columns if isinstance(c.rex, Ref)}
        if all(inner in passed for inner, _ in pairs):
            return replace(source, input=_with_keys_of(source.input, keys, [(passed[inner], outer) for inner, outer in pairs]))
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
