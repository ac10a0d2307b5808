"""The `raw` format: the whole line is the value of the table's single column.

Imports formats.{base,convert,lines}, connectors.base and tableapi's plain data types only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tableapi.connectors.base import Option
from tableapi.connectors.formats.base import BadRecord, Decoded, TextDecoder, TextEncoder, TextFormat
from tableapi.connectors.formats.json_encode import lines_of
from tableapi.errors import UnsupportedError, ValidationError
from tableapi.tablespec import RowSchema
from tableapi.types import BinaryStringType, CharacterType


@dataclass(frozen=True)
class RawDecoder(TextDecoder):
    """A row a line."""

    column: str
    is_binary: bool
    charset: str

    def decode(self, data: bytes) -> Decoded:
        body = data[:-1] if data.endswith(b"\n") else data
        if not data or self.is_binary:
            return self.decode_records(body.split(b"\n") if data else [])
        try:
            texts = body.decode(self.charset).split("\n")
            return Decoded(pl.DataFrame({self.column: pl.Series(texts, dtype=pl.String)}))
        except UnicodeDecodeError:
            return self.decode_records(body.split(b"\n"))

    def decode_records(self, records: Sequence[bytes]) -> Decoded:
        if self.is_binary:
            return Decoded(pl.DataFrame({self.column: pl.Series(records, dtype=pl.Binary)}))
        return self._by_line(records)

    def _by_line(self, lines: Sequence[bytes]) -> Decoded:
        texts: list[str] = []
        bad: list[BadRecord] = []
        offset = 0
        for number, line in enumerate(lines):
            try:
                texts.append(line.decode(self.charset))
            except UnicodeDecodeError:
                bad.append(BadRecord(offset, number, line, f"the line is not {self.charset}"))
            offset += len(line) + 1
        return Decoded(pl.DataFrame({self.column: pl.Series(texts, dtype=pl.String)}), None, tuple(bad))


@dataclass(frozen=True)
class RawEncoder(TextEncoder):
    """A line a row; NULL is an empty line."""

    column: str
    is_binary: bool
    charset: str

    def encode(self, frame: pl.DataFrame, kinds: pl.Series | None) -> bytes:
        values = frame[self.column]
        if self.is_binary:
            return b"".join((v or b"") + b"\n" for v in values)
        data = lines_of(values.fill_null(""))
        return data if self.charset.lower().replace("-", "") == "utf8" else data.decode().encode(self.charset)


class RawFormat(TextFormat):
    """Lines as they are."""

    name = "raw"
    options = (
        Option("charset", str, "Encoding of the text.", default="UTF-8"),
        Option("endianness", ("big-endian", "little-endian"), "Accepted for Flink; text has none.", default="big-endian"),
    )

    def decoder(
        self, schema: RowSchema, columns: Sequence[str], options: Mapping[str, Any], metadata: Mapping[str, str] | None = None
    ) -> RawDecoder:
        name, is_binary = _single_column(schema)
        return RawDecoder(name, is_binary, options["charset"])

    def encoder(self, schema: RowSchema, options: Mapping[str, Any]) -> RawEncoder:
        name, is_binary = _single_column(schema)
        return RawEncoder(name, is_binary, options["charset"])


def _single_column(schema: RowSchema) -> tuple[str, bool]:
    if len(schema) != 1:
        raise ValidationError(
            f"format 'raw' needs a table of exactly one column, this one has {len(schema)}",
            exists=f"columns: {', '.join(schema.names)}",
            fix="keep one STRING or BYTES column, or use format 'csv' or 'json'",
        )
    only = schema.fields[0]
    if not isinstance(only.type, CharacterType | BinaryStringType):
        raise UnsupportedError(
            f"format 'raw' with column '{only.name}' of type {only.type} is not supported yet",
            fix="declare the column as STRING or BYTES and CAST it in the query",
        )
    return only.name, isinstance(only.type, BinaryStringType)
