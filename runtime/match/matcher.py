"""The search for row patterns in sorted rows: an automaton over the pattern's variables, with Flink's semantics.

Rows of a match are neighbours, so a run is no more than the first row of each variable so far; a match is those and its end.
Matches of a partition are found in order of their first rows: as long as a run that began earlier may still match, later ones
wait (Flink). One start therefore is followed at a time. Where no run is alive, the next row that can start one is looked up in
the conditions that were evaluated for all rows at once. Pure: no clock, no state but what is handed in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.errors import ExecutionError
from tableapi.functions.registry import SessionContext
from tableapi.plan.match_node import PatternDefine, PatternElement, Skip, SkipKind
from tableapi.runtime.match.conditions import Columns, Condition
from tableapi.runtime.match.programs import Programs, programs_of

Run = tuple[int, ...]
"""First row of each variable that was reached; a variable that was left out begins where the next one does."""

Test = Callable[[Run, int], bool]
"""(run, row) -> whether the last variable of the run takes the row."""


@dataclass
class Alive:
    """Runs that began at row `start` and have seen all rows before `row`."""

    start: int
    row: int
    runs: list[Run]

    def moved(self, by: int) -> Alive:
        """The same with other row numbers."""
        return Alive(self.start + by, self.row + by, [tuple(b + by for b in run) for run in self.runs])


class Rows:
    """Sorted rows, and the variables' conditions over them.

    Args:
        frame: Rows, sorted by partition and order.
        times: Their times in milliseconds, when there is a WITHIN.
    """

    def __init__(self, matcher: Matcher, frame: pl.DataFrame, times: npt.NDArray[np.int64] | None) -> None:
        self.frame, self.times = frame, times
        columns = Columns(frame, matcher.session)
        by_name = {d.flag: frame[d.flag].fill_null(False).to_numpy() for d in matcher.defines if d.flag is not None}
        self.tests: list[Test | None] = []
        self.flags: list[npt.NDArray[np.bool_] | None] = []
        """For each variable, whether it takes each row; None where it takes any row, or where that depends on the run."""
        self.can_start = np.zeros(frame.height, dtype=np.bool_)
        for position in range(len(matcher.pattern)):
            define, condition = matcher.conditions[position]
            flag = None if define is None or define.flag is None else by_name[define.flag]
            self.flags.append(flag)
            if flag is not None:
                self.tests.append(_flag_test(flag))
            else:
                self.tests.append(None if condition is None else condition.bind(columns))
            if position in matcher.starters:
                self.can_start |= True if flag is None else flag
        self.starts: list[int] = np.flatnonzero(self.can_start).tolist()


def _flag_test(flags: npt.NDArray[np.bool_]) -> Test:
    values = flags.tobytes()
    return lambda run, row: values[row] == 1


class Matcher:
    """A compiled pattern.

    Args:
        pattern, defines, skip, within_ms: As in `plan.match_node.Match`.
        session: For conditions that are evaluated row by row.
    """

    def __init__(
        self,
        pattern: Sequence[PatternElement],
        defines: Sequence[PatternDefine],
        skip: Skip,
        within_ms: int | None,
        session: SessionContext,
    ) -> None:
        self.pattern, self.defines, self.skip, self.within_ms, self.session = pattern, defines, skip, within_ms, session
        self.positions = {e.variable: i for i, e in enumerate(pattern)}
        by_variable = {d.variable: d for d in defines}
        self.conditions: list[tuple[PatternDefine | None, Condition | None]] = []
        for element in pattern:
            define = by_variable.get(element.variable)
            needs_run = define is not None and define.flag is None
            self.conditions.append((define, Condition(define.condition, self.positions) if define and needs_run else None))
        obligatory = [i for i, e in enumerate(pattern) if e.minimum > 0]
        self.starters = range(obligatory[0] + 1)
        """Variables that the first row of a match can belong to."""
        self._last_obligatory = obligatory[-1]
        self._keeps = [e.keeps_rows for e in pattern]
        self.is_memoryless = all(condition is None for _, condition in self.conditions)
        self.skip_to = self.positions.get(skip.variable or "", -1)

    def programs(self) -> Programs | None:
        """The conditions for the compiled search; None when one cannot be asked there."""
        rexes = [define.condition if define and condition else None for define, condition in self.conditions]
        return programs_of(rexes, self.positions)

    def search(
        self, rows: Rows, low: int, high: int, alive: Alive | None, now_ms: int | None, found: list[Run]
    ) -> Alive | None:
        """Looks for matches in the rows `low` to `high` (exclusive) of one partition.

        Args:
            alive: What an earlier search over the same partition left, with its row numbers moved to those of `rows`.
            now_ms: No row before this time will come; runs that would span too much time by then are given up.
            found: Receives matches: the first row of each variable, and the row after the last.

        Returns:
            The runs that need further rows; rows before their start are no longer needed. None: no row is.
        """
        position = low
        while True:
            if alive is None:
                start = self._next_start(rows, position, high)
                if start is None:
                    return None
                alive = Alive(start, start, [()])
            match = self._advance(rows, alive, high)
            if match is not None:
                found.append(match)
                position = self._after(match)
            elif alive.runs and not self._has_expired(rows, alive.start, now_ms):
                return alive
            else:
                position = alive.start + 1
            alive = None

    def _next_start(self, rows: Rows, position: int, high: int) -> int | None:
        index = bisect_left(rows.starts, position)
        if index == len(rows.starts) or rows.starts[index] >= high:
            return None
        return rows.starts[index]

    def _has_expired(self, rows: Rows, start: int, now_ms: int | None) -> bool:
        if self.within_ms is None or now_ms is None:
            return False
        assert rows.times is not None
        return now_ms - int(rows.times[start]) >= self.within_ms

    def _advance(self, rows: Rows, alive: Alive, high: int) -> Run | None:
        """Feeds rows to the runs of one start until one of them has matched, none is left, or the rows end."""
        end = high
        if self.within_ms is not None:
            assert rows.times is not None
            limit = int(rows.times[alive.start]) + self.within_ms
            end = alive.row + int(np.searchsorted(rows.times[alive.row : high], limit, side="left"))
        for row in range(alive.row, end):
            runs: list[Run] = []
            for run in alive.runs:
                for following in self._step(rows.tests, run, row):
                    if self._is_complete(following, row):
                        return following + (row + 1,) * (len(self.pattern) + 1 - len(following))
                    runs.append(following)
            alive.runs = self._different(runs, row) if self.is_memoryless and len(runs) > 1 else runs
            if not runs:
                return None
        alive.row = end
        if end < high:
            alive.runs = []
        return None

    def _is_complete(self, run: Run, row: int) -> bool:
        last = len(run) - 1
        return last >= self._last_obligatory and row + 1 - run[last] >= self.pattern[last].minimum

    def _step(self, tests: list[Test | None], run: Run, row: int) -> Iterator[Run]:
        """The runs that can follow when a run takes one more row; the preferred one first."""
        if not run:
            yield from self._enter(tests, run, 0, row)
            return
        last = len(run) - 1
        element, test = self.pattern[last], tests[last]
        count = row - run[last]
        has_room = element.maximum is None or count < element.maximum
        takes = (has_room or self._keeps[last]) and (test is None or test(run, row))
        if self._keeps[last]:
            if takes and has_room:
                yield run
            if takes or count < element.minimum:
                return
            yield from self._enter(tests, run, last + 1, row)
            return
        if count >= element.minimum:
            yield from self._enter(tests, run, last + 1, row)
        if takes and has_room:
            yield run

    def _enter(self, tests: list[Test | None], run: Run, position: int, row: int) -> Iterator[Run]:
        """The runs in which the row is the first of the variable at `position`, or of a later one if that can be left out."""
        if position == len(self.pattern):
            return
        element, test = self.pattern[position], tests[position]
        entered = (*run, row)
        takes = test is None or test(entered, row)
        may_leave_out = element.minimum == 0 and not (takes and self._keeps[position])
        if may_leave_out and not element.is_greedy:
            yield from self._enter(tests, entered, position + 1, row)
        if takes:
            yield entered
        if may_leave_out and element.is_greedy:
            yield from self._enter(tests, entered, position + 1, row)

    def _different(self, runs: list[Run], row: int) -> list[Run]:
        """The runs without those that have the same future as an earlier one: conditions do not look at their past."""
        futures: dict[tuple[int, int], Run] = {}
        for run in runs:
            element = self.pattern[len(run) - 1]
            count = row + 1 - run[-1]
            futures.setdefault((len(run), min(count, element.minimum) if element.maximum is None else count), run)
        return list(futures.values())

    def _after(self, match: Run) -> int:
        """The row at which the search goes on after a match.

        Raises:
            ExecutionError: It would find the same match again, or the variable to skip to has no row (Flink).
        """
        kind = self.skip.kind
        if kind is SkipKind.PAST_LAST_ROW:
            return match[-1]
        if kind is SkipKind.NEXT_ROW:
            return match[0] + 1
        begin, end = match[self.skip_to], match[self.skip_to + 1]
        if begin == end:
            raise self.no_row_to_skip_to()
        target = begin if kind is SkipKind.FIRST else end - 1
        if target == match[0]:
            raise self.same_match_again()
        return target

    def no_row_to_skip_to(self) -> ExecutionError:
        """The variable that the search should go on at has no row in a match."""
        return ExecutionError(
            f"AFTER MATCH SKIP {self.skip}: the match has no row of '{self.skip.variable}'",
            fix="skip to a variable that takes at least one row",
        )

    def same_match_again(self) -> ExecutionError:
        """The search would go on at the first row of the match that it has just found."""
        return ExecutionError(
            f"AFTER MATCH SKIP {self.skip} goes to the first row of the match, which would match again",
            fix="skip to a later variable, or TO NEXT ROW",
        )
