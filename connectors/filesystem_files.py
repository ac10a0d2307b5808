"""Which files make up a table, and how they are cut into splits.

Owns Hive-style partition directories (`k=v`), compression by suffix, and the cutting of large text files at record ends.
Imports connectors.filesystem_store, connectors.formats and tableapi's plain data types only.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from itertools import pairwise
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

from tableapi.connectors.filesystem_store import FileInfo, FileStore
from tableapi.errors import RecordError

SPLIT_BYTES = 64 * 1024 * 1024
"""Text files larger than this may be read by several readers."""

MOST_SPLITS = 8
"""Into how many parts one file is cut at most: finding a cut in quoted text means looking at all bytes before it."""

LARGEST_SCANNED_BYTES = 2 * 1024 * 1024 * 1024
"""Quoted text files larger than this are not cut."""

_LOOK_BYTES = 1024 * 1024

_CODECS = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz", ".deflate": "deflate"}


@dataclass(frozen=True, slots=True)
class FilePart:
    """What one reader reads: bytes `start` to `end` of a file (whole records), and its partition's values."""

    file: FileInfo
    partition: tuple[str | None, ...] = ()
    start: int = 0
    end: int | None = None
    """None: to the end of the file."""


def codec_of(path: str) -> str | None:
    """The compression that a file's suffix names.

    >>> codec_of("a/b.json.gz")
    'gzip'
    """
    for suffix, codec in _CODECS.items():
        if path.endswith(suffix):
            return codec
    return None


def open_text(store: FileStore, path: str) -> BinaryIO:
    """A file as the bytes of its text: decompressed when its suffix says that it is compressed."""
    codec = codec_of(path)
    file = store.open(path)
    if codec == "gzip":
        import gzip

        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if codec == "bz2":
        import bz2

        return cast(BinaryIO, bz2.BZ2File(file))
    if codec == "xz":
        import lzma

        return cast(BinaryIO, lzma.LZMAFile(file))
    if codec == "zstd":
        import pyarrow as pa

        return cast(BinaryIO, pa.CompressedInputStream(file, "zstd"))
    if codec == "deflate":
        return cast(BinaryIO, BufferedReader(_Inflated(file)))
    return file


class _Inflated(RawIOBase):
    """The text of a zlib stream."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._inflater = file, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(_LOOK_BYTES)
            if not packed:
                raise EOFError("the compressed data ends too early")
            try:
                data = self._inflater.decompress(packed, len(buffer))
            except zlib.error as e:
                raise OSError(f"it is not compressed as its suffix says ({e})") from None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def partition_values(root: str, path: str, keys: Sequence[str], default_name: str) -> tuple[str | None, ...]:
    """The values of the partition columns that the directories between `root` and the file name.

    Raises:
        RecordError: when a column has no directory.

    >>> partition_values("/t", "/t/day=2024-01-01/item=a%2Fb/x.json", ["item", "day"], "__DEFAULT_PARTITION__")
    ('a/b', '2024-01-01')
    """
    if not keys:
        return ()
    named = dict(part.split("=", 1) for part in path[len(root) :].split("/")[:-1] if "=" in part)
    found = {unquote(k): None if v == default_name else unquote(v) for k, v in named.items()}
    missing = [k for k in keys if k not in found]
    if missing:
        raise RecordError(
            f"file '{path}' lies in no directory of partition column '{missing[0]}'",
            fix=f"move it below a directory '{missing[0]}=…', or start its name with '_' to leave it out",
        )
    return tuple(found[k] for k in keys)


def fixed_part(path: str) -> str:
    """A path up to the directory in which its pattern begins; all of it when it has none.

    >>> fixed_part("/t/day=*/x.csv"), fixed_part("/t")
    ('/t', '/t')
    """
    at = next((i for i, c in enumerate(path) if c in "*?["), None)
    return path if at is None else path[:at].rpartition("/")[0]


_ESCAPED = re.compile(r"[\x00-\x1f\x7f\"#%'*/:=?\\{\[\]^]")


def escape_name(text: str) -> str:
    """A partition's key or value as a directory name.

    >>> escape_name("x y/z=%")
    'x y%2Fz%3D%25'
    """
    return _ESCAPED.sub(lambda m: f"%{ord(m[0]):02X}", text)


def cut_file(store: FileStore, part: FilePart, quote: bytes | None) -> list[FilePart]:
    """A large uncompressed text file as several parts of whole records; `quote` encloses text that may hold line ends."""
    size = part.file.size_bytes
    is_too_large = quote is not None and size > LARGEST_SCANNED_BYTES
    if size <= SPLIT_BYTES or codec_of(part.file.path) is not None or is_too_large:
        return [part]
    count = min(MOST_SPLITS, -(-size // SPLIT_BYTES))
    with store.open(part.file.path) as file:
        cuts = _cuts(file, [size * i // count for i in range(1, count)], quote)
    edges = [0, *cuts, size]
    return [FilePart(part.file, part.partition, a, b) for a, b in pairwise(edges) if a < b]


def _cuts(file: BinaryIO, targets: Sequence[int], quote: bytes | None) -> list[int]:
    """For each target the next record end behind it."""
    cuts: list[int] = []
    seen, quotes = 0, 0
    for target in targets:
        if target <= seen:
            continue
        if quote is not None:
            quotes += _count(file, seen, target, quote)
        cut, passed = _record_end(file, target, quotes, quote)
        if cut is None:
            break
        cuts.append(cut)
        seen, quotes = cut, quotes + passed
    return cuts


def _count(file: BinaryIO, start: int, end: int, byte: bytes) -> int:
    file.seek(start)
    total = 0
    while start < end:
        block = file.read(min(8 * _LOOK_BYTES, end - start))
        if not block:
            break
        total += block.count(byte)
        start += len(block)
    return total


def _record_end(file: BinaryIO, start: int, quotes: int, quote: bytes | None) -> tuple[int | None, int]:
    """The first line end at or behind `start` outside quotes, and the number of quotes passed on the way."""
    file.seek(start)
    passed = 0
    while block := file.read(_LOOK_BYTES):
        at = 0
        while (end := block.find(b"\n", at) + 1) > 0:
            passed += block.count(quote, at, end) if quote else 0
            if (quotes + passed) % 2 == 0:
                return start + end, passed
            at = end
        passed += block.count(quote, at) if quote else 0
        start += len(block)
    return None, passed
