"""Sub-queries of every kind give DuckDB's rows, over small tables with NULLs and an empty one."""

from __future__ import annotations

import random
from collections import Counter

import duckdb
import polars as pl
import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.errors import UnsupportedError

COLUMNS = {"t": "abc", "u": "xyz", "v": "pqr", "e": "kl"}
SIZES = {"t": 12, "u": 14, "v": 9, "e": 0}
QUANTIFIED = [
    query
    for operator in ("=", "<>", "<", "<=", ">", ">=")
    for quantifier in ("ANY", "ALL")
    for query in (
        f"SELECT a, b FROM t WHERE a {operator} {quantifier} (SELECT x FROM u WHERE x IS NOT NULL)",
        f"SELECT a, b FROM t WHERE a {operator} {quantifier} (SELECT x FROM u WHERE x > 4)",
        f"SELECT a, b FROM t WHERE a {operator} {quantifier} (SELECT x FROM u WHERE y = b)",
        f"SELECT a, a {operator} {quantifier} (SELECT x FROM u WHERE x > 4) FROM t",
        f"SELECT a, a {operator} {quantifier} (SELECT k FROM e) FROM t",
    )
]
CORRELATED_VALUES = [
    f"SELECT a, a {operator} {quantifier} (SELECT x FROM u WHERE y < b) FROM t"
    for operator, quantifier in [("=", "ALL"), ("<>", "ANY")] + [(o, q) for o in ("<", "<=", ">", ">=") for q in ("ANY", "ALL")]
]
OTHERS = """
SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE x < a AND EXISTS (SELECT 1 FROM v WHERE p = a AND q > y))
SELECT a, (SELECT COUNT(*) FROM u WHERE x < a) FROM t
SELECT a, b FROM t WHERE a = (SELECT MAX(x) FROM u WHERE y = (SELECT MIN(q) FROM v WHERE p < a))
SELECT a, (SELECT MAX(x) FROM u WHERE y > (SELECT MIN(q) FROM v WHERE p < a)) FROM t
SELECT a, (SELECT COUNT(*) FROM u WHERE x > (SELECT q FROM v WHERE p < a ORDER BY q DESC LIMIT 1)) FROM t
SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE x > 2 AND EXISTS (SELECT 1 FROM v WHERE p < a))
SELECT a, (SELECT COUNT(*) + 1 FROM u WHERE x = a AND y = b) FROM t
SELECT a, (SELECT COALESCE(SUM(y), -1) FROM u WHERE x = a AND y = b) FROM t
SELECT a, (SELECT MAX(y) FROM u WHERE x > a OR y = b) FROM t
SELECT a, (SELECT COUNT(*) FROM u WHERE x = a HAVING COUNT(*) > 2) FROM t
SELECT a, (SELECT COUNT(*) FROM u WHERE x = a HAVING COUNT(*) < 2) FROM t
SELECT a FROM t WHERE EXISTS (SELECT COUNT(*) FROM u WHERE x = a AND y = b)
SELECT a FROM t WHERE a NOT IN (SELECT x FROM u)
SELECT a FROM t WHERE a NOT IN (SELECT k FROM e)
SELECT a FROM t WHERE a NOT IN (SELECT x FROM u WHERE y = b)
SELECT a FROM t WHERE a NOT IN (SELECT x FROM u WHERE y > b)
SELECT a, a NOT IN (SELECT x FROM u WHERE x IS NOT NULL) FROM t
SELECT a, EXISTS (SELECT 1 FROM u WHERE x > a) FROM t
SELECT a, CASE WHEN EXISTS (SELECT 1 FROM u WHERE x > a AND y < b) THEN 'y' ELSE 'n' END FROM t
SELECT a, (SELECT y FROM u WHERE x > a ORDER BY y DESC LIMIT 1) FROM t
SELECT a, SUM(b) FROM t GROUP BY a HAVING SUM(b) > (SELECT AVG(y) FROM u WHERE x < a)
SELECT a, (SELECT MAX(x) FROM u WHERE EXISTS (SELECT 1 FROM v WHERE p = x AND q = b)) FROM t
SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u LEFT JOIN v ON x = p AND q < a WHERE q IS NULL)
SELECT a FROM t WHERE a IN (SELECT x FROM u WHERE y < b UNION SELECT p FROM v WHERE q = c)
SELECT a, (SELECT MAX(a + x) FROM u) FROM t
SELECT a, (SELECT a + 1) FROM t
SELECT t.a, u.x FROM t JOIN u ON t.a = u.x AND u.y > (SELECT MIN(p) FROM v)
SELECT a FROM t WHERE (a, b) IN (SELECT x, y FROM u)
SELECT a FROM t ORDER BY (SELECT MAX(x) FROM u WHERE y = a), a
SELECT a + (SELECT MIN(x) FROM u), COUNT(*) FROM t GROUP BY a + (SELECT MIN(x) FROM u)
SELECT * FROM (VALUES (1, (SELECT MAX(x) FROM u)), (2, 3)) AS w(i, j)
""".strip().splitlines()
VALUES_OF_THREE = [
    f"SELECT a, {test} FROM t"
    for test in (
        "a = ANY (SELECT x FROM u WHERE y < b)",
        "a <> ALL (SELECT x FROM u WHERE y < b)",
        "a IN (SELECT x FROM u WHERE y = b)",
        "a NOT IN (SELECT x FROM u WHERE y = b OR z = c)",
        "a + 1 IN (SELECT x FROM u WHERE y = b AND x IS NOT NULL)",
        "a IN (SELECT MAX(x) FROM u WHERE y = b)",
        "(a, b) IN (SELECT x, y FROM u)",
        "(a, b) NOT IN (SELECT x, y FROM u WHERE z < 3)",
        "(a, b) IN (SELECT x, y FROM u WHERE x > 9)",
    )
]
IN_OUTER_JOINS = [
    f"SELECT a, b, x, y FROM t {kind} JOIN u ON t.a = u.x AND {test}"
    for kind in ("LEFT", "RIGHT", "FULL")
    for test in (
        "u.y > (SELECT AVG(p) FROM v)",
        "t.b IN (SELECT p FROM v)",
        "u.y NOT IN (SELECT p FROM v WHERE p IS NOT NULL)",
        "EXISTS (SELECT 1 FROM v WHERE p = t.b)",
        "u.z < (SELECT MAX(q) FROM v WHERE p = u.y)",
        "(u.y = 2 OR NOT EXISTS (SELECT 1 FROM v WHERE p > u.y AND q < u.z))",
    )
]
THROUGH_JOINS = (
    [
        f"SELECT a, b, (SELECT COUNT(*) FROM u {kind} JOIN v ON x = p AND {test}) FROM t"
        for kind in ("LEFT", "RIGHT", "FULL")
        for test in ("y > a", "q > a", "y = b", "y + q > a")
    ]
    + [
        f"SELECT a, (SELECT SUM(COALESCE(y, 10) + COALESCE(q, 100)) FROM (SELECT * FROM u WHERE z > a) AS l {kind} JOIN v ON x = p) FROM t"
        for kind in ("LEFT", "RIGHT", "FULL")
    ]
    + [
        "SELECT a, (SELECT MAX(n) FROM (SELECT y, COUNT(*) AS n FROM u WHERE x > a GROUP BY GROUPING SETS ((y), (z), (y, z))) AS g) FROM t",
        "SELECT a FROM t WHERE 2 < (SELECT COUNT(*) FROM (SELECT y, z FROM u WHERE x <= a GROUP BY GROUPING SETS ((y), (z))) AS g)",
    ]
)
REFUSED = [
    "SELECT t.a FROM t LEFT JOIN u ON t.a = u.x AND EXISTS (SELECT 1 FROM v WHERE p = t.b AND q = u.y)",
    "SELECT (a, b) = ALL (SELECT x, y FROM u) FROM t",
    "SELECT (a, b) < ANY (SELECT x, y FROM u) FROM t",
]


