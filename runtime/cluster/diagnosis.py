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
    """A split that has not ended: its watermark, and since when (milliseconds) it has had no rows (None: it has some).

    `is_held`: it may not be read because it is too far ahead of its alignment group.
    """

    id: str
    watermark_ms: int
    dry_since_ms: int | None
    is_idle: bool
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class SourceNote:
    """A source on one worker. `is_blocked`: it may not read because what follows has not caught up."""

    vertex: int
    splits: tuple[SplitNote, ...]
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class WorkerNote:
    """One worker: its sources; for each other vertex the vertices whose watermark it waits for; and for vertices that have asked for a
    time of the clock, the earliest of those times."""

    subtask: int
    sources: tuple[SourceNote, ...]
    waits_for: tuple[tuple[int, tuple[int, ...]], ...]
    timers: tuple[tuple[int, int], ...] = ()


def explain(graph: JobGraph, metrics: Sequence[VertexMetrics], notes: Sequence[WorkerNote], now_ms: int) -> str:
    """Says what a job without (enough) output waits for; one finding a line."""
    by_uid = {m.uid: m for m in metrics}
    timers: dict[int, int] = {}
    for vertex_id, time_ms in (timer for note in notes for timer in note.timers):
        timers[vertex_id] = min(time_ms, timers.get(vertex_id, time_ms))
    lines, silent = [], set()
    for vertex in graph.vertices:
        seen = by_uid[vertex.uid]
        if isinstance(vertex.step, SourceSpec):
            lines += _about_source(vertex, seen, notes)
        elif seen.rows_in and not seen.rows_out and vertex.id in _read_by_others(graph):
            waits = timers.get(vertex.id)
            if waits is None:
                silent.add(vertex.id)
            lines.append(_about_silent(vertex, seen, waits, now_ms))
    lines += _held_back(graph, notes, silent, now_ms)
    return "\n".join(lines) or "nothing holds the job back: rows flow and event time passes"


def _about_silent(vertex: Vertex, seen: VertexMetrics, timer_ms: int | None, now_ms: int) -> str:
    taken = f"{vertex.name} has taken {seen.rows_in:,} rows and emitted none; "
    if timer_ms is None:
        return taken + f"its event time is {_time(seen.watermark_ms)}"
    return taken + f"it waits for the clock to show {_time(timer_ms)}, {max(0, timer_ms - now_ms) / 1000:.1f} s from now"


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
    assert isinstance(vertex.step, SourceSpec)
    alignment = None if vertex.step.watermark is None else vertex.step.watermark.alignment
    held = [(n.subtask, s) for n in notes for src in n.sources if src.vertex == vertex.id for s in src.splits if s.is_held]
    if held and alignment is not None:
        splits = ", ".join(f"{s.id} (worker {w}, at {_time(s.watermark_ms)})" for w, s in held)
        lines.append(
            f"{name} does not read split {splits}: more than {alignment.max_drift_ms / 1000:g} s ahead of the slowest split of alignment "
            f"group '{alignment.group}'"
        )
    return lines


def _held_back(graph: JobGraph, notes: Sequence[WorkerNote], silent: set[int], now_ms: int) -> list[str]:
    """What holds event time back, and for which steps. `silent`: those that have taken rows and given none, and wait for no timer."""
    waited_for = {source for note in notes for _, sources in note.waits_for for source in sources}
    reached = _reached(notes)
    lines = []
    for vertex in graph.vertices:
        if not isinstance(vertex.step, SourceSpec):
            continue
        followers = _followers(graph, vertex.id)
        spec = vertex.step.watermark
        if spec is None:
            if silent & followers and waited_for & followers:
                whose = _named([v for v in graph.vertices if v.id in silent & followers])
                lines.append(
                    f"{vertex.name} has no WATERMARK, so event time{whose} stands still until it ends; declare one on its table"
                )
            continue
        splits = [(n.subtask, s) for n in notes for src in n.sources if src.vertex == vertex.id for s in src.splits]
        if splits and all(s.is_idle for _, s in splits):
            whose = _named([v for v in graph.vertices if v.id in silent & followers])
            lines.append(_all_idle(vertex.name, whose, splits, now_ms))
            continue
        held = {v for v in silent & followers if _is_slowest(graph, vertex.id, v, reached)}
        if waited_for & followers and (held or not silent & followers):
            whose = _named([v for v in graph.vertices if v.id in held])
            lines += _slowest_splits(vertex.name, whose, splits, spec.idle_timeout_ms, now_ms)
    return lines


def _reached(notes: Sequence[WorkerNote]) -> dict[int, int]:
    """How far the slowest split of each source has come; idle ones do not count."""
    reached: dict[int, int] = {}
    for source in (source for note in notes for source in note.sources):
        for split in source.splits:
            if not split.is_idle:
                reached[source.vertex] = min(split.watermark_ms, reached.get(source.vertex, MAX_WATERMARK))
    return reached


def _is_slowest(graph: JobGraph, source: int, vertex: int, reached: dict[int, int]) -> bool:
    """Whether no other source that a vertex reads from, directly or not, is further behind."""
    others = [at for other, at in reached.items() if vertex in _followers(graph, other)]
    return source in reached and reached[source] <= min(others, default=MAX_WATERMARK)


def _named(vertices: Sequence[Vertex]) -> str:
    names = list(dict.fromkeys(v.name for v in vertices))
    return f" of {' and '.join(names)}" if names else ""


def _all_idle(name: str, whose: str, splits: list[tuple[int, SplitNote]], now_ms: int) -> str:
    reached = max(s.watermark_ms for _, s in splits)
    since = [s.dry_since_ms for _, s in splits if s.dry_since_ms is not None]
    dry_s = max(0, now_ms - max(since, default=now_ms)) / 1000
    which = "split" if len(splits) == 1 else f"all {len(splits)} splits"
    return (
        f"{name} is idle ({which} without rows for {dry_s:.1f} s): it does not hold event time{whose} back, and does not move it on from "
        f"{_time(reached)} either; a row or its end would"
    )


def _slowest_splits(name: str, whose: str, splits: list[tuple[int, SplitNote]], timeout_ms: int, now_ms: int) -> list[str]:
    active = [(w, s) for w, s in splits if not s.is_idle]
    lowest = min((s.watermark_ms for _, s in active), default=MAX_WATERMARK)
    ahead = max((s.watermark_ms for _, s in active), default=lowest)
    lines = []
    for worker, split in active:
        if split.watermark_ms != lowest:
            continue
        holds = f"split {split.id} of {name} (worker {worker}) holds event time{whose} at {_time(lowest)}: "
        if split.dry_since_ms is not None:
            dry_s = max(0, now_ms - split.dry_since_ms) / 1000
            lines.append(
                holds
                + f"it has had no rows for {dry_s:.1f} s; a later row or its end would release it; {_idle_rule(timeout_ms)}"
            )
        elif ahead > lowest and lowest > MIN_WATERMARK:
            lines.append(
                holds + f"it is being read and is behind, others have come to {_time(ahead)}; its further rows release it"
            )
    return lines


def _idle_rule(timeout_ms: int) -> str:
    if timeout_ms > 0:
        return f"it counts as idle after {timeout_ms / 1000:g} s without rows"
    return "it never counts as idle (table.exec.source.idle-timeout is 0)"


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
