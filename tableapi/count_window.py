"""Group windows of a number of rows, as OVER aggregates: the last row of each full window carries the window's aggregates.

The windows of `size` rows that start every `slide` rows end at the rows whose number r within their key has r >= size and
(r - size) % slide = 0; such a row's window is the frame of itself and the `size - 1` rows before it. Flink: windows that never
fill give nothing. May import plan and the walking functions of `sql.rewrite`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tableapi.errors import TypeMismatchError, UnsupportedError, ValidationError
from tableapi.expression_base import ROW_INTERVAL_MARK
from tableapi.plan.naming import api_names
from tableapi.plan.unresolved import As, Bound, Call, Lit, Name, Over, SortItem, UdfCall, Unresolved, WindowProperty
from tableapi.sql.rewrite import map_parts
from tableapi.tablespec import TimeKind

if TYPE_CHECKING:
    from tableapi.plan.builder import Builder
    from tableapi.plan.scope import Relation
    from tableapi.window import GroupWindow


def counts_rows(length: Unresolved | None) -> bool:
    """Whether a window's length is a number of rows."""
    return isinstance(length, Call) and length.function == ROW_INTERVAL_MARK


def select_count_window(
    builder: Builder, relation: Relation, window: GroupWindow, keys: Sequence[Unresolved], items: Sequence[Unresolved]
) -> Relation:
    """The select list over windows of a number of rows per key.

    Raises:
        UnsupportedError: The time attribute is not processing time, or the query runs in batch mode.
        ValidationError: The window's start or end is asked for.
    """
    size, slide = _rows(window.size), _rows(window.slide or window.size)
    _check_time(builder, relation, window)
    keys = [k for k in keys if k != Name((window.name,))]
    order = (SortItem(window.time, where=window.where),)
    frame = Bound(Lit(size - 1)), Bound(Lit(0))

    def over(node: Unresolved) -> Unresolved:
        if isinstance(node, WindowProperty):
            raise ValidationError("a window of a number of rows has no start, end or time", where=node.where)
        if _is_aggregate(node):
            return Over(node, tuple(keys), order, True, *frame, where=node.where)
        return map_parts(node, over)

    named = [As(i, (name,), where=i.where) for i, name in zip(items, api_names(items), strict=True)]
    number = As(Over(Call("ROW_NUMBER"), tuple(keys), order), ("$row",))
    numbered = builder.select(relation, [*map(over, named), number], naming="api")
    past_end = Call("MINUS", (Name(("$row",)), Lit(size)))
    is_last = Call("EQUALS", (Call("MOD", (past_end, Lit(slide))), Lit(0)))
    ends = builder.filter(numbered, Call("AND", (Call("GREATER_OR_EQUAL", (past_end, Lit(0))), is_last)))
    return builder.select(ends, [Name((n,)) for n in numbered.names() if n != "$row"], naming="api")


def _rows(length: Unresolved | None) -> int:
    if not isinstance(length, Call) or not counts_rows(length):
        raise TypeMismatchError("the size and the slide of a window must both be rows or both be time")
    count = length.args[0]
    if not isinstance(count, Lit) or not isinstance(count.value, int) or count.value < 1:
        raise ValidationError("the rows of a window must be a positive number", where=length.where)
    return count.value


def _check_time(builder: Builder, relation: Relation, window: GroupWindow) -> None:
    name = window.time.parts[-1] if isinstance(window.time, Name) else ""
    field = relation.find(None, name)
    if not builder.context.is_streaming or field is None or field.time is not TimeKind.PROCTIME:
        raise UnsupportedError(
            "a group window of a number of rows needs streaming mode and a processing-time attribute",
            where=window.where,
            fix="declare a column AS PROCTIME(), or use a window of time",
        )


def _is_aggregate(node: Unresolved) -> bool:
    from tableapi.functions import registry

    if isinstance(node, UdfCall):
        return bool(node.function.kind == "aggregate")
    return isinstance(node, Call) and isinstance(registry.find(node.function), registry.AggregateFunction)
