"""Rows that a lookup has found, remembered by key for a while. Imports Polars, NumPy and `runtime.state`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import Chains, RowStore

Mask = npt.NDArray[np.bool_]
_MIN_QUEUE = 4_096


@dataclass(frozen=True)
class CacheSettings:
    """What is remembered (Flink's `lookup.partial-cache.*`).

    Args:
        max_keys: At most so many keys; the least recently used ones go first. None: any number.
        after_write_ms, after_access_ms: A key is forgotten so long after it was looked up, or used last. None: never.
        keeps_missing: Also that a key has no rows.
    """

    max_keys: int | None = None
    after_write_ms: int | None = None
    after_access_ms: int | None = None
    keeps_missing: bool = True


class PartialCache:
    """Keys and the rows found for each, a whole batch at a time.

    Cost: O(keys and rows of a call), amortised: what goes is found in the order of use, and everything that has expired is
    swept out when as many keys have come in as are held.
    """

    def __init__(self, keys: Mapping[str, pl.DataType], rows: Mapping[str, pl.DataType], settings: CacheSettings) -> None:
        self._keys, self._settings = list(keys), settings
        self._index = KeyIndex(keys)
        self._rows = RowStore(rows)
        self._by_key = Chains()
        self._owner: Ids = np.full(0, -1, dtype=np.int64)
        self._written_ms: Ids = np.zeros(0, dtype=np.int64)
        self._used_ms: Ids = np.zeros(0, dtype=np.int64)
        self._used_at: Ids = np.zeros(0, dtype=np.int64)
        self._tick = 0
        self._queue: deque[tuple[int, Ids]] = deque()
        self._queued = self._since_sweep = 0

    @property
    def count(self) -> int:
        """Number of keys."""
        return self._index.count

    def get(self, keys: pl.DataFrame, now_ms: int) -> tuple[pl.DataFrame, Mask]:
        """The rows of the keys (distinct) that are known, and which keys are not."""
        slots = self._index.find(keys)
        stale = self._is_stale(slots, now_ms)
        self._forget(slots[stale])
        slots = np.where(stale, -1, slots)
        found = slots[slots >= 0]
        self._use(found, now_ms)
        ids, _ = self._by_key.collect(found)
        return self._rows.gather(ids), slots < 0

    def put(self, keys: pl.DataFrame, rows: pl.DataFrame, now_ms: int) -> None:
        """Remembers the rows of keys (distinct) that were just looked up; keys without rows as far as they are kept."""
        self._forget(self._known(keys))
        if not self._settings.keeps_missing:
            keys = keys.join(rows.select(self._keys).unique(), on=self._keys, how="semi", maintain_order="left")
        slots, _ = self._index.insert(keys)
        bound = self._index.bound
        self._written_ms, self._used_ms = grown(self._written_ms, bound), grown(self._used_ms, bound)
        self._used_at = grown(self._used_at, bound)
        self._written_ms[slots] = now_ms
        self._use(slots, now_ms)
        owners = self._index.find(rows.select(self._keys))
        ids = self._rows.append(rows)
        self._owner = grown(self._owner, self._rows.bound, -1)
        self._owner[ids] = owners
        self._by_key.append(ids, owners)
        self._since_sweep += len(slots)
        if self._since_sweep > max(_MIN_QUEUE, self._index.count):
            self._sweep(now_ms)
        self._make_room()

    def _known(self, keys: pl.DataFrame) -> Ids:
        slots = self._index.find(keys)
        return slots[slots >= 0]

    def _is_stale(self, slots: Ids, now_ms: int) -> Mask:
        stale = np.zeros(len(slots), dtype=np.bool_)
        known = slots >= 0
        for limit, since in (
            (self._settings.after_write_ms, self._written_ms),
            (self._settings.after_access_ms, self._used_ms),
        ):
            if limit is not None and known.any():
                stale[known] |= since[slots[known]] + limit <= now_ms
        return stale

    def _use(self, slots: Ids, now_ms: int) -> None:
        if not len(slots):
            return
        self._used_ms[slots] = now_ms
        if self._settings.max_keys is None:
            return
        self._tick += 1
        self._used_at[slots] = self._tick
        self._queue.append((self._tick, slots))
        self._queued += len(slots)
        if self._queued > max(_MIN_QUEUE, 4 * self._index.count):
            live = self._index.live_slots()
            live = live[np.argsort(self._used_at[live], kind="stable")]
            ticks, starts = np.unique(self._used_at[live], return_index=True)
            self._queue = deque(zip(ticks.tolist(), np.split(live, starts[1:]), strict=True))
            self._queued = len(live)

    def _make_room(self) -> None:
        while self._settings.max_keys is not None and self._index.count > self._settings.max_keys:
            tick, slots = self._queue.popleft()
            self._queued -= len(slots)
            slots = slots[self._used_at[slots] == tick]
            excess = self._index.count - self._settings.max_keys
            self._forget(slots[:excess])
            if len(slots) > excess:
                self._queue.appendleft((tick, slots[excess:]))
                self._queued += len(slots) - excess

    def _sweep(self, now_ms: int) -> None:
        live = self._index.live_slots()
        self._forget(live[self._is_stale(live, now_ms)])
        self._since_sweep = 0

    def _forget(self, slots: Ids) -> None:
        if not len(slots):
            return
        ids, _ = self._by_key.collect(slots)
        self._by_key.remove(ids, self._owner[ids])
        self._rows.remove(ids)
        if self._settings.max_keys is not None:
            self._used_at[slots] = 0
        self._index.free(slots)

    def rows(self) -> pl.DataFrame:
        """All remembered rows."""
        return self._rows.gather(self._rows.live_ids())
