"""The type system: Flink's logical types, and how each one is laid out in Polars and Arrow.

Owns every `DataType` class, the `DataTypes` factory and type promotion facts that are pure
properties of a type. Imports nothing from the rest of the package, so that connectors may use it.

A type is an immutable value: two equal types compare equal and hash alike. `as_summary_string()`
is Flink's spelling (`DECIMAL(10, 2) NOT NULL`), which is also what errors and `explain()` show.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Self

import polars as pl

MAX_LENGTH = 2147483647
"""Length of STRING and BYTES (Flink: VARCHAR(2147483647), VARBINARY(2147483647))."""

MAX_DECIMAL_PRECISION = 38


@dataclass(frozen=True)
class DataType:
    """Base of all types. `is_nullable` says whether NULL is a value of the type."""

    is_nullable: bool = dataclasses.field(default=True, kw_only=True)

    def not_null(self) -> Self:
        """The same type without NULL.

        >>> DataTypes.INT().not_null()
        INT NOT NULL
        """
        return dataclasses.replace(self, is_nullable=False)

    def nullable(self) -> Self:
        """The same type with NULL."""
        return dataclasses.replace(self, is_nullable=True)

    def with_nullability(self, is_nullable: bool) -> Self:
        """The same type, with the given nullability."""
        return self if self.is_nullable == is_nullable else dataclasses.replace(self, is_nullable=is_nullable)

    def same_ignoring_nullability(self, other: DataType) -> bool:
        """Whether both are one type when top-level nullability is left out."""
        return self.nullable() == other.nullable()

    def as_summary_string(self) -> str:
        """Flink's spelling of the type."""
        return self._summary() + ("" if self.is_nullable else " NOT NULL")

    def _summary(self) -> str:
        raise NotImplementedError(type(self).__name__)

    def to_polars(self) -> pl.DataType:
        """The Polars type that columns of this type are stored in."""
        raise NotImplementedError(type(self).__name__)

    def __str__(self) -> str:
        return self.as_summary_string()

    __repr__ = __str__


class _Simple(DataType):
    """A type without parameters: a name and a Polars type."""

    _name: ClassVar[str]
    _polars: ClassVar[pl.DataType]

    def _summary(self) -> str:
        return self._name

    def to_polars(self) -> pl.DataType:
        return self._polars


@dataclass(frozen=True, repr=False)
class NullType(_Simple):
    """The type of an untyped NULL literal."""

    _name = "NULL"
    _polars = pl.Null()


@dataclass(frozen=True, repr=False)
class BooleanType(_Simple):
    """Three-valued logic: TRUE, FALSE and (when nullable) UNKNOWN."""

    _name = "BOOLEAN"
    _polars = pl.Boolean()


class NumericType(DataType):
    """Marker of all numbers."""


class IntegralType(_Simple, NumericType):
    """Whole numbers, two's complement, wrapping on overflow as in Java."""

    bits: ClassVar[int]


@dataclass(frozen=True, repr=False)
class TinyIntType(IntegralType):
    """8-bit signed."""

    _name = "TINYINT"
    _polars = pl.Int8()
    bits = 8


@dataclass(frozen=True, repr=False)
class SmallIntType(IntegralType):
    """16-bit signed."""

    _name = "SMALLINT"
    _polars = pl.Int16()
    bits = 16


@dataclass(frozen=True, repr=False)
class IntType(IntegralType):
    """32-bit signed."""

    _name = "INT"
    _polars = pl.Int32()
    bits = 32


@dataclass(frozen=True, repr=False)
class BigIntType(IntegralType):
    """64-bit signed."""

    _name = "BIGINT"
    _polars = pl.Int64()
    bits = 64


class FractionalType(_Simple, NumericType):
    """IEEE floating point numbers."""


@dataclass(frozen=True, repr=False)
class FloatType(FractionalType):
    """32-bit floating point."""

    _name = "FLOAT"
    _polars = pl.Float32()


