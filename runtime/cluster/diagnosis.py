"""Why a running job shows nothing: what holds event time back, in words.

Workers describe where their sources and operators stand (`WorkerNote`); `explain` puts the notes of all workers together.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from tableapi.runtime.cluster.handle import VertexMetrics
from tableapi.runtime.planner.graph import JobGraph, SourceSpec, Vertex
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK


@dataclass(frozen=True, slots=True)
class SplitNote:
    """A split that has not ended: its watermark, and since when (milliseconds) it has had no rows (None: it has some)."""

    id: str
    watermark_ms: int
    dry_since_ms: int | None
    is_idle: bool


@dataclass(frozen=True, slots=True)
class SourceNote:
    """A source on one worker. `is_blocked`: it may not read because what follows has not caught up."""

    vertex: int
    splits: tuple[SplitNote, ...]
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class WorkerNote:
    """One worker: its sources, and for each other vertex the vertices whose watermark it waits for."""

    subtask: int
    sources: tuple[SourceNote, ...]
    waits_for: tuple[tuple[int, tuple[int, ...]], ...]


def explain(graph: JobGraph, metrics: Sequence[VertexMetrics], notes: Sequence[WorkerNote], now_ms: int) -> str:
    """Says what a job without (enough) output waits for; one finding a line."""
    by_uid = {m.uid: m for m in metrics}
    lines = []
    for vertex in graph.vertices:
        seen = by_uid[vertex.uid]
        if isinstance(vertex.step, SourceSpec):
            lines += _about_source(vertex, seen, notes)
        elif seen.rows_in and not seen.rows_out and vertex.id in _read_by_others(graph):
            lines.append(
                f"{vertex.name} has taken {seen.rows_in:,} rows and emitted none; its event time is {_time(seen.watermark_ms)}"
            )
    lines += _held_back(graph, notes, now_ms)
    return "\n".join(lines) or "nothing holds the job back: rows flow and event time passes"


def _read_by_others(graph: JobGraph) -> set[int]:
    return {edge.source for vertex in graph.vertices for edge in vertex.inputs}


def _about_source(vertex: Vertex, seen: VertexMetrics, notes: Sequence[WorkerNote]) -> list[str]:
    name, lines = vertex.name, []
    blocked = [n.subtask for n in notes for s in n.sources if s.vertex == vertex.id and s.is_blocked]
    if blocked:
        workers = ", ".join(map(str, blocked))
        lines.append(
            f"{name} may not read on worker {workers}: what follows has not caught up, or the program has not taken its results"
        )
    elif not seen.rows_out:
        lines.append(f"{name} has not read any row yet")
    return lines


def _held_back(graph: JobGraph, notes: Sequence[WorkerNote], now_ms: int) -> list[str]:
    waited_for = {source for note in notes for _, sources in note.waits_for for source in sources}
    lines = []
    for vertex in graph.vertices:
        if not isinstance(vertex.step, SourceSpec) or not waited_for & _followers(graph, vertex.id):
            continue
        spec = vertex.step.watermark
        if spec is None:
            lines.append(
                f"{vertex.name} has no WATERMARK, so event time after it stands still until it ends; declare one on its table"
            )
            continue
        splits = [(n.subtask, s) for n in notes for src in n.sources if src.vertex == vertex.id for s in src.splits]
        lines += _slowest_splits(vertex.name, splits, spec.idle_timeout_ms, now_ms)
    return lines


def _slowest_splits(name: str, splits: list[tuple[int, SplitNote]], timeout_ms: int, now_ms: int) -> list[str]:
    active = [(w, s) for w, s in splits if not s.is_idle]
    lowest = min((s.watermark_ms for _, s in active), default=MAX_WATERMARK)
    lines = []
    for worker, split in active:
        if split.watermark_ms != lowest or split.dry_since_ms is None:
            continue
        dry_s = max(0, now_ms - split.dry_since_ms) / 1000
        if timeout_ms > 0:
            release = f"it counts as idle after {timeout_ms / 1000:g} s without rows"
        else:
            release = "it never counts as idle (table.exec.source.idle-timeout is 0)"
        lines.append(
            f"split {split.id} of {name} (worker {worker}) holds event time at {_time(lowest)}: it has had no rows for "
            f"{dry_s:.1f} s; a later row or its end would release it; {release}"
        )
    return lines


def _followers(graph: JobGraph, source: int) -> set[int]:
    """The vertex and everything that reads from it, directly or not."""
    reached = {source}
    for vertex in graph.vertices:
        if any(edge.source in reached for edge in vertex.inputs):
            reached.add(vertex.id)
    return reached


def _time(watermark_ms: int) -> str:
    if watermark_ms == MIN_WATERMARK:
        return "its beginning (no watermark has come)"
    if watermark_ms == MAX_WATERMARK:
        return "its end"
    epoch = datetime.datetime(1970, 1, 1)
    try:
        return (epoch + datetime.timedelta(milliseconds=watermark_ms)).isoformat(" ", "milliseconds")
    except OverflowError:
        return f"{watermark_ms} ms"
