"""A topic as the sink of a job: appended to as rows come, or in transactions that end with checkpoints.

Imports connectors.base and connectors.filelog only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tableapi.connectors.base import Guarantee, Sink, SinkWriter
from tableapi.connectors.filelog.log import EventLog
from tableapi.connectors.filelog.schema import TopicSchema
from tableapi.connectors.filelog.source import UPSERTS
from tableapi.connectors.filelog.transactions import Prepared, TransactionalProducer, abort_prepared, commit_prepared
from tableapi.connectors.filelog.values import ValueFormat, encode_values
from tableapi.errors import UnsupportedError
from tableapi.row import RowKind


@dataclass(frozen=True)
class Writing:
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
    value_format: ValueFormat | None = None
    """Schema on read: rows are written as records of this format into the column `value`."""


TIMESTAMP_COLUMN, HEADERS_COLUMN = "__write_timestamp", "__write_headers"


class FilelogSink(Sink):
    """A topic that is written to."""

    def __init__(self, writing: Writing) -> None:
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
        open_topic(self._writing)

    def writer(self, subtask: int, parallelism: int) -> SinkWriter:
        if self.guarantee is Guarantee.EXACTLY_ONCE:
            return TransactionalWriter(self._writing, subtask)
        return FilelogWriter(self._writing)


def open_topic(writing: Writing) -> EventLog:
    log = EventLog(writing.path)
    if writing.auto_create and writing.topic not in log.topics():
        log.create(writing.topic, writing.schema, partitions=writing.partitions, if_not_exists=True, **writing.config)
    return log


class FilelogWriter(SinkWriter):
    """Appends each batch as it comes: a row is in the log when `write` returns, and durable when `flush` does."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._log = open_topic(writing)

    def write(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        rows, arguments = split_metadata(frame, kinds, self._writing)
        self._log.append(self._writing.topic, rows, **arguments)

    def flush(self) -> None:
        self._log.sync(self._writing.topic)

    def close(self, success: bool = True) -> None:
        self._log.close()


class TransactionalWriter(SinkWriter):
    """Writes the rows between two checkpoints as one transaction."""

    def __init__(self, writing: Writing, subtask: int) -> None:
        self._writing = writing
        self._log = open_topic(writing)
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


def split_metadata(frame: pl.DataFrame, kinds: pl.Series | None, writing: Writing) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The topic's columns, and the other arguments of an append."""
    columns = [column.alias(name) for column, name in zip(frame.get_columns(), writing.columns, strict=True)]
    if kinds is not None:
        keep = kinds != RowKind.UPDATE_BEFORE
        if not keep.all():
            columns, kinds = [column.filter(keep) for column in columns], kinds.filter(keep)
        kinds = (kinds == RowKind.DELETE).cast(pl.Int8) * int(RowKind.DELETE)
    frame = pl.DataFrame(columns)
    arguments: dict[str, Any] = {"kinds": kinds}
    if TIMESTAMP_COLUMN in frame.columns:
        arguments["timestamps"] = frame[TIMESTAMP_COLUMN]
    if HEADERS_COLUMN in frame.columns:
        arguments["headers"] = frame[HEADERS_COLUMN]
    hidden = [c for c in (TIMESTAMP_COLUMN, HEADERS_COLUMN) if c in frame.columns]
    rows = frame.drop(hidden) if hidden else frame
    if writing.value_format is not None:
        values = encode_values(rows.select(writing.value_format.schema.names), None, writing.value_format.encoder())
        rows = rows.select(writing.schema.key).with_columns(values)
    return rows, arguments
