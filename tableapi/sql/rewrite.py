"""Walking over expressions as written: applying a change to the parts, and finding parts. Plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tableapi.plan.unresolved import As, Bound, Call, Cast, Over, SortItem, Subquery, UdfCall, Unresolved
from tableapi.sql import ast

Change = Callable[[Unresolved], Unresolved]


def map_parts(expression: Unresolved, change: Change) -> Unresolved:
    """A copy in which `change` was applied to the direct parts. Sub-queries are not entered, their left-hand values are."""
    match expression:
        case Call(args=args, filter=condition, order_by=order_by):
            return replace(
                expression,
                args=tuple(map(change, args)),
                filter=None if condition is None else change(condition),
                order_by=_items(order_by, change),
            )
        case Cast(arg=arg) | As(arg=arg) | SortItem(arg=arg):
            return replace(expression, arg=change(arg))
        case UdfCall(args=args) | Subquery(args=args) | ast.QueryValue(args=args):
            return replace(expression, args=tuple(map(change, args)))
        case Over(call=call, partition_by=partition_by, order_by=order_by, lower=lower, upper=upper):
            return replace(
                expression,
                call=change(call),
                partition_by=tuple(map(change, partition_by)),
                order_by=_items(order_by, change),
                lower=_bound(lower, change),
                upper=_bound(upper, change),
            )
        case ast.NamedOver(call=call):
            return replace(expression, call=change(call))
        case ast.NamedArgument(value=value):
            return replace(expression, value=change(value))
        case ast.FieldStar(arg=arg):
            return replace(expression, arg=change(arg))
        case _:
            return expression


def _items(items: tuple[SortItem, ...], change: Change) -> tuple[SortItem, ...]:
    return tuple(replace(item, arg=change(item.arg)) for item in items)


def _bound(bound: Bound | None, change: Change) -> Bound | None:
    return bound if bound is None or bound.offset is None else replace(bound, offset=change(bound.offset))


def parts(expression: Unresolved) -> Iterator[Unresolved]:
    """The expression and everything in it, top down, sub-queries left closed."""
    yield expression
    found: list[Unresolved] = []

    def note(part: Unresolved) -> Unresolved:
        found.append(part)
        return part

    map_parts(expression, note)
    for part in found:
        yield from parts(part)
