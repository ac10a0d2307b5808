"""Writes a table to files: part files grow in a hidden staging directory and appear under their names all at once.

A crash leaves at most a staging directory, which readers do not see; what was there before stays until the new files
are complete.
Imports connectors.{base,filesystem_store,filesystem_files,registry}, connectors.formats and tableapi's plain data types only.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any, BinaryIO

import polars as pl

from tableapi.connectors.base import Guarantee, Sink, SinkWriter
from tableapi.connectors.filesystem_files import escape_name
from tableapi.connectors.filesystem_store import io_error, open_store
from tableapi.connectors.formats.base import INSERT_ONLY, ColumnarFormat, ColumnarWriter, TextEncoder, TextFormat
from tableapi.connectors.formats.csv_encode import value_text
from tableapi.connectors.registry import find_format
from tableapi.errors import ExecutionError
from tableapi.row import RowKind
from tableapi.tablespec import RowSchema

_INTENT = "_intent"
"""A file in the staging directory that says what the new files replace."""


@dataclass(frozen=True)
class FilesystemSink(Sink):
    """Part files in a directory.

    Args:
        job: Names this job's staging directory and part files.
        schema: All columns, as they are written.
        partition_keys: Columns that become directories.
        roll_bytes, roll_ms: A part file that is larger or older is ended and a new one begun.
        success_file: Written into each finished directory; None for none.
    """

    path: str
    job: str
    format_name: str
    format_options: Mapping[str, Any]
    schema: RowSchema
    partition_keys: tuple[str, ...] = ()
    default_partition: str = "__DEFAULT_PARTITION__"
    roll_bytes: int = 128 * 1024 * 1024
    roll_ms: int = 30 * 60 * 1000
    success_file: str | None = None
    accepts: frozenset[RowKind] = INSERT_ONLY
    guarantee: Guarantee = Guarantee.EXACTLY_ONCE

    @property
    def stored(self) -> RowSchema:
        """The columns inside the files."""
        return RowSchema(tuple(f for f in self.schema if f.name not in self.partition_keys))

    @property
    def root(self) -> str:
        """The table's directory in its store."""
        return open_store(self.path)[1].rstrip("/")

    @property
    def staging(self) -> str:
        """Where files grow."""
        return f"{self.root}/.staging-{self.job}"

    def writer(self, subtask: int, parallelism: int) -> FilesystemWriter:
        return FilesystemWriter(self, subtask)

    def begin(self, overwrite: bool, static_partition: dict[str, Any]) -> None:
        """Makes the directories. What `overwrite` replaces is removed at the end, when the new files are complete.

        Raises:
            ExecutionError: when the directory cannot be written to.
        """
        store, _ = open_store(self.path)
        try:
            store.make_directory(self.staging)
            intent = {"overwrite": overwrite, "static": [[k, _static_text(v)] for k, v in static_partition.items()]}
            with store.create(f"{self.staging}/{_INTENT}") as file:
                file.write(json.dumps(intent).encode())
        except OSError as e:
            raise _cannot_write(self.root, e) from None

    def end(self, success: bool) -> None:
        """With `success`, makes all sealed files visible; in any case removes the staging directory."""
        store, _ = open_store(self.path)
        try:
            if success:
                self._publish()
            store.remove(self.staging)
        except OSError as e:
            raise io_error("finish writing to", self.root, e) from None

    def _publish(self) -> None:
        store, _ = open_store(self.path)
        sealed = [f for f in store.all_files(self.staging) if not f.endswith(f"/{_INTENT}")]
        targets = {f: self.root + f[len(self.staging) :] for f in sealed}
        folders = sorted({t.rpartition("/")[0] for t in targets.values()})
        self._remove_replaced(folders)
        for source, target in targets.items():
            store.rename(source, target)
        if self.success_file is not None:
            for folder in folders:
                store.create(f"{folder}/{self.success_file}").close()

    def _remove_replaced(self, folders: list[str]) -> None:
        store, _ = open_store(self.path)
        try:
            with store.open(f"{self.staging}/{_INTENT}") as file, TextIOWrapper(file) as text:
                intent = json.load(text)
        except FileNotFoundError:
            return
        if not intent["overwrite"]:
            return
        if not self.partition_keys:
            folders = [self.root]
        elif intent["static"] and len(intent["static"]) == len(self.partition_keys):
            folders = sorted({*folders, self.root + _folder({k: v or self.default_partition for k, v in intent["static"]})})
        for folder in folders:
            for replaced in store.files(folder) or ():
                store.remove(replaced.path)


def _folder(values: Mapping[str, str]) -> str:
    return "".join(f"/{escape_name(key)}={escape_name(value)}" for key, value in values.items())


def _static_text(value: Any) -> str:
    return "" if value is None else str(value)


