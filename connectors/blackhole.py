"""The `blackhole` connector: takes every row and keeps none.

Imports connectors.{base,options} and tableapi.tablespec only.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tableapi.connectors.base import Connector, Guarantee, Sink, SinkWriter
from tableapi.connectors.options import COMMON_OPTIONS, read_options
from tableapi.row import RowKind
from tableapi.tablespec import TableSpec


class _BlackholeWriter(SinkWriter):
    def write(self, frame: pl.DataFrame, kinds: pl.Series | None) -> None:
        return


@dataclass(frozen=True)
class BlackholeSink(Sink):
    """Keeps nothing, so nothing is ever there twice."""

    accepts: frozenset[RowKind] = frozenset(RowKind)
    guarantee: Guarantee = Guarantee.EXACTLY_ONCE

    def writer(self, subtask: int, parallelism: int) -> SinkWriter:
        return _BlackholeWriter()


class BlackholeConnector(Connector):
    """For measuring a query without its output."""

    name = "blackhole"

    def sink(self, table: TableSpec) -> Sink:
        read_options("connector 'blackhole'", table.options, COMMON_OPTIONS)
        return BlackholeSink()
