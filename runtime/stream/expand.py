"""Grouping sets: repeats each row once per set, with the absent keys NULL.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class ExpandSpec:
    """Each row once per grouping set.

    Output: the input's columns, the keys that are not in the set being NULL, then `group_id` (BIGINT: bit mask of absent keys,
    the last key is bit 0). An aggregate that reads a key column must read a copy of it projected below. The aggregation above
    groups by the keys and `group_id`.
    """

    input: RowSchema
    keys: tuple[str, ...]
    grouping_sets: tuple[tuple[str, ...], ...]
    group_id: str

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("Expand is not supported yet", fix="run the query in batch mode")
