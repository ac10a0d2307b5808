"""Goal: every operator that keeps anything goes on from its snapshot as if nothing had happened, and none is without such a test."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import polars as pl
import pytest
import test_rescale
from helpers import agg, schema
from test_lookup_join import test_waiting_rows_survive_a_restart as lookup_join_restarts

from tableapi import runtime
from tableapi.plan.match_node import PatternAgg, PatternDefine, PatternElement, PatternRef, Skip, SkipKind
from tableapi.plan.nodes import JoinKind, NamedAgg, NamedRex, WindowKind, WindowSpec
from tableapi.plan.rex import AggCall, Call, Literal, Ref, SortKey
from tableapi.runtime.stream.batch import MAX_WATERMARK, Batch
from tableapi.runtime.stream.deduplicate import DeduplicateSpec
from tableapi.runtime.stream.lookup_join import LookupJoin
from tableapi.runtime.stream.operator import Operator
from tableapi.runtime.stream.over import OverSpec
from tableapi.runtime.stream.pattern_match import PatternMatchSpec
from tableapi.runtime.stream.sort_limit import FullSortSpec, LimitSpec, TemporalSortSpec
from tableapi.runtime.stream.window_join import WindowJoinSpec
from tableapi.runtime.stream.window_rank import WindowRankSpec
from tableapi.runtime.stream.window_table import WindowTableSpec
from tableapi.testing import OperatorHarness, fold
from tableapi.types import BooleanType, IntType

LEFT = test_rescale.LEFT
INT, BOOLEAN = IntType(), BooleanType()
WINDOWED = schema("k INT, v INT, s STRING, ws TIMESTAMP(3), we TIMESTAMP(3)")
OTHER = schema("k2 INT, v2 INT, s2 STRING, ws2 TIMESTAMP(3), we2 TIMESTAMP(3)")
NEXT = (NamedAgg("n", AggCall("LEAD", (Ref(INT, "v"),), INT)),)
RISES = Call(BOOLEAN, "GREATER", (PatternRef(INT, "v", "B"), PatternRef(INT, "v", "A")))
BEGINS = Call(BOOLEAN, "LESS", (PatternRef(INT, "v", "A"), Literal(INT, 3)))
FIRST_OF_MATCH = (
    NamedRex("a", PatternRef(INT, "v", "A", True)),
    NamedRex("n", PatternAgg(INT, AggCall("SUM", (Ref(INT, "v"),), INT))),
)

SPECS = {
    "first arrival": DeduplicateSpec(LEFT, ("k",), None, False),
    "over what changes": OverSpec(
        LEFT, ("k",), (SortKey("v"), SortKey("s")), test_rescale.ROWS, (agg(LEFT, "t", "SUM", "v"),), None
    ),
    "look ahead": OverSpec(LEFT, ("k",), test_rescale.TIME, test_rescale.ROWS, NEXT, "ts"),
    "match": PatternMatchSpec(
        LEFT,
        ("k",),
        (SortKey("ts"), SortKey("s")),
        (PatternElement("A", 1, None), PatternElement("B")),
        (PatternDefine("A", BEGINS), PatternDefine("B", RISES)),
        FIRST_OF_MATCH,
        Skip(SkipKind.PAST_LAST_ROW),
        8_000,
    ),
    "session table": WindowTableSpec(
        LEFT, WindowSpec(WindowKind.SESSION, "ts", True, gap_ms=900, partition_by=("k",)), "ws", "we", "wt"
    ),
    "temporal sort": TemporalSortSpec(LEFT, (SortKey("ts"), SortKey("s"))),
    "sort": FullSortSpec(LEFT, (SortKey("v"), SortKey("s"))),
    "limit": LimitSpec(LEFT, 55, 5),
    "window rank": WindowRankSpec(WINDOWED, ("ws", "we"), ("k",), (SortKey("v"), SortKey("s")), 1, 2, "r"),
    "window join": WindowJoinSpec(WINDOWED, OTHER, JoinKind.FULL, (("k", "k2"),), None, ("ws", "we"), ("ws2", "we2")),
}


def inputs_of(spec) -> tuple:
    if isinstance(spec, WindowJoinSpec):
        return (WINDOWED, OTHER)
    return (WINDOWED,) if isinstance(spec, WindowRankSpec) else (LEFT,)


def rows(rng: np.random.Generator, names: list[str], start_ms: int) -> pl.DataFrame:
    plain = test_rescale.rows(rng, 0, start_ms)
    times = plain["ts"]
    if len(names) == 5:
        start = times.dt.truncate("4s")
        plain = plain.drop("ts").with_columns(start.alias("ws"), start.dt.offset_by("4s").alias("we"))
    return plain.rename(dict(zip(plain.columns, names, strict=True)))


@pytest.mark.parametrize("name", SPECS)
def test_going_on_from_a_snapshot_changes_nothing(name: str) -> None:
    spec, rng = SPECS[name], np.random.default_rng(4)
    inputs = inputs_of(spec)
    whole, parted, emitted = OperatorHarness(spec, *inputs), OperatorHarness(spec, *inputs), []
    for step in range(6):
        for number, input_schema in enumerate(inputs):
            frame = rows(rng, input_schema.names, step * 5_000)
            whole.feed(Batch(frame), number)
            parted.feed(Batch(frame), number)
        emitted += parted.emitted
        parted = OperatorHarness(spec, *inputs, snapshot=parted.snapshot())
        for harness in (whole, parted):
            harness.advance(MAX_WATERMARK if step == 5 else step * 5_000)
    assert whole.emitted
    assert fold(emitted + parted.emitted) == fold(whole.emitted)


def operators() -> set[type[Operator]]:
    """Every operator of the runtime."""
    for module in pkgutil.walk_packages(runtime.__path__, f"{runtime.__name__}."):
        importlib.import_module(module.name)
    found: set[type[Operator]] = set()
    left = [Operator]
    while left:
        for kind in left.pop().__subclasses__():
            if kind.__module__.startswith(runtime.__name__) and kind not in found:
                found.add(kind)
                left.append(kind)
    return found


def test_every_operator_with_state_is_tested() -> None:
    tested = {type(spec.create()) for spec in (*SPECS.values(), *(spec for spec, _ in test_rescale.SPECS.values()))}
    tested.add({lookup_join_restarts: LookupJoin}[lookup_join_restarts])
    stateful = {kind for kind in operators() if kind.snapshot is not Operator.snapshot}
    assert len(stateful) > 20
    assert {kind.__name__ for kind in stateful - tested} == set()


def test_what_has_a_snapshot_can_read_it() -> None:
    for kind in operators():
        assert (kind.snapshot is Operator.snapshot) == (kind.restore is Operator.restore), kind.__name__
