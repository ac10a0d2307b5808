"""Running values of aggregates, one value per slot: counts, sums, extremes, edges, and bags of values.

Each class keeps one `registry.Accumulator` for many groups; `update` takes a batch of (slot, input, sign), `read` gives the
running values. Fixed-width values live in records by slot and are updated by kernels; values of other types are folded per batch
by Polars and kept in a heap column. MIN, MAX, FIRST and LAST of an input that retracts keep all values in a bag.
Imports `runtime.state` and the registry's declarations.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.functions.registry import AccumulatorKind
from tableapi.runtime.state.columns import Ids, from_arrays, grown, make_column, storage_dtype, to_arrays, writable
from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.ordering import OrderedRows
from tableapi.runtime.state.records import SlotRecords
from tableapi.runtime.state.row_store import NONE, Chains, RowStore
from tableapi.runtime.state.sorted_buffers import SortedBuffers

Signs = npt.NDArray[np.int64]
"""+1 and -1 per row; empty: all +1."""

ALL_ADDED: Signs = np.empty(0, dtype=np.int64)
_ALL_VALID = np.empty(0, dtype=np.bool_)


class RunningValue(Protocol):
    """The running values of one accumulator, by slot."""

    def reserve(self, bound: int) -> None:
        """Makes room for slots below `bound`; new slots hold the value of an empty group."""

    def update(self, slots: Ids, values: pl.Series | None, signs: Signs) -> None:
        """Folds a batch in. `values` is None for a count of rows."""

    def read(self, slots: Ids) -> pl.Series:
        """The running values."""

    def merged(self, slots: Ids, groups: Ids, count: int) -> pl.Series:
        """The running values of `count` groups of slots: what they would be if each group's slots were one."""

    def absorb(self, slots: Ids, other: Any, others: Ids) -> None:
        """Folds in what `other`, a value of the same kind, has in its slots `others`, as if those rows had come later."""

    def clear(self, slots: Ids) -> None:
        """Makes the slots empty."""

    @property
    def size_bytes(self) -> int:
        """Memory held."""

    def save(self, slots: Ids) -> tuple[pl.DataFrame, Ids]:
        """State of the slots as a frame with a column `value`, and the position in `slots` of each row's slot."""

    def load(self, slots: Ids, values: pl.Series) -> None:
        """Takes over what `save` gave; `slots` are the slots of the rows."""


class _Saved:
    """Save and load for values that one row a slot describes."""

    def read(self, slots: Ids) -> pl.Series:
        raise NotImplementedError

    def save(self, slots: Ids) -> tuple[pl.DataFrame, Ids]:
        return self.read(slots).alias("value").to_frame(), np.arange(len(slots))


class Count(_Saved):
    """COUNT: rows (or values that are not NULL)."""

    def __init__(self, dtype: pl.DataType, records: SlotRecords) -> None:
        self._dtype, self._records = dtype, records
        self._field = records.add(np.dtype(np.int64))
        self._counts: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    @property
    def size_bytes(self) -> int:
        return self._counts.nbytes

    def reserve(self, bound: int) -> None:
        self._records.reserve(bound)
        self._counts = self._records.field(self._field)

    def update(self, slots: Ids, values: pl.Series | None, signs: Signs) -> None:
        from tableapi.runtime.state import kernels

        valid = _ALL_VALID
        if values is not None and values.null_count():
            valid = writable(values.is_not_null().to_numpy())
        kernels.add_counts(self._counts, slots, valid, signs)

    def read(self, slots: Ids) -> pl.Series:
        return from_arrays("value", self._counts[slots], _ALL_VALID, self._dtype)

    def merged(self, slots: Ids, groups: Ids, count: int) -> pl.Series:
        totals = np.zeros(count, dtype=np.int64)
        np.add.at(totals, groups, self._counts[slots])
        return from_arrays("value", totals, _ALL_VALID, self._dtype)

    def absorb(self, slots: Ids, other: Count, others: Ids) -> None:
        from tableapi.runtime.state import kernels

        kernels.add_values(self._counts, slots, other._counts[others], _ALL_VALID, ALL_ADDED)

    def clear(self, slots: Ids) -> None:
        self._counts[slots] = 0

    def load(self, slots: Ids, values: pl.Series) -> None:
        self._counts[slots] = values.cast(pl.Int64).to_numpy()


