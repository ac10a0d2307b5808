"""Row-wise steps: filters and projections, fused into one operator.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import NamedRex
from tableapi.plan.rex import Rex
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class CalcStep:
    """First the filter (rows where `condition` is TRUE stay), then the projection (None: all columns as they are)."""

    condition: Rex | None = None
    columns: tuple[NamedRex, ...] | None = None


@dataclass(frozen=True)
class CalcSpec:
    """Applies `steps` in order to each batch of rows of `input`. Row kinds pass unchanged."""

    input: RowSchema
    steps: tuple[CalcStep, ...]

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("Calc is not supported yet", fix="run the query in batch mode")
