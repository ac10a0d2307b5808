"""Sort keys as words: rows of int64 that compare, word by word, like the rows' sort keys.

With them, kernels can keep ordered state for keys of any type. Every column takes a fixed number of words: one for "is NULL"
when it can be NULL, then one for numbers and times, two for wide decimals, and for strings as many as the longest one needs
(zero padded) plus their length. Descending columns have their words inverted. Imports plan data, Polars and NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.errors import UnsupportedError
from tableapi.plan.rex import SortKey
from tableapi.runtime.state.columns import Ids, grown
from tableapi.tablespec import RowSchema

Words = npt.NDArray[np.int64]
_SIGN = np.int64(-(2**63))


class OrderedRows:
    """The order words of stored rows, by row id; the last word is the order of arrival, so that no two rows are equal.

    Args:
        input: Schema of the rows.
        order_by: The sort keys.
    """

    def __init__(self, input: RowSchema, order_by: Sequence[SortKey]) -> None:
        self._keys = tuple(order_by)
        self._types = [input.to_polars()[key.column] for key in order_by]
        self._nullable = [input[key.column].type.is_nullable for key in order_by]
        self._string_words = [0] * len(self._keys)
        self._sequence = 0
        self.words: Words = np.zeros((0, self._width), dtype=np.int64)

    @classmethod
    def of_value(cls, dtype: pl.DataType, ascending: bool) -> OrderedRows:
        """Order words of a single column `value` without NULL."""
        made = cls(RowSchema(()), ())
        made._keys, made._types, made._nullable = (SortKey("value", ascending),), [dtype], [False]
        made._string_words = [0]
        made.words = np.zeros((0, made._width), dtype=np.int64)
        return made

    @property
    def _width(self) -> int:
        return sum(self._block_width(i) for i in range(len(self._keys))) + 1

    def _block_width(self, index: int) -> int:
        dtype = self._types[index]
        value = 1
        if dtype in (pl.String, pl.Binary):
            value = self._string_words[index] + 1
        elif isinstance(dtype, pl.Decimal) and not self._is_narrow(index):
            value = 2
        return value + int(self._nullable[index])

    def _is_narrow(self, index: int) -> bool:
        dtype = self._types[index]
        return isinstance(dtype, pl.Decimal) and (dtype.precision or 38) <= 18

    def write(self, ids: Ids, frame: pl.DataFrame, bound: int) -> None:
        """Stores the words of rows that arrive now, in order; ids are below `bound`."""
        blocks = [self._encode(i, frame[key.column]) for i, key in enumerate(self._keys)]
        self.words = grown(self.words, bound)
        arrival = np.arange(self._sequence, self._sequence + len(ids), dtype=np.int64)
        self._sequence += len(ids)
        at = 0
        for block in blocks:
            self.words[ids, at : at + block.shape[1]] = block
            at += block.shape[1]
        self.words[ids, at] = arrival

    def _encode(self, index: int, column: pl.Series) -> Words:
        key = self._keys[index]
        values = self._value_words(index, column)
        if not key.ascending:
            values = ~values
        if not self._nullable[index]:
            return values
        is_null = column.is_null().to_numpy()
        values[is_null] = 0
        nulls = np.where(is_null, -1 if key.nulls_first else 1, 0).astype(np.int64)
        return np.column_stack([nulls, values])

    def _value_words(self, index: int, column: pl.Series) -> Words:
        dtype = column.dtype
        if dtype in (pl.String, pl.Binary):
            return self._string(index, column.cast(pl.Binary))
        if isinstance(dtype, pl.Decimal):
            return _decimal_words(column, self._is_narrow(index))
        if dtype.is_float():
            return _float_words(column)
        if dtype == pl.Boolean:
            return column.fill_null(False).to_numpy().astype(np.int64).reshape(-1, 1)
        if dtype.is_integer() or dtype.is_temporal():
            return column.to_physical().cast(pl.Int64).fill_null(0).to_numpy().reshape(-1, 1).copy()
        raise UnsupportedError(
            f"rows cannot be ordered by {self._keys[index].column} {self._types[index]}", fix="order by a scalar"
        )

    def _string(self, index: int, column: pl.Series) -> Words:
        filled = column.fill_null(b"")
        lengths = filled.bin.size().to_numpy().astype(np.int64)
        needed = int((lengths.max(initial=0) + 7) // 8)
        if needed > self._string_words[index]:
            self._widen(index, needed)
        width = 8 * self._string_words[index]
        if not width:
            return lengths.reshape(-1, 1)
        data = np.array(filled.to_list(), dtype=f"S{width}")
        words = np.frombuffer(data.tobytes(), dtype=">u8").reshape(len(lengths), width // 8)
        return np.column_stack([words.astype(np.uint64).view(np.int64) ^ _SIGN, lengths])

    def _widen(self, index: int, needed: int) -> None:
        """Makes room for longer strings: inserts words that are what padding would have been."""
        offset = sum(self._block_width(i) for i in range(index)) + int(self._nullable[index])
        at = offset + self._string_words[index]
        padding = _SIGN if self._keys[index].ascending else ~_SIGN
        added = np.full((len(self.words), needed - self._string_words[index]), padding, dtype=np.int64)
        if self._nullable[index]:
            is_null = self.words[:, offset - 1] != 0
            added[is_null] = 0
        self.words = np.ascontiguousarray(np.concatenate([self.words[:, :at], added, self.words[:, at:]], axis=1))
        self._string_words[index] = needed

    def arrival(self, ids: Ids) -> Ids:
        """The order of arrival of rows."""
        return self.words[ids, -1]


def _float_words(column: pl.Series) -> Words:
    values = column.cast(pl.Float64).fill_null(0.0).to_numpy() + 0.0
    values[np.isnan(values)] = np.nan
    bits: Words = values.view(np.int64)
    bits = np.where(bits < 0, bits ^ np.int64(0x7FFFFFFFFFFFFFFF), bits)
    bits[np.isnan(values)] = np.iinfo(np.int64).max
    return bits.reshape(-1, 1)


def _decimal_words(column: pl.Series, is_narrow: bool) -> Words:
    unscaled = column.to_physical()
    if is_narrow:
        return unscaled.cast(pl.Int64).fill_null(0).to_numpy().reshape(-1, 1).copy()
    base = pl.lit(2**32, dtype=pl.Int128)
    value = pl.col("v").fill_null(0)
    high, low = (value // base) // base, (value // base % base) * base + value % base
    parts = unscaled.to_frame("v").select(high.cast(pl.Int64).alias("high"), low.cast(pl.UInt64).alias("low"))
    return np.column_stack([parts["high"].to_numpy(), parts["low"].to_numpy().view(np.int64) ^ _SIGN])
