"""One operator of a job on one worker: takes messages in, keeps event time, hands on what the operator emits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tableapi.runtime.cluster.channels import Gate, Sender, distribute
from tableapi.runtime.cluster.handle import VertexMetrics
from tableapi.runtime.cluster.watermarks import WatermarkTracker
from tableapi.runtime.exchange.messages import Barrier, EndOfInput, IdleStatus, Message, Watermark
from tableapi.runtime.planner.graph import ExchangeKind, Vertex
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK, Batch, concat
from tableapi.runtime.stream.operator import Operator, OperatorContext

if TYPE_CHECKING:
    from tableapi.runtime.stream.checkers import EdgeChecker


class Stopwatch:
    """Charges the time of a worker to the vertex that uses it; time of vertices called by it counts as theirs."""

    def __init__(self) -> None:
        self._current: VertexMetrics | None = None
        self._since_s = time.perf_counter()

    def switch(self, to: VertexMetrics | None) -> VertexMetrics | None:
        """From now on `to` is charged; returns who was before."""
        now_s = time.perf_counter()
        before = self._current
        if before is not None:
            before.busy_s += now_s - self._since_s
        self._current, self._since_s = to, now_s
        return before


class Output(Protocol):
    """Where a vertex's messages go."""

    def send(self, message: Message) -> None:
        """Takes a message."""
        ...

    def senders(self) -> Iterator[Sender]:
        """All senders that a message may reach before it waits in a queue."""
        ...


@dataclass(frozen=True)
class ChainedOutput:
    """The next vertex of the chain: a plain call."""

    target: VertexRun

    def send(self, message: Message) -> None:
        """Hands a message over."""
        self.target.receive(0, message)

    def senders(self) -> Iterator[Sender]:
        """The senders of the rest of the chain."""
        return self.target.senders()


@dataclass(frozen=True)
class ExchangeOutput:
    """Queues on one or several workers."""

    kind: ExchangeKind
    keys: tuple[str, ...]
    targets: Sequence[Sender]

    def send(self, message: Message) -> None:
        """Sends a message to the workers that it is for."""
        distribute(message, self.kind, self.keys, self.targets)

    def senders(self) -> Iterator[Sender]:
        """One per receiving worker."""
        return iter(self.targets)


class Emitter:
    """What a source and an operator have in common: a vertex that hands messages on."""

    def __init__(self, vertex: Vertex, stopwatch: Stopwatch) -> None:
        self.vertex = vertex
        self.metrics = VertexMetrics(vertex.uid, vertex.name)
        self.outputs: list[Output] = []
        self.stopwatch = stopwatch
        self._reachable: tuple[Sender, ...] | None = None

    def senders(self) -> Iterator[Sender]:
        """All senders that a message of this vertex may reach before it waits in a queue."""
        for output in self.outputs:
            yield from output.senders()

    @property
    def has_credit(self) -> bool:
        """Whether there is room for what this vertex and those chained to it may emit."""
        if self._reachable is None:
            self._reachable = tuple(self.senders())
        return all(sender.has_credit for sender in self._reachable)

    def emit(self, batch: Batch) -> None:
        """Hands rows on."""
        if batch.height == 0:
            return
        self.metrics.rows_out += batch.height
        self.forward(batch)

    def forward(self, message: Message) -> None:
        """Hands a message on."""
        for output in self.outputs:
            output.send(message)


