"""Carries SQL statements out: one small function per kind, found by the statement's class.

May import sql.statements, the catalog and the front end's own files; jobs are started through the environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from tableapi.catalog_objects import CatalogDatabase, CatalogDescriptor, CatalogFunction
from tableapi.config import Configuration
from tableapi.errors import UnknownNameError, UnsupportedError, ValidationError
from tableapi.result import TableResult
from tableapi.sql import statements as s
from tableapi.types import DataTypes

if TYPE_CHECKING:
    from tableapi.environment import TableEnvironment
    from tableapi.plan.nodes import Node

S = TypeVar("S", bound=s.Statement)
Handler = Callable[["TableEnvironment", Any], TableResult]

_HANDLERS: dict[type[s.Statement], Handler] = {}


def _executes(kind: type[S]) -> Callable[[Callable[[TableEnvironment, S], TableResult]], Handler]:
    def register(handler: Callable[[TableEnvironment, S], TableResult]) -> Handler:
        _HANDLERS[kind] = handler
        return handler

    return register


def execute_statement(env: TableEnvironment, statement: s.Statement) -> TableResult:
    """Carries out one statement.

    Raises:
        UnsupportedError: It belongs to an interactive client, or is not supported.
    """
    handler = _HANDLERS.get(type(statement)) or _object_handler(statement)
    if handler is not None:
        return handler(env, statement)
    hint = _CLIENT_ONLY.get(type(statement))
    raise UnsupportedError(
        f"{type(statement).__name__} is not a statement that execute_sql() carries out", fix=hint or "see the SQL reference"
    )


_CLIENT_ONLY: dict[type[s.Statement], str] = {
    s.SetOption: "use env.get_config().set(key, value)",
    s.ResetOption: "use env.get_config().get_configuration().remove_config(key)",
    s.ClientCommand: "type it in the `tableapi sql` shell",
    s.AddJar: "there is no JVM here; Python packages are imported as usual",
    s.RemoveJar: "there is no JVM here; Python packages are imported as usual",
    s.DescribeJob: "use TableResult.get_job_client()",
    s.StopJob: "use TableResult.get_job_client().cancel()",
}


def plans_of(env: TableEnvironment, statement: s.Statement) -> list[Node]:
    """The plans of a query or INSERT, for EXPLAIN.

    Raises:
        ValidationError: The statement has no plan.
    """
    match statement:
        case s.Query(relation=relation):
            return [env._builder().collect(relation)]
        case s.Insert(sink=sink):
            return [sink]
        case s.StatementSet(inserts=inserts):
            return [i.sink for i in inserts]
        case s.CreateTable(insert=insert) if insert is not None:
            return [insert]
        case s.Explain(inner=inner):
            return plans_of(env, inner)
        case s.ExecutePlan(path=path):
            from tableapi.compiled_plan import load_plan
            from tableapi.plan_reference import PlanReference

            return list(load_plan(env, PlanReference.from_file(path))._sinks)
    raise ValidationError(f"{type(statement).__name__} has no plan to explain", fix="explain a query or an INSERT")


@_executes(s.Query)
def _query(env: TableEnvironment, statement: s.Query) -> TableResult:
    return env._execute_query(statement.relation)


@_executes(s.Insert)
def _insert(env: TableEnvironment, statement: s.Insert) -> TableResult:
    return env._execute_sinks([statement.sink])


@_executes(s.StatementSet)
def _statement_set(env: TableEnvironment, statement: s.StatementSet) -> TableResult:
    return env._execute_sinks([i.sink for i in statement.inserts])


@_executes(s.CreateTable)
def _create_table(env: TableEnvironment, statement: s.CreateTable) -> TableResult:
    added = env._catalog.create_table(
        statement.spec,
        is_temporary=statement.is_temporary,
        ignore_if_exists=statement.if_not_exists,
        replace_existing=statement.or_replace,
    )
    if statement.insert is None or not added:
        return TableResult.ok()
    return env._execute_sinks([statement.insert])


@_executes(s.CreateView)
def _create_view(env: TableEnvironment, statement: s.CreateView) -> TableResult:
    if statement.is_alter:
        env._catalog.alter_table(statement.view)
    else:
        env._catalog.create_table(
            statement.view,
            is_temporary=statement.is_temporary,
            ignore_if_exists=statement.if_not_exists,
            replace_existing=statement.or_replace,
        )
    return TableResult.ok()


@_executes(s.CreateFunction)
def _create_function(env: TableEnvironment, statement: s.CreateFunction) -> TableResult:
    function = replace(CatalogFunction.create_instance(statement.path, statement.language), options=dict(statement.options))
    if statement.resources and statement.language == "PYTHON":
        raise UnsupportedError(
            "USING of a Python function is not supported", fix="make the module importable: add_python_file() or PYTHONPATH"
        )
    if statement.or_replace and (statement.is_system or statement.is_temporary):
        raise UnsupportedError("a temporary function cannot be altered", fix="drop it, and create it anew")
    if statement.is_system or statement.is_temporary:
        from tableapi.udf import load_function

        function = replace(function, function=load_function(statement.path, statement.language))
    if statement.is_system or statement.identifier is None:
        env._catalog.create_system_function(
            statement.name, function, if_not_exists=statement.if_not_exists, replace_existing=statement.or_replace
        )
        return TableResult.ok()
    identifier = replace(statement.identifier, name=statement.identifier.name.lower())
    if statement.is_temporary:
        env._catalog.create_temporary_function(identifier, function, if_not_exists=statement.if_not_exists)
    elif statement.or_replace:
        catalog = env._catalog.catalog(identifier.catalog)
        catalog.alter_function(identifier.to_object_path(), function, ignore_if_not_exists=statement.if_exists)
    else:
        env._catalog.create_function(identifier, function, if_not_exists=statement.if_not_exists)
    return TableResult.ok()


@_executes(s.CreateCatalog)
def _create_catalog(env: TableEnvironment, statement: s.CreateCatalog) -> TableResult:
    if statement.if_not_exists and statement.name in env._catalog.list_catalogs():
        return TableResult.ok()
    options = Configuration.from_dict(dict(statement.options))
    env._catalog.create_catalog(CatalogDescriptor(statement.name, options, statement.comment))
    return TableResult.ok()


@_executes(s.CreateDatabase)
def _create_database(env: TableEnvironment, statement: s.CreateDatabase) -> TableResult:
    database = CatalogDatabase.create_instance(dict(statement.options), statement.comment)
    env._catalog.catalog(statement.catalog).create_database(statement.name, database, statement.if_not_exists)
    return TableResult.ok()


@_executes(s.DropTable)
def _drop_table(env: TableEnvironment, statement: s.DropTable) -> TableResult:
    env._catalog.drop(statement.identifier, is_view=False, is_temporary=statement.is_temporary, if_exists=statement.if_exists)
    return TableResult.ok()


@_executes(s.DropView)
def _drop_view(env: TableEnvironment, statement: s.DropView) -> TableResult:
    env._catalog.drop(statement.identifier, is_view=True, is_temporary=statement.is_temporary, if_exists=statement.if_exists)
    return TableResult.ok()


@_executes(s.DropFunction)
def _drop_function(env: TableEnvironment, statement: s.DropFunction) -> TableResult:
    catalog = env._catalog
    if statement.identifier is None or statement.is_system:
        catalog.drop_system_function(statement.name, statement.if_exists)
        return TableResult.ok()
    identifier = replace(statement.identifier, name=statement.identifier.name.lower())
    drop = catalog.drop_temporary_function if statement.is_temporary else catalog.drop_function
    drop(identifier, statement.if_exists)
    return TableResult.ok()


@_executes(s.DropDatabase)
def _drop_database(env: TableEnvironment, statement: s.DropDatabase) -> TableResult:
    manager = env._catalog
    catalog = manager.catalog(statement.catalog)
    if (catalog.name, statement.name) == (manager.current_catalog, manager.current_database):
        raise ValidationError(f"database '{statement.name}' is in use", fix="USE another one first")
    catalog.drop_database(statement.name, statement.if_exists, statement.cascade)
    return TableResult.ok()


@_executes(s.DropCatalog)
def _drop_catalog(env: TableEnvironment, statement: s.DropCatalog) -> TableResult:
    env._catalog.drop_catalog(statement.name, statement.if_exists)
    return TableResult.ok()


@_executes(s.AlterTable)
def _alter_table(env: TableEnvironment, statement: s.AlterTable) -> TableResult:
    env._catalog.alter_table(statement.spec)
    return TableResult.ok()


@_executes(s.RenameTable)
def _rename_table(env: TableEnvironment, statement: s.RenameTable) -> TableResult:
    env._catalog.rename_table(statement.identifier, statement.new_identifier)
    return TableResult.ok()


@_executes(s.AlterDatabase)
def _alter_database(env: TableEnvironment, statement: s.AlterDatabase) -> TableResult:
    catalog = env._catalog.catalog(statement.catalog)
    old = catalog.get_database(statement.name)
    changed = CatalogDatabase.create_instance({**old.get_properties(), **statement.options}, old.comment)
    catalog.alter_database(statement.name, changed, ignore_if_not_exists=False)
    return TableResult.ok()


@_executes(s.AlterCatalog)
def _alter_catalog(env: TableEnvironment, statement: s.AlterCatalog) -> TableResult:
    catalog = env._catalog.catalog(statement.name)
    if "type" in (*statement.set_options, *statement.reset_keys):
        raise ValidationError("the type of a catalog cannot be changed", fix="create another catalog")
    kept = {k: v for k, v in catalog.options.items() if k not in statement.reset_keys}
    catalog.set_options({**kept, **statement.set_options})
    if statement.comment is not None:
        catalog.comment = statement.comment
    return TableResult.ok()


@_executes(s.Nothing)
def _nothing(env: TableEnvironment, statement: s.Nothing) -> TableResult:
    return TableResult.ok()


@_executes(s.UseCatalog)
def _use_catalog(env: TableEnvironment, statement: s.UseCatalog) -> TableResult:
    env._catalog.use_catalog(statement.name)
    return TableResult.ok()


@_executes(s.UseDatabase)
def _use_database(env: TableEnvironment, statement: s.UseDatabase) -> TableResult:
    env._catalog.use_database(statement.name, statement.catalog)
    return TableResult.ok()


@_executes(s.UseModules)
def _use_modules(env: TableEnvironment, statement: s.UseModules) -> TableResult:
    env.use_modules(*statement.names)
    return TableResult.ok()


@_executes(s.LoadModule)
def _load_module(env: TableEnvironment, statement: s.LoadModule) -> TableResult:
    from tableapi.module import Module

    env.load_module(statement.name, Module(statement.name))
    return TableResult.ok()


@_executes(s.UnloadModule)
def _unload_module(env: TableEnvironment, statement: s.UnloadModule) -> TableResult:
    env.unload_module(statement.name)
    return TableResult.ok()


@_executes(s.Explain)
def _explain(env: TableEnvironment, statement: s.Explain) -> TableResult:
    from tableapi.explain_detail import ExplainDetail

    if "PLAN_ADVICE" in statement.details and not env._is_streaming:
        raise ValidationError("PLAN_ADVICE is given in streaming mode only", fix="leave it out")
    details = [ExplainDetail.NAMES.index(d) for d in statement.details]
    text = env._explain(plans_of(env, statement.inner), details)
    return TableResult.of_rows([("result", DataTypes.STRING())], [(text,)], is_plain=True)


@_executes(s.Show)
def _show(env: TableEnvironment, statement: s.Show) -> TableResult:
    from tableapi.statement_show import show

    return show(env, statement)


@_executes(s.Describe)
def _describe(env: TableEnvironment, statement: s.Describe) -> TableResult:
    from tableapi.statement_show import describe

    return describe(env, statement)


@_executes(s.DescribeCatalog)
def _describe_catalog(env: TableEnvironment, statement: s.DescribeCatalog) -> TableResult:
    catalog = env._catalog.catalog(statement.name)
    rows = [
        ("name", catalog.name),
        ("type", catalog.options.get("type", "generic_in_memory")),
        ("comment", catalog.comment),
    ]
    if statement.is_extended:
        rows += [(f"option:{k}", v) for k, v in sorted(catalog.options.items()) if k != "type"]
    return TableResult.of_rows([("info name", DataTypes.STRING()), ("info value", DataTypes.STRING())], rows)


@_executes(s.DescribeFunction)
def _describe_function(env: TableEnvironment, statement: s.DescribeFunction) -> TableResult:
    from tableapi.functions import registry

    name = ".".join(statement.parts)
    wrapper = env._catalog.find_function(statement.parts)
    built_in = registry.find(name) if len(statement.parts) == 1 else None
    if wrapper is None and built_in is None:
        raise UnknownNameError(f"function '{name}' does not exist", fix="SHOW FUNCTIONS lists them")
    rows: list[tuple[str, str]] = [
        ("is system function", str(wrapper is None).lower()),
        ("is temporary", str(wrapper is not None).lower()),
    ]
    if statement.is_extended:
        kind = wrapper.kind if wrapper is not None else built_in.kind.value  # type: ignore[union-attr]
        rows.append(("kind", kind.upper()))
        if wrapper is not None:
            rows += [("return type", str(wrapper.result_type)), ("is deterministic", str(wrapper.deterministic).lower())]
        elif built_in is not None:
            deterministic = getattr(built_in, "is_deterministic", True)
            rows += [("is deterministic", str(deterministic).lower()), ("description", built_in.doc)]
            rows += [("example", f"{call} = {result}") for call, result in built_in.examples[:1]]
    return TableResult.of_rows([("info name", DataTypes.STRING()), ("info value", DataTypes.STRING())], rows)


@_executes(s.CompilePlan)
def _compile_plan(env: TableEnvironment, statement: s.CompilePlan) -> TableResult:
    from pathlib import Path

    from tableapi.compiled_plan import compile_statement
    from tableapi.plan_reference import PlanReference

    path = Path(statement.path)
    if statement.if_not_exists and statement.execute and path.exists():
        return env.execute_plan(PlanReference.from_file(path))
    compiled = compile_statement(env, statement.inner)
    compiled.write_to_file(statement.path, statement.if_not_exists)
    return compiled.execute() if statement.execute else TableResult.ok()


@_executes(s.ExecutePlan)
def _execute_plan(env: TableEnvironment, statement: s.ExecutePlan) -> TableResult:
    from tableapi.plan_reference import PlanReference

    return env.execute_plan(PlanReference.from_file(statement.path))


def _object_handler(statement: s.Statement) -> Handler | None:
    from tableapi.statement_objects import HANDLERS

    return HANDLERS.get(type(statement))
