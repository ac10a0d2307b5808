"""The clocks of a running job. The only place of the cluster that asks the machine for the time of day."""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path

from tableapi.runtime.stream.operator import Clock


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def sleep_ms(self, duration_ms: int) -> None:
        """Waits."""
        time.sleep(duration_ms / 1000)


class FileClock:
    """A clock that shows what a file says: eight bytes, milliseconds since the epoch, read anew each time. All processes of a job that is
    tested see the same time, and the test moves it (`tableapi.testing.JobClock`)."""

    def __init__(self, path: str) -> None:
        with Path(path).open("rb") as file:
            self._time = mmap.mmap(file.fileno(), _TIME.size, access=mmap.ACCESS_READ)

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return int(_TIME.unpack_from(self._time)[0])


_TIME = struct.Struct("<q")


def clock_for(clock_file: str | None) -> Clock:
    """The clock that a job's configuration asks for."""
    return SystemClock() if clock_file is None else FileClock(clock_file)
