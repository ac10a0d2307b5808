"""Rules that recognise Top-N and deduplication."""

from __future__ import annotations

from dataclasses import replace

from tableapi.plan import nodes as n
from tableapi.plan.rex import Call, Literal, Ref, Rex, columns, conjuncts
from tableapi.plan.rules.filters import with_filter

_RANKS = {kind.value: kind for kind in n.RankKind}

_FLIPPED = {
    "LESS": "GREATER",
    "LESS_OR_EQUAL": "GREATER_OR_EQUAL",
    "GREATER": "LESS",
    "GREATER_OR_EQUAL": "LESS_OR_EQUAL",
    "EQUALS": "EQUALS",
}


def rank_from_over(node: n.Node) -> n.Node | None:
    """Filter(rn <= N, Over(ROW_NUMBER AS rn)) → Rank(1..N)."""
    if not (isinstance(node, n.Filter) and isinstance(node.input, n.Over)):
        return None
    over = node.input
    if len(over.calls) != 1 or over.calls[0].call.function not in _RANKS:
        return None
    name = over.calls[0].name
    start, end, rest = 1, None, []
    for part in conjuncts(node.condition):
        bound = _bound(part, name)
        if bound is None:
            rest.append(part)
        else:
            low, high = bound
            start = max(start, low) if low is not None else start
            end = min(end, high) if end is not None and high is not None else (high if high is not None else end)
    if end is None:
        return None
    kind = _RANKS[over.calls[0].call.function]
    return with_filter(n.Rank(over.input, over.partition_by, over.order_by, kind, start, end, name), rest)


def _bound(part: Rex, name: str) -> tuple[int | None, int | None] | None:
    """(lowest, highest) rank that a comparison of the rank column with a constant allows."""
    if not isinstance(part, Call):
        return None
    if part.function == "BETWEEN" and len(part.args) == 3 and _is_column(part.args[0], name):
        low, high = _integer(part.args[1]), _integer(part.args[2])
        return (low, high) if low is not None and high is not None else None
    if part.function not in _FLIPPED or len(part.args) != 2:
        return None
    left, right, function = part.args[0], part.args[1], part.function
    if _is_column(right, name):
        left, right, function = right, left, _FLIPPED[function]
    value = _integer(right)
    if not _is_column(left, name) or value is None:
        return None
    match function:
        case "LESS":
            return None, value - 1
        case "LESS_OR_EQUAL":
            return None, value
        case "GREATER":
            return value + 1, None
        case "GREATER_OR_EQUAL":
            return value, None
        case _:
            return value, value


def _is_column(rex: Rex, name: str) -> bool:
    return isinstance(rex, Ref) and rex.name == name


def _integer(rex: Rex) -> int | None:
    return rex.value if isinstance(rex, Literal) and isinstance(rex.value, int) else None


def limit_of_sort_through_project(node: n.Node) -> n.Node | None:
    """Limit(Project(Sort(x))) → Project(Limit(Sort(x))), so that ORDER BY … LIMIT is seen as one Top-N."""
    if isinstance(node, n.Limit) and isinstance(node.input, n.Project) and isinstance(node.input.input, n.Sort):
        project = node.input
        return replace(project, input=replace(node, input=project.input))
    return None


def empty_rank_name(node: n.Node) -> n.Node | None:
    """Project(Rank) that does not read the rank → a Rank without a rank column: far fewer changes to emit."""
    if not (isinstance(node, n.Project) and isinstance(node.input, n.Rank)):
        return None
    rank = node.input
    if rank.rank_name is None:
        return None
    if any(rank.rank_name in columns(c.rex) for c in node.columns):
        return None
    return replace(node, input=replace(rank, rank_name=None))
