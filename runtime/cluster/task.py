"""One worker's part of a job: builds the operators of a graph and runs them in a single thread.

Each step does one small thing: fire due timers, take a message from a queue (the furthest downstream first), or read a
source. A queue with little in it waits while a source still has rows, for up to the linger time, so that batches stay large.
What may send to other workers only runs while its channels have credit, so memory is bounded, and since queues at the end of
the graph can always be worked off, no two workers wait for each other.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from tableapi.connectors.base import Split
from tableapi.runtime.cluster.channels import Channel, LocalSender, RemoteSender, Sender, remote_channel
from tableapi.runtime.cluster.clock import clock_for
from tableapi.runtime.cluster.diagnosis import WorkerNote
from tableapi.runtime.cluster.endpoints import CollectOperator, ResultOutput, SinkOperator
from tableapi.runtime.cluster.event_time import event_times
from tableapi.runtime.cluster.handle import FUNCTION, StateTables, VertexMetrics
from tableapi.runtime.cluster.layout import EdgePlan, Layout, lay_out
from tableapi.runtime.cluster.sources import POLL_S, SourceRun
from tableapi.runtime.cluster.vertex import ChainedOutput, Emitter, ExchangeOutput, Stopwatch, VertexRun
from tableapi.runtime.exchange.link import Link
from tableapi.runtime.exchange.messages import Message
from tableapi.runtime.exchange.reactor import Reactor
from tableapi.runtime.planner.graph import CollectSpec, ExchangeKind, JobGraph, SinkSpec, SourceSpec, Vertex
from tableapi.runtime.stream.accounting import live_keys, state_bytes
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.operator import Clock, Operator, OperatorContext
from tableapi.runtime.udf_scope import FunctionScope

Assignment = Mapping[int, Sequence[Split]]
"""The splits that a worker reads, by vertex id."""


MEASURE_INTERVAL_S = 0.5
"""How often the size of state is looked at."""


class Task:
    """The vertices of a job that one worker runs.

    Args:
        graph: The whole job.
        job: Its number in the session.
        subtask: Which worker this is.
        splits: What this worker reads.
        links: The connections to the other workers, by subtask.
        reactor: Where the worker waits; also watches the readers.
        make_result_sender: Gives the sender that takes results to the program, from a vertex id.
        clock: Processing time; None: the one that the job's configuration asks for.
    """

    def __init__(
        self,
        graph: JobGraph,
        job: int,
        subtask: int,
        splits: Assignment,
        links: Mapping[int, Link],
        reactor: Reactor,
        make_result_sender: Callable[[int], Sender],
        clock: Clock | None = None,
    ) -> None:
        self.graph, self.job, self.subtask = graph, job, subtask
        self.reactor = reactor
        self.clock = clock or clock_for(graph.config.clock_file)
        self._splits, self._links, self._make_result_sender = splits, links, make_result_sender
        self._stopwatch = Stopwatch()
        self._runs: dict[int, VertexRun] = {}
        self._sources: list[SourceRun] = []
        self._sinks: list[SinkOperator] = []
        self._heads: list[VertexRun] = []
        self._incoming: dict[tuple[int, int], Channel] = {}
        self._outgoing: dict[tuple[int, int], Sender] = {}
        self._timers: list[tuple[int, int]] = []
        self._timer_set: set[tuple[int, int]] = set()
        self._functions: list[tuple[Emitter, FunctionScope]] = []
        self._next_source = 0
        self._has_told_idle = False
        self._measured_s = time.monotonic()
        self._build(lay_out(graph, graph.config.parallelism))

    def _build(self, layout: Layout) -> None:
        emitters: dict[int, Emitter] = {}
        for vertex in self.graph.vertices:
            if self.subtask in layout.workers[vertex.id]:
                emitters[vertex.id] = self._make(vertex)
        for edge in layout.edges:
            self._connect(edge, emitters)
        if self.graph.config.check_edges:
            self._check_edges(layout)
        self._heads = [r for r in reversed(self._runs.values()) if r.gate.channels]

    def _check_edges(self, layout: Layout) -> None:
        from tableapi.runtime.cluster.edge_checks import EdgeChecks

        checks = EdgeChecks(self.graph)
        for edge in layout.edges:
            target = self._runs.get(edge.target)
            if target is not None:
                channels = (self.subtask,) if edge.kind is ExchangeKind.FORWARD else edge.senders
                target.checkers += [checks.checker(edge, self.subtask) for _ in channels]

    def _make(self, vertex: Vertex) -> Emitter:
        config = self.graph.config
        if isinstance(vertex.step, SourceSpec):
            spec = vertex.step.watermark
            times_of = None if spec is None else event_times(spec, config.session)
            splits = self._splits.get(vertex.id, ())
            source = SourceRun(vertex, splits, config, self.clock, self._stopwatch, times_of, self.reactor)
            self._sources.append(source)
            return source
        run = self._runs[vertex.id] = VertexRun(vertex, self._operator(vertex), self._stopwatch, config.max_batch_rows)
        if isinstance(vertex.step, CollectSpec):
            run.outputs.append(ResultOutput(self._make_result_sender(vertex.id)))
        return run

    def _operator(self, vertex: Vertex) -> Operator:
        match vertex.step:
            case SinkSpec():
                sink = SinkOperator(vertex.step, self._is_bounded())
                self._sinks.append(sink)
                return sink
            case CollectSpec():
                return CollectOperator()
            case SourceSpec():
                raise AssertionError("a source is not an operator")
            case spec:
                return spec.create()

    def _is_bounded(self) -> bool:
        return all(v.step.source.is_bounded for v in self.graph.vertices if isinstance(v.step, SourceSpec))

    def _connect(self, edge: EdgePlan, emitters: Mapping[int, Emitter]) -> None:
        source, target = emitters.get(edge.source), self._runs.get(edge.target)
        if edge.is_chained:
            if source is not None and target is not None:
                source.outputs.append(ChainedOutput(target))
                target.channel_sources.append(edge.source)
            return
        local = None
        is_within = edge.kind is ExchangeKind.FORWARD
        if target is not None:
            for sender in (self.subtask,) if is_within else edge.senders:
                target.channel_sources.append(edge.source)
                if sender == self.subtask:
                    local = LocalSender(self.graph.config.channel_bytes, target.gate, edge.input)
                else:
                    channel = remote_channel(edge.input, self._links[sender], self.job, edge.number)
                    target.gate.add(channel)
                    self._incoming[edge.number, sender] = channel
        if source is not None:
            receivers = (self.subtask,) if is_within else edge.receivers
            targets = [local if r == self.subtask else self._remote(edge, r) for r in receivers]
            source.outputs.append(ExchangeOutput(edge.kind, edge.keys, [t for t in targets if t is not None]))

    def _remote(self, edge: EdgePlan, receiver: int) -> Sender:
        sender = RemoteSender(self.graph.config.channel_bytes, self._links[receiver], self.job, edge.number)
        self._outgoing[edge.number, receiver] = sender
        return sender

    def open(self) -> None:
        """Opens all operators, the last ones first, then the readers."""
        for vertex_id in reversed(self._runs):
            run = self._runs[vertex_id]
            run.open(self._context(run))
        for source in self._sources:
            source.open(self._context(source))

    def _context(self, emitter: Emitter) -> OperatorContext:
        config = self.graph.config
        vertex_id = emitter.vertex.id
        scope = FunctionScope(config.functions, self.subtask, config.parallelism)
        self._functions.append((emitter, scope))
        context = OperatorContext(
            emit=emitter.emit,
            session=config.session,
            clock=self.clock,
            subtask=self.subtask,
            parallelism=config.parallelism,
            set_timer=lambda time_ms: self._set_timer(time_ms, vertex_id),
            max_batch_rows=config.max_batch_rows,
            functions=scope,
        )
        if isinstance(emitter, VertexRun):
            context.pass_watermark = emitter.pass_watermark
        emitter.metrics.counters = context.metrics
        return context

    @property
    def is_done(self) -> bool:
        """Whether all inputs have ended and everything has been worked off."""
        return all(s.has_ended for s in self._sources) and all(r.has_ended for r in self._runs.values())

    def receive(self, sender: int, channel: int, message: Message, cost: int) -> None:
        """Takes a message that another worker sent."""
        self._incoming[channel, sender].put(message, cost)

    def credit(self, receiver: int, channel: int, cost: int) -> None:
        """Another worker has worked off rows that this one sent."""
        self._outgoing[channel, receiver].credit(cost)

    def step(self, wait_s: float | None = None) -> None:
        """Does one thing, or waits until there is one to do (for at most `wait_s` seconds)."""
        if self._fire_timer() or self._take_message(due_only=True) or self._read_source() or self._take_message():
            self._has_told_idle = False
            self.reactor.poll(0)
        elif not self._has_told_idle:
            self._has_told_idle = True
            for run in self._runs.values():
                if run.has_credit and not run.has_ended:
                    run.timed(run.operator.on_idle)
            self.reactor.poll(0)
        else:
            own_wait_s = self._wait_s()
            self.reactor.poll(min((w for w in (own_wait_s, wait_s) if w is not None), default=None))
        now_s = time.monotonic()
        if now_s - self._measured_s >= MEASURE_INTERVAL_S or self.is_done:
            self._measured_s = now_s
            self._measure_state()

    def _measure_state(self) -> None:
        """Puts the size of each operator's state, and its keys, among its counters."""
        for run in self._runs.values():
            if not isinstance(run.vertex.step, SinkSpec | CollectSpec):
                run.metrics.counters["state_bytes"] = state_bytes(run.operator)
                keys = live_keys(run.operator)
                if keys is not None:
                    run.metrics.counters["keys"] = keys

    def _fire_timer(self) -> bool:
        if not self._timers or self._timers[0][0] > self.clock.now_ms():
            return False
        time_ms, vertex_id = heapq.heappop(self._timers)
        self._timer_set.discard((time_ms, vertex_id))
        run = self._runs[vertex_id]
        if not run.has_ended:
            run.timed(lambda: run.operator.on_timer(time_ms))
        return True

    def _set_timer(self, time_ms: int, vertex_id: int) -> None:
        timer = (time_ms, vertex_id)
        if timer not in self._timer_set:
            self._timer_set.add(timer)
            heapq.heappush(self._timers, timer)

    def _take_message(self, due_only: bool = False) -> bool:
        now_s, linger_s = time.monotonic(), self.graph.config.linger_ms / 1000
        for run in self._heads:
            is_next = run.gate.is_due(now_s, linger_s) if due_only else run.gate.is_ready
            if is_next and run.has_credit:
                self._take_from(run)
                return True
        return False

    def _take_from(self, run: VertexRun) -> None:
        """Takes rows once, and what stands before and after them: a watermark that waited for its turn would hold up rows behind it."""
        has_rows = False
        while run.gate.is_ready and run.has_credit and not (has_rows and run.gate.has_rows_next):
            taken = run.gate.take()
            has_rows = has_rows or isinstance(taken[0][1], Batch)
            run.receive_all(taken)

    def _read_source(self) -> bool:
        count = len(self._sources)
        for step in range(count):
            number = (self._next_source + step) % count
            source = self._sources[number]
            if not source.has_ended and source.has_credit and source.step():
                self._next_source = (number + 1) % count
                return True
        return False

    def _wait_s(self) -> float | None:
        times = [s.next_step_s() for s in self._sources if s.has_credit]
        waits = [t - time.monotonic() for t in times if t is not None]
        if self._timers:
            # The clock may be a manual one, so a timer is looked at again before the machine's clock says that it is due.
            waits.append(min(POLL_S, max(0.0, (self._timers[0][0] - self.clock.now_ms()) / 1000)))
        return max(0.0, min(waits)) if waits else None

    def metrics(self) -> list[VertexMetrics]:
        """What each vertex has done so far on this worker."""
        for emitter, scope in self._functions:
            emitter.metrics.counters.update({f"{FUNCTION}{name}": value for name, value in scope.metrics().items()})
        return [e.metrics for e in (*self._sources, *self._runs.values())]

    def state(self) -> StateTables:
        """The live state of the operators that have some, by uid."""
        tables = {run.vertex.uid: run.operator.state() for run in self._runs.values()}
        return {uid: named for uid, named in tables.items() if named}

    def align(self, groups: Mapping[str, int]) -> None:
        """Tells the sources how far the slowest split of each alignment group has come."""
        for source in self._sources:
            if source.alignment is not None:
                source.align(groups.get(source.alignment.group))

    def late_rows(self) -> StateTables:
        """The newest rows that came too late, of the operators that had some, by uid and input."""
        tables = {run.vertex.uid: run.operator.context.late.tables() for run in self._runs.values()}
        return {uid: named for uid, named in tables.items() if named}

    def note(self) -> WorkerNote:
        """Where everything stands on this worker."""
        waits = []
        for vertex_id, run in self._runs.items():
            held = {run.channel_sources[c] for c in run.tracker.held_back_by()}
            if held:
                waits.append((vertex_id, tuple(sorted(held))))
        timers: dict[int, int] = {}
        for time_ms, vertex_id in self._timers:
            timers[vertex_id] = min(time_ms, timers.get(vertex_id, time_ms))
        return WorkerNote(self.subtask, tuple(s.note() for s in self._sources), tuple(waits), tuple(sorted(timers.items())))

    def close(self, success: bool) -> None:
        """Ends the job here: readers, operators, writers. Every one is closed, also when another one fails to.

        Raises:
            Exception: The first failure.
        """
        with ExitStack() as stack:
            for sink in self._sinks:
                stack.callback(sink.finish, success)
            for _, scope in self._functions:
                stack.callback(scope.close)
            for run in self._runs.values():
                stack.callback(run.operator.close)
            for source in self._sources:
                stack.callback(source.close)
