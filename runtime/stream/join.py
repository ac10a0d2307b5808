"""Regular joins with retractions.

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
class JoinSpec:
    """Joins two changelogs. Output: `joined_schema(left, right, kind)`.

    keys: Pairs (left column, right column) that must be equal; NULL never equals (see `null_safe`). Empty: all pairs.
    condition: What else must be TRUE, over the columns of both sides.
    null_safe: NULL keys equal each other (IS NOT DISTINCT FROM), one flag per key pair; () means none.
    null_aware: ANTI only, for NOT IN: a NULL on either side makes the outcome unknown, which drops the left row.
    """

    left: RowSchema
    right: RowSchema
    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    condition: Rex | None = None
    left_is_insert_only: bool = True
    right_is_insert_only: bool = True
    null_safe: tuple[bool, ...] = ()
    null_aware: bool = False
    ttl_ms: tuple[int | None, int | None] = (None, None)

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("Join is not supported yet", fix="run the query in batch mode")
