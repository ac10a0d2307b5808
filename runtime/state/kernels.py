"""The numba kernels of state: hash tables, scatter-adds, chains. NumPy arrays in and out, compiled once and cached on disk.

Imports numba and NumPy only; loaded when the first stateful operator is made. Slots and row ids are int64; -1 is "none".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tableapi.runtime.state.jit import kernel

_BLOCK = 256
"""Rows that a hash table is asked for at a time. All cells that a block needs are read before any is compared: reads that do not wait for
each other miss the cache together, which in a large table costs a fraction of missing one after the other."""

_LOW = np.uint64(0xFFFFFFFF)


@kernel
def _hash_words(words: Any, row: int) -> Any:
    """From the last word to the first, because a word of null bits that is appended later must not change the hash while it is 0."""
    h = np.uint64(0)
    for j in range(words.shape[1] - 1, -1, -1):
        h = (h ^ np.uint64(words[row, j])) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(32)
    h *= np.uint64(0xD6E8FEB86659FD93)
    return h ^ (h >> np.uint64(32))


@kernel
def _same_words(a: Any, i: Any, b: Any, j: Any) -> bool:
    for c in range(a.shape[1]):  # noqa: SIM110 (compiled)
        if a[i, c] != b[j, c]:
            return False
    return True


@kernel
def _home_shift(table: Any) -> Any:
    """By how much a cell's content is shifted to the right to give its place in a table of 2^n cells."""
    shift = 64
    while (1 << (64 - shift)) < len(table):
        shift -= 1
    return np.uint64(shift)


@kernel
def _look_up(begin: int, end: int, words: Any, table: Any, keys: Any, marks: Any, cells: Any, places: Any, firsts: Any) -> None:
    """Finds, for rows `begin` to `end`, the first place with the row's hash or nothing, what is there, and the first word of its key.

    The two loops that miss the cache do nothing else: the fewer instructions a round has, the more rounds a processor has under way.
    """
    mask, shift, n = np.uint64(len(table) - 1), _home_shift(table), end - begin
    for k in range(n):
        marks[k] = _hash_words(words, begin + k) & ~_LOW
        places[k] = marks[k] >> shift
    for k in range(n):
        cells[k] = table[places[k]]
    for k in range(n):
        mark, cell, p = marks[k], cells[k], places[k]
        while cell != 0 and (cell ^ mark) > _LOW:
            p = (p + np.uint64(1)) & mask
            cell = table[p]
        places[k], cells[k] = p, cell
        firsts[k] = max(np.int64(cell & _LOW) - 1, 0)
    for k in range(n):
        firsts[k] = keys[firsts[k], 0]


@kernel
def insert_words(start: int, words: Any, table: Any, keys: Any, free: Any, state: Any, slots: Any, new_rows: Any) -> int:
    """Finds or makes the slot of each row of `words` from `start` on.

    A cell of `table` (2^n cells) holds the upper half of a key's hash and its slot + 1 in the lower half; 0: empty. The first n bits of
    the hash are the cell's place, so that a table can be filled from a smaller one in order, without looking at keys. `keys[slot]` are the
    words; `state` is [live, next slot, free count, new count, most live]. Slots come from the stack `free`, then from the end.
    `new_rows` collects the rows that made a slot. Stops where the arrays must grow first; returns that row.
    """
    mask = np.uint64(len(table) - 1)
    n, width = words.shape
    size = min(_BLOCK, n - start)
    marks, cells, places = np.empty(size, np.uint64), np.empty(size, np.uint64), np.empty(size, np.uint64)
    firsts = np.empty(size, np.int64)
    for begin in range(start, n, _BLOCK):
        end = min(begin + _BLOCK, n)
        _look_up(begin, end, words, table, keys, marks, cells, places, firsts)
        for i in range(begin, end):
            k = i - begin
            cell, mark, p = cells[k], marks[k], places[k]
            slot = np.int64(cell & _LOW) - 1
            if cell != 0 and firsts[k] == words[i, 0] and (width == 1 or _same_words(keys, slot, words, i)):
                slots[i] = slot
                continue
            while True:
                cell = table[p]
                if cell == 0:
                    if state[0] >= state[4] or (state[2] == 0 and state[1] >= keys.shape[0]):
                        return i
                    if state[2] > 0:
                        state[2] -= 1
                        slot = free[state[2]]
                    else:
                        slot = state[1]
                        state[1] += 1
                    state[0] += 1
                    table[p] = mark | np.uint64(slot + 1)
                    for c in range(width):
                        keys[slot, c] = words[i, c]
                    slots[i] = slot
                    new_rows[state[3]] = i
                    state[3] += 1
                    break
                slot = np.int64(cell & _LOW) - 1
                if (cell ^ mark) <= _LOW and _same_words(keys, slot, words, i):
                    slots[i] = slot
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
    n = words.shape[0]
    size = min(_BLOCK, n)
    marks, cells, places = np.empty(size, np.uint64), np.empty(size, np.uint64), np.empty(size, np.uint64)
    firsts = np.empty(size, np.int64)
    for begin in range(0, n, _BLOCK):
        end = min(begin + _BLOCK, n)
        _look_up(begin, end, words, table, keys, marks, cells, places, firsts)
        for i in range(begin, end):
            p, cell = places[i - begin], cells[i - begin]
            slots[i] = -1
            while cell != 0:
                slot = np.int64(cell & _LOW) - 1
                if (cell ^ marks[i - begin]) <= _LOW and _same_words(keys, slot, words, i):
                    slots[i] = slot
                    break
                p = (p + np.uint64(1)) & mask
                cell = table[p]


