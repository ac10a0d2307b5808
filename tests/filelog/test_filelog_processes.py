"""Real processes, killed at random and at labelled points; a checker of their histories finds nothing wrong."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import filelog_worker as worker
import polars as pl
import pytest

from tableapi.connectors.filelog import Consumer, EventLog, Producer, TransactionalProducer, committed_offsets
from tableapi.connectors.filelog.verify import verify
from tableapi.types import DataTypes as D

COLUMNS = {"who": D.STRING(), "n": D.BIGINT(), "i": D.BIGINT()}
PRODUCERS, TRANSACTORS, CONSUMERS = ("p0", "p1"), ("x0", "x1"), ("c0", "c1", "c2")


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["filelog_worker"])
    old = os.environ.get("POLARS_MAX_THREADS")
    os.environ["POLARS_MAX_THREADS"] = "1"
    yield context
    if old is None:
        del os.environ["POLARS_MAX_THREADS"]


def start_round(context, directory, histories, seed):
    chance = random.Random(seed)
    started = []
    for who in (*PRODUCERS, *TRANSACTORS, *CONSUMERS):
        label, count = (
            (chance.choice(list(worker.CRASH_POINTS)), chance.randrange(1, 30)) if chance.random() < 0.5 else (None, 0)
        )
        if who in CONSUMERS:
            target, last = worker.consume, 0.6
        else:
            target, last = (worker.produce if who in PRODUCERS else worker.transact), 40
        arguments = (str(directory), str(histories), who, chance.random(), label, count, last)
        process = context.Process(target=target, args=arguments, daemon=True)
        process.start()
        started.append(process)
    deadline = time.monotonic() + 20
    for process in chance.sample(started, 4):
        process.join(chance.random() * 0.3)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
    for process in started:
        process.join(max(0.0, deadline - time.monotonic()))
        assert not process.is_alive(), "a process hangs"
        assert process.exitcode in (0, -signal.SIGKILL), f"a process failed with {process.exitcode}"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def drain_group(log):
    got = []
    with Consumer(log, "group", ["t", "u"], metadata=["offset"]) as consumer:
        quiet = 0
        while quiet < 3:
            batch = consumer.poll(0.25)
            quiet = quiet + 1 if batch is None else 0
            if batch is not None:
                got.append((batch.topic, batch.partition, batch.frame.select("offset", "who", "n", "i").rows()))
    return got


def check_history(directory, histories):
    """Lost write, aborted read, duplicate, gap, reordering within a partition, offset that is not its event."""
    log = EventLog(directory)
    logged = {}
    for topic in ("t", "u"):
        assert [v.problems for v in verify(log, topic)] == [()] * 3
        for number in range(3):
            frame = log.read(topic, partitions=[number], metadata=["offset"])
            assert frame["offset"].to_list() == list(range(frame.height)), "gap"
            logged[topic, number] = frame.select("who", "n", "i").rows()
            for _, part in frame.group_by("who", maintain_order=True):
                assert part["n"].is_sorted(), "reordering within a partition"
    check_producers(logged, histories)
    check_transactions(logged, histories)
    check_consumers(log, logged, histories)


def check_producers(logged, histories):
    for who in PRODUCERS:
        for what, number, partition, *offset in lines(histories / who):
            found = [row for row in logged["t", partition] if row[:2] == (who, number)]
            assert [row[2] for row in found] == list(range(len(found))), "duplicate or torn batch"
            if what == "ok":
                assert found, f"lost write {who} {number}"
                at = offset[0]
                assert logged["t", partition][at : at + len(found)] == found, "offset is not its event"


def check_transactions(logged, histories):
    for who in TRANSACTORS:
        counts = {}
        for topic in ("t", "u"):
            for number in range(3):
                for row in logged[topic, number]:
                    if row[0] == who:
                        counts[row[1], topic] = counts.get((row[1], topic), 0) + 1
        for what, number in lines(histories / who):
            seen = (counts.get((number, "t"), 0), counts.get((number, "u"), 0))
            assert seen in ((0, 0), (6, 6)), f"a part of transaction {who} {number} is there: {seen}"
            if what == "abort":
                assert seen == (0, 0), f"aborted read {who} {number}"
            if what == "ok":
                assert seen == (6, 6), f"lost write {who} {number}"


def check_consumers(log, logged, histories):
    covered = {key: set() for key in logged}
    for path in sorted(histories.glob("c*")):
        for topic, number, rows in lines(path):
            if topic == "fenced":
                continue
            for offset, *event in rows:
                assert logged[topic, number][offset] == tuple(event), "offset is not its event"
                covered[topic, number].add(offset)
    drained = worker.History(histories / "c-drained")
    for topic, number, rows in drain_group(log):
        drained.note(topic, number, rows)
        covered[topic, number].update(row[0] for row in rows)
    for key, offsets in covered.items():
        assert offsets == set(range(len(logged[key]))), "the group has left out events"
    for topic in ("t", "u"):
        ends = {p: len(logged[topic, p]) for p in range(3) if logged[topic, p]}
        assert {p: o for p, o in committed_offsets(log, "group", topic).items() if o} == ends


@pytest.mark.parametrize("rounds", [3, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_killed_processes_lose_and_duplicate_nothing(tmp_path, processes, rounds):
    histories = Path(tmp_path / "histories")
    histories.mkdir()
    log = EventLog(tmp_path / "log")
    for topic in ("t", "u"):
        log.create(topic, COLUMNS, partitions=3, segment_bytes=16_384)
    for seed in range(rounds):
        start_round(processes, tmp_path / "log", histories, seed)
        if rounds > 3 and seed % 20 == 19:
            EventLog(tmp_path / "log").finish_transactions()
    check_history(tmp_path / "log", histories)


@pytest.mark.parametrize("kind", ["producer", "transaction", "consumer"])
def test_a_zombie_is_fenced(tmp_path, processes, kind):
    log = EventLog(tmp_path / "log")
    log.create("t", COLUMNS)
    log.append("t", worker.events("first", 0, 1))
    ours, theirs = processes.Pipe()
    process = processes.Process(target=worker.zombie, args=(str(tmp_path / "log"), kind, theirs), daemon=True)
    process.start()
    assert ours.poll(20)
    assert ours.recv() == "ready"
    os.kill(process.pid, signal.SIGSTOP)
    row = pl.DataFrame({"who": ["heir"], "n": [0], "i": [0]})
    if kind == "producer":
        Producer(log, "z").append("t", row)
    elif kind == "transaction":
        heir = TransactionalProducer(log, "z")
        heir.begin()
        heir.append("t", row)
        heir.commit()
    else:
        time.sleep(0.06)
        with Consumer(log, "z", ["t"], session_timeout_ms=50) as consumer:
            assert consumer.poll(5) is not None
    before = log.read("t").rows()
    ours.send("go on")
    os.kill(process.pid, signal.SIGCONT)
    assert ours.poll(20)
    assert ours.recv() == "fenced"
    process.join(10)
    assert log.read("t").rows() == before
