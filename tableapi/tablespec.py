"""What is known of a relation: its fields (with time attributes), and the definition of a catalog table.

Plain immutable data, shared by the plan, the catalog, connectors and the runtime. Imports types and errors only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tableapi.errors import UnknownNameError, ValidationError, did_you_mean
from tableapi.types import DataType

if TYPE_CHECKING:
    import polars as pl

    from tableapi.plan.unresolved import Unresolved


class TimeKind(Enum):
    """A time attribute: event time (driven by watermarks) or processing time."""

    ROWTIME = "rowtime"
    PROCTIME = "proctime"


@dataclass(frozen=True, slots=True)
class Field:
    """A named, typed column of a relation."""

    name: str
    type: DataType
    time: TimeKind | None = None

    def __str__(self) -> str:
        mark = f" *{self.time.name}*" if self.time else ""
        return f"{self.name} {self.type}{mark}"


@dataclass(frozen=True)
class RowSchema:
    """The ordered fields of a relation. Names are unique within it."""

    fields: tuple[Field, ...]

    @property
    def names(self) -> list[str]:
        """Names of the fields, in order."""
        return [f.name for f in self.fields]

    @property
    def types(self) -> list[DataType]:
        """Types of the fields, in order."""
        return [f.type for f in self.fields]

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {f.name: f for f in self.fields}

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Field:
        found = self._by_name.get(name)
        if found is None:
            raise UnknownNameError(
                f"column '{name}' does not exist",
                exists=f"columns: {', '.join(self.names)}",
                fix=did_you_mean(name, self.names),
            )
        return found

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.fields))})"

    def to_polars(self) -> dict[str, pl.DataType]:
        """Column name to the Polars type it is stored in."""
        return {f.name: f.type.to_polars() for f in self.fields}


class ColumnKind(Enum):
    """Where the values of a table column come from."""

    PHYSICAL = "physical"
    COMPUTED = "computed"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column as declared in DDL or a Schema."""

    name: str
    type: DataType | None
    """None only for a computed column, whose type follows from its expression."""
    kind: ColumnKind = ColumnKind.PHYSICAL
    expression: Unresolved | None = None
    metadata_key: str | None = None
    is_virtual: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Watermark:
    """`WATERMARK FOR column AS expression`."""

    column: str
    expression: Unresolved


@dataclass(frozen=True)
class ObjectPath:
    """Database and name of an object.

    >>> ObjectPath.from_string("db.t").get_object_name()
    't'
    """

    database_name: str
    object_name: str

    def get_database_name(self) -> str:
        """Name of the database."""
        return self.database_name

    def get_object_name(self) -> str:
        """Name of the object."""
        return self.object_name

    def get_full_name(self) -> str:
        """Both, joined by a point."""
        return f"{self.database_name}.{self.object_name}"

    def compare_to(self, other: ObjectPath) -> int:
        """-1, 0 or 1, by full name."""
        return (self.get_full_name() > other.get_full_name()) - (self.get_full_name() < other.get_full_name())

    @staticmethod
    def from_string(full_name: str) -> ObjectPath:
        """The path of `database.name`.

        Raises:
            ValidationError: The text has not two parts.
        """
        parts = full_name.split(".")
        if len(parts) != 2 or not all(parts):
            raise ValidationError(f"'{full_name}' is not database.name")
        return ObjectPath(*parts)

    def __str__(self) -> str:
        return self.get_full_name()


@dataclass(frozen=True, slots=True)
class ObjectIdentifier:
    """The full name of a catalog object."""

    catalog: str
    database: str
    name: str

    @staticmethod
    def of(catalog_name: str, database_name: str, object_name: str) -> ObjectIdentifier:
        """The identifier of three names (PyFlink: `ObjectIdentifier.of`).

        >>> ObjectIdentifier.of("c", "d", "t").as_summary_string()
        'c.d.t'
        """
        return ObjectIdentifier(catalog_name, database_name, object_name)

    def get_catalog_name(self) -> str:
        """Name of the catalog."""
        return self.catalog

    def get_database_name(self) -> str:
        """Name of the database."""
        return self.database

    def get_object_name(self) -> str:
        """Name of the object in its database."""
        return self.name

    def to_list(self) -> list[str]:
        """The three names."""
        return [self.catalog, self.database, self.name]

    def to_object_path(self) -> ObjectPath:
        """Database and name, without the catalog."""
        return ObjectPath(self.database, self.name)

    def as_serializable_string(self) -> str:
        """The quoted SQL name."""
        return str(self)

    def as_summary_string(self) -> str:
        """The names joined by points."""
        return ".".join(self.to_list())

    def __str__(self) -> str:
        return ".".join("`" + part.replace("`", "``") + "`" for part in (self.catalog, self.database, self.name))


@dataclass(frozen=True, slots=True)
class Distribution:
    """`DISTRIBUTED BY [HASH|RANGE] (columns) INTO buckets BUCKETS`: kept for other systems, no connector here has buckets."""

    kind: str | None = None
    columns: tuple[str, ...] = ()
    buckets: int | None = None

    def __str__(self) -> str:
        names = ", ".join("`" + c.replace("`", "``") + "`" for c in self.columns)
        by = f" BY {self.kind or ''}({names})" if self.columns else ""
        into = f" INTO {self.buckets} BUCKETS" if self.buckets is not None else ""
        return f"DISTRIBUTED{by}{into}"


@dataclass(frozen=True)
class TableSpec:
    """A table's definition: columns, keys, watermark, and the options that name its connector."""

    identifier: ObjectIdentifier
    columns: tuple[TableColumn, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    partition_keys: tuple[str, ...] = ()
    watermark: Watermark | None = None
    comment: str | None = None
    distribution: Distribution | None = None

    @property
    def connector(self) -> str:
        """The name of the connector that reads and writes this table."""
        return self.options["connector"]

    @cached_property
    def physical(self) -> RowSchema:
        """The columns that the connector stores."""
        return RowSchema(tuple(Field(c.name, c.type) for c in self.columns if c.kind is ColumnKind.PHYSICAL and c.type))

    @cached_property
    def produced(self) -> RowSchema:
        """The columns that a source hands over: physical and metadata columns, in declared order."""
        return RowSchema(tuple(Field(c.name, c.type) for c in self.columns if c.kind is not ColumnKind.COMPUTED and c.type))

    @cached_property
    def persisted(self) -> RowSchema:
        """The columns that a sink takes: physical columns and metadata columns that are not virtual."""
        return RowSchema(
            tuple(
                Field(c.name, c.type)
                for c in self.columns
                if c.type and (c.kind is ColumnKind.PHYSICAL or (c.kind is ColumnKind.METADATA and not c.is_virtual))
            )
        )


@dataclass(frozen=True)
class ColumnStatistics:
    """What is known of a column's values without reading them; None where it is not.

    Args:
        distinct: At most so many different values.
        lowest, highest: No value lies outside.
        null_share: The share of NULLs, 0 to 1.
    """

    distinct: float | None = None
    lowest: Any = None
    highest: Any = None
    null_share: float | None = None


@dataclass(frozen=True)
class TableStatistics:
    """What is known of a table without reading it.

    Args:
        rows: Number of rows; None: unknown.
        columns: Facts about some columns.
        is_parsed: Reading means parsing text, which costs more than to keep the rows.
    """

    rows: float | None = None
    columns: Mapping[str, ColumnStatistics] = field(default_factory=dict)
    is_parsed: bool = False
