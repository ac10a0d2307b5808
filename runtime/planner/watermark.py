"""How a table's event time moves: its watermark, when silent splits count as idle, which sources wait for each other.

The options `scan.watermark.*` of tables. Imports the plan, the job graph and the reading of durations.
"""

from __future__ import annotations

from tableapi.durations import parse_duration
from tableapi.errors import OptionError
from tableapi.plan.nodes import WatermarkAssigner
from tableapi.runtime.planner.graph import Alignment, WatermarkSpec
from tableapi.runtime.planner.settings import PlannerSettings
from tableapi.tablespec import TableSpec

_PREFIX = "scan.watermark."


def watermark_spec(assigner: WatermarkAssigner, table: TableSpec, settings: PlannerSettings) -> WatermarkSpec:
    """The watermark of a table's source.

    Raises:
        OptionError: An option is malformed, or an alignment group has no bound.
    """
    idle_ms = _duration_ms(table, "idle-timeout")
    return WatermarkSpec(
        assigner.column,
        assigner.watermark,
        settings.idle_timeout_ms if idle_ms is None else idle_ms,
        _alignment(table),
        _emit_interval_ms(table, settings),
    )


def _emit_interval_ms(table: TableSpec, settings: PlannerSettings) -> int:
    if table.options.get(_PREFIX + "emit.strategy") == "on-event":
        return 0
    text = settings.options.get("pipeline.auto-watermark-interval", "200 ms")
    return round(parse_duration(text).total_seconds() * 1000)


def _alignment(table: TableSpec) -> Alignment | None:
    group = table.options.get(_PREFIX + "alignment.group")
    if group is None:
        return None
    drift_ms = _duration_ms(table, "alignment.max-drift")
    if drift_ms is None:
        raise OptionError(
            f"table '{table.identifier.name}' is in the alignment group '{group}', but how far it may run ahead is not said",
            fix=f"set '{_PREFIX}alignment.max-drift'",
        )
    return Alignment(group, drift_ms)


def _duration_ms(table: TableSpec, name: str) -> int | None:
    text = table.options.get(_PREFIX + name)
    try:
        return None if text is None else round(parse_duration(text).total_seconds() * 1000)
    except ValueError as error:
        raise OptionError(f"option '{_PREFIX}{name}' of table '{table.identifier.name}': {error}") from None
