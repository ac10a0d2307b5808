"""Producers, transactions and their fencing."""

from __future__ import annotations

import time

import polars as pl
import pytest

from tableapi.connectors.filelog import (
    EventLog,
    FencedError,
    LogIoError,
    OutOfOrderSequenceError,
    Prepared,
    Producer,
    SchemaMismatchError,
    TransactionalProducer,
    TransactionError,
    abort_prepared,
    commit_prepared,
    committed_offsets,
)
from tableapi.connectors.filelog.transactions import _decision, _staging
from tableapi.types import DataTypes as D


@pytest.fixture
def log(tmp_path):
    opened = EventLog(tmp_path / "log")
    opened.create("t", {"id": D.BIGINT(), "s": D.STRING()}, key="id", partitions=2)
    opened.create("u", {"id": D.BIGINT()})
    yield opened
    opened.close()


def ids(log, topic="t"):
    return sorted(log.read(topic)["id"])


def frame(*values):
    return pl.DataFrame({"id": list(values)}, schema={"id": pl.Int64})


def test_events_linger_then_appear(log):
    with Producer(log, linger_ms=20) as producer:
        producer.send("t", {"id": 1})
        producer.send("t", (2, "x"))
        assert ids(log) == []
        deadline = time.monotonic() + 5
        while len(ids(log)) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert ids(log) == [1, 2]
        producer.send("t", {"id": 3})
        producer.append("t", frame(4))
    assert ids(log) == [1, 2, 3, 4]


def test_wrong_events_are_named_and_not_appended(log):
    producer = Producer(log, linger_ms=10_000)
    producer.send("t", {"id": 1, "ss": "x"})
    with pytest.raises(SchemaMismatchError, match="no column 'ss'"):
        producer.flush()
    producer.send("t", (1,))
    with pytest.raises(SchemaMismatchError, match="has 1 values, not 2"):
        producer.flush()
    producer.send("t", ("a", "b"))
    with pytest.raises(SchemaMismatchError, match="nothing was appended"):
        producer.flush()
    assert ids(log) == []


def test_a_retry_never_duplicates(log):
    partition = log.partition("u", 0)
    ((_, batch),) = log.encode("u", frame(1, 2, 3))
    assert partition.append([batch], (7, 0, 0)) == 0
    assert partition.append([batch], (7, 0, 0)) == 0
    assert partition.append([batch], (7, 0, 3)) == 3
    assert partition.append([batch], (7, 0, 0)) == 0
    with pytest.raises(OutOfOrderSequenceError, match="sequence 9 after 5"):
        partition.append([batch], (7, 0, 9))
    with pytest.raises(OutOfOrderSequenceError, match="nothing is known"):
        partition.append([batch], (8, 0, 5))
    assert log.read("u").height == 6


def test_duplicates_are_known_after_rolls_restarts_and_recovery(log, tmp_path):
    log.alter("u", segment_bytes=4096)
    partition = log.partition("u", 0)
    for i in range(40):
        ((_, batch),) = log.encode("u", frame(*range(i * 10, i * 10 + 10)))
        partition.append([batch], (7, 0, i * 10))
    assert log.partition_infos("u")[0].segments > 2
    for broken in ("nothing", "state", "producers"):
        for file in (tmp_path / "log/topics/u/0").iterdir():
            if broken in file.name:
                file.unlink()
        with EventLog(tmp_path / "log") as other:
            assert other.partition("u", 0).append([batch], (7, 0, 390)) == 390
            assert other.read("u")["id"].to_list() == list(range(400))


def test_a_write_that_fails_is_tried_again(log, monkeypatch):
    producer = Producer(log, retries=2)
    partition = log.partition("u", 0)
    original, calls = partition._publish, []

    def publish(tail, **kwargs):
        calls.append(tail)
        if len(calls) == 1:
            raise LogIoError("no space")
        return original(tail, **kwargs)

    monkeypatch.setattr(partition, "_publish", publish)
    producer.append("u", frame(1, 2))
    producer.append("u", frame(3))
    assert log.read("u")["id"].to_list() == [1, 2, 3]


