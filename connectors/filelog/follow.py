"""Reading several partitions as they grow, and waiting for news without polling. Imports connectors.filelog only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from tableapi.connectors.filelog.log import EventLog, Start
from tableapi.connectors.filelog.reader import PartitionReader
from tableapi.connectors.filelog.watch import Watcher

CHECK_INTERVAL_S = 0.2
"""How often a waiting reader looks for what no file change announces: transactions and group members of dead processes."""

TopicPartition = tuple[str, int]


@dataclass(frozen=True)
class Batch:
    """Events of one partition, in order.

    Args:
        topic: Their topic.
        partition: Their partition.
        frame: The rows.
        next_offset: The offset after the last one.
    """

    topic: str
    partition: int
    frame: pl.DataFrame
    next_offset: int


class Follower:
    """Readers of several partitions, read in turn.

    Args:
        log: The log.
        columns: Columns wanted (None: all).
        metadata: Metadata wanted, see `EventLog.reader`.
        extra_paths: More files or directories whose change ends a wait.
    """

    def __init__(
        self,
        log: EventLog,
        *,
        columns: Sequence[str] | None = None,
        metadata: Sequence[str] | dict[str, str] = (),
        extra_paths: Sequence[str] = (),
    ) -> None:
        self._log, self._columns, self._metadata, self._extra = log, columns, metadata, tuple(extra_paths)
        self._readers: dict[TopicPartition, PartitionReader] = {}
        self._stops: dict[TopicPartition, int] = {}
        self._turn = 0
        self._watcher: Watcher | None = None
        self._is_stale = False

    def add(self, topic: str, partition: int, start: Start, stop: int | None = None) -> None:
        """Begins to read a partition; with `stop`, up to that offset."""
        key = (topic, partition)
        self._readers[key] = self._log.reader(topic, partition, start=start, columns=self._columns, metadata=self._metadata)
        if stop is not None:
            self._stops[key] = stop
        self._forget_watcher()

    def remove(self, topic: str, partition: int) -> None:
        """Ends reading a partition."""
        reader = self._readers.pop((topic, partition), None)
        if reader is not None:
            reader.close()
        self._stops.pop((topic, partition), None)
        self._forget_watcher()

    def _forget_watcher(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    @property
    def partitions(self) -> list[TopicPartition]:
        """What is being read."""
        return list(self._readers)

    def position(self, topic: str, partition: int) -> int:
        """The offset of the next event of a partition."""
        return self._readers[topic, partition].offset

    @property
    def finished(self) -> bool:
        """Whether every partition has reached its stop."""
        return all(key in self._stops and reader.offset >= self._stops[key] for key, reader in self._readers.items())

    def take(self, max_rows: int) -> Batch | None:
        """Events that are there now, from the next partition that has some."""
        keys = list(self._readers)
        for step in range(len(keys)):
            at = (self._turn + step) % len(keys)
            topic, number = keys[at]
            reader = self._readers[keys[at]]
            frame = reader.read(max_rows, self._stops.get(keys[at]))
            if frame is not None:
                self._turn = at + 1
                return Batch(topic, number, frame, reader.offset)
        return None

    def poll(self, timeout_s: float | None, max_rows: int = 65_536) -> Batch | None:
        """Events that are there now, or the first that arrive; None when none do in time, or all partitions have reached
        their stops.

        Args:
            timeout_s: How long to wait; None: for ever.
            max_rows: At most so many.
        """
        clock = self._log.storage.monotonic
        deadline = None if timeout_s is None else clock() + timeout_s
        while True:
            self.prepare_wait()
            found = self.take(max_rows)
            if found is not None or self.finished:
                return found
            rest = None if deadline is None else deadline - clock()
            if rest is not None and rest <= 0:
                return None
            self.wait(rest)

    def prepare_wait(self) -> None:
        """To be called before looking for data: changes from now on end the next `wait`."""
        if self._watcher is None:
            paths = [self._log.partition(*key).place.path("state") for key in self._readers]
            for key in self._readers:
                self._log.partition(*key).tail()
            self._watcher = Watcher([*paths, *self._extra])
        self._watcher.drain()

    def prepare_wait_if_new(self) -> None:
        """Watches again after partitions were added or removed; the next `wait` then returns at once, so that nothing is
        missed."""
        if self._watcher is None:
            self.prepare_wait()
            self._is_stale = True

    def wait(self, timeout_s: float | None) -> None:
        """Returns when something may have changed, at the latest after a moment."""
        assert self._watcher is not None
        if self._is_stale:
            self._is_stale = False
            return
        self._watcher.wait(CHECK_INTERVAL_S if timeout_s is None else min(timeout_s, CHECK_INTERVAL_S))
        self._log.finish_transactions()

    def close(self) -> None:
        """Closes all readers."""
        for key in self.partitions:
            self.remove(*key)
        self._forget_watcher()


def follow(
    log: EventLog,
    topic: str,
    *,
    start: Start = "earliest",
    end: Start | None = None,
    partitions: Sequence[int] | None = None,
    columns: Sequence[str] | None = None,
    metadata: Sequence[str] | dict[str, str] = (),
    max_rows: int = 65_536,
    timeout_s: float | None = None,
) -> Iterator[Batch]:
    """Batches of a topic's events as they arrive.

    Args:
        start: Where each partition begins.
        end: Where it ends; None: never.
        timeout_s: Ends when nothing has arrived for so long; None: waits for ever.
    """
    follower = Follower(log, columns=columns, metadata=metadata)
    try:
        for number in range(log.topic(topic).partitions) if partitions is None else partitions:
            follower.add(topic, number, start, None if end is None else log.resolve(topic, end, number))
        while (batch := follower.poll(timeout_s, max_rows)) is not None:
            yield batch
    finally:
        follower.close()
