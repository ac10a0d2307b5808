"""Reads a table from a socket: connects to a server and reconnects, or listens and takes any number of clients.

What has arrived and is not yet read is lost when this process dies: at most once. Landing the socket in an event log
(`INSERT INTO log_table SELECT * FROM socket_table`) makes everything after that exactly once.
Imports connectors.{base,bad_records,registry,socket_options,socket_framing}, connectors.formats and tableapi's data types.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tableapi.connectors.bad_records import BadRecordPolicy
from tableapi.connectors.base import ReadResult, Source, Split, SplitReader
from tableapi.connectors.formats.base import INSERT_ONLY, Decoded, TextFormat
from tableapi.connectors.registry import find_format
from tableapi.connectors.socket_framing import ArrowFramer, Framer, LengthFramer, LineFramer
from tableapi.connectors.socket_options import ARROW_STREAM, LENGTH_PREFIXED, LONGEST_GREETING_BYTES, Endpoint
from tableapi.errors import ExecutionError
from tableapi.row import RowKind
from tableapi.tablespec import RowSchema

RECEIVE_BYTES = 256 * 1024
READ_BYTES = 4 * 1024 * 1024
"""How much is taken from one peer before the others have their turn."""

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(frozen=True)
class SocketSource(Source):
    """One end of a socket that rows come out of.

    Args:
        ends_on_close: The rows end when the peer closes the connection.
    """

    endpoint: Endpoint
    framing: str
    format_name: str | None
    format_options: Mapping[str, Any]
    schema: RowSchema
    columns: tuple[str, ...]
    bad_records: BadRecordPolicy
    buffer_bytes: int
    ends_on_close: bool = False
    changelog: frozenset[RowKind] = INSERT_ONLY

    @property
    def is_bounded(self) -> bool:  # type: ignore[override]
        """Whether the rows come to an end."""
        return self.ends_on_close

    def splits(self) -> Sequence[Split]:
        return [Split(str(self.endpoint))]

    def reader(self, split: Split, position: Any = None) -> SplitReader:
        return SocketReader(self, position or 0)

    def framer(self, peer: str) -> Framer:
        """A new framer for a connection."""
        if self.framing == ARROW_STREAM:
            return ArrowFramer(peer, self.buffer_bytes, self.schema, self.columns)
        form = find_format(self.format_name or "")
        assert isinstance(form, TextFormat)
        decoder = form.decoder(self.schema, self.columns, self.format_options)
        kind = LengthFramer if self.framing == LENGTH_PREFIXED else LineFramer
        return kind(peer, self.buffer_bytes, decoder)


class SocketReader(SplitReader):
    """Takes what peers have sent, without waiting. Its position, the number of rows so far, is for information only."""

    def __init__(self, source: SocketSource, rows: int) -> None:
        self._source, self._rows = source, rows
        self._selector = selectors.DefaultSelector()
        self._context = source.endpoint.tls_context()
        self._listener: socket.socket | None = None
        self._peers: set[Peer] = set()
        self._ready: deque[Decoded] = deque()
        self._next_attempt = 0.0
        self._delay_s = source.endpoint.first_delay_s
        self._has_ended = False

    @property
    def port(self) -> int:
        """The TCP port of a reader that listens."""
        self._open()
        assert self._listener is not None
        port: int = self._listener.getsockname()[1]
        return port

    def fileno(self) -> int | None:
        return self._selector.fileno() if hasattr(self._selector, "fileno") else None

    def read(self, max_rows: int) -> ReadResult:
        if not self._ready and not self._has_ended:
            self._open()
            self._take()
        if not self._ready:
            return ReadResult(None, self._rows, finished=self._has_ended)
        decoded = self._ready.popleft()
        frame, kinds = decoded.frame, decoded.kinds
        if frame.height > max_rows:
            rest = None if kinds is None else kinds.slice(max_rows)
            self._ready.appendleft(Decoded(frame.slice(max_rows), rest))
            frame, kinds = frame.head(max_rows), None if kinds is None else kinds.head(max_rows)
        self._rows += frame.height
        return ReadResult(frame, self._rows, kinds, finished=self._has_ended and not self._ready)

    def _open(self) -> None:
        """Listens, or tries to connect when it is time to."""
        endpoint = self._source.endpoint
        if endpoint.listens:
            if self._listener is None:
                try:
                    self._listener = endpoint.listener()
                except OSError as e:
                    raise ExecutionError(
                        f"cannot listen on {endpoint}: {e.strerror or e}", fix="choose another port or path"
                    ) from None
                self._selector.register(self._listener, selectors.EVENT_READ)
            return
        if self._peers or time.monotonic() < self._next_attempt:
            return
        try:
            peer = Peer(self, endpoint.start_connect(), str(endpoint), is_connecting=True)
        except OSError:
            self._retry_later()
            return
        self._add(peer)

    def _add(self, peer: Peer) -> None:
        self._peers.add(peer)
        self._selector.register(peer.connection, selectors.EVENT_WRITE if peer.is_connecting else selectors.EVENT_READ, peer)

    def _retry_later(self) -> None:
        self._next_attempt = time.monotonic() + self._delay_s
        self._delay_s = min(self._delay_s * 2, self._source.endpoint.longest_delay_s)

    def _take(self) -> None:
        for key, _ in self._selector.select(0):
            if key.data is None:
                self._accept()
            else:
                self._serve(key.data)

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                connection, address = self._listener.accept()
            except OSError:
                return
            connection.setblocking(False)
            wrapped = self._source.endpoint.wrap(connection, self._context)
            self._add(Peer(self, wrapped, f"{self._source.endpoint} from {address or 'a client'}"))

    def _serve(self, peer: Peer) -> None:
        try:
            is_open = peer.proceed()
        except OSError:
            is_open = False
        if is_open:
            return
        self._drop(peer)
        for decoded in peer.framer.end() if peer.is_trusted else ():
            self.deliver(decoded, peer)
        if not self._source.endpoint.listens:
            self._has_ended = self._source.ends_on_close and peer.is_trusted
            self._retry_later()

    def _drop(self, peer: Peer) -> None:
        self._selector.unregister(peer.connection)
        self._peers.discard(peer)
        peer.connection.close()

    def deliver(self, decoded: Decoded, peer: Peer) -> None:
        """Takes rows from a peer, and deals with those that are none."""
        framer = peer.framer
        for record in decoded.bad:
            name = self._source.format_name or "arrow"
            self._source.bad_records.handle(record, name, peer.name, framer.offset, lambda: framer.line + 1)
        if decoded.frame.height:
            frame = decoded.frame.select(self._source.columns)
            self._ready.append(Decoded(frame, decoded.kinds))

    def connected(self, peer: Peer) -> None:
        """A connection of ours stands: wrap and watch it."""
        self._selector.unregister(peer.connection)
        peer.connection = self._source.endpoint.wrap(peer.connection, self._context)
        self._selector.register(peer.connection, selectors.EVENT_READ, peer)

    def has_data(self) -> None:
        """A peer has sent something: the next attempt to connect need not wait long."""
        self._delay_s = self._source.endpoint.first_delay_s

    def watch(self, peer: Peer, events: int) -> None:
        """Waits for the given events of a peer."""
        self._selector.modify(peer.connection, events, peer)

    def new_framer(self, name: str) -> Framer:
        """A framer for a new connection."""
        return self._source.framer(name)

    @property
    def endpoint(self) -> Endpoint:
        """This end."""
        return self._source.endpoint

    def close(self) -> None:
        for peer in list(self._peers):
            self._drop(peer)
        if self._listener is not None:
            self._listener.close()
            if self._source.endpoint.path is not None:
                _unlink(self._source.endpoint.path)
        self._selector.close()


def _unlink(path: str) -> None:
    import os
    from contextlib import suppress

    with suppress(FileNotFoundError):
        os.unlink(path)


class Peer:
    """A connection of a reader, on its way from connecting over the TLS handshake and the greeting to rows."""

    def __init__(self, reader: SocketReader, connection: socket.socket, name: str, *, is_connecting: bool = False) -> None:
        self._reader, self.connection, self.name = reader, connection, name
        self.is_connecting = is_connecting
        self.framer = reader.new_framer(name)
        endpoint = reader.endpoint
        self._needs_handshake = endpoint.uses_tls
        self._needs_greeting = endpoint.listens and endpoint.token is not None
        self._greeting = b""
        self.is_trusted = False

    def proceed(self) -> bool:
        """Goes as far as it can without waiting. False when the connection has ended."""
        if self.is_connecting and not self._finish_connect():
            return False
        if self._needs_handshake and not self._shake_hands():
            return True
        if not self.is_trusted and not self._needs_greeting:
            self._trust()
        return self._receive()

    def _finish_connect(self) -> bool:
        error = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            return False
        self.is_connecting = False
        self._reader.connected(self)
        return True

    def _shake_hands(self) -> bool:
        assert isinstance(self.connection, ssl.SSLSocket)
        try:
            self.connection.do_handshake()
        except ssl.SSLWantReadError:
            self._reader.watch(self, selectors.EVENT_READ)
            return False
        except ssl.SSLWantWriteError:
            self._reader.watch(self, selectors.EVENT_WRITE)
            return False
        self._needs_handshake = False
        self._reader.watch(self, selectors.EVENT_READ)
        return True

    def _trust(self) -> None:
        """The way is free for rows. The connecting end says first who it is: so few bytes that a new connection takes them."""
        self.is_trusted = True
        if not self._reader.endpoint.listens and self._reader.endpoint.token is not None:
            self.connection.send(self._reader.endpoint.greeting())

    def _receive(self) -> bool:
        taken = 0
        while taken < READ_BYTES or self._has_hidden_bytes():
            try:
                data = self.connection.recv(RECEIVE_BYTES)
            except _WOULD_BLOCK:
                return True
            if not data:
                return False
            taken += len(data)
            if self._needs_greeting:
                accepted = self._take_greeting(data)
                if accepted is None:
                    return False
                data = accepted
            if self.is_trusted:
                self._reader.has_data()
                for decoded in self.framer.feed(data):
                    self._reader.deliver(decoded, self)
        return True

    def _has_hidden_bytes(self) -> bool:
        """Whether TLS holds decrypted bytes, of which the selector knows nothing."""
        return isinstance(self.connection, ssl.SSLSocket) and self.connection.pending() > 0

    def _take_greeting(self, data: bytes) -> bytes | None:
        """What follows the greeting (empty while it is not complete); None when it is wrong."""
        self._greeting += data
        line, end, rest = self._greeting.partition(b"\n")
        if not end:
            return None if len(self._greeting) > LONGEST_GREETING_BYTES else b""
        if not self._reader.endpoint.is_greeting(line):
            return None
        self._needs_greeting = False
        self.is_trusted = True
        return rest
