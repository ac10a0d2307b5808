"""Logical plan nodes: one small frozen class per relational operation.

A node has typed fields, `inputs` and a `schema`; nothing else. What can be derived from a plan (boundedness, keys, changelog
mode, …) is in `traits.py`; how to build valid nodes from the user's expressions is in `builder.py`.
Column names are unique within a schema, and expressions refer to columns by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any

import polars as pl

from tableapi.plan.rex import AggCall, Literal, Ref, Rex, SortKey
from tableapi.row import RowKind
from tableapi.tablespec import Field, RowSchema, TableSpec, TimeKind
from tableapi.types import BigIntType, TimestampType, VarCharType


@dataclass(frozen=True)
class Node:
    """Base of all plan nodes."""

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The nodes that this one reads from."""
        return ()

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        """A copy that reads from other nodes."""
        assert not inputs
        return self

    @property
    def schema(self) -> RowSchema:
        """The columns of the result."""
        raise NotImplementedError(type(self).__name__)


@dataclass(frozen=True)
class Unary(Node):
    """A node with one input."""

    input: Node

    @property
    def inputs(self) -> tuple[Node, ...]:
        return (self.input,)

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        return replace(self, input=inputs[0])

    @property
    def schema(self) -> RowSchema:
        return self.input.schema


@dataclass(frozen=True)
class Scan(Node):
    """Reads a catalog table: its physical and metadata columns. Computed columns and the watermark stand above it.

    `columns`, `filter` and `limit` are what optimiser rules pushed down: the columns to read (None: all), a condition over
    them that the source may use to skip rows (it is checked again above unless the rule removed it), a row limit.
    `fields` says of which ROW columns only some fields are read; the others may come as NULL.
    """

    table: TableSpec = field(hash=False)
    columns: tuple[str, ...] | None = None
    filter: Rex | None = None
    limit: int | None = None
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @cached_property
    def schema(self) -> RowSchema:
        produced = self.table.produced
        if self.columns is None:
            return produced
        return RowSchema(tuple(produced[name] for name in self.columns))

    def __hash__(self) -> int:
        return hash((self.table.identifier, self.columns, self.limit))


@dataclass(frozen=True)
class InlineFrame:
    """A Polars frame inside a plan (from_elements, from_polars, …). Equal when the data is equal."""

    frame: pl.DataFrame = field(compare=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InlineFrame) and (self.frame is other.frame or self.frame.equals(other.frame))

    def __hash__(self) -> int:
        return hash((self.frame.height, tuple(self.frame.columns)))


@dataclass(frozen=True)
class Inline(Node):
    """Rows held by the program itself. The frame's columns have the Polars types of `row_schema`."""

    data: InlineFrame
    row_schema: RowSchema

    @cached_property
    def schema(self) -> RowSchema:
        return self.row_schema


@dataclass(frozen=True)
class Values(Node):
    """Rows of constant expressions: SQL `VALUES` and `SELECT 1` (one row, no columns, is `rows=((),)`)."""

    rows: tuple[tuple[Rex, ...], ...]
    row_schema: RowSchema

    @cached_property
    def schema(self) -> RowSchema:
        return self.row_schema


@dataclass(frozen=True)
class NamedRex:
    """An expression and the name of the column that it becomes."""

    name: str
    rex: Rex

    def __str__(self) -> str:
        return self.name if isinstance(self.rex, Ref) and self.rex.name == self.name else f"{self.rex} AS {self.name}"


@dataclass(frozen=True)
class Project(Unary):
    """Computes columns. A plain reference keeps its time attribute; a column in `rowtimes` is declared to be one."""

    columns: tuple[NamedRex, ...]

    @cached_property
    def schema(self) -> RowSchema:
        source = self.input.schema
        return RowSchema(tuple(_projected(c, source) for c in self.columns))


def _projected(column: NamedRex, source: RowSchema) -> Field:
    rex = column.rex
    if isinstance(rex, Ref):
        return Field(column.name, rex.type, source[rex.name].time)
    is_proctime = getattr(rex, "function", None) == "PROCTIME"
    return Field(column.name, rex.type, TimeKind.PROCTIME if is_proctime else None)


