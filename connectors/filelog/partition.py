"""One partition: appending under its lock, and knowing where it ends.

Any number of processes may hold the same partition open. Writers take the partition's lock for each append; readers take none.
Imports connectors.filelog only.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tableapi.connectors.filelog import index as ix
from tableapi.connectors.filelog.config import TopicConfig
from tableapi.connectors.filelog.errors import LogIoError, PoisonedSegmentError, TopicDeletedError, io_errors
from tableapi.connectors.filelog.frame import NO_PRODUCER, SEGMENT_HEADER_SIZE, EncodedBatch, FrameHeader
from tableapi.connectors.filelog.index import Entry
from tableapi.connectors.filelog.producers import ProducerTable
from tableapi.connectors.filelog.recovery import create_segment, recover, valid_frame
from tableapi.connectors.filelog.retention import retain
from tableapi.connectors.filelog.segment import Place, Segment, segment_bases
from tableapi.connectors.filelog.storage import File, Storage
from tableapi.connectors.filelog.tail import HAS_PRODUCERS, POISONED, SLOT_SIZE, Tail, pack_slot, unpack_page

Producer = tuple[int, int, int]
"""Producer id, epoch, first sequence number."""


class Partition:
    """An open partition.

    Args:
        storage: Where it is.
        place: Which one it is.
        config: Settings of its topic.
    """

    def __init__(self, storage: Storage, place: Place, config: TopicConfig) -> None:
        self.storage, self.place, self.config = storage, place, config
        self._boot = storage.boot_id()
        self._lock_identity: tuple[int, int] | None = None
        self._state: File | None = None
        self._active: tuple[int, File] | None = None
        self._index: _IndexWriter | None = None
        self._table: tuple[int, int, ProducerTable] | None = None

    def tail(self) -> Tail:
        """Where the log ends now.

        Raises:
            CorruptionError: it had to be found anew, and synced data is damaged.
        """
        found = self._read_page()
        if found is None:
            with self.locked() as found:
                pass
        return found

    def _read_page(self) -> Tail | None:
        if self._state is None:
            try:
                with io_errors(f"{self.place}: file {self.place.path('state')}"):
                    self._state = self.storage.open(self.place.path("state"), create=True, writable=True)
            except LogIoError as error:
                raise (self._deleted() if isinstance(error.__cause__, FileNotFoundError) else error) from None
        return unpack_page(self._state.pread(2 * SLOT_SIZE, 0), self._boot, self.place.tag)

    def peek(self) -> Tail | None:
        """The state page as it is; None when it is not to be believed. Changes nothing."""
        return self._read_page()

    def repair(self, rewrite: Callable[[], None]) -> None:
        """Lets `rewrite` change the files under the lock, then finds the end of the log anew."""
        with self.storage.lock(self.place.path("lock")):
            rewrite()
            self._forget()
            tail = recover(self.storage, self.place, self.start_offset(), durable=self.config.durable)
            self._publish(tail, first=True)

    def _deleted(self) -> TopicDeletedError:
        return TopicDeletedError(
            f"{self.place}: the topic was deleted while it was open", fix="create it again and open it anew"
        )

    @contextlib.contextmanager
    def locked(self) -> Iterator[Tail]:
        """Holds the partition's lock; gives the true end of the log."""
        lock = self.storage.lock(self.place.path("lock"))
        try:
            with io_errors(f"{self.place}: taking the lock"):
                handle = lock.__enter__()
        except LogIoError as error:
            raise (self._deleted() if isinstance(error.__cause__, FileNotFoundError) else error) from None
        try:
            identity = handle.identity()
            if self._lock_identity not in (None, identity):
                raise self._deleted()
            self._lock_identity = identity
            yield self._true_tail()
        finally:
            lock.__exit__(None, None, None)

    def _true_tail(self) -> Tail:
        tail = self._read_page()
        if tail is None:
            self._forget()
            with io_errors(f"{self.place}: finding the end of the log"):
                tail = recover(self.storage, self.place, self.start_offset(), durable=self.config.durable)
            return self._publish(tail, first=True)
        with io_errors(f"{self.place}: segment {tail.active_base}"):
            file = self._active_file(tail)
            size = file.size()
        if size < tail.end:
            raise self.place.corrupt(
                f"the segment has {size} bytes where {tail.end} were written", file.path, size, tail.next_offset
            )
        return tail if size == tail.end else self._adopt(tail, file, size)

    def _forget(self) -> None:
        self._active = self._index = self._table = None

    def _adopt(self, tail: Tail, file: File, size: int) -> Tail:
        """Takes in whole frames that a writer wrote before it died, and cuts what it began."""
        segment = Segment(file, self.place, tail.active_base)
        end, offset, flags, append_ms = tail.end, tail.next_offset, tail.flags, tail.append_ms
        while not tail.poisoned:
            header = valid_frame(segment, end, size)
            if header is None or header.base_offset != offset:
                break
            end, offset, append_ms = end + header.size, header.end_offset, header.append_time_ms
            flags |= HAS_PRODUCERS if header.producer_id != NO_PRODUCER else 0
        with io_errors(f"{self.place}: cutting a torn tail of {file.path} at {end}"):
            if end < size:
                file.truncate(end)
        return self._publish(dataclasses.replace(tail, end=end, next_offset=offset, flags=flags, append_ms=append_ms))

    def _publish(self, tail: Tail, *, first: bool = False) -> Tail:
        """Moves the end of the log: from here on readers see it."""
        tail = dataclasses.replace(tail, counter=1 if first else tail.counter + 1)
        slot = pack_slot(tail, self._boot, self.place.tag)
        assert self._state is not None
        with io_errors(f"{self.place}: file {self._state.path}"):
            if first:
                self._state.pwrite([bytes(SLOT_SIZE), slot], 0)
            else:
                self._state.pwrite([slot], (tail.counter & 1) * SLOT_SIZE)
        return tail

    def _active_file(self, tail: Tail) -> File:
        if self._active is None or self._active[0] != tail.active_base:
            path = self.place.segment(tail.active_base)
            try:
                self._active = (tail.active_base, self.storage.open(path, writable=True))
            except FileNotFoundError:
                raise self.place.corrupt("the last segment is gone", path, 0, tail.active_base) from None
            self._index = None
        return self._active[1]

    def start_offset(self) -> int:
        """The first offset that retention has left."""
        try:
            return int(self.storage.read_file(self.place.path("start")))
        except (FileNotFoundError, ValueError):
            return 0

    def append(
        self,
        batches: Sequence[EncodedBatch],
        producer: Producer | None = None,
        flags: int = 0,
        guard: Callable[[], None] | None = None,
    ) -> int:
        """Appends batches one after the other; returns when they are as durable as the topic says.

        Args:
            batches: Encoded by `frame.encode`.
            producer: Identity and first sequence number of an idempotent producer.
            flags: Extra frame flags.
            guard: Called under the lock before anything is written; raises to refuse (fencing).

        Returns:
            The offset of the first row; when the producer had already appended these batches, the offset they have.

        Raises:
            FencedError, OutOfOrderSequenceError: see `producers.py`.
            LogIoError: the disk refused; nothing was acknowledged.
            PoisonedSegmentError: an earlier fsync has failed.
        """
        with self.locked() as tail:
            if tail.poisoned:
                raise self._poisoned(tail)
            if guard is not None:
                guard()
            first: int | None = None
            sequence = producer[2] if producer else 0
            run: list[tuple[FrameHeader, EncodedBatch]] = []
            end, offset = tail.end, tail.next_offset
            for batch in batches:
                identity = (producer[0], producer[1], sequence) if producer else (NO_PRODUCER, 0, 0)
                sequence += batch.count
                if producer:
                    known = self._producers(tail).find_duplicate(identity, batch.count, str(self.place)) if not run else None
                    if known is not None:
                        first = known if first is None else first
                        continue
                if self._must_roll(tail, end, batch.size):
                    tail = self._roll(self._write(tail, run))
                    run, end = [], tail.end
                now_ms = max(self.storage.now_ms(), tail.append_ms)
                header = batch.header(offset, now_ms, self.place.tag, tail.synced, identity)
                if flags:
                    header = dataclasses.replace(header, flags=header.flags | flags)
                run.append((header, batch))
                first = offset if first is None else first
                end, offset = end + batch.size, offset + batch.count
            self._write(tail, run)
            return tail.next_offset if first is None else first

    def _poisoned(self, tail: Tail) -> PoisonedSegmentError:
        return PoisonedSegmentError(
            f"{self.place}: an fsync of {self.place.segment(tail.active_base)} failed; bytes after {tail.synced} may be lost",
            fix=f"`tableapi log verify {self.place.topic} --repair` writes what can still be read to a new file",
        )

    def _must_roll(self, tail: Tail, end: int, size: int) -> bool:
        if end <= SEGMENT_HEADER_SIZE:
            return False
        age_ms = self.storage.now_ms() - tail.created_ms
        return end + size > self.config.segment_bytes or (0 < self.config.segment_ms <= age_ms)

    def _write(self, tail: Tail, run: Sequence[tuple[FrameHeader, EncodedBatch]]) -> Tail:
        """Writes frames at the end, syncs as the topic says, and publishes them."""
        if not run:
            return tail
        file = self._active_file(tail)
        buffers: list[Any] = [buffer for header, batch in run for buffer in batch.buffers(header)]
        try:
            with io_errors(f"{self.place}: file {file.path}, position {tail.end}, offset {tail.next_offset}"):
                file.pwrite(buffers, tail.end)
        except LogIoError:
            with contextlib.suppress(OSError):
                file.truncate(tail.end)
            raise
        last = run[-1][0]
        written = sum(h.size for h, _ in run)
        flags = tail.flags | (HAS_PRODUCERS if last.producer_id != NO_PRODUCER else 0)
        after = dataclasses.replace(
            tail, end=tail.end + written, next_offset=last.end_offset, append_ms=last.append_time_ms, flags=flags
        )
        if self._must_sync(after):
            after = self._sync(tail, after, file)
        after = self._publish(after)
        self._note(tail, after, [h for h, _ in run])
        return after

    def _must_sync(self, tail: Tail) -> bool:
        if self.config.durability == "batch":
            return self.storage.now_ms() - tail.synced_ms >= self.config.fsync_interval_ms
        return self.config.durability == "ack"

    def _sync(self, before: Tail, after: Tail, file: File) -> Tail:
        try:
            file.sync()
        except OSError as error:
            self._publish(dataclasses.replace(before, flags=before.flags | POISONED))
            raise self._poisoned(before) from error
        return dataclasses.replace(after, synced=after.end, synced_ms=self.storage.now_ms())

    def sync(self) -> None:
        """Brings everything appended so far to stable storage (unless the topic's durability is `none`)."""
        if not self.config.durable:
            return
        with self.locked() as tail:
            if tail.poisoned:
                raise self._poisoned(tail)
            if tail.synced < tail.end:
                self._publish(self._sync(tail, tail, self._active_file(tail)))

    def roll(self) -> None:
        """Begins a new segment, so that everything before may be compacted or deleted."""
        with self.locked() as tail:
            if tail.end > SEGMENT_HEADER_SIZE:
                self._roll(tail)

    def _roll(self, tail: Tail) -> Tail:
        """Seals the last segment and begins a new one."""
        if tail.poisoned:
            raise self._poisoned(tail)
        base = tail.next_offset
        with io_errors(f"{self.place}: beginning segment {base}"):
            if self.config.durable and tail.synced < tail.end:
                self._sync(tail, tail, self._active_file(tail))
            if tail.flags & HAS_PRODUCERS:
                snapshot = self._producers(tail).to_bytes(self.storage.now_ms())
                self.storage.write_file(self.place.producers(base), snapshot, durable=self.config.durable)
            self._indexer(tail).seal(tail)
            created_ms = create_segment(self.storage, self.place, base, durable=self.config.durable)
        synced = SEGMENT_HEADER_SIZE if self.config.durable else 0
        rolled = dataclasses.replace(
            tail,
            active_base=base,
            end=SEGMENT_HEADER_SIZE,
            synced=synced,
            synced_ms=self.storage.now_ms(),
            created_ms=created_ms,
        )
        if self._table is not None:
            self._table = (base, SEGMENT_HEADER_SIZE, self._table[2])
        rolled = self._publish(rolled)
        with contextlib.suppress(LogIoError):
            retain(self, rolled)
        return rolled

    def _note(self, before: Tail, after: Tail, headers: Sequence[FrameHeader]) -> None:
        """Keeps the index and the producer table in step with frames that this process wrote."""
        indexer = self._indexer(before)
        position = before.end
        for header in headers:
            indexer.note(header, position)
            position += header.size
        if self._table is not None:
            base, end, table = self._table
            if (base, end) == (before.active_base, before.end):
                for header in headers:
                    table.note(header)
                self._table = (after.active_base, after.end, table)

    def _indexer(self, tail: Tail) -> _IndexWriter:
        if self._index is None or self._index.base != tail.active_base or self._index.end != tail.end:
            self._index = _IndexWriter(self.storage, Segment(self._active_file(tail), self.place, tail.active_base), tail.end)
        return self._index

    def _producers(self, tail: Tail) -> ProducerTable:
        """The producer table as of `tail`, read from the last snapshot and the headers after it."""
        if self._table is not None and self._table[0] == tail.active_base:
            base, end, table = self._table
        else:
            base, end, table = self._load_snapshot(tail)
        if tail.flags & HAS_PRODUCERS and (base, end) != (tail.active_base, tail.end):
            for segment_base in segment_bases(self.storage, self.place):
                if base <= segment_base <= tail.active_base:
                    self._scan_producers(segment_base, end if segment_base == base else SEGMENT_HEADER_SIZE, tail, table)
        self._table = (tail.active_base, tail.end, table)
        return table

    def _load_snapshot(self, tail: Tail) -> tuple[int, int, ProducerTable]:
        bases = segment_bases(self.storage, self.place)
        for base in reversed(bases if tail.flags & HAS_PRODUCERS else []):
            with contextlib.suppress(FileNotFoundError):
                table = ProducerTable.from_bytes(self.storage.read_file(self.place.producers(base)))
                if table is not None:
                    return base, SEGMENT_HEADER_SIZE, table
        return (bases[0] if bases else tail.active_base), SEGMENT_HEADER_SIZE, ProducerTable()

    def _scan_producers(self, base: int, position: int, tail: Tail, table: ProducerTable) -> None:
        segment = Segment(self.storage.open(self.place.segment(base)), self.place, base)
        limit = tail.end if base == tail.active_base else segment.file.size()
        for _, header in segment.headers(position, limit):
            table.note(header)
        segment.close()

    def close(self) -> None:
        """Closes the files; what was appended under durability `batch` is synced."""
        if self.config.durability == "batch" and self._active is not None:
            self.sync()
        for file in (self._state, self._active[1] if self._active else None):
            if file is not None:
                file.close()
        self._state = None
        self._forget()


