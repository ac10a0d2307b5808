"""Event time: where channels meet, per split, and through a job."""

from __future__ import annotations

import numpy as np
import pytest
from jobs import TIMED, Apply, GraphBuilder, ListReader, ListSource, hash_on, rows_of, timed, wait_until

from tableapi.errors import ExecutionError
from tableapi.plan.rex import Ref
from tableapi.runtime.cluster.coordinator import LocalExecutor
from tableapi.runtime.cluster.event_time import EventTimes, cuts
from tableapi.runtime.cluster.task import Task
from tableapi.runtime.cluster.watermarks import WatermarkTracker
from tableapi.runtime.exchange.reactor import Reactor
from tableapi.runtime.planner.graph import Alignment, Edge, JobConfig, SourceSpec, WatermarkSpec
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK
from tableapi.testing import JobClock, ManualClock


def test_minimum_over_channels_never_goes_back():
    tracker = WatermarkTracker(2)
    assert tracker.watermark_ms == MIN_WATERMARK
    tracker.advance(0, 10)
    assert tracker.watermark_ms == MIN_WATERMARK
    assert tracker.held_back_by() == [1]
    tracker.advance(1, 5)
    assert tracker.watermark_ms == 5
    tracker.advance(1, 3)
    assert tracker.watermark_ms == 5


def test_idle_channels_are_not_waited_for():
    tracker = WatermarkTracker(3)
    tracker.advance(0, 10)
    tracker.advance(1, 20)
    tracker.set_idle(2, True)
    assert tracker.watermark_ms == 10
    tracker.set_idle(0, True)
    assert (tracker.watermark_ms, tracker.is_idle) == (20, False)
    tracker.set_idle(0, False)
    assert tracker.watermark_ms == 20, "a channel that speaks again does not turn time back"
    assert tracker.held_back_by() == [0, 1]
    tracker.advance(0, 30)
    assert tracker.held_back_by() == [1]


def test_when_all_are_idle_time_is_what_the_furthest_had_reached():
    tracker = WatermarkTracker(2)
    tracker.advance(0, 10)
    tracker.advance(1, 20)
    tracker.set_idle(1, True)
    tracker.set_idle(0, True)
    assert (tracker.watermark_ms, tracker.is_idle) == (20, True)


def test_ended_channels_count_as_the_end_of_time():
    tracker = WatermarkTracker(2)
    tracker.advance(0, 10)
    tracker.end(1)
    assert (tracker.watermark_ms, tracker.has_ended) == (10, False)
    tracker.set_idle(0, True)
    assert (tracker.watermark_ms, tracker.is_idle) == (10, True)
    tracker.end(0)
    assert (tracker.watermark_ms, tracker.has_ended, tracker.is_idle) == (MAX_WATERMARK, True, False)


def record_time(op, watermark_ms):
    op.store.setdefault("watermarks", []).append(watermark_ms)


class Bench:
    """A task of one worker, stepped by hand: a timed source and an operator that records what it sees."""

    def __init__(self, *parts, is_bounded=False, idle_timeout_ms=0, **config):
        self.clock = ManualClock(1_000_000)
        builder = GraphBuilder(JobConfig(**{"linger_ms": 0, **config}))
        source = builder.source(ListSource(tuple(map(tuple, parts)), is_bounded), TIMED, idle_timeout_ms)
        self.events: list = []
        spec = Apply(
            process=lambda op, input, batch: self.events.append(batch.frame["n"].to_list()),
            on_watermark=lambda op, watermark_ms: self.events.append(watermark_ms),
        )
        builder.add(spec, Edge(source), schema=TIMED)
        graph = builder.graph()
        splits = {0: graph.vertices[0].step.source.splits()}
        self.task = Task(graph, 1, 0, splits, {}, Reactor(), lambda v: None, self.clock)
        self.task.open()

    def steps(self, count=60):
        for _ in range(count):
            if self.task.is_done:
                break
            for split in self.task._sources[0].splits:
                split.next_poll_s = 0.0
            self.task.step()
        return self.events


def test_watermark_is_the_highest_of_a_split_and_the_lowest_over_splits():
    bench = Bench([timed((1, 1, 100), (1, 2, 50))], [timed((1, 3, 10)), timed((1, 4, 80))])
    assert bench.steps() == [[1, 2], [3], 10, [4], 80]


def test_split_that_is_behind_is_read_first():
    ahead = [timed((1, i, 1000 * i)) for i in range(1, 4)]
    behind = [timed((2, i, 10 * i)) for i in range(1, 4)]
    order = [e[0] for e in Bench(ahead, behind).steps() if isinstance(e, list)]
    assert order == [1, 1, 2, 3, 2, 3]


def test_end_of_a_bounded_source_closes_everything():
    assert Bench([timed((1, 1, 5))], [timed((1, 2, 7))], is_bounded=True).steps() == [[1], [2], MAX_WATERMARK]


