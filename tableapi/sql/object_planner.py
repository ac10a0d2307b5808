"""From clauses about models, partitions, statistics, procedures and single rows to `statements`. Plain functions of the planner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tableapi.errors import UnknownNameError, UnsupportedError, ValidationError, did_you_mean
from tableapi.plan import unresolved as un
from tableapi.plan.scope import Relation
from tableapi.row import RowKind
from tableapi.sql import ast, definitions, statements
from tableapi.sql.catalog_reader import ViewSpec
from tableapi.sql.query_planner import Names, QueryPlanner, located
from tableapi.tablespec import ColumnKind, TableColumn, TableSpec
from tableapi.types import (
    ArrayType,
    BinaryStringType,
    BitmapType,
    CharacterType,
    DoubleType,
    MapType,
    MultisetType,
    RowType,
    VarCharType,
    VariantType,
)

if TYPE_CHECKING:
    from tableapi.sql.statement_planner import StatementPlanner


def plan_object(planner: StatementPlanner, clause: ast.Clause) -> statements.Statement:
    """The statement of a clause that this module knows."""
    match clause:
        case ast.ModelClause():
            return model(planner, clause)
        case ast.PartitionsClause():
            return partitions(planner, clause)
        case ast.CallClause():
            return call(planner, clause)
        case ast.AnalyzeClause():
            return analyze(planner, clause)
        case ast.ChangeClause():
            return change(planner, clause)
        case ast.ObjectClause(action="TRUNCATE"):
            return truncate(planner, clause)
        case _:
            raise AssertionError(clause)


def model(planner: StatementPlanner, clause: ast.ModelClause) -> statements.Statement:
    """CREATE, ALTER, DROP, DESCRIBE and SHOW CREATE MODEL. Models are looked up when the statement is carried out."""
    identifier = planner.identifier(clause.parts, clause)
    match clause.action:
        case "create":
            return statements.CreateModel(
                identifier,
                _model_columns(clause.inputs),
                _model_columns(clause.outputs),
                dict(clause.options),
                clause.comment,
                clause.is_temporary,
                clause.conditional,
            )
        case "rename":
            parts = clause.new_parts if len(clause.new_parts) > 1 else (*identifier.to_list()[:2], *clause.new_parts)
            return statements.RenameModel(identifier, planner.identifier(parts, clause), clause.conditional)
        case "set" | "reset":
            return statements.AlterModel(identifier, dict(clause.options), clause.keys, clause.conditional)
        case "drop":
            return statements.DropModel(identifier, clause.is_temporary, clause.conditional)
        case "describe":
            return statements.DescribeModel(identifier)
        case _:
            return statements.Show("CREATE MODEL", identifier)


def _model_columns(columns: Sequence[ast.ColumnDefinition] | None) -> tuple[TableColumn, ...] | None:
    return None if columns is None else tuple(definitions.column(c) for c in columns)


def partitions(planner: StatementPlanner, clause: ast.PartitionsClause) -> statements.AlterPartitions:
    """ALTER TABLE … ADD or DROP PARTITION: every partition names all partition columns."""
    table = table_of(planner.queries, clause.parts, clause)
    made = []
    for partition in clause.partitions:
        values = partition_values(table, partition.values, partition)
        missing = [k for k in table.partition_keys if k not in values]
        if missing:
            raise ValidationError(
                f"the partition lacks {', '.join(missing)}",
                where=partition.where,
                exists=f"partition columns: {', '.join(table.partition_keys)}",
            )
        made.append((values, dict(partition.options)))
    return statements.AlterPartitions(table.identifier, tuple(made), clause.action == "drop", clause.conditional)


def partition_values(
    table: TableSpec, values: Sequence[tuple[str, un.Unresolved | None]], clause: ast.Clause
) -> dict[str, str]:
    """`partition_constants` as text."""
    return {key: str(constant.value) for key, constant in partition_constants(table, values, clause).items()}


def partition_constants(
    table: TableSpec, values: Sequence[tuple[str, un.Unresolved | None]], clause: ast.Clause
) -> dict[str, un.Lit]:
    """The constants of a PARTITION clause, by column; a column without a value is left out.

    Raises:
        ValidationError: The table has no partitions, or a value is no constant.
        UnknownNameError: A column is no partition column.
    """
    if not table.partition_keys:
        raise ValidationError(f"table '{table.identifier.name}' is not partitioned", where=clause.where)
    found: dict[str, un.Lit] = {}
    for key, value in values:
        if key not in table.partition_keys:
            raise UnknownNameError(
                f"'{key}' is not a partition column of '{table.identifier.name}'",
                where=clause.where,
                exists=f"partition columns: {', '.join(table.partition_keys)}",
                fix=did_you_mean(key, table.partition_keys),
            )
        if key in found:
            raise ValidationError(f"partition column '{key}' stands twice", where=clause.where)
        if value is None:
            continue
        if not isinstance(value, un.Lit):
            raise ValidationError("the value of a partition must be a constant", where=value.where)
        found[key] = value
    return found


def table_of(queries: QueryPlanner, parts: tuple[str, ...], clause: ast.Clause) -> TableSpec:
    """A table that exists.

    Raises:
        UnknownNameError: It does not.
        ValidationError: It is a view.
    """
    found = queries.find(parts, clause.where)
    if isinstance(found, ViewSpec):
        raise ValidationError(f"'{'.'.join(parts)}' is a view", where=clause.where, fix="name a table")
    return found


def call(planner: StatementPlanner, clause: ast.CallClause) -> statements.Statement:
    """CALL. The catalogs here have no procedures, so it always fails, by name."""
    identifier = planner.identifier(clause.parts, clause)
    raise UnknownNameError(
        f"procedure '{identifier.as_summary_string()}' does not exist",
        where=clause.where,
        exists="procedures: none; catalogs in memory have no procedures",
        fix="call a Python function of your program instead",
    )


def analyze(planner: StatementPlanner, clause: ast.AnalyzeClause) -> statements.Analyze:
    """ANALYZE TABLE: the query that counts, and where its answer is kept. Batch only (Flink)."""
    if planner.context.is_streaming:
        raise ValidationError("ANALYZE TABLE needs batch mode", where=clause.where, fix="use a batch environment")
    table = table_of(planner.queries, clause.parts, clause)
    if clause.partition:
        fixed = partition_values(table, clause.partition, clause)
        missing = [k for k in table.partition_keys if k not in dict(clause.partition)]
        if missing:
            raise ValidationError(f"the partition lacks {', '.join(missing)}", where=clause.where, fix="name every key")
    elif table.partition_keys:
        raise ValidationError(
            f"table '{table.identifier.name}' is partitioned: ANALYZE TABLE needs PARTITION ({', '.join(table.partition_keys)})",
            where=clause.where,
            fix="a key without a value stands for all of its values",
        )
    else:
        fixed = {}
    columns = _analyzed_columns(table, clause)
    conditions = [
        un.Call("EQUALS", (un.Cast(un.Name((key,)), VarCharType()), un.Lit(value)), where=clause.where)
        for key, value in fixed.items()
    ]
    select = ast.Select(
        clause.where,
        items=(*(un.Name((k,)) for k in table.partition_keys), *_counts(table, columns)),
        source=ast.TableName(clause.where, clause.parts),
        condition=un.Call("AND", tuple(conditions)) if len(conditions) > 1 else next(iter(conditions), None),
        group_by=tuple(un.Name((k,)) for k in table.partition_keys) or None,
    )
    return statements.Analyze(table.identifier, planner.queries.plan(select), columns, table.partition_keys)


def _counts(table: TableSpec, columns: Sequence[str]) -> list[un.Unresolved]:
    """What is computed: the number of rows, then per column `statistics.MEASURES` (NULL where a type has no such measure)."""
    items: list[un.Unresolved] = [un.Call("COUNT", (un.Star(),))]
    for name in columns:
        column, data_type = un.Name((name,)), table.physical[name].type
        items.append(un.Call("COUNT", (column,)))
        is_plain = not isinstance(data_type, ArrayType | MapType | MultisetType | RowType | VariantType | BitmapType)
        is_ordered = is_plain and not isinstance(data_type, BinaryStringType)
        is_text = isinstance(data_type, CharacterType)
        length = un.Call("CHAR_LENGTH", (column,))
        measures = (
            (is_plain, un.Call("COUNT", (column,), True)),
            (is_ordered, un.Call("MIN", (column,))),
            (is_ordered, un.Call("MAX", (column,))),
            (is_text, un.Call("AVG", (un.Cast(length, DoubleType()),))),
            (is_text, un.Call("MAX", (length,))),
        )
        items += [measure if exists else un.Lit(None, VarCharType()) for exists, measure in measures]
    return [un.As(item, (f"measure{i}",)) for i, item in enumerate(items)]


def _analyzed_columns(table: TableSpec, clause: ast.AnalyzeClause) -> tuple[str, ...]:
    """The columns whose values are looked at: stored ones only (Flink)."""
    stored = table.physical.names
    if clause.columns is None:
        return tuple(stored)
    known = [c.name for c in table.columns]
    for name in clause.columns:
        if name not in known:
            raise UnknownNameError(
                f"column '{name}' does not exist",
                where=clause.where,
                exists=f"columns: {', '.join(known)}",
                fix=did_you_mean(name, known),
            )
        if name not in stored:
            raise ValidationError(f"column '{name}' is not stored, it has no statistics", where=clause.where)
    return tuple(dict.fromkeys(clause.columns))


def truncate(planner: StatementPlanner, clause: ast.ObjectClause) -> statements.Statement:
    """TRUNCATE TABLE. No connector here can empty a table as one step, so it always fails, by name."""
    table = table_of(planner.queries, clause.parts, clause)
    connector = table.options.get("connector", "none")
    raise UnsupportedError(
        f"TRUNCATE TABLE: connector '{connector}' cannot empty a table",
        where=clause.where,
        fix="use INSERT OVERWRITE, or remove the data itself",
    )


def change(planner: StatementPlanner, clause: ast.ChangeClause) -> statements.Insert:
    """UPDATE and DELETE: the rows that change, in the order of the sink's columns. Batch only (Flink)."""
    word = "DELETE" if clause.assignments is None else "UPDATE"
    table = table_of(planner.queries, clause.parts, clause)
    if planner.context.is_streaming:
        raise ValidationError(f"{word} needs batch mode", where=clause.where, fix="use a batch environment")
    if not table.primary_key:
        raise UnsupportedError(
            f"{word} of a table without a primary key: nothing identifies a row of '{table.identifier.name}'",
            where=clause.where,
            fix="declare PRIMARY KEY (…) NOT ENFORCED, where the connector keeps rows by key (filelog, jdbc)",
        )
    queries = planner.queries
    relation = queries.builder.from_table(table, clause.parts[-1])
    new = _assigned(table, clause.assignments or ())
    if clause.condition is not None:
        with located(clause.where):
            relation = queries.builder.filter(relation, queries.expression(clause.condition, relation, Names()))
    rows = _changed_rows(queries, relation, table, new)
    with located(clause.where):
        sink = queries.builder.sink(rows, table)
    kind = RowKind.DELETE if clause.assignments is None else RowKind.UPDATE_AFTER
    return statements.Insert(replace(sink, change=kind))


