"""MATCH_RECOGNIZE from the user's expressions to a `Match` node: names and calls in its clauses.

Computed arguments become columns of a projection below the node, and so do conditions that depend on the tested row alone: the
runtime evaluates those for all rows at once. Such a condition is therefore evaluated for every row, not only for candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tableapi.errors import TypeMismatchError, UnknownNameError, UnsupportedError, ValidationError, did_you_mean
from tableapi.functions import registry
from tableapi.plan import unresolved as un
from tableapi.plan.match_checks import check_names, check_pattern, check_skip
from tableapi.plan.match_node import Match, PatternAgg, PatternDefine, PatternElement, PatternRef, Skip
from tableapi.plan.nodes import NamedAgg, NamedRex, Node, Over, Project
from tableapi.plan.resolve import RANKING_NEEDS_ROWS, Resolver, interval_ms
from tableapi.plan.rex import AggCall, Literal, Ref, Rex, SortKey, UdfCall, substitute, transform, walk
from tableapi.plan.scope import PlanContext, Relation, plain, unique
from tableapi.plan.typing import implicit_cast, literal_type
from tableapi.tablespec import Field, TimeKind
from tableapi.types import AnyTimestampType

_ROW_PATTERN_CALLS = ("FIRST", "LAST", "PREV", "NEXT", "MATCH_ROWTIME", "MATCH_PROCTIME")
_REFUSED_CALLS = {
    "CLASSIFIER": "make a measure for each variable",
    "MATCH_NUMBER": "number the result with ROW_NUMBER() OVER (…)",
}


@dataclass(frozen=True)
class MatchClauses:
    """The clauses of MATCH_RECOGNIZE, expressions as written."""

    partition_by: tuple[un.Unresolved, ...]
    order_by: tuple[un.SortItem, ...]
    measures: tuple[tuple[str, un.Unresolved], ...]
    pattern: tuple[PatternElement, ...]
    defines: tuple[tuple[str, un.Unresolved], ...]
    skip: Skip = field(default_factory=Skip)
    within: un.Unresolved | None = None


def build_match(context: PlanContext, relation: Relation, clauses: MatchClauses) -> Relation:
    """The relation of a MATCH_RECOGNIZE.

    Raises:
        ValidationError: A pattern, name or order that has no meaning here.
        UnsupportedError: A part of the clause that cannot run.
    """
    variables = tuple(e.variable for e in clauses.pattern)
    check_pattern(clauses.pattern)
    check_skip(clauses.skip, clauses.pattern)
    columns = _Columns(context, relation)
    columns.partition_by = partition_by = tuple(columns.key(p) for p in clauses.partition_by)
    check_names(variables, [name for name, _ in clauses.defines], [name for name, _ in clauses.measures], partition_by)
    columns.order_by = order_by = tuple(columns.sort_key(item) for item in clauses.order_by)
    _check_order(context, relation, order_by, clauses)
    time = order_by[0].column
    within = None if clauses.within is None else _within(clauses.within, context, relation, time)
    defines = tuple(_define(columns, variables, time, name, expression) for name, expression in clauses.defines)
    resolver = PatternResolver(columns, variables, time)
    measures = [NamedRex(name, resolver.resolve(expression)) for name, expression in clauses.measures]
    slots = _Slots([*partition_by, *(m.name for m in measures)])
    items = tuple(NamedRex(m.name, slots.take(m)) for m in measures)
    taken = slots.measures()
    node: Node = Match(columns.node(), partition_by, order_by, clauses.pattern, defines, taken, clauses.skip, within)
    if [i.name for i in items] != [t.name for t in taken]:
        keys = (NamedRex(name, Ref(node.schema[name].type, name)) for name in partition_by)
        node = Project(node, (*keys, *items))
    return plain(node, outer=relation.outer)


class _Columns:
    """Columns of the input, and computed ones: those that are projected right above it, neighbours' values, and the others."""

    def __init__(self, context: PlanContext, relation: Relation) -> None:
        self.context, self.relation = context, relation
        self.partition_by: tuple[str, ...] = ()
        self.order_by: tuple[SortKey, ...] = ()
        self._early: dict[str, Rex] = {}
        self._neighbours: dict[str, AggCall] = {}
        self._computed: dict[str, Rex] = {}

    def of(self, rex: Rex, hint: str = "$arg") -> str:
        """The column that holds `rex`; a new one if it is computed."""
        return rex.name if isinstance(rex, Ref) else self._slot(self._computed, rex, hint)

    def _early_of(self, rex: Rex, hint: str) -> str:
        return rex.name if isinstance(rex, Ref) else self._slot(self._early, rex, hint)

    def _slot(self, known: dict[str, Any], value: Any, hint: str) -> str:
        for name, existing in known.items():
            if existing == value:
                return name
        name = unique(hint, [*self.relation.node.schema.names, *self._early, *self._neighbours, *self._computed])
        known[name] = value
        return name

    def neighbour(self, function: str, rex: Rex, distance: int) -> Ref:
        """The value of `rex` in the row `distance` before (LAG) or after (LEAD) each row, in its partition."""
        arg = Ref(rex.type, self._early_of(rex, "$of"))
        args = (arg, Literal(literal_type(distance), distance))
        result = registry.lookup(function).signature(args).result.nullable()
        return Ref(result, self._slot(self._neighbours, AggCall(function, args, result), f"${function.lower()}"))

    def inlined(self, rex: Rex) -> Rex:
        """The expression without columns that are computed beside it."""
        return substitute(rex, self._computed)

    def field(self, name: str) -> Field:
        """The column of that name."""
        return self.node().schema[name]

    def key(self, expression: un.Unresolved) -> str:
        """A column of PARTITION BY."""
        rex = Resolver(self.context, self.relation).resolve(expression)
        if not isinstance(rex, Ref):
            raise UnsupportedError(
                "PARTITION BY of MATCH_RECOGNIZE takes columns", where=expression.where, fix="compute it in a sub-query first"
            )
        return rex.name

    def sort_key(self, item: un.SortItem) -> SortKey:
        """A column of ORDER BY."""
        resolved = Resolver(self.context, self.relation).sort_item(item)
        return SortKey(self._early_of(resolved.rex, "$order"), resolved.ascending, resolved.nulls_first)

    def node(self) -> Node:
        """The input with the computed columns."""
        node = _with_columns(self.relation.node, self._early)
        if self._neighbours:
            calls = tuple(NamedAgg(name, call) for name, call in self._neighbours.items())
            node = Over(node, self.partition_by, self.order_by, RANKING_NEEDS_ROWS, calls)
        return _with_columns(node, self._computed)


