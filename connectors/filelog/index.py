"""The sparse index of a segment: offset and time to file position. Disposable: rebuilt from the frames when absent or wrong.

An entry `(offset, position, max_timestamp)` says that the frame at `position` begins with `offset`, and that no event before
it in the segment is newer than `max_timestamp`. The last entry of a sealed segment is its end. Imports
connectors.filelog.{frame,storage,crc} only.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from tableapi.connectors.filelog.crc import crc32

INTERVAL_BYTES = 64 * 1024
NO_TIMESTAMP = -(2**63)

_ENTRY = struct.Struct("<qqqII")


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in a segment."""

    offset: int
    position: int
    max_timestamp_ms: int


def pack_entry(entry: Entry) -> bytes:
    """The 32 bytes of an entry."""
    body = struct.pack("<qqq", entry.offset, entry.position, entry.max_timestamp_ms)
    return body + struct.pack("<II", crc32(body), 0)


def unpack_entries(data: bytes) -> list[Entry] | None:
    """All entries, or None when one is damaged or out of order."""
    entries: list[Entry] = []
    for at in range(0, len(data) - len(data) % _ENTRY.size, _ENTRY.size):
        offset, position, latest, crc, _ = _ENTRY.unpack_from(data, at)
        if crc != crc32(data[at : at + 24]):
            return None
        if entries and (offset < entries[-1].offset or position <= entries[-1].position):
            return None
        entries.append(Entry(offset, position, latest))
    return entries


ENTRY_SIZE = _ENTRY.size


def at_offset(entries: list[Entry], offset: int) -> Entry | None:
    """The last entry at or before `offset`."""
    found = bisect_right(entries, offset, key=lambda e: e.offset)
    return entries[found - 1] if found else None


def before_time(entries: list[Entry], timestamp_ms: int) -> Entry | None:
    """The last entry that has only older events before it."""
    best = None
    for entry in entries:
        if entry.max_timestamp_ms >= timestamp_ms:
            break
        best = entry
    return best


def sparse(places: Iterable[Entry]) -> list[Entry]:
    """Those of `places` (one per frame, and the end) that are worth an entry."""
    kept: list[Entry] = []
    last = None
    for place in places:
        if last is None or place.position - last >= INTERVAL_BYTES:
            kept.append(place)
            last = place.position
    return kept
