"""The `json` format: an object a line, with Flink's options and value texts.

Imports formats.{base,convert,rows,lines,json_encode}, connectors.{base,options} and tableapi's plain data types only.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tableapi.connectors.base import Option
from tableapi.connectors.formats.base import (
    BadRecord,
    Decoded,
    TextDecoder,
    TextEncoder,
    TextFormat,
    single_choice,
    unsupported_type,
)
from tableapi.connectors.formats.convert import (
    ConversionError,
    TextStyle,
    convert_frame,
    is_readable,
    raw_schema,
)
from tableapi.connectors.formats.json_encode import JsonEncoder
from tableapi.connectors.formats.lines import PARSE_ERRORS, decode_lines
from tableapi.connectors.formats.rows import parse_json, raw_value
from tableapi.tablespec import RowSchema
from tableapi.types import ArrayType, CharacterType, DataType, DecimalType, RowType

JSON_OPTIONS = (
    Option(
        "ignore-parse-errors",
        bool,
        "A field that does not fit becomes NULL, a line that is not JSON is left out.",
        default=False,
    ),
    Option(
        "timestamp-format.standard",
        ("SQL", "ISO-8601"),
        "'2024-01-31 10:00:00.123' or '2024-01-31T10:00:00.123'.",
        default="SQL",
    ),
    Option(
        "map-null-key.mode", ("FAIL", "DROP", "LITERAL"), "What to do with a NULL key of a map when writing.", default="FAIL"
    ),
    Option("map-null-key.literal", str, "What a NULL key is written as, in mode LITERAL.", default="null"),
    Option("encode.decimal-as-plain-number", bool, "Accepted for Flink; decimals are always plain numbers.", default=False),
    Option("encode.ignore-null-fields", bool, "Leave out fields that are NULL when writing.", default=False),
)


def style_of(options: Mapping[str, Any]) -> TextStyle:
    """How timestamps are written under the given options."""
    return TextStyle(separator="T" if options["timestamp-format.standard"] == "ISO-8601" else " ")


@dataclass(frozen=True)
class JsonDecoder(TextDecoder):
    """Reads `fields` of JSON objects.

    Args:
        fields: What to read, and so the columns of the result.
        is_lenient: Flink's `ignore-parse-errors`.
        needs_all: Flink's `fail-on-missing-field`.
    """

    fields: RowSchema
    style: TextStyle = field(default_factory=TextStyle)
    is_lenient: bool = False
    needs_all: bool = False

    def decode(self, data: bytes) -> Decoded:
        decoded = decode_lines(data, self.fast, self.slow)
        return Decoded(decoded.frame) if self.is_lenient else decoded

    def decode_records(self, records: Sequence[bytes]) -> Decoded:
        """Line ends inside a record stand between tokens, as JSON strings cannot hold any."""
        return self.decode(b"".join(record.replace(b"\n", b" ") + b"\n" for record in records))

    @property
    def _types(self) -> dict[str, DataType]:
        return {f.name: f.type for f in self.fields}

    def fast(self, data: bytes) -> pl.DataFrame:
        """All lines at once; raises one of `PARSE_ERRORS` when a line does not fit."""
        if not data or data.isspace():
            return pl.DataFrame(schema=self.fields.to_polars())
        if _needs_exact_numbers(self.fields) and _LONG_NUMBER.search(data):
            raise ConversionError("a number has more digits than a double can hold")
        try:
            return self._vectorised(data, is_text=False)
        except PARSE_ERRORS:
            return self._vectorised(data, is_text=True)

    def _vectorised(self, data: bytes, is_text: bool) -> pl.DataFrame:
        raw = pl.read_ndjson(io.BytesIO(data), schema=raw_schema(self.fields, is_text))
        for f in self.fields:
            if isinstance(f.type, CharacterType) and _may_be_rewritten(raw[f.name], f.name, data):
                raise ConversionError(f"field '{f.name}' holds values that are no strings")
        if self.needs_all and any(raw[name].has_nulls() for name in raw.columns):
            raise ConversionError("a field may be missing")
        return convert_frame(raw, self._types, self.style)

    def slow(self, data: bytes) -> tuple[pl.DataFrame, list[BadRecord]]:
        """Line by line, with the lines that do not fit."""
        records: list[dict[str, Any]] = []
        bad: list[BadRecord] = []
        for offset, line, raw in split_lines(data):
            try:
                records.extend(self._checked(o) for o in _objects(raw))
            except ValueError as e:
                bad.append(BadRecord(offset, line, raw, _reason(e)))
        frame = pl.DataFrame(records, schema=raw_schema(self.fields, True), orient="row")
        return convert_frame(frame, self._types, self.style), bad

    def _checked(self, record: Mapping[str, Any]) -> dict[str, Any]:
        result = {}
        for f in self.fields:
            if self.needs_all and f.name not in record:
                raise ConversionError(f"field '{f.name}' is missing")
            try:
                result[f.name] = raw_value(record.get(f.name), f.type, self.style, self.is_lenient)
            except ConversionError as e:
                raise ConversionError(f"field '{f.name}': {e}") from None
        return result


def split_lines(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Offset, 0-based number and bytes of each line that is not blank."""
    offset = 0
    for number, line in enumerate(data.splitlines(keepends=True) if b"\r" not in data else re.split(rb"(?<=\n)", data)):
        if not line.isspace() and line:
            yield offset, number, line.rstrip(b"\r\n")
        offset += len(line)


