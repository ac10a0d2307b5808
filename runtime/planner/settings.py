"""What of a session's configuration shapes a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PlannerSettings:
    """Session settings that shape operators.

    Args:
        idle_timeout_ms: After so long without rows a split no longer holds the watermark back; 0: never.
        state_ttl_ms: How long state of unbounded operators is kept; None: for ever.
        options: The session configuration as text.
    """

    idle_timeout_ms: int = 5_000
    state_ttl_ms: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
