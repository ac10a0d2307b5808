"""Rules that bring conditions close to where rows come from."""

from __future__ import annotations

from dataclasses import replace

from tableapi.functions import registry
from tableapi.plan import nodes as n
from tableapi.plan.rex import Call, Literal, Ref, Rex, UdfCall, columns, conjuncts, substitute, walk
from tableapi.types import BooleanType


def conjunction(parts: list[Rex]) -> Rex | None:
    """The parts joined by AND; None for no parts."""
    result: Rex | None = None
    for part in parts:
        if result is None:
            result = part
        else:
            result = Call(BooleanType(is_nullable=result.type.is_nullable or part.type.is_nullable), "AND", (result, part))
    return result


def with_filter(node: n.Node, parts: list[Rex]) -> n.Node:
    """The node under a Filter with the given conjuncts, or the node itself when there are none."""
    condition = conjunction(parts)
    return node if condition is None else n.Filter(node, condition)


def remove_true_filter(node: n.Node) -> n.Node | None:
    """Filter(TRUE) → its input."""
    if isinstance(node, n.Filter) and isinstance(node.condition, Literal) and node.condition.value is True:
        return node.input
    return None


def merge_filters(node: n.Node) -> n.Node | None:
    """Filter(Filter(x)) → Filter(x)."""
    if isinstance(node, n.Filter) and isinstance(node.input, n.Filter):
        return with_filter(node.input.input, [*conjuncts(node.input.condition), *conjuncts(node.condition)])
    return None


def factor_or(node: n.Node) -> n.Node | None:
    """(a AND b) OR (a AND c) → a AND (b OR c) in conditions: what all alternatives share can be pushed down or joined on."""
    if not isinstance(node, n.Filter | n.Join) or node.condition is None:
        return None
    parts = conjuncts(node.condition)
    factored = [new for part in parts for new in _factored(part)]
    if len(factored) == len(parts):
        return None
    condition = conjunction(factored)
    assert condition is not None
    return replace(node, condition=condition)


def _factored(rex: Rex) -> list[Rex]:
    if not (isinstance(rex, Call) and rex.function == "OR"):
        return [rex]
    alternatives = [conjuncts(a) for a in _disjuncts(rex)]
    shared = [p for p in alternatives[0] if all(p in other for other in alternatives[1:])]
    if not shared:
        return [rex]
    rests = [conjunction([p for p in a if p not in shared]) for a in alternatives]
    result: Rex | None = None
    for rest in rests:
        if rest is None:
            return shared
        result = rest if result is None else Call(rex.type, "OR", (result, rest))
    assert result is not None
    return [*shared, result]


def _disjuncts(rex: Rex) -> list[Rex]:
    if isinstance(rex, Call) and rex.function == "OR":
        return [part for arg in rex.args for part in _disjuncts(arg)]
    return [rex]


def is_movable(rex: Rex) -> bool:
    """Whether evaluating the condition earlier, on more rows, can be neither seen nor costly."""
    return is_repeatable(rex) and not any(isinstance(part, UdfCall) for part in walk(rex))


def is_repeatable(rex: Rex) -> bool:
    """Whether the expression has the same value whenever it is evaluated on the same row."""
    for part in walk(rex):
        if isinstance(part, UdfCall) and not part.function.deterministic:
            return False
        if isinstance(part, Call):
            function = registry.find(part.function)
            if isinstance(function, registry.ScalarFunction) and not function.is_deterministic:
                return False
    return True


def filter_through_project(node: n.Node) -> n.Node | None:
    """Filter(Project(x)) → Project(Filter(x)) for the conjuncts that read only columns that are passed through."""
    if not (isinstance(node, n.Filter) and isinstance(node.input, n.Project)):
        return None
    project = node.input
    passed = {c.name: c.rex for c in project.columns if isinstance(c.rex, Ref)}
    below, above = _split(conjuncts(node.condition), lambda p: columns(p) <= passed.keys() and is_movable(p))
    if not below:
        return None
    moved = [substitute(p, passed) for p in below]
    return with_filter(replace(project, input=with_filter(project.input, moved)), above)


