"""The functions that expressions start from: `col`, `lit`, and those of several arguments. Names as in PyFlink.

May import types, errors and plan.unresolved; never runtime or connectors. The functions themselves are declared in
`tableapi.functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tableapi.errors import ValidationError
from tableapi.expression import Expression
from tableapi.expression_base import (
    CURRENT_RANGE_MARK,
    CURRENT_ROW_MARK,
    ROW_INTERVAL_MARK,
    UNBOUNDED_RANGE_MARK,
    UNBOUNDED_ROW_MARK,
    caller,
    literal,
    make_call,
    present,
    to_node,
)
from tableapi.expression_enums import JsonOnNull, TimePointUnit
from tableapi.plan.unresolved import Call, ColumnRange, Lit, Name, Star, Unresolved
from tableapi.types import DataType, VarCharType

if TYPE_CHECKING:
    from tableapi.udf import UserDefinedFunctionWrapper

__all__ = [
    "CURRENT_RANGE",
    "CURRENT_ROW",
    "UNBOUNDED_RANGE",
    "UNBOUNDED_ROW",
    "and_",
    "array",
    "atan2",
    "call",
    "call_sql",
    "coalesce",
    "col",
    "concat",
    "concat_ws",
    "convert_tz",
    "current_database",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_watermark",
    "date_format",
    "descriptor",
    "e",
    "from_unixtime",
    "if_then_else",
    "json",
    "json_array",
    "json_array_agg",
    "json_object",
    "json_object_agg",
    "json_string",
    "lag",
    "lead",
    "lit",
    "local_time",
    "local_timestamp",
    "log",
    "map_",
    "map_from_arrays",
    "negative",
    "not_",
    "null_of",
    "object_of",
    "or_",
    "pi",
    "rand",
    "rand_integer",
    "range_",
    "row",
    "row_interval",
    "source_watermark",
    "temporal_overlaps",
    "timestamp_diff",
    "to_date",
    "to_timestamp",
    "to_timestamp_ltz",
    "unix_timestamp",
    "uuid",
    "with_all_columns",
    "with_columns",
    "without_columns",
]


_STRING = VarCharType()


def _function(name: str, *args: Any) -> Expression:
    return Expression(make_call(name, present(args), caller()))


def col(name: str) -> Expression:
    """A column by its name; `col("*")` is all columns.

    >>> col("a") > 1
    greaterThan(a, 1)
    """
    where = caller()
    if not isinstance(name, str):
        raise ValidationError(f"a column name is text, not {name!r}", where=where, fix="constants are written lit(value)")
    return Expression(Star(where=where) if name == "*" else Name((name,), where=where))


def lit(v: Any, data_type: DataType | None = None) -> Expression:
    """A constant.

    Args:
        v: A Python value; lists, tuples and dicts become ARRAY, ROW and MAP.
        data_type: Its type, when it does not follow from the value (it must be given for `None`).

    Raises:
        ValidationError: `None` without a type.
        TypeMismatchError: The value has no literal form.

    >>> lit("it's")
    'it''s'
    """
    where = caller()
    if v is None and data_type is None:
        raise ValidationError("NULL needs a type", where=where, fix="lit(None, DataTypes.INT()) or null_of(DataTypes.INT())")
    return Expression(literal(v, data_type, where))


def range_(start: str | int, end: str | int) -> Expression:
    """The columns from `start` to `end`, by name or 1-based position; for `with_columns` and `without_columns`."""
    where = caller()
    bounds = tuple(Name((b,), where=where) if isinstance(b, str) else Lit(b, where=where) for b in (start, end))
    return Expression(Call("RANGE_TO", bounds, where=where))


def and_(predicate0: Any, predicate1: Any, *predicates: Any) -> Expression:
    """Whether all conditions are TRUE (three-valued)."""
    return _function("AND", predicate0, predicate1, *predicates)


def or_(predicate0: Any, predicate1: Any, *predicates: Any) -> Expression:
    """Whether any condition is TRUE (three-valued)."""
    return _function("OR", predicate0, predicate1, *predicates)


def not_(expression: Any) -> Expression:
    """The opposite of a condition; unknown stays unknown."""
    return _function("NOT", expression)


def current_database() -> Expression:
    """The name of the current database."""
    return _function("CURRENT_DATABASE")


def current_date() -> Expression:
    """The date now, in the session time zone."""
    return _function("CURRENT_DATE")


def current_time() -> Expression:
    """The time of day now, in the session time zone."""
    return _function("CURRENT_TIME")


def current_timestamp() -> Expression:
    """The instant now, as TIMESTAMP_LTZ(3)."""
    return _function("CURRENT_TIMESTAMP")


def current_watermark(rowtimeAttribute: Any) -> Expression:
    """The watermark of an event-time attribute at this operator; NULL before the first one."""
    return _function("CURRENT_WATERMARK", rowtimeAttribute)


def local_time() -> Expression:
    """The time of day now, in the session time zone."""
    return _function("LOCALTIME")


def local_timestamp() -> Expression:
    """The date and time now in the session time zone, as TIMESTAMP(3)."""
    return _function("LOCALTIMESTAMP")


def to_date(date_str: Any, format: Any = None) -> Expression:
    """Text as DATE, by a Java date pattern (`yyyy-MM-dd` by default)."""
    return _function("TO_DATE", date_str, format)


def to_timestamp(timestamp_str: Any, format: Any = None) -> Expression:
    """Text as TIMESTAMP(3), by a Java date pattern (`yyyy-MM-dd HH:mm:ss` by default)."""
    return _function("TO_TIMESTAMP", timestamp_str, format)


def to_timestamp_ltz(*args: Any) -> Expression:
    """An instant from (epoch number, precision) or (text[, format[, time zone]])."""
    return _function("TO_TIMESTAMP_LTZ", *args)


def temporal_overlaps(left_time_point: Any, left_temporal: Any, right_time_point: Any, right_temporal: Any) -> Expression:
    """Whether two intervals of time, each a start and an end or a length, overlap."""
    return _function("OVERLAPS", left_time_point, left_temporal, right_time_point, right_temporal)


def date_format(timestamp: Any, format: Any) -> Expression:
    """A timestamp as text, by a Java date pattern.

    >>> date_format(col("ts"), "yyyy-MM-dd")
    dateFormat(ts, 'yyyy-MM-dd')
    """
    return _function("DATE_FORMAT", timestamp, format)


def timestamp_diff(time_point_unit: TimePointUnit, time_point1: Any, time_point2: Any) -> Expression:
    """How many whole units lie between two points in time."""
    return _function("TIMESTAMPDIFF", time_point_unit, time_point1, time_point2)


def convert_tz(date_str: Any, tz_from: Any, tz_to: Any) -> Expression:
    """A date and time text of one time zone as that of another."""
    return _function("CONVERT_TZ", date_str, tz_from, tz_to)


def from_unixtime(unixtime: Any, format: Any = None) -> Expression:
    """Seconds since the epoch as text in the session time zone."""
    return _function("FROM_UNIXTIME", unixtime, format)


def unix_timestamp(date_str: Any = None, format: Any = None) -> Expression:
    """Seconds since the epoch: now, or of a text in the session time zone."""
    return _function("UNIX_TIMESTAMP", date_str, format)


def array(head: Any, *tail: Any) -> Expression:
    """An ARRAY of the values."""
    return _function("ARRAY", _node(head), *map(_node, tail))


def row(head: Any, *tail: Any) -> Expression:
    """A ROW of the values, with fields `f0`, `f1`, …"""
    return _function("$ROW", _node(head), *map(_node, tail))


def map_(key: Any, value: Any, *tail: Any) -> Expression:
    """A MAP of key, value, key, value, …"""
    return _function("MAP", _node(key), _node(value), *map(_node, tail))


def map_from_arrays(key: Any, value: Any) -> Expression:
    """A MAP of an array of keys and an array of values."""
    return _function("MAP_FROM_ARRAYS", key, value)


def descriptor(*column_names: str) -> Expression:
    """Names of columns as the argument of a table function."""
    where = caller()
    return Expression(Call("DESCRIPTOR", tuple(Name((n,), where=where) for n in column_names), where=where))


def object_of(class_name: str, *args: Any) -> Expression:
    """A structured object of field name, value, field name, value, …"""
    return _function("OBJECT_OF", class_name, *args)


def row_interval(rows: int) -> Expression:
    """A number of rows as the size of a window or a bound of an OVER window."""
    where = caller()
    return Expression(Call(ROW_INTERVAL_MARK, (Lit(rows, where=where),), where=where))


def pi() -> Expression:
    """The number pi."""
    return _function("PI")


def e() -> Expression:
    """Euler's number."""
    return _function("E")


