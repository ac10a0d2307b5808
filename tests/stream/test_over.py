from collections import Counter

import numpy as np
import polars as pl
import pytest
from helpers import SESSION, agg, schema

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import FrameBound, FrameBoundKind, NamedAgg, OverFrame
from tableapi.plan.rex import AggCall, Literal, Ref, SortKey
from tableapi.runtime.stream.batch import KIND_DTYPE, Batch
from tableapi.runtime.stream.over import OverSpec
from tableapi.runtime.stream.over_frames import SLOT, compute, ordered
from tableapi.runtime.udf_scope import FunctionScope
from tableapi.testing import OperatorHarness, assert_changelog, fold
from tableapi.types import DataTypes

INPUT = schema("k STRING, v INT, ts TIMESTAMP(3)", ts="rowtime")
CURRENT = FrameBound(FrameBoundKind.CURRENT_ROW)
UNBOUNDED = FrameBound(FrameBoundKind.UNBOUNDED)
BIGINT = DataTypes.BIGINT()
T = [f"2024-01-01T10:{m:02}" for m in range(10)]


def before(offset):
    return FrameBound(FrameBoundKind.OFFSET, -offset)


BY_TIME = (SortKey("ts"),)


def over(calls, lower=UNBOUNDED, is_rows=True, order=BY_TIME, time="ts", **flags):
    return OverSpec(INPUT, ("k",), order, OverFrame(is_rows, lower, CURRENT), tuple(calls), time, **flags)


ROW_NUMBER = NamedAgg("r", AggCall("ROW_NUMBER", (), BIGINT))
LAG = NamedAgg("lag", AggCall("LAG", (Ref(DataTypes.INT(), "v"), Literal(DataTypes.INT(), 1)), DataTypes.INT()))
RUNNING = [
    agg(INPUT, "n", "COUNT", "v"),
    agg(INPUT, "s", "SUM", "v"),
    agg(INPUT, "lo", "MIN", "v"),
    agg(INPUT, "hi", "MAX", "v"),
    agg(INPUT, "f", "FIRST_VALUE", "v"),
    agg(INPUT, "l", "LAST_VALUE", "v"),
    agg(INPUT, "d", "COUNT", "v", distinct=True),
]


def test_running_values_wait_for_the_watermark_and_drop_late_rows():
    h = OperatorHarness(over([agg(INPUT, "s", "SUM", "v"), ROW_NUMBER]), INPUT)
    h.feed(f"a 2 {T[2]}\na 1 {T[1]}\nb 5 {T[1]}\na 4 {T[4]}")
    assert_changelog(h.advance(T[2]), f"+I a 1 {T[1]} 1 1\n+I a 2 {T[2]} 3 2\n+I b 5 {T[1]} 5 1")
    h.feed(f"a 100 {T[2]}\na 3 {T[3]}")
    assert h.context.metrics["late_rows"] == 1
    assert_changelog(h.end(), f"+I a 3 {T[3]} 6 3\n+I a 4 {T[4]} 10 4")


def test_range_frames_include_rows_of_the_same_time():
    h = OperatorHarness(over([agg(INPUT, "s", "SUM", "v"), ROW_NUMBER], is_rows=False), INPUT)
    h.feed(f"a 1 {T[1]}\na 2 {T[1]}\na 4 {T[2]}")
    assert_changelog(h.end(), f"+I a 1 {T[1]} 3 1\n+I a 2 {T[1]} 3 2\n+I a 4 {T[2]} 7 3")


def test_rows_that_no_frame_can_reach_are_forgotten():
    h = OperatorHarness(over([agg(INPUT, "s", "SUM", "v")], before(1)), INPUT)
    for minute in range(4):
        h.feed(f"a {minute} {T[minute]}")
        h.advance(T[minute])
    assert_changelog(h.emitted[-1:], f"+I a 3 {T[3]} 5")
    assert h.operator.state()["history"].height == 1


def test_processing_time_does_not_wait():
    source = schema("k STRING, v INT, ts TIMESTAMP_LTZ(3)", ts="proctime")
    spec = OverSpec(
        source, (), (SortKey("ts"),), OverFrame(True, before(1), CURRENT), (agg(source, "s", "SUM", "v"),), "ts", False
    )
    h = OperatorHarness(spec, source, clock_ms=60_000)
    assert_changelog(h.feed("a 1 null\nb 2 null"), "+I a 1 1970-01-01T00:01 1\n+I b 2 1970-01-01T00:01 3")
    assert_changelog(h.feed("c 4 null"), "+I c 4 1970-01-01T00:01 6")


def test_processing_time_has_peers_in_a_bounded_range_only():
    """All rows of a millisecond count for each other, also over several batches, and come out when it is over."""
    source = schema("k STRING, v INT, ts TIMESTAMP_LTZ(3)", ts="proctime")

    def spec(lower):
        calls = (agg(source, "s", "SUM", "v"),)
        return OverSpec(source, ("k",), (SortKey("ts"),), OverFrame(False, lower, CURRENT), calls, "ts", False)

    running = OperatorHarness(spec(UNBOUNDED), source, clock_ms=60_000)
    assert_changelog(running.feed("a 1 null\na 2 null"), "+I a 1 1970-01-01T00:01 1\n+I a 2 1970-01-01T00:01 3")
    h = OperatorHarness(spec(before(1_000)), source, clock_ms=60_000)
    assert h.feed("a 1 null\na 2 null") == h.feed("a 4 null\nb 8 null") == ""
    again = OperatorHarness(spec(before(1_000)), source, clock_ms=60_000, snapshot=h.snapshot())
    for one in (h, again):
        assert sorted(one.set_clock(60_001).splitlines()) == [
            *(f"+I a {v} 1970-01-01T00:01 7" for v in (1, 2, 4)),
            "+I b 8 1970-01-01T00:01 8",
        ]
        one.set_clock(61_000)
        one.feed("a 16 null")
        assert_changelog(one.set_clock(61_001), "+I a 16 1970-01-01T00:01:01 23")
        one.set_clock(62_001)
        one.feed("a 32 null")
        assert_changelog(one.end(), "+I a 32 1970-01-01T00:01:02.001 32")


