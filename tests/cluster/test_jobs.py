"""Whole jobs, made by hand: results, errors, cancellation, backpressure, sinks."""

from __future__ import annotations

import time

import polars as pl
import pytest
from jobs import (
    Apply,
    EndlessSource,
    FileSink,
    GraphBuilder,
    ListSource,
    frame,
    hash_on,
    is_running,
    notes,
    rows_of,
    wait_until,
)

from tableapi.errors import CastError, ExecutionError, JobCancelledError, Location, StreamClosedError
from tableapi.runtime.cluster.coordinator import JobStatus, LocalExecutor
from tableapi.runtime.planner.graph import SINGLE, Edge, Exchange, ExchangeKind, JobConfig
from tableapi.runtime.stream.batch import MAX_WATERMARK, Batch

PARALLELISMS = pytest.mark.parametrize("parallelism", [1, 2, 3])


def four_splits() -> ListSource:
    return ListSource(tuple((frame(500, i * 1000), None, frame(500, i * 1000 + 500)) for i in range(4)))


class Doomed(Exception):
    """A user's own exception class."""


def count_keys(op, input, batch):
    for key in batch.frame["k"]:
        op.store[key] = op.store.get(key, 0) + 1


def emit_counts(op, watermark_ms):
    if watermark_ms == MAX_WATERMARK and op.store:
        op.context.emit(Batch(pl.DataFrame({"k": list(op.store), "n": list(op.store.values())})))


@PARALLELISMS
def test_every_row_arrives_once(executor: LocalExecutor, parallelism):
    builder = GraphBuilder(JobConfig(parallelism=parallelism))
    handle = executor.submit(builder.collect(builder.source(four_splits())))
    assert sorted(rows_of(handle)["n"].to_list()) == list(range(4000))
    assert handle.wait() is JobStatus.FINISHED
    metrics = handle.metrics()
    assert (metrics.rows_in, metrics.rows_out) == (4000, 4000)
    assert metrics.duration_s > 0


@PARALLELISMS
def test_keyed_state_sees_all_rows_of_its_keys(executor: LocalExecutor, parallelism):
    builder = GraphBuilder(JobConfig(parallelism=parallelism, max_batch_rows=128))
    source = builder.source(four_splits())
    counts = builder.add(Apply(count_keys, emit_counts), Edge(source, hash_on("k")))
    result = rows_of(executor.submit(builder.collect(counts)))
    expected = pl.concat([f for part in four_splits().parts for f in part if f is not None])["k"].value_counts()
    assert sorted(result.rows()) == sorted(expected.rows())


@PARALLELISMS
def test_two_inputs_keep_their_numbers_and_kinds_travel(executor: LocalExecutor, parallelism):
    def tag(op, input, batch):
        tagged = batch.frame.with_columns(k=pl.lit(input, pl.Int64))
        op.context.emit(Batch(tagged, pl.Series("kind", [input] * batch.height, dtype=pl.Int8)))

    builder = GraphBuilder(JobConfig(parallelism=parallelism))
    left, right = builder.source(four_splits()), builder.source(ListSource(((frame(10, 9000),),)))
    both = builder.add(Apply(tag), Edge(left, hash_on("k")), Edge(right, Exchange(ExchangeKind.BROADCAST)))
    batches = list(executor.submit(builder.collect(both, hash_on("n"))).batches())
    counts = {0: 0, 1: 0}
    for batch in batches:
        assert batch.frame["k"].to_list() == batch.kinds.to_list()
        for key in batch.frame["k"]:
            counts[key] += 1
    assert counts == {0: 4000, 1: 10 * parallelism}, "a broadcast row reaches every worker"


@PARALLELISMS
def test_single_exchange_runs_its_operators_once(executor: LocalExecutor, parallelism):
    """An operator that emits at the end also for no input emits one row, not one per worker."""

    def emit_total(op, watermark_ms):
        if watermark_ms == MAX_WATERMARK:
            op.context.emit(Batch(pl.DataFrame({"k": [op.context.parallelism], "n": [sum(op.store.values())]})))

    for source, expected in ((four_splits(), 4000), (ListSource(((frame(0),),)), 0)):
        builder = GraphBuilder(JobConfig(parallelism=parallelism))
        total = builder.add(Apply(count_keys, emit_total), Edge(builder.source(source), SINGLE))
        assert rows_of(executor.submit(builder.collect(total)))["n"].to_list() == [expected]


