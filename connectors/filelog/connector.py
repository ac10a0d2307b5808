"""The event log as tables: `'connector' = 'filelog'`. Checks a table's options and columns against its topic.

Without PRIMARY KEY a topic is an append-only table. With one it is an upsert table: the newest event of a key is its row, a
tombstone deletes it. Imports connectors.{base,options} and connectors.filelog only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tableapi.connectors.base import Connector, Option, ScanRequest, Sink, Source
from tableapi.connectors.filelog.log import EventLog
from tableapi.connectors.filelog.reader import METADATA_TYPES, Projection, TimeWindow
from tableapi.connectors.filelog.schema import TopicSchema, widens
from tableapi.connectors.filelog.sink import HEADERS_COLUMN, TIMESTAMP_COLUMN, FilelogSink, Writing
from tableapi.connectors.filelog.source import FilelogSource, Mode, Reading
from tableapi.connectors.filelog.topic import TopicInfo
from tableapi.connectors.filelog.values import VALUE, ValueFormat, make_value_format
from tableapi.connectors.options import COMMON_OPTIONS, read_options
from tableapi.errors import OptionError, TypeMismatchError, UnknownNameError, ValidationError, did_you_mean
from tableapi.tablespec import ColumnKind, Field, RowSchema, TableColumn, TableSpec
from tableapi.types import AnyTimestampType, BinaryStringType, CharacterType, DataTypes, LocalZonedTimestampType

STARTUP_MODES = ("earliest-offset", "latest-offset", "timestamp", "specific-offsets", "group-offsets")
BOUNDED_MODES = ("unbounded", "latest-offset", "timestamp", "specific-offsets", "group-offsets")
GUARANTEES = ("at-least-once", "exactly-once", "none")

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
    Option("value.format", str, "Schema on read: the topic's column `value` holds records of this format (json, csv)."),
    Option("value.*", str, "Option of that format: 'value.json.…'."),
    Option("bad-records.topic", str, "Topic of this log for records that `value.format` cannot decode, instead of failing."),
    Option("sink.delivery-guarantee", GUARANTEES, "What a failure may do to rows that were written.", default="at-least-once"),
    Option("sink.transactional-id-prefix", str, "Names the transactions of an exactly-once sink."),
)


class FilelogConnector(Connector):
    """Tables on topics of an event log."""

    name = "filelog"
    options = OPTIONS

    def source(self, table: TableSpec, request: ScanRequest, is_streaming: bool) -> Source:
        options = read_options("connector 'filelog'", {**table.options, **request.options}, (*COMMON_OPTIONS, *OPTIONS))
        log = EventLog(options["path"])
        info = log.describe(options["topic"])
        _check_key(table, info)
        reading = _reading(options, table, request, info, _value_format(options, table))
        if not table.primary_key:
            # Of upserts every one counts: the last of a key decides.
            reading = replace(reading, **_bounds(table, request, info))
        return FilelogSource(
            reading,
            _mode(options, "startup"),
            _mode(options, "bounded", None if is_streaming else "latest-offset"),
            is_upsert=bool(table.primary_key),
        )

    def sink(self, table: TableSpec) -> Sink:
        options = read_options("connector 'filelog'", table.options, (*COMMON_OPTIONS, *OPTIONS))
        log = EventLog(options["path"])
        writing = _writing(options, table, _value_format(options, table))
        if options["topic"] in log.topics():
            info = log.describe(options["topic"])
            _check_key(table, info)
            _check_columns(writing.schema.columns, info, options["topic"], writing=True)
        elif not options["topic.auto-create"]:
            log.describe(options["topic"])
        return FilelogSink(writing)


def _bounds(table: TableSpec, request: ScanRequest, info: TopicInfo) -> dict[str, Any]:
    """The offsets and event times that the query can use."""
    windows: list[TimeWindow] = []
    offsets: tuple[int | None, int | None] = (None, None)
    declared = {c.name: c for c in table.columns}
    for name, wanted in request.ranges.items():
        column = declared.get(name)
        if column is None:
            continue
        kind = _metadata_of(column) if column.kind is ColumnKind.METADATA else None
        if kind == "offset":
            offsets = (wanted.lowest, wanted.highest)
        elif kind == "timestamp" and isinstance(column.type, LocalZonedTimestampType) and column.type.precision >= 3:
            windows.append(TimeWindow(_milliseconds(wanted.lowest), _milliseconds(wanted.highest)))
        elif kind is None and name == info.schema.event_time:
            windows.append(TimeWindow(_milliseconds(wanted.lowest), _milliseconds(wanted.highest), name))
    return {"offsets": offsets, "windows": tuple(windows)}


def _milliseconds(moment: datetime | None) -> int | None:
    """Whole milliseconds since 1970; a wall-clock time counts as one of UTC, as in the log."""
    if moment is None:
        return None
    since = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (since - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _check_key(table: TableSpec, info: TopicInfo) -> None:
    if table.primary_key and set(table.primary_key) != set(info.schema.key):
        raise ValidationError(
            f"table '{table.identifier.name}' has PRIMARY KEY ({', '.join(table.primary_key)}), but topic '{info.name}' has the key "
            f"({', '.join(info.schema.key)})",
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


def _value_format(options: Mapping[str, Any], table: TableSpec) -> ValueFormat | None:
    """The format of the `value` column, when the table asks for schema on read."""
    if options["value.format"] is None:
        if options["bad-records.topic"] is not None:
            raise OptionError("'bad-records.topic' needs 'value.format'", fix="events with a registered schema always decode")
        return None
    if table.primary_key:
        raise OptionError(
            "a table with PRIMARY KEY cannot have a 'value.format'", fix="register the columns as the topic's schema"
        )
    return make_value_format(options["value.format"], table.physical, table.options, options["bad-records.topic"])


def _reading(
    options: Mapping[str, Any], table: TableSpec, request: ScanRequest, info: TopicInfo, value_format: ValueFormat | None
) -> Reading:
    wanted = table.produced.names if request.columns is None else list(request.columns)
    declared = {c.name: c for c in table.columns}
    physical = [n for n in wanted if declared[n].kind is not ColumnKind.METADATA]
    metadata, casts, keys = [], [], []
    for column in (declared[n] for n in wanted if n not in physical):
        kind = _metadata_of(column)
        assert column.type is not None
        if kind == "key":
            keys.append(column.name)
        else:
            metadata.append((column.name, kind))
        if kind == "key" or column.type.to_polars() != METADATA_TYPES[kind]:
            casts.append((column.name, column.type.to_polars()))
    if value_format is None:
        _check_columns(table.physical, info, options["topic"], writing=False)
        fields = tuple(Field(f.name, f.type) for f in table.physical)
    else:
        fields = (_value_column(info, options["topic"]),)
    stored = physical if value_format is None else [VALUE]
    extra = [k for k in info.schema.key if keys and k not in stored]
    fields += tuple(info.schema.columns[k] for k in extra if k not in RowSchema(fields))
    view = info.schema if fields == info.schema.columns.fields else TopicSchema(RowSchema(fields), version=-1)
    projection = Projection((*stored, *extra), tuple(metadata))
    decoded = None if value_format is None else (value_format, tuple(physical))
    key_columns = tuple((name, info.schema.key) for name in keys)
    return Reading(
        os.path.abspath(options["path"]), options["topic"], view, projection, tuple(wanted), tuple(casts), key_columns, decoded
    )


def _value_column(info: TopicInfo, topic: str) -> Field:
    if VALUE not in info.schema.columns:
        raise UnknownNameError(
            f"topic '{topic}' has no column '{VALUE}' for 'value.format'",
            exists=f"columns: {info.schema.columns}",
            fix="leave out 'value.format': the topic has a registered schema",
        )
    found = info.schema.columns[VALUE]
    if not isinstance(found.type, BinaryStringType | CharacterType):
        raise TypeMismatchError(f"column '{VALUE}' of topic '{topic}' is {found.type}, not BYTES or STRING")
    return found


def _metadata_of(column: TableColumn) -> str:
    kind = column.metadata_key or column.name
    if kind not in _METADATA:
        raise UnknownNameError(
            f"connector 'filelog' has no metadata '{kind}'",
            exists=f"metadata: {', '.join(_METADATA)}",
            fix=did_you_mean(kind, _METADATA),
        )
    return _METADATA[kind]


_METADATA = {
    "key": "key",
    "offset": "offset",
    "partition": "partition",
    "timestamp": "timestamp",
    "append-time": "append_time",
    "headers": "headers",
}


def _mode(options: Mapping[str, Any], which: str, default: str | None = None) -> Mode:
    key = f"scan.{which}.mode"
    name = options[key] or default or "unbounded"
    timestamp, offsets = options[f"scan.{which}.timestamp-millis"], options[f"scan.{which}.specific-offsets"]
    group = options["properties.group.id"]
    needed = {"timestamp": (timestamp, "timestamp-millis"), "specific-offsets": (offsets, "specific-offsets")}
    if name in needed and needed[name][0] is None:
        raise OptionError(f"'{key}' = '{name}' needs the option 'scan.{which}.{needed[name][1]}'")
    if name == "group-offsets" and group is None:
        raise OptionError(f"'{key}' = 'group-offsets' needs the option 'properties.group.id'")
    return Mode(name, timestamp, _parse_offsets(f"scan.{which}.specific-offsets", offsets or ""), group)


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


def _writing(options: Mapping[str, Any], table: TableSpec, value_format: ValueFormat | None) -> Writing:
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
        known = {"timestamp": TIMESTAMP_COLUMN, "headers": HEADERS_COLUMN}
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
    fields = tuple(Field(f.name, f.type) for f in table.physical)
    if value_format is not None:
        fields = (*(f for f in fields if f.name in key), Field(VALUE, DataTypes.BYTES()))
        event_time = event_time if event_time in key else None
    schema = TopicSchema(RowSchema(fields), key, event_time)
    guarantee = options["sink.delivery-guarantee"]
    if guarantee == "exactly-once" and not options["sink.transactional-id-prefix"]:
        raise OptionError(
            "'sink.delivery-guarantee' = 'exactly-once' needs the option 'sink.transactional-id-prefix'",
            fix="give a name that no other job uses and that this job keeps",
        )
    return Writing(
        os.path.abspath(options["path"]),
        options["topic"],
        schema,
        options["topic.partitions"],
        tuple(names),
        options["topic.auto-create"],
        config,
        table.primary_key,
        guarantee,
        options["sink.transactional-id-prefix"],
        value_format,
    )
