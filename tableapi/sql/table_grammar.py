"""The grammar of what definitions are made of: options, columns, keys, watermarks, LIKE, distribution, partitions."""

from __future__ import annotations

from sqlglot.tokens import Token, TokenType

from tableapi.plan.unresolved import Unresolved
from tableapi.sql import ast
from tableapi.sql.match_grammar import MatchGrammar
from tableapi.types import DayTimeIntervalType, NullType, YearMonthIntervalType

_LIKE_FEATURES = ("ALL", "CONSTRAINTS", "DISTRIBUTION", "PARTITIONS", "GENERATED", "METADATA", "OPTIONS", "WATERMARKS")


class TableGrammar(MatchGrammar):
    """Adds the parts of definitions to the queries."""

    def _if_not_exists(self) -> bool:
        return self.accept("IF", "NOT", "EXISTS")

    def _if_exists(self) -> bool:
        return self.accept("IF", "EXISTS")

    def _comment(self) -> str | None:
        return self.string() if self.accept("COMMENT") else None

    def options(self) -> tuple[tuple[str, str], ...]:
        """Consumes `('key' = 'value', …)`."""
        start = self.open()
        if self.symbol(TokenType.R_PAREN):
            return ()
        pairs = self.comma_list(self._option)
        self.close()
        keys = [k for k, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                self.fail(f"option '{key}' is given twice", start)
        return pairs

    def _option(self) -> tuple[str, str]:
        key = self.string("an option key in quotes")
        self.expect_symbol(TokenType.EQ)
        return key, self.string("an option value in quotes")

    def _with_options(self) -> tuple[tuple[str, str], ...]:
        return self.options() if self.accept("WITH") else ()

    def _table_elements(self) -> tuple[tuple[str, ...], tuple[ast.Element, ...]]:
        self.open()
        if self.symbol(TokenType.R_PAREN):
            return (), ()
        if self.is_name() and self.kind(1) in (TokenType.COMMA, TokenType.R_PAREN):
            names = self.comma_list(self.name)
            self.close()
            return names, ()
        elements = self.comma_list(self.table_element)
        self.close()
        return (), elements

    def table_element(self) -> ast.Element:
        """Consumes a column, WATERMARK FOR or PRIMARY KEY."""
        start = self._curr
        if self.accept("WATERMARK"):
            self.expect("FOR")
            parts = self.name_parts("a column name")
            if len(parts) > 1:
                self.fail("a watermark is declared on a column of the table, not on a field in it", start)
            self.expect("AS")
            return ast.WatermarkDefinition(self.span(start), parts[0], self.expr())
        if self.at("CONSTRAINT") or self.at("PRIMARY", "KEY") or self.at("UNIQUE"):
            return self._table_constraint(start)
        return self._column(start)

    def _table_constraint(self, start: Token) -> ast.PrimaryKeyDefinition:
        name = self.name("the name of a constraint") if self.accept("CONSTRAINT") else None
        if self.at("UNIQUE"):
            self.unsupported("a UNIQUE constraint", fix="declare PRIMARY KEY (…) NOT ENFORCED")
        self.expect("PRIMARY", "KEY")
        columns = self.name_list()
        self._not_enforced()
        return ast.PrimaryKeyDefinition(self.span(start), columns, name)

    def _not_enforced(self) -> None:
        if not self.accept("NOT", "ENFORCED"):
            self.fail(
                "a primary key is not enforced here",
                self._curr or self._prev,
                fix="write PRIMARY KEY … NOT ENFORCED: the source or sink keeps its keys unique",
            )

    def _column(self, start: Token) -> ast.ColumnDefinition:
        name = self.name("a column name")
        if self.accept("AS"):
            expression = self.expr()
            comment = self._comment()
            return ast.ColumnDefinition(self.span(start), name, "computed", None, expression, comment=comment)
        type_token = self._curr
        data_type = self.data_type()
        if isinstance(data_type, YearMonthIntervalType | DayTimeIntervalType | NullType):
            self.fail(f"{data_type} is not the type of a column", type_token)
        kind, key, is_virtual, is_key = "physical", None, False, False
        if self.accept("METADATA"):
            kind = "metadata"
            key = self.string() if self.accept("FROM") else None
            is_virtual = self.accept("VIRTUAL")
        while True:
            if self.at("CONSTRAINT") or self.at("PRIMARY", "KEY"):
                if self.accept("CONSTRAINT"):
                    self.name()
                self.expect("PRIMARY", "KEY")
                self._not_enforced()
                is_key = True
            elif self.at("UNIQUE"):
                self.unsupported("a UNIQUE constraint")
            else:
                break
        comment = self._comment()
        return ast.ColumnDefinition(
            self.span(start),
            name,
            kind,
            data_type,
            metadata_key=key,
            is_virtual=is_virtual,
            comment=comment,
            is_primary_key=is_key,
        )

    def _like_clause(self) -> ast.LikeClause:
        start = self.expect("LIKE")
        parts = self.object_name("a table")
        features: list[tuple[str, str]] = []
        if self.symbol(TokenType.L_PAREN):
            if self.kind() is TokenType.R_PAREN:
                self.unexpected("INCLUDING, EXCLUDING or OVERWRITING")
            while self.kind() is not TokenType.R_PAREN:
                strategy = self.expect_any("INCLUDING", "EXCLUDING", "OVERWRITING")
                features.append((strategy, self.expect_any(*_LIKE_FEATURES)))
            self.close()
        return ast.LikeClause(self.span(start), parts, tuple(features))

    def database_name(self) -> tuple[str | None, str]:
        """Consumes `[catalog.]database`."""
        start = self._curr
        parts = self.name_parts("the name of a database")
        if len(parts) > 2:
            self.fail("the name of a database has at most two parts: catalog.database", start)
        return (parts[0], parts[1]) if len(parts) == 2 else (None, parts[0])

    def _reset_keys(self) -> tuple[str, ...]:
        start = self.open()
        if self.kind() is TokenType.R_PAREN:
            self.fail("RESET needs at least one key", start)
        keys = self.comma_list(self.string)
        self.close()
        return keys

    def partition_values(self) -> tuple[tuple[str, Unresolved], ...]:
        """Consumes `(key = value, …)` of a PARTITION clause."""

        def one() -> tuple[str, Unresolved]:
            name = self.name("a partition column")
            if not self.symbol(TokenType.EQ):
                self.unexpected("'=' and a constant")
            return name, self._sign()

        return self.in_parentheses(lambda: self.comma_list(one))

    def distribution(self) -> ast.DistributionDefinition:
        """Consumes `BY [HASH|RANGE] (…) [INTO n BUCKETS]` or `INTO n BUCKETS`, after DISTRIBUTED or DISTRIBUTION."""
        start = self._curr
        kind: str | None = None
        columns: tuple[str, ...] = ()
        buckets: int | None = None
        if self.accept("BY"):
            kind = self.accept_any("HASH", "RANGE")
            columns = self.name_list()
        elif not self.at("INTO"):
            self.unexpected("BY or INTO")
        if self.accept("INTO"):
            number = self._curr
            buckets = self.integer("a number of buckets")
            if buckets < 1:
                self.fail("a table has at least one bucket", number)
            self.expect("BUCKETS")
        return ast.DistributionDefinition(self.span(start), kind, columns, buckets)
