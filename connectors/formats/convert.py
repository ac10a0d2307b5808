"""From what a parser reads to the table's types: whole columns, nested ones included, with Flink's rules.

A text format is read in two tries. *Native*: the parser reads numbers and booleans itself and leaves the rest as text. When a
value does not fit (a number in quotes, blanks around it), *text*: everything is read as text and converted here by Flink's more
lenient rules. A value that fits neither way raises `ConversionError`, and the caller looks for the row.
Imports tableapi.types, polars, and (lazily) pyarrow only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from tableapi.connectors.formats import temporal
from tableapi.tablespec import RowSchema
from tableapi.types import (
    ArrayType,
    BinaryStringType,
    BooleanType,
    CharacterType,
    DataType,
    DateType,
    DecimalType,
    FractionalType,
    IntegralType,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    RowType,
    TimestampType,
    TimeType,
)


class ConversionError(ValueError):
    """A value does not fit its column."""


@dataclass(frozen=True)
class TextStyle:
    """How a format writes values.

    Args:
        separator: What stands between the date and the time of a timestamp.
        zone: Whether an instant (TIMESTAMP_LTZ) ends in `Z`.
        map_null_key: What a NULL key of a map is written as (None: it is an error).
    """

    separator: str = " "
    zone: bool = True
    map_null_key: str | None = None


def is_readable(data_type: DataType) -> bool:
    """Whether text formats can hold values of the type."""
    match data_type:
        case ArrayType(element_type=element) | MultisetType(element_type=element):
            return is_readable(element)
        case MapType(key_type=key, value_type=value):
            return isinstance(key, CharacterType) and is_readable(value)
        case RowType(fields=fields):
            return all(is_readable(f.data_type) for f in fields)
        case _:
            return isinstance(
                data_type,
                IntegralType
                | FractionalType
                | BooleanType
                | CharacterType
                | DecimalType
                | BinaryStringType
                | DateType
                | TimeType
                | TimestampType
                | LocalZonedTimestampType,
            )


def raw_type(data_type: DataType, is_text: bool) -> pl.DataType:
    """The Polars type that the parser is asked for: numbers and booleans as such unless `is_text`, the rest as text."""
    match data_type:
        case IntegralType() if not is_text:
            return pl.Int64()
        case FractionalType() if not is_text:
            return pl.Float64()
        case BooleanType() if not is_text:
            return pl.Boolean()
        case ArrayType(element_type=element):
            return pl.List(raw_type(element, is_text))
        case RowType(fields=fields):
            return pl.Struct({f.name: raw_type(f.data_type, is_text) for f in fields})
        case _:
            return pl.String()


def raw_schema(schema: RowSchema, is_text: bool) -> dict[str, pl.DataType]:
    """`raw_type` of every column."""
    return {f.name: raw_type(f.type, is_text) for f in schema}


def convert_frame(raw: pl.DataFrame, types: Mapping[str, DataType], style: TextStyle) -> pl.DataFrame:
    """The columns of `raw` in the Polars types of `types`.

    Raises:
        ConversionError: when a value does not fit; it names the column.
    """
    columns = []
    for name, data_type in types.items():
        try:
            columns.append(convert(raw[name], data_type, style).alias(name))
        except (ConversionError, pl.exceptions.PolarsError) as e:
            raise ConversionError(f"field '{name}': {e}") from None
    return pl.DataFrame(columns)


def convert(raw: pl.Series, data_type: DataType, style: TextStyle) -> pl.Series:
    """One column in the Polars type of `data_type`.

    Raises:
        ConversionError: when a value does not fit.
    """
    if isinstance(data_type, ArrayType):
        return _convert_list(raw, data_type, style)
    if isinstance(data_type, RowType):
        return _convert_struct(raw, data_type, style)
    if isinstance(data_type, MapType | MultisetType):
        return _convert_map(raw, data_type, style)
    if raw.dtype != pl.String:
        return _checked(raw, raw.cast(data_type.to_polars(), strict=False), data_type)
    if isinstance(data_type, CharacterType):
        return raw
    return _checked(raw, _from_text(raw, data_type, style), data_type)


def _checked(raw: pl.Series, converted: pl.Series, data_type: DataType) -> pl.Series:
    if converted.null_count() > raw.null_count() and not isinstance(data_type, DecimalType):
        wrong = raw.filter(raw.is_not_null() & converted.is_null())[0]
        shown = f"'{wrong}'" if isinstance(wrong, str) else str(wrong)
        raise ConversionError(f"{shown} is not {with_article(data_type)}")
    return converted


def with_article(data_type: DataType) -> str:
    """The type in a sentence: "an INT"."""
    name = str(data_type.nullable())
    return ("an " if name[0] in "AEIOU" else "a ") + name


def _from_text(text: pl.Series, data_type: DataType, style: TextStyle) -> pl.Series:
    """Text to a scalar; null where it does not fit."""
    match data_type:
        case IntegralType() | FractionalType():
            return text.str.strip_chars().cast(data_type.to_polars(), strict=False)
        case BooleanType():
            # Flink: whatever does not read "true" is FALSE.
            return text.str.strip_chars().str.to_lowercase() == "true"
        case DecimalType():
            return _decimal(text, data_type)
        case DateType():
            return temporal.parse_dates(text)
        case TimeType():
            return temporal.parse_times(text)
        case TimestampType():
            return temporal.parse_timestamps(text, pl.Datetime(data_type.to_polars().time_unit), style.separator)  # type: ignore[attr-defined]
        case LocalZonedTimestampType():
            dtype = data_type.to_polars()
            return temporal.parse_timestamps(text, dtype, style.separator, style.zone)  # type: ignore[arg-type]
        case BinaryStringType():
            return text.str.decode("base64", strict=False)
    raise ConversionError(f"a text cannot be read as {data_type}")


def _decimal(text: pl.Series, data_type: DecimalType) -> pl.Series:
    """Decimals rounded half up; NULL where the precision does not suffice (Flink), an error where the text is no number."""
    target = data_type.to_polars()
    converted = text.cast(target, strict=False)
    if converted.null_count() == text.null_count() and not _has_more_digits(text, data_type.scale):
        return converted
    trimmed = text.str.strip_chars()
    wide_scale = max(data_type.scale, min(38 - (data_type.precision - data_type.scale), data_type.scale + 12))
    wide = trimmed.cast(pl.Decimal(38, wide_scale), strict=False)
    not_a_number = wide.is_null() & text.is_not_null() & trimmed.cast(pl.Float64, strict=False).is_null()
    if not_a_number.any():
        raise ConversionError(f"'{text.filter(not_a_number)[0]}' is not {with_article(data_type)}")
    return wide.round(data_type.scale, mode="half_away_from_zero").cast(target, strict=False)


def _has_more_digits(text: pl.Series, scale: int) -> bool:
    point = text.str.find(".", literal=True)
    return bool((text.str.len_bytes() - point.cast(pl.Int64) - 1 > scale).any())


def _convert_list(raw: pl.Series, data_type: ArrayType, style: TextStyle) -> pl.Series:
    import pyarrow as pa
    import pyarrow.compute as pc

    array = raw.to_arrow()
    start, end = (array.offsets[0].as_py(), array.offsets[-1].as_py()) if len(array) else (0, 0)
    values = _series(array.values.slice(start, end - start), raw.dtype.inner)  # type: ignore[attr-defined]
    converted = convert(values, data_type.element_type, style).to_arrow()
    offsets = pc.subtract(array.offsets, pa.scalar(start, array.offsets.type))
    rebuilt = pa.LargeListArray.from_arrays(offsets, converted, mask=array.is_null() if array.null_count else None)
    return _series(rebuilt, data_type.to_polars())


def _convert_struct(raw: pl.Series, data_type: RowType, style: TextStyle) -> pl.Series:
    import pyarrow as pa

    parts = [convert(raw.struct.field(f.name), f.data_type, style).to_arrow() for f in data_type.fields]
    mask = raw.is_null().to_arrow() if raw.null_count() else None
    rebuilt = pa.StructArray.from_arrays(parts, names=data_type.field_names(), mask=mask)
    return _series(rebuilt, data_type.to_polars())


def _series(array: pa.Array, dtype: pl.DataType) -> pl.Series:
    series = pl.from_arrow(array)
    return series if series.dtype == dtype else series.cast(dtype)  # type: ignore[union-attr, return-value]


def _convert_map(text: pl.Series, data_type: MapType | MultisetType, style: TextStyle) -> pl.Series:
    """JSON objects in a text column to lists of entries. Keys differ from row to row, so each object is parsed on its own."""
    key_type = data_type.key_type if isinstance(data_type, MapType) else data_type.element_type
    entry = data_type.to_polars().inner  # type: ignore[attr-defined]
    value_dtype = entry.fields[1].dtype
    objects = [None if t is None else json.loads(t, parse_float=str) for t in text]
    if any(o is not None and not isinstance(o, dict) for o in objects):
        raise ConversionError(f"a value is not a JSON object, which {data_type.nullable()} needs")
    sizes = [None if o is None else len(o) for o in objects]
    keys = pl.Series([k for o in objects if o for k in o], dtype=pl.String)
    values = [v for o in objects if o for v in o.values()]
    value_type = data_type.value_type if isinstance(data_type, MapType) else None
    raw_values = pl.Series(
        [_as_raw_text(v, value_type) for v in values], dtype=raw_type(value_type, True) if value_type else pl.String()
    )
    converted = convert(raw_values, value_type, style) if value_type else raw_values.cast(value_dtype)
    entries = pl.DataFrame({"key": convert(keys, key_type, style), "value": converted}).to_struct("entry")
    return _regroup(entries, sizes, text.name, data_type.to_polars())


def _as_raw_text(value: object, data_type: DataType | None) -> object:
    """A parsed JSON value in the shape of `raw_type(data_type, is_text=True)`."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(data_type, ArrayType) and isinstance(value, list):
        return [_as_raw_text(v, data_type.element_type) for v in value]
    if isinstance(data_type, RowType) and isinstance(value, dict):
        return {f.name: _as_raw_text(value.get(f.name), f.data_type) for f in data_type.fields}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _regroup(entries: pl.Series, sizes: list[int | None], name: str, dtype: pl.DataType) -> pl.Series:
    """A list column whose rows take `sizes` entries one after the other (None: a null row)."""
    import pyarrow as pa

    lengths = pl.Series(sizes, dtype=pl.Int64)
    offsets = pl.concat([pl.Series([0], dtype=pl.Int64), lengths.fill_null(0).cum_sum()])
    mask = lengths.is_null().to_arrow() if lengths.null_count() else None
    rebuilt = pa.LargeListArray.from_arrays(offsets.to_arrow(), entries.to_arrow(), mask=mask)
    return _series(rebuilt, dtype).alias(name)


TYPE_CHECKING = False
if TYPE_CHECKING:
    import pyarrow as pa
