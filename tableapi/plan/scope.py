"""What names mean in a query: relations under construction and the columns that can be named in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tableapi.errors import UnknownNameError, ValidationError, did_you_mean
from tableapi.plan.nodes import Node, WindowSpec
from tableapi.tablespec import Field


@dataclass(frozen=True, slots=True)
class ScopeColumn:
    """A name that can be used: `qualifier.name` means the plan column `column`."""

    qualifier: str | None
    name: str
    column: str
    is_merged: bool = False
    """The right-hand twin of a USING column: reachable by its qualifier, left out of `*` and of unqualified look-up."""


@dataclass(frozen=True, slots=True)
class WindowNames:
    """A group window that has a name: the plan columns that hold its bounds."""

    alias: str
    window: WindowSpec
    start: str
    end: str
    time: str


@dataclass(frozen=True)
class Relation:
    """A plan node and what names mean in it.

    `outer` is the relation of the enclosing query, for correlated sub-queries.
    """

    node: Node
    columns: tuple[ScopeColumn, ...]
    windows: tuple[WindowNames, ...] = ()
    outer: Relation | None = field(default=None, compare=False)

    def find(self, qualifier: str | None, name: str) -> Field | None:
        """The field that a name means, or None.

        Raises:
            ValidationError: Several columns have that name.
        """
        found = {
            c.column
            for c in self.columns
            if c.name == name and (c.qualifier == qualifier if qualifier is not None else not c.is_merged)
        }
        if len(found) > 1:
            owners = [f"{c.qualifier}.{c.name}" for c in self.columns if c.name == name]
            raise ValidationError(
                f"column '{name}' is ambiguous", exists=f"columns: {', '.join(owners)}", fix="name the table: table.column"
            )
        return self.node.schema[found.pop()] if found else None

    def has_qualifier(self, qualifier: str) -> bool:
        """Whether a table of that name or alias is in the query."""
        return any(c.qualifier == qualifier for c in self.columns)

    def window(self, alias: str) -> WindowNames | None:
        """The group window with that name, or None."""
        return next((w for w in self.windows if w.alias == alias), None)

    def star(self, qualifier: str | None = None) -> list[ScopeColumn]:
        """The columns that `*` or `qualifier.*` stands for."""
        if qualifier is None:
            return [c for c in self.columns if not c.is_merged]
        found = [c for c in self.columns if c.qualifier == qualifier]
        if not found:
            tables = sorted({c.qualifier for c in self.columns if c.qualifier})
            raise UnknownNameError(
                f"table '{qualifier}' is not in this query",
                exists=f"tables: {', '.join(tables) or 'none with a name'}",
                fix=did_you_mean(qualifier, tables),
            )
        return found

    def with_node(self, node: Node) -> Relation:
        """The same names on another node that has the same columns."""
        return replace(self, node=node)

    def names(self) -> list[str]:
        """The visible column names, in order."""
        return [c.name for c in self.star()]

    def unknown(self, parts: Sequence[str]) -> UnknownNameError:
        """The error for a name that means nothing here."""
        name = ".".join(parts)
        if len(parts) > 1 and self.has_qualifier(parts[0]):
            known = [c.name for c in self.columns if c.qualifier == parts[0]]
            shown = [f"{parts[0]}.{k}" for k in known]
        else:
            known = shown = self.names()
        return UnknownNameError(
            f"column '{name}' does not exist",
            exists=f"columns: {', '.join(shown) or 'none'}",
            fix=did_you_mean(parts[-1], known),
        )


def plain(node: Node, qualifier: str | None = None, outer: Relation | None = None) -> Relation:
    """A relation in which each column is known by its own name."""
    return Relation(node, tuple(ScopeColumn(qualifier, f.name, f.name) for f in node.schema), outer=outer)


def unique(name: str, taken: Iterable[str]) -> str:
    """`name`, or `name0`, `name1`, … if it is taken (Calcite's way of making names unique)."""
    taken = set(taken)
    if name not in taken:
        return name
    count = 0
    while f"{name}{count}" in taken:
        count += 1
    return f"{name}{count}"


@dataclass(frozen=True)
class PlanContext:
    """What planning needs to know of the session.

    Args:
        functions: Finds a user-defined function by its name parts; None if there is none.
        time_zone: Session time zone.
        is_streaming: Whether unbounded semantics apply (time attributes are required where Flink requires them).
    """

    functions: Callable[[tuple[str, ...]], Any] = lambda parts: None
    time_zone: str = "UTC"
    is_streaming: bool = False
