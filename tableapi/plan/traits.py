"""What can be derived from a plan: unique keys, kinds of changes, windows that rows carry, time attributes.

Each trait is a function of a node, computed from the traits of its inputs; nothing is stored in nodes. What only a connector
knows (does a table end, does it hand over updates) comes in through `TableFacts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

from tableapi.plan import nodes as n
from tableapi.plan.match_node import Match
from tableapi.plan.rex import Call, Cast, Ref, Rex, SortKey
from tableapi.row import RowKind
from tableapi.tablespec import TableSpec, TimeKind

INSERT_ONLY = frozenset({RowKind.INSERT})
ALL_KINDS = frozenset(RowKind)
UPDATES = frozenset({RowKind.INSERT, RowKind.UPDATE_BEFORE, RowKind.UPDATE_AFTER})


@dataclass(frozen=True)
class TableFacts:
    """What the connector of a table knows.

    Args:
        is_bounded: Whether the table ends.
        changelog: The kinds of changes that it hands over. Without UPDATE_BEFORE but with UPDATE_AFTER it is an upsert stream on
            its primary key, which the planner turns into full changes.
    """

    is_bounded: bool = True
    changelog: frozenset[RowKind] = INSERT_ONLY


Facts = Callable[[TableSpec], TableFacts]


def no_facts(table: TableSpec) -> TableFacts:
    """Bounded and insert-only: what holds where no connector was asked."""
    return TableFacts()


def is_bounded(node: n.Node, facts: Facts) -> bool:
    """Whether the result ends: all inputs do."""
    return all(facts(scan.table).is_bounded for scan in n.walk(node) if isinstance(scan, n.Scan))


Keys = frozenset[frozenset[str]]
NO_KEYS: Keys = frozenset()


@singledispatch
def unique_keys(node: n.Node) -> Keys:
    """Sets of columns, each of which identifies a row of the (final) result. The empty set means at most one row."""
    return NO_KEYS


@unique_keys.register
def _(node: n.Scan) -> Keys:
    key = frozenset(node.table.primary_key)
    return frozenset({key}) if key and key <= set(node.schema.names) else NO_KEYS


@unique_keys.register(n.Filter)
@unique_keys.register(n.WatermarkAssigner)
@unique_keys.register(n.Sort)
@unique_keys.register(n.Limit)
@unique_keys.register(n.Over)
@unique_keys.register(n.Collect)
@unique_keys.register(n.Sink)
def _(node: n.Unary) -> Keys:
    return unique_keys(node.input)


@unique_keys.register
def _(node: n.LookupJoin) -> Keys:
    """The input's keys, when the table has at most one row for each."""
    compared = {b for _, b in node.keys}
    return unique_keys(node.input) if any(key <= compared for key in unique_keys(node.right)) else NO_KEYS


@unique_keys.register
def _(node: n.ToChangelog | n.FromChangelog) -> Keys:
    return NO_KEYS


@unique_keys.register
def _(node: n.Project) -> Keys:
    renamed: dict[str, str] = {}
    for column in node.columns:
        source = _carried(column.rex)
        if source is not None:
            renamed.setdefault(source, column.name)
    return frozenset(frozenset(renamed[k] for k in key) for key in unique_keys(node.input) if key <= renamed.keys())


def _carried(rex: Rex) -> str | None:
    """The column whose different values stay different in `rex`, if there is one."""
    if isinstance(rex, Ref):
        return rex.name
    if isinstance(rex, Cast) and isinstance(rex.arg, Ref) and rex.type.nullable() == rex.arg.type.nullable():
        return rex.arg.name
    return None


@unique_keys.register
def _(node: n.Aggregate) -> Keys:
    if node.grouping_sets is not None:
        return NO_KEYS
    return frozenset({frozenset(node.keys)})


@unique_keys.register
def _(node: n.WindowAggregate) -> Keys:
    bounds = [name for name, what in node.properties if what is not n.WindowProperty.TIME]
    attached = set(node.attached or ()) & set(node.keys)
    if node.attached is None and not bounds:
        return NO_KEYS
    return frozenset({frozenset({*node.keys, *bounds[:1], *attached})})


@unique_keys.register
def _(node: n.Rank) -> Keys:
    keys = set(unique_keys(node.input))
    if node.kind is n.RankKind.ROW_NUMBER and node.start == node.end == 1:
        keys.add(frozenset(node.partition_by))
    if node.kind is n.RankKind.ROW_NUMBER and node.rank_name:
        keys.add(frozenset({*node.partition_by, node.rank_name}))
    return frozenset(keys)


