"""What stands between `group_by`, `window`, `over_window`, `aggregate` and their `select`. Only builds plans.

May import expressions and plan; never runtime or connectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tableapi.count_window import counts_rows, select_count_window
from tableapi.errors import ValidationError
from tableapi.expression import Expression
from tableapi.expression_base import caller
from tableapi.grouped_items import place_keys, split_items
from tableapi.location import located
from tableapi.plan.unresolved import As, Name, Star, UdfCall, Unresolved
from tableapi.table import Table, _row_fields, nodes_of
from tableapi.types import ArrayType, RowType
from tableapi.udf import UserDefinedFunctionWrapper, as_array_aggregate
from tableapi.window import GroupWindow, OverWindow

if TYPE_CHECKING:
    from tableapi.plan.scope import Relation

__all__ = [
    "AggregatedTable",
    "FlatAggregateTable",
    "GroupWindowedTable",
    "GroupedTable",
    "OverWindowedTable",
    "WindowGroupedTable",
]


class GroupedTable:
    """A table with groups: close it with `select`."""

    def __init__(self, table: Table, keys: tuple[Unresolved, ...]) -> None:
        self._table, self._keys = table, keys

    @located
    def select(self, *fields: Expression) -> Table:
        """Computes columns of each group: grouping columns and aggregates.

        Raises:
            ValidationError: A column is neither grouped by nor inside an aggregate.
        """
        table = self._table
        keys, items = place_keys(self._keys, nodes_of(fields, "select"))
        return table._with(table._builder.group(table._relation, keys, items, naming="api"))

    @located
    def aggregate(self, func: Expression | UserDefinedFunctionWrapper) -> AggregatedTable:
        """Aggregates each group with one Python aggregate that returns a row; close it with `select`."""
        return AggregatedTable(self._table, self._table._relation, self._keys, func)

    @located
    def flat_aggregate(self, func: Expression | UserDefinedFunctionWrapper) -> FlatAggregateTable:
        """Aggregates each group with one Python table aggregate; close it with `select`."""
        return FlatAggregateTable(self._table, self._table._relation, self._keys, func)


class GroupWindowedTable:
    """A table with windows: continue with `group_by`, which must hold the window's name."""

    def __init__(self, table: Table, window: GroupWindow) -> None:
        self._table, self._window = table, window

    @located
    def group_by(self, *fields: Expression) -> WindowGroupedTable:
        """Groups by the window and by further expressions.

        Raises:
            ValidationError: The window's name is not among them, or is there twice.
        """
        keys = nodes_of(fields, "group_by")
        name = self._window.name
        named = [k for k in keys if isinstance(k, Name) and k.parts == (name,)]
        if len(named) != 1:
            raise ValidationError(
                f"group_by() must hold the window '{name}' exactly once", where=caller(), fix=f"group_by(col('{name}'), …)"
            )
        return WindowGroupedTable(self._table, self._window, tuple(keys))


class WindowGroupedTable:
    """A table with groups in windows: close it with `select`."""

    def __init__(self, table: Table, window: GroupWindow, keys: tuple[Unresolved, ...]) -> None:
        self._table, self._window, self._keys = table, window, keys

    @located
    def select(self, *fields: Expression) -> Table:
        """Computes columns of each group in each window; `col("w").start` and the like speak of the window."""
        table = self._table
        plain, items = place_keys(self._keys, nodes_of(fields, "select"))
        if counts_rows(self._window.size) or counts_rows(self._window.slide):
            return table._with(select_count_window(table._builder, table._relation, self._window, plain, items))
        relation, keys = self._windowed(plain)
        return table._with(table._builder.group(relation, keys, items, naming="api"))

    @located
    def aggregate(self, func: Expression | UserDefinedFunctionWrapper) -> AggregatedTable:
        """Aggregates each group with one Python aggregate that returns a row; close it with `select`."""
        relation, keys = self._windowed(self._keys)
        return AggregatedTable(self._table, relation, tuple(keys), func)

    def _windowed(self, keys: Sequence[Unresolved]) -> tuple[Relation, list[Unresolved]]:
        """The relation with its windows; sessions are kept apart per key, so that computed keys become columns first."""
        window, table = self._window, self._table
        window.check()
        relation, others = table._relation, [k for k in keys if k != Name((window.name,))]
        kind = window.window_kind()
        if kind.name != "SESSION":
            made = table._builder.group_window(relation, kind, window.name, window.time, size=window.size, step=window.slide)
            return made, list(keys)
        computed = {
            k: As(k.arg if isinstance(k, As) else k, (f"$session{i}",)) for i, k in enumerate(others) if not isinstance(k, Name)
        }
        if computed:
            relation = table._builder.select(relation, [Star(), *computed.values()], naming="api")
        parts = [Name(computed[k].names) if k in computed else k for k in others]
        made = table._builder.group_window(relation, kind, window.name, window.time, gap=window.gap, partition_by=parts)
        return made, list(keys)


