"""Reading a partition in order: from an offset on, zero-copy, only the columns that are wanted, never past the end of the log.

Imports connectors.filelog only.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tableapi.connectors.filelog import index as ix
from tableapi.connectors.filelog.errors import OffsetOutOfRangeError
from tableapi.connectors.filelog.frame import (
    DELTA,
    FLAG_SPARSE,
    FLAG_TIMESTAMPS,
    HEADERS,
    KIND,
    SEGMENT_HEADER_SIZE,
    TIMESTAMP,
    FrameHeader,
    decode,
)
from tableapi.connectors.filelog.partition import Partition
from tableapi.connectors.filelog.schema import TopicSchema, read_through
from tableapi.connectors.filelog.segment import Segment, checked_start, load_index, segment_bases
from tableapi.connectors.filelog.tail import Tail
from tableapi.errors import UnknownNameError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

METADATA = ("offset", "partition", "timestamp", "append_time", "headers", "kind")
"""Names of what is known of an event besides its columns."""

HEADERS_TYPE = pl.List(pl.Struct({"key": pl.String(), "value": pl.Binary()}))
TIME_TYPE = pl.Datetime("ms", "UTC")
METADATA_TYPES: dict[str, pl.DataType] = {
    "offset": pl.Int64(),
    "partition": pl.Int32(),
    "timestamp": TIME_TYPE,
    "append_time": TIME_TYPE,
    "headers": HEADERS_TYPE,
    "kind": pl.Int8(),
}


@dataclass(slots=True)
class _Piece:
    """Rows of one frame that are still to be handed over."""

    header: FrameHeader
    batch: pa.RecordBatch
    offsets: np.ndarray | None
    """Offsets of the rows, None when they follow each other."""
    first: int = 0
    end: int = 0


@dataclass(frozen=True)
class TimeWindow:
    """Event times that are wanted, ms, both ends included. Frames of which all events lie outside are passed over unread.

    `column`: the times are those of this column, which are the events' where they were not given times of their own.
    """

    lowest_ms: int | None = None
    highest_ms: int | None = None
    column: str | None = None

    def leaves_out(self, header: FrameHeader, event_time: str | None) -> bool:
        """Whether no event of a frame is wanted. `event_time`: the event-time column of the frame's schema."""
        if self.column is not None and (self.column != event_time or header.flags & FLAG_TIMESTAMPS):
            return False
        is_old = self.lowest_ms is not None and header.max_timestamp_ms < self.lowest_ms
        return is_old or (self.highest_ms is not None and header.min_timestamp_ms > self.highest_ms)


@dataclass(frozen=True)
class Projection:
    """What a reader hands over: columns of the topic's schema, then metadata under the given names."""

    columns: tuple[str, ...]
    metadata: tuple[tuple[str, str], ...] = ()
    """Pairs of output name and one of METADATA."""


def make_projection(
    schema: TopicSchema, columns: Sequence[str] | None, metadata: Sequence[str] | dict[str, str] = ()
) -> Projection:
    """A checked projection.

    Raises:
        UnknownNameError: a column or a piece of metadata that does not exist.
    """
    names = tuple(schema.columns.names) if columns is None else tuple(columns)
    for name in names:
        schema.columns[name]
    pairs = tuple(metadata.items()) if isinstance(metadata, dict) else tuple((m, m) for m in metadata)
    for _, kind in pairs:
        if kind not in METADATA:
            raise UnknownNameError(
                f"events have no metadata '{kind}'", exists=f"metadata: {', '.join(METADATA)}", fix=did_you_mean(kind, METADATA)
            )
    return Projection(names, pairs)


