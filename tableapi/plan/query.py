"""A query block: select list, grouping, HAVING, DISTINCT, ORDER BY and LIMIT over one relation.

Owns the order in which these clauses become nodes: input → (computed keys and arguments) → Aggregate → HAVING → OVER → select list →
DISTINCT → Sort → Limit. `builder.py` is the front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tableapi.errors import ValidationError
from tableapi.plan import unresolved as un
from tableapi.plan.naming import api_names
from tableapi.plan.nodes import (
    Aggregate,
    Filter,
    Limit,
    NamedAgg,
    NamedRex,
    Node,
    Over,
    OverFrame,
    Project,
    Sort,
)
from tableapi.plan.resolve import (
    GROUP_ID_FUNCTIONS,
    Collector,
    PendingAgg,
    PendingOver,
    Resolver,
    SortRex,
    holds_aggregate,
    output_name,
)
from tableapi.plan.rex import AggCall, Call, Literal, Ref, Rex, SortKey
from tableapi.plan.scope import PlanContext, Relation, ScopeColumn, plain, unique
from tableapi.plan.traits import window_of
from tableapi.types import BigIntType, RowType


@dataclass(frozen=True)
class QueryBlock:
    """The clauses of a query over one relation.

    Args:
        items: Select list.
        keys: GROUP BY items (None: not grouped). An item may be the name of a group window.
        grouping_sets: Positions in `keys` of each set.
        naming: How items without a name are called: "sql" (EXPR$0) or "api" (_c0).
        order_by: May use output names, positions (integer literals in SQL) and input columns.
        over_windows: OVER windows by alias.
    """

    items: tuple[un.Unresolved, ...]
    keys: tuple[un.Unresolved, ...] | None = None
    having: un.Unresolved | None = None
    grouping_sets: tuple[tuple[int, ...], ...] | None = None
    distinct: bool = False
    order_by: tuple[un.SortItem, ...] = ()
    fetch: int | None = None
    offset: int = 0
    naming: str = "sql"
    over_windows: dict[str, un.Over] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputColumn:
    """A select item after resolution."""

    name: str
    rex: Rex


def build_block(context: PlanContext, relation: Relation, block: QueryBlock) -> Relation:
    """The relation that a query block gives."""
    return _BlockBuilder(context, relation, block).build()


class _Columns:
    """Adds computed columns to a node: each different expression once, plain references not at all."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.added: list[NamedRex] = []

    def column(self, rex: Rex, prefix: str) -> Ref:
        if isinstance(rex, Ref):
            return rex
        for existing in self.added:
            if existing.rex == rex:
                return Ref(rex.type, existing.name)
        name = unique(f"{prefix}{len(self.added)}", [*self.node.schema.names, *(a.name for a in self.added)])
        self.added.append(NamedRex(name, rex))
        return Ref(rex.type, name)

    def build(self, keep: set[str] | None = None) -> Node:
        """The node with the added columns; of its own columns only `keep` (None: all)."""
        own = [NamedRex(f.name, Ref(f.type, f.name)) for f in self.node.schema if keep is None or f.name in keep]
        if not self.added and len(own) == len(self.node.schema):
            return self.node
        return Project(self.node, tuple(own + self.added))


