"""The `avro` format: Avro container files, through the package `fastavro` (extra `avro`). Blocks are the pieces.

Imports formats.{base,arrow_base}, connectors.base, tableapi's plain data types, polars and (lazily) fastavro only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import polars as pl

from tableapi.connectors.base import Option
from tableapi.connectors.formats.base import ColumnarFile, ColumnarFormat, ColumnarWriter, unsupported_type
from tableapi.errors import UnsupportedError
from tableapi.tablespec import RowSchema
from tableapi.types import (
    ArrayType,
    BinaryStringType,
    BooleanType,
    CharacterType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    LocalZonedTimestampType,
    MapType,
    RowType,
    TimestampType,
    TimeType,
)


def _fastavro() -> Any:
    try:
        import fastavro
    except ImportError:
        raise UnsupportedError("format 'avro' needs the package fastavro", fix="pip install 'tableapi[avro]'") from None
    return fastavro


class _AvroFile(ColumnarFile):
    """Avro is row by row, so its records become Python objects on the way; Parquet is the fast choice."""

    def __init__(self, file: BinaryIO, schema: RowSchema) -> None:
        self._schema = schema
        self._blocks = list(_fastavro().block_reader(file))
        self.pieces = len(self._blocks)

    def read(self, piece: int, columns: Sequence[str] | None) -> pl.DataFrame:
        records = list(self._blocks[piece])
        present = set(self._blocks[piece].writer_schema and (f["name"] for f in self._blocks[piece].writer_schema["fields"]))
        names = [n for n in (self._schema.names if columns is None else columns) if n in present]
        return pl.DataFrame({n: _column([r[n] for r in records], self._schema[n].type) for n in names})


def _column(values: list[Any], data_type: DataType) -> pl.Series:
    plain = [_from_avro(v, data_type) for v in values] if isinstance(data_type, MapType | ArrayType | RowType) else values
    return pl.Series(plain, dtype=data_type.to_polars(), strict=False)


def _from_avro(value: Any, data_type: DataType) -> Any:
    match data_type:
        case MapType(value_type=inner) if value is not None:
            return [{"key": k, "value": _from_avro(v, inner)} for k, v in value.items()]
        case ArrayType(element_type=inner) if value is not None:
            return [_from_avro(v, inner) for v in value]
        case RowType(fields=fields) if value is not None:
            return {f.name: _from_avro(value.get(f.name), f.data_type) for f in fields}
    return value


def _to_avro(value: Any, data_type: DataType) -> Any:
    match data_type:
        case MapType(value_type=inner) if value is not None:
            return {e["key"]: _to_avro(e["value"], inner) for e in value}
        case ArrayType(element_type=inner) if value is not None:
            return [_to_avro(v, inner) for v in value]
        case RowType(fields=fields) if value is not None:
            return {f.name: _to_avro(value[f.name], f.data_type) for f in fields}
    return value


class _AvroWriter(ColumnarWriter):
    def __init__(self, file: BinaryIO, schema: RowSchema, codec: str) -> None:
        fastavro = _fastavro()
        from fastavro.write import Writer

        self._schema = schema
        fields = [{"name": f.name, "type": avro_type(f.type, f.name)} for f in schema]
        parsed = fastavro.parse_schema({"type": "record", "name": "record", "fields": fields})
        self._writer = Writer(file, parsed, codec=codec)

    def write(self, frame: pl.DataFrame) -> None:
        for row in frame.iter_rows(named=True):
            self._writer.write({f.name: _to_avro(row[f.name], f.type) for f in self._schema})

    def close(self) -> None:
        self._writer.flush()


def avro_type(data_type: DataType, name: str) -> Any:
    """The Avro schema of a column: a union with null when it is nullable.

    Raises:
        UnsupportedError: when Avro has no such type.
    """
    match data_type:
        case BooleanType():
            found: Any = "boolean"
        case IntegralType(bits=64):
            found = "long"
        case IntegralType():
            found = "int"
        case FloatType():
            found = "float"
        case DoubleType():
            found = "double"
        case CharacterType():
            found = "string"
        case BinaryStringType():
            found = "bytes"
        case DecimalType(precision=p, scale=s):
            found = {"type": "bytes", "logicalType": "decimal", "precision": p, "scale": s}
        case DateType():
            found = {"type": "int", "logicalType": "date"}
        case TimeType(precision=p) if p <= 3:
            found = {"type": "int", "logicalType": "time-millis"}
        case TimestampType(precision=p) | LocalZonedTimestampType(precision=p) if p <= 6:
            prefix = "" if isinstance(data_type, LocalZonedTimestampType) else "local-"
            found = {"type": "long", "logicalType": f"{prefix}timestamp-{'millis' if p <= 3 else 'micros'}"}
        case ArrayType(element_type=element):
            found = {"type": "array", "items": avro_type(element, name)}
        case MapType(key_type=CharacterType(), value_type=value):
            found = {"type": "map", "values": avro_type(value, name)}
        case RowType(fields=fields):
            inner = [{"name": f.name, "type": avro_type(f.data_type, f"{name}_{f.name}")} for f in fields]
            found = {"type": "record", "name": f"record_{name}", "fields": inner}
        case _:
            raise unsupported_type("avro", name, data_type)
    return ["null", found] if data_type.is_nullable else found


class AvroFormat(ColumnarFormat):
    """Apache Avro."""

    name = "avro"
    options = (
        Option(
            "codec", ("null", "deflate", "snappy", "bzip2", "xz", "zstandard"), "Codec of written files.", default="deflate"
        ),
        Option("encoding", ("binary",), "Encoding of records.", default="binary"),
        Option("timestamp_mapping.legacy", bool, "Accepted for Flink.", default=True),
    )

    def open(self, file: BinaryIO, schema: RowSchema, options: Mapping[str, Any]) -> ColumnarFile:
        return _AvroFile(file, schema)

    def writer(self, file: BinaryIO, schema: RowSchema, options: Mapping[str, Any]) -> ColumnarWriter:
        return _AvroWriter(file, schema, options["codec"])