def _with_columns(node: Node, computed: Mapping[str, Rex]) -> Node:
    if not computed:
        return node
    items = [NamedRex(f.name, Ref(f.type, f.name)) for f in node.schema]
    return Project(node, (*items, *(NamedRex(name, rex) for name, rex in computed.items())))


class _Slots:
    """The values of matched rows that the measures are computed from: what the node gives; the rest is projected above it."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._values: dict[Rex, str] = {}

    def take(self, measure: NamedRex) -> Rex:
        """The measure over the node's columns. One that is nothing but such a value keeps its name."""
        if isinstance(measure.rex, PatternRef | PatternAgg):
            return self._slot(measure.rex, measure.name)
        return transform(measure.rex, lambda r: self._slot(r, None) if isinstance(r, PatternRef | PatternAgg) else None)

    def _slot(self, rex: Rex, name: str | None) -> Rex:
        if rex not in self._values:
            self._values[rex] = name or unique("$m", [*self._names, *self._values.values()])
        return Ref(rex.type, self._values[rex])

    def measures(self) -> tuple[NamedRex, ...]:
        """What the node gives."""
        return tuple(NamedRex(name, rex) for rex, name in self._values.items())


class _RowResolver(Resolver):
    """Resolves an expression over one matched row, and notes whose row it is."""

    def __init__(self, context: PlanContext, relation: Relation, variables: Sequence[str]) -> None:
        super().__init__(context, relation)
        self._variables = variables
        self.seen: set[str | None] = set()

    def variable(self, where: str) -> str | None:
        """The one variable that the expression is about (None: any row).

        Raises:
            ValidationError: There are several.
        """
        if len(self.seen) > 1:
            names = sorted(v or "the whole match" for v in self.seen)
            raise ValidationError(f"{where} reads columns of {' and of '.join(names)}", fix="use columns of one variable in it")
        return next(iter(self.seen), None)

    def _name(self, parts: tuple[str, ...]) -> Rex:
        variable, parts = _split(parts, self._variables)
        self.seen.add(variable)
        return super()._name(parts)

    def _call(self, call: un.Call) -> Rex:
        if call.function.upper() in (*_ROW_PATTERN_CALLS, *_REFUSED_CALLS):
            raise UnsupportedError(f"{call.function.upper()} cannot stand inside a pattern function or aggregate")
        return super()._call(call)


