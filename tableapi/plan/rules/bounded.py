"""Rules for bounded plans only: what a table's changes would show, or what only a reader of files can use."""

from __future__ import annotations

from dataclasses import replace

from tableapi.plan import nodes as n
from tableapi.plan.estimates import Estimator
from tableapi.plan.rex import Call, Cast, Ref, Rex, columns, conjuncts, substitute
from tableapi.plan.rules.filters import conjunction, is_movable, with_filter

_COMPARISONS = ("EQUALS", "NOT_EQUALS", "LESS", "LESS_OR_EQUAL", "GREATER", "GREATER_OR_EQUAL", "LIKE")
_STRICT = frozenset({*_COMPARISONS, "PLUS", "MINUS", "TIMES", "DIVIDE", "MOD", "NEGATE", "ABS", "UPPER", "LOWER"})
"""Functions that give NULL when any argument is NULL."""

_L, _R = n.JoinKind.LEFT, n.JoinKind.RIGHT


def outer_to_inner(node: n.Node) -> n.Node | None:
    """Filter(LEFT JOIN) that is never TRUE for a row without partner → Filter(INNER JOIN); likewise RIGHT and FULL."""
    if not (isinstance(node, n.Filter) and isinstance(node.input, n.Join)):
        return None
    join = node.input
    rejected = set().union(*(_never_true_for_null(part) for part in conjuncts(node.condition)))
    keeps_left = bool(rejected & set(join.left.schema.names))
    keeps_right = bool(rejected & set(join.right.schema.names))
    match join.kind:
        case n.JoinKind.LEFT if keeps_right:
            kind = n.JoinKind.INNER
        case n.JoinKind.RIGHT if keeps_left:
            kind = n.JoinKind.INNER
        case n.JoinKind.FULL if keeps_left or keeps_right:
            kind = n.JoinKind.INNER if keeps_left and keeps_right else _L if keeps_left else _R
        case _:
            return None
    return replace(node, input=replace(join, kind=kind))


def _never_true_for_null(rex: Rex) -> set[str]:
    """Columns of which any being NULL keeps the condition from being TRUE."""
    if isinstance(rex, Call):
        if rex.function == "AND":
            return set().union(*map(_never_true_for_null, rex.args))
        if rex.function == "OR":
            return set.intersection(*map(_never_true_for_null, rex.args))
        if rex.function in ("IS_NOT_NULL", "BETWEEN", "IN"):
            return _null_if_null(rex.args[0])
        if rex.function == "NOT" and isinstance(rex.args[0], Call) and rex.args[0].function in ("BETWEEN", "IN"):
            return set() if rex.args[0].function == "BETWEEN" else _null_if_null(rex.args[0].args[0])
    return _null_if_null(rex)


def _null_if_null(rex: Rex) -> set[str]:
    """Columns of which any being NULL makes the expression NULL."""
    if isinstance(rex, Ref):
        return {rex.name}
    if isinstance(rex, Cast):
        return _null_if_null(rex.arg)
    if isinstance(rex, Call) and (rex.function in _STRICT or rex.function == "NOT"):
        return set().union(*map(_null_if_null, rex.args))
    return set()


def remove_watermark(node: n.Node) -> n.Node | None:
    """Watermark(x) → x: bounded rows do not wait for each other, so none is late, and the column need not be read."""
    return node.input if isinstance(node, n.WatermarkAssigner) else None


def semi_join_down(node: n.Node) -> n.Node | None:
    """SEMI join over an INNER join of which it reads one side → INNER join of that side's SEMI join."""
    if not (isinstance(node, n.Join) and node.kind is n.JoinKind.SEMI and node.condition is not None):
        return None
    if isinstance(node.left, n.Project):
        return _through_project(node, node.left)
    side = _tested_side(node, node.left)
    return (
        None
        if side is None
        else node.left.with_inputs(tuple(replace(node, left=i) if i is side else i for i in node.left.inputs))
    )


def anti_joins_down(plan: n.Node, estimator: Estimator) -> n.Node:
    """The plan with each ANTI join where it has the fewest rows to test: it keeps most of them, so below a join that makes them
    fewer it only costs more."""
    if isinstance(plan, n.Join) and plan.kind is n.JoinKind.ANTI and plan.condition is not None:
        plan = _sunk(plan, estimator) or plan
    inputs = tuple(anti_joins_down(i, estimator) for i in plan.inputs)
    changed = any(new is not old for new, old in zip(inputs, plan.inputs, strict=True))
    return plan.with_inputs(inputs) if changed else plan