@unique_keys.register
def _(node: n.Join) -> Keys:
    left, right = unique_keys(node.left), unique_keys(node.right)
    if node.kind in (n.JoinKind.SEMI, n.JoinKind.ANTI):
        return left
    pairs = equal_pairs(node.condition, node.left.schema.names, node.right.schema.names)
    keys: set[frozenset[str]] = {lk | rk for lk in left for rk in right}
    if node.kind is not n.JoinKind.FULL:
        if node.kind is not n.JoinKind.RIGHT and any(k <= {r for _, r in pairs} for k in right):
            keys |= left
        if node.kind is not n.JoinKind.LEFT and any(k <= {lc for lc, _ in pairs} for k in left):
            keys |= right
    return frozenset(keys)


@unique_keys.register
def _(node: n.TemporalJoin) -> Keys:
    return unique_keys(node.left)


def equal_pairs(condition: Rex | None, left: list[str], right: list[str]) -> list[tuple[str, str]]:
    """The (left column, right column) pairs that a condition demands to be equal."""
    from tableapi.plan.rex import conjuncts

    pairs = []
    for part in conjuncts(condition) if condition is not None else ():
        if isinstance(part, Call) and part.function == "EQUALS":
            a, b = part.args
            if isinstance(a, Ref) and isinstance(b, Ref):
                if a.name in left and b.name in right:
                    pairs.append((a.name, b.name))
                elif b.name in left and a.name in right:
                    pairs.append((b.name, a.name))
    return pairs


def upsert_key(node: n.Node) -> tuple[str, ...] | None:
    """The smallest unique key of the result, in column order, or None."""
    keys = unique_keys(node)
    if not keys:
        return None
    names = node.schema.names
    best = min(keys, key=lambda k: (len(k), sorted(names.index(c) for c in k)))
    return tuple(c for c in names if c in best)


def changelog(node: n.Node, facts: Facts = no_facts) -> frozenset[RowKind]:
    """The kinds of changes that a node gives when run as a stream."""
    inputs = [changelog(i, facts) for i in node.inputs]
    return _changelog(node, inputs, facts)


def _changelog(node: n.Node, inputs: list[frozenset[RowKind]], facts: Facts) -> frozenset[RowKind]:
    match node:
        case n.Scan(table=table):
            kinds = facts(table).changelog
            return kinds if kinds == INSERT_ONLY else kinds | {RowKind.UPDATE_BEFORE}
        case n.Inline() | n.Values() | n.ToChangelog():
            return INSERT_ONLY
        case n.FromChangelog(codes=codes):
            return frozenset(kind for _, kind in codes)
        case n.WindowTable(window=n.WindowSpec(kind=n.WindowKind.SESSION)):
            return INSERT_ONLY
        case n.WindowAggregate(emit=emit) if emit is not None:
            return UPDATES if inputs[0] == INSERT_ONLY else ALL_KINDS
        case n.WindowAggregate() | n.IntervalJoin() | n.WindowJoin() | Match():
            return INSERT_ONLY
        case n.Aggregate(aggregates=()):
            return INSERT_ONLY if inputs[0] == INSERT_ONLY else frozenset({RowKind.INSERT, RowKind.DELETE})
        case n.Aggregate(keys=keys):
            return UPDATES if inputs[0] == INSERT_ONLY or not keys else ALL_KINDS
        case n.Rank():
            return _rank_changelog(node, inputs[0])
        case n.Join(kind=kind):
            return _join_changelog(kind, inputs)
        case n.TemporalJoin() | n.LookupJoin():
            return INSERT_ONLY if inputs[0] == INSERT_ONLY else ALL_KINDS
        case n.SetOp(kind=n.SetKind.UNION):
            return frozenset().union(*inputs)
        case n.SetOp():
            return ALL_KINDS
        case n.Over(order_by=order_by):
            return INSERT_ONLY if inputs[0] == INSERT_ONLY and _follows_time(node.input, order_by) else ALL_KINDS
        case n.Limit(input=n.Sort(order_by=order_by)) if not _follows_time(node.input.inputs[0], order_by):
            return ALL_KINDS
        case n.Sort():
            return inputs[0]
        case n.Limit():
            return INSERT_ONLY if inputs[0] == INSERT_ONLY else ALL_KINDS
        case _:
            return inputs[0]


def _rank_changelog(node: n.Rank, source: frozenset[RowKind]) -> frozenset[RowKind]:
    if source != INSERT_ONLY:
        return ALL_KINDS
    if ranks_windows(node):
        return INSERT_ONLY
    if keeps_one_by_time(node):
        return INSERT_ONLY if node.order_by[0].ascending else UPDATES
    return ALL_KINDS


