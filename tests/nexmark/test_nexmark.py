"""The Nexmark queries give the results that Flink gave, as batch and as a stream at parallelism 1, 2 and 3 with random batch cuts."""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tableapi import EnvironmentSettings, TableEnvironment

DATA = Path(__file__).parent / "data"
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from nexmark_queries import EVENTS, QUERIES, VIEWS  # noqa: E402

GOLDEN = [name for name in QUERIES if (DATA / "golden" / f"{name}.jsonl.gz").exists()]


def environment(is_streaming: bool, parallelism: int = 1, max_batch_rows: int = 65_536) -> TableEnvironment:
    settings = EnvironmentSettings.in_streaming_mode() if is_streaming else EnvironmentSettings.in_batch_mode()
    env = TableEnvironment.create(settings)
    env.get_config().set("parallelism.default", str(parallelism))
    env.get_config().set("pipeline.max-batch-rows", str(max_batch_rows))
    env.get_config().set("pipeline.check-edges", "true")
    options = f"'connector' = 'filesystem', 'path' = '{DATA / 'events.jsonl.gz'}', 'format' = 'json'"
    env.execute_sql(EVENTS.format(options=options))
    for view in VIEWS:
        env.execute_sql(view)
    return env


def plain(value: Any) -> Any:
    """A value as the recorded results write it: times without trailing zeros, numbers as numbers."""
    if isinstance(value, datetime):
        text = value.isoformat(sep=" ")
        return text.rstrip("0") if "." in text else text
    if isinstance(value, Decimal):
        return float(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def recorded(name: str) -> Counter[str]:
    lines = gzip.decompress((DATA / "golden" / f"{name}.jsonl.gz").read_bytes()).decode().splitlines()[1:]
    rows = [json.loads(line) for line in lines]
    if name == "q9":
        rows = winning_bids(rows)
    return Counter(json.dumps([plain(v) for v in row]) for row in rows)


def winning_bids(rows: list[list[Any]]) -> list[list[Any]]:
    """Flink updates a Top-1 with several sort keys without retracting the row before, so the recorded q9 holds every bid that was once the
    winning one; the highest, and of equals the earliest, is the result."""
    best: dict[Any, list[Any]] = {}
    for row in rows:
        auction, price, time = row[0], row[12], datetime.fromisoformat(row[13].ljust(23, "0") if "." in row[13] else row[13])
        known = best.get(auction)
        if known is None or (-price, time) < known[0]:
            best[auction] = [(-price, time), row]
    return [row for _, row in best.values()]


def result(env: TableEnvironment, name: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    with env.sql_query(QUERIES[name]).execute().collect() as rows:
        for row in rows:
            counts[json.dumps([plain(v) for v in row])] += 1 if row.get_row_kind().adds else -1
    assert all(count >= 0 for count in counts.values())
    return +counts


@pytest.mark.parametrize("name", GOLDEN)
def test_batch_gives_the_recorded_result(name: str) -> None:
    assert result(environment(is_streaming=False), name) == recorded(name)


@pytest.mark.parametrize("parallelism", [1, 2, 3])
@pytest.mark.parametrize("name", GOLDEN)
def test_a_stream_gives_the_recorded_result(name: str, parallelism: int) -> None:
    cuts = random.Random(f"{name} {parallelism}").choice([200, 1000, 5000])
    assert result(environment(True, parallelism, cuts), name) == recorded(name)


@pytest.mark.parametrize("parallelism", [1, 2, 3])
def test_q6_which_flink_cannot_run_gives_as_a_stream_what_it_gives_as_batch(parallelism: int) -> None:
    expected = result(environment(is_streaming=False), "q6")
    winners = winning_bids([json.loads(row) for row in result(environment(is_streaming=False), "q9")])
    assert sum(expected.values()) == len(winners)
    assert result(environment(True, parallelism, 3000), "q6") == expected
