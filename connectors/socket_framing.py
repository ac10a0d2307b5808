"""Cuts the bytes of a connection into records: lines, length-prefixed records, or Arrow record batches.

A framer holds at most a bounded number of bytes that are no whole record yet, and never unpickles anything.
Imports connectors.formats.{base,arrow_base}, tableapi's plain data types, polars and (lazily) pyarrow only.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod

import polars as pl

from tableapi.connectors.formats.arrow_base import fit, from_arrow
from tableapi.connectors.formats.base import Decoded, TextDecoder
from tableapi.errors import RecordError
from tableapi.tablespec import RowSchema


class Framer(ABC):
    """Takes bytes as they arrive and gives rows. One for each connection."""

    def __init__(self, peer: str, most_bytes: int) -> None:
        self._peer, self._most_bytes = peer, most_bytes
        self._rest = b""
        self.offset = self.line = 0
        """Bytes and line ends before the rows that `feed` gave last."""
        self._used = self._lines = 0

    def feed(self, data: bytes) -> list[Decoded]:
        """The rows that are complete now.

        Raises:
            RecordError: when a record is too long or malformed.
        """
        self._rest += data
        decoded, used = self._cut(self._rest)
        self.offset, self.line = self._used, self._lines
        self._used += used
        self._lines += self._rest.count(b"\n", 0, used)
        self._rest = self._rest[used:]
        if len(self._rest) > self._most_bytes:
            raise RecordError(f"a record from {self._peer} is longer than 'buffer-size' ({self._most_bytes} bytes)")
        return decoded

    def end(self) -> list[Decoded]:
        """The rows that the end of the connection completes."""
        return []

    @abstractmethod
    def _cut(self, data: bytes) -> tuple[list[Decoded], int]:
        """The rows of the whole records that `data` starts with, and how many bytes they take."""


class LineFramer(Framer):
    """Records end as the format says: at line ends."""

    def __init__(self, peer: str, most_bytes: int, decoder: TextDecoder) -> None:
        super().__init__(peer, most_bytes)
        self._decoder = decoder

    def _cut(self, data: bytes) -> tuple[list[Decoded], int]:
        end = self._decoder.boundary(data)
        return ([self._decoder.decode(data[:end])] if end else []), end

    def end(self) -> list[Decoded]:
        rest, self._rest = self._rest, b""
        return [self._decoder.decode(rest)] if rest else []


class LengthFramer(Framer):
    """Each record has its length in front: 4 bytes, most significant first."""

    def __init__(self, peer: str, most_bytes: int, decoder: TextDecoder) -> None:
        super().__init__(peer, most_bytes)
        self._decoder = decoder

    def _cut(self, data: bytes) -> tuple[list[Decoded], int]:
        records, at = [], 0
        while at + 4 <= len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            if size > self._most_bytes:
                raise RecordError(f"a record from {self._peer} is longer than 'buffer-size' ({self._most_bytes} bytes)")
            if at + 4 + size > len(data):
                break
            records.append(data[at + 4 : at + 4 + size])
            at += 4 + size
        return ([self._decoder.decode_records(records)] if records else []), at

    def end(self) -> list[Decoded]:
        if self._rest:
            raise RecordError(f"{self._peer} closed the connection inside a record")
        return []


class ArrowFramer(Framer):
    """An Arrow IPC stream: a schema, then dictionaries and record batches, each a message with its length."""

    def __init__(self, peer: str, most_bytes: int, schema: RowSchema, columns: tuple[str, ...]) -> None:
        super().__init__(peer, most_bytes)
        self._schema, self._columns = schema, columns
        self._head = b""
        """The schema and the dictionaries so far: what a record batch needs to be read on its own."""

    def _cut(self, data: bytes) -> tuple[list[Decoded], int]:
        decoded, at = [], 0
        while (message := self._message(data, at)) is not None:
            kind, size = message
            body = data[at : at + size]
            at += size
            if kind == _RECORD_BATCH:
                decoded.append(Decoded(self._read(body)))
            elif kind in (_SCHEMA, _DICTIONARY):
                self._head += body
                if len(self._head) > self._most_bytes:
                    raise RecordError(f"the dictionaries of {self._peer} are larger than 'buffer-size'")
        return decoded, at

    def _message(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Kind and size of the message at `at`; None when it is not all there."""
        if at + 8 > len(data):
            return None
        marker, header_bytes = struct.unpack_from("<Ii", data, at)
        if marker != 0xFFFFFFFF or header_bytes < 0 or header_bytes > self._most_bytes:
            raise RecordError(f"{self._peer} does not send an Arrow IPC stream")
        if header_bytes == 0:
            return _END, 8
        if at + 8 + header_bytes > len(data):
            return None
        try:
            kind, body_bytes = _header(data, at + 8, header_bytes)
        except struct.error:
            raise RecordError(f"{self._peer} sends a damaged Arrow message") from None
        if not 0 <= body_bytes <= self._most_bytes:
            raise RecordError(f"a record batch from {self._peer} is larger than 'buffer-size' ({self._most_bytes} bytes)")
        size = 8 + header_bytes + body_bytes
        return (kind, size) if at + size <= len(data) else None

    def _read(self, batch: bytes) -> pl.DataFrame:
        import pyarrow as pa

        try:
            table = pa.ipc.open_stream(self._head + batch + _END_OF_STREAM).read_all()
            table.validate(full=True)
        except (pa.ArrowInvalid, OSError, pa.ArrowNotImplementedError) as e:
            raise RecordError(f"{self._peer} sends a damaged Arrow record batch: {str(e).splitlines()[0]}") from None
        return fit(from_arrow(table), self._schema, self._columns, self._peer)

    def end(self) -> list[Decoded]:
        if self._rest:
            raise RecordError(f"{self._peer} closed the connection inside a record batch")
        return []


_END, _SCHEMA, _DICTIONARY, _RECORD_BATCH = 0, 1, 2, 3
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


def _header(data: bytes, at: int, size: int) -> tuple[int, int]:
    """Kind and body length of an Arrow message header, a flatbuffer table: fields 1 (header type) and 3 (body length)."""
    (root,) = struct.unpack_from("<I", data, at)
    table = at + root
    (back,) = struct.unpack_from("<i", data, table)
    fields = table - back
    if not at <= fields < at + size or not at <= table < at + size:
        raise struct.error("the header points outside itself")
    (fields_bytes,) = struct.unpack_from("<H", data, fields)

    def offset(field: int) -> int:
        place = 4 + 2 * field
        return int(struct.unpack_from("<H", data, fields + place)[0]) if place < fields_bytes else 0

    kind = struct.unpack_from("<B", data, table + offset(1))[0] if offset(1) else 0
    body = struct.unpack_from("<q", data, table + offset(3))[0] if offset(3) else 0
    return int(kind), int(body)


def schema_message(table: pa.Table) -> bytes:
    """What an Arrow IPC stream of such tables starts with."""
    data: bytes = table.schema.serialize().to_pybytes()
    return data


def batch_messages(table: pa.Table) -> bytes:
    """The record batches of a table as messages of a stream whose schema has been sent."""
    return b"".join(batch.serialize().to_pybytes() for batch in table.to_batches())


TYPE_CHECKING = False
if TYPE_CHECKING:
    import pyarrow as pa
