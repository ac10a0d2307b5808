"""Queues, credit and barrier alignment inside one worker."""

from __future__ import annotations

import polars as pl
from jobs import Apply, GraphBuilder, ListSource, frame, hash_on

from tableapi.runtime.cluster.channels import Channel, Gate, LocalSender, distribute
from tableapi.runtime.cluster.task import Task
from tableapi.runtime.exchange.messages import Barrier, EndOfInput, Watermark
from tableapi.runtime.exchange.reactor import Reactor
from tableapi.runtime.planner.graph import Edge, ExchangeKind
from tableapi.runtime.stream.batch import Batch


def test_credit_is_used_by_rows_and_comes_back_when_they_are_taken():
    gate = Gate(10_000)
    sender = LocalSender(10_000, gate, 0)
    batch = Batch(frame(1000))
    sender.send(batch)
    assert not sender.has_credit
    sender.send(Watermark(1))
    assert gate.take() == [(0, batch)]
    assert sender.has_credit
    assert gate.take() == [(0, Watermark(1))]
    assert gate.take() == []


def test_unseen_watermark_is_replaced_by_a_later_one():
    channel = Channel(0, lambda cost: None)
    for time_ms in (1, 2, 3):
        channel.put(Watermark(time_ms), 0)
    assert channel.take(10) == Watermark(3)
    assert not channel.is_ready


def test_rows_that_wait_are_joined_and_pass_watermarks_that_are_not_firm():
    given = []
    channel = Channel(0, given.append)
    for message in (Batch(frame(3)), Watermark(1), Batch(frame(4)), Watermark(2), Watermark(3, is_firm=True), Batch(frame(5))):
        channel.put(message, message.height if isinstance(message, Batch) else 0)
    assert channel.rows == 12
    assert channel.take(100).frame["n"].to_list() == [0, 1, 2, 0, 1, 2, 3]
    assert (channel.rows, given) == (5, [7])
    assert channel.take(100) == Watermark(3, is_firm=True), "late rows stay behind it"
    assert channel.take(100).height == 5

    for rows in (3, 4, 5):
        channel.put(Batch(frame(rows)), 1)
    channel.put(Batch(frame(2).with_columns(n=None)), 1)
    channel.put(Batch(frame(2)), 1)
    assert [channel.take(8).height for _ in range(4)] == [7, 5, 2, 2], "not beyond the limit, nor with other types"


def test_kinds_of_joined_rows_stay_with_them():
    channel = Channel(0, lambda cost: None)
    channel.put(Batch(frame(1)), 1)
    channel.put(Batch(frame(2), pl.Series("kind", [1, 2], dtype=pl.Int8)), 1)
    assert channel.take(100).kinds.to_list() == [0, 1, 2]


def test_a_queue_is_due_when_it_is_nearly_full_or_has_waited():
    gate = Gate(10)
    sender = LocalSender(10**9, gate, 0)
    assert not gate.is_due(0.0, 0.005)
    sender.send(Batch(frame(4)))
    assert not gate.is_due(1.0, 0.005)
    assert gate.is_due(1.006, 0.005)
    sender.send(Batch(frame(4)))
    assert gate.is_due(1.001, 0.005)
    gate.take()
    sender.send(Watermark(1))
    assert not gate.is_due(2.0, 0.005)
    assert gate.is_due(2.006, 0.005)


def test_gate_takes_in_turn():
    gate = Gate(1)
    senders = [LocalSender(10**9, gate, 0) for _ in range(2)]
    for n in range(4):
        senders[0].send(Barrier(n)) if n > 2 else senders[0].send(Batch(frame(1, n)))
    senders[1].send(Batch(frame(1, 10)))
    order = [gate.take() for _ in range(5)]
    assert [channel for ((channel, _),) in order] == [0, 1, 0, 0, 0]


def test_rows_of_several_channels_of_one_input_are_taken_together():
    gate = Gate(10)
    first, second, other_input, third = (LocalSender(10**9, gate, input) for input in (0, 0, 1, 0))
    first.send(Batch(frame(3)))
    first.send(Watermark(1))
    second.send(Batch(frame(4)))
    other_input.send(Batch(frame(1)))
    third.send(Batch(frame(5)))
    heights = [[(channel, getattr(message, "height", message)) for channel, message in gate.take()] for _ in range(4)]
    assert heights == [[(0, 3), (1, 4)], [(2, 1)], [(3, 5)], [(0, Watermark(1))]], "not beyond the limit, nor of another input"

    first.send(Watermark(2))
    second.send(Batch(frame(1)))
    third.send(Barrier(1))
    assert [channel for channel, _ in gate.take()] == [1]
    assert gate.take() == [(3, Barrier(1))]
    assert gate.take() == [(0, Watermark(2))]


def test_broadcast_and_hash_and_other_messages():
    gates = [Gate(10_000), Gate(10_000)]
    senders = [LocalSender(10**9, gate, 0) for gate in gates]
    distribute(Batch(frame(100)), ExchangeKind.BROADCAST, (), senders)
    assert [gate.take()[0][1].height for gate in gates] == [100, 100]
    distribute(Batch(frame(100)), ExchangeKind.HASH, ("k",), senders)
    parts = [gate.take()[0][1].frame for gate in gates]
    assert sum(p.height for p in parts) == 100
    assert not set(parts[0]["k"]) & set(parts[1]["k"])
    distribute(EndOfInput(), ExchangeKind.HASH, ("k",), senders)
    assert [gate.take()[0][1] for gate in gates] == [EndOfInput(), EndOfInput()]


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


def test_a_watermark_does_not_hold_up_rows_behind_it():
    """One turn takes a watermark that stands first, the rows of all senders as one batch, and the watermarks behind those."""
    builder = GraphBuilder()
    inputs = [builder.source(ListSource(())) for _ in range(2)]
    seen: list = []
    note = Apply(
        process=lambda op, i, b: seen.append(b.frame["n"].to_list()), on_watermark=lambda op, time_ms: seen.append(time_ms)
    )
    builder.add(note, *(Edge(source, hash_on("k")) for source in inputs))
    task = Task(builder.graph(), 1, 0, {}, {}, Reactor(), lambda v: None)
    task.open()
    a, b = (source.outputs[0] for source in task._sources)
    for channel in task._heads[0].gate.channels:
        channel.input = 0
    a.send(Watermark(5))
    b.send(Watermark(5))
    a.send(Batch(frame(2)))
    a.send(Watermark(6))
    b.send(Batch(frame(1, 7)))
    b.send(Watermark(6))
    assert task._take_message()
    assert sorted(map(str, seen)) == ["5", "6", "[0, 1, 7]"]
    a.send(Batch(frame(1)))
    b.send(Batch(pl.DataFrame({"k": [0], "n": [None]})))
    assert task._take_message()
    assert len(seen) == 4, "rows that cannot be joined have a turn of their own"
    assert task._take_message()
    assert sorted(map(str, seen[3:])) == ["[0]", "[None]"]
    assert not task._take_message()
