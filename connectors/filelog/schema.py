"""Schemas of topics: their columns, their JSON form, how they may evolve, and how a frame is checked against them.

Imports tableapi.types, tableapi.tablespec and tableapi.errors only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import polars as pl

import tableapi.types as types
from tableapi.errors import RecordError, UnknownNameError, ValidationError, did_you_mean
from tableapi.tablespec import Field, RowSchema
from tableapi.types import DataType, IntervalUnit, RowField


class SchemaMismatchError(RecordError):
    """Rows do not fit the schema of their topic. Nothing was appended."""


class SchemaEvolutionError(ValidationError):
    """A new schema is not compatible with the earlier ones under the topic's mode."""


class Evolution(Enum):
    """Which changes of a topic's schema are allowed."""

    BACKWARD = "backward"
    """Readers with the new schema can read old events: columns may be added if nullable, types may widen, columns may go."""
    FORWARD = "forward"
    """Readers with the old schema can read new events: columns may be added, nullable ones may go, types may narrow."""
    FULL = "full"
    """Both at once."""
    NONE = "none"
    """Anything but the key; an old event that does not fit the new schema is an error when it is read."""


@dataclass(frozen=True)
class TopicSchema:
    """One version of a topic's schema.

    Args:
        columns: The columns of an event, in order.
        key: Columns that make the key; events of equal key go to one partition, in order.
        event_time: The TIMESTAMP or TIMESTAMP_LTZ column that holds the event's time, if there is one (else: the time of
            appending).
        version: 1 for the first.
    """

    columns: RowSchema
    key: tuple[str, ...] = ()
    event_time: str | None = None
    version: int = 1

    def __post_init__(self) -> None:
        for name in (*self.key, *([self.event_time] if self.event_time else ())):
            self.columns[name]
        if self.event_time and not isinstance(self.columns[self.event_time].type, types.AnyTimestampType):
            raise ValidationError(
                f"event-time column '{self.event_time}' is of type {self.columns[self.event_time].type}",
                fix="use a TIMESTAMP or TIMESTAMP_LTZ column",
            )
        for field in self.columns:
            if field.name.startswith("__"):
                raise ValidationError(f"column name '{field.name}' is reserved", fix="do not begin column names with '__'")
            if isinstance(field.type, types.NullType):
                raise ValidationError(f"column '{field.name}' has no type", fix="declare the type of the column")

    def polars(self) -> dict[str, pl.DataType]:
        """Column name to Polars type."""
        return self.columns.to_polars()

    def to_json(self) -> dict[str, Any]:
        """A JSON value from which `from_json` makes an equal schema."""
        return {
            "version": self.version,
            "columns": [{"name": f.name, "type": type_to_json(f.type)} for f in self.columns],
            "key": list(self.key),
            "event_time": self.event_time,
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> TopicSchema:
        """The schema that `to_json` wrote."""
        columns = tuple(Field(c["name"], type_from_json(c["type"])) for c in value["columns"])
        return TopicSchema(RowSchema(columns), tuple(value["key"]), value["event_time"], value["version"])


def make_schema(
    columns: Mapping[str, DataType] | RowSchema | pl.DataFrame | Iterable[tuple[str, DataType]],
    key: str | Sequence[str] = (),
    event_time: str | None = None,
) -> TopicSchema:
    """A first schema.

    Args:
        columns: Names and types, or a frame whose columns say them.
        key: Key columns.
        event_time: Event-time column.

    >>> from tableapi.types import DataTypes
    >>> print(make_schema({"id": DataTypes.BIGINT(), "name": DataTypes.STRING()}, key="id").columns)
    (id BIGINT, name STRING)
    """
    keys = (key,) if isinstance(key, str) else tuple(key)
    if isinstance(columns, RowSchema):
        return TopicSchema(columns, keys, event_time)
    if isinstance(columns, pl.DataFrame):
        pairs: Iterable[tuple[str, DataType]] = [(n, type_of(t, n)) for n, t in columns.schema.items()]
    else:
        pairs = columns.items() if isinstance(columns, Mapping) else columns
    return TopicSchema(RowSchema(tuple(Field(n, t) for n, t in pairs)), keys, event_time)


_BY_POLARS: tuple[tuple[pl.DataType, DataType], ...] = (
    (pl.Boolean(), types.BooleanType()),
    (pl.Int8(), types.TinyIntType()),
    (pl.Int16(), types.SmallIntType()),
    (pl.Int32(), types.IntType()),
    (pl.Int64(), types.BigIntType()),
    (pl.UInt8(), types.SmallIntType()),
    (pl.UInt16(), types.IntType()),
    (pl.UInt32(), types.BigIntType()),
    (pl.Float32(), types.FloatType()),
    (pl.Float64(), types.DoubleType()),
    (pl.String(), types.VarCharType()),
    (pl.Binary(), types.VarBinaryType()),
    (pl.Date(), types.DateType()),
    (pl.Time(), types.TimeType(9)),
    (pl.Duration("ms"), types.DayTimeIntervalType()),
)
_PRECISION = {"ms": 3, "us": 6, "ns": 9}


def type_of(dtype: pl.DataType, where: str) -> DataType:
    """The column type that holds values of a Polars type.

    Raises:
        ValidationError: no column type does.
    """
    for candidate, found in _BY_POLARS:
        if dtype == candidate:
            return found
    if isinstance(dtype, pl.Datetime):
        precision = _PRECISION[dtype.time_unit]
        return types.LocalZonedTimestampType(precision) if dtype.time_zone else types.TimestampType(precision)
    if isinstance(dtype, pl.Decimal):
        return types.DecimalType(dtype.precision or types.MAX_DECIMAL_PRECISION, dtype.scale)
    if isinstance(dtype, pl.List):
        return types.ArrayType(type_of(dtype.inner, f"{where}[]"))  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        return types.RowType(tuple(RowField(f.name, type_of(f.dtype, f"{where}.{f.name}")) for f in dtype.fields))  # type: ignore[arg-type]
    raise ValidationError(f"column '{where}' has Polars type {dtype}, which no column type holds", fix="cast it before")


def type_to_json(data_type: DataType) -> dict[str, Any]:
    """A JSON value that names the type and its parameters."""
    value: dict[str, Any] = {"kind": type(data_type).__name__.removesuffix("Type")}
    for field in dataclasses.fields(data_type):
        value[field.name] = _parameter_to_json(getattr(data_type, field.name))
    return value


def _parameter_to_json(value: Any) -> Any:
    if isinstance(value, DataType):
        return type_to_json(value)
    if isinstance(value, IntervalUnit):
        return value.name
    if isinstance(value, tuple):
        return [{"name": f.name, "type": type_to_json(f.data_type)} for f in value]
    return value


def type_from_json(value: Mapping[str, Any]) -> DataType:
    """The type that `type_to_json` wrote."""
    kind = getattr(types, f"{value['kind']}Type", None)
    if not (isinstance(kind, type) and issubclass(kind, DataType)):
        raise ValidationError(
            f"the schema registry names an unknown type '{value['kind']}'", fix="use the version that wrote it"
        )
    parameters = {k: _parameter_from_json(v) for k, v in value.items() if k != "kind"}
    made: DataType = kind(**parameters)
    return made


def _parameter_from_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return type_from_json(value)
    if isinstance(value, str):
        return IntervalUnit[value]
    if isinstance(value, list):
        return tuple(RowField(f["name"], type_from_json(f["type"])) for f in value)
    return value


def widens(old: DataType, new: DataType) -> bool:
    """Whether every value of `old` is a value of `new` (so that old events can be read as `new`)."""
    if old.is_nullable and not new.is_nullable:
        return False
    if old.same_ignoring_nullability(new):
        return True
    match old, new:
        case types.IntegralType(), types.IntegralType():
            return old.bits <= new.bits
        case types.IntegralType(), types.DoubleType():
            return old.bits <= 32
        case types.IntegralType(), types.FloatType():
            return old.bits <= 16
        case types.IntegralType(), types.DecimalType():
            return new.precision - new.scale >= {8: 3, 16: 5, 32: 10, 64: 19}[old.bits]
        case types.FloatType(), types.DoubleType():
            return True
        case types.DecimalType(), types.DecimalType():
            return new.scale >= old.scale and new.precision - new.scale >= old.precision - old.scale
        case types.CharacterType(), types.VarCharType():
            return new.length >= old.length
        case types.BinaryStringType(), types.VarBinaryType():
            return new.length >= old.length
        case types.TimestampType(), types.TimestampType():
            return new.precision >= old.precision
        case types.LocalZonedTimestampType(), types.LocalZonedTimestampType():
            return new.precision >= old.precision
        case types.ArrayType(), types.ArrayType():
            return widens(old.element_type, new.element_type)
        case types.RowType(), types.RowType():
            pairs = zip(old.fields, new.fields, strict=False)
            return len(old.fields) == len(new.fields) and all(
                o.name == n.name and widens(o.data_type, n.data_type) for o, n in pairs
            )
    return False


def why_unreadable(written: TopicSchema, reader: TopicSchema) -> str | None:
    """Why events written with one schema cannot be read through another; None when they can."""
    for field in reader.columns:
        if field.name not in written.columns:
            if not field.type.is_nullable:
                return f"column '{field.name}' is {field.type}, but events of version {written.version} have no such column"
        elif not widens(written.columns[field.name].type, field.type):
            return f"column '{field.name}': {written.columns[field.name].type} is not contained in {field.type}"
    return None


def check_evolution(earlier: Sequence[TopicSchema], new: TopicSchema, mode: Evolution, topic: str) -> None:
    """Checks a new schema against the earlier versions.

    Raises:
        SchemaEvolutionError: it names the column and the reason.
    """
    last = earlier[-1]
    if new.key != last.key:
        raise SchemaEvolutionError(
            f"topic '{topic}': the key cannot change from ({', '.join(last.key)}) to ({', '.join(new.key)})",
            fix="make a new topic; partitions follow from the key",
        )
    for column in new.key:
        if new.columns[column].type.nullable() != last.columns[column].type.nullable():
            raise SchemaEvolutionError(f"topic '{topic}': key column '{column}' cannot change its type", fix="make a new topic")
    for old in earlier:
        reason = None
        if mode in (Evolution.BACKWARD, Evolution.FULL):
            reason = why_unreadable(old, new)
        if reason is None and mode in (Evolution.FORWARD, Evolution.FULL):
            reason = why_unreadable(new, old)
        if reason:
            raise SchemaEvolutionError(
                f"topic '{topic}': the new schema is not {mode.value}-compatible with version {old.version}: {reason}",
                fix="make added columns nullable, only widen types, or alter the topic's evolution mode",
            )


def conform(frame: pl.DataFrame, schema: TopicSchema, topic: str, tombstones: pl.Series | None = None) -> pl.DataFrame:
    """The frame with exactly the schema's columns and Polars types.

    Missing nullable columns become NULL; values are converted only where none is lost.

    Args:
        frame: The rows.
        schema: What they must fit.
        topic: For messages.
        tombstones: TRUE where a row deletes its key: only its key columns have to be there.

    Raises:
        SchemaMismatchError: names the column and the reason.
    """
    unknown = [n for n in frame.columns if n not in schema.columns]
    if unknown:
        raise SchemaMismatchError(
            f"topic '{topic}' (schema version {schema.version}) has no column '{unknown[0]}'",
            exists=f"columns: {', '.join(schema.columns.names)}",
            fix=did_you_mean(unknown[0], schema.columns.names) or "drop the column, or evolve the schema first",
        )
    columns = [_conform_column(frame, field, topic) for field in schema.columns]
    for series, field in zip(columns, schema.columns, strict=True):
        if field.type.is_nullable or series.null_count() == 0:
            continue
        kept = series if tombstones is None or field.name in schema.key else series.filter(~tombstones)
        if kept.null_count():
            row = series.is_null().arg_max()
            raise _mismatch(topic, field, f"is NULL in row {row}, but the column is {field.type}")
    return pl.DataFrame(columns) if columns else frame


def _mismatch(topic: str, field: Field, reason: str) -> SchemaMismatchError:
    return SchemaMismatchError(f"topic '{topic}': column '{field.name}' {reason}; nothing was appended")


def _conform_column(frame: pl.DataFrame, field: Field, topic: str) -> pl.Series:
    target = field.type.to_polars()
    if field.name not in frame.columns:
        if not field.type.is_nullable:
            raise _mismatch(topic, field, f"is missing, but the column is {field.type}")
        return pl.Series(field.name, [None], dtype=target).new_from_index(0, frame.height)
    series = frame[field.name]
    if series.dtype == target:
        return series
    if series.dtype == pl.Null:
        return series.cast(target)
    if not _may_convert(series.dtype, target):
        raise _mismatch(topic, field, f"has Polars type {series.dtype}, but the column is {field.type} ({target})")
    try:
        converted = series.cast(target)
    except pl.exceptions.PolarsError as error:
        raise _mismatch(topic, field, f"has a value that does not fit {field.type}: {str(error).splitlines()[0]}") from None
    if not target.is_nested() and not (converted.cast(series.dtype).eq_missing(series)).all():
        raise _mismatch(topic, field, f"of Polars type {series.dtype} would lose digits as {field.type}")
    return converted


def _may_convert(source: pl.DataType, target: pl.DataType) -> bool:
    if isinstance(source, pl.Datetime) and isinstance(target, pl.Datetime):
        return (source.time_zone is None) == (target.time_zone is None)
    if isinstance(source, pl.Duration) and isinstance(target, pl.Duration):
        return True
    if isinstance(source, pl.Categorical | pl.Enum):
        return target == pl.String
    if source.is_integer():
        return target.is_numeric()
    if source.is_float() or source.is_decimal():
        return target.is_float() or target.is_decimal()
    if isinstance(source, pl.List) and isinstance(target, pl.List):
        return True
    if isinstance(source, pl.Array) and isinstance(target, pl.List):
        return True
    if isinstance(source, pl.Struct) and isinstance(target, pl.Struct):
        return [f.name for f in source.fields] == [f.name for f in target.fields]
    return False


def read_through(frame: pl.DataFrame, reader: TopicSchema, columns: Sequence[str]) -> pl.DataFrame:
    """Columns of an older schema version as those of a newer one: missing ones are NULL, types are widened.

    Raises:
        UnknownNameError: a column that the newer schema does not have.
        RecordError: a value does not fit (only under evolution mode `none`).
    """
    result = []
    for name in columns:
        if name not in reader.columns:
            raise UnknownNameError(f"column '{name}' does not exist", exists=f"columns: {', '.join(reader.columns.names)}")
        target = reader.columns[name].type.to_polars()
        if name not in frame.columns:
            result.append(pl.Series(name, [None], dtype=target).new_from_index(0, frame.height))
            continue
        try:
            result.append(frame[name].cast(target))
        except pl.exceptions.PolarsError as error:
            raise RecordError(
                f"column '{name}' of an older event does not fit {reader.columns[name].type}: {str(error).splitlines()[0]}",
                fix="read with the older schema version (schema_version=…)",
            ) from None
    return pl.DataFrame(result)
