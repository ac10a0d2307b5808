"""Compaction: of each key only the newest event is kept. Offsets stay what they were.

Sealed segments are rewritten one by one beside the old file, which is then replaced by a rename; readers that have the old
one open read on in it. Imports connectors.filelog only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from tableapi.connectors.filelog import index as ix
from tableapi.connectors.filelog.errors import io_errors
from tableapi.connectors.filelog.frame import (
    DELTA,
    FLAG_SPARSE,
    NO_PRODUCER,
    SEGMENT_HEADER_SIZE,
    FrameHeader,
    decode,
    encode,
)
from tableapi.connectors.filelog.index import Entry
from tableapi.connectors.filelog.log import EventLog
from tableapi.connectors.filelog.partition import Partition
from tableapi.connectors.filelog.reader import PartitionReader, make_projection
from tableapi.connectors.filelog.retention import retain
from tableapi.connectors.filelog.schema import TopicSchema
from tableapi.connectors.filelog.segment import Segment, segment_bases
from tableapi.connectors.filelog.storage import File
from tableapi.row import RowKind

if TYPE_CHECKING:
    from tableapi.connectors.filelog.topic import TopicInfo


@dataclass(frozen=True)
class Cleaned:
    """What cleaning did to a partition."""

    partition: int
    segments_deleted: int
    rows_dropped: int
    bytes_freed: int


def clean(
    log: EventLog, topic: str, *, roll: bool = False, progress: Callable[[int, int], None] | None = None
) -> list[Cleaned]:
    """Applies retention and compaction to a topic now. (Retention is also applied whenever a segment is begun.)

    Args:
        roll: Begin new segments first, so that everything written so far takes part.
        progress: Called with the partitions done and their number.
    """
    info = log.describe(topic)
    results = []
    for number in range(info.partitions):
        partition = log.partition(topic, number)
        if roll:
            partition.roll()
        with log.storage.lock(partition.place.path("clean.lock")):
            dropped, freed = _compact(log, info, partition) if info.config.cleanup == "compact" else (0, 0)
            with partition.locked() as tail:
                deleted = retain(partition, tail)
        results.append(Cleaned(number, deleted, dropped, freed))
        if progress is not None:
            progress(number + 1, info.partitions)
    return results


def _compact(log: EventLog, info: TopicInfo, partition: Partition) -> tuple[int, int]:
    active = partition.tail().active_base
    sealed = [b for b in segment_bases(log.storage, partition.place) if b < active]
    if not sealed:
        return 0, 0
    kept = _kept_offsets(log, info, partition, sealed[0], active)
    dropped = freed = 0
    for base in sealed:
        rows, size = _rewrite(log, info, partition, base, kept)
        dropped, freed = dropped + rows, freed + size
    return dropped, freed


def _kept_offsets(log: EventLog, info: TopicInfo, partition: Partition, start: int, stop: int) -> pl.Series:
    """Offsets of the newest event of each key, without tombstones that have been seen for long enough."""
    projection = make_projection(info.schema, info.schema.key, ["offset", "kind", "append_time"])
    reader = PartitionReader(partition, lambda v: log.schema_of(info.name, v), info.schema, projection, start)
    newest: pl.DataFrame | None = None
    keys = list(info.schema.key)
    while reader.offset < stop:
        frame = reader.read(1_000_000, stop)
        if frame is None:
            continue
        newest = frame if newest is None else pl.concat([newest, frame])
        newest = newest.unique(keys, keep="last", maintain_order=True)
    reader.close()
    if newest is None:
        return pl.Series([], dtype=pl.Int64)
    ended = log.storage.now_ms() - info.config.delete_retention_ms
    is_spent = (pl.col("kind") == int(RowKind.DELETE)) & (pl.col("append_time").dt.epoch("ms") < ended)
    return newest.filter(~is_spent)["offset"].sort()


def _rewrite(log: EventLog, info: TopicInfo, partition: Partition, base: int, kept: pl.Series) -> tuple[int, int]:
    """Replaces a segment by one that has only the kept rows; rows dropped and bytes freed."""
    storage, place = log.storage, partition.place
    segment = Segment(storage.open(place.segment(base)), place, base)
    try:
        size = segment.file.size()
        rows = sum(h.count for _, h in segment.headers(SEGMENT_HEADER_SIZE, size, base))
        end = [h.end_offset for _, h in segment.headers(SEGMENT_HEADER_SIZE, size, base)]
        if not end or kept.is_between(base, end[-1] - 1).sum() == rows:
            return 0, 0
        temporary = f"{place.segment(base)}.cleaned"
        storage.remove(temporary)
        file = storage.open(temporary, create=True, writable=True)
        try:
            with io_errors(f"{place}: file {temporary}"):
                written, left = _write_kept(log, info, segment, size, kept, file)
                if partition.config.durable:
                    file.sync()
        finally:
            file.close()
        with partition.locked():
            if not storage.exists(place.segment(base)):
                storage.remove(temporary)
                return 0, 0
            storage.remove(place.index(base))
            storage.rename(temporary, place.segment(base))
            if partition.config.durable:
                storage.sync_directory(place.directory)
            rebuild_index(partition, base)
        return rows - left, size - written
    finally:
        segment.close()


def _write_kept(log: EventLog, info: TopicInfo, segment: Segment, size: int, kept: pl.Series, file: File) -> tuple[int, int]:
    position = file.pwrite([segment.header().pack()], 0)
    rows = 0
    gap: FrameHeader | None = None
    compression = None if info.config.compression == "none" else info.config.compression
    for header, frame in _survivors(log, info, segment, size, kept):
        if frame.height == 0:
            gap = dataclasses.replace(gap, span=gap.span + header.span) if gap else header
            continue
        if gap is not None:
            position += write_gap(file, position, gap, info.schema)
            gap = None
        batch = encode(frame, log.schema_of(info.name, header.schema_version), compression)
        again = dataclasses.replace(
            header,
            flags=batch.flags,
            padding=batch.padding,
            body_size=batch.body_size,
            body_crc=batch.body_crc,
            count=batch.count,
        )
        position += file.pwrite(batch.buffers(again), position)
        rows += batch.count
    if gap is not None:
        position += write_gap(file, position, gap, info.schema)
    return position, rows


def write_gap(file: File, position: int, header: FrameHeader, schema: TopicSchema) -> int:
    """Writes a frame without rows that stands for the offsets of `header`; its size."""
    batch = encode(pl.DataFrame(schema=schema.polars()), schema)
    gap = dataclasses.replace(
        header,
        flags=batch.flags,
        padding=batch.padding,
        schema_version=schema.version,
        body_size=batch.body_size,
        body_crc=batch.body_crc,
        count=0,
        producer_id=NO_PRODUCER,
        producer_epoch=0,
        base_sequence=0,
    )
    return file.pwrite(batch.buffers(gap), position)


def _survivors(
    log: EventLog, info: TopicInfo, segment: Segment, size: int, kept: pl.Series
) -> Iterator[tuple[FrameHeader, pl.DataFrame]]:
    """Every frame's header and the rows that are kept, with their offsets as deltas."""
    for position, header in segment.headers(SEGMENT_HEADER_SIZE, size, segment.base):
        if not header.count:
            yield header, pl.DataFrame()
            continue
        body = segment.body(header, position, size)
        frame: pl.DataFrame = pl.from_arrow(decode(body, header, log.schema_of(info.name, header.schema_version)))  # type: ignore[assignment]
        if header.flags & FLAG_SPARSE:
            deltas = frame[DELTA]
        else:
            deltas = pl.int_range(header.count, dtype=pl.UInt32, eager=True).alias(DELTA)
        is_kept = (deltas.cast(pl.Int64) + header.base_offset).is_in(kept.implode())
        yield header, frame.with_columns(deltas).filter(is_kept)


def rebuild_index(partition: Partition, base: int) -> None:
    """Writes the index of a sealed segment anew."""
    segment = Segment(partition.storage.open(partition.place.segment(base)), partition.place, base)
    try:
        places = list(segment.places(segment.file.size()))
        entries = ix.sparse(places[:-1])
        if not entries or entries[-1].position != places[-1].position:
            entries = [*entries, places[-1]] if entries else [Entry(base, SEGMENT_HEADER_SIZE, ix.NO_TIMESTAMP)]
        data = b"".join(map(ix.pack_entry, entries))
        partition.storage.write_file(partition.place.index(base), data, durable=False)
    finally:
        segment.close()
