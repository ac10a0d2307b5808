"""The contract of connectors: how rows enter a job, how they leave it, and how both declare their options.

Imports tableapi.types, tableapi.tablespec, tableapi.row and tableapi.errors only. The runtime drives these classes; a connector never
sees the runtime.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import polars as pl

from tableapi.row import RowKind
from tableapi.tablespec import TableSpec, TableStatistics


@dataclass(frozen=True)
class Option:
    """An option that a connector or format understands.

    Args:
        key: Full key as written in `WITH (...)`.
        kind: Python type that the text is read as: str, int, float, bool, `datetime.timedelta` (Flink duration text, "5 s"),
            `MemorySize` (bytes, "64 mb"), or a tuple of allowed words.
        default: Value when absent. `required` options have none.
        doc: One sentence.
    """

    key: str
    kind: Any
    doc: str
    default: Any = None
    required: bool = False


class Guarantee(Enum):
    """How often each input row's effect is in a sink after failures."""

    AT_MOST_ONCE = "at-most-once"
    AT_LEAST_ONCE = "at-least-once"
    EXACTLY_ONCE = "exactly-once"


@dataclass(frozen=True)
class Split:
    """A part of a source that is read in order by one reader. `payload` is plain picklable data of the connector."""

    id: str
    payload: Any = None


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What a reader hands over in one call.

    Args:
        frame: The rows (columns: the requested ones, in order, in the Polars types of the table's schema), or None when there is
            nothing now.
        kinds: Int8 series of `RowKind` values, None when all rows are inserts.
        position: Where to continue after these rows: plain picklable data of the connector.
        finished: The split has ended and will never have more rows.
        watermark_ms: A watermark that the source itself knows of, if any.
    """

    frame: pl.DataFrame | None
    position: Any
    kinds: pl.Series | None = None
    finished: bool = False
    watermark_ms: int | None = None


class SplitReader(ABC):
    """Reads one split from a position on."""

    @abstractmethod
    def read(self, max_rows: int) -> ReadResult:
        """At most about `max_rows` rows, without waiting: `frame` None when nothing has arrived."""

    def fileno(self) -> int | None:
        """A file descriptor that becomes readable when there may be more, for waiting without polling; None if there is none."""
        return None

    def close(self) -> None:
        """Releases what the reader holds."""


class Source(ABC):
    """A table that can be read. Instances are plain picklable descriptions; readers hold the resources."""

    is_bounded: bool

    changelog: frozenset[RowKind] = frozenset({RowKind.INSERT})
    """The kinds of rows that the readers may hand over."""

    @abstractmethod
    def splits(self) -> Sequence[Split]:
        """The parts as they are now. Each is read by one worker."""

    @abstractmethod
    def reader(self, split: Split, position: Any = None) -> SplitReader:
        """A reader that starts at `position` (None: at the split's start)."""

    def statistics(self) -> TableStatistics:
        """What is known of the whole bounded table without reading its rows; cheap to ask for."""
        return TableStatistics()

    def lazy_frame(self) -> pl.LazyFrame | None:
        """The whole bounded table as one lazy Polars scan, when the connector has a better way than reading its splits."""
        return None


class LookupReader(ABC):
    """Answers questions for the rows of keys. Called by one thread at a time, except `lookup_async`."""

    @abstractmethod
    def lookup(self, keys: pl.DataFrame) -> pl.DataFrame:
        """All rows with any of the given keys, in any order.

        Args:
            keys: Distinct keys without NULL, in the columns and types of the table.

        Returns:
            Rows with the requested columns; a key without rows is just absent.
        """

    async def lookup_async(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Like `lookup`, for sources that are asked without waiting; several calls may be under way."""
        return self.lookup(keys)

    def close(self) -> None:
        """Releases what the reader holds."""


class LookupSource(ABC):
    """A table that can be asked for the rows of keys. Instances are plain picklable descriptions."""

    is_async: bool = False
    """Whether `lookup_async` is the way to ask: several questions can then be under way at once."""

    @abstractmethod
    def reader(self) -> LookupReader:
        """What answers the questions of one worker."""


class SinkWriter(ABC):
    """Writes the rows of one worker. The commit methods are called only for sinks that are EXACTLY_ONCE."""

    @abstractmethod
    def write(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        """Takes rows (columns: the table's persisted columns, in order) and, when not all are inserts, their kinds."""

    def flush(self) -> None:
        """Makes everything written so far visible (AT_LEAST_ONCE) or durable enough to commit."""

    def prepare_commit(self, checkpoint_id: int) -> Any:
        """Seals what was written since the last call; returns plain picklable data that `commit` needs, or None if nothing was."""
        return None

    def commit(self, committable: Any) -> None:
        """Makes sealed rows visible. Called again after a failure: must be idempotent."""

    def abort(self, committable: Any) -> None:
        """Drops sealed rows that will never be committed."""

    def close(self, success: bool = True) -> None:
        """Ends the writer; with `success` everything written becomes visible (end of a bounded job)."""


class Sink(ABC):
    """A table that can be written. Instances are plain picklable descriptions; writers hold the resources."""

    accepts: frozenset[RowKind] = frozenset({RowKind.INSERT})
    """The kinds of rows that the writers take."""

    key: tuple[str, ...] = ()
    """Columns that identify a row to an upsert sink (one that takes +I, +U, -D, but needs no -U)."""

    guarantee: Guarantee = Guarantee.AT_LEAST_ONCE

    @abstractmethod
    def writer(self, subtask: int, parallelism: int) -> SinkWriter:
        """The writer of worker `subtask` (0-based)."""

    def begin(self, overwrite: bool, static_partition: dict[str, Any]) -> None:
        """Called once by the coordinator before any writer opens (for example to remove what `INSERT OVERWRITE` replaces)."""

    def end(self, success: bool) -> None:
        """Called once by the coordinator after all writers have closed."""


@dataclass(frozen=True)
class Range:
    """Where the values of a column lie that a query can use, both ends included; None: no bound on that side.

    Values are in the Python form of the column's type.
    """

    lowest: Any = None
    highest: Any = None

    def misses(self, lowest: Any, highest: Any) -> bool:
        """Whether values that are known to lie between two are all outside. What cannot be compared is not."""
        is_above = self.highest is not None and type(lowest) is type(self.highest) and lowest > self.highest
        is_below = self.lowest is not None and type(highest) is type(self.lowest) and highest < self.lowest
        return bool(is_above or is_below)


@dataclass(frozen=True)
class ScanRequest:
    """What a query wants of a source.

    Args:
        columns: The columns in order; None: all.
        limit: So many rows suffice.
        fields: Of these ROW columns only these fields are read: a source may hand over NULL in the others, or take no notice.
        partition_filter: A condition over partition columns alone. Rows for which it is not TRUE are not needed.
        ranges: Of these columns rows with NULL or a value outside are not needed; a source may hand them over all the same.
    """

    columns: tuple[str, ...] | None = None
    limit: int | None = None
    options: dict[str, str] = field(default_factory=dict)
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    partition_filter: pl.Expr | None = field(default=None, compare=False)
    ranges: Mapping[str, Range] = field(default_factory=dict)


class Connector(ABC):
    """A kind of table. Found by the entry-point group `tableapi.connectors` under the name used in `'connector' = '…'`."""

    name: str
    options: tuple[Option, ...] = ()
    """Options besides those of the table's format (`format` and `<format>.*`)."""

    def source(self, table: TableSpec, request: ScanRequest, is_streaming: bool) -> Source:
        """The table as a source. Validates the options; reads nothing yet."""
        from tableapi.errors import UnsupportedError

        raise UnsupportedError(f"connector '{self.name}' cannot be read from", fix="use it as a sink only")

    def lookup(self, table: TableSpec, keys: tuple[str, ...], columns: tuple[str, ...]) -> LookupSource | None:
        """The table as one that is asked for the `columns` of the rows with given values of `keys`; None: it is read instead."""
        return None

    def sink(self, table: TableSpec) -> Sink:
        """The table as a sink. Validates the options; writes nothing yet."""
        from tableapi.errors import UnsupportedError

        raise UnsupportedError(f"connector '{self.name}' cannot be written to", fix="use it as a source only")
