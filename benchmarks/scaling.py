"""What a batch costs must not depend on how much state there is, and two workers must do more than one.

    python benchmarks/scaling.py [--keys 100000,1000000,10000000] [--only keys|windows|workers] [--plot scaling.svg]

- keys: rows a second of an operator that has so many keys in its state (bar: with 10 M at least 0.4 times that with 100 k). The keys are put
  in first; then 3 M rows that update random ones of them are timed.
- windows: a HOP window 600 times as long as its slide against a tumbling window as long as the slide (bar: less than twice the cost).
- workers: Nexmark's q17 and q20 at parallelism 2 against 1 (bar: at least 1.6 times the rate; needs two idle cores).

The first two run in this process and count its CPU time, which a busy machine distorts least; the third counts the clock's.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from tableapi.functions.registry import SessionContext, lookup
from tableapi.plan.nodes import JoinKind, NamedAgg, WindowKind, WindowProperty, WindowSpec
from tableapi.plan.rex import AggCall, Ref, SortKey
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.deduplicate import DeduplicateSpec
from tableapi.runtime.stream.group_aggregate import GroupAggregateSpec
from tableapi.runtime.stream.join import JoinSpec
from tableapi.runtime.stream.operator import Operator, OperatorContext
from tableapi.runtime.stream.rank import RankSpec
from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec
from tableapi.tablespec import Field, RowSchema, TimeKind
from tableapi.testing import ManualClock
from tableapi.types import DataTypes

BATCH_ROWS = 65_536
TIMED_ROWS = 3_000_000
ROWS = RowSchema(
    (
        Field("key", DataTypes.BIGINT()),
        Field("value", DataTypes.BIGINT()),
        Field("at", DataTypes.TIMESTAMP(3), TimeKind.ROWTIME),
    )
)
SIDE = RowSchema((Field("id", DataTypes.BIGINT()), Field("name", DataTypes.BIGINT())))


def call(name: str, function: str, *columns: str) -> NamedAgg:
    """A named aggregate call over the rows."""
    args = tuple(Ref(ROWS[c].type, c) for c in columns)
    return NamedAgg(name, AggCall(function, args, lookup(function).signature(args).result))  # type: ignore[union-attr]


AGGREGATES = (call("n", "COUNT"), call("s", "SUM", "value"), call("h", "MAX", "value"))
KEYED = {
    "group aggregate": GroupAggregateSpec(ROWS, ("key",), AGGREGATES),
    "last row of a key": DeduplicateSpec(ROWS, ("key",), "at", True, False),
    "highest 3 of a key": RankSpec(ROWS, ("key",), (SortKey("value", False, False),), 1, 3),
}
BOUNDS = (("ws", WindowProperty.START), ("we", WindowProperty.END))


def batches(keys: np.ndarray, first: int) -> Iterator[Batch]:
    """Rows with these keys; row `first` is the first one's number: times ascend with it, 10 rows a millisecond."""
    for at in range(0, len(keys), BATCH_ROWS):
        part = keys[at : at + BATCH_ROWS]
        number = np.arange(first + at, first + at + len(part))
        times = pl.Series(1_700_000_000_000 + number // 10).cast(pl.Datetime("ms"))
        yield Batch(pl.DataFrame({"key": part, "value": number * 2_654_435_761 % 1_000_003, "at": times}))


def opened(spec: object) -> Operator:
    """An operator at work, whose results go nowhere."""
    operator: Operator = spec.create()  # type: ignore[attr-defined]
    operator.open(OperatorContext(emit=lambda batch: None, session=SessionContext(), clock=ManualClock()))
    return operator


def timed(work: Callable[[Batch], None], rows: list[Batch]) -> float:
    """Rows a second of CPU time."""
    gc.collect()
    started = time.process_time()
    for batch in rows:
        work(batch)
    return sum(b.height for b in rows) / (time.process_time() - started)


def updates(keys: int) -> list[Batch]:
    """The timed rows: random ones of so many keys."""
    return list(batches(np.random.default_rng(2).integers(0, keys, TIMED_ROWS), keys))


def keyed_rate(spec: object, keys: int) -> float:
    """Rows a second of an operator over `keys` keys."""
    operator = opened(spec)
    for batch in batches(np.random.default_rng(1).permutation(keys), 0):
        operator.process(0, batch)
    return timed(lambda batch: operator.process(0, batch), updates(keys))


def join_rate(keys: int) -> float:
    """Rows a second that meet one of `keys` rows of the other side, and are kept for later ones."""
    operator = opened(JoinSpec(ROWS, SIDE, JoinKind.INNER, (("key", "id"),)))
    ids = np.random.default_rng(1).permutation(keys)
    for at in range(0, keys, BATCH_ROWS):
        part = ids[at : at + BATCH_ROWS]
        operator.process(1, Batch(pl.DataFrame({"id": part, "name": part % 1000})))
    return timed(lambda batch: operator.process(0, batch), updates(keys))


def measure_keys(counts: list[int]) -> dict[str, list[float]]:
    """Rates by operator, one for each number of keys; prints them."""
    print(f"{'million rows/cpu-s with keys:':30}" + "".join(f"{n:>12,}" for n in counts) + f"{'last/first':>12}")
    makers = {name: lambda n, spec=spec: keyed_rate(spec, n) for name, spec in KEYED.items()}
    makers["join with a row of a key"] = join_rate
    found = {}
    for name, rate in makers.items():
        rate(counts[0])
        rates = found[name] = [rate(n) for n in counts]
        print(f"{name:30}" + "".join(f"{r / 1e6:12.2f}" for r in rates) + f"{rates[-1] / rates[0]:12.2f}", flush=True)
    return found


def measure_windows() -> None:
    """Prints the cost of long windows against that of short ones with the same slide."""
    slide_ms = 1_000
    specs = {
        "tumble": WindowSpec(WindowKind.TUMBLE, "at", True, slide_ms),
        "hop 600": WindowSpec(WindowKind.HOP, "at", True, 600 * slide_ms, slide_ms),
        "cumulate 600": WindowSpec(WindowKind.CUMULATE, "at", True, 600 * slide_ms, slide_ms),
    }
    rows = list(batches(np.random.default_rng(3).integers(0, 100, 20_000_000), 0))
    costs: dict[str, float] = {}
    print(f"\n{'window, one slide = 1 s':30}{'million rows/cpu-s':>20}{'cost / tumble':>16}")
    for name, window in specs.items():
        operator = opened(WindowAggregateSpec(ROWS, window, ("key",), AGGREGATES, BOUNDS))

        def work(batch: Batch, operator: Operator = operator) -> None:
            operator.process(0, batch)
            operator.on_watermark(batch.frame["at"].to_physical()[-1])

        for batch in rows[:3]:
            work(batch)
        rate = timed(work, rows[3:])
        costs[name] = 1 / rate
        print(f"{name:30}{rate / 1e6:20.2f}{costs[name] / costs['tumble']:16.2f}", flush=True)


def measure_workers(events: int) -> None:
    """Prints the rates of Nexmark queries with one worker and with two."""
    script = Path(__file__).with_name("nexmark.py")
    print(f"\n{'Nexmark, events/s':30}{'1 worker':>12}{'2 workers':>12}{'ratio':>8}")
    for query in ("q17", "q20"):
        rates = []
        for parallelism in ("1", "2"):
            words = [sys.executable, str(script), "--one", query, "--events", str(events), "--parallelism", parallelism]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            rates.append(events / json.loads(done.stdout.strip().splitlines()[-1])["seconds"])
        print(f"{query:30}{rates[0]:12,.0f}{rates[1]:12,.0f}{rates[1] / rates[0]:8.2f}", flush=True)


def plot(counts: list[int], found: dict[str, list[float]], path: str) -> None:
    """Draws rates over numbers of keys."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for name, rates in found.items():
        axes.plot(counts, [r / 1e6 for r in rates], marker="o", label=name)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("keys in state")
    axes.set_ylabel("million rows a second of CPU time")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", default="100000,1000000,10000000", help="numbers of keys, ascending")
    parser.add_argument("--only", choices=("keys", "windows", "workers"))
    parser.add_argument("--events", type=int, default=10_000_000, help="events of the Nexmark queries")
    parser.add_argument("--plot", help="file for a plot of the first measurement (svg, png, pdf)")
    options = parser.parse_args()
    if options.only in (None, "keys"):
        counts = [int(n) for n in options.keys.split(",")]
        found = measure_keys(counts)
        if options.plot:
            plot(counts, found, options.plot)
    if options.only in (None, "windows"):
        measure_windows()
    if options.only in (None, "workers"):
        measure_workers(options.events)


if __name__ == "__main__":
    main()
