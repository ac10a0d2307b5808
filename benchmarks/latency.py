"""How long an event takes from source to sink while the job is at half of its full load.

    python benchmarks/latency.py [--events 5000000] [--seconds 10] [--parallelism 2] [--load 0.5] [--queries filter,group]

For each query: its full rate is measured first. The same job, reader included, works off a backlog of as many events as the paced run will have,
so the rate is one that lasts for the whole run, with the same state at the end. Then it runs in real time at a share of that rate: an event is
created when the clock reaches its time, and the event stream that the job writes to notes when each of its rows arrived. Latency is the difference,
for every row of the sink, in whole milliseconds (as fine as the stream's clock). The first seconds warm up and do not count.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import polars as pl
from nexmark_queries import BID

SOURCE = (
    f"CREATE TABLE events (event_type INT, bid ROW<{BID}>, `dateTime` TIMESTAMP(3), WATERMARK FOR `dateTime` AS `dateTime`) "
    "WITH ('connector' = 'nexmark', {options})"
)
BIDS = "CREATE VIEW bid AS SELECT bid.auction AS auction, bid.bidder AS bidder, bid.price AS price, `dateTime` FROM events WHERE event_type = 2"
WARM_UP_S = 4
SINK = "CREATE TABLE sink ({columns}) WITH ('connector' = 'filelog', 'path' = '{path}', 'topic' = 'out', 'topic.partitions' = '{partitions}')"
QUERIES = {
    "filter": (
        "created TIMESTAMP(3), auction BIGINT, price BIGINT",
        "SELECT `dateTime`, auction, price FROM bid WHERE MOD(auction, 7) = 0",
    ),
    "group": (
        "auction BIGINT, created TIMESTAMP(3), bids BIGINT, highest BIGINT, PRIMARY KEY (auction) NOT ENFORCED",
        "SELECT auction, MAX(`dateTime`), COUNT(*), MAX(price) FROM bid GROUP BY auction",
    ),
}


def run(query: str, parallelism: int, path: str, **options: object) -> float:
    """Runs the job to its end; its seconds."""
    from tableapi import EnvironmentSettings, TableEnvironment

    columns, select = QUERIES[query]
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.get_config().set("parallelism.default", str(parallelism))
    words = ", ".join(f"'{k.replace('_', '-')}' = '{v}'" for k, v in {"splits": parallelism, **options}.items())
    env.execute_sql(SOURCE.format(options=words))
    env.execute_sql(BIDS)
    env.execute_sql(SINK.format(columns=columns, path=path, partitions=parallelism))
    started = time.perf_counter()
    env.execute_sql(f"INSERT INTO sink {select}").wait()
    return time.perf_counter() - started


def backlog_rate(query: str, parallelism: int, path: str, events: int, events_per_second: int) -> float:
    """Events a second of the job when all of its events, this many a second, have come before it starts."""
    start_ms = int(time.time() * 1000) - 1000 * (events // events_per_second + 60)
    pace = {"real_time": "true", "start_millis": start_ms, "events_per_second": events_per_second}
    return events / run(query, parallelism, path, events=events, **pace)


def latencies(path: str, counted_from_ms: int) -> pl.Series:
    """Milliseconds from an event's creation to its row's arrival in the stream, of the rows whose event was created in the counted time."""
    from tableapi.connectors.filelog import EventLog

    rows = EventLog(path).read("out", columns=["created"], metadata=["append_time"])
    created = rows["created"].dt.timestamp("ms")
    return (rows["append_time"].dt.timestamp("ms") - created).filter(created >= counted_from_ms)


def measure(query: str, options: argparse.Namespace) -> None:
    """Measures one query and prints its line."""
    with tempfile.TemporaryDirectory() as path:
        seconds = WARM_UP_S + options.seconds
        backlog_rate(query, options.parallelism, f"{path}/warm", 400_000, 1_000_000)
        roughly = backlog_rate(query, options.parallelism, f"{path}/rough", options.events, 1_000_000)
        paced = int(roughly * options.load)
        full = backlog_rate(query, options.parallelism, f"{path}/full", paced * seconds, paced)
        rate = int(full * options.load)
        start_ms = int(time.time() * 1000) + 500
        pace = {"real_time": "true", "start_millis": start_ms, "events_per_second": rate}
        run(query, options.parallelism, f"{path}/paced", events=rate * seconds, **pace)
        found = latencies(f"{path}/paced", start_ms + WARM_UP_S * 1000)
    cuts = " ".join(f"{found.quantile(q):8,.0f}" for q in (0.5, 0.9, 0.99, 0.999))
    print(f"{query:8} {full:12,.0f} {rate:12,.0f} {len(found):12,} {cuts} {found.max():8,}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=5_000_000, help="events of the run that estimates the full rate")
    parser.add_argument("--seconds", type=int, default=10, help="counted seconds of the paced run")
    parser.add_argument("--parallelism", type=int, default=2)
    parser.add_argument("--load", type=float, default=0.5, help="share of the full rate")
    parser.add_argument("--queries", default=",".join(QUERIES))
    options = parser.parse_args()
    print(f"parallelism {options.parallelism}, {options.load:.0%} of full load; latency in milliseconds")
    print(
        f"{'query':8} {'full, ev/s':>12} {'paced, ev/s':>12} {'rows':>12} {'p50':>8} {'p90':>8} {'p99':>8} {'p99.9':>8} {'max':>8}"
    )
    for query in options.queries.split(","):
        measure(query, options)


if __name__ == "__main__":
    main()
