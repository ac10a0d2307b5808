"""Conditions of pattern variables that look at rows matched before: evaluated for one row and one run at a time.

Comparisons, logic, simple arithmetic and the common aggregates become Python functions over column values. Anything else goes
through the same lowering as every other expression, on a frame of one row; that is exact too, but costs about 0.2 ms a test.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.plan.match_node import PatternAgg, PatternRef
from tableapi.plan.rex import Call, Cast, Literal, Ref, Rex, transform, walk
from tableapi.runtime.expressions import lower_aggregate, predicate
from tableapi.types import (
    AnyTimestampType,
    BigIntType,
    BooleanType,
    CharacterType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    IntType,
    SmallIntType,
    TinyIntType,
)

Bounds = tuple[int, ...]


class Columns:
    """The rows' columns, as Python lists where a condition reads them."""

    def __init__(self, frame: pl.DataFrame, session: SessionContext) -> None:
        self.frame, self.session = frame, session
        self._lists: dict[str, list[Any]] = {}

    def values(self, name: str) -> list[Any]:
        """All values of a column."""
        if name not in self._lists:
            self._lists[name] = self.frame[name].to_list()
        return self._lists[name]


Value = Callable[[Bounds, int], Any]
"""(run, row) -> value; the row is taken by the run's last variable."""

Maker = Callable[[Columns], Value]


@dataclass(frozen=True)
class Range:
    """Where the rows of a variable lie in a run (`position` None: all rows)."""

    position: int | None

    def of(self, run: Bounds, row: int) -> tuple[int, int]:
        """First row, and the row after the last; both equal when there is none."""
        if self.position is None:
            return run[0], row + 1
        last = len(run) - 1
        if self.position > last:
            return row, row
        return run[self.position], run[self.position + 1] if self.position < last else row + 1


class Condition:
    """The condition of a variable.

    Args:
        rex: With `PatternRef` and `PatternAgg` as leaves.
        positions: Place of each variable in the pattern.
    """

    def __init__(self, rex: Rex, positions: Mapping[str, int]) -> None:
        self._rex, self._positions = rex, positions
        self._maker = self._compiled(rex)

    def bind(self, columns: Columns) -> Callable[[Bounds, int], bool]:
        """The test over given rows: TRUE counts, NULL does not."""
        if self._maker is None:
            return self._by_frame(columns)
        value = self._maker(columns)
        return lambda run, row: value(run, row) is True

    def _range(self, variable: str | None) -> Range:
        return Range(None if variable is None else self._positions[variable])

    def _by_frame(self, columns: Columns) -> Callable[[Bounds, int], bool]:
        leaves = list(dict.fromkeys(p for p in walk(self._rex) if isinstance(p, PatternRef | PatternAgg)))
        names = {leaf: f"${i}" for i, leaf in enumerate(leaves)}
        condition = transform(self._rex, lambda r: Ref(r.type, names[r]) if isinstance(r, PatternRef | PatternAgg) else None)
        frame, session = columns.frame, columns.session

        def test(run: Bounds, row: int) -> bool:
            values = []
            for leaf, name in names.items():
                begin, end = self._range(leaf.variable).of(run, row)
                if isinstance(leaf, PatternAgg):
                    values.append(frame[begin:end].select(lower_aggregate(leaf.call, session).alias(name)).to_series())
                    continue
                at = begin + leaf.offset if leaf.is_first else end - 1 - leaf.offset
                column = frame[leaf.column]
                found = column[at : at + 1] if begin <= at < end else pl.Series([None], dtype=column.dtype)
                values.append(found.alias(name))
            return bool(predicate(pl.DataFrame(values) if values else pl.DataFrame(height=1), condition, session)[0])

        return test

    def _compiled(self, rex: Rex) -> Maker | None:
        """The expression as a Python function; None where its meaning in Python could differ."""
        match rex:
            case PatternRef():
                return self._reference(rex) if _is_plain(rex.type) else None
            case PatternAgg():
                return self._aggregate(rex)
            case Literal(value=value) if _is_plain(rex.type) or value is None or isinstance(rex.type, DayTimeIntervalType):
                return lambda columns: lambda run, row: value
            case Cast(arg=arg):
                convert = _conversion(arg.type, rex.type) if rex.is_implicit else None
                inner = self._compiled(arg)
                return None if convert is None or inner is None else _mapped(inner, convert)
            case Call(args=args):
                parts = [self._compiled(a) for a in args]
                if any(p is None for p in parts):
                    return None
                return _call(rex, [p for p in parts if p is not None])
        return None

    def _reference(self, ref: PatternRef) -> Maker:
        rows = self._range(ref.variable)
        offset, is_first = ref.offset, ref.is_first

        def make(columns: Columns) -> Value:
            values = columns.values(ref.column)

            def value(run: Bounds, row: int) -> Any:
                begin, end = rows.of(run, row)
                at = begin + offset if is_first else end - 1 - offset
                return values[at] if begin <= at < end else None

            return value

        return make

    def _aggregate(self, aggregate: PatternAgg) -> Maker | None:
        rows, call = self._range(aggregate.variable), aggregate.call
        if call.function == "COUNT" and (not call.args or isinstance(call.args[0], Literal)):
            return lambda columns: lambda run, row: _width(rows.of(run, row))
        reduce = _reduction(call.function, call.type)
        arg = call.args[0] if len(call.args) == 1 else None
        if reduce is None or call.distinct or not isinstance(arg, Ref) or not _is_plain(arg.type):
            return None
        name = arg.name

        def make(columns: Columns) -> Value:
            values = columns.values(name)

            def value(run: Bounds, row: int) -> Any:
                begin, end = rows.of(run, row)
                return reduce([v for v in values[begin:end] if v is not None])

            return value

        return make


