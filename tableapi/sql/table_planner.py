"""FROM clauses to plans: tables, views, WITH tables, derived tables, window and Python table functions, UNNEST, joins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tableapi.errors import UnknownNameError, UnsupportedError, ValidationError, did_you_mean
from tableapi.plan import unresolved as un
from tableapi.plan.nodes import Join, JoinKind, WindowKind
from tableapi.plan.scope import Relation
from tableapi.sql import ast
from tableapi.sql.catalog_reader import ViewSpec
from tableapi.sql.hints import hinted_join, no_hints
from tableapi.sql.lateral import lateral_join
from tableapi.sql.match_clauses import plan_match
from tableapi.sql.rewrite import parts
from tableapi.sql.views import view_relation
from tableapi.types import RowType

if TYPE_CHECKING:
    from tableapi.sql.query_planner import Names, QueryPlanner

_WINDOW_PARAMETERS = {
    "TUMBLE": ("DATA", "TIMECOL", "SIZE", "OFFSET"),
    "HOP": ("DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"),
    "CUMULATE": ("DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"),
    "SESSION": ("DATA", "TIMECOL", "GAP"),
}
_OPTIONAL = ("OFFSET", "OP", "OP_MAPPING")
_CHANGELOG_PARAMETERS = {"TO_CHANGELOG": ("INPUT", "OP", "OP_MAPPING"), "FROM_CHANGELOG": ("INPUT", "OP", "OP_MAPPING")}
_TABLE_PARAMETERS = {**_WINDOW_PARAMETERS, **_CHANGELOG_PARAMETERS}
_NOT_YET = ("ML_PREDICT", "ML_EVALUATE", "VECTOR_SEARCH")


class TablePlanner:
    """Plans what stands in FROM."""

    def __init__(self, queries: QueryPlanner) -> None:
        self.queries = queries
        self.builder = queries.builder

    def plan(self, table: ast.TableReference, names: Names) -> Relation:
        """The relation of a FROM item; its columns are qualified by the table's alias or name."""
        from tableapi.sql.query_planner import located

        with located(table.where):
            return self._plan(table, names, None, ())

    def _plan(self, table: ast.TableReference, names: Names, alias: str | None, columns: Sequence[str]) -> Relation:
        match table:
            case ast.Aliased(table=inner, alias=given, columns=given_columns):
                return self._plan(inner, names, given, given_columns)
            case ast.Joined():
                relation = self._join(table, names)
                return relation if alias is None else self.queries.renamed(relation, alias, columns)
            case ast.UnnestTable():
                start = self._start(names)
                return self._unnest(start, table, names, alias, columns, is_outer=False)
            case ast.TableFunction() if table.name.upper() not in _TABLE_PARAMETERS:
                return self._table_function(self._start(names), table, names, alias, columns, is_outer=False)
            case ast.TableFunction() if table.name.upper() in _CHANGELOG_PARAMETERS:
                relation = self._changelog_function(table, names)
            case ast.TableFunction():
                relation = self._window_function(table, names)
            case ast.TableName(system_time=time) if time is not None:
                raise UnsupportedError(
                    "FOR SYSTEM_TIME AS OF outside a join is not supported yet",
                    where=time.where,
                    fix="join: … JOIN t FOR SYSTEM_TIME AS OF …",
                )
            case ast.TableName():
                relation = self.named(table, names)
                if alias is None:
                    return relation
            case ast.Derived(query=query):
                relation = self.queries.plan(query, names)
            case ast.MatchRecognize():
                relation = plan_match(self, table, names)
            case _:
                raise AssertionError(table)
        return self.queries.renamed(relation, alias, columns)

    def _start(self, names: Names) -> Relation:
        start = self.builder.one_row()
        return start if names.outer is None else replace(start, outer=names.outer)

    def named(self, table: ast.TableName, names: Names) -> Relation:
        """A table, view or WITH table; qualified by its name."""
        name = table.parts[-1]
        if len(table.parts) == 1 and name in names.tables:
            relation = self.builder.alias(names.tables[name], name)
        else:
            found = self.queries.find(table.parts, table.where)
            self.queries.tables_read.add(found.identifier)
            options = self._option_hints(table.hints)
            if isinstance(found, ViewSpec):
                if options:
                    raise ValidationError(f"'{name}' is a view: OPTIONS hints belong to tables", where=table.hints[0].where)
                meaning = view_relation(found, self.queries.catalog, self.queries.context)
                relation = self.builder.alias(meaning, name)
            else:
                if options:
                    found = replace(found, options={**found.options, **options})
                relation = self.builder.from_table(found, name)
        return relation if names.outer is None else replace(relation, outer=names.outer)

    def _option_hints(self, hints: Sequence[ast.Hint]) -> dict[str, str]:
        options: dict[str, str] = {}
        no_hints(hints)
        for hint in hints:
            if hint.items:
                raise ValidationError("OPTIONS takes 'key' = 'value' pairs", where=hint.where)
            options.update(hint.pairs)
        return options

    def _window_function(self, table: ast.TableFunction, names: Names) -> Relation:
        kind = table.name.upper()
        given = self._arguments(table, _WINDOW_PARAMETERS[kind])
        data, time = given["DATA"], given["TIMECOL"]
        data = _table_argument(data, f"the first argument of {kind}")
        if not isinstance(time, ast.Descriptor) or len(time.columns) != 1:
            raise ValidationError(f"the time column of {kind} is given as DESCRIPTOR(column)", where=time.where)
        if data.partition_by and kind != "SESSION":
            raise ValidationError(f"PARTITION BY belongs to SESSION, not to {kind}", where=data.where)
        relation = self._plan(data.table, names, None, ())
        sizes: dict[str, un.Unresolved] = {}
        for parameter, keyword in (("SIZE", "size"), ("SLIDE", "step"), ("STEP", "step"), ("GAP", "gap"), ("OFFSET", "offset")):
            if parameter in given:
                sizes[keyword] = self.queries.expression(given[parameter], relation, names)
        partition_by = [self.queries.expression(p, relation, names) for p in data.partition_by]
        column = un.Name(time.columns, where=time.where)
        return self.builder.window_table(relation, WindowKind[kind], column, partition_by=partition_by, **sizes)

    def _changelog_function(self, table: ast.TableFunction, names: Names) -> Relation:
        kind = table.name.upper()
        given = self._arguments(table, _CHANGELOG_PARAMETERS[kind])
        data, op = given["INPUT"], given.get("OP")
        data = _table_argument(data, f"the input of {kind}")
        if data.partition_by or data.order_by:
            raise UnsupportedError(f"PARTITION BY and ORDER BY of {kind} are not supported", where=data.where)
        if op is not None and (not isinstance(op, ast.Descriptor) or len(op.columns) != 1):
            raise ValidationError(f"the op column of {kind} is given as DESCRIPTOR(column)", where=op.where)
        relation = self._plan(data.table, names, None, ())
        mapping = given.get("OP_MAPPING")
        mapping = None if mapping is None else self.queries.expression(mapping, relation, names)
        column = op.columns[0] if isinstance(op, ast.Descriptor) else None
        build = self.builder.to_changelog if kind == "TO_CHANGELOG" else self.builder.from_changelog
        return build(relation, column, mapping)

    def _arguments(self, table: ast.TableFunction, parameters: tuple[str, ...]) -> dict[str, un.Unresolved]:
        """The arguments by parameter name, given by position or by name."""
        kind = table.name.upper()
        given: dict[str, un.Unresolved] = {}
        for position, arg in enumerate(table.args):
            if isinstance(arg, ast.NamedArgument):
                name, value = arg.name.upper(), arg.value
                if name not in parameters:
                    raise UnknownNameError(
                        f"{kind} has no parameter '{arg.name}'",
                        where=arg.where,
                        exists=f"parameters: {', '.join(parameters)}",
                        fix=did_you_mean(name, parameters),
                    )
            elif position >= len(parameters):
                raise ValidationError(f"{kind} takes at most {len(parameters)} arguments", where=arg.where)
            else:
                name, value = parameters[position], arg
            if name in given:
                raise ValidationError(f"the argument {name} of {kind} is given twice", where=arg.where)
            given[name] = value
        missing = [p for p in parameters if p not in given and p not in _OPTIONAL]
        if missing:
            raise ValidationError(
                f"{kind} needs {', '.join(missing)}", where=table.where, exists=f"parameters: {', '.join(parameters)}"
            )
        return given

    def _join(self, table: ast.Joined, names: Names) -> Relation:
        from tableapi.sql.query_planner import located

        left = self.plan(table.left, names)
        with located(table.where):
            return self._join_with(left, table, names)

    def _join_with(self, left: Relation, table: ast.Joined, names: Names) -> Relation:
        kind = JoinKind.INNER if table.kind == "CROSS" else JoinKind[table.kind]
        table = _condition_inside(table, kind)
        right, alias, columns = _without_alias(table.right)
        match right:
            case ast.UnnestTable():
                is_outer = self._correlated_outer(table, kind)
                joined = self._unnest(left, right, names, alias, columns, is_outer=is_outer)
                return self._filtered(joined, table, names)
            case ast.TableFunction() if right.name.upper() not in _TABLE_PARAMETERS:
                is_outer = self._correlated_outer(table, kind)
                joined = self._table_function(left, right, names, alias, columns, is_outer=is_outer)
                return self._filtered(joined, table, names)
            case ast.TableName(system_time=time) if time is not None:
                return self._temporal(left, right, time, kind, table, names, alias or right.parts[-1], columns)
            case ast.Derived(lateral=True):
                return self._lateral_query(left, right, kind, table, names, alias, columns)
            case _:
                return self._plain_join(left, self.plan(table.right, names), kind, table, names)

    def _plain_join(self, left: Relation, right: Relation, kind: JoinKind, table: ast.Joined, names: Names) -> Relation:
        _check_aliases(left, right, table)
        joined = self._joined(left, right, kind, table, names)
        return hinted_join(joined, names.hints.of_join(left, right))

    def _joined(self, left: Relation, right: Relation, kind: JoinKind, table: ast.Joined, names: Names) -> Relation:
        if table.is_natural:
            shared = [n for n in left.names() if n in right.names()]
            if shared:
                return _shared_first(self.builder.join(left, right, kind, using=shared), shared)
            return self.builder.join(left, right, kind)
        if table.using is not None:
            return _shared_first(self.builder.join(left, right, kind, using=table.using), table.using)
        condition = None
        if table.condition is not None:
            condition = self.queries.expression(table.condition, self._both(left, right), names)
            if kind is JoinKind.INNER and any(isinstance(p, un.Subquery) for p in parts(condition)):
                return self._join_with_subquery(left, right, condition)
        return self.builder.join(left, right, kind, condition)

    def _join_with_subquery(self, left: Relation, right: Relation, condition: un.Unresolved) -> Relation:
        """An inner join whose condition holds a sub-query: the parts with sub-queries filter the joined rows."""
        plain: un.Unresolved | None = None
        later: list[un.Unresolved] = []
        for part in _conjuncts(condition):
            if any(isinstance(p, un.Subquery) for p in parts(part)):
                later.append(part)
            else:
                plain = part if plain is None else un.Call("AND", (plain, part), where=part.where)
        joined = self.builder.join(left, right, JoinKind.INNER, plain)
        for part in later:
            joined = self.builder.filter(joined, part, "ON")
        return joined

    def _both(self, left: Relation, right: Relation) -> Relation:
        """What a join condition can refer to."""
        scope, left_node, right_node = self.builder.combine(left, right)
        return scope.with_node(Join(left_node, right_node, JoinKind.INNER))

    def _temporal(
        self,
        left: Relation,
        right: ast.TableName,
        time: un.Unresolved,
        kind: JoinKind,
        table: ast.Joined,
        names: Names,
        alias: str,
        columns: Sequence[str],
    ) -> Relation:
        versions = self.queries.renamed(self.named(replace(right, system_time=None), names), alias, columns)
        if table.is_natural or table.using is not None:
            raise UnsupportedError(
                "a temporal join with USING or NATURAL is not supported yet", fix="write the condition with ON"
            )
        condition = None
        if table.condition is not None:
            condition = self.queries.expression(table.condition, self._both(left, versions), names)
        moment = self.queries.expression(time, left, names)
        return self.builder.temporal_join(left, versions, kind, moment, condition, names.hints.lookups.get(alias))

    def _correlated_outer(self, table: ast.Joined, kind: JoinKind) -> bool:
        """Whether rows without a partner stay; checks what a join with a function of the left row can be."""
        if table.using is not None or table.is_natural:
            raise UnsupportedError("USING and NATURAL are not possible with a table function", fix="filter with WHERE")
        if kind in (JoinKind.RIGHT, JoinKind.FULL):
            raise ValidationError(
                f"a {kind.value} JOIN with a function of the left row has no meaning", fix="use CROSS JOIN or LEFT JOIN"
            )
        return kind is JoinKind.LEFT

    def _filtered(self, joined: Relation, table: ast.Joined, names: Names) -> Relation:
        if table.condition is None or _is_true(table.condition):
            return joined
        return self.builder.filter(joined, self.queries.expression(table.condition, joined, names), "ON")

    def _unnest(
        self, left: Relation, table: ast.UnnestTable, names: Names, alias: str | None, columns: Sequence[str], *, is_outer: bool
    ) -> Relation:
        collection = self.queries.expression(table.collection, left, names)
        if alias is not None and not columns and not table.with_ordinality:
            columns = self._element_name(collection, left, alias)
        return self.builder.unnest(left, collection, columns, alias, is_outer=is_outer, with_ordinality=table.with_ordinality)

    def _element_name(self, collection: un.Unresolved, left: Relation, alias: str) -> tuple[str, ...]:
        """`UNNEST(a) AS u` calls the one column of plain elements `u`."""
        data_type = self.builder.resolve(collection, left).type
        element = getattr(data_type, "element_type", None)
        return () if element is None or isinstance(element, RowType) else (alias,)

    def _table_function(
        self,
        left: Relation,
        table: ast.TableFunction,
        names: Names,
        alias: str | None,
        columns: Sequence[str],
        *,
        is_outer: bool,
    ) -> Relation:
        if table.name.upper() in _NOT_YET:
            raise UnsupportedError(f"{table.name.upper()} is not supported yet", where=table.where)
        function = self._find_table_function(table)
        args = [self.queries.expression(a, left, names) for a in table.args]
        return self.builder.lateral(left, function, args, columns, alias, is_outer=is_outer)

    def _find_table_function(self, table: ast.TableFunction) -> Any:
        function = self.queries.context.functions(tuple(table.name.split(".")))
        if function is None:
            raise UnknownNameError(
                f"table function '{table.name}' does not exist",
                where=table.where,
                exists=f"window functions: {', '.join(_WINDOW_PARAMETERS)}; and the table functions you registered",
                fix=did_you_mean(table.name, _WINDOW_PARAMETERS) or "register it with create_temporary_function()",
            )
        if function.kind != "table":
            raise ValidationError(f"'{table.name}' is not a table function", where=table.where, fix="call it in SELECT")
        return function

    def _lateral_query(
        self,
        left: Relation,
        right: ast.Derived,
        kind: JoinKind,
        table: ast.Joined,
        names: Names,
        alias: str | None,
        columns: Sequence[str],
    ) -> Relation:
        is_outer = self._correlated_outer(table, kind)
        relation = self.queries.renamed(self.queries.plan(right.query, replace(names, outer=left)), alias, columns)
        joined = lateral_join(
            left, self.queries.node(relation), JoinKind.LEFT if is_outer else JoinKind.INNER, alias, relation.names()
        )
        return self._filtered(joined, table, names)


