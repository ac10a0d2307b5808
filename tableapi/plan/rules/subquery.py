"""Rules that turn sub-queries inside conditions and select lists into joins (decorrelation)."""

from __future__ import annotations

from dataclasses import replace

from tableapi.errors import UnsupportedError
from tableapi.functions import registry
from tableapi.plan import nodes as n
from tableapi.plan.rex import (
    AggCall,
    Call,
    Cast,
    Literal,
    OuterRef,
    Ref,
    Rex,
    SubqueryRex,
    conjuncts,
    substitute,
    transform,
    walk,
)
from tableapi.plan.rules.domain import Domain, null_safe_equal, outer_refs
from tableapi.plan.rules.filters import conjunction, with_filter
from tableapi.plan.scope import unique
from tableapi.plan.typing import implicit_cast
from tableapi.types import BigIntType, BooleanType


def exists_or_in_filter(node: n.Node) -> n.Node | None:
    """Filter(EXISTS(q) | x IN (q)) → SEMI join; negated → ANTI join."""
    if not isinstance(node, n.Filter):
        return None
    parts = conjuncts(node.condition)
    for index, part in enumerate(parts):
        subquery, negated = _strip_not(part)
        if not isinstance(subquery, SubqueryRex) or subquery.kind not in ("exists", "in"):
            continue
        rest = parts[:index] + parts[index + 1 :]
        plan = with_filter(node.input, rest)
        # All of them now: what is left would be taken for a sub-query used as a value.
        return _semi_join(exists_or_in_filter(plan) or plan, subquery, negated != subquery.negated)
    return None


def _strip_not(rex: Rex) -> tuple[Rex, bool]:
    if isinstance(rex, Call) and rex.function == "NOT" and isinstance(rex.args[0], SubqueryRex):
        return rex.args[0], True
    return rex, False


def _semi_join(left: n.Node, subquery: SubqueryRex, negated: bool) -> n.Node:
    subquery = _plain(subquery)
    inner = _pull_up(subquery.plan, left, is_exact=_has_row_always(subquery.plan))
    right, renames = _disjoint(inner.node, left)
    parts = [_rename(p, renames) for p in inner.conditions]
    if subquery.kind == "in":
        originals = subquery.plan.schema.fields
        columns_ = [Ref(right.schema[renames[inner.outputs[f.name]]].type, renames[inner.outputs[f.name]]) for f in originals]
        for arg, column in zip(subquery.args, columns_, strict=True):
            equal = _equals(arg, column)
            parts.append(_or_unknown(equal, arg, column) if negated else equal)
    kind = n.JoinKind.ANTI if negated else n.JoinKind.SEMI
    return n.Join(left, right, kind, conjunction(parts))


def _or_unknown(equal: Rex, arg: Rex, column: Rex) -> Rex:
    """`x NOT IN (q)` drops a row also when the comparison is UNKNOWN: NULL on either side counts as a match of the anti join."""
    result = equal
    for side in (arg, column):
        if side.type.is_nullable:
            is_null = Call(BooleanType(is_nullable=False), "IS_NULL", (side,))
            result = Call(BooleanType(), "OR", (result, is_null))
    return result


def _equals(left: Rex, right: Rex) -> Rex:
    function = registry.lookup("EQUALS")
    resolved = function.signature((left, right))
    args = tuple(implicit_cast(a, t) for a, t in zip((left, right), resolved.arg_types, strict=True))
    return Call(resolved.result, "EQUALS", args)


class _Pulled:
    """A sub-query without references to the outer query, and the conditions that held them."""

    def __init__(self, node: n.Node, conditions: list[Rex], outputs: dict[str, str]) -> None:
        self.node, self.conditions, self.outputs = node, conditions, outputs


def _is_correlated(node: n.Node) -> bool:
    return any(isinstance(r, OuterRef) for part in n.walk(node) for rex in _expressions(part) for r in walk(rex))


def _expressions(node: n.Node) -> list[Rex]:
    match node:
        case n.Project(columns=columns):
            return [c.rex for c in columns]
        case n.Filter(condition=condition):
            return [condition]
        case n.Join(condition=condition) | n.TemporalJoin(condition=condition) if condition is not None:
            return [condition]
        case n.Unnest(collection=collection):
            return [collection]
        case n.Correlate(args=args):
            return list(args)
        case n.Values(rows=rows):
            return [r for row in rows for r in row]
        case _:
            return []


