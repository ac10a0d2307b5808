"""The state page of a partition: where its log ends. Readers look only before that place; writers move it after each write.

Two slots with checksums are written in turn, so that a writer that dies while it writes one leaves the other. The page says
on which boot of
the machine it was written; after another boot it is not believed, and the log's end is found by checking frames
(`recovery.py`).
Imports connectors.filelog.crc only.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tableapi.connectors.filelog.crc import crc32

SLOT_SIZE = 128
POISONED = 1
HAS_PRODUCERS = 2

_SLOT = struct.Struct("<4sIIIQqqqqqqq")
_MAGIC = b"EVTL"


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a partition's log."""

    counter: int
    """Grows by one with every change."""
    active_base: int
    """Base offset of the last segment, the only one that is appended to."""
    end: int
    """Bytes of the last segment that are the log."""
    next_offset: int
    synced: int
    """Bytes of the last segment that are on stable storage."""
    synced_ms: int
    """When that was."""
    append_ms: int
    """Append time of the last frame."""
    created_ms: int
    """When the last segment was begun."""
    flags: int = 0

    @property
    def poisoned(self) -> bool:
        """Whether an fsync of the last segment has failed."""
        return bool(self.flags & POISONED)


def pack_slot(tail: Tail, boot: bytes, topic_tag: int) -> bytes:
    """The bytes of a slot."""
    body = _SLOT.pack(
        _MAGIC,
        0,
        crc32(boot),
        topic_tag,
        tail.counter,
        tail.active_base,
        tail.end,
        tail.next_offset,
        tail.synced,
        tail.synced_ms,
        tail.append_ms,
        tail.created_ms,
    ) + struct.pack("<I", tail.flags)
    return body[:4] + struct.pack("<I", crc32(body[8:])) + body[8:] + bytes(SLOT_SIZE - len(body))


_BODY_SIZE = _SLOT.size + 4


def unpack_page(page: bytes, boot: bytes, topic_tag: int) -> Tail | None:
    """The newest valid slot of this boot and topic, or None."""
    best: Tail | None = None
    boot_crc = crc32(boot)
    for at in (0, SLOT_SIZE):
        body = page[at : at + _BODY_SIZE]
        if len(body) < _BODY_SIZE:
            continue
        magic, crc, slot_boot, slot_tag, counter, *rest = _SLOT.unpack_from(body)
        if magic != _MAGIC or crc != crc32(body[8:]) or slot_boot != boot_crc or slot_tag != topic_tag:
            continue
        if best is None or counter > best.counter:
            (flags,) = struct.unpack_from("<I", body, _SLOT.size)
            active_base, end, next_offset, synced, synced_ms, append_ms, created_ms = rest
            best = Tail(counter, active_base, end, next_offset, synced, synced_ms, append_ms, created_ms, flags)
    return best
