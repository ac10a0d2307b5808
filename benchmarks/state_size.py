"""Memory of streaming state per key: each operator is fed as many keys, a row each, and its arrays and frames are measured.

    python benchmarks/state_size.py [keys]

Prints the table of docs/state.md. A row has a BIGINT key, a BIGINT value and a text of ten characters.
"""

from __future__ import annotations

import sys

import polars as pl

from tableapi.functions.registry import lookup
from tableapi.plan.nodes import (
    FrameBound,
    FrameBoundKind,
    JoinKind,
    NamedAgg,
    OverFrame,
    SetKind,
    WindowKind,
    WindowProperty,
    WindowSpec,
)
from tableapi.plan.rex import AggCall, Ref, SortKey
from tableapi.runtime.stream.accounting import state_bytes
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.changelog import ChangelogNormalizeSpec, UpsertMaterializeSpec
from tableapi.runtime.stream.deduplicate import DeduplicateSpec
from tableapi.runtime.stream.group_aggregate import GroupAggregateSpec
from tableapi.runtime.stream.interval_join import IntervalJoinSpec
from tableapi.runtime.stream.join import JoinSpec
from tableapi.runtime.stream.over import OverSpec
from tableapi.runtime.stream.rank import RankSpec
from tableapi.runtime.stream.set_op import SetOpSpec
from tableapi.runtime.stream.temporal_join import TemporalJoinSpec
from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec
from tableapi.tablespec import Field, RowSchema, TimeKind
from tableapi.testing import OperatorHarness
from tableapi.types import DataTypes as D


def schema(suffix: str = "") -> RowSchema:
    """The columns of a side."""
    types = {"k": D.BIGINT(), "v": D.BIGINT(), "s": D.STRING(), "ts": D.TIMESTAMP(3)}
    return RowSchema(tuple(Field(n + suffix, t, TimeKind.ROWTIME if n == "ts" else None) for n, t in types.items()))


LEFT, RIGHT = schema(), schema("2")
ON = (("k", "k2"),)
ALL = OverFrame(True, FrameBound(FrameBoundKind.UNBOUNDED), FrameBound(FrameBoundKind.CURRENT_ROW))


def agg(function: str, *columns: str, distinct: bool = False) -> NamedAgg:
    """An aggregate call over columns of a row."""
    args = tuple(Ref(LEFT[c].type, c) for c in columns)
    return NamedAgg(
        function + "".join(columns), AggCall(function, args, lookup(function).signature(args).result, distinct, None)
    )


COUNT_SUM = (agg("COUNT"), agg("SUM", "v"))
WINDOW = WindowSpec(WindowKind.TUMBLE, "ts", True, size_ms=60_000)
SPECS = {
    "COUNT, SUM": (GroupAggregateSpec(LEFT, ("k",), COUNT_SUM), 1),
    "COUNT, SUM, retracting": (GroupAggregateSpec(LEFT, ("k",), COUNT_SUM, False), 1),
    "MAX, retracting": (GroupAggregateSpec(LEFT, ("k",), (agg("MAX", "v"),), False), 1),
    "COUNT DISTINCT": (GroupAggregateSpec(LEFT, ("k",), (agg("COUNT", "v", distinct=True),)), 1),
    "SELECT DISTINCT": (GroupAggregateSpec(LEFT, ("k",), ()), 1),
    "tumbling window": (WindowAggregateSpec(LEFT, WINDOW, ("k",), COUNT_SUM, (("ws", WindowProperty.START),)), 1),
    "first row, processing time": (DeduplicateSpec(LEFT, ("k",), None, False), 1),
    "last row": (DeduplicateSpec(LEFT, ("k",), None, True), 1),
    "Top-3": (RankSpec(LEFT, ("k",), (SortKey("v"),), 1, 3), 1),
    "Top-3, retracting": (RankSpec(LEFT, ("k",), (SortKey("v"),), 1, 3, input_is_insert_only=False), 1),
    "OVER along time": (OverSpec(LEFT, ("k",), (SortKey("ts"),), ALL, COUNT_SUM, "ts"), 1),
    "OVER by a column": (OverSpec(LEFT, ("k",), (SortKey("v"),), ALL, COUNT_SUM, None), 1),
    "normalise upserts": (ChangelogNormalizeSpec(LEFT, ("k",)), 1),
    "upsert materialise": (UpsertMaterializeSpec(LEFT, ("k",)), 1),
    "inner join (2 rows)": (JoinSpec(LEFT, RIGHT, JoinKind.INNER, ON), 2),
    "full join (2 rows)": (JoinSpec(LEFT, RIGHT, JoinKind.FULL, ON), 2),
    "inner join, retracting (2 rows)": (JoinSpec(LEFT, RIGHT, JoinKind.INNER, ON, None, False, False), 2),
    "interval join (2 rows)": (IntervalJoinSpec(LEFT, RIGHT, JoinKind.INNER, ON, None, "ts", "ts2", -60_000, 60_000), 2),
    "temporal join (versions)": (TemporalJoinSpec(LEFT, RIGHT, JoinKind.LEFT, ON, "ts", "ts2"), 2),
    "INTERSECT (2 rows)": (SetOpSpec((LEFT, RIGHT), SetKind.INTERSECT, True), 2),
}


def rows(source: RowSchema, count: int) -> Batch:
    """A row for each key."""
    names = source.names
    n = pl.int_range(0, count, eager=True)
    text = pl.select(pl.lit("text-") + pl.Series(n).cast(pl.String).str.zfill(5)).to_series()
    times = (n % 1_000).cast(pl.Datetime("ms"))
    return Batch(pl.DataFrame([n.alias(names[0]), n.alias(names[1]), text.alias(names[2]), times.alias(names[3])]))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print("| state | bytes per key |\n|---|---|")
    for name, (spec, inputs) in SPECS.items():
        sides = (LEFT, RIGHT)[:inputs]
        harness = OperatorHarness(spec, *sides)
        for start in range(0, count, 10_000):
            for number, side in enumerate(sides):
                harness.operator.process(number, rows(side, count).slice(start, 10_000))
            harness.emitted.clear()
        harness.operator.on_watermark(1_000)
        print(f"| {name} | {state_bytes(harness.operator) / count:.0f} |", flush=True)


if __name__ == "__main__":
    main()
