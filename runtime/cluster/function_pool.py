"""Runs Python functions of a batch job in worker processes: the program's side of `function_server.py`.

Frames are cut into parts; each part goes to a worker that is free, and the caller waits while none is: that is the back-pressure.
Results are put together in order. Polars' threads call `run` at the same time; a worker works for one of them at a time.
"""

from __future__ import annotations

import itertools
import os
import pickle
import queue
import select
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from tableapi.errors import ExecutionError, JobCancelledError, StreamClosedError, TableApiError
from tableapi.runtime.cluster.handle import added
from tableapi.runtime.cluster.pool import WorkerPool, WorkerProcess
from tableapi.runtime.cluster.protocol import Close, Closed, Define, Failed, Printed, Serve, unpack_failure
from tableapi.runtime.exchange.link import Delivery
from tableapi.runtime.failures import remember
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.udf_scope import FunctionSettings, FunctionTask

WAIT_SLICE_S = 0.2
"""Waits are cut into pieces, so that an interrupt is noticed."""

CLOSE_GRACE_S = 10.0
"""How long the functions of a worker may take to close."""

DRAIN_S = 3.0
"""How long the others may take to finish their part when one has failed."""

_jobs = itertools.count(1 << 30)
"""Numbers of function jobs; those of the executor's jobs begin at 1."""


@dataclass(frozen=True)
class _Definition:
    number: int
    task: bytes
    function_number: int
    function: bytes


@dataclass(eq=False)
class _Worker:
    process: WorkerProcess
    tasks: set[int]
    functions: set[int]