@dataclass(frozen=True, repr=False)
class DoubleType(FractionalType):
    """64-bit floating point."""

    _name = "DOUBLE"
    _polars = pl.Float64()


@dataclass(frozen=True, repr=False)
class DecimalType(NumericType):
    """Exact decimal with `precision` digits, `scale` of them after the point."""

    precision: int = 10
    scale: int = 0

    def _summary(self) -> str:
        return f"DECIMAL({self.precision}, {self.scale})"

    def to_polars(self) -> pl.DataType:
        return pl.Decimal(self.precision, self.scale)


class CharacterType(DataType):
    """Marker of CHAR and VARCHAR/STRING. Length in characters."""

    length: int

    def to_polars(self) -> pl.DataType:
        return pl.String()


@dataclass(frozen=True, repr=False)
class CharType(CharacterType):
    """Fixed-length text."""

    length: int = 1

    def _summary(self) -> str:
        return f"CHAR({self.length})"


@dataclass(frozen=True, repr=False)
class VarCharType(CharacterType):
    """Variable-length text; STRING is the longest."""

    length: int = MAX_LENGTH

    def _summary(self) -> str:
        return "STRING" if self.length == MAX_LENGTH else f"VARCHAR({self.length})"


class BinaryStringType(DataType):
    """Marker of BINARY and VARBINARY/BYTES. Length in bytes."""

    length: int

    def to_polars(self) -> pl.DataType:
        return pl.Binary()


@dataclass(frozen=True, repr=False)
class BinaryType(BinaryStringType):
    """Fixed-length bytes."""

    length: int = 1

    def _summary(self) -> str:
        return f"BINARY({self.length})"


@dataclass(frozen=True, repr=False)
class VarBinaryType(BinaryStringType):
    """Variable-length bytes; BYTES is the longest."""

    length: int = MAX_LENGTH

    def _summary(self) -> str:
        return "BYTES" if self.length == MAX_LENGTH else f"VARBINARY({self.length})"


@dataclass(frozen=True, repr=False)
class DateType(_Simple):
    """Days since 1970-01-01."""

    _name = "DATE"
    _polars = pl.Date()


@dataclass(frozen=True, repr=False)
class TimeType(DataType):
    """Time of day. `precision` is the number of fractional digits of a second (0-9)."""

    precision: int = 0

    def _summary(self) -> str:
        return f"TIME({self.precision})"

    def to_polars(self) -> pl.DataType:
        return pl.Time()


def time_unit(precision: int) -> str:
    """The Polars time unit that holds `precision` fractional digits of a second: `ms`, `us` or `ns`."""
    return "ms" if precision <= 3 else "us" if precision <= 6 else "ns"


class AnyTimestampType(DataType):
    """Marker of both timestamp types."""

    precision: int


@dataclass(frozen=True, repr=False)
class TimestampType(AnyTimestampType):
    """Wall-clock date and time without zone."""

    precision: int = 6

    def _summary(self) -> str:
        return f"TIMESTAMP({self.precision})"

    def to_polars(self) -> pl.DataType:
        return pl.Datetime(time_unit(self.precision))  # type: ignore[arg-type]


@dataclass(frozen=True, repr=False)
class LocalZonedTimestampType(AnyTimestampType):
    """An instant; shown in the session time zone. Stored as UTC."""

    precision: int = 6

    def _summary(self) -> str:
        return f"TIMESTAMP_LTZ({self.precision})"

    def to_polars(self) -> pl.DataType:
        return pl.Datetime(time_unit(self.precision), "UTC")  # type: ignore[arg-type]


class IntervalUnit(IntEnum):
    """Fields of an interval, coarse to fine."""

    YEAR = 0
    MONTH = 1
    DAY = 2
    HOUR = 3
    MINUTE = 4
    SECOND = 5


