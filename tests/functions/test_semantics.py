"""Goal: Flink's semantics where they differ from Polars' or Python's, one fact a line."""

from __future__ import annotations

import polars as pl
import pytest

from tableapi.errors import ExecutionError
from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import NamedRex
from tableapi.runtime.expressions import evaluate
from tests.functions.constants import resolve, text, value

TYPES = [
    ("CAST(1 AS TINYINT) + CAST(1 AS TINYINT)", "TINYINT"),
    ("CAST(1 AS DECIMAL(10, 2)) + CAST(1 AS DECIMAL(5, 4))", "DECIMAL(13, 4)"),
    ("CAST(1 AS DECIMAL(10, 2)) * CAST(1 AS DECIMAL(5, 4))", "DECIMAL(16, 6)"),
    ("CAST(1 AS DECIMAL(10, 2)) / CAST(1 AS DECIMAL(5, 4))", "DECIMAL(20, 8)"),
    ("MOD(CAST(1 AS DECIMAL(10, 2)), CAST(1 AS DECIMAL(5, 4)))", "DECIMAL(5, 4)"),
    ("CAST(1 AS DECIMAL(38, 18)) * CAST(1 AS DECIMAL(38, 18))", "DECIMAL(38, 6)"),
    ("CAST(1 AS DECIMAL(10, 2)) + 1", "DECIMAL(13, 2)"),
    ("CAST(1 AS DECIMAL(10, 2)) * CAST(1 AS BIGINT)", "DECIMAL(30, 2)"),
    ("5.0 / 2", "DECIMAL(13, 12)"),
    ("CAST(1 AS FLOAT) + 1", "FLOAT"),
    ("CAST(1 AS FLOAT) + 1.5", "DOUBLE"),
    ("1.5", "DECIMAL(2, 1)"),
    ("0.5", "DECIMAL(2, 1)"),
    ("0.001 * 1", "DECIMAL(15, 3)"),
    ("CAST(1 AS FLOAT) + 1e0", "FLOAT"),
    ("1e0 + CAST(1 AS FLOAT)", "DOUBLE"),
    ("COALESCE(CAST(1 AS FLOAT), 1e0)", "DOUBLE"),
    ("COALESCE(1.5, CAST(1 AS FLOAT))", "FLOAT"),
    ("COALESCE(CAST(1 AS DECIMAL(10, 2)), CAST(1 AS DECIMAL(38, 0)))", "DECIMAL(38, 0)"),
    ("IFNULL('a', 'bcd')", "CHAR(1)"),
    ("MOD(CAST(1 AS BIGINT), CAST(1 AS TINYINT))", "TINYINT"),
    ("MOD(CAST(1 AS DECIMAL(38, 0)), 2)", "INT"),
    ("MOD(1, 0.5)", "DECIMAL(2, 1)"),
    ("LEFT('abc', 1)", "VARCHAR(3)"),
    ("LTRIM('abc', 'a')", "VARCHAR(3)"),
    ("BTRIM('abc')", "STRING"),
    ("'\U0001f600a'", "CHAR(3)"),
    ("DATE '2024-01-01' - INTERVAL '1' HOUR", "DATE"),
    ("INTERVAL '2' WEEK", "INTERVAL DAY"),
    ("12345678901", "BIGINT"),
    ("CASE WHEN TRUE THEN 'a' ELSE 'bcd' END", "VARCHAR(3)"),
    ("CASE WHEN TRUE THEN 1 ELSE 2.5 END", "DECIMAL(11, 1)"),
    ("ROUND(CAST(1 AS DECIMAL(10, 2)), 1)", "DECIMAL(10, 1)"),
    ("CEIL(CAST(1 AS DECIMAL(10, 2)))", "DECIMAL(10, 0)"),
    ("'ab' || 'c'", "CHAR(3)"),
    ("SUBSTRING('abc', 1)", "VARCHAR(3)"),
    ("MD5('a')", "CHAR(32)"),
    ("TIMESTAMPDIFF(DAY, DATE '2024-01-01', DATE '2024-01-02')", "INT"),
    ("EXTRACT(YEAR FROM DATE '2024-01-01')", "BIGINT"),
    ("ARRAY[1, 2.5]", "ARRAY<DECIMAL(11, 1) NOT NULL>"),
    ("TO_TIMESTAMP('x')", "TIMESTAMP(3)"),
    ("CURRENT_TIMESTAMP", "TIMESTAMP_LTZ(3)"),
]


