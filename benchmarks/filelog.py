"""The event log against plain file writes and, where Maven and Java are there, against Apache Kafka, in one run.

    python benchmarks/filelog.py [--events 5000000] [--directory DIR] [--kafka] [--kafka-version 4.1.0] [--json FILE]

What is measured (events of 100 bytes: a BIGINT, a TIMESTAMP and a text of 84 characters):

- plain write: the same bytes, in pieces of 8 MB, to one file with `write`;
- append: frames of 1,000,000 events, durability `none`; the best of seven turns, as for the plain write; the turns alternate;
- read: everything back, from a warm page cache, as frames of 65,536 events; and one column of it;
- single events: `Producer.send`, one call per event;
- open to first event: a new process state, a topic of 10 GB (its sealed segments are sparse), the first and the last event;
- memory: peak resident set of a process that reads a topic larger than the bound from end to end (imports and mapped file
  included);
- latency: from `append` in one process to the event in a waiting reader in another;
- Kafka: a single KRaft node with default settings, one topic with one partition, `confluent-kafka` as client; the same number
  of bytes.

The bars: append >= 5 M events/s and >= 50 % of the plain write; read >= 20 M events/s; single events >= 100 k/s; open < 100
ms; memory < 200 MB; latency < 10 ms; >= 10 times Kafka's produce and consume rates.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from tableapi.connectors.filelog import EventLog, Producer, follow
from tableapi.types import DataTypes

COLUMNS = {"id": DataTypes.BIGINT(), "ts": DataTypes.TIMESTAMP(3), "payload": DataTypes.STRING()}
CHUNK = 1_000_000
EVENT_BYTES = 100
TURNS = 7


def events(count: int) -> pl.DataFrame:
    """Events of 100 bytes."""
    ids = pl.int_range(count, eager=True)
    payload = ids.cast(pl.String).str.zfill(12) + "x" * 72
    return pl.DataFrame({"id": ids, "ts": ids.cast(pl.Datetime("ms")), "payload": payload})


def timed(action: Callable[[], Any]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def plain_write(directory: Path, size_bytes: int) -> float:
    """Bytes per second of a plain sequential write."""
    piece = os.urandom(8 * 1024 * 1024)
    path = directory / "plain"

    def write() -> None:
        with open(path, "wb", buffering=0) as file:
            for _ in range(0, size_bytes, len(piece)):
                file.write(piece)

    seconds = timed(write)
    path.unlink()
    return size_bytes / seconds


def append_and_read(directory: Path, count: int) -> dict[str, float]:
    """Rates of appending and reading, and the plain write rate of the same turns."""
    frame = events(min(CHUNK, count))
    turns = max(1, count // frame.height)
    best_plain = best_append = 0.0
    for turn in range(TURNS):
        best_plain = max(best_plain, plain_write(directory, turns * frame.height * EVENT_BYTES))
        log = EventLog(directory / f"log{turn}")
        log.create("t", COLUMNS, event_time="ts")
        seconds = timed(lambda opened=log: [opened.append("t", frame) for _ in range(turns)])  # type: ignore[misc]
        best_append = max(best_append, turns * frame.height / seconds)
        if turn < TURNS - 1:
            shutil.rmtree(directory / f"log{turn}")
    read = best_of(lambda: sum(b.height for b in log.batches("t")), turns * frame.height)
    column = best_of(lambda: sum(b.height for b in log.batches("t", columns=["id"])), turns * frame.height)
    shutil.rmtree(directory / f"log{TURNS - 1}")
    return {
        "append events/s": best_append,
        "plain write bytes/s": best_plain,
        "append share of plain write": best_append * EVENT_BYTES / best_plain,
        "read events/s": read,
        "read one column events/s": column,
    }


def best_of(action: Callable[[], int], expected: int, turns: int = 3) -> float:
    """Rows per second of the best turn."""
    best = 0.0
    for _ in range(turns):
        started = time.perf_counter()
        assert action() == expected
        best = max(best, expected / (time.perf_counter() - started))
    return best


def single_events(directory: Path, count: int) -> dict[str, float]:
    """Rate of events that are sent one by one."""
    log = EventLog(directory / "single")
    log.create("t", COLUMNS)
    rows = events(count).rows()

    def send() -> None:
        with Producer(log) as producer:
            for row in rows:
                producer.send("t", row)

    rate = count / timed(send)
    shutil.rmtree(directory / "single")
    return {"single events/s": rate}


def open_large(directory: Path, size_bytes: int = 10 * 1024**3) -> dict[str, float]:
    """Milliseconds from opening a topic of `size_bytes` to its first and its last event."""
    path = directory / "large"
    log = EventLog(path)
    log.create("t", COLUMNS, segment_bytes=128 * 1024 * 1024)
    frame = events(1000)
    partition = log.partition("t", 0)
    log.append("t", frame)
    partition.roll()
    while sum(i.size_bytes for i in log.partition_infos("t")) < size_bytes:
        sealed = partition.place.segment(partition.tail().active_base)
        log.append("t", frame)
        partition.roll()
        if not sealed.endswith(f"{0:020d}.log"):
            _make_sparse(sealed, partition.place.index(int(sealed[-24:-4])), 128 * 1024 * 1024)
    log.append("t", frame)
    log.close()

    def first() -> None:
        assert EventLog(path).reader("t", 0).read(1) is not None

    def last() -> None:
        opened = EventLog(path)
        end = opened.resolve("t", "latest", 0)
        assert opened.reader("t", 0, start=end - 1).read(1) is not None

    result = {"open to first event ms": timed(first) * 1000, "open to last event ms": timed(last) * 1000}
    shutil.rmtree(path)
    return result


def _make_sparse(segment: str, index: str, size_bytes: int) -> None:
    """Lets a segment look as large as a full one: its frames are followed by a hole that no reader of the ends touches."""
    os.truncate(segment, size_bytes)
    os.remove(index)


def memory(directory: Path, count: int) -> dict[str, float]:
    """Peak resident set of a process that reads everything, all imports included."""
    log = EventLog(directory / "memory")
    log.create("t", COLUMNS)
    frame = events(min(CHUNK, count))
    for _ in range(max(1, count // frame.height)):
        log.append("t", frame)
    log.close()
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_read_all, args=(str(directory / "memory"), theirs))
    process.start()
    result = ours.recv()
    process.join()
    shutil.rmtree(directory / "memory")
    return {"memory while reading MB": result, "topic read MB": count * EVENT_BYTES / 1e6}


def _read_all(path: str, pipe: Any) -> None:
    log = EventLog(path)
    for frame in log.batches("t"):
        frame["id"].sum()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    pipe.send(int(status["VmHWM"].split()[0]) / 1024)


def latency(directory: Path, count: int = 200) -> dict[str, float]:
    """Milliseconds from appending in one process to reading in another that waits."""
    path = str(directory / "latency")
    log = EventLog(path)
    log.create("t", {"sent_ns": DataTypes.BIGINT()})
    log.append("t", pl.DataFrame({"sent_ns": [0]}))
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_wait_for_events, args=(path, count, theirs))
    process.start()
    ours.recv()
    for _ in range(count):
        log.append("t", pl.DataFrame({"sent_ns": [time.monotonic_ns()]}))
        time.sleep(0.002)
    waits = sorted(ours.recv())
    process.join()
    shutil.rmtree(path)
    return {"latency median ms": waits[len(waits) // 2] / 1e6, "latency 99 % ms": waits[int(len(waits) * 0.99)] / 1e6}


def _wait_for_events(path: str, count: int, pipe: Any) -> None:
    log = EventLog(path)
    # The first event makes the reader import what it needs; it is not counted.
    next(follow(log, "t"))
    pipe.send("ready")
    waits: list[int] = []
    for batch in follow(log, "t", start=1, timeout_s=10):
        now = time.monotonic_ns()
        waits.extend(now - sent for sent in batch.frame["sent_ns"])
        if len(waits) >= count:
            break
    pipe.send(waits)


BARS: tuple[tuple[str, str, float], ...] = (
    ("append events/s", ">=", 5e6),
    ("append share of plain write", ">=", 0.5),
    ("read events/s", ">=", 20e6),
    ("single events/s", ">=", 100e3),
    ("open to first event ms", "<", 100),
    ("memory while reading MB", "<", 200),
    ("latency 99 % ms", "<", 10),
    ("times Kafka produce", ">=", 10),
    ("times Kafka consume", ">=", 10),
)


def report(results: dict[str, float]) -> bool:
    """Prints the figures and whether the bars are met."""
    for name, value in results.items():
        print(f"{name:32} {value:18,.3f}" if value < 1000 else f"{name:32} {value:18,.0f}")
    met = True
    for name, sign, bar in BARS:
        if name in results:
            holds = results[name] >= bar if sign == ">=" else results[name] < bar
            met = met and holds
            print(f"{'met ' if holds else 'MISSED'} {name} {sign} {bar:g}")
    return met


def main() -> int:
    """Runs everything; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--directory", help="where to write (default: a temporary directory)")
    parser.add_argument("--kafka", action="store_true", help="also start and measure a Kafka broker")
    parser.add_argument("--kafka-version", default="4.1.0")
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="filelog-", dir=arguments.directory))
    try:
        results = append_and_read(directory, arguments.events)
        results |= single_events(directory, min(arguments.events, 500_000))
        results |= open_large(directory)
        results |= memory(directory, arguments.events)
        results |= latency(directory)
        if arguments.kafka:
            from filelog_kafka import kafka_rates

            results |= kafka_rates(directory, min(arguments.events, 2_000_000), arguments.kafka_version)
            if "Kafka produce events/s" in results:
                results["times Kafka produce"] = results["append events/s"] / results["Kafka produce events/s"]
                results["times Kafka consume"] = results["read events/s"] / results["Kafka consume events/s"]
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    met = report(results)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=1))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
