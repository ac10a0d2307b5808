"""Aggregation over windows of time: TUMBLE, HOP, CUMULATE, SESSION.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import NamedAgg, WindowProperty, WindowSpec
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class WindowAggregateSpec:
    """Fields as in `plan.nodes.WindowAggregate`. Output: keys, aggregates, properties; +I only.

    With `attached`, the window's start and end are columns of the input, and the rows are grouped by them.
    """

    input: RowSchema
    window: WindowSpec
    keys: tuple[str, ...]
    aggregates: tuple[NamedAgg, ...]
    properties: tuple[tuple[str, WindowProperty], ...] = ()
    attached: tuple[str, str] | None = None
    input_is_insert_only: bool = True

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("WindowAggregate is not supported yet", fix="run the query in batch mode")
