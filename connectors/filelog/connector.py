"""The event log as tables: `'connector' = 'filelog'`.

Without PRIMARY KEY a topic is an append-only table. With one it is an upsert table: the newest event of a key is its row, a tombstone
deletes it. Imports connectors.{base,options} and connectors.filelog only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tableapi.connectors.base import (
    Connector,
    Guarantee,
    Option,
    ReadResult,
    ScanRequest,
    Sink,
    SinkWriter,
    Source,
    Split,
    SplitReader,
)
from tableapi.connectors.filelog.log import EventLog, Start
from tableapi.connectors.filelog.reader import METADATA_TYPES, PartitionReader, Projection, find_time
from tableapi.connectors.filelog.schema import TopicSchema, widens
from tableapi.connectors.filelog.topic import TopicInfo
from tableapi.connectors.filelog.transactions import Prepared, TransactionalProducer, abort_prepared, commit_prepared
from tableapi.connectors.filelog.watch import Watcher
from tableapi.connectors.options import COMMON_OPTIONS, read_options
from tableapi.errors import OptionError, TypeMismatchError, UnknownNameError, UnsupportedError, ValidationError, did_you_mean
from tableapi.row import RowKind
from tableapi.tablespec import ColumnKind, Field, RowSchema, TableSpec
from tableapi.types import AnyTimestampType

STARTUP_MODES = ("earliest-offset", "latest-offset", "timestamp", "specific-offsets", "group-offsets")
BOUNDED_MODES = ("unbounded", "latest-offset", "timestamp", "specific-offsets", "group-offsets")
GUARANTEES = ("at-least-once", "exactly-once", "none")
UPSERTS = frozenset({RowKind.INSERT, RowKind.UPDATE_AFTER, RowKind.DELETE})

OPTIONS = (
    Option("path", str, "Directory of the event log.", required=True),
    Option("topic", str, "Name of the topic.", required=True),
    Option("scan.startup.mode", STARTUP_MODES, "Where reading starts.", default="earliest-offset"),
    Option("scan.startup.timestamp-millis", int, "Start at the first event that is not older (mode 'timestamp')."),
    Option("scan.startup.specific-offsets", str, "Start offsets: 'partition:0,offset:42;partition:1,offset:300'."),
    Option("scan.bounded.mode", BOUNDED_MODES, "Where reading ends; in batch mode 'latest-offset' when absent."),
    Option("scan.bounded.timestamp-millis", int, "End before the first event that is not older (mode 'timestamp')."),
    Option("scan.bounded.specific-offsets", str, "End offsets, exclusive: 'partition:0,offset:42;partition:1,offset:300'."),
    Option("properties.group.id", str, "Consumer group whose committed offsets mode 'group-offsets' uses."),
    Option("key.fields", str, "Key columns of a topic that is made for this table, separated by ';' (else the PRIMARY KEY)."),
    Option("topic.auto-create", bool, "Make the topic when it is written to and absent.", default=True),
    Option("topic.partitions", int, "Number of partitions of a topic that is made for this table.", default=1),
    Option("topic.config.*", str, "Setting of a topic that is made for this table, see `tableapi log create --help`."),
    Option("sink.delivery-guarantee", GUARANTEES, "What a failure may do to rows that were written.", default="at-least-once"),
    Option("sink.transactional-id-prefix", str, "Names the transactions of an exactly-once sink."),
)


@dataclass(frozen=True)
class _Reading:
    """What readers need to know; plain data."""

    path: str
    topic: str
    view: TopicSchema
    """The table's physical columns, as a schema that events are read through."""
    projection: Projection
    output: tuple[str, ...]
    casts: tuple[tuple[str, pl.DataType], ...]
    """Metadata columns that the table declares with another type."""


class FilelogConnector(Connector):
    """Tables on topics of an event log."""

    name = "filelog"
    options = OPTIONS

    def source(self, table: TableSpec, request: ScanRequest, is_streaming: bool) -> Source:
        options = read_options("connector 'filelog'", {**table.options, **request.options}, (*COMMON_OPTIONS, *OPTIONS))
        log = EventLog(options["path"])
        info = log.describe(options["topic"])
        _check_key(table, info)
        return FilelogSource(
            _reading(options, table, request, info),
            _mode(options, "startup"),
            _mode(options, "bounded", None if is_streaming else "latest-offset"),
            is_upsert=bool(table.primary_key),
        )

    def sink(self, table: TableSpec) -> Sink:
        options = read_options("connector 'filelog'", table.options, (*COMMON_OPTIONS, *OPTIONS))
        log = EventLog(options["path"])
        writing = _writing(options, table)
        if options["topic"] in log.topics():
            info = log.describe(options["topic"])
            _check_key(table, info)
            _check_columns(table.physical, info, options["topic"], writing=True)
        elif not options["topic.auto-create"]:
            log.describe(options["topic"])
        return FilelogSink(writing)


