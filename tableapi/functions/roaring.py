"""The portable serialised form of a Roaring bitmap (RoaringBitmap/RoaringFormatSpec on GitHub), for BITMAP_TO_BYTES."""

from __future__ import annotations

import numpy as np

_NO_RUNS = 12346
_WITH_RUNS = 12347
_ARRAY_LIMIT = 4096
_NO_OFFSET_BELOW = 4


def to_bytes(members: list[int]) -> bytes:
    """The serialised form of a sorted list of unsigned 32-bit integers."""
    values = np.asarray(members, dtype=np.uint32)
    high, low = (values >> 16).astype(np.uint16), (values & 0xFFFF).astype(np.uint16)
    keys, starts, counts = np.unique(high, return_index=True, return_counts=True)
    containers = [_container(low[s : s + n]) for s, n in zip(starts, counts, strict=True)]
    header = np.array([_NO_RUNS, len(keys)], dtype="<u4").tobytes()
    descriptions = np.column_stack([keys, (counts - 1).astype(np.uint16)]).astype("<u2").tobytes()
    offset = len(header) + len(descriptions) + 4 * len(keys)
    offsets = []
    for container in containers:
        offsets.append(offset)
        offset += len(container)
    return b"".join([header, descriptions, np.array(offsets, dtype="<u4").tobytes(), *containers])


def _container(low: np.ndarray) -> bytes:
    if len(low) <= _ARRAY_LIMIT:
        return low.astype("<u2").tobytes()
    bits = np.zeros(65_536, dtype=np.uint8)
    bits[low] = 1
    return np.packbits(bits, bitorder="little").tobytes()


def from_bytes(raw: bytes) -> list[int] | None:
    """The members of a serialised bitmap, or None when the bytes are none."""
    try:
        return _read(raw)
    except (ValueError, IndexError):
        return None


def _read(raw: bytes) -> list[int] | None:
    cookie = int(np.frombuffer(raw, "<u4", 1)[0])
    if cookie & 0xFFFF == _WITH_RUNS:
        count = (cookie >> 16) + 1
        flags = np.unpackbits(np.frombuffer(raw, np.uint8, (count + 7) // 8, 4), bitorder="little")
        position = 4 + (count + 7) // 8
        has_offsets = count >= _NO_OFFSET_BELOW
    elif cookie == _NO_RUNS:
        count = int(np.frombuffer(raw, "<u4", 1, 4)[0])
        flags, position, has_offsets = np.zeros(count, np.uint8), 8, True
    else:
        return None
    descriptions = np.frombuffer(raw, "<u2", 2 * count, position).reshape(count, 2)
    position += 4 * count + (4 * count if has_offsets else 0)
    parts = []
    for (key, cardinality), is_run in zip(descriptions.tolist(), flags, strict=False):
        low, position = _read_container(raw, position, cardinality + 1, bool(is_run))
        parts.append((np.uint32(key) << np.uint32(16)) | low.astype(np.uint32))
    return [] if not parts else np.concatenate(parts).tolist()


def _read_container(raw: bytes, position: int, cardinality: int, is_run: bool) -> tuple[np.ndarray, int]:
    if is_run:
        runs = int(np.frombuffer(raw, "<u2", 1, position)[0])
        pairs = np.frombuffer(raw, "<u2", 2 * runs, position + 2).reshape(runs, 2).astype(np.uint32)
        low = np.concatenate([np.arange(start, start + length + 1) for start, length in pairs.tolist()])
        return low, position + 2 + 4 * runs
    if cardinality <= _ARRAY_LIMIT:
        return np.frombuffer(raw, "<u2", cardinality, position), position + 2 * cardinality
    bits = np.unpackbits(np.frombuffer(raw, np.uint8, 8192, position), bitorder="little")
    return np.flatnonzero(bits), position + 8192