def _pull_up(plan: n.Node, outer: n.Node, *, is_exact: bool = False) -> _Pulled:
    """The sub-query by itself, and the conditions that join it with the outer rows.

    Conjuncts that refer to the outer query are taken out, and the columns that they read are kept; where that is impossible, or not
    `is_exact` enough (a group without rows has a result too, which a join does not find), the query runs once for every
    combination of outer values.
    """
    identity = {name: name for name in plan.schema.names}
    if not _is_correlated(plan):
        return _Pulled(plan, [], identity)
    if is_exact:
        return _by_domain(plan, outer, identity)
    try:
        node, conditions = _pull(plan)
    except _NotPullable:
        return _by_domain(plan, outer, identity)
    return _Pulled(node, [_outer_to_ref(c) for c in conditions], identity)


def _by_domain(plan: n.Node, outer: n.Node, outputs: dict[str, str]) -> _Pulled:
    domain = Domain(plan, outer, _expressions)
    node = domain.of(plan)
    conditions = [
        null_safe_equal(Ref(outer.schema[name].type, _OUTER + name), Ref(node.schema[column].type, column))
        for name, column in domain.columns.items()
    ]
    return _Pulled(node, conditions, outputs)


class _NotPullable(Exception):
    """The conditions with outer columns cannot become those of a join."""


def _outer_to_ref(rex: Rex) -> Rex:
    def change(part: Rex) -> Rex | None:
        if isinstance(part, OuterRef):
            return Ref(part.type, _OUTER + part.name) if part.depth == 1 else replace(part, depth=part.depth - 1)
        return None

    return transform(rex, change)


_OUTER = "\0outer."
"""Marks a column of the outer query while inner columns are being renamed."""


def _pull(node: n.Node) -> tuple[n.Node, list[Rex]]:
    """(node without outer references, the conditions taken out); output columns of the node stay and may get company."""
    if not _is_correlated(node):
        return node, []
    match node:
        case n.Filter(input=source, condition=condition):
            below, taken = _pull(source)
            inner: list[Rex] = []
            outer: list[Rex] = []
            for part in conjuncts(condition):
                (outer if any(isinstance(r, OuterRef) for r in walk(part)) else inner).append(part)
            return with_filter(below, inner), taken + outer
        case n.Project(input=source, columns=columns):
            below, taken = _pull(source)
            return _pull_project(below, columns, taken)
        case n.Aggregate():
            return _pull_aggregate(node)
        case n.Limit() | n.Sort():
            below, taken = _pull(node.input)
            if isinstance(node, n.Limit):
                raise _NotPullable
            return below, taken
        case n.Join(left=left, right=right, kind=n.JoinKind.INNER, condition=condition, hint=hint):
            left, taken_left = _pull(left)
            right, taken_right = _pull(right)
            inner, outer = [], []
            for part in conjuncts(condition) if condition is not None else []:
                (outer if any(isinstance(r, OuterRef) for r in walk(part)) else inner).append(part)
            return n.Join(left, right, n.JoinKind.INNER, conjunction(inner), hint), taken_left + taken_right + outer
        case _:
            raise _NotPullable


def _pull_project(below: n.Node, columns: tuple[n.NamedRex, ...], taken: list[Rex]) -> tuple[n.Node, list[Rex]]:
    items = list(columns)
    if any(isinstance(r, OuterRef) for c in items for r in walk(c.rex)):
        raise _NotPullable
    renames: dict[str, Rex] = {}
    for name in _inner_columns(taken):
        passed = next((c.name for c in items if isinstance(c.rex, Ref) and c.rex.name == name), None)
        if passed is None:
            passed = unique(name, [c.name for c in columns] + [c.name for c in items])
            items.append(n.NamedRex(passed, Ref(below.schema[name].type, name)))
        renames[name] = Ref(below.schema[name].type, passed)
    return n.Project(below, tuple(items)), [substitute(t, renames) for t in taken]


def _inner_columns(conditions: list[Rex]) -> list[str]:
    names: list[str] = []
    for condition in conditions:
        names.extend(r.name for r in walk(condition) if isinstance(r, Ref) and r.name not in names)
    return names


def _pull_aggregate(node: n.Aggregate) -> tuple[n.Node, list[Rex]]:
    """Groups also by the columns that are compared with the outer query; only equalities can be taken out of a group."""
    below, taken = _pull(node.input)
    if node.grouping_sets is not None or not all(_is_equality(c) for c in taken):
        raise _NotPullable
    keys = [k for k in _inner_columns(taken) if k not in node.keys]
    return replace(node, input=below, keys=(*node.keys, *keys)), taken


