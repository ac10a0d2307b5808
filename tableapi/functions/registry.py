"""The function registry: every built-in is one declaration, read by both front ends, both runtimes, and the docs.

Owns the shape of a declaration and the look-up by name. The declarations themselves live in the sibling files, one file a
topic; `lookup` loads them on first use. May import types, plan.rex, errors. Polars expressions are built here, never run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any

import polars as pl

from tableapi.errors import TypeMismatchError, UnknownNameError, did_you_mean
from tableapi.plan.rex import Literal, Rex
from tableapi.types import DataType


class FunctionKind(Enum):
    """What a function takes and gives."""

    SCALAR = "scalar"
    AGGREGATE = "aggregate"
    RANKING = "ranking"
    TABLE = "table"


@dataclass(frozen=True)
class SessionContext:
    """What an expression may depend on besides its input: the session time zone and the job's start."""

    time_zone: str = "UTC"
    statement_time_us: int = 0
    """Microseconds since the epoch: the value of CURRENT_TIMESTAMP in a bounded query. 0: the clock at evaluation."""
    database: str = "default_database"
    """The value of CURRENT_DATABASE()."""
    watermark_ms: int | None = None
    """The value of CURRENT_WATERMARK(): the event-time watermark that the operator has reached, None before the first."""


@dataclass(frozen=True)
class Resolved:
    """What a signature decides for a call: the types that the arguments are cast to, and the result's type."""

    arg_types: tuple[DataType, ...]
    result: DataType


Signature = Callable[[Sequence[Rex]], Resolved]
"""Checks the arguments of a call (typed expressions; a constant is a `rex.Literal`). Raises TypeMismatchError."""

Lowering = Callable[[Sequence[pl.Expr], "LoweringCall"], pl.Expr]
"""Builds the Polars expression of a call from its lowered arguments."""


@dataclass(frozen=True)
class LoweringCall:
    """What a lowering may look at besides the lowered arguments."""

    args: tuple[Rex, ...]
    type: DataType
    session: SessionContext
    guard: pl.Expr | None = None
    """When the call stands in a branch (CASE, COALESCE, right of AND/OR): whether the row takes that branch."""

    def guarded(self, value: pl.Expr) -> pl.Expr:
        """`value` where the row takes this branch, else NULL: what a check that raises must look at."""
        return value if self.guard is None else pl.when(self.guard).then(value)

    def constant(self, index: int, default: Any = None) -> Any:
        """The value of the argument at `index` when it is a constant, else `default`."""
        rex = self.args[index] if index < len(self.args) else None
        return rex.value if isinstance(rex, Literal) else default

    def is_constant(self, index: int) -> bool:
        """Whether the argument at `index` is given and constant."""
        return index < len(self.args) and isinstance(self.args[index], Literal)


def _named(name: str, signature: Signature) -> Signature:
    """The same signature, whose errors name the function, its arguments' types and the place."""

    def checked(args: Sequence[Rex]) -> Resolved:
        try:
            return signature(args)
        except TypeMismatchError as error:
            shown = ", ".join(str(a.type) for a in args)
            where = next((a.where for a in args if a.where is not None), None)
            raise TypeMismatchError(
                f"{name}({shown}): {error.what}", where=error.where or where, exists=error.exists, fix=error.fix
            ) from None

    return checked