def tables() -> dict[str, list[tuple[int | None, ...]]]:
    rng = random.Random(3)
    values = (None, 1, 2, 3, 4, 5)
    return {name: [tuple(rng.choice(values) for _ in COLUMNS[name]) for _ in range(SIZES[name])] for name in COLUMNS}


@pytest.fixture(scope="module")
def environment() -> TableEnvironment:
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    for name, rows in tables().items():
        schema = dict.fromkeys(COLUMNS[name], pl.Int32)
        env.create_temporary_view(name, env.from_polars(pl.DataFrame(rows, schema=schema, orient="row")))
    return env


@pytest.fixture(scope="module")
def judge() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name, rows in tables().items():
        connection.execute(f"CREATE TABLE {name} ({', '.join(f'{c} INT' for c in COLUMNS[name])})")
        if rows:
            connection.executemany(f"INSERT INTO {name} VALUES (?, ?, ?)", rows)
    return connection


@pytest.mark.parametrize("query", [*QUANTIFIED, *CORRELATED_VALUES, *VALUES_OF_THREE, *IN_OUTER_JOINS, *THROUGH_JOINS, *OTHERS])
def test_rows(environment: TableEnvironment, judge: duckdb.DuckDBPyConnection, query: str) -> None:
    with environment.sql_query(query).execute().collect() as rows:
        assert Counter(tuple(row) for row in rows) == Counter(judge.execute(query).fetchall())


@pytest.mark.parametrize("query", REFUSED)
def test_refused_by_name(environment: TableEnvironment, query: str) -> None:
    with pytest.raises(UnsupportedError):
        environment.sql_query(query).execute()


def test_several_columns_in_a_correlated_query(environment: TableEnvironment, judge: duckdb.DuckDBPyConnection) -> None:
    """Goal: what DuckDB refuses has the rows of the same question asked with EXISTS."""
    same, maybe = "x = a AND y = b", "(x = a) IS NOT FALSE AND (y = b) IS NOT FALSE"
    found, unknown = (f"EXISTS (SELECT 1 FROM u WHERE z < c AND {test})" for test in (same, maybe))
    expected = judge.execute(f"SELECT a, CASE WHEN {found} THEN FALSE WHEN {unknown} THEN NULL ELSE TRUE END FROM t").fetchall()
    result = environment.sql_query("SELECT a, (a, b) NOT IN (SELECT x, y FROM u WHERE z < c) FROM t").to_polars()
    assert Counter(result.rows()) == Counter(expected)
    assert {value for _, value in expected} == {True, False, None}
