"""Operators with little state: calc, deduplication, sorting, limits, changelog conversions, window tables, unnest."""

import pytest
from helpers import schema

from tableapi.errors import ExecutionError
from tableapi.plan.nodes import NamedRex, WindowKind, WindowSpec
from tableapi.plan.rex import Call, Literal, Ref, SortKey
from tableapi.runtime.stream.calc import CalcSpec, CalcStep
from tableapi.runtime.stream.changelog import ChangelogNormalizeSpec, DropUpdateBeforeSpec, UpsertMaterializeSpec
from tableapi.runtime.stream.deduplicate import DeduplicateSpec
from tableapi.runtime.stream.expand import ExpandSpec
from tableapi.runtime.stream.sort_limit import FullSortSpec, LimitSpec, TemporalSortSpec
from tableapi.runtime.stream.unnest import UnnestSpec
from tableapi.runtime.stream.window_table import WindowTableSpec
from tableapi.testing import OperatorHarness, assert_changelog
from tableapi.types import DataTypes

INPUT = schema("k STRING, v INT, ts TIMESTAMP(3)", ts="rowtime")
TIMES = ["2024-01-01T10:00", "2024-01-01T10:01", "2024-01-01T10:02", "2024-01-01T10:03"]
INT = DataTypes.INT()
KV = schema("k STRING, v INT")


def ref(name, data_type=INT):
    return Ref(data_type, name)


def test_calc_filters_then_projects_and_keeps_kinds():
    above = Call(DataTypes.BOOLEAN(), "GREATER", (ref("v"), Literal(INT, 1)))
    double = Call(INT, "PLUS", (ref("v"), ref("v")))
    steps = (
        CalcStep(above, (NamedRex("w", double), NamedRex("one", Literal(INT, 1)))),
        CalcStep(None, (NamedRex("x", ref("w")),)),
    )
    h = OperatorHarness(CalcSpec(KV, steps), KV)
    assert_changelog(h.feed("-U a 1\n+U a 2\n+I b null\n-D c 5"), "+U 4\n-D 10")
    assert h.feed("a 1") == ""


def test_expand_nulls_absent_keys():
    h = OperatorHarness(ExpandSpec(KV, ("k", "v"), (("k", "v"), ("k",), ()), "g"), KV)
    assert_changelog(h.feed("a 1"), "+I a 1 0\n+I a null 1\n+I null null 3")


def test_first_rows_by_event_time():
    """The earliest row of a key comes out when the watermark has passed it; later and late rows do not."""
    h = OperatorHarness(DeduplicateSpec(INPUT, ("k",), "ts", keep_last=False), INPUT)
    h.feed(f"a 1 {TIMES[1]}\nb 2 {TIMES[2]}")
    h.feed(f"a 3 {TIMES[0]}")
    assert_changelog(h.advance(TIMES[1]), f"+I a 3 {TIMES[0]}")
    h.feed(f"c 4 {TIMES[1]}")
    assert h.context.metrics["late_rows"] == 1
    again = OperatorHarness(DeduplicateSpec(INPUT, ("k",), "ts", keep_last=False), INPUT, snapshot=h.snapshot())
    for one in (h, again):
        one.feed(f"a 5 {TIMES[3]}")
        assert_changelog(one.end(), f"+I b 2 {TIMES[2]}")


def test_last_rows_by_event_time():
    h = OperatorHarness(DeduplicateSpec(INPUT, ("k",), "ts", keep_last=True), INPUT)
    assert_changelog(h.feed(f"a 1 {TIMES[1]}\na 2 {TIMES[0]}"), f"+I a 1 {TIMES[1]}")
    assert_changelog(h.feed(f"a 3 {TIMES[0]}"), "")
    assert_changelog(h.feed(f"a 4 {TIMES[1]}\nb 1 {TIMES[0]}"), f"-U a 1 {TIMES[1]}\n+U a 4 {TIMES[1]}\n+I b 1 {TIMES[0]}")


def test_first_and_last_rows_by_arrival():
    h = OperatorHarness(DeduplicateSpec(KV, ("k",), None, keep_last=False), KV)
    assert_changelog(h.feed("a 1\na 2\nb 1"), "+I a 1\n+I b 1")
    assert h.feed("a 9") == ""
    again = OperatorHarness(DeduplicateSpec(KV, ("k",), None, keep_last=False), KV, snapshot=h.snapshot())
    assert_changelog(again.feed("b 3\nc 3"), "+I c 3")
    h = OperatorHarness(DeduplicateSpec(KV, ("k",), None, keep_last=True, generate_update_before=False), KV)
    assert_changelog(h.feed("a 1\na 2"), "+I a 2")
    assert_changelog(h.feed("a 3"), "+U a 3")


def test_normalize_upserts():
    h = OperatorHarness(ChangelogNormalizeSpec(KV, ("k",)), KV)
    assert_changelog(h.feed("+I a 1\n+U b 1\n-D c null"), "+I a 1\n+I b 1")
    assert_changelog(h.feed("+U a 2\n+U b 1\n-D b null"), "-U a 1\n+U a 2\n-D b 1")
    again = OperatorHarness(ChangelogNormalizeSpec(KV, ("k",)), KV, snapshot=h.snapshot())
    assert_changelog(again.feed("+U a 2\n+I b 5\n-D a null"), "-D a 2\n+I b 5")


def test_drop_update_before():
    h = OperatorHarness(DropUpdateBeforeSpec(), KV)
    assert_changelog(h.feed("-U a 1\n+U a 2\n-D b 1"), "+U a 2\n-D b 1")
    assert h.feed("-U a 1") == ""