class PartitionReader:
    """Reads one partition from an offset on.

    Args:
        partition: The open partition.
        schemas: Gives the schema of a version.
        schema: The version through which events are read.
        projection: What is wanted.
        offset: The first one wanted.
        windows: Only rows with event times in all of these are needed.
    """

    def __init__(
        self,
        partition: Partition,
        schemas: Callable[[int], TopicSchema],
        schema: TopicSchema,
        projection: Projection,
        offset: int,
        windows: Sequence[TimeWindow] = (),
    ) -> None:
        self._windows = tuple(windows)
        self.partition, self.schema, self.projection = partition, schema, projection
        self.offset = offset
        """The offset of the next row."""
        self._schemas = schemas
        self._segment: Segment | None = None
        self._position = 0
        self._frame_offset = 0
        self._piece: _Piece | None = None
        self._hidden = _hidden_columns(projection)
        self._needs_time = TIMESTAMP in self._hidden

    def read(self, max_rows: int, stop_offset: int | None = None) -> pl.DataFrame | None:
        """Up to `max_rows` rows that are there now and lie before `stop_offset`; None when there are none.

        Raises:
            CorruptionError: damaged or missing data; it names file, position and offset.
            OffsetOutOfRangeError: retention has removed the wanted offset.
        """
        tail = self.partition.tail()
        stop = tail.next_offset if stop_offset is None else min(stop_offset, tail.next_offset)
        if self.offset > tail.next_offset:
            raise self._out_of_range(f"the log ends at {tail.next_offset}")
        pieces: list[_Piece] = []
        rows = 0
        while rows < max_rows and self.offset < stop:
            if self._piece is None and not self._load(tail):
                continue
            taken = self._take(max_rows - rows, stop)
            if taken is not None:
                pieces.append(taken)
                rows += taken.end - taken.first
        return self._assemble(pieces) if pieces else None

    def _take(self, limit: int, stop: int) -> _Piece | None:
        piece = self._piece
        assert piece is not None
        count = piece.header.count
        if piece.offsets is None:
            first = max(self.offset - piece.header.base_offset, 0)
            end = min(count, first + limit, stop - piece.header.base_offset)
        else:
            first = int(np.searchsorted(piece.offsets, self.offset))
            end = min(count, first + limit, int(np.searchsorted(piece.offsets, stop)))
        if end >= count:
            self._piece = None
            self.offset = max(self.offset, min(piece.header.end_offset, stop))
        elif piece.offsets is None:
            self.offset = piece.header.base_offset + end
        else:
            self.offset = min(int(piece.offsets[end]), stop)
        if first >= end:
            return None
        return _Piece(piece.header, piece.batch, piece.offsets, first, end)

    def _load(self, tail: Tail) -> bool:
        """Decodes the frame that holds the next offset; False when it had no rows or the reader moved on to another segment."""
        if self._segment is None:
            self._open(tail)
        segment = self._segment
        assert segment is not None
        limit = tail.end if segment.base == tail.active_base else segment.file.size()
        if self._position >= limit:
            self._next_segment(segment, tail, limit)
            return False
        header = segment.frame_header(self._position, limit, self._frame_offset)
        is_wanted = header.count and header.end_offset > self.offset and not self._is_outside(header)
        body = segment.body(header, self._position, limit) if is_wanted else None
        self._position += header.size
        self._frame_offset = header.end_offset
        if body is None:
            self.offset = max(self.offset, header.end_offset)
            return False
        schema = self._schemas(header.schema_version)
        wanted = (
            *self.projection.columns,
            *self._hidden,
            *([schema.event_time] if self._needs_time and schema.event_time else []),
        )
        batch = decode(body, header, schema, wanted)
        offsets = None
        if header.flags & FLAG_SPARSE:
            offsets = header.base_offset + batch.column(batch.schema.names.index(DELTA)).to_numpy().astype(np.int64)
        self._piece = _Piece(header, batch, offsets)
        return True

    def _is_outside(self, header: FrameHeader) -> bool:
        if not self._windows:
            return False
        event_time = self._schemas(header.schema_version).event_time
        return any(window.leaves_out(header, event_time) for window in self._windows)

    def _open(self, tail: Tail) -> None:
        """Opens the segment that holds the next offset and finds its frame."""
        storage, place = self.partition.storage, self.partition.place
        while True:
            bases = segment_bases(storage, place)
            found = bisect_right(bases, self.offset) - 1
            first = self.partition.start_offset()
            if self.offset < first:
                raise self._out_of_range(f"the log begins at {first}")
            if found < 0:
                raise place.corrupt("a segment is missing", place.segment(self.offset), 0, self.offset)
            try:
                file = storage.open(place.segment(bases[found]))
                break
            except FileNotFoundError:
                continue
        segment = Segment(file, place, bases[found])
        segment.header()
        limit = tail.end if segment.base == tail.active_base else file.size()
        start = checked_start(segment, ix.at_offset(load_index(storage, segment, limit), self.offset), limit)
        self._segment = segment
        self._position, self._frame_offset = start.position, start.offset
        while self._position < limit:
            header = segment.frame_header(self._position, limit, self._frame_offset)
            if header.end_offset > self.offset:
                break
            self._position, self._frame_offset = self._position + header.size, header.end_offset

    def _next_segment(self, segment: Segment, tail: Tail, limit: int) -> None:
        if segment.base == tail.active_base:
            raise segment.corrupt(f"the log should reach offset {tail.next_offset}", limit, self._frame_offset)
        expected = self._frame_offset
        segment.close()
        self._segment = None
        storage, place = self.partition.storage, self.partition.place
        try:
            file = storage.open(place.segment(expected))
        except FileNotFoundError:
            later = [b for b in segment_bases(storage, place) if b >= expected]
            if self.partition.start_offset() > expected:
                raise self._out_of_range(f"the log begins at {self.partition.start_offset()}") from None
            raise segment.corrupt(
                f"the segment that begins with offset {expected} is missing; the next is {later[0] if later else 'none'}",
                limit,
                expected,
            ) from None
        self._segment = Segment(file, place, expected)
        self._segment.header()
        self._position, self._frame_offset = SEGMENT_HEADER_SIZE, expected

    def _out_of_range(self, reason: str) -> OffsetOutOfRangeError:
        return OffsetOutOfRangeError(
            f"{self.partition.place}: offset {self.offset} is not in the log: {reason}", fix="start from 'earliest' or 'latest'"
        )

    def _assemble(self, pieces: Sequence[_Piece]) -> pl.DataFrame:
        groups: list[list[_Piece]] = []
        for piece in pieces:
            if groups and _alike(groups[-1][-1], piece):
                groups[-1].append(piece)
            else:
                groups.append([piece])
        frames = [self._assemble_alike(group) for group in groups]
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def _assemble_alike(self, pieces: Sequence[_Piece]) -> pl.DataFrame:
        import pyarrow as pa

        table = pa.Table.from_batches([p.batch.slice(p.first, p.end - p.first) for p in pieces])
        stored: pl.DataFrame = pl.from_arrow(table) if table.num_columns else pl.DataFrame()  # type: ignore[assignment]
        version = pieces[0].header.schema_version
        columns = self.projection.columns
        if not columns:
            frame = pl.DataFrame()
        elif version == self.schema.version:
            frame = stored.select(columns)
        else:
            frame = read_through(_with_height(stored, table.num_rows), self.schema, columns)
        extra = [self._metadata(kind, pieces, stored).alias(name) for name, kind in self.projection.metadata]
        return frame.with_columns(extra) if columns else pl.DataFrame(extra)

    def _metadata(self, kind: str, pieces: Sequence[_Piece], stored: pl.DataFrame) -> pl.Series:
        counts = [p.end - p.first for p in pieces]
        total = sum(counts)
        match kind:
            case "offset":
                return pl.Series(np.concatenate([_offsets(p) for p in pieces]), dtype=pl.Int64)
            case "partition":
                return _constant(self.partition.place.partition, total, pl.Int32())
            case "append_time":
                times = np.repeat(np.array([p.header.append_time_ms for p in pieces], dtype=np.int64), counts)
                return pl.Series(times).cast(TIME_TYPE)
            case "timestamp":
                return self._timestamps(pieces, counts, stored)
            case "headers":
                return stored[HEADERS] if HEADERS in stored.columns else _constant(None, total, HEADERS_TYPE)
            case _:
                return stored[KIND] if KIND in stored.columns else _constant(0, total, pl.Int8())

    def _timestamps(self, pieces: Sequence[_Piece], counts: Sequence[int], stored: pl.DataFrame) -> pl.Series:
        appended = pl.Series(np.repeat(np.array([p.header.append_time_ms for p in pieces], dtype=np.int64), counts))
        if TIMESTAMP in stored.columns:
            return stored[TIMESTAMP].fill_null(appended).cast(TIME_TYPE)
        event_time = self._schemas(pieces[0].header.schema_version).event_time
        if event_time in stored.columns:
            column = stored[event_time]
            return column.dt.epoch("ms").fill_null(appended).cast(TIME_TYPE)
        return appended.cast(TIME_TYPE)

    def close(self) -> None:
        """Closes the open segment."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        self._piece = None


def _hidden_columns(projection: Projection) -> tuple[str, ...]:
    wanted = {kind for _, kind in projection.metadata}
    hidden = [DELTA]
    if "kind" in wanted:
        hidden.append(KIND)
    if "headers" in wanted:
        hidden.append(HEADERS)
    if "timestamp" in wanted:
        hidden.append(TIMESTAMP)
    return tuple(hidden)


def _alike(a: _Piece, b: _Piece) -> bool:
    return a.header.schema_version == b.header.schema_version and a.batch.schema.equals(b.batch.schema)


def _offsets(piece: _Piece) -> np.ndarray:
    if piece.offsets is not None:
        return piece.offsets[piece.first : piece.end]
    base = piece.header.base_offset
    return np.arange(base + piece.first, base + piece.end, dtype=np.int64)


def _constant(value: Any, count: int, dtype: pl.DataType) -> pl.Series:
    return pl.Series([value], dtype=dtype).new_from_index(0, count)


def _with_height(frame: pl.DataFrame, height: int) -> pl.DataFrame:
    return frame if frame.width else pl.DataFrame({"__height": _constant(None, height, pl.Null())})


def find_time(partition: Partition, schemas: Callable[[int], TopicSchema], timestamp_ms: int) -> int:
    """The offset of the first event that is not older than `timestamp_ms`; the end of the log when there is none."""
    tail = partition.tail()
    storage, place = partition.storage, partition.place
    for base in segment_bases(storage, place):
        with contextlib.suppress(FileNotFoundError):
            segment = Segment(storage.open(place.segment(base)), place, base)
            found = _find_time_in(partition, segment, tail, schemas, timestamp_ms)
            segment.close()
            if found is not None:
                return found
    return tail.next_offset


def _find_time_in(
    partition: Partition, segment: Segment, tail: Tail, schemas: Callable[[int], TopicSchema], timestamp_ms: int
) -> int | None:
    limit = tail.end if segment.base == tail.active_base else segment.file.size()
    entries = load_index(partition.storage, segment, limit)
    if entries[-1].position == limit and entries[-1].max_timestamp_ms < timestamp_ms:
        return None
    start = checked_start(segment, ix.before_time(entries, timestamp_ms), limit)
    for position, header in segment.headers(start.position, limit, start.offset):
        if header.count and header.max_timestamp_ms >= timestamp_ms:
            found = _find_time_row(segment, header, position, limit, schemas(header.schema_version), timestamp_ms)
            if found is not None:
                return found
    return None


def _find_time_row(
    segment: Segment, header: FrameHeader, position: int, limit: int, schema: TopicSchema, timestamp_ms: int
) -> int | None:
    wanted = (
        [DELTA, TIMESTAMP] if header.flags & FLAG_TIMESTAMPS else [DELTA, *([schema.event_time] if schema.event_time else [])]
    )
    batch = decode(segment.body(header, position, limit), header, schema, wanted)
    frame: pl.DataFrame = pl.from_arrow(batch) if batch.num_columns else pl.DataFrame()  # type: ignore[assignment]
    row = 0
    times = [c for c in frame.columns if c != DELTA]
    if times:
        column = frame[times[0]]
        milliseconds = column if column.dtype == pl.Int64 else column.dt.epoch("ms")
        is_late_enough = (milliseconds >= timestamp_ms).fill_null(header.append_time_ms >= timestamp_ms)
        if not is_late_enough.any():
            return None
        row = int(is_late_enough.arg_max() or 0)
    return header.base_offset + (int(frame[DELTA][row]) if DELTA in frame.columns else row)
