import pytest
from helpers import agg, schema

from tableapi.plan.nodes import WindowKind, WindowProperty, WindowSpec
from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec
from tableapi.testing import OperatorHarness, assert_changelog

INPUT = schema("k STRING, v BIGINT, ts TIMESTAMP(3)", ts="rowtime")
CALLS = (agg(INPUT, "n", "COUNT"), agg(INPUT, "s", "SUM", "v"))
BOUNDS = (("ws", WindowProperty.START), ("we", WindowProperty.END))


def window(kind, **ms):
    return WindowSpec(WindowKind[kind], "ts", True, **ms)


def harness(spec, calls=CALLS, keys=("k",), properties=BOUNDS, **flags):
    spec = WindowAggregateSpec(INPUT, spec, keys, calls, properties, **flags)
    return OperatorHarness(spec, INPUT)


def test_tumble():
    """A window comes out once, when the watermark reaches its last millisecond; later rows are late."""
    h = harness(window("TUMBLE", size_ms=10_000))
    assert h.feed("a 1 2024-03-10T10:00:01\na 2 2024-03-10T10:00:09\nb 5 2024-03-10T10:00:03\na 4 2024-03-10T10:00:12") == ""
    assert h.advance("2024-03-10T10:00:09.998") == ""
    assert_changelog(
        h.advance("2024-03-10T10:00:09.999"),
        """
        +I a 2 3 2024-03-10T10:00 2024-03-10T10:00:10
        +I b 1 5 2024-03-10T10:00 2024-03-10T10:00:10
        """,
    )
    h.feed("a 100 2024-03-10T10:00:09\nc 7 2024-03-10T10:00:19")
    assert h.context.metrics["late_rows"] == 1
    assert_changelog(
        h.end(),
        """
        +I a 1 4 2024-03-10T10:00:10 2024-03-10T10:00:20
        +I c 1 7 2024-03-10T10:00:10 2024-03-10T10:00:20
        """,
    )
    assert h.operator._index.count == 0


def test_hop_counts_rows_that_are_late_for_some_windows_only():
    h = harness(window("HOP", size_ms=20_000, step_ms=10_000), keys=())
    h.feed("a 1 2024-03-10T10:00:01\na 2 2024-03-10T10:00:11")
    assert_changelog(h.advance("2024-03-10T10:00:10"), "+I 1 1 2024-03-10T09:59:50 2024-03-10T10:00:10")
    h.feed("a 4 2024-03-10T10:00:05\na 8 2024-03-10T09:59:59")
    assert h.context.metrics["late_rows"] == 1
    assert_changelog(
        h.end(),
        """
        +I 3 7 2024-03-10T10:00 2024-03-10T10:00:20
        +I 1 2 2024-03-10T10:00:10 2024-03-10T10:00:30
        """,
    )


def test_cumulate():
    h = harness(window("CUMULATE", size_ms=30_000, step_ms=10_000))
    h.feed("a 1 2024-03-10T10:00:01\nb 2 2024-03-10T10:00:15")
    assert_changelog(
        h.end(),
        """
        +I a 1 1 2024-03-10T10:00 2024-03-10T10:00:10
        +I a 1 1 2024-03-10T10:00 2024-03-10T10:00:20
        +I b 1 2 2024-03-10T10:00 2024-03-10T10:00:20
        +I a 1 1 2024-03-10T10:00 2024-03-10T10:00:30
        +I b 1 2 2024-03-10T10:00 2024-03-10T10:00:30
        """,
    )


def test_offset_and_window_time():
    h = harness(window("TUMBLE", size_ms=60_000, offset_ms=10_000), properties=(*BOUNDS, ("wt", WindowProperty.TIME)))
    h.feed("a 1 2024-03-10T10:00:05")
    assert_changelog(h.end(), "+I a 1 1 2024-03-10T09:59:10 2024-03-10T10:00:10 2024-03-10T10:00:09.999")