def _is_equality(condition: Rex) -> bool:
    """Whether a condition compares a column of the sub-query with a value of the outer query, so that groups stay whole."""
    if not (isinstance(condition, Call) and condition.function in ("EQUALS", "IS_NOT_DISTINCT_FROM")):
        return False
    kinds = [{type(r) for r in walk(a) if isinstance(r, Ref | OuterRef)} for a in condition.args]
    return kinds in ([{Ref}, {OuterRef}], [{OuterRef}, {Ref}])


def _rename(rex: Rex, renames: dict[str, str]) -> Rex:
    def change(part: Rex) -> Rex | None:
        if isinstance(part, Ref):
            if part.name.startswith(_OUTER):
                return replace(part, name=part.name.removeprefix(_OUTER))
            return replace(part, name=renames[part.name])
        return None

    return transform(rex, change)


def _disjoint(right: n.Node, left: n.Node) -> tuple[n.Node, dict[str, str]]:
    """`right` with column names that `left` does not have."""
    taken = set(left.schema.names)
    renames: dict[str, str] = {}
    for name in right.schema.names:
        renames[name] = unique(name, taken)
        taken.add(renames[name])
    if all(new == old for old, new in renames.items()):
        return right, renames
    items = tuple(n.NamedRex(new, Ref(right.schema[old].type, old)) for old, new in renames.items())
    return n.Project(right, items), renames


def scalar_subquery(node: n.Node) -> n.Node | None:
    """Filter or Project that uses a sub-query as a value → LEFT join with it; EXISTS and IN as values → a flag of a LEFT join."""
    if not isinstance(node, n.Filter | n.Project):
        return None
    if isinstance(node, n.Filter) and (tested := exists_or_in_filter(node)) is not None:
        return tested
    rexes = [node.condition] if isinstance(node, n.Filter) else [c.rex for c in node.columns]
    found = next((r for rex in rexes for r in walk(rex) if isinstance(r, SubqueryRex)), None)
    if found is None:
        return None
    joined, value = _attach(node.input, found)
    if isinstance(node, n.Filter):
        kept = tuple(n.NamedRex(f.name, Ref(f.type, f.name)) for f in node.input.schema)
        return n.Project(n.Filter(joined, _replace(node.condition, found, value)), kept)
    return n.Project(joined, tuple(n.NamedRex(c.name, _replace(c.rex, found, value)) for c in node.columns))


def outer_join_subquery(node: n.Node) -> n.Node | None:
    """LEFT, RIGHT or FULL JOIN whose condition uses a sub-query → the same over the side that the sub-query reads, with its value as
    a column."""
    if not isinstance(node, n.Join) or node.condition is None:
        return None
    found = next((r for r in walk(node.condition) if isinstance(r, SubqueryRex)), None)
    if found is None:
        return None
    read = {r.name for arg in found.args for r in walk(arg) if isinstance(r, Ref)}
    read |= {r.name for r in outer_refs(found.plan, _expressions) if r.depth == 1}
    is_left = read <= set(node.left.schema.names)
    if not is_left and not read <= set(node.right.schema.names):
        raise UnsupportedError(
            f"a sub-query that reads both sides of a {node.kind.value} JOIN in its condition is not supported",
            where=found.where,
            fix="filter one side in a sub-query before the join",
        )
    side = node.left if is_left else node.right
    joined, value = _attach(side, found)
    name = unique("$value", [*node.left.schema.names, *node.right.schema.names])
    kept = tuple(n.NamedRex(f.name, Ref(f.type, f.name)) for f in side.schema)
    wider = n.Project(joined, (*kept, n.NamedRex(name, value)))
    condition = _replace(node.condition, found, Ref(value.type, name))
    both = replace(node, left=wider if is_left else node.left, right=node.right if is_left else wider, condition=condition)
    return n.Project(both, tuple(n.NamedRex(f.name, Ref(f.type, f.name)) for f in node.schema))


def _replace(rex: Rex, old: Rex, new: Rex) -> Rex:
    return transform(rex, lambda r: new if r == old else None)


def _plain(subquery: SubqueryRex) -> SubqueryRex:
    """The sub-query with joins in place of the sub-queries inside it; what these read further out is then read by itself."""
    plan, before = subquery.plan, None
    while plan is not before:
        before = plan
        for rule in (exists_or_in_filter, scalar_subquery, outer_join_subquery):
            plan = n.transform(plan, rule)
    return replace(subquery, plan=plan)


