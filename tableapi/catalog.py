"""`Catalog`: databases with tables, views, functions and models, in memory; and the PyFlink names that belong to catalogs.

A catalog keeps definitions (`TableSpec`, `ViewSpec`); the catalogs of a session, its temporary objects and name look-up are in
`catalog_manager.py`. May import types, tablespec, errors, schema and plan; never runtime or connectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from tableapi.catalog_objects import (
    CatalogBaseTable,
    CatalogColumnStatistics,
    CatalogDatabase,
    CatalogDescriptor,
    CatalogFunction,
    CatalogModel,
    CatalogPartition,
    CatalogPartitionSpec,
    CatalogTableStatistics,
    ObjectPath,
    Procedure,
)
from tableapi.errors import AlreadyExistsError, OptionError, UnknownNameError, UnsupportedError, ValidationError, did_you_mean
from tableapi.location import located
from tableapi.resolved_schema import (
    Column,
    ComputedColumn,
    MetadataColumn,
    PhysicalColumn,
    ResolvedExpression,
    ResolvedSchema,
    UniqueConstraint,
    WatermarkSpec,
)
from tableapi.schema import Schema
from tableapi.sql.catalog_reader import ViewSpec
from tableapi.tablespec import ObjectIdentifier, TableSpec

__all__ = [
    "Catalog",
    "CatalogBaseTable",
    "CatalogColumnStatistics",
    "CatalogDatabase",
    "CatalogDescriptor",
    "CatalogFunction",
    "CatalogModel",
    "CatalogPartition",
    "CatalogPartitionSpec",
    "CatalogTableStatistics",
    "Column",
    "ComputedColumn",
    "HiveCatalog",
    "JdbcCatalog",
    "MetadataColumn",
    "ObjectIdentifier",
    "ObjectPath",
    "PhysicalColumn",
    "Procedure",
    "ResolvedExpression",
    "ResolvedSchema",
    "UniqueConstraint",
    "WatermarkSpec",
]

T = TypeVar("T")


@dataclass
class Database:
    """The content of a database."""

    name: str
    description: CatalogDatabase = field(default_factory=CatalogDatabase)
    tables: dict[str, TableSpec | ViewSpec] = field(default_factory=dict)
    functions: dict[str, CatalogFunction] = field(default_factory=dict)
    models: dict[str, CatalogModel] = field(default_factory=dict)
    partitions: dict[str, dict[CatalogPartitionSpec, CatalogPartition]] = field(default_factory=dict)
    statistics: dict[tuple[str, str], Any] = field(default_factory=dict)

    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return not (self.tables or self.functions or self.models)


def unknown(kind: str, name: str, known: Mapping[str, Any] | list[str]) -> UnknownNameError:
    """The error for a name that a catalog does not have."""
    names = sorted(known)
    return UnknownNameError(
        f"{kind} '{name}' does not exist", exists=f"{kind}s: {', '.join(names) or 'none'}", fix=did_you_mean(name, names)
    )


CATALOG_OPTIONS = ("type", "default-database", "property-version")


def check_catalog_options(options: Mapping[str, str]) -> None:
    """Fails for an option that catalogs in memory do not have."""
    for key in options:
        if key not in CATALOG_OPTIONS:
            raise OptionError(
                f"a catalog has no option '{key}'",
                exists=f"options: {', '.join(CATALOG_OPTIONS)}",
                fix=did_you_mean(key, CATALOG_OPTIONS),
            )


class Catalog:
    """A catalog in memory.

    >>> catalog = Catalog("c", "db")
    >>> catalog.list_databases()
    ['db']
    """

    def __init__(
        self,
        name: str,
        default_database: str = "default",
        options: Mapping[str, str] | None = None,
        comment: str | None = None,
    ) -> None:
        self.name, self.comment = name, comment
        self.options = dict(options or {})
        self._default_database = default_database
        self._databases: dict[str, Database] = {default_database: Database(default_database)}

    def set_options(self, options: Mapping[str, str]) -> None:
        """Replaces the options; another default database is created if it is not there.

        Raises:
            OptionError: An option does not exist.
        """
        check_catalog_options(options)
        default = options.get("default-database", self._default_database)
        if default not in self._databases:
            self._databases[default] = Database(default)
        self._default_database, self.options = default, dict(options)

    def find_database(self, name: str) -> Database | None:
        """A database, or None."""
        return self._databases.get(name)

    def database(self, name: str) -> Database:
        """A database.

        Raises:
            UnknownNameError: There is none of that name.
        """
        found = self._databases.get(name)
        if found is None:
            raise unknown("database", name, self._databases)
        return found

    def get_default_database(self) -> str:
        """Name of the database that is used at first."""
        return self._default_database

    def list_databases(self) -> list[str]:
        """Names of the databases."""
        return list(self._databases)

    @located
    def get_database(self, database_name: str) -> CatalogDatabase:
        """A database's properties and comment."""
        return self.database(database_name).description

    def database_exists(self, database_name: str) -> bool:
        """Whether there is a database of that name."""
        return database_name in self._databases

    @located
    def create_database(self, name: str, database: CatalogDatabase, ignore_if_exists: bool) -> None:
        """Creates a database.

        Raises:
            AlreadyExistsError: The name is taken.
        """
        if name in self._databases:
            if ignore_if_exists:
                return
            raise AlreadyExistsError(f"database '{name}' exists already in catalog '{self.name}'", fix="IF NOT EXISTS")
        self._databases[name] = Database(name, database)

    @located
    def drop_database(self, name: str, ignore_if_exists: bool, cascade: bool = False) -> None:
        """Drops a database.

        Args:
            name: Its name.
            ignore_if_exists: Whether a missing database is no error (PyFlink's name of the argument).
            cascade: Whether what is in it goes too.

        Raises:
            UnknownNameError: There is none of that name.
            ValidationError: It is not empty.
        """
        if name not in self._databases:
            if ignore_if_exists:
                return
            raise unknown("database", name, self._databases)
        if not cascade and not self._databases[name].is_empty():
            held = [*self._databases[name].tables, *self._databases[name].functions, *self._databases[name].models]
            raise ValidationError(f"database '{name}' is not empty", exists=f"objects: {', '.join(held)}", fix="use CASCADE")
        del self._databases[name]

    @located
    def alter_database(self, name: str, new_database: CatalogDatabase, ignore_if_not_exists: bool) -> None:
        """Replaces a database's properties and comment."""
        if name in self._databases or not ignore_if_not_exists:
            self.database(name).description = new_database

    @located
    def list_tables(self, database_name: str) -> list[str]:
        """Names of the tables and views."""
        return sorted(self.database(database_name).tables)

    @located
    def list_views(self, database_name: str) -> list[str]:
        """Names of the views."""
        return sorted(n for n, t in self.database(database_name).tables.items() if isinstance(t, ViewSpec))

    @located
    def list_materialized_tables(self, database_name: str) -> list[str]:
        """Names of the materialized tables: none."""
        self.database(database_name)
        return []

    @located
    def get_table(self, table_path: ObjectPath) -> CatalogBaseTable:
        """A table or view."""
        return _described(_existing("table", table_path, self.database(table_path.database_name).tables))

    def table_exists(self, table_path: ObjectPath) -> bool:
        """Whether there is a table or view of that name."""
        database = self._databases.get(table_path.database_name)
        return database is not None and table_path.object_name in database.tables

    @located
    def drop_table(self, table_path: ObjectPath, ignore_if_not_exists: bool) -> None:
        """Drops a table or view."""
        _drop("table", table_path, self.database(table_path.database_name).tables, ignore_if_not_exists)

    @located
    def rename_table(self, table_path: ObjectPath, new_table_name: str, ignore_if_not_exists: bool) -> None:
        """Renames a table or view."""
        identifier = ObjectIdentifier(self.name, table_path.database_name, new_table_name)
        tables = self.database(table_path.database_name).tables
        _rename("table", table_path, new_table_name, tables, ignore_if_not_exists, lambda t: replace(t, identifier=identifier))

    @located
    def create_table(self, table_path: ObjectPath, table: CatalogBaseTable, ignore_if_exists: bool) -> None:
        """Creates a table.

        Raises:
            AlreadyExistsError: The name is taken.
            UnsupportedError: It is a view.
        """
        spec = self._spec(table_path, table)
        _create("table", table_path, spec, self.database(table_path.database_name).tables, ignore_if_exists)

    @located
    def alter_table(self, table_path: ObjectPath, new_table: CatalogBaseTable, ignore_if_not_exists: bool) -> None:
        """Replaces a table's definition."""
        tables = self.database(table_path.database_name).tables
        _alter("table", table_path, self._spec(table_path, new_table), tables, ignore_if_not_exists)

    def _spec(self, path: ObjectPath, table: CatalogBaseTable) -> TableSpec:
        if table.is_view():
            raise UnsupportedError(
                "a view cannot be created through the catalog", fix="CREATE VIEW … AS …, or TableEnvironment.create_view"
            )
        identifier = ObjectIdentifier(self.name, path.database_name, path.object_name)
        return spec_of(identifier, table.schema, table.options, table.partition_keys, table.comment)

    @located
    def list_partitions(
        self, table_path: ObjectPath, partition_spec: CatalogPartitionSpec | None = None
    ) -> list[CatalogPartitionSpec]:
        """The partitions that were registered, of all or some values."""
        wanted = partition_spec.partition_spec if partition_spec is not None else {}
        return [p for p in self._partitions(table_path) if wanted.items() <= p.partition_spec.items()]

    @located
    def get_partition(self, table_path: ObjectPath, partition_spec: CatalogPartitionSpec) -> CatalogPartition:
        """A partition."""
        partitions = self._partitions(table_path)
        if partition_spec not in partitions:
            raise unknown("partition", str(partition_spec.partition_spec), [str(p.partition_spec) for p in partitions])
        return partitions[partition_spec]

    @located
    def partition_exists(self, table_path: ObjectPath, partition_spec: CatalogPartitionSpec) -> bool:
        """Whether the partition was registered."""
        return partition_spec in self._partitions(table_path)

    @located
    def create_partition(
        self,
        table_path: ObjectPath,
        partition_spec: CatalogPartitionSpec,
        partition: CatalogPartition,
        ignore_if_exists: bool,
    ) -> None:
        """Registers a partition."""
        partitions = self._partitions(table_path)
        if partition_spec not in partitions:
            partitions[partition_spec] = partition
        elif not ignore_if_exists:
            raise AlreadyExistsError(f"partition {partition_spec.partition_spec} exists already")

    @located
    def drop_partition(self, table_path: ObjectPath, partition_spec: CatalogPartitionSpec, ignore_if_not_exists: bool) -> None:
        """Forgets a partition."""
        if self._partitions(table_path).pop(partition_spec, None) is None and not ignore_if_not_exists:
            raise unknown("partition", str(partition_spec.partition_spec), [])

    @located
    def alter_partition(
        self,
        table_path: ObjectPath,
        partition_spec: CatalogPartitionSpec,
        new_partition: CatalogPartition,
        ignore_if_not_exists: bool,
    ) -> None:
        """Replaces a partition's properties."""
        partitions = self._partitions(table_path)
        if partition_spec in partitions:
            partitions[partition_spec] = new_partition
        elif not ignore_if_not_exists:
            raise unknown("partition", str(partition_spec.partition_spec), [])

    def _partitions(self, path: ObjectPath) -> dict[CatalogPartitionSpec, CatalogPartition]:
        database = self.database(path.database_name)
        _existing("table", path, database.tables)
        return database.partitions.setdefault(path.object_name, {})

    @located
    def list_functions(self, database_name: str) -> list[str]:
        """Names of the functions."""
        return sorted(self.database(database_name).functions)

    @located
    def list_procedures(self, database_name: str) -> list[str]:
        """Names of the procedures: none."""
        self.database(database_name)
        return []

    @located
    def get_function(self, function_path: ObjectPath) -> CatalogFunction:
        """A function."""
        return _existing("function", _lower(function_path), self.database(function_path.database_name).functions)

    @located
    def get_procedure(self, procedure_path: ObjectPath) -> Procedure:
        """A procedure; there are none.

        Raises:
            UnknownNameError: Always.
        """
        raise unknown("procedure", procedure_path.get_full_name(), [])

    def function_exists(self, function_path: ObjectPath) -> bool:
        """Whether there is a function of that name."""
        database = self._databases.get(function_path.database_name)
        return database is not None and function_path.object_name.lower() in database.functions

    @located
    def create_function(self, function_path: ObjectPath, function: CatalogFunction, ignore_if_exists: bool) -> None:
        """Creates a function. Names of functions do not tell upper from lower case."""
        functions = self.database(function_path.database_name).functions
        _create("function", _lower(function_path), function, functions, ignore_if_exists)

    @located
    def alter_function(self, function_path: ObjectPath, new_function: CatalogFunction, ignore_if_not_exists: bool) -> None:
        """Replaces a function."""
        functions = self.database(function_path.database_name).functions
        _alter("function", _lower(function_path), new_function, functions, ignore_if_not_exists)

    @located
    def drop_function(self, function_path: ObjectPath, ignore_if_not_exists: bool) -> None:
        """Drops a function."""
        functions = self.database(function_path.database_name).functions
        _drop("function", _lower(function_path), functions, ignore_if_not_exists)

    @located
    def list_models(self, database_name: str) -> list[str]:
        """Names of the models."""
        return sorted(self.database(database_name).models)

    @located
    def get_model(self, model_path: ObjectPath) -> CatalogModel:
        """A model."""
        return _existing("model", model_path, self.database(model_path.database_name).models)

    def model_exists(self, model_path: ObjectPath) -> bool:
        """Whether there is a model of that name."""
        database = self._databases.get(model_path.database_name)
        return database is not None and model_path.object_name in database.models

    @located
    def drop_model(self, model_path: ObjectPath, ignore_if_not_exists: bool) -> None:
        """Drops a model."""
        _drop("model", model_path, self.database(model_path.database_name).models, ignore_if_not_exists)

    @located
    def rename_model(self, model_path: ObjectPath, new_model_name: str, ignore_if_not_exists: bool) -> None:
        """Renames a model."""
        models = self.database(model_path.database_name).models
        _rename("model", model_path, new_model_name, models, ignore_if_not_exists, lambda m: m)

    @located
    def create_model(self, model_path: ObjectPath, model: CatalogModel, ignore_if_exists: bool) -> None:
        """Creates a model."""
        _create("model", model_path, model, self.database(model_path.database_name).models, ignore_if_exists)

    @located
    def alter_model(self, model_path: ObjectPath, new_model: CatalogModel, ignore_if_not_exists: bool) -> None:
        """Replaces a model."""
        _alter("model", model_path, new_model, self.database(model_path.database_name).models, ignore_if_not_exists)

    @located
    def get_table_statistics(self, table_path: ObjectPath) -> CatalogTableStatistics:
        """The size that was recorded of a table; unknown by default."""
        return self._statistics(table_path, "table", CatalogTableStatistics())

    @located
    def get_table_column_statistics(self, table_path: ObjectPath) -> CatalogColumnStatistics:
        """The column statistics that were recorded of a table."""
        return self._statistics(table_path, "column", CatalogColumnStatistics())

    @located
    def get_partition_statistics(self, table_path: ObjectPath, partition_spec: CatalogPartitionSpec) -> CatalogTableStatistics:
        """The size that was recorded of a partition."""
        return self._statistics(table_path, f"table {partition_spec.partition_spec}", CatalogTableStatistics())

    def bulk_get_partition_statistics(
        self, table_path: ObjectPath, partition_specs: list[CatalogPartitionSpec]
    ) -> list[CatalogTableStatistics]:
        """The sizes that were recorded of partitions."""
        return [self.get_partition_statistics(table_path, p) for p in partition_specs]

    @located
    def get_partition_column_statistics(
        self, table_path: ObjectPath, partition_spec: CatalogPartitionSpec
    ) -> CatalogColumnStatistics:
        """The column statistics that were recorded of a partition."""
        return self._statistics(table_path, f"column {partition_spec.partition_spec}", CatalogColumnStatistics())

    def bulk_get_partition_column_statistics(
        self, table_path: ObjectPath, partition_specs: list[CatalogPartitionSpec]
    ) -> list[CatalogColumnStatistics]:
        """The column statistics that were recorded of partitions."""
        return [self.get_partition_column_statistics(table_path, p) for p in partition_specs]

    @located
    def alter_table_statistics(
        self, table_path: ObjectPath, table_statistics: CatalogTableStatistics, ignore_if_not_exists: bool
    ) -> None:
        """Records the size of a table."""
        self._record(table_path, "table", table_statistics, ignore_if_not_exists)

    @located
    def alter_table_column_statistics(
        self, table_path: ObjectPath, column_statistics: CatalogColumnStatistics, ignore_if_not_exists: bool
    ) -> None:
        """Records column statistics of a table."""
        self._record(table_path, "column", column_statistics, ignore_if_not_exists)

    @located
    def alter_partition_statistics(
        self,
        table_path: ObjectPath,
        partition_spec: CatalogPartitionSpec,
        partition_statistics: CatalogTableStatistics,
        ignore_if_not_exists: bool,
    ) -> None:
        """Records the size of a partition."""
        self._record(table_path, f"table {partition_spec.partition_spec}", partition_statistics, ignore_if_not_exists)

    @located
    def alter_partition_column_statistics(
        self,
        table_path: ObjectPath,
        partition_spec: CatalogPartitionSpec,
        column_statistics: CatalogColumnStatistics,
        ignore_if_not_exists: bool,
    ) -> None:
        """Records column statistics of a partition."""
        self._record(table_path, f"column {partition_spec.partition_spec}", column_statistics, ignore_if_not_exists)

    def _statistics(self, path: ObjectPath, what: str, default: T) -> T:
        database = self.database(path.database_name)
        _existing("table", path, database.tables)
        found: T = database.statistics.get((path.object_name, what), default)
        return found

    def _record(self, path: ObjectPath, what: str, statistics: Any, ignore_if_not_exists: bool) -> None:
        if ignore_if_not_exists and not self.table_exists(path):
            return
        database = self.database(path.database_name)
        _existing("table", path, database.tables)
        database.statistics[path.object_name, what] = statistics