def filter_through_union(node: n.Node) -> n.Node | None:
    """Filter(UnionAll(a, b)) → UnionAll(Filter(a), Filter(b))."""
    if not (isinstance(node, n.Filter) and isinstance(node.input, n.SetOp)):
        return None
    union = node.input
    if union.kind is not n.SetKind.UNION or not is_movable(node.condition):
        return None
    names = union.schema.names
    parts = []
    for part in union.parts:
        renames: dict[str, Rex] = {a: Ref(f.type, f.name) for a, f in zip(names, part.schema, strict=True)}
        parts.append(n.Filter(part, substitute(node.condition, renames)))
    return replace(union, parts=tuple(parts))


def filter_through_aggregate(node: n.Node) -> n.Node | None:
    """Filter(Aggregate(x)) → Aggregate(Filter(x)) for conjuncts over the grouping keys."""
    if not (isinstance(node, n.Filter) and isinstance(node.input, n.Aggregate)):
        return None
    aggregate = node.input
    if aggregate.grouping_sets is not None or not aggregate.keys:
        return None
    below, above = _split(
        conjuncts(node.condition), lambda p: bool(columns(p)) and columns(p) <= set(aggregate.keys) and is_movable(p)
    )
    if not below:
        return None
    return with_filter(replace(aggregate, input=with_filter(aggregate.input, below)), above)


_PUSH_LEFT = (n.JoinKind.INNER, n.JoinKind.LEFT, n.JoinKind.SEMI, n.JoinKind.ANTI)
_PUSH_RIGHT = (n.JoinKind.INNER, n.JoinKind.RIGHT)


def filter_into_join(node: n.Node) -> n.Node | None:
    """Filter(Join(a, b)) → Join(Filter(a), Filter(b)) for one-sided conjuncts; of an INNER join the rest becomes the condition."""
    if not (isinstance(node, n.Filter) and isinstance(node.input, n.Join)):
        return None
    join = node.input
    left_names, right_names = set(join.left.schema.names), set(join.right.schema.names)
    left, right, both, above = [], [], [], []
    for part in conjuncts(node.condition):
        used = columns(part)
        if not is_movable(part) or _has_subquery(part):
            above.append(part)
        elif used <= left_names and join.kind in _PUSH_LEFT and used:
            left.append(part)
        elif used <= right_names and join.kind in _PUSH_RIGHT and used:
            right.append(part)
        elif join.kind is n.JoinKind.INNER:
            both.append(part)
        else:
            above.append(part)
    if not (left or right or both):
        return None
    condition = conjunction([*(conjuncts(join.condition) if join.condition is not None else []), *both])
    new_left = with_filter(join.left, left)
    new_right = with_filter(join.right, right)
    return with_filter(n.Join(new_left, new_right, join.kind, condition, join.hint), above)


def filter_through_lookup(node: n.Node) -> n.Node | None:
    """Filter(LookupJoin(x)) → LookupJoin(Filter(x)) for conjuncts over the input: fewer keys are looked up."""
    if not (isinstance(node, n.Filter) and isinstance(node.input, n.LookupJoin)):
        return None
    join = node.input
    names = set(join.input.schema.names)
    below, above = _split(
        conjuncts(node.condition), lambda p: bool(columns(p)) and columns(p) <= names and is_movable(p) and not _has_subquery(p)
    )
    if not below:
        return None
    return with_filter(replace(join, input=with_filter(join.input, below)), above)


def _has_subquery(rex: Rex) -> bool:
    from tableapi.plan.rex import SubqueryRex

    return any(isinstance(p, SubqueryRex) for p in walk(rex))


def _split(parts: list[Rex], test) -> tuple[list[Rex], list[Rex]]:  # type: ignore[no-untyped-def]
    yes: list[Rex] = []
    no: list[Rex] = []
    for part in parts:
        (yes if test(part) else no).append(part)
    return yes, no
