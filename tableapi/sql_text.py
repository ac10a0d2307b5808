"""Definitions and expressions as Flink SQL: what SHOW CREATE, `print_schema` and DESCRIBE print.

May import types, tablespec and plan.unresolved only.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

from tableapi.plan import unresolved as un
from tableapi.tablespec import ColumnKind, TableColumn, TableSpec, Watermark
from tableapi.types import (
    DataType,
    DayTimeIntervalType,
    IntervalUnit,
    YearMonthIntervalType,
)

_INFIX = {
    "PLUS": "+",
    "MINUS": "-",
    "TIMES": "*",
    "DIVIDE": "/",
    "MOD": "%",
    "EQUALS": "=",
    "NOT_EQUALS": "<>",
    "LESS": "<",
    "LESS_OR_EQUAL": "<=",
    "GREATER": ">",
    "GREATER_OR_EQUAL": ">=",
    "AND": "AND",
    "OR": "OR",
    "CONCAT_OPERATOR": "||",
    "LIKE": "LIKE",
    "SIMILAR_TO": "SIMILAR TO",
}
_POSTFIX = {f"IS_{n}": f"IS {n.replace('_', ' ')}" for n in ("NULL", "NOT_NULL", "TRUE", "FALSE", "NOT_TRUE", "NOT_FALSE")}
_NILADIC = frozenset({"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "CURRENT_DATABASE"})


def quote_name(name: str) -> str:
    """A name in backquotes."""
    return "`" + name.replace("`", "``") + "`"


def quote_text(text: str) -> str:
    """A text in single quotes."""
    return "'" + text.replace("'", "''") + "'"


_DDL_NAMES = re.compile(r"`(?:[^`]|``)*`|'(?:[^']|'')*'|\bSTRING\b|\bBYTES\b|\bTIMESTAMP_LTZ\((\d)\)")


def type_sql(data_type: DataType) -> str:
    """A type as DDL spells it, fields and elements too: STRING and BYTES in their long forms, as in Flink's SHOW CREATE TABLE.

    >>> from tableapi.types import DataTypes
    >>> type_sql(DataTypes.ARRAY(DataTypes.STRING()))
    'ARRAY<VARCHAR(2147483647)>'
    """

    def long(match: re.Match[str]) -> str:
        if match[1] is not None:
            return f"TIMESTAMP({match[1]}) WITH LOCAL TIME ZONE"
        return _LONG_NAMES.get(match[0], match[0])

    return _DDL_NAMES.sub(long, str(data_type))


_LONG_NAMES = {"STRING": "VARCHAR(2147483647)", "BYTES": "VARBINARY(2147483647)"}


def expression_sql(node: un.Unresolved) -> str:
    """An expression as SQL.

    >>> expression_sql(un.Call("MINUS", (un.Name(("ts",)), un.Lit(datetime.timedelta(seconds=5)))))
    "`ts` - INTERVAL '0 00:00:05.000' DAY TO SECOND(3)"
    """
    match node:
        case un.Name(parts=parts):
            return ".".join(map(quote_name, parts))
        case un.Lit(value=value, data_type=data_type):
            return _literal(value, data_type)
        case un.Call():
            return _call(node)
        case un.UdfCall(function=function, args=args):
            return f"{function.name}({', '.join(map(expression_sql, args))})"
        case un.Cast(arg=arg, data_type=data_type, is_try=is_try):
            kind = "TRY_CAST" if is_try else "CAST"
            return f"{kind}({expression_sql(arg)} AS {type_sql(data_type.nullable())})"
        case un.As(arg=arg, names=names):
            return f"{expression_sql(arg)} AS {', '.join(map(quote_name, names))}"
        case un.Star(qualifier=qualifier):
            return "*" if qualifier is None else f"{quote_name(qualifier)}.*"
        case un.SortItem(arg=arg, ascending=ascending):
            return f"{expression_sql(arg)} {'ASC' if ascending else 'DESC'}"
        case _:
            return str(node)


def _call(call: un.Call) -> str:
    name, args = call.function, call.args
    if name in _INFIX and len(args) >= 2:
        return f" {_INFIX[name]} ".join(map(_operand, args))
    if name in _POSTFIX:
        return f"{_operand(args[0])} {_POSTFIX[name]}"
    if name == "NEGATE":
        return f"-{_operand(args[0])}"
    if name == "NOT":
        return f"NOT {_operand(args[0])}"
    if name == "GET":
        field = args[1]
        return f"{_operand(args[0])}.{quote_name(str(field.value))}" if isinstance(field, un.Lit) else expression_sql(args[0])
    if name == "AT":
        return f"{_operand(args[0])}[{expression_sql(args[1])}]"
    if name == "BETWEEN":
        return f"{_operand(args[0])} BETWEEN {_operand(args[1])} AND {_operand(args[2])}"
    if name == "IN":
        return f"{_operand(args[0])} IN ({', '.join(map(expression_sql, args[1:]))})"
    if name == "CASE":
        pairs = [f"WHEN {expression_sql(c)} THEN {expression_sql(v)}" for c, v in zip(args[:-1:2], args[1::2], strict=False)]
        return f"CASE {' '.join(pairs)} ELSE {expression_sql(args[-1])} END"
    if name == "EXTRACT" and isinstance(args[0], un.Lit):
        return f"EXTRACT({args[0].value} FROM {expression_sql(args[1])})"
    if name == "$ROW":
        name = "ROW"
    if name in _NILADIC and not args:
        return name
    distinct = "DISTINCT " if call.distinct else ""
    return f"{name}({distinct}{', '.join(map(expression_sql, args))})"


def _operand(node: un.Unresolved) -> str:
    text = expression_sql(node)
    is_compound = isinstance(node, un.Call) and (node.function in _INFIX or node.function in ("NOT", "BETWEEN", "IN"))
    return f"({text})" if is_compound else text


def _literal(value: object, data_type: DataType | None) -> str:
    match value:
        case None:
            return "NULL" if data_type is None else f"CAST(NULL AS {type_sql(data_type.nullable())})"
        case bool():
            return str(value).upper()
        case str():
            return quote_text(value)
        case bytes():
            return f"X'{value.hex()}'"
        case datetime.timedelta():
            return _interval(value, data_type)
        case datetime.datetime():
            return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S}{f'.{value.microsecond:06}' if value.microsecond else ''}'"
        case datetime.date():
            return f"DATE '{value}'"
        case datetime.time():
            return f"TIME '{value}'"
        case int() if isinstance(data_type, YearMonthIntervalType):
            return f"INTERVAL '{value // 12}-{value % 12}' YEAR TO MONTH"
        case _:
            return str(value)


_UNIT_MS = {
    IntervalUnit.DAY: 86_400_000,
    IntervalUnit.HOUR: 3_600_000,
    IntervalUnit.MINUTE: 60_000,
    IntervalUnit.SECOND: 1000,
}


def _interval(value: datetime.timedelta, data_type: DataType | None) -> str:
    total_ms = value // datetime.timedelta(milliseconds=1)
    if isinstance(data_type, DayTimeIntervalType) and data_type.first == data_type.last:
        count, rest = divmod(total_ms, _UNIT_MS[data_type.first])
        if not rest:
            digits = len(str(abs(count)))
            return f"INTERVAL '{count}' {data_type.first.name}{f'({digits})' if digits > 2 else ''}"
    sign, total_ms = ("-", -total_ms) if total_ms < 0 else ("", total_ms)
    seconds, ms = divmod(total_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"INTERVAL '{sign}{days} {hours:02}:{minutes:02}:{seconds:02}.{ms:03}' DAY TO SECOND(3)"


def column_sql(column: TableColumn, is_ddl: bool = False) -> str:
    """A column's declaration."""
    name = quote_name(column.name)
    show = type_sql if is_ddl else str
    if column.kind is ColumnKind.COMPUTED:
        assert column.expression is not None
        text = f"{name} AS {expression_sql(column.expression)}"
    elif column.kind is ColumnKind.METADATA:
        source = f" FROM {quote_text(column.metadata_key)}" if column.metadata_key else ""
        virtual = " VIRTUAL" if column.is_virtual else ""
        text = f"{name} {show(column.type) if column.type else ''} METADATA{source}{virtual}"
    else:
        text = f"{name} {show(column.type) if column.type else ''}"
    return f"{text} COMMENT {quote_text(column.comment)}" if column.comment else text


