"""`Expression`: what a user builds columns and conditions from. The members are in `expression_members/`, one file a topic.

May import types, errors and plan.unresolved; never runtime or connectors.
"""

from __future__ import annotations

from typing import Any

from tableapi.errors import ValidationError
from tableapi.expression_base import caller, make_call
from tableapi.expression_enums import (
    JsonExistsOnError,
    JsonOnNull,
    JsonQueryOnEmptyOrError,
    JsonQueryWrapper,
    JsonType,
    JsonValueOnEmptyOrError,
    TimeIntervalUnit,
    TimePointUnit,
)
from tableapi.expression_members.aggregation import AggregationMembers
from tableapi.expression_members.bitmap import BitmapMembers
from tableapi.expression_members.collection import CollectionMembers
from tableapi.expression_members.hashing import HashingMembers
from tableapi.expression_members.json import JsonMembers
from tableapi.expression_members.logic import LogicMembers
from tableapi.expression_members.naming import NamingMembers
from tableapi.expression_members.numeric import NumericMembers
from tableapi.expression_members.string import StringMembers
from tableapi.expression_members.temporal import TemporalMembers
from tableapi.expression_text import expression_text

__all__ = [
    "Expression",
    "JsonExistsOnError",
    "JsonOnNull",
    "JsonQueryOnEmptyOrError",
    "JsonQueryWrapper",
    "JsonType",
    "JsonValueOnEmptyOrError",
    "TimeIntervalUnit",
    "TimePointUnit",
]


class Expression(
    NumericMembers,
    LogicMembers,
    AggregationMembers,
    NamingMembers,
    StringMembers,
    TemporalMembers,
    CollectionMembers,
    HashingMembers,
    JsonMembers,
    BitmapMembers,
):
    """A column, a constant, or a computation over them; nothing runs until a result is asked for.

    Operators follow SQL: `&`, `|` are AND, OR (three-valued), `/` on integers truncates, `expr[i]` is a 1-based array element
    or a map value, `expr.name` is a field of a ROW. `~x` is IS NOT TRUE; three-valued negation is `expressions.not_(x)`.

    >>> from tableapi.expressions import col, lit
    >>> (col("price") * col("qty") + lit(1)).alias("total")
    as(plus(times(price, qty), 1), 'total')
    """

    __slots__ = ()

    def __eq__(self, other: Any) -> Expression:  # type: ignore[override]
        return self._call("EQUALS", to_operand(other))

    def __ne__(self, other: Any) -> Expression:  # type: ignore[override]
        return self._call("NOT_EQUALS", to_operand(other))

    def __lt__(self, other: Any) -> Expression:
        return self._call("LESS", to_operand(other))

    def __gt__(self, other: Any) -> Expression:
        return self._call("GREATER", to_operand(other))

    def __le__(self, other: Any) -> Expression:
        return self._call("LESS_OR_EQUAL", to_operand(other))

    def __ge__(self, other: Any) -> Expression:
        return self._call("GREATER_OR_EQUAL", to_operand(other))

    def __and__(self, other: Any) -> Expression:
        return self._call("AND", to_operand(other))

    def __or__(self, other: Any) -> Expression:
        return self._call("OR", to_operand(other))

    def __rand__(self, other: Any) -> Expression:
        return self._reflected("AND", other)

    def __ror__(self, other: Any) -> Expression:
        return self._reflected("OR", other)

    def __invert__(self) -> Expression:
        return self._call("IS_NOT_TRUE")

    def __neg__(self) -> Expression:
        return self._call("NEGATE")

    def __abs__(self) -> Expression:
        return self._call("ABS")

    def __add__(self, other: Any) -> Expression:
        return self._call("PLUS", to_operand(other))

    def __sub__(self, other: Any) -> Expression:
        return self._call("MINUS", to_operand(other))

    def __mul__(self, other: Any) -> Expression:
        return self._call("TIMES", to_operand(other))

    def __truediv__(self, other: Any) -> Expression:
        return self._call("DIVIDE", to_operand(other))

    def __mod__(self, other: Any) -> Expression:
        return self._call("MOD", to_operand(other))

    def __pow__(self, other: Any) -> Expression:
        return self._call("POWER", to_operand(other))

    def __radd__(self, other: Any) -> Expression:
        return self._reflected("PLUS", other)

    def __rsub__(self, other: Any) -> Expression:
        return self._reflected("MINUS", other)

    def __rmul__(self, other: Any) -> Expression:
        return self._reflected("TIMES", other)

    def __rtruediv__(self, other: Any) -> Expression:
        return self._reflected("DIVIDE", other)

    def __rmod__(self, other: Any) -> Expression:
        return self._reflected("MOD", other)

    def __rpow__(self, other: Any) -> Expression:
        return self._reflected("POWER", other)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise ValidationError(
            f"an expression has no truth value before it runs: {self}",
            where=caller(),
            fix="use & | and not_() instead of `and`, `or`, `not`; expr.in_(…) instead of `in`; then() instead of `if`",
        )

    def __getitem__(self, index: Any) -> Expression:
        if isinstance(index, slice):
            raise ValidationError("an expression cannot be sliced", where=caller(), fix="use array_slice() or substring()")
        return self.at(index)

    def __getattr__(self, name: str) -> Expression:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.get(name)

    def __iter__(self) -> Any:
        raise TypeError("an expression cannot be iterated over")

    def __str__(self) -> str:
        return expression_text(self._node)

    __repr__ = __str__

    def __copy__(self) -> Expression:
        return self

    def __deepcopy__(self, memo: Any) -> Expression:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (Expression, (self._node,))

    def _reflected(self, function: str, other: Any) -> Expression:
        return Expression(make_call(function, (other, self), caller()))


def to_operand(value: Any) -> Any:
    """The value as an operand, so that a literal `None` is passed on rather than taken for an absent argument."""
    from tableapi.expression_base import to_node

    return to_node(value, caller())