def _sunk(node: n.Join, estimator: Estimator) -> n.Node | None:
    """An ANTI join further down; None where it stands well."""
    if isinstance(node.left, n.Project):
        project = _through_project(node, node.left)
        if project is None:
            return None
        assert isinstance(project.input, n.Join)
        below = _sunk(project.input, estimator)
        return None if below is None else replace(project, input=below)
    side = _tested_side(node, node.left)
    if side is None or estimator.of(side).rows > estimator.of(node.left).rows:
        return None
    moved = replace(node, left=side)
    moved_to = _sunk(moved, estimator) or moved
    return node.left.with_inputs(tuple(moved_to if i is side else i for i in node.left.inputs))


def _tested_side(node: n.Join, below: n.Node) -> n.Node | None:
    """The one input of an INNER join that a SEMI or ANTI join over it reads."""
    if not (isinstance(below, n.Join) and below.kind is n.JoinKind.INNER and _is_cheap_test(node)):
        return None
    assert node.condition is not None
    used = columns(node.condition) - set(node.right.schema.names)
    if used and used <= set(below.left.schema.names):
        return below.left
    return below.right if used and used <= set(below.right.schema.names) else None


def _through_project(node: n.Join, project: n.Project) -> n.Project | None:
    passed = {c.name: c.rex for c in project.columns if isinstance(c.rex, Ref)}
    used = columns(node.condition) - set(node.right.schema.names) if node.condition is not None else set()
    below = project.input
    if not isinstance(below, n.Join) or not used <= passed.keys() or not _is_cheap_test(node):
        return None
    if set(below.schema.names) & set(node.right.schema.names):
        return None
    assert node.condition is not None
    moved = n.Join(below, node.right, node.kind, substitute(node.condition, passed))
    return replace(project, input=moved)


def _is_cheap_test(node: n.Join) -> bool:
    """Whether a look into a hash table decides: equalities of columns (in an anti join maybe "or NULL", for NOT IN)."""
    names = set(node.left.schema.names)
    parts = conjuncts(node.condition) if node.condition is not None else []
    return all(is_movable(p) and (_is_key(p, names) or (len(parts) == 1 and _is_not_in(p, names, node.kind))) for p in parts)


def _is_key(part: Rex, names: set[str]) -> bool:
    if not (isinstance(part, Call) and part.function == "EQUALS"):
        return False
    one, two = (columns(a) for a in part.args)
    return bool(one and two) and ((one <= names and not two & names) or (two <= names and not one & names))


def _is_not_in(part: Rex, names: set[str], kind: n.JoinKind) -> bool:
    if isinstance(part, Call) and part.function == "OR" and kind is n.JoinKind.ANTI:
        return all(_is_not_in(a, names, kind) for a in part.args)
    return _is_key(part, names) or (isinstance(part, Call) and part.function == "IS_NULL")


def filter_into_scan(node: n.Node) -> n.Node | None:
    """Filter(Scan) → Scan with the filter: the reader leaves out what it can tell in advance, the rest is tested as it is read."""
    if not (isinstance(node, n.Filter) and isinstance(node.input, n.Scan)):
        return None
    scan = node.input
    inside: list[Rex] = []
    above: list[Rex] = []
    for part in conjuncts(node.condition):
        (inside if is_movable(part) and scan.limit is None else above).append(part)
    if not inside:
        return None
    have = conjuncts(scan.filter) if scan.filter is not None else []
    return with_filter(replace(scan, filter=conjunction([*have, *inside])), above)


def limit_into_scan(node: n.Node) -> n.Node | None:
    """Limit(Scan) → Limit over a Scan that knows how many rows suffice; also through projections."""
    if not (isinstance(node, n.Limit) and node.fetch is not None):
        return None
    limited = _limited(node.input, node.fetch + node.offset)
    return None if limited is None else replace(node, input=limited)


def _limited(node: n.Node, rows: int) -> n.Node | None:
    if isinstance(node, n.Scan):
        return replace(node, limit=rows) if node.limit is None or node.limit > rows else None
    if isinstance(node, n.Project):
        below = _limited(node.input, rows)
        return None if below is None else replace(node, input=below)
    return None
