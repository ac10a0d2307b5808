"""What several places of a batch job read is computed once: within one query by Polars, across statements through a file.

A result that several statements share is written to a temporary Arrow file, so that it takes no memory while they run one after the other.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tableapi.plan import nodes as n
from tableapi.runtime.batch.context import Lowering
from tableapi.runtime.failures import clean_failures


def lower_shared(node: n.Shared, lowering: Lowering) -> pl.LazyFrame:
    """A shared result: lowered where it is met first, kept by Polars for the other places."""
    if node.number not in lowering.shared:
        body = lowering.lower(node.input)
        lowering.shared[node.number] = body.select(node.input.schema.names).cache()
    return lowering.shared[node.number].select(node.schema.names)


class Spool:
    """Results that several statements share, in files."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tableapi-shared-")
        self.results: dict[int, pl.LazyFrame] = {}

    def write(self, node: n.Shared, lowering: Lowering) -> None:
        """Computes a shared result and keeps it."""
        path = Path(self._folder.name) / f"{node.number}.arrow"
        lazy = lowering.lower(node.input).select(node.input.schema.names)
        with clean_failures():
            lazy.sink_ipc(path, compression="lz4", engine="streaming")
        self.results[node.number] = pl.scan_ipc(path)

    def close(self) -> None:
        """Removes the files."""
        self.results = {}
        self._folder.cleanup()


def shared_by_several(plans: Sequence[n.Node]) -> list[n.Shared]:
    """The shared parts that more than one plan reads; a part comes before those that hold it."""
    uses: Counter[int] = Counter()
    found: dict[int, n.Shared] = {}
    for plan in plans:
        own = {node.number: node for node in n.walk(plan) if isinstance(node, n.Shared)}
        uses.update(own.keys())
        found |= own
    return [found[number] for number in sorted(found, reverse=True) if uses[number] > 1]
