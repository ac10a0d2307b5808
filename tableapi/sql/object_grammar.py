"""The grammar of models, partitions, procedures and changes of single rows: everything that names an object and is not a query."""

from __future__ import annotations

from typing import NoReturn

from sqlglot.tokens import Token, TokenType

from tableapi.plan import unresolved as un
from tableapi.sql import ast
from tableapi.sql.table_grammar import TableGrammar

_MATERIALIZED = "a MATERIALIZED TABLE"
_NO_REFRESH = (
    "use CREATE TABLE … AS for a result that is computed once, or CREATE VIEW for one that is computed when it is read"
)


class ObjectGrammar(TableGrammar):
    """Adds models, partitions, CALL, ANALYZE TABLE, TRUNCATE, UPDATE and DELETE to what definitions are made of."""

    def create_other(self, start: Token, is_temporary: bool) -> ast.ModelClause:
        """Consumes the rest of CREATE MODEL; refuses what else can be created in Flink."""
        if self.word() != "MODEL":
            self.refuse_object()
        self._advance()
        if_not_exists = self._if_not_exists()
        parts = self.object_name("a model")
        inputs = self._model_columns() if self.accept("INPUT") else None
        outputs = self._model_columns() if self.accept("OUTPUT") else None
        if (inputs is None) != (outputs is None):
            self.fail("a model has both INPUT and OUTPUT columns, or none", start)
        comment = self._comment()
        options = self._with_options()
        if self.at("AS"):
            self.unsupported("CREATE MODEL … AS (training)", fix="train the model in Python")
        if not options:
            self.fail("a model needs options", start, fix="add WITH ('provider' = '…', …)")
        return ast.ModelClause(
            self.span(start), "create", parts, is_temporary, if_not_exists, inputs, outputs, comment, options
        )

    def _model_columns(self) -> tuple[ast.ColumnDefinition, ...]:
        columns = []
        for element in self.in_parentheses(lambda: self.comma_list(self.table_element)):
            if not isinstance(element, ast.ColumnDefinition) or element.kind != "physical" or element.is_primary_key:
                self.fail("a model has plain columns: name and type", self._prev)
            columns.append(element)
        return tuple(columns)

    def alter_model(self, start: Token) -> ast.ModelClause:
        """Consumes the rest of ALTER MODEL."""
        self.expect("MODEL")
        if_exists = self._if_exists()
        parts = self.object_name("a model")
        match self.expect_any("SET", "RESET", "RENAME"):
            case "SET":
                options = self.options()
                if not options:
                    self.fail("SET needs at least one option", self._prev)
                return ast.ModelClause(self.span(start), "set", parts, conditional=if_exists, options=options)
            case "RESET":
                keys = self._reset_keys()
                return ast.ModelClause(self.span(start), "reset", parts, conditional=if_exists, keys=keys)
            case _:
                self.expect("TO")
                new_parts = self.object_name("a model")
                return ast.ModelClause(self.span(start), "rename", parts, conditional=if_exists, new_parts=new_parts)

    def refuse_object(self) -> NoReturn:
        """Fails for a kind of object that Flink has and we have not."""
        if self.word() == "MATERIALIZED":
            self.unsupported(_MATERIALIZED, fix=_NO_REFRESH)
        self.unsupported(f"a {self.word()}", fix="write the options into the tables: WITH (…)")

    def partition_clauses(self, *, with_options: bool) -> tuple[ast.PartitionClause, ...]:
        """Consumes `PARTITION (k = v, …) [WITH (…)] …`."""
        found = []
        while self.at("PARTITION"):
            start = self.expect("PARTITION")
            values = self.partition_values()
            options = self._with_options() if with_options else ()
            found.append(ast.PartitionClause(self.span(start), values, options))
            if not with_options:
                self.symbol(TokenType.COMMA)
        return tuple(found)

    def alter_partitions(self, start: Token, parts: tuple[str, ...], action: str) -> ast.PartitionsClause | None:
        """ADD or DROP PARTITION, or None when something else comes."""
        condition = ("IF", "NOT", "EXISTS") if action == "ADD" else ("IF", "EXISTS")
        if not (self.at("PARTITION") or self.at(*condition, "PARTITION")):
            return None
        conditional = self.accept(*condition)
        partitions = self.partition_clauses(with_options=action == "ADD")
        return ast.PartitionsClause(self.span(start), parts, action.lower(), partitions, conditional)

    def call_procedure(self) -> ast.CallClause:
        """Consumes CALL."""
        start = self.expect("CALL")
        parts = self.object_name("a procedure")
        self.open()
        args: tuple[un.Unresolved, ...] = ()
        if not self.symbol(TokenType.R_PAREN):
            args = self.comma_list(self.argument)
            self.close()
        return ast.CallClause(self.span(start), parts, args)

    def analyze(self) -> ast.AnalyzeClause:
        """Consumes ANALYZE TABLE."""
        start = self.expect("ANALYZE")
        self.expect("TABLE")
        parts = self.object_name("a table")
        partition = self._partition_pattern() if self.accept("PARTITION") else ()
        self.expect("COMPUTE", "STATISTICS")
        columns: tuple[str, ...] | None = ()
        if self.accept("FOR"):
            if self.accept("ALL"):
                self.expect("COLUMNS")
                columns = None
            else:
                self.expect("COLUMNS")
                columns = self.comma_list(lambda: self.name("a column name"))
        return ast.AnalyzeClause(self.span(start), parts, partition, columns)

    def _partition_pattern(self) -> tuple[tuple[str, un.Unresolved | None], ...]:
        """`(k = v, k2)`: a key without a value means all of its values."""

        def one() -> tuple[str, un.Unresolved | None]:
            name = self.name("a partition column")
            return name, self._sign() if self.symbol(TokenType.EQ) else None

        return self.in_parentheses(lambda: self.comma_list(one))

    def truncate(self) -> ast.ObjectClause:
        """Consumes TRUNCATE TABLE."""
        start = self.expect("TRUNCATE")
        self.expect("TABLE")
        return ast.ObjectClause(self.span(start), "TRUNCATE", self.object_name("a table"))

    def delete_rows(self) -> ast.ChangeClause:
        """Consumes DELETE FROM."""
        start = self.expect("DELETE")
        self.expect("FROM")
        parts = self.object_name("a table")
        condition = self.expr() if self.accept("WHERE") else None
        return ast.ChangeClause(self.span(start), parts, None, condition)

    def update_rows(self) -> ast.ChangeClause:
        """Consumes UPDATE … SET."""
        start = self.expect("UPDATE")
        parts = self.object_name("a table")
        self.expect("SET")
        assignments = self.comma_list(self._assignment)
        condition = self.expr() if self.accept("WHERE") else None
        return ast.ChangeClause(self.span(start), parts, assignments, condition)

    def _assignment(self) -> tuple[un.Name, un.Unresolved]:
        start = self._curr
        column = self.name("a column name")
        self.expect_symbol(TokenType.EQ)
        return un.Name((column,), where=self.place(start)), self.expr()