class FunctionPool:
    """The functions of one job in worker processes of their own.

    Args:
        pool: Where worker processes come from.
        workers: How many.
        settings: What the session says about functions.
    """

    def __init__(self, pool: WorkerPool, workers: int, settings: FunctionSettings) -> None:
        self._pool, self._count, self._settings = pool, workers, settings
        self._job = next(_jobs)
        self._lock = threading.Lock()
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._definitions: dict[int, tuple[FunctionTask, _Definition]] = {}
        self._functions: dict[int, tuple[Any, int, bytes]] = {}
        self._metrics: list[dict[str, int]] = []
        self._is_closed = False
        self._broken: TableApiError | None = None

    def start(self) -> None:
        """Starts the worker processes, which come up while the job reads its first rows."""
        with self._lock:
            if self._workers or self._is_closed:
                return
            settings = pickle.dumps(self._settings)
            for subtask, process in enumerate(self._pool.lease(self._count)):
                worker = _Worker(process, set(), set())
                self._workers.append(worker)
                process.link.send(
                    Serve(self._job, settings, subtask, self._count, self._settings.directory or os.getcwd(), tuple(sys.path))
                )
                self._free.put(worker)

    def run(self, task: FunctionTask, frame: pl.DataFrame) -> pl.DataFrame:
        """The task's result for a frame.

        Raises:
            ExecutionError: The function failed, or its process ended.
            JobCancelledError: The job has been stopped meanwhile.
        """
        self.start()
        definition = self._define(task)
        parts = task.cut(frame, self._count)
        results: dict[int, pl.DataFrame] = {}
        busy: dict[int, tuple[_Worker, int]] = {}
        todo = list(reversed(range(len(parts))))
        try:
            while todo or busy:
                while todo and (worker := self._take(wait=not busy)) is not None:
                    busy[worker.process.link.fileno()] = (worker, todo[-1])
                    self._ask(worker, definition, parts[todo.pop()])
                failed: BaseException | None = None
                for fd, answer in self._answers(busy, task):
                    worker, index = busy.pop(fd)
                    self._free.put(worker)
                    if isinstance(answer, BaseException):
                        failed = answer
                    else:
                        results[index] = answer
                if failed is not None:
                    raise failed
        except Exception:
            self._drain(busy)
            raise
        except BaseException:
            for worker, _ in busy.values():
                self._forget(worker)
            raise
        return task.join(parts, [results[i] for i in range(len(parts))]) if len(parts) > 1 else results[0]

    def _define(self, task: FunctionTask) -> _Definition:
        with self._lock:
            known = self._definitions.get(id(task))
            if known is None:
                wrapper = task.function
                if id(wrapper) not in self._functions:
                    self._functions[id(wrapper)] = (wrapper, len(self._functions), pickle.dumps(wrapper))
                _, number, function = self._functions[id(wrapper)]
                shell = pickle.dumps(replace(task, function=None))  # type: ignore[type-var]
                known = self._definitions[id(task)] = (task, _Definition(len(self._definitions), shell, number, function))
            return known[1]

    def _take(self, wait: bool) -> _Worker | None:
        """A free worker; None when there is none and `wait` is off."""
        while True:
            self._check()
            try:
                return self._free.get(timeout=WAIT_SLICE_S) if wait else self._free.get_nowait()
            except queue.Empty:
                if not wait:
                    return None

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._is_closed:
            raise JobCancelledError("the job has been stopped")

    def _ask(self, worker: _Worker, definition: _Definition, part: pl.DataFrame) -> None:
        link = worker.process.link
        try:
            if definition.number not in worker.tasks:
                worker.tasks.add(definition.number)
                is_known = definition.function_number in worker.functions
                worker.functions.add(definition.function_number)
                function = None if is_known else definition.function
                link.send(Define(self._job, definition.number, definition.task, definition.function_number, function))
            link.send_batch(self._job, definition.number, Batch(part), 0)
        except StreamClosedError:
            # Its last words are read when its answer is waited for.
            return

    def _answers(
        self, busy: dict[int, tuple[_Worker, int]], task: FunctionTask
    ) -> list[tuple[int, pl.DataFrame | BaseException]]:
        """What has come back by now, after a short wait."""
        links = {fd: worker.process.link for fd, (worker, _) in busy.items()}
        writing = [fd for fd, link in links.items() if link.wants_write]
        readable, writable, _ = select.select(list(links), writing, [], WAIT_SLICE_S)
        self._check()
        found: list[tuple[int, pl.DataFrame | BaseException]] = []
        for fd in {*readable, *writable}:
            worker = busy[fd][0]
            try:
                if fd in writable:
                    links[fd].flush()
                received = links[fd].receive() if fd in readable else []
            except StreamClosedError:
                raise self._died(worker, task) from None
            found += [(fd, answer) for message in received if (answer := self._message(message)) is not None]
        return found

    def _message(self, message: Any) -> pl.DataFrame | BaseException | None:
        match message:
            case Printed(text=text, is_error=is_error):
                print(text, end="", file=sys.stderr if is_error else sys.stdout, flush=True)
            case Failed(job=self._job, failure=failure):
                error = unpack_failure(failure)
                return remember(error) if isinstance(error, TableApiError) else error
            case Delivery(job=self._job, batch=batch):
                return batch.frame
            case Closed(job=self._job, failure=failure, metrics=metrics):
                self._metrics.append(metrics)
                return None if failure is None else unpack_failure(failure)
        return None

    def _died(self, worker: _Worker, task: FunctionTask) -> TableApiError:
        doing = worker.process.last_words() or f"Python function '{task.function.name}' was about to be called"
        how = worker.process.how_it_ended()
        self._forget(worker)
        # Whoever waits for this worker would wait for ever.
        self._broken = remember(
            ExecutionError(
                f"the process of a Python function ended ({how}): {doing}",
                where=getattr(task, "where", None),
                fix="the function must not end its process; one that signal 9 killed may have been out of memory",
            )
        )
        return self._broken

    def _forget(self, worker: _Worker) -> None:
        with self._lock:
            if worker in self._workers:
                self._workers.remove(worker)
                self._pool.discard(worker.process)

    def _drain(self, busy: dict[int, tuple[_Worker, int]]) -> None:
        """Waits until workers have done their part, so that they can be used again; ends those that take long."""
        for worker, _ in busy.values():
            is_usable = worker.process.link.fileno() >= 0 and worker.process.is_alive and not self._is_closed
            if is_usable and self._until(worker, Delivery | Failed, DRAIN_S):
                self._free.put(worker)
            else:
                self._forget(worker)

    def _until(self, worker: _Worker, kind: Any, timeout_s: float) -> bool | BaseException:
        """Whether a message of a kind comes in time, or the failure to close that it tells; others that come are taken."""
        deadline = _deadline(timeout_s)
        link = worker.process.link
        try:
            while (left := deadline()) > 0:
                readable, writable, _ = select.select([link], [link] if link.wants_write else [], [], min(left, WAIT_SLICE_S))
                if writable:
                    link.flush()
                for message in link.receive() if readable else ():
                    found = self._message(message)
                    if isinstance(message, kind):
                        return found if isinstance(message, Closed) and isinstance(found, BaseException) else True
        except StreamClosedError:
            return False
        return False

    def close(self) -> None:
        """Closes the functions in all workers, and gives the workers back. One that is at work for somebody is ended.

        Raises:
            ExecutionError: The first failure of a function's `close()`.
        """
        with self._lock:
            self._is_closed = True
            workers = list(self._workers)
        free: list[_Worker] = []
        while not self._free.empty():
            free.append(self._free.get())
        for worker in workers:
            if worker not in free:
                self._forget(worker)
        first: BaseException | None = None
        for worker in free:
            try:
                worker.process.link.send(Close(self._job, success=True))
            except StreamClosedError:
                continue
        for worker in free:
            ended = self._until(worker, Closed, CLOSE_GRACE_S)
            if isinstance(ended, BaseException):
                first = first or ended
            self._release(worker, bool(ended))
        if first is not None:
            raise first

    def _release(self, worker: _Worker, is_clean: bool) -> None:
        if not is_clean:
            self._forget(worker)
            return
        with self._lock:
            self._workers.remove(worker)
        self._pool.give_back([worker.process])

    def metrics(self) -> dict[str, int]:
        """What the functions have counted, known when they are closed."""
        return added(self._metrics)


def _deadline(timeout_s: float) -> Callable[[], float]:
    end = time.monotonic() + timeout_s
    return lambda: end - time.monotonic()