class PatternResolver(Resolver):
    """Resolves conditions and measures: `A.x`, `x`, FIRST, LAST, PREV and NEXT (A.x, n), aggregates, MATCH_ROWTIME()."""

    def __init__(self, columns: _Columns, variables: Sequence[str], time_column: str) -> None:
        super().__init__(columns.context, columns.relation)
        self._columns, self._variables, self._time = columns, variables, time_column

    def _name(self, parts: tuple[str, ...]) -> Rex:
        variable, parts = _split(parts, self._variables)
        if len(parts) > 1 and not self.relation.has_qualifier(parts[0]) and self.relation.find(None, parts[0]) is None:
            raise UnknownNameError(
                f"'{parts[0]}' is no pattern variable",
                exists=f"pattern variables: {', '.join(self._variables)}",
                fix=did_you_mean(parts[0], self._variables),
            )

        def as_matched(rex: Rex) -> Rex | None:
            return PatternRef(rex.type.nullable(), rex.name, variable) if isinstance(rex, Ref) else None

        return transform(super()._name(parts), as_matched)

    def _call(self, call: un.Call) -> Rex:
        name = call.function.upper()
        if name in _REFUSED_CALLS:
            raise UnsupportedError(f"{name} in MATCH_RECOGNIZE is not supported", fix=_REFUSED_CALLS[name])
        if name in ("FIRST", "LAST"):
            return self._navigation(name, call.args)
        if name in ("PREV", "NEXT"):
            return self._neighbour(name, call.args)
        if name in ("MATCH_ROWTIME", "MATCH_PROCTIME"):
            return self._match_time(name, call.args)
        return super()._call(call)

    def _navigation(self, name: str, args: tuple[un.Unresolved, ...]) -> Rex:
        rex, variable, offset = self._position(name, args, 0)
        return PatternRef(rex.type.nullable(), self._columns.of(rex), variable, name == "FIRST", offset)

    def _neighbour(self, name: str, args: tuple[un.Unresolved, ...]) -> Rex:
        """The row before or after the variable's last row, whether it is part of the match or not (not in Flink)."""
        rex, variable, offset = self._position(name, args, 1)
        column = self._columns.neighbour("LAG" if name == "PREV" else "LEAD", rex, offset) if offset else rex
        return PatternRef(rex.type.nullable(), self._columns.of(column), variable)

    def _position(self, name: str, args: tuple[un.Unresolved, ...], default: int) -> tuple[Rex, str | None, int]:
        """(value of a row, variable that it belongs to, number of rows) of FIRST, LAST, PREV and NEXT."""
        if len(args) not in (1, 2):
            raise ValidationError(f"{name} takes a column and, if you like, a number of rows", fix=f"{name}(A.price, 1)")
        offset = default
        if len(args) == 2:
            literal = Resolver(self.context, self.relation).resolve(args[1])
            if not isinstance(literal, Literal) or not isinstance(literal.value, int) or literal.value < 0:
                raise ValidationError(f"the second argument of {name} is a constant number of rows", where=args[1].where)
            offset = literal.value
        rows = _RowResolver(self.context, self.relation, self._variables)
        rex = rows.resolve(args[0])
        return rex, rows.variable(name), offset

    def _match_time(self, name: str, args: tuple[un.Unresolved, ...]) -> Rex:
        kind = TimeKind.ROWTIME if name == "MATCH_ROWTIME" else TimeKind.PROCTIME
        column = self._columns.field(self._time)
        if args:
            raise ValidationError(f"{name} takes no arguments")
        if column.time is not kind and (self.context.is_streaming or kind is TimeKind.PROCTIME):
            raise ValidationError(f"{name} needs ORDER BY a {kind.value} attribute, and '{column.name}' is none")
        return PatternRef(column.type, column.name)

    def _aggregate(self, call: un.Call) -> Rex:
        if call.distinct:
            raise UnsupportedError("DISTINCT in an aggregate of MATCH_RECOGNIZE is not supported")
        if call.filter is not None or call.order_by:
            raise UnsupportedError("FILTER and ORDER BY in an aggregate of MATCH_RECOGNIZE are not supported")
        rows = _RowResolver(self.context, self.relation, self._variables)
        args: tuple[Rex, ...] = ()
        if not (len(call.args) == 1 and isinstance(call.args[0], un.Star)):
            args = rows.resolve_all(call.args)
        function = registry.lookup(call.function)
        resolved = function.signature(args)
        typed = [implicit_cast(a, t) for a, t in zip(args, resolved.arg_types, strict=True)]
        columns = tuple(a if isinstance(a, Literal) else Ref(a.type, self._columns.of(a)) for a in typed)
        return PatternAgg(resolved.result, AggCall(function.name, columns, resolved.result), rows.variable(call.function))

    def _python_aggregate(self, function: object, args: tuple[un.Unresolved, ...]) -> Rex:
        raise UnsupportedError(
            "a Python aggregate function in MATCH_RECOGNIZE is not supported yet", fix="use a built-in aggregate"
        )

    def _subquery(self, subquery: un.Subquery) -> Rex:
        raise UnsupportedError("a sub-query in MATCH_RECOGNIZE is not supported", fix="join the table first")

    def _over(self, over: un.Over) -> Rex:
        raise UnsupportedError("OVER in MATCH_RECOGNIZE is not supported", fix="compute it in a sub-query first")