class NumericSum(_Saved):
    """SUM of integers (wrapping) or floating point numbers; 0 when there are none."""

    def __init__(self, dtype: pl.DataType, records: SlotRecords) -> None:
        storage = storage_dtype(dtype)
        assert storage is not None
        self._dtype, self._records = dtype, records
        self._field = records.add(storage)
        self._sums: npt.NDArray[Any] = np.zeros(0, dtype=storage)

    @property
    def size_bytes(self) -> int:
        return self._sums.nbytes

    def reserve(self, bound: int) -> None:
        self._records.reserve(bound)
        self._sums = self._records.field(self._field)

    def update(self, slots: Ids, values: pl.Series | None, signs: Signs) -> None:
        from tableapi.runtime.state import kernels

        assert values is not None
        array, valid = to_arrays(values)
        kernels.add_values(self._sums, slots, writable(array), writable(valid), signs)

    def read(self, slots: Ids) -> pl.Series:
        return from_arrays("value", self._sums[slots], _ALL_VALID, self._dtype)

    def merged(self, slots: Ids, groups: Ids, count: int) -> pl.Series:
        totals = np.zeros(count, dtype=self._sums.dtype)
        np.add.at(totals, groups, self._sums[slots])
        return from_arrays("value", totals, _ALL_VALID, self._dtype)

    def absorb(self, slots: Ids, other: NumericSum, others: Ids) -> None:
        from tableapi.runtime.state import kernels

        kernels.add_values(self._sums, slots, other._sums[others], _ALL_VALID, ALL_ADDED)

    def clear(self, slots: Ids) -> None:
        self._sums[slots] = 0

    def load(self, slots: Ids, values: pl.Series) -> None:
        self._sums[slots] = to_arrays(values)[0]


class NumericChoice(_Saved):
    """MIN, MAX, FIRST or LAST of fixed-width values that are only added; NULL when there are none."""

    def __init__(self, kind: AccumulatorKind, dtype: pl.DataType, records: SlotRecords) -> None:
        storage = storage_dtype(dtype)
        assert storage is not None
        self._kind, self._dtype, self._records = kind, dtype, records
        self._fields = records.add(storage), records.add(np.dtype(np.bool_))
        self._values: npt.NDArray[Any] = np.zeros(0, dtype=storage)
        self._has: npt.NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)

    @property
    def size_bytes(self) -> int:
        return self._values.nbytes + self._has.nbytes

    def reserve(self, bound: int) -> None:
        self._records.reserve(bound)
        self._values, self._has = (self._records.field(f) for f in self._fields)

    def update(self, slots: Ids, values: pl.Series | None, signs: Signs) -> None:
        assert values is not None
        array, valid = to_arrays(values)
        self._fold(self._values, self._has, slots, writable(array), writable(valid))

    def _fold(self, target: Any, has: Any, slots: Ids, values: Any, valid: Any) -> None:
        from tableapi.runtime.state import kernels

        if self._kind in (AccumulatorKind.MIN, AccumulatorKind.MAX):
            kernels.keep_extremes(target, has, slots, values, valid, self._kind is AccumulatorKind.MIN)
        else:
            kernels.keep_edges(target, has, slots, values, valid, self._kind is AccumulatorKind.FIRST)

    def read(self, slots: Ids) -> pl.Series:
        return from_arrays("value", self._values[slots], self._has[slots], self._dtype)

    def merged(self, slots: Ids, groups: Ids, count: int) -> pl.Series:
        values, has = np.zeros(count, dtype=self._values.dtype), np.zeros(count, dtype=np.bool_)
        self._fold(values, has, groups, self._values[slots], self._has[slots])
        return from_arrays("value", values, has, self._dtype)

    def absorb(self, slots: Ids, other: RunningValue, others: Ids) -> None:
        if isinstance(other, NumericChoice):
            self._fold(self._values, self._has, slots, other._values[others], other._has[others])
        else:
            self.update(slots, other.read(others), ALL_ADDED)

    def clear(self, slots: Ids) -> None:
        self._has[slots] = False

    def load(self, slots: Ids, values: pl.Series) -> None:
        array, valid = to_arrays(values)
        self._values[slots] = array
        self._has[slots] = valid if len(valid) else True


IN_RECORDS = (Count, NumericSum, NumericChoice)
"""What keeps all that it knows of a slot in the slot's record."""


