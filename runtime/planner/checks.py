"""What Flink wants of a plan that is to run as a stream, beyond what its nodes say. Imports the plan only."""

from __future__ import annotations

from tableapi.errors import UnsupportedError, ValidationError
from tableapi.plan import nodes as n
from tableapi.plan.traits import lost_time


def check_window(node: n.WindowTable | n.WindowAggregate) -> None:
    """What Flink wants of a window on a stream."""
    window = node.window
    is_attached = isinstance(node, n.WindowAggregate) and node.attached is not None
    if not (is_attached and lost_time(node.input, window.time_column) == "a window function"):
        check_time(node.input, window.time_column, f"the window's time column '{window.time_column}'", "window")
    is_hop = isinstance(node, n.WindowAggregate) and window.kind is n.WindowKind.HOP
    if window.is_table_function and is_hop and window.size_ms % window.step_ms:
        raise ValidationError(
            "the size of a HOP window must be a multiple of its slide when rows are aggregated per window",
            exists=f"size: {n.format_ms(window.size_ms)}, slide: {n.format_ms(window.step_ms)}",
        )


def check_time(node: n.Node, column: str, subject: str, step: str) -> None:
    """What works by time needs rows in order of time, and some operators give none.

    Args:
        node: The input. column: Its time attribute. subject: What the column is, in the user's terms. step: What is done by time, as a verb.
    """
    lost_by = lost_time(node, column)
    if lost_by == "a window function":
        raise UnsupportedError(f"{subject} is no time attribute any more after {lost_by}", fix=f"{step} by window_time")
    if lost_by is not None:
        raise UnsupportedError(
            f"{subject} is no time attribute any more after {lost_by}",
            fix=f"{step} before the join, or join with an interval condition on the time attributes",
        )
