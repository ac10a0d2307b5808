"""`why_no_output` names the split that holds event time back and what would release it."""

from __future__ import annotations

import pytest
from jobs import SCHEMA, TIMED, Apply, EndlessSource, GraphBuilder, ListSource, hash_on, timed, wait_until

from tableapi.runtime.cluster.coordinator import LocalExecutor
from tableapi.runtime.planner.graph import Edge, JobConfig


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
    assert lines[1].startswith(f"split 1 of SourceSpec (worker {worker}) holds event time at 1970-01-01 00:00:01.000: ")
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
    assert "SourceSpec has no WATERMARK, so event time after it stands still until it ends" in text
    assert "SourceSpec has not read any row yet" in text
    handle.cancel()


def test_results_that_nobody_takes(executor: LocalExecutor):
    builder = GraphBuilder(JobConfig(channel_bytes=1000))
    handle = executor.submit(builder.collect(builder.source(EndlessSource())))
    wait_until(lambda: "may not read on worker 0" in handle.why_no_output())
    handle.cancel()
