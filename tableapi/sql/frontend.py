"""The entry points behind `tableapi.sql`: texts to statements, types and expressions. What needs sqlglot hangs below."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from tableapi.errors import SqlParseError, TableApiError, ValidationError
from tableapi.plan.scope import PlanContext
from tableapi.plan.unresolved import Unresolved
from tableapi.sql import ast
from tableapi.sql.catalog_reader import CatalogReader
from tableapi.sql.dialect import split_tokens, statement_text, tokenize
from tableapi.sql.rewrite import parts
from tableapi.sql.statement_grammar import StatementGrammar
from tableapi.sql.statement_planner import StatementPlanner
from tableapi.sql.statements import Statement
from tableapi.types import DataType

T = TypeVar("T")


def parse_statements(text: str, catalog: CatalogReader, context: PlanContext) -> Iterator[Statement]:
    """See `tableapi.sql.parse_statements`."""
    for tokens in _guarded(lambda: split_tokens(tokenize(text))):

        def plan(tokens=tokens) -> Statement:  # type: ignore[no-untyped-def]
            clause = StatementGrammar(text, tokens).statement()
            return StatementPlanner(catalog, context).plan(clause, statement_text(text, tokens))

        yield _guarded(plan)


def parse_one(text: str, catalog: CatalogReader, context: PlanContext) -> Statement:
    """See `tableapi.sql.parse_one`."""

    def plan() -> Statement:
        clause = StatementGrammar(text).statement()
        return StatementPlanner(catalog, context).plan(clause, text.strip())

    return _guarded(plan)


def parse_type(text: str) -> DataType:
    """See `tableapi.sql.parse_type`."""

    def parse() -> DataType:
        grammar = StatementGrammar(text)
        grammar.accepts_reserved_fields = True
        data_type = grammar.data_type()
        grammar.expect_end()
        return data_type

    return _guarded(parse)


def parse_expression(text: str) -> Unresolved:
    """See `tableapi.sql.parse_expression`."""

    def parse() -> Unresolved:
        grammar = StatementGrammar(text)
        expression = grammar.expr()
        grammar.expect_end()
        for part in parts(expression):
            if type(part).__module__ == ast.__name__:
                raise ValidationError(
                    f"{_NOT_ALONE.get(type(part), 'this')} cannot stand in a single expression", where=part.where
                )
        return expression

    return _guarded(parse)


_NOT_ALONE = {
    ast.QueryValue: "a sub-query",
    ast.NamedOver: "OVER with a named window",
    ast.FieldStar: "'.*'",
    ast.Descriptor: "DESCRIPTOR",
    ast.TableArgument: "TABLE",
    ast.NamedArgument: "a named argument",
}


def split_statements(text: str) -> list[str]:
    """See `tableapi.sql.split_statements`."""
    return [statement_text(text, tokens) for tokens in _guarded(lambda: split_tokens(tokenize(text)))]


def _guarded(step: Callable[[], T]) -> T:
    """Runs a step; a program that is nested beyond reason is the user's error, not a crash."""
    try:
        return step()
    except TableApiError:
        raise
    except RecursionError:
        raise SqlParseError(
            "the statement is nested too deeply", fix="split it: move parts into views or WITH queries"
        ) from None
