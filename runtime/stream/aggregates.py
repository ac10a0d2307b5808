"""The aggregate calls of an operator over many groups: inputs, FILTER, DISTINCT, running values, results.

Used by every operator that aggregates by slot. Imports the registry, `runtime.state` and the running values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.functions.registry import Accumulator, AccumulatorKind, AggregateFunction, lookup
from tableapi.plan.nodes import NamedAgg
from tableapi.plan.rex import AggCall
from tableapi.runtime.expressions import aggregate_of, finish_aggregate, lower
from tableapi.runtime.state.columns import Ids, pick
from tableapi.runtime.state.records import SlotRecords
from tableapi.runtime.state.snapshots import LoadedRows, SavedRows, untagged
from tableapi.runtime.stream.accumulators import ALL_ADDED, IN_RECORDS, HeapFold, RunningValue, Signs, running_value
from tableapi.runtime.stream.distinct_rows import Change, DistinctRows
from tableapi.runtime.stream.operator import OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.partial import partials_of
from tableapi.runtime.stream.running import CUMULATIVE, cumulative
from tableapi.tablespec import RowSchema
from tableapi.types import ArrayType


def check_supported(aggregates: Sequence[NamedAgg]) -> None:
    """Raises UnsupportedError for calls that the stream engine cannot keep incrementally."""
    for aggregate in aggregates:
        call = aggregate.call
        if call.order_by:
            raise UnsupportedError(
                f"{call}: WITHIN GROUP is not supported in streaming mode yet", fix="run the query in batch mode"
            )
        if call.udaf is None and not isinstance(lookup(call.function), AggregateFunction):
            raise UnsupportedError(f"{call.function} is not an aggregate function", fix="use it with OVER")


@dataclass
class _Source:
    """Calls that see the same rows: the same FILTER, and for DISTINCT the same arguments."""

    filter: str | None
    distinct: DistinctRows | None
    number: int = 0
    """The number of the filter among those of `distinct`."""
    inputs: list[_Input] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    """Columns of the input that it reads."""

    @property
    def has_expressions(self) -> bool:
        """Whether a running value is fed by anything but the number of rows."""
        return any(i.expression is not None for i in self.inputs)

    def evaluate(self, frame: pl.DataFrame) -> dict[str, pl.Series]:
        """The inputs of the running values for some rows, by name; counts of rows have none."""
        found = {i.column: frame[i.plain] for i in self.inputs if i.plain is not None}
        computed = [i for i in self.inputs if i.plain is None and i.expression is not None]
        if computed:
            expressions = [i.expression.alias(i.column) for i in computed if i.expression is not None]
            values = frame.select(pl.int_range(pl.len()).alias("__row_number"), *expressions)
            found.update({i.column: values[i.column] for i in computed})
        return found


@dataclass
class _Input:
    """A running value and the expression that feeds it (None: counts rows)."""

    key: tuple[object, ...]
    expression: pl.Expr | None
    value: RunningValue
    kind: AccumulatorKind
    dtype: pl.DataType
    make: Callable[[bool, SlotRecords], RunningValue]
    column: str
    plain: str | None
    """The input's column that the expression is, when it is nothing else."""


@dataclass
class _Call:
    """How a call's result follows from the columns of running values."""

    name: str
    result: pl.Expr
    plain: str | None = None
    """The running value that the result is (converted to `dtype`), when it is nothing else."""
    dtype: pl.DataType = field(default_factory=pl.Null)


