"""Correlated sub-queries in general: computed once for every distinct combination of the outer columns that they read (the domain).

The cheaper way, where the conditions with outer columns are equalities that become the join's, is in `subquery.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tableapi.errors import UnsupportedError
from tableapi.plan import nodes as n
from tableapi.plan.rex import Call, Literal, OuterRef, Ref, Rex, SortKey, transform, walk
from tableapi.plan.rules.filters import conjunction
from tableapi.plan.scope import unique
from tableapi.types import BooleanType

NO_LIMIT = 2**62


def outer_refs(node: n.Node, expressions: Callable[[n.Node], list[Rex]]) -> Iterator[OuterRef]:
    """The references of a query to queries around it."""
    for part in n.walk(node):
        for rex in expressions(part):
            yield from (r for r in walk(rex) if isinstance(r, OuterRef))


def null_safe_equal(left: Rex, right: Rex) -> Rex:
    """Equal, or both NULL."""
    return Call(BooleanType(is_nullable=False), "IS_NOT_DISTINCT_FROM", (left, right))


class Domain:
    """Makes a query one that has, for every row of the domain, the rows that the correlated query has for it.

    A query that only reads queries further out has no domain here: its references just come one level nearer.

    Attributes:
        columns: outer column → its name in the results.
    """

    def __init__(self, plan: n.Node, outer: n.Node, expressions: Callable[[n.Node], list[Rex]]) -> None:
        self._expressions = expressions
        self._taken = {name for part in n.walk(plan) for name in part.schema.names} | set(outer.schema.names)
        read = dict.fromkeys(r.name for r in outer_refs(plan, expressions) if r.depth == 1)
        self.columns = {name: self._fresh(f"$outer_{name}") for name in read}
        items = tuple(n.NamedRex(new, Ref(outer.schema[old].type, old)) for old, new in self.columns.items())
        self._rows: n.Node = n.Aggregate(n.Project(outer, items), tuple(self.columns.values()), ())

    def _fresh(self, name: str) -> str:
        name = unique(name, self._taken)
        self._taken.add(name)
        return name

    def _keys(self) -> tuple[str, ...]:
        return tuple(self.columns.values())

    def _bound(self, rex: Rex) -> Rex:
        def change(part: Rex) -> Rex | None:
            if not isinstance(part, OuterRef):
                return None
            return Ref(part.type, self.columns[part.name]) if part.depth == 1 else replace(part, depth=part.depth - 1)

        return transform(rex, change)

    def _passed(self) -> tuple[n.NamedRex, ...]:
        return tuple(n.NamedRex(name, Ref(self._rows.schema[name].type, name)) for name in self._keys())

    def of(self, node: n.Node) -> n.Node:
        """The node's rows with the columns of the domain."""
        if next(outer_refs(node, self._expressions), None) is None:
            return n.Join(self._rows, node, n.JoinKind.INNER) if self.columns else node
        match node:
            case n.Filter(input=source, condition=condition):
                return n.Filter(self.of(source), self._bound(condition))
            case n.Project(input=source, columns=columns):
                items = tuple(n.NamedRex(c.name, self._bound(c.rex)) for c in columns)
                return n.Project(self.of(source), items + self._passed())
            case n.Aggregate():
                return self._aggregate(node)
            case n.Join():
                return self._join(node)
            case n.SetOp(parts=parts):
                names = (*node.schema.names, *self._keys())
                return replace(node, parts=tuple(_in_order(self.of(p), p.schema.names, self._keys(), names) for p in parts))
            case n.Sort(input=source):
                return self.of(source) if self.columns else replace(node, input=self.of(source))
            case n.Limit():
                return self._limit(node) if self.columns else replace(node, input=self.of(node.input))
            case n.Over(input=source) | n.Rank(input=source):
                return replace(node, input=self.of(source), partition_by=(*self._keys(), *node.partition_by))
            case n.Values(rows=rows):
                return self._values(node, rows)
            case n.Unnest(input=source, collection=collection):
                return replace(node, input=self.of(source), collection=self._bound(collection))
            case n.Correlate(input=source, args=args):
                return replace(node, input=self.of(source), args=tuple(map(self._bound, args)))
        raise UnsupportedError(
            f"a correlated sub-query through {type(node).__name__} is not supported yet", fix="write it as a join"
        )

    def _aggregate(self, node: n.Aggregate) -> n.Node:
        keys = self._keys()
        sets = None if node.grouping_sets is None else tuple((*keys, *part) for part in node.grouping_sets)
        grouped = replace(node, input=self.of(node.input), keys=(*keys, *node.keys), grouping_sets=sets)
        return grouped if node.keys or not self.columns else self._one_row_each(node, grouped)

    def _one_row_each(self, node: n.Aggregate, grouped: n.Node) -> n.Node:
        """An aggregate without keys has a row also where there is nothing to aggregate: counts are 0 in it, the rest is NULL."""
        joined = self._on_domain(self._rows, grouped, n.JoinKind.LEFT, None)
        items: list[n.NamedRex] = []
        for aggregate, field in zip(node.aggregates, node.schema.fields, strict=True):
            rex: Rex = Ref(field.type.nullable(), aggregate.name)
            if aggregate.call.function in ("COUNT", "SUM0"):
                rex = Call(field.type, "COALESCE", (rex, Literal(field.type, 0)))
            items.append(n.NamedRex(aggregate.name, rex))
        return n.Project(joined, (*items, *self._passed()))

    def _on_domain(self, left: n.Node, right: n.Node, kind: n.JoinKind, condition: Rex | None) -> n.Node:
        """Joins two sides that both have the domain's columns, where these are the same. The right ones get other names."""
        renames = {key: self._fresh(key) for key in self._keys()}
        items = tuple(n.NamedRex(renames.get(f.name, f.name), Ref(f.type, f.name)) for f in right.schema)
        right = n.Project(right, items)
        parts = [null_safe_equal(Ref(left.schema[k].type, k), Ref(right.schema[new].type, new)) for k, new in renames.items()]
        joined = n.Join(left, right, kind, conjunction(parts if condition is None else [*parts, condition]))
        dropped = set(renames.values())
        kept = [f for f in joined.schema if f.name not in dropped]

        def either(key: str) -> Rex:
            """The domain's column on the side that has the row."""
            sides = tuple(Ref(joined.schema[name].type, name) for name in (key, renames[key]))
            return Call(left.schema[key].type, "COALESCE", sides) if kind is n.JoinKind.FULL else sides[0]

        return n.Project(
            joined, tuple(n.NamedRex(f.name, either(f.name) if f.name in renames else Ref(f.type, f.name)) for f in kept)
        )

    def _join(self, node: n.Join) -> n.Node:
        if node.kind is n.JoinKind.RIGHT:
            return self._join(replace(node, left=node.right, right=node.left, kind=n.JoinKind.LEFT))
        condition = None if node.condition is None else self._bound(node.condition)
        left = self.of(node.left)
        is_free = next(outer_refs(node.right, self._expressions), None) is None
        if is_free and (node.kind is not n.JoinKind.FULL or not self.columns):
            return replace(node, left=left, condition=condition)
        return self._on_domain(left, self.of(node.right), node.kind, condition)

    def _limit(self, node: n.Limit) -> n.Node:
        source = node.input
        order_by: tuple[SortKey, ...] = ()
        if isinstance(source, n.Sort):
            order_by, source = source.order_by, source.input
        below = self.of(source)
        first = self._keys()[0]
        start = (node.offset or 0) + 1
        end = NO_LIMIT if node.fetch is None else start + node.fetch - 1
        keys = order_by or (SortKey(first, True, True),)
        return n.Rank(below, self._keys(), keys, n.RankKind.ROW_NUMBER, start, end)

    def _values(self, node: n.Values, rows: tuple[tuple[Rex, ...], ...]) -> n.Node:
        names = node.schema.names
        if not self.columns:
            return replace(node, rows=tuple(tuple(map(self._bound, row)) for row in rows))
        parts = tuple(
            n.Project(
                self._rows,
                (*(n.NamedRex(name, self._bound(rex)) for name, rex in zip(names, row, strict=True)), *self._passed()),
            )
            for row in rows
        )
        return parts[0] if len(parts) == 1 else n.SetOp(n.SetKind.UNION, True, parts)


def _in_order(node: n.Node, own: list[str], keys: tuple[str, ...], names: tuple[str, ...]) -> n.Node:
    """The columns in the order that all parts of a set operation have, and under its names."""
    found = [Ref(node.schema[name].type, name) for name in (*own, *keys)]
    return n.Project(node, tuple(n.NamedRex(name, rex) for name, rex in zip(names, found, strict=True)))