@pytest.mark.parametrize("kind", ["HOP", "CUMULATE"])
def test_every_accumulator_merges_over_slices(kind):
    calls = tuple(
        agg(INPUT, name.lower(), name, column)
        for name, column in (
            ("MIN", "v"),
            ("MAX", "k"),
            ("FIRST_VALUE", "v"),
            ("LAST_VALUE", "k"),
            ("LISTAGG", "k"),
            ("AVG", "v"),
        )
    )
    calls += (agg(INPUT, "d", "COUNT", "v", distinct=True), agg(INPUT, "ds", "SUM", "v", distinct=True))
    h = harness(window(kind, size_ms=20_000, step_ms=10_000), calls, keys=())
    h.feed("a 3 2024-03-10T10:00:01\nc 5 2024-03-10T10:00:11\nb 3 2024-03-10T10:00:12")
    assert "+I 3 c 3 b a,c,b 3 2 8 2024-03-10T10:00 2024-03-10T10:00:20" in h.end().splitlines()


def test_updating_input_is_counted_out_of_its_window():
    h = harness(window("TUMBLE", size_ms=10_000), input_is_insert_only=False)
    h.feed("a 1 2024-03-10T10:00:01\nb 2 2024-03-10T10:00:01")
    h.feed("-D a 1 2024-03-10T10:00:01\n-U b 2 2024-03-10T10:00:01\n+U b 3 2024-03-10T10:00:01")
    assert_changelog(h.end(), "+I b 1 3 2024-03-10T10:00 2024-03-10T10:00:10")


def test_processing_time_closes_windows_by_the_clock():
    source = schema("k STRING, v BIGINT, ts TIMESTAMP_LTZ(3)", ts="proctime")
    spec = WindowAggregateSpec(source, WindowSpec(WindowKind.TUMBLE, "ts", False, 10_000), ("k",), CALLS, BOUNDS)
    h = OperatorHarness(spec, source, clock_ms=1_000)
    h.feed("a 1 null")
    h.set_clock(5_000)
    h.feed("a 2 null")
    assert h.set_clock(9_998) == ""
    assert_changelog(h.set_clock(9_999), "+I a 2 3 1970-01-01T00:00 1970-01-01T00:00:10")


def test_rows_that_carry_their_window():
    source = schema("k STRING, v BIGINT, ws TIMESTAMP(3), we TIMESTAMP(3), wt TIMESTAMP(3)", wt="rowtime")
    spec = WindowAggregateSpec(
        source, WindowSpec(WindowKind.TUMBLE, "wt", True, 10_000), (), CALLS, BOUNDS, attached=("ws", "we")
    )
    h = OperatorHarness(spec, source)
    h.feed(
        """
        a 1 2024-03-10T10:00:00 2024-03-10T10:00:10 2024-03-10T10:00:09.999
        b 2 2024-03-10T10:00:00 2024-03-10T10:00:10 2024-03-10T10:00:09.999
        b 4 2024-03-10T10:00:10 2024-03-10T10:00:20 2024-03-10T10:00:19.999
        """
    )
    h.feed("c 8 2024-03-10T10:00:00 2024-03-10T10:00:10 2024-03-10T10:00:09.999")
    assert_changelog(h.advance("2024-03-10T10:00:09.999"), "+I 3 11 2024-03-10T10:00 2024-03-10T10:00:10")
    assert_changelog(h.end(), "+I 1 4 2024-03-10T10:00:10 2024-03-10T10:00:20")


@pytest.mark.parametrize("kind", ["TUMBLE", "HOP", "CUMULATE", "SESSION"])
def test_a_restored_operator_goes_on_where_the_snapshot_was_taken(kind):
    ms = {"gap_ms": 5_000} if kind == "SESSION" else {"size_ms": 20_000, "step_ms": 10_000}
    calls = (*CALLS, agg(INPUT, "d", "COUNT", "v", distinct=True), agg(INPUT, "l", "LISTAGG", "k"))
    spec = WindowAggregateSpec(INPUT, window(kind, **ms), ("k",), calls, BOUNDS)
    first = OperatorHarness(spec, INPUT)
    first.feed("a 1 2024-03-10T10:00:01\na 2 2024-03-10T10:00:11\nb 2 2024-03-10T10:00:25")
    first.advance("2024-03-10T10:00:10")
    second = OperatorHarness(spec, INPUT, snapshot=first.snapshot())
    for rows in ("a 2 2024-03-10T10:00:15\nb 2 2024-03-10T10:00:26", "a 1 2024-03-10T09:00:00\nc 2 2024-03-10T10:00:31"):
        assert first.feed(rows) == second.feed(rows)
        assert first.advance("2024-03-10T10:00:30") == second.advance("2024-03-10T10:00:30")
    assert sorted(first.end().splitlines()) == sorted(second.end().splitlines())
