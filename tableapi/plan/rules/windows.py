"""Rules that turn a grouping by window bounds into a window aggregation, and say when windows give results."""

from __future__ import annotations

from dataclasses import replace

from tableapi.errors import UnsupportedError
from tableapi.plan import nodes as n
from tableapi.plan.rex import Ref, columns, substitute
from tableapi.plan.traits import AttachedWindow, window_of
from tableapi.types import DataType


def window_aggregate(node: n.Node) -> n.Node | None:
    """Aggregate by (window_start, window_end, …) over windowed rows → WindowAggregate.

    When nothing between the window table and the aggregation looks at the window, the window table goes away: rows are then not
    copied into each of their windows (a HOP window costs what a TUMBLE window costs). Rows that carry a window of processing time are grouped
    like any others: they are on their way while the clock goes on, so no time is known at which the last of them has come.
    """
    if not isinstance(node, n.Aggregate) or node.grouping_sets is not None:
        return None
    window = window_of(node.input)
    if window is None or not {window.start, window.end} <= set(node.keys):
        return None
    bounds = {window.start, window.end, window.time}
    keys = tuple(k for k in node.keys if k not in bounds)
    raw = None if _reads_window(node.aggregates, bounds) else _without_window(node.input, window)
    if raw is not None and window.window.kind is n.WindowKind.SESSION:
        partition = [raw.renames.get(p) for p in window.window.partition_by]
        if any(p not in keys for p in partition) or len(keys) != len(partition):
            raw = None
    if raw is None:
        return _attached(node, window, keys) if window.window.is_event_time else None
    properties = tuple((k, _property(k, window)) for k in node.keys if k in bounds)
    result = n.WindowAggregate(raw.node, raw.window, keys, node.aggregates, properties)
    return _in_order(result, node)


def _reads_window(aggregates: tuple[n.NamedAgg, ...], bounds: set[str | None]) -> bool:
    used: set[str | None] = {c for a in aggregates for arg in a.call.args for c in columns(arg)}
    used |= {a.call.filter for a in aggregates} | {k.column for a in aggregates for k in a.call.order_by}
    return bool(used & (bounds - {None}))


def _property(key: str, window: AttachedWindow) -> n.WindowProperty:
    if key == window.start:
        return n.WindowProperty.START
    return n.WindowProperty.END if key == window.end else n.WindowProperty.TIME


class _Raw:
    """Rows before they were put into windows, and how the window's columns are called there."""

    def __init__(self, node: n.Node, window: n.WindowSpec, renames: dict[str, str]) -> None:
        self.node, self.window, self.renames = node, window, renames


def _without_window(node: n.Node, attached: AttachedWindow) -> _Raw | None:
    """The same rows without window columns: the chain of projections and filters down to the window table, rebuilt on its
    input. None when one of them looks at the window."""
    if isinstance(node, n.WindowTable):
        renames = {name: name for name in node.input.schema.names}
        return _Raw(node.input, node.window, renames)
    if isinstance(node, n.Filter):
        below = _without_window(node.input, attached)
        inner = window_of(node.input)
        if below is None or inner is None or columns(node.condition) & {inner.start, inner.end, inner.time}:
            return None
        moved = substitute(node.condition, {k: Ref(_type(below.node, v), v) for k, v in below.renames.items()})
        return _Raw(n.Filter(below.node, moved), below.window, below.renames)
    if isinstance(node, n.Project):
        return _project_without_window(node, attached)
    return None


def _project_without_window(node: n.Project, attached: AttachedWindow) -> _Raw | None:
    below = _without_window(node.input, attached)
    inner = window_of(node.input)
    if below is None or inner is None:
        return None
    bounds = {inner.start, inner.end, inner.time}
    kept: list[n.NamedRex] = []
    for column in node.columns:
        if isinstance(column.rex, Ref) and column.rex.name in bounds:
            continue
        if columns(column.rex) & bounds:
            return None
        moved = substitute(column.rex, {k: Ref(_type(below.node, v), v) for k, v in below.renames.items()})
        kept.append(n.NamedRex(column.name, moved))
    time = below.window.time_column
    renames = {c.name: c.name for c in kept}
    time_name = next((c.name for c in kept if isinstance(c.rex, Ref) and c.rex.name == time), None)
    if time_name is None:
        time_name = "$window_rowtime"
        kept.append(n.NamedRex(time_name, Ref(_type(below.node, time), time)))
    partition = []
    for name in below.window.partition_by:
        carried = next((c.name for c in kept if isinstance(c.rex, Ref) and c.rex.name == name), None)
        if carried is None:
            return None
        partition.append(carried)
    window = replace(below.window, time_column=time_name, partition_by=tuple(partition))
    return _Raw(n.Project(below.node, tuple(kept)), window, renames)


def _type(node: n.Node, name: str) -> DataType:
    return node.schema[name].type


def _attached(node: n.Aggregate, window: AttachedWindow, keys: tuple[str, ...]) -> n.Node:
    properties: tuple[tuple[str, n.WindowProperty], ...] = ()
    if window.time is not None and window.time in node.keys:
        properties = ((window.time, n.WindowProperty.TIME),)
    all_keys = (window.start, window.end, *keys)
    result = n.WindowAggregate(node.input, window.window, all_keys, node.aggregates, properties, (window.start, window.end))
    return _in_order(result, node)


def _in_order(result: n.WindowAggregate, node: n.Aggregate) -> n.Node:
    """The result with the columns of the Aggregate that it replaces, in their order."""
    schema = result.schema
    items = tuple(n.NamedRex(f.name, Ref(schema[f.name].type, f.name)) for f in node.schema)
    return n.Project(result, items)


def with_emit_policy(plan: n.Node, policy: n.EmitPolicy) -> n.Node:
    """The plan whose window aggregations give results as the session's settings say.

    Raises:
        UnsupportedError: The settings would hold for a session window.
    """

    def change(node: n.Node) -> n.Node | None:
        if not isinstance(node, n.WindowAggregate) or node.emit is not None:
            return None
        own = policy if node.window.is_event_time else n.EmitPolicy(policy.early_ms)
        if own.early_ms is None and own.late_ms is None:
            return None
        if node.window.kind is n.WindowKind.SESSION:
            raise UnsupportedError(
                "a SESSION window gives its result when it ends, not before or after",
                fix="unset 'table.exec.emit.…', or use TUMBLE, HOP or CUMULATE",
            )
        return replace(node, emit=own)

    return n.transform(plan, change)
