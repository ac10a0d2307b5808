"""Results of windows that are given more than once: what was given, what has changed since, and when the next result is due.

Imports the plan's emit policy, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from tableapi.plan.nodes import EmitPolicy
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import NONE, RowStore
from tableapi.runtime.state.snapshots import LoadedRows, SavedRows, untagged
from tableapi.runtime.stream.emit import Mask, changes, differs, hstack
from tableapi.runtime.stream.operator import OperatorContext, SnapshotReader, SnapshotWriter

END = "__window_end"
ROWS = "__rows"
"""The number of a window's rows among its results, when its input takes rows back."""

_HAS, _SINCE = "__has", "__since"
_NEVER = -(2**63)


class WindowUpdates:
    """What the (key, window) pairs of an operator have given, by slot.

    A first result is +I, a different one -U and +U, and -D when the window has lost all its rows. Delays run by the processing-time
    clock from a pair's first change in multiples of the delay (Flink's periodic trigger), anew after the window's end. State: an
    index of pairs, the results given; pairs live until `forget`. Cost: O(pairs given).

    Args:
        policy: When results are given.
        keys: Columns that name a pair: the grouping keys, what names the window, and its end (END).
        values: Columns of the results.
    """

    def __init__(
        self,
        policy: EmitPolicy,
        keys: Mapping[str, pl.DataType],
        values: Mapping[str, pl.DataType],
        generate_update_before: bool,
        context: OperatorContext,
    ) -> None:
        self._policy, self._before, self._context = policy, generate_update_before, context
        self._index = KeyIndex(dict(keys))
        self._given = RowStore(values)
        self._has = np.zeros(0, dtype=np.bool_)
        self._since: Ids = np.full(0, _NEVER, dtype=np.int64)
        self._by_end: dict[int, list[Ids]] = {}
        self._due: dict[int, list[Ids]] = {}

    def keys(self, pairs: Ids) -> pl.DataFrame:
        """The columns that name pairs."""
        return self._index.keys(pairs)

    def touched(self, pairs: pl.DataFrame, closed_until: int) -> Ids:
        """Pairs whose rows have changed: returns those whose result is to be given now, and remembers the others until it is due."""
        slots = np.unique(self._slots_of(pairs))
        closed = self._index.keys(slots)[END].to_numpy() <= closed_until
        early, late = self._policy.early_ms, self._policy.late_ms or 0
        waits_late = closed & self._has[slots] & (late > 0)
        self._wait(slots[waits_late], late)
        if early:
            self._wait(slots[~closed], early)
        return slots[(closed & ~waits_late) | (~closed & (early == 0))]

    def closed(self, results: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series | None]:
        """What follows from the results of windows that close."""
        slots = self._slots_of(results)
        self._since[slots] = _NEVER
        return self.changed(slots, results.select(pl.exclude(*self._index.schema)))

    def changed(self, slots: Ids, results: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series | None]:
        """The changes (with the columns that name their pairs) from what the pairs have given to these results."""
        exists = np.ones(len(slots), dtype=np.bool_)
        if ROWS in results.columns:
            exists = (results[ROWS] > 0).to_numpy()
            results = results.drop(ROWS)
        existed = self._has[slots].copy()
        before = self._given_or(slots, existed, results)
        order, kinds = changes(existed, exists, self._differ(before, results), self._before)
        self._has[slots] = exists
        if results.width:
            self._given.write(slots[exists], results.filter(pl.Series(exists)))
        columns = [self._index.keys(slots[order % len(slots)])]
        if results.width:
            columns.append(pl.concat([before, results])[order])
        return hstack(columns), kinds if existed.any() else None

    def _given_or(self, slots: Ids, existed: Mask, results: pl.DataFrame) -> pl.DataFrame:
        """What pairs have given; where nothing, the row of `results`."""
        if not existed.any() or not results.width:
            return results
        given = self._given.gather(slots[existed])
        rows = np.where(existed, np.cumsum(existed) - 1, given.height + np.arange(len(slots)))
        return pl.concat([given, results])[rows]

    @staticmethod
    def _differ(before: pl.DataFrame, after: pl.DataFrame) -> Mask:
        return differs(before, after) if after.width else np.zeros(after.height, dtype=np.bool_)

    def due(self, time_ms: int) -> Ids:
        """The pairs whose result is due by a time of the processing-time clock."""
        times = [t for t in self._due if t <= time_ms]
        slots = np.unique(np.concatenate([NONE, *(part for t in times for part in self._due.pop(t))]))
        return slots[self._since[slots] != _NEVER]

    def waiting(self, until: int) -> Ids:
        """The pairs of windows that end by `until` whose result is still to come."""
        slots = np.unique(np.concatenate([NONE, *(part for parts in self._due.values() for part in parts)]))
        slots = slots[self._since[slots] != _NEVER]
        return slots[self._index.keys(slots)[END].to_numpy() <= until] if len(slots) else slots

    def forget(self, until: int) -> None:
        """Windows that end by `until` change no more."""
        ends = [end for end in self._by_end if end <= until]
        if not ends:
            return
        slots = np.concatenate([part for end in ends for part in self._by_end.pop(end)])
        self._given.clear(slots[self._has[slots]])
        self._has[slots], self._since[slots] = False, _NEVER
        self._index.free(slots)

    def _slots_of(self, pairs: pl.DataFrame) -> Ids:
        slots, new_rows = self._index.insert(pairs)
        bound = self._index.bound
        self._has, self._since = grown(self._has, bound, False), grown(self._since, bound, _NEVER)
        self._given.ids.bound = max(self._given.ids.bound, bound)
        fresh = slots[new_rows]
        ends = pairs[END].to_numpy()[new_rows]
        for end in np.unique(ends).tolist():
            self._by_end.setdefault(end, []).append(fresh[ends == end])
        return slots

    def _wait(self, slots: Ids, delay_ms: int) -> None:
        if not len(slots):
            return
        now = self._context.clock.now_ms()
        self._since[slots] = np.where(self._since[slots] == _NEVER, now, self._since[slots])
        since = self._since[slots]
        due = since + ((now - since) // delay_ms + 1) * delay_ms
        for time in np.unique(due).tolist():
            if time not in self._due:
                self._context.set_timer(time)
            self._due.setdefault(time, []).append(slots[due == time])

    def save(self, writer: SnapshotWriter, keys: Sequence[str]) -> None:
        """Writes all pairs. `keys`: the columns by which rows are distributed."""
        slots = self._index.live_slots()
        frame = self._index.keys(slots)
        groups = key_groups(frame, keys) if keys else None
        marks = pl.DataFrame([pl.Series(_HAS, self._has[slots]), pl.Series(_SINCE, self._since[slots])])
        saved = SavedRows(self._context.subtask, groups)
        writer.frame("given", saved.tag(hstack([frame, marks])))
        has = np.flatnonzero(self._has[slots])
        writer.frame("given_values", saved.tag(self._given.gather(slots[has]), has))

    def load(self, reader: SnapshotReader) -> None:
        """Takes over what `save` wrote."""
        frame, values = reader.frame("given"), reader.frame("given_values")
        if frame is None or not frame.height:
            return
        slots = self._slots_of(untagged(frame).drop(_HAS, _SINCE))
        self._has[slots], self._since[slots] = frame[_HAS].to_numpy(), frame[_SINCE].to_numpy()
        if values is not None and values.height:
            self._given.write(LoadedRows(frame, slots).ids_of(values), untagged(values))
        closed = self._has[slots]
        waits = self._since[slots] != _NEVER
        self._wait(slots[waits & closed], self._policy.late_ms or self._policy.early_ms or 1)
        self._wait(slots[waits & ~closed], self._policy.early_ms or 1)
