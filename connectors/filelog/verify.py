"""Checking every byte of a topic, and repairing it: damaged frames become gaps, and it is said which offsets are lost.

Imports connectors.filelog only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from tableapi.connectors.filelog.compaction import rebuild_index, write_gap
from tableapi.connectors.filelog.errors import io_errors
from tableapi.connectors.filelog.frame import (
    NO_PRODUCER,
    SEGMENT_HEADER_SIZE,
    FrameHeader,
    SegmentHeader,
    decode,
)
from tableapi.connectors.filelog.log import EventLog
from tableapi.connectors.filelog.partition import Partition
from tableapi.connectors.filelog.recovery import create_segment, find_frame, valid_frame
from tableapi.connectors.filelog.schema import TopicSchema
from tableapi.connectors.filelog.segment import SUFFIX, Segment, segment_bases
from tableapi.errors import CorruptionError, TableApiError


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a partition.

    Args:
        partition: Its number.
        file: The file.
        position: The place in it.
        what: What is wrong.
        first_lost: First offset that cannot be read because of it; None when none is lost.
        end_lost: The offset after the last one that cannot be read.
    """

    partition: int
    file: str
    position: int
    what: str
    first_lost: int | None = None
    end_lost: int | None = None

    def __str__(self) -> str:
        lost = ""
        if self.first_lost is not None:
            lost = (
                f"; lost: offsets {self.first_lost} to {self.end_lost - 1}"
                if self.end_lost
                else f"; lost: from {self.first_lost} on"
            )
        return f"partition {self.partition}: {self.what} ({self.file}, position {self.position}){lost}"


@dataclass(frozen=True)
class Verified:
    """The result of checking a partition."""

    partition: int
    segments: int
    frames: int
    rows: int
    size_bytes: int
    problems: tuple[Problem, ...]


def verify(log: EventLog, topic: str, *, progress: Callable[[int, int], None] | None = None) -> list[Verified]:
    """Reads and checks everything that a topic holds; changes nothing.

    Args:
        progress: Called with the bytes checked and all bytes.
    """
    info = log.describe(topic)
    total = _total_bytes(log, topic)
    checked = 0
    results = []
    for number in range(info.partitions):
        walk = _Walk(log, Partition(log.storage, info.place(log.path, number), info.config))
        results.append(walk.run())
        checked += results[-1].size_bytes
        if progress is not None:
            progress(checked, total)
    return results


def _total_bytes(log: EventLog, topic: str) -> int:
    info = log.topic(topic)
    total = 0
    for number in range(info.partitions):
        place = info.place(log.path, number)
        for base in segment_bases(log.storage, place):
            file = log.storage.open(place.segment(base))
            total += file.size()
            file.close()
    return total


class _Walk:
    """Goes through one partition from its first segment to its last."""

    def __init__(self, log: EventLog, partition: Partition) -> None:
        self._log, self._partition = log, partition
        self._place, self._storage = partition.place, log.storage
        self._problems: list[Problem] = []
        self._frames = self._rows = self._bytes = 0
        page = partition.peek()
        self._end = None if page is None else page.next_offset
        self._active = None if page is None else (page.active_base, page.end)
        if page is not None and page.poisoned:
            path = self._place.segment(page.active_base)
            self._note(path, page.synced, "an fsync failed; nothing can be appended until it is repaired")

    def _note(self, file: str, position: int, what: str, first: int | None = None, end: int | None = None) -> None:
        self._problems.append(Problem(self._place.partition, file, position, what, first, end))

    def run(self) -> Verified:
        """Checks the partition."""
        bases = segment_bases(self._storage, self._place)
        offset = self._partition.start_offset()
        for at, base in enumerate(bases):
            following = bases[at + 1] if at + 1 < len(bases) else self._end
            if base < offset:
                self._note(self._place.segment(base), 0, f"the segment overlaps what is before it (up to offset {offset})")
                continue
            if base > offset:
                self._note(self._place.segment(offset), 0, "a segment is missing", offset, base)
            offset = self._segment(base, following, is_last=at == len(bases) - 1)
        if self._end is not None and offset < self._end:
            self._note(self._place.segment(offset), 0, "the end of the log is missing", offset, self._end)
        for name in self._storage.list(self._place.directory):
            if name.endswith(SUFFIX) and not (len(name) == 24 and name[:20].isdigit()):
                self._note(self._place.path(name), 0, "no such segment was written here; the file is ignored")
        return Verified(self._place.partition, len(bases), self._frames, self._rows, self._bytes, tuple(self._problems))

    def _segment(self, base: int, following: int | None, *, is_last: bool) -> int:
        segment = Segment(self._storage.open(self._place.segment(base)), self._place, base)
        try:
            size = segment.file.size()
            if self._active is not None and self._active[0] == base:
                size = min(size, self._active[1])
            self._bytes += size
            try:
                segment.header()
            except CorruptionError as error:
                self._note(segment.file.path, 0, error.what)
            return self._check_frames(segment, size, following, is_last=is_last)
        finally:
            segment.close()

    def _check_frames(self, segment: Segment, size: int, following: int | None, *, is_last: bool) -> int:
        position, offset = SEGMENT_HEADER_SIZE, segment.base
        while position < size:
            reason = self._check_frame(segment, position, size, offset)
            if isinstance(reason, FrameHeader):
                position, offset = position + reason.size, reason.end_offset
                continue
            found = find_frame(segment, position + 1, size, offset)
            if found is None and is_last and following is None:
                self._note(segment.file.path, position, f"{reason}; it is the end of the log and will be cut", offset)
                return offset
            end = following if found is None else found[1].base_offset
            self._note(segment.file.path, position, reason, offset, end)
            if found is None:
                return end if end is not None else offset
            position, offset = found[0], found[1].base_offset
        if following is not None and not is_last and offset < following:
            self._note(segment.file.path, position, "the end of the segment is missing", offset, following)
            return following
        return offset

    def _check_frame(self, segment: Segment, position: int, size: int, offset: int) -> FrameHeader | str:
        try:
            header = segment.frame_header(position, size, offset)
            body = segment.body(header, position, size)
            schema = self._log.schema_of(self._place.topic, header.schema_version)
            pl.from_arrow(decode(body, header, schema)) if header.count else None
        except TableApiError as error:
            return error.what.removeprefix(f"{self._place}: ").split(" (file ")[0]
        except Exception as error:  # noqa: BLE001 - whatever Arrow says of a frame that cannot be decoded
            return f"a frame cannot be decoded: {error}"
        self._frames += 1
        self._rows += header.count
        return header


