"""From expression texts to unresolved expressions: precedence, literals, the functions with words inside."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from tableapi.errors import SqlParseError, ValidationError
from tableapi.plan.unresolved import Call, Cast, Lit, Name, Over, Unresolved
from tableapi.sql import parse_expression, parse_type
from tableapi.types import DataTypes, IntervalUnit


def shown(expression: Unresolved) -> str:
    """A compact prefix form."""
    match expression:
        case Name(parts=parts):
            return ".".join(parts)
        case Lit(value=value):
            return repr(value)
        case Cast(arg=arg, data_type=data_type, is_try=is_try):
            return f"{'TRY_' if is_try else ''}CAST({shown(arg)}, {data_type})"
        case Call(function=function, args=args, distinct=distinct):
            return f"{function}({'DISTINCT ' if distinct else ''}{', '.join(map(shown, args))})"
        case _:
            return type(expression).__name__


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", "PLUS(1, TIMES(2, 3))"),
        ("1 - 2 - 3", "MINUS(MINUS(1, 2), 3)"),
        ("a || b * c", "TIMES(CONCAT_OPERATOR(a, b), c)"),
        ("-a + -1", "PLUS(NEGATE(a), -1)"),
        ("NOT a = b AND c OR d", "OR(AND(NOT(EQUALS(a, b)), c), d)"),
        ("a = b IS NOT TRUE", "IS_NOT_TRUE(EQUALS(a, b))"),
        ("a + 1 BETWEEN b AND c + 1 AND d", "AND(BETWEEN(PLUS(a, 1), b, PLUS(c, 1)), d)"),
        ("a NOT BETWEEN 1 AND 2", "NOT(BETWEEN(a, 1, 2))"),
        ("a BETWEEN SYMMETRIC 2 AND 1", "BETWEEN_SYMMETRIC(a, 2, 1)"),
        ("a NOT IN (1, 2)", "NOT(IN(a, 1, 2))"),
        ("(a, b) = (1, 2)", "EQUALS(ROW(a, b), ROW(1, 2))"),
        ("a LIKE '%x' ESCAPE '!'", "LIKE(a, '%x', '!')"),
        ("a NOT SIMILAR TO 'x'", "NOT(SIMILAR_TO(a, 'x'))"),
        ("a IS NOT DISTINCT FROM b", "IS_NOT_DISTINCT_FROM(a, b)"),
        ("a IS NOT JSON ARRAY", "NOT(IS_JSON(a, 'ARRAY'))"),
        ("CASE a WHEN 1, 2 THEN x ELSE y END", "CASE(OR(EQUALS(a, 1), EQUALS(a, 2)), x, y)"),
        ("CASE WHEN a THEN b END", "CASE(a, b, None)"),
        ("t.a[1].b", "GET(AT(t.a, 1), 'b')"),
        ("ROW(1, 'x')", "ROW(1, 'x')"),
        ("ARRAY[1, 2][1]", "AT(ARRAY(1, 2), 1)"),
        ("MAP['a', 1]['a']", "AT(MAP('a', 1), 'a')"),
        ("CAST(a AS DECIMAL(5, 2))", "CAST(a, DECIMAL(5, 2))"),
        ("TRY_CAST(a AS INT)", "TRY_CAST(a, INT)"),
        ("EXTRACT(HOUR FROM ts)", "EXTRACT('HOUR', ts)"),
        ("FLOOR(ts TO DAY)", "FLOOR(ts, 'DAY')"),
        ("CEILING(a)", "CEIL(a)"),
        ("TIMESTAMPADD(SQL_TSI_HOUR, 1, ts)", "TIMESTAMPADD('HOUR', 1, ts)"),
        ("TIMESTAMPDIFF(DAYS, a, b)", "TIMESTAMPDIFF('DAY', a, b)"),
        ("SUBSTRING(s FROM 2 FOR 3)", "SUBSTRING(s, 2, 3)"),
        ("OVERLAY(s PLACING 'x' FROM 1)", "OVERLAY(s, 'x', 1)"),
        ("POSITION('a' IN s)", "POSITION('a', s)"),
        ("COUNT(DISTINCT a)", "COUNT(DISTINCT a)"),
        ("my_func(1, f(2))", "my_func(1, f(2))"),
        ("`My Func`(a)", "My Func(a)"),
        ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP()"),
        ("LEFT(s, 1)", "LEFT(s, 1)"),
        ("((a))", "a"),
        ("`a b`.`c``d`", "a b.c`d"),
    ],
)
def test_shape(text: str, expected: str) -> None:
    assert shown(parse_expression(text)) == expected


@pytest.mark.parametrize(
    ("text", "value", "data_type"),
    [
        ("1", 1, None),
        ("2147483648", 2147483648, DataTypes.BIGINT(False)),
        ("-1", -1, None),
        ("1.50", Decimal("1.50"), DataTypes.DECIMAL(3, 2, False)),
        (".5", Decimal("0.5"), DataTypes.DECIMAL(2, 1, False)),
        ("1e3", 1000.0, None),
        ("'it''s'", "it's", None),
        ("'a'\n'b'", "ab", None),
        (r"U&'\00e9\\'", "é\\", None),
        ("U&'!00e9' UESCAPE '!'", "é", None),
        (r"e'a\nb\'\x41'", "a\nb'A", None),
        ("_UTF8'x'", "x", None),
        ("X'4142'", b"AB", DataTypes.BINARY(2, False)),
        ("TRUE", True, None),
        ("NULL", None, None),
        ("UNKNOWN", None, DataTypes.BOOLEAN()),
        ("DATE '2024-2-9'", datetime.date(2024, 2, 9), DataTypes.DATE(False)),
        ("TIME '01:02:03.4'", datetime.time(1, 2, 3, 400000), DataTypes.TIME(1, False)),
        (
            "TIMESTAMP '2024-02-29 01:02:03.123456'",
            datetime.datetime(2024, 2, 29, 1, 2, 3, 123456),
            DataTypes.TIMESTAMP(6, False),
        ),
        ("TIMESTAMP '2024-02-29 01:02:03'", datetime.datetime(2024, 2, 29, 1, 2, 3), DataTypes.TIMESTAMP(0, False)),
    ],
)
def test_literals(text: str, value: Any, data_type: Any) -> None:
    literal = parse_expression(text)
    assert literal == Lit(value, data_type)
    assert type(literal.value) is type(value)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "value", "first", "last"),
    [
        ("INTERVAL '1' DAY", datetime.timedelta(days=1), "DAY", "DAY"),
        ("INTERVAL '-10' SECOND", datetime.timedelta(seconds=-10), "SECOND", "SECOND"),
        ("INTERVAL -'5' HOURS", datetime.timedelta(hours=-5), "HOUR", "HOUR"),
        ("INTERVAL '1.5' SECOND", datetime.timedelta(seconds=1.5), "SECOND", "SECOND"),
        ("INTERVAL '1 02:03:04.005' DAY TO SECOND", datetime.timedelta(1, 7384, milliseconds=5), "DAY", "SECOND"),
        ("INTERVAL '10:30' MINUTE TO SECOND", datetime.timedelta(minutes=10, seconds=30), "MINUTE", "SECOND"),
        ("INTERVAL '1-02' YEAR TO MONTH", 14, "YEAR", "MONTH"),
        ("INTERVAL '3' YEAR", 36, "YEAR", "YEAR"),
        ("INTERVAL '3' MONTH(2)", 3, "MONTH", "MONTH"),
        ("INTERVAL '099' DAY", datetime.timedelta(days=99), "DAY", "DAY"),
        ("INTERVAL '100' DAY(3)", datetime.timedelta(days=100), "DAY", "DAY"),
    ],
)
def test_intervals(text: str, value: Any, first: str, last: str) -> None:
    literal = parse_expression(text)
    assert isinstance(literal, Lit)
    assert literal.value == value
    assert (literal.data_type.first, literal.data_type.last) == (IntervalUnit[first], IntervalUnit[last])  # type: ignore[union-attr]


def test_json_clauses_become_arguments() -> None:
    value = parse_expression("JSON_VALUE(j, '$.a' RETURNING INT DEFAULT 7 ON EMPTY ERROR ON ERROR)")
    assert shown(value) == "JSON_VALUE(j, '$.a', 'DEFAULT', 7, 'ERROR', None, None)"
    assert value.args[-1] == Lit(None, DataTypes.INT())  # type: ignore[attr-defined]
    query = parse_expression("JSON_QUERY(j, '$' WITH CONDITIONAL WRAPPER EMPTY ARRAY ON EMPTY)")
    assert shown(query) == "JSON_QUERY(j, '$', 'CONDITIONAL', 'EMPTY ARRAY', 'NULL')"
    assert (
        shown(parse_expression("JSON_OBJECT('a' VALUE 1, KEY b VALUE 2 ABSENT ON NULL)"))
        == "JSON_OBJECT('ABSENT', 'a', 1, b, 2)"
    )
    assert shown(parse_expression("JSON_ARRAY(1, 'x')")) == "JSON_ARRAY('ABSENT', 1, 'x')"


def test_filter_and_over() -> None:
    call = parse_expression("SUM(a) FILTER (WHERE b > 1)")
    assert isinstance(call, Call)
    assert call.filter is not None
    over = parse_expression("SUM(a) OVER (PARTITION BY b ORDER BY c DESC NULLS LAST ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING)")
    assert isinstance(over, Over)
    assert over.is_rows
    assert over.order_by[0].nulls_first is False
    assert over.lower is not None
    assert over.lower.is_preceding
    assert over.upper is not None
    assert not over.upper.is_preceding


def test_every_part_knows_its_place() -> None:
    expression = parse_expression("a +\n  f(b)")
    assert isinstance(expression, Call)
    left, right = expression.args
    assert left.where is not None
    assert (left.where.line, left.where.column, left.where.length) == (1, 1, 1)
    assert right.where is not None
    assert (right.where.line, right.where.column, right.where.length) == (2, 3, 4)


@pytest.mark.parametrize("text", ["(SELECT 1)", "a.*", "SUM(a) OVER w", "f(x => 1)", "EXISTS (SELECT 1)", "f(TABLE t)"])
def test_a_single_expression_cannot_hold(text: str) -> None:
    with pytest.raises(ValidationError, match="cannot stand in a single expression"):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("INT NOT NULL", "INT NOT NULL"),
        ("VARCHAR", "STRING"),
        ("DECIMAL", "DECIMAL(10, 0)"),
        ("TIMESTAMP", "TIMESTAMP(6)"),
        ("TIMESTAMP(3) WITH LOCAL TIME ZONE", "TIMESTAMP_LTZ(3)"),
        ("INT ARRAY NOT NULL", "ARRAY<INT> NOT NULL"),
        ("ROW<a INT 'x', `b c` ARRAY<ROW<x INT>>>", "ROW<`a` INT, `b c` ARRAY<ROW<`x` INT>>>"),
        ("ROW(a INT, b STRING NOT NULL)", "ROW<`a` INT, `b` STRING NOT NULL>"),
        ("MAP<STRING, MULTISET<INT>>", "MAP<STRING, MULTISET<INT>>"),
        ("INTERVAL DAY TO SECOND(3)", "INTERVAL DAY TO SECOND(3)"),
        ("BYTES", "BYTES"),
        ("ROW<year INT>", "ROW<`year` INT>"),
    ],
)
def test_types(text: str, summary: str) -> None:
    data_type = parse_type(text)
    assert str(data_type) == summary
    assert parse_type(summary) == data_type


@pytest.mark.parametrize(
    "text", ["", "INTT", "DECIMAL(39)", "DECIMAL(3, 4)", "CHAR(0)", "TIMESTAMP(10)", "ROW<a INT, a INT>", "INT INT"]
)
def test_wrong_types(text: str) -> None:
    with pytest.raises(SqlParseError):
        parse_type(text)
