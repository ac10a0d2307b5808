"""Deleting old segments as a topic's settings say. Imports connectors.filelog only."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tableapi.connectors.filelog import index as ix
from tableapi.connectors.filelog.errors import io_errors
from tableapi.connectors.filelog.segment import Segment, load_index, segment_bases
from tableapi.connectors.filelog.tail import Tail

if TYPE_CHECKING:
    from tableapi.connectors.filelog.partition import Partition


def retain(partition: Partition, tail: Tail) -> int:
    """Deletes the oldest sealed segments that are too old or too much; under the partition's lock.

    Returns:
        How many were deleted.
    """
    config, storage, place = partition.config, partition.storage, partition.place
    if config.retention_ms <= 0 and config.retention_bytes <= 0:
        return 0
    bases = segment_bases(storage, place)
    sizes = {base: _size(partition, base) for base in bases}
    total = sum(sizes.values())
    deleted = 0
    for base, following in pairwise(bases):
        if base >= tail.active_base:
            break
        too_much = 0 < config.retention_bytes < total
        if not too_much and not (
            config.retention_ms > 0 and newest_event_ms(partition, base) < storage.now_ms() - config.retention_ms
        ):
            break
        drop_segment(partition, base, following)
        total -= sizes[base]
        deleted += 1
    return deleted


def drop_segment(partition: Partition, base: int, following: int) -> None:
    """Deletes the first segment. The new start is written before, so that a hole is never taken for it."""
    storage, place = partition.storage, partition.place
    with io_errors(f"{place}: deleting segment {base}"):
        storage.write_file(place.path("start"), str(following).encode(), durable=partition.config.durable)
        for path in (place.segment(base), place.index(base), place.producers(base)):
            storage.remove(path)


def newest_event_ms(partition: Partition, base: int) -> int:
    """The time of the newest event of a sealed segment; by its appending when it has none of its own."""
    segment = Segment(partition.storage.open(partition.place.segment(base)), partition.place, base)
    try:
        limit = segment.file.size()
        last = load_index(partition.storage, segment, limit)[-1]
        newest = last.max_timestamp_ms
        for _, header in segment.headers(last.position, limit, last.offset):
            newest = max(newest, header.max_timestamp_ms)
        return newest if newest != ix.NO_TIMESTAMP else 0
    finally:
        segment.close()


def _size(partition: Partition, base: int) -> int:
    file = partition.storage.open(partition.place.segment(base))
    try:
        return file.size()
    finally:
        file.close()
