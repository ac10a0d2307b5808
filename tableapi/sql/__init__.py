"""The Flink SQL front end: text in, statements with planned queries out.

`sqlglot` and everything built on it is imported when SQL is first parsed, not before.
May import types, errors, tablespec, functions and plan; never runtime or connectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tableapi.plan.scope import PlanContext
    from tableapi.plan.unresolved import Unresolved
    from tableapi.sql.catalog_reader import CatalogReader
    from tableapi.sql.statements import Statement
    from tableapi.types import DataType

__all__ = ["parse_expression", "parse_one", "parse_statements", "parse_type", "split_statements"]


def parse_statements(text: str, catalog: CatalogReader, context: PlanContext) -> Iterator[Statement]:
    """The statements of a script, each planned only when it is asked for.

    So a caller that carries each one out before it takes the next may use tables that the script itself creates.

    Args:
        text: SQL statements, separated by `;`.
        catalog: Where names are looked up.
        context: What plans depend on.

    Raises:
        SqlParseError: The text is not SQL; the place is underlined.
        ValidationError: A statement has no meaning: an unknown name, a wrong type, a misplaced clause.
        UnsupportedError: A statement has a meaning that this engine cannot run yet.
    """
    from tableapi.sql.frontend import parse_statements

    return parse_statements(text, catalog, context)


def parse_one(text: str, catalog: CatalogReader, context: PlanContext) -> Statement:
    """The one statement of a text (a trailing `;` is allowed). Raises as `parse_statements`."""
    from tableapi.sql.frontend import parse_one

    return parse_one(text, catalog, context)


def parse_type(text: str) -> DataType:
    """The type that a SQL type name means.

    >>> parse_type("ROW<id BIGINT NOT NULL, tags ARRAY<STRING>>")
    ROW<`id` BIGINT NOT NULL, `tags` ARRAY<STRING>>
    """
    from tableapi.sql.frontend import parse_type

    return parse_type(text)


def parse_expression(text: str) -> Unresolved:
    """The expression that a SQL text means, names not yet looked up. Sub-queries are not allowed.

    >>> parse_expression("qty * 2")
    Call(where=..., function='TIMES', args=(Name(where=..., parts=('qty',)), Lit(where=..., value=2, data_type=None)), ...)
    """
    from tableapi.sql.frontend import parse_expression

    return parse_expression(text)


def split_statements(text: str) -> list[str]:
    """The statements of a script as texts, without the separating `;` and without empty ones.

    A `;` inside a string, a comment or `BEGIN … END` does not separate.

    >>> split_statements("SET 'a' = 'b;c'; SELECT 1; -- done")
    ["SET 'a' = 'b;c'", 'SELECT 1']
    """
    from tableapi.sql.frontend import split_statements

    return split_statements(text)