@pytest.mark.parametrize(("sql", "expected"), TYPES, ids=[t[0] for t in TYPES])
def test_types(sql: str, expected: str) -> None:
    assert str(resolve(sql).type.nullable()) == expected


TEXTS = [
    ("2147483647 + 1", "-2147483648"),
    ("-7 / 2", "-3"),
    ("CAST(NULL AS INT) / 0", "NULL"),
    ("CAST('NaN' AS DOUBLE) = CAST(NULL AS DOUBLE)", "NULL"),
    ("CAST(NULL AS DOUBLE) < CAST('NaN' AS DOUBLE)", "NULL"),
    ("ROUND(CAST(32767 AS SMALLINT), CAST('-3' AS INT))", "-32536"),
    ("ROUND(CAST('99.99' AS DECIMAL(4, 2)), CAST('1' AS INT))", "NULL"),
    ("MOD(CAST(12 AS DECIMAL(38, 0)), 7)", "5"),
    ("CAST(7 AS FLOAT) / 1.5e0", "4.6666665"),
    ("CAST(2.5 AS DECIMAL(38, 18)) = 12345678901", "FALSE"),
    ("0 IN (-0.5, 1)", "TRUE"),
    ("GREATEST(CAST('NaN' AS DOUBLE), 1e0)", "NaN"),
    ("LEAST(CAST('NaN' AS DOUBLE), 1e0)", "1.0"),
    ("ROW(1, CAST(NULL AS INT)) <> ROW(1, CAST(NULL AS INT))", "FALSE"),
    ("ROW(CAST(NULL AS INT)) <> ROW(1)", "TRUE"),
    ("ROW(CAST(NULL AS INT)) = ROW(1)", "NULL"),
    ("MAP['a', CAST(NULL AS INT)] = MAP['a', CAST(NULL AS INT)]", "FALSE"),
    ("MAP['a', 1, 'b', 2] IS DISTINCT FROM MAP['b', 2, 'a', 1]", "FALSE"),
    ("IS_DIGIT(12)", "TRUE"),
    ("IS_DECIMAL(ARRAY[1])", "FALSE"),
    ("CAST(CAST(123456789 AS FLOAT) AS STRING)", "1.23456792E8"),
    ("CAST(CAST(2147483648 AS FLOAT) AS STRING)", "2.14748365E9"),
    ("CAST(CAST(123456789012345680 AS DOUBLE) AS STRING)", "1.2345678901234568E17"),
    ("CAST(5e-324 AS STRING)", "4.9E-324"),
    ("TYPEOF(INTERVAL '1' DAY)", "INTERVAL SECOND(3) NOT NULL"),
    ("LEFT('abc', CAST(NULL AS INT))", "NULL"),
    ("LOCATE('', 'abc', 3)", "1"),
    ("TRANSLATE('abc', 'b', CAST(NULL AS STRING))", "ac"),
    ("SPLIT_INDEX(' a b', '', 1)", "a"),
    ("FROM_BASE64('aGVsbG8')", "hello"),
    ("TO_BASE64(X'01')", "AQ=="),
    ("DECODE(ENCODE('日本', 'GBK'), 'GBK')", "日本"),
    ("ENCODE('', 'UTF-16') = X''", "TRUE"),
    ("PRINTF('%g|%g', 0.0001e0, 1234567e0)", "0.000100000|1.23457e+06"),
    ("PRINTF('%s', ARRAY[1, 2])", "[1, 2]"),
    ("CAST(CAST(TIMESTAMP '2024-01-01 01:02:03.456' AS TIME) AS STRING)", "01:02:03"),
    ("DATE '2024-01-31' - INTERVAL '25' HOUR", "2024-01-30"),
    ("DATE '2024-01-31' - INTERVAL '1' HOUR", "2024-01-31"),
    ("DATE '2024-01-01' + INTERVAL '1' QUARTER + INTERVAL '-1' WEEK", "2024-03-25"),
    ("-5 % 3", "-2"),
    ("POWER(2, 0.5)", "1.4142135623730951"),
    ("LN(0)", "-Infinity"),
    ("SQRT(-1)", "NaN"),
    ("ROUND(1234, -2)", "1200"),
    ("ROUND(-2.5e0)", "-3.0"),
    ("ROUND(1.005e0, 2)", "1.01"),
    ("TRUNCATE(-3.79e0, 1)", "-3.7"),
    ("HEX(-1)", "FFFFFFFFFFFFFFFF"),
    ("CAST('NaN' AS DOUBLE) > 1", "FALSE"),
    ("'a' = 'a '", "FALSE"),
    ("4 IN (1, 2, CAST(NULL AS INT))", "NULL"),
    ("12 BETWEEN 15 AND 10", "FALSE"),
    ("12 BETWEEN SYMMETRIC 15 AND 10", "TRUE"),
    ("'100%' LIKE '100\\%'", "FALSE"),
    ("'100%' LIKE '100!%' ESCAPE '!'", "TRUE"),
    ("'ab c' SIMILAR TO '[[:ALPHA:] ]+'", "TRUE"),
    ("'a1' SIMILAR TO '[:ALPHA:][[:DIGIT:]]'", "TRUE"),
    ("GREATEST(1, CAST(NULL AS INT))", "NULL"),
    ("CONCAT('a', CAST(NULL AS STRING))", "NULL"),
    ("CHAR_LENGTH('\U0001f600a')", "2"),
    ("SUBSTRING('hello', 0, 2)", "he"),
    ("SUBSTRING('hello', 2, -1)", "NULL"),
    ("SUBSTR('hello', -100, 3)", ""),
    ("LPAD('hi', 3, '')", "NULL"),
    ("SPLIT_INDEX('a,b', ',', 5)", "NULL"),
    ("CARDINALITY(SPLIT('', ','))", "0"),
    ("REGEXP_REPLACE('foo', '(o)', '$1')", "f$1$1"),
    ("REGEXP_EXTRACT('abc', '(b)', 2)", "NULL"),
    ("REGEXP('hello', '(?<=h)e')", "TRUE"),
    ("REGEXP('hello', '[')", "FALSE"),
    ("REGEXP('é', '\\w')", "FALSE"),
    ("URL_DECODE('%zz')", "NULL"),
    ("PRINTF('%05d|%-4s|%.2f', 7, 'a', 1.005e0)", "00007|a   |1.01"),
    ("PRINTF('%d', 'x')", "NULL"),
    ("EXTRACT(DOW FROM DATE '2021-01-03')", "1"),
    ("FLOOR(DATE '2024-02-29' TO WEEK)", "2024-02-25"),
    ("CEIL(TIMESTAMP '2021-01-03 15:00:00' TO WEEK)", "2021-01-03 00:00:00"),
    ("DATE '2024-01-31' + INTERVAL '1' MONTH", "2024-02-29"),
    ("TIMESTAMPDIFF(MONTH, DATE '2024-01-31', DATE '2024-02-29')", "1"),
    ("DATE_FORMAT(TIMESTAMP '2020-12-31 00:00:00', 'YYYY')", "2021"),
    ("DATE_FORMAT(TIMESTAMP '2024-02-29 15:04:05', 'd/M/yy h:mm a')", "29/2/24 3:04 PM"),
    ("TO_TIMESTAMP('2024-02-29T00:00:00')", "NULL"),
    ("TO_DATE('2020-02-30')", "NULL"),
    ("UNIX_TIMESTAMP('garbage')", "-9223372036854775808"),
    ("TO_TIMESTAMP_LTZ(1709210096789123, 6)", "2024-02-29 12:34:56.789123"),
    ("ARRAY_CONTAINS(ARRAY[1, CAST(NULL AS INT)], CAST(NULL AS INT))", "TRUE"),
    ("ARRAY_SORT(ARRAY[2, CAST(NULL AS INT), 1])", "[NULL, 1, 2]"),
    ("ARRAY_EXCEPT(ARRAY[1, 2, 2], ARRAY[1])", "[2]"),
    ("ARRAY[1, 2][3]", "NULL"),
    ("MAP['a', 1, 'a', 2]", "{a=2}"),
    ("JSON_VALUE('{\"a\": [1, 2]}', '$.a')", "NULL"),
    ("JSON_VALUE('{\"a\": 1.50}', '$.a')", "1.50"),
    ("JSON_VALUE('{}', '$.a' DEFAULT 'x' ON EMPTY)", "NULL"),
    ("JSON_VALUE('{}', 'lax $.a' DEFAULT 'x' ON EMPTY)", "x"),
    ("JSON_QUERY('{\"a\": 1}', '$.a' WITH WRAPPER)", "[1]"),
    ("JSON_QUERY('[{\"x\": 1}, {\"x\": 2}]', '$[*].x')", "[1,2]"),
    ("JSON_OBJECT('k' VALUE JSON_ARRAY(1, 2))", '{"k":[1,2]}'),
    ("JSON_ARRAY(1, CAST(NULL AS INT))", "[1]"),
    ("CAST(NULL AS STRING) IS JSON", "FALSE"),
    ("1 > '0.5'", "TRUE"),
    ("1 < '1.5'", "FALSE"),
    ("CAST(1 AS TINYINT) < '300'", "TRUE"),
    ("CAST(1 AS DOUBLE) > '1e0'", "FALSE"),
    ("CAST(1.20 AS DECIMAL(10, 2)) < '1.206'", "TRUE"),
    ("'12' BETWEEN 1 AND 5", "FALSE"),
    ("TRUE > 'false'", "TRUE"),
    ("1 IN ('1', '2')", "TRUE"),
    ("'12' IN (1, 12)", "TRUE"),
    ("TRUE NOT IN ('true')", "FALSE"),
    ("1 IN (2, 1.5)", "TRUE"),
    ("CAST(2.55 AS DECIMAL(10, 2)) IN (1, 2.555)", "FALSE"),
]


