"""Event-time temporal join: each row meets the version that was valid at its time.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.plan.nodes import JoinKind
from tableapi.plan.rex import Rex
from tableapi.row import RowKind
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.hashing import key_groups
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import Chains, RowStore
from tableapi.runtime.state.snapshots import SavedRows, untagged
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.calc import compile_filter
from tableapi.runtime.stream.emit import hstack
from tableapi.runtime.stream.found_rows import INSTANCE, FoundRows, emit_found
from tableapi.runtime.stream.idle import IdleKeys
from tableapi.runtime.stream.join_rows import JoinKeys
from tableapi.runtime.stream.operator import Operator, OperatorContext, SnapshotReader, SnapshotWriter
from tableapi.runtime.stream.time_buffer import TimeBuffer, from_kind_column, with_kind_column
from tableapi.runtime.stream.window_time import to_ms_or_min
from tableapi.tablespec import RowSchema

_DELETED = "__deleted"


@dataclass(frozen=True)
class TemporalJoinSpec:
    """Fields as in `plan.nodes.TemporalJoin`. The right input is a changelog of versions, keyed by the right columns of `keys`.

    Needs watermarks on both inputs. `right_time` None (processing time against a changelog) joins the latest version at
    arrival. `ttl_ms`: the versions of keys that neither side had a row of for so long (processing time) are forgotten.
    `left_is_insert_only`: no left row is taken back; else what was found for each is remembered, so that just that is taken back.
    """

    left: RowSchema
    right: RowSchema
    kind: JoinKind
    keys: tuple[tuple[str, str], ...]
    left_time: str
    right_time: str | None
    condition: Rex | None = None
    ttl_ms: int | None = None
    left_is_insert_only: bool = True

    def __post_init__(self) -> None:
        if self.kind not in (JoinKind.INNER, JoinKind.LEFT):
            raise UnsupportedError(f"a temporal {self.kind.value} join is not supported", fix="use an INNER or LEFT join")

    def create(self) -> Operator:
        """A new operator."""
        return TemporalJoin(self)


class TemporalJoin(Operator):
    """Joins left rows, once the watermark of both inputs has reached them, with the version of their key valid at their time.

    A version holds from its time until the next one; -D ends the key, -U is ignored. Emits the left rows' kinds; a left row
    without version (or whose version does not meet the condition) is dropped, or padded with NULL in a LEFT join. Late left
    rows are joined with what is still known.
    State: waiting left rows; an index of right keys; versions in a RowStore, with times, in a chain per key. Versions that no
    waiting or later row can meet are removed when the watermark advances.
    Cost: O(rows) of a batch; on a watermark O(rows that become ready + versions of their keys + keys with several versions).
    """

    def __init__(self, spec: TemporalJoinSpec) -> None:
        self._spec = spec
        self._keys = JoinKeys(spec.left, spec.right, spec.keys)
        self._waiting = TimeBuffer()
        self._index = KeyIndex(self._keys.schema)
        self._versions = RowStore(spec.right.to_polars())
        self._times = np.zeros(0, dtype=np.int64)
        self._is_deletion = np.zeros(0, dtype=np.bool_)
        self._owner: Ids = np.full(0, -1, dtype=np.int64)
        self._by_key = Chains()
        self._several: list[Ids] = []
        self._arrivals = 0
        types = spec.left.to_polars(), spec.right.to_polars()
        self._memory = None if spec.left_is_insert_only else FoundRows(*types, spec.ttl_ms)
        self._idle = IdleKeys(spec.ttl_ms, self._index, self._expire)

    def open(self, context: OperatorContext) -> None:
        super().open(context)
        self._idle.open(context)
        condition = self._spec.condition
        self._matches = None if condition is None else compile_filter(condition, context)

    def on_timer(self, time_ms: int) -> None:
        self._idle.sweep(time_ms)
        if self._memory is not None:
            self._memory.expire(self.context.clock.now_ms())

    def _expire(self, slots: Ids) -> None:
        ids, _ = self._by_key.collect(slots)
        self._by_key.remove(ids, self._owner[ids])
        self._versions.remove(ids)
        self._several = [left for part in self._several if len(left := np.setdiff1d(part, slots))]
        self._index.free(slots)

    def process(self, input: int, batch: Batch) -> None:
        if input == 1:
            self._add_versions(batch)
        elif self._spec.right_time is None:
            self._join(batch, np.full(batch.height, self._arrivals, dtype=np.int64))
        else:
            self._waiting.add(batch, to_ms_or_min(batch.frame[self._spec.left_time]))
            self.context.metrics["waiting_rows"] = self._waiting.height

    def _add_versions(self, batch: Batch) -> None:
        if batch.kinds is not None:
            batch = batch.filter(batch.kinds != RowKind.UPDATE_BEFORE)
        keys, known = self._keys.of_right(batch.frame)
        if not known.all():
            batch, keys = batch.filter(pl.Series(known)), keys.filter(pl.Series(known))
        if not batch.height:
            return
        self._idle.enter(keys)
        slots, new_rows = self._index.insert(keys)
        self._idle.touch(slots)
        ids = self._versions.append(batch.frame)
        bound = self._versions.bound
        self._times, self._owner = grown(self._times, bound), grown(self._owner, bound, -1)
        self._is_deletion = grown(self._is_deletion, bound, False)
        if self._spec.right_time is None:
            self._arrivals += 1
            self._times[ids] = self._arrivals
        else:
            self._times[ids] = to_ms_or_min(batch.frame[self._spec.right_time])
        self._owner[ids], self._is_deletion[ids] = slots, ~batch.adds()
        self._by_key.append(ids, slots)
        if len(new_rows) < len(slots) or self._is_deletion[ids].any():
            self._several.append(np.unique(slots))
        if self._spec.right_time is None:
            self._prune(self._arrivals)

    def on_watermark(self, watermark_ms: int) -> int:
        if self._spec.right_time is None:
            return watermark_ms
        ready = self._waiting.take(watermark_ms)
        if ready is not None:
            self._join(ready, to_ms_or_min(ready.frame[self._spec.left_time]))
        self._prune(watermark_ms)
        self.context.metrics["waiting_rows"] = self._waiting.height
        return watermark_ms

    def _join(self, batch: Batch, times: Ids) -> None:
        ids = self._version_of(batch.frame, times)
        rows = np.flatnonzero(ids >= 0)
        found = self._versions.gather(ids[rows])
        if self._matches is not None and len(rows):
            met = self._matches(hstack([batch.frame[rows], found]))
            rows, found = rows[met.to_numpy()], found.filter(met)
        emit_found(self.context, batch, (rows, np.arange(len(rows))), found, self._spec.kind, self._memory)

    def _version_of(self, frame: pl.DataFrame, times: Ids) -> Ids:
        """The id of the version valid for each row, -1 where there is none.

        Rows and versions are sorted together by key and time; the last version before a row is the one.
        """
        keys, known = self._keys.of_left(frame)
        self._idle.enter(keys)
        slots = self._index.find(keys)
        self._idle.touch(slots[slots >= 0])
        slots[~known] = -1
        owners = np.unique(slots[slots >= 0])
        versions, positions = self._by_key.collect(owners)
        all_slots = np.concatenate([owners[positions], slots])
        all_times = np.concatenate([self._times[versions], times])
        order = np.lexsort([np.arange(len(all_slots)), all_times, all_slots])
        is_version = order < len(versions)
        last = np.maximum.accumulate(np.where(is_version, np.arange(len(order)), -1))
        source = order[last]
        same_key = (last >= 0) & (all_slots[source] == all_slots[order])
        found = np.full(len(order), -1, dtype=np.int64)
        if len(versions):
            ids = versions[source[same_key]]
            found[order[same_key]] = np.where(self._is_deletion[ids], -1, ids)
        return found[len(versions) :]

    def _prune(self, watermark_ms: int) -> None:
        """Removes versions that were followed by another one up to the watermark, and deletions that are the last word."""
        if not self._several:
            return
        owners = np.unique(np.concatenate(self._several))
        ids, positions = self._by_key.collect(owners)
        order = np.lexsort([np.arange(len(ids)), self._times[ids], positions])
        ids, positions = ids[order], positions[order]
        past = self._times[ids] <= watermark_ms
        followed = np.zeros(len(ids), dtype=np.bool_)
        followed[:-1] = (positions[1:] == positions[:-1]) & past[1:]
        gone = past & (followed | self._is_deletion[ids])
        dead = ids[gone]
        self._by_key.remove(dead, self._owner[dead])
        self._versions.remove(dead)
        left = np.bincount(positions[~gone], minlength=len(owners))
        self._index.free(owners[left == 0])
        self._several = [owners[left > 1]] if (left > 1).any() else []
        self.context.metrics["versions"] = self._versions.count

    def snapshot(self, writer: SnapshotWriter) -> None:
        waiting = self._waiting.rows(self._spec.left.to_polars())
        groups = key_groups(self._keys.of_left(waiting.frame)[0])
        writer.frame("waiting", SavedRows(self.context.subtask, groups).tag(with_kind_column(waiting)))
        ids, _ = self._by_key.collect(self._index.live_slots())
        rows = self._versions.gather(ids)
        if self._memory is not None:
            found = self._memory.save().with_columns(pl.col(INSTANCE) + (self.context.subtask << 40))
            groups = key_groups(self._keys.of_left(found)[0])
            writer.frame("found", SavedRows(self.context.subtask, groups).tag(found))
        groups = key_groups(self._keys.of_right(rows)[0])
        marks = [pl.Series(_DELETED, self._is_deletion[ids])]
        writer.frame("versions", SavedRows(self.context.subtask, groups).tag(rows.with_columns(marks)))

    def restore(self, reader: SnapshotReader) -> None:
        versions = reader.frame("versions")
        if versions is not None and versions.height:
            kinds = pl.Series("kind", np.where(versions[_DELETED].to_numpy(), RowKind.DELETE, RowKind.INSERT), dtype=pl.Int8)
            self._add_versions(Batch(untagged(versions).drop(_DELETED), kinds))
        found = reader.frame("found")
        if self._memory is not None and found is not None and found.height:
            self._memory.load(untagged(found), self.context.clock.now_ms(), self.context.set_timer)
        waiting = reader.frame("waiting")
        if waiting is not None and waiting.height:
            self.process(0, from_kind_column(untagged(waiting)))

    def state(self) -> dict[str, pl.DataFrame]:
        ids, _ = self._by_key.collect(self._index.live_slots())
        found = {} if self._memory is None else {"found": self._memory.save().drop(INSTANCE)}
        return {
            **found,
            "waiting": self._waiting.rows(self._spec.left.to_polars()).frame,
            "versions": self._versions.gather(ids).with_columns(pl.Series("is_deleted", self._is_deletion[ids])),
        }
