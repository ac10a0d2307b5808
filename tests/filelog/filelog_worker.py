"""Processes that write to and read from a log until they are killed, and tell in files of their own what they did."""

from __future__ import annotations

import json
import os
import random
import signal
import time

import polars as pl

from tableapi.connectors.filelog import Consumer, EventLog, FencedError, Producer, TransactionalProducer
from tableapi.connectors.filelog.storage import OsFile, OsStorage

CRASH_POINTS = {
    "before-frame": ("pwrite", ".log", False),
    "after-frame": ("pwrite", ".log", True),
    "before-publish": ("pwrite", "/state", False),
    "after-publish": ("pwrite", "/state", True),
    "before-decision": ("rename", "pending/", False),
    "after-decision": ("rename", "pending/", True),
    "after-prepare": ("rename", "prepared.json", True),
    "after-outcome": ("rename", "state.json", True),
    "before-commit-of-offsets": ("rename", "offsets.json", False),
    "in-roll": ("open", ".log", True),
    "torn-frame": ("torn", ".log", False),
}


class CrashingStorage(OsStorage):
    """Kills its own process when a labelled point is reached for the n-th time."""

    def __init__(self, label, count):
        self.call, self.pattern, self.is_after = CRASH_POINTS[label]
        self.count = count

    def reached(self, call, path, is_after):
        if call == self.call and self.pattern in path and is_after == self.is_after:
            self.count -= 1
            if self.count <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def open(self, path, *, create=False, writable=False):
        file = super().open(path, create=create, writable=writable)
        if create:
            self.reached("open", path, True)
        return CrashingFile(self, path, file) if writable else file

    def rename(self, old, new):
        self.reached("rename", new, False)
        super().rename(old, new)
        self.reached("rename", new, True)


class CrashingFile(OsFile):
    def __init__(self, storage, path, file):
        super().__init__(path, file._descriptor)
        file._descriptor = -1
        self._storage = storage

    def pwrite(self, buffers, position):
        self._storage.reached("pwrite", self.path, False)
        if self._storage.call == "torn" and self._storage.pattern in self.path and self._storage.count <= 1:
            data = b"".join(bytes(memoryview(b)) for b in buffers)
            super().pwrite([data[: len(data) // 2]], position)
            self._storage.reached("torn", self.path, False)
        written = super().pwrite(buffers, position)
        self._storage.reached("torn", self.path, False)
        self._storage.reached("pwrite", self.path, True)
        return written


class History:
    """Lines that survive the death of their process."""

    def __init__(self, path):
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, *values):
        os.write(self._descriptor, (json.dumps(values) + "\n").encode())

    def lines(self):
        with open(self.path) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]


def open_log(directory, label, count):
    return EventLog(directory, CrashingStorage(label, count) if label else None)


def events(who, number, count):
    return pl.DataFrame({"who": [who] * count, "n": [number] * count, "i": range(count)})


def produce(directory, histories, who, seed, label, count, batches):
    """Appends numbered batches as an idempotent producer; a batch whose fate is unknown is left alone after a restart."""
    chance = random.Random(seed)
    history = History(f"{histories}/{who}")
    first = max((line[1] for line in history.lines()), default=-1) + 1
    producer = Producer(open_log(directory, label, count), who)
    for number in range(first, first + batches):
        partition = chance.randrange(3)
        history.note("try", number, partition)
        done = producer.append("t", events(who, number, chance.randrange(1, 20)), partition=partition)
        history.note("ok", number, partition, done.offsets[partition])


def transact(directory, histories, who, seed, label, count, batches):
    """Writes transactions over both topics; some are aborted."""
    chance = random.Random(seed)
    history = History(f"{histories}/{who}")
    first = max((line[1] for line in history.lines()), default=-1) + 1
    producer = TransactionalProducer(open_log(directory, label, count), who)
    for number in range(first, first + batches):
        aborts = chance.random() < 0.3
        history.note("abort" if aborts else "try", number)
        producer.begin()
        for topic in ("t", "u"):
            for _ in range(2):
                producer.append(topic, events(who, number, 3), partition=chance.randrange(3))
        if aborts:
            producer.abort()
        else:
            producer.commit()
            history.note("ok", number)


def consume(directory, histories, who, seed, label, count, seconds):
    """Reads as a member of a group, notes what it got before it commits."""
    chance = random.Random(seed)
    history = History(f"{histories}/{who}")
    deadline = time.monotonic() + seconds
    log = open_log(directory, label, count)
    consumer = Consumer(log, "group", ["t", "u"], auto_commit=False, metadata=["offset"])
    while time.monotonic() < deadline:
        batch = consumer.poll(0.02, max_rows=chance.randrange(1, 200))
        if batch is None:
            continue
        rows = batch.frame.select("offset", "who", "n", "i").rows()
        history.note(batch.topic, batch.partition, rows)
        try:
            consumer.commit()
        except FencedError:
            history.note("fenced", -1, [])
    consumer.close()


def zombie(directory, kind, pipe):
    """Writes, waits to be told to go on, writes again; tells whether it was fenced."""
    log = EventLog(directory)
    row = pl.DataFrame({"who": ["zombie"], "n": [0], "i": [0]})
    if kind == "producer":
        producer = Producer(log, "z")
        producer.append("t", row)
        step = lambda: producer.append("t", row)  # noqa: E731
    elif kind == "transaction":
        transaction = TransactionalProducer(log, "z")
        transaction.begin()
        transaction.append("t", row)
        step = transaction.commit
    else:
        consumer = Consumer(log, "z", ["t"], auto_commit=False, session_timeout_ms=50)
        while consumer.poll(1) is None:
            pass
        step = consumer.commit
    pipe.send("ready")
    pipe.recv()
    try:
        step()
        pipe.send("not fenced")
    except FencedError:
        pipe.send("fenced")
