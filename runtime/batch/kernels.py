"""Compiled loops over the frames of OVER windows. Loaded only when a query needs one, because numba is slow to import."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_jit = numba.njit(cache=True, nogil=True)


@_jit  # type: ignore[untyped-decorator]
def range_bounds(
    key: Any, is_null: Any, start: Any, end: Any, has_lower: bool, lower: Any, has_upper: bool, upper: Any
) -> tuple[Any, Any]:
    """First and one past the last row whose key is in [own key + lower, own key + upper], for rows in ascending order.

    `start`, `end` are the bounds of each row's partition. Rows without a key have each other as neighbours. An end without an
    offset is the partition's.
    """
    rows = len(key)
    low = np.empty(rows, np.int64)
    high = np.empty(rows, np.int64)
    row = 0
    while row < rows:
        first, last = start[row], end[row]
        value_first, value_last = first, last
        while value_first < last and is_null[value_first]:
            value_first += 1
        while value_last > value_first and is_null[value_last - 1]:
            value_last -= 1
        left = right = value_first
        for at in range(first, last):
            if is_null[at]:
                is_leading = at < value_first
                low[at] = first if (is_leading or not has_lower) else value_last
                high[at] = last if (not is_leading or not has_upper) else value_first
                continue
            if has_lower:
                while left < value_last and key[left] < key[at] + lower:
                    left += 1
                low[at] = left
            else:
                low[at] = first
            if has_upper:
                while right < value_last and key[right] <= key[at] + upper:
                    right += 1
                high[at] = right
            else:
                high[at] = last
        row = last
    return low, high


@_jit  # type: ignore[untyped-decorator]
def extreme_positions(order: Any, low: Any, high: Any, is_largest: bool) -> Any:
    """Position of the smallest (or largest) element of `order` in each frame [low, high), -1 when it is empty.

    Frames come partition by partition and move forward within one; a monotonic queue makes the cost linear.
    """
    frames = len(low)
    result = np.empty(frames, np.int64)
    queue = np.empty(len(order) + 1, np.int64)
    head = tail = 0
    filled = 0
    for i in range(frames):
        if low[i] >= high[i]:
            result[i] = -1
            continue
        if low[i] > filled or high[i] < filled:
            head = tail = 0
            filled = low[i]
        while filled < high[i]:
            value = order[filled]
            while tail > head and (order[queue[tail - 1]] <= value if is_largest else order[queue[tail - 1]] >= value):
                tail -= 1
            queue[tail] = filled
            tail += 1
            filled += 1
        while head < tail and queue[head] < low[i]:
            head += 1
        if head == tail or queue[head] > high[i]:
            result[i] = -1
        else:
            result[i] = queue[head]
    return result


@_jit  # type: ignore[untyped-decorator]
def float_sums(values: Any, low: Any, high: Any) -> Any:
    """Sum of the values of each frame. Frames that only grow continue a running sum; others are added up anew."""
    frames = len(low)
    result = np.zeros(frames, values.dtype)
    total = values.dtype.type(0)
    from_row = to_row = 0
    for i in range(frames):
        if low[i] != from_row or high[i] < to_row or i == 0:
            from_row = to_row = low[i]
            total = values.dtype.type(0)
        while to_row < high[i]:
            total += values[to_row]
            to_row += 1
        result[i] = total
    return result
