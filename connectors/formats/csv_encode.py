"""Rows as delimited lines, column by column, quoted where Flink quotes.

Imports formats.{base,temporal,json_encode}, tableapi.types and polars only.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tableapi.connectors.formats.base import TextEncoder
from tableapi.connectors.formats.json_encode import lines_of
from tableapi.connectors.formats.temporal import time_text, timestamp_text
from tableapi.tablespec import RowSchema
from tableapi.types import (
    ArrayType,
    BinaryStringType,
    CharacterType,
    DataType,
    DateType,
    FractionalType,
    LocalZonedTimestampType,
    RowType,
    TimestampType,
    TimeType,
)

_LONGEST_UNQUOTED = 24
"""Flink quotes every longer text without looking at it."""


@dataclass(frozen=True)
class CsvEncoder(TextEncoder):
    """Writes each row as a line."""

    schema: RowSchema
    delimiter: str = ","
    quote: str | None = '"'
    escape: str | None = None
    null: str | None = None
    element_delimiter: str = ";"

    def encode(self, frame: pl.DataFrame, kinds: pl.Series | None) -> bytes:
        parts = [self._field(pl.col(f.name), f.type).fill_null(self.null or "").alias(f.name) for f in self.schema]
        return lines_of(frame.select(pl.concat_str(parts, separator=self.delimiter)).to_series())

    def _field(self, column: pl.Expr, data_type: DataType) -> pl.Expr:
        text = self._text(column, data_type)
        may_need_quotes = isinstance(data_type, CharacterType | TimestampType | LocalZonedTimestampType | ArrayType | RowType)
        return self._quoted(text) if may_need_quotes else text

    def _text(self, column: pl.Expr, data_type: DataType) -> pl.Expr:
        match data_type:
            case ArrayType(element_type=element):
                items = column.list.eval(self._text(pl.element(), element).fill_null(self.null or ""))
                return items.list.join(self.element_delimiter)
            case RowType(fields=fields):
                parts = [self._text(column.struct.field(f.name), f.data_type).fill_null(self.null or "") for f in fields]
                return pl.when(column.is_not_null()).then(pl.concat_str(parts, separator=self.element_delimiter))
        return value_text(column, data_type)

    def _quoted(self, text: pl.Expr) -> pl.Expr:
        quote = self.quote
        if quote is None:
            return text
        # Every character up to the largest special one counts as special (blanks and line ends, too).
        largest = max(self.delimiter, quote, "\r", self.escape or "\x00")
        special = f"[\\x00-\\x{{{ord(largest):x}}}]"
        inner = text
        if self.escape is not None:
            inner = inner.str.replace_all(self.escape, self.escape * 2, literal=True)
            inner = inner.str.replace_all(quote, self.escape + quote, literal=True)
        else:
            inner = inner.str.replace_all(quote, quote * 2, literal=True)
        needs = text.str.contains(special) | (text.str.len_chars() > _LONGEST_UNQUOTED)
        return pl.when(needs).then(quote + inner + quote).otherwise(text)


def value_text(column: pl.Expr, data_type: DataType) -> pl.Expr:
    """Scalars as text, as they stand in CSV files and in the names of partition directories."""
    match data_type:
        case FractionalType():
            special = (
                pl.when(column.is_nan())
                .then(pl.lit("NaN"))
                .when(column > 0)
                .then(pl.lit("Infinity"))
                .otherwise(pl.lit("-Infinity"))
            )
            return pl.when(column.is_finite() | column.is_null()).then(column.cast(pl.String)).otherwise(special)
        case DateType():
            return column.dt.to_string("%Y-%m-%d")
        case TimeType():
            return time_text(column)
        case TimestampType() | LocalZonedTimestampType():
            return timestamp_text(column, zone=isinstance(data_type, LocalZonedTimestampType))
        case BinaryStringType():
            return column.bin.encode("base64")
    return column.cast(pl.String)
