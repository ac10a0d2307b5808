"""A connection between two processes of one job: small frames over a Unix socket, rows in shared memory.

Nothing here blocks. What cannot be sent yet waits in order; the owner calls `flush` when the socket can be written, and
`receive` when it can be read. Rings and one-off memory are handed over as descriptors on the socket: they have no name.
Both ends are processes of the same session, which inherited the socket: nobody else can hold it.
"""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from tableapi.errors import StreamClosedError
from tableapi.runtime.exchange.shared_memory import RingReader, RingWriter, anonymous_file
from tableapi.runtime.stream.batch import Batch

if TYPE_CHECKING:
    from tableapi.runtime.exchange.codec import Encoded

RING_BYTES = 16 * 1024 * 1024
"""Space of one direction. Batches that are larger travel in memory of their own."""

INLINE_BYTES = 8 * 1024
"""Batches up to this size go over the socket itself."""

READ_BYTES = 256 * 1024
READS_PER_CALL = 16
SOCKET_BUFFER_BYTES = 1024 * 1024

_HEADER = struct.Struct("<BxxxI")
_BATCH = struct.Struct("<IIQQ")
_PLACE = struct.Struct("<QQQ")
_POSITION = struct.Struct("<Q")


class _Kind(IntEnum):
    OBJECT = 1
    """A pickled object."""
    RING = 2
    """The ring that the sender will write to, with its descriptor."""
    IN_RING = 3
    """Rows in the ring."""
    IN_FILE = 4
    """Rows in memory of their own, with its descriptor."""
    INLINE = 5
    """Rows in the frame itself."""
    DESCRIPTOR = 7
    """A pickled object, with a descriptor."""
    ACKNOWLEDGE = 6
    """How far the receiver has copied the ring."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A batch that has arrived: on which channel of which job, and the bytes to give back to the sender's credit."""

    job: int
    channel: int
    batch: Batch
    cost: int


@dataclass(frozen=True, slots=True)
class Handed:
    """An object that came with a descriptor, which belongs to the receiver."""

    message: Any
    fd: int


@dataclass(frozen=True, slots=True)
class _WaitingDescriptor:
    frame: bytes
    fd: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    job: int
    channel: int
    batch: Batch
    cost: int


