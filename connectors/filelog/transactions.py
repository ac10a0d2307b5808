"""Transactions: events of many partitions and topics that appear together or not at all.

What a transaction writes waits in files of its own, outside the log. Committing writes one decision file; from then on the
transaction is
applied: its frames are appended to their partitions, under a producer id of its own, so that applying twice changes nothing.
Whoever opens
the log finishes what a dead process decided. Readers therefore never meet uncommitted events: every read is `read_committed`.
Imports connectors.filelog only.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tableapi.connectors.filelog.crc import crc32
from tableapi.connectors.filelog.errors import FencedError, LogIoError, TransactionError, io_errors
from tableapi.connectors.filelog.frame import FLAG_TRANSACTIONAL, HEADER_SIZE, FrameHeader, from_staged, staged_header
from tableapi.connectors.filelog.log import EventLog
from tableapi.connectors.filelog.storage import File
from tableapi.connectors.filelog.topic import check_name
from tableapi.errors import CorruptionError, TableApiError

PREPARED_EXPIRY_MS = 7 * 24 * 3_600_000
REMEMBERED_OUTCOMES = 64


@dataclass(frozen=True)
class Prepared:
    """A transaction that is written and can be committed or aborted by anyone, in any process. Plain data."""

    transactional_id: str
    epoch: int
    number: int

    @property
    def name(self) -> str:
        """Its directory and decision file."""
        return f"{self.epoch}-{self.number}"


@dataclass
class _State:
    """What is kept of a transactional id."""

    epoch: int = 0
    outcomes: dict[str, str] = field(default_factory=dict)


class TransactionalProducer:
    """Writes transactions under a lasting name.

    Args:
        log: The log.
        transactional_id: The name. A producer that starts later under it fences this one off and drops what it left unfinished.

    >>> import tempfile
    >>> from tableapi.types import DataTypes
    >>> log = EventLog(tempfile.mkdtemp())
    >>> _ = log.create("t", {"n": DataTypes.INT()})
    >>> producer = TransactionalProducer(log, "copier")
    >>> producer.begin()
    >>> producer.append("t", pl.DataFrame({"n": [1, 2]}))
    >>> log.read("t").height
    0
    >>> producer.commit()
    >>> log.read("t").height
    2
    """

    def __init__(self, log: EventLog, transactional_id: str) -> None:
        self._log, self.transactional_id = log, check_name(transactional_id, "transaction")
        self._number = 0
        self._files: dict[tuple[str, int], tuple[File, int]] | None = None
        self._group_offsets: dict[str, dict[str, dict[int, int]]] = {}
        log.storage.make_directory(_directory(log, transactional_id))
        log.storage.make_directory(f"{log.path}/pending")
        with _locked(log, transactional_id):
            state = _load_state(log, transactional_id)
            self.epoch = state.epoch = state.epoch + 1
            _save_state(log, transactional_id, state)
            _finish_decided(log, transactional_id)
            _drop_unfinished(log, transactional_id, self.epoch)

    @property
    def _current(self) -> Prepared:
        return Prepared(self.transactional_id, self.epoch, self._number)

    def begin(self) -> None:
        """Begins a transaction.

        Raises:
            TransactionError: one is open already.
            FencedError: a newer producer has taken the name.
        """
        if self._files is not None:
            raise TransactionError(f"transaction '{self.transactional_id}' is open already", fix="commit or abort it first")
        self._number += 1
        self._files, self._group_offsets = {}, {}
        with _locked(self._log, self.transactional_id):
            self._check_epoch()
            self._log.storage.make_directory(_staging(self._log, self._current))

    def append(self, topic: str, frame: pl.DataFrame, **arguments: Any) -> None:
        """Adds rows to the transaction. Arguments and errors: see `EventLog.append`."""
        files = self._open_files()
        batches = list(self._log.encode(topic, frame, **arguments))
        for number, batch in batches:
            file, size = files.get((topic, number)) or (self._open(topic, number), 0)
            header = staged_header(batch, self._log.partition(topic, number).place.tag)
            with io_errors(f"transaction '{self.transactional_id}', file {file.path}, position {size}"):
                size += file.pwrite(batch.buffers(header), size)
            files[topic, number] = (file, size)

    def _open(self, topic: str, number: int) -> File:
        path = f"{_staging(self._log, self._current)}/{topic}@{number}"
        try:
            with io_errors(f"transaction '{self.transactional_id}', file {path}"):
                return self._log.storage.open(path, create=True, writable=True)
        except Exception:
            with _locked(self._log, self.transactional_id):
                self._check_epoch()
            raise

    def commit_offsets(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Makes the group's committed offsets part of the transaction: they move when it commits, and only then."""
        self._open_files()
        self._group_offsets.setdefault(group, {}).setdefault(topic, {}).update(offsets)

    def _open_files(self) -> dict[tuple[str, int], tuple[File, int]]:
        if self._files is None:
            raise TransactionError(f"transaction '{self.transactional_id}' is not open", fix="call begin() first")
        return self._files

    def prepare(self, *, _is_decided: bool = False) -> Prepared:
        """Ends writing: from now on the transaction survives this process, until someone commits or aborts it.

        Raises:
            FencedError: a newer producer has taken the name.
            LogIoError: the disk refused; the transaction is dropped.
        """
        files = self._open_files()
        durable = any(self._log.topic(topic).config.durable for topic, _ in files)
        manifest: dict[str, Any] = {
            "producer_id": self._log.storage.random_id(),
            "prepared_ms": self._log.storage.now_ms(),
            "files": [[topic, number, size] for (topic, number), (_, size) in files.items()],
            "group_offsets": self._group_offsets,
            "durable": durable,
            "waits": not _is_decided,
        }
        with _locked(self._log, self.transactional_id):
            self._check_epoch()
            self._files = None
            try:
                self._seal([file for file, _ in files.values()], manifest)
            except LogIoError:
                with contextlib.suppress(OSError):
                    _remove_staging(self._log, self._current)
                raise
        return self._current

    def _seal(self, files: Sequence[File], manifest: Mapping[str, Any]) -> None:
        """Makes what was written complete and, where a topic asks for it, durable. When that fails the transaction is
        dropped."""
        directory = _staging(self._log, self._current)
        durable = manifest["durable"]
        with io_errors(f"transaction '{self.transactional_id}' is dropped; directory {directory}"):
            for file in files:
                if durable:
                    file.sync()
                file.close()
            _write_json(self._log, f"{directory}/prepared.json", manifest, durable=durable)
            if durable:
                self._log.storage.sync_directory(_directory(self._log, self.transactional_id))

    def commit(self) -> None:
        """Makes the transaction's events visible; returns when they are in the log.

        Raises:
            FencedError: a newer producer has taken the name; the transaction is dropped.
        """
        prepared = self.prepare(_is_decided=True)
        commit_prepared(self._log, prepared, fenced=True)

    def abort(self) -> None:
        """Drops the transaction."""
        files = self._open_files()
        for file, _ in files.values():
            file.close()
        self._files = None
        abort_prepared(self._log, self._current)

    def _check_epoch(self) -> None:
        current = _load_state(self._log, self.transactional_id).epoch
        if current != self.epoch:
            raise FencedError(
                f"transaction '{self.transactional_id}' (epoch {self.epoch}) was taken over by a newer one (epoch {current})",
                fix="end this process",
            )


