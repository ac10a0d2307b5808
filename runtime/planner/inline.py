"""Sources for rows that the program itself holds: from_elements, from_polars, VALUES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tableapi.connectors.base import ReadResult, Source, Split, SplitReader
from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import NamedRex, Values


@dataclass(frozen=True, eq=False)
class FrameSource(Source):
    """A bounded source of one split: a frame. Its position is the number of rows already read."""

    frame: pl.DataFrame
    is_bounded = True

    def splits(self) -> Sequence[Split]:
        return [Split("0")]

    def reader(self, split: Split, position: Any = None) -> SplitReader:
        return _FrameReader(self.frame, position or 0)


class _FrameReader(SplitReader):
    def __init__(self, frame: pl.DataFrame, position: int) -> None:
        self.frame, self.position = frame, position

    def read(self, max_rows: int) -> ReadResult:
        part = self.frame.slice(self.position, max_rows)
        self.position += part.height
        return ReadResult(part if part.height else None, self.position, finished=self.position >= self.frame.height)


def values_frame(node: Values, session: SessionContext) -> pl.DataFrame:
    """The rows of VALUES, evaluated."""
    from tableapi.runtime.expressions import evaluate

    one = pl.DataFrame({"$row": [0]})
    names = node.schema.names
    if not names:
        return pl.DataFrame({"$row": [0] * len(node.rows)})
    if not node.rows:
        return pl.DataFrame(schema=node.schema.to_polars())
    rows = [evaluate(one, [NamedRex(n, r) for n, r in zip(names, row, strict=True)], session) for row in node.rows]
    return pl.concat(rows)
