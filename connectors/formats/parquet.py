"""The `parquet` format. Row groups are the pieces; a batch query scans the files with Polars itself.

Imports formats.{base,arrow_base}, connectors.base, polars and (lazily) pyarrow only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import polars as pl

from tableapi.connectors.base import Option
from tableapi.connectors.formats.arrow_base import from_arrow, to_arrow_table
from tableapi.connectors.formats.base import ColumnarFile, ColumnarFormat, ColumnarWriter
from tableapi.connectors.formats.summaries import summary
from tableapi.tablespec import ColumnStatistics, RowSchema, TableStatistics

_CODECS = ("zstd", "snappy", "gzip", "lz4", "brotli", "none")


class _ParquetFile(ColumnarFile):
    def __init__(self, file: BinaryIO) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(file)
        self.pieces = self._file.num_row_groups

    def read(self, piece: int, columns: Sequence[str] | None) -> pl.DataFrame:
        present = set(self._file.schema_arrow.names)
        wanted = None if columns is None else [c for c in columns if c in present]
        if wanted == [] and self._file.schema_arrow.names:
            wanted = self._file.schema_arrow.names[:1]
        return from_arrow(self._file.read_row_group(piece, columns=wanted))

    def bounds(self, piece: int, column: str) -> tuple[Any, Any] | None:
        group = self._file.metadata.row_group(piece)
        names = [group.column(i).path_in_schema for i in range(group.num_columns)]
        known = group.column(names.index(column)).statistics if column in names else None
        return (known.min, known.max) if known is not None and known.has_min_max else None

    def close(self) -> None:
        self._file.close()


class _ParquetWriter(ColumnarWriter):
    def __init__(self, file: BinaryIO, schema: RowSchema, codec: str) -> None:
        self._file, self._schema, self._codec = file, schema, codec
        self._writer: Any = None

    def write(self, frame: pl.DataFrame) -> None:
        import pyarrow.parquet as pq

        table = to_arrow_table(frame, self._schema)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, table.schema, compression=self._codec)
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is None:
            self.write(pl.DataFrame(schema=self._schema.to_polars()))
        self._writer.close()


def _column_statistics(parts: list[Any], rows: int) -> ColumnStatistics:
    """The statistics of a column from those of its row groups. Bounds of texts are of no use, and may be cut off."""
    counts = [p.null_count if p is not None and p.has_null_count else None for p in parts]
    nulls = None if None in counts else sum(c or 0 for c in counts)
    is_ordered = all(p is not None and p.has_min_max and p.physical_type != "BYTE_ARRAY" for p in parts)
    return summary([(p.min, p.max) for p in parts] if is_ordered else [], nulls, rows)


class ParquetFormat(ColumnarFormat):
    """Apache Parquet."""

    name = "parquet"
    options = (
        Option("compression", _CODECS, "Codec of written files.", default="snappy"),
        Option("utc-timezone", bool, "Accepted for Flink; instants are written in UTC.", default=False),
        Option("write.int64.timestamp", bool, "Accepted for Flink; timestamps are always 64-bit.", default=True),
        Option(
            "timestamp.time.unit",
            ("nanos", "micros", "millis"),
            "Accepted for Flink; the column's type decides.",
            default="micros",
        ),
    )

    def open(self, file: BinaryIO, schema: RowSchema, options: Mapping[str, Any]) -> ColumnarFile:
        return _ParquetFile(file)

    def writer(self, file: BinaryIO, schema: RowSchema, options: Mapping[str, Any]) -> ColumnarWriter:
        return _ParquetWriter(file, schema, options["compression"])

    def statistics(self, file: BinaryIO) -> TableStatistics | None:
        import pyarrow.parquet as pq

        footer = pq.read_metadata(file)
        groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
        known = {}
        for index in range(footer.num_columns if groups else 0):
            name = groups[0].column(index).path_in_schema
            if "." not in name:
                known[name] = _column_statistics([g.column(index).statistics for g in groups], footer.num_rows)
        return TableStatistics(footer.num_rows, known)

    def scan(self, paths: Sequence[str], schema: RowSchema) -> pl.LazyFrame | None:
        return scan_matching([pl.scan_parquet(path, hive_partitioning=False) for path in paths], schema)


def scan_matching(scans: Sequence[pl.LazyFrame], schema: RowSchema) -> pl.LazyFrame | None:
    """The scans one after the other, when each has all columns in exactly the table's types; else None."""
    wanted = schema.to_polars()
    for scan in scans:
        found = scan.collect_schema()
        if any(found.get(name) != dtype for name, dtype in wanted.items()):
            return None
    return pl.concat([s.select(list(wanted)) for s in scans]) if scans else None
