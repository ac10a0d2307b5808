"""Answers from a table that is held whole. Imports the sibling modules, `runtime.state` and the operator contract."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.runtime.lookup.asked import WholeTable
from tableapi.runtime.lookup.table import LookupTable, TableReader
from tableapi.runtime.state.columns import Ids
from tableapi.runtime.stream.operator import Clock


class WholeLookup:
    """Keeps a table by its keys, reads on what is new, and reads it again when that is due.

    Args:
        asked: The table.
        key_types: Names and types under which keys are compared, in the order of `asked.keys`.
        clock: Says when to read again.
    """

    def __init__(self, asked: WholeTable, key_types: Mapping[str, pl.DataType], clock: Clock) -> None:
        self._asked, self._key_types, self._clock = asked, key_types, clock
        self._reader: TableReader | None = None
        self._due_ms: int | None = None

    def find(self, keys: pl.DataFrame, known: npt.NDArray[np.bool_]) -> tuple[Ids, Ids]:
        """The rows of keys as they are now: for each pair the position of the key, and the row's id."""
        return self._current().table.find(keys, known)

    def gather(self, ids: Ids) -> pl.DataFrame:
        """Rows by id; ids are good until the next `find`."""
        assert self._reader is not None
        return self._reader.table.gather(ids)

    @property
    def count(self) -> int:
        """Number of rows held."""
        return 0 if self._reader is None else self._reader.table.count

    def rows(self) -> pl.DataFrame:
        """The rows held."""
        return pl.DataFrame(schema=self._asked.table.to_polars()) if self._reader is None else self._reader.table.rows()

    def close(self) -> None:
        """Closes what is read from."""
        if self._reader is not None:
            self._reader.close()

    def _current(self) -> TableReader:
        now_ms = self._clock.now_ms()
        is_due = self._due_ms is not None and now_ms >= self._due_ms
        if self._reader is not None and not is_due:
            self._reader.catch_up()
            return self._reader
        self.close()
        table = LookupTable(self._asked.table.to_polars(), self._keys_of, self._asked.identity)
        self._reader = TableReader(self._asked.source, table)
        self._reader.catch_up()
        if self._asked.reload is not None:
            self._due_ms = self._asked.reload.next_ms(now_ms, self._clock.now_ms())
        return self._reader

    def _keys_of(self, rows: pl.DataFrame) -> pl.DataFrame:
        pairs = zip(self._asked.keys, self._key_types.items(), strict=True)
        return pl.DataFrame([rows[column].cast(dtype).alias(name) for column, (name, dtype) in pairs])