@PARALLELISMS
def test_a_diamond_delivers_both_branches(executor: LocalExecutor, parallelism):
    builder = GraphBuilder(JobConfig(parallelism=parallelism, channel_bytes=1000))
    source = builder.source(four_splits())
    a = builder.add(Apply(), Edge(source))
    b = builder.add(Apply(), Edge(source, hash_on("k")))
    union = builder.add(Apply(), Edge(a), Edge(b), Edge(source, hash_on("n")))
    assert rows_of(executor.submit(builder.collect(union, SINGLE))).height == 12_000


@PARALLELISMS
@pytest.mark.parametrize("where", ["opened", "process", "on_watermark"])
def test_error_in_an_operator_fails_the_job_with_that_error(executor: LocalExecutor, parallelism, where):
    def fail(*args):
        raise Doomed("the reason, in the user's words")

    builder = GraphBuilder(JobConfig(parallelism=parallelism, name="doomed"))
    failing = builder.add(Apply(**{where: fail}), Edge(builder.source(four_splits()), hash_on("k")))
    handle = executor.submit(builder.collect(failing))
    with pytest.raises(Doomed, match="the reason, in the user's words"):
        handle.wait(20)
    assert handle.status() is JobStatus.FAILED
    assert "fail" in handle.error_trace()
    with pytest.raises(Doomed):
        list(handle.batches())

    again = GraphBuilder(JobConfig(parallelism=parallelism))
    assert rows_of(executor.submit(again.collect(again.source(four_splits())))).height == 4000


@PARALLELISMS
def test_own_errors_keep_place_and_fix(executor: LocalExecutor, parallelism):
    def fail(op, input, batch):
        raise CastError("'x' is no INT", where=Location("job.py", 12), fix="use TRY_CAST")

    builder = GraphBuilder(JobConfig(parallelism=parallelism))
    failing = builder.add(Apply(fail), Edge(builder.source(four_splits())))
    with pytest.raises(CastError) as caught:
        executor.submit(builder.collect(failing)).wait(20)
    assert (caught.value.where.line, caught.value.fix) == (12, "use TRY_CAST")


def test_error_that_cannot_be_pickled_arrives_as_text(executor: LocalExecutor):
    class Stubborn(Exception):
        def __reduce__(self):
            raise TypeError("no")

    def fail(op, input, batch):
        raise Stubborn("seven")

    builder = GraphBuilder(JobConfig(parallelism=2))
    failing = builder.add(Apply(fail), Edge(builder.source(four_splits())))
    with pytest.raises(ExecutionError, match="Stubborn: seven"):
        executor.submit(builder.collect(failing)).wait(20)


def test_graph_that_cannot_be_shipped_fails_the_job(executor: LocalExecutor):
    import threading

    lock = threading.Lock()
    builder = GraphBuilder(JobConfig(parallelism=2))
    failing = builder.add(Apply(lambda op, i, b: lock), Edge(builder.source(four_splits())))
    with pytest.raises(TypeError, match="lock"):
        executor.submit(builder.collect(failing)).wait(20)


@PARALLELISMS
def test_cancel_stops_an_endless_job(executor: LocalExecutor, parallelism, tmp_path):
    builder = GraphBuilder(JobConfig(parallelism=parallelism))
    source = builder.source(EndlessSource())
    handle = executor.submit(builder.sink(source, FileSink(str(tmp_path)), hash_on("k")))
    wait_until(lambda: handle.metrics().rows_out > 10_000)
    assert handle.status() is JobStatus.RUNNING
    assert handle.wait(0.01) is JobStatus.RUNNING
    started_s = time.monotonic()
    assert handle.cancel() is JobStatus.CANCELED
    assert time.monotonic() - started_s < 2
    assert notes(tmp_path) == ["begin False {}", *["close False"] * parallelism, "end False"]
    with pytest.raises(JobCancelledError, match="job 'job' was cancelled"):
        handle.wait()
    assert handle.cancel() is JobStatus.CANCELED


@PARALLELISMS
def test_closing_the_iterator_cancels(executor: LocalExecutor, parallelism):
    builder = GraphBuilder(JobConfig(parallelism=parallelism))
    handle = executor.submit(builder.collect(builder.source(EndlessSource())))
    results = handle.batches()
    assert next(results).height > 0
    results.close()
    assert handle.status() is JobStatus.CANCELED


@PARALLELISMS
def test_slow_consumer_slows_the_job_down(executor: LocalExecutor, parallelism):
    """What waits is bounded: the job stops reading while nobody takes results, and goes on when somebody does."""
    config = JobConfig(parallelism=parallelism, channel_bytes=100_000, linger_ms=0)
    builder = GraphBuilder(config)
    passed = builder.add(Apply(), Edge(builder.source(EndlessSource()), hash_on("k")))
    handle = executor.submit(builder.collect(passed))
    wait_until(lambda: handle.metrics().rows_in > 0)
    last = -1
    while (now := handle.metrics().rows_in) != last:
        last = now
        time.sleep(0.45)
    row_bytes = 16
    edges = parallelism**2 + 2 * parallelism + 1
    assert last * row_bytes < 100_000 * edges + 16_000 * 20 * parallelism
    results = handle.batches()
    for _ in range(200):
        next(results)
    wait_until(lambda: handle.metrics().rows_in > last)
    results.close()


