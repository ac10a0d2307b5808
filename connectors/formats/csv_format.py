"""The `csv` format: lines of delimited values without a header, with Flink's options and value texts.

Imports formats.{base,convert,rows,lines,temporal}, connectors.{base,options} and tableapi's plain data types only.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from tableapi.connectors.base import Option
from tableapi.connectors.formats.base import (
    BadRecord,
    Decoded,
    TextDecoder,
    TextEncoder,
    TextFormat,
    unsupported_type,
)
from tableapi.connectors.formats.convert import (
    ConversionError,
    TextStyle,
    convert,
    convert_frame,
    raw_type,
)
from tableapi.connectors.formats.csv_encode import CsvEncoder
from tableapi.connectors.formats.lines import PARSE_ERRORS, decode_lines
from tableapi.errors import OptionError
from tableapi.tablespec import RowSchema
from tableapi.types import (
    ArrayType,
    BooleanType,
    CharacterType,
    DataType,
    FractionalType,
    IntegralType,
    MapType,
    MultisetType,
    RowType,
)


@dataclass(frozen=True)
class CsvDialect:
    """How values are delimited and marked.

    Args:
        quote, escape: One character each, or None.
        null: What stands for NULL; None when nothing does.
    """

    delimiter: str = ","
    quote: str | None = '"'
    escape: str | None = None
    null: str | None = None
    empty_is_null: bool = False
    element_delimiter: str = ";"
    has_comments: bool = False
    trims: bool = False
    is_lenient: bool = False
    drops_extra: bool = False
    allows_trailing_delimiter: bool = True


@dataclass(frozen=True)
class CsvDecoder(TextDecoder):
    """Reads the columns `wanted` of lines that hold the fields of `schema` in order."""

    schema: RowSchema
    wanted: tuple[str, ...]
    dialect: CsvDialect
    style: TextStyle = field(default_factory=TextStyle)

    def decode(self, data: bytes) -> Decoded:
        middle = None if self.dialect.quote is None else self._middle
        decoded = decode_lines(data, self._fast, self._slow, middle)
        return Decoded(decoded.frame) if self.dialect.is_lenient else decoded

    def boundary(self, data: bytes) -> int:
        """A line end inside quotes ends no record: the last one with an even number of quotes before it counts."""
        quote = (self.dialect.quote or "").encode()
        end = data.rfind(b"\n") + 1
        if not quote:
            return end
        quotes = data.count(quote, 0, end)
        while quotes % 2 and end:
            shorter = data.rfind(b"\n", 0, end - 1) + 1
            quotes -= data.count(quote, shorter, end)
            end = shorter
        return end

    def _middle(self, data: bytes) -> int:
        return self.boundary(data[: max(1, len(data) // 2)])

    @property
    def _types(self) -> dict[str, DataType]:
        return {name: self.schema[name].type for name in self.wanted}

    def _fast(self, data: bytes) -> pl.DataFrame:
        if not data or (data.isspace() and len(self.schema) > 1):
            return pl.DataFrame(schema={n: t.to_polars() for n, t in self._types.items()})
        if self.dialect.escape is not None:
            raise ConversionError("escape characters are read one line at a time")
        try:
            return self._native(data)
        except PARSE_ERRORS:
            return self._text(data)

    def _native(self, data: bytes) -> pl.DataFrame:
        if self.dialect.empty_is_null or self.dialect.trims:
            raise ConversionError("values need a second look")
        schema = {f.name: _native_type(f.type) for f in self.schema}
        raw = self._read(data, schema)
        for name, data_type in self._types.items():
            if raw[name].has_nulls() and not isinstance(data_type, CharacterType):
                raise ConversionError(f"field '{name}' has empty values")
        return self._convert(raw)

    def _text(self, data: bytes) -> pl.DataFrame:
        raw = self._read(data, {f.name: pl.String() for f in self.schema})
        if self.dialect.trims:
            raw = raw.with_columns(pl.all().str.strip_chars())
        if self.dialect.empty_is_null:
            raw = raw.with_columns(pl.when(pl.all() != "").then(pl.all()))
        return self._convert(raw)

    def _read(self, data: bytes, schema: dict[str, pl.DataType]) -> pl.DataFrame:
        d = self.dialect
        raw = pl.read_csv(
            io.BytesIO(data),
            has_header=False,
            schema=schema,
            separator=d.delimiter,
            quote_char=d.quote,
            comment_prefix="#" if d.has_comments else None,
            null_values=None if d.null is None else [d.null],
            empty_string_is_null=False,
            columns=[i for i, f in enumerate(self.schema) if f.name in self.wanted],
        )
        if raw.height * (len(schema) - 1) != _count(data, d.delimiter) and self._may_be_short(data):
            raise ConversionError("a line may have too few fields")
        return raw

    def _may_be_short(self, data: bytes) -> bool:
        """Whether a line may lack fields, which Polars fills in silently: told by the last column, read on its own."""
        d = self.dialect
        if d.quote is None or d.quote.encode() not in data or d.has_comments:
            return True
        last = pl.read_csv(
            io.BytesIO(data),
            has_header=False,
            schema={f.name: pl.String() for f in self.schema},
            separator=d.delimiter,
            quote_char=d.quote,
            empty_string_is_null=False,
            columns=[len(self.schema) - 1],
        ).to_series()
        return bool((last == "").any())

    def _convert(self, raw: pl.DataFrame) -> pl.DataFrame:
        columns = {}
        for name, data_type in self._types.items():
            text = raw[name]
            columns[name] = self._split(text, data_type) if isinstance(data_type, ArrayType | RowType) else text
        return convert_frame(pl.DataFrame(columns), self._types, self.style)

    def _split(self, text: pl.Series, data_type: ArrayType | RowType) -> pl.Series:
        """A nested value is written as its elements with a delimiter between them."""
        parts = text.str.split(self.dialect.element_delimiter)
        if isinstance(data_type, ArrayType):
            empty = pl.lit([], dtype=pl.List(pl.String))
            return (
                pl.DataFrame({"t": text, "p": parts})
                .select(pl.when(pl.col("t") == "").then(empty).otherwise(pl.col("p")))
                .to_series()
            )
        width = len(data_type.fields)
        if (parts.list.len() != width).any():
            raise ConversionError(f"field '{text.name}' does not have {width} elements")
        names = data_type.field_names()
        return parts.to_frame("p").select(pl.col("p").list.to_struct(fields=names)).to_series()

    def _slow(self, data: bytes) -> tuple[pl.DataFrame, list[BadRecord]]:
        rows: list[dict[str, str | None]] = []
        bad: list[BadRecord] = []
        for offset, line, raw in self._records(data):
            try:
                rows.append(self._row(raw))
            except (ValueError, csv.Error) as e:
                bad.append(
                    BadRecord(offset, line, raw, "the line is not UTF-8" if isinstance(e, UnicodeDecodeError) else str(e))
                )
        frame = pl.DataFrame(rows, schema=dict.fromkeys(self.wanted, pl.String), orient="row")
        return self._convert(frame), bad

    def _records(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Offset, 0-based line and bytes of each record that is neither blank nor a comment."""
        pattern = _record_pattern(self.dialect)
        offset = line = 0
        while offset < len(data):
            match = pattern.match(data, offset)
            end = match.end() if match and match.end() > offset else data.find(b"\n", offset) + 1 or len(data)
            raw = data[offset:end]
            is_blank = not raw.strip() and len(self.schema) > 1
            if not is_blank and not (self.dialect.has_comments and raw.startswith(b"#")):
                yield offset, line, raw.rstrip(b"\r\n")
            line += raw.count(b"\n")
            offset = end

    def _row(self, raw: bytes) -> dict[str, str | None]:
        values = self._fields(raw.decode("utf-8"))
        row: dict[str, str | None] = {}
        for column, value in zip(self.schema, values, strict=True):
            if column.name not in self.wanted:
                continue
            try:
                self._check(value, column.type)
                row[column.name] = value
            except (ConversionError, pl.exceptions.PolarsError) as e:
                if not self.dialect.is_lenient:
                    raise ConversionError(f"field '{column.name}': {e}") from None
                row[column.name] = None
        return row

    def _fields(self, text: str) -> list[str | None]:
        d = self.dialect
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=d.delimiter,
            quotechar=d.quote,
            quoting=csv.QUOTE_MINIMAL if d.quote else csv.QUOTE_NONE,
            escapechar=d.escape,
        )
        values: list[str | None] = list(next(reader, [""]))
        expected = len(self.schema)
        if len(values) == expected + 1 and values[-1] == "" and d.allows_trailing_delimiter:
            values.pop()
        if len(values) > expected and d.drops_extra:
            del values[expected:]
        if len(values) < expected and d.is_lenient:
            values += [None] * (expected - len(values))
        if len(values) != expected:
            raise ConversionError(f"the line has {len(values)} fields, the table has {expected}")
        return [self._mark(v) for v in values]

    def _mark(self, value: str | None) -> str | None:
        if value is None:
            return None
        value = value.strip() if self.dialect.trims else value
        is_null = value == self.dialect.null or (value == "" and self.dialect.empty_is_null)
        return None if is_null else value

    def _check(self, value: str | None, data_type: DataType) -> None:
        if value is None or isinstance(data_type, CharacterType | BooleanType):
            return
        text = pl.Series("value", [value], dtype=pl.String)
        if isinstance(data_type, ArrayType | RowType):
            text = self._split(text, data_type)
        convert(text, data_type, self.style)


