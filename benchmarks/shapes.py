"""Three query shapes over a CSV of bids: our stream engine, Polars batch and, where there is one, Flink.

    python benchmarks/shapes.py [--rows 5000000] [--parallelism 2] [--flink-python PATH] [--runs 3]

Every engine reads the same file and throws the result away (a blackhole sink; Polars keeps its frame). Each run is a process of its
own that first runs a small file through the same query, so that start-up and compilation are not counted; the best of the runs counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

COLUMNS = "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, `at` TIMESTAMP(3), WATERMARK FOR `at` AS `at` - INTERVAL '4' SECOND"

SHAPES = {
    "filter": (
        "auction BIGINT, price BIGINT",
        "SELECT auction, price FROM bids WHERE MOD(auction, 123) = 0",
    ),
    "group": (
        "auction BIGINT, bids BIGINT, total BIGINT, highest BIGINT, PRIMARY KEY (auction) NOT ENFORCED",
        "SELECT auction, COUNT(*), SUM(price), MAX(price) FROM bids GROUP BY auction",
    ),
    "window": (
        "bidder BIGINT, window_start TIMESTAMP(3), bids BIGINT, highest BIGINT",
        "SELECT bidder, window_start, COUNT(*), MAX(price) FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(`at`), INTERVAL '10' SECOND)) "
        "GROUP BY bidder, window_start, window_end",
    ),
}


def write_bids(path: Path, rows: int, seed: int = 1) -> None:
    """A CSV of bids like Nexmark's: hot auctions and bidders, ascending times, 10,000 bids a second of event time."""
    rng = np.random.default_rng(seed)
    index = np.arange(rows)
    hot = rng.random(rows) < 0.5
    auction = np.where(hot, index // 1000 * 10, rng.integers(0, np.maximum(1, index // 10) + 1)) + 1000
    bidder = np.where(rng.random(rows) < 0.25, index // 1000, rng.integers(0, np.maximum(1, index // 40) + 1)) + 1000
    start_ms = 1_700_000_000_000
    channels = pl.Series(["Google", "Facebook", "Baidu", "Apple"])
    frame = pl.DataFrame(
        {
            "auction": auction,
            "bidder": bidder,
            "price": np.exp(rng.normal(8, 2, rows)).astype(np.int64) + 1,
            "channel": channels.gather(rng.integers(0, 4, rows)),
            "at": pl.Series(start_ms + index // 10).cast(pl.Datetime("ms")),
        }
    )
    frame.write_csv(path, include_header=False, datetime_format="%Y-%m-%d %H:%M:%S%.3f")


RUNNER = """
import sys, time, json
engine, shape, path, small, parallelism, sink, query, columns = sys.argv[1:]
module = "pyflink.table" if engine == "flink" else "tableapi"
api = __import__(module, fromlist=["x"])


def run(file):
    env = api.TableEnvironment.create(api.EnvironmentSettings.in_streaming_mode())
    env.get_config().set("parallelism.default", parallelism)
    env.execute_sql(f"CREATE TABLE bids ({columns}) WITH ('connector'='filesystem', 'path'='{file}', 'format'='csv')")
    env.execute_sql(f"CREATE TABLE results ({sink}) WITH ('connector'='blackhole')")
    started = time.perf_counter()
    env.execute_sql("INSERT INTO results " + query).wait()
    return time.perf_counter() - started


run(small)
print(json.dumps(run(path)))
"""

POLARS = """
import sys, time, json
import polars as pl
engine, shape, path, small = sys.argv[1:5]
schema = {"auction": pl.Int64, "bidder": pl.Int64, "price": pl.Int64, "channel": pl.String, "at": pl.Datetime("ms")}


def run(file):
    started = time.perf_counter()
    bids = pl.scan_csv(file, has_header=False, schema=schema)
    if shape == "filter":
        query = bids.filter(pl.col("auction") % 123 == 0).select("auction", "price")
    elif shape == "group":
        query = bids.group_by("auction").agg(pl.len(), pl.col("price").sum().alias("total"), pl.col("price").max().alias("highest"))
    else:
        start = pl.col("at").dt.truncate("10s").alias("start")
        query = bids.group_by("bidder", start).agg(pl.len(), pl.col("price").max())
    query.collect(engine="streaming")
    return time.perf_counter() - started


run(small)
print(json.dumps(run(path)))
"""


def measure(python: str, code: str, args: list[str]) -> float:
    """Seconds of one run in a process of its own."""
    environment = {**os.environ, "POLARS_MAX_THREADS": os.environ.get("POLARS_MAX_THREADS", "2")}
    done = subprocess.run([python, "-c", code, *args], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{args[0]} {args[1]} failed:\n{done.stderr[-3000:]}")
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--parallelism", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--flink-python", help="Python of an environment with apache-flink")
    parser.add_argument("--shapes", default=",".join(SHAPES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        big, small = Path(directory, "bids.csv"), Path(directory, "few.csv")
        write_bids(big, options.rows)
        write_bids(small, 10_000)
        print(
            f"{options.rows:,} bids, {big.stat().st_size / 1e6:.0f} MB of CSV, parallelism {options.parallelism}, best of {options.runs}"
        )
        if not options.flink_python:
            print("no --flink-python given: Flink is left out")
        print(
            f"{'shape':8} {'tableapi rows/s':>16} {'Polars rows/s':>16} {'Flink rows/s':>14} {'vs Flink':>9} {'vs Polars':>10}"
        )
        for shape in options.shapes.split(","):
            report(shape, big, small, options)


def report(shape: str, big: Path, small: Path, options: argparse.Namespace) -> None:
    """Measures one shape, the engines in turn, and prints its line."""
    sink, query = SHAPES[shape]
    args = [shape, str(big), str(small), str(options.parallelism), sink, query, COLUMNS]
    times: dict[str, list[float]] = {"tableapi": [], "polars": [], "flink": []}
    for run in range(options.runs):
        times["tableapi"].append(measure(sys.executable, RUNNER, ["tableapi", *args]))
        times["polars"].append(measure(sys.executable, POLARS, ["polars", *args[:3]]))
        if options.flink_python and run == 0:
            times["flink"].append(measure(options.flink_python, RUNNER, ["flink", *args]))
    rate = {name: options.rows / min(taken) for name, taken in times.items() if taken}
    flink = f"{rate['flink']:14,.0f} {rate['tableapi'] / rate['flink']:8.1f}x" if "flink" in rate else f"{'-':>14} {'-':>9}"
    print(
        f"{shape:8} {rate['tableapi']:16,.0f} {rate['polars']:16,.0f} {flink} {rate['tableapi'] / rate['polars']:9.2f}x",
        flush=True,
    )


if __name__ == "__main__":
    main()