def _assigned(table: TableSpec, assignments: Sequence[tuple[un.Name, un.Unresolved]]) -> dict[str, un.Unresolved]:
    new: dict[str, un.Unresolved] = {}
    known = {c.name: c for c in table.columns}
    for target, value in assignments:
        name = target.parts[0]
        if name not in known:
            raise UnknownNameError(
                f"column '{name}' does not exist",
                where=target.where,
                exists=f"columns: {', '.join(known)}",
                fix=did_you_mean(name, known),
            )
        if name in new:
            raise ValidationError(f"column '{name}' is set twice", where=target.where)
        if name in table.primary_key:
            raise ValidationError(
                f"'{name}' belongs to the primary key, which identifies a row",
                where=target.where,
                fix="delete the row and insert another",
            )
        if known[name].kind is ColumnKind.COMPUTED:
            raise ValidationError(f"column '{name}' is computed", where=target.where)
        new[name] = value
    return new


def _changed_rows(queries: QueryPlanner, relation: Relation, table: TableSpec, new: Mapping[str, un.Unresolved]) -> Relation:
    items = []
    for field in table.persisted:
        value = new.get(field.name)
        written = un.Name((field.name,)) if value is None else queries.expression(value, relation, Names())
        items.append(un.As(written, (field.name,), where=written.where))
    return queries.builder.select(relation, items)
