"""Tables of a relational database: `'connector' = 'jdbc'`, for SQLite through the standard library.

Scans (whole or in partitions), lookups that push the keys of a batch into one query, appending and upserting sinks.
Imports connectors.{base,options,jdbc_values}, errors and tableapi's plain data types only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl

from tableapi.connectors.base import (
    Connector,
    LookupReader,
    LookupSource,
    Option,
    ReadResult,
    ScanRequest,
    Sink,
    SinkWriter,
    Source,
    Split,
    SplitReader,
)
from tableapi.connectors.jdbc_values import check_types, to_frame, to_rows
from tableapi.connectors.options import COMMON_OPTIONS, read_options
from tableapi.errors import ExecutionError, OptionError, UnsupportedError
from tableapi.row import RowKind
from tableapi.tablespec import RowSchema, TableSpec

OPTIONS = (
    Option("url", str, "The database: 'jdbc:sqlite:/path/to/file.db'.", required=True),
    Option("table-name", str, "Name of the table in the database.", required=True),
    Option("driver", str, "Class of the JDBC driver; it follows from the URL."),
    Option("username", str, "SQLite has no users; accepted and not used."),
    Option("password", str, "SQLite has no passwords; accepted and not used."),
    Option("connection.max-retry-timeout", timedelta, "How long to wait for a locked database.", default=timedelta(seconds=60)),
    Option("scan.partition.column", str, "Numeric column by whose ranges the table is read in parts."),
    Option("scan.partition.num", int, "Number of parts."),
    Option("scan.partition.lower-bound", int, "Smallest value of the first part."),
    Option("scan.partition.upper-bound", int, "Largest value of the last part."),
    Option("scan.fetch-size", int, "Rows per round trip; 0: as the reader likes.", default=0),
    Option("scan.auto-commit", bool, "Accepted and not used.", default=True),
    Option("lookup.max-retries", int, "How often a failed lookup is tried again.", default=3),
    Option("sink.buffer-flush.max-rows", int, "Rows that are written together.", default=100),
    Option(
        "sink.buffer-flush.interval", timedelta, "Accepted; rows are written with each batch.", default=timedelta(seconds=1)
    ),
    Option("sink.max-retries", int, "How often a failed write is tried again.", default=3),
)
_PREFIX = "jdbc:sqlite:"
_MAX_PARAMETERS = 30_000


@dataclass(frozen=True)
class Database:
    """Where a table is; plain data."""

    path: str
    table: str
    wait_s: float

    def connect(self) -> sqlite3.Connection:
        """A new connection; used by the thread that works, which need not be the one that opened it."""
        return sqlite3.connect(self.path, timeout=self.wait_s, check_same_thread=False)

    def select(self, columns: Sequence[str]) -> str:
        """SELECT … FROM …"""
        return f"SELECT {', '.join(map(quoted, columns))} FROM {quoted(self.table)}"

    def failed(self, error: sqlite3.Error) -> ExecutionError:
        """The error to raise for one of the database."""
        return ExecutionError(f"table '{self.table}' of {self.path}: {error}")


def quoted(name: str) -> str:
    """A name as SQL writes it.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


class JdbcConnector(Connector):
    """Tables of SQLite databases."""

    name = "jdbc"
    options = OPTIONS

    def source(self, table: TableSpec, request: ScanRequest, is_streaming: bool) -> Source:
        options, database = _read(table)
        columns = table.physical.names if request.columns is None else list(request.columns)
        return JdbcSource(database, _part(table.physical, columns), request.limit, _ranges(options), options["scan.fetch-size"])

    def lookup(self, table: TableSpec, keys: tuple[str, ...], columns: tuple[str, ...]) -> LookupSource:
        options, database = _read(table)
        return JdbcLookup(database, _part(table.physical, columns), keys, options["lookup.max-retries"])

    def sink(self, table: TableSpec) -> Sink:
        options, database = _read(table)
        return JdbcSink(
            database, table.physical, options["sink.buffer-flush.max-rows"], options["sink.max-retries"], table.primary_key
        )


