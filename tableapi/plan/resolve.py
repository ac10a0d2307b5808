"""From the user's expressions to typed ones: looks names up, types calls, inserts implicit casts.

Aggregate and OVER calls are not values of a row: the resolver takes them out, hands them to a `Collector` and leaves a
reference to the column that will hold the result. `builder.py` places the nodes that compute those columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tableapi.errors import TableApiError, TypeMismatchError, UnknownNameError, UnsupportedError, ValidationError, did_you_mean
from tableapi.functions import registry
from tableapi.plan import unresolved as un
from tableapi.plan.named_arguments import DEFAULT, NAMED, in_order, may_leave_out
from tableapi.plan.nodes import FrameBound, FrameBoundKind, OverFrame
from tableapi.plan.rex import Call, Cast, Literal, OuterRef, Ref, Rex, SubqueryRex, UdfCall
from tableapi.plan.scope import PlanContext, Relation
from tableapi.plan.typing import can_cast, implicit_cast, literal_type
from tableapi.types import BigIntType, BooleanType, CharacterType, DataType, DayTimeIntervalType, NumericType, RowType


@dataclass(frozen=True)
class SortRex:
    """A resolved sort item."""

    rex: Rex
    ascending: bool
    nulls_first: bool


@dataclass(frozen=True)
class PendingAgg:
    """An aggregate call whose arguments are not columns yet."""

    function: str
    args: tuple[Rex, ...]
    type: DataType
    distinct: bool = False
    filter: Rex | None = None
    order_by: tuple[SortRex, ...] = ()
    udaf: Any = None


@dataclass(frozen=True)
class PendingOver:
    """An OVER call whose parts are not columns yet."""

    call: PendingAgg
    partition_by: tuple[Rex, ...]
    order_by: tuple[SortRex, ...]
    frame: OverFrame


@dataclass
class Collector:
    """Aggregate and OVER calls met while resolving, by the name of the column that stands for them."""

    aggregates: dict[str, PendingAgg] = field(default_factory=dict)
    overs: dict[str, PendingOver] = field(default_factory=dict)
    allow_aggregates: bool = True
    over_windows: dict[str, un.Over] = field(default_factory=dict)
    """Windows defined by `over_window()`, by alias."""

    def aggregate(self, pending: PendingAgg) -> Ref:
        """The column for an aggregate call; equal calls share one."""
        return Ref(pending.type, _slot(self.aggregates, pending, "$agg"))

    def over(self, pending: PendingOver) -> Ref:
        """The column for an OVER call; equal calls share one."""
        return Ref(pending.call.type, _slot(self.overs, pending, "$over"))


def _slot(known: dict[str, Any], pending: Any, prefix: str) -> str:
    for name, existing in known.items():
        if existing == pending:
            return name
    name = f"{prefix}{len(known)}"
    known[name] = pending
    return name


GROUP_ID_FUNCTIONS = frozenset({"GROUPING", "GROUPING_ID", "GROUP_ID"})
"""Which keys a row's grouping set lacks, as bits; `query.py` computes them from the aggregation."""

RANKING_NEEDS_ROWS = OverFrame(True, FrameBound(FrameBoundKind.UNBOUNDED), FrameBound(FrameBoundKind.CURRENT_ROW))