class AggregateSet:
    """Running values of `aggregates` per slot.

    Equal accumulators of different calls are kept once. Cost of a batch: one Polars `select` for all inputs,
    then one kernel pass per distinct accumulator.

    Args:
        retracts: The input has -U and -D.
        merges: `merged` will be called with groups of several slots.
        is_partial: The rows are partial values that a first phase has made (`partial.py`).
    """

    def __init__(
        self,
        input: RowSchema,
        aggregates: Sequence[NamedAgg],
        context: OperatorContext,
        retracts: bool,
        merges: bool = False,
        is_partial: bool = False,
    ) -> None:
        check_supported(aggregates)
        self._merges = merges
        self._input, self._aggregates, self._retracts = input, tuple(aggregates), retracts
        self._session, self._functions = context.session, context.functions
        self._sources: list[_Source] = []
        self._distinct: list[DistinctRows] = []
        self._calls: list[_Call] = []
        self._source_of: list[tuple[NamedAgg, _Source]] = []
        self._bound = 0
        self._columns: list[_Input] = []
        self._records = SlotRecords()
        for number, aggregate in enumerate(aggregates):
            if is_partial:
                self._add_partial(aggregate.name, aggregate.call, number)
            else:
                self._add(aggregate.name, aggregate.call)
        self.types = {a.name: a.call.type.to_polars() for a in aggregates}

    def _add(self, name: str, call: AggCall) -> None:
        args = [lower(arg, self._session) for arg in call.args]
        source = self._source(call)
        self._source_of.append((NamedAgg(name, call), source))
        if call.udaf is not None:
            self._calls.append(_Call(name, self._feed_python(source, call, args).alias(name)))
            return
        function = aggregate_of(call.function)
        columns = []
        for accumulator in function.accumulators([a.type for a in call.args], call.type):
            columns.append(self._feed(source, accumulator, args))
        self._finish_call(name, call, columns)

    def _add_partial(self, name: str, call: AggCall, number: int) -> None:
        """A call over partial values: counts are added up, the others are what they are of rows."""
        if not self._sources:
            self._sources.append(_Source(None, None))
        columns = []
        for part in partials_of(call, number):
            kind = part.accumulator.kind
            kind = AccumulatorKind.SUM if kind is AccumulatorKind.COUNT else kind
            columns.append(self._feed(self._sources[0], Accumulator(kind, part.accumulator.type, _first), [pl.col(part.name)]))
        self._finish_call(name, call, columns)

    def _finish_call(self, name: str, call: AggCall, columns: list[str]) -> None:
        result = finish_aggregate(call, [pl.col(c) for c in columns], self._session)
        dtype, own = call.type.to_polars(), pl.col(columns[0])
        is_plain = result.meta.eq(own) or result.meta.eq(own.cast(dtype))
        self._calls.append(_Call(name, result.alias(name), columns[0] if is_plain else None, dtype))

    def _source(self, call: AggCall) -> _Source:
        key = (call.filter, str(call.args) if call.distinct else None)
        for source in self._sources:
            if key == (source.filter, None if source.distinct is None else source.distinct.key):
                return source
        distinct = self._distinct_rows(call) if call.distinct else None
        made = _Source(call.filter, distinct, columns=[] if distinct is None else list(distinct.names))
        if distinct is not None:
            made.number = distinct.see_through(call.filter)
        self._sources.append(made)
        return made

    def _distinct_rows(self, call: AggCall) -> DistinctRows:
        """What all distinct calls on the same arguments have seen."""
        key = str(call.args)
        for known in self._distinct:
            if known.key == key and not known.is_full:
                return known
        self._distinct.append(DistinctRows(self._input, call.args, self._retracts))
        return self._distinct[-1]

    def _feed(self, source: _Source, accumulator: Accumulator, args: list[pl.Expr]) -> str:
        expression = None if accumulator.input is None else accumulator.input(args)
        key = (accumulator.kind, accumulator.type, None if expression is None else expression.meta.serialize())
        for known in source.inputs:
            if known.key == key:
                return known.column
        dtype = accumulator.type.to_polars()
        if accumulator.kind is AccumulatorKind.VALUES:
            assert isinstance(accumulator.type, ArrayType)
            dtype = accumulator.type.element_type.to_polars()
        if expression is not None and accumulator.kind is not AccumulatorKind.COUNT:
            expression = expression.cast(dtype)
        return self._keep(source, key, expression, accumulator.kind, dtype, partial(running_value, accumulator.kind, dtype))

    def _feed_python(self, source: _Source, call: AggCall, args: list[pl.Expr]) -> pl.Expr:
        """A Python aggregate: its own accumulators where it can take part in all that is asked, else all its arguments."""
        from tableapi.runtime.stream.python_aggregate import PythonValue
        from tableapi.runtime.udf_aggregate import AggregateRunner, udaf_expression

        types = tuple(arg.type for arg in call.args)
        runner = AggregateRunner(call.udaf, types, call.type, self._session.time_zone, self._functions)
        fields = {f"a{i}": t.to_polars() for i, t in enumerate(types)} or {"row": pl.Int64()}
        inputs = [arg.alias(f"a{i}") for i, arg in enumerate(args)] or [pl.int_range(pl.len()).alias("row")]
        is_incremental = not runner.is_columnar and (not self._retracts or runner.can_retract)
        is_incremental &= not self._merges or runner.can_merge
        kind, key, arguments = AccumulatorKind.VALUES, (id(call),), pl.struct(inputs)
        if is_incremental:
            column = self._keep(source, key, arguments, kind, pl.Struct(fields), lambda retracts, records: PythonValue(runner))
            return pl.col(column)
        make = partial(running_value, kind, pl.Struct(fields))
        column = self._keep(source, key, arguments, kind, pl.Struct(fields), make)
        return udaf_expression(column, call, self._session.time_zone, self._functions)

    def _keep(
        self,
        source: _Source,
        key: tuple[object, ...],
        expression: pl.Expr | None,
        kind: AccumulatorKind,
        dtype: pl.DataType,
        make: Callable[[bool, SlotRecords], RunningValue],
    ) -> str:
        plain = self._plain_column(expression, None if kind is AccumulatorKind.COUNT else dtype)
        made = _Input(
            key, expression, make(self._retracts, self._records), kind, dtype, make, f"__running_{len(self._columns)}", plain
        )
        source.inputs.append(made)
        read = [] if expression is None else expression.meta.root_names()
        source.columns = list(dict.fromkeys([*source.columns, *read]))
        self._columns.append(made)
        return made.column

    def _plain_column(self, expression: pl.Expr | None, dtype: pl.DataType | None) -> str | None:
        """The name of the column that an expression is (a conversion to its own type left out), else None."""
        names = [] if expression is None else expression.meta.root_names()
        if expression is None or len(names) != 1:
            return None
        own_type = self._input[names[0]].type.to_polars()
        if dtype is not None and dtype != own_type:
            return None
        column = pl.col(names[0])
        return names[0] if expression.meta.eq(column) or expression.meta.eq(column.cast(own_type)) else None

    @property
    def bound(self) -> int:
        """Room for slots below this has been made."""
        return self._bound

    def reserve(self, bound: int) -> None:
        """Makes room for slots below `bound`; new slots are empty groups."""
        if bound > self._bound:
            self._bound = bound
            for column in self._columns:
                column.value.reserve(bound)

    def update(self, slots: Ids, frame: pl.DataFrame, adds: npt.NDArray[np.bool_] | None) -> None:
        """Folds rows into their slots.

        Args:
            slots: Slot of each row.
            frame: The rows.
            adds: FALSE where a row is taken back; None: all are added.
        """
        signs = ALL_ADDED if adds is None else np.where(adds, 1, -1)
        changes = self._distinct_changes(slots, frame, signs)
        masks: dict[str, Ids | None] = {}
        for source in self._sources:
            if source.distinct is not None:
                change = changes[id(source.distinct)][source.number]
                self._update_source(source, slots, frame, change.rows, change.signs)
                continue
            rows = None
            if source.filter is not None:
                if source.filter not in masks:
                    masks[source.filter] = _where(frame[source.filter])
                rows = masks[source.filter]
            chosen = signs if rows is None or not len(signs) else signs[rows]
            self._update_source(source, slots, frame, rows, chosen)

    def _distinct_changes(self, slots: Ids, frame: pl.DataFrame, signs: Signs) -> dict[int, list[Change]]:
        return {id(distinct): distinct.changes(slots, frame, signs) for distinct in self._distinct}

    def _update_source(self, source: _Source, slots: Ids, frame: pl.DataFrame, rows: Ids | None, signs: Signs) -> None:
        """Folds some rows (None: all) into the running values of a source."""
        if rows is not None:
            slots = slots[rows]
        if not len(slots):
            return
        inputs: dict[str, pl.Series] = {}
        if source.columns:
            frame = pick(frame, source.columns)
            inputs = source.evaluate(frame if rows is None else frame[rows])
        elif source.has_expressions:
            inputs = source.evaluate(pl.DataFrame({"__row": slots}))
        for i in source.inputs:
            i.value.update(slots, inputs.get(i.column), signs)

    @property
    def can_run(self) -> bool:
        """Whether `running` works: nothing but numbers and single values is kept."""
        return all(column.kind in CUMULATIVE for column in self._columns)

    def running(self, slots: Ids, frame: pl.DataFrame) -> pl.DataFrame:
        """Folds rows in and gives the results of the calls after each of them.

        Args:
            slots: Slot of each row; rows of a slot are together and in order.
            frame: The rows.
        """
        columns = []
        changes = self._distinct_changes(slots, frame, ALL_ADDED)
        for source in self._sources:
            counts = np.ones(frame.height, dtype=np.bool_)
            if source.distinct is not None:
                counts = np.zeros(frame.height, dtype=np.bool_)
                counts[changes[id(source.distinct)][source.number].rows] = True
            elif source.filter is not None:
                counts = frame[source.filter].fill_null(False).to_numpy()
            inputs = source.evaluate(frame)
            for i in source.inputs:
                value = pl.Series("value", counts) if i.expression is None else inputs[i.column].alias("value")
                if not counts.all():
                    value = value.set(pl.Series(~counts), None)
                rows = pl.DataFrame([pl.Series("slot", slots), i.value.read(slots).alias("base"), value])
                columns.append(cumulative(i.kind, rows, i.dtype).alias(i.column))
                i.value.update(slots, value, ALL_ADDED)
        return self._finish(frame.height, columns)

    def values(self, slots: Ids) -> pl.DataFrame:
        """Results of the calls for each slot, one column a call."""
        return self._finish(len(slots), [c.value.read(slots).alias(c.column) for c in self._columns])

    def merged(self, slots: Ids, groups: Ids, count: int) -> pl.DataFrame:
        """Results for `count` groups of slots, as if the rows of a group's slots were in one slot."""
        columns = []
        for source in self._sources:
            if source.distinct is None:
                columns += [i.value.merged(slots, groups, count).alias(i.column) for i in source.inputs]
            else:
                columns += self._merged_distinct(source, slots, groups, count)
        return self._finish(count, columns)

    def _merged_distinct(self, source: _Source, slots: Ids, groups: Ids, count: int) -> list[pl.Series]:
        assert source.distinct is not None
        rows, positions = source.distinct.collect(slots, source.number)
        keyed = rows.with_columns(pl.Series("__group", groups[positions])).unique(maintain_order=True)
        inputs = source.evaluate(keyed)
        into = keyed["__group"].to_numpy().astype(np.int64)
        columns = []
        for i in source.inputs:
            fresh = i.make(False, SlotRecords())
            fresh.reserve(count)
            fresh.update(into, inputs.get(i.column), ALL_ADDED)
            columns.append(fresh.read(np.arange(count)).alias(i.column))
        return columns

    def _finish(self, height: int, columns: list[pl.Series]) -> pl.DataFrame:
        if not self._calls:
            return pl.DataFrame(height=height)
        frame = pl.DataFrame(columns) if columns else pl.DataFrame(height=height)
        computed = [c.result for c in self._calls if c.plain is None]
        made = frame.select(computed) if computed else frame
        return pl.DataFrame(
            [made[c.name] if c.plain is None else frame[c.plain].cast(c.dtype).alias(c.name) for c in self._calls]
        )

    def absorb(self, slots: Ids, other: AggregateSet, others: Ids) -> None:
        """Folds in the slots `others` of a set of the same calls, as if their rows had come later."""
        if not self._distinct:
            self._absorb_plain(slots, other, others)
            return
        arrived = {id(d): d.absorb(slots, o, others) for d, o in zip(self._distinct, other._distinct, strict=True)}
        for source, theirs in zip(self._sources, other._sources, strict=True):
            if source.distinct is None:
                for i, j in zip(source.inputs, theirs.inputs, strict=True):
                    i.value.absorb(slots, j.value, others)
                continue
            rows, positions = arrived[id(source.distinct)][source.number]
            inputs = source.evaluate(rows)
            for i in source.inputs:
                i.value.update(slots[positions], inputs.get(i.column), ALL_ADDED)

    def _absorb_plain(self, slots: Ids, other: AggregateSet, others: Ids) -> None:
        """`absorb` without DISTINCT calls; the other set may have some besides, and may take rows back."""
        plain = [source for source in other._sources if source.distinct is None]
        for source, theirs in zip(self._sources, plain, strict=True):
            for i, j in zip(source.inputs, theirs.inputs, strict=True):
                i.value.absorb(slots, j.value, others)

    def copy(self, slots: Ids, other: AggregateSet, others: Ids) -> None:
        """As `absorb`, for slots that are empty groups."""
        is_alike = self._retracts == other._retracts and not self._distinct and not other._distinct
        if not is_alike or any(not isinstance(c.value, IN_RECORDS) for c in self._columns):
            self.absorb(slots, other, others)
        elif self._columns:
            self._records.copy(slots, other._records, others)

    def clear(self, slots: Ids) -> None:
        """Makes the slots empty groups again."""
        for distinct in self._distinct:
            distinct.clear(slots)
        for column in self._columns:
            column.value.clear(slots)

    def save(self, writer: SnapshotWriter, slots: Ids, saved: SavedRows) -> None:
        """Writes the state of the slots."""
        for index, column in enumerate(self._columns):
            frame, positions = column.value.save(slots)
            writer.frame(f"running_{index}", saved.tag(frame, positions))
        for index, distinct in enumerate(self._distinct):
            frame, positions = distinct.save(slots)
            writer.frame(f"distinct_{index}", saved.tag(frame, positions))

    def load(self, reader: SnapshotReader, loaded: LoadedRows) -> None:
        """Takes over what `save` wrote. Room for the slots is reserved already."""
        for index, column in enumerate(self._columns):
            frame = reader.frame(f"running_{index}")
            if frame is not None and frame.height:
                column.value.load(loaded.ids_of(frame), frame["value"])
        for index, distinct in enumerate(self._distinct):
            frame = reader.frame(f"distinct_{index}")
            if frame is not None and frame.height:
                distinct.load(loaded.ids_of(frame), untagged(frame))

    @property
    def can_slide(self) -> bool:
        """Whether windows that overlap can be put together at a cost that does not depend on their length (`SlidingWindows`): lists of
        values cannot, and what is distinct only as far as taking a value back gives exactly what was there before."""
        return all(
            column.kind is not AccumulatorKind.VALUES
            if source.distinct is None
            else _is_exact_without(column) and bool(source.distinct.names)
            for source in self._sources
            for column in source.inputs
        )

    @property
    def is_additive(self) -> bool:
        """Whether the rows of a group may be in several slots, those that take rows back as well."""
        if not self._retracts:
            return True
        return not self._distinct and all(isinstance(c.value, (*IN_RECORDS, HeapFold)) for c in self._columns)

    @property
    def distinct_calls(self) -> list[list[NamedAgg]]:
        """The DISTINCT calls, those that share a set of arguments (`distinct_rows`) together."""
        known: dict[int, list[NamedAgg]] = {id(d): [] for d in self._distinct}
        for aggregate, source in self._source_of:
            if source.distinct is not None:
                passed = None if source.filter is None else source.distinct.passed_column(source.number)
                known[id(source.distinct)].append(replace(aggregate, call=replace(aggregate.call, filter=passed)))
        return list(known.values())

    @property
    def plain_calls(self) -> list[NamedAgg]:
        """The calls without DISTINCT."""
        return [aggregate for aggregate, source in self._source_of if source.distinct is None]

    def distinct_rows(self, number: int, slots: Ids) -> tuple[pl.DataFrame, Ids]:
        """What the calls of `distinct_calls[number]` have seen in some slots, as rows that they can be fed with; and the position in
        `slots` of each row."""
        return self._distinct[number].seen(slots)

    @property
    def size_bytes(self) -> int:
        """About how much memory the running values hold."""
        return sum(column.value.size_bytes for column in self._columns) + sum(
            distinct.size_bytes for distinct in self._distinct
        )


def _is_exact_without(column: _Input) -> bool:
    """Whether taking values back leaves exactly what the others give."""
    if column.kind is AccumulatorKind.SUM:
        return not column.dtype.is_float()
    return column.kind in (AccumulatorKind.COUNT, AccumulatorKind.MIN, AccumulatorKind.MAX)


def _where(mask: pl.Series) -> Ids | None:
    """The rows where a filter is TRUE; None: all of them."""
    passed = mask.fill_null(False).to_numpy()
    return None if passed.all() else np.flatnonzero(passed)


def _first(args: Sequence[pl.Expr]) -> pl.Expr:
    return args[0]
