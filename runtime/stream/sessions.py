"""Session windows of many keys: which session each row belongs to, as sessions begin, grow and merge.

Imports `runtime.state` and NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.errors import ExecutionError
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import NONE, Chains, IdAllocator
from tableapi.runtime.stream.window_time import Millis


@dataclass(frozen=True)
class Assigned:
    """The sessions of a batch's rows.

    rows: Session of each row, -1 for rows that are late. merged: sessions that are no more, and (into) which took them over.
    """

    rows: Ids
    merged: Ids
    into: Ids


class Sessions:
    """Open sessions by key. A session is [first time, last time + gap); touching sessions are one (Flink).

    Layout: an index of keys; first and last-plus-gap times by session id; a chain of sessions per key; session ids by end
    time, in buckets as wide as the gap, for closing. Cost of a batch: O(rows + open sessions of their keys), with a sort.
    """

    def __init__(self, schema: dict[str, pl.DataType], gap_ms: int) -> None:
        self._gap = gap_ms
        self.index = KeyIndex(schema)
        self._ids = IdAllocator()
        self._by_key = Chains()
        self.starts: Millis = np.zeros(0, dtype=np.int64)
        self.ends: Millis = np.zeros(0, dtype=np.int64)
        self.owner: Ids = np.full(0, -1, dtype=np.int64)
        self._buckets: dict[int, list[Ids]] = {}

    @property
    def bound(self) -> int:
        """One more than the largest session id in use so far."""
        return self._ids.bound

    def live(self) -> Ids:
        """Ids of all open sessions."""
        return self._ids.live()

    def assign(self, keys: pl.DataFrame, times: Millis, watermark_ms: int) -> Assigned:
        """Finds the session of each row, making and merging sessions; `times` are wall-clock like all times here.

        Rows whose session would have been closed by `watermark_ms` already are late.
        """
        slots, _ = self.index.insert(keys)
        return self._assign(slots, times, times + self._gap, watermark_ms)

    def _assign(self, slots: Ids, starts: Millis, ends: Millis, watermark_ms: int) -> Assigned:
        touched = np.unique(slots)
        known, positions = self._by_key.collect(touched)
        all_slots = np.concatenate([slots, touched[positions]])
        all_starts = np.concatenate([starts, self.starts[known]])
        all_ends = np.concatenate([ends, self.ends[known]])
        order = np.lexsort([all_starts, all_slots])
        groups = _merge_intervals(all_slots[order], all_starts[order], all_ends[order])
        group_of = np.empty(len(order), dtype=np.int64)
        group_of[order] = groups
        count = int(groups[-1]) + 1
        first, last = np.full(count, 2**62, dtype=np.int64), np.full(count, -(2**62), dtype=np.int64)
        np.minimum.at(first, group_of, all_starts)
        np.maximum.at(last, group_of, all_ends)
        session = np.full(count, -1, dtype=np.int64)
        session[group_of[len(slots) :][::-1]] = known[::-1]
        taken_over = known[session[group_of[len(slots) :]] != known]
        into = session[group_of[len(slots) :]][session[group_of[len(slots) :]] != known]
        late = (session < 0) & (last - 1 <= watermark_ms)
        fresh = np.flatnonzero((session < 0) & ~late)
        session[fresh] = self._ids.take(len(fresh))
        self._reserve()
        owners = np.empty(count, dtype=np.int64)
        owners[group_of] = all_slots
        self._by_key.remove(taken_over, self.owner[taken_over])
        open_groups = np.flatnonzero(~late)
        ids = session[open_groups]
        self.starts[ids], self.ends[ids], self.owner[ids] = first[open_groups], last[open_groups], owners[open_groups]
        self._by_key.append(session[fresh], owners[fresh])
        self._note_ends(ids)
        self._free_keys(touched)
        return Assigned(session[group_of[: len(slots)]], taken_over, into)

    def _reserve(self) -> None:
        bound = self._ids.bound
        self.starts, self.ends = grown(self.starts, bound), grown(self.ends, bound)
        self.owner = grown(self.owner, bound, -1)

    def _note_ends(self, ids: Ids) -> None:
        if not len(ids):
            return
        buckets = self.ends[ids] // self._gap
        order = np.argsort(buckets, kind="stable")
        distinct, starts = np.unique(buckets[order], return_index=True)
        for bucket, part in zip(distinct.tolist(), np.split(ids[order], starts[1:]), strict=True):
            self._buckets.setdefault(bucket, []).append(part)

    def give_back(self, ids: Ids) -> None:
        """Merged sessions whose contents have been moved are forgotten."""
        self.owner[ids] = -1
        self._ids.give_back(ids)

    def closed(self, watermark_ms: int) -> Ids:
        """The sessions that end by the watermark, in order of end. They stay until `remove`."""
        due = [b for b in self._buckets if b * self._gap - 1 <= watermark_ms]
        found = [NONE]
        for bucket in due:
            ids = np.unique(np.concatenate(self._buckets.pop(bucket)))
            ids = ids[(self.owner[ids] >= 0) & (self.ends[ids] // self._gap == bucket)]
            is_closed = self.ends[ids] - 1 <= watermark_ms
            found.append(ids[is_closed])
            if not is_closed.all():
                self._buckets[bucket] = [ids[~is_closed]]
        closed = np.concatenate(found)
        return closed[np.lexsort([closed, self.starts[closed], self.ends[closed]])]

    def next_end(self, now_ms: int) -> int | None:
        """A time at which to look for ended sessions: the earliest end, or a time after now that is before it."""
        while self._buckets:
            bucket = min(self._buckets)
            if bucket * self._gap > now_ms + 1:
                return bucket * self._gap
            ids = np.unique(np.concatenate(self._buckets[bucket]))
            ids = ids[(self.owner[ids] >= 0) & (self.ends[ids] // self._gap == bucket)]
            if len(ids):
                self._buckets[bucket] = [ids]
                return int(self.ends[ids].min())
            del self._buckets[bucket]
        return None

    def keys(self, ids: Ids) -> pl.DataFrame:
        """The keys of sessions."""
        return self.index.keys(self.owner[ids])

    def remove(self, ids: Ids) -> None:
        """Forgets sessions."""
        owners = self.owner[ids]
        self._by_key.remove(ids, owners)
        self.give_back(ids)
        self._free_keys(np.unique(owners))

    def _free_keys(self, slots: Ids) -> None:
        self.index.free(slots[self._by_key.is_empty(slots)])

    def load(self, keys: pl.DataFrame, starts: Millis, ends: Millis) -> Ids:
        """Takes over sessions; returns their ids."""
        slots, _ = self.index.insert(keys)
        ids = self._ids.take(len(slots))
        self._reserve()
        self.starts[ids], self.ends[ids], self.owner[ids] = starts, ends, slots
        self._by_key.append(ids, slots)
        self._note_ends(ids)
        return ids


def _merge_intervals(slots: Ids, starts: Millis, ends: Millis) -> Ids:
    """Numbers the unions of touching intervals, given intervals sorted by slot and start.

    The running maximum of the ends starts anew for each slot: each slot's times are shifted above those of the one before.
    """
    rank = np.zeros(len(slots), dtype=np.int64)
    rank[1:] = np.cumsum(slots[1:] != slots[:-1])
    base, span = int(starts.min()), int(ends.max() - starts.min()) + 1
    if span * (int(rank[-1]) + 1) >= 2**62:
        raise ExecutionError(f"event times of one batch lie {span} ms apart", fix="look for wrong event times in the input")
    reach = np.maximum.accumulate(ends - base + rank * span) - rank * span + base
    begins = np.ones(len(slots), dtype=np.bool_)
    begins[1:] = (slots[1:] != slots[:-1]) | (starts[1:] > reach[:-1])
    return np.cumsum(begins) - 1
