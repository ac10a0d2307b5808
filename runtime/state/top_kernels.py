"""The numba kernels of ordered state: the first rows of each partition, kept sorted.

Imports numba and NumPy only. Row ids index `words`; a partition's buffer is a row of `top` with `counts[slot]` ids in order.
"""

from __future__ import annotations

from typing import Any

from tableapi.runtime.state.jit import kernel

NOWHERE, BUFFERED, SPILLED = 0, 1, 2
"""Places of a row: forgotten, in its partition's sorted buffer, or beyond it."""


@kernel
def _is_before(words: Any, a: int, b: int) -> bool:
    for j in range(words.shape[1]):
        if words[a, j] != words[b, j]:
            return bool(words[a, j] < words[b, j])
    return False


@kernel
def _position(words: Any, buffer: Any, count: int, row: int) -> int:
    low, high = 0, count
    while low < high:
        middle = (low + high) >> 1
        if _is_before(words, buffer[middle], row):
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def add_rows(
    start: int,
    ids: Any,
    slots: Any,
    words: Any,
    top: Any,
    counts: Any,
    spilled: Any,
    place: Any,
    capacity: int,
    keeps_rest: bool,
    pushed: Any,
    pushed_count: Any,
) -> int:
    """Puts rows into the buffers of their partitions from `start` on.

    A row that does not fit (or is pushed out) is forgotten, or with `keeps_rest` spilled; while a partition has spilled rows, a
    row behind the whole buffer is spilled too. Such rows are listed in `pushed`. Sets `place` of every row moved. Stops where
    `top` must get wider; returns that row.
    """
    width = top.shape[1]
    outside = SPILLED if keeps_rest else NOWHERE
    for i in range(start, len(ids)):
        row, slot = ids[i], slots[i]
        count = counts[slot]
        is_full = count >= capacity
        if (is_full or spilled[slot] > 0) and (count == 0 or not _is_before(words, row, top[slot, count - 1])):
            place[row] = outside
            pushed[pushed_count[0]] = row
            pushed_count[0] += 1
            if keeps_rest:
                spilled[slot] += 1
            continue
        if not is_full and count >= width:
            return i
        buffer = top[slot]
        at = _position(words, buffer, count, row)
        if is_full:
            count -= 1
            place[buffer[count]] = outside
            pushed[pushed_count[0]] = buffer[count]
            pushed_count[0] += 1
            if keeps_rest:
                spilled[slot] += 1
        for j in range(count, at, -1):
            buffer[j] = buffer[j - 1]
        buffer[at] = row
        counts[slot] = count + 1
        place[row] = BUFFERED
    return len(ids)


@kernel
def remove_rows(ids: Any, slots: Any, words: Any, top: Any, counts: Any, spilled: Any, place: Any) -> None:
    """Takes rows out of their partitions."""
    for i in range(len(ids)):
        row, slot = ids[i], slots[i]
        if place[row] == SPILLED:
            spilled[slot] -= 1
        elif place[row] == BUFFERED:
            buffer, count = top[slot], counts[slot]
            at = _position(words, buffer, count, row)
            for j in range(at, count - 1):
                buffer[j] = buffer[j + 1]
            buffer[count - 1] = -1
            counts[slot] = count - 1
        place[row] = NOWHERE
