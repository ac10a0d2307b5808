"""The physical plan of a streaming job: operators, and the edges on which rows move between workers. Plain picklable data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tableapi.connectors.base import Sink, Source
from tableapi.functions.registry import SessionContext
from tableapi.plan.rex import Rex
from tableapi.runtime.stream.operator import OperatorSpec
from tableapi.runtime.udf_scope import FunctionSettings
from tableapi.tablespec import RowSchema

KEY_GROUPS = 128
"""The unit of rescaling: every key belongs to one of these groups, every group to one worker."""


class ExchangeKind(Enum):
    """How the rows of an edge find their worker."""

    FORWARD = "forward"
    """They stay on the worker that made them: a plain call."""
    HASH = "hash"
    """To the worker that owns the key group of `keys`."""
    SINGLE = "single"
    """All to worker 0."""
    BROADCAST = "broadcast"
    """A copy to every worker."""


@dataclass(frozen=True)
class Exchange:
    """Distribution of an edge."""

    kind: ExchangeKind
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"hash[{', '.join(self.keys)}]" if self.kind is ExchangeKind.HASH else self.kind.value


FORWARD = Exchange(ExchangeKind.FORWARD)
SINGLE = Exchange(ExchangeKind.SINGLE)


@dataclass(frozen=True)
class Edge:
    """An input of a vertex: the vertex that it reads from, and how the rows get here."""

    source: int
    exchange: Exchange = FORWARD


@dataclass(frozen=True)
class Alignment:
    """The splits of all sources of a group wait for each other: none reads on that is more than `max_drift_ms` of event time ahead of
    the one furthest behind."""

    group: str
    max_drift_ms: int


@dataclass(frozen=True)
class WatermarkSpec:
    """How the watermarks of a source's splits follow from its rows: `column` (event time) and the expression over a row.

    `emit_interval_ms`: a watermark that has grown by more is shown before a row that is late by it.
    """

    column: str
    expression: Rex
    idle_timeout_ms: int
    alignment: Alignment | None = None
    emit_interval_ms: int = 200


@dataclass(frozen=True)
class SourceSpec:
    """A vertex that reads: a source, and the row-wise steps that the reader applies before the watermark is computed.

    The columns of `schema` are what the source hands over.
    """

    source: Source
    schema: RowSchema
    watermark: WatermarkSpec | None = None
    before_watermark: OperatorSpec | None = None
    """Computed columns of the table (a calc), applied to each batch before `watermark.expression` is evaluated."""


@dataclass(frozen=True)
class SinkSpec:
    """A vertex that writes to a connector's sink. `overwrite` and `static_partition` are for `sink.begin`."""

    sink: Sink
    schema: RowSchema
    overwrite: bool = False
    static_partition: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class CollectSpec:
    """A vertex that hands its rows to the program that asked (worker results stream to the coordinator)."""

    schema: RowSchema


@dataclass(frozen=True)
class Vertex:
    """One step of the job. `schema` is what it emits."""

    id: int
    uid: str
    """Stable across restarts and small changes of the plan; state is found by it."""
    name: str
    """Short text for people: `GroupAggregate[carrier]`."""
    step: OperatorSpec | SourceSpec | SinkSpec | CollectSpec
    schema: RowSchema
    inputs: tuple[Edge, ...] = ()


@dataclass(frozen=True)
class JobConfig:
    """Settings of a running job."""

    parallelism: int = 1
    max_batch_rows: int = 65_536
    linger_ms: int = 2
    """How long a source may wait to make a batch larger when rows trickle."""
    channel_bytes: int = 64 * 1024 * 1024
    """Room of one worker-to-worker channel; a full one makes the sender wait."""
    session: SessionContext = field(default_factory=SessionContext)
    check_edges: bool = False
    """Wrap every edge with the changelog, schema, watermark and partition checkers (tests do)."""
    name: str = "job"
    clock_file: str | None = None
    """A file that shows processing time, for tests (None: the machine's clock)."""
    functions: FunctionSettings = field(default_factory=FunctionSettings)
    """What the session says about Python functions."""
    is_isolated: bool = False
    """Run in worker processes also where one thread of this process would do."""


@dataclass(frozen=True)
class JobGraph:
    """A whole job: vertices in topological order (inputs before users)."""

    vertices: tuple[Vertex, ...]
    config: JobConfig