class HeapFold(_Saved):
    """SUM, MIN, MAX, FIRST or LAST of any type: each batch is folded by Polars, then combined with what was there."""

    def __init__(self, kind: AccumulatorKind, dtype: pl.DataType) -> None:
        self._kind, self._dtype = kind, dtype
        self._column = make_column("value", dtype)
        self._has = np.zeros(0, dtype=np.bool_)

    @property
    def size_bytes(self) -> int:
        return self._column.size_bytes + self._has.nbytes

    def reserve(self, bound: int) -> None:
        self._column.reserve(bound)
        self._has = grown(self._has, bound, False)

    def update(self, slots: Ids, values: pl.Series | None, signs: Signs) -> None:
        assert values is not None
        rows = pl.DataFrame([pl.Series("slot", slots), values.alias("value")])
        if len(signs):
            value = pl.col("value")
            rows = rows.with_columns(pl.when(pl.Series(signs) < 0).then(-value).otherwise(value).alias("value"))
        rows = rows.drop_nulls("value")
        if not rows.height:
            return
        touched = rows["slot"].unique().to_numpy()
        known = touched[self._has[touched]]
        before = pl.DataFrame([pl.Series("slot", known), self._column.gather(known).alias("value")])
        folded = self._fold(pl.concat([before, rows]), "slot")
        self.load(folded["slot"].to_numpy(), folded["value"])

    def _fold(self, rows: pl.DataFrame, key: str) -> pl.DataFrame:
        value = pl.col("value")
        by_kind = {
            AccumulatorKind.SUM: value.sum(),
            AccumulatorKind.MIN: value.min(),
            AccumulatorKind.MAX: value.max(),
            AccumulatorKind.FIRST: value.first(),
            AccumulatorKind.LAST: value.last(),
        }
        return rows.group_by(key, maintain_order=True).agg(by_kind[self._kind].cast(self._dtype))

    def read(self, slots: Ids) -> pl.Series:
        has = self._has[slots]
        empty = self._empty
        if has.all():
            return self._column.gather(slots)
        values = pl.Series("value", [empty], dtype=self._dtype).new_from_index(0, len(slots))
        if not has.any():
            return values
        positions = np.where(has, np.cumsum(has) - 1, int(np.count_nonzero(has)))
        return pl.concat([self._column.gather(slots[has]), values[:1]]).gather(positions)

    @property
    def _empty(self) -> Any:
        return 0 if self._kind is AccumulatorKind.SUM else None

    def merged(self, slots: Ids, groups: Ids, count: int) -> pl.Series:
        has = self._has[slots]
        rows = pl.DataFrame([pl.Series("group", groups[has]), self._column.gather(slots[has]).alias("value")])
        folded = self._fold(rows, "group")
        every = pl.DataFrame({"group": np.arange(count)}).join(folded, on="group", how="left", maintain_order="left")
        return every["value"] if self._empty is None else every["value"].fill_null(self._empty)

    def absorb(self, slots: Ids, other: RunningValue, others: Ids) -> None:
        self.update(slots, other.read(others), ALL_ADDED)

    def clear(self, slots: Ids) -> None:
        self._column.free(slots)
        self._has[slots] = False

    def load(self, slots: Ids, values: pl.Series) -> None:
        self._column.scatter(slots, values.alias("value"))
        self._has[slots] = values.is_not_null().to_numpy()