def test_upsert_materialize_falls_back_to_the_row_before():
    h = OperatorHarness(UpsertMaterializeSpec(KV, ("k",)), KV)
    assert_changelog(h.feed("+I a 1"), "+I a 1")
    assert_changelog(h.feed("+U a 2"), "+U a 2")
    again = OperatorHarness(UpsertMaterializeSpec(KV, ("k",)), KV, snapshot=h.snapshot())
    for one in (h, again):
        assert_changelog(one.feed("-D a 2"), "+U a 1")
        assert_changelog(one.feed("-U a 1\n+U a 1"), "")
        assert_changelog(one.feed("-D a 1"), "-D a 1")


def test_sort_by_event_time():
    spec = TemporalSortSpec(INPUT, (SortKey("ts"), SortKey("v", False, False)))
    h = OperatorHarness(spec, INPUT)
    h.feed(f"a 1 {TIMES[1]}\nb 2 {TIMES[1]}\nc 0 {TIMES[0]}\nd 0 {TIMES[2]}")
    again = OperatorHarness(spec, INPUT, snapshot=h.snapshot())
    for one in (h, again):
        assert_changelog(one.advance(TIMES[1]), f"+I c 0 {TIMES[0]}\n+I b 2 {TIMES[1]}\n+I a 1 {TIMES[1]}")
        assert one.feed(f"e 0 {TIMES[1]}") == ""
        assert_changelog(one.end(), f"+I d 0 {TIMES[2]}")


def test_sort_by_processing_time():
    """Rows come as they come; a second sort key orders the rows of each millisecond, when it is over."""
    rows = schema("v INT, ts TIMESTAMP_LTZ(3)", ts="proctime")
    plain = OperatorHarness(TemporalSortSpec(rows, (SortKey("ts"),), False), rows)
    assert_changelog(plain.feed("2 null\n1 null"), "+I 2 null\n+I 1 null")
    spec = TemporalSortSpec(rows, (SortKey("ts"), SortKey("v", ascending=False)), False)
    h = OperatorHarness(spec, rows, clock_ms=1_000)
    assert h.feed("1 null\n3 null") == h.feed("2 null") == ""
    again = OperatorHarness(spec, rows, clock_ms=1_000, snapshot=h.snapshot())
    for one in (h, again):
        assert_changelog(one.set_clock(1_001), "+I 3 null\n+I 2 null\n+I 1 null")
        one.feed("7 null\n9 null")
        assert_changelog(one.end(), "+I 9 null\n+I 7 null")


def test_sort_at_the_end_of_the_input():
    h = OperatorHarness(FullSortSpec(KV, (SortKey("v", True, False),)), KV)
    h.feed("+I a 3\n+I b null\n+I c 1\n+I c 1")
    h.feed("-D a 3\n+I a 2")
    assert_changelog(h.end(), "+I c 1\n+I c 1\n+I a 2\n+I b null")


def test_limit():
    h = OperatorHarness(LimitSpec(KV, 2, 1), KV)
    assert_changelog(h.feed("a 1\nb 2"), "+I b 2")
    assert_changelog(h.feed("c 3\nd 4"), "+I c 3")
    assert h.feed("e 5") == ""
    h = OperatorHarness(LimitSpec(KV, 2, 0, input_is_insert_only=False), KV)
    h.feed("a 1\nb 2\nc 3")
    assert_changelog(h.feed("-D a 1"), "-D a 1\n+I c 3")
    h = OperatorHarness(LimitSpec(KV, None, 1, input_is_insert_only=False), KV)
    assert_changelog(h.feed("+I a 1\n+I b 2\n+I c 3"), "+I b 2\n+I c 3")
    assert_changelog(h.feed("-D a 1"), "-D b 2")


def test_window_table_passes_late_rows_and_kinds():
    window = WindowSpec(WindowKind.HOP, "ts", True, size_ms=120_000, step_ms=60_000)
    h = OperatorHarness(WindowTableSpec(INPUT, window), INPUT)
    h.advance(TIMES[3])
    assert_changelog(
        h.feed(f"-D a 1 {TIMES[1]}"),
        f"-D a 1 {TIMES[1]} {TIMES[0]} {TIMES[2]} 2024-01-01T10:01:59.999\n-D a 1 {TIMES[1]} {TIMES[1]} {TIMES[3]} 2024-01-01T10:02:59.999",
    )
    with pytest.raises(ExecutionError, match="no event time"):
        h.feed("a 1 null")


def test_windows_are_aligned_to_local_midnight():
    source = schema("v INT, ts TIMESTAMP_LTZ(3)", ts="rowtime")
    window = WindowSpec(WindowKind.TUMBLE, "ts", True, size_ms=86_400_000)
    h = OperatorHarness(WindowTableSpec(source, window), source)
    h.context.session = type(h.context.session)(time_zone="Asia/Shanghai")
    h.operator.open(h.context)
    assert_changelog(
        h.feed("1 2024-01-01T17:00"), "+I 1 2024-01-01T17:00 2024-01-02T00:00 2024-01-03T00:00 2024-01-02T15:59:59.999"
    )


@pytest.mark.parametrize("is_outer", [False, True])
def test_unnest(is_outer):
    source = schema("k STRING")
    source = type(source)((*source.fields, type(source.fields[0])("xs", DataTypes.ARRAY(INT))))
    output = type(source.fields[0])("x", INT)
    h = OperatorHarness(UnnestSpec(source, ref("xs", DataTypes.ARRAY(INT)), (output,), is_outer, "n"), source)
    outer = "\n+I b [] null null\n+I c null null null" if is_outer else ""
    assert_changelog(h.feed("+U a [1,2]\n+I b []\n+I c null"), "+U a [1,2] 1 1\n+U a [1,2] 2 2" + outer)
