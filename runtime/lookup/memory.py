"""What a lookup join has found for rows that may be taken back. Imports Polars, NumPy and `runtime.state`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import NONE, Chains, IdAllocator, RowStore

INSTANCE = "__instance"
"""Column that numbers the remembered rows, in what `save` gives."""
_HAS_ANSWER = "__has_answer"


class FoundRows:
    """Rows of the left side, each with what was found for it, so that taking a row back takes back just that.

    Cost: O(rows given and found). A row that stands several times is remembered as often.
    """

    def __init__(self, left: Mapping[str, pl.DataType], right: Mapping[str, pl.DataType], ttl_ms: int | None) -> None:
        self._left_types, self._right_types, self._ttl_ms = dict(left), dict(right), ttl_ms
        self._index = KeyIndex(left)
        self._instances = IdAllocator()
        self._by_row = Chains()
        self._row_of: Ids = np.full(0, -1, dtype=np.int64)
        self._answers = RowStore(right)
        self._by_instance = Chains()
        self._birth_ms: Ids = np.full(0, -1, dtype=np.int64)
        self._ages: deque[tuple[int, Ids]] = deque()

    @property
    def count(self) -> int:
        """Number of remembered rows."""
        return self._instances.count

    def put(
        self, left: pl.DataFrame, positions: Ids, right: pl.DataFrame, now_ms: int, set_timer: Callable[[int], None]
    ) -> None:
        """Remembers rows; `right` holds what was found, `positions` for which row each."""
        if not left.height:
            return
        rows, _ = self._index.insert(left)
        instances = self._instances.take(left.height)
        self._row_of = grown(self._row_of, self._instances.bound, -1)
        self._row_of[instances] = rows
        self._by_row.append(instances, rows)
        self._by_instance.append(self._answers.append(right), instances[positions])
        if self._ttl_ms is not None:
            self._birth_ms = grown(self._birth_ms, self._instances.bound, -1)
            self._birth_ms[instances] = now_ms
            self._ages.append((now_ms, instances))
            set_timer(now_ms + self._ttl_ms)

    def take(self, left: pl.DataFrame) -> tuple[Ids, Ids, pl.DataFrame]:
        """Forgets rows: which of them were known (positions), and what had been found: for which row each, and the rows."""
        instances = self._by_row.pop(self._index.find(left))
        known = np.flatnonzero(instances >= 0)
        ids, positions = self._by_instance.collect(instances[known])
        right = self._answers.gather(ids)
        self._forget(instances[known], ids, instances[known][positions])
        return known, known[positions], right

    def _forget(self, instances: Ids, ids: Ids, owners: Ids) -> None:
        """Forgets instances that are out of their chains of equal rows, with their answers."""
        self._by_instance.remove(ids, owners)
        self._answers.remove(ids)
        if not len(instances):
            return
        rows = np.unique(self._row_of[instances])
        self._index.free(rows[self._by_row.is_empty(rows)])
        if self._ttl_ms is not None:
            self._birth_ms[instances] = -1
        self._instances.give_back(instances)

    def expire(self, now_ms: int) -> None:
        """Forgets what is older than the time to live."""
        while self._ttl_ms is not None and self._ages and self._ages[0][0] + self._ttl_ms <= now_ms:
            born, instances = self._ages.popleft()
            instances = instances[self._birth_ms[instances] == born]
            self._by_row.remove(instances, self._row_of[instances])
            ids, positions = self._by_instance.collect(instances)
            self._forget(instances, ids, instances[positions])

    def save(self) -> pl.DataFrame:
        """Every remembered row with what was found for it: one row a finding, one with NULLs for none."""
        rows = self._index.live_slots()
        instances, positions = self._by_row.collect(rows)
        left = self._index.keys(rows)[positions]
        ids, owners = self._by_instance.collect(instances)
        alone = np.setdiff1d(np.arange(len(instances)), owners)
        empty = pl.DataFrame(
            [pl.Series(n, [None], dtype=t).new_from_index(0, len(alone)) for n, t in self._right_types.items()]
        )
        right = pl.concat([self._answers.gather(ids), empty]) if len(alone) else self._answers.gather(ids)
        order = np.concatenate([owners, alone])
        marks = [
            pl.Series(INSTANCE, order, dtype=pl.Int64()),
            pl.Series(_HAS_ANSWER, np.arange(len(order)) < len(ids), dtype=pl.Boolean()),
        ]
        return pl.DataFrame([*left[order], *right, *marks])

    def load(self, saved: pl.DataFrame, now_ms: int, set_timer: Callable[[int], None]) -> None:
        """Takes over what `save` gave."""
        first = saved.unique(INSTANCE, keep="first", maintain_order=True)
        number = first.select(INSTANCE).with_row_index("__position")
        found = saved.filter(_HAS_ANSWER).join(number, on=INSTANCE, how="left", maintain_order="left")
        positions = found["__position"].to_numpy().astype(np.int64) if found.height else NONE
        self.put(first.select(list(self._left_types)), positions, found.select(list(self._right_types)), now_ms, set_timer)
