"""Rows and frames that a program holds, as tables: type inference from Python values and from Polars columns.

May import types, row, errors and tablespec; conversion to columns is the runtime's, imported inside functions.
"""

from __future__ import annotations

import array
import datetime
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from tableapi.errors import TypeMismatchError, UnsupportedError, ValidationError
from tableapi.expression_base import caller
from tableapi.row import Row
from tableapi.tablespec import Field, RowSchema
from tableapi.types import (
    ArrayType,
    BooleanType,
    DataType,
    DataTypes,
    LocalZonedTimestampType,
    MapType,
    NullType,
    RowField,
    RowType,
)
from tableapi.user_defined_type import stored_type, to_stored

_BY_PYTHON: dict[type, DataType] = {
    bool: DataTypes.BOOLEAN(),
    int: DataTypes.BIGINT(),
    float: DataTypes.DOUBLE(),
    str: DataTypes.STRING(),
    bytearray: DataTypes.BYTES(),
    bytes: DataTypes.BYTES(),
    Decimal: DataTypes.DECIMAL(38, 18),
    datetime.date: DataTypes.DATE(),
    datetime.time: DataTypes.TIME(),
    datetime.datetime: DataTypes.TIMESTAMP_LTZ(6),
    datetime.timedelta: DataTypes.INTERVAL(DataTypes.DAY(), DataTypes.SECOND()),
    type(None): NullType(),
}

_ARRAY_CODES: dict[str, DataType] = {
    "b": DataTypes.TINYINT(),
    "B": DataTypes.SMALLINT(),
    "h": DataTypes.SMALLINT(),
    "H": DataTypes.INT(),
    "i": DataTypes.INT(),
    "I": DataTypes.BIGINT(),
    "l": DataTypes.BIGINT(),
    "q": DataTypes.BIGINT(),
    "f": DataTypes.FLOAT(),
    "d": DataTypes.DOUBLE(),
    "u": DataTypes.STRING(),
}


def infer_type(value: Any) -> DataType:
    """The type of a Python value (PyFlink's rules).

    Raises:
        TypeMismatchError: The value has no type.

    >>> infer_type([1, 2]), infer_type({"a": 1.5}), infer_type((1, "x"))
    (ARRAY<BIGINT>, MAP<STRING, DOUBLE>, ROW<`_1` BIGINT, `_2` STRING>)
    """
    known = _BY_PYTHON.get(type(value))
    if known is not None:
        return known
    if isinstance(getattr(value, "__UDT__", None), DataType):
        own: DataType = value.__UDT__
        return own
    if isinstance(value, Row):
        names = value._fields or [f"_{i + 1}" for i in range(len(value))]
        return RowType(tuple(RowField(n, infer_type(v)) for n, v in zip(names, value, strict=True)))
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None) or [f"_{i + 1}" for i in range(len(value))]
        return RowType(tuple(RowField(n, infer_type(v)) for n, v in zip(names, value, strict=True)))
    if isinstance(value, dict):
        keys, values = NullType(), NullType()
        for key, item in value.items():
            keys, values = merge_types(keys, infer_type(key)), merge_types(values, infer_type(item))  # type: ignore[assignment]
        return MapType(keys, values)
    if isinstance(value, array.array):
        return ArrayType(_ARRAY_CODES[value.typecode])
    if isinstance(value, list):
        element: DataType = NullType()
        for item in value:
            element = merge_types(element, infer_type(item))
        return ArrayType(element)
    if hasattr(value, "item") and not getattr(value, "shape", None):
        return infer_type(value.item())
    for python_type, data_type in _BY_PYTHON.items():
        if isinstance(value, python_type):
            return data_type
    raise TypeMismatchError(
        f"not supported type: {type(value)}", fix="give the schema: from_elements(rows, DataTypes.ROW([…]))"
    )


