"""Time to live of keyed state: keys that were not written for so long are forgotten (Flink: `table.exec.state.ttl`).

Imports `runtime.state` and the operator contract.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.stream.operator import Operator, OperatorContext

_SWEEPS = 20


class IdleKeys:
    """When each key of an index was last written, by processing time.

    A key whose time has passed counts as gone at once (`enter`), and a timer removes those that never come again. The timer
    looks at all keys, so it runs at most about twenty times in a time to live.

    Args:
        ttl_ms: Time to live; None: for ever, and nothing here costs anything.
        index: The keys.
        forget: Removes all that an operator keeps for keys (slots, each once), and the keys. Emits nothing.
    """

    def __init__(self, ttl_ms: int | None, index: KeyIndex, forget: Callable[[Ids], None]) -> None:
        self._ttl_ms, self._index, self._forget = ttl_ms, index, forget
        self._written_ms = np.zeros(0, dtype=np.int64)
        self._timer_is_set = False

    def open(self, context: OperatorContext) -> None:
        """Called when the operator is opened."""
        self._context = context

    def enter(self, frame: pl.DataFrame) -> None:
        """Forgets those keys of a batch whose time has passed; called before the batch is looked at."""
        if self._ttl_ms is None or not self._index.count:
            return
        slots = self._index.find(frame)
        slots = np.unique(slots[slots >= 0])
        self._drop(slots[self._written_ms[slots] <= self._context.clock.now_ms() - self._ttl_ms])

    def touch(self, slots: Ids) -> None:
        """The keys were written now."""
        if self._ttl_ms is None or not len(slots):
            return
        self._written_ms = grown(self._written_ms, self._index.bound)
        now = self._context.clock.now_ms()
        self._written_ms[slots] = now
        if not self._timer_is_set:
            self._timer_is_set = True
            self._context.set_timer(now + self._ttl_ms)

    def touch_all(self) -> None:
        """All keys were written now: after a restore, which does not know better."""
        self.touch(self._index.live_slots())

    def sweep(self, time_ms: int) -> None:
        """Forgets the keys whose time has passed; called by the operator's `on_timer`."""
        if self._ttl_ms is None:
            return
        self._timer_is_set = False
        live = self._index.live_slots()
        written = self._written_ms[live]
        self._drop(live[written <= time_ms - self._ttl_ms])
        left = written[written > time_ms - self._ttl_ms]
        if len(left):
            self._timer_is_set = True
            self._context.set_timer(max(int(left.min()) + self._ttl_ms, time_ms + max(1, self._ttl_ms // _SWEEPS)))

    def _drop(self, slots: Ids) -> None:
        if len(slots):
            self._forget(slots)
            self._context.metrics["expired_keys"] = self._context.metrics.get("expired_keys", 0) + len(slots)


class ExpiringOperator(Operator):
    """An operator whose keys expire: subclasses make `_idle`, and tell it of the keys that they read and write."""

    _idle: IdleKeys

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        self._idle.open(context)

    def on_timer(self, time_ms: int) -> None:
        self._idle.sweep(time_ms)
