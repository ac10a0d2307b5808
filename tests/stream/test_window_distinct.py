"""DISTINCT, MIN and MAX over windows that overlap, of inputs that only add and of inputs that take back: against windows as lists of rows,
with late rows and restarts."""

import time
from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from helpers import agg, schema
from overlapping_windows import BOUNDS, OVERLAPPING, spec

from tableapi.row import RowKind
from tableapi.runtime.stream.batch import KIND_DTYPE, MAX_WATERMARK, MIN_WATERMARK, Batch
from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec
from tableapi.runtime.stream.window_time import Slices
from tableapi.testing import OperatorHarness

INPUT = schema("k STRING, v BIGINT, f DOUBLE, odd BOOLEAN, ts TIMESTAMP(3)", ts="rowtime")
CALLS = (
    agg(INPUT, "n", "COUNT"),
    agg(INPUT, "d", "COUNT", "v", distinct=True),
    agg(INPUT, "lo", "MIN", "v"),
    agg(INPUT, "d_odd", "COUNT", "v", distinct=True, filter="odd"),
    agg(INPUT, "s", "SUM", "v", distinct=True),
    agg(INPUT, "hi", "MAX", "v", distinct=True, filter="odd"),
    agg(INPUT, "flags", "COUNT", "odd", distinct=True),
    agg(INPUT, "last", "MAX", "f"),
    agg(INPUT, "total", "SUM", "v", filter="odd"),
)
INEXACT = (*CALLS, agg(INPUT, "fs", "SUM", "f", distinct=True))
"""With a call for which values cannot be taken back exactly, so that all are put together from slices."""

EXTREMES = tuple(call for call in CALLS if not call.call.distinct)


def results(rows, calls):
    """The calls over the rows (value, odd) of a window."""
    values, odds = [v for v, _ in rows if v is not None], [v for v, odd in rows if odd and v is not None]
    by_name = {
        "n": len(rows),
        "d": len(set(values)),
        "lo": min(values, default=None),
        "d_odd": len(set(odds)),
        "s": sum(set(values)) if values else None,
        "hi": max(odds, default=None),
        "flags": len({odd for _, odd in rows}),
        "last": max((v / 2 for v in values), default=None),
        "total": sum(odds) if odds else None,
        "fs": sum(v / 2 for v in set(values)) if values else None,
    }
    return tuple(by_name[call.name] for call in calls)


class Reference:
    """Windows as lists of rows; a row is in those of its windows that have not closed, and is taken out of those that have not."""

    def __init__(self, kind, ms, calls):
        self.slices, self.calls = Slices.of(spec(kind, ms)), calls
        self.watermark, self.open, self.results = MIN_WATERMARK, defaultdict(list), []

    def change(self, key, row, moment, adds):
        for window in self.slices.windows_of(int(self.slices.end_of(np.array([moment]))[0])):
            if window - 1 > self.watermark:
                (self.open[key, window].append if adds else self.open[key, window].remove)(row)

    def advance(self, watermark):
        self.watermark = max(self.watermark, watermark)
        for key, window in [pair for pair in self.open if pair[1] - 1 <= self.watermark]:
            if rows := self.open.pop((key, window)):
                start = int(self.slices.start_of_window(np.array([window]))[0])
                self.results.append((key, *results(rows, self.calls), start, window))


@pytest.mark.parametrize("calls", [CALLS, INEXACT, EXTREMES], ids=["exact", "inexact", "not distinct"])
@pytest.mark.parametrize("takes_back", [False, True], ids=["adds", "takes back"])
@pytest.mark.parametrize(("kind", "ms"), OVERLAPPING)
@pytest.mark.parametrize("seed", range(4))
def test_windows_with_late_rows_and_restarts(kind, ms, takes_back, calls, seed):
    rng = np.random.default_rng(seed)
    operator = WindowAggregateSpec(INPUT, spec(kind, ms), ("k",), calls, BOUNDS, input_is_insert_only=not takes_back)
    harness, reference, emitted, live = OperatorHarness(operator, INPUT), Reference(kind, ms, calls), [], []
    for step in range(30):
        rows, kinds = [], []
        for _ in range(int(rng.integers(1, 10))):
            adds = not takes_back or not live or rng.random() < 0.6
            if adds:
                value = int(rng.integers(0, 6))
                live.append((f"k{rng.integers(0, 3)}", None if value == 5 else value, 4 * step + int(rng.integers(-25, 10))))
            row = live[-1] if adds else live.pop(int(rng.integers(0, len(live))))
            rows.append(row)
            kinds.append(RowKind.INSERT if adds else RowKind.DELETE)
            reference.change(row[0], (row[1], row[1] is not None and row[1] % 2 == 1), row[2], adds)
        frame = pl.DataFrame(rows, schema={"k": pl.String, "v": pl.Int64, "ts": pl.Int64}, orient="row")
        odd = ((pl.col("v") % 2) == 1).fill_null(False).alias("odd")
        frame = frame.select("k", "v", (pl.col("v") / 2).alias("f"), odd, pl.col("ts").cast(pl.Datetime("ms")))
        harness.feed(Batch(frame, pl.Series(kinds, dtype=KIND_DTYPE) if any(kinds) else None))
        if rng.random() < 0.7:
            watermark = 4 * step - int(rng.integers(0, 12))
            harness.advance(watermark)
            reference.advance(watermark)
        if rng.random() < 0.15:
            emitted += harness.emitted
            harness = OperatorHarness(operator, INPUT, snapshot=harness.snapshot())
    harness.advance(MAX_WATERMARK)
    reference.advance(MAX_WATERMARK)
    found = [row for b in emitted + harness.emitted for row in b.frame.with_columns(pl.col("ws", "we").to_physical()).rows()]
    assert sorted(found, key=repr) == sorted(reference.results, key=repr)
    assert harness.operator._index.count == 0


@pytest.mark.slow
@pytest.mark.parametrize("takes_back", [False, True], ids=["adds", "takes back"])
def test_the_cost_of_a_distinct_count_does_not_grow_with_the_window(takes_back):
    """CPU time of windows of 600 slides against windows of 6; the values repeat, so that both have as many different ones."""
    n = 1_000_000
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "k": pl.Series(rng.integers(0, 100, n)).cast(pl.String),
            "v": rng.integers(0, 20, n),
            "f": rng.random(n),
            "odd": rng.random(n) < 0.5,
            "ts": pl.Series(np.arange(n) // 10).cast(pl.Datetime("ms")),
        }
    )

    def seconds(slides):
        window = spec("HOP", {"size_ms": slides * 500, "step_ms": 500})
        operator = WindowAggregateSpec(INPUT, window, ("k",), CALLS, BOUNDS, input_is_insert_only=not takes_back)
        harness = OperatorHarness(operator, INPUT)
        harness.context.emit = lambda batch: None
        began = time.process_time()
        for start in range(0, n, 65_536):
            part = frame[start : start + 65_536]
            harness.operator.process(0, Batch(part))
            harness.operator.on_watermark(int(part["ts"].to_physical()[-1]) - 1)
        return time.process_time() - began

    seconds(6)
    assert min(seconds(600) for _ in range(2)) < 2 * min(seconds(6) for _ in range(2))
