"""What the SQL front end asks of a catalog, as a protocol, and the definition of a view.

The catalog itself is `tableapi/catalog.py`; this file lets the translator be tested without it. May import tablespec and plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tableapi.tablespec import ObjectIdentifier, TableSpec

if TYPE_CHECKING:
    from tableapi.plan.scope import Relation
    from tableapi.sql.ast import Query


@dataclass(frozen=True)
class ViewQuery:
    """The query of a view, and where its short names are looked up.

    `written` are the columns of the query when the view was made; later ones of its tables are not the view's.
    """

    query: Query
    written: tuple[str, ...]
    names: tuple[str, ...]
    catalog: str
    database: str
    expanded: str
    """The query with full names, as SHOW CREATE VIEW prints it."""


@dataclass(frozen=True)
class ViewSpec:
    """A named query: what it meant when it was made, and the SQL it was written as (None when it came from a Table).

    Without a `query`, the view stays what it was; see `views.view_relation`.
    """

    identifier: ObjectIdentifier
    relation: Relation = field(compare=False)
    sql: str | None = None
    comment: str | None = None
    query: ViewQuery | None = field(default=None, compare=False)


class CatalogReader(Protocol):
    """The look-ups that planning a statement needs. Names are case-sensitive, as in Flink."""

    def qualify(self, parts: Sequence[str]) -> ObjectIdentifier:
        """The full name of a one-, two- or three-part name, with the current catalog and database filled in."""
        ...

    def find_table(self, identifier: ObjectIdentifier) -> TableSpec | ViewSpec | None:
        """The table or view of that name (a temporary one shadows a permanent one), or None."""
        ...

    def find_function(self, parts: Sequence[str]) -> Any | None:
        """The `tableapi.udf` wrapper registered under that name, or None. Built-in functions are not asked here."""
        ...

    def table_names(self) -> Iterable[str]:
        """Names of tables and views that a one-part name can mean; for did-you-mean."""
        ...