def _check_key(table: TableSpec, info: TopicInfo) -> None:
    if table.primary_key and set(table.primary_key) != set(info.schema.key):
        raise ValidationError(
            f"table '{table.identifier.name}' has PRIMARY KEY ({', '.join(table.primary_key)}), but the key of topic '{info.name}' "
            f"is ({', '.join(info.schema.key)})",
            fix="declare the topic's key as PRIMARY KEY, or none (an append-only table)",
        )


def _check_columns(columns: RowSchema, info: TopicInfo, topic: str, *, writing: bool) -> None:
    stored = info.schema.columns
    for column in columns:
        if column.name not in stored:
            raise UnknownNameError(
                f"topic '{topic}' has no column '{column.name}'",
                exists=f"columns: {stored}",
                fix=did_you_mean(column.name, stored.names) or "declare the topic's columns",
            )
        wide, narrow = (stored[column.name].type, column.type) if writing else (column.type, stored[column.name].type)
        if not widens(narrow.nullable(), wide.nullable()):
            raise TypeMismatchError(
                f"column '{column.name}' is {column.type} in the table, but {stored[column.name].type} in topic '{topic}'",
                fix=f"declare it as {stored[column.name].type}",
            )


def _reading(options: Mapping[str, Any], table: TableSpec, request: ScanRequest, info: TopicInfo) -> _Reading:
    _check_columns(table.physical, info, options["topic"], writing=False)
    wanted = table.produced.names if request.columns is None else list(request.columns)
    declared = {c.name: c for c in table.columns}
    physical, metadata, casts = [], [], []
    for name in wanted:
        column = declared[name]
        if column.kind is ColumnKind.METADATA:
            kind = column.metadata_key or name
            if kind not in _METADATA:
                raise UnknownNameError(
                    f"connector 'filelog' has no metadata '{kind}'",
                    exists=f"metadata: {', '.join(_METADATA)}",
                    fix=did_you_mean(kind, _METADATA),
                )
            assert column.type is not None
            metadata.append((name, _METADATA[kind]))
            if column.type.to_polars() != METADATA_TYPES[_METADATA[kind]]:
                casts.append((name, column.type.to_polars()))
        else:
            physical.append(name)
    nullable = tuple(Field(f.name, f.type) for f in table.physical)
    view = info.schema if nullable == info.schema.columns.fields else TopicSchema(RowSchema(nullable), version=-1)
    projection = Projection(tuple(physical), tuple(metadata))
    return _Reading(options["path"], options["topic"], view, projection, tuple(wanted), tuple(casts))


_METADATA = {
    "offset": "offset",
    "partition": "partition",
    "timestamp": "timestamp",
    "append-time": "append_time",
    "headers": "headers",
}


@dataclass(frozen=True)
class _Mode:
    """A startup or bounded mode with its arguments."""

    name: str
    timestamp_ms: int | None = None
    offsets: tuple[tuple[int, int], ...] = ()
    group: str | None = None

    def resolve(self, log: EventLog, topic: str, partition: int) -> int | None:
        """The offset that it means now; None for `unbounded`."""
        match self.name:
            case "unbounded":
                return None
            case "timestamp":
                assert self.timestamp_ms is not None
                return find_time(log.partition(topic, partition), lambda v: log.schema_of(topic, v), self.timestamp_ms)
            case "specific-offsets":
                return log.resolve(topic, dict(self.offsets), partition)
            case "group-offsets":
                from tableapi.connectors.filelog.groups import committed_offsets

                assert self.group is not None
                position: Start = committed_offsets(log, self.group, topic).get(partition, "earliest")
                return log.resolve(topic, position, partition)
        return log.resolve(topic, self.name.removesuffix("-offset"), partition)


def _mode(options: Mapping[str, Any], which: str, default: str | None = None) -> _Mode:
    key = f"scan.{which}.mode"
    name = options[key] or default or "unbounded"
    timestamp, offsets = options[f"scan.{which}.timestamp-millis"], options[f"scan.{which}.specific-offsets"]
    group = options["properties.group.id"]
    needed = {"timestamp": (timestamp, "timestamp-millis"), "specific-offsets": (offsets, "specific-offsets")}
    if name in needed and needed[name][0] is None:
        raise OptionError(f"'{key}' = '{name}' needs the option 'scan.{which}.{needed[name][1]}'")
    if name == "group-offsets" and group is None:
        raise OptionError(f"'{key}' = 'group-offsets' needs the option 'properties.group.id'")
    return _Mode(name, timestamp, _parse_offsets(f"scan.{which}.specific-offsets", offsets or ""), group)


