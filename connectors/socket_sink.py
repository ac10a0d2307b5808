"""Writes a table to a socket: serves any number of clients, or sends to one server.

One thread of subtask 0 does all sending (the hub); the other subtasks hand their bytes to it over a private Unix socket.
A client that does not keep up has a bounded buffer of its own and holds nobody back.
Imports connectors.{base,registry,socket_options,socket_framing}, connectors.formats and tableapi's plain data types only.
"""

from __future__ import annotations

import os
import selectors
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import polars as pl

from tableapi.connectors.base import Guarantee, Sink, SinkWriter
from tableapi.connectors.formats.arrow_base import to_arrow_table
from tableapi.connectors.formats.base import INSERT_ONLY, TextEncoder, TextFormat
from tableapi.connectors.registry import find_format
from tableapi.connectors.socket_framing import batch_messages, schema_message
from tableapi.connectors.socket_options import ARROW_STREAM, LENGTH_PREFIXED, LONGEST_GREETING_BYTES, Endpoint
from tableapi.errors import ExecutionError
from tableapi.row import RowKind
from tableapi.tablespec import RowSchema

_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


@dataclass(frozen=True)
class SocketSink(Sink):
    """One end of a socket that rows go into.

    Args:
        job: Names the private socket between subtasks.
        buffer_bytes: Most bytes that wait for one client.
        skips: A client whose buffer is full misses rows; otherwise it is disconnected.
        await_clients: Nothing is written before so many clients are there.
        await_s: Longest wait for them, and for the last bytes to be taken.
    """

    endpoint: Endpoint
    framing: str
    format_name: str | None
    format_options: Mapping[str, Any]
    schema: RowSchema
    job: str
    buffer_bytes: int
    skips: bool = False
    await_clients: int = 0
    await_s: float = 30.0
    accepts: frozenset[RowKind] = INSERT_ONLY
    guarantee: Guarantee = Guarantee.AT_MOST_ONCE

    @property
    def relay_directory(self) -> str:
        """Holds the private socket between subtasks."""
        return os.path.join(tempfile.gettempdir(), f"tableapi-{os.getuid()}-{self.job[:13]}")

    def encoder(self) -> TextEncoder | None:
        """The encoder of rows; None for an Arrow stream."""
        if self.framing == ARROW_STREAM:
            return None
        form = find_format(self.format_name or "")
        assert isinstance(form, TextFormat)
        return form.encoder(self.schema, self.format_options)

    def begin(self, overwrite: bool, static_partition: dict[str, Any]) -> None:
        os.makedirs(self.relay_directory, mode=0o700, exist_ok=True)

    def end(self, success: bool) -> None:
        shutil.rmtree(self.relay_directory, ignore_errors=True)

    def writer(self, subtask: int, parallelism: int) -> SocketWriter:
        return SocketWriter(self, subtask, parallelism)