def watermark_sql(watermark: Watermark) -> str:
    """A watermark's declaration."""
    return f"WATERMARK FOR {quote_name(watermark.column)} AS {expression_sql(watermark.expression)}"


def primary_key_sql(columns: tuple[str, ...], name: str | None = None) -> str:
    """A primary key's declaration."""
    constraint = name or "PK_" + "_".join(columns)
    return f"CONSTRAINT {quote_name(constraint)} PRIMARY KEY ({', '.join(map(quote_name, columns))}) NOT ENFORCED"


def create_table_sql(spec: TableSpec, is_temporary: bool = False) -> str:
    """The CREATE TABLE statement of a table, as SHOW CREATE TABLE prints it."""
    parts = [column_sql(c, is_ddl=True) for c in spec.columns]
    if spec.watermark is not None:
        parts.append(watermark_sql(spec.watermark))
    if spec.primary_key:
        parts.append(primary_key_sql(spec.primary_key))
    lines = [f"CREATE {'TEMPORARY ' if is_temporary else ''}TABLE {spec.identifier} ("]
    lines.append(",\n".join(f"  {p}" for p in parts))
    lines.append(")")
    if spec.comment:
        lines.append(f"COMMENT {quote_text(spec.comment)}")
    if spec.distribution is not None:
        lines.append(str(spec.distribution))
    if spec.partition_keys:
        lines.append(f"PARTITIONED BY ({', '.join(map(quote_name, spec.partition_keys))})")
    if spec.options:
        lines.append(f"WITH (\n{options_sql(dict(sorted(spec.options.items())))}\n)")
    return "\n".join(lines) + "\n"


def options_sql(options: Mapping[str, str]) -> str:
    """The pairs inside of `WITH (…)`."""
    return ",\n".join(f"  {quote_text(k)} = {quote_text(v)}" for k, v in options.items())
