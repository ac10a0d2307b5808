"""Windows made of slices: their arithmetic, and results against a brute-force count, late rows and restarts included."""

import time
from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from helpers import agg, schema
from overlapping_windows import BOUNDS, OVERLAPPING, spec

from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec
from tableapi.runtime.stream.window_time import Slices
from tableapi.testing import OperatorHarness

INPUT = schema("k STRING, v BIGINT, ts TIMESTAMP(3)", ts="rowtime")
NUMBERS = (
    agg(INPUT, "n", "COUNT"),
    agg(INPUT, "s", "SUM", "v"),
    agg(INPUT, "hi", "MAX", "v"),
    agg(INPUT, "w", "MIN", "k"),
)
LISTS = (*NUMBERS, agg(INPUT, "d", "COUNT", "v", distinct=True))
WINDOWS = [("TUMBLE", {"size_ms": 10}), *OVERLAPPING]


def covers(kind, ms, start, end, time):
    """Whether [start, end) is a window, and has the time in it; from the definition of windows."""
    offset, step = ms.get("offset_ms", 0), ms.get("step_ms", ms["size_ms"])
    if kind == "CUMULATE":
        is_window = (start - offset) % ms["size_ms"] == 0 and (end - start) % step == 0 and end - start <= ms["size_ms"]
    else:
        is_window = (start - offset) % step == 0 and end - start == ms["size_ms"]
    return is_window and start <= time < end


@pytest.mark.parametrize(("kind", "ms"), WINDOWS)
def test_windows_of_a_slice(kind, ms):
    slices = Slices.of(spec(kind, ms))
    for moment in range(-25, 40):
        slice_end = int(slices.end_of(np.array([moment]))[0])
        windows = slices.windows_of(slice_end)
        starts = slices.start_of_window(np.array(windows, dtype=np.int64)).tolist()
        assert all(covers(kind, ms, s, e, moment) for s, e in zip(starts, windows, strict=True))
        assert len(windows) == sum(covers(kind, ms, s, e, moment) for e in range(-60, 80) for s in range(-60, e))
        assert windows == sorted(windows)
        for after in (MIN_WATERMARK, moment, slice_end, slice_end + 5):
            assert slices.windows_of(slice_end, after) == [w for w in windows if w > after]
        if windows:
            assert windows[-1] == slices.last_window_of(np.array([slice_end]))[0]


class Reference:
    """Windows as lists of rows. A row is added to its windows that have not closed (Flink: late for some, counted in the others)."""

    def __init__(self, kind, ms):
        self.slices = Slices.of(spec(kind, ms))
        self.watermark, self.late = MIN_WATERMARK, 0
        self.open, self.results = defaultdict(list), []

    def add(self, key, value, moment):
        windows = self.slices.windows_of(int(self.slices.end_of(np.array([moment]))[0]))
        wanted = [w for w in windows if w - 1 > self.watermark]
        self.late += bool(windows) and not wanted
        for window in wanted:
            self.open[key, window].append(value)

    def advance(self, watermark):
        self.watermark = max(self.watermark, watermark)
        for key, window in [pair for pair in self.open if pair[1] - 1 <= self.watermark]:
            values = self.open.pop((key, window))
            start = int(self.slices.start_of_window(np.array([window]))[0])
            self.results.append((key, len(values), sum(values), max(values), key, len(set(values)), start, window))


@pytest.mark.parametrize("calls", [NUMBERS, LISTS], ids=["numbers", "lists"])
@pytest.mark.parametrize(("kind", "ms"), WINDOWS)
@pytest.mark.parametrize("seed", range(4))
def test_results_with_late_rows_and_restarts(kind, ms, calls, seed):
    rng = np.random.default_rng(seed)
    operator = WindowAggregateSpec(INPUT, spec(kind, ms), ("k",), calls, BOUNDS)
    harness, reference, emitted, late = OperatorHarness(operator, INPUT), Reference(kind, ms), [], 0
    for step in range(30):
        n = int(rng.integers(1, 8))
        times = 4 * step + rng.integers(-25, 10, n)
        keys, values = rng.integers(0, 3, n), rng.integers(0, 4, n)
        for k, v, t in zip(keys.tolist(), values.tolist(), times.tolist(), strict=True):
            reference.add(f"k{k}", v, t)
        times = pl.Series(times).cast(pl.Datetime("ms"))
        harness.feed(Batch(pl.DataFrame({"k": [f"k{k}" for k in keys], "v": values, "ts": times})))
        if rng.random() < 0.7:
            watermark = 4 * step - int(rng.integers(0, 12))
            harness.advance(watermark)
            reference.advance(watermark)
        if rng.random() < 0.15:
            emitted += harness.emitted
            late += harness.context.metrics.get("late_rows", 0)
            harness = OperatorHarness(operator, INPUT, snapshot=harness.snapshot())
    harness.advance(MAX_WATERMARK)
    reference.advance(MAX_WATERMARK)
    rows = [row for b in emitted + harness.emitted for row in b.frame.with_columns(pl.col("ws", "we").to_physical()).rows()]
    has_distinct = len(calls) == len(LISTS)
    assert sorted(rows) == sorted(r if has_distinct else (*r[:5], *r[6:]) for r in reference.results)
    assert late + harness.context.metrics.get("late_rows", 0) == reference.late
    assert harness.operator._index.count == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["HOP", "CUMULATE"])
def test_six_hundred_windows_over_a_row_cost_less_than_two(kind):
    """CPU time against a tumbling window as long as the slide: rows are the same, and so is about the number of results."""
    n = 3_000_000
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "k": pl.Series(rng.integers(0, 100, n)).cast(pl.String),
            "v": rng.integers(0, 1000, n),
            "ts": pl.Series(np.arange(n) // 10).cast(pl.Datetime("ms")),
        }
    )

    def seconds(window):
        harness = OperatorHarness(WindowAggregateSpec(INPUT, window, ("k",), NUMBERS[:3], BOUNDS), INPUT)
        harness.context.emit = lambda batch: None
        began = time.process_time()
        for start in range(0, n, 65_536):
            part = frame[start : start + 65_536]
            harness.operator.process(0, Batch(part))
            harness.operator.on_watermark(int(part["ts"].to_physical()[-1]) - 1)
        harness.operator.on_watermark(MAX_WATERMARK)
        return time.process_time() - began

    tumbling, overlapping = spec("TUMBLE", {"size_ms": 1000}), spec(kind, {"size_ms": 600_000, "step_ms": 1000})
    seconds(tumbling)
    assert min(seconds(overlapping) for _ in range(3)) < 2 * min(seconds(tumbling) for _ in range(3))
