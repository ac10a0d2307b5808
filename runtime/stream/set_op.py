"""INTERSECT and EXCEPT (UNION ALL is several edges; UNION adds a distinct aggregate).

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import SetKind
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class SetOpSpec:
    """INTERSECT or EXCEPT of `inputs` (2 or more, same types, columns matched by position). Output: the first input's columns."""

    inputs: tuple[RowSchema, ...]
    kind: SetKind
    is_all: bool

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("SetOp is not supported yet", fix="run the query in batch mode")