def _count(data: bytes, character: str) -> int:
    """How often a frequent character occurs (`bytes.count` is made for rare ones)."""
    encoded = character.encode()
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == encoded[0])) if len(encoded) == 1 else data.count(encoded)


def _record_pattern(dialect: CsvDialect) -> re.Pattern[bytes]:
    """Matches one record with its line end: a quote at the start of a field goes on to the closing one, over line ends, too."""
    if dialect.quote is None:
        return re.compile(rb"[^\n]*(?:\n|\Z)")
    quote, delimiter = re.escape(dialect.quote.encode()), re.escape(dialect.delimiter.encode())
    escape = rb"|" + re.escape(dialect.escape.encode()) + rb"[\s\S]" if dialect.escape else b""
    inside = rb"[^" + quote + (re.escape(dialect.escape.encode()) if dialect.escape else b"") + rb"]"
    field = (
        rb"(?:"
        + quote
        + rb"(?:"
        + inside
        + rb"|"
        + quote * 2
        + escape
        + rb")*"
        + quote
        + rb"[^"
        + delimiter
        + rb"\n]*|[^"
        + delimiter
        + rb"\n]*)"
    )
    return re.compile(field + rb"(?:" + delimiter + field + rb")*(?:\n|\Z)")


def _native_type(data_type: DataType) -> pl.DataType:
    """What Polars' reader parses itself; Flink reads dates and the like more strictly, so these come as text."""
    match data_type:
        case IntegralType() | FractionalType() | BooleanType():
            return data_type.to_polars()
    return raw_type(data_type, True) if not isinstance(data_type, ArrayType | RowType) else pl.String()