@dataclass(frozen=True)
class ScalarFunction:
    """A function of one row.

    Args:
        name: Canonical name in upper case, unique in the registry.
        signature: Typing rule.
        lower: Polars lowering. Arguments have the resolved types already.
        sql_names: Further SQL spellings.
        api_name: Name in `tableapi.expressions` or on `Expression`, when it has one.
        is_deterministic: False for RAND, UUID and the like: never folded, never moved.
        can_fail: Whether it raises on some values (division by zero): in a branch it must look at guarded arguments.
        doc: One paragraph: what it does, NULL and error behaviour.
        examples: (SQL expression, shown result) pairs, run as tests.
        category: Chapter of docs/functions.md.
    """

    name: str
    signature: Signature
    lower: Lowering
    doc: str
    sql_names: tuple[str, ...] = ()
    api_name: str | None = None
    is_deterministic: bool = True
    can_fail: bool = False
    examples: tuple[tuple[str, str], ...] = ()
    category: str = "other"
    kind: FunctionKind = field(default=FunctionKind.SCALAR, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signature", _named(self.name, self.signature))


class AccumulatorKind(Enum):
    """The primitive running values that the stream engine can keep per group, and what can be taken back."""

    COUNT = "count"
    """Rows whose input is not NULL (input None: all rows). Retractable."""
    SUM = "sum"
    """Sum of inputs that are not NULL, 0 when there are none. Retractable."""
    MIN = "min"
    """Smallest input that is not NULL, in Flink's order. Retractable only through the values seen."""
    MAX = "max"
    """Largest input that is not NULL. Retractable only through the values seen."""
    FIRST = "first"
    """First input that is not NULL, in order of arrival. Retractable only through the values seen."""
    LAST = "last"
    """Last input that is not NULL. Retractable only through the values seen."""
    VALUES = "values"
    """The list of all inputs (NULL too) in order of arrival. Retractable."""


@dataclass(frozen=True)
class Accumulator:
    """One running value of an aggregate.

    `input` builds its input from the call's arguments (None: counts rows); `type` is the type that the running value is
    kept in (a SUM of INT is kept in BIGINT, and so on).
    """

    kind: AccumulatorKind
    type: DataType
    input: Callable[[Sequence[pl.Expr]], pl.Expr] | None = None


@dataclass(frozen=True)
class AggregateFunction:
    """A function of a group of rows.

    Batch evaluates `lower` inside a Polars `group_by().agg()`; the stream engine keeps `accumulators` and evaluates `finish`
    over their running values. Both must give the same answer for the same multiset of rows.

    Args:
        lower: (lowered arguments, call) -> aggregating Polars expression. FILTER and DISTINCT are applied by the caller
            (arguments are filtered or made unique first); `order_by` keys arrive sorted.
        accumulators: (argument types, result type) -> running values to keep.
        finish: (accumulator columns, call) -> result column, row-wise.
        lower_distinct: Like `lower`, for an argument of which equal values count once; where that is cheaper than to make them
            unique first.
    """

    name: str
    signature: Signature
    lower: Lowering
    accumulators: Callable[[Sequence[DataType], DataType], tuple[Accumulator, ...]]
    finish: Lowering
    doc: str
    sql_names: tuple[str, ...] = ()
    api_name: str | None = None
    ignores_nulls: bool = True
    lower_distinct: Lowering | None = None
    examples: tuple[tuple[str, str], ...] = ()
    category: str = "aggregate"
    kind: FunctionKind = field(default=FunctionKind.AGGREGATE, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signature", _named(self.name, self.signature))


@dataclass(frozen=True)
class RankingFunction:
    """A function of a row's place in an OVER window (ROW_NUMBER, RANK, LAG, NTILE, …); the operators implement it by name."""

    name: str
    signature: Signature
    doc: str
    sql_names: tuple[str, ...] = ()
    api_name: str | None = None
    examples: tuple[tuple[str, str], ...] = ()
    category: str = "ranking"
    kind: FunctionKind = field(default=FunctionKind.RANKING, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signature", _named(self.name, self.signature))


Function = ScalarFunction | AggregateFunction | RankingFunction

_TOPICS = (
    "arithmetic",
    "comparison",
    "logical",
    "conditional",
    "string",
    "regex",
    "codec",
    "temporal",
    "collection",
    "structured",
    "json",
    "bitmap",
    "hashing",
    "system",
    "aggregate",
    "ranking",
)


@cache
def _all() -> dict[str, Function]:
    by_name: dict[str, Function] = {}
    for topic in _TOPICS:
        functions: Sequence[Function] = import_module(f"tableapi.functions.{topic}").FUNCTIONS
        for function in functions:
            for name in (function.name, *function.sql_names):
                assert name not in by_name, f"two functions are called {name}"
                by_name[name] = function
    return by_name


def functions() -> list[Function]:
    """Every built-in, once, in declaration order."""
    return list({id(f): f for f in _all().values()}.values())


def find(name: str) -> Function | None:
    """The built-in of that SQL name (any case), or None."""
    return _all().get(name.upper())


def lookup(name: str) -> Function:
    """The built-in of that SQL name (any case).

    Raises:
        UnknownNameError: There is none; the message names the closest.
    """
    function = find(name)
    if function is None:
        raise UnknownNameError(
            f"function '{name}' does not exist",
            exists=f"{len(functions())} built-in functions (SHOW FUNCTIONS lists them)",
            fix=did_you_mean(name, _all()),
        )
    return function


def by_api_name(name: str) -> Any:
    """The built-in with that Table API name, or None."""
    return next((f for f in functions() if f.api_name == name), None)
