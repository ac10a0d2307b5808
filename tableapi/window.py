"""Windows of the Table API: `Tumble`, `Slide`, `Session` for grouping, `Over` for a row's neighbours. Names as in PyFlink.

May import expressions, errors and plan; never runtime or connectors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tableapi.errors import Location, UnsupportedError, ValidationError
from tableapi.expression import Expression
from tableapi.expression_base import (
    CURRENT_RANGE_MARK,
    CURRENT_ROW_MARK,
    ROW_INTERVAL_MARK,
    UNBOUNDED_RANGE_MARK,
    UNBOUNDED_ROW_MARK,
    caller,
    to_node,
)
from tableapi.expression_members.naming import window_name
from tableapi.plan.unresolved import Bound, Call, Lit, Name, SortItem, Star, Unresolved
from tableapi.plan.unresolved import Over as OverNode

if TYPE_CHECKING:
    from tableapi.plan.nodes import WindowKind

__all__ = [
    "GroupWindow",
    "Over",
    "OverWindow",
    "OverWindowPartitioned",
    "OverWindowPartitionedOrdered",
    "OverWindowPartitionedOrderedPreceding",
    "Session",
    "SessionWithGap",
    "SessionWithGapOnTime",
    "Slide",
    "SlideWithSize",
    "SlideWithSizeAndSlide",
    "SlideWithSizeAndSlideOnTime",
    "Tumble",
    "TumbleWithSize",
    "TumbleWithSizeOnTime",
]


@dataclass(frozen=True)
class GroupWindow:
    """A finished group window. For `Table.window`."""

    kind: str
    name: str
    time: Unresolved
    size: Unresolved | None = None
    slide: Unresolved | None = None
    gap: Unresolved | None = None
    where: Location | None = None

    def window_kind(self) -> WindowKind:
        """The kind, as plans name it."""
        from tableapi.plan.nodes import WindowKind

        return WindowKind[self.kind]

    def check(self) -> None:
        """Refuses windows that count rows where only windows of time can be.

        Raises:
            UnsupportedError: The size or slide is a number of rows.
        """
        for length in (self.size, self.slide):
            if isinstance(length, Call) and length.function == ROW_INTERVAL_MARK:
                raise UnsupportedError(
                    "a Python aggregate that returns a row cannot be used over windows of a number of rows",
                    where=self.where,
                    fix="use select(), or a window of time: Tumble.over(lit(10).minutes)",
                )


@dataclass(frozen=True)
class _OnTime:
    window: GroupWindow

    def alias(self, alias: str) -> GroupWindow:
        """The window under a name, which `group_by` must hold."""
        where = caller()
        return replace(self.window, name=window_name(to_node(alias), where), where=where)


class TumbleWithSizeOnTime(_OnTime):
    """A tumbling window without a name yet."""


class SlideWithSizeAndSlideOnTime(_OnTime):
    """A sliding window without a name yet."""


class SessionWithGapOnTime(_OnTime):
    """A session window without a name yet."""


def _time(time_field: Any) -> Unresolved:
    where = caller()
    return Name((time_field,), where=where) if isinstance(time_field, str) else to_node(time_field, where)


class Tumble:
    """Windows of a fixed size, one after the other.

    >>> from tableapi.expressions import col, lit
    >>> Tumble.over(lit(10).minutes).on(col("ts")).alias("w").name
    'w'
    """

    @classmethod
    def over(cls, size: Expression) -> TumbleWithSize:
        """Windows of a length of time."""
        return TumbleWithSize(to_node(size, caller()))


@dataclass(frozen=True)
class TumbleWithSize:
    """A tumbling window without a time attribute yet."""

    size: Unresolved

    def on(self, time_field: Expression) -> TumbleWithSizeOnTime:
        """The time attribute that rows are put into windows by."""
        return TumbleWithSizeOnTime(GroupWindow("TUMBLE", "", _time(time_field), self.size))


class Slide:
    """Windows of a fixed size that start every so often and may overlap.

    >>> from tableapi.expressions import col, lit
    >>> Slide.over(lit(10).minutes).every(lit(5).minutes).on(col("ts")).alias("w").kind
    'HOP'
    """

    @classmethod
    def over(cls, size: Expression) -> SlideWithSize:
        """Windows of a length of time."""
        return SlideWithSize(to_node(size, caller()))


@dataclass(frozen=True)
class SlideWithSize:
    """A sliding window without a slide yet."""

    size: Unresolved

    def every(self, slide: Expression) -> SlideWithSizeAndSlide:
        """How often a window starts."""
        return SlideWithSizeAndSlide(self.size, to_node(slide, caller()))


@dataclass(frozen=True)
class SlideWithSizeAndSlide:
    """A sliding window without a time attribute yet."""

    size: Unresolved
    slide: Unresolved

    def on(self, time_field: Expression) -> SlideWithSizeAndSlideOnTime:
        """The time attribute that rows are put into windows by."""
        return SlideWithSizeAndSlideOnTime(GroupWindow("HOP", "", _time(time_field), self.size, self.slide))


class Session:
    """Windows of rows that follow each other closely.

    >>> from tableapi.expressions import col, lit
    >>> Session.with_gap(lit(30).seconds).on(col("ts")).alias("w").kind
    'SESSION'
    """

    @classmethod
    def with_gap(cls, gap: Expression) -> SessionWithGap:
        """A session ends where nothing comes for that long."""
        return SessionWithGap(to_node(gap, caller()))


@dataclass(frozen=True)
class SessionWithGap:
    """A session window without a time attribute yet."""

    gap: Unresolved

    def on(self, time_field: Expression) -> SessionWithGapOnTime:
        """The time attribute that rows are put into windows by."""
        return SessionWithGapOnTime(GroupWindow("SESSION", "", _time(time_field), gap=self.gap))


@dataclass(frozen=True)
class OverWindow:
    """A finished window of a row's neighbours. For `Table.over_window`."""

    name: str
    partition_by: tuple[Unresolved, ...]
    order_by: Unresolved
    preceding: Unresolved | None = None
    following: Unresolved | None = None
    where: Location | None = None

    def frame(self) -> OverNode:
        """The window as an OVER clause whose call is not known yet.

        Raises:
            ValidationError: Rows and time are mixed in the bounds.
        """
        preceding = self.preceding or Call(UNBOUNDED_RANGE_MARK)
        is_rows = _counts_rows(preceding)
        following = self.following or Call(CURRENT_ROW_MARK if is_rows else CURRENT_RANGE_MARK)
        if _counts_rows(following) != is_rows:
            raise ValidationError(
                "the bounds of an over window must both be rows or both be time",
                where=self.where,
                fix="use CURRENT_ROW with row_interval and UNBOUNDED_ROW, CURRENT_RANGE with intervals and UNBOUNDED_RANGE",
            )
        order = self.order_by if isinstance(self.order_by, SortItem) else SortItem(self.order_by, where=self.order_by.where)
        lower, upper = _bound(preceding, is_preceding=True), _bound(following, is_preceding=False)
        return OverNode(Star(), self.partition_by, (order,), is_rows, lower, upper, where=self.where)


