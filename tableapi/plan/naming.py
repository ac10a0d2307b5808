"""How the Table API names columns that the program does not name (Flink: the same names). May import plan only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tableapi.plan import unresolved as un
from tableapi.plan.resolve import holds_aggregate, output_name


def api_names(items: Sequence[un.Unresolved]) -> list[str]:
    """The column names of a select list.

    A bare aggregate or window property is `EXPR$n`, counted over the different ones of the list; a field of a row is
    `row$field`, a cast column `column-TYPE`; anything else is `_cn` by its place.

    >>> total = un.Call("SUM", (un.Name(("a",)),))
    >>> api_names([un.Name(("k",)), total, un.Call("PLUS", (total, un.Lit(1)))])
    ['k', 'EXPR$0', '_c2']
    """
    grouped: list[un.Unresolved] = []
    for item in items:
        grouped.extend(part for part in _grouped_parts(item) if part not in grouped)
    names = []
    for place, item in enumerate(items):
        if item in grouped:
            names.append(f"EXPR${grouped.index(item)}")
        else:
            names.append(_derived(item) or f"_c{place}")
    return names


def _grouped_parts(item: un.Unresolved) -> Iterator[un.Unresolved]:
    match item:
        case un.WindowProperty():
            yield item
        case un.Call(args=args) | un.UdfCall(args=args):
            if holds_aggregate(item) and not any(map(holds_aggregate, args)):
                yield item
            else:
                for arg in args:
                    yield from _grouped_parts(arg)
        case un.Cast(arg=arg) | un.As(arg=arg) | un.SortItem(arg=arg):
            yield from _grouped_parts(arg)


def _derived(item: un.Unresolved) -> str | None:
    match item:
        case un.Call(function="GET", args=(arg, un.Lit(value=key))):
            row = _derived(arg)
            return None if row is None else f"{row}${key}" if isinstance(key, str) else f"{row}$_{key}"
        case un.Cast(arg=arg, data_type=data_type, is_try=False):
            column = _derived(arg)
            return None if column is None else f"{column}-{data_type}"
        case _:
            return output_name(item)
