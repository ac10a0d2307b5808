"""Interval joins, window joins, window Top-N, set operations and lookups."""

import numpy as np
import polars as pl
import pytest
from helpers import schema

from tableapi.plan.nodes import JoinKind, SetKind
from tableapi.plan.rex import Call, Ref, SortKey
from tableapi.runtime.lookup.asked import WholeTable
from tableapi.runtime.planner.inline import FrameSource
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.interval_join import IntervalJoinSpec
from tableapi.runtime.stream.lookup_join import LookupJoinSpec
from tableapi.runtime.stream.set_op import SetOpSpec
from tableapi.runtime.stream.window_join import WindowJoinSpec
from tableapi.runtime.stream.window_rank import WindowRankSpec
from tableapi.testing import OperatorHarness, assert_changelog
from tableapi.types import DataTypes

LEFT = schema("a INT, ts TIMESTAMP(3)", ts="rowtime")
RIGHT = schema("b INT, rts TIMESTAMP(3)", rts="rowtime")
T = [f"2024-01-01T10:{m:02}" for m in range(12)]
MINUTE = 60_000


def interval(kind, lower=-2, upper=1):
    return IntervalJoinSpec(LEFT, RIGHT, JoinKind[kind], (("a", "b"),), None, "ts", "rts", lower * MINUTE, upper * MINUTE)


def test_interval_join_holds_the_watermark_back():
    h = OperatorHarness(interval("INNER"), LEFT, RIGHT)
    h.feed(f"1 {T[1]}\n2 {T[1]}\nnull {T[1]}")
    assert_changelog(h.feed(f"1 {T[0]}\n1 {T[3]}\n1 {T[4]}", 1), f"+I 1 {T[1]} 1 {T[0]}\n+I 1 {T[1]} 1 {T[3]}")
    assert h.advance(T[2]) == ""
    assert h.watermark == 1_704_103_320_000 - 2 * MINUTE
    assert h.operator.state()["left"].height == 2
    h.advance("2024-01-01T10:03:00.001")
    assert h.operator.state()["left"].height == 0


def test_interval_outer_join_pads_when_a_row_expires():
    h = OperatorHarness(interval("FULL"), LEFT, RIGHT)
    h.feed(f"1 {T[1]}\nnull {T[1]}\n2 {T[1]}")
    h.feed(f"1 {T[1]}\n3 {T[1]}", 1)
    assert_changelog(h.advance("2024-01-01T10:02:00.001"), f"+I null null 3 {T[1]}")
    again = OperatorHarness(interval("FULL"), LEFT, RIGHT, snapshot=h.snapshot())
    for one in (h, again):
        assert_changelog(one.end(), f"+I 2 {T[1]} null null")


@pytest.mark.parametrize("kind", ["INNER", "LEFT", "RIGHT", "FULL"])
def test_interval_join_equals_a_nested_loop(kind):
    rng = np.random.default_rng(8)
    h, rows = OperatorHarness(interval(kind), LEFT, RIGHT), ([], [])
    for minute in range(1, 30):
        side = int(rng.integers(2))
        batch = [
            (int(k), int(t) * MINUTE) for k, t in zip(rng.integers(0, 3, 4), rng.integers(minute, minute + 4, 4), strict=True)
        ]
        rows[side].extend(batch)
        types = {n: pl.Int64() for n in (LEFT, RIGHT)[side].names}
        frame = pl.DataFrame(batch, schema=types, orient="row").cast((LEFT, RIGHT)[side].to_polars())
        h.feed(Batch(frame), side)
        h.advance(minute * MINUTE)
    h.end()
    pairs = [
        (i, j) for i, (a, t) in enumerate(rows[0]) for j, (b, u) in enumerate(rows[1]) if a == b and -2 <= (t - u) / MINUTE <= 1
    ]
    expected = [rows[0][i] + rows[1][j] for i, j in pairs]
    if kind in ("LEFT", "FULL"):
        expected += [(*row, None, None) for i, row in enumerate(rows[0]) if i not in {i for i, _ in pairs}]
    if kind in ("RIGHT", "FULL"):
        expected += [(None, None, *row) for j, row in enumerate(rows[1]) if j not in {j for _, j in pairs}]
    frame = pl.concat([b.frame for b in h.emitted]).with_columns(pl.col("ts", "rts").to_physical())
    assert sorted(frame.rows(), key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("kind", ["INNER", "FULL"])
def test_interval_join_by_processing_time(kind):
    """Arrival times decide, and the clock lets rows go."""
    left, right = schema("a INT, ts TIMESTAMP(3)", ts="proctime"), schema("b INT, rts TIMESTAMP(3)", rts="proctime")
    spec = IntervalJoinSpec(left, right, JoinKind[kind], (("a", "b"),), None, "ts", "rts", -MINUTE, MINUTE, is_event_time=False)
    h = OperatorHarness(spec, left, right)
    h.feed("1 null\n2 null")
    h.set_clock(MINUTE)
    assert "+I 1" in h.feed("1 null", 1)
    again = OperatorHarness(spec, left, right, snapshot=h.snapshot(), clock_ms=MINUTE)
    for one in (h, again):
        shown = one.set_clock(3 * MINUTE)
        assert shown.startswith("+I 2") if kind == "FULL" else shown == ""
        one.feed("2 null", 1)
        assert one.operator.state()["left"].height == 0


WINDOWED = schema("a INT, ws TIMESTAMP(3), we TIMESTAMP(3)")
OTHER = schema("b INT, rws TIMESTAMP(3), rwe TIMESTAMP(3)")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("INNER", ["1 {0} {1} 1 {0} {1}"]),
        ("LEFT", ["1 {0} {1} 1 {0} {1}", "2 {0} {1} null null null"]),
        ("FULL", ["1 {0} {1} 1 {0} {1}", "2 {0} {1} null null null", "null null null 3 {0} {1}"]),
        ("SEMI", ["1 {0} {1}"]),
        ("ANTI", ["2 {0} {1}"]),
    ],
)
def test_window_join(kind, expected):
    spec = WindowJoinSpec(WINDOWED, OTHER, JoinKind[kind], (("a", "b"),), None, ("ws", "we"), ("rws", "rwe"))
    h = OperatorHarness(spec, WINDOWED, OTHER)
    h.feed(f"1 {T[0]} {T[1]}\n2 {T[0]} {T[1]}\n2 {T[1]} {T[2]}")
    h.feed(f"1 {T[0]} {T[1]}\n3 {T[0]} {T[1]}\n1 {T[1]} {T[2]}", 1)
    h = OperatorHarness(spec, WINDOWED, OTHER, snapshot=h.snapshot())
    assert_changelog(h.advance(T[1]), "\n".join("+I " + line.format(T[0], T[1]) for line in expected))
    assert h.feed(f"1 {T[0]} {T[1]}") == ""
    assert h.context.metrics["late_rows"] == 1