def _cannot_write(path: str, error: OSError) -> ExecutionError:
    return ExecutionError(
        f"cannot write to directory '{path}': {error.strerror or error}",
        fix="check the table's option 'path', and that you may write there",
    )


class _PartFile:
    """A file that grows in the staging directory."""

    def __init__(self, sink: FilesystemSink, path: str) -> None:
        self.path = path
        self.started = time.monotonic()
        store, _ = open_store(sink.path)
        self._is_local = store.is_local
        self._raw: BinaryIO = store.create(path)
        form = find_format(sink.format_name)
        self._columnar: ColumnarWriter | None = None
        self._encoder: TextEncoder | None = None
        if isinstance(form, ColumnarFormat):
            self._columnar = form.writer(self._raw, sink.stored, sink.format_options)
        elif isinstance(form, TextFormat):
            self._encoder = form.encoder(sink.stored, sink.format_options)

    def write(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        if self._columnar is not None:
            self._columnar.write(frame)
        elif self._encoder is not None:
            self._raw.write(self._encoder.encode(frame, kinds))

    def size_bytes(self) -> int:
        return self._raw.tell()

    def seal(self) -> None:
        """Ends the file and puts it on the disk."""
        if self._columnar is not None:
            self._columnar.close()
        self._raw.flush()
        if self._is_local:
            os.fsync(self._raw.fileno())
        self._raw.close()


class FilesystemWriter(SinkWriter):
    """Writes the part files of one worker."""

    def __init__(self, sink: FilesystemSink, subtask: int) -> None:
        self._sink, self._subtask = sink, subtask
        self._store, _ = open_store(sink.path)
        self._open: dict[str, _PartFile] = {}
        self._sealed: list[str] = []
        self._count = 0

    def write(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        if not frame.height:
            return
        try:
            for folder, part, part_kinds in self._by_folder(frame, kinds):
                self._file(folder).write(part, part_kinds)
                self._roll(folder)
        except OSError as e:
            raise _cannot_write(self._sink.root, e) from None

    def _by_folder(self, frame: pl.DataFrame, kinds: pl.Series | None) -> list[tuple[str, pl.DataFrame, pl.Series | None]]:
        sink = self._sink
        if not sink.partition_keys:
            return [("", frame, kinds)]
        names = frame.select(self._folder_expr(key) for key in sink.partition_keys)
        labels = names.select(pl.concat_str(pl.all(), separator="\x00")).to_series()
        stored = frame.select(sink.stored.names)
        found = labels.unique(maintain_order=True)
        if len(found) == 1:
            return [(self._folder(found[0]), stored, kinds)]
        masks = [(self._folder(label), labels == label) for label in found]
        return [(folder, stored.filter(m), None if kinds is None else kinds.filter(m)) for folder, m in masks]

    def _folder(self, label: str) -> str:
        return _folder(dict(zip(self._sink.partition_keys, label.split("\x00"), strict=True)))

    def _folder_expr(self, key: str) -> pl.Expr:
        text = value_text(pl.col(key), self._sink.schema[key].type)
        named = pl.when(text.is_null() | (text == "")).then(pl.lit(self._sink.default_partition)).otherwise(text)
        return named.alias(key)

    def _file(self, folder: str) -> _PartFile:
        if folder not in self._open:
            name = f"part-{self._sink.job}-task-{self._subtask}-file-{self._count}"
            self._count += 1
            self._open[folder] = _PartFile(self._sink, f"{self._sink.staging}{folder}/{name}")
        return self._open[folder]

    def _roll(self, folder: str) -> None:
        file = self._open[folder]
        is_old = (time.monotonic() - file.started) * 1000 >= self._sink.roll_ms
        if is_old or file.size_bytes() >= self._sink.roll_bytes:
            self._seal(folder)

    def _seal(self, folder: str) -> None:
        file = self._open.pop(folder)
        file.seal()
        self._sealed.append(file.path)

    def _seal_all(self) -> None:
        try:
            for folder in list(self._open):
                self._seal(folder)
        except OSError as e:
            raise _cannot_write(self._sink.root, e) from None

    def prepare_commit(self, checkpoint_id: int) -> Any:
        self._seal_all()
        sealed, self._sealed = self._sealed, []
        return sealed or None

    def commit(self, committable: Any) -> None:
        sink = self._sink
        try:
            for path in committable:
                target = sink.root + path[len(sink.staging) :]
                if self._store.files(path) is not None:
                    self._store.rename(path, target)
        except OSError as e:
            raise _cannot_write(sink.root, e) from None

    def abort(self, committable: Any) -> None:
        for path in committable:
            self._store.remove(path)

    def close(self, success: bool = True) -> None:
        if success:
            self._seal_all()
            return
        for file in self._open.values():
            self._store.remove(file.path)
        self._open.clear()
