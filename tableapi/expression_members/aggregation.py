"""Aggregate functions on expressions.

May import the expression base only; the functions themselves are declared in `tableapi.functions`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tableapi.errors import ValidationError
from tableapi.expression_base import ExpressionBase, caller
from tableapi.plan.unresolved import Call

if TYPE_CHECKING:
    from tableapi.expression import Expression


class AggregationMembers(ExpressionBase):
    """Members of `Expression` that aggregate the rows of a group."""

    __slots__ = ()

    @property
    def sum(self) -> Expression:
        """The sum; NULL when every value is NULL."""
        return self._call("SUM")

    @property
    def sum0(self) -> Expression:
        """The sum; 0 when every value is NULL."""
        return self._call("SUM0")

    @property
    def min(self) -> Expression:
        """The smallest value."""
        return self._call("MIN")

    @property
    def max(self) -> Expression:
        """The largest value."""
        return self._call("MAX")

    @property
    def count(self) -> Expression:
        """How many values are not NULL."""
        return self._call("COUNT")

    @property
    def avg(self) -> Expression:
        """The mean, in the type of the values."""
        return self._call("AVG")

    @property
    def first_value(self) -> Expression:
        """The first value that is not NULL."""
        return self._call("FIRST_VALUE")

    @property
    def last_value(self) -> Expression:
        """The last value that is not NULL."""
        return self._call("LAST_VALUE")

    def list_agg(self, separator: Any = None) -> Expression:
        """The texts joined by `separator` (a comma by default)."""
        return self._call("LISTAGG", separator)

    @property
    def stddev_pop(self) -> Expression:
        """The standard deviation of the whole population."""
        return self._call("STDDEV_POP")

    @property
    def stddev_samp(self) -> Expression:
        """The standard deviation of a sample."""
        return self._call("STDDEV_SAMP")

    @property
    def var_pop(self) -> Expression:
        """The variance of the whole population."""
        return self._call("VAR_POP")

    @property
    def var_samp(self) -> Expression:
        """The variance of a sample."""
        return self._call("VAR_SAMP")

    @property
    def collect(self) -> Expression:
        """The values that are not NULL as a MULTISET."""
        return self._call("COLLECT")

    @property
    def array_agg(self) -> Expression:
        """The values as an ARRAY, NULL included."""
        return self._call("ARRAY_AGG")

    def percentile(self, percentage: Any, frequency: Any = None) -> Expression:
        """The interpolated value at `percentage` (0 to 1, or an array of such); each value counts `frequency` times."""
        return self._call("PERCENTILE", percentage, frequency)

    @property
    def distinct(self) -> Expression:
        """The same aggregate over different values only.

        >>> from tableapi.expressions import col
        >>> col("a").count.distinct
        distinct(count(a))

        Raises:
            ValidationError: This is not an aggregate call.
        """
        where = caller()
        if isinstance(self._node, Call):
            return self._make(replace(self._node, distinct=True, where=where))
        raise ValidationError(
            "distinct needs a built-in aggregate call", where=where, fix="for example col('a').count.distinct"
        )