def test_source_without_splits_ends_at_once():
    assert Bench(is_bounded=True).steps() == [MAX_WATERMARK]


def test_split_without_rows_holds_time_back_until_it_is_idle():
    bench = Bench([timed((1, 1, 100))], [timed((1, 2, 10))], idle_timeout_ms=5000)
    assert bench.steps() == [[1], [2], 10]
    reader: ListReader = bench.task._sources[0].splits[0].reader
    reader.frames += (timed((1, 3, 200)),)
    bench.steps()
    bench.clock.advance(4999)
    assert bench.steps() == [[1], [2], 10, [3]], "the second split may still have rows"
    bench.clock.advance(1)
    reader.frames += (timed((1, 4, 300)),)
    assert bench.steps() == [[1], [2], 10, [3], 300, [4]] or bench.events == [[1], [2], 10, [3], [4], 300]


def test_idle_source_speaks_again():
    bench = Bench([timed((1, 1, 100))], idle_timeout_ms=10)
    bench.steps()
    bench.clock.advance(10)
    bench.steps()
    run = bench.task._runs[1]
    assert run.tracker.is_idle
    bench.task._sources[0].splits[0].reader.frames += (timed((1, 2, 50)), timed((1, 3, 150)))
    assert bench.steps() == [[1], 100, [2], [3], 150]
    assert not run.tracker.is_idle


def test_row_by_row_has_a_watermark_after_each_row():
    bench = Bench([timed((1, 1, 10), (1, 2, 20), (1, 3, 15))], is_bounded=True, max_batch_rows=1)
    assert bench.steps() == [[1], 10, [2], 20, [3], MAX_WATERMARK]


def test_small_batches_are_joined_while_they_linger():
    bench = Bench([timed((1, 1, 10)), timed((1, 2, 20)), timed((1, 3, 30))], is_bounded=True, linger_ms=10_000)
    assert bench.steps() == [[1], 10, [2, 3], MAX_WATERMARK]


def test_a_row_without_event_time_fails():
    nothing = timed((1, 1, 10)).with_columns(ts=None).cast(TIMED.to_polars())
    with pytest.raises(ExecutionError, match="column 'ts' is NULL"):
        Bench([nothing, timed((1, 2, 20))]).steps()


def test_timers_follow_the_clock_and_fire_once():
    clock, fired = ManualClock(0), []

    def set_timers(op, input, batch):
        for time_ms in (30, 10, 10, 20):
            op.context.set_timer(time_ms)

    builder = GraphBuilder(JobConfig(linger_ms=0))
    source = builder.source(ListSource(((timed((1, 1, 1)),),), is_bounded=False), TIMED)
    builder.add(Apply(process=set_timers, on_timer=lambda op, time_ms: fired.append(time_ms)), Edge(source))
    graph = builder.graph()
    task = Task(graph, 1, 0, {0: graph.vertices[0].step.source.splits()}, {}, Reactor(), lambda v: None, clock)
    task.open()
    for now_ms, expected in ((0, []), (10, [10]), (15, [10]), (40, [10, 20, 30]), (50, [10, 20, 30])):
        clock.advance(now_ms - clock.now_ms())
        for _ in range(6):
            task.step()
        assert fired == expected


@pytest.mark.parametrize("parallelism", [1, 2, 3])
def test_operators_after_an_exchange_wait_for_all_senders(executor: LocalExecutor, parallelism):
    """No row may come after a watermark that is above its time when every split is in order."""

    def check(op, input, batch):
        assert batch.frame["ts"].dt.epoch("ms").min() > op.store.get("watermarks", [MIN_WATERMARK])[-1], "late row"
        op.context.emit(batch)

    parts = [[timed(*((i % 7, i, 1000 + i) for i in range(p + at, 1000, 50))) for at in range(0, 50, 10)] for p in range(4)]
    parts = [[f.sort("ts") for f in part] for part in parts]
    in_order = tuple((timed(*((i % 7, i, 1000 + i) for i in range(p, 1000, 4))),) for p in range(4))
    builder = GraphBuilder(JobConfig(parallelism=parallelism, max_batch_rows=10))
    source = builder.source(ListSource(in_order), TIMED)
    checked = builder.add(Apply(process=check, on_watermark=record_time), Edge(source, hash_on("k")), schema=TIMED)
    handle = executor.submit(builder.collect(checked, schema=TIMED))
    assert sorted(rows_of(handle)["n"].to_list()) == list(range(1000))
    assert {v.name: v.watermark_ms for v in handle.metrics().vertices}["Apply"] == MAX_WATERMARK


def cut(times, delay_ms=0, reached_ms=MIN_WATERMARK, shown_ms=MIN_WATERMARK, ceiling_ms=MAX_WATERMARK):
    rows = np.array([t * 1000 for t in times], dtype=np.int64)
    return cuts(EventTimes(rows, rows - delay_ms), reached_ms, shown_ms, ceiling_ms)


