"""The grammar of definitions: CREATE, ALTER and DROP of tables, views, functions, catalogs, databases. Gives `ast` clauses."""

from __future__ import annotations

from typing import Any

from sqlglot.tokens import Token, TokenType

from tableapi.plan.unresolved import Unresolved
from tableapi.sql import ast, statements
from tableapi.sql.match_grammar import MatchGrammar
from tableapi.types import DayTimeIntervalType, NullType, YearMonthIntervalType

_LIKE_FEATURES = ("ALL", "CONSTRAINTS", "DISTRIBUTION", "PARTITIONS", "GENERATED", "METADATA", "OPTIONS", "WATERMARKS")


class DdlGrammar(MatchGrammar):
    """Adds definitions to the queries."""

    def create(self) -> Any:
        """Consumes a CREATE or REPLACE statement."""
        start = self._curr
        or_replace = self.accept("REPLACE")
        if not or_replace:
            self.expect("CREATE")
            or_replace = self.accept("OR", "REPLACE")
        if self.at("OR", "ALTER"):
            self.unsupported("CREATE OR ALTER")
        is_temporary = self.accept("TEMPORARY")
        is_system = is_temporary and self.accept("SYSTEM")
        word = self.word()
        if is_system and word != "FUNCTION":
            self.unexpected("FUNCTION")
        if or_replace and word != "TABLE":
            self.unexpected("TABLE")
        match word:
            case "TABLE":
                return self._create_table(start, is_temporary, or_replace)
            case "VIEW":
                return self._create_view(start, is_temporary)
            case "FUNCTION":
                return self._create_function(start, is_temporary, is_system)
            case "CATALOG" if not is_temporary:
                return self._create_catalog()
            case "DATABASE" if not is_temporary:
                return self._create_database()
            case "MATERIALIZED" | "MODEL" | "CONNECTION":
                return self.unsupported(f"CREATE {word}")
            case _:
                return self.expect_any("TABLE", "VIEW", "FUNCTION", "CATALOG", "DATABASE")

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

    def _create_table(self, start: Token, is_temporary: bool, or_replace: bool) -> ast.CreateTableClause:
        self.expect("TABLE")
        if_not_exists = self._if_not_exists()
        parts = self.object_name("a table")
        elements: tuple[ast.Element, ...] = ()
        names: tuple[str, ...] = ()
        if self.kind() is TokenType.L_PAREN:
            names, elements = self._table_elements()
        comment = self._comment()
        if self.at("DISTRIBUTED"):
            self.unsupported("DISTRIBUTED BY")
        partition_keys = self.name_list() if self.accept("PARTITIONED", "BY") else ()
        options = self._with_options()
        like = self._like_clause() if self.at("LIKE") else None
        query = self.query() if self.accept("AS") else None
        if names and query is None:
            self.fail("a column needs a type, unless the table is made by CREATE TABLE … AS", start)
        if query is not None and is_temporary:
            self.unsupported("CREATE TEMPORARY TABLE … AS", start, fix="leave TEMPORARY out")
        if or_replace and query is None:
            self.fail("CREATE OR REPLACE TABLE needs AS and a query", start)
        return ast.CreateTableClause(
            self.span(start),
            parts,
            elements,
            names,
            comment,
            partition_keys,
            options,
            like,
            query,
            is_temporary,
            if_not_exists,
            or_replace,
        )

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
            while self.kind() is not TokenType.R_PAREN:
                strategy = self.expect_any("INCLUDING", "EXCLUDING", "OVERWRITING")
                features.append((strategy, self.expect_any(*_LIKE_FEATURES)))
            self.close()
        return ast.LikeClause(self.span(start), parts, tuple(features))

    def _create_view(self, start: Token, is_temporary: bool) -> ast.CreateViewClause:
        self.expect("VIEW")
        if_not_exists = self._if_not_exists()
        parts = self.object_name("a view")
        columns = self.name_list() if self.kind() is TokenType.L_PAREN else ()
        comment = self._comment()
        self.expect("AS")
        query, sql = self._query_text()
        return ast.CreateViewClause(self.span(start), parts, columns, comment, query, sql, is_temporary, if_not_exists)

    def _query_text(self) -> tuple[ast.Query, str]:
        token = self._curr
        query = self.query()
        return query, self.text_between(token)

    def _create_function(self, start: Token, is_temporary: bool, is_system: bool) -> ast.FunctionClause:
        self.expect("FUNCTION")
        conditional = self._if_not_exists()
        return self._function_body(start, is_temporary, is_system, conditional, is_alter=False)

    def _function_body(
        self, start: Token, is_temporary: bool, is_system: bool, conditional: bool, is_alter: bool
    ) -> ast.FunctionClause:
        parts = self.object_name("a function")
        if is_system and len(parts) > 1:
            self.fail("a system function has a one-part name", start)
        self.expect("AS")
        path = self.string()
        language = "JAVA"
        if self.accept("LANGUAGE"):
            language = self.expect_any("JAVA", "SCALA", "PYTHON")
        resources: tuple[tuple[str, str], ...] = ()
        if self.accept("USING"):
            resources = self.comma_list(self._resource)
        if self.at("WITH"):
            self.unsupported("WITH options of a function")
        return ast.FunctionClause(
            self.span(start), parts, path, language, is_temporary, is_system, conditional, is_alter, resources
        )

    def _resource(self) -> tuple[str, str]:
        kind = self.expect_any("JAR", "FILE", "ARCHIVE", "ARTIFACT")
        return kind, self.string()

    def _create_catalog(self) -> statements.CreateCatalog:
        self.expect("CATALOG")
        if_not_exists = self._if_not_exists()
        name = self.name("the name of a catalog")
        comment = self._comment()
        return statements.CreateCatalog(name, dict(self._with_options()), if_not_exists, comment)

    def _create_database(self) -> statements.CreateDatabase:
        self.expect("DATABASE")
        if_not_exists = self._if_not_exists()
        catalog, name = self.database_name()
        comment = self._comment()
        return statements.CreateDatabase(catalog, name, dict(self._with_options()), if_not_exists, comment)

    def database_name(self) -> tuple[str | None, str]:
        """Consumes `[catalog.]database`."""
        start = self._curr
        parts = self.name_parts("the name of a database")
        if len(parts) > 2:
            self.fail("the name of a database has at most two parts: catalog.database", start)
        return (parts[0], parts[1]) if len(parts) == 2 else (None, parts[0])

    def drop(self) -> Any:
        """Consumes a DROP statement."""
        start = self.expect("DROP")
        is_temporary = self.accept("TEMPORARY")
        is_system = is_temporary and self.accept("SYSTEM")
        if is_system and not self.at("FUNCTION"):
            self.unexpected("FUNCTION")
        if self.at_any("MATERIALIZED", "MODEL", "CONNECTION"):
            self.unsupported(f"DROP {self.word()}")
        word = self.expect_any("TABLE", "VIEW", "FUNCTION", "DATABASE", "CATALOG")
        if is_temporary and word in ("DATABASE", "CATALOG"):
            self.fail(f"there are no temporary {word.lower()}s", start)
        if_exists = self._if_exists()
        if word == "CATALOG":
            return statements.DropCatalog(self.name("the name of a catalog"), if_exists)
        if word == "DATABASE":
            catalog, name = self.database_name()
            cascade = self.accept_any("RESTRICT", "CASCADE") == "CASCADE"
            return statements.DropDatabase(catalog, name, if_exists, cascade)
        parts = self.object_name(f"a {word.lower()}")
        where = self.span(start)
        if word == "FUNCTION":
            return ast.FunctionClause(where, parts, None, "", is_temporary, is_system, if_exists, False)
        flags = {f for f, on in (("temporary", is_temporary), ("if-exists", if_exists)) if on}
        return ast.ObjectClause(where, f"DROP {word}", parts, frozenset(flags))

    def alter(self) -> Any:
        """Consumes an ALTER statement."""
        start = self.expect("ALTER")
        match self.word():
            case "TABLE":
                return self._alter_table(start)
            case "VIEW":
                return self._alter_view(start)
            case "DATABASE":
                self._advance()
                catalog, name = self.database_name()
                self.expect("SET")
                return statements.AlterDatabase(catalog, name, dict(self.options()))
            case "CATALOG":
                return self._alter_catalog()
            case "FUNCTION" | "TEMPORARY":
                is_temporary = self.accept("TEMPORARY")
                is_system = is_temporary and self.accept("SYSTEM")
                self.expect("FUNCTION")
                return self._function_body(start, is_temporary, is_system, self._if_exists(), is_alter=True)
            case "MODEL" | "MATERIALIZED" | "CONNECTION":
                return self.unsupported(f"ALTER {self.word()}")
            case _:
                return self.expect_any("TABLE", "VIEW", "DATABASE", "CATALOG", "FUNCTION")

    def _alter_catalog(self) -> statements.AlterCatalog:
        self.expect("CATALOG")
        name = self.name("the name of a catalog")
        match self.expect_any("SET", "RESET", "COMMENT"):
            case "SET":
                return statements.AlterCatalog(name, dict(self.options()))
            case "RESET":
                return statements.AlterCatalog(name, reset_keys=self._reset_keys())
            case _:
                return statements.AlterCatalog(name, comment=self.string())

    def _reset_keys(self) -> tuple[str, ...]:
        start = self.open()
        if self.kind() is TokenType.R_PAREN:
            self.fail("RESET needs at least one key", start)
        keys = self.comma_list(self.string)
        self.close()
        return keys

    def _alter_view(self, start: Token) -> Any:
        self.expect("VIEW")
        if_exists = self._if_exists()
        parts = self.object_name("a view")
        if self.accept("RENAME", "TO"):
            new_parts = self.object_name("a view")
            return ast.RenameClause(self.span(start), parts, new_parts, True, if_exists)
        self.expect("AS")
        query, sql = self._query_text()
        return ast.CreateViewClause(self.span(start), parts, (), None, query, sql, False, False, or_replace=True)

    def _alter_table(self, start: Token) -> Any:
        self.expect("TABLE")
        if_exists = self._if_exists()
        parts = self.object_name("a table")
        action = self.expect_any("ADD", "MODIFY", "DROP", "RENAME", "SET", "RESET")
        match action:
            case "RENAME":
                if self.accept("TO"):
                    new_parts = self.object_name("a table")
                    return ast.RenameClause(self.span(start), parts, new_parts, False, if_exists)
                old = self.name("a column name")
                self.expect("TO")
                names = (old, self.name("a column name"))
                return ast.AlterTableClause(self.span(start), parts, if_exists, "rename-column", names=names)
            case "SET":
                return ast.AlterTableClause(self.span(start), parts, if_exists, "set", options=self.options())
            case "RESET":
                return ast.AlterTableClause(self.span(start), parts, if_exists, "reset", names=self._reset_keys())
            case "DROP":
                return self._alter_drop(start, parts, if_exists)
        if self.at_any("PARTITION", "DISTRIBUTION") or self.at("IF", "NOT", "EXISTS", "PARTITION"):
            self.unsupported(f"ALTER TABLE … {action} PARTITION or DISTRIBUTION")
        if self.kind() is TokenType.L_PAREN:
            elements = self.in_parentheses(lambda: self.comma_list(self._altered_element))
        else:
            elements = (self._altered_element(),)
        return ast.AlterTableClause(self.span(start), parts, if_exists, action.lower(), elements)

    def _altered_element(self) -> ast.Element:
        from dataclasses import replace

        if self.at("COLUMN") and self.is_name(1):
            self._advance()
        element = self.table_element()
        if not isinstance(element, ast.ColumnDefinition):
            return element
        if self.accept("FIRST"):
            return replace(element, position=ast.ColumnPosition(None))
        if self.accept("AFTER"):
            return replace(element, position=ast.ColumnPosition(self.name("a column name")))
        return element

    def _alter_drop(self, start: Token, parts: tuple[str, ...], if_exists: bool) -> ast.AlterTableClause:
        action = "drop-columns"
        names: tuple[str, ...] = ()
        if self.accept("PRIMARY", "KEY"):
            action = "drop-primary-key"
        elif self.accept("CONSTRAINT"):
            self.name("the name of a constraint")
            action = "drop-primary-key"
        elif self.accept("WATERMARK"):
            action = "drop-watermark"
        elif self.at_any("PARTITION", "DISTRIBUTION") or self.at("IF", "EXISTS", "PARTITION"):
            self.unsupported("ALTER TABLE … DROP PARTITION or DISTRIBUTION")
        elif self.kind() is TokenType.L_PAREN:
            names = self.name_list()
        else:
            names = (self.name("a column name"),)
        return ast.AlterTableClause(self.span(start), parts, if_exists, action, names=names)

    def partition_values(self) -> tuple[tuple[str, Unresolved], ...]:
        """Consumes `(key = value, …)` of a PARTITION clause."""

        def one() -> tuple[str, Unresolved]:
            name = self.name("a partition column")
            if not self.symbol(TokenType.EQ):
                self.unexpected("'=' and a constant")
            return name, self._sign()

        return self.in_parentheses(lambda: self.comma_list(one))