def merge_types(left: DataType, right: DataType) -> DataType:
    """The type of values of both types; only NULL merges with another type.

    Raises:
        TypeMismatchError: The types differ.
    """
    if isinstance(left, NullType):
        return right
    if isinstance(right, NullType) or left == right:
        return left
    match left, right:
        case ArrayType(element_type=a), ArrayType(element_type=b):
            return ArrayType(merge_types(a, b))
        case MapType(key_type=k1, value_type=v1), MapType(key_type=k2, value_type=v2):
            return MapType(merge_types(k1, k2), merge_types(v1, v2))
        case RowType(fields=f1), RowType(fields=f2) if [f.name for f in f1] == [f.name for f in f2]:
            pairs = zip(f1, f2, strict=True)
            return RowType(tuple(RowField(a.name, merge_types(a.data_type, b.data_type)) for a, b in pairs))
    raise TypeMismatchError(
        f"can not merge type {left} and {right}", fix="give the schema: from_elements(rows, DataTypes.ROW([…]))"
    )


def frame_of_elements(
    elements: Iterable[Any], schema: Any, verify_schema: bool, time_zone: str
) -> tuple[pl.DataFrame, RowSchema]:
    """The columns of `from_elements`.

    Args:
        elements: Rows: tuples, lists, `Row`s or dicts; single values when the schema is a single type.
        schema: A ROW type, a single type, names of the columns, or None.
        verify_schema: Whether values must fit the types; otherwise they are converted where Python can.
        time_zone: What naive datetimes of TIMESTAMP_LTZ columns mean.

    Raises:
        TypeMismatchError: A value does not fit, with its row and column.
    """
    rows = list(elements)
    if isinstance(schema, DataType) and not isinstance(schema, RowType):
        rows = [(r,) for r in rows]
        schema = RowType((RowField("value", schema),))
    if isinstance(schema, RowType):
        declared = [(f.name, f.data_type) for f in schema.fields]
    else:
        declared = _inferred(rows, schema)
    columns = _columns(rows, [n for n, _ in declared])
    fields = [(n, stored_type(t)) for n, t in declared]
    for place, (_, data_type) in enumerate(declared):
        convert = to_stored(data_type)
        if convert is not None:
            columns[place] = [convert(v) for v in columns[place]]
    series = [
        _column(values, name, data_type, verify_schema, time_zone)
        for values, (name, data_type) in zip(columns, fields, strict=True)
    ]
    row_schema = RowSchema(tuple(Field(n, t) for n, t in fields))
    _check_names(row_schema.names)
    return pl.DataFrame(series), row_schema


def _inferred(rows: list[Any], names: Any) -> list[tuple[str, DataType]]:
    if not rows:
        raise ValidationError(
            "no types can be inferred from no rows", where=caller(), fix="give the schema: DataTypes.ROW([…])"
        )
    if names is not None and (isinstance(names, str) or not all(isinstance(n, str) for n in names)):
        raise ValidationError(f"the schema is {names!r}", where=caller(), fix="a list of names, or DataTypes.ROW([…])")
    merged: list[DataType] | None = None
    inferred_names: list[str] = []
    for number, row in enumerate(rows):
        if not isinstance(row, tuple | list | dict | Row):
            raise TypeMismatchError(
                f"row {number} is {row!r}, not a row", where=caller(), fix="rows are tuples, lists, Rows or dicts: [(1,), (2,)]"
            )
        if merged is None:
            inferred_names = _row_names(row)
        values = list(row.values()) if isinstance(row, dict) else list(row)
        types = [infer_type(v) for v in values]
        if merged is not None and len(types) != len(merged):
            raise TypeMismatchError(f"row {number} has {len(types)} values, row 0 has {len(merged)}", where=caller())
        merged = types if merged is None else [merge_types(a, b) for a, b in zip(merged, types, strict=True)]
    assert merged is not None
    given = list(names or ())
    if len(given) > len(merged):
        raise ValidationError(f"{len(given)} names for {len(merged)} columns", where=caller())
    all_names = given + inferred_names[len(given) :]
    for name, data_type in zip(all_names, merged, strict=True):
        if isinstance(data_type, NullType):
            raise TypeMismatchError(
                f"column '{name}' holds only None, so that its type is unknown", where=caller(), fix="give the schema"
            )
    return list(zip(all_names, merged, strict=True))


