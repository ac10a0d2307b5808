"""Reads a table from files: one reader a file (or part of one), in batches, with little memory.

Imports connectors.{base,bad_records,filesystem_store,filesystem_files,registry}, connectors.formats and
tableapi's plain data types only.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from typing import Any, BinaryIO

import polars as pl

from tableapi.connectors.bad_records import BadRecordPolicy
from tableapi.connectors.base import Range, ReadResult, Source, Split, SplitReader
from tableapi.connectors.filesystem_files import FilePart, codec_of, cut_file, fixed_part, open_text, partition_values
from tableapi.connectors.filesystem_statistics import statistics_of
from tableapi.connectors.filesystem_store import FileInfo, io_error, open_store
from tableapi.connectors.formats.arrow_base import fit
from tableapi.connectors.formats.base import (
    INSERT_ONLY,
    BadRecord,
    ColumnarFile,
    ColumnarFormat,
    Decoded,
    Format,
    TextDecoder,
    TextFormat,
)
from tableapi.connectors.formats.convert import ConversionError, TextStyle, convert
from tableapi.connectors.registry import find_format
from tableapi.errors import OptionError, RecordError, TableApiError
from tableapi.row import RowKind
from tableapi.tablespec import RowSchema, TableStatistics
from tableapi.types import DataType, DataTypes

BLOCK_BYTES = 4 * 1024 * 1024
"""How much text is decoded at once: large enough for the parser's speed, small enough for the caches."""

LONGEST_RECORD_BYTES = 256 * 1024 * 1024
"""A text without a record end for longer than this is taken to have stray quotes, and is cut at a line end."""

FILE_METADATA: Mapping[str, DataType] = {
    "file.path": DataTypes.STRING().not_null(),
    "file.name": DataTypes.STRING().not_null(),
    "file.size": DataTypes.BIGINT().not_null(),
    "file.modification-time": DataTypes.TIMESTAMP_LTZ(3).not_null(),
}


