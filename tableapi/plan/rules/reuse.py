"""A pass over all plans of a bounded job: what several places compute is computed once.

Equal parts of the plans are found bottom up. A part is shared when it joins, groups or sorts, or when it reads a table whose rows have to be
parsed; reading columns of a columnar file again costs less than keeping them. Parts that give other rows each time are left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from tableapi.plan import nodes as n
from tableapi.plan.estimates import StatisticsOf
from tableapi.plan.match_node import Match
from tableapi.plan.rex import Rex
from tableapi.plan.rules.filters import is_repeatable

_COSTLY = (n.Join, n.Aggregate, n.WindowAggregate, n.Over, n.Rank, n.Sort, n.IntervalJoin, n.WindowJoin, n.TemporalJoin, Match)

_NEVER = (n.Sink, n.Collect, n.LookupJoin, n.Inline, n.Values)


def share_results(plans: Sequence[n.Node], statistics: StatisticsOf) -> list[n.Node]:
    """The plans with a `Shared` node above everything that is to be computed once."""
    tables = Counter(scan.table.identifier for plan in plans for scan in n.walk(plan) if isinstance(scan, n.Scan))
    if not any(count > 1 for count in tables.values()):
        return list(plans)
    parts = _Parts(statistics)
    unified = [parts.unify(plan) for plan in plans]
    for root in unified:
        parts.uses[id(root)] += 1
    return parts.marked(unified)


class _Parts:
    """The different parts of some plans, equal ones as one object."""

    def __init__(self, statistics: StatisticsOf) -> None:
        self._statistics = statistics
        self._by_key: dict[object, n.Node] = {}
        self._size: dict[int, int] = {}
        self.uses: Counter[int] = Counter()
        """By identity: in how many places of different parts it stands."""

    def unify(self, node: n.Node) -> n.Node:
        """The one object that stands for all parts that are equal to the node."""
        inputs = tuple(self.unify(i) for i in node.inputs)
        if any(new is not old for new, old in zip(inputs, node.inputs, strict=True)):
            node = node.with_inputs(inputs)
        key = _key(node)
        known = self._by_key.get(key)
        if known is None:
            self._by_key[key] = known = node
            self._size[id(node)] = 1 + sum(self._size[id(i)] for i in inputs)
            self.uses.update(map(id, inputs))
        return known

    def marked(self, roots: Sequence[n.Node]) -> list[n.Node]:
        """The plans with the shared parts marked; a part that holds another has the smaller number."""
        shared = [node for node in self._by_key.values() if self.uses[id(node)] > 1 and self._is_worth_it(node)]
        shared.sort(key=lambda node: -self._size[id(node)])
        numbers = {id(node): number for number, node in enumerate(shared, start=1)}
        done: dict[int, n.Node] = {}

        def mark(node: n.Node) -> n.Node:
            if id(node) not in done:
                inputs = tuple(mark(i) for i in node.inputs)
                changed = any(new is not old for new, old in zip(inputs, node.inputs, strict=True))
                result = node.with_inputs(inputs) if changed else node
                done[id(node)] = n.Shared(result, numbers[id(node)]) if id(node) in numbers else result
            return done[id(node)]

        return [mark(root) for root in roots]

    def _is_worth_it(self, node: n.Node) -> bool:
        if isinstance(node, _NEVER):
            return False
        if isinstance(node, n.Scan):
            return self._statistics(node).is_parsed and not node.table.partition_keys and node.limit is None
        parts = list(n.walk(node))
        return any(isinstance(p, _COSTLY) for p in parts) and all(_is_repeatable(v) for p in parts for v in _own(p))


def _key(node: n.Node) -> object:
    """Equal for equal nodes. Inputs count by identity."""
    if isinstance(node, n.Scan):
        options = tuple(sorted(node.table.options.items()))
        return n.Scan, node.table.identifier, options, node.columns, node.filter, node.limit
    if isinstance(node, _NEVER):
        return id(node)
    key = type(node), tuple(_own(node)), tuple(map(id, node.inputs))
    try:
        hash(key)
    except TypeError:
        return id(node)
    return key


def _own(node: n.Node) -> list[Any]:
    """What a node says of itself: its fields without its inputs."""
    return [getattr(node, f.name) for f in fields(node) if f.name not in ("input", "left", "right", "parts")]


def _is_repeatable(value: Any) -> bool:
    """Whether what a node says gives the same rows each time."""
    match value:
        case Rex():
            return is_repeatable(value)
        case n.NamedRex(rex=rex):
            return is_repeatable(rex)
        case n.NamedAgg(call=call):
            return call.udaf is None or call.udaf.deterministic
        case tuple():
            return all(_is_repeatable(item) for item in value)
    return bool(getattr(value, "deterministic", True))


def shared_columns(plans: Sequence[n.Node], number: int) -> tuple[n.Node, set[str]] | None:
    """The shared part of that number as it stands in the plans, and the columns that any place reads."""
    wanted: set[str] = set()
    body: n.Node | None = None
    for plan in plans:
        for node in n.walk(plan):
            if isinstance(node, n.Shared) and node.number == number:
                body = node.input
                wanted |= set(node.schema.names)
    return None if body is None else (body, wanted)


def with_body(plan: n.Node, number: int, body: n.Node) -> n.Node:
    """The plan with another body for the shared part of that number."""

    def change(node: n.Node) -> n.Node | None:
        return replace(node, input=body) if isinstance(node, n.Shared) and node.number == number else None

    return n.transform(plan, change)