class HiveCatalog(Catalog):
    """Hive's catalog; not available here.

    Raises:
        UnsupportedError: Always.
    """

    def __init__(
        self,
        catalog_name: str,
        default_database: str | None = None,
        hive_conf_dir: str | None = None,
        hadoop_conf_dir: str | None = None,
        hive_version: str | None = None,
    ) -> None:
        raise UnsupportedError("Hive catalogs are not supported", fix="use Catalog(name), which keeps definitions in memory")


class JdbcCatalog(Catalog):
    """A database server as a catalog; not available here.

    Raises:
        UnsupportedError: Always.
    """

    def __init__(self, catalog_name: str, default_database: str, username: str, pwd: str, base_url: str) -> None:
        raise UnsupportedError("JDBC catalogs are not supported", fix="use Catalog(name), which keeps definitions in memory")


def spec_of(
    identifier: ObjectIdentifier,
    schema: Schema,
    options: Mapping[str, str],
    partition_keys: tuple[str, ...] = (),
    comment: str | None = None,
) -> TableSpec:
    """The definition of a table from its declared parts."""
    return TableSpec(
        identifier, schema._columns, dict(options), schema._primary_key, partition_keys, schema._watermark, comment
    )


def _described(table: TableSpec | ViewSpec) -> CatalogBaseTable:
    if isinstance(table, ViewSpec):
        fields = table.relation.node.schema
        schema = Schema.new_builder().from_fields(fields.names, fields.types).build()
        expanded = table.sql or "" if table.query is None else table.query.expanded
        return CatalogBaseTable(table.comment, schema, (), {}, table.sql or "", expanded)
    schema = Schema(table.columns, table.watermark, table.primary_key)
    return CatalogBaseTable(table.comment, schema, table.partition_keys, dict(table.options), spec=table)