def _width(bounds: tuple[int, int]) -> int:
    return bounds[1] - bounds[0]


_BITS = {TinyIntType: 8, SmallIntType: 16, IntType: 32, BigIntType: 64}


def _is_integer(data_type: DataType) -> bool:
    return type(data_type) in _BITS


def _is_plain(data_type: DataType) -> bool:
    """Whether Python compares values of the type as SQL does."""
    if isinstance(data_type, AnyTimestampType):
        return data_type.precision <= 6
    return _is_integer(data_type) or isinstance(data_type, DoubleType | DecimalType | CharacterType | BooleanType | DateType)


def _wrapped(data_type: DataType) -> Callable[[Any], Any] | None:
    """Integers that overflow wrap around; None for types in which Python does not calculate as SQL does."""
    if isinstance(data_type, DoubleType):
        return lambda value: value
    if not _is_integer(data_type):
        return None
    bits = _BITS[type(data_type)]  # type: ignore[index]
    half, full = 1 << (bits - 1), 1 << bits
    return lambda value: value if -half <= value < half else (value + half) % full - half


def _reduction(function: str, data_type: DataType) -> Callable[[list[Any]], Any] | None:
    if function == "COUNT":
        return len
    wrap = _wrapped(data_type)
    if wrap is None:
        return None
    if function in ("MIN", "MAX") and _is_integer(data_type):
        pick = min if function == "MIN" else max
        return lambda values: pick(values) if values else None
    if function == "SUM":
        return lambda values: wrap(sum(values)) if values else None
    if function == "AVG" and _is_integer(data_type):
        return lambda values: _truncated(sum(values), len(values)) if values else None
    return None


def _truncated(total: int, count: int) -> int:
    quotient = abs(total) // count
    return quotient if total >= 0 else -quotient


def _conversion(source: DataType, target: DataType) -> Callable[[Any], Any] | None:
    """What an implicit cast between plain types does."""
    if _is_integer(source) and _is_integer(target):
        return _same if _BITS[type(source)] <= _BITS[type(target)] else None  # type: ignore[index]
    if isinstance(target, DoubleType) and (_is_integer(source) or isinstance(source, DoubleType | DecimalType)):
        return float
    if isinstance(target, DecimalType) and _is_integer(source):
        return Decimal
    if isinstance(target, DecimalType) and isinstance(source, DecimalType):
        return _same if target.scale >= source.scale else None
    if isinstance(target, CharacterType) and isinstance(source, CharacterType):
        return _same
    if type(source) is type(target) and _is_plain(source) and _is_plain(target) and isinstance(source, AnyTimestampType):
        return _same if target.precision >= source.precision else None  # type: ignore[attr-defined]
    return None


def _same(value: Any) -> Any:
    return value


def _mapped(inner: Maker, change: Callable[[Any], Any]) -> Maker:
    def make(columns: Columns) -> Value:
        get = inner(columns)

        def value(run: Bounds, row: int) -> Any:
            found = get(run, row)
            return None if found is None else change(found)

        return value

    return make


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "EQUALS": operator.eq,
    "NOT_EQUALS": operator.ne,
    "LESS": operator.lt,
    "LESS_OR_EQUAL": operator.le,
    "GREATER": operator.gt,
    "GREATER_OR_EQUAL": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {"PLUS": operator.add, "MINUS": operator.sub, "TIMES": operator.mul}


def _call(rex: Call, parts: list[Maker]) -> Maker | None:
    name = rex.function
    if name in _COMPARISONS and len(parts) == 2 and all(_is_plain(a.type) for a in rex.args):
        return _both(parts, _COMPARISONS[name])
    if name in _ARITHMETIC and len(parts) == 2:
        types = [a.type for a in rex.args]
        if name != "TIMES" and isinstance(types[0], AnyTimestampType) and isinstance(types[1], DayTimeIntervalType):
            return _both(parts, _ARITHMETIC[name])
        wrap = _wrapped(rex.type) if all(_is_integer(t) or isinstance(t, DoubleType) for t in types) else None
        return None if wrap is None else _mapped(_both(parts, _ARITHMETIC[name]), wrap)
    if name in ("AND", "OR"):
        return _logic(parts, name == "AND")
    if name == "NOT":
        return _mapped(parts[0], operator.not_)
    if name in ("IS_NULL", "IS_NOT_NULL"):
        return _null_test(parts[0], name == "IS_NULL")
    return None


def _both(parts: list[Maker], apply: Callable[[Any, Any], Any]) -> Maker:
    def make(columns: Columns) -> Value:
        left, right = (p(columns) for p in parts)

        def value(run: Bounds, row: int) -> Any:
            a, b = left(run, row), right(run, row)
            return None if a is None or b is None else apply(a, b)

        return value

    return make


def _logic(parts: list[Maker], is_and: bool) -> Maker:
    decides = not is_and

    def make(columns: Columns) -> Value:
        bound = [p(columns) for p in parts]

        def value(run: Bounds, row: int) -> Any:
            result: bool | None = is_and
            for part in bound:
                found = part(run, row)
                if found is decides:
                    return decides
                if found is None:
                    result = None
            return result

        return value

    return make


def _null_test(part: Maker, is_null: bool) -> Maker:
    def make(columns: Columns) -> Value:
        get = part(columns)
        return lambda run, row: (get(run, row) is None) is is_null

    return make
