"""Typed expressions: what `resolve.py` makes of the user's expressions, and what the runtime lowers to Polars.

Plain immutable data with a short, stable text form (used in `explain()`, errors and snapshots). A function is named, not
held: its declaration is looked up in `tableapi.functions`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tableapi.errors import Location
from tableapi.types import DataType


@dataclass(frozen=True)
class Rex:
    """Base of all typed expressions."""

    type: DataType
    where: Location | None = field(default=None, compare=False, kw_only=True, repr=False)

    @property
    def children(self) -> tuple[Rex, ...]:
        """Sub-expressions, in order."""
        return ()

    def with_children(self, children: tuple[Rex, ...]) -> Rex:
        """A copy with other sub-expressions."""
        assert not children
        return self


@dataclass(frozen=True)
class Ref(Rex):
    """A column of the input, by name (names are unique within a node's schema)."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class OuterRef(Rex):
    """A column of an enclosing query (`depth` 1 is the next one out), inside a correlated sub-query."""

    name: str
    depth: int = 1

    def __str__(self) -> str:
        return f"outer{self.depth}.{self.name}"


@dataclass(frozen=True)
class Literal(Rex):
    """A constant in the canonical Python form of its type (see `unresolved.Lit`)."""

    value: Any

    def __str__(self) -> str:
        match self.value:
            case None:
                return "NULL"
            case bool():
                return str(self.value).upper()
            case str():
                return "'" + self.value.replace("'", "''") + "'"
            case datetime.timedelta():
                return f"INTERVAL {self.value}"
            case _:
                return str(self.value)


@dataclass(frozen=True)
class Call(Rex):
    """A scalar built-in function. `args` already have the types that the function wants."""

    function: str
    args: tuple[Rex, ...] = ()

    @property
    def children(self) -> tuple[Rex, ...]:
        return self.args

    def with_children(self, children: tuple[Rex, ...]) -> Call:
        return replace(self, args=children)

    def __str__(self) -> str:
        if self.function in _INFIX and len(self.args) == 2:
            return f"({self.args[0]} {_INFIX[self.function]} {self.args[1]})"
        if self.function in _POSTFIX:
            return f"{self.args[0]} {_POSTFIX[self.function]}"
        return f"{self.function}({', '.join(map(str, self.args))})"


@dataclass(frozen=True)
class UdfCall(Rex):
    """A Python scalar function. `function` is the `tableapi.udf` wrapper (shipped by cloudpickle)."""

    function: Any
    args: tuple[Rex, ...] = ()

    @property
    def children(self) -> tuple[Rex, ...]:
        return self.args

    def with_children(self, children: tuple[Rex, ...]) -> UdfCall:
        return replace(self, args=children)

    def __str__(self) -> str:
        return f"{self.function.name}({', '.join(map(str, self.args))})"


@dataclass(frozen=True)
class Cast(Rex):
    """Conversion to `type`. A value that does not fit is an error, or NULL with `is_try`."""

    arg: Rex
    is_try: bool = False
    is_implicit: bool = False

    @property
    def children(self) -> tuple[Rex, ...]:
        return (self.arg,)

    def with_children(self, children: tuple[Rex, ...]) -> Cast:
        return replace(self, arg=children[0])

    def __str__(self) -> str:
        return f"{'TRY_CAST' if self.is_try else 'CAST'}({self.arg} AS {self.type.nullable()})"


@dataclass(frozen=True)
class SubqueryRex(Rex):
    """A sub-query used as a value; the decorrelation rules turn it into a join before anything runs."""

    kind: str
    plan: Any
    args: tuple[Rex, ...] = ()
    negated: bool = False

    @property
    def children(self) -> tuple[Rex, ...]:
        return self.args

    def with_children(self, children: tuple[Rex, ...]) -> SubqueryRex:
        return replace(self, args=children)

    def __str__(self) -> str:
        return f"{'NOT ' if self.negated else ''}{self.kind.upper()}({', '.join(map(str, self.args))}, <query>)"


@dataclass(frozen=True)
class SortKey:
    """A column to sort by. `nulls_first` is always decided."""

    column: str
    ascending: bool = True
    nulls_first: bool = True

    def __str__(self) -> str:
        default = self.nulls_first == self.ascending
        nulls = "" if default else f" NULLS {'FIRST' if self.nulls_first else 'LAST'}"
        return f"{self.column} {'ASC' if self.ascending else 'DESC'}{nulls}"


@dataclass(frozen=True)
class AggCall:
    """An aggregate function over a group. Arguments are columns of the input (`Ref`) or constants (`Literal`)."""

    function: str
    args: tuple[Rex, ...]
    type: DataType
    distinct: bool = False
    filter: str | None = None
    """A BOOLEAN column of the input; only rows where it is TRUE count."""
    order_by: tuple[SortKey, ...] = ()
    udaf: Any = None
    """The `tableapi.udf` wrapper when this is a Python aggregate."""

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.args)) or ("*" if self.function == "COUNT" else "")
        text = f"{self.function}({'DISTINCT ' if self.distinct else ''}{inner})"
        if self.order_by:
            text += f" WITHIN GROUP ({', '.join(map(str, self.order_by))})"
        return f"{text} FILTER {self.filter}" if self.filter else text


_INFIX = {
    "PLUS": "+",
    "MINUS": "-",
    "TIMES": "*",
    "DIVIDE": "/",
    "MOD": "%",
    "EQUALS": "=",
    "NOT_EQUALS": "<>",
    "LESS": "<",
    "LESS_OR_EQUAL": "<=",
    "GREATER": ">",
    "GREATER_OR_EQUAL": ">=",
    "AND": "AND",
    "OR": "OR",
    "CONCAT_OPERATOR": "||",
    "LIKE": "LIKE",
}
_POSTFIX = {"IS_NULL": "IS NULL", "IS_NOT_NULL": "IS NOT NULL"}


def walk(rex: Rex) -> list[Rex]:
    """The expression and all expressions below it, top down."""
    found: list[Rex] = []
    left = [rex]
    while left:
        part = left.pop()
        found.append(part)
        left.extend(reversed(part.children))
    return found


def transform(rex: Rex, change: Callable[[Rex], Rex | None]) -> Rex:
    """A copy in which `change` was applied bottom up; where it returns None the expression stays."""
    if rex.children:
        children = tuple([transform(c, change) for c in rex.children])
        if any(new is not old for new, old in zip(children, rex.children, strict=True)):
            rex = rex.with_children(children)
    return change(rex) or rex


def columns(rex: Rex) -> set[str]:
    """Names of the input columns that the expression reads."""
    return {r.name for r in walk(rex) if isinstance(r, Ref)}


def substitute(rex: Rex, by_name: Mapping[str, Rex]) -> Rex:
    """A copy in which references to columns are replaced by expressions."""
    return transform(rex, lambda r: by_name.get(r.name) if isinstance(r, Ref) else None)


def conjuncts(rex: Rex) -> list[Rex]:
    """The parts of a condition that are joined by AND."""
    if isinstance(rex, Call) and rex.function == "AND":
        return [part for arg in rex.args for part in conjuncts(arg)]
    return [rex]
