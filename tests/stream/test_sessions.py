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


def test_updating_input_of_values_that_must_be_kept():
    """A row is taken back from a session that has become one of two; MIN, MAX, DISTINCT and lists follow."""
    calls = [agg(INPUT, n.lower(), n, "v") for n in ("MIN", "MAX", "FIRST_VALUE", "LAST_VALUE")]
    calls += [agg(INPUT, "d", "COUNT", "v", distinct=True), agg(INPUT, "l", "LISTAGG", "k")]
    h = harness(*calls, input_is_insert_only=False)
    h.feed("a 1 2024-03-10T10:00:00\na 9 2024-03-10T10:00:15\na 5 2024-03-10T10:00:16\nb 7 2024-03-10T10:00:00")
    h.feed("a 3 2024-03-10T10:00:06\na 5 2024-03-10T10:00:07")
    h.feed("-D a 9 2024-03-10T10:00:15\n-D a 1 2024-03-10T10:00:00\n-D a 5 2024-03-10T10:00:07\n-D b 7 2024-03-10T10:00:00")
    again = OperatorHarness(h.operator._spec, INPUT, snapshot=h.snapshot())
    for one in (h, again):
        (line,) = one.end().splitlines()
        kind, key, *values, _, start, end = line.split()
        assert (kind, key, start, end) == ("+I", "a", "2024-03-10T10:00", "2024-03-10T10:00:26")
        assert values[:2] == ["3", "5"]
        assert set(values[2:4]) <= {"3", "5"}
        assert values[4] == "2"


@pytest.mark.parametrize("seed", range(5))
def test_updating_input_equals_what_is_left_of_it(seed):
    """Rows that come and go: the results are those of the rows that stay, as long as these hold the sessions together."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "k": [f"k{i}" for i in rng.integers(0, 3, 200)],
            "v": rng.integers(0, 20, 200),
            "ts": pl.Series(rng.integers(0, 100, 200) * 4_000).cast(pl.Datetime("ms")),
        }
    )
    stays = rng.random(200) < 0.6
    calls = [
        agg(INPUT, n, f, "v", distinct=d) for n, f, d in (("lo", "MIN", False), ("hi", "MAX", False), ("d", "COUNT", True))
    ]
    updating, plain = harness(*calls, input_is_insert_only=False), harness(*calls)
    order = np.concatenate([np.arange(200), rng.permutation(np.flatnonzero(~stays))])
    kinds = np.repeat(np.array([0, 3], dtype=np.int8), [200, int((~stays).sum())])
    for start in range(0, len(order), 17):
        part = slice(start, start + 17)
        updating.feed(Batch(frame[order[part]], pl.Series("kind", kinds[part], dtype=pl.Int8)))
    updating.end()
    plain.feed(Batch(frame))
    plain.end()
    expected = {}
    for key, *_, start, end in plain.fold():
        is_in = (pl.col("k") == key) & (pl.col("ts") >= start) & (pl.col("ts") < end)
        left = frame.filter(pl.Series(stays)).filter(is_in)["v"]
        if len(left):
            expected[key, left.min(), left.max(), left.n_unique(), start, end] = 1
    assert updating.fold() == expected


def test_rows_that_are_taken_back_do_not_come_out_with_their_session():
    spec = WindowTableSpec(INPUT, GAP, input_is_insert_only=False)
    h = OperatorHarness(spec, INPUT)
    h.feed("a 1 2024-03-10T10:00:00\na 1 2024-03-10T10:00:00\na 2 2024-03-10T10:00:15\nb 5 2024-03-10T10:00:01")
    h.feed("-D a 1 2024-03-10T10:00:00\n-U a 2 2024-03-10T10:00:15\n+U a 3 2024-03-10T10:00:15\n-D b 5 2024-03-10T10:00:01")
    again = OperatorHarness(spec, INPUT, snapshot=h.snapshot())
    for one in (h, again):
        one.feed("a 4 2024-03-10T10:00:20\n-D a 4 2024-03-10T10:00:20")
        assert sorted(one.end().splitlines()) == [
            "+I a 1 2024-03-10T10:00 2024-03-10T10:00 2024-03-10T10:00:10 2024-03-10T10:00:09.999",
            "+I a 3 2024-03-10T10:00:15 2024-03-10T10:00:15 2024-03-10T10:00:30 2024-03-10T10:00:29.999",
        ]
        assert one.operator._rows.count == one.operator._values.count == 0


def test_rows_with_their_session_of_processing_time():
    source = schema("k STRING, v BIGINT, ts TIMESTAMP_LTZ(3)", ts="proctime")
    window = WindowSpec(WindowKind.SESSION, "ts", False, gap_ms=1000, partition_by=("k",))
    h = OperatorHarness(WindowTableSpec(source, window), source)
    h.set_clock(500)
    h.feed("a 1 null\nb 2 null")
    h.set_clock(900)
    h.feed("a 3 null")
    assert_changelog(h.set_clock(1499), "+I b 2 null 1970-01-01T00:00:00.500 1970-01-01T00:00:01.500 1970-01-01T00:00:01.499")
    again = OperatorHarness(WindowTableSpec(source, window), source, snapshot=h.snapshot())
    assert again.set_clock(1898) == ""
    for one in (h, again):
        assert sorted(line.split()[2] for line in one.set_clock(1899).splitlines()) == ["1", "3"]