def _without_alias(table: ast.TableReference) -> tuple[ast.TableReference, str | None, Sequence[str]]:
    return (table.table, table.alias, table.columns) if isinstance(table, ast.Aliased) else (table, None, ())


def _condition_inside(table: ast.Joined, kind: JoinKind) -> ast.Joined:
    """LEFT JOIN with something computed per left row: the condition chooses among its rows, before the left row is kept."""
    right, alias, _ = _without_alias(table.right)
    is_per_row = isinstance(right, ast.UnnestTable) or (isinstance(right, ast.Derived) and right.lateral)
    is_per_row = is_per_row or (isinstance(right, ast.TableFunction) and right.name.upper() not in _TABLE_PARAMETERS)
    if kind is not JoinKind.LEFT or not is_per_row or table.condition is None or _is_true(table.condition):
        return table
    where = table.condition.where
    chosen = ast.Select(where, items=(un.Star(where=where),), source=table.right, condition=table.condition)
    inner: ast.TableReference = ast.Derived(where, chosen, lateral=True)
    if alias is not None:
        inner = ast.Aliased(where, inner, alias)
    return replace(table, right=inner, condition=un.Lit(True, where=where))


def _conjuncts(condition: un.Unresolved) -> list[un.Unresolved]:
    if isinstance(condition, un.Call) and condition.function == "AND":
        return [part for arg in condition.args for part in _conjuncts(arg)]
    return [condition]


