"""From statements as written to `statements`: looks names up, plans queries, completes definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tableapi.errors import UnsupportedError, ValidationError
from tableapi.plan import unresolved as un
from tableapi.plan.nodes import Sink
from tableapi.plan.scope import PlanContext, Relation, plain, unique
from tableapi.plan.traits import upsert_key
from tableapi.sql import ast, definitions, statements
from tableapi.sql.catalog_reader import CatalogReader, ViewQuery, ViewSpec
from tableapi.sql.query_planner import Names, QueryPlanner, located
from tableapi.tablespec import ColumnKind, ObjectIdentifier, TableColumn, TableSpec


class StatementPlanner:
    """Plans one statement against a catalog."""

    def __init__(self, catalog: CatalogReader, context: PlanContext) -> None:
        self.catalog, self.context = catalog, context
        self.queries = QueryPlanner(catalog, context)

    def plan(self, clause: Any, text: str) -> statements.Statement:
        """The statement of a clause; `text` is its source."""
        if isinstance(clause, statements.Statement):
            return replace(clause, text=text)
        return replace(self._plan(clause), text=text)

    def _plan(self, clause: Any) -> statements.Statement:
        match clause:
            case statements.Statement():
                return clause
            case ast.Query():
                return statements.Query(self.queries.plan(clause))
            case ast.InsertClause():
                return self._insert(clause)
            case ast.StatementSetClause(inserts=inserts):
                return statements.StatementSet(tuple(self._insert(i) for i in inserts))
            case ast.CreateTableClause():
                with located(clause.where):
                    return self._create_table(clause)
            case ast.CreateViewClause():
                return self._create_view(clause)
            case ast.AlterTableClause():
                return self._alter_table(clause)
            case ast.RenameClause():
                return self._rename(clause)
            case ast.FunctionClause():
                return self._function(clause)
            case ast.ObjectClause() if clause.action != "TRUNCATE":
                return self._object(clause)
            case (
                ast.ObjectClause()
                | ast.ModelClause()
                | ast.PartitionsClause()
                | ast.CallClause()
                | ast.AnalyzeClause()
                | ast.ChangeClause()
            ):
                from tableapi.sql.object_planner import plan_object

                return plan_object(self, clause)
            case ast.ShowClause():
                return self._show(clause)
            case ast.ExplainClause(inner=inner, details=details):
                return statements.Explain(self._plan(inner), details)  # type: ignore[arg-type]
            case ast.CompileClause():
                inner = self._plan(clause.inner)
                return statements.CompilePlan(clause.path, inner, clause.if_not_exists, clause.execute)  # type: ignore[arg-type]
            case _:
                raise AssertionError(clause)

    def identifier(self, parts: Sequence[str], clause: ast.Clause) -> ObjectIdentifier:
        """The full name of an object."""
        with located(clause.where):
            return self.catalog.qualify(parts)

    def _insert(self, clause: ast.InsertClause) -> statements.Insert:
        target = self.queries.find(clause.parts, clause.where)
        with located(clause.where):
            return statements.Insert(self._sink(clause, target))

    def _sink(self, clause: ast.InsertClause, target: TableSpec | ViewSpec) -> Sink:
        name = ".".join(clause.parts)
        if isinstance(target, ViewSpec):
            raise ValidationError(f"'{name}' is a view, it cannot be written", fix="insert into a table")
        if clause.overwrite and self.context.is_streaming:
            raise ValidationError("INSERT OVERWRITE needs batch mode", fix="use INSERT INTO, or a batch environment")
        options = self.queries.tables._option_hints(clause.hints)
        if options:
            target = replace(target, options={**target.options, **options})
        columns = None
        if clause.columns is not None:
            columns = [self._target_column(c) for c in clause.columns]
            _check_unique(columns, "INSERT")
        partition: list[tuple[str, un.Lit]] = []
        if clause.partition:
            from tableapi.sql.object_planner import partition_constants

            partition = list(partition_constants(target, clause.partition, clause).items())
        relation = self.queries.plan(clause.query, Names(accepts_null=True))
        sink = self.queries.builder.sink(
            relation, target, overwrite=clause.overwrite, columns=columns, static_partition=partition
        )
        _check_conflicts(clause, sink, self.context.is_streaming)
        return sink

    def _target_column(self, parts: tuple[str, ...]) -> str:
        if len(parts) > 1:
            raise UnsupportedError(f"INSERT of a single field ({'.'.join(parts)}) is not supported yet")
        return parts[0]

    def _create_table(self, clause: ast.CreateTableClause) -> statements.CreateTable:
        identifier = self.identifier(clause.parts, clause)
        if clause.must_exist:
            from tableapi.sql.object_planner import table_of

            table_of(self.queries, clause.parts, clause)
        spec = definitions.table_spec(
            identifier,
            clause.elements,
            options=dict(clause.options),
            partition_keys=clause.partition_keys,
            comment=clause.comment,
            distributed=clause.distribution,
        )
        insert = None
        if clause.like is not None:
            spec = definitions.with_like(spec, self._source_of_like(clause.like), clause.like)
        if clause.query is not None:
            return self._create_table_as(clause, spec)
        spec = self._checked(spec, clause)
        return statements.CreateTable(spec, clause.is_temporary, clause.if_not_exists, clause.or_replace, insert)

    def _checked(self, spec: TableSpec, clause: ast.Clause) -> TableSpec:
        """A valid definition: its computed columns and watermark have a meaning too."""
        spec = definitions.check(spec, clause.where)
        if not spec.columns:
            raise ValidationError(f"table '{spec.identifier.name}' has no columns", where=clause.where)
        self.queries.builder.from_table(spec)
        return spec

    def _source_of_like(self, like: ast.LikeClause) -> TableSpec:
        source = self.queries.find(like.parts, like.where)
        if isinstance(source, ViewSpec):
            raise ValidationError(f"'{'.'.join(like.parts)}' is a view; LIKE takes a table", where=like.where)
        return source

    def _create_table_as(self, clause: ast.CreateTableClause, spec: TableSpec) -> statements.CreateTable:
        """The declared columns come first, then the query's; a declared column of the query's name gives it its type."""
        assert clause.query is not None
        relation = self.queries.plan(clause.query)
        fields = {f.name: f for f in self.queries.node(relation).schema}
        order = self._column_order(clause, list(fields))
        declared = {c.name: c for c in spec.columns}
        queried = [declared.get(n) or TableColumn(n, fields[n].type) for n in order]
        for column in queried:
            if column.kind is ColumnKind.COMPUTED or (column.kind is ColumnKind.METADATA and column.is_virtual):
                raise ValidationError(f"column '{column.name}' is computed, but the query gives it too")
        for key in spec.primary_key:
            if key in fields and key not in declared and fields[key].type.is_nullable:
                raise ValidationError(
                    f"primary key column '{key}' can be NULL in the query", fix=f"declare it: {key} {fields[key].type} NOT NULL"
                )
        spec = replace(spec, columns=(*(c for c in spec.columns if c.name not in fields), *queried))
        spec = self._checked(spec, clause)
        insert = self.queries.builder.sink(relation, spec, columns=list(fields))
        return statements.CreateTable(spec, clause.is_temporary, clause.if_not_exists, clause.or_replace, insert)

    def _column_order(self, clause: ast.CreateTableClause, names: list[str]) -> list[str]:
        if not clause.names:
            return names
        if sorted(clause.names) != sorted(names):
            raise ValidationError(
                "the column list of CREATE TABLE … AS must name the query's columns",
                exists=f"columns of the query: {', '.join(names)}",
            )
        return list(clause.names)

    def _create_view(self, clause: ast.CreateViewClause) -> statements.CreateView:
        identifier = self.identifier(clause.parts, clause)
        if clause.is_alter and not isinstance(self.queries.find(clause.parts, clause.where), ViewSpec):
            raise ValidationError(f"'{clause.parts[-1]}' is a table", where=clause.where, fix="use ALTER TABLE")
        relation = self.queries.plan(clause.query)
        names = clause.columns or _unlike(clause.query, relation.names())
        query = None
        if identifier not in self.queries.tables_read:
            from tableapi.sql.query_text import full_text

            here = self.catalog.qualify(("_",))
            written, expanded = tuple(relation.names()), full_text(clause.query, self.queries.notes, clause.sql)
            query = ViewQuery(clause.query, written, names, here.catalog, here.database, expanded)
        with located(clause.where):
            relation = self.queries.renamed(relation, None, names)
            _check_unique([c.name for c in relation.star()], "a view")
            relation = self._named_columns(relation)
        view = ViewSpec(identifier, relation, clause.sql, clause.comment, query)
        return statements.CreateView(view, clause.is_temporary, clause.if_not_exists, clause.or_replace, clause.is_alter)

    def _named_columns(self, relation: Relation) -> Relation:
        """A relation whose columns have their visible names in the plan too."""
        return plain(self.queries.node(relation))

    def _alter_table(self, clause: ast.AlterTableClause) -> statements.Statement:
        found = self.catalog.find_table(self.identifier(clause.parts, clause))
        if found is None and clause.if_exists:
            return statements.Nothing()
        found = self.queries.find(clause.parts, clause.where)
        if isinstance(found, ViewSpec):
            raise ValidationError(f"'{'.'.join(clause.parts)}' is a view", where=clause.where, fix="use ALTER VIEW")
        with located(clause.where):
            return statements.AlterTable(self._checked(definitions.altered(found, clause), clause))

    def _rename(self, clause: ast.RenameClause) -> statements.Statement:
        old = self.identifier(clause.parts, clause)
        found = self.catalog.find_table(old)
        if found is None and clause.if_exists:
            return statements.Nothing()
        found = self.queries.find(clause.parts, clause.where)
        if isinstance(found, ViewSpec) != clause.is_view:
            kind = "view" if isinstance(found, ViewSpec) else "table"
            raise ValidationError(f"'{clause.parts[-1]}' is a {kind}", where=clause.where, fix=f"use ALTER {kind.upper()}")
        parts = clause.new_parts if len(clause.new_parts) > 1 else (old.catalog, old.database, clause.new_parts[0])
        return statements.RenameTable(old, self.identifier(parts, clause), clause.is_view)

    def _function(self, clause: ast.FunctionClause) -> statements.Statement:
        name = clause.parts[-1]
        identifier = None if clause.is_system else self.identifier(clause.parts, clause)
        if clause.path is None:
            return statements.DropFunction(name, identifier, clause.is_temporary, clause.is_system, clause.conditional)
        return statements.CreateFunction(
            name,
            identifier,
            clause.path,
            clause.language,
            clause.is_temporary,
            clause.is_system,
            if_not_exists=clause.conditional and not clause.is_alter,
            or_replace=clause.is_alter,
            if_exists=clause.conditional and clause.is_alter,
            resources=clause.resources,
            options=dict(clause.options),
        )

    def _object(self, clause: ast.ObjectClause) -> statements.Statement:
        identifier = self.identifier(clause.parts, clause)
        match clause.action:
            case "DROP TABLE":
                return statements.DropTable(identifier, "temporary" in clause.flags, "if-exists" in clause.flags)
            case "DROP VIEW":
                return statements.DropView(identifier, "temporary" in clause.flags, "if-exists" in clause.flags)
            case "DESCRIBE":
                self.queries.find(clause.parts, clause.where)
                return statements.Describe(identifier, "extended" in clause.flags)
            case _:
                self.queries.find(clause.parts, clause.where)
                return statements.Show(clause.action.removeprefix("SHOW "), identifier)

    def _show(self, clause: ast.ShowClause) -> statements.Show:
        like = None if clause.like is None else statements.LikePattern(*clause.like)
        if clause.kind == "PARTITIONS":
            assert clause.source is not None
            from tableapi.sql.object_planner import partition_values, table_of

            table = table_of(self.queries, clause.source, clause)
            values = partition_values(table, clause.partition, clause)
            return statements.Show(clause.kind, table.identifier, partition=values)
        if clause.kind == "COLUMNS":
            assert clause.source is not None
            self.queries.find(clause.source, clause.where)
            return statements.Show(clause.kind, self.identifier(clause.source, clause), like=like)
        catalog = database = None
        if clause.source is not None:
            if len(clause.source) > 2 or (clause.kind == "DATABASES" and len(clause.source) > 1):
                raise ValidationError(f"SHOW {clause.kind} takes one database", where=clause.where)
            *before, last = clause.source
            catalog, database = (last, None) if clause.kind == "DATABASES" else (before[0] if before else None, last)
        return statements.Show(clause.kind, None, catalog, database, like)


def _unlike(query: ast.Query, names: Sequence[str]) -> tuple[str, ...]:
    """Names for the columns of a view whose `*` gives a name twice: `a`, `a0` (Flink); () when there is nothing to rename."""
    select = query.query if isinstance(query, ast.OrderedQuery) else query
    if len(set(names)) == len(names) or not isinstance(select, ast.Select):
        return ()
    if not any(isinstance(item, un.Star) for item in select.items):
        return ()
    made: list[str] = []
    for name in names:
        made.append(unique(name, made))
    return tuple(made)


def _check_conflicts(clause: ast.InsertClause, sink: Sink, is_streaming: bool) -> None:
    """Rows of one key meet only where the query's own key is another than the table's; the newest stays (DO DEDUPLICATE)."""
    if clause.on_conflict is None:
        return
    if is_streaming and not sink.table.primary_key:
        raise ValidationError(
            f"ON CONFLICT needs a primary key, '{sink.table.identifier.name}' has none",
            where=clause.where,
            fix="leave the clause out: without a key no rows conflict",
        )
    if clause.on_conflict == "DEDUPLICATE" or not sink.table.primary_key:
        return
    own_key = upsert_key(sink.input)
    if own_key is None or set(own_key) != set(sink.table.primary_key):
        raise UnsupportedError(
            f"ON CONFLICT DO {clause.on_conflict} is not supported where the query's key is not the table's",
            exists=f"key of the table: {', '.join(sink.table.primary_key)}; of the query: {', '.join(own_key or ()) or 'none'}",
            fix="ON CONFLICT DO DEDUPLICATE keeps the newest row of a key",
        )


def _check_unique(names: Sequence[str], what: str) -> None:
    for name in names:
        if list(names).count(name) > 1:
            raise ValidationError(f"column '{name}' stands twice in {what}")
