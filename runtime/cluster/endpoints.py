"""The last vertices of a job as operators: writing to a sink, handing rows to the program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tableapi.connectors.base import Guarantee, SinkWriter
from tableapi.runtime.cluster.channels import Sender
from tableapi.runtime.exchange.messages import Message
from tableapi.runtime.planner.graph import SinkSpec
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.operator import Operator, OperatorContext

FLUSH_INTERVAL_MS = 1000
"""Rows of a busy job become visible at least this often."""


class SinkOperator(Operator):
    """Writes to a sink.

    What has been written becomes visible when the worker has nothing else to do, and at least once a second. A bounded job's
    exactly-once sink is different: all of its rows become visible at the end, or none.
    """

    def __init__(self, spec: SinkSpec, is_bounded: bool) -> None:
        self._spec = spec
        self._is_exactly_once = spec.sink.guarantee is Guarantee.EXACTLY_ONCE
        self._shows_early = not (is_bounded and self._is_exactly_once)
        self._writer: SinkWriter | None = None
        self._has_unshown = False
        self._shown_at_ms = 0
        self._commits = 0

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        self._writer = self._spec.sink.writer(context.subtask, context.parallelism)
        self._shown_at_ms = context.clock.now_ms()

    def process(self, input: int, batch: Batch) -> None:
        assert self._writer is not None
        self._writer.write(batch.frame, batch.kinds)
        self._has_unshown = True
        if self.context.clock.now_ms() - self._shown_at_ms >= FLUSH_INTERVAL_MS:
            self._show()

    def on_idle(self) -> None:
        self._show()

    def _show(self) -> None:
        if not (self._has_unshown and self._shows_early):
            return
        assert self._writer is not None
        self._has_unshown = False
        self._shown_at_ms = self.context.clock.now_ms()
        self._writer.flush()
        if self._is_exactly_once:
            self._commits += 1
            committable = self._writer.prepare_commit(self._commits)
            if committable is not None:
                self._writer.commit(committable)

    def finish(self, success: bool) -> None:
        """Ends the writer; called once, after `open` has been called (whether or not that succeeded)."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close(success)


class CollectOperator(Operator):
    """Hands rows to the program: its only output is a `ResultOutput`."""

    def process(self, input: int, batch: Batch) -> None:
        self.context.emit(batch)


@dataclass(frozen=True)
class ResultOutput:
    """The way of rows to the program, which has no use for anything else."""

    target: Sender

    def send(self, message: Message) -> None:
        """Sends rows."""
        if isinstance(message, Batch):
            self.target.send(message)

    def senders(self) -> Iterator[Sender]:
        """The one sender."""
        yield self.target