def commit_prepared(log: EventLog, prepared: Prepared, *, fenced: bool = False) -> None:
    """Commits a prepared transaction; does nothing when it is committed already.

    Args:
        fenced: Refuse when a newer producer has taken the name (a prepared transaction may otherwise be older than that).

    Raises:
        TransactionError: it was aborted or never prepared.
        FencedError: see `fenced`.
    """
    with _locked(log, prepared.transactional_id):
        state = _load_state(log, prepared.transactional_id)
        outcome = state.outcomes.get(prepared.name)
        if outcome == "committed":
            return
        if fenced and state.epoch != prepared.epoch:
            _record(log, prepared, "aborted", durable=False)
            _remove_staging(log, prepared)
            raise FencedError(
                f"transaction '{prepared.transactional_id}' was taken over by a newer producer", fix="end this process"
            )
        path = f"{_staging(log, prepared)}/prepared.json"
        if outcome == "aborted" or not log.storage.exists(path):
            raise TransactionError(
                f"transaction {prepared.name} of '{prepared.transactional_id}' cannot be committed: aborted or never prepared"
            )
        manifest = _read_json(log, path)
        with io_errors(f"transaction '{prepared.transactional_id}'"):
            _write_json(log, _decision(log, prepared), manifest, durable=manifest["durable"])
        _apply(log, prepared, manifest)


