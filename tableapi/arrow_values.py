"""Columns as Arrow arrays of the exact Arrow types: MAP becomes an Arrow map. May import types; pyarrow inside functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tableapi.types import ArrayType, DataType, MapType, MultisetType, RowType, to_arrow

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from tableapi.tablespec import RowSchema


def arrow_schema(schema: RowSchema) -> pa.Schema:
    """The names and Arrow types of columns."""
    import pyarrow as pa

    return pa.schema([(f.name, to_arrow(f.type)) for f in schema])


def arrow_column(column: pl.Series, data_type: DataType) -> pa.Array:
    """The column as one Arrow array."""
    return _convert(column.to_arrow(), data_type)


def _convert(values: pa.Array, data_type: DataType) -> pa.Array:
    import pyarrow as pa

    if not _has_map(data_type):
        return values.cast(to_arrow(data_type))
    if isinstance(data_type, RowType):
        fields = [_convert(values.field(i), f.data_type) for i, f in enumerate(data_type.fields)]
        return pa.StructArray.from_arrays(fields, fields=list(to_arrow(data_type)), mask=values.is_null())
    offsets = values.offsets.cast(pa.int32())
    if isinstance(data_type, ArrayType):
        inner = _convert(values.values, data_type.element_type)
        return pa.ListArray.from_arrays(offsets, inner, mask=values.is_null())
    key, value = _map_types(data_type)
    entries = values.values
    keys, items = _convert(entries.field(0), key), _convert(entries.field(1), value)
    return pa.MapArray.from_arrays(offsets, keys, items, mask=values.is_null())


def _map_types(data_type: DataType) -> tuple[DataType, DataType]:
    from tableapi.types import IntType

    if isinstance(data_type, MapType):
        return data_type.key_type, data_type.value_type
    assert isinstance(data_type, MultisetType)
    return data_type.element_type, IntType(is_nullable=False)


def _has_map(data_type: DataType) -> bool:
    match data_type:
        case MapType() | MultisetType():
            return True
        case ArrayType(element_type=element):
            return _has_map(element)
        case RowType(fields=fields):
            return any(_has_map(f.data_type) for f in fields)
    return False
