"""The grammar of queries: WITH, SELECT and its clauses, FROM, set operations, VALUES, ORDER BY, LIMIT. Gives `ast` nodes."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot.tokens import Token, TokenType

from tableapi.plan.unresolved import As, Call, SortItem, Unresolved
from tableapi.sql import ast
from tableapi.sql.call_grammar import CallGrammar
from tableapi.sql.expression_grammar import NO_PARENTHESES

_JOIN_STARTS = ("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL")


class QueryGrammar(CallGrammar):
    """Adds queries to the expressions."""

    def query(self) -> ast.Query:
        """Consumes a query with its WITH, ORDER BY, LIMIT, OFFSET and FETCH."""
        start = self._curr
        if self.at("WITH"):
            tables = self._with_clause()
            return ast.WithQuery(self.span(start), tables, self.query())
        result = self._union()
        order_by: tuple[SortItem, ...] = ()
        if self.accept("ORDER", "BY"):
            order_by = self.comma_list(self.sort_item)
        fetch, offset = self._limit()
        if order_by or fetch is not None or offset:
            return ast.OrderedQuery(self.span(start), result, order_by, fetch, offset)
        return result

    def _with_clause(self) -> tuple[ast.CommonTable, ...]:
        self.expect("WITH")
        if self.at("RECURSIVE"):
            self.unsupported("WITH RECURSIVE")
        return self.comma_list(self._common_table)

    def _common_table(self) -> ast.CommonTable:
        start = self._curr
        name = self.name("the name of a common table expression")
        columns = self.name_list() if self.kind() is TokenType.L_PAREN else ()
        self.expect("AS")
        query = self.in_parentheses(self.query)
        return ast.CommonTable(self.span(start), name, columns, query)

    def _limit(self) -> tuple[int | None, int]:
        fetch: int | None = None
        offset = 0
        if self.accept("LIMIT"):
            fetch = None if self.accept("ALL") else self.integer("a whole number of rows")
        if self.accept("OFFSET"):
            offset = self.integer("a whole number of rows")
            self.accept_any("ROW", "ROWS")
            if self.at("LIMIT"):
                self.fail("LIMIT stands before OFFSET")
        if self.accept("FETCH"):
            self.expect_any("FIRST", "NEXT")
            fetch = self.integer("a whole number of rows")
            self.expect_any("ROW", "ROWS")
            self.expect("ONLY")
        return fetch, offset

    def _union(self) -> ast.Query:
        return self._set_operation(("UNION", "EXCEPT"), self._intersection)

    def _intersection(self) -> ast.Query:
        return self._set_operation(("INTERSECT",), self._query_primary)

    def _set_operation(self, words: tuple[str, ...], part: Callable[[], ast.Query]) -> ast.Query:
        start = self._curr
        result = part()
        while True:
            if self.at("MINUS"):
                self.fail("MINUS is not a set operation", fix="write EXCEPT")
            word = self.accept_any(*words)
            if not word:
                return result
            is_all = self.accept_any("ALL", "DISTINCT") == "ALL"
            result = ast.SetOperation(self.span(start), word, is_all, result, part())

    def _query_primary(self) -> ast.Query:
        start = self._curr
        if self.kind() is TokenType.L_PAREN:
            return self.in_parentheses(self.query)
        if self.at("SELECT"):
            return self._select()
        if self.accept("VALUES"):
            rows = self.comma_list(self._values_row)
            return ast.ValuesRows(self.span(start), rows)
        if self.accept("TABLE"):
            inner = self._curr
            parts = self.object_name("a table")
            return ast.TableQuery(self.span(start), ast.TableName(self.span(inner), parts))
        return self.unexpected("a query (SELECT, VALUES, TABLE, WITH)")

    def _values_row(self) -> tuple[Unresolved, ...]:
        return _row_parts(self.expr())

    def _select(self) -> ast.Select:
        start = self.expect("SELECT")
        hints = self.hints()
        self.accept("STREAM")
        is_distinct = self.accept_any("DISTINCT", "ALL") == "DISTINCT"
        if is_distinct and self.at("ON"):
            self.unsupported("DISTINCT ON", fix="use ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) and keep the first row")
        items = self.comma_list(self._select_item)
        source = self.from_clause() if self.accept("FROM") else None
        if source is None and self.at_any("WHERE", "GROUP", "HAVING", "WINDOW"):
            self.fail(f"{self.word()} needs a FROM clause")
        condition = self.expr() if self.accept("WHERE") else None
        group_by = self._group_by() if self.accept("GROUP", "BY") else None
        having = self.expr() if self.accept("HAVING") else None
        windows = self.comma_list(self._window_item) if self.accept("WINDOW") else ()
        qualify = self.expr() if self.accept("QUALIFY") else None
        return ast.Select(self.span(start), items, is_distinct, source, condition, group_by, having, windows, qualify, hints)

    def _select_item(self) -> Unresolved:
        if self.kind() is TokenType.STAR:
            star = self.star()
            if self.at("EXCEPT") and self.kind(1) is TokenType.L_PAREN:
                self.unsupported("* EXCEPT (…)", fix="list the columns")
            return star
        start, index = self._curr, self._index
        item = self.expr()
        is_named_after_itself = self._index == index + 1 and start.text.upper() in (*NO_PARENTHESES, "PI")
        if self.accept("AS") or self.is_name():
            return As(item, (self.name("a column alias"),), where=self.span(start))
        if self.kind() is TokenType.STRING:
            self.fail("a column alias is a name, not text", fix="write it in back-ticks")
        return As(item, (start.text,), where=self.span(start)) if is_named_after_itself else item

    def _window_item(self) -> tuple[str, ast.WindowDefinition]:
        name = self.name("the name of a window")
        self.expect("AS")
        return name, self.window_definition()

    def _group_by(self) -> tuple[Unresolved, ...]:
        self.accept_any("ALL", "DISTINCT")
        items = self.comma_list(self._group_item)
        return tuple(part for item in items for part in _row_parts(item))

    def _group_item(self) -> Unresolved:
        start = self._curr
        if self.accept("GROUPING", "SETS"):
            sets = self.in_parentheses(lambda: self.comma_list(self._group_set))
            return ast.GroupingSet("sets", sets, where=self.span(start))
        if self.at_any("ROLLUP", "CUBE") and self.kind(1) is TokenType.L_PAREN:
            kind = self.next_token().text.lower()
            items = self.in_parentheses(lambda: self.comma_list(self._group_members))
            return ast.GroupingSet(kind, items, where=self.span(start))
        if self.kind() is TokenType.L_PAREN and self.kind(1) is TokenType.R_PAREN:
            self._advance(2)
            return ast.GroupingSet("sets", ((),), where=self.span(start))
        return self.expr()

    def _group_set(self) -> tuple[Unresolved, ...]:
        if self.at_any("ROLLUP", "CUBE") or self.at("GROUPING", "SETS"):
            return (self._group_item(),)
        return self._group_members()

    def _group_members(self) -> tuple[Unresolved, ...]:
        """`a`, `(a, b)` or `()`."""
        if self.kind() is TokenType.L_PAREN and self.kind(1) is TokenType.R_PAREN:
            self._advance(2)
            return ()
        return _row_parts(self.expr())

    def from_clause(self) -> ast.TableReference:
        """Consumes the tables after FROM: joins bind tighter than commas."""
        start = self._curr
        result = self._joins()
        while self.symbol(TokenType.COMMA):
            result = ast.Joined(self.span(start), result, self._joins(), "CROSS")
        return result

    def _joins(self) -> ast.TableReference:
        start = self._curr
        result = self._table()
        while self.at_any(*_JOIN_STARTS):
            result = self._join(result, start)
        return result

    def _join(self, left: ast.TableReference, start: Token) -> ast.TableReference:
        is_natural = self.accept("NATURAL")
        kind = self.accept_any("INNER", "LEFT", "RIGHT", "FULL", "CROSS") or "INNER"
        if kind in ("LEFT", "RIGHT", "FULL"):
            self.accept("OUTER")
            if self.at_any("SEMI", "ANTI"):
                self.unsupported(f"LEFT {self.word()} JOIN", fix="use [NOT] EXISTS or [NOT] IN")
        self.expect("JOIN")
        right = self._table()
        condition = None
        using = None
        if self.accept("ON"):
            condition = self.expr()
        elif self.accept("USING"):
            using = self.name_list()
        where = self.span(start)
        if kind == "CROSS" and (condition is not None or using is not None):
            self.fail("CROSS JOIN takes no condition", start)
        if is_natural and (condition is not None or using is not None):
            self.fail("NATURAL JOIN takes no condition", start)
        if kind != "CROSS" and not is_natural and condition is None and using is None:
            self.fail(f"{kind} JOIN needs ON or USING", self._curr or self._prev)
        return ast.Joined(where, left, right, kind, condition, using, is_natural)

    def _table(self) -> ast.TableReference:
        start = self._curr
        table = self._table_primary()
        if self.at("TABLESAMPLE"):
            self.unsupported("TABLESAMPLE")
        if self.at_any("PIVOT", "UNPIVOT"):
            self.unsupported(self.word())
        if self.at("MATCH_RECOGNIZE"):
            table = self.match_recognize(table, start)
        alias = self._alias()
        if alias is None and self.at("MATCH_RECOGNIZE"):
            table = self.match_recognize(table, start)
            alias = self._alias()
        elif alias is not None and self.at("MATCH_RECOGNIZE"):
            table = self.match_recognize(ast.Aliased(self.span(start), table, *alias), start)
            alias = self._alias()
        return table if alias is None else ast.Aliased(self.span(start), table, *alias)

    def _alias(self) -> tuple[str, tuple[str, ...]] | None:
        if not self.accept("AS") and not self.is_name():
            return None
        name = self.name("a table alias")
        columns = self.name_list() if self.kind() is TokenType.L_PAREN else ()
        return name, columns

    def _table_primary(self) -> ast.TableReference:
        start = self._curr
        lateral = self.accept("LATERAL")
        if self.kind() is TokenType.L_PAREN:
            return self._parenthesised_table(start, lateral)
        if self.at("UNNEST"):
            self._advance()
            collection = self.in_parentheses(self.expr)
            with_ordinality = self.accept("WITH", "ORDINALITY")
            return ast.UnnestTable(self.span(start), collection, with_ordinality)
        if self.accept("TABLE"):
            return self.in_parentheses(lambda: self._table_function(start, lateral))
        if self.at("VALUES"):
            return ast.Derived(self.span(start), self._query_primary(), lateral)
        if self.is_name() and self._is_call():
            return self._table_function(start, lateral)
        if lateral:
            self.unexpected("TABLE(function(…)), UNNEST or a query in parentheses")
        parts = self.object_name("a table")
        hints = self.hints()
        system_time = None
        if self.accept("FOR"):
            self.expect("SYSTEM_TIME", "AS", "OF")
            system_time = self._term()
        hints = hints or self.hints()
        return ast.TableName(self.span(start), parts, hints, system_time)

    def _is_call(self) -> bool:
        ahead = 0
        while self.is_name(ahead) and self.kind(ahead + 1) is TokenType.DOT:
            ahead += 2
        return self.is_name(ahead) and self.kind(ahead + 1) is TokenType.L_PAREN

    def _parenthesised_table(self, start: Token, lateral: bool) -> ast.TableReference:
        if self.opens_query():
            return ast.Derived(self.span(start), self.in_parentheses(self.query), lateral)
        return self.in_parentheses(self.from_clause)

    def _table_function(self, start: Token, lateral: bool) -> ast.TableReference:
        parts = self.name_parts("the name of a table function")
        self.open()
        args: tuple[Unresolved, ...] = ()
        if self.kind() is not TokenType.R_PAREN:
            args = self.comma_list(self.argument)
        self.close()
        return ast.TableFunction(self.span(start), ".".join(parts), args, lateral)

    def hints(self) -> tuple[ast.Hint, ...]:
        """Consumes a `/*+ … */` comment if one comes next."""
        if self.kind() is not TokenType.HINT:
            return ()
        token = self.next_token()
        inner = type(self)(_without_comment_marks(token.text))
        hints = []
        while not inner.at_end():
            name = inner.name("the name of a hint").upper()
            pairs: list[tuple[str, str]] = []
            items: list[str] = []
            if inner.symbol(TokenType.L_PAREN):
                while inner.kind() is not TokenType.R_PAREN:
                    key = inner.string() if inner.kind() is TokenType.STRING else ".".join(inner.name_parts())
                    if inner.symbol(TokenType.EQ):
                        pairs.append((key, inner.string()))
                    else:
                        items.append(key)
                    if not inner.symbol(TokenType.COMMA):
                        break
                inner.close()
            inner.symbol(TokenType.COMMA)
            hints.append(ast.Hint(self.place(token), name, tuple(pairs), tuple(items)))
        return tuple(hints)

    def match_recognize(self, table: ast.TableReference, start: Token) -> ast.TableReference:
        """Consumes MATCH_RECOGNIZE (…); the match grammar says how."""
        raise AssertionError("the match grammar is not there")


def _without_comment_marks(text: str) -> str:
    """The inside of a hint, with blanks in place of the marks so that positions stay."""
    return re.sub(r"^/\*\+|\*/$", lambda m: " " * len(m[0]), text)


def _row_parts(expression: Unresolved) -> tuple[Unresolved, ...]:
    """The values of `(a, b)`, or the one value."""
    return expression.args if isinstance(expression, Call) and expression.function == "ROW" else (expression,)
