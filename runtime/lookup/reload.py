"""When a table that is held whole is read again (Flink's `lookup.full-cache.*`). Plain values, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Periodic:
    """Every so often, counted from the end of a reading or, at a fixed rate, from its start."""

    interval_ms: int
    is_fixed_rate: bool = False

    def next_ms(self, started_ms: int, ended_ms: int) -> int:
        """When to read again."""
        return (started_ms if self.is_fixed_rate else ended_ms) + self.interval_ms


@dataclass(frozen=True)
class Timed:
    """Every so many days at a time of day (UTC).

    >>> Timed(time(2, 30)).next_ms(0, 0)
    9000000
    """

    at: time
    days: int = 1

    def next_ms(self, started_ms: int, ended_ms: int) -> int:
        """When to read again."""
        moment = datetime.fromtimestamp(ended_ms / 1000, UTC)
        due = moment.replace(hour=self.at.hour, minute=self.at.minute, second=self.at.second, microsecond=0)
        if due > moment:
            return round(due.timestamp() * 1000)
        return round((due + timedelta(days=self.days)).timestamp() * 1000)


Reload = Periodic | Timed
