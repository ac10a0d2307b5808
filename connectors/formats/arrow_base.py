"""What the columnar formats share: fitting what a file holds to the table's types.

Imports formats.base, tableapi.types, tablespec, errors, polars and (lazily) pyarrow only.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tableapi.errors import RecordError
from tableapi.tablespec import RowSchema
from tableapi.types import ArrayType, DataType, MapType, MultisetType, RowType, to_arrow

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pyarrow as pa


def fit(frame: pl.DataFrame, schema: RowSchema, columns: Sequence[str], file: str) -> pl.DataFrame:
    """The named columns in the table's types; a column that the file lacks is NULL.

    Raises:
        RecordError: when a value does not fit its column.
    """
    fitted = []
    for name in columns:
        dtype = schema[name].type.to_polars()
        if name not in frame.columns:
            fitted.append(pl.Series(name, [None], dtype=dtype).new_from_index(0, frame.height).alias(name))
            continue
        try:
            fitted.append(frame[name] if frame[name].dtype == dtype else frame[name].cast(dtype))
        except pl.exceptions.PolarsError as e:
            raise RecordError(
                f"column '{name}' of file '{file}' is {frame[name].dtype}, which does not fit {schema[name].type}",
                exists=str(e).splitlines()[0],
                fix=f"declare '{name}' with the type that the file has",
            ) from None
    return pl.DataFrame(fitted)


def from_arrow(table: pa.Table) -> pl.DataFrame:
    """An Arrow table as a frame."""
    return pl.DataFrame(pl.from_arrow(table))


def to_arrow_table(frame: pl.DataFrame, schema: RowSchema) -> pa.Table:
    """A frame as an Arrow table in the types that other programs expect: maps as maps, 32-bit offsets."""
    import pyarrow as pa

    arrays = [_cast(frame[f.name].to_arrow(), f.type) for f in schema]
    fields = [pa.field(f.name, a.type, f.type.is_nullable) for f, a in zip(schema, arrays, strict=True)]
    return pa.table(arrays, schema=pa.schema(fields))


def _cast(array: pa.Array, data_type: DataType) -> pa.Array:
    import pyarrow as pa

    match data_type:
        case ArrayType(element_type=element):
            values = _cast(array.values, element)
            mask = array.is_null() if array.null_count else None
            return pa.ListArray.from_arrays(array.offsets.cast(pa.int32()), values, mask=mask)
        case RowType(fields=fields):
            parts = [_cast(array.field(i), f.data_type) for i, f in enumerate(fields)]
            mask = array.is_null() if array.null_count else None
            return pa.StructArray.from_arrays(parts, names=data_type.field_names(), mask=mask)
        case MapType(key_type=key, value_type=value):
            return _map(array, key, value)
        case MultisetType(element_type=element):
            return array
    target = to_arrow(data_type)
    return array if array.type == target else array.cast(target)


def _map(array: pa.Array, key: DataType, value: DataType) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = _cast(array.values.field("key"), key)
    values = _cast(array.values.field("value"), value)
    offsets = array.offsets.cast(pa.int32())
    if array.null_count:
        # A null offset marks a null map.
        offsets = pc.if_else(pa.concat_arrays([array.is_valid(), pa.array([True])]), offsets, None)
    return pa.MapArray.from_arrays(offsets, keys, values)
