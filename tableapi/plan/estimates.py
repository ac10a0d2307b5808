"""How many rows a step of a bounded plan will have, from what connectors know of their tables.

The numbers order joins and are shown by EXPLAIN ESTIMATED_COST; no result depends on them. Two kinds of facts travel up a plan: the
expected number of rows, and for each column the number of different values that it can have (its domain). Filters make rows fewer but
leave domains alone: that a date was asked for does not change how many keys the key column could hold, which is what a join on it depends on.
Imports plan and tablespec only.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import prod
from typing import Any

from tableapi.plan import nodes as n
from tableapi.plan.rex import Call, Cast, Literal, Ref, Rex, conjuncts
from tableapi.tablespec import ColumnStatistics, TableStatistics

StatisticsOf = Callable[[n.Scan], TableStatistics]
"""What the connector of a scanned table knows of it."""

UNKNOWN_ROWS = 1_000_000.0
"""Rows of a table of which nothing is known: large, so that what is known to be small comes first."""

_EQUAL, _RANGE, _PATTERN, _OTHER = 0.1, 1 / 3, 0.1, 0.25
"""Shares of rows that pass an equality, an order comparison, a LIKE, anything else, where the column's values are not known."""

_REPEATED = 10.0
"""Rows of an array or a table function for each input row."""


def nothing_known(scan: n.Scan) -> TableStatistics:
    """The statistics where no connector was asked."""
    return TableStatistics()


@dataclass(frozen=True)
class Estimate:
    """What is expected of a node's result.

    Args:
        rows: Number of rows.
        domain_rows: The rows before filters: no combination of columns can have more different values.
        columns: What is known of columns.
    """

    rows: float
    domain_rows: float
    columns: Mapping[str, ColumnStatistics] = field(default_factory=dict)

    def domain(self, name: str) -> float:
        """How many different values a column can have at most."""
        known = self.columns.get(name)
        distinct = known.distinct if known is not None else None
        return max(1.0, min(self.domain_rows, distinct) if distinct is not None else self.domain_rows)

    def key_domain(self, names: Sequence[str]) -> float:
        """How many different combinations of values several columns can have at most."""
        return max(1.0, min(self.domain_rows, prod(self.domain(name) for name in names)))


