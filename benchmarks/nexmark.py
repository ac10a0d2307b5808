"""The Nexmark queries as continuous jobs over generated events, into a blackhole.

    python benchmarks/nexmark.py [--events 10000000] [--parallelism 2] [--queries q0,q5,…] [--runs 1]

The generator is a source of the job (`connector = nexmark`): making the events is part of what is timed. Each query runs in a process of its own,
after a small run that loads and compiles everything. Prints events a second, per core, against the rate to reach, the share of the workers' time
that making the events takes, and peak memory of the process tree. With several parallelisms (`--parallelism 1,2`) it also prints how much faster
the last is than the first; each worker then has one thread for Polars.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from nexmark_queries import AUCTION, BID, PERSON, QUERIES, SIDE_INPUT, VIEWS

TABLE = (
    f"CREATE TABLE events (event_type INT, person ROW<{PERSON}>, auction ROW<{AUCTION}>, bid ROW<{BID}>, `dateTime` TIMESTAMP(3), "
    "WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND) WITH ('connector' = 'nexmark', 'events' = '{events}', 'splits' = '{splits}')"
)
SIDE_KEYS = 10_000
BARS = {
    **dict.fromkeys(("q0", "q1", "q2", "q3", "q8", "q11", "q12", "q13", "q14", "q17", "q18", "q21", "q22"), 2.0),
    **dict.fromkeys(("q5", "q7", "q15", "q20"), 1.5),
    **dict.fromkeys(("q4", "q9", "q16", "q19", "q23"), 1.0),
}
"""Millions of events a second to reach on 2 cores."""
FLINK = {
    "q0": 220,
    "q4": 116,
    "q5": 115,
    "q7": 101,
    "q9": 88,
    "q16": 163,
    "q17": 116,
    "q18": 201,
    "q19": 106,
    "q20": 174,
    "q22": 304,
}
"""Thousands of events a second of Flink 2.3 on 2 cores, for orientation."""


def run(name: str, events: int, parallelism: int) -> tuple[float, float]:
    """Seconds of one job, and the share of its workers' time that making the events took."""
    with tempfile.TemporaryDirectory() as directory:
        return _run(name, events, parallelism, Path(directory) / "side_input.csv")


def _run(name: str, events: int, parallelism: int, side_input: Path) -> tuple[float, float]:
    from tableapi import EnvironmentSettings, TableEnvironment

    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.get_config().set("parallelism.default", str(parallelism))
    env.execute_sql(TABLE.format(events=events, splits=max(2, parallelism)))
    for view in VIEWS:
        env.execute_sql(view)
    side_input.write_text("".join(f"{key},{key}\n" for key in range(SIDE_KEYS)))
    env.execute_sql(SIDE_INPUT.format(options=f"'connector' = 'filesystem', 'path' = '{side_input}', 'format' = 'csv'"))
    table = env.sql_query(QUERIES[name])
    schema = table.get_resolved_schema()
    columns = ", ".join(f"`{c}` {t}" for c, t in zip(schema.get_column_names(), schema.get_column_data_types(), strict=True))
    env.execute_sql(f"CREATE TABLE nowhere ({columns}) WITH ('connector' = 'blackhole')")
    started = time.perf_counter()
    result = table.execute_insert("nowhere")
    result.wait()
    seconds = time.perf_counter() - started
    vertices = result.get_job_client()._execution.handle.metrics().vertices
    making = sum(v.busy_s for v in vertices if v.name == "Source[events]")
    return seconds, making / sum(v.busy_s for v in vertices)


def one(name: str, events: int, parallelism: int) -> None:
    """Runs a query in this process and prints its figures as JSON."""
    run(name, 200_000, parallelism)
    seconds, source_share = run(name, events, parallelism)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    from tableapi.runtime.execute import close

    close()
    workers_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss if parallelism > 1 else 0
    print(json.dumps({"seconds": seconds, "source": source_share, "peak_mb": (peak_kb + parallelism * workers_kb) / 1024}))


def best_of(runs: int, name: str, events: int, parallelism: int, is_compared: bool) -> dict[str, Any]:
    """The figures of the fastest of several runs, each in a process of its own.

    Raises:
        RuntimeError: The query failed.
    """
    command = [sys.executable, __file__, "--one", name, "--events", str(events), "--parallelism", str(parallelism)]
    environment = {**os.environ, **({"POLARS_MAX_THREADS": "1"} if is_compared else {})}
    results = []
    for _ in range(runs):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr else str(done.returncode))
        results.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return min(results, key=lambda r: r["seconds"])


def line(name: str, events: int, parallelism: int, result: dict[str, Any]) -> str:
    """One line of the table."""
    rate = events / result["seconds"]
    bar = f"{rate / BARS[name] / 1e6:6.2f}x" if name in BARS and parallelism == 2 else "      -"
    flink = f"{FLINK[name] * 1000:,}" if name in FLINK else "-"
    columns = (
        f"{parallelism:3} {rate:12,.0f} {rate / parallelism:12,.0f} {bar} {result['source']:7.0%} {result['peak_mb']:8,.0f}"
    )
    return f"{name:6} {columns} {flink:>15}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--parallelism", default="2", help="one or several, such as 1,2")
    parser.add_argument("--queries", default=",".join(QUERIES))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    parallelisms = [int(p) for p in options.parallelism.split(",")]
    if options.one:
        one(options.one, options.events, parallelisms[0])
        return
    print(f"{options.events:,} events")
    print(
        f"{'query':6} {'par':>3} {'events/s':>12} {'per core':>12} {'of bar':>7} {'source':>7} {'peak MB':>8} {'Flink, 2 cores':>15}"
    )
    for name in options.queries.split(","):
        try:
            results = [best_of(options.runs, name, options.events, p, len(parallelisms) > 1) for p in parallelisms]
        except RuntimeError as error:
            print(f"{name:6} failed: {error}", flush=True)
            continue
        for parallelism, result in zip(parallelisms, results, strict=True):
            print(line(name, options.events, parallelism, result), flush=True)
        if len(results) > 1:
            gain = results[0]["seconds"] / results[-1]["seconds"]
            print(f"{name:6} parallelism {parallelisms[-1]} over {parallelisms[0]}: {gain:.2f}x", flush=True)


if __name__ == "__main__":
    main()