class CsvFormat(TextFormat):
    """Delimited values."""

    name = "csv"
    options = (
        Option("field-delimiter", str, "The character between two fields.", default=","),
        Option("disable-quote-character", bool, "Quotes are plain characters.", default=False),
        Option("quote-character", str, "The character around a field that holds delimiters.", default='"'),
        Option("escape-character", str, "The character that takes the next one's special meaning away."),
        Option("null-literal", str, "The text that stands for NULL."),
        Option("empty-string-as-null", bool, "An empty field is NULL.", default=False),
        Option("array-element-delimiter", str, "The text between two elements of an ARRAY or ROW.", default=";"),
        Option("allow-comments", bool, "Lines that start with # are left out.", default=False),
        Option("ignore-parse-errors", bool, "A field that does not fit becomes NULL.", default=False),
        Option("ignore-trailing-unmappable", bool, "More fields than columns are left out.", default=False),
        Option("allow-trailing-comma", bool, "A delimiter may end a line.", default=True),
        Option("fail-on-missing-columns", bool, "Accepted for Flink; a short line is always an error.", default=False),
        Option("trim-spaces", bool, "Blanks around a field are left out.", default=False),
        Option("write-bigdecimal-in-scientific-notation", bool, "Accepted for Flink; decimals are always plain.", default=True),
    )

    def check_options(self, values: Mapping[str, Any]) -> None:
        for key in ("field-delimiter", "quote-character", "escape-character"):
            text = values[key] if key != "field-delimiter" else unescaped(values[key])
            if text is not None and len(text) != 1:
                raise OptionError(f"'csv.{key}' must be one character, not '{text}'")

    def dialect(self, options: Mapping[str, Any]) -> CsvDialect:
        """How values are delimited under the given options."""
        return CsvDialect(
            delimiter=unescaped(options["field-delimiter"]),
            quote=None if options["disable-quote-character"] else options["quote-character"],
            escape=options["escape-character"],
            null=options["null-literal"],
            empty_is_null=options["empty-string-as-null"],
            element_delimiter=options["array-element-delimiter"],
            has_comments=options["allow-comments"],
            trims=options["trim-spaces"],
            is_lenient=options["ignore-parse-errors"],
            drops_extra=options["ignore-trailing-unmappable"],
            allows_trailing_delimiter=options["allow-trailing-comma"],
        )

    def decoder(
        self, schema: RowSchema, columns: Sequence[str], options: Mapping[str, Any], metadata: Mapping[str, str] | None = None
    ) -> CsvDecoder:
        _check_types(schema)
        return CsvDecoder(schema, tuple(columns), self.dialect(options))

    def encoder(self, schema: RowSchema, options: Mapping[str, Any]) -> TextEncoder:
        _check_types(schema)
        d = self.dialect(options)
        return CsvEncoder(schema, d.delimiter, d.quote, d.escape, d.null, d.element_delimiter)


def unescaped(text: str) -> str:
    r"""The character that `\t`, `\n`, `\\` or `\u0001` stands for; any other text as it is.

    >>> unescaped(r"\t") == chr(9)
    True
    """
    named = {r"\t": "\t", r"\n": "\n", r"\r": "\r", r"\\": "\\"}
    if text in named:
        return named[text]
    if len(text) == 6 and text.startswith("\\u"):
        return chr(int(text[2:], 16))
    return text


def _check_types(schema: RowSchema) -> None:
    for f in schema:
        if isinstance(f.type, MapType | MultisetType) or _is_deeply_nested(f.type):
            raise unsupported_type("csv", f.name, f.type)


def _is_deeply_nested(data_type: DataType) -> bool:
    match data_type:
        case ArrayType(element_type=element):
            return isinstance(element, ArrayType | RowType | MapType | MultisetType)
        case RowType(fields=fields):
            return any(isinstance(f.data_type, ArrayType | RowType | MapType | MultisetType) for f in fields)
    return False
