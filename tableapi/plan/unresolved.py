"""Expressions as the user wrote them: names not yet looked up, types not yet known.

Both front ends (the Table API's `Expression`, the SQL translator) build these nodes; `resolve.py` turns them into
the typed expressions of `rex.py`. Each node remembers where it was written. Plain immutable data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tableapi.errors import Location
from tableapi.types import DataType


@dataclass(frozen=True)
class Unresolved:
    """Base of all unresolved expressions. `where` does not take part in equality."""

    where: Location | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True)
class Name(Unresolved):
    """A column, possibly qualified by a table alias or followed by field names: `("o", "info", "a")`."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class Lit(Unresolved):
    """A constant. `data_type` is None when it follows from the Python value (int → INT or BIGINT, str → CHAR(n), ...).

    `value` is in the canonical Python form of its type: int, float, Decimal, str, bool, bytes, datetime.date/time/
    datetime (naive for TIMESTAMP, UTC-aware for TIMESTAMP_LTZ), datetime.timedelta for day-time intervals, int months for
    year-month intervals, None.
    """

    value: Any
    data_type: DataType | None = None


@dataclass(frozen=True)
class Call(Unresolved):
    """A built-in or catalog function by its canonical registry name (upper case), or its user-given name.

    Operators are functions too: PLUS, MINUS, TIMES, DIVIDE, MOD, EQUALS, NOT_EQUALS, LESS, LESS_OR_EQUAL, GREATER,
    GREATER_OR_EQUAL, AND, OR, NOT, IS_NULL, IS_NOT_NULL, IS_TRUE…, BETWEEN, IN, LIKE, CASE (c1, v1, c2, v2, …, else), NEGATE,
    CONCAT_OPERATOR (`||`), GET (row field by name), AT (array/map element).
    `distinct`, `filter` and `order_by` belong to aggregate calls.
    """

    function: str
    args: tuple[Unresolved, ...] = ()
    distinct: bool = False
    filter: Unresolved | None = None
    order_by: tuple[SortItem, ...] = ()


@dataclass(frozen=True)
class UdfCall(Unresolved):
    """A call of a Python function object (a `tableapi.udf` wrapper), not of a catalog name."""

    function: Any
    args: tuple[Unresolved, ...] = ()


@dataclass(frozen=True)
class Cast(Unresolved):
    """CAST or, with `is_try`, TRY_CAST."""

    arg: Unresolved
    data_type: DataType
    is_try: bool = False


@dataclass(frozen=True)
class As(Unresolved):
    """An expression with an output name (several for a table function's columns)."""

    arg: Unresolved
    names: tuple[str, ...]


@dataclass(frozen=True)
class Star(Unresolved):
    """`*` or `t.*`."""

    qualifier: str | None = None


@dataclass(frozen=True)
class ColumnRange(Unresolved):
    """Columns by position (1-based) or name range: `with_columns(range_(a, b))`; `invert` for `without_columns`."""

    items: tuple[Unresolved, ...]
    invert: bool = False


@dataclass(frozen=True)
class SortItem(Unresolved):
    """A sort key. `nulls_first` None means Flink's default: NULL is the lowest value (first ascending, last descending)."""

    arg: Unresolved
    ascending: bool = True
    nulls_first: bool | None = None


@dataclass(frozen=True)
class Bound(Unresolved):
    """An end of an OVER frame. `offset` None is unbounded; Lit(0) is the current row; sign: negative = preceding."""

    offset: Unresolved | None
    is_preceding: bool = True


@dataclass(frozen=True)
class Over(Unresolved):
    """An aggregate or ranking call over a window of rows."""

    call: Unresolved
    partition_by: tuple[Unresolved, ...] = ()
    order_by: tuple[SortItem, ...] = ()
    is_rows: bool = False
    lower: Bound | None = None
    upper: Bound | None = None


@dataclass(frozen=True)
class OverAlias(Unresolved):
    """`expr.over(col("w"))`: the Table API names a window that `over_window()` defined."""

    call: Unresolved
    window: str


@dataclass(frozen=True)
class WindowProperty(Unresolved):
    """`col("w").start`, `.end`, `.rowtime`, `.proctime` of a group window, and SQL's TUMBLE_START(…) family."""

    window: str
    property: str


@dataclass(frozen=True)
class Subquery(Unresolved):
    """A query inside an expression. `kind`: "scalar", "exists" or "in" (then `args` are the left-hand values).

    `plan` is a `plan.nodes.Node`; references to the enclosing query are `rex.OuterRef`s in it.
    """

    kind: str
    plan: Any
    args: tuple[Unresolved, ...] = ()
    negated: bool = False