def _counts_rows(bound: Unresolved) -> bool:
    return isinstance(bound, Call) and bound.function in (UNBOUNDED_ROW_MARK, CURRENT_ROW_MARK, ROW_INTERVAL_MARK)


def _bound(bound: Unresolved, is_preceding: bool) -> Bound:
    if isinstance(bound, Call):
        if bound.function in (UNBOUNDED_ROW_MARK, UNBOUNDED_RANGE_MARK):
            return Bound(None, is_preceding, where=bound.where)
        if bound.function in (CURRENT_ROW_MARK, CURRENT_RANGE_MARK):
            return Bound(Lit(0), is_preceding, where=bound.where)
        if bound.function == ROW_INTERVAL_MARK:
            return Bound(bound.args[0], is_preceding, where=bound.where)
    return Bound(bound, is_preceding, where=bound.where)


class Over:
    """Windows of a row's neighbours.

    >>> from tableapi.expressions import col, row_interval
    >>> Over.partition_by(col("k")).order_by(col("ts")).preceding(row_interval(2)).alias("w").name
    'w'
    """

    @classmethod
    def order_by(cls, order_by: Expression) -> OverWindowPartitionedOrdered:
        """All rows in the order of a time attribute."""
        return OverWindowPartitionedOrdered((), to_node(order_by, caller()))

    @classmethod
    def partition_by(cls, *partition_by: Expression) -> OverWindowPartitioned:
        """The rows with the same values of these expressions."""
        where = caller()
        return OverWindowPartitioned(tuple(to_node(p, where) for p in partition_by))


@dataclass(frozen=True)
class OverWindowPartitioned:
    """An over window without an order yet."""

    partitions: tuple[Unresolved, ...]

    def order_by(self, order_by: Expression) -> OverWindowPartitionedOrdered:
        """In the order of a time attribute."""
        return OverWindowPartitionedOrdered(self.partitions, to_node(order_by, caller()))


@dataclass(frozen=True)
class OverWindowPartitionedOrdered:
    """An over window without bounds yet."""

    partitions: tuple[Unresolved, ...]
    order: Unresolved

    def preceding(self, preceding: Expression) -> OverWindowPartitionedOrderedPreceding:
        """Where the window starts: UNBOUNDED_ROW, UNBOUNDED_RANGE, `row_interval(n)` or an interval."""
        return OverWindowPartitionedOrderedPreceding(self.partitions, self.order, to_node(preceding, caller()))

    def alias(self, alias: str) -> OverWindow:
        """The window under a name, which `over` speaks of."""
        where = caller()
        return OverWindow(window_name(to_node(alias), where), self.partitions, self.order, where=where)


@dataclass(frozen=True)
class OverWindowPartitionedOrderedPreceding:
    """An over window without an end yet; by default it ends with the current row."""

    partitions: tuple[Unresolved, ...]
    order: Unresolved
    start: Unresolved
    end: Unresolved | None = None

    def following(self, following: Expression) -> OverWindowPartitionedOrderedPreceding:
        """Where the window ends: CURRENT_ROW, CURRENT_RANGE, `row_interval(n)` or an interval."""
        return replace(self, end=to_node(following, caller()))

    def alias(self, alias: str) -> OverWindow:
        """The window under a name, which `over` speaks of."""
        where = caller()
        return OverWindow(window_name(to_node(alias), where), self.partitions, self.order, self.start, self.end, where)