def keeps_one_by_time(node: n.Rank) -> bool:
    """Whether a Top-1 is a deduplication: the first or last row of each key by nothing but a time attribute, without its number."""
    is_first = node.kind is n.RankKind.ROW_NUMBER and node.rank_name is None and node.start == node.end == 1
    return is_first and len(node.order_by) == 1 and _by_time(node.input, node.order_by)


def ranks_windows(node: n.Rank) -> bool:
    """Whether a Top-N is per window of event time: it is final when the window is."""
    window = window_of(node.input)
    if window is None or not window.window.is_event_time:
        return False
    return {window.start, window.end} <= set(node.partition_by)


def _follows_time(node: n.Node, order_by: tuple[SortKey, ...]) -> bool:
    """Whether rows are wanted in the order of a time attribute of the node: no later row can then come before an earlier one."""
    return _by_time(node, order_by) and order_by[0].ascending


def _by_time(node: n.Node, order_by: tuple[SortKey, ...]) -> bool:
    """Whether the first sort key is a time attribute of the node."""
    if not order_by:
        return False
    return time_of(node, order_by[0].column) is not None


def _join_changelog(kind: n.JoinKind, inputs: list[frozenset[RowKind]]) -> frozenset[RowKind]:
    both = inputs[0] | inputs[1]
    if kind in (n.JoinKind.INNER, n.JoinKind.SEMI):
        return both if inputs[1] == INSERT_ONLY or kind is n.JoinKind.INNER else both | {RowKind.INSERT, RowKind.DELETE}
    return both | {RowKind.INSERT, RowKind.DELETE}


@dataclass(frozen=True)
class AttachedWindow:
    """Rows carry the window that they belong to, in these columns."""

    window: n.WindowSpec
    start: str
    end: str
    time: str | None


@singledispatch
def window_of(node: n.Node) -> AttachedWindow | None:
    """The window that the rows of a node carry, if any."""
    return None


@window_of.register
def _(node: n.WindowTable) -> AttachedWindow | None:
    return AttachedWindow(node.window, node.start, node.end, node.time)


@window_of.register(n.Filter)
@window_of.register(n.Rank)
@window_of.register(n.Unnest)
@window_of.register(n.Correlate)
def _(node: n.Unary) -> AttachedWindow | None:
    return window_of(node.input)


@window_of.register
def _(node: n.Project) -> AttachedWindow | None:
    below = window_of(node.input)
    if below is None:
        return None
    renamed = {c.rex.name: c.name for c in reversed(node.columns) if isinstance(c.rex, Ref)}
    if below.start not in renamed or below.end not in renamed:
        return None
    return AttachedWindow(below.window, renamed[below.start], renamed[below.end], renamed.get(below.time or ""))


@window_of.register
def _(node: n.WindowAggregate) -> AttachedWindow | None:
    if node.attached is not None:
        start, end = node.attached
        time = next((name for name, what in node.properties if what is n.WindowProperty.TIME), None)
        return AttachedWindow(node.window, start, end, time) if {start, end} <= set(node.keys) else None
    by_kind = {what: name for name, what in reversed(node.properties)}
    if n.WindowProperty.START not in by_kind or n.WindowProperty.END not in by_kind:
        return None
    return AttachedWindow(
        node.window, by_kind[n.WindowProperty.START], by_kind[n.WindowProperty.END], by_kind.get(n.WindowProperty.TIME)
    )


@window_of.register
def _(node: n.WindowJoin) -> AttachedWindow | None:
    if node.kind in (n.JoinKind.RIGHT,):
        return window_of(node.right)
    return window_of(node.left)


def rowtimes(node: n.Node) -> list[str]:
    """Names of the event-time attributes of a node."""
    return [f.name for f in node.schema if f.time is TimeKind.ROWTIME]


def lost_time(node: n.Node, column: str) -> str | None:
    """What made a column that was a time attribute none any more, in words; None: nothing did.

    A regular join holds rows of any age, so that its output is in no order of time. A window function hands rows on with the window's time,
    and what comes after it may wait for the window's end.
    """
    if isinstance(node, n.Join):
        return "a regular join"
    if isinstance(node, n.WindowTable) and column == node.window.time_column:
        return "a window function"
    if isinstance(node, n.Project):
        source = next((c.rex for c in node.columns if c.name == column), None)
        return lost_time(node.input, source.name) if isinstance(source, Ref) else None
    return next(filter(None, (lost_time(i, column) for i in node.inputs if column in i.schema)), None)


def time_of(node: n.Node, column: str) -> TimeKind | None:
    """The kind of time that a column follows; None when it is no time attribute, or none any more."""
    kind = node.schema[column].time
    return None if kind is None or lost_time(node, column) else kind
