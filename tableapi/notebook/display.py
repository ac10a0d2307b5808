"""How tables, results and jobs show themselves in a notebook: never computing more rows than are shown, never taking rows away.

A front door: reaches the runtime through the environment of the table.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tableapi.plan import nodes as n
from tableapi.printing import PrintStyle, text_columns

if TYPE_CHECKING:
    from tableapi.job_client import JobClient
    from tableapi.result import TableResult
    from tableapi.table import Table
    from tableapi.tablespec import RowSchema

SHOWN_ROWS = 10

_STYLE = "border-collapse:collapse;font-family:monospace;font-size:12px"
_CELL = "border:1px solid #ccc;padding:2px 6px;text-align:right"
_ROW_BY_ROW = (n.Scan, n.Inline, n.Values, n.Project, n.Filter, n.WatermarkAssigner, n.Limit, n.Collect)


def preview(table: Table, rows: int = SHOWN_ROWS) -> list[list[str]] | None:
    """The first rows as text, a list a column; None when looking at them would mean to start a job that may not end.

    A table of a streaming session shows rows when the program itself holds all of its input, and when they come row by row from files
    or an event stream: then those that are there now are looked at.
    """
    relation = table._builder.limit(table._relation, rows)
    plan = table._builder.collect(relation)
    if table._t_env._is_streaming and not _can_be_looked_at(plan):
        return None
    settings = table._t_env._settings(is_streaming=False)
    from tableapi.runtime.execute import execute

    columns: list[list[str]] = [[] for _ in plan.schema]
    for frame, _ in execute([plan], settings).batches():
        for column, added in zip(columns, text_columns(frame, plan.schema, settings.time_zone), strict=True):
            column.extend(added)
    return columns


def _can_be_looked_at(plan: n.Node) -> bool:
    nodes = list(n.walk(plan))
    if all(isinstance(node, n.Inline | n.Values) for node in nodes if not node.inputs):
        return True
    if not all(isinstance(node, _ROW_BY_ROW) for node in nodes):
        return False
    from tableapi.runtime.planner.tables import Tables

    tables = Tables(is_streaming=False)
    facts = [tables.facts(node.table) for node in nodes if isinstance(node, n.Scan)]
    return all(known.is_bounded and len(known.changelog) == 1 for known in facts)


def table_html(table: Table) -> str:
    """The table as HTML.

    >>> from tableapi import EnvironmentSettings, TableEnvironment
    >>> env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    >>> "<td" in table_html(env.from_elements([(1, "<b>")], ["a", "b"]))
    True
    """
    columns = preview(table)
    if columns is None:
        return _grid(table._row_schema(), [], "rows are computed by execute()")
    return _grid(table._row_schema(), columns, _first_rows(columns))


def table_text(table: Table) -> str:
    """The table as plain text: its schema."""
    return str(table.get_resolved_schema())


def result_html(result: TableResult) -> str:
    """The result as HTML: the rows of a statement that shows something, the first rows of a batch query, the job of a stream.

    >>> from tableapi import EnvironmentSettings, TableEnvironment
    >>> env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    >>> result = env.execute_sql("SELECT 'x' AS name")
    >>> "x</td>" in result_html(result), result.to_polars().height
    (True, 1)
    """
    job = result.get_job_client()
    if job is None:
        frame = result.to_polars()
        if result._style is PrintStyle.PLAIN and frame.width == 1:
            return f"<pre>{html.escape(chr(10).join(map(str, frame.to_series())))}</pre>"
        return _grid(result._schema, text_columns(frame, result._schema, result._time_zone), _count(frame.height))
    if result._is_insert:
        return f"<small>{html.escape(repr(job))}</small>"
    if result._style is PrintStyle.CHANGES:
        return _grid(result._schema, [], f"{html.escape(repr(job))}; print(), collect() and to_polars() take its rows")
    first = result._first_batch()
    if first is None:
        return _grid(result._schema, [], "no rows, or all of them were taken")
    columns = text_columns(first[0].head(SHOWN_ROWS), result._schema, result._time_zone)
    return _grid(result._schema, columns, f"{_first_rows(columns)}; print(), collect() and to_polars() take them all")


def job_text(job: JobClient) -> str:
    """The job in a line: its state and its counters."""
    counters = job.get_accumulators().result()
    parts = [f"{counters[name]:,} {what}" for name, what in _COUNTERS if counters[name] is not None]
    late = f", {counters['late_rows']:,} late" if counters["late_rows"] else ""
    return f"job {job.get_job_id()}: {job.get_job_status().result().value}, {', '.join(parts)}{late}"


_COUNTERS = (("rows_in", "rows in"), ("rows_out", "rows out"))


def _grid(schema: RowSchema, columns: Sequence[Sequence[str]], note: str) -> str:
    head = "".join(
        f'<th style="{_CELL}">{html.escape(f.name)}<br><small>{html.escape(str(f.type))}'
        f"{f' *{f.time.name}*' if f.time else ''}</small></th>"
        for f in schema
    )
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{html.escape(cell)}</td>' for cell in row) + "</tr>"
        for row in zip(*columns, strict=True)
    )
    return f'<table style="{_STYLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><small>{note}</small>'


def _first_rows(columns: Sequence[Sequence[str]]) -> str:
    rows = len(columns[0]) if columns else 0
    return f"first {SHOWN_ROWS} rows" if rows == SHOWN_ROWS else _count(rows)


def _count(rows: int) -> str:
    return f"{rows} row{'' if rows == 1 else 's'}"
