"""What happens once per job, whoever runs it: enumerating splits, beginning and ending sinks, adding up metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

import polars as pl

from tableapi.connectors.base import Sink, Split
from tableapi.runtime.cluster.clock import clock_for
from tableapi.runtime.cluster.diagnosis import WorkerNote, explain
from tableapi.runtime.cluster.handle import JobRecord, StateTables, VertexMetrics, added
from tableapi.runtime.planner.graph import CollectSpec, JobGraph, SinkSpec, SourceSpec


def assign_splits(graph: JobGraph, parallelism: int) -> list[dict[int, list[Split]]]:
    """The splits of every source, dealt out to the workers. Sources of few splits start at different workers."""
    assigned: list[dict[int, list[Split]]] = [{} for _ in range(parallelism)]
    dealt = 0
    for vertex in graph.vertices:
        if isinstance(vertex.step, SourceSpec):
            for split in vertex.step.source.splits():
                assigned[dealt % parallelism].setdefault(vertex.id, []).append(split)
                dealt += 1
    return assigned


class SinkSession:
    """`begin` and `end` of all sinks of a job."""

    def __init__(self, graph: JobGraph) -> None:
        self._specs = [v.step for v in graph.vertices if isinstance(v.step, SinkSpec)]
        self._begun: list[Sink] = []

    def begin(self) -> None:
        """Before any writer opens."""
        for spec in self._specs:
            spec.sink.begin(spec.overwrite, dict(spec.static_partition))
            self._begun.append(spec.sink)

    def end(self, success: bool) -> None:
        """After all writers have closed. Every sink that has begun is ended, also when another one fails to.

        Raises:
            Exception: The first failure.
        """
        begun, self._begun = self._begun, []
        with ExitStack() as stack:
            for sink in begun:
                stack.callback(sink.end, success)


def measure(
    graph: JobGraph, record: JobRecord, parts: Callable[[], list[list[VertexMetrics]]], notes: Callable[[], list[WorkerNote]]
) -> None:
    """Lets the job's record read its metrics from `parts` and its state from `notes`, which give one entry per worker."""
    sources = frozenset(v.uid for v in graph.vertices if isinstance(v.step, SourceSpec))
    outputs = frozenset(v.uid for v in graph.vertices if isinstance(v.step, SinkSpec | CollectSpec))
    names = {v.uid: v.name for v in graph.vertices}
    clock = clock_for(graph.config.clock_file)
    record.measure(lambda: merged(parts(), names), sources, outputs)
    record.explain = lambda: explain(graph, merged(parts(), names), notes(), clock.now_ms())


def merged(parts: Iterable[Sequence[VertexMetrics]], names: Mapping[str, str]) -> list[VertexMetrics]:
    """The metrics of a job's vertices over all workers, in the order of `names`, which is by uid."""
    by_uid: dict[str, VertexMetrics] = {}
    for part in parts:
        for one in part:
            known = by_uid.get(one.uid)
            by_uid[one.uid] = replace(one, counters=dict(one.counters)) if known is None else _sum(known, one)
    return [by_uid.get(uid) or VertexMetrics(uid, name) for uid, name in names.items()]


def merged_state(parts: Iterable[StateTables]) -> StateTables:
    """The state of all workers together."""
    frames: dict[str, dict[str, list[pl.DataFrame]]] = {}
    for part in parts:
        for uid, tables in part.items():
            for name, frame in tables.items():
                frames.setdefault(uid, {}).setdefault(name, []).append(frame)
    return {uid: {name: pl.concat(found) for name, found in tables.items()} for uid, tables in frames.items()}


def _sum(a: VertexMetrics, b: VertexMetrics) -> VertexMetrics:
    return VertexMetrics(
        a.uid,
        a.name,
        a.rows_in + b.rows_in,
        a.rows_out + b.rows_out,
        min(a.watermark_ms, b.watermark_ms),
        a.busy_s + b.busy_s,
        a.batches_in + b.batches_in,
        added((a.counters, b.counters)),
    )
