"""The 22 TPC-H queries as SQL: the same text gives the same rows as in DuckDB, and planning it costs little."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import tpch
import tpch_polars

from tableapi import TableEnvironment

QUERIES = tpch.queries()
NUMBERS = range(1, len(QUERIES) + 1)
SCALE = 0.1


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The data, generated once for all processes of the session."""
    root = tmp_path_factory.getbasetemp()
    shared = (root if worker_id == "master" else root.parent) / "tpch"
    with open(f"{shared}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            tpch.generate(shared.with_name("tpch.part"), SCALE)
            shared.with_name("tpch.part").rename(shared)
    return shared


@pytest.fixture(scope="module")
def env(folder: Path) -> TableEnvironment:
    return tpch.environment(folder)


@pytest.fixture(scope="module")
def database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with tpch.database(folder) as connection:
        yield connection


@pytest.mark.parametrize("number", NUMBERS)
def test_query(number: int, env: TableEnvironment, database: duckdb.DuckDBPyConnection) -> None:
    expected = database.execute(QUERIES[number - 1]).fetchall()
    found = [tuple(row) for row in env.sql_query(QUERIES[number - 1]).execute().collect()]
    assert len(found) == len(expected) > 0
    assert tpch.is_same(found, expected)


def test_the_yardstick_computes_the_same(folder: Path, database: duckdb.DuckDBPyConnection) -> None:
    """Goal: the queries that the benchmark compares with are the same queries."""
    tables = tpch.scans(folder)
    for text, query in zip(QUERIES, tpch_polars.QUERIES, strict=True):
        expected = database.execute(text).fetchall()
        assert tpch.is_same(query(tables).collect(engine="streaming").rows(), expected), query.__name__


def test_planning_takes_less_than_thirty_milliseconds(env: TableEnvironment) -> None:
    """Goal: from text to a Polars query in a warm process, in CPU time of this thread; the best of three runs, because machines are shared."""
    for text in QUERIES:
        tpch.plan_only(env, text)
    slow = {}
    for number, text in enumerate(QUERIES, start=1):
        spent = []
        for _ in range(3):
            start = time.thread_time()
            tpch.plan_only(env, text)
            spent.append(time.thread_time() - start)
        if min(spent) > 0.030:
            slow[number] = round(min(spent) * 1000, 1)
    assert not slow
