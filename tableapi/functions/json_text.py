"""Values as JSON text: what JSON_STRING, JSON_OBJECT and JSON_ARRAY put out. Polars expressions."""

from __future__ import annotations

import polars as pl

from tableapi.functions.registry import SessionContext
from tableapi.functions.text_format import float_text, to_text
from tableapi.types import (
    ArrayType,
    BinaryStringType,
    BooleanType,
    CharacterType,
    DataType,
    FractionalType,
    LocalZonedTimestampType,
    MapType,
    MultisetType,
    NumericType,
    RowType,
    TimestampType,
    TimeType,
    VariantType,
)

_SHORT = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CONTROL = {chr(c): f"\\u{c:04X}" for c in range(32) if chr(c) not in _SHORT}
_ESCAPES = _SHORT | _CONTROL


def quote(text: pl.Expr) -> pl.Expr:
    """A JSON string literal; characters beyond ASCII stay as they are."""
    return pl.concat_str([pl.lit('"'), text.str.replace_many(list(_ESCAPES), list(_ESCAPES.values())), pl.lit('"')])


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
            text = value.map_batches(float_text, return_dtype=pl.String(), is_elementwise=True)
            return pl.when(value.is_finite()).then(text).otherwise(quote(text))
        case NumericType():
            return value.cast(pl.String)
        case BinaryStringType():
            return quote(value.bin.encode("base64"))
        case LocalZonedTimestampType():
            return quote(pl.concat_str([_iso(value.dt.replace_time_zone(None)), pl.lit("Z")]))
        case TimestampType():
            return quote(_iso(value))
        case TimeType():
            return quote(_with_fraction(value.dt.strftime("%H:%M:%S"), value.dt.strftime("%9f")))
        case ArrayType(element_type=element):
            parts = value.list.eval(to_json(pl.element(), element, session).fill_null("null"))
            return pl.concat_str([pl.lit("["), parts.list.join(","), pl.lit("]")])
        case MapType(key_type=key, value_type=item):
            return _entries(value, key, item, session)
        case MultisetType(element_type=element):
            from tableapi.types import IntType

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
                for f in fields
            ]
            joined = pl.concat_str(members, separator=",") if members else pl.lit("")
            return pl.when(value.is_not_null()).then(pl.concat_str([pl.lit("{"), joined, pl.lit("}")]))
    return quote(to_text(value, data_type, session))


def _entries(value: pl.Expr, key: DataType, item: DataType, session: SessionContext) -> pl.Expr:
    element = pl.element()
    name = quote(to_text(element.struct.field("key"), key, session)).fill_null('"null"')
    text = to_json(element.struct.field("value"), item, session).fill_null("null")
    members = value.list.eval(pl.concat_str([name, pl.lit(":"), text])).list.join(",")
    return pl.concat_str([pl.lit("{"), members, pl.lit("}")])


def _iso(value: pl.Expr) -> pl.Expr:
    return _with_fraction(value.dt.strftime("%Y-%m-%dT%H:%M:%S"), value.dt.strftime("%9f"))


def _with_fraction(whole: pl.Expr, nanos: pl.Expr) -> pl.Expr:
    digits = nanos.str.strip_chars_end("0")
    return pl.when(digits == "").then(whole).otherwise(pl.concat_str([whole, pl.lit("."), digits]))
