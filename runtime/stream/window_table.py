"""Window table functions: gives each row its windows.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import WindowSpec
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class WindowTableSpec:
    """Output: the input's columns, then window start, end and time under the given names."""

    input: RowSchema
    window: WindowSpec
    start: str = "window_start"
    end: str = "window_end"
    time: str = "window_time"

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("WindowTable is not supported yet", fix="run the query in batch mode")
