"""Rows as JSON lines, column by column.

Imports formats.{base,temporal}, tableapi.types, polars and (lazily) pyarrow only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from tableapi.connectors.formats.base import TextEncoder
from tableapi.connectors.formats.temporal import time_text, timestamp_text
from tableapi.errors import RecordError
from tableapi.tablespec import RowSchema
from tableapi.types import (
    ArrayType,
    BinaryStringType,
    CharacterType,
    DataType,
    DateType,
    FractionalType,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    RowType,
    TimestampType,
    TimeType,
)


@dataclass(frozen=True)
class JsonEncoder(TextEncoder):
    """Writes each row as an object.

    Args:
        separator: What stands between the date and the time of a timestamp.
        skips_nulls: Leave out fields that are NULL.
        null_key: What to do with a NULL key of a map: FAIL, DROP or LITERAL (written as `null_key_text`).
    """

    schema: RowSchema
    separator: str = " "
    skips_nulls: bool = False
    null_key: str = "FAIL"
    null_key_text: str = "null"

    def encode(self, frame: pl.DataFrame, kinds: pl.Series | None) -> bytes:
        return lines_of(self.objects(frame))

    def objects(self, frame: pl.DataFrame) -> pl.Series:
        """The JSON object of each row, as text."""
        if not frame.width or not frame.height:
            return pl.Series([], dtype=pl.String)
        parts = [(f.name, self._text(frame[f.name], f.type)) for f in self.schema]
        return self._object(parts)

    def _object(self, parts: list[tuple[str, pl.Series]]) -> pl.Series:
        exprs: list[pl.Expr] = []
        texts = pl.DataFrame({f"p{i}": text for i, (_, text) in enumerate(parts)})
        for i, (name, _) in enumerate(parts):
            label = ("," if i else "") + json.dumps(name, ensure_ascii=False) + ":"
            if self.skips_nulls:
                exprs.append(("," + label.lstrip(",") + pl.col(f"p{i}")).fill_null(""))
            else:
                exprs += [pl.lit(label), pl.col(f"p{i}").fill_null("null")]
        body = pl.concat_str(exprs)
        if self.skips_nulls:
            body = body.str.strip_prefix(",")
        return texts.select(pl.concat_str(pl.lit("{"), body, pl.lit("}"))).to_series()

    def _text(self, values: pl.Series, data_type: DataType) -> pl.Series:
        """The JSON text of each value; null for NULL."""
        match data_type:
            case CharacterType():
                return quoted(values)
            case ArrayType(element_type=element):
                return self._array(values, element)
            case RowType(fields=fields):
                parts = [(f.name, self._text(values.struct.field(f.name), f.data_type)) for f in fields]
                return _null_where(self._object(parts) if len(values) else pl.Series([], dtype=pl.String), values)
            case MapType() | MultisetType():
                return self._map(values, data_type)
        return values.to_frame("v").select(scalar_json(pl.col("v"), data_type, self.separator)).to_series()

    def _array(self, values: pl.Series, element: DataType) -> pl.Series:
        items, rebuild = explode_list(values)
        return (
            rebuild(self._text(items, element).fill_null("null"))
            .to_frame("v")
            .select("[" + pl.col("v").list.join(",") + "]")
            .to_series()
        )

    def _map(self, values: pl.Series, data_type: MapType | MultisetType) -> pl.Series:
        entries, rebuild = explode_list(values)
        keys, texts = entries.struct.field("key"), entries.struct.field("value")
        value_type = data_type.value_type if isinstance(data_type, MapType) else None
        pairs = pl.DataFrame({"k": keys, "v": self._text(texts, value_type) if value_type else texts.cast(pl.String)})
        if keys.has_nulls():
            if self.null_key == "FAIL":
                raise RecordError(
                    "a map has a NULL key, which JSON cannot hold",
                    fix="set 'json.map-null-key.mode' to 'DROP' or 'LITERAL', or remove such keys",
                )
            pairs = pairs.with_columns(pl.col("k").fill_null(self.null_key_text)) if self.null_key == "LITERAL" else pairs
        text = pairs.select(quoted(pairs["k"]).alias("k") + ":" + pl.col("v").fill_null("null")).to_series()
        return rebuild(text).to_frame("v").select("{" + pl.col("v").list.drop_nulls().list.join(",") + "}").to_series()


def scalar_json(column: pl.Expr, data_type: DataType, separator: str) -> pl.Expr:
    """JSON text of a scalar column that is no string."""
    match data_type:
        case FractionalType():
            quoted_text = pl.when(column.is_nan()).then(pl.lit('"NaN"')).when(column > 0).then(pl.lit('"Infinity"'))
            return (
                pl.when(column.is_finite())
                .then(column.cast(pl.String))
                .when(column.is_null())
                .then(None)
                .otherwise(quoted_text.otherwise(pl.lit('"-Infinity"')))
            )
        case DateType():
            return '"' + column.dt.to_string("%Y-%m-%d") + '"'
        case TimeType():
            return '"' + time_text(column) + '"'
        case TimestampType() | LocalZonedTimestampType():
            return '"' + timestamp_text(column, separator, isinstance(data_type, LocalZonedTimestampType)) + '"'
        case BinaryStringType():
            return '"' + column.bin.encode("base64") + '"'
    return column.cast(pl.String)


def quoted(text: pl.Series) -> pl.Series:
    """Texts as JSON strings; null for null."""
    frame = text.to_frame("v")
    if not text.str.contains(r'["\\\x00-\x1f]').any():
        return frame.select('"' + pl.col("v") + '"').to_series()
    encoded = frame.select(pl.struct("v").struct.json_encode().str.slice(5).str.strip_suffix("}").alias("v")).to_series()
    return _null_where(encoded, text)


def lines_of(texts: pl.Series) -> bytes:
    """All texts, each with a line end."""
    if not len(texts):
        return b""
    size = texts.str.len_bytes().sum() + len(texts)
    array = (texts + "\n").rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    assert array.offset == 0
    data: bytes = array.buffers()[2].slice(0, size).to_pybytes()
    return data


def _null_where(texts: pl.Series, values: pl.Series) -> pl.Series:
    return texts if not values.has_nulls() else texts.set(values.is_null(), None)


def explode_list(values: pl.Series) -> tuple[pl.Series, Callable[[pl.Series], pl.Series]]:
    """The items of a list column, and a function that groups as many new items again."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = values.to_arrow()
    start, end = (array.offsets[0].as_py(), array.offsets[-1].as_py()) if len(array) else (0, 0)
    offsets = pc.subtract(array.offsets, pa.scalar(start, array.offsets.type))
    mask = array.is_null() if array.null_count else None

    def rebuild(items: pl.Series) -> pl.Series:
        return pl.Series(pl.from_arrow(pa.LargeListArray.from_arrays(offsets, items.to_arrow(), mask=mask)))

    return pl.Series(pl.from_arrow(array.values.slice(start, end - start))), rebuild