def _attach(left: n.Node, subquery: SubqueryRex) -> tuple[n.Node, Rex]:
    """`left` joined with the sub-query, and the expression of its value."""
    subquery = _plain(subquery)
    if subquery.kind == "scalar":
        return _attach_scalar(left, subquery)
    return _attach_flag(left, subquery)


def _attach_scalar(left: n.Node, subquery: SubqueryRex) -> tuple[n.Node, Rex]:
    output = subquery.plan.schema.fields[0]
    plan = subquery.plan
    if not _gives_one_row(plan):
        plan = _single_value(plan)
    inner = _pull_up(plan, left, is_exact=not _is_null_without_rows(plan))
    counts = _count_columns(plan)
    right, renames = _disjoint(inner.node, left)
    parts = [_rename(p, renames) for p in inner.conditions]
    name = renames[plan.schema.fields[0].name]
    value: Rex = Ref(output.type.nullable(), name)
    if parts and output.name in counts:
        value = Call(output.type, "COALESCE", (value, Literal(output.type, 0)))
    return n.Join(left, right, n.JoinKind.LEFT, conjunction(parts)), value


_STRICT = ("PLUS", "MINUS", "TIMES", "DIVIDE", "NEGATE")
"""Functions that are NULL where an argument is."""


def _is_null_without_rows(plan: n.Node) -> bool:
    """Whether a query that has one row gives NULL (or is a plain count) where it has nothing to aggregate: then a LEFT join finds the same."""
    while isinstance(plan, n.Project):
        counts = _count_columns(plan.input)
        for column in plan.columns:
            rex = column.rex
            if not isinstance(rex, Ref) and not _is_strict(rex, counts):
                return False
        plan = plan.input
    return isinstance(plan, n.Aggregate)


def _is_strict(rex: Rex, counts: set[str]) -> bool:
    parts = list(walk(rex))
    refs = [p for p in parts if isinstance(p, Ref)]
    calls = [p for p in parts if isinstance(p, Call)]
    known = all(isinstance(p, Ref | Call | Cast | Literal) for p in parts)
    return known and bool(refs) and all(c.function in _STRICT for c in calls) and not any(r.name in counts for r in refs)


def _gives_one_row(node: n.Node) -> bool:
    """Whether a query cannot give more than one row (per value of the outer columns that it compares with)."""
    while isinstance(node, n.Project | n.Filter | n.Sort):
        node = node.input
    if isinstance(node, n.Limit) and node.fetch is not None:
        return node.fetch <= 1
    return (isinstance(node, n.Aggregate) and not node.keys) or (isinstance(node, n.Values) and len(node.rows) == 1)


def _single_value(plan: n.Node) -> n.Node:
    """The query as an aggregate that fails on a second row (SINGLE_VALUE)."""
    column = plan.schema.fields[0]
    call = AggCall("SINGLE_VALUE", (Ref(column.type, column.name),), column.type.nullable())
    return n.Aggregate(plan, (), (n.NamedAgg(column.name, call),))


def _count_columns(plan: n.Node) -> set[str]:
    """Output columns that are plain COUNTs: over no rows they are 0, not NULL."""
    if isinstance(plan, n.Aggregate):
        return {a.name for a in plan.aggregates if a.call.function in ("COUNT", "SUM0")}
    if isinstance(plan, n.Project):
        below = _count_columns(plan.input)
        return {c.name for c in plan.columns if isinstance(c.rex, Ref) and c.rex.name in below}
    return set()


def _has_row_always(plan: n.Node) -> bool:
    """Whether an aggregate without keys is in the query: it has a row also where no row meets the conditions."""
    return any(isinstance(part, n.Aggregate) and not part.keys for part in n.walk(plan))


def _joins_by_equality(condition: Rex) -> bool:
    """Whether a join's condition compares one plain inner column with the outer row."""
    if not (isinstance(condition, Call) and condition.function in ("EQUALS", "IS_NOT_DISTINCT_FROM")):
        return False
    sides = [{r.name.startswith(_OUTER) for r in walk(a) if isinstance(r, Ref)} for a in condition.args]
    return sides in ([{True}, {False}], [{False}, {True}])


