"""Values as JSON text: what JSON_STRING, JSON_OBJECT and JSON_ARRAY put out. Polars expressions."""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from tableapi.functions.jsontree import key_order
from tableapi.functions.registry import SessionContext
from tableapi.functions.text_format import float_text, to_text
from tableapi.types import (
    ArrayType,
    BinaryStringType,
    BitmapType,
    BooleanType,
    CharacterType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    FractionalType,
    IntType,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    NumericType,
    RowType,
    TimestampType,
    TimeType,
    VariantType,
    YearMonthIntervalType,
)

_SHORT = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CONTROL = {chr(c): f"\\u{c:04X}" for c in range(32) if chr(c) not in _SHORT}
_ESCAPES = _SHORT | _CONTROL


_WITHOUT_JSON = (DateType, TimeType, BitmapType, YearMonthIntervalType, DayTimeIntervalType)


def has_json(data_type: DataType) -> bool:
    """Whether values of the type have a JSON form (Flink: dates and times of day have none)."""
    match data_type:
        case ArrayType(element_type=element):
            return has_json(element)
        case MapType(key_type=key, value_type=item):
            return isinstance(key, CharacterType) and has_json(item)
        case MultisetType(element_type=key):
            return isinstance(key, CharacterType)
        case RowType():
            return all(has_json(t) for t in data_type.field_types())
    return not isinstance(data_type, _WITHOUT_JSON)


def quote(text: pl.Expr) -> pl.Expr:
    """A JSON string literal; characters beyond ASCII stay as they are."""
    return pl.concat_str([pl.lit('"'), text.str.replace_many(list(_ESCAPES), list(_ESCAPES.values())), pl.lit('"')])


_MOST_ZEROS = 6
"""A decimal below 1e-6 is written with an exponent."""


def _number_texts(numbers: pl.Series) -> pl.Series:
    """Numbers as Java's BigDecimal writes them: 1.0E+7, 0.000010, 1.1."""
    texts = float_text(numbers) if numbers.dtype.is_float() else numbers
    odd = texts.filter(texts.str.contains(r"E|^-?0\.0")).unique()
    shown = {t: str(_decimal(t)) for t in odd.to_list()}
    return texts.replace(list(shown), list(shown.values())).alias(numbers.name) if shown else texts.alias(numbers.name)


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    return number if number else abs(number)


def to_json(value: pl.Expr, data_type: DataType, session: SessionContext) -> pl.Expr:
    """The JSON text of a value; NULL stays NULL (inside arrays and objects it becomes null)."""
    match data_type:
        case CharacterType():
            return quote(value)
        case VariantType():
            return value
        case BooleanType():
            return pl.when(value).then(pl.lit("true")).when(~value).then(pl.lit("false"))
        case FractionalType():
            text = value.cast(pl.Float64).map_batches(_number_texts, return_dtype=pl.String(), is_elementwise=True)
            return pl.when(value.is_finite()).then(text).otherwise(quote(text))
        case DecimalType(scale=scale) if scale > _MOST_ZEROS:
            return value.cast(pl.String).map_batches(_number_texts, return_dtype=pl.String(), is_elementwise=True)
        case NumericType():
            return value.cast(pl.String)
        case BinaryStringType():
            return quote(value.bin.encode("base64"))
        case LocalZonedTimestampType():
            return quote(pl.concat_str([_iso(value.dt.replace_time_zone(None)), pl.lit("Z")]))
        case TimestampType():
            return quote(_iso(value))
        case ArrayType(element_type=element):
            parts = value.list.eval(to_json(pl.element(), element, session).fill_null("null"))
            return pl.concat_str([pl.lit("["), parts.list.join(","), pl.lit("]")])
        case MapType(key_type=key, value_type=item):
            return _entries(value, key, item, session)
        case MultisetType(element_type=element):
            return _entries(value, element, IntType(), session)
        case RowType(fields=fields):
            members = [
                pl.concat_str(
                    [
                        quote(pl.lit(f.name)),
                        pl.lit(":"),
                        to_json(value.struct.field(f.name), f.data_type, session).fill_null("null"),
                    ]
                )
                for f in sorted(fields, key=lambda f: key_order(f.name))
            ]
            joined = pl.concat_str(members, separator=",") if members else pl.lit("")
            return pl.when(value.is_not_null()).then(pl.concat_str([pl.lit("{"), joined, pl.lit("}")]))
    return quote(to_text(value, data_type, session))


def _entries(value: pl.Expr, key: DataType, item: DataType, session: SessionContext) -> pl.Expr:
    element = pl.element()
    name = to_text(element.struct.field("key"), key, session).fill_null("null")
    text = to_json(element.struct.field("value"), item, session).fill_null("null")
    entry = pl.struct(name.alias("name"), pl.concat_str([quote(name), pl.lit(":"), text]).alias("text"))
    return pl.concat_str([pl.lit("{"), value.list.eval(in_key_order(entry)).list.join(","), pl.lit("}")])


def in_key_order(entries: pl.Expr) -> pl.Expr:
    """The texts of members (`name`, `text`) of an object, sorted by name; of equal names the last one stays."""
    name = entries.struct.field("name")
    kept = entries.filter(name.is_last_distinct())
    return kept.sort_by(kept.struct.field("name")).struct.field("text")


def _iso(value: pl.Expr) -> pl.Expr:
    return _with_fraction(value.dt.strftime("%Y-%m-%dT%H:%M:%S"), value.dt.strftime("%9f"))


def _with_fraction(whole: pl.Expr, nanos: pl.Expr) -> pl.Expr:
    digits = nanos.str.strip_chars_end("0")
    return pl.when(digits == "").then(whole).otherwise(pl.concat_str([whole, pl.lit("."), digits]))
