"""State that is not written for its time to live is forgotten: each operator, by an injected clock."""

import pytest
from helpers import agg, schema

from tableapi.plan.nodes import FrameBound, FrameBoundKind, JoinKind, OverFrame, SetKind
from tableapi.plan.rex import SortKey
from tableapi.runtime.stream.changelog import ChangelogNormalizeSpec, UpsertMaterializeSpec
from tableapi.runtime.stream.deduplicate import DeduplicateSpec
from tableapi.runtime.stream.group_aggregate import GroupAggregateSpec
from tableapi.runtime.stream.join import JoinSpec
from tableapi.runtime.stream.over import OverSpec
from tableapi.runtime.stream.rank import RankSpec
from tableapi.runtime.stream.set_op import SetOpSpec
from tableapi.runtime.stream.temporal_join import TemporalJoinSpec
from tableapi.testing import OperatorHarness, assert_changelog

ROWS = schema("k INT, v INT")
OTHER = schema("k2 INT, v2 INT")
TIMED = schema("k INT, v INT, ts TIMESTAMP(3)", ts="rowtime")
PROC = schema("k INT, v INT, pt TIMESTAMP(3)", pt="proctime")
SUM = (agg(ROWS, "s", "SUM", "v"),)
ALL_BEFORE = OverFrame(True, FrameBound(FrameBoundKind.UNBOUNDED), FrameBound(FrameBoundKind.CURRENT_ROW))
TTL = 1_000
T0, T1 = "2024-01-01T10:00", "2024-01-01T10:01"


def rank(**options):
    return RankSpec(ROWS, ("k",), (SortKey("v"),), 1, 2, ttl_ms=TTL, **options)


# For each operator: its spec; rows that are fed; what the same key gives while its state is known; what it gives afterwards.
CASES = {
    "group": (GroupAggregateSpec(ROWS, ("k",), SUM, ttl_ms=TTL), "1 5", "-U 1 5\n+U 1 12", "+I 1 7"),
    "first": (DeduplicateSpec(ROWS, ("k",), None, False, ttl_ms=TTL), "1 5", "", "+I 1 7"),
    "last": (DeduplicateSpec(ROWS, ("k",), None, True, ttl_ms=TTL), "1 5", "-U 1 5\n+U 1 7", "+I 1 7"),
    "normalize": (ChangelogNormalizeSpec(ROWS, ("k",), ttl_ms=TTL), "+U 1 5", "-U 1 5\n+U 1 7", "+I 1 7"),
    "materialize": (UpsertMaterializeSpec(ROWS, ("k",), TTL), "+I 1 5", "+U 1 7", "+I 1 7"),
    "rank": (rank(rank_name="r"), "1 5", "+I 1 7 2", "+I 1 7 1"),
    "rank retracting": (rank(rank_name="r", input_is_insert_only=False), "1 5", "+I 1 7 2", "+I 1 7 1"),
    "intersect": (SetOpSpec((ROWS, OTHER), SetKind.INTERSECT, False, TTL), "1 7", "", ""),
    "over": (OverSpec(ROWS, ("k",), (SortKey("v"),), ALL_BEFORE, SUM, None, ttl_ms=TTL), "1 5", "+I 1 7 12", "+I 1 7 7"),
    "over retracting": (
        OverSpec(ROWS, ("k",), (SortKey("v"),), ALL_BEFORE, SUM, None, input_is_insert_only=False, ttl_ms=TTL),
        "1 5",
        "+I 1 7 12",
        "+I 1 7 7",
    ),
}
SAME_KEY = "+I 1 7"


def fresh(name):
    spec, rows, *_ = CASES[name]
    inputs = (ROWS, OTHER) if name == "intersect" else (ROWS,)
    h = OperatorHarness(spec, *inputs)
    h.feed(rows)
    return h


def live_rows(h):
    return sum(frame.height for frame in h.operator.state().values())


@pytest.mark.parametrize("name", CASES)
def test_state_lives_until_its_time_and_no_longer(name):
    _, _, known, forgotten = CASES[name]
    h = fresh(name)
    h.set_clock(TTL - 1)
    assert_changelog(h.feed(SAME_KEY), known)
    h = fresh(name)
    h.clock.set(TTL)
    assert_changelog(h.feed(SAME_KEY), forgotten), "gone at once, before any timer"


