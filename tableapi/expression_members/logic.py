"""Comparison, NULL tests and conditions on expressions.

May import the expression base only; the functions themselves are declared in `tableapi.functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tableapi.expression_base import ExpressionBase, caller, make_call, to_node
from tableapi.plan.unresolved import Call, Subquery

if TYPE_CHECKING:
    from tableapi.expression import Expression


class LogicMembers(ExpressionBase):
    """Members of `Expression` for conditions."""

    __slots__ = ()

    def between(self, lower_bound: Any, upper_bound: Any) -> Expression:
        """Whether the value is at least `lower_bound` and at most `upper_bound`."""
        return self._call("BETWEEN", lower_bound, upper_bound)

    def if_null(self, null_replacement: Any) -> Expression:
        """The value, or `null_replacement` where it is NULL."""
        return self._call("IFNULL", null_replacement)

    @property
    def is_null(self) -> Expression:
        """Whether the value is NULL."""
        return self._call("IS_NULL")

    @property
    def is_not_null(self) -> Expression:
        """Whether the value is not NULL."""
        return self._call("IS_NOT_NULL")

    @property
    def is_true(self) -> Expression:
        """Whether the condition is TRUE (FALSE for unknown)."""
        return self._call("IS_TRUE")

    @property
    def is_false(self) -> Expression:
        """Whether the condition is FALSE (FALSE for unknown)."""
        return self._call("IS_FALSE")

    @property
    def is_not_true(self) -> Expression:
        """Whether the condition is FALSE or unknown."""
        return self._call("IS_NOT_TRUE")

    @property
    def is_not_false(self) -> Expression:
        """Whether the condition is TRUE or unknown."""
        return self._call("IS_NOT_FALSE")

    def not_between(self, lower_bound: Any, upper_bound: Any) -> Expression:
        """Whether the value is below `lower_bound` or above `upper_bound`."""
        where = caller()
        return self._make(Call("NOT", (make_call("BETWEEN", (self, lower_bound, upper_bound), where),), where=where))

    def then(self, if_true: Any, if_false: Any) -> Expression:
        """`if_true` where this condition is TRUE, else `if_false`.

        >>> from tableapi.expressions import col
        >>> (col("a") > 1).then("big", "small")
        ifThenElse(greaterThan(a, 1), 'big', 'small')
        """
        return self._call("CASE", if_true, to_node(if_false))

    def in_(self, first_element_or_table: Any, *remaining_elements: Any) -> Expression:
        """Whether the value is one of the elements, or in the only column of a table.

        Args:
            first_element_or_table: A value, a list of values, or a `Table` of one column.
            remaining_elements: Further values.
        """
        where = caller()
        first = first_element_or_table
        if getattr(first, "_relation", None) is not None:
            return self._make(Subquery("in", first._plan(), (self._node,), where=where))
        elements = (*first, *remaining_elements) if isinstance(first, list | tuple | set) else (first, *remaining_elements)
        return self._make(make_call("IN", (self, *elements), where))
