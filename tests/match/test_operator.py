"""The streaming operator: what it keeps, for how long, and when matches come out."""

import pytest

from tableapi.plan.match_node import PatternAgg, PatternDefine, PatternElement, PatternRef, Skip, SkipKind
from tableapi.plan.nodes import NamedRex
from tableapi.plan.rex import AggCall, Call, Literal, SortKey
from tableapi.runtime.stream.pattern_match import PatternMatchSpec
from tableapi.tablespec import Field, RowSchema, TimeKind
from tableapi.testing import OperatorHarness
from tableapi.types import BigIntType, BooleanType, IntType, LocalZonedTimestampType, TimestampType, VarCharType

INT = IntType()
COUNT = PatternAgg(BigIntType(is_nullable=False), AggCall("COUNT", (), BigIntType(is_nullable=False)))


def ref(variable, *, is_first=False):
    return PatternRef(INT, "v", variable, is_first)


def less(variable, limit):
    return PatternDefine(variable, Call(BooleanType(), "LESS", (ref(variable), Literal(INT, limit))))


def spec(within_ms=None, *, time=TimeKind.ROWTIME, skip=SkipKind.PAST_LAST_ROW, keys=("k",)):
    """A+ B: rows below 10, then one that is not; gives the first value, the last, and how many rows."""
    time_type = TimestampType(3) if time is TimeKind.ROWTIME else LocalZonedTimestampType(3)
    schema = RowSchema((Field("k", VarCharType()), Field("v", INT), Field("ts", time_type, time)))
    return PatternMatchSpec(
        schema,
        keys,
        (SortKey("ts"),),
        (PatternElement("A", 1, None), PatternElement("B")),
        (less("A", 10),),
        (NamedRex("a", ref("A", is_first=True)), NamedRex("b", ref("B")), NamedRex("n", COUNT)),
        Skip(skip),
        within_ms,
        time is TimeKind.ROWTIME,
    )


def at(second):
    return f"2024-01-01T00:00:{second:02}"


def started(**options):
    one = spec(**options)
    return OperatorHarness(one, one.input)


def kept(harness):
    return harness.operator.state()["kept"].height


def test_matches_come_out_when_the_watermark_has_passed_their_last_row():
    harness = started()
    assert harness.feed(f"x 1 {at(1)}\nx 20 {at(3)}\nx 2 {at(2)}") == ""
    assert harness.advance(at(2)) == ""
    assert harness.advance(at(3)) == "+I x 1 20 3"


def test_runs_go_on_over_batches():
    harness = started()
    for second in range(1, 5):
        harness.feed(f"x {second} {at(second)}\ny 30 {at(second)}")
        assert harness.advance(at(second)) == ""
    harness.feed(f"x 99 {at(5)}")
    assert harness.advance(at(5)) == "+I x 1 99 5"


def test_late_rows_are_dropped_and_counted():
    harness = started()
    harness.feed(f"x 1 {at(5)}")
    harness.advance(at(6))
    harness.feed(f"x 2 {at(6)}\nx 20 {at(7)}")
    assert harness.end() == "+I x 1 20 2"
    assert harness.context.metrics["late_rows"] == 1


def test_only_partitions_with_a_run_alive_keep_rows():
    harness = started()
    harness.feed(f"x 1 {at(1)}\ny 20 {at(1)}\nz 20 {at(1)}")
    harness.advance(at(1))
    assert kept(harness) == 1
    assert harness.context.metrics["keys"] == 1
    harness.feed(f"x 20 {at(2)}")
    harness.advance(at(2))
    assert kept(harness) == 0
    assert harness.context.metrics["keys"] == 0


def test_within_frees_what_can_no_longer_match():
    harness = started(within_ms=5_000)
    harness.feed(f"x 1 {at(1)}\nx 2 {at(4)}")
    harness.advance(at(5))
    assert kept(harness) == 2
    harness.advance(at(6))
    assert kept(harness) == 1
    harness.advance(at(9))
    assert kept(harness) == 0


def test_within_counts_from_the_first_row_of_the_match():
    harness = started(within_ms=5_000)
    harness.feed(f"x 1 {at(1)}\nx 2 {at(4)}\nx 20 {at(7)}")
    assert harness.advance(at(7)) == "+I x 2 20 2"


def test_skip_to_next_row_keeps_the_rows_for_later_starts():
    harness = started(skip=SkipKind.NEXT_ROW)
    harness.feed(f"x 1 {at(1)}\nx 2 {at(2)}\nx 20 {at(3)}")
    assert harness.advance(at(3)) == "+I x 1 20 3\n+I x 2 20 2"
    assert kept(harness) == 0


def test_without_partition_all_rows_are_one_sequence():
    harness = started(keys=())
    harness.feed(f"x 1 {at(1)}\ny 20 {at(2)}")
    assert harness.advance(at(2)) == "+I 1 20 2"


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_snapshot_continues_a_run(cut):
    rows = [f"x 1 {at(1)}", f"x 2 {at(2)}", f"y 3 {at(3)}", f"x 20 {at(4)}"]
    first = started()
    first.feed("\n".join(rows[:cut]))
    first.advance(at(cut))
    second = OperatorHarness(spec(), spec().input, snapshot=first.snapshot())
    second.feed("\n".join(rows[cut:]))
    assert second.advance(at(4)) == "+I x 1 20 3"
    assert kept(second) == 1


def test_rows_that_wait_are_part_of_a_snapshot():
    first = started()
    first.feed(f"x 1 {at(1)}\nx 20 {at(2)}")
    second = OperatorHarness(spec(), spec().input, snapshot=first.snapshot())
    assert second.end() == "+I x 1 20 2"


def test_processing_time_does_not_wait():
    harness = started(time=TimeKind.PROCTIME)
    assert harness.feed("x 1 null\nx 2 null") == ""
    assert harness.feed("x 20 null") == "+I x 1 20 3"


def test_processing_time_gives_up_after_within():
    harness = started(time=TimeKind.PROCTIME, within_ms=1_000)
    harness.feed("x 1 null")
    assert kept(harness) == 1
    harness.set_clock(1_000)
    assert kept(harness) == 0
    assert harness.feed("x 20 null") == ""
