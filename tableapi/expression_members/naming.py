"""Names, types, order and windows on expressions.

May import the expression base only; the functions themselves are declared in `tableapi.functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tableapi.errors import Location, ValidationError
from tableapi.expression_base import ExpressionBase, as_data_type, caller, to_node
from tableapi.plan.unresolved import As, Call, Cast, Lit, Name, OverAlias, SortItem, Unresolved, WindowProperty
from tableapi.types import DataType

if TYPE_CHECKING:
    from tableapi.expression import Expression


class NamingMembers(ExpressionBase):
    """Members of `Expression` that name, cast, order, or speak of a window."""

    __slots__ = ()

    def alias(self, name: str, *extra_names: str) -> Expression:
        """The expression under a new name; a table function's columns take several.

        >>> from tableapi.expressions import col
        >>> (col("a") + 1).alias("b")
        as(plus(a, 1), 'b')
        """
        return self._make(As(self._node, (name, *extra_names), where=caller()))

    def as_argument(self, name: str) -> Expression:
        """The expression as the named argument of a call: `name => value`."""
        where = caller()
        return self._make(Call("NAMED_ARGUMENT", (Lit(name, where=where), self._node), where=where))

    def cast(self, data_type: DataType | str) -> Expression:
        """The value as another type; an error where it does not fit."""
        return self._make(Cast(self._node, as_data_type(data_type), where=caller()))

    def try_cast(self, data_type: DataType | str) -> Expression:
        """The value as another type; NULL where it does not fit."""
        return self._make(Cast(self._node, as_data_type(data_type), is_try=True, where=caller()))

    @property
    def asc(self) -> Expression:
        """Sorts in ascending order, NULL last (Flink: the Table API differs from SQL here)."""
        return self._make(SortItem(self._node, ascending=True, nulls_first=False, where=caller()))

    @property
    def desc(self) -> Expression:
        """Sorts in descending order, NULL first (Flink: the Table API differs from SQL here)."""
        return self._make(SortItem(self._node, ascending=False, nulls_first=True, where=caller()))

    @property
    def start(self) -> Expression:
        """The inclusive start of a window, of its alias: `col("w").start`."""
        return self._window_property("start")

    @property
    def end(self) -> Expression:
        """The exclusive end of a window, of its alias: `col("w").end`."""
        return self._window_property("end")

    @property
    def rowtime(self) -> Expression:
        """The last millisecond of a window as an event-time attribute, of its alias."""
        return self._window_property("rowtime")

    @property
    def proctime(self) -> Expression:
        """The processing-time attribute of a window, of its alias."""
        return self._window_property("proctime")

    def over(self, alias: Any) -> Expression:
        """The aggregate over the window of rows that `Table.over_window` defined.

        Args:
            alias: The window's name, or `col(name)`.
        """
        where = caller()
        return self._make(OverAlias(self._node, window_name(to_node(alias), where), where=where))

    def _window_property(self, what: str) -> Expression:
        where = caller()
        return self._make(WindowProperty(window_name(self._node, where), what, where=where))


def window_name(node: Unresolved, where: Location | None) -> str:
    """The name of a window from `col("w")` or a text.

    Raises:
        ValidationError: It is neither.
    """
    if isinstance(node, Name) and len(node.parts) == 1:
        return node.parts[0]
    if isinstance(node, Lit) and isinstance(node.value, str):
        return node.value
    raise ValidationError("a window is spoken of by its alias", where=where, fix='for example col("w").start')
