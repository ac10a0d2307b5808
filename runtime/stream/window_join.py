"""Joins rows of the same window.

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
class WindowJoinSpec:
    """Fields as in `plan.nodes.WindowJoin`. `keys`: pairs of equal columns besides the window. Insert-only inputs; emits at window end."""

    left: RowSchema
    right: RowSchema
    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    condition: Rex | None
    left_window: tuple[str, str]
    right_window: tuple[str, str]

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("WindowJoin is not supported yet", fix="run the query in batch mode")
