"""What Flink wants of a plan that is to run as a stream, beyond what its nodes say. Imports the plan only."""

from __future__ import annotations

from tableapi.errors import UnsupportedError, ValidationError
from tableapi.plan import nodes as n
from tableapi.plan.match_node import Match
from tableapi.plan.traits import joined_time


def check_window_function(node: n.WindowTable | n.WindowAggregate) -> None:
    """What Flink wants of a window table function on a stream."""
    window = node.window
    if not window.is_table_function:
        return
    if joined_time(node.input, window.time_column):
        raise UnsupportedError(
            f"the window's time column '{window.time_column}' is no time attribute any more after a regular join",
            fix="window before the join, or join with an interval condition on the time attributes",
        )
    if isinstance(node, n.WindowAggregate) and window.kind is n.WindowKind.HOP and window.size_ms % window.step_ms:
        raise ValidationError(
            "the size of a HOP window must be a multiple of its slide when rows are aggregated per window",
            exists=f"size: {n.format_ms(window.size_ms)}, slide: {n.format_ms(window.step_ms)}",
        )


def check_order_of_match(node: Match) -> None:
    """A row pattern needs rows in order of time, and a regular join gives none."""
    column = node.order_by[0].column
    if joined_time(node.input, column):
        raise UnsupportedError(
            f"column '{column}' is no time attribute any more after a regular join",
            fix="match rows before the join, or join with an interval condition on the time attributes",
        )
