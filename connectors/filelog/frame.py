"""Frames: the unit that is written, checked and read. A header with checksums, and an Arrow IPC record batch.

The layout is specified in docs/filelog-format.md; this file is its only implementation. Imports
connectors.filelog.{crc,schema} only.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from tableapi.connectors.filelog.crc import crc32
from tableapi.connectors.filelog.schema import TopicSchema

if TYPE_CHECKING:
    import pyarrow as pa

MAGIC = b"EVLG"
SEGMENT_MAGIC = b"EVSG"
FORMAT_VERSION = 1
HEADER_SIZE = 128
SEGMENT_HEADER_SIZE = 64
ALIGNMENT = 64

FLAG_COMPRESSED = 1
FLAG_KINDS = 2
FLAG_TIMESTAMPS = 4
FLAG_HEADERS = 8
FLAG_SPARSE = 16
FLAG_TRANSACTIONAL = 32
HIDDEN_FLAGS = (FLAG_KINDS, FLAG_TIMESTAMPS, FLAG_HEADERS, FLAG_SPARSE)

KIND, TIMESTAMP, HEADERS, DELTA = "__kind", "__timestamp", "__headers", "__delta"
"""Hidden columns: row kind (Int8), event time (Int64, ms), headers (list of key and value), offset minus base offset
(UInt32)."""

NO_PRODUCER = -1

_HEADER = struct.Struct("<4sIBBHIQIIqqqIIqqqqq24x")
_SEGMENT = struct.Struct("<4sIHHI16sqq16x")
assert _HEADER.size == HEADER_SIZE
assert _SEGMENT.size == SEGMENT_HEADER_SIZE


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """The first bytes of every segment file."""

    topic_id: bytes
    partition: int
    base_offset: int
    created_ms: int

    def pack(self) -> bytes:
        """The 64 bytes."""
        body = _SEGMENT.pack(
            SEGMENT_MAGIC, 0, FORMAT_VERSION, 0, self.partition, self.topic_id, self.base_offset, self.created_ms
        )
        return body[:4] + struct.pack("<I", crc32(body[8:])) + body[8:]

    @staticmethod
    def unpack(data: bytes) -> SegmentHeader | None:
        """The header, or None when the bytes are not one."""
        if len(data) < SEGMENT_HEADER_SIZE:
            return None
        magic, crc, version, _, partition, topic_id, base_offset, created_ms = _SEGMENT.unpack_from(data)
        if magic != SEGMENT_MAGIC or version != FORMAT_VERSION or crc != crc32(bytes(data[8:SEGMENT_HEADER_SIZE])):
            return None
        return SegmentHeader(topic_id, partition, base_offset, created_ms)


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What is known of a frame without its body."""

    flags: int
    padding: int
    schema_version: int
    body_size: int
    body_crc: int
    count: int
    base_offset: int
    span: int
    """Offsets that the frame covers; more than `count` when compaction has dropped rows."""
    producer_id: int
    producer_epoch: int
    topic_tag: int
    base_sequence: int
    append_time_ms: int
    min_timestamp_ms: int
    max_timestamp_ms: int
    synced_position: int
    """Up to where the segment was on stable storage when this frame was written."""

    @property
    def size(self) -> int:
        """Bytes that the frame takes in its segment."""
        return _aligned(HEADER_SIZE + self.padding + self.body_size)

    @property
    def end_offset(self) -> int:
        """The offset after the frame."""
        return self.base_offset + self.span

    def pack(self) -> bytes:
        """The 128 bytes."""
        data = _HEADER.pack(
            MAGIC,
            0,
            FORMAT_VERSION,
            self.flags,
            self.padding,
            self.schema_version,
            self.body_size,
            self.body_crc,
            self.count,
            self.base_offset,
            self.span,
            self.producer_id,
            self.producer_epoch,
            self.topic_tag,
            self.base_sequence,
            self.append_time_ms,
            self.min_timestamp_ms,
            self.max_timestamp_ms,
            self.synced_position,
        )
        return data[:4] + struct.pack("<I", crc32(data[8:])) + data[8:]

    @staticmethod
    def unpack(data: Any, at: int = 0) -> FrameHeader | None:
        """The header that begins at `at`, or None when the bytes there are not one."""
        if len(data) - at < HEADER_SIZE:
            return None
        magic, crc, version, *fields = _HEADER.unpack_from(data, at)
        if magic != MAGIC or version != FORMAT_VERSION or crc != crc32(data[at + 8 : at + HEADER_SIZE]):
            return None
        return FrameHeader(*fields)


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """A body that is ready to be written; offsets, producer and append time are added when it is appended."""

    body: tuple[Any, ...]
    """Buffers that make the body when written one after the other; most are the columns' own memory."""
    body_size: int
    body_crc: int
    padding: int
    flags: int
    schema_version: int
    count: int
    min_timestamp_ms: int | None
    max_timestamp_ms: int | None

    @property
    def size(self) -> int:
        """Bytes that the frame will take."""
        return _aligned(HEADER_SIZE + self.padding + self.body_size)

    def header(
        self,
        base_offset: int,
        now_ms: int,
        topic_tag: int,
        synced_position: int,
        producer: tuple[int, int, int] = (NO_PRODUCER, 0, 0),
        span: int | None = None,
    ) -> FrameHeader:
        """The header for this body at an offset; `producer` is id, epoch and first sequence number."""
        return FrameHeader(
            self.flags,
            self.padding,
            self.schema_version,
            self.body_size,
            self.body_crc,
            self.count,
            base_offset,
            self.count if span is None else span,
            producer[0],
            producer[1],
            topic_tag,
            producer[2],
            now_ms,
            now_ms if self.min_timestamp_ms is None else self.min_timestamp_ms,
            now_ms if self.max_timestamp_ms is None else self.max_timestamp_ms,
            synced_position,
        )

    def buffers(self, header: FrameHeader) -> list[Any]:
        """What is written to the segment, one after the other."""
        tail = self.size - HEADER_SIZE - self.padding - self.body_size
        return [header.pack() + bytes(self.padding), *self.body, bytes(tail)]


