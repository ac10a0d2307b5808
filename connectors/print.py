"""The `print` connector: each change on a line of its own, as Flink prints it: `+I[1, a]`.

Imports connectors.{base,options}, connectors.formats, polars and tableapi's plain data types only.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import polars as pl

from tableapi.connectors.base import Connector, Guarantee, Option, Sink, SinkWriter
from tableapi.connectors.formats.csv_encode import value_text
from tableapi.connectors.formats.json_encode import explode_list
from tableapi.connectors.options import COMMON_OPTIONS, read_options
from tableapi.row import RowKind
from tableapi.tablespec import RowSchema, TableSpec
from tableapi.types import (
    AnyTimestampType,
    ArrayType,
    BinaryStringType,
    DataType,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    RowType,
)

_KIND_TEXT = {kind.value: str(kind) for kind in RowKind}


def changelog_text(frame: pl.DataFrame, kinds: pl.Series | None, schema: RowSchema) -> pl.Series:
    """A line of text for each change.

    >>> from tableapi.tablespec import Field
    >>> from tableapi.types import DataTypes
    >>> schema = RowSchema((Field("a", DataTypes.INT()), Field("b", DataTypes.STRING())))
    >>> changelog_text(pl.DataFrame({"a": [1], "b": ["x"]}), None, schema).to_list()
    ['+I[1, x]']
    """
    rows = _joined([_text(frame[f.name], f.type) for f in schema], "[", "]")
    if kinds is None:
        return pl.DataFrame({"r": rows}).select(pl.lit("+I") + pl.col("r")).to_series()
    marks = kinds.replace_strict(_KIND_TEXT, return_dtype=pl.String)
    return pl.DataFrame({"k": marks, "r": rows}).select(pl.col("k") + pl.col("r")).to_series()


def _joined(parts: list[pl.Series], opening: str, closing: str) -> pl.Series:
    frame = pl.DataFrame({f"p{i}": part.fill_null("null") for i, part in enumerate(parts)})
    return frame.select(pl.concat_str(pl.lit(opening), pl.concat_str(pl.all(), separator=", "), pl.lit(closing))).to_series()


def _text(values: pl.Series, data_type: DataType) -> pl.Series:
    """The text of each value; null for NULL."""
    match data_type:
        case ArrayType(element_type=element):
            items, rebuild = explode_list(values)
            return _listed(rebuild(_text(items, element).fill_null("null")), "[", "]")
        case MapType() | MultisetType():
            entries, rebuild = explode_list(values)
            value_type = data_type.value_type if isinstance(data_type, MapType) else None
            key_type = data_type.key_type if isinstance(data_type, MapType) else data_type.element_type
            keys = _text(entries.struct.field("key"), key_type).fill_null("null")
            found = entries.struct.field("value")
            texts = (_text(found, value_type) if value_type else found.cast(pl.String)).fill_null("null")
            pairs = pl.DataFrame({"k": keys, "v": texts}).select(pl.concat_str("k", pl.lit("="), "v")).to_series()
            return _listed(rebuild(pairs), "{", "}")
        case RowType(fields=fields):
            text = _joined([_text(values.struct.field(f.name), f.data_type) for f in fields], "+I[", "]")
            return text.set(values.is_null(), None) if values.has_nulls() else text
        case AnyTimestampType():
            return _timestamps(values, isinstance(data_type, LocalZonedTimestampType))
        case BinaryStringType():
            return values.to_frame("v").select("x'" + pl.col("v").bin.encode("hex") + "'").to_series()
    return values.to_frame("v").select(value_text(pl.col("v"), data_type)).to_series()


def _listed(texts: pl.Series, opening: str, closing: str) -> pl.Series:
    return texts.to_frame("v").select(opening + pl.col("v").list.join(", ") + closing).to_series()


def _timestamps(values: pl.Series, zone: bool) -> pl.Series:
    """Java's way: `T` between date and time, no seconds when they are zero, the fraction in steps of three digits."""
    column = pl.col("v")
    nanos = column.dt.nanosecond()
    digits = (
        pl.when(nanos == 0)
        .then(pl.lit(""))
        .when(nanos % 1_000_000 == 0)
        .then(column.dt.to_string(".%3f"))
        .when(nanos % 1_000 == 0)
        .then(column.dt.to_string(".%6f"))
        .otherwise(column.dt.to_string(".%9f"))
    )
    has_seconds = (column.dt.second() != 0) | (nanos != 0)
    full, short = column.dt.to_string("%Y-%m-%dT%H:%M:%S") + digits, column.dt.to_string("%Y-%m-%dT%H:%M")
    text = full + "Z" if zone else pl.when(has_seconds).then(full).otherwise(short)
    return values.to_frame("v").select(pl.when(column.is_not_null()).then(text)).to_series()


class _PrintWriter(SinkWriter):
    def __init__(self, schema: RowSchema, prefix: str, is_error: bool) -> None:
        self._schema, self._prefix, self._is_error = schema, prefix, is_error

    def write(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        lines = changelog_text(frame, kinds, self._schema)
        stream = sys.stderr if self._is_error else sys.stdout
        stream.write("".join(f"{self._prefix}{line}\n" for line in lines))
        stream.flush()


@dataclass(frozen=True)
class PrintSink(Sink):
    """Standard output (or error) of the process that runs the worker."""

    schema: RowSchema
    identifier: str | None = None
    is_error: bool = False
    accepts: frozenset[RowKind] = frozenset(RowKind)
    guarantee: Guarantee = Guarantee.AT_LEAST_ONCE

    def writer(self, subtask: int, parallelism: int) -> SinkWriter:
        parts = [self.identifier] if self.identifier else []
        parts += [str(subtask + 1)] if parallelism > 1 else []
        return _PrintWriter(self.schema, ":".join(parts) + "> " if parts else "", self.is_error)


class PrintConnector(Connector):
    """For looking at a query's changes."""

    name = "print"
    options = (
        Option("print-identifier", str, "Text in front of each line."),
        Option("standard-error", bool, "Print to standard error.", default=False),
    )

    def sink(self, table: TableSpec) -> Sink:
        options = read_options("connector 'print'", table.options, (*self.options, *COMMON_OPTIONS))
        return PrintSink(table.persisted, options["print-identifier"], options["standard-error"])
