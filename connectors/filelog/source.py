"""A topic as the source of a job: a split per partition.

Imports connectors.base and connectors.filelog only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tableapi.connectors.base import ReadResult, Source, Split, SplitReader
from tableapi.connectors.filelog.deadletter import put_aside
from tableapi.connectors.filelog.log import EventLog, Start
from tableapi.connectors.filelog.reader import PartitionReader, Projection, TimeWindow, find_time
from tableapi.connectors.filelog.schema import TopicSchema
from tableapi.connectors.filelog.values import VALUE, ValueFormat, decode_values
from tableapi.connectors.filelog.watch import Watcher
from tableapi.connectors.formats.base import TextDecoder
from tableapi.row import RowKind

UPSERTS = frozenset({RowKind.INSERT, RowKind.UPDATE_AFTER, RowKind.DELETE})


@dataclass(frozen=True)
class Reading:
    """What readers need to know; plain data."""

    path: str
    topic: str
    view: TopicSchema
    """The table's physical columns, as a schema that events are read through."""
    projection: Projection
    output: tuple[str, ...]
    casts: tuple[tuple[str, pl.DataType], ...]
    """Metadata columns that the table declares with another type."""
    keys: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Columns that are to hold the event's key, and the columns that it has."""
    decoded: tuple[ValueFormat, tuple[str, ...]] | None = None
    """Schema on read: the format of the column `value`, and the columns to decode from it."""
    offsets: tuple[int | None, int | None] = (None, None)
    """The least and the greatest offset that the query can use."""
    windows: tuple[TimeWindow, ...] = ()
    """The event times that it can use."""


@dataclass(frozen=True)
class Mode:
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


class FilelogSource(Source):
    """A topic as a table: a split per partition."""

    def __init__(self, reading: Reading, start: Mode, stop: Mode, *, is_upsert: bool) -> None:
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
            if start is not None and stop is not None:
                start, stop = self._narrowed(log, number, start, stop)
            result.append(Split(f"{reading.topic}-{number}", (number, start, stop)))
        return result

    def _narrowed(self, log: EventLog, number: int, start: int, stop: int) -> tuple[int, int]:
        """The part of a bounded split that the query can use: by offset, and by what is older than it asks for."""
        reading = self._reading
        low, high = reading.offsets
        lows = [low] if low is not None else []
        for window in reading.windows:
            if window.column is None and window.lowest_ms is not None:
                lows.append(
                    find_time(log.partition(reading.topic, number), lambda v: log.schema_of(reading.topic, v), window.lowest_ms)
                )
        stop = stop if high is None else max(start, min(stop, high + 1))
        return min(stop, max([start, *lows])), stop

    def reader(self, split: Split, position: Any = None) -> SplitReader:
        number, start, stop = split.payload
        offset = start if position is None else position
        return FilelogSplitReader(self._reading, number, offset, stop, self._is_upsert)


_KIND = "__kind_of_row"


class FilelogSplitReader(SplitReader):
    """Reads one partition. Its position is the next offset."""

    def __init__(self, reading: Reading, number: int, offset: int, stop: int | None, is_upsert: bool) -> None:
        self._reading, self._stop, self._is_upsert = reading, stop, is_upsert
        self._log = EventLog(reading.path)
        projection = reading.projection
        if is_upsert:
            projection = Projection(projection.columns, (*projection.metadata, (_KIND, "kind")))
        elif not projection.columns and not projection.metadata:
            projection = Projection((), (("__offset", "offset"),))
        partition = self._log.partition(reading.topic, number)
        self._reader = PartitionReader(
            partition, lambda v: self._log.schema_of(reading.topic, v), reading.view, projection, offset, reading.windows
        )
        self._reader.partition.tail()
        self._watcher = Watcher([partition.place.path("state")]) if stop is None else None
        self._decoder = reading.decoded[0].decoder(reading.decoded[1]) if reading.decoded else None

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
        for name, columns in self._reading.keys:
            key = pl.col(columns[0]) if len(columns) == 1 else pl.struct(columns)
            frame = frame.with_columns(key.alias(name))
        if self._reading.casts:
            frame = frame.with_columns(pl.col(name).cast(dtype) for name, dtype in self._reading.casts)
        if self._decoder is not None:
            frame, kinds = self._decode(frame, self._decoder)
        return ReadResult(frame.select(self._reading.output), self._reader.offset, kinds, finished)

    def _decode(self, frame: pl.DataFrame, decoder: TextDecoder) -> tuple[pl.DataFrame, pl.Series | None]:
        """The columns of the records in `value`, beside the metadata; what does not decode fails the job or is put aside."""
        assert self._reading.decoded is not None
        value_format = self._reading.decoded[0]
        values = frame[VALUE]
        decoded = decode_values(values, decoder, is_json="json" in value_format.name)
        place = str(self._reader.partition.place)
        first_offset = self._reader.offset - frame.height
        if decoded.bad and value_format.dead_letters is None:
            raise decoded.bad[0][1].error(value_format.name, f"{place}, offset", first_offset + decoded.bad[0][0])
        if decoded.bad and value_format.dead_letters is not None:
            records = [dataclasses.replace(record, offset=row) for row, record in decoded.bad]
            put_aside(self._log, value_format.dead_letters, records, place, first_offset)
        others = frame.select([n for n in frame.columns if n not in decoded.frame.columns and n != VALUE])
        kept = others if decoded.kept is None or others.width == 0 else others[decoded.kept]
        return decoded.frame.hstack(kept.get_columns()), decoded.kinds

    def fileno(self) -> int | None:
        return None if self._watcher is None else self._watcher.fileno()

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
        self._reader.close()
        self._log.close()
