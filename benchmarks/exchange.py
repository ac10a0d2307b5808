"""Rows per second that the exchange moves between two processes, alone and inside a job.

    python benchmarks/exchange.py [--rows 10_000_000]

Rows are 11 columns wide (6 BIGINT, 2 DOUBLE, 1 TIMESTAMP, 2 STRING; about 125 bytes). `link` sends ready batches from one
process to another; `job` runs source -> hash[key] -> counting sink at parallelism 2, where about half of the rows change
the worker.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tableapi.connectors.base import ReadResult, Sink, SinkWriter, Source, Split, SplitReader
from tableapi.runtime.cluster.coordinator import LocalExecutor
from tableapi.runtime.exchange.link import Delivery, Link
from tableapi.runtime.exchange.reactor import Reactor
from tableapi.runtime.planner.graph import Edge, Exchange, ExchangeKind, JobConfig, JobGraph, SinkSpec, SourceSpec, Vertex
from tableapi.runtime.stream.batch import Batch
from tableapi.tablespec import RowSchema

BATCH_ROWS = 65_536


def wide(rows: int) -> pl.DataFrame:
    """Random wide rows."""
    random = np.random.default_rng(0)
    columns: dict[str, Any] = {f"i{k}": random.integers(0, 1 << 40, rows) for k in range(6)}
    columns |= {f"f{k}": random.random(rows) for k in range(2)}
    return pl.DataFrame(columns).with_columns(
        ts=pl.col("i2").cast(pl.Datetime("ms")),
        short=pl.lit("id-") + (pl.col("i0") % 100_000).cast(pl.String),
        long=pl.lit("a longer piece of text ") + pl.col("i1").cast(pl.String),
    )


@dataclass(frozen=True, eq=False)
class WideSource(Source):
    """The same batch again and again, in two splits."""

    rows: int
    is_bounded = True

    def splits(self) -> Sequence[Split]:
        return [Split("0"), Split("1")]

    def reader(self, split: Split, position: Any = None) -> SplitReader:
        return WideReader(self.rows // 2)


class WideReader(SplitReader):
    def __init__(self, rows: int) -> None:
        self.frame, self.left = wide(BATCH_ROWS), rows

    def read(self, max_rows: int) -> ReadResult:
        self.left -= BATCH_ROWS
        return ReadResult(self.frame, None, finished=self.left <= 0)


@dataclass(frozen=True, eq=False)
class Nowhere(Sink):
    """Drops rows."""

    def writer(self, subtask: int, parallelism: int) -> SinkWriter:
        return NowhereWriter()


class NowhereWriter(SinkWriter):
    def write(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        return None


def receive(sock: socket.socket, batches: int) -> None:
    """The receiving process: says when it has got everything."""
    link, reactor, count = Link(sock), Reactor(), 0

    def ready() -> None:
        nonlocal count
        count += sum(isinstance(m, Delivery) for m in link.receive())

    reactor.add_link(link, ready)
    link.send("ready")
    while count < batches:
        reactor.poll(None)
    link.send("done")
    while not link.is_drained:
        reactor.poll(None)


def measure_link(rows: int) -> float:
    """Rows per second of a link alone."""
    batches = -(-rows // BATCH_ROWS)
    ours, theirs = socket.socketpair()
    process = multiprocessing.get_context("spawn").Process(target=receive, args=(theirs, batches))
    process.start()
    theirs.close()
    link, reactor, heard = Link(ours), Reactor(), list[Any]()
    reactor.add_link(link, lambda: heard.extend(link.receive()))
    while "ready" not in heard:
        reactor.poll(None)
    batch = Batch(wide(BATCH_ROWS))
    started_s = time.perf_counter()
    for _ in range(batches):
        link.send_batch(1, 0, batch, 0)
        reactor.poll(0)
    while "done" not in heard:
        reactor.poll(None)
    seconds = time.perf_counter() - started_s
    process.join()
    return batches * BATCH_ROWS / seconds


def measure_job(executor: LocalExecutor, rows: int) -> float:
    """Rows per second of a job that does nothing but repartition."""
    empty = RowSchema(())
    source = Vertex(0, "source", "source", SourceSpec(WideSource(rows), empty), empty)
    edge = Edge(0, Exchange(ExchangeKind.HASH, ("i0",)))
    sink = Vertex(1, "sink", "sink", SinkSpec(Nowhere(), empty), empty, (edge,))
    handle = executor.submit(JobGraph((source, sink), JobConfig(parallelism=2)))
    handle.wait()
    metrics = handle.metrics()
    return metrics.rows_out / metrics.duration_s


def main() -> None:
    """Prints both figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    print(f"link: {measure_link(rows) / 1e6:6.2f} M rows/s")
    executor = LocalExecutor()
    measure_job(executor, 100_000)
    print(f"job:  {measure_job(executor, rows) / 1e6:6.2f} M rows/s")
    executor.close()


if __name__ == "__main__":
    main()
