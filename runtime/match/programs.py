"""Conditions on rows matched before, as programs for the compiled search: comparisons, logic, simple arithmetic and the common aggregates over
whole numbers, times, booleans and DOUBLE. Texts, decimals and other functions have no program; `conditions.py` tests them row by row.

Imports the plan's expressions, NumPy and Polars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from tableapi.plan.match_node import PatternAgg, PatternRef
from tableapi.plan.rex import Call, Cast, Literal, Ref, Rex
from tableapi.runtime.match import evaluation as ev
from tableapi.types import (
    AnyTimestampType,
    BigIntType,
    BooleanType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DoubleType,
    IntType,
    SmallIntType,
    TinyIntType,
)

_BITS = {TinyIntType: 8, SmallIntType: 16, IntType: 32, BigIntType: 64}
_COMPARISONS = ("EQUALS", "NOT_EQUALS", "LESS", "LESS_OR_EQUAL", "GREATER", "GREATER_OR_EQUAL")
_ARITHMETIC = ("PLUS", "MINUS", "TIMES")
_LOGIC = {"AND": ev.AND, "OR": ev.OR, "NOT": ev.NOT, "IS_NULL": ev.IS_NULL, "IS_NOT_NULL": ev.IS_NOT_NULL}
_AGGREGATES = {"COUNT": ev.COUNT, "SUM": ev.SUM, "AVG": ev.AVG, "MIN": ev.MIN, "MAX": ev.MAX}
_MAX_STACK = 32

Instruction = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Programs:
    """The programs of all variables of a pattern, as `evaluation.Tests` says. A variable without one is tested by its flag."""

    code: ev.Ints
    columns: tuple[str, ...]
    constants: ev.Reals

    def bind(self, flags: Any, frame: pl.DataFrame) -> ev.Tests:
        """The tests over given rows. `flags`: for each variable and row, whether the variable takes the row if it has no program."""
        height, width = frame.height, len(self.columns)
        whole, reals = np.zeros((3, width, height + 1), dtype=np.int64), np.zeros((width, height))
        for i, name in enumerate(self.columns):
            column = frame[name]
            if column.dtype == pl.Float64():
                reals[i] = column.fill_null(0.0).to_numpy()
            else:
                whole[ev.VALUES, i, :height] = _as_integers(column)
            np.cumsum(whole[ev.VALUES, i, :height], out=whole[ev.SUMS, i, 1:])
            np.cumsum(column.is_not_null().to_numpy(), out=whole[ev.COUNTS, i, 1:])
        return flags, self.code, whole, reals, self.constants, np.zeros((2, _MAX_STACK), dtype=np.int64), np.zeros(_MAX_STACK)


def _as_integers(column: pl.Series) -> Any:
    if isinstance(column.dtype, pl.Datetime):
        column = column.dt.timestamp("us")
    elif column.dtype == pl.Date():
        column = column.to_physical()
    return column.cast(pl.Int64()).fill_null(0).to_numpy()


def programs_of(conditions: Sequence[Rex | None], positions: Mapping[str, int]) -> Programs | None:
    """The programs of the conditions of all variables; None when one has no program. No condition: tested by a flag."""
    writer = _Writer(positions)
    bounds: list[Instruction] = []
    for rex in conditions:
        begin = len(writer.code)
        if rex is not None and (writer.write(rex) is not bool or writer.deepest > _MAX_STACK):
            return None
        bounds.append((len(conditions) + begin, len(conditions) + len(writer.code), 0, 0, 0))
    code = np.array([*bounds, *writer.code], dtype=np.int64).reshape(-1, 5)
    return Programs(code, tuple(writer.columns), np.array(writer.constants, dtype=np.float64))


Kind = type[int] | type[float] | type[bool] | None
"""How a value is kept: as a whole number (also times and dates), as a fraction, or as the truth of a condition; None: it has no program."""


@dataclass
class _Writer:
    """Writes instructions in the order in which a stack machine needs them."""

    positions: Mapping[str, int]
    code: list[Instruction] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    constants: list[float] = field(default_factory=list)
    deepest: int = 0

    def write(self, rex: Rex, depth: int = 1) -> Kind:
        """Writes what computes an expression on top of `depth` - 1 values; the kind of its value."""
        self.deepest = max(self.deepest, depth)
        match rex:
            case PatternRef(column=column, offset=offset, is_first=is_first):
                kind = _kind(rex.type)
                self._add(ev.REF, self._column(column), self._position(rex.variable), is_first + 2 * (kind is float), offset)
                return kind
            case PatternAgg():
                return self._aggregate(rex)
            case Literal(value=value):
                return self._literal(value, rex.type)
            case Cast(arg=arg):
                return self._cast(self.write(arg, depth), arg.type, rex.type)
            case Call(args=args):
                return self._call(rex, [self.write(a, depth + i) for i, a in enumerate(args)], depth)
        return None

    def _add(self, operation: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> None:
        self.code.append((operation, a, b, c, d))

    def _column(self, name: str) -> int:
        if name not in self.columns:
            self.columns.append(name)
        return self.columns.index(name)

    def _position(self, variable: str | None) -> int:
        return -1 if variable is None else self.positions[variable]

    def _literal(self, value: Any, data_type: DataType) -> Kind:
        kind = int if isinstance(data_type, DayTimeIntervalType) else _kind(data_type)
        if value is None:
            self._add(ev.CONSTANT)
        elif kind is float:
            self.constants.append(float(value))
            self._add(ev.CONSTANT, 2, len(self.constants) - 1)
        else:
            number = _number(value)
            if number is None or kind is None:
                return None
            self._add(ev.CONSTANT, 1, number)
        return kind

    def _cast(self, kind: Kind, source: DataType, target: DataType) -> Kind:
        if kind is int and isinstance(target, DoubleType) and type(source) in _BITS:
            self._add(ev.TO_REAL)
            return float
        if type(source) in _BITS and type(target) in _BITS:
            return kind if _BITS[type(source)] <= _BITS[type(target)] else None  # type: ignore[index]
        if type(source) is type(target) and isinstance(source, AnyTimestampType) and isinstance(target, AnyTimestampType):
            return kind if source.precision <= target.precision <= 6 else None
        return kind if type(source) is type(target) and isinstance(source, BooleanType | DateType | DoubleType) else None

    def _aggregate(self, aggregate: PatternAgg) -> Kind:
        call, position = aggregate.call, self._position(aggregate.variable)
        if call.function == "COUNT" and (not call.args or isinstance(call.args[0], Literal)) and not call.distinct:
            self._add(ev.COUNT, -1, position)
            return int
        arg = call.args[0] if len(call.args) == 1 else None
        operation = _AGGREGATES.get(call.function)
        if operation is None or not isinstance(arg, Ref) or call.distinct or call.filter is not None:
            return None
        is_real = isinstance(call.type, DoubleType) and isinstance(arg.type, DoubleType)
        if operation == ev.COUNT and _kind(arg.type) is not None:
            self._add(operation, self._column(arg.name), position)
        elif operation == ev.SUM and is_real:
            self._add(ev.SUM_REALS, self._column(arg.name), position)
        elif type(call.type) in _BITS and type(arg.type) in _BITS:
            self._add(operation, self._column(arg.name), position, _BITS[type(call.type)])  # type: ignore[index]
        else:
            return None
        return float if operation == ev.SUM and is_real else int

    def _call(self, rex: Call, kinds: list[Kind], depth: int) -> Kind:
        name = rex.function
        if any(k is None for k in kinds):
            return None
        if name in _COMPARISONS and len(kinds) == 2 and kinds[0] is kinds[1]:
            self._add(ev.COMPARE, _COMPARISONS.index(name), int(kinds[0] is float))
            return bool
        if name in _ARITHMETIC and len(kinds) == 2 and kinds[0] is kinds[1] and kinds[0] is not bool:
            bits = _arithmetic_bits(rex)
            if bits is None:
                return None
            self._add(ev.ARITHMETIC, _ARITHMETIC.index(name), int(kinds[0] is float), bits)
            return kinds[0]
        if name in _LOGIC:
            if name in ("IS_NULL", "IS_NOT_NULL"):
                self._add(_LOGIC[name])
                return bool
            if any(k is not bool for k in kinds):
                return None
            for _ in range(max(1, len(kinds) - 1)):
                self._add(_LOGIC[name])
            return bool
        return None


def _arithmetic_bits(rex: Call) -> int | None:
    """How many bits the result of arithmetic has; None where it is not done on plain numbers."""
    types = [a.type for a in rex.args]
    if isinstance(types[0], AnyTimestampType) and isinstance(types[1], DayTimeIntervalType) and rex.function != "TIMES":
        return 64
    if all(isinstance(t, DoubleType) for t in types):
        return 64
    if type(rex.type) in _BITS and all(type(t) in _BITS for t in types):
        return _BITS[type(rex.type)]  # type: ignore[index]
    return None


def _kind(data_type: DataType) -> Kind:
    if isinstance(data_type, DoubleType):
        return float
    if isinstance(data_type, BooleanType):
        return bool
    if isinstance(data_type, AnyTimestampType):
        return int if data_type.precision <= 6 else None
    return int if type(data_type) in _BITS or isinstance(data_type, DateType) else None


def _number(value: Any) -> int | None:
    """A constant as the whole number that columns of its type hold."""
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    if isinstance(value, datetime):
        return None if value.tzinfo is not None else (value - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    if isinstance(value, date):
        return value.toordinal() - date(1970, 1, 1).toordinal()
    return int(value) if isinstance(value, int) else None
