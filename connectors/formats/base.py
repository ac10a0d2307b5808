"""The contract of formats: how bytes become rows and rows become bytes.

A *text format* (CSV, JSON, raw) cuts a byte stream into records, so that files can be read in pieces and sockets as they fill.
A *columnar format* (Parquet, Arrow, ORC, Avro) reads and writes whole files piece by piece.
Imports tableapi.types, tablespec, row, errors and connectors.{base,options} only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import polars as pl

from tableapi.connectors.base import Option
from tableapi.connectors.options import read_options
from tableapi.errors import Location, OptionError, RecordError, UnsupportedError
from tableapi.row import RowKind
from tableapi.tablespec import RowSchema, TableStatistics
from tableapi.types import DataType

INSERT_ONLY = frozenset({RowKind.INSERT})
ALL_KINDS = frozenset(RowKind)


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that could not be decoded.

    Args:
        offset: Where its bytes start in the data that was given to `decode`.
        line: Its 0-based line in that data.
        raw: Its bytes.
        reason: What is wrong, naming the field where that is known.
    """

    offset: int
    line: int
    raw: bytes
    reason: str

    def error(self, format_name: str, file: str, first_line: int = 1) -> RecordError:
        """The error that stops a job: names the file, the line and the reason, and shows the record.

        Args:
            first_line: The 1-based number of the line at which the decoded data starts in the file.
        """
        text = self.raw.decode("utf-8", "replace").rstrip("\r\n")
        return RecordError(
            f"cannot read a {format_name} record: {self.reason}",
            where=Location(file, first_line + self.line),
            exists="the record: " + (text if len(text) <= 200 else text[:200] + " …"),
            fix="correct the record or the table's columns; or set 'bad-records.mode' = 'quarantine' to put such records aside",
        )


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rows, their kinds (None: all inserts), and the records that are none."""

    frame: pl.DataFrame
    kinds: pl.Series | None = None
    bad: tuple[BadRecord, ...] = ()


class TextDecoder(ABC):
    """Turns bytes into rows. A plain picklable description without state."""

    @abstractmethod
    def decode(self, data: bytes) -> Decoded:
        """The rows of `data`, which holds whole records. Columns: the requested ones in their Polars types."""

    def decode_records(self, records: Sequence[bytes]) -> Decoded:
        """The rows of records that were cut by other means than this format's own."""
        return self.decode(b"".join(record + b"\n" for record in records))

    def boundary(self, data: bytes) -> int:
        """Length of the longest start of `data` that holds whole records (0: none)."""
        return data.rfind(b"\n") + 1


class TextEncoder(ABC):
    """Turns rows into bytes. A plain picklable description without state."""

    @abstractmethod
    def encode(self, frame: pl.DataFrame, kinds: pl.Series | None) -> bytes:
        """Whole records, each with its line end."""


class ColumnarFile(ABC):
    """An open file of a columnar format."""

    pieces: int
    """Number of parts that can be read on their own (row groups, batches, stripes, blocks)."""

    @abstractmethod
    def read(self, piece: int, columns: Sequence[str] | None) -> pl.DataFrame:
        """The rows of one part: the named columns that the file has, in any order (None: all)."""

    def bounds(self, piece: int, column: str) -> tuple[Any, Any] | None:
        """The least and the greatest value of a column in one part, where the file says so."""
        return None

    def close(self) -> None:
        """Releases what the file holds."""
        return


class ColumnarWriter(ABC):
    """Writes one file of a columnar format."""

    @abstractmethod
    def write(self, frame: pl.DataFrame) -> None:
        """Appends rows."""

    @abstractmethod
    def close(self) -> None:
        """Writes what ends the file. The underlying file object stays open."""


class Format(ABC):
    """A kind of encoding. Found by the entry-point group `tableapi.formats` under the name used in `'format' = '…'`."""

    name: str
    options: tuple[Option, ...] = ()
    """Options without the format's prefix; a table gives them as `<format>.<option>`."""
    produces = INSERT_ONLY
    """The kinds of rows that decoding yields."""
    accepts = INSERT_ONLY
    """The kinds of rows that can be encoded."""
    metadata: Mapping[str, DataType] = {}
    """Metadata keys that decoding can fill, and their types."""

    def read_options(self, table_options: Mapping[str, str]) -> dict[str, Any]:
        """The typed options of this format, by key without prefix, from all options of a table.

        Raises:
            OptionError: for an unknown, missing or malformed one.
        """
        prefix = self.name + "."
        given = {k: v for k, v in table_options.items() if k.startswith(prefix)}
        declared = [Option(prefix + o.key, o.kind, o.doc, o.default, o.required) for o in self.options]
        values = {k.removeprefix(prefix): v for k, v in read_options(f"format '{self.name}'", given, declared).items()}
        self.check_options(values)
        return values

    def check_options(self, values: Mapping[str, Any]) -> None:
        """Rejects combinations of options that have no meaning."""
        return


class TextFormat(Format):
    """A format of records in a byte stream."""

    @abstractmethod
    def decoder(
        self, schema: RowSchema, columns: Sequence[str], options: Mapping[str, Any], metadata: Mapping[str, str] | None = None
    ) -> TextDecoder:
        """A decoder of rows of `schema` (all stored fields in order).

        Args:
            columns: What it yields, in order: fields of `schema`, and columns named in `metadata`.
            metadata: Column name to the metadata key (of `self.metadata`) that fills it.
        """

    @abstractmethod
    def encoder(self, schema: RowSchema, options: Mapping[str, Any]) -> TextEncoder:
        """An encoder of rows of `schema`."""


class ColumnarFormat(Format):
    """A format of whole files."""

    @abstractmethod
    def open(self, file: BinaryIO, schema: RowSchema, options: Mapping[str, Any]) -> ColumnarFile:
        """Opens a seekable file for reading."""

    @abstractmethod
    def writer(self, file: BinaryIO, schema: RowSchema, options: Mapping[str, Any]) -> ColumnarWriter:
        """Starts a new file."""

    def statistics(self, file: BinaryIO) -> TableStatistics | None:
        """What a file says of its rows without their being read: their number, bounds of columns. None: nothing."""
        return None

    def scan(self, paths: Sequence[str], schema: RowSchema) -> pl.LazyFrame | None:
        """All local files as one lazy scan with the columns of `schema`, when Polars can read them on its own."""
        return None


def single_choice(values: Mapping[str, Any], first: str, second: str, prefix: str) -> None:
    """Rejects two options that exclude each other.

    Raises:
        OptionError: when both are set.
    """
    if values.get(first) and values.get(second):
        raise OptionError(
            f"'{prefix}.{first}' and '{prefix}.{second}' exclude each other", fix="set only one of them to 'true'"
        )


def unsupported_type(format_name: str, column: str, data_type: DataType) -> UnsupportedError:
    """The error for a column whose type the format cannot hold."""
    return UnsupportedError(
        f"format '{format_name}' cannot hold column '{column}' of type {data_type}",
        fix="use format 'json' or 'parquet', or another type",
    )
