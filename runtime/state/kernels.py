"""The numba kernels of state: hash tables, scatter-adds, chains. NumPy arrays in and out, compiled once and cached on disk.

Imports numba and NumPy only; loaded when the first stateful operator is made. Slots and row ids are int64; -1 is "none".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tableapi.runtime.state.jit import kernel


@kernel
def _hash_words(words: Any, row: int) -> Any:
    h = np.uint64(0)
    for j in range(words.shape[1]):
        h = (h ^ np.uint64(words[row, j])) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(32)
    h *= np.uint64(0xD6E8FEB86659FD93)
    return h ^ (h >> np.uint64(32))


@kernel
def _same_words(a: Any, i: int, b: Any, j: int) -> bool:
    for c in range(a.shape[1]):  # noqa: SIM110 (compiled)
        if a[i, c] != b[j, c]:
            return False
    return True


@kernel
def insert_words(start: int, words: Any, table: Any, keys: Any, free: Any, state: Any, slots: Any, new_rows: Any) -> int:
    """Finds or makes the slot of each row of `words` from `start` on.

    `table` holds slot + 1 (0: empty); `keys[slot]` the words; `state` is [live, next slot, free count, new count, most live]. Slots come
    from the stack `free`, then from the end. `new_rows` collects the rows that made a slot. Stops where the arrays must grow
    first; returns that row.
    """
    mask = np.uint64(len(table) - 1)
    n = words.shape[0]
    for i in range(start, n):
        p = _hash_words(words, i) & mask
        while True:
            entry = table[p]
            if entry == 0:
                if state[0] >= state[4] or (state[2] == 0 and state[1] >= keys.shape[0]):
                    return i
                if state[2] > 0:
                    state[2] -= 1
                    slot = free[state[2]]
                else:
                    slot = state[1]
                    state[1] += 1
                state[0] += 1
                table[p] = slot + 1
                for c in range(words.shape[1]):
                    keys[slot, c] = words[i, c]
                slots[i] = slot
                new_rows[state[3]] = i
                state[3] += 1
                break
            if _same_words(keys, entry - 1, words, i):
                slots[i] = entry - 1
                break
            p = (p + np.uint64(1)) & mask
    return n


@kernel
def _mix(h: Any) -> Any:
    h ^= h >> np.uint64(30)
    h *= np.uint64(0xBF58476D1CE4E5B9)
    h ^= h >> np.uint64(27)
    h *= np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@kernel
def hash_texts(unaligned: Any, offsets: Any, hashes: Any) -> None:
    """The stable hash (see `tableapi.stable_hash`) of pieces of UTF-8: piece i is the bytes `offsets[i]` to `offsets[i + 1]`.

    `unaligned[k]` are the eight bytes from byte k on.
    """
    for i in range(len(hashes)):
        at, end = offsets[i], offsets[i + 1]
        total = np.uint64(end - at) * np.uint64(0xD6E8FEB86659FD93)
        number = np.uint64(0)
        while at < end:
            word = unaligned[at]
            if end - at < 8:
                word &= (np.uint64(1) << np.uint64(8 * (end - at))) - np.uint64(1)
            number += np.uint64(1)
            total += _mix(word ^ (number * np.uint64(0xA0761D6478BD642F)))
            at += 8
        hashes[i] = _mix(total)


@kernel
def find_words(words: Any, table: Any, keys: Any, slots: Any) -> None:
    """The slot of each row of `words`, -1 where there is none."""
    mask = np.uint64(len(table) - 1)
    for i in range(words.shape[0]):
        p = _hash_words(words, i) & mask
        slots[i] = -1
        while table[p] != 0:
            if _same_words(keys, table[p] - 1, words, i):
                slots[i] = table[p] - 1
                break
            p = (p + np.uint64(1)) & mask


@kernel
def rebuild_table(slots: Any, table: Any, keys: Any) -> None:
    """Fills an empty table with the given slots."""
    mask = np.uint64(len(table) - 1)
    for slot in slots:
        p = _hash_words(keys, slot) & mask
        while table[p] != 0:
            p = (p + np.uint64(1)) & mask
        table[p] = slot + 1


@kernel
def remove_words(slots: Any, table: Any, keys: Any) -> int:
    """Takes slots out of the table; later entries of a probe run move up, so no tombstones stay. Returns how many it had."""
    size = len(table)
    mask = np.uint64(size - 1)
    removed = 0
    for slot in slots:
        p = _hash_words(keys, slot) & mask
        while table[p] != 0 and table[p] != slot + 1:
            p = (p + np.uint64(1)) & mask
        if table[p] == 0:
            continue
        removed += 1
        hole = p
        p = (p + np.uint64(1)) & mask
        while table[p] != 0:
            home = _hash_words(keys, table[p] - 1) & mask
            if ((p - home) & mask) >= ((p - hole) & mask):
                table[hole] = table[p]
                hole = p
            p = (p + np.uint64(1)) & mask
        table[hole] = 0
    return removed


@kernel
def group_slots(slots: Any, scratch: Any, groups: Any, unique: Any) -> int:
    """Numbers the distinct slots of a batch in order of appearance.

    `scratch` is as long as the largest slot needs and holds -1 before and after. Returns the number of distinct slots.
    """
    count = 0
    for i in range(len(slots)):
        slot = slots[i]
        group = scratch[slot]
        if group < 0:
            group = count
            scratch[slot] = group
            unique[count] = slot
            count += 1
        groups[i] = group
    for i in range(count):
        scratch[unique[i]] = -1
    return count


@kernel
def mark_bits(slots: Any, passed: Any, bits: Any, fresh: Any) -> None:
    """Sets the bits of each row at its slot; `fresh` are those that were not set before."""
    for i in range(len(slots)):
        slot = slots[i]
        fresh[i] = passed[i] & ~bits[slot]
        bits[slot] |= passed[i]


@kernel
def add_counts(target: Any, slots: Any, valid: Any, signs: Any) -> None:
    """target[slot] += sign for each valid row; empty `valid`: all are, empty `signs`: all +1."""
    if len(valid) == 0 and len(signs) == 0:
        for i in range(len(slots)):
            target[slots[i]] += 1
    elif len(signs) == 0:
        for i in range(len(slots)):
            if valid[i]:
                target[slots[i]] += 1
    elif len(valid) == 0:
        for i in range(len(slots)):
            target[slots[i]] += signs[i]
    else:
        for i in range(len(slots)):
            if valid[i]:
                target[slots[i]] += signs[i]


@kernel
def add_values(target: Any, slots: Any, values: Any, valid: Any, signs: Any) -> None:
    """target[slot] += sign * value for each valid row."""
    for i in range(len(slots)):
        if len(valid) == 0 or valid[i]:
            if len(signs) == 0 or signs[i] > 0:
                target[slots[i]] += values[i]
            else:
                target[slots[i]] -= values[i]


@kernel
def keep_extremes(target: Any, has: Any, slots: Any, values: Any, valid: Any, is_min: bool) -> None:
    """target[slot] = min or max with each valid value. NaN is the largest value (Flink)."""
    for i in range(len(slots)):
        if len(valid) == 0 or valid[i]:
            slot, value = slots[i], values[i]
            if not has[slot]:
                target[slot] = value
                has[slot] = True
            elif is_min:
                if value < target[slot] or target[slot] != target[slot]:
                    target[slot] = value
            elif value > target[slot] or value != value:
                target[slot] = value


@kernel
def keep_edges(target: Any, has: Any, slots: Any, values: Any, valid: Any, is_first: bool) -> None:
    """target[slot] = first or last valid value."""
    for i in range(len(slots)):
        if len(valid) == 0 or valid[i]:
            slot = slots[i]
            if not is_first or not has[slot]:
                target[slot] = values[i]
                has[slot] = True


@kernel
def chain_append(ids: Any, owners: Any, heads: Any, tails: Any, following: Any, previous: Any) -> None:
    """Appends each row id to its owner's doubly linked chain, in order."""
    for i in range(len(ids)):
        node, owner = ids[i], owners[i]
        tail = tails[owner]
        previous[node] = tail
        following[node] = -1
        if tail < 0:
            heads[owner] = node
        else:
            following[tail] = node
        tails[owner] = node