def abort_prepared(log: EventLog, prepared: Prepared) -> None:
    """Drops a transaction; does nothing when it was dropped already.

    Raises:
        TransactionError: it was committed.
    """
    with _locked(log, prepared.transactional_id):
        state = _load_state(log, prepared.transactional_id)
        if state.outcomes.get(prepared.name) == "committed" or log.storage.exists(_decision(log, prepared)):
            raise TransactionError(f"transaction {prepared.name} of '{prepared.transactional_id}' is committed")
        _record(log, prepared, "aborted", durable=False)
        _remove_staging(log, prepared)


def finish_decided(log: EventLog) -> None:
    """Applies transactions that were decided by processes that died before they could apply them."""
    for name in log.storage.list(f"{log.path}/pending"):
        transactional_id, _, rest = name.removesuffix(".json").rpartition("~")
        if not transactional_id or not name.endswith(".json"):
            continue
        lock = log.storage.try_lock(f"{_directory(log, transactional_id)}/lock")
        if lock is None:
            continue
        try:
            epoch, number = map(int, rest.split("-"))
            _finish(log, Prepared(transactional_id, epoch, number))
        except (TableApiError, OSError) as error:
            warnings.warn(
                f"a committed transaction of '{transactional_id}' cannot be applied yet: {error}", RuntimeWarning, stacklevel=3
            )
        finally:
            lock.close()


def _finish(log: EventLog, prepared: Prepared) -> None:
    """Applies a decided transaction, or only tidies up when it is applied already. Under the lock of its name."""
    path = _decision(log, prepared)
    if not log.storage.exists(path):
        return
    try:
        manifest = _read_json(log, path)
    except CorruptionError:
        log.storage.rename(path, f"{path}.damaged")
        raise
    if _load_state(log, prepared.transactional_id).outcomes.get(prepared.name) == "committed":
        _tidy(log, prepared)
        return
    files = {f"{topic}@{number}" for topic, number, _ in manifest["files"]}
    if not manifest["durable"] and not files <= set(log.storage.list(_staging(log, prepared))):
        # The machine crashed, and topics of durability `none` do not promise to survive that.
        _record(log, prepared, "aborted", durable=False)
        _tidy(log, prepared)
        return
    _apply(log, prepared, manifest)


def _tidy(log: EventLog, prepared: Prepared) -> None:
    log.storage.remove(_decision(log, prepared))
    _remove_staging(log, prepared)


def _finish_decided(log: EventLog, transactional_id: str) -> None:
    for name in log.storage.list(f"{log.path}/pending"):
        owner, _, rest = name.removesuffix(".json").rpartition("~")
        if owner == transactional_id and name.endswith(".json"):
            epoch, number = map(int, rest.split("-"))
            _finish(log, Prepared(transactional_id, epoch, number))


def _apply(log: EventLog, prepared: Prepared, manifest: Mapping[str, Any]) -> None:
    """Appends the transaction's frames; what is there already is recognised by its producer id and sequence."""
    topics = set(log.topics())
    for topic, number, size in manifest["files"]:
        if topic in topics:
            _apply_file(log, f"{_staging(log, prepared)}/{topic}@{number}", topic, number, size, manifest["producer_id"])
    for group, by_topic in manifest["group_offsets"].items():
        from tableapi.connectors.filelog.groups import store_offsets

        for topic, offsets in by_topic.items():
            store_offsets(log, group, topic, {int(p): o for p, o in offsets.items()}, durable=manifest["durable"])
    _record(log, prepared, "committed", durable=manifest["durable"])
    _tidy(log, prepared)


