"""The Nexmark queries as continuous jobs over generated events, into a blackhole.

    python benchmarks/nexmark.py [--events 10000000] [--parallelism 2] [--queries q0,q5,…] [--runs 1]

The generator is a source of the job (`connector = nexmark`): making the events is part of what is timed. Each query runs in a process of its own,
after a small run that loads and compiles everything. Prints events a second, per core, and peak memory of the process tree.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from nexmark_queries import AUCTION, BID, PERSON, QUERIES, SIDE_INPUT, VIEWS

TABLE = (
    f"CREATE TABLE events (event_type INT, person ROW<{PERSON}>, auction ROW<{AUCTION}>, bid ROW<{BID}>, `dateTime` TIMESTAMP(3), "
    "WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND) WITH ('connector' = 'nexmark', 'events' = '{events}', 'splits' = '{splits}')"
)
SIDE_KEYS = 10_000
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


def run(name: str, events: int, parallelism: int) -> float:
    """Seconds of one job."""
    with tempfile.TemporaryDirectory() as directory:
        return _run(name, events, parallelism, Path(directory) / "side_input.csv")


def _run(name: str, events: int, parallelism: int, side_input: Path) -> float:
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
    table.execute_insert("nowhere").wait()
    return time.perf_counter() - started


def one(name: str, events: int, parallelism: int) -> None:
    """Runs a query in this process and prints its seconds and peak memory as JSON."""
    run(name, 200_000, parallelism)
    seconds = run(name, events, parallelism)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    from tableapi.runtime.execute import close

    close()
    workers_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak_mb": (peak_kb + parallelism * workers_kb) / 1024}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--parallelism", type=int, default=2)
    parser.add_argument("--queries", default=",".join(QUERIES))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one, options.events, options.parallelism)
        return
    print(f"{options.events:,} events, parallelism {options.parallelism}")
    print(f"{'query':6} {'events/s':>12} {'per core':>12} {'peak MB':>8} {'Flink, 2 cores':>15}")
    for name in options.queries.split(","):
        results = []
        for _ in range(options.runs):
            command = [
                sys.executable,
                __file__,
                "--one",
                name,
                "--events",
                str(options.events),
                "--parallelism",
                str(options.parallelism),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(
                    f"{name:6} failed: {done.stderr.strip().splitlines()[-1] if done.stderr else done.returncode}", flush=True
                )
                break
            results.append(json.loads(done.stdout.strip().splitlines()[-1]))
        if results:
            best = min(results, key=lambda r: r["seconds"])
            rate = options.events / best["seconds"]
            flink = f"{FLINK[name] * 1000:,}" if name in FLINK else "-"
            print(f"{name:6} {rate:12,.0f} {rate / options.parallelism:12,.0f} {best['peak_mb']:8,.0f} {flink:>15}", flush=True)


if __name__ == "__main__":
    main()
