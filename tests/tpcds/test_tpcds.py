"""TPC-DS: its 99 queries are planned over its schema, and over small seeded tables they give DuckDB's answers."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import generate
import polars as pl
import pytest
import schema

from tableapi import EnvironmentSettings, TableEnvironment

HERE = Path(__file__).parent
RELATIVE = 1e-5
"""DuckDB divides decimals as floating-point numbers, Flink's dialect as decimals of six digits."""


def texts() -> dict[int, str]:
    """Query number to text; a line `-- <number>` stands before each query."""
    found: dict[int, str] = {}
    for file in sorted((HERE / "queries").glob("*.sql")):
        _, *parts = re.split(r"^-- (\d+)$", file.read_text(), flags=re.MULTILINE)
        found |= {int(number): text.strip() for number, text in zip(parts[::2], parts[1::2], strict=True)}
    return dict(sorted(found.items()))


QUERIES = texts()


@cache
def frames() -> dict[str, pl.DataFrame]:
    return generate.tables()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> TableEnvironment:
    """The tables as Parquet files, declared by CREATE TABLE."""
    folder = tmp_path_factory.mktemp("tpcds")
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    for name, frame in frames().items():
        frame.write_parquet(folder / f"{name}.parquet")
        options = f"'connector' = 'filesystem', 'path' = '{folder / name}.parquet', 'format' = 'parquet'"
        env.execute_sql(f"CREATE TABLE {name} ({schema.sql_columns(name)}) WITH ({options})")
    return env


@pytest.fixture(scope="module")
def judge() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET threads = 1; SET default_null_order = 'nulls_first_on_asc_last_on_desc'")
    for name, frame in frames().items():
        connection.register(f"{name}_frame", frame.to_arrow())
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {name}_frame")
    return connection


def plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal | int) else value


def sortable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row's place among rows that may differ in the last digits of a number."""
    return tuple((v is not None, round(v, 3) if isinstance(v, float) else str(v)) for v in row)


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return ours == pytest.approx(theirs, rel=RELATIVE, abs=RELATIVE)
    return bool(ours == theirs)


def test_there_are_99() -> None:
    assert list(QUERIES) == list(range(1, 100))


@pytest.mark.parametrize("number", QUERIES)
def test_plan(environment: TableEnvironment, number: int) -> None:
    assert "Optimized" in environment.explain_sql(QUERIES[number])


@pytest.mark.parametrize("number", QUERIES)
def test_result(environment: TableEnvironment, judge: duckdb.DuckDBPyConnection, number: int) -> None:
    expected = [tuple(plain(v) for v in row) for row in judge.execute(QUERIES[number].replace("`", '"')).fetchall()]
    with environment.sql_query(QUERIES[number]).execute().collect() as rows:
        found = [tuple(plain(v) for v in row) for row in rows]
    assert len(found) == len(expected)
    assert any(value is not None for row in expected for value in row), "an empty answer shows nothing"
    for ours, theirs in zip(sorted(found, key=sortable), sorted(expected, key=sortable), strict=True):
        assert all(map(same, ours, theirs)), (ours, theirs)