def _shared_first(relation: Relation, shared: Sequence[str]) -> Relation:
    """USING and NATURAL columns come first, then the others of both sides."""
    first = [c for name in shared for c in relation.columns if c.name == name and not c.is_merged]
    return replace(relation, columns=(*first, *(c for c in relation.columns if c not in first)))


def _is_true(condition: un.Unresolved | None) -> bool:
    return isinstance(condition, un.Lit) and condition.value is True


def _check_aliases(left: Relation, right: Relation, table: ast.Joined) -> None:
    """Two tables of one name could not be told apart."""
    shared = {c.qualifier for c in left.columns if c.qualifier} & {c.qualifier for c in right.columns if c.qualifier}
    if shared:
        name = sorted(shared)[0]
        raise ValidationError(
            f"two tables are called '{name}' here", where=table.right.where, fix=f"give one an alias: {name} AS {name}2"
        )


def _table_argument(data: un.Unresolved, what: str) -> ast.TableArgument:
    """An argument that is a table: TABLE t, or a query in parentheses."""
    if isinstance(data, ast.QueryValue) and data.kind == "scalar":
        return ast.TableArgument(ast.Derived(data.where, data.query), where=data.where)
    if not isinstance(data, ast.TableArgument):
        raise ValidationError(f"{what} is a table: TABLE t", where=data.where)
    return data
