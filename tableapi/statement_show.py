"""SHOW and DESCRIBE: what is in the catalogs, as rows. May import the catalog, sql.statements and sql_text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tableapi.catalog_objects import CatalogPartitionSpec
from tableapi.errors import UnsupportedError, ValidationError
from tableapi.result import TableResult
from tableapi.sql.catalog_reader import ViewSpec
from tableapi.sql.statements import Describe, Show
from tableapi.sql_text import column_sql, create_table_sql, expression_sql, options_sql, quote_name, quote_text, watermark_sql
from tableapi.statement_objects import create_model_sql
from tableapi.tablespec import ColumnKind, ObjectIdentifier, RowSchema, TableColumn, TableSpec, TimeKind
from tableapi.types import DataType, DataTypes

if TYPE_CHECKING:
    from tableapi.environment import TableEnvironment

STRING = DataTypes.STRING()


def show(env: TableEnvironment, statement: Show) -> TableResult:
    """The rows of a SHOW statement.

    Raises:
        UnsupportedError: There is nothing of that kind here.
    """
    kind = statement.kind
    if kind in _NAMES:
        column, names = _NAMES[kind]
        return _names(column, names(env, statement), statement)
    if kind in _TABLES:
        return _TABLES[kind](env, statement)
    raise UnsupportedError(f"SHOW {kind} is not supported")


def _names(column: str, names: Iterable[str], statement: Show) -> TableResult:
    like = statement.like
    kept = [n for n in names if like is None or like.matches(n)]
    return TableResult.of_rows([(column, STRING)], [(n,) for n in kept])


def _functions(env: TableEnvironment, statement: Show) -> list[str]:
    from tableapi.functions import registry

    is_used = "core" in env.list_modules()
    functions = registry.functions() if is_used else ()
    built_in = {n.lower() for f in functions for n in (f.name, *f.sql_names) if not n.startswith("$")}
    return sorted(built_in | set(env._catalog.user_functions(statement.catalog, statement.database)))


def _no_names(env: TableEnvironment, statement: Show) -> list[str]:
    return []


_NAMES: dict[str, tuple[str, Callable[[TableEnvironment, Show], Iterable[str]]]] = {
    "CATALOGS": ("catalog name", lambda env, s: env._catalog.list_catalogs()),
    "DATABASES": ("database name", lambda env, s: sorted(env._catalog.catalog(s.catalog).list_databases())),
    "TABLES": ("table name", lambda env, s: env._catalog.list_tables(s.catalog, s.database)),
    "VIEWS": ("view name", lambda env, s: env._catalog.list_views(s.catalog, s.database)),
    "FUNCTIONS": ("function name", _functions),
    "USER FUNCTIONS": ("function name", lambda env, s: env._catalog.user_functions(s.catalog, s.database)),
    "MODULES": ("module name", lambda env, s: env.list_modules()),
    "JARS": ("jars", _no_names),
    "PROCEDURES": ("procedure name", _no_names),
    "MODELS": ("model name", lambda env, s: env._catalog.list_models(s.catalog, s.database)),
    "MATERIALIZED TABLES": ("materialized table", _no_names),
    "CURRENT CATALOG": ("current catalog name", lambda env, s: [env.get_current_catalog()]),
    "CURRENT DATABASE": ("current database name", lambda env, s: [env.get_current_database()]),
}


def _full_modules(env: TableEnvironment, statement: Show) -> TableResult:
    rows = [(m.name(), m.used()) for m in env.list_full_modules()]
    return TableResult.of_rows([("module name", STRING), ("used", DataTypes.BOOLEAN())], rows)


def _found(env: TableEnvironment, identifier: ObjectIdentifier | None) -> TableSpec | ViewSpec:
    assert identifier is not None
    return env._catalog.table(identifier)


def _columns(env: TableEnvironment, statement: Show) -> TableResult:
    rows = _column_rows(env, _found(env, statement.identifier))
    like = statement.like
    return _column_result([r for r in rows if like is None or like.matches(r[0])], any(r[6] for r in rows))


def _partitions(env: TableEnvironment, statement: Show) -> TableResult:
    table = _found(env, statement.identifier)
    if isinstance(table, ViewSpec) or not table.partition_keys:
        raise ValidationError(f"'{table.identifier.name}' is not partitioned")
    catalog = env._catalog.catalog(table.identifier.catalog)
    wanted = CatalogPartitionSpec(dict(statement.partition))
    partitions = catalog.list_partitions(table.identifier.to_object_path(), wanted)
    names = ["/".join(f"{k}={p.partition_spec[k]}" for k in table.partition_keys) for p in partitions]
    return _names("partition name", names, statement)


def _create_table(env: TableEnvironment, statement: Show) -> TableResult:
    table = _found(env, statement.identifier)
    if isinstance(table, ViewSpec):
        raise ValidationError(f"'{table.identifier.name}' is a view", fix="SHOW CREATE VIEW")
    return _text(create_table_sql(table, env._catalog.is_temporary(table.identifier)))


def _create_view(env: TableEnvironment, statement: Show) -> TableResult:
    view = _found(env, statement.identifier)
    if not isinstance(view, ViewSpec):
        raise ValidationError(f"'{view.identifier.name}' is a table", fix="SHOW CREATE TABLE")
    if view.sql is None:
        raise ValidationError(
            f"view '{view.identifier.name}' was made from a Table, it has no SQL text", fix="CREATE VIEW … AS … keeps its text"
        )
    text = view.sql if view.query is None else view.query.expanded
    temporary = "TEMPORARY " if env._catalog.is_temporary(view.identifier) else ""
    names = ",\n".join(f"  {quote_name(n)}" for n in view.relation.names())
    comment = f"\nCOMMENT {quote_text(view.comment)}" if view.comment else ""
    return _text(f"CREATE {temporary}VIEW {view.identifier} (\n{names}\n){comment}\nAS {text}\n")


def _create_catalog(env: TableEnvironment, statement: Show) -> TableResult:
    catalog = env._catalog.catalog(statement.catalog)
    options = {"type": "generic_in_memory", **catalog.options}
    comment = f"COMMENT {quote_text(catalog.comment)}\n" if catalog.comment else ""
    return _text(
        f"CREATE CATALOG {quote_name(catalog.name)}\n{comment}WITH (\n{options_sql(dict(sorted(options.items())))}\n)\n"
    )


def _create_model(env: TableEnvironment, statement: Show) -> TableResult:
    return _text(create_model_sql(env, statement))


def _text(text: str) -> TableResult:
    return TableResult.of_rows([("result", STRING)], [(text,)], is_plain=True)


_TABLES: dict[str, Callable[[TableEnvironment, Show], TableResult]] = {
    "FULL MODULES": _full_modules,
    "COLUMNS": _columns,
    "PARTITIONS": _partitions,
    "CREATE TABLE": _create_table,
    "CREATE VIEW": _create_view,
    "CREATE CATALOG": _create_catalog,
    "CREATE MODEL": _create_model,
}


def describe(env: TableEnvironment, statement: Describe) -> TableResult:
    """The rows of DESCRIBE: one a column; the comment column is there when any column has one."""
    rows = _column_rows(env, env._catalog.table(statement.identifier))
    return _column_result(rows, any(r[6] for r in rows))


def _column_result(rows: list[tuple[Any, ...]], has_comments: bool) -> TableResult:
    names: list[tuple[str, DataType]] = [("name", STRING), ("type", STRING), ("null", DataTypes.BOOLEAN())]
    names += [("key", STRING), ("extras", STRING), ("watermark", STRING)]
    if has_comments:
        return TableResult.of_rows([*names, ("comment", STRING)], rows)
    return TableResult.of_rows(names, [r[:6] for r in rows])


def _column_rows(env: TableEnvironment, table: TableSpec | ViewSpec) -> list[tuple[Any, ...]]:
    if isinstance(table, ViewSpec):
        return [_row(f.name, f.type, f.time) for f in _shown(env, env._builder().collect(table.relation).schema)]
    resolved = _shown(env, env._builder().from_table(table).node.schema)
    return [_table_row(c, resolved, table) for c in table.columns]


def _shown(env: TableEnvironment, schema: RowSchema) -> RowSchema:
    """The schema as it is described: batch mode knows no event time."""
    if env._is_streaming:
        return schema
    return RowSchema(tuple(replace(f, time=None) if f.time is TimeKind.ROWTIME else f for f in schema))


def _row(name: str, data_type: DataType, time: Any) -> tuple[Any, ...]:
    mark = f" *{time.name}*" if time is not None else ""
    return (name, f"{data_type.nullable()}{mark}", data_type.is_nullable, None, None, None, None)


def _table_row(column: TableColumn, resolved: RowSchema, table: TableSpec) -> tuple[Any, ...]:
    field = resolved[column.name]
    name, kind, is_nullable, *_ = _row(column.name, field.type, field.time)
    key = f"PRI({', '.join(table.primary_key)})" if column.name in table.primary_key else None
    extras = None
    if column.kind is ColumnKind.COMPUTED and column.expression is not None:
        extras = f"AS {expression_sql(column.expression)}"
    elif column.kind is ColumnKind.METADATA:
        extras = column_sql(column).split(" METADATA", 1)[1]
        extras = f"METADATA{extras}"
    watermark = None
    if table.watermark is not None and table.watermark.column == column.name:
        watermark = watermark_sql(table.watermark).split(" AS ", 1)[1]
    return (name, kind, is_nullable, key, extras, watermark, column.comment)
