"""What a table's columns promise of their values, enforced on rows before they are written.

Flink: `table.exec.sink.not-null-enforcer` (ERROR, DROP) and `table.exec.sink.type-length-enforcer` (IGNORE, TRIM_PAD, ERROR).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from tableapi.errors import ExecutionError
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import Field, RowSchema
from tableapi.types import MAX_LENGTH, BinaryStringType, BinaryType, CharacterType, CharType

NOT_NULL_OPTION = "table.exec.sink.not-null-enforcer"
LENGTH_OPTION = "table.exec.sink.type-length-enforcer"


@dataclass(frozen=True)
class Constraints:
    """The constraints of one sink.

    Args:
        table: Name for messages.
        schema: The columns that are written, as the table declares them.
        drops_null: Leave rows out that have NULL in a NOT NULL column, instead of failing.
        length: IGNORE, TRIM_PAD or ERROR.
    """

    table: str
    schema: RowSchema
    drops_null: bool = False
    length: str = "IGNORE"

    @staticmethod
    def of(table: str, schema: RowSchema, options: Mapping[str, str]) -> Constraints:
        """The constraints under a session's configuration."""
        drops_null = options.get(NOT_NULL_OPTION, "ERROR").upper() == "DROP"
        return Constraints(table, schema, drops_null, options.get(LENGTH_OPTION, "IGNORE").upper())

    def needed(self, given: RowSchema) -> bool:
        """Whether rows of the `given` columns can break a constraint at all."""
        return bool(self._not_null(given)) or (self.length != "IGNORE" and any(map(_has_length, self.schema)))

    def _not_null(self, given: RowSchema) -> list[str]:
        pairs = zip(self.schema, given, strict=True)
        return [target.name for target, source in pairs if not target.type.is_nullable and source.type.is_nullable]

    def apply(self, batch: Batch) -> Batch:
        """The rows that may be written.

        Raises:
            ExecutionError: A value breaks a constraint.
        """
        batch = self._enforce_not_null(batch)
        if self.length == "IGNORE":
            return batch
        return batch.with_frame(self._enforce_length(batch.frame))

    def _enforce_not_null(self, batch: Batch) -> Batch:
        required = [f.name for f in self.schema if not f.type.is_nullable and batch.frame[f.name].null_count()]
        if not required:
            return batch
        if self.drops_null:
            whole = batch.frame.select(pl.all_horizontal(pl.col(required).is_not_null())).to_series()
            return batch.filter(whole)
        raise ExecutionError(
            f"column '{required[0]}' of table '{self.table}' is NOT NULL, and a NULL is being written into it",
            fix=f"filter such rows out, declare the column nullable, or drop them with '{NOT_NULL_OPTION}' = 'DROP'",
        )

    def _enforce_length(self, frame: pl.DataFrame) -> pl.DataFrame:
        fields = [f for f in self.schema if _has_length(f)]
        if self.length == "ERROR":
            for field in fields:
                self._check_length(frame, field)
            return frame
        return frame.with_columns(_trimmed(f) for f in fields)

    def _check_length(self, frame: pl.DataFrame, field: Field) -> None:
        limit: int = field.type.length  # type: ignore[attr-defined]
        column = frame[field.name]
        lengths = column.str.len_chars() if isinstance(field.type, CharacterType) else column.bin.size()
        is_exact = isinstance(field.type, CharType | BinaryType)
        bad = frame.filter((lengths != limit) if is_exact else (lengths > limit))
        if bad.height:
            raise ExecutionError(
                f"column '{field.name}' of table '{self.table}' is {field.type}, and {bad[field.name][0]!r} does not fit",
                fix=f"shorten the value, or set '{LENGTH_OPTION}' = 'TRIM_PAD'",
            )


def _has_length(field: Field) -> bool:
    return isinstance(field.type, CharacterType | BinaryStringType) and field.type.length < MAX_LENGTH


def _trimmed(field: Field) -> pl.Expr:
    limit: int = field.type.length  # type: ignore[attr-defined]
    column = pl.col(field.name)
    if isinstance(field.type, CharacterType):
        cut = column.str.head(limit)
        return cut.str.pad_end(limit, " ") if isinstance(field.type, CharType) else cut
    return column.bin.head(limit)


@dataclass(frozen=True)
class ConstraintSpec:
    """Enforces constraints on a stream. Cost per batch: one look at each constrained column."""

    constraints: Constraints

    def create(self) -> Operator:
        """A new operator."""
        return _ConstraintOperator(self.constraints)


class _ConstraintOperator(Operator):
    def __init__(self, constraints: Constraints) -> None:
        self._constraints = constraints

    def process(self, input: int, batch: Batch) -> None:
        kept = self._constraints.apply(batch)
        if kept.height:
            self.context.emit(kept)
