"""From queries as written to plans: looks tables up, and says everything through `plan.builder`.

`QueryPlanner` plans a query; `Names` is what a query can see besides the catalog: WITH tables, the enclosing query.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tableapi.errors import Location, TableApiError, UnknownNameError, UnsupportedError, ValidationError, did_you_mean
from tableapi.plan import unresolved as un
from tableapi.plan.builder import Builder
from tableapi.plan.nodes import Node, SetKind
from tableapi.plan.resolve import output_name
from tableapi.plan.scope import PlanContext, Relation
from tableapi.sql import ast, checks
from tableapi.sql.catalog_reader import CatalogReader, ViewSpec
from tableapi.sql.grouping import GroupedSelect, expand_grouping
from tableapi.sql.hints import BlockHints, check_tables, hinted_aggregates, read_hints
from tableapi.sql.notes import Notes
from tableapi.sql.rewrite import map_parts, parts
from tableapi.sql.table_planner import TablePlanner
from tableapi.sql.window_calls import resolve_windows
from tableapi.tablespec import ObjectIdentifier, TableSpec
from tableapi.types import RowType


@dataclass(frozen=True)
class Names:
    """What a query can refer to besides the catalog: WITH tables by name, and the relation of the enclosing query."""

    tables: Mapping[str, Relation] = field(default_factory=dict)
    outer: Relation | None = None
    accepts_null: bool = False
    """Whether a select item may be an untyped NULL: in INSERT the target column gives it its type."""
    hints: BlockHints = field(default_factory=BlockHints)
    """What the hints of the query block say."""

    def inner(self) -> Names:
        """What a query in FROM or WITH sees."""
        return replace(self, accepts_null=False, hints=BlockHints())


@contextmanager
def located(where: Location | None) -> Iterator[None]:
    """Gives errors that have no place this one."""
    try:
        yield
    except TableApiError as error:
        raise error.at(where) from None


class QueryPlanner:
    """Plans queries against a catalog.

    Args:
        catalog: Where tables, views and functions are looked up.
        context: What plans depend on.
    """

    def __init__(self, catalog: CatalogReader, context: PlanContext) -> None:
        self.catalog, self.context = catalog, context
        self.builder = Builder(context)
        self.tables = TablePlanner(self)
        self.notes = Notes(catalog)
        self.tables_read: set[ObjectIdentifier] = set()

    def plan(self, query: ast.Query, names: Names | None = None) -> Relation:
        """The relation of a query; its columns have no qualifier."""
        names = names or Names()
        with located(query.where):
            return self._query(query, names)

    def node(self, relation: Relation) -> Node:
        """The plan of a finished query: its visible columns under their visible names."""
        return self.builder.collect(relation).input

    def _query(self, query: ast.Query, names: Names) -> Relation:
        match query:
            case ast.Select():
                return self._select(query, names)
            case ast.OrderedQuery():
                return self._ordered(query, names)
            case ast.WithQuery(tables=tables, query=inner):
                for table in tables:
                    names = self._with_table(table, names)
                return self.plan(inner, names)
            case ast.SetOperation():
                return self._set_operation(query, names)
            case ast.ValuesRows(rows=rows):
                return self._values(rows, names)
            case ast.TableQuery(table=table):
                relation = self.tables.named(table, names)
                self.notes.names(query, relation.names())
                return self.builder.select(relation, [un.Star()])
            case _:
                raise AssertionError(query)

    def _with_table(self, table: ast.CommonTable, names: Names) -> Names:
        relation = self.plan(table.query, names.inner())
        if table.columns:
            with located(table.where):
                relation = self.renamed(relation, None, table.columns)
        return replace(names, tables={**names.tables, table.name: relation})

    def renamed(self, relation: Relation, alias: str | None, columns: Sequence[str]) -> Relation:
        """The relation under an alias, with all its columns named anew when names are given."""
        visible = relation.star()
        if columns and len(columns) != len(visible):
            raise ValidationError(
                f"{len(columns)} column names are given for {len(visible)} columns",
                exists=f"columns: {', '.join(c.name for c in visible)}",
            )
        for name in columns:
            if list(columns).count(name) > 1:
                raise ValidationError(f"column name '{name}' stands twice")
        return self.builder.alias(relation, alias, columns)

    def _set_operation(self, query: ast.SetOperation, names: Names) -> Relation:
        kind = SetKind[query.kind]
        operands: list[ast.Query] = [query.left, query.right]
        while kind is SetKind.UNION and isinstance(operands[0], ast.SetOperation) and _same_union(operands[0], query):
            operands[:1] = [operands[0].left, operands[0].right]
        return self.builder.set_op(kind, query.is_all, [self.plan(o, names) for o in operands])

    def _values(self, rows: Sequence[Sequence[un.Unresolved]], names: Names) -> Relation:
        nothing = self._outer(self.builder.one_row(), names)
        for value in (v for row in rows for v in row):
            if not names.accepts_null:
                checks.no_untyped_null(value)
        written = [[self.expression(v, nothing, names) for v in row] for row in rows]
        if any(isinstance(p, un.Subquery) for row in written for value in row for p in parts(value)):
            selected = [self.builder.select(nothing, row) for row in written]
            joined = selected[0] if len(selected) == 1 else self.builder.set_op(SetKind.UNION, True, selected)
            return self._outer(joined, names)
        return self._outer(self.builder.values(written), names)

    def _outer(self, relation: Relation, names: Names) -> Relation:
        return relation if names.outer is None else replace(relation, outer=names.outer)

    def _ordered(self, query: ast.OrderedQuery, names: Names) -> Relation:
        if isinstance(query.query, ast.Select):
            with located(query.query.where):
                return self._select(query.query, names, query)
        relation = self.plan(query.query, names)
        self.notes.names(query, relation.names())
        order_by = tuple(self._sort_items(query.order_by, relation, names))
        return self.builder.select(relation, [un.Star()], order_by=order_by, fetch=query.fetch, offset=query.offset)

    def _sort_items(self, items: Sequence[un.SortItem], relation: Relation, names: Names) -> Iterator[un.SortItem]:
        for item in items:
            yield replace(item, arg=self.expression(item.arg, relation, names))

    def _select(self, select: ast.Select, names: Names, ordering: ast.OrderedQuery | None = None) -> Relation:
        hints = read_hints(select.hints)
        in_block = replace(names.inner(), hints=hints)
        source = self.tables.plan(select.source, in_block) if select.source else self.builder.one_row()
        relation = source = self._outer(source, names)
        self.notes.source(select, source)
        check_tables(select.hints, relation)
        if select.source is None and any(isinstance(i, un.Star) for i in select.items):
            raise ValidationError("SELECT * needs a FROM clause", where=select.items[0].where)
        if select.condition is not None:
            condition = self.expression(select.condition, relation, names)
            with located(select.condition.where):
                relation = self.builder.filter(relation, condition)
        block = self._block(select, relation, names, ordering)
        if select.qualify is not None:
            built = self._qualified(select, relation, block)
        else:
            built = self._build(relation, block)
        built = hinted_aggregates(built, source, hints.ttl_of(source))
        return _as_written(built, block.items, relation)

    def _block(self, select: ast.Select, relation: Relation, names: Names, ordering: ast.OrderedQuery | None) -> GroupedSelect:
        """The clauses of a SELECT in the builder's terms, with windows, sub-queries and `x.*` replaced."""
        windows = dict(select.windows)
        group = expand_grouping(select.group_by)

        def ready(expression: un.Unresolved) -> un.Unresolved:
            return self.expression(resolve_windows(expression, windows), relation, names)

        items = [part for item in select.items for part in self._item(item, relation, ready)]
        for item in items if not names.accepts_null else ():
            checks.no_untyped_null(item.arg if isinstance(item, un.As) else item)
        order_by = ordering.order_by if ordering else ()
        if group is None:
            checks.grouping_calls(items)
        return GroupedSelect(
            items=items,
            keys=None if group is None else [checks.group_key(ready(k), relation, items) for k in group.keys],
            sets=None if group is None else group.sets,
            having=None if select.having is None else ready(select.having),
            qualify=None if select.qualify is None else ready(select.qualify),
            distinct=select.is_distinct,
            order_by=[replace(i, arg=_with_aliases(ready(i.arg), items)) for i in order_by],
            fetch=ordering.fetch if ordering else None,
            offset=ordering.offset if ordering else 0,
        )

    def _item(self, item: un.Unresolved, relation: Relation, ready):  # type: ignore[no-untyped-def]
        """A select item; `x.*` becomes the columns or fields that it stands for."""
        if not isinstance(item, ast.FieldStar):
            return [ready(item)]
        arg = item.arg
        if isinstance(arg, un.Name) and len(arg.parts) == 1 and relation.has_qualifier(arg.parts[0]):
            return [un.Star(arg.parts[0], where=item.where)]
        arg = ready(arg)
        with located(item.where):
            try:
                data_type = self.builder.resolve(arg, relation).type
            except UnknownNameError:
                if isinstance(arg, un.Name) and len(arg.parts) == 1:
                    relation.star(arg.parts[0])
                raise
            if not isinstance(data_type, RowType):
                raise ValidationError(f"'.*' takes a table alias or a ROW, not {data_type}")
        fields = data_type.field_names()
        if isinstance(arg, un.Name):
            return [un.Name((*arg.parts, f), where=item.where) for f in fields]
        return [un.As(un.Call("GET", (arg, un.Lit(f)), where=item.where), (f,), where=item.where) for f in fields]

    def _build(self, relation: Relation, block: GroupedSelect) -> Relation:
        clauses: dict[str, Any] = {
            "distinct": block.distinct,
            "order_by": tuple(block.order_by),
            "fetch": block.fetch,
            "offset": block.offset,
        }
        relation, block = block.with_group_window(self.builder, relation)
        if block.keys is None:
            return self.builder.select(relation, block.items, having=block.having, **clauses)
        return self.builder.group(relation, block.keys, block.items, having=block.having, grouping_sets=block.sets, **clauses)

    def _qualified(self, select: ast.Select, relation: Relation, block: GroupedSelect) -> Relation:
        """QUALIFY: what its condition needs is selected too, the condition filters, then the extra columns go."""
        aliases = {n for n in map(output_name, block.items) if n}
        hidden: list[un.Unresolved] = []

        def column(expression: un.Unresolved) -> un.Unresolved:
            name = f"$qualify{len(hidden)}"
            hidden.append(un.As(expression, (name,), where=expression.where))
            return un.Name((name,), where=expression.where)

        def lift(expression: un.Unresolved) -> un.Unresolved:
            if isinstance(expression, un.Name):
                return expression if expression.parts[0] in aliases and len(expression.parts) == 1 else column(expression)
            if isinstance(expression, un.Over) or _is_aggregate(expression):
                return column(expression)
            return map_parts(expression, lift)

        assert block.qualify is not None
        checks.qualify(block.qualify, block.items)
        condition = lift(block.qualify)
        items = [*block.items, *hidden]
        inner = replace(block, items=items, qualify=None, distinct=False, order_by=[], fetch=None, offset=0)
        filtered = self.builder.filter(self._build(relation, inner), condition, "QUALIFY")
        visible = [un.Name((n,)) for n in filtered.names() if not n.startswith("$qualify")]
        clauses: dict[str, Any] = {"order_by": tuple(block.order_by), "fetch": block.fetch, "offset": block.offset}
        return self.builder.select(filtered, visible, distinct=block.distinct, **clauses)

    def expression(self, expression: un.Unresolved, relation: Relation, names: Names) -> un.Unresolved:
        """An expression with its sub-queries planned; `relation` is what they can refer to as the enclosing query."""
        match expression:
            case ast.QueryValue():
                return self._query_value(expression, relation, names)
            case ast.NamedOver(window=window):
                raise UnknownNameError(f"window '{window.base}' does not exist", where=window.where or expression.where)
            case ast.Descriptor() | ast.TableArgument():
                raise ValidationError("DESCRIPTOR and TABLE can only be arguments of a table function", where=expression.where)
            case ast.NamedArgument(name=name, value=value):
                given = self.expression(value, relation, names)
                return un.Call("NAMED_ARGUMENT", (un.Lit(name), given), where=expression.where)
            case ast.FieldStar():
                raise ValidationError("'.*' can only be an item of a select list", where=expression.where)
            case un.Name():
                with located(expression.where):
                    return self._name(expression, relation)
            case ast.GroupingSet():
                raise ValidationError("grouping sets can only stand in GROUP BY", where=expression.where)
            case _:
                if isinstance(expression, un.Call):
                    checks.call(expression)
                    expression = _count_of_several(expression)
                elif isinstance(expression, un.Over):
                    checks.over(expression)
                return map_parts(expression, lambda part: self.expression(part, relation, names))

    def _name(self, name: un.Name, relation: Relation) -> un.Unresolved:
        """A name; `catalog.database.table.column` becomes `table.column`, and PI that is no column is the number."""
        first = name.parts[0]
        if relation.has_qualifier(first) or relation.outer is not None or relation.find(None, first) is not None:
            return name
        if first.upper() == "PI" and len(name.parts) == 1:
            return un.Call("PI", where=name.where)
        for length in (2, 3):
            table = name.parts[:length]
            is_in_query = len(name.parts) > length and relation.has_qualifier(table[-1])
            if is_in_query and self.catalog.find_table(self.catalog.qualify(table)) is not None:
                return replace(name, parts=name.parts[length - 1 :])
        return name

    def _query_value(self, value: ast.QueryValue, relation: Relation, names: Names) -> un.Unresolved:
        args = tuple(self.expression(a, relation, names) for a in value.args)
        inner = self.plan(value.query, replace(names.inner(), outer=relation))
        if value.kind in ("any", "all"):
            return self._quantified(value, args, inner)
        return un.Subquery(value.kind, self.node(inner), args, value.negated, where=value.where)

    def _quantified(self, value: ast.QueryValue, args: tuple[un.Unresolved, ...], inner: Relation) -> un.Unresolved:
        """`x op ANY (query)` and `x op ALL (query)`: IN for = ANY and <> ALL, else a comparison with MIN or MAX."""
        where = value.where
        if (value.kind, value.operator) in (("any", "EQUALS"), ("all", "NOT_EQUALS")):
            return un.Subquery("in", self.node(inner), args, value.kind == "all", where=where)
        visible = inner.names()
        if len(args) != 1 or len(visible) != 1:
            raise UnsupportedError("ANY or ALL of several columns (query) is not supported yet", where=where)
        assert value.operator is not None
        is_all = value.kind == "all"
        is_greater = value.operator.startswith("GREATER")
        column = un.Name((visible[0],))

        def aggregate(function: str, arg: un.Unresolved) -> un.Unresolved:
            return un.Subquery("scalar", self.node(self.builder.select(inner, [un.Call(function, (arg,))])), where=where)

        limit = aggregate("MAX" if is_greater == is_all else "MIN", column)
        test = un.Call(value.operator, (args[0], limit), where=where)
        decider: un.Unresolved = test
        if value.operator in ("EQUALS", "NOT_EQUALS"):
            # All are equal to a value where the lowest and the highest are.
            ends = [un.Call("NOT_EQUALS", (args[0], aggregate(f, column)), where=where) for f in ("MIN", "MAX")]
            decider = un.Call("OR", tuple(ends), where=where)
        rows, known = aggregate("COUNT", un.Star()), aggregate("COUNT", column)
        is_refuted = is_all and decider is test
        decided = un.Call("IS_FALSE" if is_refuted else "IS_TRUE", (decider,), where=where)
        has_null = un.Call("LESS", (known, rows), where=where)
        # A stream gives no count of nothing: there is no row before the first one.
        is_empty = un.Call("EQUALS", (un.Call("COALESCE", (rows, un.Lit(0))), un.Lit(0)), where=where)
        branches = (is_empty, un.Lit(is_all), decided, un.Lit(not is_all), has_null, un.Lit(None), test)
        return un.Call("CASE", branches, where=where)

    def find(self, parts: tuple[str, ...], where: Location | None) -> TableSpec | ViewSpec:
        """The table or view of that name.

        Raises:
            UnknownNameError: There is none.
        """
        with located(where):
            found = self.catalog.find_table(self.catalog.qualify(parts))
        if found is None:
            known = sorted(self.catalog.table_names())
            raise UnknownNameError(
                f"table '{'.'.join(parts)}' does not exist",
                where=where,
                exists=f"tables: {', '.join(known[:20]) or 'none'}",
                fix=did_you_mean(parts[-1], known),
            )
        return found