@dataclass(frozen=True)
class Filter(Unary):
    """Keeps rows whose condition is TRUE."""

    condition: Rex


@dataclass(frozen=True)
class WatermarkAssigner(Unary):
    """Makes `column` the event-time attribute; the watermark of a row is `watermark` (ms precision)."""

    column: str
    watermark: Rex

    @cached_property
    def schema(self) -> RowSchema:
        return RowSchema(tuple(replace(f, time=TimeKind.ROWTIME) if f.name == self.column else f for f in self.input.schema))


@dataclass(frozen=True)
class NamedAgg:
    """An aggregate call and the name of the column that it becomes."""

    name: str
    call: AggCall

    def __str__(self) -> str:
        return f"{self.call} AS {self.name}"


def _agg_fields(keys: tuple[str, ...], aggregates: tuple[NamedAgg, ...], source: RowSchema) -> list[Field]:
    key_fields = [replace(source[k], time=None) for k in keys]
    return key_fields + [Field(a.name, a.call.type) for a in aggregates]


def grouping_set_ids(keys: tuple[str, ...], sets: tuple[tuple[str, ...], ...]) -> list[int]:
    """What tells the sets apart: the bit mask of the keys that a set lacks (the last key is bit 0), and above those bits how many
    equal sets come before it.

    >>> grouping_set_ids(("a", "b"), (("a",), (), ("a",)))
    [1, 3, 5]
    """
    masks = [sum(1 << i for i, key in enumerate(reversed(keys)) if key not in present) for present in sets]
    return [mask | masks[:i].count(mask) << len(keys) for i, mask in enumerate(masks)]


@dataclass(frozen=True)
class Aggregate(Unary):
    """Groups by columns. Output: keys, then aggregates. No keys: one group, and one row even for no input.

    `grouping_sets` (subsets of `keys`) repeats the aggregation per set with the absent keys NULL; then the keys' types are
    nullable and, when `group_id` is given, a BIGINT column of that name says which set a row is of (`grouping_set_ids`).
    `window_time` is the key, if any, that stays a time attribute because rows are grouped by the window that it belongs to.
    """

    keys: tuple[str, ...]
    aggregates: tuple[NamedAgg, ...]
    grouping_sets: tuple[tuple[str, ...], ...] | None = None
    group_id: str | None = None
    window_time: str | None = None
    state_ttl_ms: int | None = None
    """How long a group's state is kept, when a hint says so (0: for ever)."""

    @cached_property
    def schema(self) -> RowSchema:
        fields = _agg_fields(self.keys, self.aggregates, self.input.schema)
        if self.window_time is not None:
            time = self.input.schema[self.window_time].time
            fields = [replace(f, time=time) if f.name == self.window_time else f for f in fields]
        if self.grouping_sets is not None:
            nulled = {k for k in self.keys if any(k not in s for s in self.grouping_sets)}
            fields = [replace(f, type=f.type.nullable()) if f.name in nulled else f for f in fields]
            if self.group_id:
                fields.insert(len(self.keys), Field(self.group_id, BigIntType(is_nullable=False)))
        return RowSchema(tuple(fields))


class WindowKind(Enum):
    """How rows are put into windows of time."""

    TUMBLE = "TUMBLE"
    HOP = "HOP"
    CUMULATE = "CUMULATE"
    SESSION = "SESSION"


@dataclass(frozen=True)
class WindowSpec:
    """A window over a time attribute. All lengths in milliseconds (months are not windows in Flink).

    size_ms: TUMBLE and HOP length, CUMULATE maximal length; 0 for SESSION. step_ms: HOP slide, CUMULATE step. gap_ms: SESSION.
    is_table_function: written as TUMBLE(TABLE t, …) and not as a group window; Flink wants more of those.
    """

    kind: WindowKind
    time_column: str
    is_event_time: bool
    size_ms: int = 0
    step_ms: int = 0
    gap_ms: int = 0
    offset_ms: int = 0
    partition_by: tuple[str, ...] = ()
    is_table_function: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        parts = [self.time_column]
        for label, value in (("size", self.size_ms), ("step", self.step_ms), ("gap", self.gap_ms), ("offset", self.offset_ms)):
            if value:
                parts.append(f"{label}={format_ms(value)}")
        if self.partition_by:
            parts.append(f"partition=[{', '.join(self.partition_by)}]")
        return f"{self.kind.value}({', '.join(parts)})"


