"""What a program shows of ten million rows: its peak memory, measured in a process of its own, and that the process ends well."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

ROWS = 10_000_000

WHOLE_MB = 450
"""The ten million rows in memory: 8 bytes each of two numbers, 16 and more of a text."""

ALLOWED_MB = 160
"""What may be added to a program that has shown a small table: some batches at a time, for each thread."""

PROGRAM = """
import sys
from tableapi import EnvironmentSettings, TableEnvironment

def peak_mb():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))

env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
env.execute_sql("CREATE TABLE t (id BIGINT, v DOUBLE, s STRING) WITH (" + sys.argv[2] + ")")
env.execute_sql("CREATE TABLE few (id BIGINT, v DOUBLE, s STRING) WITH ('connector' = 'datagen', 'number-of-rows' = '100')")

def show(name):
    query = env.sql_query(f"SELECT id, v + 1 AS w, UPPER(s) AS s FROM {name} WHERE v IS NOT NULL")
    match sys.argv[1]:
        case "notebook":
            query._repr_html_()
        case "text":
            query._repr_mimebundle_()
        case "print":
            query.limit(20).execute().print()
        case "head":
            query.limit(10).to_polars()
        case "first":
            with query.execute().collect() as rows:
                next(iter(rows))
        case "abandoned":
            global kept
            kept = iter(query.execute().collect())
            next(kept)

show("few")
before = peak_mb()
show("t")
print("added", peak_mb() - before, file=sys.stderr)
"""


@pytest.fixture(scope="module", params=["datagen", "parquet", "csv"])
def options(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The options of a table of ten million rows."""
    if request.param == "datagen":
        return f"'connector' = 'datagen', 'number-of-rows' = '{ROWS}'"
    path = tmp_path_factory.mktemp("large") / f"t.{request.param}"
    rows = pl.LazyFrame({"id": pl.int_range(ROWS, eager=True)}).with_columns(
        v=pl.col("id") * 0.5, s=pl.lit("text ") + pl.col("id").cast(pl.String)
    )
    if request.param == "parquet":
        rows.sink_parquet(path)
    else:
        rows.sink_csv(path, include_header=False)
    return f"'connector' = 'filesystem', 'path' = '{path}', 'format' = '{request.param}'"


@pytest.mark.parametrize("way", ["notebook", "text", "print", "head", "first", "abandoned"])
def test_showing_some_of_ten_million_rows_takes_little_memory(options: str, way: str) -> None:
    command = [sys.executable, "-c", PROGRAM, way, options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    added = int(done.stderr.rsplit("added", 1)[1])
    assert added < ALLOWED_MB < WHOLE_MB / 2