def test_window_rank():
    source = schema("k STRING, v INT, ws TIMESTAMP(3), we TIMESTAMP(3)")
    spec = WindowRankSpec(source, ("ws", "we"), ("k",), (SortKey("v", False, False),), 1, 2, "r")
    h = OperatorHarness(spec, source)
    h.feed(f"a 1 {T[0]} {T[1]}\na 3 {T[0]} {T[1]}\na 2 {T[0]} {T[1]}\nb 9 {T[0]} {T[1]}\na 7 {T[1]} {T[2]}")
    h = OperatorHarness(spec, source, snapshot=h.snapshot())
    assert_changelog(h.advance(T[1]), f"+I a 3 {T[0]} {T[1]} 1\n+I a 2 {T[0]} {T[1]} 2\n+I b 9 {T[0]} {T[1]} 1")
    h.feed(f"a 100 {T[0]} {T[1]}")
    assert h.context.metrics["late_rows"] == 1
    assert_changelog(h.end(), f"+I a 7 {T[1]} {T[2]} 1")
    assert h.operator.state()["rows"].height == 0


@pytest.mark.parametrize(
    ("kind", "is_all", "steps"),
    [
        ("INTERSECT", False, ["", "+I 1\n+I null", "", "-D 1"]),
        ("INTERSECT", True, ["", "+I 1\n+I null", "+I 1", "-D 1\n-D 1"]),
        ("EXCEPT", False, ["+I 1\n+I 2\n+I null", "-D 1\n-D null", "", "+I 1"]),
        ("EXCEPT", True, ["+I 1\n+I 1\n+I 2\n+I null", "-D 1\n-D null", "-D 1", "+I 1\n+I 1"]),
    ],
)
def test_set_operations(kind, is_all, steps):
    a, b = schema("x INT"), schema("y INT")
    spec = SetOpSpec((a, b), SetKind[kind], is_all)
    h = OperatorHarness(spec, a, b)
    assert_changelog(h.feed("1\n1\n2\nnull"), steps[0])
    assert_changelog(h.feed("1\nnull\n3", 1), steps[1])
    h = OperatorHarness(spec, a, b, snapshot=h.snapshot())
    assert_changelog(h.feed("1", 1), steps[2])
    assert_changelog(h.feed("-D 1\n-D 1", 1), steps[3])


def test_lookup_join():
    right = schema("b INT, name STRING")
    table = FrameSource(pl.DataFrame({"b": [1, 1, 2], "name": ["x", "y", "z"]}, schema={"b": pl.Int32(), "name": pl.String()}))
    source = schema("a INT")
    asked = WholeTable("t", table, right, ("b",))
    h = OperatorHarness(LookupJoinSpec(source, right, JoinKind.LEFT, (("a", "b"),), asked), source)
    assert_changelog(h.feed("+U 1\n-D 3\n+I null"), "+I 1 1 x\n+I 1 1 y\n-D 3 null null\n+I null null null")
    above = Call(DataTypes.BOOLEAN(), "GREATER", (Ref(DataTypes.STRING(), "name"), Ref(DataTypes.STRING(), "name")))
    h = OperatorHarness(LookupJoinSpec(source, right, JoinKind.INNER, (("a", "b"),), asked, (), above), source)
    assert h.feed("1") == ""
