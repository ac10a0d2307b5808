"""The clocks of a running job. The only place of the cluster that asks the machine for the time of day."""

from __future__ import annotations

import time

from tableapi.runtime.stream.operator import Clock


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves when told to.

    >>> clock = ManualClock(10)
    >>> clock.advance(5)
    >>> clock.now_ms()
    15
    """

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self._now_ms

    def advance(self, by_ms: int) -> None:
        """Moves the clock forward."""
        assert by_ms >= 0
        self._now_ms += by_ms


def clock_for(manual_clock_ms: int | None) -> Clock:
    """The clock that a job's configuration asks for."""
    return SystemClock() if manual_clock_ms is None else ManualClock(manual_clock_ms)
