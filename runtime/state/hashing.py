"""Key groups: which part of the key space a row belongs to, and which worker owns that part.

The hash itself is `tableapi.stable_hash`; this file only maps it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.runtime.planner.graph import KEY_GROUPS
from tableapi.runtime.state.jit import PLAIN_ROWS
from tableapi.stable_hash import NULL, UInt64Array, combined, hash_column

KEY_GROUP_COLUMN = "__key_group"
"""Column of a snapshot's frame by which rows are dealt out to workers when a job is rescaled."""


def key_groups(frame: pl.DataFrame, keys: Sequence[str] | None = None) -> npt.NDArray[np.uint8]:
    """The key group (0 to KEY_GROUPS - 1) of each row: the upper 32 bits of its stable hash, modulo the number of groups.

    >>> key_groups(pl.DataFrame({"id": [1, 2, 3]}), ["id"]).tolist()
    [48, 41, 106]
    """
    names = frame.columns if keys is None else keys
    hashes = combined((_hash_column(frame[name]) for name in names), frame.height)
    return ((hashes >> np.uint64(32)) % np.uint64(KEY_GROUPS)).astype(np.uint8)


def _hash_column(column: pl.Series) -> UInt64Array:
    """`hash_column`, by a kernel where there is much text."""
    if column.dtype != pl.String or len(column) < PLAIN_ROWS:
        return hash_column(column)
    from tableapi.runtime.state import kernels

    packed = column.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, ends, text = packed.buffers()
    offsets = np.frombuffer(ends, dtype=np.int64)[packed.offset : packed.offset + len(column) + 1].copy()
    data = np.zeros((0 if text is None else text.size) + 8, dtype=np.uint8)
    if text is not None:
        data[: text.size] = np.frombuffer(text, dtype=np.uint8)
    words = np.ndarray(len(data) - 7, dtype="<u8", buffer=data, strides=(1,))
    hashes = np.empty(len(column), dtype=np.uint64)
    kernels.hash_texts(words, offsets, hashes)
    if column.null_count():
        hashes[column.is_null().to_numpy()] = NULL
    return hashes


def worker_of(groups: npt.NDArray[np.uint8], parallelism: int) -> npt.NDArray[np.int64]:
    """The worker that owns each key group: contiguous ranges of groups, as even as can be.

    >>> worker_of(np.array([0, 63, 64, 127], dtype=np.uint8), 2).tolist()
    [0, 0, 1, 1]
    """
    return groups.astype(np.int64) * parallelism // KEY_GROUPS
