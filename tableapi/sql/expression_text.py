"""Expressions as written, printed again with full names and with parentheses only where they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from tableapi.functions import registry
from tableapi.plan import unresolved as un
from tableapi.sql import ast
from tableapi.sql_text import expression_sql, quote_name
from tableapi.types import DataType


class UnprintableError(Exception):
    """A part of a query whose SQL cannot be told from its meaning."""


_LEFT = {
    "OR": (22, "OR"),
    "AND": (24, "AND"),
    **{name: (30, sign) for name, sign in (("EQUALS", "="), ("NOT_EQUALS", "<>"), ("LESS", "<"), ("LESS_OR_EQUAL", "<="))},
    "GREATER": (30, ">"),
    "GREATER_OR_EQUAL": (30, ">="),
    "IS_DISTINCT_FROM": (30, "IS DISTINCT FROM"),
    "IS_NOT_DISTINCT_FROM": (30, "IS NOT DISTINCT FROM"),
    "PLUS": (40, "+"),
    "MINUS": (40, "-"),
    **{name: (60, sign) for name, sign in (("TIMES", "*"), ("DIVIDE", "/"), ("MOD", "%"), ("CONCAT_OPERATOR", "||"))},
}
"""Operators between two operands: how strongly they bind, and how they are written."""
_POSTFIX = {f"IS_{n}": f"IS {n.replace('_', ' ')}" for n in ("NULL", "NOT_NULL", "TRUE", "FALSE", "NOT_TRUE", "NOT_FALSE")}
_POSTFIX |= {"IS_UNKNOWN": "IS UNKNOWN", "IS_NOT_UNKNOWN": "IS NOT UNKNOWN"}
_MATCHES = {"LIKE": "LIKE", "ILIKE": "ILIKE", "RLIKE": "RLIKE", "SIMILAR_TO": "SIMILAR TO"}
_NOT, _IS, _MATCH, _UNARY, _TIGHT = 26, 28, 32, 80, 100
_WITHOUT_PARENTHESES = ("CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP")
_LOSSY = ("JSON_EXISTS", "JSON_VALUE", "JSON_QUERY", "JSON_OBJECT", "JSON_OBJECTAGG", "JSON_ARRAY", "JSON_ARRAYAGG", "IS_JSON")
_UNIT_FIRST = ("TIMESTAMPADD", "TIMESTAMPDIFF")


@dataclass(frozen=True)
class ExpressionText:
    """Prints expressions.

    Args:
        name: The full form of a name.
        query: Prints a sub-query.
        table: Prints a table that is an argument.
    """

    name: Callable[[un.Name], tuple[str, ...]]
    query: Callable[[ast.Query], str]
    table: Callable[[ast.TableReference], str] | None = None

    def text(self, node: un.Unresolved) -> str:
        """An expression as SQL.

        Raises:
            UnprintableError: It has a part that cannot be printed.
        """
        return self._text(node)[0]

    def _operand(self, node: un.Unresolved, least: int) -> str:
        text, strength = self._text(node)
        return text if strength >= least else f"({text})"

    def _text(self, node: un.Unresolved) -> tuple[str, int]:
        """The text, and how strongly its outermost operator binds."""
        match node:
            case un.Name():
                return ".".join(map(quote_name, self.name(node))), _TIGHT
            case un.Lit(value=value):
                return _literal(node), _UNARY if isinstance(value, int | float | Decimal) and value < 0 else _TIGHT
            case un.Cast(arg=arg, data_type=data_type, is_try=is_try):
                return f"{'TRY_CAST' if is_try else 'CAST'}({self.text(arg)} AS {_type(data_type)})", _TIGHT
            case un.As(arg=arg, names=(name,)):
                return f"{self.text(arg)} AS {quote_name(name)}", 0
            case un.Star(qualifier=None):
                return "*", _TIGHT
            case un.Call():
                return self._call(node)
            case un.Over() | ast.NamedOver():
                return self._over(node), _TIGHT
            case ast.QueryValue():
                return self._query_value(node)
            case ast.Descriptor(columns=columns):
                return f"DESCRIPTOR({', '.join(map(quote_name, columns))})", _TIGHT
            case ast.NamedArgument(name=name, value=value):
                return f"{quote_name(name)} => {self.text(value)}", _TIGHT
            case ast.TableArgument():
                return self._table_argument(node), _TIGHT
            case _:
                raise UnprintableError

    def _call(self, call: un.Call) -> tuple[str, int]:
        name, args = call.function, call.args
        if name in _LOSSY:
            raise UnprintableError
        if name in _LEFT and len(args) >= 2:
            strength, sign = _LEFT[name]
            first, *others = args
            return f" {sign} ".join(
                [self._operand(first, strength), *(self._operand(o, strength + 1) for o in others)]
            ), strength
        if name == "NOT":
            (inner,) = args
            if isinstance(inner, un.Call) and (inner.function in _MATCHES or inner.function in ("IN", "BETWEEN")):
                return self._match(inner, "NOT ")
            return f"NOT {self._operand(inner, _NOT)}", _NOT
        if name in _POSTFIX:
            return f"{self._operand(args[0], _IS)} {_POSTFIX[name]}", _IS
        if name in _MATCHES or name in ("IN", "BETWEEN", "BETWEEN_SYMMETRIC"):
            return self._match(call, "")
        if name == "NEGATE":
            return f"- {self._operand(args[0], _UNARY)}", _UNARY
        return self._function(call), _TIGHT

    def _match(self, call: un.Call, negation: str) -> tuple[str, int]:
        name, (first, *others) = call.function, call.args
        start = f"{self._operand(first, _MATCH + 1)} {negation}"
        if name == "IN":
            return f"{start}IN ({', '.join(map(self.text, others))})", _MATCH
        if name.startswith("BETWEEN"):
            lower, upper = (self._operand(o, _MATCH + 1) for o in others)
            kind = "SYMMETRIC" if name.endswith("SYMMETRIC") else "ASYMMETRIC"
            return f"{start}BETWEEN {kind} {lower} AND {upper}", _MATCH
        escape = f" ESCAPE {self.text(others[1])}" if len(others) > 1 else ""
        return f"{start}{_MATCHES[name]} {self._operand(others[0], _MATCH + 1)}{escape}", _MATCH

    def _function(self, call: un.Call) -> str:
        name, args = call.function, call.args
        shown = [self.text(a) for a in args]
        if name == "AT":
            return f"{self._operand(args[0], _TIGHT)}[{shown[1]}]"
        if name == "GET" and isinstance(args[1], un.Lit):
            return f"{self._operand(args[0], _TIGHT)}.{quote_name(str(args[1].value))}"
        if name in ("ARRAY", "MAP"):
            return f"{name}[{', '.join(shown)}]"
        if name == "CASE":
            pairs = [f"WHEN {c} THEN {v}" for c, v in zip(shown[:-1:2], shown[1::2], strict=False)]
            return f"CASE {' '.join(pairs)} ELSE {shown[-1]} END"
        if name == "EXTRACT":
            return f"EXTRACT({_word(args[0])} FROM {shown[1]})"
        if name in ("FLOOR", "CEIL") and len(args) == 2 and isinstance(args[1], un.Lit):
            return f"{name}({shown[0]} TO {_word(args[1])})"
        if name == "POSITION":
            return f"POSITION({shown[0]} IN {shown[1]})"
        if name == "TRIM" and len(args) == 3:
            return f"TRIM({_word(args[0])} {shown[1]} FROM {shown[2]})"
        if name in _UNIT_FIRST:
            shown[0] = _word(args[0])
        if name in _WITHOUT_PARENTHESES and not args:
            return name
        return self._plain_call(call, shown)

    def _plain_call(self, call: un.Call, shown: list[str]) -> str:
        known = registry.find(call.function) is not None
        name = call.function.upper() if known else ".".join(map(quote_name, call.function.split(".")))
        order = f" ORDER BY {', '.join(map(self.sort_item, call.order_by))}" if call.order_by else ""
        text = f"{name}({'DISTINCT ' if call.distinct else ''}{', '.join(shown)}{order})"
        return text if call.filter is None else f"{text} FILTER (WHERE {self.text(call.filter)})"

    def _over(self, over: un.Over | ast.NamedOver) -> str:
        if isinstance(over, ast.NamedOver):
            window = over.window
            is_plain = window == ast.WindowDefinition(window.base, (), (), False, None, None, window.where)
            shown = quote_name(window.base or "") if is_plain else f"({self.window(window)})"
            return f"{self.text(over.call)} OVER {shown}"
        made = ast.WindowDefinition(None, over.partition_by, over.order_by, over.is_rows, over.lower, over.upper)
        return f"{self.text(over.call)} OVER ({self.window(made)})"

    def window(self, window: ast.WindowDefinition) -> str:
        """The inside of an OVER clause."""
        parts = [] if window.base is None else [quote_name(window.base)]
        if window.partition_by:
            parts.append(f"PARTITION BY {', '.join(map(self.text, window.partition_by))}")
        if window.order_by:
            parts.append(f"ORDER BY {', '.join(map(self.sort_item, window.order_by))}")
        if window.lower is not None:
            unit = "ROWS" if window.is_rows else "RANGE"
            upper = "CURRENT ROW" if window.upper is None else self._bound(window.upper)
            parts.append(f"{unit} BETWEEN {self._bound(window.lower)} AND {upper}")
        return " ".join(parts)

    def _bound(self, bound: un.Unresolved) -> str:
        if not isinstance(bound, un.Bound):
            raise UnprintableError
        if bound.offset == un.Lit(0):
            return "CURRENT ROW"
        distance = "UNBOUNDED" if bound.offset is None else self.text(bound.offset)
        return f"{distance} {'PRECEDING' if bound.is_preceding else 'FOLLOWING'}"

    def sort_item(self, item: un.SortItem) -> str:
        """A sort key."""
        nulls = "" if item.nulls_first is None else f" NULLS {'FIRST' if item.nulls_first else 'LAST'}"
        return f"{self.text(item.arg)}{'' if item.ascending else ' DESC'}{nulls}"

    def group_key(self, key: un.Unresolved) -> str:
        """A key of GROUP BY, or a grouping set."""
        if not isinstance(key, ast.GroupingSet):
            return self.text(key)
        word = {"sets": "GROUPING SETS", "rollup": "ROLLUP", "cube": "CUBE"}[key.kind]
        return f"{word}({', '.join(map(self._grouping, key.items))})"

    def _grouping(self, keys: tuple[un.Unresolved, ...]) -> str:
        shown = ", ".join(map(self.group_key, keys))
        return shown if len(keys) == 1 else f"({shown})"

    def _query_value(self, value: ast.QueryValue) -> tuple[str, int]:
        query = f"({self.query(value.query)})"
        left = self._operand(value.args[0], _MATCH + 1) if len(value.args) == 1 else ""
        if len(value.args) > 1:
            left = f"({', '.join(map(self.text, value.args))})"
        match value.kind:
            case "scalar":
                return query, _TIGHT
            case "exists":
                return f"{'NOT ' if value.negated else ''}EXISTS {query}", _NOT if value.negated else _TIGHT
            case "in":
                return f"{left} {'NOT ' if value.negated else ''}IN {query}", _MATCH
            case _:
                assert value.operator is not None
                sign = {"any": "SOME", "all": "ALL"}[value.kind]
                return f"{left} {_LEFT[value.operator][1]} {sign} {query}", 30

    def _table_argument(self, argument: ast.TableArgument) -> str:
        if self.table is None:
            raise UnprintableError
        text = self.table(argument.table)
        if argument.partition_by:
            text += f" PARTITION BY {', '.join(map(_column, argument.partition_by))}"
        if argument.order_by:
            text += f" ORDER BY {', '.join(_column(i.arg) + ('' if i.ascending else ' DESC') for i in argument.order_by)}"
        return text


def _column(node: un.Unresolved) -> str:
    """A column of a table that is an argument: it has no other table to be told from."""
    if not isinstance(node, un.Name):
        raise UnprintableError
    return ".".join(map(quote_name, node.parts))


def _word(node: un.Unresolved) -> str:
    """A word that stands for a choice, such as a unit of time."""
    if not isinstance(node, un.Lit):
        raise UnprintableError
    return str(node.value)


def _literal(node: un.Lit) -> str:
    if isinstance(node.value, float):
        return f"{Decimal(repr(node.value)):E}"
    if isinstance(node.value, bytes):
        return f"X'{node.value.hex().upper()}'"
    return expression_sql(node)


def _type(data_type: DataType) -> str:
    text = str(data_type.nullable())
    return {"INT": "INTEGER"}.get(text, text)