def format_ms(ms: int) -> str:
    """`90000` as `90 s`, `600000` as `10 min`."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if ms and ms % size == 0:
            return f"{ms // size} {unit}"
    return f"{ms} ms"


@dataclass(frozen=True)
class WindowTable(Unary):
    """A window table function: the input's columns plus `window_start`, `window_end`, `window_time`.

    The three names are given, so that they stay unique when the input has columns of those names.
    """

    window: WindowSpec
    start: str = "window_start"
    end: str = "window_end"
    time: str = "window_time"

    @cached_property
    def schema(self) -> RowSchema:
        source = self.input.schema
        time_field = source[self.window.time_column]
        bound = TimestampType(3, is_nullable=False)
        time_type = time_field.type.not_null()
        return RowSchema(
            (*source.fields, Field(self.start, bound), Field(self.end, bound), Field(self.time, time_type, time_field.time))
        )


class WindowProperty(Enum):
    """A column that a window aggregate adds."""

    START = "start"
    END = "end"
    TIME = "time"
    """The window's last millisecond, a time attribute."""


@dataclass(frozen=True)
class EmitPolicy:
    """When windows give results besides the one at their end. All in milliseconds.

    early_ms, late_ms: How long after a change before, or after, the window's end a new result comes (0: at once); None: none does.
    lateness_ms: How long after its end a window takes rows.
    """

    early_ms: int | None = None
    late_ms: int | None = None
    lateness_ms: int = 0

    def __str__(self) -> str:
        parts = []
        if self.early_ms is not None:
            parts.append("early" if not self.early_ms else f"early after {format_ms(self.early_ms)}")
        if self.late_ms is not None:
            parts.append("late" if not self.late_ms else f"late after {format_ms(self.late_ms)}")
        if self.lateness_ms:
            parts.append(f"lateness {format_ms(self.lateness_ms)}")
        return ", ".join(parts)


@dataclass(frozen=True)
class WindowAggregate(Unary):
    """Groups by columns and a window of time; a window's rows come out once, when the watermark has passed its end, or as
    `emit` says.

    Output: keys, aggregates, then `properties` (name, which one). The input's rows are raw when `window` is assigned here; when
    they already carry their window (`attached` = names of the start and end columns), they are grouped by it.
    """

    window: WindowSpec
    keys: tuple[str, ...]
    aggregates: tuple[NamedAgg, ...]
    properties: tuple[tuple[str, WindowProperty], ...] = ()
    attached: tuple[str, str] | None = None
    """Set when the rows come from an earlier windowed step and hold their window's start and end in these columns."""
    emit: EmitPolicy | None = None
    """Set when a window gives more than one result, each of which replaces the one before."""

    @cached_property
    def schema(self) -> RowSchema:
        source = self.input.schema
        fields = _agg_fields(self.keys, self.aggregates, source)
        bound = TimestampType(3, is_nullable=False)
        for name, what in self.properties:
            if what is WindowProperty.TIME:
                if self.attached is None:
                    time_field = source[self.window.time_column]
                    fields.append(Field(name, time_field.type.not_null(), time_field.time))
                else:
                    fields.append(Field(name, bound, TimeKind.ROWTIME if self.window.is_event_time else TimeKind.PROCTIME))
            else:
                fields.append(Field(name, bound))
        return RowSchema(tuple(fields))


class FrameBoundKind(Enum):
    """What an OVER frame's end is relative to."""

    UNBOUNDED = "UNBOUNDED"
    CURRENT_ROW = "CURRENT ROW"
    OFFSET = "OFFSET"


