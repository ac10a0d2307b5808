"""Joins rows whose times are within bounds of each other.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import JoinKind
from tableapi.plan.rex import Rex
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class IntervalJoinSpec:
    """Fields as in `plan.nodes.IntervalJoin`: lower_ms <= left.time - right.time <= upper_ms. Insert-only inputs.

    `keys`: pairs of equal columns taken out of the condition; `condition`: the rest (the time bounds may be left in).
    """

    left: RowSchema
    right: RowSchema
    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    condition: Rex | None
    left_time: str
    right_time: str
    lower_ms: int
    upper_ms: int
    is_event_time: bool = True

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("IntervalJoin is not supported yet", fix="run the query in batch mode")
