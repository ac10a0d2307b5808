"""Decoding by lines: the vectorised try on all of them, then on halves, then one by one.

A block with one bad line among thousands costs a few more vectorised tries, not a Python loop over all lines.
Imports polars, formats.base and formats.convert only.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from tableapi.connectors.formats.base import BadRecord, Decoded
from tableapi.connectors.formats.convert import ConversionError

FEW_LINES = 32
"""Blocks of at most about this many lines are read one line at a time when the vectorised try fails."""

PARSE_ERRORS = (ConversionError, pl.exceptions.PolarsError, UnicodeDecodeError)

_ROW_BYTES = 100


def decode_lines(
    data: bytes,
    fast: Callable[[bytes], pl.DataFrame],
    slow: Callable[[bytes], tuple[pl.DataFrame, list[BadRecord]]],
    middle: Callable[[bytes], int] | None = None,
) -> Decoded:
    """The rows of `data` in order.

    Args:
        fast: Reads a block of lines, or raises one of `PARSE_ERRORS`.
        slow: Reads a small block line by line and reports the bad ones.
        middle: Where to cut a block in two (0: nowhere); by default at a line end near its middle.
    """
    frames: list[pl.DataFrame] = []
    bad: list[BadRecord] = []
    _decode(data, 0, 0, fast, slow, middle or _middle, frames, bad)
    frame = frames[0] if len(frames) == 1 else pl.concat(frames)
    return Decoded(frame, None, tuple(bad))


def _decode(
    data: bytes,
    offset: int,
    line: int,
    fast: Callable[[bytes], pl.DataFrame],
    slow: Callable[[bytes], tuple[pl.DataFrame, list[BadRecord]]],
    middle: Callable[[bytes], int],
    frames: list[pl.DataFrame],
    bad: list[BadRecord],
) -> None:
    try:
        frames.append(fast(data))
        return
    except PARSE_ERRORS:
        cut = middle(data) if len(data) > FEW_LINES * _ROW_BYTES and data.count(b"\n") > FEW_LINES else 0
    if not cut:
        frame, found = slow(data)
        frames.append(frame)
        bad.extend(BadRecord(b.offset + offset, b.line + line, b.raw, b.reason) for b in found)
        return
    first, second = data[:cut], data[cut:]
    _decode(first, offset, line, fast, slow, middle, frames, bad)
    _decode(second, offset + cut, line + first.count(b"\n"), fast, slow, middle, frames, bad)


def _middle(data: bytes) -> int:
    cut = data.find(b"\n", len(data) // 2) + 1
    return cut if 0 < cut < len(data) else data.rfind(b"\n", 0, len(data) // 2) + 1
