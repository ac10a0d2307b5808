"""OVER aggregates and ranking functions.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import NamedAgg, OverFrame
from tableapi.plan.rex import SortKey
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class OverSpec:
    """Fields as in `plan.nodes.Over`. Output: the input's columns, then the calls.

    `time_column`: the first ORDER BY column when it is an ascending time attribute (then output is +I as the watermark passes, or at once
    for processing time); None: order by other columns, with updates to later rows.
    """

    input: RowSchema
    partition_by: tuple[str, ...]
    order_by: tuple[SortKey, ...]
    frame: OverFrame
    calls: tuple[NamedAgg, ...]
    time_column: str | None
    is_event_time: bool = True
    input_is_insert_only: bool = True
    generate_update_before: bool = True

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("Over is not supported yet", fix="run the query in batch mode")