@kernel
def chain_remove(ids: Any, owners: Any, heads: Any, tails: Any, following: Any, previous: Any) -> None:
    """Takes each row id out of its owner's chain."""
    for i in range(len(ids)):
        node, owner = ids[i], owners[i]
        before, after = previous[node], following[node]
        if before < 0:
            heads[owner] = after
        else:
            following[before] = after
        if after < 0:
            tails[owner] = before
        else:
            previous[after] = before


@kernel
def chain_lengths(owners: Any, heads: Any, following: Any) -> Any:
    """The number of nodes of each owner's chain (owner -1: none)."""
    lengths = np.zeros(len(owners), np.int64)
    for i in range(len(owners)):
        if owners[i] >= 0:
            node = heads[owners[i]]
            while node >= 0:
                lengths[i] += 1
                node = following[node]
    return lengths


@kernel
def chain_collect(owners: Any, heads: Any, following: Any, total: int) -> Any:
    """The node ids of each owner's chain one after the other, and the position in `owners` of each."""
    ids = np.empty(total, np.int64)
    positions = np.empty(total, np.int64)
    k = 0
    for i in range(len(owners)):
        if owners[i] >= 0:
            node = heads[owners[i]]
            while node >= 0:
                ids[k] = node
                positions[k] = i
                k += 1
                node = following[node]
    return ids, positions


@kernel
def chain_pop(owners: Any, heads: Any, tails: Any, following: Any, previous: Any) -> Any:
    """Takes the first node off each owner's chain, one after the other; -1 where the chain is empty or the owner is -1."""
    ids = np.full(len(owners), -1, np.int64)
    for i in range(len(owners)):
        owner = owners[i]
        if owner < 0 or heads[owner] < 0:
            continue
        node = heads[owner]
        after = following[node]
        heads[owner] = after
        if after < 0:
            tails[owner] = -1
        else:
            previous[after] = -1
        ids[i] = node
    return ids