@dataclass(frozen=True, repr=False)
class YearMonthIntervalType(DataType):
    """A number of months (stored as Int32). `first`..`last` are the fields it was written with."""

    first: IntervalUnit = IntervalUnit.YEAR
    last: IntervalUnit = IntervalUnit.MONTH

    def _summary(self) -> str:
        return _interval_summary(self.first, self.last)

    def to_polars(self) -> pl.DataType:
        return pl.Int32()


@dataclass(frozen=True, repr=False)
class DayTimeIntervalType(DataType):
    """A duration in milliseconds (stored as Duration("ms")). `first`..`last` are the fields it was written with."""

    first: IntervalUnit = IntervalUnit.DAY
    last: IntervalUnit = IntervalUnit.SECOND

    def _summary(self) -> str:
        return _interval_summary(self.first, self.last)

    def to_polars(self) -> pl.DataType:
        return pl.Duration("ms")


def _interval_summary(first: IntervalUnit, last: IntervalUnit) -> str:
    suffix = {IntervalUnit.SECOND: "(3)"}
    if first == last:
        return f"INTERVAL {first.name}{suffix.get(first, '')}"
    return f"INTERVAL {first.name} TO {last.name}{suffix.get(last, '')}"


@dataclass(frozen=True, repr=False)
class ArrayType(DataType):
    """A list of values of one type."""

    element_type: DataType = NullType()

    def _summary(self) -> str:
        return f"ARRAY<{self.element_type}>"

    def to_polars(self) -> pl.DataType:
        return pl.List(self.element_type.to_polars())


@dataclass(frozen=True, repr=False)
class MapType(DataType):
    """Key to value; keys are unique. Stored as a list of structs with fields `key` and `value`."""

    key_type: DataType = NullType()
    value_type: DataType = NullType()

    def _summary(self) -> str:
        return f"MAP<{self.key_type}, {self.value_type}>"

    def to_polars(self) -> pl.DataType:
        return _entries(self.key_type, self.value_type)


@dataclass(frozen=True, repr=False)
class MultisetType(DataType):
    """A bag: value to number of times it occurs. Stored like MAP<element, INT NOT NULL>."""

    element_type: DataType = NullType()

    def _summary(self) -> str:
        return f"MULTISET<{self.element_type}>"

    def to_polars(self) -> pl.DataType:
        return _entries(self.element_type, IntType(is_nullable=False))


def _entries(key: DataType, value: DataType) -> pl.DataType:
    return pl.List(pl.Struct({"key": key.to_polars(), "value": value.to_polars()}))


@dataclass(frozen=True, repr=False)
class RowField:
    """A named field of a ROW."""

    name: str
    data_type: DataType
    description: str | None = dataclasses.field(default=None, compare=False)

    def __str__(self) -> str:
        return f"`{self.name.replace('`', '``')}` {self.data_type}"

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class RowType(DataType):
    """A record of named fields."""

    fields: tuple[RowField, ...] = ()

    def field_names(self) -> list[str]:
        """Names of the fields, in order."""
        return [f.name for f in self.fields]

    def field_types(self) -> list[DataType]:
        """Types of the fields, in order."""
        return [f.data_type for f in self.fields]

    def _summary(self) -> str:
        return f"ROW<{', '.join(map(str, self.fields))}>"

    def to_polars(self) -> pl.DataType:
        return pl.Struct({f.name: f.data_type.to_polars() for f in self.fields})


@dataclass(frozen=True, repr=False)
class StructuredType(RowType):
    """A record of named fields that belongs to a class: a ROW that unifies with records of its own class only."""

    class_name: str = ""

    def _summary(self) -> str:
        name = self.class_name.replace("'", "''")
        return "STRUCTURED<" + ", ".join([f"'{name}'", *map(str, self.fields)]) + ">"


@dataclass(frozen=True, repr=False)
class VariantType(_Simple):
    """Semi-structured data. Stored as its JSON text."""

    _name = "VARIANT"
    _polars = pl.String()


