"""What a catalog holds, as PyFlink names it: databases, tables, functions, models, partitions, statistics, paths.

Plain descriptions; the catalogs themselves are in `catalog.py`. May import errors, schema and tablespec.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tableapi.schema import Schema
from tableapi.table_schema import TableSchema
from tableapi.tablespec import ObjectPath

if TYPE_CHECKING:
    from tableapi.config import Configuration
    from tableapi.tablespec import TableSpec


__all__ = [
    "CatalogBaseTable",
    "CatalogColumnStatistics",
    "CatalogDatabase",
    "CatalogDescriptor",
    "CatalogFunction",
    "CatalogModel",
    "CatalogPartition",
    "CatalogPartitionSpec",
    "CatalogTableStatistics",
    "ObjectPath",
    "Procedure",
]


@dataclass(frozen=True)
class _Described:
    comment: str | None = None

    def get_comment(self) -> str | None:
        """The comment."""
        return self.comment

    def get_description(self) -> str | None:
        """The comment."""
        return self.comment

    def get_detailed_description(self) -> str | None:
        """The comment."""
        return self.comment

    def copy(self) -> Any:
        """A copy."""
        return replace(self)


@dataclass(frozen=True)
class CatalogDatabase(_Described):
    """A database: properties and a comment."""

    properties: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def create_instance(properties: dict[str, str], comment: str | None = None) -> CatalogDatabase:
        """A database of properties."""
        return CatalogDatabase(comment, dict(properties))

    def get_properties(self) -> dict[str, str]:
        """The properties."""
        return dict(self.properties)


@dataclass(frozen=True)
class CatalogBaseTable(_Described):
    """A table or view of a catalog."""

    schema: Schema = field(default_factory=Schema)
    partition_keys: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    original_query: str | None = None
    expanded_query: str | None = None
    spec: TableSpec | None = field(default=None, compare=False)

    @staticmethod
    def create_table(
        schema: TableSchema | Schema,
        partition_keys: list[str] | None = None,
        properties: dict[str, str] | None = None,
        comment: str | None = None,
    ) -> CatalogBaseTable:
        """A table."""
        return CatalogBaseTable(comment, _as_schema(schema), tuple(partition_keys or ()), dict(properties or {}))

    @staticmethod
    def create_view(
        original_query: str,
        expanded_query: str,
        schema: TableSchema | Schema,
        properties: dict[str, str],
        comment: str | None = None,
    ) -> CatalogBaseTable:
        """A view."""
        return CatalogBaseTable(comment, _as_schema(schema), (), dict(properties), original_query, expanded_query)

    def get_options(self) -> dict[str, str]:
        """The options, the connector among them."""
        return dict(self.options)

    def get_unresolved_schema(self) -> Schema:
        """The declared schema."""
        return self.schema

    def is_view(self) -> bool:
        """Whether it is a view."""
        return self.expanded_query is not None


def _as_schema(schema: TableSchema | Schema) -> Schema:
    if isinstance(schema, Schema):
        return schema
    return Schema.new_builder().from_fields(schema.get_field_names(), schema.get_field_data_types()).build()


@dataclass(frozen=True)
class CatalogFunction(_Described):
    """A function of a catalog: where its code is."""

    class_name: str = ""
    function_language: str = "Python"
    options: dict[str, str] = field(default_factory=dict)
    function: Any = field(default=None, compare=False)

    @staticmethod
    def create_instance(class_name: str, function_language: str = "Python") -> CatalogFunction:
        """A function by the name of its code: `module.attribute` for Python."""
        return CatalogFunction(None, class_name, function_language)

    def get_class_name(self) -> str:
        """Where its code is."""
        return self.class_name

    def get_function_language(self) -> str:
        """The language that it is written in."""
        return self.function_language

    def get_options(self) -> dict[str, str]:
        """Its options."""
        return dict(self.options)


@dataclass(frozen=True)
class CatalogModel(_Described):
    """A model of a catalog."""

    input_schema: Schema | None = None
    output_schema: Schema | None = None
    options: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def create_model(
        input_schema: Schema | None,
        output_schema: Schema | None,
        options: dict[str, str] | None = None,
        comment: str | None = None,
    ) -> CatalogModel:
        """A model."""
        return CatalogModel(comment, input_schema, output_schema, dict(options or {}))

    def get_options(self) -> dict[str, str]:
        """Its options."""
        return dict(self.options)


@dataclass(frozen=True)
class CatalogPartition(_Described):
    """A partition of a table."""

    properties: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def create_instance(properties: dict[str, str], comment: str | None = None) -> CatalogPartition:
        """A partition of properties."""
        return CatalogPartition(comment, dict(properties))

    def get_properties(self) -> dict[str, str]:
        """The properties."""
        return dict(self.properties)


@dataclass(frozen=True)
class CatalogPartitionSpec:
    """Values of partition columns."""

    partition_spec: dict[str, str]

    def get_partition_spec(self) -> dict[str, str]:
        """The values by column."""
        return dict(self.partition_spec)

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.partition_spec.items())))


@dataclass(frozen=True)
class CatalogTableStatistics:
    """Size of a table; -1 is unknown."""

    row_count: int = -1
    field_count: int = -1
    total_size: int = -1
    raw_data_size: int = -1
    properties: dict[str, str] = field(default_factory=dict)

    def get_row_count(self) -> int:
        """Number of rows."""
        return self.row_count

    def get_field_count(self) -> int:
        """Number of files."""
        return self.field_count

    def get_total_size(self) -> int:
        """Bytes stored."""
        return self.total_size

    def get_raw_data_size(self) -> int:
        """Bytes of the data itself."""
        return self.raw_data_size

    def get_properties(self) -> dict[str, str]:
        """Further properties."""
        return dict(self.properties)

    def copy(self) -> CatalogTableStatistics:
        """A copy."""
        return replace(self)


@dataclass(frozen=True)
class CatalogColumnStatistics:
    """Statistics of columns."""

    column_statistics_data: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)

    def get_column_statistics_data(self) -> dict[str, Any]:
        """Statistics by column."""
        return dict(self.column_statistics_data)

    def get_properties(self) -> dict[str, str]:
        """Further properties."""
        return dict(self.properties)

    def copy(self) -> CatalogColumnStatistics:
        """A copy."""
        return replace(self)


@dataclass(frozen=True)
class CatalogDescriptor:
    """A catalog to be created: name, options and comment."""

    catalog_name: str
    configuration: Configuration
    comment: str | None = None

    @staticmethod
    def of(catalog_name: str, configuration: Configuration, comment: str | None = None) -> CatalogDescriptor:
        """A catalog of options; `type` is `generic_in_memory`."""
        return CatalogDescriptor(catalog_name, configuration, comment)


@dataclass(frozen=True)
class Procedure:
    """A procedure of a catalog; the catalogs here have none."""

    name: str = ""