def _apply_file(log: EventLog, path: str, topic: str, number: int, size: int, producer_id: int) -> None:
    partition = log.partition(topic, number)
    file = log.storage.open(path)
    try:
        if file.size() < size:
            raise CorruptionError(
                f"{partition.place}: a transaction's file {path} has {file.size()} bytes where {size} were written"
            )
        data = file.map(0, size)
    finally:
        file.close()
    batches, at = [], 0
    while at < size:
        header = FrameHeader.unpack(data, at)
        body = None if header is None else data[at + HEADER_SIZE + header.padding :][: header.body_size]
        if header is None or crc32(body) != header.body_crc:
            raise CorruptionError(f"{partition.place}: a transaction's file {path} is damaged at position {at}")
        if header.topic_tag != partition.place.tag:
            return
        batches.append(from_staged(header, body))
        at += header.size
    partition.append(batches, (producer_id, 0, 0), FLAG_TRANSACTIONAL)
    partition.sync()


def _directory(log: EventLog, transactional_id: str) -> str:
    return f"{log.path}/transactions/{transactional_id}"


def _staging(log: EventLog, prepared: Prepared) -> str:
    return f"{_directory(log, prepared.transactional_id)}/{prepared.name}"


def _decision(log: EventLog, prepared: Prepared) -> str:
    return f"{log.path}/pending/{prepared.transactional_id}~{prepared.name}.json"


def _locked(log: EventLog, transactional_id: str) -> Any:
    return log.storage.lock(f"{_directory(log, transactional_id)}/lock")


def _write_json(log: EventLog, path: str, value: Mapping[str, Any], *, durable: bool) -> None:
    body = json.dumps(value).encode()
    log.storage.write_file(path, b"%08x\n" % crc32(body) + body, durable=durable)


def _read_json(log: EventLog, path: str) -> dict[str, Any]:
    data = log.storage.read_file(path)
    if data[:8] != b"%08x" % crc32(data[9:]):
        raise CorruptionError(f"file {path} is damaged")
    value: dict[str, Any] = json.loads(data[9:])
    return value


def _load_state(log: EventLog, transactional_id: str) -> _State:
    path = f"{_directory(log, transactional_id)}/state.json"
    return _State(**_read_json(log, path)) if log.storage.exists(path) else _State()


def _save_state(log: EventLog, transactional_id: str, state: _State, *, durable: bool = True) -> None:
    value = {"epoch": state.epoch, "outcomes": state.outcomes}
    _write_json(log, f"{_directory(log, transactional_id)}/state.json", value, durable=durable)


def _record(log: EventLog, prepared: Prepared, outcome: str, *, durable: bool) -> None:
    state = _load_state(log, prepared.transactional_id)
    state.outcomes[prepared.name] = outcome
    state.outcomes = dict(list(state.outcomes.items())[-REMEMBERED_OUTCOMES:])
    _save_state(log, prepared.transactional_id, state, durable=durable)


def _remove_staging(log: EventLog, prepared: Prepared) -> None:
    directory = _staging(log, prepared)
    for name in log.storage.list(directory):
        log.storage.remove(f"{directory}/{name}")
    log.storage.remove_directory(directory)


def _drop_unfinished(log: EventLog, transactional_id: str, epoch: int) -> None:
    """Drops what earlier producers of the name began but did not prepare, and what nobody has decided on for a week."""
    directory = _directory(log, transactional_id)
    for place in (directory, f"{log.path}/pending"):
        for name in log.storage.list(place):
            if ".tmp-" in name and (place == directory or name.startswith(f"{transactional_id}~")):
                log.storage.remove(f"{place}/{name}")
    for name in log.storage.list(directory):
        old, _, number = name.partition("-")
        if not (old.isdigit() and number.isdigit()) or int(old) >= epoch:
            continue
        prepared = f"{directory}/{name}/prepared.json"
        if log.storage.exists(prepared):
            manifest = _read_json(log, prepared)
            if manifest["waits"] and log.storage.now_ms() - manifest["prepared_ms"] < PREPARED_EXPIRY_MS:
                continue
        _remove_staging(log, Prepared(transactional_id, int(old), int(number)))
