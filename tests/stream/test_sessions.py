import numpy as np
import polars as pl
import pytest
from helpers import agg, schema

from tableapi.plan.nodes import WindowKind, WindowProperty, WindowSpec
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec
from tableapi.runtime.stream.window_table import WindowTableSpec
from tableapi.testing import OperatorHarness, assert_changelog

INPUT = schema("k STRING, v BIGINT, ts TIMESTAMP(3)", ts="rowtime")
BOUNDS = (("ws", WindowProperty.START), ("we", WindowProperty.END))
GAP = WindowSpec(WindowKind.SESSION, "ts", True, gap_ms=10_000, partition_by=("k",))


def harness(*calls, keys=("k",), window=GAP, source=INPUT, **flags):
    return OperatorHarness(WindowAggregateSpec(source, window, keys, calls, BOUNDS, **flags), source)


def test_a_row_between_two_sessions_joins_them():
    h = harness(agg(INPUT, "n", "COUNT"), agg(INPUT, "l", "LISTAGG", "k"), agg(INPUT, "d", "COUNT", "v", distinct=True))
    h.feed("a 1 2024-03-10T10:00:00\na 1 2024-03-10T10:00:15\nb 2 2024-03-10T10:00:00")
    h.feed("a 3 2024-03-10T10:00:06")
    assert_changelog(h.advance("2024-03-10T10:00:24.998"), "+I b 1 b 1 2024-03-10T10:00 2024-03-10T10:00:10")
    assert_changelog(h.advance("2024-03-10T10:00:24.999"), "+I a 3 a,a,a 2 2024-03-10T10:00 2024-03-10T10:00:25")
    h.feed("a 3 2024-03-10T10:00:14")
    assert h.context.metrics["late_rows"] == 1
    assert h.operator.state()["sessions"].height == 0


def test_touching_sessions_are_one():
    h = harness(agg(INPUT, "s", "SUM", "v"))
    h.feed("a 1 2024-03-10T10:00:00\na 2 2024-03-10T10:00:10\na 4 2024-03-10T10:00:20.001")
    assert_changelog(
        h.end(), "+I a 3 2024-03-10T10:00 2024-03-10T10:00:20\n+I a 4 2024-03-10T10:00:20.001 2024-03-10T10:00:30.001"
    )


def test_updating_input():
    h = harness(agg(INPUT, "s", "SUM", "v"), input_is_insert_only=False)
    h.feed("a 1 2024-03-10T10:00:00\na 2 2024-03-10T10:00:05\nb 1 2024-03-10T10:00:05")
    h.feed("-D a 1 2024-03-10T10:00:00\n-D b 1 2024-03-10T10:00:05")
    assert_changelog(h.end(), "+I a 2 2024-03-10T10:00 2024-03-10T10:00:15")


def test_processing_time():
    source = schema("k STRING, v BIGINT, ts TIMESTAMP_LTZ(3)", ts="proctime")
    window = WindowSpec(WindowKind.SESSION, "ts", False, gap_ms=1000)
    h = harness(agg(source, "s", "SUM", "v"), keys=(), window=window, source=source)
    h.set_clock(500)
    h.feed("a 1 null")
    h.set_clock(1400)
    h.feed("a 2 null")
    assert h.set_clock(2398) == ""
    assert_changelog(h.set_clock(2399), "+I 3 1970-01-01T00:00:00.500 1970-01-01T00:00:02.400")


def test_rows_with_their_session():
    spec = WindowTableSpec(INPUT, GAP)
    h = OperatorHarness(spec, INPUT)
    h.feed("a 1 2024-03-10T10:00:00\na 1 2024-03-10T10:00:15")
    h.feed("a 3 2024-03-10T10:00:06")
    again = OperatorHarness(spec, INPUT, snapshot=h.snapshot())
    window = "2024-03-10T10:00 2024-03-10T10:00:25 2024-03-10T10:00:24.999"
    for one in (h, again):
        lines = one.end().splitlines()
        assert sorted(lines) == sorted(
            f"+I a {v} {t} {window}"
            for v, t in ((1, "2024-03-10T10:00"), (1, "2024-03-10T10:00:15"), (3, "2024-03-10T10:00:06"))
        )


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_equals_a_sort_by_time(batch_rows):
    """Any cut into batches gives the sessions of all rows sorted by time."""
    rng = np.random.default_rng(2)
    n = 300
    frame = pl.DataFrame(
        {
            "k": [f"k{i}" for i in rng.integers(0, 5, n)],
            "v": rng.integers(0, 100, n),
            "ts": pl.Series(rng.integers(0, 3_000_000, n)).cast(pl.Datetime("ms")),
        }
    )
    h = harness(agg(INPUT, "n", "COUNT"), agg(INPUT, "s", "SUM", "v"))
    for start in range(0, n, batch_rows):
        h.feed(Batch(frame[start : start + batch_rows]))
    h.end()
    begins = (pl.col("ts").diff().dt.total_milliseconds() > 10_000).fill_null(True)
    sessions = frame.sort("k", "ts").with_columns(begins.over("k").cum_sum().over("k").alias("session"))
    expected = sessions.group_by("k", "session").agg(
        pl.len().cast(pl.Int64),
        pl.col("v").sum(),
        pl.col("ts").min().alias("ws"),
        (pl.col("ts").max() + pl.duration(milliseconds=10_000)).alias("we"),
    )
    assert sorted(h.fold()) == sorted(expected.drop("session").rows())