class _IndexWriter:
    """Appends to the index of the active segment. The index is disposable, so its own failures never fail an append."""

    def __init__(self, storage: Storage, segment: Segment, end: int) -> None:
        self.base, self.end = segment.base, end
        self._storage, self._place = storage, segment.place
        self._latest = ix.NO_TIMESTAMP
        self._last = -ix.INTERVAL_BYTES
        try:
            entries = ix.unpack_entries(storage.read_file(self._place.index(segment.base)))
        except OSError:
            entries = None
        position, offset = SEGMENT_HEADER_SIZE, segment.base
        if entries and entries[-1].position <= end:
            position, offset = entries[-1].position, entries[-1].offset
            self._latest, self._last = entries[-1].max_timestamp_ms, position
        else:
            self._put(Entry(segment.base, SEGMENT_HEADER_SIZE, ix.NO_TIMESTAMP), 0)
            self._last = SEGMENT_HEADER_SIZE
        for _, header in segment.headers(position, end, offset):
            self._latest = max(self._latest, header.max_timestamp_ms)

    def note(self, header: FrameHeader, position: int) -> None:
        """Takes in a frame that was written at `position`."""
        if position - self._last >= ix.INTERVAL_BYTES:
            self._put(Entry(header.base_offset, position, self._latest))
            self._last = position
        self._latest = max(self._latest, header.max_timestamp_ms)
        self.end = position + header.size

    def seal(self, tail: Tail) -> None:
        """Notes the end of the segment."""
        if tail.end > self._last:
            self._put(Entry(tail.next_offset, tail.end, self._latest))

    def _put(self, entry: Entry, at: int | None = None) -> None:
        with contextlib.suppress(OSError):
            file = self._storage.open(self._place.index(self.base), create=True, writable=True)
            try:
                size = file.size()
                position = size - size % ix.ENTRY_SIZE if at is None else at
                if position < size:
                    file.truncate(position)
                file.pwrite([ix.pack_entry(entry)], position)
            finally:
                file.close()