def _parse_offsets(key: str, text: str) -> tuple[tuple[int, int], ...]:
    pairs = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        try:
            fields = dict(item.split(":") for item in part.split(","))
            pairs.append((int(fields["partition"]), int(fields["offset"])))
        except (ValueError, KeyError):
            raise OptionError(
                f"option '{key}' has a wrong value: '{part}'", fix="write 'partition:0,offset:42;partition:1,offset:300'"
            ) from None
    return tuple(pairs)


class FilelogSource(Source):
    """A topic as a table: a split per partition."""

    def __init__(self, reading: _Reading, start: _Mode, stop: _Mode, *, is_upsert: bool) -> None:
        self._reading, self._start, self._stop, self._is_upsert = reading, start, stop, is_upsert
        self.is_bounded = stop.name != "unbounded"
        if is_upsert:
            self.changelog = UPSERTS

    def splits(self) -> Sequence[Split]:
        reading = self._reading
        log = EventLog(reading.path)
        result = []
        for number in range(log.describe(reading.topic).partitions):
            start = self._start.resolve(log, reading.topic, number)
            stop = self._stop.resolve(log, reading.topic, number)
            result.append(Split(f"{reading.topic}-{number}", (number, start, stop)))
        return result

    def reader(self, split: Split, position: Any = None) -> SplitReader:
        number, start, stop = split.payload
        offset = start if position is None else position
        return FilelogSplitReader(self._reading, number, offset, stop, self._is_upsert)


_KIND = "__kind_of_row"


class FilelogSplitReader(SplitReader):
    """Reads one partition. Its position is the next offset."""

    def __init__(self, reading: _Reading, number: int, offset: int, stop: int | None, is_upsert: bool) -> None:
        self._reading, self._stop, self._is_upsert = reading, stop, is_upsert
        self._log = EventLog(reading.path)
        projection = reading.projection
        if is_upsert:
            projection = Projection(projection.columns, (*projection.metadata, (_KIND, "kind")))
        elif not projection.columns and not projection.metadata:
            projection = Projection((), (("__offset", "offset"),))
        partition = self._log.partition(reading.topic, number)
        self._reader = PartitionReader(
            partition, lambda v: self._log.schema_of(reading.topic, v), reading.view, projection, offset
        )
        self._reader.partition.tail()
        self._watcher = Watcher([partition.place.path("state")]) if stop is None else None

    def read(self, max_rows: int) -> ReadResult:
        if self._watcher is not None:
            self._watcher.drain()
        frame = self._reader.read(max_rows, self._stop)
        finished = self._stop is not None and self._reader.offset >= self._stop
        if frame is None:
            return ReadResult(None, self._reader.offset, finished=finished)
        kinds = None
        if self._is_upsert:
            stored = frame[_KIND]
            kinds = (stored == RowKind.DELETE).cast(pl.Int8) + int(RowKind.UPDATE_AFTER)
        if self._reading.casts:
            frame = frame.with_columns(pl.col(name).cast(dtype) for name, dtype in self._reading.casts)
        return ReadResult(frame.select(self._reading.output), self._reader.offset, kinds, finished)

    def fileno(self) -> int | None:
        return None if self._watcher is None else self._watcher.fileno()

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
        self._reader.close()
        self._log.close()