@pytest.mark.parametrize("name", CASES)
def test_a_timer_removes_keys_that_never_come_again(name):
    h = fresh(name)
    h.set_clock(TTL // 2)
    h.feed("2 1")
    assert h.set_clock(TTL) == "", "what is forgotten is not taken back"
    assert live_rows(h) == 1
    h.set_clock(TTL + TTL // 2)
    assert live_rows(h) == 0
    assert h.context.metrics["expired_keys"] == 2


@pytest.mark.parametrize("name", CASES)
def test_writing_a_key_keeps_it(name):
    h = fresh(name)
    for now in (600, 1_200, 1_800):
        h.set_clock(now)
        h.feed(f"1 {10 + now}" if name not in ("first", "intersect") else "1 7")
    assert live_rows(h) > 0
    if name == "first":
        assert len(h.emitted) == 2, "Flink: a key that is only looked at is not written"


@pytest.mark.parametrize("name", CASES)
def test_time_begins_anew_after_a_restore(name):
    h = fresh(name)
    spec = CASES[name][0]
    inputs = (ROWS, OTHER) if name == "intersect" else (ROWS,)
    again = OperatorHarness(spec, *inputs, snapshot=h.snapshot(), clock_ms=5_000)
    again.set_clock(5_000 + TTL - 1)
    assert live_rows(again) == 1
    again.set_clock(5_000 + TTL)
    assert live_rows(again) == 0


@pytest.mark.parametrize("kind", ["INNER", "LEFT", "FULL"])
def test_each_side_of_a_join_has_its_own_time(kind):
    spec = JoinSpec(ROWS, OTHER, JoinKind[kind], (("k", "k2"),), None, False, False, ttl_ms=(TTL, None))
    h = OperatorHarness(spec, ROWS, OTHER)
    h.feed("1 5")
    h.feed("1 6", 1)
    h.set_clock(TTL)
    assert h.operator.state()["left"].height == 0
    assert h.operator.state()["right"].height == 1
    assert "+I 1 9 1 6" in h.feed("1 9")


def test_event_time_deduplication_forgets_what_is_done():
    h = OperatorHarness(DeduplicateSpec(TIMED, ("k",), "ts", False, ttl_ms=TTL), TIMED)
    h.feed(f"1 5 {T0}")
    assert_changelog(h.advance(T0), f"+I 1 5 {T0}")
    h.set_clock(TTL)
    h.feed(f"1 7 {T1}")
    assert_changelog(h.advance(T1), f"+I 1 7 {T1}")


@pytest.mark.parametrize("function", ["SUM", "LISTAGG"])
def test_over_along_time(function):
    calls = (agg(PROC, "s", "SUM", "v"),) if function == "SUM" else (agg(PROC, "s", "COLLECT", "v"),)
    spec = OverSpec(PROC, ("k",), (SortKey("pt"),), ALL_BEFORE, calls, "pt", False, ttl_ms=TTL)
    h = OperatorHarness(spec, PROC)
    h.feed("1 5 null")
    h.set_clock(TTL - 1)
    h.feed("1 6 null")
    h.set_clock(2 * TTL)
    h.feed("1 7 null")
    values = [row[3] for batch in h.emitted for row in batch.frame.rows()]
    if function == "SUM":
        assert values == [5, 11, 7]
    else:
        assert [len(v) for v in values] == [1, 2, 1]


def test_versions_of_a_temporal_join():
    right = schema("k2 INT, v2 INT, ts2 TIMESTAMP(3)", ts2="rowtime")
    spec = TemporalJoinSpec(TIMED, right, JoinKind.LEFT, (("k", "k2"),), "ts", "ts2", None, TTL)
    h = OperatorHarness(spec, TIMED, right)
    h.feed(f"1 8 {T0}\n2 9 {T0}", 1)
    h.set_clock(600)
    h.feed(f"1 5 {T0}")
    assert_changelog(h.advance(T0), f"+I 1 5 {T0} 1 8 {T0}")
    h.set_clock(TTL)
    assert h.operator.state()["versions"]["k2"].to_list() == [1], "a row of either side keeps a key"
    h.set_clock(600 + TTL)
    h.feed(f"1 6 {T1}")
    assert_changelog(h.advance(T1), f"+I 1 6 {T1} null null null")
