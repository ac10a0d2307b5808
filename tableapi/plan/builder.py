"""Builds valid plans from the user's expressions. Both front ends say everything through this class, so equal programs give
equal plans.

Each method takes relations (a plan node and what names mean in it) and gives a relation. Nothing runs.
Queries with aggregates, OVER calls, ORDER BY and the like go through `query.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from tableapi.errors import TypeMismatchError, UnknownNameError, UnsupportedError, ValidationError, did_you_mean
from tableapi.plan import unresolved as un
from tableapi.plan.nodes import (
    Aggregate,
    Collect,
    Correlate,
    Filter,
    FromChangelog,
    Inline,
    InlineFrame,
    Join,
    JoinKind,
    Limit,
    LookupHint,
    NamedRex,
    Node,
    Project,
    Scan,
    SetKind,
    SetOp,
    Sink,
    ToChangelog,
    Unnest,
    Values,
    WatermarkAssigner,
    WindowKind,
    WindowSpec,
    WindowTable,
)
from tableapi.plan.query import QueryBlock, build_block, project
from tableapi.plan.resolve import Resolver, interval_ms
from tableapi.plan.rex import Call, Literal, Ref, Rex
from tableapi.plan.scope import PlanContext, Relation, ScopeColumn, WindowNames, plain, unique
from tableapi.plan.typing import assigned, can_cast, common_type, implicit_cast
from tableapi.tablespec import ColumnKind, Field, RowSchema, TableSpec, TimeKind
from tableapi.types import (
    AnyTimestampType,
    ArrayType,
    CharacterType,
    DataType,
    IntType,
    MapType,
    MultisetType,
    NullType,
    RowType,
)


class Builder:
    """Makes plan nodes for one session."""

    def __init__(self, context: PlanContext) -> None:
        self.context = context

    def resolve(self, expression: un.Unresolved, relation: Relation) -> Rex:
        """The typed form of a row-wise expression over a relation."""
        return Resolver(self.context, relation).resolve(expression)

    def from_table(self, table: TableSpec, qualifier: str | None = None) -> Relation:
        """A catalog table: what its connector hands over, its computed columns, its watermark."""
        node: Node = Scan(table)
        if any(c.kind is ColumnKind.COMPUTED for c in table.columns):
            node = self._computed(node, table)
        if table.watermark is not None:
            node = self._watermark(node, table)
        return plain(node, qualifier if qualifier is not None else table.identifier.name)

    def _computed(self, node: Node, table: TableSpec) -> Node:
        resolver = Resolver(self.context, plain(node))
        items = []
        for column in table.columns:
            if column.kind is ColumnKind.COMPUTED:
                assert column.expression is not None
                items.append(NamedRex(column.name, resolver.resolve(column.expression)))
            else:
                items.append(NamedRex(column.name, Ref(node.schema[column.name].type, column.name)))
        return Project(node, tuple(items))

    def _watermark(self, node: Node, table: TableSpec) -> Node:
        assert table.watermark is not None
        column = node.schema[table.watermark.column]
        if not isinstance(column.type, AnyTimestampType) or column.type.precision > 3:
            raise TypeMismatchError(
                f"the watermark column '{column.name}' of table '{table.identifier.name}' is {column.type}",
                fix="a watermark needs a TIMESTAMP(3) or TIMESTAMP_LTZ(3) column; add a computed column with "
                "CAST(… AS TIMESTAMP(3)) or TO_TIMESTAMP(…)",
            )
        rex = Resolver(self.context, plain(node)).resolve(table.watermark.expression)
        if not isinstance(rex.type, AnyTimestampType):
            raise TypeMismatchError(f"the watermark expression of '{column.name}' gives {rex.type}, not a timestamp")
        delegates = isinstance(rex, Call) and rex.function == "SOURCE_WATERMARK"
        if not delegates and (type(rex.type) is not type(column.type) or rex.type.precision > 3):
            raise TypeMismatchError(
                f"the watermark expression of '{column.name}' gives {rex.type}, the column is {column.type}",
                fix=f"give it the column's type: CAST(… AS {column.type.nullable()})",
            )
        return WatermarkAssigner(node, column.name, rex)

    def from_frame(self, frame: pl.DataFrame, schema: RowSchema) -> Relation:
        """Rows that the program holds. `frame` has the columns of `schema` in the Polars types of their types."""
        return plain(Inline(InlineFrame(frame), schema))

    def values(self, rows: Sequence[Sequence[un.Unresolved]], names: Sequence[str] = ()) -> Relation:
        """Rows of constant expressions; column types are the common types, default names EXPR$0, EXPR$1, …"""
        nothing = Relation(Values(((),), RowSchema(())), ())
        resolver = Resolver(self.context, nothing)
        resolved = [resolver.resolve_all(row) for row in rows]
        width = len(resolved[0])
        for row in resolved:
            if len(row) != width:
                raise ValidationError(f"VALUES has rows of {width} and of {len(row)} columns")
        types = [_common([row[i].type for row in resolved], f"VALUES: column {i + 1}") for i in range(width)]
        names = list(names) or [f"EXPR${i}" for i in range(width)]
        cast_rows = tuple(tuple(implicit_cast(r, t) for r, t in zip(row, types, strict=True)) for row in resolved)
        schema = RowSchema(tuple(Field(n, t) for n, t in zip(names, types, strict=True)))
        return plain(Values(cast_rows, schema))

    def one_row(self) -> Relation:
        """One row without columns: the input of a SELECT without FROM."""
        return Relation(Values(((),), RowSchema(())), ())

    def alias(self, relation: Relation, table_alias: str | None, column_names: Sequence[str] = ()) -> Relation:
        """Names the relation (and, as a prefix, its columns)."""
        visible = relation.star()
        if len(column_names) > len(visible):
            raise ValidationError(
                f"{len(column_names)} names for {len(visible)} columns", exists=f"columns: {', '.join(relation.names())}"
            )
        renamed = list(column_names) + [c.name for c in visible[len(column_names) :]]
        scope = tuple(ScopeColumn(table_alias, name, c.column) for name, c in zip(renamed, visible, strict=True))
        return replace(relation, columns=scope)

    def rename_all(self, relation: Relation, names: Sequence[str]) -> Relation:
        """The relation with its visible columns projected under new names, as a prefix (Table API `alias`)."""
        aliased = self.alias(relation, None, names)
        schema = relation.node.schema
        items = tuple(NamedRex(c.name, Ref(schema[c.column].type, c.column)) for c in aliased.columns)
        _no_duplicates([i.name for i in items])
        return plain(project(relation.node, items))

    def select(
        self,
        relation: Relation,
        items: Sequence[un.Unresolved],
        *,
        naming: str = "sql",
        over_windows: dict[str, un.Over] | None = None,
        **clauses: object,
    ) -> Relation:
        """A select list; aggregates without keys make one group. See `QueryBlock` for further clauses (keywords)."""
        return build_block(
            self.context,
            relation,
            QueryBlock(tuple(items), naming=naming, over_windows=over_windows or {}, **clauses),  # type: ignore[arg-type]
        )

    def group(
        self,
        relation: Relation,
        keys: Sequence[un.Unresolved],
        items: Sequence[un.Unresolved],
        *,
        having: un.Unresolved | None = None,
        grouping_sets: Sequence[Sequence[int]] | None = None,
        naming: str = "sql",
        **clauses: object,
    ) -> Relation:
        """A grouped select list. `grouping_sets` are positions in `keys`. A key may name a group window (Table API)."""
        sets = None if grouping_sets is None else tuple(tuple(s) for s in grouping_sets)
        block = QueryBlock(tuple(items), keys=tuple(keys), having=having, grouping_sets=sets, naming=naming, **clauses)  # type: ignore[arg-type]
        return build_block(self.context, relation, block)

    def filter(self, relation: Relation, condition: un.Unresolved, clause: str = "WHERE") -> Relation:
        """Keeps the rows for which the condition is TRUE."""
        rex = Resolver(self.context, relation).condition(condition, clause)
        return relation.with_node(Filter(relation.node, rex))

    def distinct(self, relation: Relation) -> Relation:
        """Each different row once."""
        visible = relation.star()
        items = tuple(NamedRex(c.name, Ref(relation.node.schema[c.column].type, c.column)) for c in visible)
        projected = project(relation.node, items)
        return plain(Aggregate(projected, tuple(i.name for i in items), ()), visible[0].qualifier if visible else None)

    def window_table(
        self,
        relation: Relation,
        kind: WindowKind,
        time_column: un.Unresolved,
        *,
        size: un.Unresolved | None = None,
        step: un.Unresolved | None = None,
        gap: un.Unresolved | None = None,
        offset: un.Unresolved | None = None,
        partition_by: Sequence[un.Unresolved] = (),
    ) -> Relation:
        """A window table function: adds the columns window_start, window_end and window_time."""
        spec = self._window(relation, kind, time_column, size, step, gap, offset, partition_by)
        if kind is WindowKind.TUMBLE and abs(spec.offset_ms) >= spec.size_ms:
            raise ValidationError("the offset of a TUMBLE window must be smaller than its size", where=time_column.where)
        spec = replace(spec, is_table_function=True)
        taken = {c.name for c in relation.star()}
        if clash := taken & {"window_start", "window_end", "window_time"}:
            raise ValidationError(f"the table has a column '{sorted(clash)[0]}' already", fix="rename it in a sub-query")
        node = WindowTable(relation.node, spec, *_window_columns(relation.node.schema))
        qualifier = relation.columns[0].qualifier if relation.columns else None
        added = tuple(
            ScopeColumn(qualifier, name, column)
            for name, column in zip(
                ("window_start", "window_end", "window_time"), (node.start, node.end, node.time), strict=True
            )
        )
        return replace(relation, node=node, columns=relation.columns + added)

    def group_window(
        self,
        relation: Relation,
        kind: WindowKind,
        alias: str,
        time_column: un.Unresolved,
        *,
        size: un.Unresolved | None = None,
        step: un.Unresolved | None = None,
        gap: un.Unresolved | None = None,
        partition_by: Sequence[un.Unresolved] = (),
    ) -> Relation:
        """A group window with a name: `group()` may use the name as a key, and WindowProperty resolves in its items."""
        spec = self._window(relation, kind, time_column, size, step, gap, None, partition_by)
        node = WindowTable(relation.node, spec, *_window_columns(relation.node.schema))
        names = WindowNames(alias, spec, node.start, node.end, node.time)
        return replace(relation, node=node, windows=(*relation.windows, names))

    def _window(
        self,
        relation: Relation,
        kind: WindowKind,
        time_column: un.Unresolved,
        size: un.Unresolved | None,
        step: un.Unresolved | None,
        gap: un.Unresolved | None,
        offset: un.Unresolved | None,
        partition_by: Sequence[un.Unresolved],
    ) -> WindowSpec:
        time = self.resolve(time_column, relation)
        if not isinstance(time, Ref):
            raise ValidationError("a window needs a time column, not an expression", where=time_column.where)
        field = relation.node.schema[time.name]
        self._check_time(field, time_column, relation)
        lengths = {
            name: 0 if e is None else interval_ms(e, self.context, relation)
            for name, e in (("size", size), ("step", step), ("gap", gap), ("offset", offset))
        }
        for name, needed in _WINDOW_LENGTHS[kind]:
            if lengths[name] <= 0:
                raise ValidationError(f"the {needed} of a {kind.value} window must be positive", where=time_column.where)
        if kind is WindowKind.CUMULATE and lengths["size"] % lengths["step"]:
            raise ValidationError("the size of a CUMULATE window must be a multiple of its step", where=time_column.where)
        parts = [self.resolve(p, relation) for p in partition_by]
        if not all(isinstance(p, Ref) for p in parts):
            raise ValidationError("PARTITION BY of a session window takes columns", where=time_column.where)
        names = tuple(p.name for p in parts if isinstance(p, Ref))
        return WindowSpec(
            kind,
            time.name,
            field.time is not TimeKind.PROCTIME,
            lengths["size"],
            lengths["step"],
            lengths["gap"],
            lengths["offset"],
            names,
        )

    def _check_time(self, field: Field, written: un.Unresolved, relation: Relation) -> None:
        if not isinstance(field.type, AnyTimestampType):
            raise TypeMismatchError(
                f"a window needs a time attribute; '{field.name}' is {field.type}",
                where=written.where,
                exists=f"time attributes: {', '.join(f.name for f in relation.node.schema if f.time) or 'none'}",
                fix="declare a TIMESTAMP(3) column with WATERMARK FOR … AS …",
            )
        if self.context.is_streaming and field.time is None:
            raise ValidationError(
                f"a window on a stream needs a time attribute, and '{field.name}' has no watermark",
                where=written.where,
                exists=f"time attributes: {', '.join(f.name for f in relation.node.schema if f.time) or 'none'}",
                fix=f"declare WATERMARK FOR {field.name} AS {field.name} - INTERVAL '5' SECOND in the table's schema",
            )

    def combine(self, left: Relation, right: Relation) -> tuple[Relation, Node, Node]:
        """Both sides with column names that do not overlap, and the scope over both (its node is a placeholder: `left`)."""
        taken = set(left.node.schema.names)
        renames: dict[str, str] = {}
        for name in right.node.schema.names:
            renames[name] = unique(name, taken)
            taken.add(renames[name])
        right_node = right.node
        if any(new != old for old, new in renames.items()):
            fields = right.node.schema
            right_node = project(right.node, tuple(NamedRex(new, Ref(fields[old].type, old)) for old, new in renames.items()))
        moved = tuple(replace(c, column=renames[c.column]) for c in right.columns)
        windows = left.windows + tuple(
            replace(w, start=renames[w.start], end=renames[w.end], time=renames[w.time]) for w in right.windows
        )
        scope = Relation(left.node, left.columns + moved, windows, left.outer or right.outer)
        return scope, left.node, right_node

    def join(
        self,
        left: Relation,
        right: Relation,
        kind: JoinKind,
        condition: un.Unresolved | None = None,
        using: Sequence[str] = (),
    ) -> Relation:
        """A join; `using` columns are compared and shown once."""
        scope, left_node, right_node = self.combine(left, right)
        pairs = Join(left_node, right_node, JoinKind.INNER)
        both = scope.with_node(pairs)
        if using:
            return self._join_using(left, both, kind, using)
        rex = None if condition is None else Resolver(self.context, both).condition(condition, "ON")
        node = Join(left_node, right_node, kind, None if rex is None or _is_true(rex) else rex)
        if kind in (JoinKind.SEMI, JoinKind.ANTI):
            return left.with_node(node)
        return scope.with_node(node)

    def _join_using(self, left: Relation, both: Relation, kind: JoinKind, using: Sequence[str]) -> Relation:
        left_columns = len(left.columns)
        resolver = Resolver(self.context, both)
        pairs_node = both.node
        assert isinstance(pairs_node, Join)
        equal: Rex | None = None
        merged: dict[str, tuple[str, str]] = {}
        for name in using:
            sides = [[c for c in side if c.name == name] for side in (both.columns[:left_columns], both.columns[left_columns:])]
            if not sides[0] or not sides[1]:
                raise UnknownNameError(
                    f"USING column '{name}' is not in both tables", exists=f"columns: {', '.join(both.names())}"
                )
            merged[name] = (sides[0][0].column, sides[1][0].column)
            refs = tuple(Ref(pairs_node.schema[c].type, c) for c in merged[name])
            test = resolver._built_in(_function("EQUALS"), refs)
            equal = test if equal is None else Call(test.type, "AND", (equal, test))
        node = Join(pairs_node.left, pairs_node.right, kind, equal)
        twins = {right for _, right in merged.values()}
        if kind not in (JoinKind.RIGHT, JoinKind.FULL):
            columns_ = tuple(replace(c, is_merged=True) if c.column in twins else c for c in both.columns)
            return replace(both, node=node, columns=columns_)
        schema = node.schema
        items = [NamedRex(f.name, Ref(f.type, f.name)) for f in schema]
        shown: dict[str, str] = {}
        for name, (left_column, right_column) in merged.items():
            refs = tuple(Ref(schema[c].type, c) for c in (left_column, right_column))
            rex = Resolver(self.context, both)._built_in(_function("COALESCE"), refs)
            shown[left_column] = unique(name, [i.name for i in items])
            items.append(NamedRex(shown[left_column], rex))
        visible: list[ScopeColumn] = []
        for c in both.columns:
            if c.column in shown:
                visible.append(replace(c, column=shown[c.column], qualifier=None))
            is_hidden = c.column in shown or c.column in twins
            visible.append(replace(c, is_merged=True) if is_hidden else c)
        return replace(both, node=project(node, tuple(items)), columns=tuple(visible))

    def temporal_join(
        self,
        left: Relation,
        right: Relation,
        kind: JoinKind,
        time: un.Unresolved,
        condition: un.Unresolved | None,
        hint: LookupHint | None = None,
    ) -> Relation:
        """`left JOIN right FOR SYSTEM_TIME AS OF time ON condition`: the version of `right` valid at the left row's time."""
        from tableapi.plan.temporal import temporal_join

        return temporal_join(self, left, right, kind, time, condition, hint or LookupHint())

    def lateral(
        self,
        relation: Relation,
        function: object,
        args: Sequence[un.Unresolved],
        names: Sequence[str] = (),
        alias: str | None = None,
        *,
        is_outer: bool = False,
    ) -> Relation:
        """Each row times the rows that a Python table function gives for it."""
        rexes = Resolver(self.context, relation).table_function_args(function, tuple(args))
        result = function.result_type  # type: ignore[attr-defined]
        fields = [(f.name, f.data_type) for f in result.fields] if isinstance(result, RowType) else [("f0", result)]
        if names and len(names) != len(fields):
            raise ValidationError(f"'{function.name}' gives {len(fields)} columns, but {len(names)} names are given")  # type: ignore[attr-defined]
        visible = list(names) or [n for n, _ in fields]
        outputs = _fresh_fields(visible, [t for _, t in fields], relation.node.schema)
        node = Correlate(relation.node, function, rexes, outputs, is_outer)
        added = tuple(ScopeColumn(alias, v, o.name) for v, o in zip(visible, outputs, strict=True))
        return replace(relation, node=node, columns=relation.columns + added)

    def unnest(
        self,
        relation: Relation,
        collection: un.Unresolved,
        names: Sequence[str] = (),
        alias: str | None = None,
        *,
        is_outer: bool = False,
        with_ordinality: bool = False,
    ) -> Relation:
        """Each row times the elements of an array, map or multiset; row elements spread over columns."""
        rex = self.resolve(collection, relation)
        types = _element_columns(rex.type)
        if types is None:
            raise TypeMismatchError(f"UNNEST needs an ARRAY, MAP or MULTISET, not {rex.type}", where=collection.where)
        default = [n for n, _ in types] + (["ORDINALITY"] if with_ordinality else [])
        if names and len(names) != len(default):
            raise ValidationError(
                f"UNNEST gives {len(default)} columns, but {len(names)} names are given", where=collection.where
            )
        visible = list(names) or default
        all_types = [t for _, t in types] + ([IntType(is_nullable=False)] if with_ordinality else [])
        fields = _fresh_fields(visible, all_types, relation.node.schema)
        outputs, ordinality = (fields[:-1], fields[-1].name) if with_ordinality else (fields, None)
        node = Unnest(relation.node, rex, outputs, is_outer, ordinality)
        added = tuple(ScopeColumn(alias, v, f.name) for v, f in zip(visible, fields, strict=True))
        return replace(relation, node=node, columns=relation.columns + added)

    def to_changelog(
        self, relation: Relation, op: str | None = None, mapping: un.Unresolved | None = None, alias: str | None = None
    ) -> Relation:
        """Each change as a row with the code of its kind in a first column (`op` by default)."""
        from tableapi.plan.changelog_codes import kind_codes

        self._streams_only("TO_CHANGELOG")
        node = _visible(relation)
        name = op or "op"
        if name in node.schema:
            raise ValidationError(f"the table has a column '{name}' already", fix="name another one: op => DESCRIPTOR(kind)")
        codes = kind_codes(None if mapping is None else self.resolve(mapping, relation))
        return plain(ToChangelog(node, name, codes), alias)

    def from_changelog(
        self, relation: Relation, op: str | None = None, mapping: un.Unresolved | None = None, alias: str | None = None
    ) -> Relation:
        """Rows that say in a column (`op` by default) what they change, as a changing table."""
        from tableapi.plan.changelog_codes import code_kinds

        self._streams_only("FROM_CHANGELOG")
        node = _visible(relation)
        name = op or "op"
        if not isinstance(node.schema[name].type, CharacterType):
            raise TypeMismatchError(f"the column '{name}' that names the kinds is {node.schema[name].type}, not text")
        codes = code_kinds(None if mapping is None else self.resolve(mapping, relation))
        return plain(FromChangelog(node, name, codes), alias)

    def _streams_only(self, function: str) -> None:
        if not self.context.is_streaming:
            raise UnsupportedError(f"{function} needs streaming mode", fix="EnvironmentSettings.in_streaming_mode()")

    def set_op(self, kind: SetKind, is_all: bool, relations: Sequence[Relation]) -> Relation:
        """UNION, INTERSECT or EXCEPT; columns are matched by position and brought to common types."""
        projected = [_visible(r) for r in relations]
        width = len(projected[0].schema)
        for node in projected:
            if len(node.schema) != width:
                raise ValidationError(
                    f"{kind.value} of {width} and {len(node.schema)} columns", fix="select the same number of columns"
                )
        types = [_common([n.schema.fields[i].type for n in projected], f"{kind.value}: column {i + 1}") for i in range(width)]
        names = projected[0].schema.names
        parts = tuple(_cast_columns(n, names, types) for n in projected)
        if kind is SetKind.UNION and not is_all:
            node = Aggregate(SetOp(kind, True, parts), tuple(names), ())
            return plain(node)
        return plain(SetOp(kind, is_all, parts))

    def sort(self, relation: Relation, items: Sequence[un.SortItem]) -> Relation:
        """Orders a finished result (Table API `order_by`)."""
        stars = [un.Name((c.name,)) for c in relation.star()]
        return self.select(relation, stars, order_by=tuple(items))

    def limit(self, relation: Relation, fetch: int | None, offset: int = 0) -> Relation:
        """Skips `offset` rows and keeps at most `fetch`; limits on a limit combine."""
        node = relation.node
        if isinstance(node, Limit) and node.fetch is None and fetch is not None:
            return relation.with_node(Limit(node.input, fetch, node.offset + offset))
        return relation.with_node(Limit(node, fetch, offset))

    def collect(self, relation: Relation) -> Collect:
        """The result as the user sees it: visible columns under their visible names."""
        return Collect(_visible(relation))

    def sink(
        self,
        relation: Relation,
        table: TableSpec,
        *,
        overwrite: bool = False,
        columns: Sequence[str] | None = None,
        static_partition: Sequence[tuple[str, un.Lit]] = (),
    ) -> Sink:
        """INSERT: matches the query's columns with the table's by position and casts them where Flink does it implicitly.

        `columns` are the target columns when the statement lists them; the others become NULL.
        """
        if table.distribution is not None:
            raise UnsupportedError(
                f"table '{table.identifier.name}' is {table.distribution}, but connector '{table.options.get('connector')}' "
                "has no buckets",
                fix="ALTER TABLE … DROP DISTRIBUTION",
            )
        source = _visible(relation)
        target = table.persisted
        fixed = {name: Resolver(self.context, relation).resolve(value) for name, value in static_partition}
        for name in (*fixed, *(columns or ())):
            if name not in target:
                raise UnknownNameError(
                    f"table '{table.identifier.name}' has no column '{name}'",
                    exists=f"columns: {', '.join(target.names)}",
                    fix=did_you_mean(name, target.names),
                )
        wanted = list(columns) if columns else [n for n in target.names if n not in fixed]
        if len(wanted) != len(source.schema):
            raise ValidationError(
                f"the query has {len(source.schema)} columns, table '{table.identifier.name}' takes {len(wanted)}",
                exists=f"query: {source.schema}; table: {target}",
            )
        given = dict(zip(wanted, source.schema.fields, strict=True))
        items = []
        for field in target:
            rex = self._sink_column(field, given, fixed, table)
            items.append(NamedRex(field.name, rex))
        literals = tuple((n, r) for n, r in fixed.items() if isinstance(r, Literal))
        return Sink(project(source, tuple(items)), table, overwrite, literals)

    def _sink_column(self, field: Field, given: dict[str, Field], fixed: dict[str, Rex], table: TableSpec) -> Rex:
        if field.name in fixed:
            return implicit_cast(fixed[field.name], field.type)
        source = given.get(field.name)
        if source is None:
            if not field.type.is_nullable:
                raise ValidationError(f"column '{field.name}' of '{table.identifier.name}' is NOT NULL and gets no value")
            return Literal(field.type, None)
        if isinstance(source.type, NullType):
            raise ValidationError(
                f"NULL has no type here (column '{field.name}')", fix=f"write CAST(NULL AS {field.type.nullable()})"
            )
        if not can_cast(source.type, field.type, implicit=True):
            raise TypeMismatchError(
                f"column '{field.name}' of table '{table.identifier.name}' is {field.type}, the query gives {source.type}"
                f" ('{source.name}')",
                fix=f"CAST({source.name} AS {field.type.nullable()})",
            )
        return assigned(Ref(source.type, source.name), field.type)