def test_what_needs_the_future_is_refused():
    with pytest.raises(UnsupportedError, match="NTILE"):
        over([NamedAgg("n", AggCall("NTILE", (Literal(DataTypes.INT(), 2),), BIGINT))])


def test_other_orders_update_earlier_results():
    spec = over([agg(INPUT, "s", "SUM", "v")], order=(SortKey("v"),), time=None, input_is_insert_only=False)
    h = OperatorHarness(spec, INPUT)
    assert_changelog(h.feed(f"a 3 {T[0]}"), f"+I a 3 {T[0]} 3")
    assert_changelog(h.feed(f"a 1 {T[0]}"), f"+I a 1 {T[0]} 1\n-U a 3 {T[0]} 3\n+U a 3 {T[0]} 4")
    assert_changelog(
        h.feed(f"-D a 1 {T[0]}\n+I b 1 {T[0]}"), f"-D a 1 {T[0]} 1\n-U a 3 {T[0]} 4\n+U a 3 {T[0]} 3\n+I b 1 {T[0]} 1"
    )


def brute_force(rows, spec):
    frame = pl.DataFrame(rows, schema=INPUT.to_polars(), orient="row")
    if not frame.height:
        return Counter()
    frame = ordered(frame.with_columns(pl.col("k").rank("dense").alias(SLOT)), spec.order_by)
    return Counter(frame.drop(SLOT).hstack(compute(frame, spec, SESSION, FunctionScope()).get_columns()).iter_rows())


SPECS = {
    "running rows": over([*RUNNING, ROW_NUMBER]),
    "running range": over(RUNNING, is_rows=False),
    "rows": over(RUNNING, before(3)),
    "range": over(RUNNING, before(90_000), is_rows=False),
    "lag": over([LAG]),
    "list": over([agg(INPUT, "x", "LISTAGG", "k")]),
}


@pytest.mark.parametrize("name", SPECS)
def test_equals_batch(name):
    """Random rows in random cuts, with watermarks and restarts in between, against the batch engine over all rows in time."""
    spec, rng = SPECS[name], np.random.default_rng(1)
    h, emitted, rows, watermark = OperatorHarness(spec, INPUT), [], [], 0
    for step in range(25):
        batch = [
            ("abc"[int(rng.integers(3))], None if rng.random() < 0.1 else int(rng.integers(9)), int(t))
            for t in rng.integers(watermark // 1000 + 1, watermark // 1000 + 120, int(rng.integers(1, 12)))
        ]
        rows += batch
        types = {**INPUT.to_polars(), "ts": pl.Int64()}
        frame = pl.DataFrame(batch, schema=types, orient="row").with_columns((pl.col("ts") * 1000).cast(pl.Datetime("ms")))
        h.feed(Batch(frame))
        watermark += int(rng.integers(0, 60_000))
        h.advance(watermark)
        if step % 7 == 6:
            emitted += h.emitted
            h = OperatorHarness(spec, INPUT, snapshot=h.snapshot())
    h.end()
    all_rows = pl.DataFrame(rows, schema=types, orient="row").with_columns((pl.col("ts") * 1000).cast(pl.Datetime("ms")))
    assert fold(emitted + h.emitted) == brute_force(all_rows.rows(), spec)


def test_updating_order_equals_batch():
    calls = [agg(INPUT, "s", "SUM", "v"), NamedAgg("rank", AggCall("RANK", (), BIGINT)), LAG]
    spec = over(calls, is_rows=False, order=(SortKey("v"), SortKey("ts")), time=None, input_is_insert_only=False)
    rng = np.random.default_rng(1)
    h, emitted, live, serial = OperatorHarness(spec, INPUT), [], [], 0
    for step in range(30):
        rows, kinds = [], []
        for _ in range(int(rng.integers(1, 8))):
            if live and rng.random() < 0.4:
                rows.append(live.pop(int(rng.integers(len(live)))))
                kinds.append(3)
            else:
                serial += 1
                rows.append(("ab"[int(rng.integers(2))], int(rng.integers(9)), serial))
                live.append(rows[-1])
                kinds.append(0)
        types = {**INPUT.to_polars(), "ts": pl.Int64()}
        frame = pl.DataFrame(rows, schema=types, orient="row").with_columns(pl.col("ts").cast(pl.Datetime("ms")))
        h.feed(Batch(frame, pl.Series(kinds, dtype=KIND_DTYPE) if any(kinds) else None))
        left = pl.DataFrame(live, schema=types, orient="row").with_columns(pl.col("ts").cast(pl.Datetime("ms")))
        assert fold(emitted + h.emitted) == brute_force(left.rows(), spec)
        if step % 9 == 8:
            emitted += h.emitted
            h = OperatorHarness(spec, INPUT, snapshot=h.snapshot())
