"""The grammar of MATCH_RECOGNIZE: its clauses and the row pattern. Gives `ast` nodes."""

from __future__ import annotations

from sqlglot.tokens import Token, TokenType

from tableapi.plan.unresolved import SortItem, Unresolved
from tableapi.sql import ast
from tableapi.sql.query_grammar import QueryGrammar


class MatchGrammar(QueryGrammar):
    """Adds MATCH_RECOGNIZE to the queries."""

    def match_recognize(self, table: ast.TableReference, start: Token) -> ast.TableReference:
        """Consumes MATCH_RECOGNIZE (…)."""
        self.expect("MATCH_RECOGNIZE")
        self.open()
        partition_by: tuple[Unresolved, ...] = ()
        order_by: tuple[SortItem, ...] = ()
        measures: tuple[tuple[str, Unresolved], ...] = ()
        if self.accept("PARTITION", "BY"):
            partition_by = self.comma_list(self.expr)
        if self.accept("ORDER", "BY"):
            order_by = self.comma_list(self.sort_item)
        if self.accept("MEASURES"):
            measures = self.comma_list(self._measure)
        rows_per_match = None
        if word := self.accept_any("ONE", "ALL"):
            self.expect("ROW" if word == "ONE" else "ROWS")
            self.expect("PER", "MATCH")
            rows_per_match = word
        after_match = self._after_match()
        self.expect("PATTERN")
        pattern = self.in_parentheses(self._pattern)
        within = self.expr() if self.accept("WITHIN") else None
        subsets = self.comma_list(self._subset) if self.accept("SUBSET") else ()
        self.expect("DEFINE")
        define = self.comma_list(self._definition)
        self.close()
        return ast.MatchRecognize(
            self.span(start),
            table,
            partition_by,
            order_by,
            measures,
            rows_per_match,
            after_match,
            pattern,
            within,
            subsets,
            define,
        )

    def _measure(self) -> tuple[str, Unresolved]:
        self.accept_any("FINAL", "RUNNING")
        expression = self.expr()
        self.expect("AS")
        return self.name("the name of a measure"), expression

    def _after_match(self) -> tuple[str, ...]:
        if not self.accept("AFTER", "MATCH"):
            return ()
        self.expect("SKIP")
        if self.accept("PAST"):
            self.expect("LAST", "ROW")
            return ("PAST LAST ROW",)
        self.expect("TO")
        if self.accept("NEXT", "ROW"):
            return ("TO NEXT ROW",)
        side = self.accept_any("FIRST", "LAST") or "LAST"
        return (f"TO {side}", self.name("a pattern variable"))

    def _subset(self) -> tuple[str, tuple[str, ...]]:
        name = self.name()
        self.expect_symbol(TokenType.EQ)
        return name, self.name_list()

    def _definition(self) -> tuple[str, Unresolved]:
        name = self.name("a pattern variable")
        self.expect("AS")
        return name, self.expr()

    def _pattern(self) -> ast.Pattern:
        parts = [self._pattern_sequence()]
        while self.symbol(TokenType.PIPE):
            parts.append(self._pattern_sequence())
        return parts[0] if len(parts) == 1 else ast.Pattern("alternation", parts=tuple(parts))

    def _pattern_sequence(self) -> ast.Pattern:
        parts = []
        while self.kind() not in (TokenType.R_PAREN, TokenType.PIPE, TokenType.R_BRACE, TokenType.DASH, None):
            parts.append(self._quantified())
        if not parts:
            self.unexpected("a pattern variable")
        return parts[0] if len(parts) == 1 else ast.Pattern("sequence", parts=tuple(parts))

    def _quantified(self) -> ast.Pattern:
        part = self._pattern_primary()
        minimum, maximum = 1, 1
        bound: int | None = maximum
        if self.symbol(TokenType.STAR):
            minimum, bound = 0, None
        elif self.symbol(TokenType.PLUS):
            minimum, bound = 1, None
        elif self.symbol(TokenType.PLACEHOLDER):
            minimum, bound = 0, 1
        elif self.kind() is TokenType.L_BRACE and self.kind(1) in (TokenType.NUMBER, TokenType.COMMA):
            minimum, bound = self._repetition()
        else:
            return part
        is_greedy = not self.symbol(TokenType.PLACEHOLDER)
        return ast.Pattern(part.kind, part.name, part.parts, minimum, bound, is_greedy)

    def _repetition(self) -> tuple[int, int | None]:
        token = self.next_token()
        minimum = self.integer() if self.kind() is TokenType.NUMBER else 0
        maximum: int | None = minimum
        if self.symbol(TokenType.COMMA):
            maximum = self.integer() if self.kind() is TokenType.NUMBER else None
        self.expect_symbol(TokenType.R_BRACE)
        if maximum is not None and maximum < max(1, minimum):
            self.fail("the repetitions of a pattern variable are at least one, and not fewer than their minimum", token)
        return minimum, maximum

    def _pattern_primary(self) -> ast.Pattern:
        if self.kind() is TokenType.L_PAREN:
            inner = self.in_parentheses(self._pattern)
            return ast.Pattern("group", parts=(inner,))
        if self.symbol(TokenType.CARET):
            return ast.Pattern("start")
        if self.accept("$"):
            return ast.Pattern("end")
        if self.symbol(TokenType.L_BRACE):
            self.expect_symbol(TokenType.DASH)
            inner = self._pattern()
            self.expect_symbol(TokenType.DASH)
            self.expect_symbol(TokenType.R_BRACE)
            return ast.Pattern("exclusion", parts=(inner,))
        if self.accept("PERMUTE"):
            parts = self.in_parentheses(lambda: self.comma_list(self._pattern))
            return ast.Pattern("permute", parts=parts)
        return ast.Pattern("variable", self.name("a pattern variable"))