UNKNOWN_TIME = -(2**63)
"""In a staged frame: the event time is the time of appending, which is not known yet."""


def staged_header(batch: EncodedBatch, topic_tag: int) -> FrameHeader:
    """The header of a frame that waits outside the log for its transaction."""
    low = UNKNOWN_TIME if batch.min_timestamp_ms is None else batch.min_timestamp_ms
    high = UNKNOWN_TIME if batch.max_timestamp_ms is None else batch.max_timestamp_ms
    return dataclasses.replace(batch.header(0, 0, topic_tag, 0), min_timestamp_ms=low, max_timestamp_ms=high)


def from_staged(header: FrameHeader, body: Any) -> EncodedBatch:
    """The batch of a staged frame."""
    low = None if header.min_timestamp_ms == UNKNOWN_TIME else header.min_timestamp_ms
    high = None if header.max_timestamp_ms == UNKNOWN_TIME else header.max_timestamp_ms
    size, crc = header.body_size, header.body_crc
    return EncodedBatch((body,), size, crc, header.padding, header.flags, header.schema_version, header.count, low, high)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def arrow_schema(schema: TopicSchema, flags: int) -> pa.Schema:
    """The Arrow schema of bodies with these flags: hidden columns first, then the schema's."""
    return _arrow_schema(schema, flags & ~(FLAG_COMPRESSED | FLAG_TRANSACTIONAL))


@lru_cache(maxsize=256)
def _arrow_schema(schema: TopicSchema, flags: int) -> pa.Schema:
    import pyarrow as pa

    hidden = {
        FLAG_KINDS: pa.field(KIND, pa.int8()),
        FLAG_TIMESTAMPS: pa.field(TIMESTAMP, pa.int64()),
        FLAG_HEADERS: pa.field(HEADERS, pa.list_(pa.struct([pa.field("key", pa.string()), pa.field("value", pa.binary())]))),
        FLAG_SPARSE: pa.field(DELTA, pa.uint32()),
    }
    fields = [hidden[f] for f in HIDDEN_FLAGS if flags & f]
    fields.extend(pa.field(name, stored_type(dtype)) for name, dtype in schema.polars().items())
    return pa.schema(fields)


def stored_type(dtype: pl.DataType) -> pa.DataType:
    """The Arrow type on disk of a Polars type: 32-bit offsets for text, bytes and lists."""
    import pyarrow as pa

    if dtype == pl.String:
        return pa.string()
    if dtype == pl.Binary:
        return pa.binary()
    if isinstance(dtype, pl.List):
        return pa.list_(stored_type(dtype.inner))  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        return pa.struct([pa.field(f.name, stored_type(f.dtype)) for f in dtype.fields])  # type: ignore[arg-type]
    return pl.Series([], dtype=dtype).to_arrow().type


