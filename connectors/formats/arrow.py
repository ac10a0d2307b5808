"""The `arrow` format: Arrow IPC files. Record batches are the pieces.

Imports formats.{base,arrow_base,parquet}, connectors.base, polars and (lazily) pyarrow only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import polars as pl

from tableapi.connectors.base import Option
from tableapi.connectors.formats.arrow_base import from_arrow, to_arrow_table
from tableapi.connectors.formats.base import ColumnarFile, ColumnarFormat, ColumnarWriter
from tableapi.connectors.formats.parquet import scan_matching
from tableapi.tablespec import RowSchema, TableStatistics


class _ArrowFile(ColumnarFile):
    def __init__(self, file: BinaryIO) -> None:
        import pyarrow as pa

        self._file = pa.ipc.open_file(file)
        self.pieces = self._file.num_record_batches

    def read(self, piece: int, columns: Sequence[str] | None) -> pl.DataFrame:
        import pyarrow as pa

        batch = self._file.get_batch(piece)
        names = [c for c in columns if c in batch.schema.names] if columns is not None else batch.schema.names
        return from_arrow(pa.Table.from_batches([batch]).select(names or batch.schema.names[:1]))


class _ArrowWriter(ColumnarWriter):
    def __init__(self, file: BinaryIO, schema: RowSchema, codec: str) -> None:
        self._file, self._schema, self._codec = file, schema, codec
        self._writer: Any = None

    def write(self, frame: pl.DataFrame) -> None:
        import pyarrow as pa

        table = to_arrow_table(frame, self._schema)
        if self._writer is None:
            options = pa.ipc.IpcWriteOptions(compression=None if self._codec == "none" else self._codec)
            self._writer = pa.ipc.new_file(self._file, table.schema, options=options)
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is None:
            self.write(pl.DataFrame(schema=self._schema.to_polars()))
        self._writer.close()


class ArrowFormat(ColumnarFormat):
    """Arrow IPC files (Feather)."""

    name = "arrow"
    options = (Option("compression", ("none", "lz4", "zstd"), "Codec of written files.", default="none"),)

    def open(self, file: BinaryIO, schema: RowSchema, options: Mapping[str, Any]) -> ColumnarFile:
        return _ArrowFile(file)

    def writer(self, file: BinaryIO, schema: RowSchema, options: Mapping[str, Any]) -> ColumnarWriter:
        return _ArrowWriter(file, schema, options["compression"])

    def statistics(self, file: BinaryIO) -> TableStatistics | None:
        try:
            return TableStatistics(pl.scan_ipc(file).select(pl.len()).collect().item())
        except pl.exceptions.PolarsError as e:
            raise ValueError(str(e)) from None

    def scan(self, paths: Sequence[str], schema: RowSchema) -> pl.LazyFrame | None:
        return scan_matching([pl.scan_ipc(path) for path in paths], schema)