@kernel
def refill_table(cells: Any, table: Any) -> None:
    """Fills an empty table with the cells of a smaller one: in their order, so both are read and written from front to back."""
    mask, shift = np.uint64(len(table) - 1), _home_shift(table)
    for cell in cells:
        if cell != 0:
            p = cell >> shift
            while table[p] != 0:
                p = (p + np.uint64(1)) & mask
            table[p] = cell


@kernel
def remove_words(slots: Any, table: Any, keys: Any) -> int:
    """Takes slots out of the table; later entries of a probe run move up, so no tombstones stay. Returns how many it had."""
    mask, shift = np.uint64(len(table) - 1), _home_shift(table)
    removed = 0
    for slot in slots:
        p = _hash_words(keys, slot) >> shift
        while table[p] != 0 and table[p] & _LOW != np.uint64(slot + 1):
            p = (p + np.uint64(1)) & mask
        if table[p] == 0:
            continue
        removed += 1
        hole = p
        p = (p + np.uint64(1)) & mask
        while table[p] != 0:
            home = table[p] >> shift
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
def chain_append(ids: Any, owners: Any, ends: Any, lane: int, links: Any) -> None:
    """Appends each row id to its owner's doubly linked chain, in order.

    `ends[owner]` from `lane` on is first node, last node and number of nodes, `links[node]` the next and the previous node. Nodes are
    ids + 1 and 0 is none, so that an array of zeros is empty chains. Node 0 takes the writes that have no target: a branch that waits
    for memory would hold up the rows after it.
    """
    for i in range(len(ids)):
        node, owner = ids[i] + 1, owners[i]
        last = ends[owner, lane + 1]
        links[node, 0] = 0
        links[node, 1] = last
        links[last, 0] = node
        ends[owner, lane] = node if last == 0 else ends[owner, lane]
        ends[owner, lane + 1] = node
        ends[owner, lane + 2] += 1


@kernel
def chain_remove(ids: Any, owners: Any, ends: Any, lane: int, links: Any) -> None:
    """Takes each row id out of its owner's chain."""
    for i in range(len(ids)):
        node, owner = ids[i] + 1, owners[i]
        after, before = links[node, 0], links[node, 1]
        if before == 0:
            ends[owner, lane] = after
        else:
            links[before, 0] = after
        if after == 0:
            ends[owner, lane + 1] = before
        else:
            links[after, 1] = before
        ends[owner, lane + 2] -= 1


@kernel
def chain_lengths(owners: Any, ends: Any, lane: int, lengths: Any) -> int:
    """The number of nodes of each owner's chain (owner -1: none); returns their sum."""
    total = 0
    for i in range(len(owners)):
        count = ends[max(owners[i], 0), lane + 2]
        lengths[i] = count if owners[i] >= 0 else 0
        total += lengths[i]
    return total


@kernel
def chain_collect(owners: Any, lengths: Any, ends: Any, lane: int, links: Any, ids: Any, positions: Any) -> None:
    """The ids of each owner's chain one after the other, and the position in `owners` of each."""
    at = 0
    for i in range(len(owners)):
        if lengths[i] > 0:
            node = ends[owners[i], lane]
            ids[at], positions[at] = node - 1, i
            for k in range(at + 1, at + lengths[i]):
                node = links[node, 0]
                ids[k], positions[k] = node - 1, i
            at += lengths[i]


@kernel
def chain_pop(owners: Any, ends: Any, lane: int, links: Any, ids: Any) -> None:
    """Takes the first node off each owner's chain, one after the other; -1 where the chain is empty or the owner is -1."""
    for i in range(len(owners)):
        owner = owners[i]
        ids[i] = -1
        if owner < 0 or ends[owner, lane + 2] == 0:
            continue
        node = ends[owner, lane]
        after = links[node, 0]
        ends[owner, lane] = after
        ends[owner, lane + 2] -= 1
        if after == 0:
            ends[owner, lane + 1] = 0
        else:
            links[after, 1] = 0
        ids[i] = node - 1