_WINDOW_LENGTHS = {
    WindowKind.TUMBLE: (("size", "size"),),
    WindowKind.HOP: (("size", "size"), ("step", "slide")),
    WindowKind.CUMULATE: (("size", "size"), ("step", "step")),
    WindowKind.SESSION: (("gap", "gap"),),
}


def _window_columns(schema: RowSchema) -> tuple[str, str, str]:
    names = schema.names
    return unique("window_start", names), unique("window_end", names), unique("window_time", names)


def _function(name: str):  # type: ignore[no-untyped-def]
    from tableapi.functions.registry import lookup

    return lookup(name)


def _common(types: Sequence[DataType], what: str) -> DataType:
    found = common_type(types)
    if found is None:
        raise TypeMismatchError(
            f"{what} has no common type", exists=f"types: {', '.join(map(str, types))}", fix="CAST one of them"
        )
    return found


def _is_true(rex: Rex) -> bool:
    return isinstance(rex, Literal) and rex.value is True


def _no_duplicates(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValidationError(f"column name '{name}' is ambiguous: it stands twice", fix="rename one with .alias(...)")
        seen.add(name)


def _visible(relation: Relation) -> Node:
    """The visible columns under their visible names, duplicates made unique."""
    schema = relation.node.schema
    items: list[NamedRex] = []
    for column in relation.star():
        name = unique(column.name, [i.name for i in items])
        items.append(NamedRex(name, Ref(schema[column.column].type, column.column)))
    return project(relation.node, tuple(items))


def _cast_columns(node: Node, names: Sequence[str], types: Sequence[DataType]) -> Node:
    items = tuple(
        NamedRex(name, implicit_cast(Ref(f.type, f.name), data_type.with_nullability(f.type.is_nullable)))
        for name, f, data_type in zip(names, node.schema, types, strict=True)
    )
    return project(node, items)


def _fresh_fields(names: Sequence[str], types: Sequence[DataType], schema: RowSchema) -> tuple[Field, ...]:
    taken = set(schema.names)
    fields = []
    for name, data_type in zip(names, types, strict=True):
        fresh = unique(name, taken)
        taken.add(fresh)
        fields.append(Field(fresh, data_type))
    return tuple(fields)


def _element_columns(data_type: DataType) -> list[tuple[str, DataType]] | None:
    match data_type:
        case ArrayType(element_type=RowType(fields=fields)) | MultisetType(element_type=RowType(fields=fields)):
            return [(f.name, f.data_type) for f in fields]
        case ArrayType(element_type=element) | MultisetType(element_type=element):
            return [("EXPR$0", element)]
        case MapType(key_type=key, value_type=value):
            return [("KEY", key), ("VALUE", value)]
        case _:
            return None
