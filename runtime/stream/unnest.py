"""Rows times the elements of a collection.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.rex import Rex
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import Field, RowSchema


@dataclass(frozen=True)
class UnnestSpec:
    """Fields as in `plan.nodes.Unnest`. Row kinds pass to the rows made."""

    input: RowSchema
    collection: Rex
    outputs: tuple[Field, ...]
    is_outer: bool = False
    ordinality: str | None = None

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("Unnest is not supported yet", fix="run the query in batch mode")
