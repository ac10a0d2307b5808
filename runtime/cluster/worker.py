"""A worker process: `python -m tableapi.runtime.cluster.worker FD`, where FD is an inherited socket to the coordinator.

Runs one job at a time, in its only working thread. It ends when the coordinator's end of the socket closes, however that
comes about: a thread watches for it, so that a worker that is busy in a long computation ends too.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tableapi.errors import StreamClosedError
from tableapi.runtime import last_words
from tableapi.runtime.cluster.channels import RemoteSender, Sender
from tableapi.runtime.cluster.diagnosis import WorkerNote
from tableapi.runtime.cluster.handle import VertexMetrics
from tableapi.runtime.cluster.prints import PrintStream
from tableapi.runtime.cluster.protocol import (
    Align,
    ChannelMessage,
    Close,
    Closed,
    Credit,
    Define,
    Done,
    Failed,
    Failure,
    Hello,
    Inspect,
    Inspected,
    Peer,
    Ready,
    Report,
    Serve,
    Start,
    Submit,
    pack_failure,
)
from tableapi.runtime.cluster.task import Task
from tableapi.runtime.exchange.link import Delivery, Handed, Link
from tableapi.runtime.exchange.reactor import Reactor
from tableapi.runtime.failures import clean_failures

if TYPE_CHECKING:
    from tableapi.runtime.cluster.function_server import FunctionServer

REPORT_INTERVAL_S = 0.2

GARBAGE_AFTER_S = 0.5
"""A worker that has had no orders for so long collects the garbage of its last job."""


class Worker:
    """The worker's state: its connections, and the job it runs."""

    def __init__(self, control: Link) -> None:
        self._control = control
        self._reactor = Reactor()
        self._peers: dict[int, Link] = {}
        self._inbox: deque[Any] = deque()
        self._task: Task | None = None
        self._server: FunctionServer | None = None
        self._job = -1
        self._subtasks: dict[int, int] = {}
        self._result_senders: dict[int, Sender] = {}
        self._is_running = False
        self._has_garbage = False
        self._reported_s = 0.0
        self._reported: tuple[list[VertexMetrics], WorkerNote] | None = None
        self._reactor.add_link(control, self._control_ready)

    def run(self) -> None:
        """Serves the coordinator until it is gone."""
        self._control.send(Hello(os.getpid()))
        is_warm = False
        while True:
            if self._inbox:
                self._obey(self._inbox.popleft())
            elif self._is_running:
                self._step()
            elif is_warm:
                self._rest()
            else:
                self._reactor.poll(0)
                if not self._inbox:
                    _warm_up()
                    is_warm = True

    def _rest(self) -> None:
        """Waits for orders. Lets go of an ended job's state when none have come for a while: between jobs that follow each other it would
        take as long as a small job does."""
        self._reactor.poll(GARBAGE_AFTER_S if self._has_garbage else None)
        if self._has_garbage and not self._inbox:
            self._has_garbage = False
            gc.collect()

    def _say(self, message: Any) -> None:
        """Tells the coordinator, after everything that has been printed before."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._control.send(message)

    def _step(self) -> None:
        assert self._task is not None
        try:
            with clean_failures():
                self._task.step(REPORT_INTERVAL_S)
        except BaseException as error:  # noqa: BLE001 - whatever the job fails with is the program's to see
            self._fail(error)
            return
        if self._task.is_done:
            self._is_running = False
            self._say(Done(self._job, self._task.metrics(), self._task.late_rows()))
        elif time.monotonic() - self._reported_s >= REPORT_INTERVAL_S:
            self._reported_s = time.monotonic()
            self._report(self._task.metrics(), self._task.note())

    def _report(self, metrics: list[VertexMetrics], note: WorkerNote) -> None:
        if (metrics, note) != self._reported:
            self._reported = [replace(m, counters=dict(m.counters)) for m in metrics], note
            self._say(Report(self._job, metrics, note))

    def _fail(self, error: BaseException) -> None:
        self._is_running = False
        self._say(Failed(self._job, pack_failure(error)))

    def _obey(self, order: Any) -> None:
        match order:
            case Submit():
                self._build(order)
            case Start(job=job) if job == self._job:
                self._open()
            case Close(job=job) if self._server is not None and job == self._job:
                self._end_service()
            case Close(job=job, success=success):
                self._close(job, success)
            case Serve():
                self._serve(order)
            case Define(job=job) | Delivery(job=job) if self._server is not None and job == self._job:
                self._work(order)
            case Align(job=job, groups=groups) if job == self._job and self._task is not None:
                self._task.align(groups)
            case Inspect(job=job) if job == self._job:
                self._inspect()
            case Handed(message=Peer(worker_id=worker_id), fd=fd):
                self._add_peer(worker_id, Link(socket.socket(fileno=fd)))

    def _build(self, order: Submit) -> None:
        self._job, self._task, self._is_running = order.job, None, False
        self._subtasks = {worker_id: subtask for subtask, worker_id in enumerate(order.workers)}
        self._result_senders = {}
        try:
            _move_to(order.directory, order.sys_path)
            graph, splits = pickle.loads(order.graph), pickle.loads(order.splits)
            links = {s: self._peers[w] for w, s in self._subtasks.items() if s != order.subtask}

            def result_sender(vertex_id: int) -> Sender:
                sender = RemoteSender(graph.config.channel_bytes, self._control, order.job, vertex_id)
                self._result_senders[vertex_id] = sender
                return sender

            with clean_failures():
                self._task = Task(graph, order.job, order.subtask, splits, links, self._reactor, result_sender)
        except BaseException as error:  # noqa: BLE001 - whatever the job fails with is the program's to see
            self._fail(error)
        else:
            self._control.send(Ready(order.job))

    def _open(self) -> None:
        assert self._task is not None
        try:
            with clean_failures():
                self._task.open()
            # What lives as long as the job (modules, operators) is not looked through again: that takes 30 ms.
            gc.freeze()
        except BaseException as error:  # noqa: BLE001 - whatever the job fails with is the program's to see
            self._fail(error)
        else:
            self._is_running = True

    def _serve(self, order: Serve) -> None:
        from tableapi.runtime.cluster.function_server import FunctionServer

        self._job, self._task, self._is_running = order.job, None, False
        _move_to(order.directory, order.sys_path)
        self._server = FunctionServer(order, self._control)

    def _work(self, order: Define | Delivery) -> None:
        assert self._server is not None
        try:
            if isinstance(order, Define):
                self._server.define(order)
                return
            result = self._server.answer(order)
        except BaseException as error:  # noqa: BLE001 - whatever a function fails with is the program's to see
            self._say(Failed(self._job, pack_failure(error)))
            return
        sys.stdout.flush()
        sys.stderr.flush()
        self._control.send_batch(self._job, order.channel, result, 0)

    def _end_service(self) -> None:
        assert self._server is not None
        job, server, failure = self._job, self._server, None
        self._job, self._server = -1, None
        metrics = server.metrics()
        try:
            server.close()
        except BaseException as error:  # noqa: BLE001 - whatever a function fails with is the program's to see
            failure = pack_failure(error)
        self._say(Closed(job, failure, metrics))

    def _inspect(self) -> None:
        assert self._task is not None
        try:
            self._say(Inspected(self._job, self._task.state(), self._task.late_rows()))
        except BaseException as error:  # noqa: BLE001 - whatever the job fails with is the program's to see
            self._fail(error)

    def _close(self, job: int, success: bool) -> None:
        failure: Failure | None = None
        if job == self._job:
            task, self._task, self._is_running = self._task, None, False
            self._job, self._result_senders = -1, {}
            gc.unfreeze()
            self._has_garbage = True
            try:
                if task is not None:
                    with clean_failures():
                        task.close(success)
            except BaseException as error:  # noqa: BLE001 - whatever the job fails with is the program's to see
                failure = pack_failure(error)
        if not success:
            for link in (self._control, *self._peers.values()):
                link.drop_batches(job)
        self._say(Closed(job, failure))

    def _add_peer(self, worker_id: int, link: Link) -> None:
        self._peers[worker_id] = link
        self._reactor.add_link(link, lambda: self._peer_ready(worker_id))

    def _control_ready(self) -> None:
        try:
            received = self._control.receive()
        except StreamClosedError:
            os._exit(0)
        for message in received:
            if isinstance(message, Credit):
                if message.job == self._job:
                    self._result_senders[message.channel].credit(message.cost)
            else:
                self._inbox.append(message)

    def _peer_ready(self, worker_id: int) -> None:
        link = self._peers[worker_id]
        try:
            received = link.receive()
        except StreamClosedError:
            # The coordinator sees that the peer has gone, and ends the job if it takes part in it.
            self._reactor.remove_link(link)
            link.close()
            del self._peers[worker_id]
            return
        for message in received:
            # What comes after the end of its job belongs to one that was stopped.
            if message.job != self._job or self._task is None:
                continue
            peer = self._subtasks[worker_id]
            match message:
                case Delivery(channel=channel, batch=batch, cost=cost):
                    self._task.receive(peer, channel, batch, cost)
                case ChannelMessage(channel=channel, message=inner):
                    self._task.receive(peer, channel, inner, 0)
                case Credit(channel=channel, cost=cost):
                    self._task.credit(peer, channel, cost)


def _move_to(directory: str, sys_path: tuple[str, ...]) -> None:
    """Works where the program works, and finds the modules that it finds."""
    with suppress(FileNotFoundError):
        os.chdir(directory)
    sys.path.extend(p for p in sys_path if p not in sys.path)


def _end_with(parent: int) -> None:
    """Asks the system to end this process when its parent ends, where it can be asked."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _watch(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, getattr(select, "POLLRDHUP", 0))
    poll.poll()
    os._exit(0)


def _warm_up() -> None:
    """Loads what nearly every job needs, when there is nothing else to do."""
    import cloudpickle
    import numba

    import tableapi.functions
    import tableapi.runtime.expressions

    del cloudpickle, numba, tableapi


def main() -> None:
    """Runs the worker of the socket whose descriptor is the first argument.

    The second is the process id of the parent, the third the descriptor of the page for last words.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fd, parent, page = (int(a) for a in sys.argv[1:])
    _end_with(parent)
    last_words.attach(page)
    os.set_inheritable(fd, False)
    threading.Thread(target=_watch, args=(fd,), name="watchdog", daemon=True).start()
    link = Link(socket.socket(fileno=fd))
    sys.stdout, sys.stderr = PrintStream(link, is_error=False), PrintStream(link, is_error=True)
    worker = Worker(link)
    worker.run()


if __name__ == "__main__":
    main()
