"""The stack machine that tests conditions on rows matched before, within the compiled search. Imports NumPy and the kernels' declaration."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tableapi.runtime.state.jit import kernel

Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

Tests = tuple[Any, ...]
"""(flags, code, whole, reals, constants, stack, real stack): few arrays, because compiled code counts references to each at every call.

`code` begins with a line for each variable: where its program begins and ends (both equal: its flag tells). `whole`: for each column the
values, the sums of the values before each row, and the numbers of values before each row that are not NULL. `constants`: the fractions.
`stack`: values, and NULL marks.
"""

REF, CONSTANT, TO_REAL, COMPARE, ARITHMETIC, AND, OR, NOT, IS_NULL, IS_NOT_NULL, COUNT, SUM, AVG, MIN, MAX, SUM_REALS = range(
    16
)
"""Operations, and what stands behind each in its line of code.

REF: column, variable's position (-1: all rows), 1 for FIRST plus 2 for a fraction, offset. CONSTANT: 0 for NULL, 1 for the whole number or
2 for the number of the fraction that follows. COMPARE and ARITHMETIC: which, whether fractions, bits. Aggregates: column (-1: rows),
position, bits.
"""

VALUES, SUMS, COUNTS = range(3)


@kernel
def _takes(tests: Any, position: int, row: int, run: Any, length: int) -> bool:
    """Whether the variable at `position` takes the row in a run; the variables between the run's last and this one have no rows."""
    if tests[1][position, 0] == tests[1][position, 1]:
        return bool(tests[0][position, row])
    return bool(_holds(tests[1], tests[2], tests[3], tests[4], tests[5], tests[6], position, row, run, length))


@kernel
def _bound(run: Any, length: int, position: int, row: int) -> int:
    """The first row of a variable of the run."""
    return int(run[position]) if position < length else row


@kernel
def _wrapped(value: int, bits: int) -> int:
    """Whole numbers that overflow wrap around."""
    if bits >= 64:
        return value
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half


@kernel
def _compared(which: int, a: Any, b: Any) -> int:
    if which == 0:
        return int(a == b)
    if which == 1:
        return int(a != b)
    if which == 2:
        return int(a < b)
    if which == 3:
        return int(a <= b)
    if which == 4:
        return int(a > b)
    return int(a >= b)


@kernel
def _calculated(which: int, a: Any, b: Any) -> Any:
    if which == 0:
        return a + b
    if which == 1:
        return a - b
    return a * b


@kernel
def _extreme(whole: Any, column: int, low: int, high: int, is_min: bool) -> int:
    """The least or greatest value of some rows, one of which at least is not NULL."""
    best, is_known = 0, False
    for i in range(low, high):
        if whole[2, column, i + 1] > whole[2, column, i]:
            value = whole[0, column, i]
            if not is_known or (value < best if is_min else value > best):
                best = value
            is_known = True
    return best


@kernel
def _aggregated(whole: Any, operation: int, column: int, low: int, high: int, number: int, bits: int) -> int:
    """An aggregate of `number` values that are not NULL in the rows `low` to `high`."""
    if operation == 10:
        return number
    if number == 0 or operation == 15:
        return 0
    if operation >= 13:
        return int(_extreme(whole, column, low, high, operation == 13))
    total = whole[1, column, high] - whole[1, column, low]
    if operation == 11:
        return int(_wrapped(total, bits))
    return int(total // number if total >= 0 else -(-total // number))


@kernel
def _total(whole: Any, reals: Any, column: int, low: int, high: int) -> float:
    """The sum of fractions, added one after the other."""
    total = 0.0
    for i in range(low, high):
        if whole[2, column, i + 1] > whole[2, column, i]:
            total += reals[column, i]
    return total


@kernel
def _logic(is_or: int, a: int, a_absent: int, b: int, b_absent: int) -> int:
    """AND and OR of three-valued truths: 0, 1, or 2 for NULL."""
    if (a_absent == 0 and a == is_or) or (b_absent == 0 and b == is_or):
        return is_or
    return 2 if a_absent != 0 or b_absent != 0 else 1 - is_or


@kernel
def _range(run: Any, length: int, of: int, position: int, row: int) -> tuple[int, int]:
    """The first row of the variable `of`, and the row after its last, when the variable at `position` takes the row."""
    if of < 0:
        return _bound(run, length, 0, row), row + 1
    if of > position:
        return row, row
    return _bound(run, length, of, row), _bound(run, length, of + 1, row) if of < position else row + 1


@kernel
def _operate(stack: Any, real_stack: Any, top: int, operation: int, a: int, b: int, bits: int) -> int:
    """Applies an operation to the values on top of the stacks; returns how many values are there then."""
    last = top - 1
    if operation == 2:
        real_stack[last] = stack[0, last]
        return top
    if operation == 7:
        stack[0, last] = 1 - stack[0, last]
        return top
    if operation == 8 or operation == 9:
        stack[0, last] = int((stack[1, last] != 0) == (operation == 8))
        stack[1, last] = 0
        return top
    left = last - 1
    if operation == 5 or operation == 6:
        truth = _logic(operation - 5, stack[0, left], stack[1, left], stack[0, last], stack[1, last])
        stack[0, left], stack[1, left] = truth & 1, truth >> 1
        return last
    stack[1, left] |= stack[1, last]
    if operation == 3:
        if b != 0:
            stack[0, left] = _compared(a, real_stack[left], real_stack[last])
        else:
            stack[0, left] = _compared(a, stack[0, left], stack[0, last])
    elif b != 0:
        real_stack[left] = _calculated(a, real_stack[left], real_stack[last])
    else:
        stack[0, left] = _wrapped(_calculated(a, stack[0, left], stack[0, last]), bits)
    return last


@kernel
def _holds(
    code: Any,
    whole: Any,
    reals: Any,
    constants: Any,
    stack: Any,
    real_stack: Any,
    position: int,
    row: int,
    run: Any,
    length: int,
) -> bool:
    """Whether the condition of a variable is TRUE of a row in a run."""
    top = 0
    for i in range(code[position, 0], code[position, 1]):
        operation, a, b, c = code[i, 0], code[i, 1], code[i, 2], code[i, 3]
        if operation == 1:
            stack[1, top] = a == 0
            if a == 1:
                stack[0, top] = b
            elif a == 2:
                real_stack[top] = constants[b]
            top += 1
        elif operation == 0:
            low, high = _range(run, length, b, position, row)
            at = low + code[i, 4] if c & 1 else high - 1 - code[i, 4]
            is_there = low <= at < high and whole[2, a, at + 1] > whole[2, a, at]
            stack[1, top] = not is_there
            if is_there and c & 2:
                real_stack[top] = reals[a, at]
            elif is_there:
                stack[0, top] = whole[0, a, at]
            top += 1
        elif operation >= 10:
            low, high = _range(run, length, b, position, row)
            number = high - low if a < 0 else whole[2, a, high] - whole[2, a, low]
            stack[0, top] = _aggregated(whole, operation, a, low, high, number, c)
            stack[1, top] = number == 0 and operation != 10
            if operation == 15:
                real_stack[top] = _total(whole, reals, a, low, high)
            top += 1
        else:
            top = _operate(stack, real_stack, top, operation, a, b, c)
    return bool(stack[0, 0] != 0 and stack[1, 0] == 0)
