"""State written by some workers can be taken over by any other number of workers."""

import numpy as np
import polars as pl
import pytest
from helpers import agg, schema

from tableapi.plan.nodes import (
    EmitPolicy,
    FrameBound,
    FrameBoundKind,
    JoinKind,
    OverFrame,
    SetKind,
    WindowKind,
    WindowProperty,
    WindowSpec,
)
from tableapi.plan.rex import SortKey
from tableapi.runtime.state.hashing import KEY_GROUP_COLUMN, key_groups, worker_of
from tableapi.runtime.stream.batch import MAX_WATERMARK, Batch
from tableapi.runtime.stream.changelog import ChangelogNormalizeSpec, UpsertMaterializeSpec
from tableapi.runtime.stream.deduplicate import DeduplicateSpec
from tableapi.runtime.stream.group_aggregate import GroupAggregateSpec
from tableapi.runtime.stream.interval_join import IntervalJoinSpec
from tableapi.runtime.stream.join import JoinSpec
from tableapi.runtime.stream.multi_join import MultiJoinSpec
from tableapi.runtime.stream.over import OverSpec
from tableapi.runtime.stream.rank import RankSpec
from tableapi.runtime.stream.set_op import SetOpSpec
from tableapi.runtime.stream.temporal_join import TemporalJoinSpec
from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec
from tableapi.testing import MemorySnapshot, OperatorHarness, fold

LEFT = schema("k INT, v INT, s STRING, ts TIMESTAMP(3)", ts="rowtime")
RIGHT = schema("k2 INT, v2 INT, s2 STRING, ts2 TIMESTAMP(3)", ts2="rowtime")
CALLS = (
    agg(LEFT, "n", "COUNT"),
    agg(LEFT, "total", "SUM", "v"),
    agg(LEFT, "lo", "MIN", "s"),
    agg(LEFT, "d", "COUNT", "v", distinct=True),
)
ON = (("k", "k2"),)
BOUNDS = (("ws", WindowProperty.START), ("we", WindowProperty.END))
TIME = (SortKey("ts"),)
ROWS = OverFrame(True, FrameBound(FrameBoundKind.UNBOUNDED), FrameBound(FrameBoundKind.CURRENT_ROW))
LAST_THREE = OverFrame(True, FrameBound(FrameBoundKind.OFFSET, -2), FrameBound(FrameBoundKind.CURRENT_ROW))


def window(kind, calls=CALLS, inserts=True, emit=None, **ms):
    spec = WindowSpec(WindowKind[kind], "ts", True, **ms)
    return WindowAggregateSpec(LEFT, spec, ("k",), calls, BOUNDS, input_is_insert_only=inserts, emit=emit)


SPECS = {
    "group": (GroupAggregateSpec(LEFT, ("k",), CALLS), 1),
    "group retracting": (GroupAggregateSpec(LEFT, ("k",), CALLS, False), 1),
    "tumble": (window("TUMBLE", size_ms=20_000), 1),
    "hop": (window("HOP", size_ms=20_000, step_ms=5_000), 1),
    "hop of numbers": (window("HOP", CALLS[:2], size_ms=20_000, step_ms=5_000), 1),
    "cumulate": (window("CUMULATE", CALLS[:2], size_ms=20_000, step_ms=5_000), 1),
    "tumble early": (window("TUMBLE", emit=EmitPolicy(early_ms=0), size_ms=20_000), 1),
    "hop late": (window("HOP", emit=EmitPolicy(late_ms=0, lateness_ms=9_000), size_ms=20_000, step_ms=5_000), 1),
    "session": (window("SESSION", gap_ms=2_000), 1),
    "session retracting": (window("SESSION", inserts=False, gap_ms=2_000), 1),
    "rank": (RankSpec(LEFT, ("k",), (SortKey("v"), SortKey("s")), 1, 3, rank_name="r"), 1),
    "rank retracting": (RankSpec(LEFT, ("k",), (SortKey("v"), SortKey("s")), 1, 3, input_is_insert_only=False), 1),
    "first": (DeduplicateSpec(LEFT, ("k",), "ts", False), 1),
    "last": (DeduplicateSpec(LEFT, ("k",), None, True), 1),
    "normalize": (ChangelogNormalizeSpec(LEFT, ("k",)), 1),
    "materialize": (UpsertMaterializeSpec(LEFT, ("k",)), 1),
    "over": (OverSpec(LEFT, ("k",), TIME, ROWS, CALLS, "ts"), 1),
    "over rows": (OverSpec(LEFT, ("k",), TIME, LAST_THREE, CALLS, "ts"), 1),
    "join": (JoinSpec(LEFT, RIGHT, JoinKind.FULL, ON), 2),
    "temporal join": (TemporalJoinSpec(LEFT, RIGHT, JoinKind.LEFT, ON, "ts", "ts2"), 2),
    "semi join": (JoinSpec(LEFT, RIGHT, JoinKind.SEMI, ON), 2),
    "anti join": (JoinSpec(LEFT, RIGHT, JoinKind.ANTI, ON, None, False, False), 2),
    "multi join": (MultiJoinSpec((LEFT, RIGHT), (("k",), ("k2",)), None, (True, True), (None, None), (False, True)), 2),
    "temporal join retracting": (
        TemporalJoinSpec(LEFT, RIGHT, JoinKind.LEFT, ON, "ts", "ts2", left_is_insert_only=False),
        2,
    ),
    "interval join": (IntervalJoinSpec(LEFT, RIGHT, JoinKind.FULL, ON, None, "ts", "ts2", -3_000, 3_000), 2),
    "intersect": (SetOpSpec((LEFT, RIGHT), SetKind.INTERSECT, True), 2),
}


