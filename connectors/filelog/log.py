"""`EventLog`: a directory of topics that many programs share. The public entry of the event log.

Imports connectors.filelog only.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from tableapi.connectors.filelog.config import TopicConfig
from tableapi.connectors.filelog.frame import HEADERS, KIND, TIMESTAMP, EncodedBatch, encode
from tableapi.connectors.filelog.partition import Partition
from tableapi.connectors.filelog.reader import PartitionReader, find_time, make_projection
from tableapi.connectors.filelog.recovery import create_segment
from tableapi.connectors.filelog.schema import (
    Evolution,
    SchemaMismatchError,
    TopicSchema,
    check_evolution,
    conform,
    make_schema,
)
from tableapi.connectors.filelog.segment import segment_bases
from tableapi.connectors.filelog.storage import OsStorage, Storage
from tableapi.connectors.filelog.topic import TopicInfo, check_name, load_topic, save_topic, topic_directory, topic_names
from tableapi.errors import AlreadyExistsError, ValidationError
from tableapi.row import RowKind
from tableapi.stable_hash import stable_hash
from tableapi.tablespec import RowSchema
from tableapi.types import DataType

Start = str | int | datetime | Mapping[int, int]
"""Where to read from (or to): `earliest`, `latest`, an offset, a time, or an offset per partition."""


_ROWS_WORTH_A_THREAD = 20_000


@dataclass(frozen=True)
class PartitionInfo:
    """How much a partition holds."""

    partition: int
    start_offset: int
    end_offset: int
    segments: int
    size_bytes: int


class EventLog:
    """A directory of event streams (topics).

    Args:
        path: The directory; made when absent, private to the user.
        storage: Another disk than the real one (tests).

    Any number of `EventLog` objects in any number of processes may use one directory.

    >>> import tempfile
    >>> from tableapi.types import DataTypes
    >>> log = EventLog(tempfile.mkdtemp())
    >>> _ = log.create("clicks", {"user": DataTypes.STRING(), "n": DataTypes.INT()}, key="user", partitions=2)
    >>> log.append("clicks", pl.DataFrame({"user": ["ada", "bob", "ada"], "n": [1, 2, 3]})).rows
    3
    >>> sorted(log.read("clicks", columns=["n"])["n"])
    [1, 2, 3]
    """

    def __init__(self, path: str | os.PathLike[str], storage: Storage | None = None) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self.storage = storage or OsStorage()
        self.storage.make_directory(f"{self.path}/topics")
        self._topics: dict[str, TopicInfo] = {}
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._guard = threading.RLock()
        self._round_robin = 0
        self.finish_transactions()

    def finish_transactions(self) -> None:
        """Applies transactions that were committed by processes that died before they could apply them."""
        if self.storage.list(f"{self.path}/pending"):
            from tableapi.connectors.filelog.transactions import finish_decided

            finish_decided(self)

    def create(
        self,
        topic: str,
        schema: Mapping[str, DataType] | RowSchema | TopicSchema | pl.DataFrame | Iterable[tuple[str, DataType]],
        *,
        key: str | Sequence[str] = (),
        event_time: str | None = None,
        partitions: int = 1,
        if_not_exists: bool = False,
        **config: Any,
    ) -> TopicInfo:
        """Makes a topic.

        Args:
            topic: Its name.
            schema: Columns and types, or a frame that has them.
            key: Columns whose values say the partition; events of a key stay in order.
            event_time: The column that holds the event's time.
            partitions: Their number, fixed for ever.
            if_not_exists: No error when the topic exists with the same columns.
            config: Settings, see `TopicConfig`.

        Raises:
            AlreadyExistsError: the name is taken.
            OptionError, ValidationError: wrong settings or schema.
        """
        check_name(topic)
        if not 1 <= partitions <= 10_000:
            raise ValidationError(f"a topic has 1 to 10,000 partitions, not {partitions}")
        made = schema if isinstance(schema, TopicSchema) else make_schema(schema, key, event_time)
        settings = TopicConfig().changed(config)
        if settings.cleanup == "compact" and not made.key:
            raise ValidationError(
                f"topic '{topic}' has no key, so it cannot be compacted", fix="give key columns, or cleanup='delete'"
            )
        with self.storage.lock(f"{self.path}/topics/.lock"):
            if topic in topic_names(self.storage, self.path):
                return self._existing(topic, made, if_not_exists)
            return self._create(topic, made, partitions, settings)

    def _existing(self, topic: str, schema: TopicSchema, if_not_exists: bool) -> TopicInfo:
        info = load_topic(self.storage, self.path, topic)
        if if_not_exists and info.schema.columns == schema.columns and info.schema.key == schema.key:
            return info
        reason = "with another schema" if if_not_exists else ""
        raise AlreadyExistsError(
            f"topic '{topic}' exists already {reason}".rstrip(),
            exists=f"columns: {info.schema.columns}",
            fix="delete it or take another name",
        )

    def _create(self, topic: str, schema: TopicSchema, partitions: int, config: TopicConfig) -> TopicInfo:
        identity = self.storage.random_id().to_bytes(8, "little") + self.storage.random_id().to_bytes(8, "little")
        info = TopicInfo(topic, identity, partitions, config, (schema,), self.storage.now_ms())
        directory = topic_directory(self.path, topic)
        for number in range(partitions):
            place = info.place(self.path, number)
            self.storage.make_directory(place.directory)
            create_segment(self.storage, place, 0, durable=config.durable)
        for parent in (directory, f"{self.path}/topics", self.path):
            self.storage.sync_directory(parent)
        save_topic(self.storage, self.path, info)
        return info

    def topics(self) -> list[str]:
        """Names of all topics."""
        return topic_names(self.storage, self.path)

    def describe(self, topic: str) -> TopicInfo:
        """What is registered of a topic, as it is now.

        Raises:
            UnknownNameError: there is none of that name.
        """
        info = load_topic(self.storage, self.path, topic)
        with self._guard:
            known = self._topics.get(topic)
            if known is not None and known.id != info.id:
                self._drop_partitions(topic)
            self._topics[topic] = info
            for (name, _), partition in self._partitions.items():
                if name == topic:
                    partition.config = info.config
        return info

    def partition_infos(self, topic: str) -> list[PartitionInfo]:
        """Offsets and sizes of a topic's partitions."""
        infos = []
        for number in range(self.topic(topic).partitions):
            partition = self.partition(topic, number)
            tail = partition.tail()
            bases = segment_bases(self.storage, partition.place)
            size = tail.end
            for base in bases:
                if base != tail.active_base:
                    file = self.storage.open(partition.place.segment(base))
                    size += file.size()
                    file.close()
            infos.append(PartitionInfo(number, partition.start_offset(), tail.next_offset, len(bases), size))
        return infos

    def alter(self, topic: str, **config: Any) -> TopicInfo:
        """Changes settings of a topic.

        Raises:
            OptionError: an unknown setting or value.
        """
        with self.storage.lock(f"{self.path}/topics/.lock"):
            info = load_topic(self.storage, self.path, topic)
            changed = dataclasses.replace(info, config=info.config.changed(config))
            if changed.config.cleanup == "compact" and not info.schema.key:
                raise ValidationError(f"topic '{topic}' has no key, so it cannot be compacted")
            save_topic(self.storage, self.path, changed)
        return self.describe(topic)

    def evolve(
        self,
        topic: str,
        columns: Mapping[str, DataType] | RowSchema | Iterable[tuple[str, DataType]],
        *,
        event_time: str | None = None,
    ) -> TopicInfo:
        """Registers a new version of a topic's schema; older events are read through it.

        Raises:
            SchemaEvolutionError: the topic's evolution mode does not allow it.
        """
        with self.storage.lock(f"{self.path}/topics/.lock"):
            info = load_topic(self.storage, self.path, topic)
            made = make_schema(columns, info.schema.key, event_time or info.schema.event_time)
            new = dataclasses.replace(made, version=len(info.schemas) + 1)
            check_evolution(info.schemas, new, Evolution(info.config.evolution), topic)
            save_topic(self.storage, self.path, dataclasses.replace(info, schemas=(*info.schemas, new)))
        return self.describe(topic)

    def delete(self, topic: str) -> None:
        """Removes a topic and its events. Open readers end with an error.

        Raises:
            UnknownNameError: there is none of that name.
        """
        with self.storage.lock(f"{self.path}/topics/.lock"):
            info = load_topic(self.storage, self.path, topic)
            trash = f"{self.path}/topics/.deleted-{info.id.hex()}"
            self.storage.rename(topic_directory(self.path, topic), trash)
            self.storage.sync_directory(f"{self.path}/topics")
            for name in self.storage.list(trash):
                for file in self.storage.list(f"{trash}/{name}") if name.isdigit() else []:
                    self.storage.remove(f"{trash}/{name}/{file}")
                if name.isdigit():
                    self.storage.remove_directory(f"{trash}/{name}")
                else:
                    self.storage.remove(f"{trash}/{name}")
            self.storage.remove_directory(trash)
        with self._guard:
            self._drop_partitions(topic)
            self._topics.pop(topic, None)

    def _drop_partitions(self, topic: str) -> None:
        for key in [k for k in self._partitions if k[0] == topic]:
            del self._partitions[key]

    def topic(self, topic: str) -> TopicInfo:
        """What is known of a topic; reads it only the first time (`describe` always does)."""
        return self._topics.get(topic) or self.describe(topic)

    def schema_of(self, topic: str, version: int | None = None) -> TopicSchema:
        """A version of a topic's schema (None: the newest known); looks on disk when it is newer than what is known."""
        info = self.topic(topic)
        if version is None:
            return info.schema
        if version > len(info.schemas):
            info = self.describe(topic)
        return info.schema_version(version)

    def partition(self, topic: str, number: int) -> Partition:
        """An open partition."""
        with self._guard:
            found = self._partitions.get((topic, number))
            if found is None:
                info = self.topic(topic)
                found = Partition(self.storage, info.place(self.path, number), info.config)
                self._partitions[topic, number] = found
            return found

    def append(
        self,
        topic: str,
        frame: pl.DataFrame,
        *,
        kinds: pl.Series | None = None,
        timestamps: pl.Series | None = None,
        headers: pl.Series | None = None,
        partition: int | None = None,
    ) -> Appended:
        """Appends rows; returns when they are as durable as the topic says.

        Rows go to the partition of their key; without key, each call goes to the next partition in turn. Per partition the
        order is kept.

        Args:
            topic: The topic.
            frame: Its columns, in any order; missing nullable ones become NULL.
            kinds: Row kinds (Int8); DELETE rows are tombstones of their keys. Needs a key.
            timestamps: Event times, when the topic has no event-time column.
            headers: List of `{key, value}` per row.
            partition: All rows to this one.

        Raises:
            SchemaMismatchError: rows do not fit; nothing was appended.
            LogIoError: the disk refused.
        """
        offsets: dict[int, int] = {}
        for number, batch in self.encode(
            topic, frame, kinds=kinds, timestamps=timestamps, headers=headers, partition=partition
        ):
            offset = self.partition(topic, number).append([batch])
            offsets.setdefault(number, offset)
        return Appended(frame.height, offsets)

    def encode(
        self,
        topic: str,
        frame: pl.DataFrame,
        *,
        kinds: pl.Series | None = None,
        timestamps: pl.Series | None = None,
        headers: pl.Series | None = None,
        partition: int | None = None,
    ) -> Iterator[tuple[int, EncodedBatch]]:
        """Checks all rows at once, then makes their frames one by one, with their partitions. Arguments and errors: see
        `append`."""
        info = self.topic(topic)
        tombstones = None
        if kinds is not None and not (kinds == RowKind.INSERT).all():
            if not info.schema.key:
                raise ValidationError(
                    f"topic '{topic}' has no key, so it cannot hold changes or deletions", fix="create it with a key"
                )
            tombstones = kinds == RowKind.DELETE
        checked = conform(frame, info.schema, topic, tombstones)
        hidden: list[pl.Series] = []
        if tombstones is not None:
            hidden.append(pl.Series(KIND, tombstones.cast(pl.Int8) * int(RowKind.DELETE), dtype=pl.Int8))
            values = [c for c in checked.columns if c not in info.schema.key]
            checked = checked.with_columns(pl.when(~tombstones).then(pl.col(c)).otherwise(None).alias(c) for c in values)
        if timestamps is not None:
            hidden.append(_milliseconds(timestamps).alias(TIMESTAMP))
        if headers is not None:
            hidden.append(headers.alias(HEADERS))
        whole = checked.with_columns(hidden) if hidden else checked
        parts = self._by_partition(info, checked, whole, partition)
        compression = None if info.config.compression == "none" else info.config.compression
        pieces = [(number, piece) for number, rows in parts for piece in _cut(rows, info.config.max_frame_bytes)]
        return _encode_ahead(pieces, info.schema, compression)

    def _by_partition(
        self, info: TopicInfo, keyed: pl.DataFrame, whole: pl.DataFrame, partition: int | None
    ) -> list[tuple[int, pl.DataFrame]]:
        if whole.height == 0:
            return []
        if partition is not None:
            info.place(self.path, partition)
            return [(partition, whole)]
        if info.partitions == 1:
            return [(0, whole)]
        if not info.schema.key:
            self._round_robin = (self._round_robin + 1) % info.partitions
            return [(self._round_robin, whole)]
        numbers = partition_of(keyed, info.schema.key, info.partitions)
        order = np.argsort(numbers, kind="stable")
        counts = np.bincount(numbers, minlength=info.partitions)
        rows = pl.Series(order.astype(np.uint32))
        # Column by column: few rows are not worth the threads that Polars gives to a frame.
        gathered = (
            pl.DataFrame([column[rows] for column in whole.get_columns()])
            if whole.height < _ROWS_WORTH_A_THREAD
            else whole[order]
        )
        ends = np.cumsum(counts)
        return [(int(p), gathered.slice(int(ends[p] - counts[p]), int(counts[p]))) for p in np.flatnonzero(counts)]

    def resolve(self, topic: str, position: Start, partition: int) -> int:
        """The offset that a position means in a partition, now."""
        opened = self.partition(topic, partition)
        if isinstance(position, Mapping):
            return int(position[partition]) if partition in position else self.resolve(topic, "earliest", partition)
        if isinstance(position, datetime):
            return find_time(opened, lambda v: self.schema_of(topic, v), epoch_ms(position))
        if isinstance(position, int):
            return position
        if position == "earliest":
            return opened.start_offset()
        if position == "latest":
            return opened.tail().next_offset
        raise ValidationError(f"'{position}' is no position in a log", exists="earliest, latest, an offset, a time")

    def reader(
        self,
        topic: str,
        partition: int,
        *,
        start: Start = "earliest",
        columns: Sequence[str] | None = None,
        metadata: Sequence[str] | dict[str, str] = (),
        schema_version: int | None = None,
    ) -> PartitionReader:
        """A reader of one partition.

        Args:
            start: Where it begins.
            columns: Columns wanted (None: all).
            metadata: Of `offset, partition, timestamp, append_time, headers, kind`; a dict renames them.
            schema_version: The version through which events are read (None: the newest).
        """
        info = self.topic(topic)
        schema = info.schema if schema_version is None else self.schema_of(topic, schema_version)
        projection = make_projection(schema, columns, metadata)
        offset = self.resolve(topic, start, partition)
        return PartitionReader(self.partition(topic, partition), lambda v: self.schema_of(topic, v), schema, projection, offset)

    def batches(
        self,
        topic: str,
        *,
        start: Start = "earliest",
        end: Start = "latest",
        partitions: Sequence[int] | None = None,
        columns: Sequence[str] | None = None,
        metadata: Sequence[str] | dict[str, str] = (),
        batch_rows: int = 65_536,
    ) -> Iterator[pl.DataFrame]:
        """The events between two positions (the end as of now), in frames of about `batch_rows`, partition after partition."""
        for number in range(self.topic(topic).partitions) if partitions is None else partitions:
            stop = self.resolve(topic, end, number)
            reader = self.reader(topic, number, start=start, columns=columns, metadata=metadata)
            while reader.offset < stop:
                frame = reader.read(batch_rows, stop)
                if frame is not None:
                    yield frame
            reader.close()

    def read(
        self,
        topic: str,
        *,
        start: Start = "earliest",
        end: Start = "latest",
        partitions: Sequence[int] | None = None,
        columns: Sequence[str] | None = None,
        metadata: Sequence[str] | dict[str, str] = (),
    ) -> pl.DataFrame:
        """All events between two positions as one frame, partition after partition. Arguments: see `reader`, `batches`."""
        frames = list(
            self.batches(
                topic,
                start=start,
                end=end,
                partitions=partitions,
                columns=columns,
                metadata=metadata,
                batch_rows=1_000_000,
            )
        )
        return pl.concat(frames) if frames else self.empty_frame(topic, columns, metadata)

    def empty_frame(
        self, topic: str, columns: Sequence[str] | None = None, metadata: Sequence[str] | dict[str, str] = ()
    ) -> pl.DataFrame:
        """A frame without rows that has the columns which a read would give."""
        from tableapi.connectors.filelog.reader import METADATA_TYPES

        schema = self.topic(topic).schema
        projection = make_projection(schema, columns, metadata)
        stored = schema.polars()
        return pl.DataFrame(
            schema={**{c: stored[c] for c in projection.columns}, **{n: METADATA_TYPES[k] for n, k in projection.metadata}}
        )

    def sync(self, topic: str) -> None:
        """Brings everything appended so far to stable storage, when the topic's durability is `batch`."""
        for number in range(self.topic(topic).partitions):
            self.partition(topic, number).sync()

    def close(self) -> None:
        """Closes all files; batched appends are synced."""
        with self._guard:
            for partition in self._partitions.values():
                partition.close()
            self._partitions.clear()
            self._topics.clear()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return (EventLog, (self.path,))


