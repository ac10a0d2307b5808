"""Evaluates Python table functions: the rows that they give for each row.

Shared by batch and stream. May import plan, types and the sibling udf files.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import polars as pl

from tableapi.errors import Location
from tableapi.plan.nodes import Correlate
from tableapi.row import Row
from tableapi.runtime import last_words
from tableapi.runtime.udf import ROW_CUT
from tableapi.runtime.udf_scope import PIECE_ROWS, FunctionRunner, FunctionScope, failure, rows_text
from tableapi.runtime.udf_values import from_python, to_python
from tableapi.tablespec import Field
from tableapi.types import DataType

SOURCE = "$source"
"""In the result: the number of the row for which a row was returned."""


@dataclass(frozen=True)
class TableTask:
    """The rows that a table function returns for the rows of a frame, whose first columns are the arguments.

    Args:
        function: The `tableapi.udf` wrapper.
        arg_types: Types of the arguments.
        outputs: Names and types of the returned columns.
        time_zone: Session zone, in which TIMESTAMP_LTZ values are shown to the function.
        where: The call's place in the user's program.
    """

    function: Any
    arg_types: tuple[DataType, ...]
    outputs: tuple[Field, ...]
    time_zone: str = "UTC"
    where: Location | None = None

    def run(self, frame: pl.DataFrame, scope: FunctionScope) -> pl.DataFrame:
        """All returned rows in order, after the column `SOURCE`.

        Raises:
            ExecutionError: The function failed or returned something that does not fit the declared types.
        """
        args = frame.get_columns()[: len(self.arg_types)]
        columns = [to_python(a, t, self.time_zone) for a, t in zip(args, self.arg_types, strict=True)]
        counts, found = self._call(scope, columns, frame.height)
        by_column = list(zip(*found, strict=True)) if found else [()] * len(self.outputs)
        try:
            series = [from_python(values, f.type, f.name) for values, f in zip(by_column, self.outputs, strict=True)]
        except Exception as error:
            raise failure(self.function, error, None, self.where) from error
        sources = pl.Series(SOURCE, np.repeat(np.arange(frame.height, dtype=np.uint32), counts), dtype=pl.UInt32())
        return pl.DataFrame([sources, *series])

    def _call(self, scope: FunctionScope, columns: list[list[Any]], height: int) -> tuple[list[int], list[list[Any]]]:
        function = scope.callable(self.function)
        argument_rows = zip(*columns, strict=True) if columns else iter([()] * height)
        counts: list[int] = []
        found: list[list[Any]] = []
        try:
            with scope.lock:
                for start in range(0, height, PIECE_ROWS):
                    stop = min(start + PIECE_ROWS, height)
                    with last_words.doing(lambda s=start, e=stop: self._on_rows(columns, range(s, e), height)):  # type: ignore[misc]
                        for row in islice(argument_rows, stop - start):
                            returned = _table_rows(function(*row), len(self.outputs))
                            found.extend(returned)
                            counts.append(len(returned))
        except (Exception, SystemExit) as error:
            raise failure(self.function, error, tuple(c[len(counts)] for c in columns), self.where) from error
        return counts, found

    def _on_rows(self, columns: list[list[Any]], rows: range, total: int) -> str:
        first, last = ([c[i] for c in columns] for i in (rows.start, rows.stop - 1))
        return rows_text(self.function, rows, total, first, last)

    def cut(self, frame: pl.DataFrame, workers: int) -> list[pl.DataFrame]:
        """Rows can be worked on apart."""
        size = min(ROW_CUT, max(PIECE_ROWS, -(-frame.height // (4 * workers))))
        return [frame.slice(at, size) for at in range(0, frame.height, size)] if frame.height > size else [frame]

    def join(self, parts: Sequence[pl.DataFrame], results: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """One below the other; the source rows are counted on."""
        begins = np.cumsum([0, *(part.height for part in parts)])[:-1].tolist()
        return pl.concat(
            r.with_columns((pl.col(SOURCE) + begin).cast(pl.UInt32())) for r, begin in zip(results, begins, strict=True)
        )


def _table_rows(returned: Any, width: int) -> list[list[Any]]:
    """The rows in what a table function returned: None, one row, or a list, range or generator of rows (PyFlink)."""
    if returned is None:
        return []
    several = returned if isinstance(returned, list | range) or inspect.isgenerator(returned) else [returned]
    rows = [list(r) if isinstance(r, tuple | Row) else [r] for r in several]
    for row in rows:
        if len(row) != width:
            raise TypeError(f"returned a row of {len(row)} values, but {width} columns are declared")
    return rows


def table_task(node: Correlate, time_zone: str) -> TableTask:
    """The work of a Correlate node with a Python function."""
    return TableTask(node.function, tuple(arg.type for arg in node.args), tuple(node.outputs), time_zone)


def expand(
    frame: pl.DataFrame, task: TableTask, arguments: Sequence[str], functions: FunctionRunner, *, is_outer: bool
) -> pl.DataFrame:
    """Each row of `frame` times the rows that the table function returns for it.

    Args:
        frame: Rows with the function's arguments in the columns `arguments`.
        is_outer: Whether a row without results is kept with NULLs.
    """
    found = functions.run(task, frame.select(arguments) if arguments else pl.DataFrame(height=frame.height))
    left, found = found[SOURCE], found.drop(SOURCE)
    positions = pl.Series("found", range(found.height), dtype=pl.UInt32())
    if is_outer:
        every = pl.Series(SOURCE, range(frame.height), dtype=pl.UInt32())
        empty = every.filter(~every.is_in(left.implode()))
        pairs = pl.DataFrame([left, positions])
        none = pl.Series("found", [None] * len(empty), dtype=pl.UInt32())
        pairs = pl.concat([pairs, pl.DataFrame([empty, none])]).sort(SOURCE, maintain_order=True)
        left, positions = pairs[SOURCE], pairs["found"]
    taken = [column.gather(positions) for column in found.get_columns()]
    return frame[left].with_columns(taken) if frame.width else pl.DataFrame(taken)
