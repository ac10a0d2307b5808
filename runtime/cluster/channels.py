"""Queues between the vertices of a job: receiving channels, and senders with a soft credit.

A sender may always send; its owner looks at `has_credit` before it starts the work that may send. Credit comes back when the
receiver has taken a message, so the rows that wait in one channel are bounded by the credit and what one step makes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from tableapi.runtime.cluster.handle import JobRecord
from tableapi.runtime.cluster.protocol import ChannelMessage, Credit
from tableapi.runtime.exchange.link import Link
from tableapi.runtime.exchange.messages import Barrier, Message, Watermark
from tableapi.runtime.exchange.partition import split_by_key
from tableapi.runtime.planner.graph import ExchangeKind
from tableapi.runtime.stream.batch import Batch, concat


class Channel:
    """The receiving end: messages of one sender for one input of a vertex.

    Args:
        input: The vertex's input that it belongs to.
        give_credit: Tells the sender that so many bytes have been taken.
    """

    def __init__(self, input: int, give_credit: Callable[[int], None]) -> None:
        self.input = input
        self.is_blocked = False
        self.rows = 0
        self._give_credit = give_credit
        self._queue: deque[tuple[Message, int]] = deque()

    @property
    def is_ready(self) -> bool:
        """Whether a message can be taken."""
        return bool(self._queue) and not self.is_blocked

    def put(self, message: Message, cost: int) -> None:
        """Adds a message that has arrived. A watermark takes the place of one that nobody has looked at."""
        last = self._queue[-1][0] if self._queue else None
        if isinstance(message, Watermark) and isinstance(last, Watermark):
            self._queue[-1] = (Watermark(message.time_ms, message.is_firm or last.is_firm), 0)
            return
        self._queue.append((message, cost))
        if isinstance(message, Batch):
            self.rows += message.height

    def next_rows(self) -> Batch | None:
        """The next message, where it is rows."""
        message = self._queue[0][0] if self._queue else None
        return message if isinstance(message, Batch) else None

    def take(self, limit_rows: int) -> Message:
        """The next message; rows that wait are joined to batches of up to `limit_rows`."""
        message, cost = self._queue.popleft()
        if isinstance(message, Batch):
            message, cost = self._joined(message, cost, limit_rows)
            self.rows -= message.height
        if cost:
            self._give_credit(cost)
        return message

    def _joined(self, first: Batch, cost: int, limit_rows: int) -> tuple[Batch, int]:
        parts, height, passed = [first], first.height, None
        while self._queue:
            message, more_cost = self._queue[0]
            if isinstance(message, Batch):
                if height + message.height > limit_rows or message.frame.schema != first.frame.schema:
                    break
                parts.append(message)
                height, cost = height + message.height, cost + more_cost
            elif isinstance(message, Watermark) and not message.is_firm:
                passed = message
            else:
                break
            self._queue.popleft()
        if passed is not None and not (self._queue and isinstance(self._queue[0][0], Watermark)):
            self._queue.appendleft((passed, 0))
        return concat(parts), cost


class Gate:
    """All channels of one vertex on one worker.

    Takes from them in turn, and holds back those whose barrier has come already. Rows that wait in several channels of one
    input are taken together: an operator's cost is mostly per batch while batches are small.
    """

    def __init__(self, limit_rows: int) -> None:
        self.channels: list[Channel] = []
        self._limit_rows = limit_rows
        self._next = 0
        self._waiting_since_s: float | None = None

    def add(self, channel: Channel) -> int:
        """Adds a channel; returns its number."""
        self.channels.append(channel)
        return len(self.channels) - 1

    def take(self) -> list[tuple[int, Message]]:
        """The next message with the number of its channel, or rows of several channels of one input; nothing when nothing may be taken."""
        count, first = len(self.channels), self._next
        taken: list[tuple[int, Message]] = []
        height = 0
        for step in range(count):
            number = (first + step) % count
            channel = self.channels[number]
            if not channel.is_ready or (taken and not self._fits(channel, taken, height)):
                continue
            message = channel.take(self._limit_rows - height)
            if not taken:
                self._next = (number + 1) % count
                self._waiting_since_s = None
            taken.append((number, message))
            if isinstance(message, Barrier):
                channel.is_blocked = True
            if not isinstance(message, Batch):
                break
            height += message.height
        return taken

    def _fits(self, channel: Channel, taken: Sequence[tuple[int, Message]], height: int) -> bool:
        """Whether the next message of a channel are rows that can be joined to those that have been taken."""
        number, first = taken[0]
        following = channel.next_rows()
        return (
            following is not None
            and isinstance(first, Batch)
            and self.channels[number].input == channel.input
            and height + following.height <= self._limit_rows
            and following.frame.schema == first.frame.schema
        )

    @property
    def is_ready(self) -> bool:
        """Whether `take` has something."""
        return any(channel.is_ready for channel in self.channels)

    @property
    def has_rows_next(self) -> bool:
        """Whether `take` has rows."""
        for step in range(len(self.channels)):
            channel = self.channels[(self._next + step) % len(self.channels)]
            if channel.is_ready:
                return channel.next_rows() is not None
        return False

    def is_due(self, now_s: float, linger_s: float) -> bool:
        """Whether what waits should be taken now, although more may come that could be taken with it."""
        if not self.is_ready:
            return False
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s
        return now_s - self._waiting_since_s >= linger_s or 4 * max(c.rows for c in self.channels) >= 3 * self._limit_rows

    def release(self) -> None:
        """Lets all channels go on."""
        for channel in self.channels:
            channel.is_blocked = False


class Sender:
    """The sending end of a channel."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._waiting_bytes = 0

    @property
    def has_credit(self) -> bool:
        """Whether more should be sent."""
        return self._waiting_bytes < self._limit_bytes

    def credit(self, cost: int) -> None:
        """The receiver has taken so many bytes."""
        self._waiting_bytes -= cost

    def send(self, message: Message) -> None:
        """Sends a message, whether or not there is credit."""
        cost = 0
        if isinstance(message, Batch):
            cost = max(1, int(message.frame.estimated_size()))
            self._waiting_bytes += cost
        self._deliver(message, cost)

    def _deliver(self, message: Message, cost: int) -> None:
        raise AssertionError("a sender knows where it sends to")


