"""The `orc` format. Stripes are the pieces.

Imports formats.{base,arrow_base}, connectors.base, polars and (lazily) pyarrow only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import polars as pl

from tableapi.connectors.base import Option
from tableapi.connectors.formats.arrow_base import from_arrow, to_arrow_table
from tableapi.connectors.formats.base import ColumnarFile, ColumnarFormat, ColumnarWriter, unsupported_type
from tableapi.tablespec import RowSchema, TableStatistics
from tableapi.types import TimeType


class _OrcFile(ColumnarFile):
    def __init__(self, file: BinaryIO) -> None:
        import pyarrow.orc as orc

        self._file = orc.ORCFile(file)
        self.pieces = self._file.nstripes

    def read(self, piece: int, columns: Sequence[str] | None) -> pl.DataFrame:
        import pyarrow as pa

        names = [c for c in columns if c in self._file.schema.names] if columns is not None else None
        batch = self._file.read_stripe(piece, columns=names or (None if names is None else self._file.schema.names[:1]))
        return from_arrow(pa.Table.from_batches([batch]))


class _OrcWriter(ColumnarWriter):
    def __init__(self, file: BinaryIO, schema: RowSchema, codec: str) -> None:
        import pyarrow.orc as orc

        self._schema = schema
        self._writer = orc.ORCWriter(file, compression=codec.upper() if codec != "none" else "uncompressed")
        self._is_empty = True

    def write(self, frame: pl.DataFrame) -> None:
        self._writer.write(to_arrow_table(frame, self._schema))
        self._is_empty = False

    def close(self) -> None:
        if self._is_empty:
            self.write(pl.DataFrame(schema=self._schema.to_polars()))
        self._writer.close()


class OrcFormat(ColumnarFormat):
    """Apache ORC."""

    name = "orc"
    options = (Option("compress", ("zlib", "snappy", "lz4", "zstd", "none"), "Codec of written files.", default="zlib"),)

    def open(self, file: BinaryIO, schema: RowSchema, options: Mapping[str, Any]) -> ColumnarFile:
        return _OrcFile(file)

    def writer(self, file: BinaryIO, schema: RowSchema, options: Mapping[str, Any]) -> ColumnarWriter:
        for f in schema:
            if isinstance(f.type, TimeType):
                raise unsupported_type("orc", f.name, f.type)
        return _OrcWriter(file, schema, options["compress"])

    def statistics(self, file: BinaryIO) -> TableStatistics | None:
        import pyarrow.orc as orc

        return TableStatistics(orc.ORCFile(file).nrows)
