"""The search of patterns whose conditions are flags of rows or programs (`programs.py`): all partitions in one call of a compiled kernel.

It finds what `matcher.Matcher.search` finds, and in the same order. A run needs no memory here but the first row of each of its
variables, so a run that is alive is told by its first row and followed anew when there are more rows. Imports NumPy and the kernels' declaration.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tableapi.runtime.match.evaluation import _takes
from tableapi.runtime.state.jit import kernel

NO_ROW_TO_SKIP_TO, SAME_MATCH_AGAIN, NO_ROOM = -1, -2, -3
"""What `search_partitions` returns instead of a number of matches: a match cannot be followed by another search, or more runs are alive at
once than there is room for."""

PAST_LAST_ROW, NEXT_ROW, TO_FIRST, TO_LAST = 0, 1, 2, 3


@kernel
def _begin(run: Any, length: int, position: int, row: int, made: int, runs: Any, lengths: Any) -> int:
    """Adds the run with the row as the first of the variable at `position`; those between have no rows."""
    for c in range(length):
        runs[made, c] = run[c]
    for c in range(length, position + 1):
        runs[made, c] = row
    lengths[made] = position + 1
    return made + 1


@kernel
def _enter(tests: Any, pattern: Any, position: int, row: int, run: Any, length: int, made: int, runs: Any, lengths: Any) -> int:
    """Adds the runs in which the row is the first of the variable at `position`, or of a later one if those between can be left out."""
    size = pattern.shape[0]
    end = position
    while end < size:
        takes = _takes(tests, end, row, run, length)
        is_last = not (pattern[end, 0] == 0 and not (takes and pattern[end, 3] != 0))
        if takes and (pattern[end, 2] != 0 or is_last):
            made = _begin(run, length, end, row, made, runs, lengths)
        end += 1
        if is_last:
            break
    last = end
    for back in range(last - 1, position - 1, -1):
        takes = _takes(tests, back, row, run, length)
        is_last = not (pattern[back, 0] == 0 and not (takes and pattern[back, 3] != 0))
        if takes and pattern[back, 2] == 0 and not is_last:
            made = _begin(run, length, back, row, made, runs, lengths)
    return made


@kernel
def _stay(run: Any, length: int, made: int, runs: Any, lengths: Any) -> int:
    """Adds the run as it is: its last variable takes the row."""
    for c in range(length):
        runs[made, c] = run[c]
    lengths[made] = length
    return made + 1


@kernel
def _step(tests: Any, pattern: Any, row: int, run: Any, length: int, made: int, runs: Any, lengths: Any) -> int:
    """Adds the runs that can follow when a run takes one more row; the preferred one first."""
    if length == 0:
        return _enter(tests, pattern, 0, row, run, 0, made, runs, lengths)
    last = length - 1
    minimum, maximum, keeps = pattern[last, 0], pattern[last, 1], pattern[last, 3] != 0
    count = row - run[last]
    has_room = maximum < 0 or count < maximum
    takes = (has_room or keeps) and _takes(tests, last, row, run, length)
    if keeps:
        if takes and has_room:
            made = _stay(run, length, made, runs, lengths)
        if takes or count < minimum:
            return made
        return _enter(tests, pattern, length, row, run, length, made, runs, lengths)
    if count >= minimum:
        made = _enter(tests, pattern, length, row, run, length, made, runs, lengths)
    if takes and has_room:
        made = _stay(run, length, made, runs, lengths)
    return made


@kernel
def _without_repeats(pattern: Any, row: int, made: int, runs: Any, lengths: Any) -> int:
    """Drops runs that have the same future as an earlier one, where no condition looks at their past."""
    kept = 0
    for i in range(made):
        last = lengths[i] - 1
        minimum, maximum = pattern[last, 0], pattern[last, 1]
        count = row + 1 - runs[i, last]
        future = count if maximum >= 0 else min(count, minimum)
        is_new = True
        for j in range(kept):
            if lengths[j] == lengths[i]:
                other = row + 1 - runs[j, last]
                if future == (other if maximum >= 0 else min(other, minimum)):
                    is_new = False
                    break
        if is_new:
            for c in range(last + 1):
                runs[kept, c] = runs[i, c]
            lengths[kept] = lengths[i]
            kept += 1
    return kept


@kernel
def _follow(tests: Any, pattern: Any, start: int, end: int, room: Any, lengths: Any, match: Any) -> int:
    """Follows the runs that begin at `start`: 1 when one has matched (its rows are in `match`), 0 when none is left, 2 when the rows end, -3 when
    there are too many."""
    size = pattern.shape[0]
    obligatory = 0
    for i in range(size):
        if pattern[i, 0] > 0:
            obligatory = i
    now, count = 0, 1
    lengths[0, 0] = 0
    for row in range(start, end):
        made = 0
        for i in range(count):
            first = made
            if made + size + 1 > room.shape[1]:
                return -3
            made = _step(tests, pattern, row, room[now, i], lengths[now, i], made, room[1 - now], lengths[1 - now])
            for j in range(first, made):
                last = lengths[1 - now, j] - 1
                if last >= obligatory and row + 1 - room[1 - now, j, last] >= pattern[last, 0]:
                    for c in range(last + 1):
                        match[c] = room[1 - now, j, c]
                    for c in range(last + 1, size + 1):
                        match[c] = row + 1
                    return 1
        if made == 0:
            return 0
        now = 1 - now
        if made > 1 and len(tests[1]) == size:
            count = _without_repeats(pattern, row, made, room[now], lengths[now])
        else:
            count = made
    return 2


@kernel
def _after(match: Any, skip: int, skip_to: int) -> int:
    """The row at which the search goes on after a match, or why it cannot."""
    if skip == 0:
        return match[len(match) - 1]
    if skip == 1:
        return match[0] + 1
    begin, end = match[skip_to], match[skip_to + 1]
    if begin == end:
        return -1
    target = begin if skip == 2 else end - 1
    return -2 if target == match[0] else target


@kernel
def search_partitions(
    owners: Any, tests: Any, can_start: Any, pattern: Any, times: Any, within: int, now: int, skip: int, skip_to: int,
    room: Any, lengths: Any, matches: Any, alive: Any,
) -> int:  # fmt: skip
    """Searches every partition of sorted rows.

    Args:
        owners: The partition of each row, equal for neighbours in a partition.
        tests: Whether a variable takes a row, see `evaluation.Tests`. `can_start`: whether some first variable does.
        pattern: For each variable: fewest and most rows (-1: any number), greedy, `keeps_rows`.
        times, within: Milliseconds; `within` -1: no limit, and no times. `now`: no row before it will come.
        skip, skip_to: Where a search goes on after a match; a variable.
        room, lengths: Space for runs: two sets, as many runs as can be alive at once.
        matches: Receives the first row of each variable and the row after the last, a match a row. Room for one a start.
        alive: Receives, for each partition in order, the first row of the run that needs further rows, or -1.

    Returns:
        The number of matches, or one of the negative codes of this module.
    """
    n = len(owners)
    next_start = np.empty(n + 1, dtype=np.int64)
    next_start[n] = n
    for i in range(n - 1, -1, -1):
        next_start[i] = i if can_start[i] else next_start[i + 1]
    found, part, low = 0, 0, 0
    while low < n:
        high = low + 1
        while high < n and owners[high] == owners[low]:
            high += 1
        position = low
        alive[part] = -1
        while position < high and next_start[position] < high:
            start = next_start[position]
            end = high
            if within >= 0:
                end = start
                while end < high and times[end] < times[start] + within:
                    end += 1
            outcome = _follow(tests, pattern, start, end, room, lengths, matches[found])
            if outcome < 0:
                return outcome
            if outcome == 1:
                position = _after(matches[found], skip, skip_to)
                if position < 0:
                    return position
                found += 1
            elif outcome == 2 and end == high and not (within >= 0 and times[start] + within <= now):
                alive[part] = start
                break
            else:
                position = start + 1
        part += 1
        low = high
    return found
