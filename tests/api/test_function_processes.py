"""Python functions in worker processes: where they run, that results are the same, and how failures of a process look."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import polars as pl
import pytest

from tableapi import DataTypes, EnvironmentSettings, TableEnvironment
from tableapi.errors import ExecutionError, ValidationError
from tableapi.expressions import col, row_interval
from tableapi.udf import AggregateFunction, AsyncScalarFunction, ScalarFunction, udaf, udf, udtf

ROWS = 5_000


def environment(is_batch=True, mode="process", parallelism=2):
    settings = EnvironmentSettings.in_batch_mode() if is_batch else EnvironmentSettings.in_streaming_mode()
    env = TableEnvironment.create(settings)
    if mode is not None:
        env.get_config().set("python.execution-mode", mode)
    env.get_config().set("parallelism.default", str(parallelism))
    return env


@pytest.fixture(params=[True, False], ids=["batch", "stream"])
def env(request):
    return environment(request.param)


def numbers(env, count=ROWS):
    return env.from_arrow(pl.DataFrame({"a": range(count), "k": [i % 3 for i in range(count)]}).to_arrow())


def values(table):
    return table.execute().to_polars()


process_id = udf(lambda x: os.getpid(), result_type="BIGINT", name="process_id")
plus_one = udf(lambda x: x + 1, result_type="BIGINT", name="plus_one")


def test_functions_run_in_other_processes(env):
    found = values(numbers(env).select(process_id(col("a")).alias("p")))["p"].unique().to_list()
    assert os.getpid() not in found
    assert 1 <= len(found) <= 2


def test_tiny_jobs_and_thread_mode_run_here(env):
    assert values(numbers(environment(mode=None), 10).select(process_id(col("a")).alias("p")))["p"].unique().to_list() == [
        os.getpid()
    ]
    large = numbers(environment(mode="thread", parallelism=1), 20_000).select(process_id(col("a")).alias("p"))
    assert values(large)["p"].unique().to_list() == [os.getpid()]
    large = numbers(environment(mode=None), 20_000).select(process_id(col("a")).alias("p"))
    assert os.getpid() not in values(large)["p"].to_list()


def test_jobs_over_small_files_run_here(tmp_path):
    for name, count, is_here in (("small", 10, True), ("large", 100_000, False)):
        (tmp_path / name).write_text("".join(f"{i}\n" for i in range(count)))
        for is_batch in (True, False):
            env = environment(is_batch, mode=None, parallelism=1)
            env.execute_sql(
                f"CREATE TABLE t (a BIGINT) WITH ('connector'='filesystem', 'path'='{tmp_path}/{name}', 'format'='csv')"
            )
            found = values(env.from_path("t").select(process_id(col("a")).alias("p")))["p"].unique().to_list()
            assert (found == [os.getpid()]) == is_here


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValidationError, match="process, thread"):
        numbers(environment(mode="proces")).select(plus_one(col("a"))).execute()


def test_results_keep_the_order_of_rows():
    table = numbers(environment(), 50_000)
    found = values(table.select(col("a"), plus_one(col("a")).alias("b"), plus_one(plus_one(col("a"))).alias("c")))
    assert found["a"].to_list() == list(range(50_000))
    assert (found["b"] == found["a"] + 1).all()
    assert (found["c"] == found["a"] + 2).all()


class Total(AggregateFunction):
    def create_accumulator(self):
        return [0, os.getpid()]

    def accumulate(self, accumulator, value):
        accumulator[0] += value

    def retract(self, accumulator, value):
        accumulator[0] -= value

    def merge(self, accumulator, others):
        accumulator[0] += sum(o[0] for o in others)

    def get_value(self, accumulator):
        assert accumulator[1] == os.getpid()
        return accumulator[0]


def queries():
    total = udaf(Total(), result_type=DataTypes.BIGINT())
    spread = udaf(lambda v: v.max() - v.min(), result_type=DataTypes.BIGINT(), func_type="pandas")
    repeat = udtf(lambda x: [(i, f"{x}-{i}") for i in range(x % 3)], result_types=["BIGINT", "STRING"])
    two = DataTypes.ROW([DataTypes.FIELD("p", DataTypes.BIGINT()), DataTypes.FIELD("q", DataTypes.STRING())])
    split = udf(lambda r: (r.a, str(r.k)), result_type=two)
    yield "filter", lambda t: t.where(udf(lambda x: x % 7 == 0, result_type="BOOLEAN")(col("a")))
    yield "pandas", lambda t: t.select(udf(lambda x, y: x * y, result_type="BIGINT", func_type="pandas")(col("a"), col("k")))
    yield "polars", lambda t: t.select(udf(lambda x: x.cast(pl.String), result_type="STRING", func_type="polars")(col("a")))
    yield "table", lambda t: t.join_lateral(repeat(col("a")).alias("i", "s"))
    yield "outer", lambda t: t.left_outer_join_lateral(repeat(col("a")).alias("i", "s"))
    yield "aggregate", lambda t: t.group_by(col("k")).select(col("k"), total(col("a")).alias("t"), col("a").count.alias("n"))
    yield "columns", lambda t: t.group_by(col("k")).select(col("k"), spread(col("a")).alias("t"))
    yield "whole", lambda t: t.select(total(col("a")).alias("t"))
    yield "map", lambda t: t.map(split)
    yield "flat_map", lambda t: t.flat_map(udtf(lambda r: [r.a] * (r.a % 2), result_types=["BIGINT"]))


@pytest.mark.parametrize("query", [q for _, q in queries()], ids=[n for n, _ in queries()])
def test_every_kind_gives_the_same_rows_in_processes_as_here(env, query):
    here = values(query(numbers(environment(mode="thread"))))
    found = values(query(numbers(env)))
    assert found.columns == here.columns
    assert sorted(found.rows(), key=repr) == sorted(here.rows(), key=repr)


def test_aggregates_over_rows():
    from tableapi.window import Over

    total = udaf(Total(), result_type=DataTypes.BIGINT())
    window = Over.partition_by(col("k")).order_by(col("a")).preceding(row_interval(2)).alias("w")
    found = values(numbers(environment(), 9).over_window(window).select(col("a"), total(col("a")).over(col("w")).alias("t")))
    assert sorted(found.rows()) == [(a, sum(v for v in (a, a - 3, a - 6) if v >= 0)) for a in range(9)]


def test_an_exception_shows_the_users_frames_and_the_row(env):
    def shares(a):
        return 10 // (a - 4321)  # cause

    with pytest.raises(ExecutionError) as caught:
        values(numbers(env).select(udf(shares, result_type="BIGINT")(col("a"))))
    text = str(caught.value)
    assert "Python function 'shares' failed for the row (4321): ZeroDivisionError" in text
    assert "return 10 // (a - 4321)  # cause" in text
    assert caught.value.where is not None
    assert caught.value.where.file == __file__
    for engine in ("polars", "function_pool", "udf.py", "udf_scope"):
        assert engine not in text


ENDINGS = {
    "exit": (lambda x: os._exit(3) if x == 4321 else x, r"exit code 3"),
    "kill": (lambda x: os.kill(os.getpid(), signal.SIGKILL) if x == 4321 else x, r"signal 9"),
}


@pytest.mark.parametrize(("function", "how"), ENDINGS.values(), ids=ENDINGS)
def test_the_end_of_a_functions_process_is_named_with_its_rows(env, function, how):
    fatal = udf(function, result_type="BIGINT", name="fatal")
    with pytest.raises(ExecutionError, match=how) as caught:
        values(numbers(env).select(fatal(col("a"))))
    found = str(caught.value)
    assert "Python function 'fatal' was working on rows" in found
    first, last = (int(part.split("(")[-1].strip("()\n ").split(")")[0]) for part in found.split(" … "))
    assert first <= 4321 <= last < first + 1024
    assert values(numbers(env).select(plus_one(col("a")).alias("b")))["b"].to_list()[:3] == [1, 2, 3]


@pytest.mark.parametrize("mode", ["process", "thread"])
def test_sys_exit_is_a_failure_of_the_function(mode):
    stop = udf(lambda x: sys.exit(4) if x == 3 else x, result_type="BIGINT", name="stop")
    with pytest.raises(ExecutionError, match=r"'stop' failed for the row \(3\): SystemExit: 4"):
        values(numbers(environment(mode=mode)).select(stop(col("a"))))


def test_what_cannot_be_sent_is_named_with_the_way_out(env):
    lock = threading.Lock()

    def guarded(x):
        with lock:
            return x

    table = numbers(env).select(udf(guarded, result_type="BIGINT")(col("a")).alias("b"))
    with pytest.raises(ValidationError, match=r"'guarded' cannot be sent to a worker process.*lock") as caught:
        values(table)
    assert "python.execution-mode" in str(caught.value)
    env.get_config().set("python.execution-mode", "thread")
    env.get_config().set("parallelism.default", "1")
    assert values(table)["b"].sum() == sum(range(ROWS))


class Counting(ScalarFunction):
    def __init__(self, folder):
        self.folder = folder

    def open(self, context):
        self.step = int(context.get_job_parameter("step", "1"))
        self.calls = context.get_metric_group().add_group("mine").counter("calls")
        self.sizes = context.get_metric_group().distribution("sizes")
        self.note("open", context.get_index_of_this_subtask(), context.get_number_of_parallel_subtasks())

    def note(self, *words):
        (self.folder / "-".join(map(str, (*words, os.getpid())))).touch()

    def eval(self, x):
        self.calls.inc()
        self.sizes.update(x)
        return x + self.step

    def close(self):
        self.note("close")


def test_open_and_close_once_in_each_process_with_parameters_and_metrics(env, tmp_path):
    env.get_config().set("pipeline.global-job-parameters", "step:5,other:'a:b'")
    function = udf(Counting(tmp_path), result_type="BIGINT")
    result = numbers(env).select(function(col("a")).alias("x"), function(col("k")).alias("y")).execute()
    assert result.to_polars()["x"].sum() == sum(range(ROWS)) + 5 * ROWS
    counters = result.get_job_client().get_accumulators().result()
    assert counters["mine.calls"] == 2 * ROWS
    assert (counters["sizes.count"], counters["sizes.min"], counters["sizes.max"]) == (2 * ROWS, 0, ROWS - 1)
    words = [p.name.split("-") for p in tmp_path.iterdir()]
    opened, closed = ({w[-1] for w in words if w[0] == kind} for kind in ("open", "close"))
    assert opened == closed
    # A stream of few rows that are all in its plan has one worker.
    assert {w[2] for w in words if w[0] == "open"} == {"2" if env._is_streaming is False else "1"}


class Broken(ScalarFunction):
    def __init__(self, at):
        self.at = at

    def open(self, context):
        if self.at == "open":
            raise OSError("no such server")

    def eval(self, x):
        return x

    def close(self):
        if self.at == "close":
            raise OSError("no such server")


@pytest.mark.parametrize("at", ["open", "close"])
@pytest.mark.parametrize("mode", ["process", "thread"])
def test_failures_to_open_and_close_are_named(at, mode):
    table = numbers(environment(mode=mode)).select(udf(Broken(at), result_type="BIGINT", name="broken")(col("a")))
    with pytest.raises(ExecutionError, match=rf"'broken' failed in {at}\(\): OSError: no such server"):
        values(table)


def test_what_functions_print_appears_here(capfd):
    talk = udf(lambda x: print("seen", x) if x == 7 else None, result_type="BIGINT")
    values(numbers(environment()).select(talk(col("a"))))
    assert "seen 7" in capfd.readouterr().out


class Slow(AsyncScalarFunction):
    async def eval(self, x):
        import asyncio

        self.tries = getattr(self, "tries", 0) + 1
        if x == 3 and self.tries < 8:
            raise OSError("not yet")
        if x == 4:
            await asyncio.sleep(60)
        return x


def test_coroutines_are_tried_again_and_limited_in_time(env):
    env.get_config().set("table.exec.async-scalar.retry-delay", "1 ms").set("table.exec.async-scalar.max-attempts", "20")
    slow = udf(Slow(), result_type="BIGINT", name="slow")
    assert sorted(values(numbers(env, 4).select(slow(col("a")).alias("b")))["b"].to_list()) == [0, 1, 2, 3]
    env.get_config().set("table.exec.async-scalar.timeout", "50 ms")
    with pytest.raises(ExecutionError, match=r"'slow' failed for the row \(4\): TimeoutError: no answer within 0.05 s"):
        values(numbers(env, 5).select(slow(col("a"))))
    env.get_config().set("table.exec.async-scalar.retry-strategy", "NO_RETRY")
    with pytest.raises(ExecutionError, match=r"failed for the row \(3\): OSError: not yet"):
        values(numbers(env, 4).select(slow(col("a"))))


def test_results_that_are_left_unread_end_the_job():
    env = environment()
    rows = numbers(env, 200_000).select(udf(lambda x: time.sleep(0.0001) or x, result_type="BIGINT")(col("a")).alias("b"))
    with rows.execute().collect() as found:
        next(iter(found))
    assert values(numbers(env).select(plus_one(col("a")).alias("b")))["b"].sum() == sum(range(1, ROWS + 1))


SCRIPT = """
    import os, sys, time
    import polars as pl
    from tableapi import EnvironmentSettings, TableEnvironment
    from tableapi.expressions import col
    from tableapi.udf import udf

    OFFSET = 3
    WHAT, MARK, MODE = sys.argv[1:]

    def helper(x):
        return x + OFFSET

    @udf(result_type="BIGINT")
    def slow(x):
        if x == 0:
            with open(MARK, "w") as mark:
                mark.write(str(os.getpid()))
        if WHAT == "interrupt":
            time.sleep(0.01)
        return helper(x)

    if __name__ == "__main__":
        settings = EnvironmentSettings.in_batch_mode() if MODE == "batch" else EnvironmentSettings.in_streaming_mode()
        env = TableEnvironment.create(settings)
        env.get_config().set("python.execution-mode", "process").set("parallelism.default", "1")
        table = env.from_arrow(pl.DataFrame({"a": range(3000)}).to_arrow())
        try:
            print(table.select(slow(col("a")).alias("b")).execute().to_polars()["b"].sum())
        except KeyboardInterrupt:
            print("interrupted")
"""


def start_script(tmp_path, what, mode):
    script, mark = tmp_path / "program.py", tmp_path / "pid"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, str(script), what, str(mark), mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), mark


@pytest.mark.parametrize("mode", ["batch", "stream"])
def test_functions_of_a_script_take_its_globals_along(tmp_path, mode):
    program, _ = start_script(tmp_path, "run", mode)
    out, err = program.communicate(timeout=60)
    assert out.strip() == str(sum(range(3000)) + 9000), err


@pytest.mark.parametrize("mode", ["batch", "stream"])
def test_an_interrupt_ends_the_job_and_its_processes(tmp_path, mode):
    program, mark = start_script(tmp_path, "interrupt", mode)
    for _ in range(600):
        if mark.exists() and mark.read_text():
            break
        assert program.poll() is None, program.communicate()
        threading.Event().wait(0.05)
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=20)
    assert out.strip() == "interrupted", err
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
