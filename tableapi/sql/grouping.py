"""GROUP BY as written, in the builder's terms: keys, and which of them each grouping set holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product

from tableapi.errors import ValidationError
from tableapi.plan import unresolved as un
from tableapi.plan.scope import Relation
from tableapi.sql import ast
from tableapi.sql.window_calls import check_no_window_calls, find_group_window

_MAX_SETS = 4096


@dataclass(frozen=True)
class Grouping:
    """Keys, and the positions of each grouping set (None: one set of all keys)."""

    keys: list[un.Unresolved]
    sets: list[tuple[int, ...]] | None


def expand_grouping(items: tuple[un.Unresolved, ...] | None) -> Grouping | None:
    """The keys and sets of a GROUP BY clause; None when there is none.

    Raises:
        ValidationError: There are too many grouping sets.
    """
    if items is None:
        return None
    if not any(isinstance(i, ast.GroupingSet) for i in items):
        return Grouping(list(items), None)
    keys: list[un.Unresolved] = []
    choices: list[list[tuple[int, ...]]] = []
    for item in items:
        if isinstance(item, ast.GroupingSet):
            choices.append([_positions(members, keys) for members in _sets(item)])
        else:
            choices.append([_positions((item,), keys)])
        if _count(choices) > _MAX_SETS:
            raise ValidationError(f"GROUP BY stands for more than {_MAX_SETS} grouping sets", where=item.where)
    sets = [tuple(dict.fromkeys(p for part in chosen for p in part)) for chosen in product(*choices)]
    if not keys:
        return Grouping([], None)
    return Grouping(keys, sets)


def _count(choices: list[list[tuple[int, ...]]]) -> int:
    total = 1
    for choice in choices:
        total *= len(choice)
    return total


def _positions(members: tuple[un.Unresolved, ...], keys: list[un.Unresolved]) -> tuple[int, ...]:
    positions = []
    for member in members:
        if member not in keys:
            keys.append(member)
        positions.append(keys.index(member))
    return tuple(positions)


def _sets(item: ast.GroupingSet) -> Iterator[tuple[un.Unresolved, ...]]:
    groups = item.items
    if item.kind == "sets":
        for group in groups:
            nested = group[0] if len(group) == 1 else None
            yield from _sets(nested) if isinstance(nested, ast.GroupingSet) else (group,)
    elif item.kind == "rollup":
        for length in range(len(groups), -1, -1):
            yield tuple(m for g in groups[:length] for m in g)
    else:
        if len(groups) > 12:
            raise ValidationError("CUBE of more than 12 columns stands for too many grouping sets", where=item.where)
        for length in range(len(groups), -1, -1):
            for chosen in combinations(groups, length):
                yield tuple(m for g in chosen for m in g)


@dataclass(frozen=True)
class GroupedSelect:
    """The clauses of a SELECT, ready for the builder."""

    items: list[un.Unresolved]
    keys: list[un.Unresolved] | None
    sets: list[tuple[int, ...]] | None
    having: un.Unresolved | None
    qualify: un.Unresolved | None
    distinct: bool
    order_by: list[un.SortItem]
    fetch: int | None
    offset: int

    def with_group_window(self, builder, relation: Relation) -> tuple[Relation, GroupedSelect]:  # type: ignore[no-untyped-def]
        """A group window call among the keys is assigned to the rows and becomes a named window."""
        window = find_group_window(self.keys or [])
        if window is None:
            check_no_window_calls([*self.items, *([self.having] if self.having else []), *(s.arg for s in self.order_by)])
            return relation, self
        assert self.keys is not None
        others = [k for k in self.keys if k != window.call]
        relation = window.apply(builder, relation, others)
        keys = [un.Name((window.alias,), where=k.where) if k == window.call else k for k in self.keys]
        return relation, replace(
            self,
            keys=keys,
            items=[window.replace_in(i) for i in self.items],
            having=None if self.having is None else window.replace_in(self.having),
            order_by=[replace(s, arg=window.replace_in(s.arg)) for s in self.order_by],
        )
