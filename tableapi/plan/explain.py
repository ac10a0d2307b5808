"""Plans as short, stable, readable text: one line a node, inputs indented below it."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

from tableapi.plan import nodes as n
from tableapi.plan.match_node import Match, match_text
from tableapi.row import RowKind


def plan_text(plan: n.Node, details: Callable[[n.Node], str] | None = None, seen: set[int] | None = None) -> str:
    """The plan as a tree.

    Args:
        plan: Any plan.
        details: Adds text at the end of a node's line (for example its changelog mode).
        seen: Numbers of shared parts whose inputs were shown before.
    """
    lines: list[str] = []
    _append(plan, 0, lines, details, set() if seen is None else seen)
    return "\n".join(lines)


def _append(node: n.Node, depth: int, lines: list[str], details: Callable[[n.Node], str] | None, seen: set[int]) -> None:
    extra = details(node) if details else ""
    lines.append("  " * depth + describe(node) + (f"  {extra}" if extra else ""))
    if isinstance(node, n.Shared):
        if node.number in seen:
            return
        seen.add(node.number)
    for child in node.inputs:
        _append(child, depth + 1, lines, details, seen)


def changelog_text(kinds: frozenset[RowKind]) -> str:
    """`[I,UB,UA,D]` in Flink's order."""
    short = {RowKind.INSERT: "I", RowKind.UPDATE_BEFORE: "UB", RowKind.UPDATE_AFTER: "UA", RowKind.DELETE: "D"}
    return f"[{','.join(short[k] for k in RowKind if k in kinds)}]"


def _list(items: object) -> str:
    return ", ".join(map(str, items))  # type: ignore[call-overload]


@singledispatch
def describe(node: n.Node) -> str:
    """One line about a node, without its inputs."""
    return type(node).__name__


@describe.register
def _(node: n.Scan) -> str:
    parts = [node.table.identifier.name]
    if node.columns is not None:
        parts.append(f"columns=[{_list(node.columns)}]")
    if node.fields:
        parts.append(f"fields=[{_list(f'{column}.{name}' for column, names in node.fields for name in names)}]")
    if node.filter is not None:
        parts.append(f"filter=[{node.filter}]")
    if node.limit is not None:
        parts.append(f"limit={node.limit}")
    return f"Scan({', '.join(parts)})"


@describe.register
def _(node: n.Inline) -> str:
    return f"Inline(rows={node.data.frame.height}, columns=[{_list(node.row_schema.names)}])"


@describe.register
def _(node: n.Values) -> str:
    rows = [f"({_list(r)})" for r in node.rows[:3]] + (["…"] if len(node.rows) > 3 else [])
    return f"Values({_list(rows)})"


@describe.register
def _(node: n.Project) -> str:
    return f"Project({_list(node.columns)})"


@describe.register
def _(node: n.Filter) -> str:
    return f"Filter({node.condition})"


@describe.register
def _(node: n.WatermarkAssigner) -> str:
    return f"Watermark({node.column} AS {node.watermark})"


@describe.register
def _(node: n.Aggregate) -> str:
    parts = [f"by=[{_list(node.keys)}]"] if node.keys else []
    if node.grouping_sets is not None:
        parts.append(f"sets=[{_list('(' + _list(s) + ')' for s in node.grouping_sets)}]")
    parts += [str(a) for a in node.aggregates]
    return f"Aggregate({', '.join(parts)})"


@describe.register
def _(node: n.WindowTable) -> str:
    return f"WindowTable({node.window})"


@describe.register
def _(node: n.WindowAggregate) -> str:
    parts = [str(node.window) if node.attached is None else f"attached=[{_list(node.attached)}]"]
    if node.keys:
        parts.append(f"by=[{_list(node.keys)}]")
    parts += [str(a) for a in node.aggregates]
    parts += [f"{what.value} AS {name}" for name, what in node.properties]
    if node.emit is not None:
        parts.append(f"emit=[{node.emit}]")
    return f"WindowAggregate({', '.join(parts)})"


def _frame(frame: n.OverFrame) -> str:
    def bound(b: n.FrameBound, side: str) -> str:
        if b.kind is n.FrameBoundKind.UNBOUNDED:
            return f"UNBOUNDED {side}"
        if b.kind is n.FrameBoundKind.CURRENT_ROW:
            return "CURRENT ROW"
        size = str(abs(b.offset)) if frame.is_rows else n.format_ms(abs(b.offset))
        return f"{size} {'PRECEDING' if b.offset < 0 else 'FOLLOWING'}"

    unit = "ROWS" if frame.is_rows else "RANGE"
    return f"{unit} {bound(frame.lower, 'PRECEDING')} TO {bound(frame.upper, 'FOLLOWING')}"