class LocalSender(Sender):
    """To a vertex on the same worker: the queue itself."""

    def __init__(self, limit_bytes: int, gate: Gate, input: int) -> None:
        super().__init__(limit_bytes)
        self._channel = Channel(input, self.credit)
        gate.add(self._channel)

    def _deliver(self, message: Message, cost: int) -> None:
        self._channel.put(message, cost)


class RemoteSender(Sender):
    """To another process, over its link."""

    def __init__(self, limit_bytes: int, link: Link, job: int, channel: int) -> None:
        super().__init__(limit_bytes)
        self._link, self._job, self._number = link, job, channel

    def _deliver(self, message: Message, cost: int) -> None:
        if isinstance(message, Batch):
            self._link.send_batch(self._job, self._number, message, cost)
        else:
            self._link.send(ChannelMessage(self._job, self._number, message))


class ResultSender(Sender):
    """To the program that asked, in the same process."""

    def __init__(self, record: JobRecord) -> None:
        super().__init__(0)
        self._record = record

    @property
    def has_credit(self) -> bool:
        return self._record.has_room()

    def _deliver(self, message: Message, cost: int) -> None:
        if isinstance(message, Batch):
            self._record.put(message)


def remote_channel(input: int, link: Link, job: int, number: int) -> Channel:
    """The receiving end of a channel whose sender is another process."""
    return Channel(input, lambda cost: link.send_urgent(Credit(job, number, cost)))


def distribute(message: Message, kind: ExchangeKind, keys: Sequence[str], senders: Sequence[Sender]) -> None:
    """Sends a message along an edge: rows to the workers that they belong to, everything else to all of them."""
    if isinstance(message, Batch) and kind is ExchangeKind.HASH:
        for sender, part in zip(senders, split_by_key(message, keys, len(senders)), strict=True):
            if part is not None:
                sender.send(part)
    else:
        for sender in senders:
            sender.send(message)