class Resolver:
    """Resolves expressions over one relation.

    Args:
        context: The session.
        relation: What names mean.
        collector: Receives aggregate and OVER calls; None where neither may stand (WHERE, join conditions, …).
    """

    def __init__(self, context: PlanContext, relation: Relation, collector: Collector | None = None) -> None:
        self.context, self.relation, self.collector = context, relation, collector

    def resolve(self, expression: un.Unresolved) -> Rex:
        """The typed form of an expression. Errors carry the place of the innermost guilty part."""
        try:
            rex = self._resolve(expression)
        except TableApiError as error:
            raise error.at(expression.where) from None
        return rex if rex.where is not None or expression.where is None else replace(rex, where=expression.where)

    def resolve_all(self, expressions: Sequence[un.Unresolved]) -> tuple[Rex, ...]:
        """The typed forms of several expressions."""
        return tuple(self.resolve(e) for e in expressions)

    def condition(self, expression: un.Unresolved, clause: str) -> Rex:
        """A BOOLEAN expression for WHERE, HAVING, ON or FILTER."""
        rex = self.resolve(expression)
        if isinstance(rex, Literal) and rex.value is None:
            return implicit_cast(rex, BooleanType())
        if not isinstance(rex.type, BooleanType):
            raise TypeMismatchError(
                f"{clause} needs a BOOLEAN condition, not {rex.type}: {rex}",
                where=expression.where,
                fix="compare the value with something, for example `... <> 0`",
            )
        return rex

    def sort_item(self, item: un.SortItem) -> SortRex:
        """A sort key; NULL is the lowest value unless the item says otherwise (Flink)."""
        nulls_first = item.ascending if item.nulls_first is None else item.nulls_first
        return SortRex(self.resolve(item.arg), item.ascending, nulls_first)

    def _resolve(self, expression: un.Unresolved) -> Rex:
        match expression:
            case un.Name(parts=parts):
                return self._name(parts)
            case un.Lit(value=value, data_type=data_type):
                return Literal(data_type or literal_type(value), value, where=expression.where)
            case un.Call():
                return self._call(expression)
            case un.UdfCall(function=function, args=args):
                return self._udf(function, args)
            case un.Cast(arg=arg, data_type=data_type, is_try=is_try):
                return self._cast(arg, data_type, is_try)
            case un.As(arg=arg):
                return self.resolve(arg)
            case un.Over():
                return self._over(expression)
            case un.OverAlias(call=call, window=window):
                return self._over_alias(call, window)
            case un.WindowProperty(window=window, property=what):
                return self._window_property(window, what)
            case un.Subquery():
                return self._subquery(expression)
            case un.Star() | un.ColumnRange():
                raise ValidationError("'*' is not a value", fix="use it as an item of a select list or in COUNT(*)")
            case _:
                raise ValidationError(f"{type(expression).__name__} cannot stand here")

    def _name(self, parts: tuple[str, ...]) -> Rex:
        found = self._look_up(self.relation, parts)
        if found is not None:
            return found
        depth, outer = 1, self.relation.outer
        while outer is not None:
            found = self._look_up(outer, parts)
            if isinstance(found, Ref):
                return OuterRef(found.type, found.name, depth)
            if isinstance(found, Call):
                base, field_name = found.args
                assert isinstance(base, Ref)
                return Call(found.type, found.function, (OuterRef(base.type, base.name, depth), field_name))
            depth, outer = depth + 1, outer.outer
        raise self.relation.unknown(parts)

    def _look_up(self, relation: Relation, parts: tuple[str, ...]) -> Rex | None:
        if len(parts) > 1 and relation.has_qualifier(parts[0]):
            column = relation.find(parts[0], parts[1])
            if column is not None:
                return self._fields(Ref(column.type, column.name), parts[2:])
        column = relation.find(None, parts[0])
        if column is None:
            return None
        return self._fields(Ref(column.type, column.name), parts[1:])

    def _fields(self, rex: Rex, names: Sequence[str]) -> Rex:
        for name in names:
            if not isinstance(rex.type, RowType):
                raise UnknownNameError(f"{rex} is {rex.type}, it has no field '{name}'")
            rex = self._built_in(registry.lookup("GET"), (rex, Literal(literal_type(name), name)))
        return rex

    def _call(self, call: un.Call) -> Rex:
        if call.function in (NAMED, DEFAULT):
            raise UnsupportedError(
                "only Python functions take arguments by name, or DEFAULT", fix="give all arguments by position"
            )
        if call.function.upper() in GROUP_ID_FUNCTIONS:
            if self.collector is None:
                raise ValidationError(f"{call.function} can stand only in a grouped query")
            return Call(BigIntType(is_nullable=False), call.function.upper(), self.resolve_all(call.args))
        function = registry.find(call.function)
        user_function = (
            self.context.functions(tuple(call.function.split("."))) if function is None or "." in call.function else None
        )
        if user_function is not None:
            return self._udf(user_function, call.args)
        if function is None:
            raise self._unknown_function(call.function)
        if isinstance(function, registry.AggregateFunction):
            return self._aggregate(call)
        if isinstance(function, registry.RankingFunction):
            raise ValidationError(
                f"{function.name} needs an OVER clause", fix=f"{function.name}() OVER (PARTITION BY … ORDER BY …)"
            )
        if call.distinct or call.filter is not None:
            raise ValidationError(f"DISTINCT and FILTER belong to aggregate functions, and {function.name} is not one")
        return self._built_in(function, self.resolve_all(call.args))

    def _unknown_function(self, name: str) -> UnknownNameError:
        known = [n for f in registry.functions() for n in (f.name, *f.sql_names)]
        return UnknownNameError(
            f"function '{name}' does not exist",
            exists=f"{len(registry.functions())} built-in functions (SHOW FUNCTIONS lists them) and the functions you registered",
            fix=did_you_mean(name, known),
        )

    def _built_in(self, function: registry.ScalarFunction | registry.Function, args: tuple[Rex, ...]) -> Rex:
        resolved = function.signature(args)
        cast_args = tuple(implicit_cast(a, t) for a, t in zip(args, resolved.arg_types, strict=True))
        return Call(resolved.result, function.name, cast_args)

    def _udf(self, function: Any, args: tuple[un.Unresolved, ...]) -> Rex:
        if function.kind == "aggregate":
            return self._python_aggregate(function, args)
        if function.kind != "scalar":
            raise ValidationError(
                f"'{function.name}' is a table function: it gives rows, not a value",
                fix="use join_lateral()/flat_map(), or LATERAL TABLE(…) in SQL",
            )
        return UdfCall(function.result_type, function, self._udf_args(function, args))

    def _udf_args(self, function: Any, args: tuple[un.Unresolved, ...]) -> tuple[Rex, ...]:
        rexes = self.resolve_all(in_order(function, args))
        declared = function.input_types
        if declared is None:
            return rexes
        if len(declared) != len(rexes) and not may_leave_out(function, range(len(rexes), len(declared))):
            raise TypeMismatchError(f"'{function.name}' takes {len(declared)} arguments, not {len(rexes)}")
        return tuple(implicit_cast(r, t) for r, t in zip(rexes, declared, strict=False))

    def table_function_args(self, function: Any, args: tuple[un.Unresolved, ...]) -> tuple[Rex, ...]:
        """The typed arguments of a Python table function."""
        return self._udf_args(function, args)

    def _cast(self, arg: un.Unresolved, data_type: DataType, is_try: bool) -> Rex:
        rex = self.resolve(arg)
        if not can_cast(rex.type, data_type):
            raise TypeMismatchError(f"{rex.type} cannot be cast to {data_type}")
        is_nullable = rex.type.is_nullable or is_try
        return Cast(data_type.with_nullability(is_nullable), rex, is_try)

    def _pending(self, call: un.Call) -> PendingAgg:
        """A resolved aggregate or ranking call; its arguments may not hold further aggregates."""
        inner = Resolver(self.context, self.relation)
        function = registry.lookup(call.function)
        args = () if len(call.args) == 1 and isinstance(call.args[0], un.Star) else inner.resolve_all(call.args)
        resolved = function.signature(args)
        cast_args = tuple(implicit_cast(a, t) for a, t in zip(args, resolved.arg_types, strict=True))
        condition = inner.condition(call.filter, "FILTER") if call.filter is not None else None
        order_by = tuple(inner.sort_item(i) for i in call.order_by)
        return PendingAgg(function.name, cast_args, resolved.result, call.distinct, condition, order_by)

    def _aggregate(self, call: un.Call) -> Rex:
        if self.collector is None or not self.collector.allow_aggregates:
            raise ValidationError(
                f"the aggregate function {call.function} cannot stand here",
                fix="aggregate in a select list or HAVING; compute it in a sub-query first",
            )
        return self.collector.aggregate(self._pending(call))

    def _python_aggregate(self, function: Any, args: tuple[un.Unresolved, ...]) -> Rex:
        if self.collector is None or not self.collector.allow_aggregates:
            raise ValidationError(
                f"the aggregate function '{function.name}' cannot stand here", fix="aggregate in a select list"
            )
        inner = Resolver(self.context, self.relation)
        pending = PendingAgg(function.name, inner._udf_args(function, args), function.result_type, udaf=function)
        return self.collector.aggregate(pending)

    def _over(self, over: un.Over) -> Rex:
        if self.collector is None:
            raise ValidationError("an OVER call can stand only in a select list", fix="compute it in a sub-query first")
        aggregates = self.collector if self.collector.aggregates or self._holds_aggregate(over) else None
        inner = Resolver(self.context, self.relation, aggregates)
        call = self._over_call(over.call, inner)
        partition_by = inner.resolve_all(over.partition_by)
        order_by = tuple(inner.sort_item(i) for i in over.order_by)
        function = registry.find(call.function)
        if isinstance(function, registry.RankingFunction):
            if not order_by and function.name not in ("FIRST_VALUE", "LAST_VALUE", "ROW_NUMBER"):
                raise ValidationError(f"{function.name} needs ORDER BY in its OVER clause")
            frame = RANKING_NEEDS_ROWS
        else:
            frame = self._frame(over, order_by)
        return self.collector.over(PendingOver(call, partition_by, order_by, frame))

    def _holds_aggregate(self, over: un.Over) -> bool:
        call = over.call
        parts = [*getattr(call, "args", ()), *over.partition_by, *(i.arg for i in over.order_by)]
        return any(holds_aggregate(p) for p in parts)

    def _over_call(self, call: un.Unresolved, inner: Resolver) -> PendingAgg:
        if isinstance(call, un.UdfCall):
            return PendingAgg(
                call.function.name, inner._udf_args(call.function, call.args), call.function.result_type, udaf=call.function
            )
        if not isinstance(call, un.Call):
            raise ValidationError("OVER needs an aggregate or ranking function before it")
        function = registry.find(call.function)
        if function is None:
            user_function = self.context.functions(tuple(call.function.split(".")))
            if user_function is None:
                raise self._unknown_function(call.function)
            return PendingAgg(
                user_function.name, inner._udf_args(user_function, call.args), user_function.result_type, udaf=user_function
            )
        if not isinstance(function, registry.AggregateFunction | registry.RankingFunction):
            raise ValidationError(f"{function.name} is not an aggregate or ranking function, it cannot be used with OVER")
        args = () if len(call.args) == 1 and isinstance(call.args[0], un.Star) else inner.resolve_all(call.args)
        resolved = function.signature(args)
        cast_args = tuple(implicit_cast(a, t) for a, t in zip(args, resolved.arg_types, strict=True))
        condition = inner.condition(call.filter, "FILTER") if call.filter is not None else None
        return PendingAgg(function.name, cast_args, resolved.result, call.distinct, condition)

    def _frame(self, over: un.Over, order_by: tuple[SortRex, ...]) -> OverFrame:
        if over.lower is None and over.upper is None:
            upper = FrameBoundKind.CURRENT_ROW if order_by else FrameBoundKind.UNBOUNDED
            return OverFrame(over.is_rows, FrameBound(FrameBoundKind.UNBOUNDED), FrameBound(upper))
        if not over.is_rows:
            for bound in (over.lower, over.upper):
                self._check_range(bound, order_by)
        lower = self._bound(over.lower, over.is_rows)
        upper_bound = self._bound(over.upper, over.is_rows) if over.upper else FrameBound(FrameBoundKind.CURRENT_ROW)
        return OverFrame(over.is_rows, lower, upper_bound)

    def _check_range(self, bound: un.Bound | None, order_by: tuple[SortRex, ...]) -> None:
        """A RANGE frame bounds time by an interval and numbers by a number."""
        if bound is None or bound.offset is None or bound.offset == un.Lit(0) or not order_by:
            return
        by, offset = order_by[0].rex.type, self.resolve(bound.offset).type
        if isinstance(by, NumericType) != isinstance(offset, NumericType):
            raise TypeMismatchError(
                f"a RANGE over {by.nullable()} cannot be bounded by {offset.nullable()}",
                where=bound.where,
                fix="use an INTERVAL for time, a number for numbers, or ROWS",
            )

    def _bound(self, bound: un.Bound | None, is_rows: bool) -> FrameBound:
        if bound is None or bound.offset is None:
            return FrameBound(FrameBoundKind.UNBOUNDED)
        offset = self.resolve(bound.offset)
        if not isinstance(offset, Literal):
            raise ValidationError("an OVER bound must be a constant", where=bound.where)
        if isinstance(offset.type, DayTimeIntervalType):
            if is_rows:
                raise TypeMismatchError("a ROWS frame counts rows, not time", where=bound.where, fix="use RANGE")
            size = round(offset.value.total_seconds() * 1000)
        elif isinstance(offset.type, NumericType) and offset.value is not None:
            size = int(offset.value)
        else:
            raise TypeMismatchError(f"an OVER bound is a number or an interval, not {offset.type}", where=bound.where)
        if size == 0:
            return FrameBound(FrameBoundKind.CURRENT_ROW)
        return FrameBound(FrameBoundKind.OFFSET, -size if bound.is_preceding else size)

    def _over_alias(self, call: un.Unresolved, window: str) -> Rex:
        windows = self.collector.over_windows if self.collector else {}
        if window not in windows:
            raise UnknownNameError(
                f"over window '{window}' does not exist",
                exists=f"windows: {', '.join(windows) or 'none'}",
                fix=did_you_mean(window, windows) or "define it with over_window(Over.….alias(name))",
            )
        return self._over(replace(windows[window], call=call))

    def _window_property(self, alias: str, what: str) -> Rex:
        window = self.relation.window(alias)
        if window is None:
            known = [w.alias for w in self.relation.windows]
            raise UnknownNameError(
                f"window '{alias}' does not exist",
                exists=f"windows: {', '.join(known) or 'none'}",
                fix=did_you_mean(alias, known),
            )
        if what == "proctime" and window.window.is_event_time:
            raise ValidationError(f"window '{alias}' is over event time: it has no proctime", fix=f"use col('{alias}').rowtime")
        column = {"start": window.start, "end": window.end, "rowtime": window.time, "proctime": window.time}[what]
        return Ref(self.relation.node.schema[column].type, column)

    def _subquery(self, subquery: un.Subquery) -> Rex:
        args = self.resolve_all(subquery.args)
        fields = subquery.plan.schema.fields
        if subquery.kind == "exists":
            return SubqueryRex(BooleanType(is_nullable=False), "exists", subquery.plan, (), subquery.negated)
        if subquery.kind == "scalar":
            if len(fields) != 1:
                raise ValidationError(f"a sub-query used as a value must have one column, not {len(fields)}")
            return SubqueryRex(fields[0].type.nullable(), "scalar", subquery.plan)
        if len(fields) != len(args):
            raise ValidationError(f"IN compares {len(args)} values with a sub-query of {len(fields)} columns")
        for arg, column in zip(args, fields, strict=True):
            self._built_in(registry.lookup("EQUALS"), (arg, Ref(column.type, column.name)))
        is_nullable = any(a.type.is_nullable for a in args) or any(f.type.is_nullable for f in fields)
        return SubqueryRex(BooleanType(is_nullable=is_nullable), "in", subquery.plan, args, subquery.negated)


