"""Windows over slices, as the tests of aggregation use them."""

from __future__ import annotations

from tableapi.plan.nodes import WindowKind, WindowProperty, WindowSpec

BOUNDS = (("ws", WindowProperty.START), ("we", WindowProperty.END))
OVERLAPPING = [
    ("HOP", {"size_ms": 10, "step_ms": 4}),
    ("HOP", {"size_ms": 12, "step_ms": 3, "offset_ms": 1}),
    ("HOP", {"size_ms": 5, "step_ms": 8, "offset_ms": 3}),
    ("HOP", {"size_ms": 30, "step_ms": 1}),
    ("CUMULATE", {"size_ms": 12, "step_ms": 3, "offset_ms": 2}),
    ("CUMULATE", {"size_ms": 30, "step_ms": 1}),
]
"""Kinds and their times in milliseconds; one leaves gaps."""


def spec(kind, ms):
    """The window over the event time `ts`."""
    return WindowSpec(WindowKind[kind], "ts", True, **ms)
