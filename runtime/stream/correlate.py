"""Rows times the rows of a table function.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tableapi.errors import UnsupportedError
from tableapi.plan.rex import Rex
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import Field, RowSchema


@dataclass(frozen=True)
class CorrelateSpec:
    """Fields as in `plan.nodes.Correlate`. Row kinds pass to the rows made."""

    input: RowSchema
    function: Any
    args: tuple[Rex, ...]
    outputs: tuple[Field, ...]
    is_outer: bool = False
    condition: Rex | None = None

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("Correlate is not supported yet", fix="run the query in batch mode")
