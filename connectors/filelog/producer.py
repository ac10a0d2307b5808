"""Producers: batching with linger, retries that never duplicate, fencing of a producer that another one has replaced.

Imports connectors.filelog only.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from tableapi.connectors.filelog.errors import FencedError, LogIoError
from tableapi.connectors.filelog.frame import EncodedBatch
from tableapi.connectors.filelog.log import Appended, EventLog
from tableapi.connectors.filelog.schema import SchemaMismatchError
from tableapi.connectors.filelog.topic import check_name
from tableapi.errors import StreamClosedError

RowValue = Mapping[str, Any] | Sequence[Any]


class Producer:
    """Writes events to topics of a log, one at a time or in frames.

    Single events are gathered and written when `batch_rows` are there, when the oldest has waited for `linger_ms`, or on
    `flush`. After a refused write the same batch is tried again under the same sequence number, so that it is in the log once.

    Args:
        log: The log.
        name: With a name, a producer that starts later under it fences this one off. Without, it is its own.
        linger_ms: How long a single event may wait for company.
        batch_rows: How many make a batch.
        retries: How often a refused write is tried again.

    >>> import tempfile
    >>> from tableapi.types import DataTypes
    >>> log = EventLog(tempfile.mkdtemp())
    >>> _ = log.create("t", {"n": DataTypes.INT(), "s": DataTypes.STRING()})
    >>> with Producer(log) as producer:
    ...     producer.send("t", {"n": 1, "s": "a"})
    ...     producer.send("t", (2, "b"))
    >>> log.read("t")["n"].to_list()
    [1, 2]
    """

    def __init__(
        self,
        log: EventLog,
        name: str | None = None,
        *,
        linger_ms: float = 5.0,
        batch_rows: int = 8192,
        retries: int = 3,
    ) -> None:
        self._log, self._name = log, name
        self._linger_s, self._batch_rows, self._retries = linger_ms / 1000, batch_rows, retries
        self.id, self.epoch = _register(log, name)
        self._sequences: dict[tuple[str, int], int] = {}
        self._rows: dict[str, list[RowValue]] = {}
        self._unsent: list[tuple[str, int, EncodedBatch]] = []
        self._oldest: float | None = None
        self._guard = threading.RLock()
        self._wake = threading.Condition(self._guard)
        self._flusher: threading.Thread | None = None
        self._failure: Exception | None = None
        self._closed = False

    def send(self, topic: str, row: RowValue) -> None:
        """Takes one event: a mapping of column names, or the values in the order of the columns.

        Raises:
            SchemaMismatchError, LogIoError, FencedError: an earlier event that lingered could not be written.
        """
        with self._guard:
            if self._failure is not None or self._closed:
                self._raise_failure()
            rows = self._rows.get(topic)
            if rows is None:
                rows = self._rows[topic] = []
            rows.append(row)
            if len(rows) >= self._batch_rows:
                self._flush_rows()
            elif self._oldest is None:
                self._oldest = self._log.storage.monotonic()
                self._start_flusher()

    def append(self, topic: str, frame: pl.DataFrame, **arguments: Any) -> Appended:
        """Writes rows at once. Arguments and errors: see `EventLog.append`."""
        with self._guard:
            self._raise_failure()
            self._flush_rows()
            return self._append(topic, frame, **arguments)

    def flush(self) -> None:
        """Returns when everything sent is in the log, as durable as its topics say."""
        with self._guard:
            self._raise_failure()
            self._flush_rows()

    def _flush_rows(self) -> None:
        self._send_unsent()
        rows, self._rows, self._oldest = self._rows, {}, None
        for topic, pending in rows.items():
            self._append(topic, rows_to_frame(self._log, topic, pending))

    def _append(self, topic: str, frame: pl.DataFrame, **arguments: Any) -> Appended:
        self._send_unsent()
        offsets: dict[int, int] = {}
        for number, batch in self._log.encode(topic, frame, **arguments):
            self._unsent.append((topic, number, batch))
            offset = self._send_unsent()
            offsets.setdefault(number, offset)
        return Appended(frame.height, offsets)

    def _send_unsent(self) -> int:
        """Writes the batch that is under way, if any. It stays under way until it is known to be in the log."""
        offset = -1
        while self._unsent:
            topic, number, batch = self._unsent[0]
            sequence = self._sequences.get((topic, number), 0)
            offset = self._attempt(lambda t=topic, n=number, b=batch, s=sequence: self._write(t, n, b, s))  # type: ignore[misc]
            self._sequences[topic, number] = sequence + batch.count
            self._unsent.pop(0)
        return offset

    def _write(self, topic: str, number: int, batch: EncodedBatch, sequence: int) -> int:
        partition = self._log.partition(topic, number)
        return partition.append([batch], (self.id, self.epoch, sequence), guard=self._check_epoch if self._name else None)

    def _attempt(self, write: Callable[[], int]) -> int:
        for attempt in range(self._retries + 1):
            try:
                return write()
            except LogIoError:
                if attempt == self._retries:
                    raise
                self._log.storage.sleep(0.001 * 4**attempt)
        raise AssertionError("unreachable")

    def _check_epoch(self) -> None:
        assert self._name is not None
        current = _read_registration(self._log, self._name)
        if current != (self.id, self.epoch):
            raise FencedError(
                f"producer '{self._name}' (epoch {self.epoch}) was replaced by a newer one (epoch {current[1]})",
                fix="end this process; use another name for a producer that runs beside it",
            )

    def _raise_failure(self) -> None:
        if self._closed:
            raise StreamClosedError("the producer is closed", fix="make a new one")
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _start_flusher(self) -> None:
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._linger, name="filelog-linger", daemon=True)
            self._flusher.start()
        else:
            self._wake.notify()

    def _linger(self) -> None:
        with self._guard:
            while not self._closed:
                if self._oldest is None:
                    self._wake.wait()
                    continue
                rest = self._oldest + self._linger_s - self._log.storage.monotonic()
                if rest > 0:
                    self._wake.wait(rest)
                    continue
                try:
                    self._flush_rows()
                except Exception as error:  # noqa: BLE001 - handed to the next caller
                    self._failure, self._oldest = error, None

    def close(self) -> None:
        """Writes what was sent, and ends."""
        with self._guard:
            if self._closed:
                return
            try:
                self.flush()
            finally:
                self._closed = True
                self._wake.notify_all()
        if self._flusher is not None and self._flusher is not threading.current_thread():
            self._flusher.join()

    def __enter__(self) -> Producer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
            return
        with self._guard:
            self._closed = True
            self._wake.notify_all()


def rows_to_frame(log: EventLog, topic: str, rows: Sequence[RowValue]) -> pl.DataFrame:
    """Single events as a frame.

    Raises:
        SchemaMismatchError: a value has a wrong type, a name is unknown, or a row has too many or too few values.
    """
    schema = log.schema_of(topic)
    types = schema.polars()
    names = list(types)
    values = [_values(row, names, topic) for row in rows]
    try:
        columns = zip(*values, strict=True)
        return pl.DataFrame([pl.Series(n, c, dtype=t) for (n, t), c in zip(types.items(), columns, strict=True)])
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise SchemaMismatchError(f"topic '{topic}': {str(error).splitlines()[0]}; nothing was appended") from None


def _values(row: RowValue, names: Sequence[str], topic: str) -> Sequence[Any]:
    if not isinstance(row, Mapping):
        if len(row) != len(names):
            raise SchemaMismatchError(f"topic '{topic}': a row has {len(row)} values, not {len(names)}; nothing was appended")
        return row
    known = set(names)
    if not row.keys() <= known:
        unknown = min(row.keys() - known)
        raise SchemaMismatchError(
            f"topic '{topic}' has no column '{unknown}'; nothing was appended", exists=f"columns: {', '.join(names)}"
        )
    return [row.get(name) for name in names]


def _register(log: EventLog, name: str | None) -> tuple[int, int]:
    """A new producer id, or the named one's with the next epoch."""
    if name is None:
        return log.storage.random_id(), 0
    check_name(name, "producer")
    directory = f"{log.path}/producers"
    log.storage.make_directory(directory)
    with log.storage.lock(f"{directory}/{name}.lock"):
        path = f"{directory}/{name}.json"
        identity, epoch = log.storage.random_id(), 0
        if log.storage.exists(path):
            identity, epoch = _read_registration(log, name)
            epoch += 1
        log.storage.write_file(path, json.dumps({"id": identity, "epoch": epoch}).encode(), durable=True)
    return identity, epoch


def _read_registration(log: EventLog, name: str) -> tuple[int, int]:
    value = json.loads(log.storage.read_file(f"{log.path}/producers/{name}.json"))
    return value["id"], value["epoch"]