@dataclass(frozen=True)
class FrameBound:
    """An end of an OVER frame. `offset` is rows, or milliseconds in a RANGE frame; negative is preceding."""

    kind: FrameBoundKind
    offset: int = 0


@dataclass(frozen=True)
class OverFrame:
    """Which rows around the current one an OVER aggregate sees."""

    is_rows: bool
    lower: FrameBound
    upper: FrameBound


@dataclass(frozen=True)
class Over(Unary):
    """Adds columns computed over a window of rows around each row. Ranking functions are aggregate calls too."""

    partition_by: tuple[str, ...]
    order_by: tuple[SortKey, ...]
    frame: OverFrame
    calls: tuple[NamedAgg, ...]

    @cached_property
    def schema(self) -> RowSchema:
        return RowSchema(self.input.schema.fields + tuple(Field(c.name, c.call.type) for c in self.calls))


class RankKind(Enum):
    """How equal rows are numbered."""

    ROW_NUMBER = "ROW_NUMBER"
    RANK = "RANK"
    DENSE_RANK = "DENSE_RANK"


@dataclass(frozen=True)
class Rank(Unary):
    """Top-N and deduplication: the rows of each partition whose rank is in `start`..`end` (1-based, inclusive).

    `rank_name` adds the rank as a BIGINT column.
    """

    partition_by: tuple[str, ...]
    order_by: tuple[SortKey, ...]
    kind: RankKind
    start: int
    end: int
    rank_name: str | None = None

    @cached_property
    def schema(self) -> RowSchema:
        source = self.input.schema
        if self.rank_name is None:
            return source
        return RowSchema((*source.fields, Field(self.rank_name, BigIntType(is_nullable=False))))


class JoinKind(Enum):
    """Which rows without a partner are kept."""

    INNER = "INNER"
    LEFT = "LEFT"
    RIGHT = "RIGHT"
    FULL = "FULL"
    SEMI = "SEMI"
    ANTI = "ANTI"


def joined_schema(left: RowSchema, right: RowSchema, kind: JoinKind) -> RowSchema:
    """Columns of a join; the side that may be absent becomes nullable (and its time attributes plain columns)."""
    if kind in (JoinKind.SEMI, JoinKind.ANTI):
        return left
    left_fields = left.fields
    right_fields = right.fields
    if kind in (JoinKind.RIGHT, JoinKind.FULL):
        left_fields = tuple(replace(f, type=f.type.nullable(), time=None) for f in left_fields)
    if kind in (JoinKind.LEFT, JoinKind.FULL):
        right_fields = tuple(replace(f, type=f.type.nullable(), time=None) for f in right_fields)
    return RowSchema(left_fields + right_fields)


@dataclass(frozen=True)
class Binary(Node):
    """A node with two inputs whose column names do not overlap."""

    left: Node
    right: Node

    @property
    def inputs(self) -> tuple[Node, ...]:
        return (self.left, self.right)

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        return replace(self, left=inputs[0], right=inputs[1])


@dataclass(frozen=True)
class JoinHint:
    """What hints say of a join: how long the state of each side is kept (None: as the session says, 0: for ever), and whether it
    is to be one operator with the joins next to it."""

    left_ttl_ms: int | None = None
    right_ttl_ms: int | None = None
    is_multi: bool = False


@dataclass(frozen=True)
class Join(Binary):
    """A join; `condition` reads columns of both sides (None: every pair). `hint`: what hints of the query say of it."""

    kind: JoinKind
    condition: Rex | None = None
    hint: JoinHint = JoinHint()

    @cached_property
    def schema(self) -> RowSchema:
        return joined_schema(self.left.schema, self.right.schema, self.kind)


@dataclass(frozen=True)
class IntervalJoin(Binary):
    """A join whose condition bounds the two rows' times: lower_ms <= left.time - right.time <= upper_ms."""

    kind: JoinKind
    condition: Rex | None
    left_time: str
    right_time: str
    lower_ms: int
    upper_ms: int
    is_event_time: bool = True

    @cached_property
    def schema(self) -> RowSchema:
        return joined_schema(self.left.schema, self.right.schema, self.kind)


