"""What is known of a table of files without reading its rows: sizes of files, and what columnar files say of themselves.

Imports connectors.{filesystem_files,filesystem_store}, connectors.formats and tableapi's plain data types only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from tableapi.connectors.filesystem_files import FilePart, codec_of
from tableapi.connectors.filesystem_store import FileInfo, FileStore, open_store
from tableapi.connectors.formats.base import ColumnarFormat, Format
from tableapi.connectors.formats.summaries import summary
from tableapi.connectors.registry import find_format
from tableapi.tablespec import ColumnStatistics, RowSchema, TableStatistics
from tableapi.types import BinaryStringType, CharacterType

MOST_FOOTERS = 24
"""So many files are asked what they hold; the rows of the others are guessed from their size."""

_TEXT_BYTES, _VALUE_BYTES = 24, 9
"""Expected bytes of a text, and of another value, in a text file."""

_PACKED = 4.0
"""How many times smaller a compressed text file is."""


def statistics_of(
    path: str, form: Format, parts: Sequence[FilePart], stored: RowSchema, partition: RowSchema
) -> TableStatistics:
    """The statistics of the files of a table."""
    store, _ = open_store(path)
    files = [p.file for p in parts]
    columns = dict(_of_partitions(parts, partition))
    if not isinstance(form, ColumnarFormat) or not store.is_local:
        return TableStatistics(
            sum(_text_rows(f, stored) for f in files), columns, is_parsed=not isinstance(form, ColumnarFormat)
        )
    read = [(f, s) for f in files[:MOST_FOOTERS] if (s := _footer(store, f, form.name)) is not None]
    known_bytes = sum(f.size_bytes for f, _ in read)
    rows = sum(s.rows or 0 for _, s in read)
    if not read or known_bytes == 0:
        return TableStatistics(sum(_text_rows(f, stored) for f in files), columns)
    if len(read) < len(files):
        return TableStatistics(rows * sum(f.size_bytes for f in files) / known_bytes, columns)
    columns |= _merged([s for _, s in read], [f for f in stored.names if f not in columns])
    return TableStatistics(rows, columns)


def _footer(store: FileStore, file: FileInfo, format_name: str) -> TableStatistics | None:
    return _cached_footer(file.path, file.size_bytes, file.modified_ms, format_name)


@lru_cache(maxsize=4096)
def _cached_footer(path: str, size_bytes: int, modified_ms: int, format_name: str) -> TableStatistics | None:
    form = find_format(format_name)
    assert isinstance(form, ColumnarFormat)
    try:
        with open(path, "rb") as file:
            return form.statistics(file)
    except (OSError, ValueError):
        # What is wrong with the file is said when it is read; an estimate is no reason to fail.
        return None


def _text_rows(file: FileInfo, stored: RowSchema) -> float:
    width = sum(_TEXT_BYTES if isinstance(f.type, BinaryStringType | CharacterType) else _VALUE_BYTES for f in stored)
    size = file.size_bytes * (_PACKED if codec_of(file.path) is not None else 1.0)
    return size / max(1, width)


def _of_partitions(parts: Sequence[FilePart], partition: RowSchema) -> Iterable[tuple[str, ColumnStatistics]]:
    for index, name in enumerate(partition.names):
        texts = {p.partition[index] for p in parts}
        yield name, ColumnStatistics(distinct=float(len(texts)))


def _merged(files: Sequence[TableStatistics], names: Iterable[str]) -> dict[str, ColumnStatistics]:
    """What holds for the rows of all files."""
    result = {}
    rows = sum(f.rows or 0 for f in files)
    for name in names:
        known = [f.columns[name] for f in files if name in f.columns]
        if len(known) == len(files):
            result[name] = summary([(k.lowest, k.highest) for k in known], _nulls(files, name), rows)
    return result


def _nulls(files: Sequence[TableStatistics], name: str) -> float | None:
    shares = [(f.rows or 0, f.columns[name].null_share) for f in files]
    return None if any(s is None for _, s in shares) else sum(r * s for r, s in shares if s is not None)
