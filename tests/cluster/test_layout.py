"""Where vertices run and which edges are queues."""

from __future__ import annotations

from jobs import Apply, GraphBuilder, ListSource, hash_on

from tableapi.runtime.cluster.layout import lay_out
from tableapi.runtime.planner.graph import SINGLE, Edge, ExchangeKind


def test_forward_is_chained_unless_inputs_meet():
    builder = GraphBuilder()
    a, b = builder.source(ListSource(())), builder.source(ListSource(()))
    calc = builder.add(Apply(), Edge(a))
    builder.add(Apply(), Edge(calc), Edge(b))
    layout = lay_out(builder.graph(), 2)
    assert [(e.source, e.target, e.is_chained) for e in layout.edges] == [(a, calc, True), (calc, 3, False), (b, 3, False)]


def test_what_follows_a_single_exchange_runs_on_one_worker_until_the_next_hash():
    builder = GraphBuilder()
    source = builder.source(ListSource(()))
    single = builder.add(Apply(), Edge(source, SINGLE))
    after = builder.add(Apply(), Edge(single))
    spread = builder.add(Apply(), Edge(after, hash_on("k")))
    layout = lay_out(builder.graph(), 3)
    assert layout.workers == {source: (0, 1, 2), single: (0,), after: (0,), spread: (0, 1, 2)}
    assert layout.edges[0].senders == (0, 1, 2)
    assert (layout.edges[2].senders, layout.edges[2].receivers) == ((0,), (0, 1, 2))


def test_forward_from_all_workers_into_one_becomes_single():
    builder = GraphBuilder()
    a, b = builder.source(ListSource(())), builder.source(ListSource(()))
    single = builder.add(Apply(), Edge(a, SINGLE))
    union = builder.add(Apply(), Edge(single), Edge(b))
    layout = lay_out(builder.graph(), 2)
    assert layout.workers[union] == (0,)
    assert [e.kind for e in layout.edges[1:]] == [ExchangeKind.FORWARD, ExchangeKind.SINGLE]