def _as_written(built: Relation, items: Sequence[un.Unresolved], source: Relation) -> Relation:
    """The relation with the names of the select list, also where two are alike (the plan's own names are unique).

    So a query around it finds them ambiguous, as it should.
    """
    names: list[str] = []
    for item in items:
        if isinstance(item, un.Star):
            names.extend(c.name for c in source.star(item.qualifier))
        else:
            names.append(output_name(item) or f"EXPR${len(names)}")
    if len(set(names)) == len(names):
        return built
    return replace(built, columns=tuple(replace(c, name=n) for c, n in zip(built.columns, names, strict=True)))


def _same_union(left: ast.SetOperation, query: ast.SetOperation) -> bool:
    return left.kind == "UNION" and left.is_all == query.is_all


def _is_aggregate(expression: un.Unresolved) -> bool:
    from tableapi.functions import registry

    return isinstance(expression, un.Call) and isinstance(registry.find(expression.function), registry.AggregateFunction)


def _with_aliases(expression: un.Unresolved, items: Sequence[un.Unresolved]) -> un.Unresolved:
    """Puts select items in place of their aliases inside an ORDER BY expression (a bare alias is left to the builder)."""
    aliased = {i.names[0]: i.arg for i in items if isinstance(i, un.As)}

    def change(part: un.Unresolved) -> un.Unresolved:
        if isinstance(part, un.Name) and len(part.parts) == 1 and part.parts[0] in aliased:
            return aliased[part.parts[0]]
        return map_parts(part, change)

    return expression if isinstance(expression, un.Name) else change(expression)


def _count_of_several(call: un.Call) -> un.Call:
    """`COUNT(a, b)` counts the rows in which no argument is NULL."""
    if call.function.upper() != "COUNT" or len(call.args) < 2 or call.distinct:
        return call
    present = tuple(un.Call("IS_NOT_NULL", (a,), where=a.where) for a in call.args)
    marked = un.Call("CASE", (un.Call("AND", present, where=call.where), un.Lit(1), un.Lit(None)), where=call.where)
    return replace(call, args=(marked,))
