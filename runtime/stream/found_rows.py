"""What a join has found in a table that changes, for rows that may be taken back: lookup joins and temporal joins.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from tableapi.plan.nodes import JoinKind
from tableapi.row import RowKind
from tableapi.runtime.state.columns import Ids, grown
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import NONE, Chains, IdAllocator, RowStore
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.emit import emit_in_pieces, hstack, kind_series
from tableapi.runtime.stream.join_rows import take_or_null
from tableapi.runtime.stream.operator import OperatorContext
from tableapi.runtime.stream.pairing import without_common

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

    def exchange(self, batch: Batch, rows: Ids, right: pl.DataFrame, context: OperatorContext) -> tuple[Ids, pl.DataFrame, Ids]:
        """Puts what was found then in place of what is found now, where a row of the batch is taken back.

        Args:
            batch: The rows. rows, right: What is found now: for which row of the batch each, and the rows.
            context: Says what time it is.

        Returns:
            The same with the exchange made, and the rows of the batch that are in the result at all: what takes back a row
            that never was is not.
        """
        adds = batch.adds()
        removing, adding = np.flatnonzero(~adds), np.flatnonzero(adds)
        known, owners, before = self.take(batch.frame[removing])
        unknown = np.delete(removing, known)
        if len(unknown) and len(adding):
            both = batch.frame[np.concatenate([unknown, adding])]
            tokens, _ = KeyIndex(self._left_types).insert(both)
            _, stays = without_common(tokens[: len(unknown)], tokens[len(unknown) :])
            adding = adding[stays]
        number = np.full(batch.height, -1, dtype=np.int64)
        number[adding] = np.arange(len(adding))
        kept = number[rows] >= 0
        rows, right = rows[kept], right.filter(pl.Series(kept))
        self.put(batch.frame[adding], number[rows], right, context.clock.now_ms(), context.set_timer)
        return np.concatenate([removing[owners], rows]), pl.concat([before, right]), np.concatenate([removing[known], adding])


def emit_found(
    context: OperatorContext,
    batch: Batch,
    pairs: tuple[Ids, Ids],
    table: pl.DataFrame,
    kind: JoinKind,
    memory: FoundRows | None,
) -> None:
    """Emits the rows of a batch with what was found for them, in the order of the batch; in a LEFT join also those without.

    Args:
        context: Where results go.
        batch: The rows.
        pairs: The row of the batch and the row of `table` of each finding.
        table: The rows found.
        kind: INNER or LEFT.
        memory: What was found earlier; None when what is found for a row never changes.
    """
    rows, found = pairs
    everything = np.arange(batch.height)
    if memory is not None:
        rows, table, everything = memory.exchange(batch, rows, table[found], context)
        found = np.arange(len(rows))
    alone = np.setdiff1d(everything, rows) if kind is JoinKind.LEFT else NONE
    rows, found = np.concatenate([rows, alone]), np.concatenate([found, np.full(len(alone), -1)])
    if not len(rows):
        return
    order = np.argsort(rows, kind="stable")
    rows, found = rows[order], found[order]
    joined = hstack([batch.frame[rows], take_or_null(table, found)])
    kinds = _kinds(batch, np.bincount(rows, minlength=batch.height))
    result = Batch(joined, None if batch.is_insert_only else kind_series(kinds[rows]))
    emit_in_pieces(context.emit, result, context.max_batch_rows)


def _kinds(batch: Batch, counts: Ids) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """The kinds that rows give to what is found for them: -U and +U where both halves of an update give one row, else -D and +I."""
    kinds = batch.kind_values()
    if batch.is_insert_only:
        return kinds
    is_half = counts == 1
    first = (kinds[:-1] == RowKind.UPDATE_BEFORE) & (kinds[1:] == RowKind.UPDATE_AFTER) & is_half[:-1] & is_half[1:]
    paired = np.zeros(len(kinds), dtype=np.bool_)
    paired[:-1] |= first
    paired[1:] |= first
    adds = (kinds == RowKind.INSERT) | (kinds == RowKind.UPDATE_AFTER)
    return np.where(paired, kinds, np.where(adds, RowKind.INSERT, RowKind.DELETE)).astype(np.int8)
