"""The grammar of statements: which kind one is, and everything that is not a query or a definition. Gives `ast` clauses, or
finished `statements` when nothing has to be looked up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot.tokens import Token, TokenType

from tableapi.sql import ast, statements
from tableapi.sql.ddl_grammar import DdlGrammar

_EXPLAIN_DETAILS = ("ESTIMATED_COST", "CHANGELOG_MODE", "JSON_EXECUTION_PLAN", "PLAN_ADVICE")
_SHOW_LISTS = ("CATALOGS", "DATABASES", "TABLES", "VIEWS", "FUNCTIONS", "MODULES", "JARS", "JOBS", "PROCEDURES", "MODELS")


class StatementGrammar(DdlGrammar):
    """The whole grammar."""

    def statement(self) -> Any:
        """Consumes a statement, to the end of the text."""
        while self.symbol(TokenType.SEMICOLON):
            pass
        result = self._statement()
        while self.symbol(TokenType.SEMICOLON):
            pass
        self.expect_end()
        return result

    def _statement(self) -> Any:
        word = self.word()
        if self.kind() is TokenType.L_PAREN or word in ("SELECT", "WITH", "VALUES", "TABLE"):
            return self.query()
        if word == "MERGE":
            self.unsupported("MERGE INTO", fix="write the rows with INSERT INTO a table with a PRIMARY KEY")
        parser = _STATEMENTS.get(word)
        if parser is None:
            if self.at_end():
                self.fail("there is no statement")
            self.expect_any("SELECT", "WITH", "VALUES", "TABLE", *_STATEMENTS)
        assert parser is not None
        return parser(self)

    def insert(self) -> ast.InsertClause:
        """Consumes an INSERT statement."""
        start = self.expect("INSERT")
        overwrite = self.expect_any("INTO", "OVERWRITE") == "OVERWRITE"
        if overwrite:
            self.accept("INTO")
        self.accept("TABLE")
        parts = self.object_name("a table")
        hints = self.hints()
        partition = self.partition_values() if self.accept("PARTITION") else ()
        columns = None
        if self.kind() is TokenType.L_PAREN and not self.opens_query():
            columns = self.in_parentheses(lambda: self.comma_list(lambda: self.name_parts("a column name")))
        query = self.query()
        on_conflict = None
        if self.accept("ON", "CONFLICT"):
            self.expect("DO")
            on_conflict = self.expect_any("NOTHING", "ERROR", "DEDUPLICATE")
        return ast.InsertClause(self.span(start), parts, query, overwrite, columns, partition, hints, on_conflict)

    def _execute(self) -> Any:
        start = self.expect("EXECUTE")
        if self.at("STATEMENT", "SET"):
            return self._statement_set(start)
        if self.accept("PLAN"):
            return statements.ExecutePlan(self.string())
        if self.at("INSERT"):
            return self.insert()
        return self.query()

    def _begin(self) -> Any:
        start = self.expect("BEGIN")
        self.expect("STATEMENT", "SET")
        self.expect_symbol(TokenType.SEMICOLON)
        return self._inserts(start)

    def _statement_set(self, start: Token) -> ast.StatementSetClause:
        self.expect("STATEMENT", "SET", "BEGIN")
        return self._inserts(start)

    def _inserts(self, start: Token) -> ast.StatementSetClause:
        inserts = []
        while not self.accept("END"):
            inserts.append(self.insert())
            self.expect_symbol(TokenType.SEMICOLON)
        if not inserts:
            self.fail("a statement set needs at least one INSERT", self._prev)
        return ast.StatementSetClause(self.span(start), tuple(inserts))

    def _explain(self) -> ast.ExplainClause:
        start = self.expect("EXPLAIN")
        details: tuple[str, ...] = ()
        if self.accept("PLAN"):
            self.expect("FOR")
        elif self.at_any(*_EXPLAIN_DETAILS):
            details = self.comma_list(lambda: self.expect_any(*_EXPLAIN_DETAILS))
            if len(set(details)) < len(details):
                self.fail("a detail of EXPLAIN stands twice", self._prev)
        inner = self._explained()
        return ast.ExplainClause(self.span(start), inner, details)

    def _explained(self) -> Any:
        start = self._curr
        if self.at("STATEMENT", "SET"):
            return self._statement_set(start)
        if self.at_any("EXECUTE"):
            return self._execute()
        if self.at("INSERT"):
            return self.insert()
        if self.at_any("CREATE", "REPLACE"):
            clause = self.create()
            if not isinstance(clause, ast.CreateTableClause) or clause.query is None:
                self.fail("EXPLAIN takes a query, INSERT, STATEMENT SET or CREATE TABLE … AS", start)
            return clause
        return self.query()

    def _describe(self) -> Any:
        start = self._curr
        self.expect_any("DESCRIBE", "DESC")
        is_extended = self.accept("EXTENDED")
        if self.at("CATALOG") and (self.is_name(1) or self.word(1) == "EXTENDED"):
            self._advance()
            is_extended = self.accept("EXTENDED") or is_extended
            return statements.DescribeCatalog(self.name("the name of a catalog"), is_extended)
        if self.accept("FUNCTION"):
            is_extended = self.accept("EXTENDED") or is_extended
            return statements.DescribeFunction(self.object_name("a function"), is_extended)
        if self.at("JOB") and self.kind(1) is TokenType.STRING:
            self._advance()
            return statements.DescribeJob(self.string())
        if self.at("MODEL") and (self.is_name(1) or self.word(1) == "EXTENDED"):
            self._advance()
            is_extended = self.accept("EXTENDED") or is_extended
            return ast.ModelClause(self.span(start), "describe", self.object_name("a model"))
        if self.at_any("CONNECTION", "DATABASE") and (self.is_name(1) or self.word(1) == "EXTENDED"):
            self.unsupported(f"DESCRIBE {self.word()}", fix="SHOW TABLES FROM … lists what is in a database")
        parts = self.object_name("a table")
        flags = frozenset({"extended"}) if is_extended else frozenset()
        return ast.ObjectClause(self.span(start), "DESCRIBE", parts, flags)

    def _show(self) -> Any:
        start = self.expect("SHOW")
        if self.accept("CREATE"):
            return self._show_create(start)
        if self.accept("CURRENT"):
            word = self.expect_any("CATALOG", "DATABASE")
            return ast.ShowClause(self.span(start), f"CURRENT {word}", None, None)
        if self.accept("USER", "FUNCTIONS"):
            return self._show_list("USER FUNCTIONS", start)
        if self.accept("FULL", "MODULES"):
            return self._show_list("FULL MODULES", start)
        if self.accept("MATERIALIZED", "TABLES"):
            return self._show_list("MATERIALIZED TABLES", start)
        if self.accept("PARTITIONS"):
            parts = self.object_name("a table")
            partition = self.partition_values() if self.accept("PARTITION") else ()
            return ast.ShowClause(self.span(start), "PARTITIONS", parts, None, partition)
        if self.accept("COLUMNS"):
            self.expect_any("FROM", "IN")
            parts = self.object_name("a table")
            return ast.ShowClause(self.span(start), "COLUMNS", parts, self._like_pattern())
        kind = self.expect_any(*_SHOW_LISTS, "CREATE", "CURRENT", "COLUMNS", "PARTITIONS")
        return self._show_list(kind, start)

    def _show_list(self, kind: str, start: Token) -> ast.ShowClause:
        source = None
        if self.accept_any("FROM", "IN"):
            source = self.name_parts("the name of a database")
        return ast.ShowClause(self.span(start), kind, source, self._like_pattern())

    def _like_pattern(self) -> tuple[str, bool, bool] | None:
        negated = self.accept("NOT")
        word = self.accept_any("LIKE", "ILIKE")
        if word is None:
            if negated:
                self.unexpected("LIKE or ILIKE")
            return None
        return self.string(), negated, word == "ILIKE"

    def _show_create(self, start: Token) -> Any:
        if self.at_any("MATERIALIZED", "CONNECTION"):
            self.refuse_object()
        if self.at("DATABASE"):
            self.unsupported("SHOW CREATE DATABASE")
        word = self.expect_any("TABLE", "VIEW", "CATALOG", "MODEL")
        if word == "MODEL":
            return ast.ModelClause(self.span(start), "show", self.object_name("a model"))
        if word == "CATALOG":
            return statements.Show("CREATE CATALOG", catalog=self.name("the name of a catalog"))
        return ast.ObjectClause(self.span(start), f"SHOW CREATE {word}", self.object_name(f"a {word.lower()}"))

    def _use(self) -> statements.Statement:
        self.expect("USE")
        if self.at("CATALOG") and self.is_name(1):
            self._advance()
            return statements.UseCatalog(self.name("the name of a catalog"))
        if self.accept("MODULES"):
            return statements.UseModules(self.comma_list(self.name))
        return statements.UseDatabase(*self.database_name())

    def _load(self) -> statements.Statement:
        self.expect("LOAD", "MODULE")
        return statements.LoadModule(self.name("the name of a module"), dict(self._with_options()))

    def _unload(self) -> statements.Statement:
        self.expect("UNLOAD", "MODULE")
        return statements.UnloadModule(self.name("the name of a module"))

    def _set(self) -> statements.Statement:
        self.expect("SET")
        if self.at_end() or self.kind() is TokenType.SEMICOLON:
            return statements.SetOption()
        if self.kind() is not TokenType.STRING:
            self.unexpected("'key' = 'value' (both in quotes)")
        key = self.string()
        self.expect_symbol(TokenType.EQ)
        return statements.SetOption(key, self.string())

    def _reset(self) -> statements.Statement:
        self.expect("RESET")
        if self.at_end() or self.kind() is TokenType.SEMICOLON:
            return statements.ResetOption()
        return statements.ResetOption(self.string("'key' in quotes"))

    def _add_jar(self) -> statements.Statement:
        self.expect("ADD", "JAR")
        return statements.AddJar(self.string())

    def _remove_jar(self) -> statements.Statement:
        self.expect("REMOVE", "JAR")
        return statements.RemoveJar(self.string())

    def _stop(self) -> statements.Statement:
        self.expect("STOP", "JOB")
        job_id = self.string("the id of a job in quotes")
        with_savepoint = with_drain = False
        while self.accept("WITH"):
            if self.expect_any("SAVEPOINT", "DRAIN") == "SAVEPOINT":
                with_savepoint = True
            else:
                with_drain = True
        return statements.StopJob(job_id, with_savepoint, with_drain)

    def _compile(self) -> ast.CompileClause:
        start = self.expect("COMPILE")
        execute = self.accept("AND", "EXECUTE")
        self.expect("PLAN")
        path = self.string()
        if_not_exists = self._if_not_exists()
        self.expect("FOR")
        inner = self._statement_set(self._curr) if self.at("STATEMENT", "SET") else self.insert()
        return ast.CompileClause(self.span(start), path, inner, if_not_exists, execute)

    def _client_command(self) -> statements.Statement:
        return statements.ClientCommand(self.next_token().text.upper())


_STATEMENTS: dict[str, Callable[[StatementGrammar], Any]] = {
    "INSERT": StatementGrammar.insert,
    "EXECUTE": StatementGrammar._execute,
    "BEGIN": StatementGrammar._begin,
    "CREATE": StatementGrammar.create,
    "REPLACE": StatementGrammar.create,
    "DROP": StatementGrammar.drop,
    "ALTER": StatementGrammar.alter,
    "EXPLAIN": StatementGrammar._explain,
    "DESCRIBE": StatementGrammar._describe,
    "DESC": StatementGrammar._describe,
    "SHOW": StatementGrammar._show,
    "USE": StatementGrammar._use,
    "LOAD": StatementGrammar._load,
    "UNLOAD": StatementGrammar._unload,
    "SET": StatementGrammar._set,
    "RESET": StatementGrammar._reset,
    "ADD": StatementGrammar._add_jar,
    "REMOVE": StatementGrammar._remove_jar,
    "STOP": StatementGrammar._stop,
    "CALL": StatementGrammar.call_procedure,
    "ANALYZE": StatementGrammar.analyze,
    "TRUNCATE": StatementGrammar.truncate,
    "DELETE": StatementGrammar.delete_rows,
    "UPDATE": StatementGrammar.update_rows,
    "COMPILE": StatementGrammar._compile,
    "QUIT": StatementGrammar._client_command,
    "EXIT": StatementGrammar._client_command,
    "CLEAR": StatementGrammar._client_command,
    "HELP": StatementGrammar._client_command,
}