@dataclass(frozen=True)
class TemporalJoin(Binary):
    """Each left row meets the version of the right table that was valid at the left row's time (INNER or LEFT).

    `left_time` is the left row's time attribute, `right_time` the versions' time attribute (None: the latest version,
    processing time); `keys` pairs left columns with the right table's primary key columns; `condition` is the rest.
    """

    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    left_time: str
    right_time: str | None
    condition: Rex | None = None

    @cached_property
    def schema(self) -> RowSchema:
        return joined_schema(self.left.schema, self.right.schema, self.kind)


@dataclass(frozen=True)
class LookupHint:
    """What a LOOKUP hint says of a lookup join; None: as the table and the session say.

    `retry_delay_ms`, `max_attempts`: a key without rows is looked up again, so often in all.
    """

    is_async: bool | None = None
    is_ordered: bool | None = None
    capacity: int | None = None
    timeout_ms: int | None = None
    retry_delay_ms: int | None = None
    max_attempts: int | None = None
    is_shuffled: bool = False


@dataclass(frozen=True)
class LookupJoin(Unary):
    """Each row asks a table for the rows with its key (INNER or LEFT).

    `right` is the table with what is done to each of its rows: projections and filters over one Scan or Inline. It is no
    input: its rows are asked for, they do not flow. `keys`: (input column, column of `right`); `condition` is the rest.
    `hint`: what the LOOKUP hint says.
    """

    right: Node
    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    condition: Rex | None = None
    hint: LookupHint = LookupHint()

    @cached_property
    def schema(self) -> RowSchema:
        return joined_schema(self.input.schema, self.right.schema, self.kind)

    @property
    def table(self) -> Scan | Inline | Values:
        """The table that is asked."""
        below = self.right
        while isinstance(below, Unary):
            below = below.input
        assert isinstance(below, Scan | Inline | Values), below
        return below

    @property
    def table_keys(self) -> tuple[str, ...]:
        """The columns of the table itself that `keys` compares, in order."""
        columns = [carried_column(self.right, name) for _, name in self.keys]
        assert None not in columns, "a computed column is no lookup key"
        return tuple(c for c in columns if c is not None)


@dataclass(frozen=True)
class WindowJoin(Binary):
    """A join of rows in the same window. `windows`: (start, end) column names of the left and of the right side."""

    kind: JoinKind
    condition: Rex | None
    left_window: tuple[str, str]
    right_window: tuple[str, str]

    @cached_property
    def schema(self) -> RowSchema:
        return joined_schema(self.left.schema, self.right.schema, self.kind)


class SetKind(Enum):
    """Which rows of several inputs are kept."""

    UNION = "UNION"
    INTERSECT = "INTERSECT"
    EXCEPT = "EXCEPT"


@dataclass(frozen=True)
class SetOp(Node):
    """UNION, INTERSECT or EXCEPT of inputs with the same column types. Names come from the first input."""

    kind: SetKind
    is_all: bool
    parts: tuple[Node, ...]

    @property
    def inputs(self) -> tuple[Node, ...]:
        return self.parts

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        return replace(self, parts=inputs)

    @cached_property
    def schema(self) -> RowSchema:
        schemas = [p.schema.fields for p in self.parts]
        fields = []
        for column in zip(*schemas, strict=True):
            is_nullable = any(f.type.is_nullable for f in column)
            same_time = len({f.time for f in column}) == 1
            fields.append(
                replace(
                    column[0], type=column[0].type.with_nullability(is_nullable), time=column[0].time if same_time else None
                )
            )
        return RowSchema(tuple(fields))


@dataclass(frozen=True)
class Unnest(Unary):
    """Each row times the elements of an ARRAY, MAP or MULTISET expression over it.

    `outputs` are the new columns (row elements spread over several); `is_outer` keeps rows without elements;
    `ordinality` adds the 1-based position (INT).
    """

    collection: Rex
    outputs: tuple[Field, ...]
    is_outer: bool = False
    ordinality: str | None = None

    @cached_property
    def schema(self) -> RowSchema:
        new = tuple(replace(f, type=f.type.nullable()) for f in self.outputs) if self.is_outer else self.outputs
        if self.ordinality:
            from tableapi.types import IntType

            new += (Field(self.ordinality, IntType(is_nullable=self.is_outer)),)
        return RowSchema(self.input.schema.fields + new)