class OverWindowedTable:
    """A table with windows of neighbours: close it with `select`."""

    def __init__(self, table: Table, windows: tuple[OverWindow, ...]) -> None:
        self._table, self._windows = table, windows

    @located
    def select(self, *fields: Expression) -> Table:
        """Computes columns; `col("v").sum.over(col("w"))` aggregates a row's neighbours."""
        table = self._table
        windows = {w.name: w.frame() for w in self._windows}
        items = nodes_of(fields, "select")
        return table._with(table._builder.select(table._relation, items, naming="api", over_windows=windows))


class _Aggregated:
    """A table whose groups are aggregated by one Python function."""

    _kinds: tuple[str, ...]

    def __init__(self, table: Table, relation: Relation, keys: tuple[Unresolved, ...], func: Any) -> None:
        self._table, self._relation, self._keys = table, relation, keys
        where = caller()
        call: Any = func
        names: tuple[str, ...] = ()
        if isinstance(func, UserDefinedFunctionWrapper):
            call, names = UdfCall(func, (table._whole_row(),), where=where), func.alias_names
        else:
            (call,) = nodes_of([func], "aggregate")
        if isinstance(call, As):
            names, call = call.names, call.arg
        call = table._with_function_object(call)
        if not isinstance(call, UdfCall) or call.function.kind not in self._kinds:
            raise ValidationError(
                f"a call of a Python {self._kinds[0].replace('_', ' ')} function is needed", where=where, fix="f(col('a'))"
            )
        if not call.args:
            call = UdfCall(call.function, (table._whole_row(),), where=call.where)
        self._call, self._names = call, names

    def _aggregate(self, call: Unresolved, fields: Sequence[Expression]) -> tuple[Relation, list[Unresolved]]:
        """Keys (and what `fields` says of windows) and the call as a column `$value`; the items of the final select."""
        items = nodes_of(fields, "select")
        carried, final = split_items(self._keys, items, self._relation)
        relation = self._table._builder.group(self._relation, self._keys, [*carried, As(call, ("$value",))], naming="api")
        return relation, final

    def _select(self, relation: Relation, own: list[str], produced: list[Unresolved], final: list[Unresolved]) -> Table:
        builder, table = self._table._builder, self._table
        carried: list[Unresolved] = [Name((n,)) for n in own if n != "$value"]
        flat = builder.select(relation, [*carried, *produced], naming="api")
        return table._with(builder.select(flat, final, naming="api"))


class AggregatedTable(_Aggregated):
    """A table whose groups are aggregated by a Python aggregate: close it with `select`."""

    _kinds = ("aggregate",)

    @located
    def select(self, *fields: Expression) -> Table:
        """Chooses from the grouping columns and the columns of the row that the aggregate returns."""
        relation, final = self._aggregate(self._call, fields)
        return self._select(relation, relation.names(), _row_fields(relation, "$value", self._names), final)


class FlatAggregateTable(_Aggregated):
    """A table whose groups are aggregated by a Python table aggregate: close it with `select`."""

    _kinds = ("table_aggregate",)

    @located
    def select(self, *fields: Expression) -> Table:
        """Chooses from the grouping columns and the columns of the rows that the aggregate emits."""
        function = as_array_aggregate(self._call.function)
        relation, final = self._aggregate(UdfCall(function, self._call.args, where=self._call.where), fields)
        element = function.result_type.element_type if isinstance(function.result_type, ArrayType) else None
        defaults = element.field_names() if isinstance(element, RowType) else ["f0"]
        names = self._names or tuple(defaults)
        unnested = self._table._builder.unnest(relation, Name(("$value",)), names)
        return self._select(unnested, relation.names(), [Name((n,)) for n in names], final)