@dataclass(frozen=True)
class _Writing:
    """What writers need to know; plain data."""

    path: str
    topic: str
    schema: TopicSchema
    partitions: int
    columns: tuple[str, ...]
    """The persisted columns by the name that the log knows them by: columns of the topic, `timestamp` and `headers`."""
    auto_create: bool
    config: dict[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    guarantee: str = "at-least-once"
    transactional_prefix: str | None = None


_TIMESTAMP_COLUMN, _HEADERS_COLUMN = "__write_timestamp", "__write_headers"


def _writing(options: Mapping[str, Any], table: TableSpec) -> _Writing:
    key = tuple((options["key.fields"] or "").split(";")) if options["key.fields"] else table.primary_key
    event_time = table.watermark.column if table.watermark and table.watermark.column in table.physical else None
    if event_time and not isinstance(table.physical[event_time].type, AnyTimestampType):
        event_time = None
    names = []
    for name in table.persisted.names:
        column = next(c for c in table.columns if c.name == name)
        if column.kind is ColumnKind.PHYSICAL:
            names.append(name)
            continue
        known = {"timestamp": _TIMESTAMP_COLUMN, "headers": _HEADERS_COLUMN}
        metadata = column.metadata_key or name
        if metadata not in known:
            raise ValidationError(
                f"metadata column '{name}' ({metadata}) cannot be written",
                exists="writable: timestamp, headers",
                fix="declare it METADATA VIRTUAL",
            )
        names.append(known[metadata])
    prefix = "topic.config."
    config = {
        k.removeprefix(prefix): v for k, v in options.items() if k.startswith(prefix) and v is not None and k != prefix + "*"
    }
    if table.primary_key:
        config.setdefault("cleanup", "compact")
    schema = TopicSchema(RowSchema(tuple(Field(f.name, f.type) for f in table.physical)), key, event_time)
    guarantee = options["sink.delivery-guarantee"]
    if guarantee == "exactly-once" and not options["sink.transactional-id-prefix"]:
        raise OptionError(
            "'sink.delivery-guarantee' = 'exactly-once' needs the option 'sink.transactional-id-prefix'",
            fix="give a name that no other job uses and that this job keeps",
        )
    return _Writing(
        options["path"],
        options["topic"],
        schema,
        options["topic.partitions"],
        tuple(names),
        options["topic.auto-create"],
        config,
        table.primary_key,
        guarantee,
        options["sink.transactional-id-prefix"],
    )


class FilelogSink(Sink):
    """A topic that is written to."""

    def __init__(self, writing: _Writing) -> None:
        self._writing = writing
        self.key = writing.key
        if writing.key:
            self.accepts = UPSERTS
        self.guarantee = {"none": Guarantee.AT_MOST_ONCE, "exactly-once": Guarantee.EXACTLY_ONCE}.get(
            writing.guarantee, Guarantee.AT_LEAST_ONCE
        )

    def begin(self, overwrite: bool, static_partition: dict[str, Any]) -> None:
        if overwrite:
            raise UnsupportedError("a topic is append-only: INSERT OVERWRITE is not possible", fix="use INSERT INTO")
        _open_topic(self._writing)

    def writer(self, subtask: int, parallelism: int) -> SinkWriter:
        if self.guarantee is Guarantee.EXACTLY_ONCE:
            return TransactionalWriter(self._writing, subtask)
        return FilelogWriter(self._writing)


def _open_topic(writing: _Writing) -> EventLog:
    log = EventLog(writing.path)
    if writing.auto_create and writing.topic not in log.topics():
        log.create(writing.topic, writing.schema, partitions=writing.partitions, if_not_exists=True, **writing.config)
    return log


class FilelogWriter(SinkWriter):
    """Appends each batch as it comes: a row is in the log when `write` returns, and durable when `flush` does."""

    def __init__(self, writing: _Writing) -> None:
        self._writing = writing
        self._log = _open_topic(writing)

    def write(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        rows, arguments = split_metadata(frame, kinds, self._writing)
        self._log.append(self._writing.topic, rows, **arguments)

    def flush(self) -> None:
        self._log.sync(self._writing.topic)

    def close(self, success: bool = True) -> None:
        self._log.close()


class TransactionalWriter(SinkWriter):
    """Writes the rows between two checkpoints as one transaction."""

    def __init__(self, writing: _Writing, subtask: int) -> None:
        self._writing = writing
        self._log = _open_topic(writing)
        self._producer = TransactionalProducer(self._log, f"{writing.transactional_prefix}-{subtask}")
        self._is_open = False

    def write(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        if not self._is_open:
            self._producer.begin()
            self._is_open = True
        rows, arguments = split_metadata(frame, kinds, self._writing)
        self._producer.append(self._writing.topic, rows, **arguments)

    def prepare_commit(self, checkpoint_id: int) -> Any:
        if not self._is_open:
            return None
        self._is_open = False
        prepared = self._producer.prepare()
        return (prepared.transactional_id, prepared.epoch, prepared.number)

    def commit(self, committable: Any) -> None:
        commit_prepared(self._log, Prepared(*committable))

    def abort(self, committable: Any) -> None:
        abort_prepared(self._log, Prepared(*committable))

    def close(self, success: bool = True) -> None:
        if self._is_open:
            self._is_open = False
            if success:
                self._producer.commit()
            else:
                self._producer.abort()
        self._log.close()


def split_metadata(frame: pl.DataFrame, kinds: pl.Series | None, writing: _Writing) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The topic's columns, and the other arguments of an append."""
    frame = frame.rename(dict(zip(frame.columns, writing.columns, strict=True)))
    if kinds is not None:
        keep = kinds != RowKind.UPDATE_BEFORE
        frame, kinds = frame.filter(keep), kinds.filter(keep)
        kinds = (kinds == RowKind.DELETE).cast(pl.Int8) * int(RowKind.DELETE)
    arguments: dict[str, Any] = {"kinds": kinds}
    if _TIMESTAMP_COLUMN in frame.columns:
        arguments["timestamps"] = frame[_TIMESTAMP_COLUMN]
    if _HEADERS_COLUMN in frame.columns:
        arguments["headers"] = frame[_HEADERS_COLUMN]
    return frame.drop([c for c in (_TIMESTAMP_COLUMN, _HEADERS_COLUMN) if c in frame.columns]), arguments