def _row_names(row: Any) -> list[str]:
    if isinstance(row, dict):
        return [str(k) for k in row]
    return list(getattr(row, "_fields", None) or [f"_{i + 1}" for i in range(len(row))])


def _columns(rows: list[Any], names: list[str]) -> list[Sequence[Any]]:
    listed = []
    for number, row in enumerate(rows):
        values = [row.get(n) for n in names] if isinstance(row, dict) else row
        if not isinstance(values, tuple | list | Row) or len(values) != len(names):
            raise TypeMismatchError(f"row {number} is {row!r}, but the schema has {len(names)} columns", where=caller())
        listed.append(values)
    return list(zip(*listed, strict=True)) if listed else [() for _ in names]


def _column(values: Sequence[Any], name: str, data_type: DataType, verify: bool, time_zone: str) -> pl.Series:
    from tableapi.runtime.udf_values import from_python

    if isinstance(data_type, LocalZonedTimestampType):
        zone = ZoneInfo(time_zone)
        values = [v.replace(tzinfo=zone) if isinstance(v, datetime.datetime) and v.tzinfo is None else v for v in values]
    try:
        series = from_python(values, data_type, name)
    except (TypeError, OverflowError, ValueError, pl.exceptions.PolarsError) as error:
        if not verify and not isinstance(data_type, BooleanType):
            return pl.Series(name, values, strict=False).cast(data_type.to_polars())
        raise _guilty(values, name, data_type, error) from None
    if not data_type.is_nullable and series.null_count():
        row = values.index(None)
        raise TypeMismatchError(f"row {row}, column '{name}': None, but the type is {data_type}", where=caller())
    return series


def _guilty(values: Sequence[Any], name: str, data_type: DataType, error: Exception) -> TypeMismatchError:
    from tableapi.runtime.udf_values import from_python

    for number, value in enumerate(values):
        try:
            from_python([value], data_type, name)
        except (TypeError, OverflowError, ValueError, pl.exceptions.PolarsError):
            return TypeMismatchError(
                f"row {number}, column '{name}': {value!r} ({type(value).__name__}) is not {data_type.nullable()}",
                where=caller(),
                fix="convert the value, or declare another type",
            )
    return TypeMismatchError(f"column '{name}' does not fit {data_type}: {error}", where=caller())