def encode(frame: pl.DataFrame, schema: TopicSchema, compression: str | None = None) -> EncodedBatch:
    """The body of one frame.

    Args:
        frame: The schema's columns in their types, and hidden columns before them.
        schema: The version that is written.
        compression: None, `lz4` or `zstd`.
    """
    flags = _flags_of(frame.columns)
    target = arrow_schema(schema, flags)
    if frame.columns != target.names:
        frame = frame.select(target.names)
    table = frame.to_arrow().cast(target)
    batches = table.combine_chunks().to_batches() if frame.height else []
    batch = batches[0] if batches else _empty(target)
    low, high = _time_range(frame, schema)
    if compression:
        flags |= FLAG_COMPRESSED
        body: tuple[Any, ...] = (_compressed(batch, compression),)
        padding = 0
    else:
        body, metadata_size = _message(batch)
        padding = -(HEADER_SIZE + metadata_size) % ALIGNMENT
    crc = 0
    for part in body:
        crc = crc32(part, crc)
    size = sum(len(part) for part in body)
    return EncodedBatch(body, size, crc, padding, flags, schema.version, frame.height, low, high)


class _Parts:
    """A file for Arrow that keeps what is written to it, without copying columns."""

    closed = False

    def __init__(self) -> None:
        self.parts: list[Any] = []

    def write(self, data: Any) -> int:
        self.parts.append(data)
        return len(data)

    def flush(self) -> None:
        return

    def writable(self) -> bool:
        return True


_WORTH_GATHERING_BYTES = 64 * 1024
_MAX_PARTS = 256


def _message(batch: pa.RecordBatch) -> tuple[tuple[Any, ...], int]:
    """The IPC message of a batch, as buffers, and the size of what comes before its columns."""
    import pyarrow as pa

    if batch.nbytes >= _WORTH_GATHERING_BYTES:
        file = _Parts()
        writer = pa.ipc.new_stream(pa.PythonFile(file, mode="w"), batch.schema)
        # The schema comes with the first batch; an empty one takes it out of the way.
        writer.write_batch(batch.slice(0, 0))
        file.parts.clear()
        writer.write_batch(batch)
        if len(file.parts) <= _MAX_PARTS:
            start = b"".join(bytes(part) for part in file.parts[:3])
            return tuple(file.parts), 8 + int.from_bytes(start[4:8], "little")
    body = batch.serialize()
    return (body,), 8 + int.from_bytes(memoryview(body)[4:8], "little")


def _flags_of(columns: Sequence[str]) -> int:
    known = dict(zip((KIND, TIMESTAMP, HEADERS, DELTA), HIDDEN_FLAGS, strict=True))
    return sum(known[c] for c in columns if c in known)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema=schema)


def _compressed(batch: pa.RecordBatch, compression: str) -> pa.Buffer:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _time_range(frame: pl.DataFrame, schema: TopicSchema) -> tuple[int | None, int | None]:
    if TIMESTAMP in frame.columns:
        times = frame[TIMESTAMP]
        return times.min(), times.max()  # type: ignore[return-value]
    if schema.event_time is None:
        return None, None
    column = frame[schema.event_time]
    per_ms = {"ms": 1, "us": 1_000, "ns": 1_000_000}[column.dtype.time_unit]  # type: ignore[attr-defined]
    physical = column.to_physical()
    low: Any = physical.min()
    high: Any = physical.max()
    return (None, None) if low is None else (low // per_ms, high // per_ms)


def decode(body: Any, header: FrameHeader, schema: TopicSchema, columns: Sequence[str] | None = None) -> pa.RecordBatch:
    """The rows of a body, as columns that point into it where it is not compressed.

    Args:
        body: The checked bytes.
        header: Its header.
        schema: The version that it was written with.
        columns: Those wanted, hidden ones too (None: all). Names that the frame does not have are left out.
    """
    import pyarrow as pa

    stored = arrow_schema(schema, header.flags)
    wanted = [n for n in stored.names if columns is None or n in columns]
    if not header.flags & FLAG_COMPRESSED:
        batch = pa.ipc.read_record_batch(pa.py_buffer(body), stored)
        return batch if len(wanted) == len(stored.names) else batch.select(wanted)
    if not wanted:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * header.count, pa.struct([])))
    options = pa.ipc.IpcReadOptions(included_fields=[stored.names.index(n) for n in wanted])
    with pa.ipc.open_stream(pa.py_buffer(body), options=options) as reader:
        return reader.read_next_batch()