def rand(seed: Any = None) -> Expression:
    """A random number of [0, 1)."""
    return _function("RAND", seed)


def rand_integer(bound: Any, seed: Any = None) -> Expression:
    """A random integer of [0, bound)."""
    where = caller()
    return Expression(make_call("RAND_INTEGER", (bound,) if seed is None else (seed, bound), where))


def atan2(y: Any, x: Any) -> Expression:
    """The angle of the point (x, y), in radians."""
    return _function("ATAN2", y, x)


def negative(v: Any) -> Expression:
    """The number with the opposite sign."""
    return _function("NEGATE", v)


def concat(first: Any, *others: Any) -> Expression:
    """The texts one after the other; NULL when any is NULL."""
    return _function("CONCAT", _node(first), *map(_node, others))


def concat_ws(separator: Any, first: Any, *others: Any) -> Expression:
    """The texts joined by a separator; NULL texts are left out."""
    return _function("CONCAT_WS", separator, _node(first), *map(_node, others))


def uuid() -> Expression:
    """A random UUID as text."""
    return _function("UUID")


def null_of(data_type: DataType) -> Expression:
    """NULL of a type."""
    return Expression(Lit(None, data_type, where=caller()))


def log(v: Any, base: Any = None) -> Expression:
    """The natural logarithm, or the logarithm to `base`."""
    return _function("LOG", v) if base is None else _function("LOG", base, v)