@dataclass(frozen=True)
class Correlate(Unary):
    """Each row times the rows that a table function returns for it. `function`: registry name or `tableapi.udf` wrapper."""

    function: Any
    args: tuple[Rex, ...]
    outputs: tuple[Field, ...]
    is_outer: bool = False
    condition: Rex | None = None

    @cached_property
    def schema(self) -> RowSchema:
        new = tuple(replace(f, type=f.type.nullable()) for f in self.outputs) if self.is_outer else self.outputs
        return RowSchema(self.input.schema.fields + new)


@dataclass(frozen=True)
class ToChangelog(Unary):
    """Each change as a row that is only ever added: the code of its kind in a first column `op`, then the changed row.

    `codes` pairs kinds with their codes; changes of other kinds are left out.
    """

    op: str
    codes: tuple[tuple[RowKind, str], ...]

    @cached_property
    def schema(self) -> RowSchema:
        return RowSchema((Field(self.op, VarCharType()), *(replace(f, time=None) for f in self.input.schema)))


@dataclass(frozen=True)
class FromChangelog(Unary):
    """Rows that say in the column `op` what they change, as the changes themselves. `codes` pairs codes with kinds."""

    op: str
    codes: tuple[tuple[str, RowKind], ...]

    @cached_property
    def schema(self) -> RowSchema:
        return RowSchema(tuple(f for f in self.input.schema if f.name != self.op))


@dataclass(frozen=True)
class Sort(Unary):
    """Orders all rows. Expressions to sort by are projected below."""

    order_by: tuple[SortKey, ...]


@dataclass(frozen=True)
class Limit(Unary):
    """Skips `offset` rows, then passes at most `fetch` (None: all)."""

    fetch: int | None
    offset: int = 0


@dataclass(frozen=True)
class Shared(Unary):
    """A result that several places of the plans read; it is computed once. Places with one `number` have equal inputs.

    `columns` are those that this place reads (None: all).
    """

    number: int
    columns: tuple[str, ...] | None = None

    @cached_property
    def schema(self) -> RowSchema:
        if self.columns is None:
            return self.input.schema
        return RowSchema(tuple(self.input.schema[name] for name in self.columns))


@dataclass(frozen=True)
class Sink(Unary):
    """Writes to a catalog table. The input's columns are the table's persisted columns, by position and with their types.

    `static_partition`: values of `INSERT … PARTITION (k=v)`. `change` says that the rows are those of an UPDATE or DELETE.
    """

    table: TableSpec = field(hash=False)
    overwrite: bool = False
    static_partition: tuple[tuple[str, Literal], ...] = ()
    change: RowKind | None = None

    def __hash__(self) -> int:
        return hash((self.input, self.table.identifier))


@dataclass(frozen=True)
class Collect(Unary):
    """Hands the result to the program that asked for it. Takes any changelog."""


def carried_column(node: Node, name: str) -> str | None:
    """The column of the lowest node of a chain that `name` is, through projections and filters; None when it is computed."""
    while isinstance(node, Unary):
        if isinstance(node, Project):
            rex = next(c.rex for c in node.columns if c.name == name)
            if not isinstance(rex, Ref):
                return None
            name = rex.name
        node = node.input
    return name


def walk(node: Node) -> list[Node]:
    """The node and everything below it, top down."""
    found: list[Node] = []
    left = [node]
    while left:
        part = left.pop()
        found.append(part)
        left.extend(reversed(part.inputs))
    return found


def transform(node: Node, change: Callable[[Node], Node | None]) -> Node:
    """A copy in which `change` was applied bottom up; where it returns None the node stays."""
    inputs = tuple(transform(i, change) for i in node.inputs)
    if any(new is not old for new, old in zip(inputs, node.inputs, strict=True)):
        node = node.with_inputs(inputs)
    return change(node) or node