@pytest.mark.parametrize(("sql", "expected"), TEXTS, ids=[t[0] for t in TEXTS])
def test_results(sql: str, expected: str) -> None:
    assert text(sql) == expected


FAILURES = [
    ("1 / 0", "division by zero"),
    ("1 % 0", "division by zero"),
    ("1.5 / 0", "division by zero"),
    ("ELEMENT(ARRAY[1, 2])", "collection with 2 elements"),
    ("SHA2('a', 100)", "no length of 100 bits"),
    ("PARSE_JSON('{bad')", "is not JSON"),
    ("JSON_VALUE('{}', '$.a' ERROR ON ERROR)", "JSON_VALUE"),
    ("MAP_FROM_ARRAYS(ARRAY['a'], ARRAY[1, 2])", "differ in length"),
    ("TO_TIMESTAMP_LTZ('pen')", "is no timestamp"),
    ("1 > 'a'", "cannot cast 'a'"),
    ("1 IN ('a')", "cannot cast 'a'"),
]


@pytest.mark.parametrize(("sql", "message"), FAILURES, ids=[f[0] for f in FAILURES])
def test_what_fails_a_query(sql: str, message: str) -> None:
    with pytest.raises(ExecutionError, match=message):
        value(sql)


def test_constants_have_a_row_for_each_row_of_a_frame_in_pieces():
    pieces = pl.concat([pl.DataFrame({"a": [1, 2, 3]})] * 2, rechunk=False)
    upper = NamedRex("u", resolve("UPPER('a')", "UTC"))
    assert evaluate(pieces, [upper], SessionContext(time_zone="UTC"))["u"].to_list() == ["A"] * 6
