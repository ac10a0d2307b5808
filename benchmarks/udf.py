"""Python functions: what worker processes cost and give, against calling the same function directly.

    python benchmarks/udf.py [--rows 1000000] [--runs 3]

A row function that computes for some microseconds a row, and a `polars` and an `arrow` function that take whole columns. "direct" is
the function called on the columns in this process, without the engine (the row function in a plain loop over a list).
Shown are wall time and the CPU time of the busiest process; on an idle machine with enough cores the two agree, on a busy one
the second is what can be compared. The best of the runs counts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.expressions import col
from tableapi.udf import udf

TICKS = os.sysconf("SC_CLK_TCK")


def work(a: int, b: int) -> int:
    for _ in range(40):
        a = (a * 31 + b) & 0xFFFFFF
    return a


def cheap(a: int, b: int) -> int:
    return a + b


def columns(a: pl.Series, b: pl.Series) -> pl.Series:
    return ((a.cast(pl.Float64) * 1.5).sqrt() + (b.cast(pl.Float64) + 1).log()).cast(pl.Int64)


def arrow_columns(a: Any, b: Any) -> Any:
    import pyarrow.compute as pc

    return pc.add(pc.multiply(a, 3), b)


def environment(path: Path, mode: str, parallelism: int) -> TableEnvironment:
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    env.get_config().set("python.execution-mode", mode).set("parallelism.default", str(parallelism))
    env.execute_sql(f"CREATE TABLE t (a BIGINT, b BIGINT) WITH ('connector'='filesystem', 'path'='{path}', 'format'='parquet')")
    env.execute_sql("CREATE TABLE nowhere (r BIGINT) WITH ('connector'='blackhole')")
    return env


def run(env: TableEnvironment, function: Any) -> None:
    env.from_path("t").select(function(col("a"), col("b")).alias("r")).execute_insert("nowhere").wait()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measured(action: Callable[[], None], runs: int) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of the busiest process."""
    from tableapi.runtime import execute

    best = (float("inf"), float("inf"))
    for _ in range(runs):
        pids = [os.getpid(), *execute._shared_executor().worker_process_ids()]
        before, began = {p: cpu_s(p) for p in pids}, time.perf_counter()
        action()
        wall, busiest = time.perf_counter() - began, max(cpu_s(p) - before[p] for p in pids)
        best = min(best[0], wall), min(best[1], busiest)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    frame = pl.DataFrame({"a": range(options.rows)}).with_columns((pl.col("a") * 7 % 1000).alias("b"))
    left, right = frame["a"].to_list(), frame["b"].to_list()
    direct: dict[str, Callable[[], Any]] = {
        "row, 2 µs": lambda: [work(a, b) for a, b in zip(left, right, strict=True)],
        "row, cheap": lambda: [cheap(a, b) for a, b in zip(left, right, strict=True)],
        "polars": lambda: columns(frame["a"], frame["b"]),
        "arrow": lambda: arrow_columns(frame["a"].to_arrow(), frame["b"].to_arrow()),
    }
    functions = {
        "row, 2 µs": udf(work, result_type="BIGINT"),
        "row, cheap": udf(cheap, result_type="BIGINT"),
        "polars": udf(columns, result_type="BIGINT", func_type="polars"),
        "arrow": udf(arrow_columns, result_type="BIGINT", func_type="arrow"),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        frame.write_parquet(path, row_group_size=100_000)
        places = {"thread": ("thread", 1), "process x1": ("process", 1), "process x2": ("process", 2)}
        print(f"{'function':12} {'where':12} {'wall s':>8} {'busiest s':>10} {'of direct':>10}")
        for name, function in functions.items():
            wall, base = measured(lambda n=name: direct[n](), options.runs)  # type: ignore[misc]
            print(f"{name:12} {'direct':12} {wall:8.3f} {base:10.3f} {1:10.2f}")
            for place, (mode, parallelism) in places.items():
                env = environment(path, mode, parallelism)
                run(env, function)
                wall, busiest = measured(lambda e=env, f=function: run(e, f), options.runs)  # type: ignore[misc]
                print(f"{name:12} {place:12} {wall:8.3f} {busiest:10.3f} {busiest / max(base, 1 / TICKS):10.2f}", flush=True)


if __name__ == "__main__":
    main()