def holds_aggregate(expression: un.Unresolved) -> bool:
    """Whether an aggregate call (one without OVER) is anywhere in the expression."""
    match expression:
        case un.Call(function=name, args=args):
            return isinstance(registry.find(name), registry.AggregateFunction) or any(map(holds_aggregate, args))
        case un.UdfCall(function=function, args=args):
            return function.kind == "aggregate" or any(map(holds_aggregate, args))
        case un.Cast(arg=arg) | un.As(arg=arg) | un.SortItem(arg=arg):
            return holds_aggregate(arg)
        case un.Over(call=call, partition_by=partition_by, order_by=order_by):
            parts = (*getattr(call, "args", ()), *partition_by, *order_by)
            return any(map(holds_aggregate, parts))
        case un.OverAlias(call=call):
            return any(map(holds_aggregate, getattr(call, "args", ())))
        case un.Subquery(args=args):
            return any(map(holds_aggregate, args))
        case _:
            return False


def output_name(expression: un.Unresolved) -> str | None:
    """The name that a select item gets by itself: its alias, or the column that it is."""
    match expression:
        case un.As(names=names):
            return names[0]
        case un.Name(parts=parts):
            return parts[-1]
        case _:
            return None


def constant(expression: un.Unresolved, context: PlanContext, relation: Relation) -> Literal:
    """A constant argument (window sizes and the like)."""
    rex = Resolver(context, relation).resolve(expression)
    if not isinstance(rex, Literal):
        raise ValidationError(f"a constant is needed here, not {rex}", where=expression.where)
    return rex


def interval_ms(expression: un.Unresolved, context: PlanContext, relation: Relation) -> int:
    """A constant day-time interval in milliseconds."""
    literal = constant(expression, context, relation)
    if not isinstance(literal.type, DayTimeIntervalType):
        hint = "INTERVAL '10' MINUTE in SQL, lit(10).minutes in the Table API"
        if isinstance(literal.type, CharacterType):
            raise TypeMismatchError("a time interval is needed, not text", where=expression.where, fix=hint)
        raise UnsupportedError(f"a day-time interval is needed, not {literal.type}", where=expression.where, fix=hint)
    ms: int = round(literal.value.total_seconds() * 1000)
    return ms