@pytest.mark.parametrize("parallelism", [2, 3])
def test_slow_receiver_slows_the_sender_down(executor: LocalExecutor, parallelism, tmp_path):
    """One worker's operator is slow; the others do not run ahead of it by more than the channels hold."""

    def crawl(op, input, batch):
        time.sleep(0.02)

    config = JobConfig(parallelism=parallelism, channel_bytes=50_000, linger_ms=0)
    builder = GraphBuilder(config)
    source = builder.source(EndlessSource(split_count=parallelism))
    slow = builder.add(Apply(crawl), Edge(source, SINGLE))
    handle = executor.submit(builder.sink(slow, FileSink(str(tmp_path))))
    wait_until(lambda: next(v.rows_in for v in handle.metrics().vertices if v.uid == "v1") > 20_000)
    by_uid = {v.uid: v for v in handle.metrics().vertices}
    waiting_rows = by_uid["v0"].rows_out - by_uid["v1"].rows_in
    handle.cancel()
    batch_bytes, report_rows = 16_000, 1000 * 15 * parallelism
    assert waiting_rows * 16 < parallelism * (50_000 + batch_bytes) + report_rows * 16


@PARALLELISMS
def test_sinks_begin_once_write_everywhere_and_end_once(executor: LocalExecutor, parallelism, tmp_path):
    builder = GraphBuilder(JobConfig(parallelism=parallelism))
    source = builder.source(four_splits())
    handle = executor.submit(builder.sink(source, FileSink(str(tmp_path)), hash_on("k")))
    assert handle.wait(20) is JobStatus.FINISHED
    assert notes(tmp_path) == ["begin False {}", *["close True"] * parallelism, "end True"]
    assert pl.read_parquet(tmp_path / "part-*.parquet").height == 4000
    assert handle.metrics().rows_out == 4000


@PARALLELISMS
def test_failed_job_closes_writers_without_success(executor: LocalExecutor, parallelism, tmp_path):
    def fail_late(op, input, batch):
        op.store["rows"] = op.store.get("rows", 0) + batch.height
        op.context.emit(batch)
        if op.store["rows"] > 500:
            raise Doomed("late")

    builder = GraphBuilder(JobConfig(parallelism=parallelism, max_batch_rows=100))
    failing = builder.add(Apply(fail_late), Edge(builder.source(four_splits()), hash_on("k")))
    with pytest.raises(Doomed):
        executor.submit(builder.sink(failing, FileSink(str(tmp_path)))).wait(20)
    assert notes(tmp_path) == ["begin False {}", *["close False"] * parallelism, "end False"]
    assert not list(tmp_path.glob("*.parquet"))


def test_several_jobs_at_once(executor: LocalExecutor):
    endless = GraphBuilder(JobConfig(parallelism=2, channel_bytes=10_000))
    background = executor.submit(endless.collect(endless.source(EndlessSource())))
    handles = []
    for parallelism in (1, 2, 1):
        builder = GraphBuilder(JobConfig(parallelism=parallelism))
        handles.append(executor.submit(builder.collect(builder.source(four_splits()), hash_on("k"))))
    assert [rows_of(h).height for h in handles] == [4000] * 3
    assert background.status() is JobStatus.RUNNING
    background.cancel()


def test_worker_processes_are_reused(executor: LocalExecutor):
    def run():
        builder = GraphBuilder(JobConfig(parallelism=2))
        return rows_of(executor.submit(builder.collect(builder.source(four_splits()), SINGLE)))

    run()
    before = executor.worker_process_ids()
    run()
    assert executor.worker_process_ids() == before


def test_worker_that_dies_fails_the_job_and_is_replaced(executor: LocalExecutor):
    import os

    def die(op, input, batch):
        os._exit(3)

    builder = GraphBuilder(JobConfig(parallelism=2, name="mine"))
    failing = builder.add(Apply(die), Edge(builder.source(four_splits()), SINGLE))
    with pytest.raises(ExecutionError, match=r"a worker process of job 'mine' died \(exit code 3\)"):
        executor.submit(builder.collect(failing)).wait(20)
    again = GraphBuilder(JobConfig(parallelism=2))
    assert rows_of(executor.submit(again.collect(again.source(four_splits()), hash_on("k")))).height == 4000
    assert all(map(is_running, executor.worker_process_ids()))


