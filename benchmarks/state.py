"""Rates of the state layer and of single operators, in this process: million keys or rows a second.

    python benchmarks/state.py [--rows 2000000] [--only key] [--profile]

Every measurement feeds batches of 65,536 rows; the first batches warm up and are not counted. Output goes nowhere. The shapes
follow Nexmark: q17 groups by auction and day with many aggregates, q18 keeps the last bid per bidder and auction, q19 the ten
highest bids per auction.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import polars as pl

from tableapi.functions.registry import SessionContext, lookup
from tableapi.plan.nodes import JoinKind, NamedAgg, WindowKind, WindowProperty, WindowSpec
from tableapi.plan.rex import AggCall, Ref, SortKey
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.deduplicate import DeduplicateSpec
from tableapi.runtime.stream.group_aggregate import GroupAggregateSpec
from tableapi.runtime.stream.join import JoinSpec
from tableapi.runtime.stream.operator import OperatorContext
from tableapi.runtime.stream.rank import RankSpec
from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec
from tableapi.tablespec import Field, RowSchema, TimeKind
from tableapi.testing import ManualClock
from tableapi.types import DataTypes

BATCH_ROWS = 65_536
WARM_UP = 3

BIDS = RowSchema(
    (
        Field("auction", DataTypes.BIGINT()),
        Field("bidder", DataTypes.BIGINT()),
        Field("price", DataTypes.BIGINT()),
        Field("channel", DataTypes.STRING()),
        Field("day", DataTypes.STRING()),
        Field("cheap", DataTypes.BOOLEAN()),
        Field("dear", DataTypes.BOOLEAN()),
        Field("at", DataTypes.TIMESTAMP(3), TimeKind.ROWTIME),
    )
)


def bids(rows: int) -> list[Batch]:
    """Batches of bids: hot auctions and bidders, ascending times."""
    rng = np.random.default_rng(1)
    index = np.arange(rows)
    auction = np.where(rng.random(rows) < 0.5, index // 1000 * 10, rng.integers(0, index // 10 + 1)) + 1000
    bidder = np.where(rng.random(rows) < 0.25, index // 1000, rng.integers(0, index // 40 + 1)) + 1000
    price = np.exp(rng.normal(8, 2, rows)).astype(np.int64) + 1
    frame = pl.DataFrame(
        {
            "auction": auction,
            "bidder": bidder,
            "price": price,
            "channel": pl.Series(["Google", "Facebook", "Baidu", "Apple"]).gather(rng.integers(0, 4, rows)),
            "day": pl.Series(["2024-01-01", "2024-01-02"]).gather(index // (rows // 2 + 1)),
            "cheap": price < 10_000,
            "dear": price >= 1_000_000,
            "at": pl.Series(1_700_000_000_000 + index // 10).cast(pl.Datetime("ms")),
        }
    )
    return [Batch(frame[start : start + BATCH_ROWS]) for start in range(0, rows, BATCH_ROWS)]


def call(name: str, function: str, *columns: str, distinct: bool = False, filter: str | None = None) -> NamedAgg:
    """A named aggregate call over bids."""
    args = tuple(Ref(BIDS[c].type, c) for c in columns)
    return NamedAgg(name, AggCall(function, args, lookup(function).signature(args).result, distinct, filter))  # type: ignore[union-attr]


COUNT_SUM = (call("n", "COUNT"), call("s", "SUM", "price"))
TEN = (
    call("total", "COUNT"),
    call("rank1", "COUNT", filter="cheap"),
    call("rank3", "COUNT", filter="dear"),
    call("lo", "MIN", "price"),
    call("hi", "MAX", "price"),
    call("avg", "AVG", "price"),
    call("sum", "SUM", "price"),
)
BY_PRICE = (SortKey("price", False, False),)
BOUNDS = (("ws", WindowProperty.START), ("we", WindowProperty.END))

OPERATORS = {
    "count, sum by auction": GroupAggregateSpec(BIDS, ("auction",), COUNT_SUM),
    "count, sum by auction, no -U": GroupAggregateSpec(BIDS, ("auction",), COUNT_SUM, generate_update_before=False),
    "count distinct by channel": GroupAggregateSpec(BIDS, ("channel",), (call("d", "COUNT", "bidder", distinct=True),)),
    "global count, sum": GroupAggregateSpec(BIDS, (), COUNT_SUM),
    "q17: seven aggregates by auction, day": GroupAggregateSpec(BIDS, ("auction", "day"), TEN, generate_update_before=False),
    "q18: last bid by bidder, auction": DeduplicateSpec(BIDS, ("bidder", "auction"), "at", True, False),
    "q19: ten highest bids by auction": RankSpec(BIDS, ("auction",), BY_PRICE, 1, 10),
    "q19 with rank number": RankSpec(BIDS, ("auction",), BY_PRICE, 1, 10, rank_name="r", generate_update_before=False),
    "tumble 10 s by bidder": WindowAggregateSpec(
        BIDS, WindowSpec(WindowKind.TUMBLE, "at", True, 10_000), ("bidder",), COUNT_SUM, BOUNDS
    ),
    "hop 10 s / 2 s by auction": WindowAggregateSpec(
        BIDS, WindowSpec(WindowKind.HOP, "at", True, 10_000, 2_000), ("auction",), COUNT_SUM, BOUNDS
    ),
    "session 1 s by bidder": WindowAggregateSpec(
        BIDS, WindowSpec(WindowKind.SESSION, "at", True, gap_ms=1_000), ("bidder",), COUNT_SUM, BOUNDS
    ),
}


def nowhere(batch: Batch) -> None:
    """Takes a result."""


def timed(work: Callable[[Batch], None], batches: list[Batch]) -> tuple[float, float]:
    """Million rows a second, and a second of processor time (which a busy machine distorts less); the first batches left out."""
    for batch in batches[:WARM_UP]:
        work(batch)
    started, started_cpu = time.perf_counter(), time.process_time()
    for batch in batches[WARM_UP:]:
        work(batch)
    rows = sum(b.height for b in batches[WARM_UP:]) / 1e6
    return rows / (time.perf_counter() - started), rows / (time.process_time() - started_cpu)


def operator_work(spec: object, parallel_input: int = 0) -> Callable[[Batch], None]:
    """Feeds an operator, with the watermark 4 s behind the newest row."""
    operator = spec.create()  # type: ignore[attr-defined]
    operator.open(OperatorContext(emit=nowhere, session=SessionContext(), clock=ManualClock()))

    def work(batch: Batch) -> None:
        operator.process(parallel_input, batch)
        operator.on_watermark(batch.frame["at"].to_physical()[-1] - 4_000)

    return work


def join_work() -> Callable[[Batch], None]:
    """A regular join: bids meet the auctions of the batch's first rows."""
    auctions = RowSchema((Field("id", DataTypes.BIGINT()), Field("seller", DataTypes.BIGINT())))
    operator = JoinSpec(BIDS, auctions, JoinKind.INNER, (("auction", "id"),)).create()
    operator.open(OperatorContext(emit=nowhere, session=SessionContext(), clock=ManualClock()))
    known = 0

    def work(batch: Batch) -> None:
        nonlocal known
        newest = int(batch.frame["auction"].max() or 0)  # type: ignore[arg-type]
        ids = np.arange(known, newest + 1)
        known = newest + 1
        if len(ids):
            operator.process(1, Batch(pl.DataFrame({"id": ids, "seller": ids % 1000})))
        operator.process(0, batch)

    return work