def _attach_flag(left: n.Node, subquery: SubqueryRex) -> tuple[n.Node, Rex]:
    """EXISTS or IN as a value: the number of partners (and of NULLs) per outer row, joined to it."""
    inner = _pull_up(subquery.plan, left, is_exact=_has_row_always(subquery.plan))
    if not all(_joins_by_equality(c) for c in inner.conditions):
        inner = _by_domain(subquery.plan, left, inner.outputs)
    right, renames = _disjoint(inner.node, left)
    parts = [_rename(p, renames) for p in inner.conditions]
    if subquery.kind == "in":
        for arg, field in zip(subquery.args, subquery.plan.schema, strict=True):
            column = renames[inner.outputs[field.name]]
            parts.append(_equals(arg, Ref(right.schema[column].type, column)))
    keys = tuple(dict.fromkeys(r.name for p in parts for r in walk(p) if isinstance(r, Ref) and r.name in right.schema))
    count = unique("$matches", [*left.schema.names, *right.schema.names])
    counted = n.Aggregate(right, keys, (n.NamedAgg(count, AggCall("COUNT", (), BigIntType(is_nullable=False))),))
    joined: n.Node = n.Join(left, counted, n.JoinKind.LEFT, conjunction(parts))
    zero = Literal(BigIntType(is_nullable=False), 0)
    present = Call(BigIntType(is_nullable=False), "COALESCE", (Ref(BigIntType(), count), zero))
    value: Rex = Call(BooleanType(is_nullable=False), "GREATER", (present, zero))
    if subquery.kind == "in" and any(a.type.is_nullable for a in (*subquery.args, *subquery.plan.schema.fields)):
        value, joined = _three_valued(value, joined, subquery, left)
    if subquery.negated:
        value = Call(value.type, "NOT", (value,))
    return joined, value


def _three_valued(value: Rex, joined: n.Node, subquery: SubqueryRex, left: n.Node) -> tuple[Rex, n.Node]:
    """`x IN (q)` is UNKNOWN, not FALSE, when x is NULL and q is not empty, or when q holds a NULL."""
    if len(subquery.args) > 1 or _is_correlated(subquery.plan):
        joined, unknown = _attach_flag(joined, _possible_match(subquery))
        return _in_value(value, unknown), joined
    columns_ = subquery.plan.schema.names
    total = unique("$rows", joined.schema.names)
    nulls = unique("$nulls", [*joined.schema.names, total])
    big = BigIntType(is_nullable=False)
    calls = (
        n.NamedAgg(total, AggCall("COUNT", (), big)),
        n.NamedAgg(nulls, AggCall("COUNT", (Ref(subquery.plan.schema.fields[0].type, columns_[0]),), big)),
    )
    sizes = n.Aggregate(subquery.plan, (), calls)
    joined = n.Join(joined, sizes, n.JoinKind.LEFT)
    has_rows = Call(BooleanType(), "GREATER", (Ref(BigIntType(), total), Literal(big, 0)))
    has_null = Call(BooleanType(), "LESS", (Ref(BigIntType(), nulls), Ref(BigIntType(), total)))
    arg_null = Call(BooleanType(is_nullable=False), "IS_NULL", (subquery.args[0],))
    unknown = Call(BooleanType(), "OR", (has_null, Call(BooleanType(), "AND", (arg_null, has_rows))))
    return _in_value(value, unknown), joined


def _in_value(is_found: Rex, is_unknown: Rex) -> Rex:
    true, null, false = (Literal(BooleanType(), v) for v in (True, None, False))
    return Call(BooleanType(), "CASE", (is_found, true, is_unknown, null, false))


def _possible_match(subquery: SubqueryRex) -> SubqueryRex:
    """EXISTS of a row that is not known to differ: each of its columns is equal, or one of the two is NULL."""

    def outward(rex: Rex) -> Rex:
        return transform(rex, lambda r: OuterRef(r.type, r.name) if isinstance(r, Ref) else None)

    parts: list[Rex] = []
    for arg, field in zip(subquery.args, subquery.plan.schema, strict=True):
        column = Ref(field.type, field.name)
        equal = _equals(arg, column)
        assert isinstance(equal, Call)
        compared = Call(equal.type, "EQUALS", (outward(equal.args[0]), equal.args[1]))
        parts.append(_or_unknown(compared, outward(arg), column))
    condition = conjunction(parts)
    assert condition is not None
    return SubqueryRex(BooleanType(is_nullable=False), "exists", n.Filter(subquery.plan, condition))
