"""Queues, credit and barrier alignment inside one worker."""

from __future__ import annotations

import polars as pl
from jobs import Apply, GraphBuilder, ListSource, frame

from tableapi.runtime.cluster.channels import Channel, Gate, LocalSender, distribute
from tableapi.runtime.cluster.task import Task
from tableapi.runtime.exchange.messages import Barrier, EndOfInput, Watermark
from tableapi.runtime.exchange.reactor import Reactor
from tableapi.runtime.planner.graph import Edge, ExchangeKind
from tableapi.runtime.stream.batch import Batch


def test_credit_is_used_by_rows_and_comes_back_when_they_are_taken():
    gate = Gate()
    sender = LocalSender(10_000, gate, 0)
    batch = Batch(frame(1000))
    sender.send(batch)
    assert not sender.has_credit
    sender.send(Watermark(1))
    assert gate.take() == (0, batch)
    assert sender.has_credit
    assert gate.take() == (0, Watermark(1))
    assert gate.take() is None


def test_unseen_watermark_is_replaced_by_a_later_one():
    channel = Channel(0, lambda cost: None)
    for time_ms in (1, 2, 3):
        channel.put(Watermark(time_ms), 0)
    assert channel.take() == Watermark(3)
    assert not channel.is_ready


def test_gate_takes_in_turn():
    gate = Gate()
    senders = [LocalSender(10**9, gate, 0) for _ in range(2)]
    for n in range(4):
        senders[0].send(Barrier(n)) if n > 2 else senders[0].send(Batch(frame(1, n)))
    senders[1].send(Batch(frame(1, 10)))
    order = [gate.take() for _ in range(5)]
    assert [channel for channel, _ in order] == [0, 1, 0, 0, 0]


def test_broadcast_and_hash_and_other_messages():
    gates = [Gate(), Gate()]
    senders = [LocalSender(10**9, gate, 0) for gate in gates]
    distribute(Batch(frame(100)), ExchangeKind.BROADCAST, (), senders)
    assert [gate.take()[1].height for gate in gates] == [100, 100]
    distribute(Batch(frame(100)), ExchangeKind.HASH, ("k",), senders)
    parts = [gate.take()[1].frame for gate in gates]
    assert sum(p.height for p in parts) == 100
    assert not set(parts[0]["k"]) & set(parts[1]["k"])
    distribute(EndOfInput(), ExchangeKind.HASH, ("k",), senders)
    assert [gate.take()[1] for gate in gates] == [EndOfInput(), EndOfInput()]


def test_barriers_are_aligned():
    """Rows that come after the barrier on one input wait until it has come on the other; then the operator is snapshot once."""
    builder = GraphBuilder()
    left, right = builder.source(ListSource(())), builder.source(ListSource(()))
    seen: list = []
    both = builder.add(Apply(process=lambda op, i, b: seen.append((i, b.frame["n"][0]))), Edge(left), Edge(right))
    task = Task(builder.graph(), 1, 0, {}, {}, Reactor(), lambda v: None)
    task.open()
    run = task._runs[both]
    run.on_barrier = lambda barrier: seen.append(barrier)
    a, b = (source.outputs[0] for source in task._sources)

    def work():
        while task._take_message():
            pass

    row = lambda n: Batch(pl.DataFrame({"k": [0], "n": [n]}))  # noqa: E731
    a.send(row(1))
    a.send(Barrier(7))
    a.send(row(2))
    b.send(row(3))
    work()
    assert seen == [(0, 1), (1, 3)]
    b.send(Barrier(7))
    b.send(row(4))
    work()
    assert seen == [(0, 1), (1, 3), Barrier(7), (0, 2), (1, 4)]
    a.send(Barrier(8))
    a.send(row(5))
    b.send(EndOfInput())
    work()
    assert seen[5:] == [Barrier(8), (0, 5)], "an input that has ended is not waited for"