class Bag:
    """All inputs of each group in order of arrival: VALUES, and FIRST and LAST of an input that retracts.

    A retraction takes away the earliest equal value. Reading VALUES costs O(values of the groups read). Layout: rows in a
    RowStore, a chain per slot, and (when the input retracts) an index from (slot, value) to the chain of equal rows.
    """

    def __init__(self, kind: AccumulatorKind, dtype: pl.DataType, retracts: bool) -> None:
        self._kind, self._dtype = kind, dtype
        self._keeps_nulls = kind is AccumulatorKind.VALUES
        self._rows = RowStore({"value": dtype, "owner": pl.Int64(), "same": pl.Int64()})
        self._by_slot = Chains()
        self._equal = KeyIndex({"owner": pl.Int64(), "value": dtype}) if retracts else None
        self._by_value = Chains()

    @property
    def size_bytes(self) -> int:
        return self._rows.size_bytes + (0 if self._equal is None else self._equal.size_bytes)

    def reserve(self, bound: int) -> None:
        """Chains grow as they are used."""

    def update(self, slots: Ids, values: pl.Series | None, signs: Signs) -> None:
        assert values is not None
        rows = pl.DataFrame([values.alias("value"), pl.Series("owner", slots)])
        keep = np.ones(len(slots), dtype=np.bool_)
        if not self._keeps_nulls and values.null_count():
            keep = values.is_not_null().to_numpy()
        if not len(signs):
            self._add(rows if keep.all() else rows.filter(pl.Series(keep)))
            return
        self._add(rows.filter(pl.Series(keep & (signs > 0))))
        self._retract(rows.filter(pl.Series(keep & (signs < 0))))

    def _add(self, rows: pl.DataFrame) -> None:
        if not rows.height:
            return
        owners = rows["owner"].to_numpy()
        same = NONE if self._equal is None else self._equal.insert(rows)[0]
        stored = rows.with_columns(pl.Series("same", same) if self._equal is not None else pl.lit(-1, pl.Int64).alias("same"))
        ids = self._rows.append(stored)
        self._by_slot.append(ids, owners)
        if self._equal is not None:
            self._by_value.append(ids, same)

    def _retract(self, rows: pl.DataFrame) -> None:
        if not rows.height:
            return
        assert self._equal is not None, "an insert-only input took a row back"
        same = self._equal.find(rows)
        ids = self._by_value.pop(same)
        found = ids >= 0
        ids, owners, same = ids[found], rows["owner"].to_numpy()[found], same[found]
        self._by_slot.remove(ids, owners)
        self._rows.remove(ids)
        distinct = np.unique(same)
        self._equal.free(distinct[self._by_value.is_empty(distinct)])

    def read(self, slots: Ids) -> pl.Series:
        if self._keeps_nulls:
            return self.merged(slots, np.arange(len(slots)), len(slots))
        ids = self._by_slot.first(slots) if self._kind is AccumulatorKind.FIRST else self._by_slot.last(slots)
        return gather_or_null(self._rows, "value", ids)

    def merged(self, slots: Ids, groups: Ids, count: int) -> pl.Series:
        ids, positions = self._by_slot.collect(slots)
        rows = pl.DataFrame([pl.Series("group", groups[positions]), self._rows.gather_column("value", ids)])
        value = pl.col("value")
        by_kind = {
            AccumulatorKind.FIRST: value.first(),
            AccumulatorKind.LAST: value.last(),
            AccumulatorKind.VALUES: value,
        }
        folded = rows.group_by("group", maintain_order=True).agg(by_kind[self._kind])
        every = pl.DataFrame({"group": np.arange(count)}).join(folded, on="group", how="left", maintain_order="left")["value"]
        return every.fill_null(pl.lit([], dtype=every.dtype)) if self._keeps_nulls and every.null_count() else every

    def clear(self, slots: Ids) -> None:
        ids, positions = self._by_slot.collect(slots)
        if not len(ids):
            return
        if self._equal is not None:
            same = self._rows.gather_column("same", ids).to_numpy()
            self._by_value.remove(ids, same)
            self._equal.free(np.unique(same))
        self._by_slot.remove(ids, slots[positions])
        self._rows.remove(ids)

    def absorb(self, slots: Ids, other: Bag, others: Ids) -> None:
        values, positions = other.save(others)
        self.load(slots[positions], values["value"])

    def save(self, slots: Ids) -> tuple[pl.DataFrame, Ids]:
        ids, positions = self._by_slot.collect(slots)
        return self._rows.gather_column("value", ids).to_frame(), positions

    def load(self, slots: Ids, values: pl.Series) -> None:
        self._add(pl.DataFrame([values.alias("value"), pl.Series("owner", slots)]))


