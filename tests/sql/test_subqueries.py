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
REFUSED = [
    "SELECT a = ANY (SELECT x FROM u WHERE y < b) FROM t",
    "SELECT t.a FROM t LEFT JOIN u ON t.a = u.x AND u.y > (SELECT AVG(p) FROM v)",
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


@pytest.mark.parametrize("query", [*QUANTIFIED, *CORRELATED_VALUES, *OTHERS])
def test_rows(environment: TableEnvironment, judge: duckdb.DuckDBPyConnection, query: str) -> None:
    with environment.sql_query(query).execute().collect() as rows:
        assert Counter(tuple(row) for row in rows) == Counter(judge.execute(query).fetchall())


@pytest.mark.parametrize("query", REFUSED)
def test_refused_by_name(environment: TableEnvironment, query: str) -> None:
    with pytest.raises(UnsupportedError):
        environment.sql_query(query).execute()
