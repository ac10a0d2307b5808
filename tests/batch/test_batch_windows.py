"""Windows of time: which rows are in which window, alignment, offsets, time zones, and aggregation over them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from batch_plans import INT, STRING, TIME, agg, col, rows, run, table

from tableapi.plan.nodes import WindowAggregate, WindowKind, WindowProperty, WindowSpec, WindowTable
from tableapi.types import DataTypes


def at(second: int, minute: int = 0) -> datetime:
    return datetime(2024, 3, 10, 10, minute, second)


EVENTS = table(
    {"k": STRING, "ts": TIME, "v": INT},
    [("a", at(1), 1), ("a", at(9), 2), ("b", at(10), 4), ("a", at(25), 8), (None, at(26), 16), ("b", None, 32)],
)


def bounds(spec: WindowSpec, source=EVENTS, **options) -> list[tuple[int, int, int]]:
    """(value, seconds from 10:00:00 to the window's start, to its end)"""
    found = run(WindowTable(source, spec), **options)
    origin = at(0)
    return sorted(
        (v, int((s - origin).total_seconds()), int((e - origin).total_seconds()))
        for v, s, e in found.select("v", "window_start", "window_end").rows()
    )


def spec(kind: WindowKind, **lengths) -> WindowSpec:
    return WindowSpec(kind, "ts", True, **lengths)


def test_tumble_drops_rows_without_time():
    assert bounds(spec(WindowKind.TUMBLE, size_ms=10_000)) == [(1, 0, 10), (2, 0, 10), (4, 10, 20), (8, 20, 30), (16, 20, 30)]


@pytest.mark.parametrize(("offset", "first"), [(4_000, -6), (-4_000, -4), (14_000, -6)])
def test_tumble_with_offset(offset, first):
    assert bounds(spec(WindowKind.TUMBLE, size_ms=10_000, offset_ms=offset))[0] == (1, first, first + 10)


def test_tumble_before_the_epoch():
    early = table({"v": INT, "ts": TIME}, [(1, datetime(1969, 12, 31, 23, 59, 59, 500_000))])
    found = run(WindowTable(early, spec(WindowKind.TUMBLE, size_ms=60_000)))
    assert found["window_start"][0] == datetime(1969, 12, 31, 23, 59)


def test_hop_has_each_row_in_every_window_that_holds_it():
    assert bounds(spec(WindowKind.HOP, size_ms=10_000, step_ms=5_000))[:4] == [(1, -5, 5), (1, 0, 10), (2, 0, 10), (2, 5, 15)]


def test_hop_whose_size_is_no_multiple_of_the_slide_and_with_gaps():
    assert bounds(spec(WindowKind.HOP, size_ms=10_000, step_ms=4_000))[:3] == [(1, -8, 2), (1, -4, 6), (1, 0, 10)]
    assert bounds(spec(WindowKind.HOP, size_ms=5_000, step_ms=10_000)) == [(1, 0, 5), (4, 10, 15)]


def test_cumulate_grows_to_its_size():
    assert bounds(spec(WindowKind.CUMULATE, size_ms=20_000, step_ms=10_000)) == [
        (1, 0, 10),
        (1, 0, 20),
        (2, 0, 10),
        (2, 0, 20),
        (4, 0, 20),
        (8, 20, 30),
        (8, 20, 40),
        (16, 20, 30),
        (16, 20, 40),
    ]


def test_session_merges_windows_that_touch():
    assert bounds(spec(WindowKind.SESSION, gap_ms=8_000)) == [(1, 1, 18), (2, 1, 18), (4, 1, 18), (8, 25, 34), (16, 25, 34)]


def test_session_in_partitions():
    found = bounds(WindowSpec(WindowKind.SESSION, "ts", True, gap_ms=8_000, partition_by=("k",)))
    assert found == [(1, 1, 17), (2, 1, 17), (4, 10, 18), (8, 25, 33), (16, 26, 34)]


def test_window_time_is_the_last_millisecond():
    found = run(WindowTable(EVENTS, spec(WindowKind.TUMBLE, size_ms=10_000)))
    assert found["window_time"][0] == datetime(2024, 3, 10, 10, 0, 9, 999_000)


def test_day_windows_of_instants_are_local_days():
    instants = table(
        {"v": INT, "ts": DataTypes.TIMESTAMP_LTZ(3)},
        [(1, datetime(2024, 3, 9, 22, 30, tzinfo=UTC)), (2, datetime(2024, 3, 9, 23, 30, tzinfo=UTC))],
    )
    node = WindowTable(instants, spec(WindowKind.TUMBLE, size_ms=86_400_000))
    found = run(node, zone="Europe/Berlin").sort("v")
    assert found["window_start"].to_list() == [datetime(2024, 3, 9), datetime(2024, 3, 10)]
    assert found["window_time"][1] == datetime(2024, 3, 10, 22, 59, 59, 999_000, tzinfo=UTC)


def test_window_aggregate_assigns_and_groups():
    node = WindowAggregate(
        EVENTS,
        spec(WindowKind.TUMBLE, size_ms=10_000),
        ("k",),
        (agg("n", "COUNT"), agg("s", "SUM", col(EVENTS, "v"))),
        (("start", WindowProperty.START), ("end", WindowProperty.END), ("rt", WindowProperty.TIME)),
    )
    last = datetime(2024, 3, 10, 10, 0, 9, 999_000)
    assert ("a", 2, 3, at(0), at(10), last) in rows(node)
    assert len(rows(node)) == 4


def test_window_aggregate_without_keys_has_no_row_for_no_input():
    empty = table({"k": STRING, "ts": TIME, "v": INT}, [])
    node = WindowAggregate(empty, spec(WindowKind.TUMBLE, size_ms=10_000), (), (agg("n", "COUNT"),))
    assert rows(node) == []


def test_window_aggregate_over_attached_windows():
    inner = WindowTable(EVENTS, spec(WindowKind.TUMBLE, size_ms=10_000))
    node = WindowAggregate(
        inner,
        spec(WindowKind.TUMBLE, size_ms=10_000),
        ("window_start", "window_end"),
        (agg("n", "COUNT"),),
        (("window_time", WindowProperty.TIME),),
        ("window_start", "window_end"),
    )
    assert rows(node)[0] == (at(0), at(10), 2, datetime(2024, 3, 10, 10, 0, 9, 999_000))


def test_session_aggregate_has_sessions_per_key():
    node = WindowAggregate(
        EVENTS,
        spec(WindowKind.SESSION, gap_ms=8_000),
        ("k",),
        (agg("s", "SUM", col(EVENTS, "v")),),
        (("end", WindowProperty.END),),
    )
    assert rows(node) == [("a", 3, at(17)), ("a", 8, at(33)), ("b", 4, at(18)), (None, 16, at(34))]
