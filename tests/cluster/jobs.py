"""Hand-made job graphs for the tests of the cluster: list sources, tiny operators, sinks that leave traces."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from tableapi.connectors.base import ReadResult, Sink, SinkWriter, Source, Split, SplitReader
from tableapi.plan.rex import Ref
from tableapi.runtime.planner.graph import (
    FORWARD,
    CollectSpec,
    Edge,
    Exchange,
    ExchangeKind,
    JobConfig,
    JobGraph,
    SinkSpec,
    SourceSpec,
    Vertex,
    WatermarkSpec,
)
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.operator import Operator, OperatorContext
from tableapi.tablespec import Field, RowSchema
from tableapi.types import DataTypes

SCHEMA = RowSchema((Field("k", DataTypes.BIGINT()), Field("n", DataTypes.BIGINT())))
TIMED = RowSchema((*SCHEMA.fields, Field("ts", DataTypes.TIMESTAMP(3))))


def hash_on(*keys: str) -> Exchange:
    return Exchange(ExchangeKind.HASH, keys)


def frame(rows: int, start: int = 0) -> pl.DataFrame:
    return pl.select(n=pl.int_range(start, start + rows)).select(k=pl.col("n") % 97, n="n")


def timed(*rows: tuple[int, int, int]) -> pl.DataFrame:
    """Rows of (k, n, milliseconds)."""
    data = pl.DataFrame(rows, schema=["k", "n", "ts"], orient="row", schema_overrides={"k": pl.Int64, "n": pl.Int64})
    return data.with_columns(pl.col("ts").cast(pl.Int64).cast(pl.Datetime("ms")))


@dataclass(frozen=True, eq=False)
class ListSource(Source):
    """Each split is a list of frames; None stands for "nothing now". An unbounded one never ends."""

    parts: tuple[tuple[pl.DataFrame | None, ...], ...]
    is_bounded: bool = True

    def splits(self) -> Sequence[Split]:
        return [Split(str(i), i) for i in range(len(self.parts))]

    def reader(self, split: Split, position: Any = None) -> SplitReader:
        return ListReader(self.parts[split.payload], self.is_bounded)


class ListReader(SplitReader):
    def __init__(self, frames: tuple[pl.DataFrame | None, ...], is_bounded: bool) -> None:
        self.frames, self.is_bounded, self.at = frames, is_bounded, 0

    def read(self, max_rows: int) -> ReadResult:
        if self.at >= len(self.frames):
            return ReadResult(None, self.at, finished=self.is_bounded)
        self.at += 1
        return ReadResult(self.frames[self.at - 1], self.at, finished=self.is_bounded and self.at == len(self.frames))


@dataclass(frozen=True, eq=False)
class EndlessSource(Source):
    """Makes batches for ever, in as many splits as wanted."""

    split_count: int = 2
    rows: int = 1000
    is_bounded: bool = False

    def splits(self) -> Sequence[Split]:
        return [Split(str(i), i) for i in range(self.split_count)]

    def reader(self, split: Split, position: Any = None) -> SplitReader:
        return EndlessReader(self.rows)


class EndlessReader(SplitReader):
    def __init__(self, rows: int) -> None:
        self.frame = frame(rows)

    def read(self, max_rows: int) -> ReadResult:
        return ReadResult(self.frame, None)


@dataclass(frozen=True, eq=False)
class Apply:
    """An operator made of plain functions; each gets the operator, whose `store` is its state."""

    process: Callable[[Any, int, Batch], None] = lambda op, input, batch: op.context.emit(batch)
    on_watermark: Callable[[Any, int], None] = lambda op, watermark_ms: None
    on_timer: Callable[[Any, int], None] = lambda op, time_ms: None
    opened: Callable[[Any], None] = lambda op: None

    def create(self) -> Operator:
        return Applied(self)


class Applied(Operator):
    def __init__(self, spec: Apply) -> None:
        self.spec = spec
        self.store: dict[Any, Any] = {}

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        self.spec.opened(self)

    def process(self, input: int, batch: Batch) -> None:
        self.spec.process(self, input, batch)

    def on_watermark(self, watermark_ms: int) -> int:
        self.spec.on_watermark(self, watermark_ms)
        return watermark_ms

    def state(self) -> dict[str, pl.DataFrame]:
        counts = {k: v for k, v in self.store.items() if isinstance(k, int)}
        return {"counts": pl.DataFrame({"k": list(counts), "n": list(counts.values())}, schema={"k": int, "n": int})}

    def on_timer(self, time_ms: int) -> None:
        self.spec.on_timer(self, time_ms)


@dataclass(frozen=True, eq=False)
class FileSink(Sink):
    """A writer that closes with success leaves a file of the (first) rows it wrote; each leaves a note of how it closed."""

    directory: str

    def writer(self, subtask: int, parallelism: int) -> SinkWriter:
        return FileWriter(Path(self.directory), subtask)

    def begin(self, overwrite: bool, static_partition: dict[str, Any]) -> None:
        note(self.directory, f"begin {overwrite} {static_partition}")

    def end(self, success: bool) -> None:
        note(self.directory, f"end {success}")


class FileWriter(SinkWriter):
    def __init__(self, directory: Path, subtask: int) -> None:
        self.directory, self.subtask = directory, subtask
        self.rows: list[pl.DataFrame] = []

    def write(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        if len(self.rows) < 100:
            self.rows.append(frame)

    def close(self, success: bool = True) -> None:
        note(self.directory, f"close {success}")
        if success and self.rows:
            pl.concat(self.rows).write_parquet(self.directory / f"part-{self.subtask}.parquet")


def note(directory: str | Path, text: str) -> None:
    with open(Path(directory) / "notes", "a") as file:
        file.write(text + "\n")


def notes(directory: str | Path) -> list[str]:
    return (Path(directory) / "notes").read_text().splitlines()


@dataclass
class GraphBuilder:
    """Adds vertices by hand; each call returns the id of the new one."""

    config: JobConfig = field(default_factory=JobConfig)
    vertices: list[Vertex] = field(default_factory=list)

    def add(self, step: Any, *inputs: Edge, schema: RowSchema = SCHEMA, name: str | None = None) -> int:
        number = len(self.vertices)
        self.vertices.append(Vertex(number, f"v{number}", name or type(step).__name__, step, schema, inputs))
        return number

    def source(self, source: Source, schema: RowSchema = SCHEMA, idle_timeout_ms: int = 0) -> int:
        watermark = None
        if "ts" in schema:
            watermark = WatermarkSpec("ts", Ref(schema["ts"].type, "ts"), idle_timeout_ms)
        return self.add(SourceSpec(source, schema, watermark), schema=schema)

    def collect(self, source: int, exchange: Exchange = FORWARD, schema: RowSchema = SCHEMA) -> JobGraph:
        self.add(CollectSpec(schema), Edge(source, exchange), schema=schema)
        return self.graph()

    def sink(self, source: int, sink: Sink, exchange: Exchange = FORWARD, schema: RowSchema = SCHEMA) -> JobGraph:
        self.add(SinkSpec(sink, schema), Edge(source, exchange), schema=schema)
        return self.graph()

    def graph(self) -> JobGraph:
        return JobGraph(tuple(self.vertices), self.config)


def rows_of(handle: Any) -> pl.DataFrame:
    """All rows of a collecting job."""
    frames = [b.frame for b in handle.batches()]
    return pl.concat(frames) if frames else pl.DataFrame()


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Waits until a condition holds."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "the condition did not come true in time"
        time.sleep(0.005)


def shared_memory_files() -> set[str]:
    """What lies in /dev/shm."""
    return set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
