"""The session's worker processes: started when first needed, leased to one job at a time, kept warm between jobs."""

from __future__ import annotations

import mmap
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tableapi
from tableapi.errors import StreamClosedError
from tableapi.runtime import last_words
from tableapi.runtime.cluster.protocol import Peer
from tableapi.runtime.exchange.link import Link
from tableapi.runtime.exchange.shared_memory import anonymous_file

EXIT_GRACE_S = 2.0


@dataclass(eq=False)
class WorkerProcess:
    """A worker, as the coordinator sees it. `peers` are the ids of the workers that it is connected to."""

    id: int
    process: subprocess.Popen[bytes]
    link: Link
    page: mmap.mmap
    peers: set[int] = field(default_factory=set)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """What a process that has ended was doing; empty when it was not in a user's function."""
        return last_words.read(self.page)

    def how_it_ended(self) -> str:
        """Waits for the end of the process, and says how it came about."""
        code = self.process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


class WorkerPool:
    """Worker processes of one session. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._all: dict[int, WorkerProcess] = {}
        self._count = 0
        self._spawner: _Spawner | None = None
        self._is_closed = False

    def lease(self, count: int) -> list[WorkerProcess]:
        """`count` connected workers for the caller alone, warm ones first.

        Raises:
            StreamClosedError: The pool has been closed.
        """
        with self._lock:
            if self._is_closed:
                raise StreamClosedError("the session has been closed")
            for worker in [w for w in self._idle if not w.is_alive]:
                self._forget(worker)
            workers, self._idle = self._idle[:count], self._idle[count:]
            while len(workers) < count:
                workers.append(self._start(count))
            for i, worker in enumerate(workers):
                for other in workers[:i]:
                    _connect(worker, other)
            return workers

    def give_back(self, workers: Sequence[WorkerProcess]) -> None:
        """Takes leased workers back; those that have died, or that are in an unknown state, must have been discarded."""
        with self._lock:
            for worker in workers:
                if worker.id in self._all and worker.is_alive and not self._is_closed:
                    self._idle.append(worker)
                else:
                    self._forget(worker)

    def discard(self, worker: WorkerProcess) -> None:
        """Ends a leased worker at once."""
        with self._lock:
            self._forget(worker)

    def close(self) -> None:
        """Ends all workers: they leave when their socket closes, and are killed if they do not."""
        with self._lock:
            self._is_closed = True
            workers = list(self._all.values())
            self._all.clear()
            self._idle.clear()
        for worker in workers:
            worker.link.close()
        for worker in workers:
            try:
                worker.process.wait(EXIT_GRACE_S)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()

    def process_ids(self) -> list[int]:
        """The process ids of all workers."""
        with self._lock:
            return [w.process.pid for w in self._all.values()]

    def _start(self, parallelism: int) -> WorkerProcess:
        if self._spawner is None:
            self._spawner = _Spawner()
        ours, theirs = socket.socketpair()
        page = anonymous_file(last_words.PAGE_BYTES)
        with theirs:
            fds = (theirs.fileno(), page)
            arguments = (theirs.fileno(), os.getpid(), page)
            process = self._spawner.start(
                [sys.executable, "-P", "-m", "tableapi.runtime.cluster.worker", *map(str, arguments)],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                env=_environment(parallelism),
                start_new_session=True,
            )
        worker = WorkerProcess(self._count, process, Link(ours), mmap.mmap(page, last_words.PAGE_BYTES))
        os.close(page)
        self._count += 1
        self._all[worker.id] = worker
        return worker

    def _forget(self, worker: WorkerProcess) -> None:
        self._all.pop(worker.id, None)
        if worker in self._idle:
            self._idle.remove(worker)
        worker.link.close()
        worker.process.kill()
        worker.process.wait()


def _connect(a: WorkerProcess, b: WorkerProcess) -> None:
    if b.id in a.peers:
        return
    ends = socket.socketpair()
    for worker, other, end in ((a, b, ends[0]), (b, a, ends[1])):
        worker.peers.add(other.id)
        worker.link.send_descriptor(Peer(other.id), end.detach())


def _environment(parallelism: int) -> dict[str, str]:
    """The environment of a worker: the program's, with threads for its share of the machine."""
    env = dict(os.environ)
    threads = max(1, (os.cpu_count() or 1) // parallelism)
    for name in ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        env.setdefault(name, str(threads))
    root = Path(tableapi.__file__).parent.parent
    if root.name not in ("site-packages", "dist-packages"):
        env["PYTHONPATH"] = os.pathsep.join(p for p in (str(root), env.get("PYTHONPATH")) if p)
    return env


class _Spawner:
    """Starts processes from a thread that lives as long as this process.

    The system ends a worker when the *thread* that started it ends (PR_SET_PDEATHSIG), and a job's thread does not live long.
    """

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[tuple[list[str], dict[str, Any], queue.SimpleQueue[Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="tableapi-spawner", daemon=True).start()

    def start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """`subprocess.Popen`, in that thread."""
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._orders.put((command, options, answer))
        result = answer.get()
        if isinstance(result, BaseException):
            raise result
        assert isinstance(result, subprocess.Popen)
        return result

    def _serve(self) -> None:
        while True:
            command, options, answer = self._orders.get()
            try:
                answer.put(subprocess.Popen(command, **options))
            except OSError as error:
                answer.put(error)
