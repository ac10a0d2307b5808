"""The one hash of keys that outlives a process: key groups of state and partitions of logs are derived from it.

Imports Polars and NumPy only; everyone may import it. The function is fixed for ever: stored logs and checkpoints
depend on it, and the test vectors in `tests/stream/test_stable_hash.py` hold it in place.

Definition, in arithmetic modulo 2^64 (`mix` is the finaliser of SplitMix64):

- A value that is NULL hashes to `NULL`.
- Integers of any width, BOOLEAN (0 or 1), DATE (days), TIME (nanoseconds), year-month intervals (months): `mix` of the value
  in two's complement. TIMESTAMP, TIMESTAMP_LTZ, day-time intervals: the same, of the value in microseconds, rounded down.
- FLOAT and DOUBLE: `mix` of the IEEE bits of the DOUBLE, where -0.0 counts as 0.0 and every NaN is 0x7FF8000000000000.
- STRING (its UTF-8 bytes) and BYTES: cut into words w_0, w_1, … of 8 bytes, little endian, the last one padded with zero bytes:
  `mix(length * LENGTH + sum of mix(w_i ^ ((i + 1) * POSITION)))`.
- DECIMAL: as the STRING of its plain notation without trailing zeros after the point (`1.50` as `1.5`, `2.00` as `2`).
- ROW: as its fields in order, combined like the columns of a key. ARRAY (MAP, MULTISET: arrays of rows): as bytes, with the
  hashes of the elements as the words and their number as the length.
- A key of columns c_1 … c_n: `h_0 = 0`, `h_j = mix(h_(j-1) + GOLDEN + hash(c_j))`; the result is h_n.

Equal values of different widths (INT 1, BIGINT 1) hash alike; so do timestamps of different precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

UInt64Array = npt.NDArray[np.uint64]

NULL = np.uint64(0x6E756C6C6E756C6C)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
LENGTH = np.uint64(0xD6E8FEB86659FD93)
POSITION = np.uint64(0xA0761D6478BD642F)

_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)
_NAN_BITS = np.uint64(0x7FF8000000000000)
_TAIL_MASKS = np.array([0xFFFFFFFFFFFFFFFF, *[(1 << (8 * n)) - 1 for n in range(1, 8)]], dtype=np.uint64)


def mix(words: UInt64Array) -> UInt64Array:
    """SplitMix64's finaliser of each word.

    >>> [hex(h) for h in mix(np.array([0, 1], dtype=np.uint64)).tolist()]
    ['0x0', '0x5692161d100b05e5']
    """
    h = words ^ (words >> _S30)
    h *= _M1
    h ^= h >> _S27
    h *= _M2
    h ^= h >> _S31
    return h


def stable_hash(frame: pl.DataFrame, keys: Sequence[str] | None = None) -> UInt64Array:
    """The hash of each row over the columns `keys` (None: all, in order).

    Args:
        frame: The rows.
        keys: Names of the key columns; their order matters.

    Returns:
        One unsigned 64-bit hash a row.

    >>> stable_hash(pl.DataFrame({"id": [1, None], "s": ["a", ""]})).tolist()
    [12984943745159959915, 17051392452234113155]
    """
    return combined((hash_column(frame[name]) for name in (frame.columns if keys is None else keys)), frame.height)


def combined(columns: Iterable[UInt64Array], height: int) -> UInt64Array:
    """The hashes of `height` rows from those of their columns, in order."""
    result = np.zeros(height, dtype=np.uint64)
    for hashes in columns:
        result = mix(result + GOLDEN + hashes)
    return result


def hash_column(column: pl.Series) -> UInt64Array:
    """The hash of each value of one column."""
    hashes = _hash_values(column)
    if column.null_count():
        hashes[column.is_null().to_numpy()] = NULL
    return hashes


def _hash_values(column: pl.Series) -> UInt64Array:
    """Hashes of values; whatever is returned where the value is NULL is replaced by the caller. The array is a fresh one."""
    dtype = column.dtype
    if dtype == pl.Null:
        return np.full(len(column), NULL, dtype=np.uint64)
    if dtype.is_float():
        return mix(_float_words(column))
    if isinstance(dtype, pl.Decimal):
        return _hash_strings(_plain_decimals(column))
    if dtype == pl.String:
        return _hash_strings(column)
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return _hash_strings(column.cast(pl.String))
    if dtype == pl.Binary:
        return _hash_binary(column)
    if isinstance(dtype, pl.Struct):
        return stable_hash(column.struct.unnest())
    if isinstance(dtype, (pl.List, pl.Array)):
        return _hash_lists(column)
    return mix(_integer_words(column))


def _integer_words(column: pl.Series) -> UInt64Array:
    dtype = column.dtype
    if not column.null_count() and (dtype == pl.Int64 or dtype == pl.Datetime("ms")):
        # Without the conversions below, each of which is a query of its own.
        plain = column.to_numpy().view(np.int64)
        return (plain if dtype == pl.Int64 else plain * 1000).view(np.uint64)
    if isinstance(dtype, (pl.Datetime, pl.Duration)):
        values = column.to_physical()
        if dtype.time_unit == "ms":
            words = values.fill_null(0).to_numpy().astype(np.int64) * 1000
        elif dtype.time_unit == "ns":
            words = np.floor_divide(values.fill_null(0).to_numpy(), 1000)
        else:
            words = values.fill_null(0).to_numpy()
        return words.view(np.uint64)
    if dtype == pl.UInt64:
        return column.fill_null(0).to_numpy()
    if dtype == pl.Boolean:
        return column.fill_null(False).to_numpy().astype(np.uint64)
    return column.to_physical().cast(pl.Int64).fill_null(0).to_numpy().view(np.uint64)


def _float_words(column: pl.Series) -> UInt64Array:
    values = column.cast(pl.Float64).fill_null(0.0).to_numpy() + 0.0
    words = values.view(np.uint64)
    words[np.isnan(values)] = _NAN_BITS
    return words


def _plain_decimals(column: pl.Series) -> pl.Series:
    text = column.cast(pl.String)
    assert isinstance(column.dtype, pl.Decimal)
    return text.str.strip_chars_end("0").str.strip_chars_end(".") if column.dtype.scale else text


def _hash_strings(column: pl.Series) -> UInt64Array:
    if not len(column):
        return np.empty(0, dtype=np.uint64)
    lengths = column.str.len_bytes().fill_null(0).to_numpy().astype(np.int64)
    return _hash_bytes((column.str.join("").item() or "").encode(), lengths)


def _hash_binary(column: pl.Series) -> UInt64Array:
    if not len(column):
        return np.empty(0, dtype=np.uint64)
    lengths = column.bin.size().fill_null(0).to_numpy().astype(np.int64)
    return _hash_bytes(bytes.fromhex(column.bin.encode("hex").str.join("").item() or ""), lengths)


def _hash_bytes(data: bytes, lengths: npt.NDArray[np.int64]) -> UInt64Array:
    """Hashes of pieces of `data` that lie one after the other."""
    padded = data + b"\0" * 8
    unaligned: UInt64Array = np.ndarray(len(padded) - 7, dtype="<u8", buffer=padded, strides=(1,))
    starts = np.cumsum(lengths) - lengths
    counts = (lengths + 7) >> 3
    if counts.max(initial=0) <= 1:
        words = unaligned[starts] & np.where(lengths > 0, _TAIL_MASKS[lengths & 7], np.uint64(0))
        hashed = mix(words ^ POSITION)
        hashed[lengths == 0] = 0
        return mix(lengths.view(np.uint64) * LENGTH + hashed)
    piece = np.repeat(np.arange(len(lengths)), counts)
    position = np.arange(len(piece)) - np.repeat(np.cumsum(counts) - counts, counts)
    words = unaligned[starts[piece] + 8 * position]
    is_last = position == counts[piece] - 1
    words[is_last] &= _TAIL_MASKS[lengths[piece[is_last]] & 7]
    return _fold_words(words, position, counts, lengths)


def _hash_lists(column: pl.Series) -> UInt64Array:
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    lengths = column.list.len().fill_null(0).to_numpy().astype(np.int64)
    words = hash_column(column.filter(pl.Series(lengths > 0)).explode())
    position = np.arange(len(words)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return _fold_words(words, position, lengths, lengths)


def _fold_words(
    words: UInt64Array, position: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> UInt64Array:
    hashed = mix(words ^ ((position.astype(np.uint64) + np.uint64(1)) * POSITION))
    sums = np.zeros(len(counts), dtype=np.uint64)
    filled = counts > 0
    if len(words):
        sums[filled] = np.add.reduceat(hashed, (np.cumsum(counts) - counts)[filled])
    return mix(lengths.view(np.uint64) * LENGTH + sums)
