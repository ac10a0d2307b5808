"""What a lookup join asks, as plain picklable data: a table that answers for keys, or one that is held whole.

Imports the connector contract, the plan and the sibling modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any

from tableapi.connectors.base import LookupSource, Source
from tableapi.connectors.options import LOOKUP_OPTIONS, parse_value
from tableapi.errors import OptionError, UnsupportedError
from tableapi.functions.registry import SessionContext
from tableapi.plan import nodes as n
from tableapi.plan.traits import INSERT_ONLY
from tableapi.row import RowKind
from tableapi.runtime.lookup.cache import CacheSettings
from tableapi.runtime.lookup.reload import Periodic, Reload, Timed
from tableapi.runtime.planner.inline import FrameSource, values_frame
from tableapi.runtime.planner.tables import Tables, connector_of
from tableapi.tablespec import RowSchema

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class KeyedTable:
    """A table that is asked for the rows of keys.

    Args:
        name: Its name, for messages.
        source: Who answers.
        table: The columns of an answer.
        keys: Those that are asked for.
        cache: What is remembered of the answers; None: nothing.
        is_async: Questions do not wait for each other. `is_ordered`: answers leave in the order of the rows. `capacity`: so many
            questions under way at most. `timeout_ms`: an answer that takes longer fails the job.
        max_attempts, retry_delay_ms: A key without rows is asked for so often in all, so long apart.
    """

    name: str
    source: LookupSource
    table: RowSchema
    keys: tuple[str, ...]
    cache: CacheSettings | None = None
    is_async: bool = False
    is_ordered: bool = True
    capacity: int = 100
    timeout_ms: int = 180_000
    max_attempts: int = 1
    retry_delay_ms: int = 0


@dataclass(frozen=True)
class WholeTable:
    """A table that is read whole and kept by key.

    Args:
        name: Its name, for messages.
        source: Where its rows come from. A source that does not end is followed.
        table: The columns of the source. keys: Those that are looked up.
        identity: See `LookupTable`.
        reload: When a source that ends is read again; None: never.
    """

    name: str
    source: Source
    table: RowSchema
    keys: tuple[str, ...]
    identity: tuple[str, ...] | None = None
    reload: Reload | None = None

    @property
    def is_constant(self) -> bool:
        """Whether its rows never change while the job runs."""
        return self.source.is_bounded and self.reload is None


Asked = KeyedTable | WholeTable


def asked_table(node: n.LookupJoin, tables: Tables, session: SessionContext, options: Mapping[str, str]) -> Asked:
    """The table of a lookup join, by what its connector can do, its `lookup.*` options, the hint and the session's options.

    Raises:
        OptionError: The lookup options do not fit together.
        UnsupportedError: The table never ends and has no key by which it could be kept.
    """
    below = node.table
    if isinstance(below, n.Inline):
        return WholeTable("rows", FrameSource(below.data.frame), below.schema, node.table_keys)
    if isinstance(below, n.Values):
        return WholeTable("rows", FrameSource(values_frame(below, session)), below.schema, node.table_keys)
    given = lookup_options(below.table.options)
    cache = given["lookup.cache"]
    if cache != "FULL":
        distinct = tuple(dict.fromkeys(node.table_keys))
        source = connector_of(below.table).lookup(below.table, distinct, tuple(below.schema.names))
        if source is not None:
            settings = _partial_cache(given) if cache == "PARTIAL" else None
            return _keyed(below, source, distinct, settings, node.hint, options)
    return _whole(below, node.table_keys, tables, given)


def lookup_options(options: Mapping[str, str]) -> dict[str, Any]:
    """The `lookup.*` options of a table, typed, with defaults."""
    return {o.key: parse_value(o, options[o.key]) if o.key in options else o.default for o in LOOKUP_OPTIONS}


def _keyed(
    scan: n.Scan,
    source: LookupSource,
    keys: tuple[str, ...],
    cache: CacheSettings | None,
    hint: n.LookupHint,
    options: Mapping[str, str],
) -> KeyedTable:
    from tableapi.durations import parse_duration

    prefix = "table.exec.async-lookup."
    mode = options.get(prefix + "output-mode", "ORDERED").upper()
    timeout = parse_duration(options.get(prefix + "timeout", "3 min")) // _MILLISECOND
    return KeyedTable(
        scan.table.identifier.name,
        source,
        scan.schema,
        keys,
        cache,
        source.is_async and hint.is_async is not False,
        hint.is_ordered if hint.is_ordered is not None else mode == "ORDERED",
        hint.capacity or int(options.get(prefix + "buffer-capacity", "100")),
        hint.timeout_ms or timeout,
        hint.max_attempts or 1,
        hint.retry_delay_ms or 0,
    )


def _partial_cache(given: Mapping[str, Any]) -> CacheSettings:
    prefix = "lookup.partial-cache."
    limits = [given[prefix + key] for key in ("max-rows", "expire-after-write", "expire-after-access")]
    if all(limit is None for limit in limits):
        raise OptionError(
            "'lookup.cache' = 'PARTIAL' without a limit would grow for ever",
            fix=f"set one of {prefix}max-rows, {prefix}expire-after-write, {prefix}expire-after-access",
        )
    times = [None if limit is None else limit // _MILLISECOND for limit in limits[1:]]
    return CacheSettings(limits[0], times[0], times[1], given[prefix + "cache-missing-key"])


def _whole(scan: n.Scan, keys: tuple[str, ...], tables: Tables, given: Mapping[str, Any]) -> WholeTable:
    source, table = tables.source(scan), scan.table
    name, key = table.identifier.name, table.primary_key
    kinds = source.changelog
    if not source.is_bounded and kinds == INSERT_ONLY:
        raise UnsupportedError(
            f"table '{name}' never ends and its rows are only added: there is no row of a key to look up",
            fix="declare a PRIMARY KEY in a table of upserts (filelog), or use an event-time temporal join",
        )
    identity: tuple[str, ...] | None = None
    if kinds != INSERT_ONLY:
        identity = () if RowKind.UPDATE_BEFORE in kinds else key
    return WholeTable(name, source, scan.schema, keys, identity, _reload(given))


def _reload(given: Mapping[str, Any]) -> Reload | None:
    prefix = "lookup.full-cache."
    if given["lookup.cache"] != "FULL":
        return None
    if given[prefix + "reload-strategy"] == "TIMED":
        text = given[prefix + "timed-reload.iso-time"]
        if text is None:
            raise OptionError(f"'{prefix}reload-strategy' = 'TIMED' needs the option '{prefix}timed-reload.iso-time'")
        try:
            at = time.fromisoformat(text.removesuffix("Z"))
        except ValueError:
            raise OptionError(
                f"option '{prefix}timed-reload.iso-time' has a wrong value: '{text}'", fix="write '02:30'"
            ) from None
        return Timed(at, given[prefix + "timed-reload.interval-in-days"])
    interval = given[prefix + "periodic-reload.interval"]
    if interval is None:
        return None
    return Periodic(interval // _MILLISECOND, given[prefix + "periodic-reload.schedule-mode"] == "FIXED_RATE")