def _part(schema: RowSchema, columns: Sequence[str]) -> RowSchema:
    return RowSchema(tuple(schema[c] for c in columns))


def _read(table: TableSpec) -> tuple[dict[str, Any], Database]:
    options = read_options("connector 'jdbc'", table.options, (*OPTIONS, *COMMON_OPTIONS))
    url = options["url"]
    if not url.startswith(_PREFIX):
        raise UnsupportedError(
            f"connector 'jdbc' cannot open '{url}'", fix=f"use a SQLite database: '{_PREFIX}/path/to/file.db'"
        )
    check_types(table.physical)
    wait_s = options["connection.max-retry-timeout"].total_seconds()
    return options, Database(url.removeprefix(_PREFIX), options["table-name"], wait_s)


def _ranges(options: dict[str, Any]) -> tuple[str, tuple[tuple[int, int], ...]] | None:
    """The partition column and the (first, last) values of each part."""
    keys = ("scan.partition.column", "scan.partition.num", "scan.partition.lower-bound", "scan.partition.upper-bound")
    given = [options[k] for k in keys]
    if all(v is None for v in given):
        return None
    if any(v is None for v in given):
        missing = [k for k, v in zip(keys, given, strict=True) if v is None]
        raise OptionError(f"a partitioned scan needs the option '{missing[0]}' as well")
    column, number, low, high = given
    if number < 1 or high < low:
        raise OptionError("a partitioned scan needs at least one part and bounds in order")
    step = -(-(high - low + 1) // number)
    starts = range(low, high + 1, step)
    return column, tuple((start, min(start + step - 1, high)) for start in starts)


@dataclass(frozen=True)
class JdbcSource(Source):
    """A table that is read once: as one split, or one per range of the partition column."""

    database: Database
    schema: RowSchema
    limit: int | None
    ranges: tuple[str, tuple[tuple[int, int], ...]] | None
    fetch_rows: int
    is_bounded = True

    def splits(self) -> Sequence[Split]:
        if self.ranges is None:
            return [Split("0")]
        return [Split(str(number), bounds) for number, bounds in enumerate(self.ranges[1])]

    def reader(self, split: Split, position: Any = None) -> SplitReader:
        query, values = self.database.select(self.schema.names), ()
        if self.ranges is not None:
            query, values = f"{query} WHERE {quoted(self.ranges[0])} BETWEEN ? AND ?", split.payload
        if self.limit is not None:
            query = f"{query} LIMIT {self.limit}"
        return _Reader(self.database, query, values, self.schema, self.fetch_rows, position or 0)


class _Reader(SplitReader):
    """Its position is the number of rows already read; SQLite gives them in the same order while the table does not change."""

    def __init__(
        self, database: Database, query: str, values: Sequence[Any], schema: RowSchema, fetch_rows: int, position: int
    ) -> None:
        self._database, self._query, self._values, self._schema = database, query, values, schema
        self._fetch_rows, self._position = fetch_rows, position
        self._connection: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None

    def read(self, max_rows: int) -> ReadResult:
        wanted = min(max_rows, self._fetch_rows) if self._fetch_rows else max_rows
        try:
            if self._cursor is None:
                self._connection = self._database.connect()
                self._cursor = self._connection.execute(self._query, self._values)
                if self._position:
                    self._cursor.fetchmany(self._position)
            rows = self._cursor.fetchmany(wanted)
        except sqlite3.Error as error:
            raise self._database.failed(error) from None
        self._position += len(rows)
        return ReadResult(to_frame(rows, self._schema) if rows else None, self._position, finished=len(rows) < wanted)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


@dataclass(frozen=True)
class JdbcLookup(LookupSource):
    """A table that is asked for keys."""

    database: Database
    schema: RowSchema
    keys: tuple[str, ...]
    max_retries: int

    def reader(self) -> LookupReader:
        return _LookupReader(self)


class _LookupReader(LookupReader):
    """Asks for all keys of a batch in one query (one per 30,000 values: SQLite takes no more)."""

    def __init__(self, source: JdbcLookup) -> None:
        self._source = source
        self._connection: sqlite3.Connection | None = None

    def lookup(self, keys: pl.DataFrame) -> pl.DataFrame:
        source = self._source
        size = _MAX_PARAMETERS // len(source.keys)
        rows: list[Any] = []
        for start in range(0, keys.height, size):
            rows += self._ask(to_rows(keys.select(source.keys).slice(start, size)))
        return to_frame(rows, source.schema)

    def _ask(self, keys: Sequence[Sequence[Any]]) -> list[Any]:
        source = self._source
        one = "(" + ", ".join("?" * len(source.keys)) + ")"
        tested = ", ".join(map(quoted, source.keys))
        query = f"{source.database.select(source.schema.names)} WHERE ({tested}) IN (VALUES {', '.join([one] * len(keys))})"
        values = [value for key in keys for value in key]
        for attempt in range(source.max_retries + 1):
            try:
                if self._connection is None:
                    self._connection = source.database.connect()
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                self.close()
                if attempt == source.max_retries:
                    raise source.database.failed(error) from None
        raise AssertionError("a retry either answers or raises")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(frozen=True)
class JdbcSink(Sink):
    """Appends rows, or with a PRIMARY KEY inserts, replaces and deletes by it."""

    database: Database
    schema: RowSchema
    buffer_rows: int
    max_retries: int
    key: tuple[str, ...] = ()

    @property
    def accepts(self) -> frozenset[RowKind]:  # type: ignore[override]
        return frozenset({RowKind.INSERT, RowKind.UPDATE_AFTER, RowKind.DELETE}) if self.key else frozenset({RowKind.INSERT})

    def writer(self, subtask: int, parallelism: int) -> SinkWriter:
        return _Writer(self)

    def begin(self, overwrite: bool, static_partition: dict[str, Any]) -> None:
        if overwrite:
            with closing(self.database.connect()) as connection, connection:
                connection.execute(f"DELETE FROM {quoted(self.database.table)}")


class _Writer(SinkWriter):
    def __init__(self, sink: JdbcSink) -> None:
        self._sink = sink
        self._waiting: list[tuple[pl.DataFrame, pl.Series | None]] = []
        self._rows = 0
        names = sink.schema.names
        self._insert = f"INSERT INTO {quoted(sink.database.table)} ({', '.join(map(quoted, names))}) VALUES ({', '.join('?' * len(names))})"
        if sink.key:
            others = [f"{quoted(n)} = excluded.{quoted(n)}" for n in names if n not in sink.key]
            action = f"DO UPDATE SET {', '.join(others)}" if others else "DO NOTHING"
            self._insert += f" ON CONFLICT ({', '.join(map(quoted, sink.key))}) {action}"
        tests = " AND ".join(f"{quoted(k)} = ?" for k in sink.key)
        self._delete = f"DELETE FROM {quoted(sink.database.table)} WHERE {tests}"

    def write(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        self._waiting.append((frame, kinds))
        self._rows += frame.height
        if self._rows >= self._sink.buffer_rows:
            self.flush()

    def flush(self) -> None:
        waiting, self._waiting, self._rows = self._waiting, [], 0
        if not waiting:
            return
        for attempt in range(self._sink.max_retries + 1):
            connection = self._sink.database.connect()
            try:
                with connection:
                    for frame, kinds in waiting:
                        self._write(connection, frame, kinds)
                return
            except sqlite3.Error as error:
                if attempt == self._sink.max_retries:
                    raise self._sink.database.failed(error) from None
            finally:
                connection.close()

    def _write(self, connection: sqlite3.Connection, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        if kinds is not None:
            last = frame.with_columns(kinds.alias("$kind")).unique(self._sink.key, keep="last", maintain_order=True)
            gone = last.filter(pl.col("$kind") == RowKind.DELETE)
            connection.executemany(self._delete, to_rows(gone.select(self._sink.key)))
            frame = last.filter(pl.col("$kind") != RowKind.DELETE).drop("$kind")
        connection.executemany(self._insert, to_rows(frame))

    def close(self, success: bool = True) -> None:
        if success:
            self.flush()