@dataclass(frozen=True)
class Appended:
    """What an append did: the number of rows, and the offset of the first one by partition."""

    rows: int
    offsets: Mapping[int, int]


def _encode_ahead(
    pieces: Sequence[tuple[int, pl.DataFrame]], schema: TopicSchema, compression: str | None
) -> Iterator[tuple[int, EncodedBatch]]:
    """Encodes each piece; the next large one in a thread, while the caller writes the one before."""
    if sum(piece.height for _, piece in pieces) < _ROWS_WORTH_A_THREAD or len(pieces) < 2:
        for number, piece in pieces:
            yield number, encode(piece, schema, compression)
        return
    with ThreadPoolExecutor(1, "filelog-encode") as pool:
        following = pool.submit(encode, pieces[0][1], schema, compression)
        for at, (number, _) in enumerate(pieces):
            batch = following.result()
            if at + 1 < len(pieces):
                following = pool.submit(encode, pieces[at + 1][1], schema, compression)
            yield number, batch


def partition_of(frame: pl.DataFrame, key: Sequence[str], partitions: int) -> np.ndarray:
    """The partition of each row: `stable_hash(key) mod partitions`."""
    return (stable_hash(frame, key) % np.uint64(partitions)).astype(np.uint16)


def epoch_ms(time: datetime) -> int:
    """Milliseconds since 1970; times without zone are UTC."""
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def _milliseconds(times: pl.Series) -> pl.Series:
    if times.dtype.is_integer():
        return times.cast(pl.Int64)
    if isinstance(times.dtype, pl.Datetime):
        return times.dt.epoch("ms")
    raise SchemaMismatchError(f"timestamps are of Polars type {times.dtype}", fix="give Datetime, or milliseconds as integers")


def _cut(rows: pl.DataFrame, max_bytes: int) -> list[pl.DataFrame]:
    size = int(rows.estimated_size())
    pieces = max(1, -(-size // max_bytes))
    step = -(-rows.height // pieces)
    return [rows] if pieces == 1 else [rows.slice(at, step) for at in range(0, rows.height, step)]
