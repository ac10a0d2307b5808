"""Finding the end of a partition's log when its state page is not to be believed: after a crash of the machine, a copy, or
damage.

Only a torn tail is cut: bytes after the last whole frame that nothing proves to have been on stable storage. A hole in synced
data is an error. Runs under the partition's lock. Imports connectors.filelog only.
"""

from __future__ import annotations

from tableapi.connectors.filelog.crc import crc32
from tableapi.connectors.filelog.frame import (
    ALIGNMENT,
    HEADER_SIZE,
    MAGIC,
    NO_PRODUCER,
    SEGMENT_HEADER_SIZE,
    FrameHeader,
    SegmentHeader,
)
from tableapi.connectors.filelog.segment import Place, Segment, segment_bases
from tableapi.connectors.filelog.storage import Storage
from tableapi.connectors.filelog.tail import HAS_PRODUCERS, POISONED, Tail

_SCAN_BYTES = 1024 * 1024


def create_segment(storage: Storage, place: Place, base: int, *, durable: bool) -> int:
    """Makes an empty segment; its creation time. What an attempt that failed has left is removed: after a failed fsync a file
    is done for."""
    now_ms = storage.now_ms()
    storage.remove(place.segment(base))
    file = storage.open(place.segment(base), create=True, writable=True)
    try:
        file.pwrite([SegmentHeader(place.topic_id, place.partition, base, now_ms).pack()], 0)
        if durable:
            file.sync()
    finally:
        file.close()
    if durable:
        storage.sync_directory(place.directory)
    return now_ms


def recover(storage: Storage, place: Place, start_offset: int, *, durable: bool) -> Tail:
    """Checks the last segment, cuts a torn tail, and says where the log ends.

    Args:
        start_offset: Where the log begins when it has no segment.
        durable: Whether the result must survive a crash of the machine before anything is appended.

    Raises:
        CorruptionError: synced data is damaged.
    """
    bases = segment_bases(storage, place)
    while bases:
        tail = _recover_segment(storage, place, bases[-1], len(bases) == 1, durable=durable)
        if tail is not None:
            return tail
        bases.pop()
    created_ms = create_segment(storage, place, start_offset, durable=durable)
    synced = SEGMENT_HEADER_SIZE if durable else 0
    return Tail(
        1, start_offset, SEGMENT_HEADER_SIZE, start_offset, synced, created_ms, 0, created_ms, _producer_flag(storage, place)
    )


def _recover_segment(storage: Storage, place: Place, base: int, is_first: bool, *, durable: bool) -> Tail | None:
    file = storage.open(place.segment(base), writable=True)
    segment = Segment(file, place, base)
    try:
        size = file.size()
        raw = file.pread(SEGMENT_HEADER_SIZE, 0)
        if SegmentHeader.unpack(raw) is None:
            evidence = find_synced_evidence(segment, 0, size, base)
            if evidence is not None or size > SEGMENT_HEADER_SIZE:
                segment.header()
            storage.remove(place.segment(base))
            if durable:
                storage.sync_directory(place.directory)
            return None
        created_ms = segment.header().created_ms
        end, offset, append_ms, producers = _last_whole_frame(segment, size)
        if end < size:
            evidence = find_synced_evidence(segment, end, size, offset)
            if evidence is not None:
                raise segment.corrupt(f"a frame is damaged, but offset {evidence} after it is whole", end, offset)
            file.truncate(end)
        flags = HAS_PRODUCERS if producers else _producer_flag(storage, place)
        if durable:
            try:
                file.sync()
            except OSError:
                return Tail(1, base, end, offset, 0, storage.now_ms(), append_ms, created_ms, flags | POISONED)
        return Tail(1, base, end, offset, end if durable else 0, storage.now_ms(), append_ms, created_ms, flags)
    finally:
        segment.close()


def _producer_flag(storage: Storage, place: Place) -> int:
    return HAS_PRODUCERS if any(n.endswith(".producers") for n in storage.list(place.directory)) else 0


def _last_whole_frame(segment: Segment, size: int) -> tuple[int, int, int, bool]:
    position, offset, append_ms, producers = SEGMENT_HEADER_SIZE, segment.base, 0, False
    while True:
        header = valid_frame(segment, position, size)
        if header is None:
            return position, offset, append_ms, producers
        if header.base_offset != offset:
            raise segment.corrupt(f"offset {header.base_offset} stands where {offset} should be", position, offset)
        producers = producers or header.producer_id != NO_PRODUCER
        position, offset, append_ms = position + header.size, header.end_offset, header.append_time_ms


def valid_frame(segment: Segment, position: int, size: int) -> FrameHeader | None:
    """The header of a whole, undamaged frame of this partition at `position`, or None."""
    header = FrameHeader.unpack(segment.file.pread(HEADER_SIZE, position))
    if header is None or header.topic_tag != segment.place.tag or position + header.size > size:
        return None
    body = segment.file.pread(header.body_size, position + HEADER_SIZE + header.padding)
    return header if crc32(body) == header.body_crc else None


def find_frame(segment: Segment, position: int, size: int, at_least: int) -> tuple[int, FrameHeader] | None:
    """The first whole frame after `position` whose offset is at least `at_least`."""
    position = -(-position // ALIGNMENT) * ALIGNMENT
    while position < size:
        chunk = segment.file.pread(_SCAN_BYTES, position)
        found = chunk.find(MAGIC)
        while found >= 0:
            at = position + found
            header = valid_frame(segment, at, size) if at % ALIGNMENT == 0 else None
            if header is not None and header.base_offset >= at_least:
                return at, header
            found = chunk.find(MAGIC, found + 1)
        position += _SCAN_BYTES
    return None


def find_synced_evidence(segment: Segment, position: int, size: int, offset: int) -> int | None:
    """The offset of a whole frame after `position` that was written when the bytes at `position` were already synced; None if
    none."""
    at = position + 1
    while True:
        found = find_frame(segment, at, size, offset)
        if found is None:
            return None
        at, header = found
        if header.synced_position > position:
            return header.base_offset
        at += header.size
