"""What planning a query finds out for those who print it: plain data, no printer, because every query makes notes and few are printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tableapi.plan.scope import Relation
    from tableapi.sql import ast
    from tableapi.sql.catalog_reader import CatalogReader


@dataclass
class Notes:
    """The relation of each FROM clause, and the columns of queries without a select list."""

    catalog: CatalogReader
    sources: dict[int, Relation] = field(default_factory=dict)
    columns: dict[int, list[str]] = field(default_factory=dict)

    def source(self, select: ast.Select, relation: Relation) -> None:
        """Notes what the names in a SELECT mean."""
        self.sources[id(select)] = relation

    def names(self, query: ast.Query, names: list[str]) -> None:
        """Notes the columns of a query that has no select list."""
        self.columns[id(query)] = names
