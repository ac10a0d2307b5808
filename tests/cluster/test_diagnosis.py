"""`why_no_output` names the split that holds event time back and what would release it."""

from __future__ import annotations

import pytest
from jobs import SCHEMA, TIMED, Apply, EndlessSource, GraphBuilder, ListSource, hash_on, timed, wait_until

from tableapi.runtime.cluster.coordinator import LocalExecutor
from tableapi.runtime.cluster.diagnosis import SourceNote, SplitNote, WorkerNote, explain
from tableapi.runtime.cluster.handle import VertexMetrics
from tableapi.runtime.planner.graph import Edge, JobConfig
from tableapi.testing import JobClock


@pytest.mark.parametrize("parallelism", [1, 2])
@pytest.mark.parametrize(("idle_timeout_ms", "release"), [(0, "never counts as idle"), (60_000, "counts as idle after 60 s")])
def test_split_that_holds_event_time_back(executor: LocalExecutor, parallelism, idle_timeout_ms, release):
    builder = GraphBuilder(JobConfig(parallelism=parallelism))
    parts = ((timed((1, 1, 5000), (1, 2, 86_400_000)),), (timed((2, 3, 1000)),))
    source = builder.source(ListSource(parts, is_bounded=False), TIMED, idle_timeout_ms)
    window = builder.add(Apply(lambda op, i, b: None), Edge(source, hash_on("k")), schema=TIMED, name="Window")
    handle = executor.submit(builder.collect(window, schema=TIMED))
    wait_until(lambda: "split 1" in handle.why_no_output() and "1970-01-01 00:00:01.000; " not in handle.why_no_output())
    wait_until(lambda: "its event time is 1970-01-01 00:00:01.000" in handle.why_no_output())
    lines = handle.why_no_output().splitlines()
    assert lines[0] == "Window has taken 3 rows and emitted none; its event time is 1970-01-01 00:00:01.000"
    worker = 1 % parallelism
    assert lines[1].startswith(
        f"split 1 of SourceSpec (worker {worker}) holds event time of Window at 1970-01-01 00:00:01.000: "
    )
    assert release in lines[1]
    assert len(lines) == 2
    handle.cancel()
    assert handle.why_no_output() == "the job has ended: CANCELED"


def test_source_without_watermark_and_source_without_rows(executor: LocalExecutor):
    builder = GraphBuilder()
    left = builder.source(ListSource(((timed((1, 1, 1)).drop("ts"),),), is_bounded=False), SCHEMA)
    right = builder.source(ListSource(((),), is_bounded=False), TIMED)
    join = builder.add(Apply(lambda op, i, b: None), Edge(left), Edge(right), name="Join")
    handle = executor.submit(builder.collect(join))
    wait_until(lambda: "Join has taken 1 rows" in handle.why_no_output())
    text = handle.why_no_output()
    assert "SourceSpec has no WATERMARK, so event time of Join stands still until it ends" in text
    assert "SourceSpec has not read any row yet" in text
    handle.cancel()


def test_results_that_nobody_takes(executor: LocalExecutor):
    builder = GraphBuilder(JobConfig(channel_bytes=1000))
    handle = executor.submit(builder.collect(builder.source(EndlessSource())))
    wait_until(lambda: "may not read on worker 0" in handle.why_no_output())
    handle.cancel()


def silent(op, input, batch):
    """Takes rows and gives none, like a window that is open."""


def window_over(builder, parts, idle_timeout_ms=0):
    source = builder.source(
        ListSource(tuple((p,) if p is not None else () for p in parts), is_bounded=False), TIMED, idle_timeout_ms
    )
    window = builder.add(Apply(silent), Edge(source, hash_on("k")), schema=TIMED, name="Window")
    return builder.collect(window, schema=TIMED)


@pytest.mark.parametrize("parallelism", [1, 2])
def test_no_data_at_all(executor: LocalExecutor, parallelism):
    handle = executor.submit(window_over(GraphBuilder(JobConfig(parallelism=parallelism)), [None, None]))
    wait_until(lambda: handle.why_no_output().count("it has had no rows for") == 2)
    text = handle.why_no_output()
    assert text.startswith("SourceSpec has not read any row yet")
    assert (
        "split 0 of SourceSpec (worker 0) holds event time at its beginning (no watermark has come): it has had no rows" in text
    )
    handle.cancel()


