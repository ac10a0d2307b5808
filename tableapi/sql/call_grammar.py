"""The grammar of calls: plain arguments, DISTINCT, FILTER, OVER, and the functions that SQL spells with words inside.

`EXTRACT(HOUR FROM t)` becomes `Call("EXTRACT", (Lit("HOUR"), t))`: words become text literals.
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot.tokens import Token, TokenType

from tableapi.plan.unresolved import Bound, Call, Lit, Over, SortItem, Unresolved
from tableapi.sql import ast
from tableapi.sql.expression_grammar import ExpressionGrammar
from tableapi.sql.reserved import RESERVED

_EXTRACT_UNITS = (
    *("MILLENNIUM", "CENTURY", "DECADE", "YEAR", "ISOYEAR", "QUARTER", "MONTH", "WEEK", "DOY", "DOW", "ISODOW", "DAY"),
    *("HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "NANOSECOND", "EPOCH"),
)
_ARITHMETIC_UNITS = {
    **{u: u for u in ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND")},
    **{u: u for u in ("MILLISECOND", "MICROSECOND", "NANOSECOND", "MILLENNIUM", "CENTURY", "DECADE")},
    **{f"SQL_TSI_{u}": u for u in ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND")},
    "SQL_TSI_MICROSECOND": "MICROSECOND",
    "SQL_TSI_FRAC_SECOND": "NANOSECOND",
}
_PLURALS = {f"{u}S": u for u in ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")}


class CallGrammar(ExpressionGrammar):
    """Adds calls to the expressions."""

    def call(self, parts: tuple[str, ...], start: Token) -> Unresolved:
        """Consumes the arguments of a call and what may follow: FILTER, OVER, …"""
        name = ".".join(parts)
        special = _SPECIAL.get(name.upper()) if len(parts) == 1 and start.token_type is TokenType.VAR else None
        result: Unresolved
        if special is not None:
            self.open()
            result = getattr(self, special)(name.upper(), start)
            self.close()
        else:
            result = self._plain_call(name, start)
        return self._after_call(result, start)

    def _plain_call(self, name: str, start: Token) -> Call:
        self.open()
        quantifier = self.accept_any("DISTINCT", "ALL")
        if quantifier and self.kind() is TokenType.R_PAREN:
            self.unexpected("an argument")
        distinct = quantifier == "DISTINCT"
        args: tuple[Unresolved, ...] = ()
        order_by: tuple[SortItem, ...] = ()
        if self.kind() is TokenType.STAR:
            if distinct:
                self.unexpected("a column")
            args = (self.star(),)
        elif self.kind() is not TokenType.R_PAREN and not self.at("ORDER"):
            args = self.comma_list(self.argument)
        if self.accept("ORDER", "BY"):
            order_by = self.comma_list(self.sort_item)
        self.close()
        return Call(name, args, distinct, order_by=order_by, where=self.span(start))

    def argument(self) -> Unresolved:
        """Consumes an argument: an expression, `name => value`, `TABLE t …` or `DESCRIPTOR(…)`."""
        start = self._curr
        if self.kind(1) is TokenType.FARROW:
            if self.kind() not in (TokenType.VAR, TokenType.IDENTIFIER):
                self.unexpected("the name of an argument")
            name = self.next_token().text
            self._advance()
            value = self.argument()
            return ast.NamedArgument(name, value, where=self.span(start))
        if self.at("TABLE"):
            return self._table_argument()
        if self.at("DESCRIPTOR") and self.kind(1) is TokenType.L_PAREN:
            self._advance()
            columns = self.in_parentheses(lambda: self.comma_list(self._descriptor_column))
            return ast.Descriptor(columns, where=self.span(start))
        if self.at("DEFAULT"):
            self._advance()
            return Call("DEFAULT", (), where=self.span(start))
        value = self.expr()
        if isinstance(value, ast.QueryValue) and (self.at("PARTITION", "BY") or self.at("ORDER", "BY")):
            return self._with_partition(ast.Derived(value.where, value.query), start)
        return value

    def _descriptor_column(self) -> str:
        parts = self.name_parts("a column name")
        return parts[-1]

    def _table_argument(self) -> Unresolved:
        start = self.expect("TABLE")
        table: ast.TableReference
        if self.kind() is TokenType.L_PAREN:
            inner = self._curr
            table = ast.Derived(self.span(inner), self.in_parentheses(self.query))
        else:
            inner = self._curr
            parts = self.object_name("a table")
            table = ast.TableName(self.span(inner), parts)
        return self._with_partition(table, start)

    def _with_partition(self, table: ast.TableReference, start: Token) -> Unresolved:
        """Consumes PARTITION BY and ORDER BY after a table that is an argument."""
        partition_by: tuple[Unresolved, ...] = ()
        order_by: tuple[SortItem, ...] = ()
        if self.accept("PARTITION", "BY"):
            partition_by = self._partition_columns()
        if self.accept("ORDER", "BY"):
            order_by = self.comma_list(self.sort_item)
        return ast.TableArgument(table, partition_by, order_by, where=self.span(start))

    def _partition_columns(self) -> tuple[Unresolved, ...]:
        """Columns without parentheses: a comma after one may begin the next argument."""
        if self.kind() is TokenType.L_PAREN:
            return self.in_parentheses(lambda: self.comma_list(self.expr))
        columns = [self.expr()]
        while self.kind() is TokenType.COMMA and self._continues_columns():
            self._advance()
            columns.append(self.expr())
        return tuple(columns)

    def _continues_columns(self) -> bool:
        following = self.kind(2)
        is_plain_name = self.kind(1) in (TokenType.VAR, TokenType.IDENTIFIER) and self.word(1) not in RESERVED
        return is_plain_name and following in (TokenType.COMMA, TokenType.R_PAREN, TokenType.DOT)

    def sort_item(self) -> SortItem:
        """Consumes `expression [ASC|DESC] [NULLS FIRST|LAST]`."""
        start = self._curr
        arg = self.expr()
        ascending = self.accept_any("ASC", "DESC") != "DESC"
        nulls_first = None
        if self.accept("NULLS"):
            nulls_first = self.expect_any("FIRST", "LAST") == "FIRST"
        return SortItem(arg, ascending, nulls_first, where=self.span(start))

    def _after_call(self, result: Unresolved, start: Token) -> Unresolved:
        if self.at("WITHIN", "GROUP"):
            self.unsupported("WITHIN GROUP", fix="aggregate in a sub-query that is ordered by a time attribute")
        if self.at("IGNORE", "NULLS") or self.at("RESPECT", "NULLS"):
            result = self._null_treatment(result, start)
        if self.at("FILTER") and self.kind(1) is TokenType.L_PAREN:
            self._advance()
            self.open()
            self.expect("WHERE")
            condition = self.expr()
            self.close()
            if not isinstance(result, Call):
                self.fail("FILTER belongs to an aggregate call", start)
            if result.filter is not None:
                condition = Call("AND", (result.filter, condition), where=condition.where)
            result = replace(result, filter=condition, where=self.span(start))
        if self.at("WITHIN", "GROUP"):
            self.unsupported("WITHIN GROUP", fix="aggregate in a sub-query that is ordered by a time attribute")
        if self.at("OVER"):
            return self._over(result, start)
        return result

    def _null_treatment(self, call: Unresolved, start: Token) -> Unresolved:
        """IGNORE NULLS and RESPECT NULLS. Flink: only of ARRAY_AGG, LAG and LEAD; the others leave NULLs out anyway."""
        token = self._curr
        ignores = self.word() == "IGNORE"
        self._advance(2)
        name = call.function.upper() if isinstance(call, Call) else ""
        if not isinstance(call, Call) or name not in ("ARRAY_AGG", "LAG", "LEAD"):
            self.fail(
                f"{name or 'this expression'} takes neither IGNORE NULLS nor RESPECT NULLS",
                token,
                fix="leave it out: aggregate functions do not count NULLs",
            )
        if not ignores:
            return call
        if name != "ARRAY_AGG":
            self.unsupported(f"{name} with IGNORE NULLS", token, fix="filter NULLs out in a sub-query")
        condition = Call("IS_NOT_NULL", call.args[:1], where=self.span(start))
        return replace(call, filter=condition, where=self.span(start))

    def _over(self, call: Unresolved, start: Token) -> Unresolved:
        self.expect("OVER")
        if self.kind() is not TokenType.L_PAREN:
            token = self._curr
            window = ast.WindowDefinition(self.name("the name of a window"), (), (), False, None, None, self.place(token))
            return ast.NamedOver(call, window, where=self.span(start))
        window = self.window_definition()
        if window.base is not None:
            return ast.NamedOver(call, window, where=self.span(start))
        return over_call(call, window, self.span(start))

    def window_definition(self) -> ast.WindowDefinition:
        """Consumes `( [base] [PARTITION BY …] [ORDER BY …] [ROWS|RANGE …] )`."""
        start = self.open()
        base = None
        if self.is_name() and not self.at_any("PARTITION", "ORDER", "ROWS", "RANGE"):
            base = self.name()
        partition_by: tuple[Unresolved, ...] = ()
        order_by: tuple[SortItem, ...] = ()
        lower = upper = None
        if self.accept("PARTITION", "BY"):
            partition_by = self.comma_list(self.expr)
        if self.accept("ORDER", "BY"):
            order_by = self.comma_list(self.sort_item)
        unit = self.accept_any("ROWS", "RANGE")
        if unit:
            if self.accept("BETWEEN"):
                lower = self._bound()
                self.expect("AND")
                upper = self._bound()
            else:
                lower = self._bound()
        for word in ("ALLOW", "DISALLOW", "EXCLUDE"):
            if self.at(word):
                self.unsupported(f"{word} in a window")
        self.close()
        return ast.WindowDefinition(base, partition_by, order_by, unit == "ROWS", lower, upper, self.span(start))

    def _bound(self) -> Bound:
        start = self._curr
        if self.accept("CURRENT", "ROW"):
            return Bound(Lit(0), where=self.span(start))
        if self.accept("UNBOUNDED"):
            is_preceding = self.expect_any("PRECEDING", "FOLLOWING") == "PRECEDING"
            return Bound(None, is_preceding, where=self.span(start))
        offset = self.expr()
        is_preceding = self.expect_any("PRECEDING", "FOLLOWING") == "PRECEDING"
        return Bound(offset, is_preceding, where=self.span(start))

    def _unit(self, allowed: tuple[str, ...] | dict[str, str]) -> Lit:
        token = self._curr
        word = self.word()
        if word not in allowed and word in _PLURALS:
            word = _PLURALS[word]
        if word not in allowed:
            self.unexpected(f"a unit of time ({', '.join(list(allowed)[:19])})")
        self._advance()
        unit = allowed[word] if isinstance(allowed, dict) else word
        return Lit(unit, where=self.place(token))

    def _extract(self, name: str, start: Token) -> Unresolved:
        unit = self._unit(_EXTRACT_UNITS)
        self.expect("FROM")
        return Call("EXTRACT", (unit, self.expr()), where=self.span(start))

    def _floor(self, name: str, start: Token) -> Unresolved:
        arg = self.expr()
        if self.accept("TO"):
            return Call(_ROUNDING[name], (arg, self._unit(_EXTRACT_UNITS)), where=self.span(start))
        return Call(_ROUNDING[name], (arg,), where=self.span(start))

    def _timestamp_function(self, name: str, start: Token) -> Unresolved:
        unit = self._unit(_ARITHMETIC_UNITS)
        self.expect_symbol(TokenType.COMMA)
        first = self.expr()
        self.expect_symbol(TokenType.COMMA)
        return Call(name, (unit, first, self.expr()), where=self.span(start))

    def _trim(self, name: str, start: Token) -> Unresolved:
        side = self.accept_any("BOTH", "LEADING", "TRAILING")
        if side and self.accept("FROM"):
            return Call("TRIM", (Lit(side), Lit(" "), self.expr()), where=self.span(start))
        first = self.expr()
        if self.accept("FROM"):
            return Call("TRIM", (Lit(side or "BOTH"), first, self.expr()), where=self.span(start))
        if side:
            self.unexpected("FROM")
        if self.symbol(TokenType.COMMA):
            self.fail("TRIM takes one argument, or TRIM(BOTH characters FROM text)", start, fix="use BTRIM(text, characters)")
        return Call("TRIM", (Lit("BOTH"), Lit(" "), first), where=self.span(start))

    def _substring(self, name: str, start: Token) -> Unresolved:
        args = [self.expr()]
        if self.accept("FROM"):
            args.append(self.expr())
            if self.accept("FOR"):
                args.append(self.expr())
        else:
            while self.symbol(TokenType.COMMA):
                args.append(self.expr())
        return Call("SUBSTRING", tuple(args), where=self.span(start))

    def _overlay(self, name: str, start: Token) -> Unresolved:
        args = [self.expr()]
        if self.accept("PLACING"):
            args.append(self.expr())
            self.expect("FROM")
            args.append(self.expr())
            if self.accept("FOR"):
                args.append(self.expr())
        else:
            while self.symbol(TokenType.COMMA):
                args.append(self.expr())
        return Call("OVERLAY", tuple(args), where=self.span(start))

    def _position(self, name: str, start: Token) -> Unresolved:
        sought = self._term()
        if not self.accept("IN"):
            self.unexpected("IN")
        return Call("POSITION", (sought, self._term()), where=self.span(start))

    def _json_exists(self, name: str, start: Token) -> Unresolved:
        arg, path = self._json_path()
        args: tuple[Unresolved, ...] = (arg, path)
        if word := self.accept_any("TRUE", "FALSE", "UNKNOWN", "ERROR"):
            self.expect("ON", "ERROR")
            args = (*args, Lit(word))
        return Call("JSON_EXISTS", args, where=self.span(start))

    def _json_path(self) -> tuple[Unresolved, Unresolved]:
        arg = self.expr()
        if self.accept("FORMAT"):
            self.expect("JSON")
        self.expect_symbol(TokenType.COMMA)
        return arg, self.expr()

    def _json_value(self, name: str, start: Token) -> Unresolved:
        """Arguments: text, path, ON EMPTY word and default, ON ERROR word and default, and a typed NULL for RETURNING."""
        arg, path = self._json_path()
        returning = Lit(None, self.data_type()) if self.accept("RETURNING") else None
        behaviours: dict[str, tuple[Lit, Unresolved]] = {
            "EMPTY": (Lit("NULL"), Lit(None)),
            "ERROR": (Lit("NULL"), Lit(None)),
        }
        while word := self.accept_any("NULL", "ERROR", "DEFAULT"):
            default = self.expr() if word == "DEFAULT" else Lit(None)
            self.expect("ON")
            behaviours[self.expect_any("EMPTY", "ERROR")] = (Lit(word), default)
        args = (arg, path, *behaviours["EMPTY"], *behaviours["ERROR"])
        return Call("JSON_VALUE", args if returning is None else (*args, returning), where=self.span(start))

    def _json_query(self, name: str, start: Token) -> Unresolved:
        """Arguments: text, path, then wrapper, ON EMPTY and ON ERROR words, and a typed NULL for RETURNING."""
        arg, path = self._json_path()
        returning = Lit(None, self.data_type()) if self.accept("RETURNING") else None
        wrapper = self._json_wrapper()
        behaviours = {"EMPTY": "NULL", "ERROR": "NULL"}
        while word := self.accept_any("NULL", "ERROR", "EMPTY"):
            if word == "EMPTY":
                word = f"EMPTY {self.accept_any('OBJECT') or (self.accept_any('ARRAY') or 'ARRAY')}"
            self.expect("ON")
            behaviours[self.expect_any("EMPTY", "ERROR")] = word
        args: tuple[Unresolved, ...] = (arg, path, Lit(wrapper), Lit(behaviours["EMPTY"]), Lit(behaviours["ERROR"]))
        return Call("JSON_QUERY", args if returning is None else (*args, returning), where=self.span(start))

    def _json_wrapper(self) -> str:
        wrapper = "WITHOUT"
        if self.accept("WITHOUT"):
            self.accept("ARRAY")
            self.expect("WRAPPER")
        elif self.accept("WITH"):
            wrapper = self.accept_any("CONDITIONAL", "UNCONDITIONAL") or "UNCONDITIONAL"
            self.accept("ARRAY")
            self.expect("WRAPPER")
        return wrapper

    def _json_object(self, name: str, start: Token) -> Unresolved:
        """Arguments: the ON NULL word, then keys and values in turn. JSON_OBJECTAGG is the same with one pair."""
        pairs: list[Unresolved] = []
        if self.kind() is not TokenType.R_PAREN and not self.at_any("NULL", "ABSENT"):
            for key, value in self.comma_list(self._json_pair):
                pairs += [key, value]
        on_null = self._json_on_null("NULL")
        return Call(name, (Lit(on_null), *pairs), where=self.span(start))

    def _json_pair(self) -> tuple[Unresolved, Unresolved]:
        has_key = self.accept("KEY")
        key = self.expr()
        if not self.accept("VALUE") and (has_key or not self.symbol(TokenType.COLON)):
            self.unexpected("VALUE")
        value = self.expr()
        if self.accept("FORMAT"):
            self.expect("JSON")
        return key, value

    def _json_array(self, name: str, start: Token) -> Unresolved:
        """Arguments: the ON NULL word, then the elements. JSON_ARRAYAGG is the same with one element."""
        args: tuple[Unresolved, ...] = ()
        is_clause = self.at("NULL", "ON") or self.at("ABSENT", "ON")
        if self.kind() is not TokenType.R_PAREN and not is_clause:
            args = self.comma_list(self.expr)
        on_null = self._json_on_null("ABSENT")
        return Call(name, (Lit(on_null), *args), where=self.span(start))

    def _json_on_null(self, default: str) -> str:
        word = self.accept_any("NULL", "ABSENT")
        if word:
            self.expect("ON", "NULL")
        return word or default


_ROUNDING = {"FLOOR": "FLOOR", "CEIL": "CEIL", "CEILING": "CEIL"}
_SPECIAL = {
    "EXTRACT": "_extract",
    "FLOOR": "_floor",
    "CEIL": "_floor",
    "CEILING": "_floor",
    "TIMESTAMPADD": "_timestamp_function",
    "TIMESTAMPDIFF": "_timestamp_function",
    "TRIM": "_trim",
    "SUBSTRING": "_substring",
    "OVERLAY": "_overlay",
    "POSITION": "_position",
    "JSON_EXISTS": "_json_exists",
    "JSON_VALUE": "_json_value",
    "JSON_QUERY": "_json_query",
    "JSON_OBJECT": "_json_object",
    "JSON_OBJECTAGG": "_json_object",
    "JSON_ARRAY": "_json_array",
    "JSON_ARRAYAGG": "_json_array",
}


def over_call(call: Unresolved, window: ast.WindowDefinition, where: object) -> Over:
    """The OVER node of a call and a complete window."""
    return Over(
        call,
        window.partition_by,
        window.order_by,
        window.is_rows,
        window.lower if isinstance(window.lower, Bound) else None,
        window.upper if isinstance(window.upper, Bound) else None,
        where=where,  # type: ignore[arg-type]
    )