@dataclass(frozen=True)
class FilesystemSource(Source):
    """Files of one format.

    Args:
        path: File, directory, pattern or URI.
        stored: The columns inside the files.
        partition: The columns that directories hold.
        columns: What readers hand over, in order.
        metadata: Column to metadata key: of the file (`file.path` …) or of the format.
        produced: All columns with their types.
        monitor_ms: How often to look for new files; None reads those that are there and ends.
        limit: As many rows of each reader suffice.
        is_cut: Whether large files may be cut and read out of order.
        reports_statistics: Whether to look at files for what planning can use.
        partition_filter: Files are left out whose partition's values do not fulfil this.
        ranges: Parts of columnar files are left out that say that all their values lie outside.
    """

    path: str
    format_name: str
    format_options: Mapping[str, Any]
    stored: RowSchema
    partition: RowSchema
    produced: RowSchema
    columns: tuple[str, ...]
    metadata: Mapping[str, str]
    bad_records: BadRecordPolicy
    default_partition: str = "__DEFAULT_PARTITION__"
    pattern: str | None = None
    monitor_ms: int | None = None
    limit: int | None = None
    is_cut: bool = False
    changelog: frozenset[RowKind] = INSERT_ONLY
    reports_statistics: bool = True
    partition_filter: pl.Expr | None = field(default=None, compare=False)
    ranges: Mapping[str, Range] = field(default_factory=dict, compare=False)

    @property
    def is_bounded(self) -> bool:  # type: ignore[override]
        """Whether the files are those that are there now."""
        return self.monitor_ms is None

    @property
    def format(self) -> Format:
        """The format of the files."""
        return find_format(self.format_name)

    def parts(self) -> list[FilePart]:
        """The files as they are now.

        Raises:
            OptionError: when the path does not exist.
        """
        store, root = open_store(self.path)
        try:
            files = store.files(root)
        except OSError as e:
            raise io_error("read", root, e) from None
        if files is None:
            if not self.is_bounded:
                return []
            raise OptionError(f"path '{self.path}' does not exist", fix="check the table's option 'path'")
        if self.pattern is not None:
            files = [f for f in files if re.fullmatch(self.pattern, f.path)]
        keys, root = self.partition.names, fixed_part(root)
        return self._wanted([FilePart(f, partition_values(root, f.path, keys, self.default_partition)) for f in files])

    def _wanted(self, parts: list[FilePart]) -> list[FilePart]:
        """The files of the partitions that the query asks for."""
        if self.partition_filter is None or not parts:
            return parts
        fields, wanted = self.partition.fields, self.partition_filter
        values = [
            pl.concat([partition_value(f.name, part.partition[i], f.type, part) for part in parts])
            for i, f in enumerate(fields)
        ]
        passes = pl.DataFrame(values).select(wanted.fill_null(False))
        return [part for part, is_wanted in zip(parts, passes.to_series(), strict=True) if is_wanted]

    def splits(self) -> Sequence[Split]:
        if not self.is_bounded:
            return [Split("watch")]
        parts = self.parts()
        if self.is_cut and isinstance(self.format, TextFormat):
            store = open_store(self.path)[0]
            quote = quote_of(self.format_name, self.format_options)
            parts = [piece for part in parts for piece in cut_file(store, part, quote)]
        return [Split(f"{p.file.path}:{p.start}", p) for p in parts]

    def reader(self, split: Split, position: Any = None) -> SplitReader:
        if not self.is_bounded:
            return WatchingReader(self, position)
        return self.part_reader(split.payload, position)

    def part_reader(self, part: FilePart, position: Any = None) -> SplitReader:
        """A reader of one file or part of one."""
        if isinstance(self.format, ColumnarFormat):
            return ColumnarPartReader(self, part, position)
        return TextPartReader(self, part, position)

    def decoder(self) -> TextDecoder:
        """The decoder of the columns that come out of the files."""
        assert isinstance(self.format, TextFormat)
        of_format = {name: key for name, key in self.metadata.items() if key not in FILE_METADATA}
        wanted = [c for c in self.columns if c in self.stored or c in of_format]
        return self.format.decoder(self.stored, wanted or self.stored.names[:1], self.format_options, of_format)

    def complete(self, frame: pl.DataFrame, part: FilePart) -> pl.DataFrame:
        """The requested columns, with those of the partition and the file's metadata."""
        if list(frame.columns) == list(self.columns) and not self.metadata:
            return frame
        extra = {}
        for name, text in zip(self.partition.names, part.partition, strict=True):
            if name in self.columns:
                extra[name] = _constant(name, partition_value(name, text, self.partition[name].type, part), frame.height)
        for name, key in self.metadata.items():
            if key in FILE_METADATA and name in self.columns:
                extra[name] = _constant(name, _file_metadata(part.file, key), frame.height)
        complete = frame.with_columns(**extra) if extra else frame
        wanted = self.produced.to_polars()
        return complete.select(pl.col(c).cast(wanted[c]) if c in self.metadata else pl.col(c) for c in self.columns)

    def statistics(self) -> TableStatistics:
        if not self.is_bounded or not self.reports_statistics:
            return TableStatistics()
        try:
            parts = self.parts()
        except TableApiError:
            # Reading will say what is wrong; a plan can be made, and shown, all the same.
            return TableStatistics()
        return statistics_of(self.path, self.format, parts, self.stored, self.partition)

    def lazy_frame(self) -> pl.LazyFrame | None:
        """Columnar files scan natively when their types are the table's; text goes through this source's own decoder."""
        if not self.is_bounded or self.changelog != INSERT_ONLY:
            return None
        if isinstance(self.format, ColumnarFormat):
            store, _ = open_store(self.path)
            is_whole = not self.metadata and self.bad_records.directory is None
            parts = self.parts() if store.is_local and is_whole else []
            native = self._native(parts) if parts else None
            if native is not None:
                return native if self.limit is None else native.head(self.limit)
        from polars.io.plugins import register_io_source

        schema_of = self.produced.to_polars()
        return register_io_source(self._batches, schema={c: schema_of[c] for c in self.columns}, validate_schema=False)

    def _native(self, parts: Sequence[FilePart]) -> pl.LazyFrame | None:
        """Polars' own scans of the files, a partition's values added to its files' columns."""
        schema = RowSchema(tuple(self.stored[c] for c in self.columns if c in self.stored))
        if not self.partition.fields:
            return self._scan([p.file.path for p in parts], schema)
        if not schema.fields:
            return None
        scans = []
        for values, group in groupby(parts, key=lambda part: part.partition):
            files = list(group)
            scan = self._scan([p.file.path for p in files], schema)
            if scan is None:
                return None
            typed = [partition_value(f.name, t, f.type, files[0]) for f, t in zip(self.partition, values, strict=True)]
            constants = [pl.lit(v.item(), dtype=v.dtype).alias(v.name) for v in typed]
            scans.append(scan.with_columns(constants).select(self.columns))
        return pl.concat(scans)

    def _scan(self, paths: list[str], schema: RowSchema) -> pl.LazyFrame | None:
        assert isinstance(self.format, ColumnarFormat)
        try:
            native = self.format.scan(paths, schema)
            if native is not None:
                native.collect_schema()
        except pl.exceptions.PolarsError as e:
            raise RecordError(f"'{paths[0]}' is not a {self.format_name} file: {_first_line_of(e)}") from None
        return native

    def _batches(
        self, with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        """Frames for Polars: only the columns, rows and number of rows that the query needs."""
        narrow = self if with_columns is None else replace(self, columns=tuple(with_columns))
        left = min((n for n in (n_rows, self.limit) if n is not None), default=None)
        for part in self.parts():
            reader = narrow.part_reader(part)
            try:
                while left is None or left > 0:
                    result = reader.read(batch_size or 1_000_000)
                    if result.frame is not None:
                        frame = result.frame if left is None else result.frame.head(left)
                        left = None if left is None else left - frame.height
                        yield frame if predicate is None else frame.filter(predicate)
                    if result.finished:
                        break
            finally:
                reader.close()


def quote_of(format_name: str, options: Mapping[str, Any]) -> bytes | None:
    """The byte that encloses text which may hold line ends, for formats that have one."""
    if format_name != "csv" or options["disable-quote-character"]:
        return None
    quote: str = options["quote-character"]
    return quote.encode()


def partition_value(name: str, text: str | None, data_type: DataType, part: FilePart) -> pl.Series:
    """The typed value of a partition's directory, as a series of one.

    Raises:
        RecordError: when the text does not fit the column.
    """
    try:
        return convert(pl.Series(name, [text], dtype=pl.String), data_type, TextStyle())
    except (ConversionError, pl.exceptions.PolarsError) as e:
        raise RecordError(
            f"directory '{name}={text}' of file '{part.file.path}' does not fit partition column '{name}': {e}",
            fix="rename the directory or change the column's type",
        ) from None


def _constant(name: str, value: pl.Series, height: int) -> pl.Series:
    return value.new_from_index(0, height).alias(name)


def _file_metadata(file: FileInfo, key: str) -> pl.Series:
    value: Any = {
        "file.path": file.path,
        "file.name": file.path.rpartition("/")[2],
        "file.size": file.size_bytes,
        "file.modification-time": file.modified_ms,
    }[key]
    series = pl.Series([value])
    return series.cast(pl.Datetime("ms", "UTC")) if key == "file.modification-time" else series


class TextPartReader(SplitReader):
    """Reads a text file block by block.

    Its position is (offset of the block, rows of it handed over, rows handed over before it).
    """

    def __init__(self, source: FilesystemSource, part: FilePart, position: tuple[int, int, int] | None) -> None:
        self._source, self._part = source, part
        self._offset, self._taken, self._before = position or (part.start, 0, 0)
        self._skip = self._taken
        self._decoder = source.decoder()
        self._store, _ = open_store(source.path)
        self._file: BinaryIO | None = None
        self._rest = b""
        self._is_at_end = False
        self._decoded: Decoded | None = None
        self._block_bytes = 0
        self._line_at = (0, 1)

    def read(self, max_rows: int) -> ReadResult:
        limit = self._source.limit
        if limit is not None:
            max_rows = min(max_rows, limit - self._before - self._taken)
        if max_rows <= 0 or (self._decoded is None and not self._next_block()):
            return ReadResult(None, self._position(), finished=True)
        assert self._decoded is not None
        decoded = self._decoded
        frame = decoded.frame.slice(self._taken, max_rows)
        kinds = None if decoded.kinds is None else decoded.kinds.slice(self._taken, max_rows)
        self._taken += frame.height
        if self._taken >= decoded.frame.height:
            self._offset += self._block_bytes
            self._before += self._taken
            self._taken, self._decoded = 0, None
        finished = self._decoded is None and self._is_at_end and not self._rest
        return ReadResult(frame if frame.height else None, self._position(), kinds, finished)

    def _position(self) -> tuple[int, int, int]:
        return self._offset, self._taken, self._before

    def _next_block(self) -> bool:
        """Decodes the next block; False at the end."""
        data = self._read_block()
        if not data:
            return False
        self._block_bytes = len(data)
        decoded = self._decoder.decode(data)
        for record in decoded.bad:
            self._source.bad_records.handle(
                record, self._source.format_name, self._part.file.path, self._offset, self._first_line
            )
        frame = self._source.complete(decoded.frame, self._part)
        self._decoded = Decoded(frame, decoded.kinds)
        self._taken, self._skip = min(self._skip, frame.height), 0
        return True

    def _first_line(self) -> int:
        """The number of the line at which the current block starts. Counted only when an error needs it."""
        counted, line = self._line_at
        is_plain = codec_of(self._part.file.path) is None
        if counted > self._offset or not is_plain:
            counted, line = 0, 1
        with open_text(self._store, self._part.file.path) as file:
            _skip_to(file, counted, is_plain)
            while counted < self._offset and (block := file.read(min(self._offset - counted, BLOCK_BYTES))):
                line += block.count(b"\n")
                counted += len(block)
        self._line_at = (counted, line)
        return line

    def _read_block(self) -> bytes:
        """The bytes of the next block: whole records."""
        data = self._rest
        wanted = BLOCK_BYTES
        while True:
            data += self._more(wanted - len(data), len(data))
            if self._is_at_end:
                self._rest = b""
                return data
            end = self._decoder.boundary(data)
            if not end and len(data) > LONGEST_RECORD_BYTES:
                end = data.rfind(b"\n") + 1
            if end:
                self._rest = data[end:]
                return data[:end]
            wanted *= 2

    def _more(self, size_bytes: int, have_bytes: int) -> bytes:
        """The next `size_bytes` of the part, less only at its end; `have_bytes` of the current block are read already."""
        if self._part.end is not None:
            size_bytes = min(size_bytes, self._part.end - self._offset - have_bytes)
        pieces = []
        try:
            if self._file is None:
                self._file = open_text(self._store, self._part.file.path)
                _skip_to(self._file, self._offset, codec_of(self._part.file.path) is None)
            while size_bytes > 0 and (piece := self._file.read(size_bytes)):
                pieces.append(piece)
                size_bytes -= len(piece)
            end = self._part.end
            self._is_at_end = size_bytes > 0 or (end is not None and self._offset + have_bytes + sum(map(len, pieces)) >= end)
        except (OSError, EOFError) as e:
            error = e if isinstance(e, OSError) else OSError(str(e))
            raise io_error("read", self._part.file.path, error) from None
        return b"".join(pieces)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _skip_to(file: BinaryIO, offset: int, is_plain: bool) -> None:
    if is_plain:
        file.seek(offset)
        return
    while offset > 0 and (block := file.read(min(offset, BLOCK_BYTES))):
        offset -= len(block)


class ColumnarPartReader(SplitReader):
    """Reads a columnar file piece by piece. Its position is (piece, rows of it handed over, rows handed over before it)."""

    def __init__(self, source: FilesystemSource, part: FilePart, position: tuple[int, int, int] | None) -> None:
        self._source, self._part = source, part
        self._piece, self._taken, self._before = position or (0, 0, 0)
        self._store, _ = open_store(source.path)
        self._stream: BinaryIO | None = None
        self._file: ColumnarFile | None = None
        self._frame: pl.DataFrame | None = None

    def read(self, max_rows: int) -> ReadResult:
        file = self._open_or_none()
        if file is None:
            return ReadResult(None, self._position(), finished=True)
        if self._source.limit is not None:
            max_rows = min(max_rows, self._source.limit - self._before - self._taken)
        while self._frame is None and self._piece < file.pieces and self._is_outside(file):
            self._piece += 1
        if self._piece >= file.pieces or max_rows <= 0:
            return ReadResult(None, self._position(), finished=True)
        if self._frame is None:
            wanted = [c for c in self._source.columns if c in self._source.stored] or self._source.stored.names[:1]
            self._frame = self._source.complete(self._read_piece(file, wanted), self._part)
        frame = self._frame.slice(self._taken, max_rows)
        self._taken += frame.height
        if self._taken >= self._frame.height:
            self._before += self._taken
            self._piece, self._taken, self._frame = self._piece + 1, 0, None
        return ReadResult(frame if frame.height else None, self._position(), finished=self._piece >= file.pieces)

    def _is_outside(self, file: ColumnarFile) -> bool:
        """Whether the file says that the next part has no row that the query can use."""
        for name, wanted in self._source.ranges.items():
            bounds = file.bounds(self._piece, name) if name in self._source.stored else None
            # Whole numbers and days stay what they are when they are converted to the table's type; others may be rounded.
            if bounds is not None and type(bounds[0]) in (int, date) and wanted.misses(*bounds):
                return True
        return False

    def _position(self) -> tuple[int, int, int]:
        return self._piece, self._taken, self._before

    def _open_or_none(self) -> ColumnarFile | None:
        try:
            return self._open()
        except RecordError as e:
            self._put_aside(_first_line_of(e), e)
            return None

    def _read_piece(self, file: ColumnarFile, wanted: list[str]) -> pl.DataFrame:
        """The rows of the next part of the file; none when it is damaged and such parts are put aside."""
        path, stored = self._part.file.path, self._source.stored
        try:
            return fit(file.read(self._piece, wanted), stored, wanted, path)
        except Exception as e:  # noqa: BLE001 - the libraries raise what they like on damaged data
            reason = f"part {self._piece + 1} of {file.pieces} cannot be read: {_first_line_of(e)}"
            self._put_aside(reason, e)
            return pl.DataFrame(schema={name: stored[name].type.to_polars() for name in wanted})

    def _put_aside(self, reason: str, cause: Exception) -> None:
        """Records what cannot be read; without a place for it, fails.

        Raises:
            RecordError: The policy is to fail.
        """
        path, policy = self._part.file.path, self._source.bad_records
        if policy.directory is not None:
            policy.handle(BadRecord(0, self._piece, b"", reason), self._source.format_name, path, 0, lambda: 1)
        elif isinstance(cause, TableApiError):
            raise cause
        else:
            raise RecordError(
                f"file '{path}': {reason}",
                fix="restore the file, or set 'bad-records.mode' = 'quarantine' to go on without what is damaged",
            ) from None

    def _open(self) -> ColumnarFile:
        if self._file is None:
            path, format_ = self._part.file.path, self._source.format
            assert isinstance(format_, ColumnarFormat)
            try:
                self._stream = self._store.open(path)
                self._file = format_.open(self._stream, self._source.stored, self._source.format_options)
            except TableApiError:
                raise
            except OSError as e:
                raise io_error("read", path, e) from None
            except Exception as e:  # noqa: BLE001 - the libraries raise what they like on damaged data
                raise RecordError(f"'{path}' is not a {format_.name} file: {_first_line_of(e)}") from None
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._stream is not None:
            self._stream.close()


def _first_line_of(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


class WatchingReader(SplitReader):
    """Reads the files of a directory and those that appear later, each once.

    Its position is (paths that are read, path being read, position in it).
    """

    def __init__(self, source: FilesystemSource, position: tuple[frozenset[str], str | None, Any] | None) -> None:
        self._source = source
        done, current, inner = position or (frozenset(), None, None)
        self._done = set(done)
        self._resume: tuple[str, Any] | None = None if current is None else (current, inner)
        self._queue: list[FilePart] = []
        self._current: tuple[FilePart, SplitReader] | None = None
        self._inner_position: Any = inner
        self._next_look = 0.0

    def read(self, max_rows: int) -> ReadResult:
        if self._current is None and not self._next_file():
            return ReadResult(None, self._position())
        assert self._current is not None
        part, reader = self._current
        result = reader.read(max_rows)
        self._inner_position = result.position
        if result.finished:
            reader.close()
            self._done.add(part.file.path)
            self._current, self._inner_position = None, None
        return ReadResult(result.frame, self._position(), result.kinds)

    def _position(self) -> tuple[frozenset[str], str | None, Any]:
        return frozenset(self._done), self._current[0].file.path if self._current else None, self._inner_position

    def _next_file(self) -> bool:
        if not self._queue:
            self._look()
        if not self._queue:
            return False
        part = self._queue.pop(0)
        position = self._resume[1] if self._resume and self._resume[0] == part.file.path else None
        self._resume = None
        self._current = (part, self._source.part_reader(part, position))
        return True

    def _look(self) -> None:
        if time.monotonic() < self._next_look:
            return
        assert self._source.monitor_ms is not None
        self._next_look = time.monotonic() + self._source.monitor_ms / 1000
        found = [p for p in self._source.parts() if p.file.path not in self._done]
        first = self._resume[0] if self._resume else None
        self._queue = sorted(found, key=lambda p: (p.file.path != first, p.file.modified_ms, p.file.path))

    def close(self) -> None:
        if self._current is not None:
            self._current[1].close()