class VertexRun(Emitter):
    """An operator at work.

    Its channels are numbered: those of its gate in order, or just 0 when it is chained to another vertex.
    """

    def __init__(self, vertex: Vertex, operator: Operator, stopwatch: Stopwatch, limit_rows: int) -> None:
        super().__init__(vertex, stopwatch)
        self.operator = operator
        self.gate = Gate(limit_rows)
        self.channel_sources: list[int] = []
        self.checkers: list[EdgeChecker] = []
        self.tracker = WatermarkTracker(1)
        self.has_ended = False
        self._is_idle = False
        self._sent_watermark_ms = MIN_WATERMARK
        self.on_barrier: Callable[[Barrier], None] = lambda barrier: None
        self._barrier: Barrier | None = None

    def open(self, context: OperatorContext) -> None:
        """Opens the operator, when all channels are known."""
        self.tracker = WatermarkTracker(max(1, len(self.gate.channels)))
        self.operator.open(context)

    def receive_all(self, taken: Sequence[tuple[int, Message]]) -> None:
        """Takes what the gate gave: a message, or rows of several channels of one input, which are processed as one batch."""
        rows = [message for _, message in taken if isinstance(message, Batch)]
        if len(rows) < 2:
            for channel, message in taken:
                self.receive(channel, message)
            return
        if self.checkers:
            for channel, message in taken:
                self._check(self.checkers[channel], message)
        self._process(taken[0][0], concat(rows))

    def receive(self, channel: int, message: Message) -> None:
        """Takes the next message of a channel."""
        if self.checkers:
            self._check(self.checkers[channel], message)
        match message:
            case Batch():
                self._process(channel, message)
            case Watermark(time_ms=time_ms, is_firm=is_firm):
                self.tracker.advance(channel, time_ms)
                self._time_has_passed(is_firm)
            case IdleStatus(is_idle=is_idle):
                self.tracker.set_idle(channel, is_idle)
                self._time_has_passed()
            case EndOfInput():
                self.tracker.end(channel)
                self._time_has_passed()
                self._align()
            case Barrier():
                self._barrier = message
                self._align()

    def _process(self, channel: int, batch: Batch) -> None:
        self.metrics.rows_in += batch.height
        self.metrics.batches_in += 1
        input = self.gate.channels[channel].input if self.gate.channels else 0
        self.timed(lambda: self.operator.process(input, batch))

    def _check(self, checker: EdgeChecker, message: Message) -> None:
        if isinstance(message, Batch):
            checker.batch(message)
        elif isinstance(message, Watermark):
            checker.watermark(message.time_ms)

    def timed(self, work: Callable[[], None]) -> None:
        """Does a piece of the operator's work on its account."""
        before = self.stopwatch.switch(self.metrics)
        try:
            work()
        finally:
            self.stopwatch.switch(before)

    def _time_has_passed(self, is_firm: bool = False) -> None:
        watermark_ms = self.tracker.watermark_ms
        if watermark_ms > self.metrics.watermark_ms:
            self.metrics.watermark_ms = watermark_ms
            self.timed(lambda: self._advance_operator(watermark_ms, is_firm))
        elif is_firm and self._sent_watermark_ms > MIN_WATERMARK:
            self.forward(Watermark(self._sent_watermark_ms, is_firm))
        if self.tracker.has_ended:
            self.has_ended = True
            self.forward(EndOfInput())
        elif self.tracker.is_idle != self._is_idle:
            self._is_idle = self.tracker.is_idle
            self.forward(IdleStatus(self._is_idle))

    def _advance_operator(self, watermark_ms: int, is_firm: bool) -> None:
        if watermark_ms == MAX_WATERMARK:
            self.operator.on_idle()
        passed_on_ms = self.operator.on_watermark(watermark_ms)
        if passed_on_ms > self._sent_watermark_ms and not self.tracker.has_ended:
            self._sent_watermark_ms = passed_on_ms
            self.forward(Watermark(passed_on_ms, is_firm))

    def pass_watermark(self, watermark_ms: int) -> None:
        """Passes on a watermark that the operator had held back."""
        if watermark_ms > self._sent_watermark_ms and not self.has_ended:
            self._sent_watermark_ms = watermark_ms
            self.forward(Watermark(watermark_ms))

    def _align(self) -> None:
        barrier, channels = self._barrier, self.gate.channels
        if barrier is None or not all(c.is_blocked or self.tracker.is_closed(i) for i, c in enumerate(channels)):
            return
        self._barrier = None
        self.on_barrier(barrier)
        self.forward(barrier)
        self.gate.release()