class Link:
    """One end of a connection. Takes over the socket.

    Args:
        sock: A connected Unix stream socket.
        ring_bytes: Size of the ring that this end writes; made when first needed.
    """

    def __init__(self, sock: socket.socket, ring_bytes: int = RING_BYTES) -> None:
        sock.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        self._socket = sock
        self._ring_bytes = ring_bytes
        self._writer: RingWriter | None = None
        self._reader: RingReader | None = None
        self._urgent: deque[bytes] = deque()
        self._outbox: deque[bytes | _Waiting | _WaitingDescriptor] = deque()
        self._frame: memoryview | None = None
        self._frame_fd: int | None = None
        self._is_waiting_for_ring = False
        self._input = bytearray()
        self._input_needed = _HEADER.size
        self._fds: deque[int] = deque()
        self._copied_to: int | None = None

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether something waits for the socket (not for the other end to make room in the ring)."""
        if self._frame is not None or self._urgent:
            return True
        return bool(self._outbox) and not self._is_waiting_for_ring

    @property
    def is_drained(self) -> bool:
        """Whether everything has been handed to the socket."""
        return self._frame is None and not self._urgent and not self._outbox

    def send(self, message: Any) -> None:
        """Sends a picklable object, after everything sent before."""
        body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        self._outbox.append(_HEADER.pack(_Kind.OBJECT, len(body)) + body)
        self.flush()

    def send_urgent(self, message: Any) -> None:
        """Sends a picklable object ahead of rows that wait for room."""
        body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        self._urgent.append(_HEADER.pack(_Kind.OBJECT, len(body)) + body)
        self.flush()

    def send_descriptor(self, message: Any, fd: int) -> None:
        """Sends a picklable object and a descriptor, which it takes over."""
        body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        self._outbox.append(_WaitingDescriptor(_HEADER.pack(_Kind.DESCRIPTOR, len(body)) + body, fd))
        self.flush()

    def send_batch(self, job: int, channel: int, batch: Batch, cost: int) -> None:
        """Sends rows on a channel of a job, after everything sent before. `cost` comes back with their credit."""
        self._outbox.append(_Waiting(job, channel, batch, cost))
        self.flush()

    def drop_batches(self, job: int) -> None:
        """Forgets the rows of a job that wait to be sent."""
        self._outbox = deque(item for item in self._outbox if not (isinstance(item, _Waiting) and item.job == job))
        self._is_waiting_for_ring = False

    def flush(self) -> None:
        """Sends as much as can be sent without waiting.

        Raises:
            StreamClosedError: The other end is gone.
        """
        while self._frame is not None or self._next_frame():
            assert self._frame is not None
            try:
                if self._frame_fd is None:
                    sent = self._socket.send(self._frame)
                else:
                    sent = socket.send_fds(self._socket, [self._frame], [self._frame_fd])
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise StreamClosedError(f"the other process has closed the connection ({error})") from error
            self._frame_sent()
            self._frame = self._frame[sent:] if sent < len(self._frame) else None

    def _frame_sent(self) -> None:
        if self._frame_fd is not None:
            os.close(self._frame_fd)
        self._frame_fd = None

    def _next_frame(self) -> bool:
        if self._urgent:
            self._frame = memoryview(b"".join(self._urgent))
            self._urgent.clear()
            return True
        if not self._outbox or self._is_waiting_for_ring:
            return False
        item = self._outbox[0]
        if isinstance(item, bytes):
            self._frame = memoryview(item)
            self._outbox.popleft()
            return True
        if isinstance(item, _WaitingDescriptor):
            self._frame, self._frame_fd = memoryview(item.frame), item.fd
            self._outbox.popleft()
            return True
        return self._next_batch_frame(item)

    def _next_batch_frame(self, item: _Waiting) -> bool:
        from tableapi.runtime.exchange import codec

        encoded = codec.encode(item.batch)
        head = _BATCH.pack(item.job, item.channel, item.batch.height, item.cost)
        if encoded.size <= INLINE_BYTES:
            self._frame = _frame(_Kind.INLINE, head + codec.to_bytes(encoded))
        elif encoded.size > self._ring_bytes:
            self._frame_fd = _written_file(encoded)
            self._frame = _frame(_Kind.IN_FILE, head + _POSITION.pack(encoded.size))
        else:
            if self._writer is None:
                self._writer = RingWriter(self._ring_bytes)
                self._frame_fd = self._writer.fd
                self._frame = _frame(_Kind.RING, _POSITION.pack(self._ring_bytes))
                return True
            place = self._writer.reserve(encoded.size)
            self._is_waiting_for_ring = place is None
            if place is None:
                return False
            codec.write(encoded, self._writer.memory, place[0])
            self._frame = _frame(_Kind.IN_RING, head + _PLACE.pack(place[0], encoded.size, place[1]))
        self._outbox.popleft()
        return True

    def receive(self) -> list[Any]:
        """Everything that has arrived: objects as they were sent, and `Delivery` for rows. Gives ring space back.

        Raises:
            StreamClosedError: The other end is gone, and all that it sent has been received before.
        """
        received: list[Any] = []
        for _ in range(READS_PER_CALL):
            try:
                data, fds, _, _ = socket.recv_fds(self._socket, READ_BYTES, 16, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
            except (BlockingIOError, InterruptedError):
                break
            except ConnectionResetError:
                data, fds = b"", []
            self._fds.extend(fds)
            if not data:
                if received:
                    break
                raise StreamClosedError("the other process has closed the connection")
            self._input += data
            self._parse(received)
            if len(data) < READ_BYTES and not fds:
                break
        if self._copied_to is not None:
            self._urgent.append(bytes(_frame(_Kind.ACKNOWLEDGE, _POSITION.pack(self._copied_to))))
            self._copied_to = None
        if self.wants_write:
            # What has been received must not be lost when the other end has gone meanwhile; the next call reports that.
            with suppress(StreamClosedError):
                self.flush()
        return received

    def _parse(self, received: list[Any]) -> None:
        if len(self._input) < self._input_needed:
            return
        self._input_needed = _HEADER.size
        view, at = memoryview(bytes(self._input)), 0
        while len(view) - at >= _HEADER.size:
            kind, length = _HEADER.unpack_from(view, at)
            end = at + _HEADER.size + length
            if end > len(view):
                self._input_needed = end - at
                break
            self._take(kind, view[at + _HEADER.size : end], received)
            at = end
        del self._input[:at]

    def _take(self, kind: int, body: memoryview, received: list[Any]) -> None:
        match kind:
            case _Kind.OBJECT:
                received.append(pickle.loads(body))
            case _Kind.DESCRIPTOR:
                received.append(Handed(pickle.loads(body), self._fds.popleft()))
            case _Kind.RING:
                self._reader = RingReader(self._fds.popleft(), _POSITION.unpack(body)[0])
            case _Kind.ACKNOWLEDGE:
                assert self._writer is not None
                self._writer.acknowledge(_POSITION.unpack(body)[0])
                self._is_waiting_for_ring = False
            case _:
                received.append(self._take_batch(kind, body))

    def _take_batch(self, kind: int, body: memoryview) -> Delivery:
        from tableapi.runtime.exchange import codec

        job, channel, height, cost = _BATCH.unpack_from(body)
        rest = body[_BATCH.size :]
        if kind == _Kind.INLINE:
            batch = codec.decode(bytes(rest), height)
        elif kind == _Kind.IN_FILE:
            fd, size = self._fds.popleft(), _POSITION.unpack(rest)[0]
            # Copied: a mapping would hold a descriptor for as long as an operator keeps the rows.
            with mmap.mmap(fd, size) as memory:
                batch = codec.decode(codec.copy_out(memory, 0, size), height)
            os.close(fd)
        else:
            assert kind == _Kind.IN_RING
            assert self._reader is not None
            offset, size, self._copied_to = _PLACE.unpack(rest)
            batch = codec.decode(codec.copy_out(self._reader.memory, offset, size), height)
        return Delivery(job, channel, batch, cost)

    def close(self) -> None:
        """Closes the connection and lets go of its memory."""
        self._socket.close()
        self._frame_sent()
        for fd in (*self._fds, *(item.fd for item in self._outbox if isinstance(item, _WaitingDescriptor))):
            os.close(fd)
        self._outbox.clear()
        self._fds.clear()
        for ring in (self._writer, self._reader):
            if ring is not None:
                ring.close()
        self._writer = self._reader = None


def _frame(kind: int, body: bytes) -> memoryview:
    return memoryview(_HEADER.pack(kind, len(body)) + body)


def _written_file(encoded: Encoded) -> int:
    from tableapi.runtime.exchange import codec

    fd = anonymous_file(encoded.size)
    with mmap.mmap(fd, encoded.size) as memory:
        codec.write(encoded, memory, 0)
    return fd