class SocketWriter(SinkWriter):
    """Encodes rows and hands them to the hub: its own (subtask 0) or that of subtask 0."""

    def __init__(self, sink: SocketSink, subtask: int, parallelism: int) -> None:
        self._sink = sink
        self._encoder = sink.encoder()
        relay = os.path.join(sink.relay_directory, "hub") if parallelism > 1 else None
        self.hub: Hub | None = None
        self._relay: socket.socket | None = None
        if subtask == 0:
            if relay is not None:
                os.makedirs(sink.relay_directory, mode=0o700, exist_ok=True)
            self.hub = Hub(sink, self._head(), relay, parallelism - 1)
        else:
            assert relay is not None
            self._relay = _connect_relay(relay, sink.await_s)

    def _head(self) -> bytes:
        """What every client gets first."""
        if self._encoder is not None:
            return b""
        return schema_message(to_arrow_table(pl.DataFrame(schema=self._sink.schema.to_polars()), self._sink.schema))

    def write(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        if not frame.height:
            return
        data = self._encode(frame, kinds)
        if self.hub is not None:
            self.hub.publish(data)
        elif self._relay is not None:
            try:
                self._relay.sendall(len(data).to_bytes(8, "big") + data)
            except OSError as e:
                raise ExecutionError(f"the writer of {self._sink.endpoint} has gone: {e}") from None

    def _encode(self, frame: pl.DataFrame, kinds: pl.Series | None) -> bytes:
        if self._encoder is None:
            return batch_messages(to_arrow_table(frame, self._sink.schema))
        data = self._encoder.encode(frame, kinds)
        if self._sink.framing != LENGTH_PREFIXED:
            return data
        records = data.split(b"\n")[:-1]
        return b"".join(len(r).to_bytes(4, "big") + r for r in records)

    def close(self, success: bool = True) -> None:
        if self.hub is not None:
            self.hub.close(_END_OF_STREAM if self._encoder is None and success else b"", waits=success)
        if self._relay is not None:
            self._relay.close()


def _connect_relay(path: str, patience_s: float) -> socket.socket:
    deadline = time.monotonic() + patience_s
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            return connection
        except OSError:
            connection.close()
            if time.monotonic() > deadline:
                raise ExecutionError("subtask 0 of the socket sink does not answer") from None
            time.sleep(0.02)


class Client:
    """A connection of the hub and the bytes that wait for it."""

    def __init__(self, connection: socket.socket, endpoint: Endpoint, head: bytes) -> None:
        self.connection = connection
        self.queue: deque[memoryview] = deque()
        self.waiting_bytes = 0
        self.is_open = False
        self.needs_handshake = endpoint.uses_tls
        self.needs_greeting = endpoint.listens and endpoint.token is not None
        self.greeting = b""
        self.is_late = False
        if not endpoint.listens and endpoint.token is not None:
            self.put(endpoint.greeting())
        if head:
            self.put(head)

    def put(self, data: bytes) -> None:
        """Appends bytes (shared with other clients, not copied)."""
        self.queue.append(memoryview(data))
        self.waiting_bytes += len(data)

    def send(self) -> None:
        """Sends what the connection takes now."""
        while self.queue:
            try:
                sent = self.connection.send(self.queue[0])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            self.waiting_bytes -= sent
            if sent < len(self.queue[0]):
                self.queue[0] = self.queue[0][sent:]
            else:
                self.queue.popleft()


class Hub:
    """Sends each published piece to every client. Writers call `publish` and `close`, the hub's thread all else."""

    def __init__(self, sink: SocketSink, head: bytes, relay: str | None, relays: int) -> None:
        self._sink, self._endpoint, self._head = sink, sink.endpoint, head
        self._context = sink.endpoint.tls_context()
        self._selector = selectors.DefaultSelector()
        self._changed = threading.Condition()
        self._clients: set[Client] = set()
        self._relays_to_end = relays
        self._is_closing = False
        self._failure: Exception | None = None
        self._seen_clients = 0
        self._next_attempt = 0.0
        self._delay_s = self._endpoint.first_delay_s
        self._waker, self._wakes = socket.socketpair()
        self._wakes.setblocking(False)
        self._selector.register(self._wakes, selectors.EVENT_READ, self._woken)
        self._listener: socket.socket | None = None
        if self._endpoint.listens:
            self._listener = self._listen(self._endpoint)
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        if relay is not None:
            self._relay_listener = self._listen(Endpoint("", 0, relay, True))
            self._selector.register(self._relay_listener, selectors.EVENT_READ, self._accept_relay)
        self._thread = threading.Thread(target=self._run, name="socket-sink", daemon=True)
        self._thread.start()

    @staticmethod
    def _listen(endpoint: Endpoint) -> socket.socket:
        try:
            return endpoint.listener()
        except OSError as e:
            raise ExecutionError(f"cannot listen on {endpoint}: {e.strerror or e}", fix="choose another port or path") from None

    @property
    def port(self) -> int:
        """The TCP port that clients connect to."""
        assert self._listener is not None
        port: int = self._listener.getsockname()[1]
        return port

    def publish(self, data: bytes) -> None:
        """Queues bytes for all clients. Waits only for the first clients, and for room when this end connects."""
        with self._changed:
            wanted = max(self._sink.await_clients, 0 if self._endpoint.listens else 1)
            if not self._changed.wait_for(lambda: self._seen_clients >= wanted, self._sink.await_s):
                raise ExecutionError(
                    f"{self._endpoint}: {self._seen_clients} of {wanted} peers have connected after {self._sink.await_s:g} s",
                    fix="start the other end, or raise 'sink.await-timeout'",
                )
            if not self._endpoint.listens:
                self._changed.wait_for(lambda: all(c.waiting_bytes < self._sink.buffer_bytes for c in self._clients))
            if self._failure is not None:
                raise ExecutionError(f"{self._endpoint}: sending has failed: {self._failure}") from self._failure
            self._queue(data)
        self._wake()

    def _queue(self, data: bytes) -> None:
        for client in self._clients:
            if not client.is_open or client.is_late:
                continue
            is_full = client.waiting_bytes + len(data) > self._sink.buffer_bytes and client.waiting_bytes > 0
            if not is_full or not self._endpoint.listens:
                client.put(data)
            elif not self._sink.skips:
                client.is_late = True

    def close(self, tail: bytes, waits: bool) -> None:
        """Ends: with `waits`, when all subtasks have ended and all clients have taken everything (or the time is up)."""
        deadline = time.monotonic() + self._sink.await_s
        with self._changed:
            if waits:
                self._changed.wait_for(lambda: self._relays_to_end <= 0, self._sink.await_s)
                if tail:
                    self._queue(tail)
                self._wake()
                left = max(0.0, deadline - time.monotonic())
                self._changed.wait_for(lambda: all(not c.queue for c in self._clients if c.is_open and not c.is_late), left)
            self._is_closing = True
        self._wake()
        self._thread.join()
        self._waker.close()

    def _wake(self) -> None:
        # The thread may have ended already: then nobody needs to be woken.
        with suppress(OSError):
            self._waker.send(b"x")

    def _run(self) -> None:
        try:
            while not self._is_closing:
                self._connect()
                for key, events in self._selector.select(0.2 if not self._endpoint.listens else None):
                    handler = key.data
                    if isinstance(handler, Client):
                        self._serve(handler, events)
                    else:
                        handler()
        except Exception as e:  # noqa: BLE001 - told to the writer at its next call
            with self._changed:
                self._failure = e
                self._changed.notify_all()
        finally:
            for key in list(self._selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
            self._selector.close()
            if self._endpoint.listens and self._endpoint.path is not None and os.path.exists(self._endpoint.path):
                os.unlink(self._endpoint.path)

    def _woken(self) -> None:
        self._wakes.recv(65_536)
        with self._changed:
            for client in list(self._clients):
                if client.is_late:
                    self._drop(client)
                elif client.queue and client.is_open:
                    self._selector.modify(client.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, client)

    def _connect(self) -> None:
        if self._endpoint.listens or self._clients or time.monotonic() < self._next_attempt:
            return
        self._next_attempt = time.monotonic() + self._delay_s
        self._delay_s = min(2 * self._delay_s, self._endpoint.longest_delay_s)
        try:
            connection = self._endpoint.start_connect()
            _wait_writable(connection)
            connection = self._endpoint.wrap(connection, self._context)
        except OSError:
            return
        self._delay_s = self._endpoint.first_delay_s
        self._add(connection)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        self._add(self._endpoint.wrap(connection, self._context))

    def _add(self, connection: socket.socket) -> None:
        client = Client(connection, self._endpoint, self._head)
        self._selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
        with self._changed:
            self._clients.add(client)

    def _serve(self, client: Client, events: int) -> None:
        with self._changed:
            try:
                is_alive = self._proceed(client, events)
            except OSError:
                is_alive = False
            if not is_alive:
                self._drop(client)
            elif not client.queue and client.is_open:
                self._selector.modify(client.connection, selectors.EVENT_READ, client)
            self._changed.notify_all()

    def _proceed(self, client: Client, events: int) -> bool:
        if client.needs_handshake:
            assert isinstance(client.connection, ssl.SSLSocket)
            try:
                client.connection.do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as e:
                wanted = selectors.EVENT_READ if isinstance(e, ssl.SSLWantReadError) else selectors.EVENT_WRITE
                self._selector.modify(client.connection, wanted, client)
                return True
            client.needs_handshake = False
            self._selector.modify(client.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
        if events & selectors.EVENT_READ and not self._listen_to(client):
            return False
        if client.needs_greeting:
            self._selector.modify(client.connection, selectors.EVENT_READ, client)
            return True
        if not client.is_open:
            client.is_open = True
            self._seen_clients += 1
        client.send()
        return True

    def _listen_to(self, client: Client) -> bool:
        """Takes the greeting; everything else that a client says is left unheard. False when it has gone or is a stranger."""
        try:
            data = client.connection.recv(LONGEST_GREETING_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        if not data:
            return False
        if client.needs_greeting:
            client.greeting += data
            line, end, _ = client.greeting.partition(b"\n")
            if not end:
                return len(client.greeting) <= LONGEST_GREETING_BYTES
            if not self._endpoint.is_greeting(line):
                return False
            client.needs_greeting = False
        return True

    def _drop(self, client: Client) -> None:
        self._selector.unregister(client.connection)
        self._clients.discard(client)
        client.connection.close()
        self._changed.notify_all()

    def _accept_relay(self) -> None:
        connection, _ = self._relay_listener.accept()
        threading.Thread(target=self._relay, args=(connection,), name="socket-sink-relay", daemon=True).start()

    def _relay(self, connection: socket.socket) -> None:
        """Publishes what another subtask writes."""
        with connection, connection.makefile("rb") as file:
            while len(size := file.read(8)) == 8:
                data = file.read(int.from_bytes(size, "big"))
                self.publish(data)
        with self._changed:
            self._relays_to_end -= 1
            self._changed.notify_all()


def _wait_writable(connection: socket.socket) -> None:
    """Waits shortly until a connection stands.

    Raises:
        OSError: when it does not.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_WRITE)
        is_ready = bool(selector.select(1.0))
    error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error or not is_ready:
        connection.close()
        raise OSError(error, os.strerror(error))
