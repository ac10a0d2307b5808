"""The 22 TPC-H queries as SQL on a small generated data set: the same text must give the same rows as in DuckDB."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tableapi import EnvironmentSettings, TableEnvironment

QUERIES = [q.strip() for q in (Path(__file__).parent / "tpch" / "queries.sql").read_text().split(";") if q.strip()]
GENERATOR = shutil.which("tpchgen-cli", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
pytestmark = pytest.mark.skipif(GENERATOR is None, reason="needs tpchgen-cli")

SQL_TYPES = {
    pl.Int64(): "BIGINT",
    pl.Int32(): "INT",
    pl.Decimal(15, 2): "DECIMAL(15, 2)",
    pl.Date(): "DATE",
    pl.String(): "STRING",
}


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TableEnvironment, duckdb.DuckDBPyConnection]]:
    folder = tmp_path_factory.mktemp("tpch")
    assert GENERATOR is not None
    subprocess.run([GENERATOR, "parquet", "-s", "0.01", "--output-dir", str(folder)], check=True, capture_output=True)
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    connection = duckdb.connect()
    for file in sorted(folder.glob("*.parquet")):
        schema = pl.read_parquet_schema(file)
        columns = ", ".join(f"{name} {SQL_TYPES[dtype]}" for name, dtype in schema.items())
        env.execute_sql(
            f"CREATE TABLE {file.stem} ({columns}) WITH ('connector'='filesystem', 'path'='{file}', 'format'='parquet')"
        )
        connection.execute(f"CREATE VIEW {file.stem} AS SELECT * FROM '{file}'")
    yield env, connection
    connection.close()


def same_value(left: Any, right: Any) -> bool:
    if isinstance(left, Decimal | float) or isinstance(right, Decimal | float):
        if left is None or right is None:
            return left is right
        return math.isclose(float(left), float(right), rel_tol=1e-6, abs_tol=1e-6)
    return bool(left == right)


@pytest.mark.parametrize("number", range(1, len(QUERIES) + 1))
def test_query(number: int, engines: tuple[TableEnvironment, duckdb.DuckDBPyConnection]) -> None:
    env, connection = engines
    query = QUERIES[number - 1]
    expected = connection.execute(query).fetchall()
    found = [tuple(row) for row in env.sql_query(query).execute().collect()]
    assert len(found) == len(expected) > 0
    for row, wanted in zip(found, expected, strict=True):
        assert all(same_value(a, b) for a, b in zip(row, wanted, strict=True)), (row, wanted)
