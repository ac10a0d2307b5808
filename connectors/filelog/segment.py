"""Reading a segment file: its header, its frames one after the other, checked; and looking places up in it.

A segment is mapped in windows, so that memory stays bounded and reads are zero-copy; a window lives as long as rows that
point into it.
Imports connectors.filelog.{frame,index,storage,errors} only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tableapi.connectors.filelog import index as ix
from tableapi.connectors.filelog.crc import crc32
from tableapi.connectors.filelog.frame import HEADER_SIZE, SEGMENT_HEADER_SIZE, FrameHeader, SegmentHeader
from tableapi.connectors.filelog.index import Entry
from tableapi.connectors.filelog.storage import File, Storage
from tableapi.errors import CorruptionError

WINDOW_BYTES = 16 * 1024 * 1024
SUFFIX = ".log"


@dataclass(frozen=True)
class Place:
    """Which partition of which topic, for files and messages."""

    topic: str
    topic_id: bytes
    partition: int
    directory: str

    @property
    def tag(self) -> int:
        """Ties frames to their topic and partition."""
        return crc32(self.topic_id + self.partition.to_bytes(4, "little"))

    def path(self, name: str) -> str:
        """A file of the partition."""
        return f"{self.directory}/{name}"

    def segment(self, base: int) -> str:
        """The segment that begins with offset `base`."""
        return f"{self.directory}/{base:020d}{SUFFIX}"

    def index(self, base: int) -> str:
        """Its index."""
        return f"{self.directory}/{base:020d}.index"

    def producers(self, base: int) -> str:
        """What was known of producers when it was begun."""
        return f"{self.directory}/{base:020d}.producers"

    def __str__(self) -> str:
        return f"topic '{self.topic}' partition {self.partition}"

    def corrupt(self, what: str, file: str, position: int, offset: int) -> CorruptionError:
        """The error for damaged bytes."""
        return CorruptionError(
            f"{self}: {what} (file {file}, position {position}, offset {offset})",
            fix=f"`tableapi log verify {self.topic}` shows what is damaged; with --repair it cuts it out and says what is lost",
        )


def segment_bases(storage: Storage, place: Place) -> list[int]:
    """Base offsets of all segments, in order."""
    names = storage.list(place.directory)
    return [int(n[: -len(SUFFIX)]) for n in names if len(n) == 24 and n.endswith(SUFFIX) and n[:20].isdigit()]


class Segment:
    """An open segment.

    Args:
        file: The open file; it is closed with the segment.
        place: Its partition.
        base: The offset in its name.
    """

    def __init__(self, file: File, place: Place, base: int) -> None:
        self.file, self.place, self.base = file, place, base
        self._window: Any = b""
        self._start = 0

    def header(self) -> SegmentHeader:
        """The checked segment header.

        Raises:
            CorruptionError: it is damaged, or of another topic, partition or offset.
        """
        found = SegmentHeader.unpack(self.file.pread(SEGMENT_HEADER_SIZE, 0))
        if found is None:
            raise self.corrupt("the segment's header is damaged", 0, self.base)
        expected = (self.place.topic_id, self.place.partition, self.base)
        if (found.topic_id, found.partition, found.base_offset) != expected:
            raise self.corrupt(
                f"the segment belongs elsewhere: it was written as partition {found.partition}, offset {found.base_offset}",
                0,
                self.base,
            )
        return found

    def corrupt(self, what: str, position: int, offset: int) -> CorruptionError:
        """The error for damaged bytes of this segment."""
        return self.place.corrupt(what, self.file.path, position, offset)

    def bytes_at(self, position: int, size_bytes: int, limit: int) -> Any:
        """A read-only buffer over a range before `limit`."""
        start = position - self._start
        if start < 0 or start + size_bytes > len(self._window):
            wanted = max(size_bytes, min(WINDOW_BYTES, limit - position))
            if self.file.size() < position + wanted:
                raise self.corrupt(f"the file ends before position {position + wanted}", position, self.base)
            self._window, self._start, start = self.file.map(position, wanted), position, 0
        return self._window[start : start + size_bytes]

    def frame_header(self, position: int, limit: int, expected_offset: int | None) -> FrameHeader:
        """The checked header of the frame at `position`.

        Raises:
            CorruptionError: there is none, it is of another topic or partition, or offsets are missing before it.
        """
        offset = self.base if expected_offset is None else expected_offset
        if limit - position < HEADER_SIZE:
            raise self.corrupt("a frame is cut short", position, offset)
        header = FrameHeader.unpack(self.bytes_at(position, HEADER_SIZE, limit))
        if header is None:
            raise self.corrupt("a frame's header is damaged", position, offset)
        if header.topic_tag != self.place.tag:
            raise self.corrupt("a frame belongs to another topic or partition", position, offset)
        if expected_offset is not None and header.base_offset != expected_offset:
            raise self.corrupt(f"offset {header.base_offset} stands where {expected_offset} should be", position, offset)
        if position + header.size > limit:
            raise self.corrupt("a frame is cut short", position, offset)
        return header

    def body(self, header: FrameHeader, position: int, limit: int) -> Any:
        """The checked body of a frame.

        Raises:
            CorruptionError: its checksum is wrong.
        """
        start = position + HEADER_SIZE + header.padding
        whole = self.bytes_at(position, header.size, limit)
        body = whole[start - position : start - position + header.body_size]
        if crc32(body) != header.body_crc:
            raise self.corrupt("a frame's checksum is wrong", position, header.base_offset)
        return body

    def headers(self, position: int, limit: int, expected_offset: int | None = None) -> Iterator[tuple[int, FrameHeader]]:
        """Positions and headers of the frames from `position` on."""
        while position < limit:
            header = self.frame_header(position, limit, expected_offset)
            yield position, header
            position += header.size
            expected_offset = header.end_offset

    def places(self, limit: int) -> Iterator[Entry]:
        """An index entry for every frame, and one for the end."""
        latest, position, offset = ix.NO_TIMESTAMP, SEGMENT_HEADER_SIZE, self.base
        for position, header in self.headers(SEGMENT_HEADER_SIZE, limit, self.base):
            yield Entry(header.base_offset, position, latest)
            latest = max(latest, header.max_timestamp_ms)
            offset, position = header.end_offset, position + header.size
        yield Entry(offset, position, latest)

    def close(self) -> None:
        """Closes the file; rows that point into it stay valid."""
        self._window = b""
        self.file.close()


def load_index(storage: Storage, segment: Segment, limit: int) -> list[Entry]:
    """The index of a segment up to `limit`, at least its first place; rebuilt in memory when it is absent or wrong."""
    path = segment.place.index(segment.base)
    try:
        entries = unpack_checked(storage.read_file(path), segment, limit)
    except OSError:
        entries = None
    if entries is None:
        entries = ix.sparse(segment.places(limit))
    return entries


def unpack_checked(data: bytes, segment: Segment, limit: int) -> list[Entry] | None:
    """Stored entries when they fit the segment, else None."""
    entries = ix.unpack_entries(data)
    if not entries or entries[0] != Entry(segment.base, SEGMENT_HEADER_SIZE, ix.NO_TIMESTAMP):
        return None
    entries = [e for e in entries if e.position <= limit]
    last = entries[-1]
    if last.position < limit:
        header = FrameHeader.unpack(segment.bytes_at(last.position, min(HEADER_SIZE, limit - last.position), limit))
        if header is None or header.base_offset != last.offset:
            return None
    return entries


def checked_start(segment: Segment, entry: Entry | None, limit: int) -> Entry:
    """The entry, or the start of the segment when the index is of an earlier form of it (compaction may have replaced it
    meanwhile)."""
    start = Entry(segment.base, SEGMENT_HEADER_SIZE, ix.NO_TIMESTAMP)
    if entry is None or entry.position >= limit:
        return start if entry is None or segment.file.size() < entry.position else entry
    header = FrameHeader.unpack(segment.bytes_at(entry.position, min(HEADER_SIZE, limit - entry.position), limit))
    return entry if header is not None and header.base_offset == entry.offset else start