def _objects(line: bytes) -> list[dict[str, Any]]:
    """The objects of a line: one, or those of an array."""
    value = parse_json(line.decode("utf-8"))
    objects = value if isinstance(value, list) else [value]
    if not all(isinstance(o, dict) for o in objects):
        raise ConversionError("the line is not a JSON object")
    return objects


def _reason(error: ValueError) -> str:
    if isinstance(error, ConversionError):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return "the line is not UTF-8"
    return f"the line is not JSON ({error})"


_LONG_NUMBER = re.compile(rb"[:\[,]\s*-?[0-9.]{17}")
_REWRITTEN = r"^(?:[\[{]|-?\d+[.eE]|-?\d{17})"


def _needs_exact_numbers(schema: RowSchema) -> bool:
    return any(_has_wide_decimal(f.type) for f in schema)


def _has_wide_decimal(data_type: DataType) -> bool:
    match data_type:
        case DecimalType(precision=p):
            return p > 15
        case ArrayType(element_type=element):
            return _has_wide_decimal(element)
        case RowType(fields=fields):
            return any(_has_wide_decimal(f.data_type) for f in fields)
    return False


def _may_be_rewritten(text: pl.Series, name: str, data: bytes) -> bool:
    """Whether a text column may hold JSON numbers or objects: Polars writes them anew (1.5 for 1.50), Flink keeps them."""
    if not text.str.contains(_REWRITTEN).any():
        return False
    return re.search(rb'"' + re.escape(name.encode()) + rb'"\s*:\s*[-\d{\[]', data) is not None


class JsonFormat(TextFormat):
    """JSON lines."""

    name = "json"
    options = (
        Option("fail-on-missing-field", bool, "A record without one of the table's fields is an error.", default=False),
        Option("decode.json-parser.enabled", bool, "Accepted for Flink; there is one parser.", default=True),
        *JSON_OPTIONS,
    )

    def check_options(self, values: Mapping[str, Any]) -> None:
        single_choice(values, "fail-on-missing-field", "ignore-parse-errors", self.name)

    def decoder(
        self, schema: RowSchema, columns: Sequence[str], options: Mapping[str, Any], metadata: Mapping[str, str] | None = None
    ) -> JsonDecoder:
        fields = RowSchema(tuple(schema[name] for name in columns))
        check_types(self.name, fields)
        return JsonDecoder(fields, style_of(options), options["ignore-parse-errors"], options["fail-on-missing-field"])

    def encoder(self, schema: RowSchema, options: Mapping[str, Any]) -> TextEncoder:
        check_types(self.name, schema)
        return json_encoder(schema, options)


def json_encoder(schema: RowSchema, options: Mapping[str, Any]) -> JsonEncoder:
    """The encoder of rows of `schema` under the options that all JSON formats share."""
    return JsonEncoder(
        schema,
        separator=style_of(options).separator,
        skips_nulls=options["encode.ignore-null-fields"],
        null_key=options["map-null-key.mode"],
        null_key_text=options["map-null-key.literal"],
    )


def check_types(format_name: str, schema: RowSchema) -> None:
    """Rejects columns that JSON cannot hold.

    Raises:
        UnsupportedError: for the first one.
    """
    for f in schema:
        if not is_readable(f.type):
            raise unsupported_type(format_name, f.name, f.type)