def _split(parts: tuple[str, ...], variables: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    return (parts[0], parts[1:]) if len(parts) > 1 and parts[0] in variables else (None, parts)


def _define(
    columns: _Columns, variables: tuple[str, ...], time: str, variable: str, expression: un.Unresolved
) -> PatternDefine:
    condition = PatternResolver(columns, variables, time).condition(expression, f"DEFINE {variable}")
    leaves = [p for p in walk(condition) if isinstance(p, PatternRef | PatternAgg)]
    if not all(_is_tested_row(leaf, variable) for leaf in leaves):
        for part in walk(condition):
            if isinstance(part, UdfCall):
                raise UnsupportedError(
                    f"the Python function {part.function.name} cannot look at several rows of a match",
                    where=condition.where,
                    fix="compute it in a sub-query first",
                )
        return PatternDefine(variable, condition)
    schema = columns.node().schema

    def as_column(rex: Rex) -> Rex | None:
        return Ref(schema[rex.column].type, rex.column) if isinstance(rex, PatternRef) else None

    flat = columns.inlined(transform(condition, as_column))
    return PatternDefine(variable, condition, columns.of(flat, f"$is_{variable}"))


def _is_tested_row(leaf: PatternRef | PatternAgg, variable: str) -> bool:
    is_last = isinstance(leaf, PatternRef) and not leaf.is_first and not leaf.offset
    return is_last and leaf.variable in (variable, None)


def _within(expression: un.Unresolved, context: PlanContext, relation: Relation, time: str) -> int:
    within = interval_ms(expression, context, relation)
    if within <= 0:
        raise ValidationError("WITHIN needs a positive interval", where=expression.where)
    data_type = relation.node.schema[time].type
    if not isinstance(data_type, AnyTimestampType):
        raise TypeMismatchError(f"WITHIN needs ORDER BY a timestamp, and '{time}' is {data_type}")
    return within


def _check_order(context: PlanContext, relation: Relation, order_by: tuple[SortKey, ...], clauses: MatchClauses) -> None:
    """The first key must be a time attribute; a bounded table may be ordered by any timestamp."""
    schema = relation.node.schema
    times = ", ".join(f.name for f in schema if f.time) or "none"
    if not order_by:
        raise ValidationError("MATCH_RECOGNIZE needs ORDER BY a time attribute", exists=f"time attributes: {times}")
    first, where = order_by[0], clauses.order_by[0].where
    column = next((f for f in schema if f.name == first.column), None)
    is_timestamp = column is not None and isinstance(column.type, AnyTimestampType)
    if column is None or (column.time is None and (context.is_streaming or not is_timestamp)):
        raise ValidationError(
            "the first ORDER BY of MATCH_RECOGNIZE must be a rowtime or proctime attribute",
            where=where,
            exists=f"time attributes: {times}",
            fix="declare WATERMARK FOR … AS … in the table's schema and order by that column",
        )
    if not first.ascending:
        raise ValidationError("the time attribute of MATCH_RECOGNIZE must be ordered ascending", where=where)
