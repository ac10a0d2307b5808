"""Goal: the CAST matrix of Flink: what is accepted, and what the values become."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from tableapi.errors import CastError, TypeMismatchError
from tableapi.plan.typing import can_cast
from tableapi.types import DataType, DataTypes
from tests.functions.constants import resolve, text, value

KINDS: dict[str, DataType] = {
    "STRING": DataTypes.STRING(),
    "BYTES": DataTypes.BYTES(),
    "BOOLEAN": DataTypes.BOOLEAN(),
    "DECIMAL": DataTypes.DECIMAL(10, 2),
    "INT": DataTypes.INT(),
    "DOUBLE": DataTypes.DOUBLE(),
    "DATE": DataTypes.DATE(),
    "TIME": DataTypes.TIME(),
    "TIMESTAMP": DataTypes.TIMESTAMP(3),
    "LTZ": DataTypes.TIMESTAMP_LTZ(3),
    "MONTHS": DataTypes.INTERVAL(DataTypes.MONTH()),
    "DAYS": DataTypes.INTERVAL(DataTypes.DAY()),
    "ARRAY": DataTypes.ARRAY(DataTypes.INT()),
}
MATRIX = """
STRING     Y Y Y Y Y Y Y Y Y Y - - -
BYTES      Y Y - - - - - - - - - - -
BOOLEAN    Y - Y Y Y Y - - - - - - -
DECIMAL    Y - Y Y Y Y - - - - - - -
INT        Y - Y Y Y Y - - - - Y Y -
DOUBLE     Y - Y Y Y Y - - - - - - -
DATE       Y - - - - - Y - Y Y - - -
TIME       Y - - - - - - Y Y Y - - -
TIMESTAMP  Y - - - - - Y Y Y Y - - -
LTZ        Y - - - - - Y Y Y Y - - -
"""


@pytest.mark.parametrize("line", MATRIX.strip().splitlines(), ids=lambda line: line.split()[0])
def test_which_casts_exist(line: str) -> None:
    source, *marks = line.split()
    found = ["Y" if can_cast(KINDS[source], target) else "-" for target in KINDS.values()]
    assert found == marks


VALUES: list[tuple[str, Any]] = [
    ("CAST(' 7 ' AS INT)", 7),
    ("CAST('3.7' AS INT)", 3),
    ("CAST('+5' AS INT)", 5),
    ("CAST(300 AS TINYINT)", 44),
    ("CAST(12345678901 AS INT)", -539222987),
    ("TRY_CAST(12345678901 AS INT)", -539222987),
    ("CAST(1e10 AS INT)", 2147483647),
    ("CAST(1e10 AS TINYINT)", -1),
    ("CAST(CAST('NaN' AS DOUBLE) AS INT)", 0),
    ("CAST(-1.9 AS INT)", -1),
    ("CAST(0.125 AS DECIMAL(4, 2))", Decimal("0.13")),
    ("CAST(-0.125 AS DECIMAL(4, 2))", Decimal("-0.13")),
    ("CAST(12345 AS DECIMAL(3, 0))", None),
    ("CAST(1.005e0 AS DECIMAL(4, 2))", Decimal("1.01")),
    ("CAST('1e3' AS DECIMAL(10, 2))", Decimal("1000.00")),
    ("CAST('yes' AS BOOLEAN)", True),
    ("TRY_CAST('on' AS BOOLEAN)", None),
    ("CAST(7 AS BOOLEAN)", True),
    ("CAST(TRUE AS INT)", 1),
    ("TRY_CAST('abc' AS INT)", None),
    ("TRY_CAST('' AS INT)", None),
    ("TRY_CAST('0x1A' AS INT)", None),
    ("TRY_CAST('300' AS TINYINT)", None),
    ("CAST('2020-1-2' AS DATE)", datetime.date(2020, 1, 2)),
    ("CAST('2024-02-09 10:11:12' AS DATE)", datetime.date(2024, 2, 9)),
    ("TRY_CAST('2024/02/09' AS DATE)", None),
    ("CAST('2023-02-29 00:00:00' AS TIMESTAMP(3))", datetime.datetime(2023, 2, 28)),
    ("TRY_CAST('2020-01-01T00:00:00Z' AS TIMESTAMP(3))", None),
    ("CAST('10:11:12.345' AS TIME(3))", datetime.time(10, 11, 12, 345000)),
    ("CAST(TIMESTAMP '2024-02-09 10:11:12.789' AS TIMESTAMP(0))", datetime.datetime(2024, 2, 9, 10, 11, 12)),
    ("CAST('abc' AS BINARY(5))", b"abc\0\0"),
    ("CAST(X'414243' AS STRING)", "ABC"),
    ("CAST('abcdef' AS VARCHAR(3))", "abc"),
    ("CAST('ab' AS CHAR(4))", "ab  "),
    ("TRY_CAST(ARRAY['1', 'x'] AS ARRAY<INT>)", None),
    ("TRY_CAST(ROW('x', 1) AS ROW<a INT, b INT>)", None),
]


@pytest.mark.parametrize(("sql", "expected"), VALUES, ids=[v[0] for v in VALUES])
def test_values(sql: str, expected: Any) -> None:
    assert value(sql) == expected


TEXTS = [
    ("1e7", "1.0E7"),
    ("1e0", "1.0"),
    ("0.001e0", "0.001"),
    ("1e-5", "1.0E-5"),
    ("9007199254740992e0", "9.007199254740992E15"),
    ("CAST(1 AS FLOAT) / CAST(3 AS FLOAT)", "0.33333334"),
    ("TRUE", "TRUE"),
    ("CAST(5 AS DECIMAL(4, 2))", "5.00"),
    ("ARRAY[1, 2, CAST(NULL AS INT)]", "[1, 2, NULL]"),
    ("MAP['a', 1]", "{a=1}"),
    ("ROW(1, 'a')", "(1, a)"),
    ("INTERVAL '10 00:00:00' DAY TO SECOND", "+10 00:00:00.000"),
    ("INTERVAL -'5' HOUR", "-0 05:00:00.000"),
    ("INTERVAL '1-02' YEAR TO MONTH", "+1-02"),
    ("TIMESTAMP '2024-02-09 10:11:12'", "2024-02-09 10:11:12"),
    ("CAST('2024-02-09 10:11:12.1' AS TIMESTAMP(6))", "2024-02-09 10:11:12.100000"),
    ("TIME '01:02:03.456'", "01:02:03.456"),
    ("DATE '0001-01-01'", "0001-01-01"),
]


@pytest.mark.parametrize(("sql", "expected"), TEXTS, ids=[v[0] for v in TEXTS])
def test_texts(sql: str, expected: str) -> None:
    assert text(sql) == expected


def test_instants_are_read_and_shown_in_the_session_zone() -> None:
    assert text("TO_TIMESTAMP_LTZ(0, 3)", "Asia/Kolkata") == "1970-01-01 05:30:00.000"
    assert text("CAST(TIMESTAMP '2024-03-31 02:30:00' AS TIMESTAMP_LTZ(3))", "Europe/Berlin") == "2024-03-31 03:30:00.000"
    assert text("CAST(TIMESTAMP '2024-10-27 02:30:00' AS TIMESTAMP_LTZ(3))", "Europe/Berlin") == "2024-10-27 02:30:00.000"
    assert text("CAST(DATE '2024-02-29' AS TIMESTAMP_LTZ(3))", "GMT+08:00") == "2024-02-29 00:00:00.000"


def test_a_bad_value_names_itself() -> None:
    with pytest.raises(CastError, match="cannot cast 'abc' from CHAR\\(3\\) to INT"):
        value("CAST('abc' AS INT)")


def test_a_branch_that_is_not_taken_does_not_fail() -> None:
    assert value("CASE WHEN '1' = '2' THEN CAST('abc' AS INT) ELSE 0 END") == 0
    assert value("COALESCE(1, CAST('abc' AS INT))") == 1
    assert value("1 = 2 AND 1 / 0 = 1") is False
    assert value("1 = 1 OR 1 / 0 = 1") is True
    assert value("IF(1 = 2, 1 / 0, 5)") == 5


def test_casts_that_do_not_exist_are_rejected_when_planning() -> None:
    for sql in ("CAST(1 AS DATE)", "CAST(DATE '2024-01-01' AS INT)", "CAST(TIMESTAMP '2024-01-01 00:00:00' AS BIGINT)"):
        with pytest.raises(TypeMismatchError):
            resolve(sql)
