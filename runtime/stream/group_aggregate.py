"""Unbounded GROUP BY, DISTINCT and global aggregates.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import NamedAgg
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class GroupAggregateSpec:
    """GROUP BY `keys`. Output: keys, then aggregates (DISTINCT: no aggregates).

    input_is_insert_only: The input has no -U and no -D (then groups never vanish and MIN/MAX need no values).
    generate_update_before: Emit -U before each +U.
    ttl_ms: Groups that were not touched for so long (processing time) are forgotten; None: never.
    """

    input: RowSchema
    keys: tuple[str, ...]
    aggregates: tuple[NamedAgg, ...]
    input_is_insert_only: bool = True
    generate_update_before: bool = True
    ttl_ms: int | None = None

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("GroupAggregate is not supported yet", fix="run the query in batch mode")