def source_watermark() -> Expression:
    """In a schema's watermark: the watermark that the source itself knows."""
    return _function("SOURCE_WATERMARK")


def if_then_else(condition: Any, if_true: Any, if_false: Any) -> Expression:
    """`if_true` where the condition is TRUE, else `if_false`.

    >>> if_then_else(col("a") > 1, "big", "small")
    ifThenElse(greaterThan(a, 1), 'big', 'small')
    """
    return _function("CASE", condition, _node(if_true), _node(if_false))


def coalesce(*args: Any) -> Expression:
    """The first argument that is not NULL."""
    return _function("COALESCE", *map(_node, args))


def with_all_columns() -> Expression:
    """All columns."""
    return Expression(Star(where=caller()))


def with_columns(head: Any, *tails: Any) -> Expression:
    """The given columns: expressions, 1-based positions, or `range_(from, to)`."""
    where = caller()
    return Expression(ColumnRange(tuple(to_node(c, where) for c in (head, *tails)), where=where))


def without_columns(head: Any, *tails: Any) -> Expression:
    """All columns but the given ones: expressions, 1-based positions, or `range_(from, to)`."""
    where = caller()
    return Expression(ColumnRange(tuple(to_node(c, where) for c in (head, *tails)), invert=True, where=where))


def json(value: Any) -> Expression:
    """JSON text to be put as it is into `json_object` or `json_array`."""
    return _function("JSON", value)


def json_string(value: Any) -> Expression:
    """Any value as JSON text."""
    return _function("JSON_STRING", value)


def json_object(on_null: JsonOnNull = JsonOnNull.NULL, *args: Any) -> Expression:
    """A JSON object of key, value, key, value, …

    >>> json_object(JsonOnNull.ABSENT, "a", col("x"))
    jsonObject('ABSENT', 'a', x)
    """
    return _function("JSON_OBJECT", on_null, *map(_node, args))


def json_object_agg(on_null: JsonOnNull, key_expr: Any, value_expr: Any) -> Expression:
    """A JSON object of a group's keys and values."""
    return _function("JSON_OBJECTAGG", on_null, key_expr, value_expr).cast(_STRING)


def json_array(on_null: JsonOnNull = JsonOnNull.ABSENT, *args: Any) -> Expression:
    """A JSON array of the values."""
    return _function("JSON_ARRAY", on_null, *map(_node, args))


def json_array_agg(on_null: JsonOnNull, item_expr: Any) -> Expression:
    """A JSON array of a group's values."""
    return _function("JSON_ARRAYAGG", on_null, item_expr).cast(_STRING)


def lag(expr: Any, offset: int = 1, default: Any = None) -> Expression:
    """The value of an earlier row of the OVER window."""
    return _function("LAG", expr, offset, default)


def lead(expr: Any, offset: int = 1, default: Any = None) -> Expression:
    """The value of a later row of the OVER window."""
    return _function("LEAD", expr, offset, default)


def call(f: str | UserDefinedFunctionWrapper, *args: Any) -> Expression:
    """A built-in or registered function by its name, or a Python function object.

    >>> call("upper", col("s"))
    upper(s)
    """
    where = caller()
    nodes = tuple(to_node(a, where) for a in args)
    if isinstance(f, str):
        return Expression(Call(f, nodes, where=where))
    from tableapi.udf import call_node

    return Expression(call_node(f, nodes, where))


def call_sql(sql_expression: str) -> Expression:
    """A SQL expression.

    >>> call_sql("a + 1").alias("b")
    as(plus(a, 1), 'b')

    Raises:
        SqlParseError: The text is not an expression.
    """
    from tableapi.sql import parse_expression

    return Expression(parse_expression(sql_expression))


def _node(value: Any) -> Unresolved:
    return to_node(value, caller())


def _mark(name: str) -> Expression:
    return Expression(Call(name))


UNBOUNDED_ROW = _mark(UNBOUNDED_ROW_MARK)
"""As the `preceding` of an OVER window: from the first row on, counted in rows."""

UNBOUNDED_RANGE = _mark(UNBOUNDED_RANGE_MARK)
"""As the `preceding` of an OVER window: from the first row on, by time."""

CURRENT_ROW = _mark(CURRENT_ROW_MARK)
"""As the `following` of an OVER window: up to this row."""

CURRENT_RANGE = _mark(CURRENT_RANGE_MARK)
"""As the `following` of an OVER window: up to the last row of the same time."""
