"""TO_CHANGELOG and FROM_CHANGELOG: kinds of changes as values of a column, and back. No state; cost O(rows of the batch)."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tableapi.errors import RecordError
from tableapi.row import RowKind
from tableapi.runtime.stream.batch import KIND_DTYPE, Batch
from tableapi.runtime.stream.operator import Operator


@dataclass(frozen=True)
class ToChangelogSpec:
    """Emits each change as an insert: the code of its kind in a first column `op`, then the row. Kinds without a code are
    dropped."""

    op: str
    codes: tuple[tuple[RowKind, str], ...]

    def create(self) -> Operator:
        """A new operator."""
        return ToChangelog(self)


class ToChangelog(Operator):
    """See `ToChangelogSpec`."""

    def __init__(self, spec: ToChangelogSpec) -> None:
        self._op = spec.op
        self._codes = {int(kind): code for kind, code in spec.codes}

    def process(self, input: int, batch: Batch) -> None:
        kinds = pl.Series(self._op, batch.kind_values(), dtype=KIND_DTYPE)
        codes = kinds.replace_strict(self._codes, default=None, return_dtype=pl.String())
        frame = batch.frame.select(codes, pl.all()).filter(codes.is_not_null())
        if frame.height:
            self.context.emit(Batch(frame))


@dataclass(frozen=True)
class FromChangelogSpec:
    """Emits each row, without its column `op`, as the change that the column names.

    Raises (when it runs):
        RecordError: The column holds NULL or a code that `codes` does not have.
    """

    op: str
    codes: tuple[tuple[str, RowKind], ...]

    def create(self) -> Operator:
        """A new operator."""
        return FromChangelog(self)


class FromChangelog(Operator):
    """See `FromChangelogSpec`."""

    def __init__(self, spec: FromChangelogSpec) -> None:
        self._op = spec.op
        self._kinds = {code: int(kind) for code, kind in spec.codes}

    def process(self, input: int, batch: Batch) -> None:
        codes = batch.frame[self._op]
        kinds = codes.replace_strict(self._kinds, default=None, return_dtype=KIND_DTYPE)
        if kinds.null_count():
            unknown = codes.filter(kinds.is_null())[0]
            raise RecordError(
                f"FROM_CHANGELOG met {unknown!r} in column '{self._op}', which names no kind of change",
                exists=f"codes: {', '.join(self._kinds)}",
                fix="map it: op_mapping => MAP['code', 'INSERT', …]",
            )
        self.context.emit(Batch(batch.frame.drop(self._op), kinds.alias("kind")))
