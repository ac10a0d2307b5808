"""What is left of a session's processes and memory, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from jobs import is_running, shared_memory_files, wait_until

HERE = Path(__file__).parent

PRELUDE = """
import os, sys, time
sys.path.insert(0, {here!r})
from jobs import *
from tableapi.runtime.cluster.coordinator import LocalExecutor
from tableapi.runtime.planner.graph import SINGLE
executor = LocalExecutor()

def start(parallelism, directory):
    builder = GraphBuilder(JobConfig(parallelism=parallelism))
    source = builder.source(EndlessSource(rows=20_000))
    handle = executor.submit(builder.sink(source, FileSink(directory), hash_on("k")))
    wait_until(lambda: handle.metrics().rows_out > 100_000)
    print("running", os.getpid(), *executor.worker_process_ids(), flush=True)
    return handle
"""


class Program:
    """A script that runs in a process of its own and says `running`, its process id and those of its workers."""

    def __init__(self, body: str, directory: Path, **options) -> None:
        script = PRELUDE.format(here=str(HERE)) + textwrap.dedent(body)
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(directory)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )
        words = self.process.stdout.readline().split()
        if words[:1] != ["running"]:
            self.process.kill()
            raise AssertionError(self.process.stderr.read())
        self.pids = [int(w) for w in words[1:]]

    def end(self, timeout_s: float = 15) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out, err


@pytest.fixture
def run_program():
    """Starts programs, and ends those that a failed test has left."""
    started: list[Program] = []

    def start(body: str, directory: Path, **options) -> Program:
        started.append(Program(body, directory, **options))
        return started[-1]

    yield start
    for program in started:
        program.process.kill()
        program.process.wait()


def anonymous_memory_of(pids: list[int]) -> list[str]:
    """Mappings of memory files that some process still has."""
    found = []
    for pid in pids:
        try:
            found += [line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "memfd:tableapi" in line]
        except OSError:
            continue
    return found


@pytest.mark.parametrize("parallelism", [2, 3])
def test_nothing_is_left_when_the_parent_is_killed(run_program, tmp_path, parallelism):
    before = shared_memory_files()
    program = run_program(f"start({parallelism}, sys.argv[1]).wait()", tmp_path)
    workers = program.pids[1:]
    assert len(workers) == parallelism
    assert anonymous_memory_of(workers), "workers share memory while they run"
    program.process.send_signal(signal.SIGKILL)
    program.end()
    wait_until(lambda: not any(map(is_running, workers)), timeout_s=3)
    assert not anonymous_memory_of(workers)
    assert shared_memory_files() <= before


def test_nothing_is_left_when_workers_are_stuck_and_the_parent_is_killed(run_program, tmp_path):
    """A worker that computes, and so does not look at its socket, ends too."""
    body = """
    def stuck(op, input, batch):
        sum(range(10**11))

    builder = GraphBuilder(JobConfig(parallelism=2))
    spec = Apply(stuck)
    handle = executor.submit(builder.collect(builder.add(spec, Edge(builder.source(EndlessSource())))))
    wait_until(lambda: len(executor.worker_process_ids()) == 2)
    time.sleep(1)
    print("running", os.getpid(), *executor.worker_process_ids(), flush=True)
    handle.wait()
    """
    program = run_program(body, tmp_path)
    program.process.send_signal(signal.SIGKILL)
    program.end()
    wait_until(lambda: not any(map(is_running, program.pids)), timeout_s=3)


@pytest.mark.parametrize("parallelism", [1, 2])
def test_interrupt_stops_the_job_and_the_program(run_program, tmp_path, parallelism):
    program = run_program(f"start({parallelism}, sys.argv[1]).wait()", tmp_path)
    started_s = time.monotonic()
    program.process.send_signal(signal.SIGINT)
    code, _, err = program.end()
    assert time.monotonic() - started_s < 3
    assert code == -signal.SIGINT
    assert err.strip().endswith("KeyboardInterrupt")
    wait_until(lambda: not any(map(is_running, program.pids)), timeout_s=3)
    notes = (tmp_path / "notes").read_text().splitlines()
    assert notes == ["begin False {}", *["close False"] * parallelism, "end False"]


def test_interrupt_of_the_whole_group_does_not_reach_workers(run_program, tmp_path):
    """Ctrl-C in a terminal goes to every process of the group; the workers do not print stacks of their own."""
    program = run_program("start(2, sys.argv[1]).wait()", tmp_path, start_new_session=True)
    for worker in program.pids[1:]:
        os.kill(worker, signal.SIGINT)
    os.killpg(program.process.pid, signal.SIGINT)
    _, _, err = program.end()
    assert err.count("Traceback") == 1
    assert not any(map(is_running, program.pids))


def test_program_that_ends_while_a_job_runs_stops_it(run_program, tmp_path):
    program = run_program("start(2, sys.argv[1])", tmp_path)
    code, _, err = program.end()
    assert (code, err) == (0, "")
    assert not any(map(is_running, program.pids))
    assert (tmp_path / "notes").read_text().splitlines()[-1] == "end False"


def test_program_goes_on_after_an_interrupt_of_results(run_program, tmp_path):
    body = """
    builder = GraphBuilder(JobConfig(parallelism=2))
    handle = executor.submit(builder.collect(builder.source(EndlessSource())))
    results = handle.batches()
    try:
        next(results)
        print("running", os.getpid(), *executor.worker_process_ids(), flush=True)
        for batch in results:
            pass
    except KeyboardInterrupt:
        results.close()
        print(handle.status().value)
    again = GraphBuilder(JobConfig(parallelism=2))
    source = again.source(ListSource(((frame(10),),)))
    print(rows_of(executor.submit(again.collect(source, hash_on("k")))).height)
    """
    program = run_program(body, tmp_path)
    program.process.send_signal(signal.SIGINT)
    code, out, err = program.end()
    assert (code, out.split(), err) == (0, ["CANCELED", "10"], "")


def test_cold_and_warm_workers_answer(run_program, tmp_path):
    body = """
    def run():
        started_s = time.monotonic()
        builder = GraphBuilder(JobConfig(parallelism=2))
        source = builder.source(ListSource(((frame(10),),)))
        rows = rows_of(executor.submit(builder.collect(source, hash_on("k"))))
        return time.monotonic() - started_s
    print("running", os.getpid(), flush=True)
    cold_s, warm_s = run(), min(run() for _ in range(5))
    print(cold_s, warm_s)
    """
    _, out, err = run_program(body, tmp_path).end()
    cold_s, warm_s = map(float, out.split())
    assert cold_s < 20, err
    assert warm_s < 0.5
