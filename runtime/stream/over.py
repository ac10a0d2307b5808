"""OVER aggregates and ranking functions.

Imports the plan and the sibling files that compute them: along time, and over rows in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import FrameBoundKind, NamedAgg, OverFrame
from tableapi.plan.rex import SortKey
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class OverSpec:
    """Fields as in `plan.nodes.Over`. Output: the input's columns, then the calls.

    `time_column`: the first ORDER BY column when it is an ascending time attribute (then output is +I as the watermark passes,
    or at once for processing time); None: order by other columns, with updates to later rows.
    `ttl_ms`: partitions that had no row for so long (processing time) begin anew; None: never.
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
    ttl_ms: int | None = None

    def __post_init__(self) -> None:
        if self.time_column is None:
            return
        if not self.input_is_insert_only:
            raise UnsupportedError(
                "OVER along time needs an insert-only input", fix="order by a column that is not a time attribute"
            )
        if self.frame.upper.kind is not FrameBoundKind.CURRENT_ROW:
            raise UnsupportedError("OVER along time cannot look at following rows", fix="end the frame at CURRENT ROW")
        for call in self.calls:
            if call.call.function in _NEED_THE_FUTURE:
                raise UnsupportedError(f"{call.call.function} needs rows to come", fix="run the query in batch mode")
        if any(map(looks_ahead, self.calls)):
            from tableapi.runtime.stream.over_ahead import distance_ahead

            assert all(map(looks_ahead, self.calls)), "the planner keeps LEAD apart from other calls"
            for call in self.calls:
                distance_ahead(call)

    def create(self) -> Operator:
        """A new operator."""
        if self.time_column is not None and any(map(looks_ahead, self.calls)):
            from tableapi.runtime.stream.over_ahead import LookAhead

            return LookAhead(self, self.time_column)
        if self.time_column is None:
            from tableapi.runtime.stream.over_updating import UpdatingOver

            return UpdatingOver(self)
        from tableapi.runtime.stream.over_time import TimeOver

        return TimeOver(self, self.time_column)


def looks_ahead(call: NamedAgg) -> bool:
    """Whether the call waits for rows to come."""
    return call.call.function == "LEAD"


_NEED_THE_FUTURE = frozenset({"NTILE", "CUME_DIST", "PERCENT_RANK"})