@describe.register
def _(node: n.Over) -> str:
    parts = [f"partition=[{_list(node.partition_by)}]"] if node.partition_by else []
    parts += [f"order=[{_list(node.order_by)}]"] if node.order_by else []
    return f"Over({', '.join([*parts, _frame(node.frame), *map(str, node.calls)])})"


@describe.register
def _(node: n.Rank) -> str:
    parts = [f"partition=[{_list(node.partition_by)}]"] if node.partition_by else []
    parts.append(f"order=[{_list(node.order_by)}]")
    parts.append(f"rows={node.start}..{node.end}")
    if node.rank_name:
        parts.append(f"{node.kind.value} AS {node.rank_name}")
    elif node.kind is not n.RankKind.ROW_NUMBER:
        parts.append(node.kind.value)
    return f"Rank({', '.join(parts)})"


@describe.register
def _(node: n.Join) -> str:
    return f"Join({node.kind.value}{f', {node.condition}' if node.condition is not None else ''})"


@describe.register
def _(node: n.IntervalJoin) -> str:
    bounds = f"{node.left_time} - {node.right_time} IN [{node.lower_ms} ms, {node.upper_ms} ms]"
    return f"IntervalJoin({node.kind.value}, {bounds}{f', {node.condition}' if node.condition is not None else ''})"


@describe.register
def _(node: n.TemporalJoin) -> str:
    keys = _list(f"{a} = {b}" for a, b in node.keys)
    time = f"{node.left_time} AS OF {node.right_time or 'now'}"
    return f"TemporalJoin({node.kind.value}, {keys}, {time}{f', {node.condition}' if node.condition is not None else ''})"


@describe.register
def _(node: n.LookupJoin) -> str:
    table = node.table.table.identifier.name if isinstance(node.table, n.Scan) else "rows"
    keys = _list(f"{a} = {table}.{b}" for a, b in zip((a for a, _ in node.keys), node.table_keys, strict=True))
    return f"LookupJoin({node.kind.value}, {keys}{f', {node.condition}' if node.condition is not None else ''})"


@describe.register
def _(node: n.WindowJoin) -> str:
    windows = f"[{_list(node.left_window)}] = [{_list(node.right_window)}]"
    return f"WindowJoin({node.kind.value}, {windows}{f', {node.condition}' if node.condition is not None else ''})"


@describe.register
def _(node: n.SetOp) -> str:
    return f"{node.kind.value.title()}{'All' if node.is_all else ''}()"


@describe.register
def _(node: n.Unnest) -> str:
    outer = "LEFT, " if node.is_outer else ""
    ordinality = f", {node.ordinality}" if node.ordinality else ""
    return f"Unnest({outer}{node.collection} AS ({_list(f.name for f in node.outputs)}{ordinality}))"


@describe.register
def _(node: n.Correlate) -> str:
    name = node.function if isinstance(node.function, str) else node.function.name
    outer = "LEFT, " if node.is_outer else ""
    return f"Correlate({outer}{name}({_list(node.args)}) AS ({_list(f.name for f in node.outputs)}))"


@describe.register
def _(node: n.ToChangelog) -> str:
    return f"ToChangelog(op={node.op}, codes=[{_list(f'{k}={c}' for k, c in node.codes)}])"


@describe.register
def _(node: n.FromChangelog) -> str:
    return f"FromChangelog(op={node.op}, codes=[{_list(f'{c}={k}' for c, k in node.codes)}])"


@describe.register
def _(node: Match) -> str:
    return match_text(node)


@describe.register
def _(node: n.Sort) -> str:
    return f"Sort({_list(node.order_by)})"


@describe.register
def _(node: n.Limit) -> str:
    parts = ([] if node.fetch is None else [f"fetch={node.fetch}"]) + ([f"offset={node.offset}"] if node.offset else [])
    return f"Limit({', '.join(parts)})"


@describe.register
def _(node: n.Shared) -> str:
    return f"Shared({node.number}{f', columns=[{_list(node.columns)}]' if node.columns is not None else ''})"


@describe.register
def _(node: n.Sink) -> str:
    change = "" if node.change is None else f", {'delete' if node.change is RowKind.DELETE else 'update'} rows"
    return f"Sink({node.table.identifier.name}{', overwrite' if node.overwrite else ''}{change})"
