"""Which worker runs which vertices, and which edges are plain calls and which are channels. Pure functions of the graph.

A vertex with one FORWARD input is chained to it: rows pass by a call. Every other input goes through a queue per sending
    worker, also when it stays on its worker, so that a vertex with several inputs can hold one back (barrier alignment)
    without stopping the other. Everything that can only be done in one place (after a SINGLE exchange) runs on worker 0
    alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.runtime.planner.graph import ExchangeKind, JobGraph, Vertex


@dataclass(frozen=True)
class EdgePlan:
    """One input of one vertex.

    Args:
        number: Unique in the job; names the edge's channels between processes.
        source, target: Vertex ids.
        input: Which input of the target.
        kind, keys: The distribution.
        is_chained: A plain call.
        senders, receivers: The workers that run the source and the target.
    """

    number: int
    source: int
    target: int
    input: int
    kind: ExchangeKind
    keys: tuple[str, ...]
    is_chained: bool
    senders: tuple[int, ...]
    receivers: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Where everything runs: for each vertex id the workers that run it, and the edges."""

    workers: dict[int, tuple[int, ...]]
    edges: tuple[EdgePlan, ...]


def lay_out(graph: JobGraph, parallelism: int) -> Layout:
    """Places the vertices of a graph on `parallelism` workers."""
    workers: dict[int, tuple[int, ...]] = {}
    edges: list[EdgePlan] = []
    for vertex in graph.vertices:
        assert vertex.id not in workers, f"vertex {vertex.id} appears twice"
        assert all(edge.source in workers for edge in vertex.inputs), f"vertex {vertex.id} stands before its input"
        workers[vertex.id] = _workers_of(vertex, workers, parallelism)
        for number, edge in enumerate(vertex.inputs):
            senders, receivers = workers[edge.source], workers[vertex.id]
            kind = edge.exchange.kind
            if kind is ExchangeKind.FORWARD and senders != receivers:
                kind = ExchangeKind.SINGLE
            is_chained = kind is ExchangeKind.FORWARD and len(vertex.inputs) == 1
            plan = EdgePlan(
                len(edges), edge.source, vertex.id, number, kind, edge.exchange.keys, is_chained, senders, receivers
            )
            edges.append(plan)
    return Layout(workers, tuple(edges))


def _workers_of(vertex: Vertex, workers: dict[int, tuple[int, ...]], parallelism: int) -> tuple[int, ...]:
    for edge in vertex.inputs:
        kind = edge.exchange.kind
        if kind is ExchangeKind.SINGLE or (kind is ExchangeKind.FORWARD and workers[edge.source] == (0,)):
            return (0,)
    return tuple(range(parallelism))
