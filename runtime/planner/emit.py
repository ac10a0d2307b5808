"""When windows give results besides the one at their end: the session's settings.

Flink's experimental `table.exec.emit.*` keys. Imports plan nodes and the reading of durations.
"""

from __future__ import annotations

from collections.abc import Mapping

from tableapi.durations import parse_duration
from tableapi.errors import ValidationError
from tableapi.plan.nodes import EmitPolicy

_PREFIX = "table.exec.emit."


def emit_policy(options: Mapping[str, str]) -> EmitPolicy | None:
    """What the settings ask for; None when windows give one result each. Lateness without late results counts for nothing (Flink).

    Raises:
        ValidationError: A setting is wrong, or they contradict each other.

    >>> emit_policy({"table.exec.emit.early-fire.enabled": "true", "table.exec.emit.early-fire.delay": "5 s"})
    EmitPolicy(early_ms=5000, late_ms=None, lateness_ms=0)
    """
    early, late = _delay(options, "early-fire"), _delay(options, "late-fire")
    lateness = _duration(options, "allow-lateness") or 0
    if late is not None and lateness <= 0:
        raise ValidationError(
            f"'{_PREFIX}late-fire.enabled' needs to know for how long rows may be late",
            fix=f"set '{_PREFIX}allow-lateness' to a positive duration",
        )
    if early is None and late is None:
        return None
    return EmitPolicy(early, late, 0 if late is None else lateness)


def _delay(options: Mapping[str, str], name: str) -> int | None:
    if options.get(f"{_PREFIX}{name}.enabled", "false").strip().lower() != "true":
        return None
    delay = _duration(options, f"{name}.delay")
    if delay is None or delay < 0:
        raise ValidationError(
            f"'{_PREFIX}{name}.enabled' needs a delay", fix=f"set '{_PREFIX}{name}.delay' to a duration; 0 ms: at each change"
        )
    return delay


def _duration(options: Mapping[str, str], name: str) -> int | None:
    text = options.get(_PREFIX + name)
    try:
        return None if text is None else round(parse_duration(text).total_seconds() * 1000)
    except ValueError as error:
        raise ValidationError(f"'{_PREFIX}{name}': {error}") from None