class OwnGroups(MemorySnapshot):
    """What one of `parallelism` workers sees of a snapshot."""

    def __init__(self, parts, worker, parallelism):
        super().__init__(parts)
        self._owns = lambda groups: pl.Series(worker_of(groups, parallelism) == worker)

    def frame(self, name, frame=None):
        found = super().frame(name, frame)
        if found is None or KEY_GROUP_COLUMN not in found.columns:
            return found
        return found.filter(self._owns(found[KEY_GROUP_COLUMN].to_numpy()))


class Workers:
    """Several instances of an operator, each with the rows of its key groups."""

    def __init__(self, spec, inputs, parallelism, parts=()):
        self.spec, self.inputs, self.parallelism = spec, inputs, parallelism
        schemas = (LEFT, RIGHT)[:inputs]
        self.harnesses = []
        for worker in range(parallelism):
            harness = OperatorHarness(spec, *schemas)
            harness.context.subtask = worker
            if parts:
                harness.operator.restore(OwnGroups(parts, worker, parallelism))
            self.harnesses.append(harness)

    def keys(self, input):
        if isinstance(self.spec, SetOpSpec):
            return (LEFT, RIGHT)[input].names
        return [("k", "k2")[input]]

    def feed(self, input, frame):
        owner = worker_of(key_groups(frame, self.keys(input)), self.parallelism)
        for worker, harness in enumerate(self.harnesses):
            own = frame.filter(pl.Series(owner == worker))
            if own.height:
                harness.feed(Batch(own), input)

    def advance(self, watermark):
        for harness in self.harnesses:
            harness.advance(watermark)

    def emitted(self):
        return [batch for harness in self.harnesses for batch in harness.emitted]


def rows(rng, input, start_ms, n=40):
    names = (LEFT, RIGHT)[input].names
    values = {
        names[0]: pl.Series(rng.integers(0, 12, n)).cast(pl.Int32),
        names[1]: pl.Series(rng.integers(0, 5, n)).cast(pl.Int32),
        names[2]: [f"s{i}" for i in rng.integers(0, 30, n)],
        names[3]: pl.Series(start_ms + rng.integers(0, 10_000, n)).cast(pl.Datetime("ms")),
    }
    return pl.DataFrame(values)


@pytest.mark.parametrize("name", SPECS)
def test_two_workers_become_three_and_then_one(name):
    spec, inputs = SPECS[name]
    rng = np.random.default_rng(4)
    alone, spread, emitted = Workers(spec, inputs, 1), Workers(spec, inputs, 2), []
    for step, next_parallelism in enumerate((2, 3, 3, 1, 1)):
        for input in range(inputs):
            frame = rows(rng, input, step * 5_000)
            alone.feed(input, frame)
            spread.feed(input, frame)
        watermark = MAX_WATERMARK if step == 4 else step * 5_000
        alone.advance(watermark)
        spread.advance(watermark)
        if next_parallelism != spread.parallelism:
            emitted += spread.emitted()
            parts = [harness.snapshot() for harness in spread.harnesses]
            spread = Workers(spec, inputs, next_parallelism, parts)
    assert fold(emitted + spread.emitted()) == fold(alone.emitted())
