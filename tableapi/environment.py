"""`TableEnvironment`: a session. Holds the catalogs and the configuration, makes tables, executes statements.

The front door to the runtime, which is imported inside functions only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tableapi.catalog_manager import CatalogManager, split_path
from tableapi.config import Configuration, EnvironmentSettings, TableConfig
from tableapi.errors import TypeMismatchError, UnknownNameError, UnsupportedError, ValidationError
from tableapi.expression_base import caller
from tableapi.location import located
from tableapi.module import Modules
from tableapi.sql.catalog_reader import ViewSpec
from tableapi.table import Table
from tableapi.tablespec import ObjectIdentifier, TableSpec

if TYPE_CHECKING:
    import polars as pl

    from tableapi.catalog import Catalog
    from tableapi.catalog_objects import CatalogDescriptor
    from tableapi.compiled_plan import CompiledPlan
    from tableapi.model_descriptor import ModelDescriptor
    from tableapi.module import Module, ModuleEntry
    from tableapi.plan.builder import Builder
    from tableapi.plan.nodes import Node, Sink
    from tableapi.plan.scope import PlanContext, Relation
    from tableapi.plan_reference import PlanReference
    from tableapi.result import TableResult
    from tableapi.runtime.execute import ExecutionSettings
    from tableapi.sql.statements import Statement
    from tableapi.statement_set import StatementSet
    from tableapi.table_descriptor import TableDescriptor

__all__ = ["TableEnvironment"]


class TableEnvironment:
    """A session: names, configuration, and the way to run queries.

    >>> from tableapi import EnvironmentSettings
    >>> env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    >>> env.sql_query("SELECT 1 AS a").to_polars().rows()
    [(1,)]
    """

    def __init__(self, settings: EnvironmentSettings) -> None:
        from tableapi.session import session_options

        options = session_options()
        if options:
            settings = EnvironmentSettings(settings.get_configuration().add_all(Configuration.from_dict(options)))
        self._is_streaming = settings.is_streaming_mode()
        self._config = TableConfig(settings.get_configuration())
        self._catalog: CatalogManager = CatalogManager(
            settings.get_built_in_catalog_name(), settings.get_built_in_database_name()
        )
        self._unnamed = 0
        self._modules = Modules()

    @staticmethod
    def create(environment_settings: EnvironmentSettings | Configuration) -> TableEnvironment:
        """A new session.

        Args:
            environment_settings: Batch or streaming, names and configuration.
        """
        if isinstance(environment_settings, Configuration):
            environment_settings = EnvironmentSettings(environment_settings)
        if not isinstance(environment_settings, EnvironmentSettings):
            raise TypeMismatchError(
                f"{environment_settings!r} is not EnvironmentSettings",
                where=caller(),
                fix="EnvironmentSettings.in_streaming_mode()",
            )
        return TableEnvironment(environment_settings)

    # -- planning

    def _context(self) -> PlanContext:
        from tableapi.plan.scope import PlanContext

        return PlanContext(self._catalog.find_function, self._config.get_local_timezone(), self._is_streaming)

    def _builder(self) -> Builder:
        from tableapi.plan.builder import Builder

        return Builder(self._context())

    def _table(self, relation: Relation) -> Table:
        return Table(relation, self)

    def _table_of(self, spec: TableSpec) -> Table:
        table = self._table(self._builder().from_table(spec))
        table._spec = spec
        return table

    def _parse(self, statement: str) -> Statement:
        from tableapi.python_dependencies import prepare
        from tableapi.sql import parse_one

        prepare(lambda key: self._config.get(key, ""))
        if not isinstance(statement, str):
            raise TypeMismatchError(f"a SQL text is needed, not {statement!r}", where=caller())
        return parse_one(statement, self._catalog, self._context())

    # -- running

    def _settings(self, is_streaming: bool | None = None) -> ExecutionSettings:
        from datetime import timedelta

        from tableapi.python_dependencies import prepare
        from tableapi.runtime.execute import ExecutionSettings

        prepare(lambda key: self._config.get(key, ""))
        config, millisecond = self._config, timedelta(milliseconds=1)
        values: dict[str, Any] = {}
        ttl = config.option("table.exec.state.ttl")
        if ttl:
            values["state_ttl_ms"] = ttl // millisecond
        return ExecutionSettings(
            is_streaming=self._is_streaming if is_streaming is None else is_streaming,
            parallelism=config.default_parallelism(),
            time_zone=config.get_local_timezone(),
            name=config.option("pipeline.name") or "query",
            max_batch_rows=config.option("pipeline.max-batch-rows"),
            linger_ms=config.option("pipeline.linger") // millisecond,
            idle_timeout_ms=config.option("table.exec.source.idle-timeout") // millisecond,
            check_edges=config.option("pipeline.check-edges"),
            options=config.get_configuration().to_dict(),
            database=self.get_current_database(),
            **values,
        )

    def _execute_query(self, relation: Relation) -> TableResult:
        from tableapi.printing import PrintStyle
        from tableapi.result import TableResult
        from tableapi.runtime.execute import execute

        plan = self._builder().collect(relation)
        settings = self._settings()
        return TableResult(
            plan.schema,
            execution=execute([plan], settings),
            time_zone=settings.time_zone,
            style=PrintStyle.CHANGES if self._is_streaming else PrintStyle.ROWS,
            max_width=self._config.option("table.display.max-column-width"),
        )

    def _execute_sinks(self, sinks: Sequence[Sink]) -> TableResult:
        from tableapi.printing import PrintStyle
        from tableapi.result import TableResult
        from tableapi.runtime.execute import execute
        from tableapi.session import note_job
        from tableapi.tablespec import Field, RowSchema
        from tableapi.types import DataTypes

        execution = execute(sinks, self._settings())
        note_job(execution)
        names = _numbered([s.table.identifier.as_summary_string() for s in sinks])
        schema = RowSchema(tuple(Field(n, DataTypes.BIGINT()) for n in names))
        result = TableResult(schema, execution=execution, is_insert=True, style=PrintStyle.PLAIN)
        if self._config.option("table.dml-sync"):
            result.wait()
        return result

    def _explain(self, plans: Sequence[Node], details: Sequence[int]) -> str:
        from tableapi.explain_detail import ExplainDetail
        from tableapi.runtime.execute import explain

        return explain(
            plans,
            self._settings(),
            with_changelog=ExplainDetail.CHANGELOG_MODE in details,
            with_cost=ExplainDetail.ESTIMATED_COST in details,
        )

    def _sink_table(self, path_or_descriptor: str | TableDescriptor) -> tuple[TableSpec, bool]:
        """The definition of a sink, and whether it was described in place."""
        if not isinstance(path_or_descriptor, str):
            return self._anonymous(path_or_descriptor), True
        found = self._catalog.table(self._catalog.parse(path_or_descriptor))
        if isinstance(found, ViewSpec):
            raise ValidationError(f"'{path_or_descriptor}' is a view; it cannot be written to", where=caller())
        return found, False

    def _anonymous(self, descriptor: TableDescriptor) -> TableSpec:
        name = f"*anonymous_{descriptor.get_options().get('connector', 'table')}${self._next_unnamed()}*"
        return self._spec(self._catalog.qualify((name,)), descriptor)

    def _spec(self, identifier: ObjectIdentifier, descriptor: TableDescriptor) -> TableSpec:
        from tableapi.catalog import spec_of
        from tableapi.schema import Schema
        from tableapi.table_descriptor import TableDescriptor

        if not isinstance(descriptor, TableDescriptor):
            raise TypeMismatchError(
                f"{descriptor!r} is not a TableDescriptor", where=caller(), fix="TableDescriptor.for_connector(…)….build()"
            )
        schema = descriptor.get_schema() or Schema()
        keys, options = tuple(descriptor.get_partition_keys()), descriptor.get_options()
        spec = spec_of(identifier, schema, options, keys, descriptor.get_comment())
        return self._checked(spec)

    def _checked(self, spec: TableSpec) -> TableSpec:
        """The definition with the types of its computed columns known; checks names and expressions."""
        names = [c.name for c in spec.columns]
        for key in spec.partition_keys:
            if key not in names:
                raise UnknownNameError(f"partition column '{key}' does not exist", exists=f"columns: {', '.join(names)}")
        self._builder().from_table(spec)
        return spec

    def _next_unnamed(self) -> int:
        self._unnamed += 1
        return self._unnamed - 1

    def _register_unnamed(self, table: Table) -> str:
        name = f"UnnamedTable${self._next_unnamed()}"
        self._register_view(self._catalog.qualify((name,)), table, is_temporary=True)
        return name

    def _register_view(
        self, identifier: ObjectIdentifier, table: Table, *, is_temporary: bool, ignore_if_exists: bool = False
    ) -> None:
        from tableapi.plan.scope import plain

        view = ViewSpec(identifier, plain(table._plan()))
        self._catalog.create_table(view, is_temporary=is_temporary, ignore_if_exists=ignore_if_exists)

    # -- SQL

    @located
    def sql_query(self, query: str) -> Table:
        """The table that a query gives; nothing runs yet.

        Raises:
            SqlParseError: The text is not SQL.
            ValidationError: It is not a query, or has no meaning.
        """
        from tableapi.sql.statements import Query

        statement = self._parse(query)
        if not isinstance(statement, Query):
            raise ValidationError(
                f"a query is needed, not {type(statement).__name__}", where=caller(), fix="use execute_sql() for statements"
            )
        return self._table(statement.relation)

    @located
    def execute_sql(self, stmt: str) -> TableResult:
        """Executes one statement. A query or INSERT starts a job; see `TableResult.wait`.

        Raises:
            SqlParseError: The text is not SQL.
            ValidationError: The statement has no meaning.
            UnsupportedError: SET, RESET and other statements of an interactive client.
        """
        from tableapi.statement_execution import execute_statement

        return execute_statement(self, self._parse(stmt))

    @located
    def explain_sql(self, stmt: str, *extra_details: int) -> str:
        """The plan of a query or INSERT as text."""
        from tableapi.statement_execution import plans_of

        return self._explain(plans_of(self, self._parse(stmt)), extra_details)

    def create_statement_set(self) -> StatementSet:
        """A set of inserts that run as one job."""
        from tableapi.statement_set import StatementSet

        return StatementSet(self)

    # -- tables

    @located
    def from_elements(self, elements: Iterable[Any], schema: Any = None, verify_schema: bool = True) -> Table:
        """A table of rows that the program holds.

        Args:
            elements: Rows: tuples, lists, `Row`s or dicts.
            schema: A ROW type, or names of the columns (types are then inferred), or None.
            verify_schema: Whether values must fit the types; otherwise they are converted.

        Raises:
            TypeMismatchError: A value does not fit.
        """
        from tableapi.elements import frame_of_elements

        frame, row_schema = frame_of_elements(elements, schema, verify_schema, self._config.get_local_timezone())
        return self._table(self._builder().from_frame(frame, row_schema))

    @located
    def from_pandas(self, pdf: Any, schema: Any = None, splits_num: int = 1) -> Table:
        """A table of a pandas frame.

        Args:
            pdf: The frame.
            schema: Names, types, or a ROW type; by default the frame's own.
            splits_num: Accepted for programs written for Flink.
        """
        from tableapi.elements import any_frame, nanosecond_timestamps

        return self._from_frame(nanosecond_timestamps(any_frame(pdf)), schema)

    @located
    def from_polars(self, frame: pl.DataFrame | pl.LazyFrame, schema: Any = None) -> Table:
        """A table of a Polars frame.

        >>> import polars as pl
        >>> from tableapi import EnvironmentSettings
        >>> env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
        >>> env.from_polars(pl.DataFrame({"a": [1, 2]})).to_polars()["a"].sum()
        3
        """
        return self._from_frame(frame, schema)

    @located
    def from_arrow(self, table: Any, schema: Any = None) -> Table:
        """A table of an Arrow table, or of anything that speaks the Arrow PyCapsule protocol (DuckDB, pandas, …)."""
        return self._from_frame(table, schema)

    def _from_frame(self, data: Any, schema: Any = None) -> Table:
        from tableapi.elements import any_frame, frame_with_schema

        frame, row_schema = frame_with_schema(any_frame(data), schema)
        return self._table(self._builder().from_frame(frame, row_schema))

    @located
    def from_path(self, path: str) -> Table:
        """A table or view of a catalog.

        Raises:
            UnknownNameError: There is none of that name.
        """
        found = self._catalog.table(self._catalog.parse(path))
        if isinstance(found, ViewSpec):
            from tableapi.sql.views import view_relation

            relation = view_relation(found, self._catalog, self._context())
            return self._table(self._builder().alias(relation, found.identifier.name))
        return self._table_of(found)

    @located
    def from_descriptor(self, descriptor: TableDescriptor) -> Table:
        """A table that is described in place and has no name."""
        return self._table_of(self._anonymous(descriptor))

    @located
    def create_temporary_table(self, path: str, descriptor: TableDescriptor, ignoreIfExists: bool | None = False) -> None:
        """Defines a table of this session.

        Raises:
            AlreadyExistsError: The name is taken.
        """
        self._create_table(path, descriptor, bool(ignoreIfExists), is_temporary=True)

    @located
    def create_table(self, path: str, descriptor: TableDescriptor, ignoreIfExists: bool | None = False) -> None:
        """Defines a table of a catalog.

        Raises:
            AlreadyExistsError: The name is taken.
        """
        self._create_table(path, descriptor, bool(ignoreIfExists), is_temporary=False)

    def _create_table(self, path: str, descriptor: TableDescriptor, ignore: bool, *, is_temporary: bool) -> None:
        spec = self._spec(self._catalog.parse(path), descriptor)
        self._catalog.create_table(spec, is_temporary=is_temporary, ignore_if_exists=ignore)

    @located
    def create_temporary_view(self, view_path: str, table_or_data_stream: Any, *fields_or_schema: Any) -> None:
        """Names a table, a Polars, pandas or Arrow frame; for this session.

        Raises:
            AlreadyExistsError: The name is taken.
        """
        table = self._as_table(table_or_data_stream, *fields_or_schema)
        self._register_view(self._catalog.parse(view_path), table, is_temporary=True)

    @located
    def create_view(self, view_path: str, table: Table, ignore_if_exists: bool | None = False) -> None:
        """Names a table in a catalog.

        Raises:
            AlreadyExistsError: The name is taken.
        """
        identifier = self._catalog.parse(view_path)
        self._register_view(identifier, self._as_table(table), is_temporary=False, ignore_if_exists=bool(ignore_if_exists))

    def _as_table(self, data: Any, *schema: Any) -> Table:
        if isinstance(data, Table):
            if data._t_env is not self:
                raise ValidationError("the table belongs to another environment", where=caller())
            return data
        return self._from_frame(
            data, schema[0] if len(schema) == 1 and not isinstance(schema[0], str) else list(schema) or None
        )

    @located
    def drop_temporary_table(self, table_path: str) -> bool:
        """Drops a table of this session; whether it was there."""
        return self._drop(table_path, is_view=False, is_temporary=True, if_exists=True)

    @located
    def drop_table(self, table_path: str, ignore_if_not_exists: bool | None = True) -> bool:
        """Drops a table of a catalog; whether it was there."""
        return self._drop(table_path, is_view=False, is_temporary=False, if_exists=bool(ignore_if_not_exists))

    @located
    def drop_temporary_view(self, view_path: str) -> bool:
        """Drops a view of this session; whether it was there."""
        return self._drop(view_path, is_view=True, is_temporary=True, if_exists=True)

    @located
    def drop_view(self, view_path: str, ignore_if_not_exists: bool | None = True) -> bool:
        """Drops a view of a catalog; whether it was there."""
        return self._drop(view_path, is_view=True, is_temporary=False, if_exists=bool(ignore_if_not_exists))

    def _drop(self, path: str, *, is_view: bool, is_temporary: bool, if_exists: bool) -> bool:
        identifier = self._catalog.parse(path)
        found = self._catalog.find_table(identifier)
        if if_exists and (found is None or isinstance(found, ViewSpec) != is_view):
            return False
        return self._catalog.drop(identifier, is_view=is_view, is_temporary=is_temporary, if_exists=if_exists)

    # -- functions

    @located
    def create_temporary_system_function(self, name: str, function: Any) -> None:
        """Names a Python function for this session, in no database.

        Raises:
            AlreadyExistsError: The name is taken.
        """
        from tableapi.udf import as_wrapper

        self._catalog.create_system_function(name, as_wrapper(function), if_not_exists=False, replace_existing=False)

    @located
    def drop_temporary_system_function(self, name: str) -> bool:
        """Forgets a function of this session; whether it was there."""
        return self._catalog.drop_system_function(name, if_exists=True)

    @located
    def create_temporary_function(self, path: str, function: Any) -> None:
        """Names a Python function for this session, in a database.

        Raises:
            AlreadyExistsError: The name is taken.
        """
        from tableapi.udf import as_wrapper

        self._catalog.create_temporary_function(self._catalog.function_identifier(split_path(path)), as_wrapper(function))

    @located
    def drop_temporary_function(self, path: str) -> bool:
        """Forgets a function of this session; whether it was there."""
        return self._catalog.drop_temporary_function(self._catalog.function_identifier(split_path(path)), if_exists=True)

    @located
    def drop_function(self, path: str) -> bool:
        """Drops a function of a catalog; whether it was there."""
        return self._catalog.drop_function(self._catalog.function_identifier(split_path(path)), if_exists=True)

    @located
    def create_java_temporary_system_function(self, name: str, function_class_name: str) -> None:
        """Java functions cannot run here. Raises UnsupportedError."""
        raise _no_java(function_class_name)

    @located
    def create_java_function(self, path: str, function_class_name: str, ignore_if_exists: bool | None = None) -> None:
        """Java functions cannot run here. Raises UnsupportedError."""
        raise _no_java(function_class_name)

    @located
    def create_java_temporary_function(self, path: str, function_class_name: str) -> None:
        """Java functions cannot run here. Raises UnsupportedError."""
        raise _no_java(function_class_name)

    # -- models

    @located
    def create_model(self, model_path: str, model_descriptor: ModelDescriptor, ignore_if_exists: bool | None = False) -> None:
        """Keeps the description of a model in a catalog."""
        self._create_model(model_path, model_descriptor, bool(ignore_if_exists), is_temporary=False)

    @located
    def create_temporary_model(
        self, model_path: str, model_descriptor: ModelDescriptor, ignore_if_exists: bool | None = False
    ) -> None:
        """Keeps the description of a model for this session."""
        self._create_model(model_path, model_descriptor, bool(ignore_if_exists), is_temporary=True)

    def _create_model(self, path: str, descriptor: ModelDescriptor, ignore: bool, *, is_temporary: bool) -> None:
        from tableapi.catalog_objects import CatalogModel

        model = CatalogModel.create_model(
            descriptor.get_input_schema(), descriptor.get_output_schema(), descriptor.get_options(), descriptor.get_comment()
        )
        self._catalog.create_model(self._catalog.parse(path), model, is_temporary=is_temporary, ignore_if_exists=ignore)

    @located
    def drop_model(self, model_path: str, ignore_if_not_exists: bool | None = True) -> bool:
        """Drops a model of a catalog; whether it was there."""
        identifier = self._catalog.parse(model_path)
        return self._catalog.drop_model(identifier, is_temporary=False, if_exists=bool(ignore_if_not_exists))

    @located
    def drop_temporary_model(self, model_path: str) -> bool:
        """Drops a model of this session; whether it was there."""
        return self._catalog.drop_model(self._catalog.parse(model_path), is_temporary=True, if_exists=True)

    # -- catalogs and names

    @located
    def create_catalog(self, catalog_name: str, catalog_descriptor: CatalogDescriptor) -> None:
        """Creates a catalog of options (`type` = `generic_in_memory`)."""
        from dataclasses import replace

        self._catalog.create_catalog(replace(catalog_descriptor, catalog_name=catalog_name))

    @located
    def register_catalog(self, catalog_name: str, catalog: Catalog) -> None:
        """Adds a catalog object."""
        self._catalog.register_catalog(catalog_name, catalog)

    def get_catalog(self, catalog_name: str) -> Catalog | None:
        """A catalog, None when there is none of that name."""
        return self._catalog.catalog(catalog_name) if catalog_name in self._catalog.list_catalogs() else None

    def get_current_catalog(self) -> str:
        """Name of the current catalog."""
        return self._catalog.current_catalog

    @located
    def use_catalog(self, catalog_name: str) -> None:
        """Makes a catalog the current one."""
        self._catalog.use_catalog(catalog_name)

    def get_current_database(self) -> str:
        """Name of the current database."""
        return self._catalog.current_database

    @located
    def use_database(self, database_name: str) -> None:
        """Makes a database the current one."""
        self._catalog.use_database(database_name)

    def list_catalogs(self) -> list[str]:
        """Names of the catalogs."""
        return self._catalog.list_catalogs()

    @located
    def list_databases(self) -> list[str]:
        """Names of the current catalog's databases."""
        return sorted(self._catalog.catalog().list_databases())

    @located
    def list_tables(self) -> list[str]:
        """Names of the current database's tables and views, temporary ones too."""
        return self._catalog.list_tables()

    @located
    def list_views(self) -> list[str]:
        """Names of the current database's views, temporary ones too."""
        return self._catalog.list_views()

    def list_materialized_tables(self) -> list[str]:
        """Names of materialized tables: none."""
        return []

    def list_temporary_tables(self) -> list[str]:
        """Names of the session's tables and views in the current database."""
        return self._catalog.list_temporary()

    def list_temporary_views(self) -> list[str]:
        """Names of the session's views in the current database."""
        return self._catalog.list_temporary(views=True)

    def list_user_defined_functions(self) -> list[str]:
        """Names of the user's functions."""
        return self._catalog.user_functions()

    def list_functions(self) -> list[str]:
        """Names of all functions that can be called."""
        from tableapi.functions import registry

        built_in = {n.lower() for f in registry.functions() for n in (f.name, *f.sql_names) if not n.startswith("$")}
        return sorted(built_in | set(self._catalog.user_functions()))

    def list_models(self) -> list[str]:
        """Names of the current database's models, temporary ones too."""
        return self._catalog.list_models()

    def list_temporary_models(self) -> list[str]:
        """Names of the session's models in the current database."""
        return self._catalog.list_models(temporary_only=True)

    # -- modules

    @located
    def load_module(self, module_name: str, module: Module) -> None:
        """Loads a module that was unloaded; there is one, `core`.

        Raises:
            AlreadyExistsError: It is loaded already.
            UnsupportedError: It is another one.
        """
        self._modules.load(module_name)

    @located
    def unload_module(self, module_name: str) -> None:
        """Forgets a module. As in Flink, SQL's own functions can still be called; they are no longer listed.

        Raises:
            UnknownNameError: It is not loaded.
        """
        self._modules.unload(module_name)

    @located
    def use_modules(self, *module_names: str) -> None:
        """Sets the modules to use, in order of look-up.

        Raises:
            UnknownNameError: A module is not loaded.
        """
        self._modules.use(module_names)

    def list_modules(self) -> list[str]:
        """Names of the modules in use."""
        return list(self._modules.used)

    def list_full_modules(self) -> list[ModuleEntry]:
        """All loaded modules."""
        return self._modules.entries()

    # -- configuration

    def get_config(self) -> TableConfig:
        """The session's configuration; changes act on it."""
        return self._config

    @located
    def add_python_file(self, file_path: str) -> None:
        """Makes a Python file, folder or zip importable, here and where functions run.

        Raises:
            UnknownNameError: It does not exist.
        """
        from tableapi.python_dependencies import FILES, use_file

        self._add_to_list(FILES, use_file(file_path))

    @located
    def set_python_requirements(self, requirements_file_path: str, requirements_cache_dir: str | None = None) -> None:
        """Says which packages functions need. They run with this interpreter's packages, which are checked.

        Args:
            requirements_file_path: A file as `pip install -r` takes it.
            requirements_cache_dir: Accepted for programs written for Flink; nothing is installed.

        Raises:
            ValidationError: Packages are missing, or of another version.
        """
        from tableapi.python_dependencies import REQUIREMENTS, check_requirements

        check_requirements(requirements_file_path)
        self._config.set(REQUIREMENTS, requirements_file_path)

    @located
    def add_python_archive(self, archive_path: str, target_dir: str | None = None) -> None:
        """Unpacks an archive for functions, which run in the folder that holds it (in worker processes, whatever the job's size).

        Args:
            archive_path: A `.zip`, `.tar`, `.tar.gz` and the like.
            target_dir: The name under which functions find it; by default the archive's own.

        Raises:
            UnknownNameError: It does not exist.
            UnsupportedError: It is no archive.
        """
        from tableapi.python_dependencies import ARCHIVES, archive_text

        self._add_to_list(ARCHIVES, archive_text(archive_path, target_dir))

    def _add_to_list(self, key: str, value: str) -> None:
        listed = [v for v in (self._config.get(key, "") or "").split(",") if v]
        self._config.set(key, ",".join(dict.fromkeys([*listed, value])))

    # -- compiled plans

    @located
    def load_plan(self, plan_reference: PlanReference) -> CompiledPlan:
        """A stored plan."""
        from tableapi.compiled_plan import load_plan

        return load_plan(self, plan_reference)

    @located
    def compile_plan_sql(self, stmt: str) -> CompiledPlan:
        """The plan of an INSERT in a form that can be stored."""
        from tableapi.compiled_plan import compile_statement

        return compile_statement(self, self._parse(stmt))

    @located
    def execute_plan(self, plan_reference: PlanReference) -> TableResult:
        """Runs a stored plan."""
        return self.load_plan(plan_reference).execute()


def _no_java(class_name: str) -> UnsupportedError:
    return UnsupportedError(
        f"the Java function '{class_name}' cannot run here",
        where=caller(),
        fix="write it in Python: create_temporary_function()",
    )


def _numbered(names: list[str]) -> list[str]:
    """Names made unique by a number behind the second and later ones (Flink: the same)."""
    seen: dict[str, int] = {}
    numbered = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        numbered.append(name if names.count(name) == 1 else f"{name}_{seen[name]}")
    return numbered