class _BlockBuilder:
    def __init__(self, context: PlanContext, relation: Relation, block: QueryBlock) -> None:
        self.context, self.relation, self.block = context, relation, block
        self.collector = Collector(over_windows=block.over_windows)
        self.resolver = Resolver(context, relation, self.collector)

    def build(self) -> Relation:
        block = self.block
        items = _expand(block.items, self.relation, self.context)
        sort_items = block.order_by
        grouped = block.keys is not None or block.having is not None or any(map(holds_aggregate, items))
        outputs = self._outputs(items)
        sorts = [self._sort_rex(s, outputs) for s in sort_items]
        having = self.resolver.condition(block.having, "HAVING") if block.having is not None else None
        if grouped or self.collector.aggregates:
            node, replace_rex = self._aggregate(_expand(block.keys or (), self.relation, self.context))
            outputs = [replace(o, rex=replace_rex(o.rex)) for o in outputs]
            sorts = [replace(s, rex=replace_rex(s.rex)) for s in sorts]
            if having is not None:
                node = Filter(node, replace_rex(having))
            overs = {n: _map_over(o, replace_rex) for n, o in self.collector.overs.items()}
        else:
            node, overs = self.relation.node, self.collector.overs
        if overs:
            node = _add_overs(node, overs)
        return self._finish(node, outputs, sorts)

    def _outputs(self, items: Sequence[un.Unresolved]) -> list[OutputColumn]:
        outputs: list[OutputColumn] = []
        names = api_names(items) if self.block.naming == "api" else [output_name(i) or f"EXPR${p}" for p, i in enumerate(items)]
        for item, name in zip(items, names, strict=True):
            rex = self.resolver.resolve(item)
            if any(o.name == name for o in outputs):
                if self.block.naming == "api":
                    raise ValidationError(
                        f"column name '{name}' is ambiguous: two items have it",
                        where=item.where,
                        fix="rename one with .alias(...)",
                    )
                outputs.append(OutputColumn(unique(name, [o.name for o in outputs]), rex))
            else:
                outputs.append(OutputColumn(name, rex))
        return outputs

    def _sort_rex(self, item: un.SortItem, outputs: list[OutputColumn]) -> SortRex:
        nulls_first = item.ascending if item.nulls_first is None else item.nulls_first
        arg = item.arg
        if isinstance(arg, un.Name) and len(arg.parts) == 1:
            for output in outputs:
                if output.name == arg.parts[0]:
                    return SortRex(output.rex, item.ascending, nulls_first)
        if isinstance(arg, un.Lit) and isinstance(arg.value, int) and self.block.naming == "sql":
            if not 1 <= arg.value <= len(outputs):
                raise ValidationError(f"ORDER BY position {arg.value} is not in the select list", where=arg.where)
            return SortRex(outputs[arg.value - 1].rex, item.ascending, nulls_first)
        return SortRex(self.resolver.resolve(arg), item.ascending, nulls_first)

    def _aggregate(self, keys: Sequence[un.Unresolved]):  # type: ignore[no-untyped-def]
        """The Aggregate node, and the function that puts its columns into expressions over the input."""
        columns = _Columns(self.relation.node)
        by_rex: list[tuple[Rex, Ref]] = []
        key_names: list[str] = []
        positions: list[list[str]] = []
        plain_resolver = Resolver(self.context, self.relation)
        for key in keys:
            names = []
            for rex in self._key_rexes(key, plain_resolver):
                ref = columns.column(rex, "$key")
                by_rex.append((rex, ref))
                if ref.name not in key_names:
                    key_names.append(ref.name)
                names.append(ref.name)
            positions.append(names)
        aggregates = tuple(NamedAgg(name, _agg_call(pending, columns)) for name, pending in self.collector.aggregates.items())
        used = set(key_names) | _used_columns(aggregates) | self._window_columns()
        node_input = columns.build(keep=used)
        sets = None
        if self.block.grouping_sets is not None:
            sets = tuple(tuple(n for p in s for n in positions[p]) for s in self.block.grouping_sets)
        uses_group_id = sets is not None and self._uses_group_id()
        group_id = "$group_id" if uses_group_id else None
        node = Aggregate(node_input, tuple(key_names), aggregates, sets, group_id, _window_time(node_input, key_names))
        return node, _Regroup(node, by_rex, group_id, self.block).apply

    def _key_rexes(self, key: un.Unresolved, resolver: Resolver) -> list[Rex]:
        if isinstance(key, un.Name) and len(key.parts) == 1:
            window = self.relation.window(key.parts[0])
            if window is not None:
                schema = self.relation.node.schema
                return [Ref(schema[c].type, c) for c in (window.start, window.end, window.time)]
        if isinstance(key, un.Lit) and isinstance(key.value, int) and self.block.naming == "sql":
            return [resolver.resolve(self._item_at(key))]
        if isinstance(key, un.Name) and len(key.parts) == 1 and self.relation.find(None, key.parts[0]) is None:
            for item in self.block.items:
                if output_name(item) == key.parts[0]:
                    return [resolver.resolve(item)]
        if isinstance(key, un.As):
            return [resolver.resolve(key.arg)]
        return [resolver.resolve(key)]

    def _item_at(self, key: un.Lit) -> un.Unresolved:
        items = _expand(self.block.items, self.relation, self.context)
        if not 1 <= key.value <= len(items):
            raise ValidationError(f"GROUP BY position {key.value} is not in the select list", where=key.where)
        return items[key.value - 1]

    def _window_columns(self) -> set[str]:
        return {c for w in self.relation.windows for c in (w.start, w.end, w.time, w.window.time_column)}

    def _uses_group_id(self) -> bool:
        parts = [*self.block.items, *(s.arg for s in self.block.order_by)]
        parts += [self.block.having] if self.block.having is not None else []
        return any(_calls(p, GROUP_ID_FUNCTIONS) for p in parts)

    def _finish(self, node: Node, outputs: list[OutputColumn], sorts: list[SortRex]) -> Relation:
        block = self.block
        items = [NamedRex(o.name, o.rex) for o in outputs]
        keys: list[SortKey] = []
        hidden: list[NamedRex] = []
        for sort in sorts:
            known = next((i for i in items if i.rex == sort.rex), None)
            if known is None:
                if block.distinct:
                    raise ValidationError("with SELECT DISTINCT, ORDER BY may use only items of the select list")
                known = next((h for h in hidden if h.rex == sort.rex), None)
            if known is None:
                known = NamedRex(unique(f"$sort{len(hidden)}", node.schema.names), sort.rex)
                hidden.append(known)
            keys.append(SortKey(known.name, sort.ascending, sort.nulls_first))
        node = project(node, (*items, *hidden))
        if block.distinct:
            node = Aggregate(node, tuple(i.name for i in items), ())
        if keys:
            node = Sort(node, tuple(keys))
        if block.fetch is not None or block.offset:
            node = Limit(node, block.fetch, block.offset)
        if hidden:
            node = project(node, tuple(NamedRex(i.name, Ref(i.rex.type, i.name)) for i in items))
        result = plain(node)
        return replace(result, outer=self.relation.outer)


