"""The grammar of definitions: CREATE, ALTER and DROP of tables, views, functions, catalogs, databases. Gives `ast` clauses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlglot.tokens import Token, TokenType

from tableapi.sql import ast, statements
from tableapi.sql.object_grammar import ObjectGrammar


class DdlGrammar(ObjectGrammar):
    """Adds CREATE, ALTER and DROP."""

    def create(self) -> Any:
        """Consumes a CREATE or REPLACE statement."""
        start = self._curr
        must_exist = or_replace = self.accept("REPLACE")
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
        if or_replace and word not in (("TABLE",) if must_exist else ("TABLE", "VIEW")):
            self.unexpected("TABLE")
        match word:
            case "TABLE":
                return self._create_table(start, is_temporary, or_replace, must_exist)
            case "VIEW":
                return replace(self._create_view(start, is_temporary), or_replace=or_replace)
            case "FUNCTION":
                return self._create_function(start, is_temporary, is_system)
            case "CATALOG" if not is_temporary:
                return self._create_catalog()
            case "DATABASE" if not is_temporary:
                return self._create_database()
            case "MODEL" | "MATERIALIZED" | "CONNECTION":
                return self.create_other(start, is_temporary)
            case _:
                return self.expect_any("TABLE", "VIEW", "FUNCTION", "CATALOG", "DATABASE", "MODEL")

    def _create_table(self, start: Token, is_temporary: bool, or_replace: bool, must_exist: bool) -> ast.CreateTableClause:
        self.expect("TABLE")
        if_not_exists = self._if_not_exists()
        parts = self.object_name("a table")
        elements: tuple[ast.Element, ...] = ()
        names: tuple[str, ...] = ()
        if self.kind() is TokenType.L_PAREN:
            names, elements = self._table_elements()
        comment = self._comment()
        distribution = self.distribution() if self.accept("DISTRIBUTED") else None
        partition_keys = self.name_list() if self.accept("PARTITIONED", "BY") else ()
        options = self._with_options()
        like = self._like_clause() if self.at("LIKE") else None
        query = self.query() if self.accept("AS") else None
        if names and query is None:
            self.fail("a column needs a type, unless the table is made by CREATE TABLE … AS", start)
        if query is not None and is_temporary:
            self.unsupported("CREATE TEMPORARY TABLE … AS", start, fix="leave TEMPORARY out")
        if must_exist and query is None:
            self.fail("REPLACE TABLE needs AS and a query", start)
        if or_replace and (if_not_exists or is_temporary):
            self.fail(f"REPLACE and {'IF NOT EXISTS' if if_not_exists else 'TEMPORARY'} do not go together", start)
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
            distribution,
            must_exist,
        )

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
        options = self._with_options()
        return ast.FunctionClause(
            self.span(start), parts, path, language, is_temporary, is_system, conditional, is_alter, resources, options
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

    def drop(self) -> Any:
        """Consumes a DROP statement."""
        start = self.expect("DROP")
        is_temporary = self.accept("TEMPORARY")
        is_system = is_temporary and self.accept("SYSTEM")
        if is_system and not self.at("FUNCTION"):
            self.unexpected("FUNCTION")
        if self.at_any("MATERIALIZED", "CONNECTION"):
            self.refuse_object()
        word = self.expect_any("TABLE", "VIEW", "FUNCTION", "DATABASE", "CATALOG", "MODEL")
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
        if word == "MODEL":
            return ast.ModelClause(where, "drop", parts, is_temporary, if_exists)
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
            case "MODEL":
                return self.alter_model(start)
            case "MATERIALIZED" | "CONNECTION":
                return self.refuse_object()
            case _:
                return self.expect_any("TABLE", "VIEW", "DATABASE", "CATALOG", "FUNCTION", "MODEL")

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

    def _alter_view(self, start: Token) -> Any:
        self.expect("VIEW")
        if_exists = self._if_exists()
        parts = self.object_name("a view")
        if self.accept("RENAME", "TO"):
            new_parts = self.object_name("a view")
            return ast.RenameClause(self.span(start), parts, new_parts, True, if_exists)
        self.expect("AS")
        query, sql = self._query_text()
        return ast.CreateViewClause(self.span(start), parts, (), None, query, sql, False, False, is_alter=True)

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
        if action == "ADD" and (clause := self.alter_partitions(start, parts, action)):
            return clause
        if self.accept("DISTRIBUTION"):
            made = self.distribution()
            return ast.AlterTableClause(self.span(start), parts, if_exists, action.lower(), distribution=made)
        if self.kind() is TokenType.L_PAREN:
            elements = self.in_parentheses(lambda: self.comma_list(self._altered_element))
        else:
            elements = (self._altered_element(),)
        return ast.AlterTableClause(self.span(start), parts, if_exists, action.lower(), elements)

    def _altered_element(self) -> ast.Element:
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

    def _alter_drop(self, start: Token, parts: tuple[str, ...], if_exists: bool) -> ast.Clause:
        if clause := self.alter_partitions(start, parts, "DROP"):
            return clause
        action = "drop-columns"
        names: tuple[str, ...] = ()
        if self.accept("PRIMARY", "KEY"):
            action = "drop-primary-key"
        elif self.accept("CONSTRAINT"):
            self.name("the name of a constraint")
            action = "drop-primary-key"
        elif self.accept("WATERMARK"):
            action = "drop-watermark"
        elif self.accept("DISTRIBUTION"):
            action = "drop-distribution"
        elif self.kind() is TokenType.L_PAREN:
            names = self.name_list()
        else:
            names = (self.name("a column name"),)
        return ast.AlterTableClause(self.span(start), parts, if_exists, action, names=names)