def test_a_newer_producer_of_the_same_name_fences_the_older(log, tmp_path):
    old = Producer(log, "p")
    old.append("t", frame(1))
    new = Producer(EventLog(tmp_path / "log"), "p")
    assert (new.id, new.epoch) == (old.id, old.epoch + 1)
    with pytest.raises(FencedError, match="replaced by a newer one"):
        old.append("t", frame(2))
    new.append("t", frame(3))
    assert ids(log) == [1, 3]


def test_a_transaction_spans_topics(log):
    producer = TransactionalProducer(log, "x")
    producer.begin()
    producer.append("t", frame(*range(100)))
    producer.append("u", frame(1))
    producer.append("t", frame(100))
    assert (ids(log), ids(log, "u")) == ([], [])
    producer.commit()
    assert (ids(log), ids(log, "u")) == (list(range(101)), [1])
    producer.begin()
    producer.append("t", frame(7))
    producer.abort()
    producer.begin()
    producer.append("u", frame(2))
    producer.commit()
    assert (len(ids(log)), ids(log, "u")) == (101, [1, 2])


def test_transactions_are_used_in_order(log):
    producer = TransactionalProducer(log, "x")
    with pytest.raises(TransactionError, match="not open"):
        producer.append("t", frame(1))
    producer.begin()
    with pytest.raises(TransactionError, match="open already"):
        producer.begin()
    producer.append("u", frame(1))
    prepared = producer.prepare()
    commit_prepared(log, prepared)
    with pytest.raises(TransactionError, match="is committed"):
        abort_prepared(log, prepared)
    with pytest.raises(TransactionError, match="never prepared"):
        commit_prepared(log, Prepared("x", 1, 99))


def test_a_decided_transaction_is_finished_by_whoever_opens_the_log(log, tmp_path):
    producer = TransactionalProducer(log, "x")
    producer.begin()
    producer.append("t", frame(*range(10)))
    producer.append("u", frame(1))
    prepared = producer.prepare()
    manifest = log.storage.read_file(f"{_staging(log, prepared)}/prepared.json")
    log.storage.write_file(_decision(log, prepared), manifest, durable=False)
    with EventLog(tmp_path / "log") as other:
        assert (ids(other), ids(other, "u")) == (list(range(10)), [1])
    with EventLog(tmp_path / "log") as other:
        commit_prepared(other, prepared)
        assert len(ids(other)) == 10


def test_applying_again_after_a_part_was_applied(log):
    producer = TransactionalProducer(log, "x")
    producer.begin()
    producer.append("t", frame(*range(10)))
    prepared = producer.prepare()
    manifest = log.storage.read_file(f"{_staging(log, prepared)}/prepared.json")
    staged = {n: log.storage.read_file(f"{_staging(log, prepared)}/{n}") for n in log.storage.list(_staging(log, prepared))}
    commit_prepared(log, prepared)
    log.storage.make_directory(_staging(log, prepared))
    for name, data in staged.items():
        log.storage.write_file(f"{_staging(log, prepared)}/{name}", data, durable=False)
    log.storage.write_file(_decision(log, prepared), manifest, durable=False)
    log.finish_transactions()
    assert ids(log) == list(range(10))
    assert log.storage.list(f"{log.path}/pending") == []


def test_a_taken_over_transaction_is_fenced_and_dropped(log, tmp_path):
    zombie = TransactionalProducer(log, "x")
    zombie.begin()
    zombie.append("t", frame(1))
    successor = TransactionalProducer(EventLog(tmp_path / "log"), "x")
    zombie.append("t", frame(2))
    with pytest.raises(FencedError):
        zombie.commit()
    successor.begin()
    successor.append("t", frame(3))
    successor.commit()
    assert ids(log) == [3]


def test_group_offsets_move_with_the_transaction(log):
    producer = TransactionalProducer(log, "x")
    producer.begin()
    producer.append("t", frame(1))
    producer.commit_offsets("g", "u", {0: 5})
    assert committed_offsets(log, "g", "u") == {}
    producer.commit()
    assert committed_offsets(log, "g", "u") == {0: 5}
