"""KeyIndex: from the values of key columns to dense integer slots, a whole batch at a time.

Imports Polars, NumPy and the sibling state classes; the kernels are loaded on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.runtime.state.columns import Ids, from_arrays, grown, pick, storage_dtype, to_arrays, writable
from tableapi.runtime.state.row_store import NONE, RowStore

Words = npt.NDArray[np.int64]
_NAN_WORD = 0x7FF8000000000000


def hash_frame(frame: pl.DataFrame) -> npt.NDArray[np.uint64]:
    """Polars' own hash of each row: fast, and good for this process only."""
    series = frame.to_series().hash() if frame.width == 1 else frame.hash_rows()
    return series.to_numpy()


class KeyIndex:
    """A hash index over rows of key columns.

    Slots are small integers; accumulators and the like are arrays indexed by slot. A freed slot is given to a later key.
    NULL is a key value like any other, NaN equals NaN, -0.0 equals 0.0.

    Fixed-width keys (numbers, times, booleans) are stored as 64-bit words and compared exactly by the kernel. Other keys are
    found by their hash and then compared, column by column; keys whose hashes collide move to a small exact table, so that a
    collision costs time but never mixes keys.

    Args:
        schema: Names and Polars types of the key columns. No columns: there is one key.
        hasher: Replaces the hash of keys that are not fixed-width (tests force collisions with it).

    >>> index = KeyIndex({"k": pl.String()})
    >>> slots, new = index.insert(pl.DataFrame({"k": ["a", "b", "a", None]}))
    >>> slots.tolist(), new.tolist(), index.keys(slots[:1]).rows()
    ([0, 1, 0, 2], [0, 1, 3], [('a',)])
    """

    def __init__(
        self, schema: Mapping[str, pl.DataType], hasher: Callable[[pl.DataFrame], npt.NDArray[np.uint64]] = hash_frame
    ) -> None:
        self.schema = dict(schema)
        self._is_fixed = all(storage_dtype(dtype) is not None for dtype in self.schema.values())
        self._hasher = hasher
        self._has_nulls = False
        width = max(1, len(self.schema)) if self._is_fixed else 1
        self._words: Words = np.zeros((16, width), dtype=np.int64)
        self._table = np.zeros(32, dtype=np.uint64)
        self._free: Ids = np.empty(16, dtype=np.int64)
        self._state = np.zeros(5, dtype=np.int64)
        self._state[4] = _most_keys(self._table)
        self._stored = None if self._is_fixed else RowStore(self.schema)
        self._stored_at: Ids = np.full(16, -1, dtype=np.int64)
        self._collided: dict[tuple[Any, ...], int] = {}
        self._collided_hashes: set[int] = set()
        self._scratch: Ids = np.full(16, -1, dtype=np.int64)

    @property
    def count(self) -> int:
        """Number of keys."""
        return int(self._state[0]) + len(self._collided)

    @property
    def bound(self) -> int:
        """One more than the largest slot in use so far: the length that arrays indexed by slot need."""
        return int(self._state[1])

    def insert(self, frame: pl.DataFrame) -> tuple[Ids, Ids]:
        """Finds the slot of each row's key and makes slots for keys that have none.

        Args:
            frame: Rows; the key columns are looked up by name.

        Returns:
            The slot of each row, and the rows that were the first of a new key (ascending).
        """
        keys = pick(frame, self.schema) if self.schema else frame
        words = self._to_words(keys)
        if self._collided_hashes:
            return self._insert_around_collisions(keys, words)
        slots, new_rows = self._insert_words(words)
        if self._is_fixed:
            return slots, new_rows
        self._store_keys(slots[new_rows], keys[new_rows] if len(new_rows) < keys.height else keys)
        wrong = np.flatnonzero(~self._matches(slots, keys))
        if not len(wrong):
            return slots, new_rows
        self._move_to_collided(np.unique(slots[wrong]))
        more_slots, more_new = self._insert_exactly(keys, words, wrong)
        slots[wrong] = more_slots
        return slots, np.sort(np.concatenate([new_rows, more_new]))

    def find(self, frame: pl.DataFrame) -> Ids:
        """The slot of each row's key, -1 where the key is unknown."""
        from tableapi.runtime.state import kernels

        keys = pick(frame, self.schema) if self.schema else frame
        words = self._to_words(keys)
        slots = np.empty(len(words), dtype=np.int64)
        kernels.find_words(words, self._table, self._words, slots)
        if self._is_fixed:
            return slots
        found = np.flatnonzero(slots >= 0)
        if len(found):
            matches = self._matches(slots[found], keys[found] if len(found) < keys.height else keys)
            slots[found[~matches]] = -1
        if self._collided_hashes:
            for row in self._rows_of_collided_hashes(words).tolist():
                slots[row] = self._collided.get(_exact(keys, row), -1)
        return slots

    def free(self, slots: Ids) -> None:
        """Forgets the keys of `slots` (each once)."""
        from tableapi.runtime.state import kernels

        if not len(slots):
            return
        removed = kernels.remove_words(slots, self._table, self._words)
        self._state[0] -= removed
        if removed < len(slots):
            gone = set(slots.tolist())
            self._collided = {key: slot for key, slot in self._collided.items() if slot not in gone}
        if self._stored is not None:
            self._stored.remove(self._stored_at[slots])
            self._stored_at[slots] = -1
        self._give_back(slots)

    def keys(self, slots: Ids) -> pl.DataFrame:
        """The key columns of `slots`, in that order."""
        if self._stored is not None:
            return self._stored.gather(self._stored_at[slots])
        if not self.schema:
            return pl.DataFrame(height=len(slots))
        null_bits = self._words[slots, -1] if self._has_nulls else None
        columns = []
        for j, (name, dtype) in enumerate(self.schema.items()):
            valid = np.empty(0, dtype=np.bool_) if null_bits is None else (null_bits >> j) & 1 == 0
            columns.append(from_arrays(name, _from_words(self._words[slots, j], dtype), valid, dtype))
        return pl.DataFrame(columns)

    def live_slots(self) -> Ids:
        """The slots of all keys, ascending."""
        in_use = np.ones(self.bound, dtype=np.bool_)
        in_use[self._free[: self._state[2]]] = False
        return np.flatnonzero(in_use)

    def distinct(self, slots: Ids) -> tuple[Ids, Ids]:
        """Numbers the distinct slots of a batch in order of appearance.

        Returns:
            For each row the number of its slot; and the distinct slots.
        """
        from tableapi.runtime.state import kernels

        self._scratch = grown(self._scratch, self.bound, -1)
        groups, unique = np.empty(len(slots), dtype=np.int64), np.empty(len(slots), dtype=np.int64)
        count = kernels.group_slots(slots, self._scratch, groups, unique)
        return groups, unique[:count]

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        stored = 0 if self._stored is None else self._stored.size_bytes
        return self._words.nbytes + self._table.nbytes + self._free.nbytes + self._stored_at.nbytes + stored

    def _insert_words(self, words: Words) -> tuple[Ids, Ids]:
        from tableapi.runtime.state import kernels

        slots, new_rows = np.empty(len(words), dtype=np.int64), np.empty(len(words), dtype=np.int64)
        self._state[3] = 0
        at = 0
        while True:
            at = kernels.insert_words(at, words, self._table, self._words, self._free, self._state, slots, new_rows)
            if at == len(words):
                return slots, new_rows[: self._state[3]]
            self._grow()

    def _grow(self) -> None:
        from tableapi.runtime.state import kernels

        if self._state[2] == 0 and self.bound >= len(self._words):
            self._words = grown(self._words, self.bound + 1)
        if self._state[0] >= self._state[4]:
            smaller, self._table = self._table, np.zeros(2 * len(self._table), dtype=np.uint64)
            self._state[4] = _most_keys(self._table)
            kernels.refill_table(smaller, self._table)

    def _give_back(self, slots: Ids) -> None:
        count = int(self._state[2])
        self._free = grown(self._free, count + len(slots))
        self._free[count : count + len(slots)] = slots
        self._state[2] += len(slots)

    def _to_words(self, keys: pl.DataFrame) -> Words:
        if not self._is_fixed:
            return writable(self._hasher(keys).view(np.int64)).reshape(-1, 1)
        if not self._has_nulls and any(keys[name].null_count() for name in self.schema):
            self._widen_for_nulls()
        words: Words = np.zeros((keys.height, self._words.shape[1]), dtype=np.int64)
        if not self.schema:
            return words
        if len(self.schema) == 1 and not self._has_nulls:
            name = next(iter(self.schema))
            return writable(_word_column(to_arrays(keys[name])[0])).reshape(-1, 1)
        for j, name in enumerate(self.schema):
            values, valid = to_arrays(keys[name])
            words[:, j] = _word_column(values)
            if len(valid):
                words[~valid, j] = 0
                words[:, -1] |= (~valid).astype(np.int64) << j
        return words

    def _widen_for_nulls(self) -> None:
        """Adds the word of null bits, the first time that a key has a NULL."""
        self._has_nulls = True
        self._words = np.column_stack([self._words, np.zeros(len(self._words), dtype=np.int64)])

    def _store_keys(self, slots: Ids, keys: pl.DataFrame) -> None:
        assert self._stored is not None
        self._stored_at = grown(self._stored_at, self.bound, -1)
        self._stored_at[slots] = self._stored.append(keys)

    def _matches(self, slots: Ids, keys: pl.DataFrame) -> npt.NDArray[np.bool_]:
        """Whether the stored key of each slot equals the row."""
        assert self._stored is not None
        at = self._stored_at[slots]
        same = None
        for name in self.schema:
            equal = self._stored.gather_column(name, at).eq_missing(keys[name])
            same = equal if same is None else same & equal
        assert same is not None
        return same.to_numpy()

    def _move_to_collided(self, slots: Ids) -> None:
        from tableapi.runtime.state import kernels

        keys = self.keys(slots)
        self._collided_hashes.update(self._words[slots, 0].tolist())
        self._state[0] -= kernels.remove_words(slots, self._table, self._words)
        for row, slot in enumerate(slots.tolist()):
            self._collided[_exact(keys, row)] = slot

    def _rows_of_collided_hashes(self, words: Words) -> Ids:
        collided = np.fromiter(self._collided_hashes, np.int64)
        return np.flatnonzero(np.isin(words[:, 0], collided))

    def _insert_around_collisions(self, keys: pl.DataFrame, words: Words) -> tuple[Ids, Ids]:
        special = self._rows_of_collided_hashes(words)
        rest = np.setdiff1d(np.arange(len(words)), special)
        slots = np.empty(len(words), dtype=np.int64)
        held, self._collided_hashes = self._collided_hashes, set()
        slots[rest], new_rest = self.insert(keys[rest]) if len(rest) else (NONE, NONE)
        self._collided_hashes |= held
        slots[special], new_special = self._insert_exactly(keys, words, special)
        return slots, np.sort(np.concatenate([rest[new_rest], new_special]))

    def _insert_exactly(self, keys: pl.DataFrame, words: Words, rows: Ids) -> tuple[Ids, Ids]:
        slots, new_rows = [], []
        for row in rows.tolist():
            key = _exact(keys, row)
            slot = self._collided.get(key)
            if slot is None:
                slot = self._new_slot()
                self._words[slot, 0] = words[row, 0]
                self._collided[key] = slot
                self._store_keys(np.array([slot]), keys[row : row + 1])
                new_rows.append(row)
            slots.append(slot)
        return np.array(slots, dtype=np.int64), np.array(new_rows, dtype=np.int64)

    def _new_slot(self) -> int:
        if self._state[2] > 0:
            self._state[2] -= 1
            return int(self._free[self._state[2]])
        slot = self.bound
        self._state[1] += 1
        self._words = grown(self._words, slot + 1)
        return slot


def _most_keys(table: npt.NDArray[np.uint64]) -> int:
    """The number of keys at which a table grows: most keys are then in the cache line of their place."""
    return len(table) // 8 * 5


def _exact(keys: pl.DataFrame, row: int) -> tuple[Any, ...]:
    """A hashable form of a key that is equal only for equal keys."""
    return tuple("NaN" if value != value else repr(value) for value in keys.row(row))


def _word_column(values: npt.NDArray[Any]) -> Words:
    if values.dtype.kind == "f":
        words: Words = (values.astype(np.float64) + 0.0).view(np.int64)
        words[np.isnan(values)] = _NAN_WORD
        return words
    return values.view(np.int64) if values.dtype.itemsize == 8 else values.astype(np.int64)


def _from_words(words: Words, dtype: pl.DataType) -> npt.NDArray[Any]:
    storage = storage_dtype(dtype)
    assert storage is not None
    if storage.kind == "f":
        return words.view(np.float64).astype(storage)
    return words.view(np.uint64) if storage == np.uint64 else words.astype(storage)