def test_batches_are_cut_before_rows_that_are_late():
    assert cut([1, 2, 3, 4]) == []
    assert cut([1, 1, 2, 2, 3, 3]) == [], "equal times are in order"
    assert cut([1, 2, 1, 3]) == [2]
    assert cut([5, 1, 2, 3, 4]) == [1], "one cut makes all of them late"
    assert cut([5, 1, 7, 6, 9, 8]) == [1, 3, 5]
    assert cut([5, 1, 7, 6], delay_ms=2000) == [1]
    assert cut([5, 4, 7, 6], delay_ms=2000) == []
    assert cut([3, 6], reached_ms=4000) == [0], "rows that were read before have to be shown first"
    assert cut([3, 6], reached_ms=4000, shown_ms=4000) == []
    assert cut([5, 1, 7, 6], ceiling_ms=500) == [], "another split holds time back anyway"
    assert cut([1, 1.1, 1, 1.3, 1.2]) == [2], "a watermark that has grown by no more than 200 ms is not shown early"


def test_very_disordered_batches_are_cut_a_bounded_number_of_times():
    assert len(cut([t for n in range(1, 10_000) for t in (n * 10, n * 10 - 5)])) == 64


def test_late_rows_are_late_within_one_batch_and_across_joined_ones():
    bench = Bench([timed((1, 1, 5000), (1, 2, 1000), (1, 3, 9000))], is_bounded=True)
    assert bench.steps() == [[1], 5000, [2, 3], MAX_WATERMARK]
    bench = Bench([timed((1, 1, 5000)), timed((1, 2, 1000)), timed((1, 3, 9000))], is_bounded=True, linger_ms=10_000)
    assert bench.steps() == [[1], 5000, [2, 3], MAX_WATERMARK]


def test_watermarks_of_every_row():
    """With an interval of 0 a watermark that has grown by anything is shown before a row that is late by it."""
    rows = np.array([1_000, 1_100, 1_000, 1_300, 1_200], dtype=np.int64)
    assert cuts(EventTimes(rows, rows), MIN_WATERMARK, MIN_WATERMARK, interval_ms=0) == [2, 4]


def aligned(builder, source, max_drift_ms):
    """A source in an alignment group."""
    spec = WatermarkSpec("ts", Ref(TIMED["ts"].type, "ts"), 10_000, Alignment("g", max_drift_ms))
    return builder.add(SourceSpec(source, TIMED, spec), schema=TIMED)


@pytest.mark.parametrize("parallelism", [1, 2, 3])
def test_splits_of_an_alignment_group_wait_for_each_other(executor: LocalExecutor, tmp_path, parallelism):
    """Across splits, sources and workers. The split without rows holds the others until it counts as idle; the one behind holds them after."""
    clock = JobClock(tmp_path / "clock", 1_000_000)
    builder = GraphBuilder(JobConfig(parallelism=parallelism, max_batch_rows=10, linger_ms=0, clock_file=str(clock.path)))
    fast = tuple(timed(*((1, i, 1000 * i) for i in range(at, at + 10))) for at in range(0, 100, 10))
    slow = (timed((2, 100, 20_000)),)
    one = aligned(builder, ListSource((fast, ()), is_bounded=False), 15_000)
    other = aligned(builder, ListSource((slow,), is_bounded=False), 15_000)
    union = builder.add(Apply(), Edge(one), Edge(other), schema=TIMED)
    handle = executor.submit(builder.collect(union, schema=TIMED))

    def rows_of(source):
        return {v.uid: v.rows_out for v in handle.metrics().vertices}[f"v{source}"]

    wait_until(lambda: (rows_of(one), rows_of(other)) == (10, 1))
    wait_until(lambda: handle.why_no_output().count("more than 15 s ahead of the slowest split of alignment group 'g'") == 2)
    clock.advance(10_000)
    wait_until(lambda: rows_of(one) == 40)
    wait_until(lambda: "SourceSpec does not read split 0 (worker 0, at 1970-01-01 00:00:39.000)" in handle.why_no_output())
    assert (rows_of(one), rows_of(other)) == (40, 1)
    clock.advance(10_000)
    wait_until(lambda: rows_of(one) == 100)
    handle.cancel()


@pytest.mark.parametrize("parallelism", [1, 2])
def test_a_split_that_has_ended_holds_nobody(executor: LocalExecutor, parallelism):
    builder = GraphBuilder(JobConfig(parallelism=parallelism, max_batch_rows=10, linger_ms=0))
    fast = tuple(timed(*((1, i, 1000 * i) for i in range(at, at + 10))) for at in range(0, 100, 10))
    one = aligned(builder, ListSource((fast,)), 5_000)
    other = aligned(builder, ListSource(((timed((2, 100, 20_000)),),)), 5_000)
    union = builder.add(Apply(), Edge(one), Edge(other), schema=TIMED)
    assert rows_of(executor.submit(builder.collect(union, schema=TIMED))).height == 101
