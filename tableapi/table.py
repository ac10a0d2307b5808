"""`Table`: a lazy relation. Its methods only build plans; `execute` and its kin are the way to the runtime.

May import expressions, plan and the front end's own files; reaches the runtime through `result.py`, inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tableapi.errors import AlreadyExistsError, TypeMismatchError, UnknownNameError, ValidationError, did_you_mean
from tableapi.expression import Expression
from tableapi.expression_base import caller, to_node
from tableapi.location import located
from tableapi.plan.unresolved import As, Call, Cast, Lit, Name, SortItem, Star, UdfCall, Unresolved
from tableapi.resolved_schema import ResolvedSchema
from tableapi.table_schema import TableSchema
from tableapi.types import RowField, RowType
from tableapi.udf import UserDefinedFunctionWrapper, call_node

if TYPE_CHECKING:
    import pandas
    import polars as pl
    import pyarrow

    from tableapi.environment import TableEnvironment
    from tableapi.grouped_table import AggregatedTable, FlatAggregateTable, GroupedTable, GroupWindowedTable, OverWindowedTable
    from tableapi.plan.builder import Builder
    from tableapi.plan.nodes import JoinKind, Node, SetKind
    from tableapi.plan.scope import Relation
    from tableapi.result import TableResult
    from tableapi.statement_set import TablePipeline
    from tableapi.table_descriptor import TableDescriptor
    from tableapi.tablespec import RowSchema, TableSpec
    from tableapi.window import GroupWindow, OverWindow

__all__ = ["Table"]


def nodes_of(expressions: Sequence[Any], method: str) -> list[Unresolved]:
    """The trees of a method's arguments.

    Raises:
        TypeMismatchError: One is not an expression (a text, for example).
    """
    nodes = []
    for expression in expressions:
        if isinstance(expression, UserDefinedFunctionWrapper):
            nodes.append(call_node(expression, (), caller()))
            continue
        if not isinstance(expression, Expression):
            shown = f"col({expression!r})" if isinstance(expression, str) else f"lit({expression!r})"
            raise TypeMismatchError(f"{method}() takes expressions, not {expression!r}", where=caller(), fix=f"write {shown}")
        nodes.append(expression._node)
    return nodes


class Table:
    """A relation: a source, or what is computed from others. Immutable; nothing runs before `execute` and its kin.

    `table.name` is the column of that name (as `col("name")`).

    >>> from tableapi import EnvironmentSettings, TableEnvironment
    >>> from tableapi.expressions import col
    >>> env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    >>> people = env.from_elements([("Ada", 36), ("Alan", 41)], ["name", "age"])
    >>> people.filter(col("age") > 40).select(col("name")).to_polars().rows()
    [('Alan',)]
    """

    def __init__(self, relation: Relation, environment: TableEnvironment) -> None:
        self._relation = relation
        self._t_env = environment
        self._registered: str | None = None
        self._spec: TableSpec | None = None
        """The catalog table that this is, when nothing was computed from it yet."""

    def _with(self, relation: Relation) -> Table:
        return Table(relation, self._t_env)

    @property
    def _builder(self) -> Builder:
        return self._t_env._builder()

    def _row_schema(self) -> RowSchema:
        """The visible columns."""
        return self._plan().schema

    def _plan(self) -> Node:
        """The plan whose columns are the visible ones."""
        return self._builder.collect(self._relation).input

    # -- columns

    @located
    def select(self, *fields: Expression) -> Table:
        """Computes columns. Aggregates without `group_by` make one row.

        Args:
            fields: Expressions; ones without a name are called `_c0`, `_c1`, …

        Raises:
            ValidationError: A name is unknown or stands twice, or a type does not fit.

        >>> from tableapi import EnvironmentSettings, TableEnvironment
        >>> from tableapi.expressions import col
        >>> env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
        >>> env.from_elements([(1,), (2,)], ["a"]).select(col("a").sum.alias("s")).to_polars().rows()
        [(3,)]
        """
        return self._with(self._builder.select(self._relation, nodes_of(fields, "select"), naming="api"))

    @located
    def alias(self, field: str, *fields: str) -> Table:
        """Renames the columns, in order; fewer names than columns rename the first ones.

        Raises:
            ValidationError: There are more names than columns.
        """
        names = [field, *fields]
        if not all(isinstance(n, str) for n in names):
            raise TypeMismatchError("alias() takes names", where=caller(), fix="t.alias('a', 'b')")
        return self._with(self._builder.rename_all(self._relation, names))

    @located
    def add_columns(self, *fields: Expression) -> Table:
        """Adds columns.

        Raises:
            ValidationError: A name is taken.
        """
        nodes = nodes_of(fields, "add_columns")
        taken = self._relation.names()
        for node in nodes:
            name = _output_name(node)
            if name in taken:
                raise AlreadyExistsError(
                    f"column '{name}' exists already", where=node.where or caller(), fix="use add_or_replace_columns()"
                )
        return self._with(self._builder.select(self._relation, [Star(), *nodes], naming="api"))

    @located
    def add_or_replace_columns(self, *fields: Expression) -> Table:
        """Adds columns; one whose name is taken replaces that column in its place."""
        nodes = nodes_of(fields, "add_or_replace_columns")
        by_name = {_output_name(n): n for n in nodes}
        names = self._relation.names()
        items: list[Unresolved] = [by_name.get(n) or Name((n,)) for n in names]
        added = [n for n in nodes if _output_name(n) not in names]
        return self._with(self._builder.select(self._relation, [*items, *added], naming="api"))

    @located
    def rename_columns(self, *fields: Expression) -> Table:
        """Renames columns: `t.rename_columns(col("a").alias("b"))`.

        Raises:
            UnknownNameError: A column does not exist.
        """
        names = self._relation.names()
        renames = {}
        for node in nodes_of(fields, "rename_columns"):
            if not isinstance(node, As) or not isinstance(node.arg, Name):
                raise ValidationError(
                    "rename_columns() takes columns with a new name", where=node.where, fix='col("a").alias("b")'
                )
            old = node.arg.parts[-1]
            if old not in names:
                raise self._relation.unknown((old,)).at(node.arg.where)
            renames[old] = node.names[0]
        return self._with(self._builder.rename_all(self._relation, [renames.get(n, n) for n in names]))

    @located
    def drop_columns(self, *fields: Expression) -> Table:
        """Leaves columns out.

        Raises:
            UnknownNameError: A column does not exist.
        """
        names = self._relation.names()
        dropped = set()
        for node in nodes_of(fields, "drop_columns"):
            if not isinstance(node, Name):
                raise ValidationError("drop_columns() takes columns", where=node.where, fix='col("a")')
            if node.parts[-1] not in names:
                raise self._relation.unknown(node.parts).at(node.where)
            dropped.add(node.parts[-1])
        kept: list[Unresolved] = [Name((n,)) for n in names if n not in dropped]
        return self._with(self._builder.select(self._relation, kept, naming="api"))

    # -- rows

    @located
    def filter(self, predicate: Expression) -> Table:
        """Keeps the rows for which the condition is TRUE.

        >>> from tableapi import EnvironmentSettings, TableEnvironment
        >>> from tableapi.expressions import col
        >>> env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
        >>> env.from_elements([(1,), (2,)], ["a"]).filter(col("a") > 1).to_polars().rows()
        [(2,)]
        """
        (node,) = nodes_of([predicate], "filter")
        return self._with(self._builder.filter(self._relation, node))

    @located
    def where(self, predicate: Expression) -> Table:
        """Keeps the rows for which the condition is TRUE; the same as `filter`."""
        return self.filter(predicate)

    @located
    def distinct(self) -> Table:
        """Each different row once."""
        return self._with(self._builder.distinct(self._relation))

    @located
    def order_by(self, *fields: Expression) -> Table:
        """Sorts all rows; `col("a").desc` for descending order. NULL is the highest value (in SQL it is the lowest)."""
        items = [
            n if isinstance(n, SortItem) else SortItem(n, nulls_first=False, where=n.where)
            for n in nodes_of(fields, "order_by")
        ]
        return self._with(self._builder.sort(self._relation, items))

    @located
    def offset(self, offset: int) -> Table:
        """Skips the first rows."""
        _check_count(offset, "offset")
        return self._with(self._builder.limit(self._relation, None, offset))

    @located
    def fetch(self, fetch: int) -> Table:
        """Keeps at most so many rows."""
        _check_count(fetch, "fetch")
        return self._with(self._builder.limit(self._relation, fetch))

    @located
    def limit(self, fetch: int, offset: int = 0) -> Table:
        """Skips `offset` rows, then keeps at most `fetch`."""
        _check_count(fetch, "fetch")
        _check_count(offset, "offset")
        return self._with(self._builder.limit(self._relation, fetch, offset))

    # -- groups and windows

    @located
    def group_by(self, *fields: Expression) -> GroupedTable:
        """Groups rows by the values of expressions.

        >>> from tableapi import EnvironmentSettings, TableEnvironment
        >>> from tableapi.expressions import col
        >>> env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
        >>> t = env.from_elements([("a", 1), ("a", 2)], ["k", "v"])
        >>> t.group_by(col("k")).select(col("k"), col("v").sum.alias("s")).to_polars().rows()
        [('a', 3)]
        """
        from tableapi.grouped_table import GroupedTable

        return GroupedTable(self, tuple(nodes_of(fields, "group_by")))

    @located
    def window(self, window: GroupWindow) -> GroupWindowedTable:
        """Puts rows into windows; `group_by` must hold the window's name.

        Args:
            window: `Tumble`, `Slide` or `Session` with a time attribute and a name.
        """
        from tableapi.grouped_table import GroupWindowedTable
        from tableapi.window import GroupWindow

        if not isinstance(window, GroupWindow):
            raise ValidationError("a window needs a name", where=caller(), fix="Tumble.over(…).on(…).alias('w')")
        return GroupWindowedTable(self, window)

    @located
    def over_window(self, *over_windows: OverWindow) -> OverWindowedTable:
        """Defines windows of neighbours that `select` may use: `col("v").sum.over(col("w"))`."""
        from tableapi.grouped_table import OverWindowedTable
        from tableapi.window import OverWindow

        for window in over_windows:
            if not isinstance(window, OverWindow):
                raise ValidationError("an over window needs a name", where=caller(), fix="Over.order_by(…).alias('w')")
        return OverWindowedTable(self, over_windows)

    @located
    def aggregate(self, func: Expression | UserDefinedFunctionWrapper) -> AggregatedTable:
        """Aggregates all rows with one Python aggregate that returns a row; close it with `select`."""
        return self.group_by().aggregate(func)

    @located
    def flat_aggregate(self, func: Expression | UserDefinedFunctionWrapper) -> FlatAggregateTable:
        """Aggregates all rows with one Python table aggregate; close it with `select`."""
        return self.group_by().flat_aggregate(func)

    @located
    def map(self, func: Expression | UserDefinedFunctionWrapper) -> Table:
        """Each row to the row that a Python function returns; without arguments it gets the whole row."""
        call, names = self._row_call(func)
        relation = self._builder.select(self._relation, [As(call, ("$row",), where=call.where)], naming="api")
        return self._with(self._builder.select(relation, _row_fields(relation, "$row", names), naming="api"))

    @located
    def flat_map(self, func: Expression | UserDefinedFunctionWrapper) -> Table:
        """Each row to the rows that a Python table function returns; without arguments it gets the whole row."""
        call, names = self._row_call(func)
        assert isinstance(call, UdfCall)
        before = len(self._relation.columns)
        relation = self._builder.lateral(self._relation, call.function, call.args, names)
        produced = relation.columns[before:]
        only = type(relation)(relation.node, produced, relation.windows, relation.outer)
        return self._with(self._builder.select(only, [Star()], naming="api"))

    def _row_call(self, func: Any) -> tuple[Unresolved, tuple[str, ...]]:
        where = caller()
        if isinstance(func, UserDefinedFunctionWrapper):
            return UdfCall(func, (self._whole_row(),), where=where), func.alias_names
        (node,) = nodes_of([func], "map")
        names: tuple[str, ...] = ()
        if isinstance(node, As):
            names, node = node.names, node.arg
        node = self._with_function_object(node)
        if not isinstance(node, UdfCall):
            raise ValidationError("a call of a Python function is needed", where=where, fix="t.map(f) or t.map(f(col('a')))")
        if not node.args and not _takes_nothing(node.function):
            node = UdfCall(node.function, (self._whole_row(),), where=node.where)
        return node, names

    def _with_function_object(self, node: Unresolved) -> Unresolved:
        """The call of a registered Python function by its name, as a call of the function itself."""
        if isinstance(node, Call):
            function = self._t_env._catalog.find_function(tuple(node.function.split(".")))
            if function is not None:
                return UdfCall(function, node.args, where=node.where)
        return node

    def _whole_row(self) -> Unresolved:
        schema = self._row_schema()
        names = tuple(Name((f.name,)) for f in schema)
        return Cast(Call("ROW", names), RowType(tuple(RowField(f.name, f.type) for f in schema)))

    # -- joins

    @located
    def join(self, right: Table, join_predicate: Expression | None = None) -> Table:
        """The pairs of rows that meet the condition (all pairs without one).

        Raises:
            ValidationError: Both tables have a column of the same name.
        """
        return self._join(right, "INNER", join_predicate)

    @located
    def left_outer_join(self, right: Table, join_predicate: Expression | None = None) -> Table:
        """The pairs that meet the condition, and the left rows without a partner."""
        return self._join(right, "LEFT", join_predicate)

    @located
    def right_outer_join(self, right: Table, join_predicate: Expression) -> Table:
        """The pairs that meet the condition, and the right rows without a partner."""
        return self._join(right, "RIGHT", join_predicate)

    @located
    def full_outer_join(self, right: Table, join_predicate: Expression) -> Table:
        """The pairs that meet the condition, and the rows of either side without a partner."""
        return self._join(right, "FULL", join_predicate)

    def _join(self, right: Table, kind: str, predicate: Expression | None) -> Table:
        from tableapi.plan.nodes import JoinKind

        self._check_other(right)
        shared = [n for n in self._relation.names() if n in right._relation.names()]
        if shared:
            raise ValidationError(
                f"join with ambiguous names: both tables have the columns {', '.join(shared)}",
                where=caller(),
                fix="rename them first: right.alias(…) or right.rename_columns(…)",
            )
        condition = None if predicate is None else to_node(predicate, caller())
        join_kind: JoinKind = JoinKind[kind]
        return self._with(self._builder.join(self._relation, right._relation, join_kind, condition))

    @located
    def join_lateral(self, table_function_call: Any, join_predicate: Expression | None = None) -> Table:
        """Each row times the rows that a table function returns for it."""
        relation = self._lateral(table_function_call, is_outer=False)
        if join_predicate is not None:
            relation = self._builder.filter(relation, to_node(join_predicate, caller()), "ON")
        return self._with(relation)

    @located
    def left_outer_join_lateral(self, table_function_call: Any, join_predicate: Expression | None = None) -> Table:
        """As `join_lateral`; rows for which the function returns nothing stay, with NULLs.

        Raises:
            ValidationError: The condition is not TRUE (Flink: the same).
        """
        if join_predicate is not None:
            node = to_node(join_predicate, caller())
            if not (isinstance(node, Lit) and node.value is True):
                raise ValidationError(
                    "a left outer lateral join takes no condition but TRUE", where=node.where, fix="filter the result"
                )
        return self._with(self._lateral(table_function_call, is_outer=True))

    def _lateral(self, call: Any, is_outer: bool) -> Relation:
        (node,) = nodes_of([call], "join_lateral")
        names: tuple[str, ...] = ()
        if isinstance(node, As):
            names, node = node.names, node.arg
        if isinstance(node, Call) and node.function.upper() == "UNNEST":
            return self._builder.unnest(self._relation, node.args[0], names, is_outer=is_outer)
        node = self._with_function_object(node)
        if not isinstance(node, UdfCall):
            raise ValidationError("a call of a table function is needed", where=node.where, fix="f(col('a')).alias('x')")
        visible = names or _function_columns(node.function)
        shared = [n for n in visible if n in self._relation.names()]
        if shared:
            raise ValidationError(
                f"the function's columns {', '.join(shared)} exist already", where=node.where, fix="rename them: f(…).alias(…)"
            )
        return self._builder.lateral(self._relation, node.function, node.args, names, is_outer=is_outer)

    # -- set operations

    @located
    def union(self, right: Table) -> Table:
        """The rows of both tables, each different row once."""
        return self._set_op("UNION", right, is_all=False)

    @located
    def union_all(self, right: Table) -> Table:
        """The rows of both tables."""
        return self._set_op("UNION", right, is_all=True)

    @located
    def minus(self, right: Table) -> Table:
        """The different rows that are not in the other table."""
        return self._set_op("EXCEPT", right, is_all=False)

    @located
    def minus_all(self, right: Table) -> Table:
        """The rows that are left after each row of the other table took one equal row away."""
        return self._set_op("EXCEPT", right, is_all=True)

    @located
    def intersect(self, right: Table) -> Table:
        """The different rows that are in both tables."""
        return self._set_op("INTERSECT", right, is_all=False)

    @located
    def intersect_all(self, right: Table) -> Table:
        """The rows that are in both tables, as often as in the one that has fewer."""
        return self._set_op("INTERSECT", right, is_all=True)

    def _set_op(self, kind: str, right: Table, is_all: bool) -> Table:
        from tableapi.plan.nodes import SetKind

        self._check_other(right)
        set_kind: SetKind = SetKind[kind]
        return self._with(self._builder.set_op(set_kind, is_all, [self._relation, right._relation]))

    def _check_other(self, right: Any) -> None:
        if not isinstance(right, Table):
            raise TypeMismatchError(f"a Table is needed, not {right!r}", where=caller(), fix="env.from_path(…)")
        if right._t_env is not self._t_env:
            raise ValidationError("the tables belong to different environments", where=caller())

    # -- changelogs

    @located
    def to_changelog(self, *arguments: Expression) -> Table:
        """Each change of the table as a row that is only ever added, with its kind in a first column `op`.

        Args:
            arguments: `descriptor("kind").as_argument("op")` names the column; `map_("INSERT", "c").as_argument("op_mapping")`
                gives other codes, kinds without one are left out.

        Raises:
            UnsupportedError: In batch mode.
        """
        op, mapping = _changelog_arguments("to_changelog", arguments)
        return self._with(self._builder.to_changelog(self._relation, op, mapping))

    @located
    def from_changelog(self, *arguments: Expression) -> Table:
        """Rows that say in a column `op` what they change, as a changing table.

        Args:
            arguments: `descriptor("kind").as_argument("op")` names the column; `map_("c", "INSERT").as_argument("op_mapping")`
                says what other codes mean.

        Raises:
            UnsupportedError: In batch mode.
        """
        op, mapping = _changelog_arguments("from_changelog", arguments)
        return self._with(self._builder.from_changelog(self._relation, op, mapping))

    # -- schema

    def get_schema(self) -> TableSchema:
        """Names and types of the columns (deprecated in Flink; see `get_resolved_schema`)."""
        schema = self._row_schema()
        return TableSchema(schema.names, schema.types)

    def get_resolved_schema(self) -> ResolvedSchema:
        """Columns with their types; of a catalog table also its key, watermark and computed columns."""
        if self._spec is not None:
            return ResolvedSchema.of_table(self._spec, self._row_schema())
        return ResolvedSchema.of_rows(self._row_schema())

    def print_schema(self) -> None:
        """Prints the schema.

        >>> from tableapi import EnvironmentSettings, TableEnvironment
        >>> env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
        >>> env.from_elements([(1, "x")], ["a", "b"]).print_schema()
        (
          `a` BIGINT,
          `b` STRING
        )
        """
        _print(self.get_resolved_schema())

    def explain(self, *extra_details: int) -> str:
        """The plan as text: as written, and as it will run.

        Args:
            extra_details: `ExplainDetail`s.
        """
        return self._t_env._explain([self._builder.collect(self._relation)], extra_details)

    def print_explain(self, *extra_details: int) -> None:
        """Prints `explain()`."""
        _print(self.explain(*extra_details))

    # -- results

    @located
    def execute(self) -> TableResult:
        """Runs the query; the result can be iterated over or printed.

        Raises:
            ChangelogError, UnsupportedError: The query cannot run.
        """
        return self._t_env._execute_query(self._relation)

    @located
    def execute_insert(self, table_path_or_descriptor: str | TableDescriptor, overwrite: bool = False) -> TableResult:
        """Writes the rows to a table; the job is started at once.

        Args:
            table_path_or_descriptor: Name of a table, or the description of one.
            overwrite: Whether existing rows are replaced.
        """
        return self.insert_into(table_path_or_descriptor, overwrite).execute()

    @located
    def insert_into(self, table_path_or_descriptor: str | TableDescriptor, overwrite: bool = False) -> TablePipeline:
        """The statement that writes the rows to a table, to be executed alone or in a `StatementSet`."""
        from tableapi.statement_set import TablePipeline

        spec, is_anonymous = self._t_env._sink_table(table_path_or_descriptor)
        sink = self._builder.sink(self._relation, spec, overwrite=overwrite)
        return TablePipeline(self._t_env, sink, is_anonymous)

    @located
    def to_polars(self) -> pl.DataFrame:
        """All rows as a Polars frame; of a changing table the final rows."""
        return self.execute().to_polars()

    @located
    def to_arrow(self) -> pyarrow.Table:
        """All rows as an Arrow table; of a changing table the final rows."""
        return self.execute().to_arrow()

    @located
    def to_pandas(self) -> pandas.DataFrame:
        """All rows as a pandas frame; of a changing table the final rows."""
        return self.execute().to_pandas()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule protocol, so that Polars, pyarrow, DuckDB and pandas can read the table."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """The columns, for the Arrow PyCapsule protocol. Runs nothing."""
        from tableapi.arrow_values import arrow_schema

        return arrow_schema(self._builder.collect(self._relation).schema).__arrow_c_schema__()

    # -- Python protocol

    def __getattr__(self, name: str) -> Expression:
        if name.startswith("_"):
            raise AttributeError(name)
        relation = self.__dict__.get("_relation")
        names = relation.names() if relation is not None else []
        if name not in names:
            members = [m for m in dir(type(self)) if not m.startswith("_")]
            hint = did_you_mean(name, [*names, *members])
            raise AttributeError(
                str(
                    UnknownNameError(
                        f"the table has neither a column nor a method '{name}'",
                        where=caller(),
                        exists=f"columns: {', '.join(names)}",
                        fix=hint,
                    )
                )
            )
        return Expression(Name((name,), where=caller()))

    def __str__(self) -> str:
        """The name under which SQL text can use the table: `f"SELECT * FROM {table}"`."""
        if self._registered is None:
            self._registered = self._t_env._register_unnamed(self)
        return self._registered

    def __repr__(self) -> str:
        return f"Table{self._row_schema()}"

    def _repr_html_(self) -> str:
        from tableapi.notebook.display import table_html

        return table_html(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from tableapi.notebook.display import table_html, table_text

        return {"text/plain": table_text(self), "text/html": table_html(self)}


def _output_name(node: Unresolved) -> str | None:
    from tableapi.plan.resolve import output_name

    return output_name(node)


def _row_fields(relation: Relation, column: str, names: tuple[str, ...]) -> list[Unresolved]:
    """The fields of a ROW column as columns of their own; a column of another type as it is."""
    data_type = relation.node.schema[column].type
    if not isinstance(data_type, RowType):
        return [As(Name((column,)), (names[0] if names else "f0",))]
    fields = data_type.field_names()
    if names and len(names) != len(fields):
        raise ValidationError(f"the function gives {len(fields)} columns, but {len(names)} names are given", where=caller())
    return [As(Call("GET", (Name((column,)), Lit(f))), (n,)) for f, n in zip(fields, names or fields, strict=True)]


def _function_columns(function: Any) -> list[str]:
    result = function.result_type
    return result.field_names() if isinstance(result, RowType) else ["f0"]


def _takes_nothing(function: Any) -> bool:
    import inspect

    target: Callable[..., Any] = getattr(function.func, "eval", function.func)
    try:
        return not inspect.signature(target).parameters
    except (TypeError, ValueError):
        return False


def _check_count(count: Any, what: str) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ValidationError(f"{what} is a number of rows, not {count!r}", where=caller())


def _changelog_arguments(method: str, arguments: Sequence[Any]) -> tuple[str | None, Unresolved | None]:
    given: dict[str, Unresolved] = {}
    for node in nodes_of(arguments, method):
        if not isinstance(node, Call) or node.function != "NAMED_ARGUMENT":
            raise ValidationError(
                f"{method}() takes named arguments", where=node.where, fix="descriptor('op').as_argument('op')"
            )
        name = node.args[0].value if isinstance(node.args[0], Lit) else None
        if name not in ("op", "op_mapping"):
            raise UnknownNameError(f"{method}() has no argument '{name}'", where=node.where, exists="arguments: op, op_mapping")
        given[name] = node.args[1]
    op = given.get("op")
    if op is None:
        return None, given.get("op_mapping")
    if not isinstance(op, Call) or op.function != "DESCRIPTOR" or len(op.args) != 1 or not isinstance(op.args[0], Name):
        raise ValidationError("op is a column's name", where=op.where, fix="descriptor('op').as_argument('op')")
    return op.args[0].parts[0], given.get("op_mapping")


def _print(text: object) -> None:
    import sys

    sys.stdout.write(f"{text}\n")


def __getattr__(name: str) -> Any:
    """The intermediate tables, which PyFlink has in this module."""
    from tableapi import grouped_table

    if name in grouped_table.__all__:
        return getattr(grouped_table, name)
    raise AttributeError(name)