def _check_names(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValidationError(f"column name '{name}' stands twice", where=caller())


def type_of_polars(dtype: pl.DataType) -> DataType:
    """The type of a Polars column.

    Raises:
        UnsupportedError: There is none.

    >>> type_of_polars(pl.Datetime("us")), type_of_polars(pl.List(pl.UInt8()))
    (TIMESTAMP(6), ARRAY<SMALLINT>)
    """
    simple = _BY_POLARS.get(dtype.base_type())
    if simple is not None:
        return simple
    match dtype:
        case pl.Decimal():
            return DataTypes.DECIMAL(dtype.precision or 38, dtype.scale)
        case pl.Datetime():
            precision = {"ms": 3, "us": 6, "ns": 9}[dtype.time_unit]
            return DataTypes.TIMESTAMP_LTZ(precision) if dtype.time_zone else DataTypes.TIMESTAMP(precision)
        case pl.List():
            return DataTypes.ARRAY(type_of_polars(dtype.inner))  # type: ignore[arg-type]
        case pl.Array():
            return DataTypes.ARRAY(type_of_polars(dtype.inner))  # type: ignore[arg-type]
        case pl.Struct():
            return DataTypes.ROW([DataTypes.FIELD(f.name, type_of_polars(f.dtype)) for f in dtype.fields])  # type: ignore[arg-type]
    raise UnsupportedError(f"Polars columns of type {dtype} are not supported", fix="cast them first")


_BY_POLARS: dict[Any, DataType] = {
    pl.Boolean: DataTypes.BOOLEAN(),
    pl.Int8: DataTypes.TINYINT(),
    pl.Int16: DataTypes.SMALLINT(),
    pl.Int32: DataTypes.INT(),
    pl.Int64: DataTypes.BIGINT(),
    pl.UInt8: DataTypes.SMALLINT(),
    pl.UInt16: DataTypes.INT(),
    pl.UInt32: DataTypes.BIGINT(),
    pl.UInt64: DataTypes.DECIMAL(20, 0),
    pl.Float32: DataTypes.FLOAT(),
    pl.Float64: DataTypes.DOUBLE(),
    pl.String: DataTypes.STRING(),
    pl.Categorical: DataTypes.STRING(),
    pl.Enum: DataTypes.STRING(),
    pl.Binary: DataTypes.BYTES(),
    pl.Date: DataTypes.DATE(),
    pl.Time: DataTypes.TIME(0),
    pl.Duration: DataTypes.INTERVAL(DataTypes.DAY(), DataTypes.SECOND()),
    pl.Null: NullType(),
}


def frame_with_schema(frame: pl.DataFrame, schema: Any) -> tuple[pl.DataFrame, RowSchema]:
    """A frame as a table: its own names and types, or those of `schema`.

    Args:
        frame: Any frame.
        schema: None, names of the columns, a ROW type, or a list of types.

    Raises:
        TypeMismatchError: A column does not fit its declared type.
    """
    names, types = list(frame.columns), None
    if isinstance(schema, RowType):
        names, types = schema.field_names(), schema.field_types()
    elif schema is not None:
        items = list(schema)
        if items and all(isinstance(i, DataType) for i in items):
            types = items
        elif all(isinstance(i, str) for i in items):
            names = items
        else:
            raise ValidationError(f"the schema is {schema!r}", where=caller(), fix="names, types, or DataTypes.ROW([…])")
    if len(names) != frame.width or (types is not None and len(types) != frame.width):
        raise ValidationError(f"the schema has {len(types or names)} columns, the frame {frame.width}", where=caller())
    own_types = [type_of_polars(d) for d in frame.dtypes]
    fields = tuple(Field(n, t) for n, t in zip(names, types or own_types, strict=True))
    _check_names(names)
    columns = []
    for column, field in zip(frame.get_columns(), fields, strict=True):
        try:
            columns.append(column.cast(field.type.to_polars()).alias(field.name))
        except pl.exceptions.PolarsError as error:
            raise TypeMismatchError(
                f"column '{field.name}' ({column.dtype}) does not fit {field.type}: {error}", where=caller()
            ) from None
    return pl.DataFrame(columns), RowSchema(fields)


def any_frame(data: Any) -> pl.DataFrame:
    """A Polars frame of what a program has: Polars, pandas, Arrow, or anything that speaks the Arrow PyCapsule protocol.

    Raises:
        TypeMismatchError: It is something else.
    """
    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if isinstance(data, pl.DataFrame):
        return data
    if type(data).__module__.split(".")[0] == "pandas":
        return pl.from_pandas(data, nan_to_null=True)
    if hasattr(data, "__arrow_c_stream__"):
        return pl.DataFrame(data)
    if hasattr(data, "__arrow_c_array__"):
        import pyarrow as pa

        return pl.DataFrame(pa.record_batch(data))
    if type(data).__module__.split(".")[0] == "pyarrow":
        return _from_arrow(data)
    raise TypeMismatchError(f"{type(data).__name__} is not a table", where=caller(), fix="give a Polars, pandas or Arrow table")


def _from_arrow(data: Any) -> pl.DataFrame:
    frame = pl.from_arrow(data)
    return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()


def nanosecond_timestamps(frame: pl.DataFrame) -> pl.DataFrame:
    """A pandas frame's timestamps in nanoseconds, whatever the version of pandas keeps them in; so they are TIMESTAMP(9) (Flink).

    Columns with times that nanoseconds cannot hold (before 1677, after 2262) stay as they are.
    """
    columns = []
    for column in frame.get_columns():
        dtype = column.dtype
        if isinstance(dtype, pl.Datetime) and dtype.time_unit != "ns":
            wide = column.cast(pl.Datetime("ns", dtype.time_zone), strict=False)
            column = wide if wide.cast(dtype).equals(column, check_names=False) else column
        columns.append(column)
    return pl.DataFrame(columns)
