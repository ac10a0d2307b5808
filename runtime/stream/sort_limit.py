"""Sorting by event time, sorting bounded input, LIMIT without order.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.rex import SortKey
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class TemporalSortSpec:
    """ORDER BY with the event-time column first: rows come out in order as the watermark passes them. Late rows are dropped."""

    input: RowSchema
    order_by: tuple[SortKey, ...]

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("TemporalSort is not supported yet", fix="run the query in batch mode")


@dataclass(frozen=True)
class FullSortSpec:
    """ORDER BY anything over a bounded input: folds the changelog and emits the sorted rows (+I) at the end of the input."""

    input: RowSchema
    order_by: tuple[SortKey, ...]

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("FullSort is not supported yet", fix="run the query in batch mode")


@dataclass(frozen=True)
class LimitSpec:
    """LIMIT without ORDER BY: rows `offset`+1 to `offset`+`fetch` in order of arrival (None: all). Runs on one worker.

    With `input_is_insert_only` False, rows that leave are replaced by later ones.
    """

    input: RowSchema
    fetch: int | None
    offset: int = 0
    input_is_insert_only: bool = True

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("Limit is not supported yet", fix="run the query in batch mode")
