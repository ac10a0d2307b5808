"""q12 and q13, the queries of processing time, as endless jobs whose clock is in the test's hands."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.connectors.filelog import EventLog
from tableapi.testing import JobClock

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[2] / "benchmarks")]

from nexmark_queries import BID, QUERIES, SIDE_INPUT, VIEWS
from test_nexmark import DATA, environment

WINDOW_MS = 10_000
CHUNKS = 5


@pytest.fixture(scope="module")
def bids() -> pl.DataFrame:
    return environment(is_streaming=False).sql_query("SELECT * FROM bid").execute().to_polars()


class Job:
    """A query over a log of bids of three partitions, which the test appends to while it runs."""

    def __init__(self, directory: Path, parallelism: int, seed: str, query: str) -> None:
        self.random = random.Random(seed)
        self.clock = JobClock(directory / "clock", 1_700_000_000_000)
        env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
        env.get_config().set("parallelism.default", str(parallelism))
        env.get_config().set("pipeline.max-batch-rows", str(self.random.choice([100, 700, 5000])))
        env.get_config().set("pipeline.check-edges", "true")
        env.get_config().set("pipeline.clock-file", str(self.clock.path))
        log = f"'connector' = 'filelog', 'path' = '{directory / 'log'}', 'topic' = 'bids', 'topic.partitions' = '3'"
        env.execute_sql(f"CREATE TABLE bid ({BID}) WITH ({log})")
        env.execute_sql(VIEWS[3])
        side_input = DATA / "side_input.csv"
        env.execute_sql(SIDE_INPUT.format(options=f"'connector' = 'filesystem', 'path' = '{side_input}', 'format' = 'csv'"))
        schema = env.from_path("bid").get_resolved_schema()
        columns = dict(zip(schema.get_column_names(), schema.get_column_data_types(), strict=True))
        self.log = EventLog(directory / "log")
        self.log.create("bids", columns, partitions=3)
        self.result = env.sql_query(QUERIES[query]).execute()
        self.client = self.result.get_job_client()
        self.rows = self.result.collect()

    def append(self, chunk: pl.DataFrame) -> None:
        cuts = sorted(self.random.sample(range(1, chunk.height), 6))
        for start, end in zip([0, *cuts], [*cuts, chunk.height], strict=True):
            self.log.append("bids", chunk[start:end], partition=self.random.randrange(3))

    def wait_for(self, number: int) -> None:
        """Until the windows have taken so many rows; the state is shown between two batches, never in the middle of one."""
        deadline_s = time.monotonic() + 20
        taken = 0
        while taken != number:
            assert time.monotonic() < deadline_s, f"{taken} of {number} rows after 20 s: {self.client.why_no_output()}"
            slices = [tables["slices"] for tables in self.client.state().values() if "slices" in tables]
            taken = sum(int(part.to_series(part.columns.index("slice_end") + 1).sum()) for part in slices)

    def take(self, number: int) -> list[list[Any]]:
        return [list(self.rows.next()) for _ in range(number)]


@pytest.mark.parametrize("parallelism", [1, 2, 3])
def test_q12_counts_the_bids_that_came_within_each_ten_seconds_of_the_clock(tmp_path, bids, parallelism):
    job = Job(tmp_path, parallelism, f"q12 {parallelism}", "q12")
    size = bids.height // CHUNKS
    for number in range(CHUNKS):
        chunk = bids[number * size : (number + 1) * size]
        start = datetime(1970, 1, 1) + timedelta(milliseconds=job.clock.now_ms())
        job.append(chunk[: size // 2])
        job.wait_for(size // 2)
        job.clock.advance(WINDOW_MS - 2)
        job.append(chunk[size // 2 :])
        job.wait_for(size)
        job.clock.advance(1)
        counts = Counter(chunk["bidder"].to_list())
        shown = sorted(map(tuple, job.take(len(counts))))
        end = start + timedelta(milliseconds=WINDOW_MS)
        assert shown == sorted((bidder, n, start, end) for bidder, n in counts.items())
        job.clock.advance(1)
    job.rows.close()


@pytest.mark.parametrize("parallelism", [1, 2, 3])
def test_q13_looks_up_the_side_input(tmp_path, bids, parallelism):
    job = Job(tmp_path, parallelism, f"q13 {parallelism}", "q13")
    job.append(bids)
    names = ["auction", "bidder", "price", "dateTime"]
    expected = bids.select(*names, value=(pl.col("auction") % 10_000).cast(pl.String))
    assert sorted(map(tuple, job.take(bids.height))) == sorted(expected.rows())
    job.rows.close()