class _Regroup:
    """Puts the columns of an Aggregate into expressions that were resolved over its input."""

    def __init__(self, node: Aggregate, by_rex: list[tuple[Rex, Ref]], group_id: str | None, block: QueryBlock) -> None:
        self.node, self.by_rex, self.group_id, self.block = node, by_rex, group_id, block
        self.schema = node.schema
        self.aggregates = {a.name for a in node.aggregates}

    def apply(self, rex: Rex) -> Rex:
        for key, ref in self.by_rex:
            if rex == key:
                return Ref(self.schema[ref.name].type, ref.name)
        if isinstance(rex, Ref):
            if rex.name in self.aggregates or rex.name.startswith("$over"):
                return rex
            grouped = ", ".join(str(k) for k, _ in self.by_rex) or "nothing"
            raise ValidationError(
                f"column '{rex.name}' is neither grouped by nor inside an aggregate",
                where=rex.where,
                exists=f"grouped by: {grouped}",
                fix=f"add {rex.name} to GROUP BY, or aggregate it: MAX({rex.name})",
            )
        if isinstance(rex, Call) and rex.function in GROUP_ID_FUNCTIONS:
            return self._group_id(rex)
        if not rex.children:
            return rex
        return rex.with_children(tuple(self.apply(c) for c in rex.children))

    def _group_id(self, call: Call) -> Rex:
        """GROUPING(a, b) and GROUPING_ID(a, b): one bit per argument, 1 where the set lacks it. GROUP_ID tells equal sets apart."""
        if call.function == "GROUP_ID":
            big = BigIntType(is_nullable=False)
            if self.group_id is None:
                return Literal(big, 0)
            return Call(big, "DIVIDE", (Ref(big, self.group_id), Literal(big, 1 << len(self.node.keys))))
        bits = [self._bit(a) for a in call.args] or [self._key_bit(k) for k in self.node.keys]
        result: Rex = Literal(BigIntType(is_nullable=False), 0)
        for bit in bits:
            twice = Call(result.type, "TIMES", (result, Literal(BigIntType(is_nullable=False), 2)))
            result = Call(result.type, "PLUS", (twice, bit))
        return result

    def _bit(self, arg: Rex) -> Rex:
        for key, ref in self.by_rex:
            if arg == key:
                return self._key_bit(ref.name)
        raise ValidationError(f"GROUPING takes grouping columns; {arg} is not one")

    def _key_bit(self, key: str) -> Rex:
        big = BigIntType(is_nullable=False)
        if self.group_id is None:
            return Literal(big, 0)
        weight = 1 << (len(self.node.keys) - 1 - self.node.keys.index(key))
        shifted = Call(big, "DIVIDE", (Ref(big, self.group_id), Literal(big, weight)))
        return Call(big, "MOD", (shifted, Literal(big, 2)))


def _calls(expression: un.Unresolved, names: frozenset[str]) -> bool:
    match expression:
        case un.Call(function=name, args=args):
            return name.upper() in names or any(_calls(a, names) for a in args)
        case un.Cast(arg=arg) | un.As(arg=arg) | un.SortItem(arg=arg):
            return _calls(arg, names)
        case _:
            return False


def _window_time(node: Node, keys: Sequence[str]) -> str | None:
    """The key that is the time of the window that the other keys group by."""
    window = window_of(node)
    if window is None or not {window.start, window.end} <= set(keys) or window.time not in keys:
        return None
    return window.time


def _agg_call(pending: PendingAgg, columns: _Columns) -> AggCall:
    args = tuple(a if isinstance(a, Literal) else columns.column(a, "$arg") for a in pending.args)
    condition = None if pending.filter is None else columns.column(pending.filter, "$filter").name
    order_by = tuple(SortKey(columns.column(s.rex, "$order").name, s.ascending, s.nulls_first) for s in pending.order_by)
    return AggCall(pending.function, args, pending.type, pending.distinct, condition, order_by, pending.udaf)


