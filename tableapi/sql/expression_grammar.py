"""The grammar of expressions: operators by precedence, literals, names, element access, sub-queries.

Gives `plan.unresolved` nodes (and the extra ones of `ast`). Precedence is Calcite's: OR, AND, NOT, IS, comparisons, then
BETWEEN / IN / LIKE, + and -, * / % and ||, signs, access by `.` and `[]`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlglot.tokens import Token, TokenType

from tableapi.errors import Location
from tableapi.plan.unresolved import Call, Cast, Lit, Name, Star, Unresolved
from tableapi.sql import ast, literals
from tableapi.sql.reserved import RESERVED
from tableapi.sql.type_grammar import TypeGrammar
from tableapi.types import (
    BooleanType,
    DataType,
    DayTimeIntervalType,
    IntervalUnit,
    TimestampType,
    YearMonthIntervalType,
)

_COMPARISONS = {
    TokenType.EQ: "EQUALS",
    TokenType.NEQ: "NOT_EQUALS",
    TokenType.LT: "LESS",
    TokenType.LTE: "LESS_OR_EQUAL",
    TokenType.GT: "GREATER",
    TokenType.GTE: "GREATER_OR_EQUAL",
}
_COUNTED_UNITS: tuple[tuple[str, int, YearMonthIntervalType | DayTimeIntervalType], ...] = (
    ("WEEK", 7, DayTimeIntervalType(IntervalUnit.DAY, IntervalUnit.DAY)),
    ("QUARTER", 3, YearMonthIntervalType(IntervalUnit.MONTH, IntervalUnit.MONTH)),
)
"""Units of INTERVAL literals that are no fields of an interval: how many of which unit they are."""
_TERMS = {TokenType.PLUS: "PLUS", TokenType.DASH: "MINUS"}
_FACTORS = {
    TokenType.STAR: "TIMES",
    TokenType.SLASH: "DIVIDE",
    TokenType.MOD: "MOD",
    TokenType.DPIPE: "CONCAT_OPERATOR",
}
_NOT_FUNCTIONS = frozenset(
    {
        *(
            "SELECT",
            "FROM",
            "WHERE",
            "GROUP",
            "HAVING",
            "ORDER",
            "BY",
            "LIMIT",
            "OFFSET",
            "FETCH",
            "UNION",
            "INTERSECT",
            "EXCEPT",
        ),
        *(
            "MINUS",
            "JOIN",
            "ON",
            "USING",
            "NATURAL",
            "INNER",
            "CROSS",
            "OUTER",
            "FULL",
            "AS",
            "WITH",
            "VALUES",
            "TABLE",
            "WHEN",
        ),
        *("THEN", "ELSE", "END", "AND", "OR", "IN", "IS", "BETWEEN", "LIKE", "SIMILAR", "DISTINCT", "ALL", "OVER", "PARTITION"),
        *("ROWS", "FILTER", "WITHIN", "WINDOW", "QUALIFY", "TABLESAMPLE", "MATCH_RECOGNIZE", "FOR", "TO", "SET", "INTO"),
        *("LATERAL", "UNNEST", "ESCAPE", "ANY", "SOME", "CREATE", "INSERT", "UPDATE", "DELETE", "DROP", "ALTER", "INTERVAL"),
    }
)
NO_PARENTHESES = ("CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP")
_QUERY_STARTS = ("SELECT", "WITH", "VALUES", "TABLE")
_QUERY_CONTINUES = ("UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT", "OFFSET", "FETCH")
_BALANCED_FROM = 16
"""Longer chains of AND or OR become balanced trees, so that their depth stays small."""


class ExpressionGrammar(TypeGrammar):
    """Adds expressions to the types."""

    def expr(self) -> Unresolved:
        """Consumes an expression."""
        return self._chain("OR", self._conjunction)

    def _conjunction(self) -> Unresolved:
        return self._chain("AND", self._negation)

    def _chain(self, word: str, part: Callable[[], Unresolved]) -> Unresolved:
        start = self._curr
        parts = [part()]
        while self.accept(word):
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        where = self.span(start)
        if len(parts) <= _BALANCED_FROM:
            result = parts[0]
            for following in parts[1:]:
                result = Call(word, (result, following), where=where)
            return result
        while len(parts) > 1:
            pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
            parts = [Call(word, tuple(p), where=where) if len(p) == 2 else p[0] for p in pairs]
        return parts[0]

    def _negation(self) -> Unresolved:
        start = self._curr
        if self.accept("NOT"):
            return Call("NOT", (self._negation(),), where=self.span(start))
        return self._is_tests()

    def _is_tests(self) -> Unresolved:
        start = self._curr
        result = self._comparison()
        while self.accept("IS"):
            negated = self.accept("NOT")
            result = self._is_test(result, negated, start)
        return result

    def _is_test(self, arg: Unresolved, negated: bool, start: Token) -> Unresolved:
        infix = "NOT_" if negated else ""
        if self.accept("DISTINCT", "FROM"):
            other = self._range()
            return Call(f"IS_{infix}DISTINCT_FROM", (arg, other), where=self.span(start))
        if self.accept("JSON"):
            kind = self.accept_any("VALUE", "SCALAR", "ARRAY", "OBJECT") or "VALUE"
            test = Call("IS_JSON", (arg, Lit(kind)), where=self.span(start))
            return Call("NOT", (test,), where=self.span(start)) if negated else test
        word = self.expect_any("NULL", "TRUE", "FALSE", "UNKNOWN")
        return Call(f"IS_{infix}{word}", (arg,), where=self.span(start))

    def _comparison(self) -> Unresolved:
        start = self._curr
        result = self._range()
        while (token_type := self.kind()) in _COMPARISONS:
            if self._curr.text == "!=":
                self.fail("'!=' is not an operator", fix="write <>")
            self._advance()
            operator = _COMPARISONS[token_type]
            if quantifier := self._quantifier():
                self.open()
                query = self.query()
                self.close()
                result = ast.QueryValue(quantifier, query, _row_values(result), operator=operator, where=self.span(start))
            else:
                result = Call(operator, (result, self._range()), where=self.span(start))
        return result

    def _quantifier(self) -> str | None:
        if self.at_any("ANY", "SOME", "ALL") and self.kind(1) is TokenType.L_PAREN and self.word(2) in _QUERY_STARTS:
            return "all" if self.next_token().text.upper() == "ALL" else "any"
        return None

    def _range(self) -> Unresolved:
        start = self._curr
        result = self._term()
        while True:
            index = self._index
            negated = self.accept("NOT")
            if self.accept("BETWEEN"):
                found: Unresolved = self._between(result, start)
            elif self.accept("IN"):
                result = self._in(result, negated, start)
                continue
            elif word := self.accept_any("LIKE", "SIMILAR", "ILIKE"):
                found = self._like(result, word, start)
            elif not negated and self.accept("OVERLAPS"):
                found = self._overlaps(result, start)
            else:
                self._retreat(index)
                return result
            result = Call("NOT", (found,), where=self.span(start)) if negated else found

    def _between(self, arg: Unresolved, start: Token) -> Unresolved:
        symmetric = self.accept_any("SYMMETRIC", "ASYMMETRIC") == "SYMMETRIC"
        lower = self._term()
        self.expect("AND")
        upper = self._term()
        where = self.span(start)
        return Call("BETWEEN_SYMMETRIC" if symmetric else "BETWEEN", (arg, lower, upper), where=where)

    def _in(self, arg: Unresolved, negated: bool, start: Token) -> Unresolved:
        self.open()
        if self.word() in _QUERY_STARTS:
            query = self.query()
            self.close()
            return ast.QueryValue("in", query, _row_values(arg), negated, where=self.span(start))
        values = self.comma_list(self.expr)
        self.close()
        test = Call("IN", (arg, *values), where=self.span(start))
        return Call("NOT", (test,), where=self.span(start)) if negated else test

    def _like(self, arg: Unresolved, word: str, start: Token) -> Unresolved:
        if word == "SIMILAR":
            self.expect("TO")
        pattern = self._term()
        escape = (self._escape(),) if self.accept("ESCAPE") else ()
        return Call("SIMILAR_TO" if word == "SIMILAR" else word, (arg, pattern, *escape), where=self.span(start))

    def _escape(self) -> Unresolved:
        token = self._curr
        escape = self._term()
        if isinstance(escape, Lit) and isinstance(escape.value, str) and len(escape.value) != 1:
            self.fail("ESCAPE needs one character", token)
        return escape

    def _overlaps(self, arg: Unresolved, start: Token) -> Unresolved:
        other = self._term()
        periods = (*_row_values(arg), *_row_values(other))
        if len(periods) != 4:
            self.fail("OVERLAPS compares two periods: (start, end) OVERLAPS (start, end)", start)
        return Call("OVERLAPS", periods, where=self.span(start))

    def _term(self) -> Unresolved:
        return self._binary(_TERMS, self._factor)

    def _factor(self) -> Unresolved:
        return self._binary(_FACTORS, self._sign)

    def _binary(self, operators: dict[TokenType, str], operand: Callable[[], Unresolved]) -> Unresolved:
        start = self._curr
        result = operand()
        while (token_type := self.kind()) in operators:
            self._advance()
            result = Call(operators[token_type], (result, operand()), where=self.span(start))
        return result

    def _sign(self) -> Unresolved:
        start = self._curr
        if self.symbol(TokenType.PLUS):
            return self._sign()
        if not self.symbol(TokenType.DASH):
            return self._postfix()
        arg = self._sign()
        if isinstance(arg, Lit) and isinstance(arg.value, int | float | Decimal) and not isinstance(arg.value, bool):
            is_int = isinstance(arg.value, int) and arg.value <= 2**31
            return Lit(-arg.value, None if is_int else arg.data_type, where=self.span(start))
        return Call("NEGATE", (arg,), where=self.span(start))

    def _postfix(self) -> Unresolved:
        start = self._curr
        result = self._primary()
        while True:
            if self.symbol(TokenType.L_BRACKET):
                index = self.expr()
                self.expect_symbol(TokenType.R_BRACKET)
                result = Call("AT", (result, index), where=self.span(start))
            elif self.kind() is TokenType.DOT and self.kind(1) is TokenType.STAR:
                self._advance(2)
                result = ast.FieldStar(result, where=self.span(start))
            elif self.symbol(TokenType.DOT):
                field = self.name("a field name")
                result = Call("GET", (result, Lit(field)), where=self.span(start))
            else:
                return result

    def _primary(self) -> Unresolved:
        token = self._curr
        match self.kind():
            case TokenType.NUMBER:
                return self._number()
            case TokenType.DOT if self.kind(1) is TokenType.NUMBER:
                return self._number()
            case TokenType.STRING | TokenType.UNICODE_STRING | TokenType.BYTE_STRING | TokenType.NATIONAL_STRING:
                text = self.next_token().text if token.token_type is TokenType.NATIONAL_STRING else self.strings()
                return Lit(text, where=self.span(token))
            case TokenType.HEX_STRING:
                if not self.sql[token.start : token.end + 1].endswith("'"):
                    self.fail("this is not a number")
                self._advance()
                return self._literal(literals.binary, token.text, token)
            case TokenType.L_PAREN:
                return self._parenthesised()
            case TokenType.IDENTIFIER:
                return self._name_or_call()
            case TokenType.VAR:
                return self._word_expression(token)
            case TokenType.PLACEHOLDER:
                return self.unsupported("a dynamic parameter '?'")
            case _:
                return self.unexpected("an expression")

    def _number(self) -> Unresolved:
        start = self._curr
        text = "." if self.symbol(TokenType.DOT) else ""
        token = self.next_token()
        if text and token.start != start.end + 1:
            self.fail("this is not a number", start)
        result = self._literal(literals.number, text + token.text, start)
        if (
            self._curr
            and self._curr.start == token.end + 1
            and self.kind() in (TokenType.VAR, TokenType.NUMBER, TokenType.STRING)
        ):
            self.fail("a name cannot begin with a digit", token, fix="write it in back-ticks")
        return result

    def _literal(self, convert: Callable[..., tuple[Any, DataType | None]], text: str, start: Token, *more: Any) -> Lit:
        """A literal, its errors put at its place."""
        try:
            value, data_type = convert(text, *more)
        except (ValueError, OverflowError) as error:
            shown = self.text_between(start)
            self.fail(f"{shown}: {error}", start)
        return Lit(value, data_type, where=self.span(start))

    def _word_expression(self, token: Token) -> Unresolved:
        word = self.word()
        if method := _KEYWORD_EXPRESSIONS.get(word):
            found = getattr(self, method)(token)
            if found is not None:
                return found
        if word in NO_PARENTHESES:
            self._advance()
            if self.kind() is TokenType.L_PAREN:
                self.open()
                self.close()
            return Call(word, where=self.span(token))
        if self.kind(1) is TokenType.L_PAREN and word not in _NOT_FUNCTIONS:
            return self._name_or_call()
        if self.kind(1) is TokenType.STRING and word.startswith("_") and self._next.start == token.end + 1:
            self._advance()
            return Lit(self.string(), where=self.span(token))
        if word in RESERVED:
            self.unexpected("an expression")
        return self._name_or_call()

    def _constant(self, token: Token) -> Unresolved:
        word = self.next_token().text.upper()
        if word == "UNKNOWN":
            return Lit(None, BooleanType(), where=self.span(token))
        return Lit({"TRUE": True, "FALSE": False, "NULL": None}[word], where=self.span(token))

    def _temporal_literal(self, token: Token) -> Unresolved | None:
        if self.kind(1) not in (TokenType.STRING, TokenType.UNICODE_STRING):
            return None
        word = self.next_token().text.upper()
        convert = {"DATE": literals.date, "TIME": literals.time, "TIMESTAMP": literals.timestamp}[word]
        text = self.string()
        if word == "TIMESTAMP" and (fine := literals.nanosecond_timestamp(text)):
            literal = self._literal(literals.timestamp, fine[:26], token)
            return Cast(replace(literal, value=fine, data_type=None), TimestampType(len(fine) - 20), where=self.span(token))
        return self._literal(convert, text, token)

    def _interval(self, token: Token) -> Unresolved:
        self.expect("INTERVAL")
        sign = 1
        while self.kind() in (TokenType.DASH, TokenType.PLUS):
            sign = -sign if self.next_token().token_type is TokenType.DASH else sign
        if self.kind() is not TokenType.STRING:
            amount = self._sign()
            unit = self.interval_type()
            if unit.first != unit.last:
                self.fail("an interval of a computed amount has one unit", token)
            one = self._literal(literals.interval, "1", token, unit, sign)
            return Call("TIMES", (one, amount), where=self.span(token))
        text = self.string()
        for word, parts, unit in _COUNTED_UNITS:
            if self.accept(word) or self.accept(f"{word}S"):
                return self._literal(literals.interval, text, token, unit, sign * parts)
        unit, digits = self.interval_type_and_digits()
        return self._literal(literals.interval, text, token, unit, sign, digits)

    def _case(self, token: Token) -> Unresolved:
        self.expect("CASE")
        operand = None if self.at("WHEN") else self.expr()
        args: list[Unresolved] = []
        if not self.at("WHEN"):
            self.unexpected("WHEN")
        while self.accept("WHEN"):
            args.append(self._when(operand))
            self.expect("THEN")
            args.append(self.expr())
        args.append(self.expr() if self.accept("ELSE") else Lit(None, where=self.place(token)))
        self.expect("END")
        return Call("CASE", tuple(args), where=self.span(token))

    def _when(self, operand: Unresolved | None) -> Unresolved:
        if operand is None:
            return self.expr()
        start = self._curr
        values = self.comma_list(self.expr)
        tests = [Call("EQUALS", (operand, v), where=v.where) for v in values]
        result: Unresolved = tests[0]
        for test in tests[1:]:
            result = Call("OR", (result, test), where=self.span(start))
        return result

    def _cast(self, token: Token) -> Unresolved | None:
        if self.kind(1) is not TokenType.L_PAREN:
            return None
        is_try = self.next_token().text.upper() == "TRY_CAST"
        self.open()
        arg = self.expr()
        self.expect("AS")
        data_type = self.data_type()
        if not data_type.is_nullable:
            self.fail(
                "CAST takes a type without NOT NULL", self._prev, fix="whether the result can be NULL follows from the value"
            )
        self.close()
        return Cast(arg, data_type, is_try, where=self.span(token))

    def _difference(self, value: Unresolved, unit: YearMonthIntervalType | DayTimeIntervalType, where: Location) -> Unresolved:
        """`(later - earlier) unit`: whole months between two times, or a duration."""
        if isinstance(unit, DayTimeIntervalType) or not isinstance(value, Call) or value.function != "MINUS":
            return Cast(value, unit, where=where)
        later, earlier = value.args
        months = Call("TIMESTAMPDIFF", (Lit("MONTH"), earlier, later), where=where)
        one = Lit(1, YearMonthIntervalType(IntervalUnit.MONTH, IntervalUnit.MONTH, is_nullable=False), where=where)
        return Cast(Call("TIMES", (one, months), where=where), unit, where=where)

    def _exists(self, token: Token) -> Unresolved:
        self.expect("EXISTS")
        query = self.in_parentheses(self.query)
        return ast.QueryValue("exists", query, where=self.span(token))

    def _row(self, token: Token) -> Unresolved:
        self.expect("ROW")
        self.open()
        values = () if self.kind() is TokenType.R_PAREN else self.comma_list(self.expr)
        self.close()
        return Call("ROW", values, where=self.span(token))

    def _collection(self, token: Token) -> Unresolved | None:
        if self.kind(1) is TokenType.L_PAREN:
            if self.word(2) in _QUERY_STARTS:
                self.unsupported(f"{self.word()} of a query")
            return None
        if self.kind(1) is not TokenType.L_BRACKET:
            return None
        word = self.next_token().text.upper()
        if word == "MULTISET":
            self.unsupported("the MULTISET constructor", token)
        self.expect_symbol(TokenType.L_BRACKET)
        if self.kind() is TokenType.R_BRACKET:
            self.fail(f"{word}[] has no type", token, fix="cast a NULL to the type, or give an element")
        values = self.comma_list(self.expr)
        self.expect_symbol(TokenType.R_BRACKET)
        if word == "MAP" and len(values) % 2:
            self.fail("MAP[…] takes keys and values in turn", token)
        return Call(word, values, where=self.span(token))

    def _parenthesised(self) -> Unresolved:
        if self.opens_query():
            start = self._curr
            query = self.in_parentheses(self.query)
            return ast.QueryValue("scalar", query, where=self.span(start))
        start = self.open()
        values = self.comma_list(self.expr)
        self.close()
        if len(values) > 1:
            return Call("ROW", values, where=self.span(start))
        if self.at_any("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"):
            return self._difference(values[0], self.interval_type(), self.span(start))
        return replace(values[0], where=self.span(start)) if isinstance(values[0], Call) else values[0]

    def opens_query(self) -> bool:
        """Whether the parenthesis that opens here holds a query (rather than an expression or joined tables)."""
        ahead = 0
        while self.kind(ahead) is TokenType.L_PAREN:
            if self.word(ahead + 1) in _QUERY_STARTS:
                return True
            after = self.closing(ahead + 1) + 1
            if self.kind(after) is not TokenType.R_PAREN:
                return self.word(after) in _QUERY_CONTINUES and self.opens_query_at(ahead + 1)
            ahead += 1
        return False

    def opens_query_at(self, ahead: int) -> bool:
        """Whether the parentheses at a position hold, at the innermost, a query."""
        while self.kind(ahead) is TokenType.L_PAREN:
            ahead += 1
        return self.word(ahead) in _QUERY_STARTS

    def _name_or_call(self) -> Unresolved:
        start = self._curr
        parts = [self._first_name()]
        while self.kind() is TokenType.DOT:
            if self.kind(1) is TokenType.STAR:
                self._advance(2)
                qualified = Name(tuple(parts), where=self.span(start))
                return ast.FieldStar(qualified, where=self.span(start))
            self._advance()
            parts.append(self.name("a column or field name"))
        if self.kind() is TokenType.L_PAREN:
            return self.call(tuple(parts), start)
        return Name(tuple(parts), where=self.span(start))

    def _first_name(self) -> str:
        """A name; before `(` also a reserved word, for functions such as COUNT."""
        if self.kind() is TokenType.VAR and self.kind(1) is TokenType.L_PAREN:
            return str(self.next_token().text)
        return self.name("a column name")

    def star(self) -> Star:
        """Consumes `*`."""
        token = self.expect_symbol(TokenType.STAR)
        return Star(where=self.span(token))

    def query(self) -> ast.Query:
        """Consumes a query; the query grammar says how."""
        raise AssertionError("the query grammar is not there")

    def call(self, parts: tuple[str, ...], start: Token) -> Unresolved:
        """Consumes the arguments of a call; the call grammar says how."""
        raise AssertionError("the call grammar is not there")


_KEYWORD_EXPRESSIONS = {
    "TRUE": "_constant",
    "FALSE": "_constant",
    "NULL": "_constant",
    "UNKNOWN": "_constant",
    "DATE": "_temporal_literal",
    "TIME": "_temporal_literal",
    "TIMESTAMP": "_temporal_literal",
    "INTERVAL": "_interval",
    "CASE": "_case",
    "CAST": "_cast",
    "TRY_CAST": "_cast",
    "EXISTS": "_exists",
    "ROW": "_row",
    "ARRAY": "_collection",
    "MAP": "_collection",
    "MULTISET": "_collection",
}


def _row_values(expression: Unresolved) -> tuple[Unresolved, ...]:
    """The values of `(a, b)`, or the one value."""
    if isinstance(expression, Call) and expression.function == "ROW":
        return expression.args
    return (expression,)