@dataclass(frozen=True, repr=False)
class BitmapType(_Simple):
    """A set of 32-bit integers. Stored as the sorted (unsigned) list of its members."""

    _name = "BITMAP"
    _polars = pl.List(pl.UInt32)


class DataTypes:
    """Factory of all types, with PyFlink's names and defaults.

    >>> DataTypes.DECIMAL(10, 2)
    DECIMAL(10, 2)
    >>> DataTypes.ROW([DataTypes.FIELD("id", DataTypes.BIGINT().not_null())])
    ROW<`id` BIGINT NOT NULL>
    """

    @staticmethod
    def NULL() -> NullType:
        return NullType()

    @staticmethod
    def BOOLEAN(nullable: bool = True) -> BooleanType:
        return BooleanType(is_nullable=nullable)

    @staticmethod
    def TINYINT(nullable: bool = True) -> TinyIntType:
        return TinyIntType(is_nullable=nullable)

    @staticmethod
    def SMALLINT(nullable: bool = True) -> SmallIntType:
        return SmallIntType(is_nullable=nullable)

    @staticmethod
    def INT(nullable: bool = True) -> IntType:
        return IntType(is_nullable=nullable)

    @staticmethod
    def BIGINT(nullable: bool = True) -> BigIntType:
        return BigIntType(is_nullable=nullable)

    @staticmethod
    def FLOAT(nullable: bool = True) -> FloatType:
        return FloatType(is_nullable=nullable)

    @staticmethod
    def DOUBLE(nullable: bool = True) -> DoubleType:
        return DoubleType(is_nullable=nullable)

    @staticmethod
    def DECIMAL(precision: int, scale: int, nullable: bool = True) -> DecimalType:
        if not 1 <= precision <= MAX_DECIMAL_PRECISION or not 0 <= scale <= precision:
            raise ValueError(
                f"DECIMAL({precision}, {scale}): precision must be 1 to {MAX_DECIMAL_PRECISION}, scale 0 to precision"
            )
        return DecimalType(precision, scale, is_nullable=nullable)

    @staticmethod
    def CHAR(length: int, nullable: bool = True) -> CharType:
        return CharType(length, is_nullable=nullable)

    @staticmethod
    def VARCHAR(length: int, nullable: bool = True) -> VarCharType:
        return VarCharType(length, is_nullable=nullable)

    @staticmethod
    def STRING(nullable: bool = True) -> VarCharType:
        return VarCharType(is_nullable=nullable)

    @staticmethod
    def BINARY(length: int, nullable: bool = True) -> BinaryType:
        return BinaryType(length, is_nullable=nullable)

    @staticmethod
    def VARBINARY(length: int, nullable: bool = True) -> VarBinaryType:
        return VarBinaryType(length, is_nullable=nullable)

    @staticmethod
    def BYTES(nullable: bool = True) -> VarBinaryType:
        return VarBinaryType(is_nullable=nullable)

    @staticmethod
    def DATE(nullable: bool = True) -> DateType:
        return DateType(is_nullable=nullable)

    @staticmethod
    def TIME(precision: int = 0, nullable: bool = True) -> TimeType:
        return TimeType(precision, is_nullable=nullable)

    @staticmethod
    def TIMESTAMP(precision: int = 6, nullable: bool = True) -> TimestampType:
        return TimestampType(precision, is_nullable=nullable)

    @staticmethod
    def TIMESTAMP_LTZ(precision: int = 6, nullable: bool = True) -> LocalZonedTimestampType:
        return LocalZonedTimestampType(precision, is_nullable=nullable)

    TIMESTAMP_WITH_LOCAL_TIME_ZONE = TIMESTAMP_LTZ

    @staticmethod
    def SECOND(precision: int = 3) -> IntervalResolution:
        return IntervalResolution(IntervalUnit.SECOND)

    @staticmethod
    def MINUTE() -> IntervalResolution:
        return IntervalResolution(IntervalUnit.MINUTE)

    @staticmethod
    def HOUR() -> IntervalResolution:
        return IntervalResolution(IntervalUnit.HOUR)

    @staticmethod
    def DAY(precision: int = 2) -> IntervalResolution:
        return IntervalResolution(IntervalUnit.DAY)

    @staticmethod
    def MONTH() -> IntervalResolution:
        return IntervalResolution(IntervalUnit.MONTH)

    @staticmethod
    def YEAR(precision: int = 2) -> IntervalResolution:
        return IntervalResolution(IntervalUnit.YEAR)

    @staticmethod
    def INTERVAL(
        upper_resolution: IntervalResolution, lower_resolution: IntervalResolution | None = None
    ) -> YearMonthIntervalType | DayTimeIntervalType:
        first = upper_resolution.unit
        last = lower_resolution.unit if lower_resolution else first
        if first > last or (first <= IntervalUnit.MONTH) != (last <= IntervalUnit.MONTH):
            raise ValueError(f"INTERVAL {first.name} TO {last.name} is not an interval type")
        kind = YearMonthIntervalType if first <= IntervalUnit.MONTH else DayTimeIntervalType
        return kind(first, last)

    @staticmethod
    def ARRAY(element_type: DataType, nullable: bool = True) -> ArrayType:
        return ArrayType(element_type, is_nullable=nullable)

    @staticmethod
    def LIST_VIEW(element_type: DataType) -> ArrayType:
        return ArrayType(element_type)

    @staticmethod
    def MAP(key_type: DataType, value_type: DataType, nullable: bool = True) -> MapType:
        return MapType(key_type, value_type, is_nullable=nullable)

    @staticmethod
    def MAP_VIEW(key_type: DataType, value_type: DataType) -> MapType:
        return MapType(key_type, value_type)

    @staticmethod
    def MULTISET(element_type: DataType, nullable: bool = True) -> MultisetType:
        return MultisetType(element_type, is_nullable=nullable)

    @staticmethod
    def FIELD(name: str, data_type: DataType, description: str | None = None) -> RowField:
        return RowField(name, data_type, description)

    @staticmethod
    def ROW(row_fields: list[RowField] | None = None, nullable: bool = True) -> RowType:
        return RowType(tuple(row_fields or ()), is_nullable=nullable)

    @staticmethod
    def STRUCTURED(class_name: str, row_fields: list[RowField] | None = None, nullable: bool = True) -> StructuredType:
        return StructuredType(tuple(row_fields or ()), class_name, is_nullable=nullable)

    @staticmethod
    def VARIANT(nullable: bool = True) -> VariantType:
        return VariantType(is_nullable=nullable)

    @staticmethod
    def BITMAP(nullable: bool = True) -> BitmapType:
        return BitmapType(is_nullable=nullable)


@dataclass(frozen=True)
class IntervalResolution:
    """One end of `DataTypes.INTERVAL(first, last)`."""

    unit: IntervalUnit


def to_arrow(data_type: DataType) -> pa.DataType:
    """The Arrow type that carries values of `data_type` between programs."""
    import pyarrow as pa

    match data_type:
        case MapType(key_type=k, value_type=v):
            return pa.map_(to_arrow(k), to_arrow(v))
        case ArrayType(element_type=e):
            return pa.list_(to_arrow(e))
        case MultisetType(element_type=e):
            return pa.map_(to_arrow(e), pa.int32())
        case RowType(fields=fields):
            return pa.struct([pa.field(f.name, to_arrow(f.data_type), f.data_type.is_nullable) for f in fields])
        case CharacterType():
            return pa.string()
        case BinaryStringType():
            return pa.binary()
        case _:
            return pl.Series([], dtype=data_type.to_polars()).to_arrow().type


TYPE_CHECKING = False
if TYPE_CHECKING:
    import pyarrow as pa
