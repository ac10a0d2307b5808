"""LEAD along time: rows wait for the rows that follow them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import schema
from hypothesis import given
from hypothesis import strategies as st

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import FrameBound, FrameBoundKind, NamedAgg, OverFrame
from tableapi.plan.rex import AggCall, Literal, Ref, SortKey
from tableapi.runtime.stream.batch import MAX_WATERMARK
from tableapi.runtime.stream.over import OverSpec
from tableapi.runtime.stream.over_ahead import HeldTimes
from tableapi.testing import MemorySnapshot, OperatorHarness, assert_changelog
from tableapi.types import DataTypes

INPUT = schema("k STRING, v INT, ts TIMESTAMP(3)", ts="rowtime")
INT = DataTypes.INT()
T = [f"2024-01-01T10:{m:02}" for m in range(10)]
FRAME = OverFrame(True, FrameBound(FrameBoundKind.UNBOUNDED), FrameBound(FrameBoundKind.CURRENT_ROW))


def lead(name: str, *more: Literal) -> NamedAgg:
    return NamedAgg(name, AggCall("LEAD", (Ref(INT, "v"), *more), INT))


def harness(*calls: NamedAgg, snapshot: MemorySnapshot | None = None) -> OperatorHarness:
    spec = OverSpec(INPUT, ("k",), (SortKey("ts"),), FRAME, calls, "ts")
    return OperatorHarness(spec, INPUT, snapshot=snapshot)


def test_a_row_comes_out_when_the_next_one_of_its_partition_has_come():
    h = harness(lead("n"))
    h.feed(f"a 1 {T[1]}\nb 9 {T[2]}\na 2 {T[3]}")
    assert_changelog(h.advance(T[3]), f"+I a 1 {T[1]} 2")
    h.feed(f"a 3 {T[4]}")
    assert_changelog(h.advance(T[4]), f"+I a 2 {T[3]} 3")
    assert_changelog(h.end(), f"+I b 9 {T[2]} null\n+I a 3 {T[4]} null")


def test_the_watermark_stays_behind_rows_that_wait():
    h = harness(lead("n"))
    h.feed(f"a 1 {T[1]}\nb 9 {T[2]}\na 2 {T[3]}")
    minute = 60_000
    at_1, at_2, at_3 = (1_704_103_200_000 + m * minute for m in (1, 2, 3))
    assert h.operator.on_watermark(at_1) == at_1 - 1
    assert h.operator.on_watermark(at_3) == at_2 - 1
    h.feed(f"b 8 {T[4]}")
    assert h.operator.on_watermark(at_3 + minute) == at_3 - 1
    assert h.operator.on_watermark(MAX_WATERMARK) == MAX_WATERMARK


def test_distance_and_default():
    h = harness(lead("one"), lead("two", Literal(INT, 2), Literal(INT, -1)), lead("own", Literal(INT, 0)))
    h.feed(f"a 1 {T[1]}\na 2 {T[2]}\na 3 {T[3]}")
    assert_changelog(h.advance(T[3]), f"+I a 1 {T[1]} 2 3 1")
    assert_changelog(h.end(), f"+I a 2 {T[2]} 3 -1 2\n+I a 3 {T[3]} null -1 3")


def test_waiting_rows_survive_a_restart():
    h = harness(lead("n"))
    h.feed(f"a 1 {T[1]}\nb 9 {T[2]}")
    h.advance(T[2])
    h.feed(f"a 2 {T[3]}")
    again = harness(lead("n"), snapshot=h.snapshot())
    assert_changelog(again.advance(T[3]), f"+I a 1 {T[1]} 2")
    assert_changelog(again.end(), f"+I b 9 {T[2]} null\n+I a 2 {T[3]} null")


def test_the_distance_is_a_constant():
    with pytest.raises(UnsupportedError, match="constant number of rows"):
        harness(NamedAgg("n", AggCall("LEAD", (Ref(INT, "v"), Ref(INT, "v")), INT)))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=30))
def test_held_times_know_the_oldest(steps: list[tuple[int, int]]):
    held, here, next_id, now = HeldTimes(), {}, 0, 0
    for count, leaving in steps:
        ids = np.arange(next_id, next_id + count)
        times = np.array([now + i // 2 for i in range(count)], dtype=np.int64)
        held.add(ids, times)
        here |= dict(zip(ids.tolist(), times.tolist(), strict=True))
        next_id, now = next_id + count, now + count
        gone = np.array(sorted(here, key=lambda i: i * 7919 % 11)[:leaving], dtype=np.int64)
        held.remove(gone)
        for i in gone.tolist():
            del here[i]
        assert held.oldest() == min(here.values(), default=MAX_WATERMARK)
