"""Dates, times and intervals on expressions.

May import the expression base only; the functions themselves are declared in `tableapi.functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tableapi.expression_base import ExpressionBase, caller, interval, make_call
from tableapi.expression_enums import TimeIntervalUnit
from tableapi.plan.unresolved import Cast
from tableapi.types import DataType, DateType, IntervalUnit, TimestampType, TimeType

if TYPE_CHECKING:
    from tableapi.expression import Expression


class TemporalMembers(ExpressionBase):
    """Members of `Expression` for points in time and intervals."""

    __slots__ = ()

    @property
    def to_date(self) -> Expression:
        """The text (yyyy-MM-dd) as a DATE."""
        return self._cast_to(DateType())

    @property
    def to_time(self) -> Expression:
        """The text (HH:mm:ss) as a TIME."""
        return self._cast_to(TimeType())

    @property
    def to_timestamp(self) -> Expression:
        """The text (yyyy-MM-dd HH:mm:ss[.SSS]) as a TIMESTAMP(3)."""
        return self._cast_to(TimestampType(3))

    def extract(self, time_interval_unit: TimeIntervalUnit) -> Expression:
        """A field of a date, time, timestamp or interval, as BIGINT.

        >>> from tableapi.expressions import col
        >>> from tableapi.expression import TimeIntervalUnit
        >>> col("ts").extract(TimeIntervalUnit.YEAR)
        extract('YEAR', ts)
        """
        where = caller()
        return self._make(make_call("EXTRACT", (time_interval_unit, self), where))

    def floor(self, time_interval_unit: TimeIntervalUnit | None = None) -> Expression:
        """The largest whole number that is not above; with a unit, the start of that unit of time."""
        return self._call("FLOOR", time_interval_unit)

    def ceil(self, time_interval_unit: TimeIntervalUnit | None = None) -> Expression:
        """The smallest whole number that is not below; with a unit, the end of that unit of time."""
        return self._call("CEIL", time_interval_unit)

    @property
    def year(self) -> Expression:
        """An interval of this many years."""
        return self._interval(1, IntervalUnit.YEAR)

    @property
    def years(self) -> Expression:
        """An interval of this many years."""
        return self._interval(1, IntervalUnit.YEAR)

    @property
    def quarter(self) -> Expression:
        """An interval of this many quarters."""
        return self._interval(3, IntervalUnit.MONTH)

    @property
    def quarters(self) -> Expression:
        """An interval of this many quarters."""
        return self._interval(3, IntervalUnit.MONTH)

    @property
    def month(self) -> Expression:
        """An interval of this many months."""
        return self._interval(1, IntervalUnit.MONTH)

    @property
    def months(self) -> Expression:
        """An interval of this many months."""
        return self._interval(1, IntervalUnit.MONTH)

    @property
    def week(self) -> Expression:
        """An interval of this many weeks."""
        return self._interval(7, IntervalUnit.DAY)

    @property
    def weeks(self) -> Expression:
        """An interval of this many weeks."""
        return self._interval(7, IntervalUnit.DAY)

    @property
    def day(self) -> Expression:
        """An interval of this many days."""
        return self._interval(1, IntervalUnit.DAY)

    @property
    def days(self) -> Expression:
        """An interval of this many days."""
        return self._interval(1, IntervalUnit.DAY)

    @property
    def hour(self) -> Expression:
        """An interval of this many hours."""
        return self._interval(1, IntervalUnit.HOUR)

    @property
    def hours(self) -> Expression:
        """An interval of this many hours."""
        return self._interval(1, IntervalUnit.HOUR)

    @property
    def minute(self) -> Expression:
        """An interval of this many minutes."""
        return self._interval(1, IntervalUnit.MINUTE)

    @property
    def minutes(self) -> Expression:
        """An interval of this many minutes."""
        return self._interval(1, IntervalUnit.MINUTE)

    @property
    def second(self) -> Expression:
        """An interval of this many seconds."""
        return self._interval(1, IntervalUnit.SECOND)

    @property
    def seconds(self) -> Expression:
        """An interval of this many seconds."""
        return self._interval(1, IntervalUnit.SECOND)

    @property
    def milli(self) -> Expression:
        """An interval of this many milliseconds."""
        return self._interval(0.001, IntervalUnit.SECOND)

    @property
    def millis(self) -> Expression:
        """An interval of this many milliseconds."""
        return self._interval(0.001, IntervalUnit.SECOND)

    def _interval(self, count: float, unit: IntervalUnit) -> Expression:
        return self._make(interval(self._node, count, unit, caller()))

    def _cast_to(self, data_type: DataType) -> Expression:
        return self._make(Cast(self._node, data_type, where=caller()))