def _used_columns(aggregates: Sequence[NamedAgg]) -> set[str]:
    used: set[str] = set()
    for aggregate in aggregates:
        used |= {a.name for a in aggregate.call.args if isinstance(a, Ref)}
        used |= {k.column for k in aggregate.call.order_by}
        if aggregate.call.filter:
            used.add(aggregate.call.filter)
    return used


def _map_over(over: PendingOver, change) -> PendingOver:  # type: ignore[no-untyped-def]
    call = replace(
        over.call, args=tuple(change(a) for a in over.call.args), filter=over.call.filter and change(over.call.filter)
    )
    order_by = tuple(replace(s, rex=change(s.rex)) for s in over.order_by)
    return replace(over, call=call, partition_by=tuple(change(p) for p in over.partition_by), order_by=order_by)


def _add_overs(node: Node, overs: dict[str, PendingOver]) -> Node:
    """One Over node per different window, all their arguments projected below the first."""
    columns = _Columns(node)
    by_window: dict[tuple[tuple[str, ...], tuple[SortKey, ...], OverFrame], list[NamedAgg]] = {}
    for name, over in overs.items():
        partition_by = tuple(columns.column(p, "$part").name for p in over.partition_by)
        order_by = tuple(SortKey(columns.column(s.rex, "$order").name, s.ascending, s.nulls_first) for s in over.order_by)
        call = NamedAgg(name, _agg_call(over.call, columns))
        by_window.setdefault((partition_by, order_by, over.frame), []).append(call)
    result = columns.build()
    for (partition_by, order_by, frame), calls in by_window.items():
        result = Over(result, partition_by, order_by, frame, tuple(calls))
    return result


def _expand(items: Sequence[un.Unresolved], relation: Relation, context: PlanContext) -> list[un.Unresolved]:
    """Replaces `*`, `t.*`, column ranges and FLATTEN by the columns that they stand for."""
    expanded: list[un.Unresolved] = []
    for item in items:
        match item:
            case un.Star(qualifier=qualifier):
                expanded.extend(_column_item(c, item) for c in relation.star(qualifier))
            case un.ColumnRange():
                expanded.extend(_range_items(item, relation))
            case un.Call(function="FLATTEN", args=(arg,)):
                expanded.extend(_flatten(arg, relation, context))
            case _:
                expanded.append(item)
    return expanded


def _column_item(column: ScopeColumn, item: un.Unresolved) -> un.Unresolved:
    parts = (column.name,) if column.qualifier is None else (column.qualifier, column.name)
    return un.Name(parts, where=item.where)


def _range_items(item: un.ColumnRange, relation: Relation) -> list[un.Unresolved]:
    columns = relation.star()
    names = [c.name for c in columns]
    chosen: list[int] = []
    for part in item.items:
        chosen.extend(_range_positions(part, names, relation))
    if item.invert:
        chosen = [i for i in range(len(columns)) if i not in chosen]
    return [_column_item(columns[i], item) for i in chosen]


def _range_positions(part: un.Unresolved, names: list[str], relation: Relation) -> list[int]:
    def position(bound: un.Unresolved) -> int:
        if isinstance(bound, un.Lit):
            if not 1 <= bound.value <= len(names):
                raise ValidationError(f"there is no column {bound.value}; positions are 1 to {len(names)}", where=bound.where)
            return int(bound.value) - 1
        if isinstance(bound, un.Name):
            if bound.parts[-1] not in names:
                raise relation.unknown(bound.parts).at(bound.where)
            return names.index(bound.parts[-1])
        raise ValidationError("a column range takes column names or positions", where=bound.where)

    if isinstance(part, un.Star):
        return list(range(len(names)))
    if isinstance(part, un.Call) and part.function == "RANGE_TO":
        first, last = (position(a) for a in part.args)
        if first > last:
            raise ValidationError("the first column of a range stands after the last", where=part.where)
        return list(range(first, last + 1))
    return [position(part)]


def _flatten(arg: un.Unresolved, relation: Relation, context: PlanContext) -> list[un.Unresolved]:
    rex = Resolver(context, relation).resolve(arg)
    if not isinstance(rex.type, RowType):
        return [arg]
    base = output_name(arg)
    items: list[un.Unresolved] = []
    for place, name in enumerate(rex.type.field_names()):
        access = un.Call("GET", (arg, un.Lit(name)), where=arg.where)
        items.append(un.As(access, (f"_c{place}" if base is None else f"{base}${name}",), where=arg.where))
    return items


def project(node: Node, items: tuple[NamedRex, ...]) -> Node:
    """A Project, or the node itself when it would change nothing."""
    same = len(items) == len(node.schema) and all(
        isinstance(i.rex, Ref) and i.rex.name == i.name == f.name for i, f in zip(items, node.schema, strict=True)
    )
    return node if same else Project(node, items)
