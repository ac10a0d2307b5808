"""Tables, and the driving of sources and sinks as the runtime drives them."""

from __future__ import annotations

import pickle
from typing import Any

import polars as pl

from tableapi.connectors.base import ReadResult, ScanRequest, Sink, Source
from tableapi.connectors.registry import find_connector
from tableapi.tablespec import ColumnKind, ObjectIdentifier, TableColumn, TableSpec
from tableapi.types import DataType


def make_table(
    columns: dict[str, DataType], *, partition: tuple[str, ...] = (), metadata: dict[str, str] | None = None, **options: str
) -> TableSpec:
    """A table; option names are written with `__` for `.` and `_` for `-`."""
    kinds = dict.fromkeys(metadata or {}, ColumnKind.METADATA)
    specs = tuple(
        TableColumn(n, t, kinds.get(n, ColumnKind.PHYSICAL), metadata_key=(metadata or {}).get(n), is_virtual=n in kinds)
        for n, t in columns.items()
    )
    texts = {k.replace("__", ".").replace("_", "-"): v for k, v in options.items()}
    return TableSpec(ObjectIdentifier("c", "d", "t"), specs, texts, partition_keys=partition)


def source_of(
    table: TableSpec, *, columns: tuple[str, ...] | None = None, is_streaming: bool = True, limit: int | None = None
) -> Source:
    """The table's source, as a worker gets it: pickled."""
    source = find_connector(table.connector).source(table, ScanRequest(columns, limit), is_streaming)
    return pickle.loads(pickle.dumps(source))


def sink_of(table: TableSpec) -> Sink:
    """The table's sink, as a worker gets it: pickled."""
    return pickle.loads(pickle.dumps(find_connector(table.connector).sink(table)))


def read_split(source: Source, split: Any, max_rows: int = 1_000, position: Any = None) -> list[ReadResult]:
    """All results of a bounded split."""
    reader = source.reader(split, position)
    results = []
    while True:
        result = reader.read(max_rows)
        results.append(result)
        if result.finished:
            reader.close()
            return results


def read_all(source: Source, max_rows: int = 1_000) -> pl.DataFrame:
    """All rows of a bounded source."""
    frames = [r.frame for split in source.splits() for r in read_split(source, split, max_rows) if r.frame is not None]
    return pl.concat(frames) if frames else pl.DataFrame()


def write_all(
    table: TableSpec,
    *batches: pl.DataFrame,
    overwrite: bool = False,
    static: dict[str, Any] | None = None,
    kinds: pl.Series | None = None,
) -> None:
    """Writes batches as a bounded job with one writer does."""
    sink = sink_of(table)
    sink.begin(overwrite, static or {})
    writer = sink.writer(0, 1)
    for batch in batches:
        writer.write(batch, kinds)
    writer.close(True)
    sink.end(True)
