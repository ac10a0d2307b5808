"""What a view means now: its query is planned again whenever it is read, against the tables as they are then (Flink: the same).

A view made from a `Table` has no query of its own; it stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tableapi.errors import TableApiError, ValidationError
from tableapi.plan import unresolved as un
from tableapi.plan.scope import PlanContext, Relation, plain
from tableapi.sql.catalog_reader import CatalogReader, ViewSpec
from tableapi.tablespec import ObjectIdentifier, TableSpec


@dataclass(frozen=True)
class _Inside:
    """A catalog as the query of a view sees it: short names mean what they meant where the view was made."""

    catalog: CatalogReader
    here: tuple[str, str]
    views: tuple[ObjectIdentifier, ...]

    def qualify(self, parts: Sequence[str]) -> ObjectIdentifier:
        return self.catalog.qualify((*self.here[: 3 - len(parts)], *parts))

    def find_table(self, identifier: ObjectIdentifier) -> TableSpec | ViewSpec | None:
        return self.catalog.find_table(identifier)

    def find_function(self, parts: Sequence[str]) -> Any | None:
        return self.catalog.find_function(parts)

    def table_names(self) -> Iterable[str]:
        return self.catalog.table_names()


def view_relation(view: ViewSpec, catalog: CatalogReader, context: PlanContext) -> Relation:
    """The rows of a view, under the column names that it was made with.

    Raises:
        ValidationError: A table of its query is gone or lacks a column, or the view refers to itself.
    """
    from tableapi.sql.query_planner import QueryPlanner

    if view.query is None:
        return view.relation
    above = catalog.views if isinstance(catalog, _Inside) else ()
    outside = catalog.catalog if isinstance(catalog, _Inside) else catalog
    name, query = view.identifier.as_summary_string(), view.query
    if view.identifier in above:
        raise ValidationError(f"view '{name}' refers to itself", exists=f"views: {', '.join(i.name for i in above)}")
    inside = _Inside(outside, (query.catalog, query.database), (*above, view.identifier))
    planner = QueryPlanner(inside, context)
    try:
        relation = planner.plan(query.query)
        if tuple(relation.names()) != query.written:
            relation = planner.builder.select(relation, [un.Name((n,)) for n in query.written])
        return plain(planner.node(planner.renamed(relation, None, query.names)))
    except TableApiError as error:
        raise type(error)(f"view '{name}' cannot be read: {error.what}", exists=error.exists, fix=error.fix) from None
