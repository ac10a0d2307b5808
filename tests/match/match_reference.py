"""A second, slow answer to what a row pattern matches: tries every way to cut the rows into the pattern's variables."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Part:
    """A variable: `test(taken, row)` says whether it takes a row; `taken` maps variables to rows, the tested row included."""

    name: str
    low: int
    high: int | None
    greedy: bool
    test: object


def is_open(part):
    return part.low != part.high and (part.low, part.high) != (0, 1)


def cuts(parts, rows, start, end):
    """All ways to deal the rows `start` to `end` out to the parts, as tuples of lengths, preferred ones first."""

    def deal(position, row):
        if position == len(parts):
            if row == end:
                yield ()
            return
        part = parts[position]
        high = end - row if part.high is None else min(part.high, end - row)
        lengths = range(part.low, high + 1)
        for length in reversed(lengths) if part.greedy else lengths:
            for rest in deal(position + 1, row + length):
                yield (length, *rest)

    return [c for c in deal(0, start) if is_valid(parts, rows, start, c)]


def is_valid(parts, rows, start, lengths):
    begins = [start]
    for length in lengths:
        begins.append(begins[-1] + length)

    def holds(position, row):
        """Whether the part at `position` takes the row, given the cut before it."""
        taken = {p.name: rows[a : min(b, row)] for p, (a, b) in zip(parts[:position], pairwise(begins), strict=False)}
        taken |= {p.name: [] for p in parts[position + 1 :]}
        taken[parts[position].name] = rows[begins[position] : row + 1]
        return parts[position].test(taken, rows[row]) is True

    for position, part in enumerate(parts):
        if not all(holds(position, row) for row in range(begins[position], begins[position + 1])):
            return False
        follows = begins[position + 1]
        if part.greedy and is_open(part) and follows < begins[-1] and holds(position, follows):
            return False
    return True


def matches(parts, rows, skip):
    """(start, lengths) of each match, in order; `skip` is "next", "past" or ("first" | "last", variable).

    Stops at the first start that further rows could still complete, which this reference does not decide: every start is tried
    to the end of the rows, so use patterns whose runs die.
    """
    found, start = [], 0
    while start < len(rows):
        match = next((c for end in range(start + 1, len(rows) + 1) for c in cuts(parts, rows, start, end)[:1]), None)
        if match is None:
            start += 1
            continue
        found.append((start, match))
        if skip == "next":
            start += 1
        elif skip == "past":
            start += sum(match)
        else:
            kind, name = skip
            position = [p.name for p in parts].index(name)
            begin = start + sum(match[:position])
            start = begin if kind == "first" else begin + match[position] - 1
    return found
