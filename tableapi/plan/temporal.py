"""Joins with a table as of a time: event-time temporal joins and look-up joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tableapi.errors import UnsupportedError, ValidationError
from tableapi.plan import unresolved as un
from tableapi.plan.nodes import Join, JoinKind, LookupJoin, NamedRex, Node, Project, Scan, TemporalJoin
from tableapi.plan.resolve import Resolver
from tableapi.plan.rex import Call, Ref, Rex, conjuncts
from tableapi.plan.rules import LOGICAL, apply_rules
from tableapi.plan.scope import Relation
from tableapi.plan.traits import equal_pairs, rowtimes, unique_keys
from tableapi.tablespec import TimeKind

if TYPE_CHECKING:
    from tableapi.plan.builder import Builder


def temporal_join(
    builder: Builder, left: Relation, right: Relation, kind: JoinKind, time: un.Unresolved, condition: un.Unresolved | None
) -> Relation:
    """`left JOIN right FOR SYSTEM_TIME AS OF left.time`. Flink: event time needs a versioned table (primary key and watermark);
    processing time looks the key up in an external table."""
    if kind not in (JoinKind.INNER, JoinKind.LEFT):
        raise UnsupportedError(f"a {kind.value} temporal join does not exist", where=time.where, fix="use INNER or LEFT")
    scope, left_node, right_node = builder.combine(left, right)
    right_node = apply_rules(right_node, LOGICAL)
    both = scope.with_node(Join(left_node, right_node, JoinKind.INNER))
    if condition is None:
        raise ValidationError("a temporal join needs an equality on the versioned table's key", where=time.where)
    on = Resolver(builder.context, both).condition(condition, "ON")
    time_rex = Resolver(builder.context, left).resolve(time)
    if not isinstance(time_rex, Ref):
        raise ValidationError("FOR SYSTEM_TIME AS OF takes a time attribute of the left table", where=time.where)
    attribute = left_node.schema[time_rex.name].time
    pairs = equal_pairs(on, left_node.schema.names, right_node.schema.names)
    rest = _without_pairs(on, pairs)
    if attribute is TimeKind.PROCTIME:
        return scope.with_node(_lookup(left_node, right_node, kind, pairs, rest, time))
    if attribute is None:
        raise ValidationError(
            f"FOR SYSTEM_TIME AS OF needs a time attribute, and '{time_rex.name}' is not one",
            where=time.where,
            exists=f"time attributes: {', '.join(f.name for f in left_node.schema if f.time) or 'none'}",
            fix=f"declare WATERMARK FOR {time_rex.name} AS … in the left table",
        )
    version = _version_column(right_node, time)
    used = {r for _, r in pairs}
    if not any(key and key <= used for key in unique_keys(right_node)):
        known = sorted(", ".join(sorted(k)) for k in unique_keys(right_node))
        raise ValidationError(
            "a temporal join must compare the whole primary key of the versioned table",
            where=condition.where or time.where,
            exists=f"keys: {'; '.join(known) or 'none'}; compared: {', '.join(sorted(used)) or 'none'}",
            fix="declare PRIMARY KEY (…) NOT ENFORCED in the versioned table and compare all its columns with =",
        )
    node = TemporalJoin(left_node, right_node, kind, tuple(pairs), time_rex.name, version, rest)
    return scope.with_node(node)


def _version_column(right: Node, time: un.Unresolved) -> str:
    found = rowtimes(right)
    if not found:
        raise ValidationError(
            "the right side of an event-time temporal join has no event time",
            where=time.where,
            fix="declare WATERMARK FOR … in the versioned table",
        )
    return found[0]


def _without_pairs(condition: Rex, pairs: list[tuple[str, str]]) -> Rex | None:
    rest: Rex | None = None
    for part in conjuncts(condition):
        if isinstance(part, Call) and part.function == "EQUALS" and all(isinstance(a, Ref) for a in part.args):
            names = {a.name for a in part.args if isinstance(a, Ref)}
            if any({left, right} == names for left, right in pairs):
                continue
        rest = part if rest is None else Call(part.type, "AND", (rest, part))
    return rest


def _lookup(
    left: Node, right: Node, kind: JoinKind, pairs: list[tuple[str, str]], rest: Rex | None, time: un.Unresolved
) -> Node:
    scan, names = right, right.schema.names
    if isinstance(right, Project) and all(isinstance(c.rex, Ref) for c in right.columns):
        scan = right.input
    if not isinstance(scan, Scan):
        raise UnsupportedError(
            "a processing-time temporal join needs a table that can be looked up, not a query",
            where=time.where,
            fix="join with the table itself, or use an event-time temporal join",
        )
    inner_names = {c.name: _ref_name(c) for c in right.columns} if isinstance(right, Project) else {m: m for m in names}
    outer_names = {inner: outer for outer, inner in inner_names.items()}
    produced = scan.table.produced.names
    if not pairs:
        raise ValidationError("a look-up join needs an equality with a column of the table", where=time.where)
    keys = tuple((a, inner_names[b]) for a, b in pairs)
    return LookupJoin(left, scan.table, kind, keys, tuple(outer_names.get(p, p) for p in produced), rest)


def _ref_name(column: NamedRex) -> str:
    assert isinstance(column.rex, Ref)
    return column.rex.name