class RetractableExtreme:
    """MIN or MAX of an input that retracts: how often each value is in each group, and the first few values of each group in
    order.

    Layout: an index over (slot, value), a count per pair, and sorted buffers of pairs by slot. Cost: O(rows), apart from
    refills of a buffer, which cost O(values of the group) once in many removals of its first value.
    """

    def __init__(self, kind: AccumulatorKind, dtype: pl.DataType) -> None:
        self._kind, self._dtype = kind, dtype
        self._pairs = KeyIndex({"slot": pl.Int64(), "value": dtype})
        self._counts = np.zeros(0, dtype=np.int64)
        self._order = OrderedRows.of_value(dtype, kind is AccumulatorKind.MIN)
        self._buffers = SortedBuffers(self._order, 4, keeps_rest=True)
        self._bound = 0

    @property
    def size_bytes(self) -> int:
        return self._pairs.size_bytes + self._counts.nbytes + self._order.words.nbytes

    def reserve(self, bound: int) -> None:
        self._bound = bound
        self._buffers.reserve(bound, self._pairs.bound)

    def update(self, slots: Ids, values: pl.Series | None, signs: Signs) -> None:
        assert values is not None
        if values.null_count():
            keep = values.is_not_null().to_numpy()
            slots, values = slots[keep], values.drop_nulls()
            signs = signs[keep] if len(signs) else signs
        if not len(slots):
            return
        pairs, new_rows = self._pairs.insert(pl.DataFrame([pl.Series("slot", slots), values.alias("value")]))
        self._counts = grown(self._counts, self._pairs.bound)
        self._buffers.reserve(self._bound, self._pairs.bound)
        fresh = pairs[new_rows]
        self._counts[fresh] = 0
        np.add.at(self._counts, pairs, signs if len(signs) else 1)
        self._order.write(fresh, values[new_rows].alias("value").to_frame(), self._pairs.bound)
        self._buffers.add(fresh, slots[new_rows])
        if len(signs):
            self._remove_gone(pairs, slots)

    def _remove_gone(self, pairs: Ids, slots: Ids) -> None:
        _, rows = np.unique(pairs, return_index=True)
        rows = rows[self._counts[pairs[rows]] <= 0]
        if not len(rows):
            return
        gone, owners = pairs[rows], slots[rows]
        self._buffers.remove(gone, owners)
        self._buffers.refill(np.unique(owners))
        self._pairs.free(gone)

    def read(self, slots: Ids) -> pl.Series:
        first = self._buffers.first(slots)
        present = first >= 0
        values = self._pairs.keys(first[present])["value"]
        return values if present.all() else spread_or_null(values, present)

    def merged(self, slots: Ids, groups: Ids, count: int) -> pl.Series:
        rows = pl.DataFrame([pl.Series("group", groups), self.read(slots).alias("value")])
        value = pl.col("value").min() if self._kind is AccumulatorKind.MIN else pl.col("value").max()
        folded = rows.group_by("group").agg(value)
        return pl.DataFrame({"group": np.arange(count)}).join(folded, on="group", how="left", maintain_order="left")["value"]

    def clear(self, slots: Ids) -> None:
        self._pairs.free(self._buffers.drop(slots))

    def absorb(self, slots: Ids, other: RetractableExtreme, others: Ids) -> None:
        values, positions = other.save(others)
        self.load(slots[positions], values["value"])

    def save(self, slots: Ids) -> tuple[pl.DataFrame, Ids]:
        pairs, positions = self._buffers.rows(slots)
        times = np.maximum(self._counts[pairs], 0)
        return self._pairs.keys(pairs).select("value")[np.repeat(np.arange(len(pairs)), times)], np.repeat(positions, times)

    def load(self, slots: Ids, values: pl.Series) -> None:
        self.update(slots, values, ALL_ADDED)


def spread_or_null(values: pl.Series, present: npt.NDArray[np.bool_]) -> pl.Series:
    """`values` at the places where `present` is TRUE, NULL at the others."""
    positions = pl.Series(np.where(present, np.cumsum(present) - 1, 0)).set(pl.Series(~present), None)
    if not len(values):
        return pl.Series(values.name, [None], dtype=values.dtype).new_from_index(0, len(present))
    return values.gather(positions)


def gather_or_null(rows: RowStore, name: str, ids: Ids) -> pl.Series:
    """A column of the rows at `ids`; NULL where the id is -1."""
    present = ids >= 0
    values = rows.gather_column(name, ids[present])
    return values if present.all() else spread_or_null(values, present)


def running_value(kind: AccumulatorKind, dtype: pl.DataType, retracts: bool, records: SlotRecords) -> RunningValue:
    """What keeps an accumulator of that kind and type. `records`: where it may keep numbers, beside those of other accumulators."""
    if kind is AccumulatorKind.COUNT:
        return Count(dtype, records)
    if kind is AccumulatorKind.SUM:
        return HeapFold(kind, dtype) if storage_dtype(dtype) is None else NumericSum(dtype, records)
    if retracts and kind in (AccumulatorKind.MIN, AccumulatorKind.MAX):
        return RetractableExtreme(kind, dtype)
    if kind is AccumulatorKind.VALUES or retracts:
        return Bag(kind, dtype, retracts)
    return HeapFold(kind, dtype) if storage_dtype(dtype) is None else NumericChoice(kind, dtype, records)