class Estimator:
    """Estimates of the nodes of some plans; each node is looked at once."""

    def __init__(self, statistics: StatisticsOf) -> None:
        self._statistics = statistics
        self._known: dict[int, tuple[n.Node, Estimate]] = {}
        self._of_shared: dict[int, Estimate] = {}

    def of(self, node: n.Node) -> Estimate:
        """The estimate of a node."""
        known = self._known.get(id(node))
        if known is None:
            known = self._known[id(node)] = (node, self._compute(node))
        return known[1]

    def cost(self, node: n.Node) -> float:
        """Rows that this step and all below it give: what they handle, nearly. A shared part counts once."""
        return self._cost(node, set())

    def _cost(self, node: n.Node, seen: set[int]) -> float:
        if isinstance(node, n.Shared):
            if node.number in seen:
                return 0.0
            seen.add(node.number)
            return self._cost(node.input, seen)
        return self.of(node).rows + sum(self._cost(i, seen) for i in node.inputs)

    def text(self, node: n.Node) -> str:
        """The estimate of a node as EXPLAIN shows it."""
        return f"rows={round(self.of(node).rows)}, cost={round(self.cost(node))}"

    def _compute(self, node: n.Node) -> Estimate:
        match node:
            case n.Scan():
                return self._scan(node)
            case n.Inline(data=data):
                return _whole(float(data.frame.height))
            case n.Values(rows=rows):
                return _whole(float(len(rows)))
            case n.Project(columns=items):
                return _project(self.of(node.input), items)
            case n.Filter(condition=condition):
                below = self.of(node.input)
                return replace(below, rows=below.rows * selectivity(condition, below))
            case n.Aggregate():
                return self._aggregate(node)
            case n.Join(kind=kind, condition=condition):
                share = match_share(self.of(node.left), self.of(node.right), node.right.schema.names, condition)
                return join_estimate(self.of(node.left), self.of(node.right), kind, share)
            case n.SetOp(kind=kind, is_all=is_all):
                return self._set_operation(node, kind, is_all)
            case n.Limit(fetch=fetch):
                below = self.of(node.input)
                return below if fetch is None else replace(below, rows=min(below.rows, float(fetch)))
            case n.Rank(partition_by=keys, start=start, end=end):
                below = self.of(node.input)
                return replace(below, rows=min(below.rows, below.key_domain(keys) * (end - start + 1)))
            case n.WindowAggregate():
                below = self.of(node.input)
                return _whole(below.rows / 10, below.columns)
            case n.Unnest() | n.Correlate():
                below = self.of(node.input)
                return _whole(below.rows * _REPEATED, below.columns)
            case n.Shared(number=number):
                return self._shared(number, node.input)
            case n.Binary():
                right = self.of(node.right)
                return join_estimate(self.of(node.left), right, n.JoinKind.LEFT, 1 / max(1.0, right.rows))
            case _ if node.inputs:
                return self.of(node.inputs[0])
            case _:
                return _whole(UNKNOWN_ROWS)

    def _shared(self, number: int, body: n.Node) -> Estimate:
        if number not in self._of_shared:
            self._of_shared[number] = self.of(body)
        return self._of_shared[number]

    def _scan(self, node: n.Scan) -> Estimate:
        known = self._statistics(node)
        rows = UNKNOWN_ROWS if known.rows is None else float(known.rows)
        columns_ = {name: c for name, c in known.columns.items() if name in node.table.produced}
        result = Estimate(rows, rows, columns_)
        if node.filter is not None:
            result = replace(result, rows=rows * selectivity(node.filter, result))
        return result if node.limit is None else replace(result, rows=min(result.rows, float(node.limit)))

    def _aggregate(self, node: n.Aggregate) -> Estimate:
        below = self.of(node.input)
        if not node.keys:
            return _whole(1.0)
        sets = node.grouping_sets if node.grouping_sets is not None else (node.keys,)
        rows = sum(min(below.rows, below.key_domain(keys)) for keys in sets)
        return _whole(rows, {k: below.columns[k] for k in node.keys if k in below.columns})

    def _set_operation(self, node: n.SetOp, kind: n.SetKind, is_all: bool) -> Estimate:
        parts = [self.of(p) for p in node.parts]
        if kind is n.SetKind.UNION:
            return _whole(sum(p.rows for p in parts) * (1.0 if is_all else 0.5))
        return replace(parts[0], rows=parts[0].rows / 2)


def _whole(rows: float, known: Mapping[str, ColumnStatistics] | None = None) -> Estimate:
    return Estimate(rows, rows, known or {})


def _project(below: Estimate, items: Sequence[n.NamedRex]) -> Estimate:
    known = {c.name: below.columns[c.rex.name] for c in items if isinstance(c.rex, Ref) and c.rex.name in below.columns}
    return replace(below, columns=known)


def join_estimate(left: Estimate, right: Estimate, kind: n.JoinKind, share: float) -> Estimate:
    """The estimate of a join of two results of whose pairs `share` match."""
    pairs = left.rows * right.rows * share
    matched = min(1.0, right.rows * share)
    match kind:
        case n.JoinKind.SEMI:
            return replace(left, rows=left.rows * matched)
        case n.JoinKind.ANTI:
            return replace(left, rows=left.rows * max(0.1, 1 - matched))
        case n.JoinKind.LEFT:
            rows = max(pairs, left.rows)
        case n.JoinKind.RIGHT:
            rows = max(pairs, right.rows)
        case n.JoinKind.FULL:
            rows = max(pairs, left.rows, right.rows)
        case _:
            rows = pairs
    return Estimate(rows, max(left.domain_rows, right.domain_rows), {**left.columns, **right.columns})


def match_share(left: Estimate, right: Estimate, right_names: Sequence[str], condition: Rex | None) -> float:
    """The share of all pairs that fulfil a join's condition."""
    keys, others = list[tuple[str, str]](), list[Rex]()
    for part in conjuncts(condition) if condition is not None else []:
        pair = _key_pair(part, set(right_names))
        if pair is None:
            others.append(part)
        else:
            keys.append(pair)
    share = key_share(left.key_domain([a for a, _ in keys]), right.key_domain([b for _, b in keys])) if keys else 1.0
    both = Estimate(left.rows, max(left.domain_rows, right.domain_rows), {**left.columns, **right.columns})
    return share * prod(selectivity(part, both) for part in others)


