"""Top-N and deduplication per window.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.rex import SortKey
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class WindowRankSpec:
    """ROW_NUMBER `start`..`end` per (window, partition_by), emitted when the watermark passes the window's end; +I only.

    `window`: names of the window's start and end columns; `partition_by` need not repeat them.
    """

    input: RowSchema
    window: tuple[str, str]
    partition_by: tuple[str, ...]
    order_by: tuple[SortKey, ...]
    start: int
    end: int
    rank_name: str | None = None

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("WindowRank is not supported yet", fix="run the query in batch mode")
