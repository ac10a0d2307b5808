"""From table definitions to connectors: opens sources and sinks, and knows what each table can do.

The one place where the runtime looks connectors up by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from tableapi.connectors.base import Connector, ScanRequest, Sink, Source
from tableapi.errors import OptionError
from tableapi.functions.registry import SessionContext
from tableapi.plan.nodes import Scan
from tableapi.plan.rex import columns, conjuncts
from tableapi.plan.traits import TableFacts
from tableapi.runtime.expressions import all_of
from tableapi.runtime.planner.ranges import ranges_of
from tableapi.tablespec import TableSpec, TableStatistics


def connector_of(table: TableSpec) -> Connector:
    """The connector that a table's `connector` option names."""
    from tableapi.connectors.registry import connector_names, find_connector

    name = table.options.get("connector")
    if name is None:
        raise OptionError(
            f"table '{table.identifier.name}' has no 'connector' option",
            exists=f"connectors: {', '.join(connector_names())}",
            fix="add 'connector' = '…' to WITH (…)",
        )
    return find_connector(name)


def read_columns(scan: Scan) -> tuple[str, ...] | None:
    """The columns that a reader has to hand over: those of the scan, and those that its filter looks at."""
    if scan.columns is None or scan.filter is None:
        return scan.columns
    wanted = {*scan.columns, *columns(scan.filter)}
    return tuple(name for name in scan.table.produced.names if name in wanted)


@dataclass
class Tables:
    """The sources of one planning run. A table that is scanned twice with the same columns is opened once.

    Args:
        is_streaming: Sources may be unbounded.
        session: What filters that readers are given may depend on.
    """

    is_streaming: bool
    session: SessionContext = field(default_factory=SessionContext)
    _sources: dict[object, Source] = field(default_factory=dict)
    _statistics: dict[object, TableStatistics] = field(default_factory=dict)

    def source(self, scan: Scan) -> Source:
        """The source of a scan."""
        columns = read_columns(scan)
        limit = scan.limit if scan.filter is None else None
        key = (scan.table.identifier, tuple(sorted(scan.table.options.items())), columns, limit, scan.filter, scan.fields)
        if key not in self._sources:
            request = ScanRequest(
                columns,
                limit,
                fields=dict(scan.fields),
                partition_filter=self._partition_filter(scan),
                ranges=ranges_of(conjuncts(scan.filter)) if scan.filter is not None else {},
            )
            self._sources[key] = connector_of(scan.table).source(scan.table, request, self.is_streaming)
        return self._sources[key]

    def facts(self, table: TableSpec) -> TableFacts:
        """What a table's connector knows of it."""
        source = self.source(Scan(table))
        return TableFacts(source.is_bounded, source.changelog)

    def _partition_filter(self, scan: Scan) -> pl.Expr | None:
        """What the scan's filter says of partition columns alone."""
        parts = conjuncts(scan.filter) if scan.filter is not None else []
        keys = set(scan.table.partition_keys)
        decided = [p for p in parts if (used := columns(p)) and used <= keys]
        return all_of(decided, self.session) if decided else None

    def statistics(self, scan: Scan) -> TableStatistics:
        """What a table's connector knows of its size, filters aside."""
        key = scan.table.identifier
        if key not in self._statistics:
            self._statistics[key] = self.source(Scan(scan.table)).statistics()
        return self._statistics[key]

    def sink(self, table: TableSpec) -> Sink:
        """The sink of a table."""
        return connector_of(table).sink(table)