def test_small_job_in_process_is_quick(executor: LocalExecutor):
    def run() -> float:
        builder = GraphBuilder()
        started_s = time.monotonic()
        rows_of(executor.submit(builder.collect(builder.source(ListSource(((frame(10),),))))))
        return time.monotonic() - started_s

    assert min(run() for _ in range(20)) < 0.03


@PARALLELISMS
def test_what_workers_print_appears_in_the_program(executor: LocalExecutor, parallelism, capsys):
    def say(op, input, batch):
        import sys

        print("seen", batch.height)
        print("oops", file=sys.stderr)

    builder = GraphBuilder(JobConfig(parallelism=parallelism))
    source = builder.source(ListSource(((frame(5),),)))
    executor.submit(builder.collect(builder.add(Apply(say), Edge(source)))).wait(20)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("seen 5\n", "oops\n")


def test_much_printing_is_not_lost(executor: LocalExecutor, capsys):
    def say(op, input, batch):
        for n in range(2000):
            print(n, "x" * 500)

    builder = GraphBuilder(JobConfig(parallelism=2))
    source = builder.source(ListSource(((frame(5),),)))
    executor.submit(builder.collect(builder.add(Apply(say), Edge(source)))).wait(20)
    assert [int(line.split()[0]) for line in capsys.readouterr().out.splitlines()] == list(range(2000))


def test_warm_up_starts_the_workers():
    executor = LocalExecutor()
    executor.warm_up(2)
    before = executor.worker_process_ids()
    assert len(before) == 2
    builder = GraphBuilder(JobConfig(parallelism=2))
    assert rows_of(executor.submit(builder.collect(builder.source(four_splits()), hash_on("k")))).height == 4000
    assert executor.worker_process_ids() == before
    executor.close()
    assert not any(map(is_running, before))


@PARALLELISMS
def test_live_state_is_a_table(executor: LocalExecutor, parallelism):
    builder = GraphBuilder(JobConfig(parallelism=parallelism))
    parts = tuple((frame(500, i * 1000),) for i in range(4))
    counting = builder.add(Apply(count_keys), Edge(builder.source(ListSource(parts, is_bounded=False)), hash_on("k")))
    handle = executor.submit(builder.collect(counting))
    wait_until(lambda: sum(v.rows_in for v in handle.metrics().vertices if v.uid == "v1") == 2000)
    counts = handle.state()["v1"]["counts"]
    expected = pl.concat([f for (f,) in parts])["k"].value_counts()
    assert sorted(counts.rows()) == sorted(expected.rows())
    handle.cancel()
    with pytest.raises(StreamClosedError, match="has ended"):
        handle.state()


@PARALLELISMS
def test_state_may_be_asked_for_while_the_job_starts(executor: LocalExecutor, parallelism):
    """The answer comes when all operators are open."""
    builder = GraphBuilder(JobConfig(parallelism=parallelism))
    counting = builder.add(Apply(opened=lambda op: op.store.update({0: 1})), Edge(builder.source(EndlessSource())))
    handle = executor.submit(builder.collect(counting))
    assert handle.state()["v1"]["counts"]["n"].to_list() == [1] * parallelism
    handle.cancel()


def leave_out_even_ones(op, input, batch):
    numbers = batch.frame["n"].to_numpy()
    op.context.emit(op.leave_out(batch, numbers % 2 == 0, numbers, 10_000))


@pytest.mark.parametrize("is_bounded", [True, False])
@PARALLELISMS
def test_late_rows_are_a_table_while_the_job_runs_and_after_its_end(executor: LocalExecutor, parallelism, is_bounded, caplog):
    builder = GraphBuilder(JobConfig(parallelism=parallelism, name="late"))
    parts = tuple((frame(500, i * 1000),) for i in range(4))
    source = builder.source(ListSource(parts, is_bounded))
    step = builder.add(Apply(leave_out_even_ones), Edge(source, hash_on("k")), name="Step")
    handle = executor.submit(builder.collect(step))
    wait_until(lambda: handle.metrics().late_rows == 1000)
    if is_bounded:
        rows_of(handle)
        assert handle.wait() is JobStatus.FINISHED
    late = handle.late_rows()["v1"]
    assert sorted(late["n"].to_list()) == [n for i in range(4) for n in range(i * 1000, i * 1000 + 500, 2)]
    assert (late["late_by_ms"] + late["n"] == 10_000).all()
    assert handle.metrics().late_max_ms == 10_000
    assert [r.getMessage().count("for Step") for r in caplog.records if "too late" in r.getMessage()] == [1]
    if not is_bounded:
        handle.cancel()
