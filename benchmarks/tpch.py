"""The 22 TPC-H queries as Flink SQL over Parquet files, against the same queries written directly in Polars.

    python benchmarks/tpch.py [--scale 1] [--runs 3] [--queries 1,6,21] [--data FOLDER]

Data comes from `tpchgen-cli` (in the extra `dev`). Both engines read the same files, in turn, within one process; each query is run once
before it is measured, and the best run counts. Answers of both are compared with DuckDB's. Printed for each query: seconds, the ratio by
wall clock and by CPU time, and how long the way from text to a Polars query takes (parsing, planning, opening the tables).
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import tpch_polars

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.runtime.execute import prepare_batch

TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")

SQL_TYPES = {
    pl.Int64(): "BIGINT",
    pl.Int32(): "INT",
    pl.Decimal(15, 2): "DECIMAL(15, 2)",
    pl.Date(): "DATE",
    pl.String(): "STRING",
}


def queries() -> list[str]:
    """The SQL texts in order."""
    text = (Path(__file__).parent / "tpch_queries.sql").read_text()
    return [q.strip() for q in text.split(";") if q.strip()]


def generate(folder: Path, scale: float) -> None:
    """Writes a Parquet file for each table."""
    program = shutil.which("tpchgen-cli", path=str(Path(sys.executable).parent)) or shutil.which("tpchgen-cli")
    if program is None:
        raise SystemExit("tpchgen-cli is missing: pip install 'tableapi[dev]'")
    subprocess.run([program, "parquet", "-s", str(scale), "--output-dir", str(folder)], check=True, capture_output=True)


def environment(folder: Path) -> TableEnvironment:
    """A batch session in which the files are tables."""
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    for name in TABLES:
        file = folder / f"{name}.parquet"
        columns = ", ".join(f"{column} {SQL_TYPES[dtype]}" for column, dtype in pl.read_parquet_schema(file).items())
        env.execute_sql(f"CREATE TABLE {name} ({columns}) WITH ('connector'='filesystem', 'path'='{file}', 'format'='parquet')")
    return env


def database(folder: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB over the same files."""
    connection = duckdb.connect()
    for name in TABLES:
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM '{folder / name}.parquet'")
    return connection


def is_same(rows: Sequence[Sequence[Any]], expected: Sequence[Sequence[Any]]) -> bool:
    """Whether two results are equal, numbers to a millionth (engines give them different types)."""
    return len(rows) == len(expected) and all(
        is_same_value(a, b) for row, wanted in zip(rows, expected, strict=True) for a, b in zip(row, wanted, strict=True)
    )


def is_same_value(left: Any, right: Any) -> bool:
    """Whether two values are equal, numbers to a millionth."""
    if left is None or isinstance(left, str) or not hasattr(left, "__float__"):
        return bool(left == right)
    return right is not None and math.isclose(float(left), float(right), rel_tol=1e-6, abs_tol=1e-6)


@dataclass
class Best:
    """The best of several runs."""

    wall_s: float = math.inf
    cpu_s: float = math.inf

    def run(self, work: Callable[[], Any]) -> Any:
        """Runs and times once more."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        self.wall_s = min(self.wall_s, time.perf_counter() - wall)
        self.cpu_s = min(self.cpu_s, time.process_time() - cpu)
        return result


@dataclass(frozen=True)
class Measured:
    """One query."""

    number: int
    ours: Best
    direct: Best
    planning: Best
    is_right: bool

    @property
    def ratio(self) -> float:
        """Ours to Polars' by wall clock."""
        return self.ours.wall_s / self.direct.wall_s

    @property
    def cpu_ratio(self) -> float:
        """Ours to Polars' by CPU time."""
        return self.ours.cpu_s / self.direct.cpu_s


def measure(number: int, sql: str, env: TableEnvironment, folder: Path, expected: Sequence[Any], runs: int) -> Measured:
    """Runs a query on both engines, in turn."""
    ours, direct, planning = Best(), Best(), Best()
    is_right = True
    for run in range(runs + 1):
        if run == 1:
            ours, direct, planning = Best(), Best(), Best()
        found = ours.run(lambda: env.sql_query(sql).to_polars())
        direct_rows = direct.run(lambda: tpch_polars.QUERIES[number - 1](scans(folder)).collect(engine="streaming"))
        planning.run(lambda: plan_only(env, sql))
        is_right = is_right and is_same(found.rows(), expected) and is_same(direct_rows.rows(), expected)
    return Measured(number, ours, direct, planning, is_right)


def scans(folder: Path) -> dict[str, pl.LazyFrame]:
    """The tables for Polars."""
    return {name: pl.scan_parquet(folder / f"{name}.parquet") for name in TABLES}


def plan_only(env: TableEnvironment, sql: str) -> pl.LazyFrame:
    """All that happens before Polars takes over."""
    table = env.sql_query(sql)
    return prepare_batch([table._builder.collect(table._relation)], env._settings()).lazy_frame()


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of ratios."""
    return math.exp(sum(map(math.log, values)) / len(values))


def report(results: Sequence[Measured]) -> None:
    """Prints the table."""
    print(f"{'query':>5} {'ours s':>8} {'Polars s':>8} {'ratio':>6} {'CPU ratio':>9} {'plan ms':>8}")
    for r in results:
        note = "" if r.is_right else "  WRONG ANSWER"
        times = f"{r.ours.wall_s:8.3f} {r.direct.wall_s:8.3f} {r.ratio:6.2f} {r.cpu_ratio:9.2f}"
        print(f"{r.number:>5} {times} {r.planning.cpu_s * 1000:8.1f}{note}")
    ratio, cpu = geometric_mean([r.ratio for r in results]), geometric_mean([r.cpu_ratio for r in results])
    slowest = max(r.planning.cpu_s for r in results) * 1000
    print(f"geometric mean of the ratios: {ratio:.2f} (CPU {cpu:.2f}); longest planning {slowest:.1f} ms of CPU")
    print(f"answers equal DuckDB's: {sum(r.is_right for r in results)} of {len(results)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor (1 is 6 M lines)")
    parser.add_argument("--runs", type=int, default=3, help="measured runs; the best counts")
    parser.add_argument("--queries", help="numbers, separated by commas (default: all)")
    parser.add_argument("--data", type=Path, help="folder of Parquet files that were generated before")
    arguments = parser.parse_args()
    texts = queries()
    numbers = [int(q) for q in arguments.queries.split(",")] if arguments.queries else range(1, len(texts) + 1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.data or Path(temporary)
        if arguments.data is None:
            generate(folder, arguments.scale)
        env, connection = environment(folder), database(folder)
        results = []
        for number in numbers:
            expected = connection.execute(texts[number - 1]).fetchall()
            results.append(measure(number, texts[number - 1], env, folder, expected, arguments.runs))
        report(results)
    return 0 if all(r.is_right for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