def measurements() -> dict[str, Callable[[], Callable[[Batch], None]]]:
    """What is measured: a name, and what makes the work on a batch."""

    def index_work(*names: str) -> Callable[[], Callable[[Batch], None]]:
        def make() -> Callable[[Batch], None]:
            index = KeyIndex({n: BIDS[n].type.to_polars() for n in names})

            def work(batch: Batch) -> None:
                index.insert(batch.frame)

            return work

        return make

    made = {
        "key index: one integer": index_work("auction"),
        "key index: two integers": index_work("bidder", "auction"),
        "key index: string and integer": index_work("channel", "bidder"),
    }
    for name, spec in OPERATORS.items():
        made[name] = lambda spec=spec: operator_work(spec)  # type: ignore[misc]
    made["join bids with auctions"] = join_work
    return made


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--only", default="", help="measure what has this in its name")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    options = parser.parse_args()
    batches = bids(options.rows)
    for name, make in measurements().items():
        if options.only not in name:
            continue
        if options.profile:
            import cProfile
            import pstats

            profile = cProfile.Profile()
            work = make()
            profile.enable()
            timed(work, batches)
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(18)
            continue
        rate, cpu_rate = timed(make(), batches)
        print(f"{name:40} {rate:8.2f} M/s {cpu_rate:8.2f} M/cpu-s", flush=True)


if __name__ == "__main__":
    main()
