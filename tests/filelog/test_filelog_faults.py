"""The log on a disk that fails and forgets.

Oracle: what was acknowledged is there (as far as its durability says); what was not is there as a whole batch or not at all; order is kept;
nothing is there twice.
"""

from __future__ import annotations

import contextlib
import errno

import polars as pl
import pytest
from filelog_simdisk import SimCrash, SimDisk

from tableapi.connectors.filelog import EventLog, PoisonedSegmentError, Producer, TransactionalProducer
from tableapi.connectors.filelog.verify import repair
from tableapi.errors import CorruptionError, TableApiError
from tableapi.types import DataTypes as D

ROWS = 4
BATCHES = 14
STRIDE = pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
"""Every call in the long profile, a sample otherwise."""


def rows(batch):
    return pl.DataFrame({"batch": [batch] * ROWS, "i": range(ROWS), "s": ["x" * 90] * ROWS})


class Workload:
    """Appends numbered batches, directly, as an idempotent producer and in transactions; remembers which were acknowledged."""

    def __init__(self, disk, durability):
        self.disk, self.durability = disk, durability
        self.acknowledged, self.refused = [], []
        self.is_created = False

    def run(self):
        log = self._attempt(lambda: EventLog("/log", self.disk))
        if log is None:
            return
        settings = {"durability": self.durability, "segment_bytes": 4096, "fsync_interval_ms": 20}
        columns = {"batch": D.BIGINT(), "i": D.BIGINT(), "s": D.STRING()}
        if self._attempt(lambda: log.create("t", columns, **settings)) is None:
            return
        self.is_created = True
        producer = self._attempt(lambda: Producer(log, retries=1))
        for batch in range(BATCHES):
            self._batch(log, producer, batch)

    def _attempt(self, action):
        try:
            return action()
        except (OSError, TableApiError):
            return None

    def _batch(self, log, producer, batch):
        try:
            if batch % 5 == 4:
                transaction = TransactionalProducer(log, "tx")
                transaction.begin()
                transaction.append("t", rows(batch))
                transaction.commit()
            elif batch % 2 and producer is not None and not producer._unsent:
                producer.append("t", rows(batch))
            else:
                log.append("t", rows(batch))
        except (OSError, TableApiError):
            self.refused.append(batch)
        else:
            self.acknowledged.append(batch)


def read_batches(disk):
    log = EventLog("/log", disk)
    frame = log.read("t", metadata=["offset"])
    assert frame["offset"].to_list() == list(range(frame.height))
    assert frame["s"].unique().to_list() in ([], ["x" * 90])
    found = frame["batch"].to_list()
    assert frame.height % ROWS == 0, "a torn batch is visible"
    assert frame["i"].to_list() == list(range(ROWS)) * (frame.height // ROWS)
    batches = found[::ROWS]
    assert found == [b for b in batches for _ in range(ROWS)]
    return log, batches


def check(workload, batches, lost_allowed=False):
    assert len(set(batches)) == len(batches), "a batch is there twice"
    if not lost_allowed:
        assert set(workload.acknowledged) <= set(batches)
        ordered = [b for b in batches if b in workload.acknowledged]
        assert ordered == sorted(ordered)
    assert set(batches) <= set(workload.acknowledged) | set(workload.refused) | {workload.in_flight}


def count_calls(durability):
    disk = SimDisk()
    workload = Workload(disk, durability)
    workload.run()
    assert workload.acknowledged == list(range(BATCHES))
    return disk.calls


@pytest.mark.filterwarnings("ignore:a committed transaction")
@pytest.mark.parametrize("durability", ["none", "batch", "ack"])
@pytest.mark.parametrize("fault", [errno.EIO, errno.ENOSPC, errno.EMFILE])
@STRIDE
def test_a_call_fails(durability, fault, stride):
    for call in range(1, count_calls(durability) + 1, stride):
        disk = SimDisk(seed=call)
        workload = Workload(disk, durability)
        workload.in_flight = None
        disk.fail_at(call, fault)
        workload.run()
        disk.plan = None
        if not workload.is_created:
            continue
        log, batches = read_batches(disk)
        check(workload, batches)
        try:
            log.append("t", rows(99))
        except PoisonedSegmentError:
            repair(log, "t")
            log.append("t", rows(99))
        if durability == "ack":
            disk.crash()
            workload.acknowledged.append(99)
            frame = EventLog("/log", disk).read("t")
            check(workload, frame["batch"].to_list()[::ROWS])


@pytest.mark.filterwarnings("ignore:a committed transaction")
@pytest.mark.parametrize("durability", ["none", "batch", "ack"])
@STRIDE
def test_the_process_dies_at_a_call(durability, stride):
    for call in range(1, count_calls(durability) + 1, stride):
        disk, workload = crash_at(call, durability)
        disk.process_dies()
        if workload.is_created:
            log, batches = read_batches(disk)
            check(workload, batches)
            log.append("t", rows(99))
            assert read_batches(disk)[1][-1] == 99


@pytest.mark.filterwarnings("ignore:a committed transaction")
@pytest.mark.parametrize("durability", ["none", "batch", "ack"])
@STRIDE
def test_the_machine_crashes_at_a_call(durability, stride):
    for call in range(1, count_calls(durability) + 1, stride):
        disk, workload = crash_at(call, durability)
        disk.crash()
        if not workload.is_created:
            continue
        try:
            log, batches = read_batches(disk)
        except (CorruptionError, TableApiError):
            assert durability != "ack"
            continue
        check(workload, batches, lost_allowed=durability != "ack")
        log.append("t", rows(99))
        assert read_batches(disk)[1][-1] == 99


def crash_at(call, durability):
    disk = SimDisk(seed=call)
    workload = Workload(disk, durability)
    disk.fail_at(call, "crash")
    with contextlib.suppress(SimCrash):
        workload.run()
    workload.in_flight = len(workload.acknowledged) + len(workload.refused)
    return disk, workload


def test_a_failed_fsync_poisons_the_segment():
    disk = SimDisk()
    log = EventLog("/log", disk)
    log.create("t", {"batch": D.BIGINT(), "i": D.BIGINT(), "s": D.STRING()}, durability="ack")
    log.append("t", rows(0))
    original = disk.step

    def step(what):
        if what == "sync":
            raise OSError(errno.EIO, "broken")
        original(what)

    disk.step = step
    with pytest.raises(PoisonedSegmentError, match="an fsync of"):
        log.append("t", rows(1))
    disk.step = original
    with pytest.raises(PoisonedSegmentError):
        EventLog("/log", disk).append("t", rows(2))
    assert log.read("t")["batch"].to_list() == [0] * ROWS
    repair(log, "t")
    log.append("t", rows(3))
    disk.crash()
    read = EventLog("/log", disk).read("t")["batch"].to_list()
    assert [b for b in read if b != 1] == [0] * ROWS + [3] * ROWS
    assert read.count(1) in (0, ROWS)