def key_share(left_domain: float, right_domain: float) -> float:
    """The share of pairs whose keys are equal: a row meets one in so many as there are keys.

    Both domains are upper bounds; of a key and a column that refers to it the first is exact, so the smaller is the better guess.
    """
    return 1 / max(1.0, min(left_domain, right_domain))


def _key_pair(part: Rex, right_names: set[str]) -> tuple[str, str] | None:
    """The left and the right column of an equality between columns of two sides."""
    if not (isinstance(part, Call) and part.function in ("EQUALS", "IS_NOT_DISTINCT_FROM")):
        return None
    one, two = (column_of(a) for a in part.args)
    if one is None or two is None or (one in right_names) == (two in right_names):
        return None
    return (two, one) if one in right_names else (one, two)


def column_of(rex: Rex) -> str | None:
    """The column that an expression passes on, converted at most."""
    while isinstance(rex, Cast):
        rex = rex.arg
    return rex.name if isinstance(rex, Ref) else None


_FLIPPED = {"LESS": "GREATER", "LESS_OR_EQUAL": "GREATER_OR_EQUAL", "GREATER": "LESS", "GREATER_OR_EQUAL": "LESS_OR_EQUAL"}


def selectivity(condition: Rex, rows: Estimate) -> float:
    """The share of rows for which a condition is TRUE."""
    if isinstance(condition, Literal):
        return 1.0 if condition.value is True else 0.0
    if not isinstance(condition, Call):
        return 0.5 if isinstance(condition, Ref) else _OTHER
    args = condition.args
    match condition.function:
        case "AND":
            return prod(selectivity(a, rows) for a in args)
        case "OR":
            return 1 - prod(1 - selectivity(a, rows) for a in args)
        case "NOT":
            return 1 - selectivity(args[0], rows)
        case "EQUALS" | "IS_NOT_DISTINCT_FROM":
            return _equal_share(args, rows)
        case "NOT_EQUALS" | "IS_DISTINCT_FROM":
            return 1 - _equal_share(args, rows)
        case "LESS" | "LESS_OR_EQUAL" | "GREATER" | "GREATER_OR_EQUAL":
            return _range_share(condition.function, args[0], args[1], rows)
        case "BETWEEN":
            above = _range_share("GREATER_OR_EQUAL", args[0], args[1], rows)
            return max(above + _range_share("LESS_OR_EQUAL", args[0], args[2], rows) - 1, 0.01) if above < 1 else above
        case "IN":
            return min(1.0, (len(args) - 1) * _equal_share(args[:2], rows))
        case "IS_NULL" | "IS_NOT_NULL":
            share = _null_share(args[0], rows)
            return share if condition.function == "IS_NULL" else 1 - share
        case "LIKE" | "SIMILAR":
            return _PATTERN
    return _OTHER


def _null_share(rex: Rex, rows: Estimate) -> float:
    known = rows.columns.get(column_of(rex) or "")
    return _EQUAL if known is None or known.null_share is None else known.null_share


def _equal_share(args: Sequence[Rex], rows: Estimate) -> float:
    names = [name for a in args if (name := column_of(a)) is not None]
    known = [d for name in names if (d := (rows.columns.get(name) or ColumnStatistics()).distinct) is not None]
    return 1 / max(1.0, *known) if known else _EQUAL


def _range_share(function: str, left: Rex, right: Rex, rows: Estimate) -> float:
    """The share between the bound and the column's lowest or highest value, values being spread evenly."""
    if isinstance(left, Literal):
        left, right, function = right, left, _FLIPPED[function]
    known = rows.columns.get(column_of(left) or "")
    if known is None or not isinstance(right, Literal):
        return _RANGE
    low, high, bound = number_of(known.lowest), number_of(known.highest), number_of(right.value)
    if low is None or high is None or bound is None or high <= low:
        return _RANGE
    below = min(1.0, max(0.0, (bound - low) / (high - low)))
    return below if function.startswith("LESS") else 1 - below


def number_of(value: Any) -> float | None:
    """A value's place on a line of numbers; None for what has none."""
    match value:
        case bool() | None:
            return None
        case int() | float() | Decimal():
            return float(value)
        case datetime.datetime():
            return value.replace(tzinfo=datetime.UTC).timestamp() / 86_400
        case datetime.date():
            return float(value.toordinal() - datetime.date(1970, 1, 1).toordinal())
    return None
