"""Keeps the first or the last row of each key by a time attribute (or by arrival).

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class DeduplicateSpec:
    """The first or last row per key. Insert-only input.

    `time_column`: the event-time column that orders rows; None: order of arrival (processing time). Keep-first emits +I only; keep-last
    emits +I, then -U/+U (no -U without `generate_update_before`).
    """

    input: RowSchema
    keys: tuple[str, ...]
    time_column: str | None
    keep_last: bool
    generate_update_before: bool = True

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("Deduplicate is not supported yet", fix="run the query in batch mode")
