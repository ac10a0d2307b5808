"""What DISTINCT calls have seen: one set of argument rows for all calls on the same arguments, whatever their FILTER.

Imports the plan's expressions and `runtime.state`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.plan.rex import Ref, Rex
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import Chains
from tableapi.runtime.stream.accumulators import ALL_ADDED, Signs
from tableapi.tablespec import RowSchema

Mask = npt.NDArray[np.bool_]

MAX_FILTERS = 62
"""Filters of one set: each has a bit of an int64."""


@dataclass(frozen=True)
class Change:
    """Rows of a batch that change what is distinct in their slot as one filter sees it, and their signs (empty: all +1)."""

    rows: Ids
    signs: Signs


class DistinctRows:
    """Which argument rows each slot has seen: turns a batch into first arrivals (+1) and last departures (-1) for each filter.

    Layout: an index over (slot, arguments); for each pair the filters that have let it through, as bits, or when the input
    retracts how often each has; a chain of pairs per slot. Cost of a batch: O(rows), once for all filters.
    """

    def __init__(self, input: RowSchema, args: Sequence[Rex], retracts: bool) -> None:
        self.key = str(tuple(args))
        self.names = list(dict.fromkeys(ref.name for ref in args if isinstance(ref, Ref)))
        self._filters: list[str | None] = []
        self._retracts = retracts
        types = input.to_polars()
        self._pairs = KeyIndex({_SLOT: pl.Int64(), **{name: types[name] for name in self.names}})
        self._bits = np.zeros(0, dtype=np.int64)
        self._counts: list[npt.NDArray[np.int64]] = []
        self._by_slot = Chains()
        self._owner: Ids = np.full(0, -1, dtype=np.int64)

    @property
    def is_full(self) -> bool:
        """Whether there is room for no further filter."""
        return len(self._filters) >= MAX_FILTERS

    def see_through(self, filter: str | None) -> int:
        """Adds a filter (a Boolean column; None: all rows); returns its number. Before the first batch only."""
        if filter not in self._filters:
            self._filters.append(filter)
            self._counts.append(np.zeros(0, dtype=np.int64))
        return self._filters.index(filter)

    def changes(self, slots: Ids, frame: pl.DataFrame, signs: Signs) -> list[Change]:
        """Takes a batch in; what changes for each filter."""
        masks = [None if f is None else frame[f].fill_null(False).to_numpy() for f in self._filters]
        chosen = _any(masks)
        if chosen is not None:
            slots, frame = slots[chosen], frame[chosen]
            signs = signs[chosen] if len(signs) else signs
            masks = [None if m is None else m[chosen] for m in masks]
        pairs, new_rows = self._pairs.insert(pl.DataFrame([*(frame[n] for n in self.names), pl.Series(_SLOT, slots)]))
        self._own(pairs[new_rows], slots[new_rows])
        found = self._counted(pairs, signs, masks) if self._retracts else self._marked(pairs, masks)
        return found if chosen is None else [Change(chosen[c.rows], c.signs) for c in found]

    def _marked(self, pairs: Ids, masks: Sequence[Mask | None]) -> list[Change]:
        from tableapi.runtime.state import kernels

        passed = np.zeros(len(pairs), dtype=np.int64)
        for number, mask in enumerate(masks):
            passed |= 1 << number if mask is None else mask.astype(np.int64) << number
        fresh = np.empty(len(pairs), dtype=np.int64)
        kernels.mark_bits(pairs, passed, self._bits, fresh)
        rows = np.flatnonzero(fresh)
        fresh = fresh[rows]
        return [Change(rows[(fresh >> number) & 1 == 1], ALL_ADDED) for number in range(len(masks))]

    def _counted(self, pairs: Ids, signs: Signs, masks: Sequence[Mask | None]) -> list[Change]:
        found = []
        for counts, mask in zip(self._counts, masks, strict=True):
            rows = np.arange(len(pairs)) if mask is None else np.flatnonzero(mask)
            local, touched = self._pairs.distinct(pairs[rows])
            before = counts[touched]
            np.add.at(counts, pairs[rows], signs[rows] if len(signs) else 1)
            after = counts[touched] = np.maximum(counts[touched], 0)
            first_rows = rows[np.unique(local, return_index=True)[1]]
            appeared, vanished = (before <= 0) & (after > 0), (before > 0) & (after <= 0)
            changed = np.repeat(np.array([-1, 1]), [np.count_nonzero(vanished), np.count_nonzero(appeared)])
            found.append(Change(np.concatenate([first_rows[vanished], first_rows[appeared]]), changed))
        touched = self._pairs.distinct(pairs)[1]
        self._forget(touched[np.all([counts[touched] <= 0 for counts in self._counts], axis=0)])
        return found

    def _own(self, pairs: Ids, slots: Ids) -> None:
        bound = self._pairs.bound
        self._owner = grown(self._owner, bound, -1)
        self._owner[pairs] = slots
        if self._retracts:
            self._counts = [grown(counts, bound) for counts in self._counts]
            for counts in self._counts:
                counts[pairs] = 0
        else:
            self._bits = grown(self._bits, bound)
            self._bits[pairs] = 0
        self._by_slot.append(pairs, slots)

    def _forget(self, pairs: Ids) -> None:
        self._by_slot.remove(pairs, self._owner[pairs])
        self._pairs.free(pairs)

    def absorb(self, slots: Ids, other: DistinctRows, others: Ids) -> list[tuple[pl.DataFrame, Ids]]:
        """Adds what `other` has seen in its slots `others`. Returns for each filter the argument rows that are new in their slot, and
        their positions in `slots`."""
        frame, positions = other.save(others)
        owners = slots[positions]
        pairs, new_rows = self._pairs.insert(frame.with_columns(pl.Series(_SLOT, owners)))
        self._own(pairs[new_rows], owners[new_rows])
        arrived = []
        for number in range(len(self._filters)):
            theirs = frame[f"{_KNOWN}{number if self._retracts else 0}"].to_numpy()
            has = theirs > 0 if self._retracts else (theirs >> number) & 1 == 1
            fresh = np.flatnonzero(has & ~self._has_passed(pairs, number))
            rows = fresh[np.sort(np.unique(pairs[fresh], return_index=True)[1])]
            arrived.append((frame.select(self.names)[rows], positions[rows]))
        for index, values in enumerate(self._values()):
            theirs = frame[f"{_KNOWN}{index}"].to_numpy()
            (np.add if self._retracts else np.bitwise_or).at(values, pairs, theirs)
        return arrived

    def _has_passed(self, pairs: Ids, number: int) -> Mask:
        passed: Mask = self._counts[number][pairs] > 0 if self._retracts else (self._bits[pairs] >> number) & 1 == 1
        return passed

    def collect(self, slots: Ids, number: int) -> tuple[pl.DataFrame, Ids]:
        """The distinct argument rows of the slots that filter `number` has let through, and the position in `slots` of each."""
        pairs, positions = self._by_slot.collect(slots)
        seen = self._has_passed(pairs, number)
        return self._pairs.keys(pairs[seen]).drop(_SLOT), positions[seen]

    def seen(self, slots: Ids) -> tuple[pl.DataFrame, Ids]:
        """The distinct argument rows of the slots, with a column for each filter that says whether it has let them through
        (`passed_column`); and the position in `slots` of each."""
        pairs, positions = self._by_slot.collect(slots)
        numbers = [n for n, f in enumerate(self._filters) if f is not None]
        passed = [pl.Series(self.passed_column(n), self._has_passed(pairs, n)) for n in numbers]
        return self._pairs.keys(pairs).drop(_SLOT).with_columns(passed), positions

    @staticmethod
    def passed_column(number: int) -> str:
        """The name by which `seen` says what filter `number` has let through."""
        return f"__passed_{number}"

    def clear(self, slots: Ids) -> None:
        """Forgets all that the slots have seen."""
        self._forget(self._by_slot.collect(slots)[0])

    def save(self, slots: Ids) -> tuple[pl.DataFrame, Ids]:
        """The pairs of the slots with what is known of them, and the position in `slots` of each."""
        pairs, positions = self._by_slot.collect(slots)
        known = [pl.Series(f"{_KNOWN}{i}", values[pairs]) for i, values in enumerate(self._values())]
        return self._pairs.keys(pairs).drop(_SLOT).with_columns(known), positions

    def load(self, slots: Ids, frame: pl.DataFrame) -> None:
        """Takes over what `save` gave; `slots` are the slots of the rows."""
        pairs, new_rows = self._pairs.insert(frame.with_columns(pl.Series(_SLOT, slots)))
        self._own(pairs[new_rows], slots[new_rows])
        for i, values in enumerate(self._values()):
            values[pairs] = frame[f"{_KNOWN}{i}"].to_numpy()

    def _values(self) -> list[npt.NDArray[np.int64]]:
        return self._counts if self._retracts else [self._bits]

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self._pairs.size_bytes + self._owner.nbytes + sum(values.nbytes for values in self._values())


def _any(masks: Sequence[Mask | None]) -> Ids | None:
    """The rows that some filter lets through; None: all of them."""
    given = [m for m in masks if m is not None]
    if len(given) < len(masks):
        return None
    passed = np.logical_or.reduce(given)
    return None if passed.all() else np.flatnonzero(passed)


_SLOT = "__slot"
_KNOWN = "__known_"
