"""Joins with a table as of a time: event-time temporal joins and look-up joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tableapi.errors import UnsupportedError, ValidationError
from tableapi.plan import unresolved as un
from tableapi.plan.nodes import (
    Filter,
    Inline,
    Join,
    JoinKind,
    LookupHint,
    LookupJoin,
    Node,
    Project,
    Scan,
    TemporalJoin,
    Values,
    WatermarkAssigner,
    carried_column,
)
from tableapi.plan.resolve import Resolver
from tableapi.plan.rex import Call, Cast, Ref, Rex, conjuncts
from tableapi.plan.rules import LOGICAL, apply_rules
from tableapi.plan.scope import Relation
from tableapi.plan.traits import equal_pairs, rowtimes, unique_keys
from tableapi.tablespec import TimeKind
from tableapi.types import BooleanType, DataType, IntegralType

if TYPE_CHECKING:
    from tableapi.plan.builder import Builder


def temporal_join(
    builder: Builder,
    left: Relation,
    right: Relation,
    kind: JoinKind,
    time: un.Unresolved,
    condition: un.Unresolved | None,
    hint: LookupHint,
) -> Relation:
    """`left JOIN right FOR SYSTEM_TIME AS OF left.time`. Flink: event time needs a versioned table (primary key and watermark);
    processing time looks the key up in an external table. Here it also joins the latest row that a query gives."""
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
    if attribute is TimeKind.PROCTIME and _is_table(right_node):
        return scope.with_node(_lookup(left_node, right_node, kind, pairs, rest, hint, time))
    if attribute is None:
        raise ValidationError(
            f"FOR SYSTEM_TIME AS OF needs a time attribute, and '{time_rex.name}' is not one",
            where=time.where,
            exists=f"time attributes: {', '.join(f.name for f in left_node.schema if f.time) or 'none'}",
            fix=f"declare WATERMARK FOR {time_rex.name} AS … in the left table",
        )
    version = _version_column(right_node, time) if attribute is TimeKind.ROWTIME else None
    used = {r for _, r in pairs}
    if not any(key and key <= used for key in unique_keys(right_node)):
        known = sorted(", ".join(sorted(k)) for k in unique_keys(right_node))
        raise ValidationError(
            "a temporal join must compare the whole key of the versioned table",
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


def _is_table(node: Node) -> bool:
    """Whether a node is a table, with no more than row-wise steps above it: its rows can be asked for by key."""
    while isinstance(node, Project | Filter | WatermarkAssigner):
        node = node.input
    return isinstance(node, Scan | Inline | Values)


def _widened_pairs(rest: Rex | None, left: Node, right: Node) -> list[tuple[str, str]]:
    """Columns compared as a common type that both fit in: they can be looked up, and the comparison stays in the condition."""
    found = []
    for part in conjuncts(rest) if rest is not None else ():
        if isinstance(part, Call) and part.function == "EQUALS":
            sides = [a.arg if isinstance(a, Cast) else a for a in part.args]
            names = [s.name for s in sides if isinstance(s, Ref) and _is_exact(s.type)]
            for a, b in (names, names[::-1]) if len(names) == 2 and all(_is_exact(p.type) for p in part.args) else ():
                if a in left.schema and b in right.schema:
                    found.append((a, b))
    return found


def _is_exact(data_type: DataType) -> bool:
    return isinstance(data_type, IntegralType)


def _lookup(
    left: Node,
    right: Node,
    kind: JoinKind,
    pairs: list[tuple[str, str]],
    rest: Rex | None,
    hint: LookupHint,
    time: un.Unresolved,
) -> Node:
    keys = tuple((a, b) for a, b in (*pairs, *_widened_pairs(rest, left, right)) if carried_column(right, b) is not None)
    if not keys:
        raise ValidationError("a lookup join needs an equality with a column of the table", where=time.where)
    for a, b in pairs:
        if (a, b) not in keys:
            test = Call(BooleanType(), "EQUALS", (Ref(left.schema[a].type, a), Ref(right.schema[b].type, b)))
            rest = test if rest is None else Call(rest.type, "AND", (rest, test))
    return LookupJoin(left, right, kind, keys, rest, hint)