def repair(log: EventLog, topic: str) -> list[Problem]:
    """Makes a damaged topic readable again: what cannot be read becomes a gap. Damaged files are kept beside, as `*.damaged`.

    Returns:
        What was wrong, and which offsets are lost.
    """
    info = log.describe(topic)
    problems: list[Problem] = []
    for number in range(info.partitions):
        partition = log.partition(topic, number)
        found = _Walk(log, Partition(log.storage, partition.place, info.config)).run().problems
        if found:
            problems.extend(found)
            with io_errors(f"{partition.place}: repairing"):
                partition.repair(lambda p=partition: _repair(log, p, info.schema))  # type: ignore[misc]
    log.finish_transactions()
    return problems


def _repair(log: EventLog, partition: Partition, schema: TopicSchema) -> None:
    """Rewrites every damaged segment and fills every hole; under the partition's lock."""
    storage, place = log.storage, partition.place
    page = partition.peek()
    end = None if page is None else page.next_offset
    bases = segment_bases(storage, place)
    offset = partition.start_offset()
    for at, base in enumerate(bases):
        if base < offset:
            storage.rename(place.segment(base), f"{place.segment(base)}.damaged")
            continue
        if base > offset:
            _fill(log, partition, schema, offset, base)
        following = bases[at + 1] if at + 1 < len(bases) else end
        must = page is not None and page.poisoned and page.active_base == base
        offset = _repair_segment(log, partition, schema, base, following, must=must, is_last=at == len(bases) - 1)
    if end is not None and offset < end:
        _fill(log, partition, schema, offset, end)
    if partition.config.durable:
        storage.sync_directory(place.directory)


def _fill(log: EventLog, partition: Partition, schema: TopicSchema, first: int, end: int) -> None:
    """A segment that has no rows, in the place of one that is gone."""
    create_segment(log.storage, partition.place, first, durable=partition.config.durable)
    file = log.storage.open(partition.place.segment(first), writable=True)
    try:
        write_gap(file, SEGMENT_HEADER_SIZE, _gap(partition, first, end), schema)
        if partition.config.durable:
            file.sync()
    finally:
        file.close()
    log.storage.remove(partition.place.index(first))


def _gap(partition: Partition, first: int, end: int) -> FrameHeader:
    tag = partition.place.tag
    return FrameHeader(0, 0, 1, 0, 0, 0, first, end - first, NO_PRODUCER, 0, tag, 0, 0, 0, 0, 0)


def _repair_segment(
    log: EventLog,
    partition: Partition,
    schema: TopicSchema,
    base: int,
    following: int | None,
    *,
    must: bool,
    is_last: bool,
) -> int:
    """Writes a segment anew when something in it is damaged, or when it `must` be (an fsync of it has failed); the offset
    after it."""
    storage, place = log.storage, partition.place
    path = place.segment(base)
    segment = Segment(storage.open(path), place, base)
    pieces, offset, is_whole = _whole_frames(segment, segment.file.size(), following)
    if is_whole and not must and SegmentHeader.unpack(segment.file.pread(SEGMENT_HEADER_SIZE, 0)) is not None:
        segment.close()
        return offset
    temporary = f"{path}.repaired"
    storage.remove(temporary)
    file = storage.open(temporary, create=True, writable=True)
    try:
        header = SegmentHeader(place.topic_id, place.partition, base, storage.now_ms())
        position = file.pwrite([header.pack()], 0)
        offset = base
        for start, frame in pieces:
            if frame.base_offset > offset:
                position += write_gap(file, position, _gap(partition, offset, frame.base_offset), schema)
            position += file.pwrite([segment.file.pread(frame.size, start)], position)
            offset = frame.end_offset
        if following is not None and offset < following:
            write_gap(file, position, _gap(partition, offset, following), schema)
            offset = following
        file.sync()
    finally:
        file.close()
        segment.close()
    storage.rename(path, f"{path}.damaged")
    storage.rename(temporary, path)
    storage.remove(place.index(base))
    if not is_last:
        rebuild_index(partition, base)
    return offset


def _whole_frames(segment: Segment, size: int, following: int | None) -> tuple[list[tuple[int, FrameHeader]], int, bool]:
    """Positions and headers of the frames that can be read; the offset after the last; whether nothing else is there."""
    pieces: list[tuple[int, FrameHeader]] = []
    position, offset, is_whole = SEGMENT_HEADER_SIZE, segment.base, True
    while position < size:
        header = valid_frame(segment, position, size)
        if header is None or header.base_offset != offset:
            is_whole = False
            found = find_frame(segment, position if header is None else position + 1, size, offset)
            if found is None:
                break
            position, header = found
        pieces.append((position, header))
        position, offset = position + header.size, header.end_offset
    if following is not None and offset < following:
        is_whole = False
    return pieces, offset, is_whole