@pytest.mark.parametrize("parallelism", [1, 2])
def test_idle_splits(executor: LocalExecutor, tmp_path, parallelism):
    """One idle split holds nothing back any more; when all are idle, that is why time stands."""
    clock = JobClock(tmp_path / "clock", 1_000_000)
    builder = GraphBuilder(JobConfig(parallelism=parallelism, clock_file=str(clock.path)))
    handle = executor.submit(window_over(builder, [timed((1, 1, 5000)), None], 10_000))
    wait_until(
        lambda: "split 1" in handle.why_no_output() and "it counts as idle after 10 s without rows" in handle.why_no_output()
    )
    wait_until(lambda: handle.metrics().rows_in == 1)  # the other split's ten seconds begin with its row
    clock.advance(10_000)
    expected = (
        "SourceSpec is idle (all 2 splits without rows for 10.0 s): it does not hold event time of Window back, and does not move it on "
        "from 1970-01-01 00:00:05.000 either; a row or its end would"
    )
    wait_until(lambda: expected in handle.why_no_output().splitlines())
    handle.cancel()


def test_a_step_that_waits_for_the_clock(executor: LocalExecutor, tmp_path):
    clock = JobClock(tmp_path / "clock", 1_000_000)
    builder = GraphBuilder(JobConfig(clock_file=str(clock.path)))
    source = builder.source(ListSource(((timed((1, 1, 1)).drop("ts"),),), is_bounded=False), SCHEMA)

    def wait_for_the_clock(op, input, batch):
        op.context.set_timer(1_012_500)
        op.context.set_timer(1_030_000)

    window = builder.add(Apply(wait_for_the_clock), Edge(source), name="Window")
    handle = executor.submit(builder.collect(window))
    wait_until(lambda: "Window has taken" in handle.why_no_output())
    expected = (
        "Window has taken 1 rows and emitted none; it waits for the clock to show 1970-01-01 00:16:52.500, 12.5 s from now"
    )
    assert handle.why_no_output() == expected
    clock.advance(12_000)
    assert handle.why_no_output().endswith("0.5 s from now")
    handle.cancel()


def test_a_split_that_is_read_and_behind():
    """Nothing to wait for but its further rows."""
    graph = window_over(GraphBuilder(), [timed((1, 1, 5000)), timed((2, 2, 1000))])
    metrics = [VertexMetrics(v.uid, v.name, rows_in=2, rows_out=0, watermark_ms=1000) for v in graph.vertices]
    splits = (SplitNote("0", 5000, 3, False), SplitNote("1", 1000, None, False))
    note = WorkerNote(0, (SourceNote(0, splits, False),), ((1, (0,)),))
    assert explain(graph, metrics, [note], 10).splitlines()[-1] == (
        "split 1 of SourceSpec (worker 0) holds event time of Window at 1970-01-01 00:00:01.000: it is being read and is behind, others "
        "have come to 1970-01-01 00:00:05.000; its further rows release it"
    )


def test_the_source_that_holds_a_step_back_is_told_from_one_that_is_ahead():
    builder = GraphBuilder()
    ahead, behind = (builder.source(ListSource(((timed((1, 1, 1)),),), is_bounded=False), TIMED) for _ in range(2))
    window = builder.add(Apply(silent), Edge(ahead), Edge(behind), schema=TIMED, name="Window")
    graph = builder.collect(window, schema=TIMED)
    metrics = [VertexMetrics(v.uid, v.name, rows_in=2, rows_out=0, watermark_ms=1000) for v in graph.vertices]
    sources = (
        SourceNote(ahead, (SplitNote("0", 5000, 3, False),), False),
        SourceNote(behind, (SplitNote("0", 1000, 3, False),), False),
    )
    lines = explain(graph, metrics, [WorkerNote(0, sources, ((window, (ahead, behind)),))], 10).splitlines()
    assert [line for line in lines if "holds event time of Window" in line] == [lines[-1]]
    assert "at 1970-01-01 00:00:01.000" in lines[-1]