def _lower(path: ObjectPath) -> ObjectPath:
    return ObjectPath(path.database_name, path.object_name.lower())


def _existing(kind: str, path: ObjectPath, objects: Mapping[str, T]) -> T:
    if path.object_name not in objects:
        raise unknown(kind, path.object_name, objects)
    return objects[path.object_name]


def _create(kind: str, path: ObjectPath, value: T, objects: dict[str, T], ignore_if_exists: bool) -> None:
    if path.object_name not in objects:
        objects[path.object_name] = value
    elif not ignore_if_exists:
        raise AlreadyExistsError(
            f"{kind} '{path}' exists already", fix=f"drop it first, or CREATE {kind.upper()} IF NOT EXISTS"
        )


def _alter(kind: str, path: ObjectPath, value: T, objects: dict[str, T], ignore_if_not_exists: bool) -> None:
    if path.object_name in objects:
        objects[path.object_name] = value
    elif not ignore_if_not_exists:
        raise unknown(kind, path.object_name, objects)


def _drop(kind: str, path: ObjectPath, objects: dict[str, Any], ignore_if_not_exists: bool) -> None:
    if objects.pop(path.object_name, None) is None and not ignore_if_not_exists:
        raise unknown(kind, path.object_name, objects)


def _rename(
    kind: str,
    path: ObjectPath,
    new_name: str,
    objects: dict[str, T],
    ignore_if_not_exists: bool,
    change: Callable[[T], T],
) -> None:
    if path.object_name not in objects:
        if ignore_if_not_exists:
            return
        raise unknown(kind, path.object_name, objects)
    if new_name in objects:
        raise AlreadyExistsError(f"{kind} '{new_name}' exists already")
    objects[new_name] = change(objects.pop(path.object_name))
