"""Carries out the statements about models, partitions and statistics. Called by `statement_execution`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tableapi.catalog_objects import (
    CatalogColumnStatistics,
    CatalogModel,
    CatalogPartition,
    CatalogPartitionSpec,
    CatalogTableStatistics,
)
from tableapi.result import TableResult
from tableapi.schema import Schema
from tableapi.sql import statements as s
from tableapi.sql_text import options_sql, quote_name, quote_text, type_sql
from tableapi.types import DataType, DataTypes

if TYPE_CHECKING:
    from tableapi.environment import TableEnvironment
    from tableapi.tablespec import TableColumn

STRING = DataTypes.STRING()


def create_model(env: TableEnvironment, statement: s.CreateModel) -> TableResult:
    """CREATE MODEL."""
    inputs = None if statement.inputs is None else Schema(statement.inputs)
    outputs = None if statement.outputs is None else Schema(statement.outputs)
    model = CatalogModel.create_model(inputs, outputs, dict(statement.options), statement.comment)
    env._catalog.create_model(
        statement.identifier, model, is_temporary=statement.is_temporary, ignore_if_exists=statement.if_not_exists
    )
    return TableResult.ok()


def alter_model(env: TableEnvironment, statement: s.AlterModel) -> TableResult:
    """ALTER MODEL … SET or RESET."""
    model = env._catalog.find_model(statement.identifier)
    if model is None and statement.if_exists:
        return TableResult.ok()
    model = env._catalog.model(statement.identifier)
    kept = {k: v for k, v in model.options.items() if k not in statement.reset_keys}
    env._catalog.alter_model(statement.identifier, replace(model, options={**kept, **statement.set_options}))
    return TableResult.ok()


def rename_model(env: TableEnvironment, statement: s.RenameModel) -> TableResult:
    """ALTER MODEL … RENAME TO."""
    if env._catalog.find_model(statement.identifier) is not None or not statement.if_exists:
        env._catalog.rename_model(statement.identifier, statement.new_identifier)
    return TableResult.ok()


def drop_model(env: TableEnvironment, statement: s.DropModel) -> TableResult:
    """DROP MODEL."""
    env._catalog.drop_model(statement.identifier, is_temporary=statement.is_temporary, if_exists=statement.if_exists)
    return TableResult.ok()


def describe_model(env: TableEnvironment, statement: s.DescribeModel) -> TableResult:
    """DESCRIBE MODEL: a row for each input and output column; the comment column is there when any column has one."""
    model = env._catalog.model(statement.identifier)
    rows: list[tuple[Any, ...]] = []
    for schema, is_input in ((model.input_schema, True), (model.output_schema, False)):
        for column in () if schema is None else schema._columns:
            assert column.type is not None
            rows.append((column.name, str(column.type.nullable()), column.type.is_nullable, is_input, column.comment))
    names: list[tuple[str, DataType]] = [("name", STRING), ("type", STRING), ("null", DataTypes.BOOLEAN())]
    names.append(("is input", DataTypes.BOOLEAN()))
    if any(r[4] for r in rows):
        return TableResult.of_rows([*names, ("comment", STRING)], rows)
    return TableResult.of_rows(names, [r[:4] for r in rows])


def create_model_sql(env: TableEnvironment, statement: s.Show) -> str:
    """The CREATE MODEL statement of a model, as SHOW CREATE MODEL prints it."""
    assert statement.identifier is not None
    model = env._catalog.model(statement.identifier)
    temporary = "TEMPORARY " if env._catalog.is_temporary_model(statement.identifier) else ""
    lines = [f"CREATE {temporary}MODEL {statement.identifier}"]
    for word, schema in (("INPUT", model.input_schema), ("OUTPUT", model.output_schema)):
        if schema is not None:
            lines.append(f"{word} ({', '.join(map(_model_column, schema._columns))})")
    if model.comment:
        lines.append(f"COMMENT {quote_text(model.comment)}")
    lines.append(f"WITH (\n{options_sql(dict(sorted(model.options.items())))}\n)")
    return "\n".join(lines) + "\n"


def _model_column(column: TableColumn) -> str:
    assert column.type is not None
    comment = f" COMMENT {quote_text(column.comment)}" if column.comment else ""
    return f"{quote_name(column.name)} {type_sql(column.type)}{comment}"


def alter_partitions(env: TableEnvironment, statement: s.AlterPartitions) -> TableResult:
    """ALTER TABLE … ADD or DROP PARTITION: what the catalog knows of; files stay as they are."""
    catalog, path = env._catalog.catalog(statement.identifier.catalog), statement.identifier.to_object_path()
    for values, properties in statement.partitions:
        spec = CatalogPartitionSpec(dict(values))
        if statement.is_drop:
            catalog.drop_partition(path, spec, statement.conditional)
        else:
            catalog.create_partition(path, spec, CatalogPartition.create_instance(dict(properties)), statement.conditional)
    return TableResult.ok()


def analyze(env: TableEnvironment, statement: s.Analyze) -> TableResult:
    """ANALYZE TABLE: runs its query and keeps what it found in the catalog."""
    catalog, path = env._catalog.catalog(statement.identifier.catalog), statement.identifier.to_object_path()
    for row in env._table(statement.rows).to_polars().rows():
        keys, (count, *measures) = row[: len(statement.partition_keys)], row[len(statement.partition_keys) :]
        size = CatalogTableStatistics(row_count=count)
        columns = CatalogColumnStatistics(_column_statistics(statement.columns, count, measures))
        if not statement.partition_keys:
            catalog.alter_table_statistics(path, size, False)
            if statement.columns:
                catalog.alter_table_column_statistics(path, columns, False)
            continue
        partition = CatalogPartitionSpec(dict(zip(statement.partition_keys, map(str, keys), strict=True)))
        catalog.alter_partition_statistics(path, partition, size, False)
        if statement.columns:
            catalog.alter_partition_column_statistics(path, partition, columns, False)
    return TableResult.ok()


def _column_statistics(columns: tuple[str, ...], rows: int, measures: list[Any]) -> dict[str, dict[str, Any]]:
    width = len(s.MEASURES)
    found = {}
    for position, name in enumerate(columns):
        count, *others = measures[position * width : (position + 1) * width]
        known = {k: v for k, v in zip(s.MEASURES[1:], others, strict=True) if v is not None}
        found[name] = {"null_count": rows - count, **known}
    return found


HANDLERS: dict[type[s.Statement], Any] = {
    s.CreateModel: create_model,
    s.AlterModel: alter_model,
    s.RenameModel: rename_model,
    s.DropModel: drop_model,
    s.DescribeModel: describe_model,
    s.AlterPartitions: alter_partitions,
    s.Analyze: analyze,
}
"""What carries out which statement."""
