"""Puts the checkers of `runtime.stream.checkers` on the edges of a job that asks for them (`JobConfig.check_edges`)."""

from __future__ import annotations

from tableapi.row import RowKind
from tableapi.runtime.cluster.layout import EdgePlan
from tableapi.runtime.planner.graph import ExchangeKind, JobGraph, SourceSpec, Vertex
from tableapi.runtime.stream.changelog import DropUpdateBeforeSpec, UpsertMaterializeSpec
from tableapi.runtime.stream.checkers import EdgeChecker


class EdgeChecks:
    """Makes the checker of each channel of a job.

    Rows are followed only on edges that are sure to carry a full changelog: after a step that emits upserts, deletes may
        hold the key only and an update does not take the old row back.
    """

    def __init__(self, graph: JobGraph) -> None:
        self._vertices = {v.id: v for v in graph.vertices}
        self._upserts: set[int] = set()
        for vertex in graph.vertices:
            if self._emits_upserts(vertex):
                self._upserts.add(vertex.id)

    def checker(self, edge: EdgePlan, receiver: int) -> EdgeChecker:
        """The checker of one channel of an edge."""
        source, target = self._vertices[edge.source], self._vertices[edge.target]
        is_hashed = edge.kind is ExchangeKind.HASH
        return EdgeChecker(
            f"{source.name} -> {target.name}",
            source.schema,
            keys=edge.keys if is_hashed else None,
            subtask=edge.receivers.index(receiver),
            parallelism=len(edge.receivers),
            follows_rows=edge.source not in self._upserts,
        )

    def _emits_upserts(self, vertex: Vertex) -> bool:
        step = vertex.step
        if isinstance(step, SourceSpec):
            kinds = step.source.changelog
            return RowKind.UPDATE_BEFORE not in kinds and kinds != {RowKind.INSERT}
        if isinstance(step, DropUpdateBeforeSpec | UpsertMaterializeSpec):
            return True
        decides = getattr(step, "generate_update_before", None)
        if decides is not None:
            return not decides
        return any(edge.source in self._upserts for edge in vertex.inputs)
